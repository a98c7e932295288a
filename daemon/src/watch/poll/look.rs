//! What `stat` tells of a folder's entries, and how two looks differ.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::backend::{Change, is_noise};

/// Entries of one folder that are kept. A larger one counts as changed at every look.
const MAX_ENTRIES: usize = 500_000;

/// Folders within folders that are entered.
const MAX_DEPTH: usize = 64;

/// What is known of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    is_folder: bool,
    /// A hash over what tells a change; of a folder, that it is another one.
    mark: u64,
    /// When entries of a folder last came or went.
    changed: Option<(i64, i64)>,
}

/// A folder as it stood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The folder itself; `None`: not there.
    folder: Option<Entry>,
    /// What is in it, by path relative to it.
    entries: BTreeMap<PathBuf, Entry>,
    /// There was more than is kept.
    cut: bool,
}

impl Look {
    /// Looks at a folder, and below it if the whole tree is asked for. Never fails: what can't be read is
    /// not there.
    pub(super) fn at(path: &Path, tree: bool, home: &Path) -> Self {
        Self::bounded(path, tree, home, MAX_ENTRIES)
    }

    fn bounded(path: &Path, tree: bool, home: &Path, most: usize) -> Self {
        let mut look = Self::default();
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => look.folder = Some(Entry::of_folder(&found)),
            _ => return look,
        }
        let mut folders = vec![(PathBuf::new(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let Ok(entries) = fs::read_dir(path.join(&folder)) else {
                continue;
            };
            for found in entries.flatten() {
                let whole = found.path();
                if is_noise(home, &whole) {
                    continue;
                }
                let Ok(metadata) = found.metadata() else {
                    continue;
                };
                if look.entries.len() >= most {
                    look.cut = true;
                    return look;
                }
                let name = folder.join(found.file_name());
                let entry = if metadata.is_dir() {
                    if tree && depth < MAX_DEPTH && !(depth == 0 && is_hidden(&name)) {
                        folders.push((name.clone(), depth + 1));
                    }
                    Entry::of_folder(&metadata)
                } else {
                    Entry::of_file(&whole, &metadata)
                };
                look.entries.insert(name, entry);
            }
        }
        look
    }
}

impl Entry {
    /// A folder is another one if its inode is. Its time tells of what came and went between two looks, which
    /// somebody may have read meanwhile.
    fn of_folder(metadata: &Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        (metadata.dev(), metadata.ino(), metadata.mode()).hash(&mut hasher);
        Self {
            is_folder: true,
            mark: hasher.finish(),
            changed: Some((metadata.mtime(), metadata.mtime_nsec())),
        }
    }

    fn of_file(path: &Path, metadata: &Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        stamp(metadata).hash(&mut hasher);
        // A link is followed one step, which the kernel's own events do not do.
        if metadata.is_symlink() {
            let behind = fs::metadata(path).ok();
            behind.map(|behind| stamp(&behind)).hash(&mut hasher);
        }
        Self {
            is_folder: false,
            mark: hasher.finish(),
            changed: None,
        }
    }
}

/// Whether an entry at the top is one of which no collection takes anything, as `.git`.
fn is_hidden(name: &Path) -> bool {
    name.as_os_str().as_encoded_bytes().starts_with(b".")
}

/// Everything that `stat` tells of a change.
fn stamp(metadata: &Metadata) -> [i128; 7] {
    [
        metadata.dev().into(),
        metadata.ino().into(),
        metadata.size().into(),
        metadata.mtime().into(),
        metadata.mtime_nsec().into(),
        metadata.ctime().into(),
        metadata.ctime_nsec().into(),
    ]
}

/// Whether a folder is there and something is in it.
pub(super) fn is_present(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

/// What changed at a folder between two looks. A folder that came or went stands for all below it.
pub(super) fn difference(path: &Path, before: &Look, now: &Look) -> Vec<(Change, PathBuf)> {
    let itself = match (before.folder, now.folder) {
        (None, None) => return Vec::new(),
        (Some(_), None) => Some(Change::Gone),
        (None, Some(_)) => Some(Change::Created { folder: true }),
        (Some(old), Some(new)) if old.mark != new.mark => Some(Change::Created { folder: true }),
        (Some(_), Some(_)) if now.cut || before.cut => Some(Change::Touched),
        (Some(_), Some(_)) => None,
    };
    if let Some(change) = itself {
        return vec![(change, path.to_owned())];
    }
    let mut told = Vec::new();
    if before.folder != now.folder {
        told.push((Change::Touched, path.to_owned()));
    }
    // Entries follow what they are in, in this order.
    let mut whole: Option<&Path> = None;
    for (name, new) in &now.entries {
        if whole.is_some_and(|whole| name.starts_with(whole)) {
            continue;
        }
        let change = match before.entries.get(name) {
            Some(old) if old == new => continue,
            Some(old) if old.is_folder && new.is_folder && old.mark == new.mark => Change::Touched,
            Some(old) if !old.is_folder && !new.is_folder => Change::Touched,
            _ => {
                whole = new.is_folder.then_some(name);
                Change::Created {
                    folder: new.is_folder,
                }
            }
        };
        told.push((change, path.join(name)));
    }
    let mut whole: Option<&Path> = None;
    for name in before.entries.keys() {
        if now.entries.contains_key(name) || whole.is_some_and(|whole| name.starts_with(whole)) {
            continue;
        }
        whole = Some(name);
        told.push((Change::Gone, path.join(name)));
    }
    told
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;

    struct Setting {
        _dir: tempfile::TempDir,
        root: PathBuf,
    }

    impl Setting {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap();
            fs::create_dir_all(root.join("skills/a/deep")).unwrap();
            fs::write(root.join("skills/a/SKILL.md"), "x").unwrap();
            fs::write(root.join("skills/a/deep/x"), "x").unwrap();
            Self { _dir: dir, root }
        }

        fn look(&self) -> Look {
            Look::at(&self.root, true, Path::new("/home"))
        }

        /// What is told but for the times of folders, which may stand still meanwhile.
        fn told(&self, before: &Look) -> Vec<(Change, String)> {
            let relative = |path: &Path| {
                let path = path.strip_prefix(&self.root).unwrap();
                path.to_str().unwrap().to_owned()
            };
            difference(&self.root, before, &self.look())
                .iter()
                .filter(|(change, path)| *change != Change::Touched || !path.is_dir())
                .map(|(change, path)| (*change, relative(path)))
                .collect()
        }
    }

    const NEW_FOLDER: Change = Change::Created { folder: true };
    const NEW_FILE: Change = Change::Created { folder: false };

    #[test]
    fn files_are_told_one_by_one_and_folders_as_wholes() {
        let setting = Setting::new();
        let before = setting.look();
        assert_eq!(setting.told(&before), []);
        fs::write(setting.root.join("skills/a/SKILL.md"), "longer").unwrap();
        fs::write(setting.root.join("skills/a/new"), "").unwrap();
        fs::remove_dir_all(setting.root.join("skills/a/deep")).unwrap();
        fs::create_dir_all(setting.root.join("skills/b/in")).unwrap();
        fs::write(setting.root.join("skills/b/in/x"), "").unwrap();
        let told = setting.told(&before);
        let wanted = [
            (Change::Touched, "skills/a/SKILL.md"),
            (NEW_FILE, "skills/a/new"),
            (NEW_FOLDER, "skills/b"),
            (Change::Gone, "skills/a/deep"),
        ];
        let wanted: Vec<_> = wanted
            .map(|(change, path)| (change, path.to_owned()))
            .into();
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_came_and_went_between_two_looks_is_told_by_its_folder() {
        let setting = Setting::new();
        let before = setting.look();
        let changed = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
        for folder in ["", "skills"] {
            let folder = fs::File::open(setting.root.join(folder)).unwrap();
            folder.set_modified(changed).unwrap();
        }
        let told = difference(&setting.root, &before, &setting.look());
        let skills = setting.root.join("skills");
        let wanted = [setting.root.clone(), skills].map(|path| (Change::Touched, path));
        assert_eq!(told, wanted);
    }

    #[test]
    fn hidden_folders_at_the_top_are_not_entered() {
        let setting = Setting::new();
        for folder in [".git/objects", "skills/a/.hidden"] {
            fs::create_dir_all(setting.root.join(folder)).unwrap();
        }
        let before = setting.look();
        fs::write(setting.root.join(".git/objects/x"), "").unwrap();
        fs::write(setting.root.join("skills/a/.hidden/x"), "").unwrap();
        let wanted = (NEW_FILE, "skills/a/.hidden/x".to_owned());
        assert_eq!(setting.told(&before), [wanted]);
    }

    #[test]
    fn another_file_of_the_same_size_and_time_is_noticed() {
        let setting = Setting::new();
        let file = setting.root.join("skills/a/SKILL.md");
        let before = setting.look();
        let times =
            fs::FileTimes::new().set_modified(fs::metadata(&file).unwrap().modified().unwrap());
        fs::write(setting.root.join("other"), "y").unwrap();
        let other = fs::File::options()
            .write(true)
            .open(setting.root.join("other"))
            .unwrap();
        other.set_times(times).unwrap();
        fs::rename(setting.root.join("other"), &file).unwrap();
        let wanted = (Change::Touched, "skills/a/SKILL.md".to_owned());
        assert_eq!(setting.told(&before), [wanted]);
    }

    #[test]
    fn another_folder_of_the_same_name_is_a_new_one() {
        let setting = Setting::new();
        let before = setting.look();
        fs::create_dir_all(setting.root.join("new")).unwrap();
        fs::rename(setting.root.join("skills/a"), setting.root.join("old")).unwrap();
        fs::rename(setting.root.join("new"), setting.root.join("skills/a")).unwrap();
        assert!(
            setting
                .told(&before)
                .contains(&(NEW_FOLDER, "skills/a".to_owned()))
        );
    }

    #[test]
    fn what_a_link_leads_to_is_looked_at_and_circles_are_not_entered() {
        let setting = Setting::new();
        let outside = tempfile::tempdir().unwrap();
        let file = outside.path().join("x");
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, setting.root.join("link")).unwrap();
        std::os::unix::fs::symlink(&setting.root, setting.root.join("skills/circle")).unwrap();
        let before = setting.look();
        fs::write(&file, "longer").unwrap();
        assert_eq!(
            setting.told(&before),
            [(Change::Touched, "link".to_owned())]
        );
    }

    #[test]
    fn a_tree_that_is_too_large_changes_at_every_look() {
        let setting = Setting::new();
        let look = || Look::bounded(&setting.root, true, Path::new("/home"), 2);
        let (before, now) = (look(), look());
        assert!(now.cut && now.entries.len() == 2);
        let told = difference(&setting.root, &before, &now);
        assert_eq!(told, [(Change::Touched, setting.root.clone())]);
    }

    #[test]
    fn entries_alone_do_not_reach_deeper() {
        let setting = Setting::new();
        let look = || Look::at(&setting.root, false, Path::new("/home"));
        let before = look();
        fs::write(setting.root.join("skills/a/SKILL.md"), "longer").unwrap();
        assert_eq!(before, look(), "its folder's entries are what they were");
        fs::write(setting.root.join("new"), "").unwrap();
        assert_ne!(before, look());
    }

    #[test]
    fn a_folder_that_goes_and_comes_is_told_as_itself() {
        let setting = Setting::new();
        let before = setting.look();
        fs::remove_dir_all(&setting.root).unwrap();
        assert_eq!(setting.told(&before), [(Change::Gone, String::new())]);
        let gone = setting.look();
        assert_eq!(setting.told(&gone), []);
        fs::create_dir(&setting.root).unwrap();
        assert_eq!(setting.told(&gone), [(NEW_FOLDER, String::new())]);
    }
}
