//! The kernel's events from disks that may fall silent: shares, and what programs serve.
//!
//! To set a watch the kernel walks through what it watches, which hangs where the disk does. So each such disk has a
//! watcher of its own, and a thread that does what is asked of it in its order; nobody waits for either. Once a
//! watch stands it is told that all below it may have changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::backend::{Backend, Change, Depth, Refusal, Signal};

/// Tasks that may wait for a disk; it is looked at without the kernel if there are more.
const TASKS: usize = 4_096;

type Make = Box<dyn Fn() -> Box<dyn Backend> + Send>;

enum Task {
    /// Watch a folder; one that is new is told.
    Watch(PathBuf, Depth, bool),
    Unwatch(PathBuf),
}

/// The thread of one disk.
struct Disk {
    tasks: SyncSender<Task>,
    waiting: Arc<AtomicUsize>,
}

impl Disk {
    fn ask(&self, task: Task) -> Result<(), Refusal> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.tasks.try_send(task).map_err(|_| {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            Refusal::Other("the watcher of its disk does not move".to_owned())
        })
    }

    fn is_at_work(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

/// All of them.
pub(crate) struct Far {
    make: Make,
    queue: SyncSender<Signal>,
    overflow: Arc<AtomicBool>,
    disks: HashMap<u64, Disk>,
    /// On which disk the watched folders are.
    watched: HashMap<PathBuf, (u64, Depth)>,
}

impl Far {
    /// Watches nothing yet; a watcher is made for each disk.
    pub(crate) fn new(
        make: impl Fn() -> Box<dyn Backend> + Send + 'static,
        queue: SyncSender<Signal>,
        overflow: Arc<AtomicBool>,
    ) -> Self {
        Self {
            make: Box::new(make),
            queue,
            overflow,
            disks: HashMap::new(),
            watched: HashMap::new(),
        }
    }

    /// Has a folder of a disk watched, and tells when it is.
    pub(crate) fn watch(&mut self, disk: u64, path: &Path, depth: Depth) -> Result<(), Refusal> {
        let before = self.watched.get(path).copied();
        if before.is_some_and(|before| before != (disk, depth)) {
            self.unwatch(path);
        }
        if !self.disks.contains_key(&disk) {
            let started = self.start()?;
            self.disks.insert(disk, started);
        }
        let is_new = before != Some((disk, depth));
        if let Some(disk) = self.disks.get(&disk) {
            disk.ask(Task::Watch(path.to_owned(), depth, is_new))?;
        }
        self.watched.insert(path.to_owned(), (disk, depth));
        Ok(())
    }

    pub(crate) fn watches(&self, path: &Path) -> bool {
        self.watched.contains_key(path)
    }

    pub(crate) fn unwatch(&mut self, path: &Path) {
        let Some((disk, _)) = self.watched.remove(path) else {
            return;
        };
        if let Some(disk) = self.disks.get(&disk) {
            // If that does not fit either, what comes is of no root.
            disk.ask(Task::Unwatch(path.to_owned())).ok();
        }
        // One that hangs is kept, or each try would leave another thread behind.
        let used = |number: &u64| self.watched.values().any(|(disk, _)| disk == number);
        self.disks
            .retain(|number, disk| used(number) || disk.is_at_work());
    }

    /// Forgets all that it watched.
    pub(crate) fn clear(&mut self) {
        let all: Vec<PathBuf> = self.watched.keys().cloned().collect();
        for path in all {
            self.unwatch(&path);
        }
    }

    fn start(&self) -> Result<Disk, Refusal> {
        let (tasks, asked) = sync_channel(TASKS);
        let waiting = Arc::<AtomicUsize>::default();
        let worker = Worker {
            backend: (self.make)(),
            queue: self.queue.clone(),
            overflow: Arc::clone(&self.overflow),
            waiting: Arc::clone(&waiting),
        };
        std::thread::Builder::new()
            .name("watch-far".to_owned())
            .spawn(move || worker.run(&asked))
            .map_err(|error| Refusal::Other(format!("can't start a thread: {error}")))?;
        Ok(Disk { tasks, waiting })
    }
}

struct Worker {
    backend: Box<dyn Backend>,
    queue: SyncSender<Signal>,
    overflow: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
}

impl Worker {
    fn run(mut self, asked: &Receiver<Task>) {
        for task in asked {
            match task {
                Task::Watch(path, depth, is_new) => match self.backend.watch(&path, depth) {
                    Ok(()) if is_new => self.tell_new(path, depth),
                    // Who looks besides sees whether it is there.
                    Ok(()) | Err(Refusal::Missing) => {}
                    Err(refusal) => self.send(Signal::Refused(path, refusal)),
                },
                Task::Unwatch(path) => self.backend.unwatch(&path),
            }
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn tell_new(&self, path: PathBuf, depth: Depth) {
        let change = match depth {
            Depth::Entries => Change::Created { folder: true },
            Depth::Tree | Depth::Presence => Change::Touched,
        };
        self.send(Signal::Event(change, vec![path]));
    }

    fn send(&self, signal: Signal) {
        if matches!(self.queue.try_send(signal), Err(TrySendError::Full(_))) {
            self.overflow.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    /// A kernel that hangs below `/silent` until it is released, and refuses `/full`.
    struct Kernel(Arc<Mutex<Receiver<()>>>);

    impl Backend for Kernel {
        fn watch(&mut self, path: &Path, _: Depth) -> Result<(), Refusal> {
            if path.starts_with("/silent") {
                self.0.lock().unwrap().recv().ok();
            }
            if path.starts_with("/full") {
                return Err(Refusal::Limit);
            }
            Ok(())
        }

        fn unwatch(&mut self, _: &Path) {}

        fn rebuild(&mut self) -> Result<(), Refusal> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_holds_up_nobody_and_one_thread() {
        let (queue, signals) = sync_channel(16);
        let (release, held) = sync_channel::<()>(0);
        let held = Arc::new(Mutex::new(held));
        let kernel = move || Box::new(Kernel(Arc::clone(&held))) as Box<dyn Backend>;
        let mut far = Far::new(kernel, queue, Arc::default());
        let heard = || signals.recv_timeout(Duration::from_secs(20)).unwrap();
        let touched = |path: &str| Signal::Event(Change::Touched, vec![path.into()]);
        for _ in 0..3 {
            far.watch(1, Path::new("/silent"), Depth::Tree).unwrap();
            far.unwatch(Path::new("/silent"));
        }
        assert_eq!(far.disks.len(), 1);
        far.watch(2, Path::new("/other"), Depth::Tree).unwrap();
        assert_eq!(heard(), touched("/other"));
        far.watch(2, Path::new("/full"), Depth::Tree).unwrap();
        assert_eq!(heard(), Signal::Refused("/full".into(), Refusal::Limit));
        // What is watched already is watched again, and not told.
        far.watch(2, Path::new("/other"), Depth::Tree).unwrap();
        far.watch(2, Path::new("/new"), Depth::Entries).unwrap();
        let made = Change::Created { folder: true };
        assert_eq!(heard(), Signal::Event(made, vec!["/new".into()]));
        drop(release);
        for _ in 0..3 {
            assert_eq!(heard(), touched("/silent"));
        }
        far.clear();
        assert!(!far.watches(Path::new("/other")));
    }
}
