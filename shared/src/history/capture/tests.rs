use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::super::restore::restore;
use super::super::{MemoryObjects, diff};
use super::*;
use crate::fs::write;

#[derive(Default)]
struct Notes {
    before: HashMap<Vec<u8>, Vec<u8>>,
    now: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl Notes {
    fn next(self) -> Self {
        let mut before = self.before;
        before.extend(self.now.into_inner().unwrap());
        Self {
            before,
            now: Mutex::default(),
        }
    }
}

impl Seen for Notes {
    fn recall(&self, folder: &[u8]) -> Option<&[u8]> {
        self.before.get(folder).map(Vec::as_slice)
    }

    fn note(&self, folder: &[u8], said: Vec<u8>) {
        self.now.lock().unwrap().insert(folder.to_vec(), said);
    }
}

fn touch(path: &Path, bytes: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(path, bytes, 0o600).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes all files old enough to be trusted, as far as times can be set.
fn settle(root: &Path) {
    let past = SystemTime::now() - Duration::from_mins(1);
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            settle(&path);
        } else if kind.is_file() {
            fs::File::open(&path).unwrap().set_modified(past).unwrap();
        }
    }
}

/// Waits until times of change, which nobody can set, are old enough.
fn until_settled() {
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(30) {
        std::thread::yield_now();
    }
}

#[test]
fn whatever_stands_there_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    touch(&from.join("SKILL.md"), b"text", 0o644);
    touch(&from.join("run.sh"), b"#!", 0o6755);
    touch(&from.join("locked/read-only"), b"r", 0o400);
    touch(&from.join(".hidden/.git/config"), b"g", 0o600);
    touch(&from.join("big"), &vec![7; 3 * PART + 5], 0o600);
    touch(&from.join("exact"), &vec![7; PART], 0o600);
    touch(&from.join("empty"), b"", 0o600);
    touch(&from.join(OsStr::from_bytes(b"caf\xe9\n\x01")), b"n", 0o600);
    fs::create_dir_all(from.join("nothing/in/here")).unwrap();
    symlink("SKILL.md", from.join("link")).unwrap();
    symlink("/etc/passwd", from.join("out")).unwrap();
    symlink("..", from.join("nothing/up")).unwrap();
    symlink(OsStr::from_bytes(b"no\xffwhere"), from.join("broken")).unwrap();
    touch(&from.join(".skillmeat-tmp-1-half"), b"half", 0o600);
    fs::set_permissions(from.join("locked"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(from.join("nothing"), fs::Permissions::from_mode(0o2751)).unwrap();
    let objects = MemoryObjects::default();
    let captured = capture(&from, &objects).unwrap();
    assert_eq!((captured.files, captured.read), (8, 8));
    assert_eq!(captured.left_out, []);
    let to = folder.path().join("to");
    restore(captured.node.as_ref().unwrap(), &objects, &to).unwrap();
    let again = capture(&to, &objects).unwrap();
    assert_eq!(again.node, captured.node);
    assert_eq!(fs::read(to.join("big")).unwrap(), vec![7; 3 * PART + 5]);
    assert!(to.join("nothing/in/here").is_dir());
    assert!(!to.join(".skillmeat-tmp-1-half").exists());
    assert_eq!(
        fs::read_link(to.join("out")).unwrap(),
        Path::new("/etc/passwd")
    );
    let mode = |path: &str| fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        [
            mode("run.sh"),
            mode("locked"),
            mode("locked/read-only"),
            mode("nothing")
        ],
        [0o755, 0o500, 0o400, 0o2751]
    );
    for one in [&from, &to] {
        fs::set_permissions(one.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn nothing_a_file_and_a_link_are_states_too() {
    let folder = tempfile::tempdir().unwrap();
    let objects = MemoryObjects::default();
    let at = |name: &str| folder.path().join(name);
    let none = capture(&at("none"), &objects).unwrap();
    assert_eq!(none, Captured::default());
    touch(&at("file"), b"f", 0o640);
    symlink("file", at("link")).unwrap();
    for name in ["file", "link"] {
        let node = capture(&at(name), &objects).unwrap().node.unwrap();
        let copy = at(&format!("{name}-copy"));
        restore(&node, &objects, &copy).unwrap();
        assert_eq!(capture(&copy, &objects).unwrap().node.unwrap(), node);
        assert_eq!(Node::decode(&node.encode()).unwrap(), node);
    }
    assert!(fs::symlink_metadata(at("link-copy")).unwrap().is_symlink());
}

#[test]
fn what_is_no_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    touch(&folder.path().join("a/b"), b"b", 0o600);
    let pipe = folder.path().join("a/pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let captured = capture(folder.path(), &MemoryObjects::default()).unwrap();
    let paths: Vec<_> = captured
        .left_out
        .iter()
        .map(|problem| problem.path.as_deref().unwrap())
        .collect();
    assert_eq!((paths.as_slice(), captured.files), (&["a/pipe"][..], 1));
    let alone = capture(&pipe, &MemoryObjects::default()).unwrap();
    assert_eq!((alone.node, alone.left_out.len()), (None, 1));
}

#[test]
fn unchanged_files_are_not_read_again_and_changed_ones_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for number in 0..100 {
        let path = root.join(format!("skills/s{number}/SKILL.md"));
        touch(&path, format!("{number}").as_bytes(), 0o600);
    }
    touch(&root.join(".git/HEAD"), b"ref", 0o600);
    touch(&root.join("skills/s1/.git/HEAD"), b"ref", 0o600);
    settle(root);
    until_settled();
    let objects = MemoryObjects::default();
    let run = |notes: &Notes| capture_collection(root, &objects, notes, &|_| {}).unwrap();
    let notes = Notes::default();
    let first = run(&notes);
    // Its own `.git` is not part of a collection; that of an artifact is.
    assert_eq!((first.files, first.read), (101, 101));
    let notes = notes.next();
    let second = run(&notes);
    assert_eq!((second.files, second.read), (101, 0));
    assert_eq!((second.bytes, &second.node), (first.bytes, &first.node));
    let notes = notes.next();
    assert_eq!(notes.now.lock().unwrap().len(), 0);
    let count = objects.count();
    let changed = root.join("skills/s7/SKILL.md");
    let before = fs::metadata(&changed).unwrap();
    touch(&changed, b"x", 0o600);
    // The same size and time prove nothing: the time of change differs.
    fs::File::open(&changed)
        .unwrap()
        .set_modified(before.modified().unwrap())
        .unwrap();
    let third = run(&notes);
    assert_eq!((third.files, third.read), (101, 1));
    assert_ne!(third.node, first.node);
    // The file, its folder, the folder of all, and the top.
    assert!(objects.count() <= count + 5, "{}", objects.count() - count);
    let changes = diff::diff(&objects, first.node.as_ref(), third.node.as_ref(), 9).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].path, Path::new("skills/s7/SKILL.md"));
}

#[test]
fn a_file_written_a_moment_ago_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let objects = MemoryObjects::default();
    let notes = Notes::default();
    touch(&root.join("a"), b"1", 0o600);
    let first = capture_collection(root, &objects, &notes, &|_| {}).unwrap();
    let notes = notes.next();
    let second = capture_collection(root, &objects, &notes, &|_| {}).unwrap();
    assert_eq!((first.read, second.read), (1, 1));
}

#[test]
fn folders_too_deep_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let deep = (0..MAX_DEPTH + 2).fold(folder.path().to_owned(), |path, _| path.join("d"));
    fs::create_dir_all(&deep).unwrap();
    let error = capture(folder.path(), &MemoryObjects::default()).unwrap_err();
    assert_eq!(error.code, Code::FileTooLarge);
    assert!(error.message.contains("/d/d"), "{}", error.message);
}

#[test]
fn one_unreadable_file_is_an_error_that_names_it() {
    if rustix::process::geteuid().is_root() {
        // Root reads everything.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    touch(&folder.path().join("a/secret"), b"s", 0o000);
    let error = capture(folder.path(), &MemoryObjects::default()).unwrap_err();
    assert_eq!(error.code, Code::FilePermission);
    assert!(error.message.contains("a/secret"), "{}", error.message);
}

/// A state as plain data: path, mode, and bytes or target.
fn arrange(root: &Path, files: &[(Vec<u8>, u8, Vec<u8>)]) {
    for (name, kind, bytes) in files {
        let path = root.join(OsStr::from_bytes(name));
        let made = match kind % 4 {
            0 => fs::create_dir_all(&path),
            1 => symlink(OsStr::from_bytes(b"some/where"), &path),
            _ => fs::File::create_new(&path).map(|_| {
                touch(&path, bytes, if kind % 2 == 0 { 0o600 } else { 0o755 });
            }),
        };
        // Two entries may want the same name.
        drop(made);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_folder_is_restored_as_it_was(
        files in prop::collection::vec(
            (
                prop::collection::vec((1..=255_u8).prop_filter("slash", |b| !matches!(b, b'/' | b'.')), 1..12),
                any::<u8>(),
                prop::collection::vec(any::<u8>(), 0..50),
            ),
            0..40,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir(&from).unwrap();
        arrange(&from, &files);
        let objects = MemoryObjects::default();
        let captured = capture(&from, &objects).unwrap();
        let to = folder.path().join("to");
        restore(captured.node.as_ref().unwrap(), &objects, &to).unwrap();
        prop_assert_eq!(capture(&to, &objects).unwrap().node, captured.node);
    }
}

/// Names of two levels below a collection, and how each is changed: made, written to, removed, replaced.
fn change(root: &Path, (container, name, how): (u8, u8, u8)) -> PathBuf {
    let container = ["skills", "commands", "notes.d"][usize::from(container % 3)];
    let place = Path::new(container).join(format!("n{}", name % 6));
    let path = root.join(&place);
    let remove = || match fs::symlink_metadata(&path) {
        Ok(found) if found.is_dir() => drop(fs::remove_dir_all(&path)),
        _ => drop(fs::remove_file(&path)),
    };
    match how % 8 {
        0 => remove(),
        1 => {
            remove();
            touch(&path, b"a file", 0o600);
        }
        2 => {
            remove();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink("elsewhere", &path).unwrap();
        }
        3 if path.is_dir() => {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o705)).unwrap();
        }
        4 => {
            let all = root.join(container);
            drop(fs::remove_dir_all(&all));
            if how & 8 == 0 {
                touch(&all, b"no folder any more", 0o600);
            }
            return container.into();
        }
        _ if root.join(container).is_file() => {}
        _ => {
            if !path.is_dir() {
                remove();
            }
            touch(&path.join(format!("deep/{how}")), &[how; 3], 0o644);
        }
    }
    place
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn looking_where_it_changed_finds_what_looking_everywhere_finds(
        first in prop::collection::vec(any::<(u8, u8, u8)>(), 0..20),
        later in prop::collection::vec(prop::collection::vec(any::<(u8, u8, u8)>(), 0..6), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(&root.join("collection.toml"), b"x", 0o600);
        // Where a file stands instead of a container, nothing can be made in it.
        let all = |changes: &[(u8, u8, u8)]| -> BTreeSet<PathBuf> {
            let blocked = |(container, ..): &&(u8, u8, u8)| {
                !root.join(["skills", "commands", "notes.d"][usize::from(container % 3)]).is_file()
            };
            changes.iter().filter(blocked).map(|one| change(root, *one)).collect()
        };
        all(&first);
        let objects = MemoryObjects::default();
        let mut notes = Notes::default();
        let mut known = capture_collection(root, &objects, &notes, &|_| {}).unwrap();
        for changes in &later {
            notes = notes.next();
            let changed = all(changes);
            touch(&root.join("collection.toml"), format!("{}", changed.len()).as_bytes(), 0o600);
            let again = Again { before: &known, changed: &changed };
            let (found, looked) = capture_again(root, &again, &objects, &notes).unwrap();
            let whole = capture_collection(root, &objects, &Notes::default(), &|_| {}).unwrap();
            prop_assert_eq!(&found.node, &whole.node);
            prop_assert_eq!((found.files, found.bytes), (whole.files, whole.bytes));
            let differs = diff::diff(&objects, known.node.as_ref(), found.node.as_ref(), 2).unwrap();
            for one in differs.iter().filter(|one| one.path.iter().count() == 2) {
                let is_told = |path: &Path| looked.iter().any(|told| told.path == path);
                prop_assert!(is_told(&one.path) || is_told(one.path.parent().unwrap()), "{:?}", one.path);
            }
            known = found;
        }
    }
}

#[test]
fn what_cant_be_kept_is_told_where_it_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    touch(&root.join("skills/a/SKILL.md"), b"x", 0o600);
    let objects = MemoryObjects::default();
    let notes = Notes::default();
    let first = capture_collection(root, &objects, &notes, &|_| {}).unwrap();
    let pipe = root.join("skills/b/pipe");
    fs::create_dir_all(pipe.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let changed = [PathBuf::from("skills/b"), PathBuf::from("skills/gone/deep")].into();
    let again = Again {
        before: &first,
        changed: &changed,
    };
    let (second, looked) = capture_again(root, &again, &objects, &notes).unwrap();
    assert_eq!((second.files, second.left_out.len()), (1, 1));
    assert_eq!(looked.len(), 1);
    assert_eq!(looked[0].path, Path::new("skills/b"));
}

#[test]
fn files_are_counted_once_where_the_mode_of_their_folder_changed_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    touch(&root.join("skills/a/inner/SKILL.md"), b"ten bytes.", 0o600);
    touch(&root.join("skills/b/SKILL.md"), b"x", 0o600);
    let objects = MemoryObjects::default();
    let notes = Notes::default();
    let before = capture_collection(root, &objects, &notes, &|_| {}).unwrap();
    touch(&root.join("skills/a/inner/b.md"), &[b'x'; 20], 0o600);
    for changed in ["skills/a", "skills/a/inner"] {
        fs::set_permissions(root.join(changed), fs::Permissions::from_mode(0o711)).unwrap();
    }
    let changed = [PathBuf::from("skills/a")].into();
    let again = Again {
        before: &before,
        changed: &changed,
    };
    let (after, _) = capture_again(root, &again, &objects, &notes).unwrap();
    assert_eq!((before.files, before.bytes), (2, 11));
    assert_eq!((after.files, after.bytes), (3, 31));
}
