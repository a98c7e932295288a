//! The kernel's watch API behind a port.
//!
//! The handler runs on the thread that empties the kernel's queue, so it never blocks and never
//! allocates without bound: it drops what nobody needs and pushes the rest into a bounded channel. A
//! full channel raises the overflow flag, which means the same as an overflow of the kernel's own queue.

use std::ffi::OsStr;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{ErrorKind, RecursiveMode, Watcher as _};

/// Signals that may wait between the kernel's thread and ours.
pub(crate) const QUEUE: usize = 16_384;

/// Entries of the home folder that we ourselves write all the time.
const NOISY: [&str; 5] = ["cache", "logs", "run", "snapshots", "state"];

/// How a path changed, as far as the kernel tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The path is new. `folder` if it surely is one.
    Created {
        /// Whether it is known to be a folder.
        folder: bool,
    },
    /// Something was moved to the path.
    Arrived,
    /// The path is gone.
    Gone,
    /// What stands at the path changed.
    Touched,
}

/// One message to the watch thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Something happened at these paths.
    Event(Change, Vec<PathBuf>),
    /// Events were lost.
    Lost,
    /// The kernel refuses further watches, first at this path.
    Limit(Option<PathBuf>),
    /// This root is watched again after it was not.
    Back(String),
    /// Look at the flags.
    Wake,
}

/// Why a folder can't be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It isn't there.
    Missing,
    /// The kernel's limit is reached.
    Limit,
    /// Any other reason.
    Other(String),
}

impl Refusal {
    /// The reason for a person, with what to do about it.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Missing => "the folder is missing".to_owned(),
            Self::Limit => {
                let now = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches")
                    .map(|text| format!(" (now {})", text.trim()))
                    .unwrap_or_default();
                format!(
                    "the kernel's limit on watched folders is reached{now}: raise it with \
                     `sudo sysctl fs.inotify.max_user_watches=1048576`"
                )
            }
            Self::Other(text) => text.clone(),
        }
    }
}

/// How deep a watch reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The folder's own entries.
    Entries,
    /// Everything below.
    Tree,
}

/// What the watch thread needs of a kernel.
pub(crate) trait Backend: Send {
    /// Watches a folder. Watching it again is harmless and covers folders that are new below it.
    fn watch(&mut self, path: &Path, depth: Depth) -> Result<(), Refusal>;
    /// Stops watching a folder; one that isn't watched is ignored.
    fn unwatch(&mut self, path: &Path);
}

/// The kernel's own events, by the `notify` crate.
struct Native(notify::RecommendedWatcher);

/// Stands in when the kernel gives us no watcher at all.
struct Refusing(String);

/// Opens the native backend. When the kernel refuses, the result refuses every folder with that reason,
/// so that each root shows it.
pub(crate) fn open(
    home: &Path,
    queue: SyncSender<Signal>,
    overflow: Arc<AtomicBool>,
) -> Box<dyn Backend> {
    let handler = Handler {
        home: home.to_owned(),
        queue,
        overflow,
    };
    let config = notify::Config::default()
        .with_follow_symlinks(false)
        // Our own passes open every file: without this the kernel's queue overflows with what we read.
        .with_event_kinds(notify::EventKindMask::CORE | notify::EventKindMask::ACCESS_CLOSE);
    match notify::RecommendedWatcher::new(handler, config) {
        Ok(watcher) => Box::new(Native(watcher)),
        Err(error) => Box::new(Refusing(format!(
            "the kernel gives no watcher: {error}; `sysctl fs.inotify.max_user_instances` limits them"
        ))),
    }
}

impl Backend for Native {
    fn watch(&mut self, path: &Path, depth: Depth) -> Result<(), Refusal> {
        let mode = match depth {
            Depth::Entries => RecursiveMode::NonRecursive,
            Depth::Tree => RecursiveMode::Recursive,
        };
        // The crate panics when its own thread has died.
        match catch_unwind(AssertUnwindSafe(|| self.0.watch(path, mode))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(Refusal::Other("the kernel's watch thread died".to_owned())),
        }
    }

    fn unwatch(&mut self, path: &Path) {
        // Gone or never watched: either way it isn't watched any more.
        drop(catch_unwind(AssertUnwindSafe(|| self.0.unwatch(path))));
    }
}

impl Backend for Refusing {
    fn watch(&mut self, _: &Path, _: Depth) -> Result<(), Refusal> {
        Err(Refusal::Other(self.0.clone()))
    }

    fn unwatch(&mut self, _: &Path) {}
}

fn refusal(error: &notify::Error) -> Refusal {
    match &error.kind {
        ErrorKind::MaxFilesWatch => Refusal::Limit,
        ErrorKind::PathNotFound => Refusal::Missing,
        ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::NotFound => Refusal::Missing,
        _ => Refusal::Other(error.to_string()),
    }
}

struct Handler {
    home: PathBuf,
    queue: SyncSender<Signal>,
    overflow: Arc<AtomicBool>,
}

impl notify::EventHandler for Handler {
    fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        if let Some(signal) = translate(&self.home, event)
            && matches!(self.queue.try_send(signal), Err(TrySendError::Full(_)))
        {
            self.overflow.store(true, Ordering::Release);
        }
    }
}

/// What the watch thread needs to know of an event; `None`: nothing.
fn translate(home: &Path, event: notify::Result<notify::Event>) -> Option<Signal> {
    let mut event = match event {
        Ok(event) => event,
        Err(mut error) => {
            return Some(match error.kind {
                ErrorKind::MaxFilesWatch => Signal::Limit(error.paths.pop()),
                _ => Signal::Lost,
            });
        }
    };
    // Before the paths: such an event may have none.
    if event.need_rescan() {
        return Some(Signal::Lost);
    }
    let change = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Change::Touched,
        EventKind::Access(_) => return None,
        EventKind::Create(kind) => Change::Created {
            folder: kind == CreateKind::Folder,
        },
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            Change::Gone
        }
        EventKind::Modify(ModifyKind::Name(_)) => Change::Arrived,
        _ => Change::Touched,
    };
    event.paths.retain(|path| !is_noise(home, path));
    (!event.paths.is_empty()).then_some(Signal::Event(change, event.paths))
}

fn is_noise(home: &Path, path: &Path) -> bool {
    let own_temporary = |name: &OsStr| name.as_encoded_bytes().starts_with(b".skillmeat-tmp-");
    if path.file_name().is_some_and(own_temporary) {
        return true;
    }
    let Ok(inside) = path.strip_prefix(home) else {
        return false;
    };
    let mut parts = inside.components();
    let Some(first) = parts.next() else {
        return false;
    };
    let name = first.as_os_str();
    parts.next().is_none()
        && (NOISY.iter().any(|noisy| name == *noisy)
            || name.as_encoded_bytes().starts_with(b"history.db"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{DataChange, Flag, MetadataKind, RemoveKind};
    use std::sync::mpsc::sync_channel;

    fn event(kind: EventKind, path: &str) -> notify::Event {
        notify::Event::new(kind).add_path(path.into())
    }

    fn change(kind: EventKind) -> Option<Change> {
        match translate(Path::new("/home"), Ok(event(kind, "/c/skills/a"))) {
            Some(Signal::Event(change, _)) => Some(change),
            _ => None,
        }
    }

    #[test]
    fn reading_is_no_event() {
        assert_eq!(
            change(EventKind::Access(AccessKind::Open(AccessMode::Any))),
            None
        );
        assert_eq!(
            change(EventKind::Access(AccessKind::Close(AccessMode::Read))),
            None
        );
        assert_eq!(
            change(EventKind::Access(AccessKind::Close(AccessMode::Write))),
            Some(Change::Touched)
        );
    }

    #[test]
    fn kinds_are_told_apart() {
        let name = |mode| EventKind::Modify(ModifyKind::Name(mode));
        assert_eq!(
            change(EventKind::Create(CreateKind::Folder)),
            Some(Change::Created { folder: true })
        );
        assert_eq!(
            change(EventKind::Create(CreateKind::File)),
            Some(Change::Created { folder: false })
        );
        assert_eq!(change(name(RenameMode::From)), Some(Change::Gone));
        assert_eq!(change(name(RenameMode::To)), Some(Change::Arrived));
        assert_eq!(
            change(EventKind::Remove(RemoveKind::File)),
            Some(Change::Gone)
        );
        assert_eq!(
            change(EventKind::Modify(ModifyKind::Data(DataChange::Any))),
            Some(Change::Touched)
        );
        assert_eq!(
            change(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any))),
            Some(Change::Touched)
        );
    }

    #[test]
    fn a_lost_event_is_seen_although_it_has_no_path() {
        let lost = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(translate(Path::new("/home"), Ok(lost)), Some(Signal::Lost));
    }

    #[test]
    fn the_limit_names_its_path() {
        let error = notify::Error::new(ErrorKind::MaxFilesWatch).add_path("/c/x".into());
        assert_eq!(
            translate(Path::new("/home"), Err(error)),
            Some(Signal::Limit(Some("/c/x".into())))
        );
    }

    #[test]
    fn our_own_folders_and_temporary_files_are_noise() {
        let home = Path::new("/home");
        for noise in [
            "/home/logs",
            "/home/history.db-wal",
            "/c/skills/.skillmeat-tmp-1",
        ] {
            assert!(is_noise(home, Path::new(noise)), "{noise}");
        }
        for wanted in [
            "/home/config.toml",
            "/home/collections",
            "/home/collections/logs",
            "/home",
        ] {
            assert!(!is_noise(home, Path::new(wanted)), "{wanted}");
        }
    }

    #[test]
    fn a_full_queue_raises_the_flag_and_never_blocks() {
        let (queue, waiting) = sync_channel(1);
        let overflow = Arc::new(AtomicBool::new(false));
        let mut handler = Handler {
            home: "/home".into(),
            queue,
            overflow: Arc::clone(&overflow),
        };
        let one = || Ok(event(EventKind::Create(CreateKind::File), "/c/a"));
        notify::EventHandler::handle_event(&mut handler, one());
        assert!(!overflow.load(Ordering::Acquire));
        notify::EventHandler::handle_event(&mut handler, one());
        assert!(overflow.load(Ordering::Acquire));
        assert!(waiting.try_recv().is_ok());
    }
}
