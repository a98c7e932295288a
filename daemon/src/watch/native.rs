//! The kernel's own events, by the `notify` crate.
//!
//! The handler runs on the thread that empties the kernel's queue, so it never blocks and never
//! allocates without bound: it drops what nobody needs and pushes the rest into a bounded channel. A
//! full channel raises the overflow flag, which means the same as an overflow of the kernel's own queue.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::Builder;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{ErrorKind, RecursiveMode, Watcher as _};
use rustix::io::Errno;
use skillmeat_shared::thread::give_way;

use super::backend::{Backend, Change, Depth, NICE, Refusal, Signal, is_folder, is_noise};

/// Why the kernel can't tell when a folder appears that isn't there.
const NO_PRESENCE: &str = "the kernel watches only what is there";

/// The kernel's own events, by the `notify` crate.
pub(crate) struct Native {
    home: PathBuf,
    queue: SyncSender<Signal>,
    overflow: Arc<AtomicBool>,
    /// Nobody waits for the thread that hears it, so that it may ask the disk.
    is_far: bool,
    /// None as long as nothing was watched, or the kernel gives none.
    watcher: Option<notify::RecommendedWatcher>,
}

impl Native {
    /// A backend that watches nothing yet, and has asked the kernel for nothing.
    pub(crate) const fn new(
        home: PathBuf,
        queue: SyncSender<Signal>,
        overflow: Arc<AtomicBool>,
    ) -> Self {
        Self {
            home,
            queue,
            overflow,
            is_far: false,
            watcher: None,
        }
    }

    /// The same for a disk that may fall silent.
    pub(crate) const fn far(mut self) -> Self {
        self.is_far = true;
        self
    }

    fn watcher(&mut self) -> Result<&mut notify::RecommendedWatcher, Refusal> {
        if self.watcher.is_none() {
            let handler = Handler {
                home: self.home.clone(),
                queue: self.queue.clone(),
                overflow: Arc::clone(&self.overflow),
                is_far: self.is_far,
            };
            let config = notify::Config::default()
                .with_follow_symlinks(false)
                // Our own passes open every file: without this the kernel's queue overflows with what we read.
                .with_event_kinds(
                    notify::EventKindMask::CORE | notify::EventKindMask::ACCESS_CLOSE,
                );
            // Its thread is as patient as the one that begins it.
            let begin = || {
                give_way(NICE);
                notify::RecommendedWatcher::new(handler, config)
            };
            let begun =
                std::thread::scope(|scope| match Builder::new().spawn_scoped(scope, begin) {
                    Ok(beginning) => beginning
                        .join()
                        .unwrap_or_else(|panic| resume_unwind(panic)),
                    Err(error) => Err(notify::Error::io(error)),
                });
            self.watcher = Some(begun.map_err(|error| refusal(&error))?);
        }
        self.watcher
            .as_mut()
            .ok_or_else(|| Refusal::Other("the kernel gives no watcher".to_owned()))
    }
}

impl Backend for Native {
    fn watch(&mut self, path: &Path, depth: Depth) -> Result<(), Refusal> {
        let mode = match depth {
            Depth::Entries => RecursiveMode::NonRecursive,
            Depth::Tree => RecursiveMode::Recursive,
            Depth::Presence => return Err(Refusal::Other(NO_PRESENCE.to_owned())),
        };
        let watcher = self.watcher()?;
        // The crate panics when its own thread has died.
        match catch_unwind(AssertUnwindSafe(|| watcher.watch(path, mode))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(Refusal::Other("the kernel's watch thread died".to_owned())),
        }
    }

    fn unwatch(&mut self, path: &Path) {
        if let Some(watcher) = &mut self.watcher {
            // Gone or never watched: either way it isn't watched any more.
            drop(catch_unwind(AssertUnwindSafe(|| watcher.unwatch(path))));
        }
    }

    fn rebuild(&mut self) -> Result<(), Refusal> {
        self.watcher = None;
        self.watcher().map(|_| ())
    }
}

fn refusal(error: &notify::Error) -> Refusal {
    match &error.kind {
        ErrorKind::MaxFilesWatch => Refusal::Limit,
        ErrorKind::PathNotFound => Refusal::Missing,
        ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::NotFound => Refusal::Missing,
        ErrorKind::Io(io) => match Errno::from_io_error(io) {
            Some(Errno::NOSPC) => Refusal::Limit,
            Some(Errno::MFILE | Errno::NFILE) => Refusal::Instances,
            _ => Refusal::Other(error.to_string()),
        },
        _ => Refusal::Other(error.to_string()),
    }
}

/// What hears the kernel's events.
pub(super) struct Handler {
    pub(super) home: PathBuf,
    pub(super) queue: SyncSender<Signal>,
    pub(super) overflow: Arc<AtomicBool>,
    pub(super) is_far: bool,
}

impl Handler {
    /// Finds out here whether what arrived is a folder: the watch thread must not ask such a disk.
    fn ask(&self, signal: Signal) -> Signal {
        match signal {
            Signal::Event(Change::Arrived, paths) if self.is_far => {
                let folder = paths.iter().any(|path| is_folder(path));
                Signal::Event(Change::Created { folder }, paths)
            }
            signal => signal,
        }
    }
}

impl notify::EventHandler for Handler {
    fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        if let Some(signal) = translate(&self.home, event)
            && matches!(
                self.queue.try_send(self.ask(signal)),
                Err(TrySendError::Full(_))
            )
        {
            self.overflow.store(true, Ordering::Release);
        }
    }
}

/// Whether an error tells only that a folder can't be looked into: its rights forbid it, or its path is too long.
fn is_closed(error: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::ACCESS | Errno::PERM | Errno::NAMETOOLONG | Errno::LOOP)
    )
}

/// What the watch thread needs to know of an event; `None`: nothing.
fn translate(home: &Path, event: notify::Result<notify::Event>) -> Option<Signal> {
    let mut event = match event {
        Ok(event) => event,
        Err(mut error) => {
            return Some(match error.kind {
                ErrorKind::MaxFilesWatch => Signal::Limit(error.paths.pop()),
                ErrorKind::Io(io) if is_closed(&io) => match error.paths.pop() {
                    Some(path) => Signal::Closed(path),
                    None => Signal::Lost,
                },
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

#[cfg(test)]
mod tests {
    use super::super::backend::QUEUE;
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
    fn limits_are_told_apart() {
        let of = |errno: Errno| refusal(&notify::Error::io(errno.into()));
        assert_eq!(of(Errno::NOSPC), Refusal::Limit);
        assert_eq!(of(Errno::MFILE), Refusal::Instances);
        assert_eq!(of(Errno::NOENT), Refusal::Missing);
        assert!(matches!(of(Errno::ACCESS), Refusal::Other(_)));
    }

    #[test]
    fn a_watcher_that_is_made_anew_watches_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let (queue, signals) = sync_channel(QUEUE);
        let mut native = Native::new("/home".into(), queue, Arc::default());
        native.watch(&path, Depth::Tree).unwrap();
        native.rebuild().unwrap();
        native.watch(&path, Depth::Tree).unwrap();
        std::fs::create_dir(path.join("new")).unwrap();
        let heard = signals.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(
            heard,
            Ok(Signal::Event(
                Change::Created { folder: true },
                vec![path.join("new")]
            ))
        );
    }

    #[test]
    fn a_folder_that_cant_be_looked_into_is_no_loss() {
        let told = |errno: Errno, path: Option<&str>| {
            let error = notify::Error::io(errno.into());
            let error = path
                .into_iter()
                .fold(error, |error, path| error.add_path(path.into()));
            translate(Path::new("/home"), Err(error))
        };
        for errno in [Errno::ACCESS, Errno::NAMETOOLONG] {
            let closed = Signal::Closed("/c/closed".into());
            assert_eq!(told(errno, Some("/c/closed")), Some(closed));
            assert_eq!(told(errno, None), Some(Signal::Lost));
        }
        assert_eq!(told(Errno::IO, Some("/c/bad")), Some(Signal::Lost));
    }

    #[test]
    fn what_arrives_is_looked_at_here_where_the_watch_thread_must_not() {
        let dir = tempfile::tempdir().unwrap();
        let to = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        for (is_far, change) in [
            (true, Change::Created { folder: true }),
            (false, Change::Arrived),
        ] {
            let (queue, heard) = sync_channel(1);
            let mut handler = Handler {
                home: "/home".into(),
                queue,
                overflow: Arc::default(),
                is_far,
            };
            let arrived = notify::Event::new(to).add_path(dir.path().to_owned());
            notify::EventHandler::handle_event(&mut handler, Ok(arrived));
            let told = Signal::Event(change, vec![dir.path().to_owned()]);
            assert_eq!(heard.try_recv(), Ok(told));
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
            is_far: false,
        };
        let one = || Ok(event(EventKind::Create(CreateKind::File), "/c/a"));
        notify::EventHandler::handle_event(&mut handler, one());
        assert!(!overflow.load(Ordering::Acquire));
        notify::EventHandler::handle_event(&mut handler, one());
        assert!(overflow.load(Ordering::Acquire));
        assert!(waiting.try_recv().is_ok());
    }
}
