//! What the hook saw when it last looked: a state file that is still the same is not read again.
//!
//! As git's index does for its files, `.claude/ralph/hook-index` holds inode, size and both times of each state, and the
//! facts that were read from it, one line for each project. It is no state: lost, damaged, of another version or of another boot it is
//! as good as none, and where it cannot be written all is read the next time. Only what was read well is remembered,
//! so an unreadable project is looked at and named each time. What must never be here: a decision, or a fact about a
//! file that may have changed without a trace (see [`SETTLED`]).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::str::{FromStr, SplitAsciiWhitespace};

use rustix::fs::{FileType, Stat};

use crate::phase::Phase;
use crate::pipeline::Skim;
use crate::store::{atomic, layout};
use crate::time::{LooseTime, SignedDuration, Timestamp};

/// The first word of the file, with its version and that of the rules by which states are read: facts of another one are
/// not believed. The second word is the boot.
const TITLE: &str = "ralph-hook-index-1";

/// A file that changed less than this ago is not remembered: it may change again at what its file system calls the same
/// time. The coarsest in use counts in steps of two seconds.
const SETTLED: SignedDuration = SignedDuration::from_secs(3);

/// Below so many new bytes and files, reading them again costs less than writing the index.
const WORTH_BYTES: usize = 256 * 1024;
const WORTH_FILES: usize = 64;

/// What tells one content of a file from another, as fstat(2) has it. Nobody can set the time of the last change of
/// status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    inode: i64,
    bytes: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// Of a regular file.
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        is_file.then(|| Self {
            inode: whole(stat.st_ino),
            bytes: whole(stat.st_size),
            modified: (whole(stat.st_mtime), whole(stat.st_mtime_nsec)),
            changed: (whole(stat.st_ctime), whole(stat.st_ctime_nsec)),
        })
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        let last = self.modified.0.max(self.changed.0);
        Timestamp::from_second(last).is_ok_and(|last| now.duration_since(last) > SETTLED)
    }
}

/// The types of the members of `stat` differ between systems.
fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// The index as it was read. A line is only looked into when its project is.
#[derive(Debug, Default)]
pub(super) struct Memory<'a> {
    /// By name.
    lines: HashMap<&'a str, &'a str>,
}

impl<'a> Memory<'a> {
    /// Reads the text of an index that was written since this boot began: after a power cut the times of a file may be
    /// on the disk and what it holds not.
    pub(super) fn parse(text: &'a [u8], boot: &str) -> Self {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let Some((title, lines)) = text.split_once('\n') else {
            return Self::default();
        };
        // What was cut off lacks its last line end.
        if title != self::title(boot) || !text.ends_with('\n') {
            return Self::default();
        }
        let lines = lines.lines().filter_map(|line| line.split_once('\t'));
        Self {
            lines: lines.collect(),
        }
    }

    /// Whether there is anything to recall.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The facts about a project whose state is the one that was read.
    pub(super) fn recall(&self, slug: &str, identity: &Identity) -> Option<Skim> {
        let (facts, phase) = self.lines.get(slug)?.split_once('\t')?;
        let mut words = facts.split_ascii_whitespace();
        let known = Identity {
            inode: next(&mut words)?,
            bytes: next(&mut words)?,
            modified: (next(&mut words)?, next(&mut words)?),
            changed: (next(&mut words)?, next(&mut words)?),
        };
        if known != *identity {
            return None;
        }
        Some(Skim {
            phase: Phase::parse(phase),
            has_next_action: next(&mut words)?,
            needs_user_input: next(&mut words)?,
            live_runs: next(&mut words)?,
            next_poll_after: match words.next()? {
                NO_TIME => None,
                word => Some(time_of(word)?),
            },
            run_polls: words.map(time_of).collect::<Option<_>>()?,
        })
    }
}

fn next<T: FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

/// How it is written that there is no time, and that there is one that cannot be read.
const NO_TIME: &str = "-";
const UNREADABLE: &str = "?";

/// One word for a time: seconds and nanoseconds since the epoch, or a date and time without a zone.
fn word_of(time: LooseTime) -> String {
    match time {
        LooseTime::Exact(at) => format!("{},{}", at.as_second(), at.subsec_nanosecond()),
        LooseTime::Zoneless(at) => at.to_string(),
        LooseTime::Unreadable => UNREADABLE.to_owned(),
    }
}

fn time_of(word: &str) -> Option<LooseTime> {
    if word == UNREADABLE {
        return Some(LooseTime::Unreadable);
    }
    match word.split_once(',') {
        Some((seconds, nanoseconds)) => {
            let at = Timestamp::new(seconds.parse().ok()?, nanoseconds.parse().ok()?);
            Some(LooseTime::Exact(at.ok()?))
        }
        None => Some(LooseTime::Zoneless(word.parse().ok()?)),
    }
}

/// A project that was read or recalled.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) slug: &'a str,
    pub(super) identity: Identity,
    pub(super) skim: &'a Skim,
    /// Whether its file had to be read.
    pub(super) is_new: bool,
}

/// Remembers what was seen, where enough of it is new. `now` is a time before the first file was read. An index that
/// cannot be written is no reason to say anything: the hook only takes longer.
pub(super) fn remember(root: &Path, boot: &str, seen: &[Seen<'_>], now: Timestamp) {
    let settled = || seen.iter().filter(|seen| seen.identity.is_settled(now));
    let new = || settled().filter(|seen| seen.is_new);
    let bytes: i64 = new().map(|seen| seen.identity.bytes).sum();
    if new().count() < WORTH_FILES && usize::try_from(bytes).unwrap_or(0) < WORTH_BYTES {
        return;
    }
    let mut text = title(boot) + "\n";
    for seen in settled() {
        line(&mut text, seen);
    }
    let staged = atomic::stage_unsynced(&root.join(layout::HOOK_INDEX), text.as_bytes(), None);
    if let Err(error) = staged.and_then(atomic::Staged::publish) {
        tracing::debug!(%error, "the hook's index is not written");
    }
}

fn title(boot: &str) -> String {
    format!("{TITLE} {boot}")
}

/// Adds the line of a project: its name, the facts in words, its phase. A name or a phase that would not stay in its place
/// is not remembered.
fn line(text: &mut String, seen: &Seen<'_>) {
    let Seen {
        slug,
        identity: of,
        skim,
        ..
    } = seen;
    let phase = skim.phase.as_str();
    if slug.chars().chain(phase.chars()).any(char::is_control) {
        return;
    }
    let next_poll = skim.next_poll_after.map(word_of);
    // Writing into a text does not fail.
    let _ = write!(
        text,
        "{slug}\t{} {} {} {} {} {} {} {} {} {}",
        of.inode,
        of.bytes,
        of.modified.0,
        of.modified.1,
        of.changed.0,
        of.changed.1,
        skim.has_next_action,
        skim.needs_user_input,
        skim.live_runs,
        next_poll.as_deref().unwrap_or(NO_TIME),
    );
    for time in &skim.run_polls {
        let _ = write!(text, " {}", word_of(*time));
    }
    let _ = writeln!(text, "\t{phase}");
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = LooseTime> {
        let zoneless = |seconds: i64, nanoseconds: i32| {
            let day = civil::date(2026, 1, 1).at(0, 0, 0, nanoseconds);
            LooseTime::Zoneless(day.saturating_add(SignedDuration::from_secs(seconds)))
        };
        prop_oneof![
            (
                -9_000_000_000_i64..9_000_000_000,
                -999_999_999..=999_999_999
            )
                .prop_filter_map("no time", |(seconds, nanoseconds)| {
                    Timestamp::new(seconds, nanoseconds)
                        .ok()
                        .map(LooseTime::Exact)
                }),
            (-9_000_000_000_i64..9_000_000_000, 0..=999_999_999_i32)
                .prop_map(move |(seconds, nanoseconds)| zoneless(seconds, nanoseconds)),
            Just(LooseTime::Unreadable),
        ]
    }

    fn skims() -> impl Strategy<Value = Skim> {
        let phases = prop_oneof!["[A-Za-z_/]{0,12}", any::<String>()];
        (
            phases,
            any::<bool>(),
            any::<bool>(),
            prop::option::of(times()),
            any::<usize>(),
            prop::collection::vec(times(), 0..4),
        )
            .prop_map(|(phase, action, person, next, live_runs, run_polls)| Skim {
                phase: Phase::parse(&phase),
                has_next_action: action,
                needs_user_input: person,
                next_poll_after: next,
                live_runs,
                run_polls,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_recalled_is_what_was_seen_or_nothing(
            seen in prop::collection::vec((any::<String>(), skims(), any::<[i64; 6]>()), 0..6),
            other in any::<[i64; 6]>(),
        ) {
            let identity = |of: [i64; 6]| Identity {
                inode: of[0],
                bytes: of[1],
                modified: (of[2], of[3]),
                changed: (of[4], of[5]),
            };
            let mut text = title("boot") + "\n";
            for (slug, skim, of) in &seen {
                line(&mut text, &Seen { slug, identity: identity(*of), skim, is_new: true });
            }
            let memory = Memory::parse(text.as_bytes(), "boot");
            for (slug, skim, of) in &seen {
                let is_plain = !slug.chars().chain(skim.phase.as_str().chars()).any(char::is_control);
                let is_alone = seen.iter().filter(|(other, ..)| other == slug).count() == 1;
                let recalled = memory.recall(slug, &identity(*of));
                if is_alone {
                    prop_assert_eq!(recalled.as_ref(), is_plain.then_some(skim));
                }
                if other != *of {
                    prop_assert_eq!(memory.recall(slug, &identity(other)), None);
                }
            }
            prop_assert!(Memory::parse(text.as_bytes(), "another").is_empty());
        }

        #[test]
        fn any_bytes_are_an_index_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), of in any::<[i64; 6]>()) {
            let text = [title("boot").as_bytes(), b"\nslug\t", &bytes, b"\n"].concat();
            let identity = Identity { inode: of[0], bytes: of[1], modified: (of[2], of[3]), changed: (of[4], of[5]) };
            prop_assert_eq!(Memory::parse(&text, "boot").recall("slug", &identity), None);
        }
    }
}
