//! The file of the attempts ledger: one change at a time under its lock, read from where the last look ended.
//!
//! Lines are not brought to disk one by one: the ledger belongs to one launch, and no launch survives the machine. A
//! line that a crash tore is passed over, and the next one starts on its own. What a line means is not decided here.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ralph_core::process::lock::{self, Held};
use ralph_core::store::{append, atomic};

use super::BudgetError;
use super::ledger::{Book, Line};

const LEDGER: &str = "attempts.jsonl";
const LOCK: &str = "attempts.lock";

/// The ledger of a folder.
#[derive(Debug)]
pub(super) struct Attempts {
    ledger: PathBuf,
    lock_path: PathBuf,
    lock: File,
    seen: Mutex<Seen>,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Seen {
    book: Book,
    /// Bytes of whole lines.
    length: u64,
    /// Whether something stands behind them.
    is_torn: bool,
}

impl Attempts {
    pub(super) fn open(folder: &Path) -> Result<Self, BudgetError> {
        let lock_path = folder.join(LOCK);
        let lock = lock::open(&lock_path).map_err(BudgetError::io("open", &lock_path))?;
        Ok(Self {
            ledger: folder.join(LEDGER),
            lock_path,
            lock,
            seen: Mutex::default(),
        })
    }

    /// Begins a new ledger. Only for whoever is alone in the folder.
    pub(super) fn clear(folder: &Path) -> Result<(), BudgetError> {
        Ok(atomic::remove(&folder.join(LEDGER))?)
    }

    /// The sum of the ledger's whole lines as they are now.
    pub(super) fn look(folder: &Path) -> Result<Book, BudgetError> {
        let ledger = folder.join(LEDGER);
        let mut seen = Seen::default();
        seen.take_in(&read_from(&ledger, 0).map_err(BudgetError::io("read", &ledger))?);
        Ok(seen.book)
    }

    /// Decides on the ledger as it is now, under the lock, and writes the lines that were decided.
    pub(super) fn change<T>(
        &self,
        decide: impl FnOnce(&Book) -> (Vec<Line>, T),
    ) -> Result<T, BudgetError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let _held = Held::take(&self.lock).map_err(BudgetError::io("lock", &self.lock_path))?;
        self.is_there(&seen)?;
        self.refresh(&mut seen)?;
        if seen.is_torn {
            // Ended before anything is decided: it may lack nothing but its end, and counts then.
            append::append_bytes(&self.ledger, b"\n")?;
            self.refresh(&mut seen)?;
        }
        let (lines, answer) = decide(&seen.book);
        if !lines.is_empty() {
            self.append(&lines)?;
            self.refresh(&mut seen)?;
        }
        Ok(answer)
    }

    /// Fails where somebody has removed the files, or the folder: a ledger begun anew would have spent nothing.
    fn is_there(&self, seen: &Seen) -> Result<(), BudgetError> {
        let found = self.lock_path.metadata().ok();
        let held = self.lock.metadata().ok();
        let place = |file: Option<Metadata>| file.map(|file| (file.dev(), file.ino()));
        let length = self.ledger.metadata().map_or(0, |ledger| ledger.len());
        if place(found) == place(held) && length >= seen.length {
            return Ok(());
        }
        let folder = self.ledger.parent().unwrap_or(&self.ledger);
        Err(BudgetError::Removed(folder.to_owned()))
    }

    fn append(&self, lines: &[Line]) -> Result<(), BudgetError> {
        let mut text = String::new();
        for line in lines {
            let line = serde_json::to_string(line)
                .map_err(io::Error::from)
                .map_err(BudgetError::io("write to", &self.ledger))?;
            text.push_str(&line);
            text.push('\n');
        }
        // In one write, so that a crash leaves all of a decision or the start of it.
        Ok(append::append_bytes(&self.ledger, text.as_bytes())?)
    }

    /// Reads what was written since the last look.
    fn refresh(&self, seen: &mut Seen) -> Result<(), BudgetError> {
        let bytes =
            read_from(&self.ledger, seen.length).map_err(BudgetError::io("read", &self.ledger))?;
        seen.take_in(&bytes);
        Ok(())
    }
}

impl Seen {
    /// Takes in what stands behind what was read so far.
    fn take_in(&mut self, bytes: &[u8]) {
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let (lines, tail) = bytes.split_at(whole);
        for line in lines.split(|byte| *byte == b'\n') {
            if let Ok(line) = serde_json::from_slice(line) {
                self.book.apply(&line);
            }
        }
        self.length += whole as u64;
        self.is_torn = !tail.is_empty();
    }
}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => {
            file.seek(SeekFrom::Start(offset))?;
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(bytes),
        Err(error) => Err(error),
    }
}
