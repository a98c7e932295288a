//! Which backend watches a folder: the kernel, our own looking, or both.
//!
//! The kernel is asked first, as it tells at once and costs nothing while nothing happens. Where its disk
//! hides changes that others make, we look besides. Where it refuses, or stays silent, we look instead, for
//! that folder alone: the others stay with the kernel.

use std::fs;
use std::path::Path;

use skillmeat_shared::config::WatchBackend;

use super::backend::{Backend, Depth, Limits, Refusal};
use super::far::Far;
use super::place::Place;

/// Folders that are counted below one that can't be watched.
const MAX_COUNTED: u64 = 1_000_000;

/// Who watches a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The kernel tells of changes.
    Native,
    /// We look every so often.
    Poll,
    /// The kernel tells what it knows; we look for the rest.
    Both,
}

impl By {
    /// The name, as status shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Poll => "poll",
            Self::Both => "native+poll",
        }
    }
}

/// What keeps the kernel from watching a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its limit on watched folders, or on watchers.
    Limit {
        /// Folders that would have to be watched; 0: nobody counted.
        needed: u64,
    },
    /// Its events don't arrive.
    Silent,
    /// Anything else.
    Refused,
}

/// How a folder came to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Armed {
    pub(crate) by: By,
    /// Why not by the kernel alone; empty if it is.
    pub(crate) reason: String,
    pub(crate) trouble: Option<Trouble>,
}

/// Looks at a path; nothing if its disk does not answer.
pub(crate) type Places = Box<dyn Fn(&Path) -> Option<Place> + Send>;

/// The backends, and what decides between them.
pub(crate) struct Watches {
    native: Box<dyn Backend>,
    /// The kernel's for disks that may fall silent.
    far: Far,
    poll: Box<dyn Backend>,
    mode: WatchBackend,
    is_silent: bool,
    places: Places,
    /// The limits when the kernel last refused a folder because of them.
    limits: Limits,
}

impl Watches {
    pub(crate) fn new(
        mode: WatchBackend,
        native: Box<dyn Backend>,
        far: Far,
        poll: Box<dyn Backend>,
        places: Places,
    ) -> Self {
        Self {
            native,
            far,
            poll,
            mode,
            is_silent: false,
            places,
            limits: Limits::default(),
        }
    }

    /// Changes who watches from now on; true if that is news. What is watched stays as it is.
    pub(crate) fn set_mode(&mut self, mode: WatchBackend) -> bool {
        let before = std::mem::replace(&mut self.mode, mode);
        before != mode
    }

    /// Whether the kernel's events arrive, as was found out; true if that is news.
    pub(crate) fn set_silent(&mut self, is_silent: bool) -> bool {
        std::mem::replace(&mut self.is_silent, is_silent) != is_silent
    }

    /// Whether the kernel's events were found not to arrive.
    pub(crate) const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// The backend of the kernel, unless it isn't to be used.
    pub(crate) fn native(&mut self) -> Option<&mut dyn Backend> {
        if self.mode == WatchBackend::Poll {
            None
        } else {
            Some(self.native.as_mut())
        }
    }

    /// Makes the kernel's watchers anew; nothing if they aren't to be used, or there are none.
    pub(crate) fn rebuild(&mut self) -> Option<()> {
        self.far.clear();
        self.native()?.rebuild().ok()
    }

    /// Whether a folder is watched that lies on a disk that may fall silent.
    pub(crate) fn is_far(&self, path: &Path) -> bool {
        self.far.watches(path)
    }

    /// What stands at a path; nothing if its disk does not answer.
    pub(crate) fn place(&self, path: &Path) -> Option<Place> {
        (self.places)(path)
    }

    /// Whether one of the limits is another one than when it was last hit.
    pub(crate) fn limit_moved(&self) -> bool {
        self.limits != Limits::now()
    }

    /// Watches a folder that is there.
    pub(crate) fn watch(&mut self, path: &Path, depth: Depth) -> Result<Armed, Refusal> {
        let place = self.place(path).ok_or(Refusal::Silent)?;
        self.watch_at(path, depth, &place)
    }

    /// The same for what was looked at just now.
    pub(crate) fn watch_at(
        &mut self,
        path: &Path,
        depth: Depth,
        place: &Place,
    ) -> Result<Armed, Refusal> {
        match self.mode {
            WatchBackend::Poll => self.look(path, depth, "`watch.backend` is `poll`", None),
            WatchBackend::Native if self.is_silent => Err(Refusal::Other(silence())),
            WatchBackend::Native => {
                self.ask_kernel(path, depth, place)?;
                self.poll.unwatch(path);
                Ok(Armed::NATIVE)
            }
            WatchBackend::Auto if self.is_silent => {
                self.look(path, depth, &silence(), Some(Trouble::Silent))
            }
            WatchBackend::Auto => self.watch_as_needed(path, depth, place),
        }
    }

    fn ask_kernel(&mut self, path: &Path, depth: Depth, place: &Place) -> Result<(), Refusal> {
        if place.is_far() {
            self.native.unwatch(path);
            return self.far.watch(place.device, path, depth);
        }
        self.far.unwatch(path);
        self.native.watch(path, depth)
    }

    fn watch_as_needed(
        &mut self,
        path: &Path,
        depth: Depth,
        place: &Place,
    ) -> Result<Armed, Refusal> {
        match self.ask_kernel(path, depth, place) {
            Ok(()) => {}
            Err(Refusal::Missing) => return Err(Refusal::Missing),
            Err(refusal) => return self.degrade(path, depth, &refusal),
        }
        let disk = place.disk;
        if disk.tells_changes {
            self.poll.unwatch(path);
            return Ok(Armed::NATIVE);
        }
        self.poll.watch(path, depth)?;
        Ok(Armed {
            by: By::Both,
            reason: format!("a disk of type `{}` doesn't tell all changes", disk.name),
            trouble: None,
        })
    }

    /// Looks at a folder that the kernel refused to watch, in part or as a whole.
    pub(crate) fn degrade(
        &mut self,
        path: &Path,
        depth: Depth,
        refusal: &Refusal,
    ) -> Result<Armed, Refusal> {
        if self.mode == WatchBackend::Native {
            return Err(refusal.clone());
        }
        // Watches that were set before the refusal would be missing elsewhere.
        let is_far = self.is_far(path);
        self.native.unwatch(path);
        self.far.unwatch(path);
        let trouble = match refusal {
            Refusal::Limit | Refusal::Instances => {
                self.limits = Limits::now();
                Trouble::Limit {
                    // To count is to ask the disk.
                    needed: if is_far { 0 } else { folders(path, depth) },
                }
            }
            _ => Trouble::Refused,
        };
        self.look(path, depth, &refusal.reason(), Some(trouble))
    }

    fn look(
        &mut self,
        path: &Path,
        depth: Depth,
        reason: &str,
        trouble: Option<Trouble>,
    ) -> Result<Armed, Refusal> {
        self.poll.watch(path, depth)?;
        Ok(Armed {
            by: By::Poll,
            reason: reason.to_owned(),
            trouble,
        })
    }

    /// Waits for a folder to be there with something in it; a mount above or at it tells nobody.
    pub(crate) fn wait_for(&mut self, path: &Path) {
        if self.mode != WatchBackend::Native
            && let Err(refusal) = self.poll.watch(path, Depth::Presence)
        {
            tracing::warn!(path = %path.display(), reason = refusal.reason(), "not waited for");
        }
    }

    /// Stops watching a folder.
    pub(crate) fn unwatch(&mut self, path: &Path) {
        self.native.unwatch(path);
        self.far.unwatch(path);
        self.poll.unwatch(path);
    }
}

impl Armed {
    const NATIVE: Self = Self {
        by: By::Native,
        reason: String::new(),
        trouble: None,
    };
}

fn silence() -> String {
    "the kernel's events don't arrive".to_owned()
}

/// How many folders must be watched for this one.
fn folders(path: &Path, depth: Depth) -> u64 {
    let mut count = 1;
    let mut waiting = match depth {
        Depth::Tree => vec![path.to_owned()],
        Depth::Entries | Depth::Presence => Vec::new(),
    };
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if count < MAX_COUNTED && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                count += 1;
                waiting.push(entry.path());
            }
        }
    }
    count
}

#[cfg(test)]
pub(super) mod fake {
    //! Backends that record what is asked of them, and refuse on demand.

    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    use skillmeat_shared::paths::Disk;

    use super::*;

    #[derive(Default)]
    pub(in crate::watch) struct Record {
        pub(in crate::watch) watched: Vec<PathBuf>,
        /// Everything, in order: `+path`, `-path`, `rebuilt`.
        pub(in crate::watch) asked: Vec<String>,
        pub(in crate::watch) refused: Vec<PathBuf>,
        pub(in crate::watch) refusal: Option<Refusal>,
    }

    /// One backend; clones share their record.
    #[derive(Clone, Default)]
    pub(in crate::watch) struct Fake(pub(in crate::watch) Arc<Mutex<Record>>);

    impl Fake {
        pub(in crate::watch) fn watched(&self) -> Vec<PathBuf> {
            self.0.lock().unwrap().watched.clone()
        }

        pub(in crate::watch) fn refuse(&self, paths: &[&Path], refusal: Refusal) {
            let mut record = self.0.lock().unwrap();
            record.refused = paths.iter().map(|path| (*path).to_owned()).collect();
            record.refusal = Some(refusal);
        }

        pub(in crate::watch) fn clear(&self) {
            *self.0.lock().unwrap() = Record::default();
        }
    }

    impl Backend for Fake {
        fn watch(&mut self, path: &Path, _: Depth) -> Result<(), Refusal> {
            let mut record = self.0.lock().unwrap();
            if let Some(refusal) = &record.refusal
                && record.refused.iter().any(|refused| refused == path)
            {
                return Err(refusal.clone());
            }
            record.asked.push(format!("+{}", path.display()));
            record.watched.push(path.to_owned());
            Ok(())
        }

        fn unwatch(&mut self, path: &Path) {
            let mut record = self.0.lock().unwrap();
            record.asked.push(format!("-{}", path.display()));
            record.watched.retain(|watched| watched != path);
        }

        fn rebuild(&mut self) -> Result<(), Refusal> {
            let mut record = self.0.lock().unwrap();
            record.asked.push("rebuilt".to_owned());
            record.watched.clear();
            record.refusal.clone().map_or(Ok(()), Err)
        }
    }

    /// Places on such a disk.
    pub(in crate::watch) fn on(disk: Disk) -> Places {
        Box::new(move |path| {
            let place = Place::of(path);
            Some(Place { disk, ..place })
        })
    }

    /// Two fakes and the watches over them, on a disk that tells everything.
    pub(in crate::watch) fn watches(mode: WatchBackend) -> (Fake, Fake, Watches) {
        let (native, poll) = (Fake::default(), Fake::default());
        let boxes = (Box::new(native.clone()), Box::new(poll.clone()));
        let queue = std::sync::mpsc::sync_channel(1).0;
        let far = Far::new(|| Box::new(Fake::default()), queue, Arc::default());
        let watches = Watches::new(mode, boxes.0, far, boxes.1, on(Disk::LOCAL));
        (native, poll, watches)
    }
}

#[cfg(test)]
mod tests {
    use skillmeat_shared::paths::Disk;

    use super::*;

    const SHARE: Disk = Disk {
        name: "nfs",
        is_local: false,
        tells_changes: false,
    };

    const LAYERS: Disk = Disk {
        name: "overlay",
        is_local: true,
        tells_changes: false,
    };

    fn path() -> &'static Path {
        Path::new("/c")
    }

    #[test]
    fn the_kernel_alone_where_it_tells_all() {
        let (native, poll, mut watches) = fake::watches(WatchBackend::Auto);
        let armed = watches.watch(path(), Depth::Tree).unwrap();
        assert_eq!(armed, Armed::NATIVE);
        assert_eq!((native.watched().len(), poll.watched().len()), (1, 0));
    }

    #[test]
    fn both_where_the_disk_hides_what_others_do() {
        let (native, poll, mut watches) = fake::watches(WatchBackend::Auto);
        watches.places = fake::on(SHARE);
        let armed = watches.watch(path(), Depth::Tree).unwrap();
        assert_eq!((armed.by, armed.trouble), (By::Both, None));
        assert!(armed.reason.contains("`nfs`"), "{}", armed.reason);
        assert_eq!((native.watched().len(), poll.watched().len()), (0, 1));
        // Nobody waits for the kernel there.
        assert!(watches.is_far(path()));
        watches.places = fake::on(LAYERS);
        assert_eq!(watches.watch(path(), Depth::Tree).unwrap().by, By::Both);
        assert_eq!(native.watched(), [path()]);
        assert!(!watches.is_far(path()));
        watches.places = Box::new(|_| None);
        assert_eq!(watches.watch(path(), Depth::Tree), Err(Refusal::Silent));
    }

    #[test]
    fn the_config_decides_if_it_says_so() {
        let (native, poll, mut watches) = fake::watches(WatchBackend::Poll);
        assert_eq!(watches.watch(path(), Depth::Tree).unwrap().by, By::Poll);
        assert_eq!((native.watched().len(), poll.watched().len()), (0, 1));
        assert!(watches.native().is_none());
        assert!(watches.set_mode(WatchBackend::Native));
        assert!(!watches.set_mode(WatchBackend::Native));
        watches.places = fake::on(LAYERS);
        assert_eq!(watches.watch(path(), Depth::Tree).unwrap().by, By::Native);
        assert_eq!((native.watched().len(), poll.watched().len()), (1, 0));
        native.refuse(&[path()], Refusal::Limit);
        assert_eq!(watches.watch(path(), Depth::Tree), Err(Refusal::Limit));
        watches.wait_for(path());
        assert_eq!(poll.watched().len(), 0);
    }

    #[test]
    fn a_refusal_makes_one_folder_looked_at_and_counts_what_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let (native, poll, mut watches) = fake::watches(WatchBackend::Auto);
        for (refusal, trouble) in [
            (Refusal::Limit, Trouble::Limit { needed: 3 }),
            (Refusal::Instances, Trouble::Limit { needed: 3 }),
            (Refusal::Other("no".to_owned()), Trouble::Refused),
        ] {
            native.refuse(&[dir.path()], refusal.clone());
            let armed = watches.watch(dir.path(), Depth::Tree).unwrap();
            assert_eq!((armed.by, armed.trouble), (By::Poll, Some(trouble)));
            assert_eq!(armed.reason, refusal.reason());
            assert_eq!(watches.watch(path(), Depth::Tree).unwrap().by, By::Native);
        }
        assert_eq!(poll.watched().len(), 3);
        native.refuse(&[dir.path()], Refusal::Missing);
        let missing = watches.watch(dir.path(), Depth::Tree);
        assert_eq!(missing, Err(Refusal::Missing), "nobody can look at nothing");
    }

    #[test]
    fn a_silent_kernel_is_replaced() {
        let (_, poll, mut watches) = fake::watches(WatchBackend::Auto);
        assert!(watches.set_silent(true) && !watches.set_silent(true));
        let armed = watches.watch(path(), Depth::Tree).unwrap();
        assert_eq!((armed.by, armed.trouble), (By::Poll, Some(Trouble::Silent)));
        assert_eq!(poll.watched().len(), 1);
        assert!(watches.set_silent(false));
        assert_eq!(watches.watch(path(), Depth::Tree).unwrap().by, By::Native);
        assert_eq!(poll.watched().len(), 0);
    }
}
