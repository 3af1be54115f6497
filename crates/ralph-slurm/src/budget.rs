//! One budget per host for all processes of the user, so that many loops together stay as polite as one.
//!
//! A token bucket in a small file, changed only under its lock; the file is never deleted. A file that cannot be read
//! is a full bucket: politeness must never stop the work. No clock is read here.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::time::{Timestamp, elapsed};

/// How many calls a host gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls in a row after a pause.
    pub burst: f64,
    /// Calls per second in the long run.
    pub per_second: f64,
}

impl Default for Rate {
    /// Ten at once, one every two seconds: what SLURM's own limiter would allow a single user, and a quarter of it
    /// (`rl_enable`: 30, then 2 a second).
    fn default() -> Self {
        Self {
            burst: 10.0,
            per_second: 0.5,
        }
    }
}

/// The shared budget of one host.
#[derive(Debug, Clone)]
pub struct Budget {
    path: PathBuf,
    rate: Rate,
}

/// The bucket as stored: calls left (negative when they are promised ahead), and two times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    left: f64,
    filled_at: i64,
    looked_at: i64,
}

impl Budget {
    /// The budget of `host`, kept in `folder`, which is made when needed. The folder should be the same for all
    /// processes of the user.
    #[must_use]
    pub fn new(folder: &Path, host: &str, rate: Rate) -> Self {
        let name: String = host
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '_'
                }
            })
            .take(100)
            .collect();
        Self {
            path: folder.join(format!("{name}.budget")),
            rate,
        }
    }

    /// Takes one call and says how long to wait before making it.
    #[must_use]
    pub fn take(&self, now: Timestamp) -> Duration {
        let rate = self.rate;
        self.change(now, |bucket| spend(bucket, rate, now))
            .unwrap_or(Duration::ZERO)
    }

    /// Notes a look at the queue, unless the last one of any process is less than `floor` ago; then nothing is noted
    /// and the answer is how long ago it was.
    ///
    /// # Errors
    /// The time since the last look.
    pub fn look(&self, now: Timestamp, floor: Duration) -> Result<(), Duration> {
        self.change(now, |bucket| {
            let ago = Timestamp::from_millisecond(bucket.looked_at)
                .ok()
                .filter(|at| bucket.looked_at > 0 && *at <= now)
                .map(|at| elapsed(at, now));
            match ago {
                Some(ago) if ago < floor => Err(ago),
                _ => {
                    bucket.looked_at = now.as_millisecond();
                    Ok(())
                }
            }
        })
        .unwrap_or(Ok(()))
    }

    /// Changes the bucket under the file's lock. `None` when the file cannot be used.
    fn change<T>(&self, now: Timestamp, change: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
        let attempt = || -> std::io::Result<T> {
            let mut file = self.open()?;
            file.lock()?;
            let mut text = String::new();
            // Bytes of somebody else are an unreadable bucket, which is a full one.
            let _ = file.read_to_string(&mut text);
            let mut bucket = parse(&text).unwrap_or(Bucket {
                left: self.rate.burst,
                filled_at: now.as_millisecond(),
                looked_at: 0,
            });
            let answer = change(&mut bucket);
            file.seek(SeekFrom::Start(0))?;
            file.set_len(0)?;
            writeln!(
                file,
                "{} {} {}",
                bucket.left, bucket.filled_at, bucket.looked_at
            )?;
            Ok(answer)
        };
        attempt()
            .inspect_err(|error| tracing::warn!(path = %self.path.display(), %error, "the call budget cannot be kept"))
            .ok()
    }

    fn open(&self) -> std::io::Result<File> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&self.path)
        };
        open().or_else(|_| {
            std::fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            open()
        })
    }
}

fn parse(text: &str) -> Option<Bucket> {
    let mut words = text.split_whitespace();
    let bucket = Bucket {
        left: words.next()?.parse().ok()?,
        filled_at: words.next()?.parse().ok()?,
        looked_at: words.next()?.parse().ok()?,
    };
    bucket.left.is_finite().then_some(bucket)
}

/// Fills the bucket up to now and takes one call; a bucket below zero is a promise that later callers wait for.
fn spend(bucket: &mut Bucket, rate: Rate, now: Timestamp) -> Duration {
    let passed =
        Timestamp::from_millisecond(bucket.filled_at).map_or(Duration::ZERO, |at| elapsed(at, now));
    let left = (bucket.left + passed.as_secs_f64() * rate.per_second).min(rate.burst) - 1.0;
    bucket.left = left;
    bucket.filled_at = now.as_millisecond();
    if left >= 0.0 || rate.per_second <= 0.0 {
        Duration::ZERO
    } else {
        Duration::try_from_secs_f64(-left / rate.per_second).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 3.0,
        per_second: 0.5,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_burst_then_one_every_two_seconds_over_all_processes() {
        let folder = tempfile::tempdir().unwrap();
        let one = Budget::new(&folder.path().join("new"), "login.example.edu", RATE);
        let other = one.clone();
        let waits: Vec<u64> = [&one, &other, &one, &other, &one]
            .iter()
            .map(|budget| budget.take(at(0)).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 0, 2, 4]);
        assert_eq!(
            one.take(at(4)),
            Duration::from_secs(2),
            "what was promised is not given twice"
        );
        assert_eq!(other.take(at(600)), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_goes_back_and_a_spoiled_file_do_not_stop_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let budget = Budget::new(folder.path(), "h/../x", RATE);
        assert_eq!(budget.take(at(100)), Duration::ZERO);
        assert_eq!(budget.take(at(0)), Duration::ZERO);
        std::io::Write::write_all(
            &mut File::create(folder.path().join("h_.._x.budget")).unwrap(),
            b"NaN \xff",
        )
        .unwrap();
        assert_eq!(budget.take(at(0)), Duration::ZERO);
        let unusable = Budget::new(Path::new("/dev/null/x"), "h", RATE);
        assert_eq!(
            (0..9).map(|_| unusable.take(at(0))).max(),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn looks_keep_the_floor_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let budget = Budget::new(folder.path(), "h", RATE);
        let floor = Duration::from_secs(120);
        assert_eq!(budget.look(at(0), floor), Ok(()));
        assert_eq!(budget.look(at(30), floor), Err(Duration::from_secs(30)));
        assert_eq!(budget.look(at(120), floor), Ok(()));
    }

    #[test]
    fn many_processes_never_spend_a_call_twice() {
        let folder = tempfile::tempdir().unwrap();
        let budget = Budget::new(
            folder.path(),
            "h",
            Rate {
                burst: 20.0,
                per_second: 0.5,
            },
        );
        let free: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..10).filter(|_| budget.take(at(0)).is_zero()).count()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or(0))
                .sum()
        });
        assert_eq!(free, 20);
    }
}
