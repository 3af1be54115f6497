//! How processes that share a folder wake each other: whoever changed something there closes a file that was opened
//! for writing, and the kernel tells who listens (inotify(7)). The kernel closes the files of a dead process, so a
//! death rings too. Nothing here knows what has changed; a listener looks for itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::process::lock;

/// The file that is opened and closed to ring. It stays empty.
const BELL: &str = "bell";

/// The bell of a folder.
#[derive(Debug, Clone)]
pub(super) struct Bell {
    folder: PathBuf,
}

impl Bell {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Wakes every listener. Where that fails, they look again by themselves a little later.
    pub(super) fn ring(&self) {
        drop(lock::open(&self.folder.join(BELL)));
    }

    /// Begins to listen: no ring after this is missed.
    pub(super) fn listen(&self) -> Listener {
        Listener(system::Watch::new(&self.folder))
    }
}

/// Someone who listens.
#[derive(Debug)]
pub(super) struct Listener(Option<system::Watch>);

impl Listener {
    /// Waits for a ring, at most so long; whether there was one. Blocks the thread.
    pub(super) fn wait(&mut self, at_most: Duration) -> bool {
        /// Between two looks where the system cannot tell.
        const POLL: Duration = Duration::from_millis(100);
        if let Some(watch) = &mut self.0
            && let Ok(rang) = watch.wait(at_most)
        {
            return rang;
        }
        std::thread::sleep(at_most.min(POLL));
        false
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::{self, Read as _};
    use std::path::Path;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    /// A watch on a folder.
    #[derive(Debug)]
    pub(super) struct Watch(File);

    impl Watch {
        /// `None` where the user has no watches left, or the file system has none.
        pub(super) fn new(folder: &Path) -> Option<Self> {
            let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            add_watch(&inotify, folder, WatchFlags::CLOSE_WRITE).ok()?;
            Some(Self(File::from(inotify)))
        }

        pub(super) fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
            let limit = Timespec::try_from(at_most).unwrap_or(Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            });
            let mut waiting = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut waiting, Some(&limit)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            // Only that something happened matters. The rest of a long queue rings again.
            let mut events = [0_u8; 4096];
            self.0.read(&mut events).map(|_| true)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::path::Path;
    use std::time::Duration;

    /// Elsewhere listeners look again by themselves.
    #[derive(Debug)]
    pub(super) struct Watch;

    impl Watch {
        pub(super) fn new(_folder: &Path) -> Option<Self> {
            None
        }

        pub(super) fn wait(&mut self, _at_most: Duration) -> io::Result<bool> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
