use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    io::Write::write_all(&mut File::create(path).unwrap(), text.as_bytes()).unwrap();
}

fn kinds(scan: &Scan) -> Vec<(&str, EntryKind)> {
    scan.entries
        .iter()
        .map(|e| (e.path.to_str().unwrap(), e.kind))
        .collect()
}

fn codes(scan: &Scan) -> Vec<(&str, &str)> {
    scan.problems
        .iter()
        .map(|p| (p.code.as_str(), p.path.as_deref().unwrap()))
        .collect()
}

#[test]
fn every_sort_of_entry_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let skill = home.join("skills/x");
    put(&skill.join("SKILL.md"), "hello");
    put(&skill.join("sub/inner"), "1");
    put(&home.join("shared.md"), "shared");
    put(&dir.path().join("secret"), "secret");
    let link = |to: &str, at: &str| symlink(to, skill.join(at)).unwrap();
    link("../../shared.md", "a-linked");
    link("../../../secret", "b-outside");
    link("nothing", "c-broken");
    link("d-loop", "d-loop");
    link("..", "e-folder");
    link("../../..", "f-far-folder");
    let _socket = UnixListener::bind(skill.join("g-socket")).unwrap();
    link("g-socket", "h-socket-link");

    let found = scan(&skill, &home).unwrap();
    assert_eq!(
        kinds(&found),
        [
            ("SKILL.md", EntryKind::File),
            ("a-linked", EntryKind::LinkedFile),
            ("b-outside", EntryKind::OutsideLink),
            ("c-broken", EntryKind::BrokenLink),
            ("d-loop", EntryKind::BrokenLink),
            ("e-folder", EntryKind::FolderLink),
            ("f-far-folder", EntryKind::FolderLink),
            ("g-socket", EntryKind::Special),
            ("h-socket-link", EntryKind::Special),
            ("sub/inner", EntryKind::File),
        ]
    );
    assert_eq!(
        codes(&found),
        [
            ("link.outside", "skills/x/b-outside"),
            ("link.broken", "skills/x/c-broken"),
            ("link.broken", "skills/x/d-loop"),
            ("link.outside", "skills/x/f-far-folder"),
            ("file.special", "skills/x/g-socket"),
            ("file.special", "skills/x/h-socket-link"),
        ]
    );
    assert_eq!(
        (found.file_count(), found.total_size(), found.folders),
        (3, 12, 1)
    );
    assert!(found.complete && !found.is_file);
}

#[test]
fn a_fifo_in_place_of_a_file_is_seen_and_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("x.md");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let found = scan(&fifo, dir.path()).unwrap();
    assert_eq!(kinds(&found), [("x.md", EntryKind::Special)]);
    assert_eq!(codes(&found), [("file.special", "x.md")]);
}

#[test]
fn a_link_as_the_artifact_is_followed_inside_the_boundary_only() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    put(&home.join("store/x/SKILL.md"), "1");
    put(&home.join("store/y.md"), "1");
    put(&dir.path().join("far/SKILL.md"), "1");
    fs::create_dir(home.join("skills")).unwrap();
    symlink("../store/x", home.join("skills/x")).unwrap();
    symlink("../store/y.md", home.join("skills/y.md")).unwrap();
    symlink("../../far", home.join("skills/far")).unwrap();

    let inside = scan(&home.join("skills/x"), &home).unwrap();
    assert_eq!(kinds(&inside), [("SKILL.md", EntryKind::File)]);
    let file = scan(&home.join("skills/y.md"), &home).unwrap();
    assert!(file.is_file);
    assert_eq!(kinds(&file), [("y.md", EntryKind::File)]);
    assert_eq!(
        scan(&home.join("skills/far"), &home).unwrap_err().code,
        Code::FileOutside
    );
    assert_eq!(
        scan(&home.join("skills/no"), &home).unwrap_err().code,
        Code::FileNotFound
    );
}

#[test]
fn the_signature_sees_every_change() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a");
    put(&file, "1");
    let sign = || scan(dir.path(), dir.path()).unwrap().signature();
    let mut seen = vec![sign()];
    assert_eq!(seen[0], sign());
    let mut differs = |what: &str| {
        let now = sign();
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    put(&file, "22");
    differs("size");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    differs("mode");
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    differs("mtime");
    put(&dir.path().join("b"), "");
    differs("new file");
    fs::remove_file(&file).unwrap();
    differs("removed file");
    symlink("nowhere", dir.path().join("c")).unwrap();
    differs("new link");
}

#[test]
fn the_newest_time_is_that_of_any_file() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a"), "1");
    put(&dir.path().join("b"), "1");
    let old = std::time::UNIX_EPOCH + std::time::Duration::new(7, 5);
    for name in ["a", "b"] {
        File::options()
            .write(true)
            .open(dir.path().join(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let found = scan(dir.path(), dir.path()).unwrap();
    assert_eq!(found.newest_mtime_ns(), 7_000_000_005);
    assert!(
        found.newest_ns() > found.newest_mtime_ns(),
        "the inode changed just now"
    );
}

#[test]
fn the_walk_ends_at_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut deep = dir.path().join("deep");
    for _ in 0..MAX_DEPTH + 2 {
        deep.push("d");
    }
    put(&deep.join("lost"), "1");
    put(&dir.path().join("kept"), "1");
    let found = scan(dir.path(), dir.path()).unwrap();
    assert_eq!(kinds(&found), [("kept", EntryKind::File)]);
    assert!(!found.complete);
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].code, "scan.truncated");

    let wide = tempfile::tempdir().unwrap();
    for n in 0..=MAX_ENTRIES {
        File::create(wide.path().join(n.to_string())).unwrap();
    }
    let found = scan(wide.path(), wide.path()).unwrap();
    assert_eq!(found.entries.len(), MAX_ENTRIES);
    assert!(!found.complete);
}

#[test]
fn a_folder_that_can_not_be_listed_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("x/closed/file"), "1");
    put(&dir.path().join("x/open"), "1");
    let closed = dir.path().join("x/closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let is_refused = fs::read_dir(&closed).is_err();
    let found = scan(&dir.path().join("x"), dir.path()).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    if is_refused {
        assert_eq!(codes(&found), [("file.unreadable", "x/closed")]);
        assert_eq!(kinds(&found)[0], ("closed", EntryKind::Unreadable));
    } else {
        // A superuser is refused nothing.
        assert_eq!(kinds(&found)[0], ("closed/file", EntryKind::File));
    }
}
