//! Placing, taking back, and what must stay.

use super::*;
use crate::fs::write;

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_placed_can_be_taken_back_or_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("a");
    let new = || Staged::file(&at, None, b"new", 0o600).unwrap();
    new().place().unwrap().take_back().unwrap();
    assert_eq!(names(folder.path()), Vec::<String>::new());

    write(&at, b"old", 0o640).unwrap();
    let placed = new().replace(&|_| Ok(true)).unwrap();
    assert_eq!(read(&at).as_deref(), Some("new"));
    placed.take_back().unwrap();
    assert_eq!(read(&at).as_deref(), Some("old"));

    let out = take_out(&at, None, &|_| Ok(true)).unwrap();
    assert!(!at.exists());
    out.take_back().unwrap();
    assert_eq!(read(&at).as_deref(), Some("old"));

    new().replace(&|_| Ok(true)).unwrap().keep();
    assert_eq!(read(&at).as_deref(), Some("new"));
    take_out(&at, None, &|_| Ok(true)).unwrap().keep();
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn what_is_written_to_the_old_thing_is_noticed() {
    use std::io::Write as _;

    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("a");
    fs::create_dir(&at).unwrap();
    write(&at.join("inner"), b"old", 0o600).unwrap();
    let mut held = fs::OpenOptions::new()
        .append(true)
        .open(at.join("inner"))
        .unwrap();
    let out = take_out(&at, None, &|_| Ok(true)).unwrap();
    assert_eq!(out.written_aside(), None);
    held.write_all(b" and more").unwrap();
    let aside = out.written_aside().unwrap();
    assert_eq!(read(&aside.join("inner")).as_deref(), Some("old and more"));
    out.keep();
    let placed = Staged::file(&at, None, b"new", 0o600)
        .unwrap()
        .place()
        .unwrap();
    assert_eq!(placed.written_aside(), None);
}

#[test]
fn folders_change_places_with_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("a");
    write(&at, b"file", 0o600).unwrap();
    let staged = Staged::folder(&at, None).unwrap();
    write(&staged.path().join("inner"), b"inner", 0o600).unwrap();
    let placed = staged.replace(&|_| Ok(true)).unwrap();
    assert_eq!(read(&at.join("inner")).as_deref(), Some("inner"));
    placed.take_back().unwrap();
    assert_eq!(read(&at).as_deref(), Some("file"));
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn what_is_made_ready_in_a_room_never_shows_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, room) = (folder.path().join("inner"), folder.path());
    fs::create_dir(&inner).unwrap();
    let at = inner.join("a");
    let shows = || names(&inner);
    write(&at, b"old", 0o600).unwrap();
    let staged = Staged::file(&at, Some(room), b"new", 0o600).unwrap();
    assert_eq!(shows(), ["a"]);
    let looked = |path: &Path| {
        assert_eq!(path.parent(), Some(room));
        Ok(true)
    };
    let placed = staged.replace(&looked).unwrap();
    assert_eq!(
        (shows(), read(&at).as_deref()),
        (vec!["a".to_owned()], Some("new"))
    );
    placed.keep();
    let out = take_out(&at, Some(room), &looked).unwrap();
    assert_eq!(shows(), Vec::<String>::new());
    out.take_back().unwrap();
    Staged::folder(&inner.join("b"), Some(room))
        .unwrap()
        .place()
        .unwrap();
    assert_eq!(shows(), ["a", "b"]);
    assert_eq!(names(room), ["inner"]);
}

#[test]
fn what_is_not_expected_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("a");
    let new = || Staged::file(&at, None, b"new", 0o600).unwrap();
    let gone = new().replace(&|_| Ok(true)).unwrap_err();
    assert_eq!(gone.code, Code::FileChanged);
    assert_eq!(
        take_out(&at, None, &|_| Ok(true)).unwrap_err().code,
        Code::FileChanged
    );
    write(&at, b"theirs", 0o600).unwrap();
    let expected = Expected::after_reading(Some(b"old"));
    let is_expected = |path: &Path| has_content(path, &expected);
    for error in [
        new().place().unwrap_err(),
        new().replace(&is_expected).unwrap_err(),
        take_out(&at, None, &is_expected).unwrap_err(),
    ] {
        assert_eq!(error.code, Code::FileChanged);
        assert_eq!(read(&at).as_deref(), Some("theirs"));
        assert_eq!(names(folder.path()), ["a"]);
    }
}

#[test]
fn links_stay_and_their_targets_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (link, file) = (folder.path().join("link"), folder.path().join("file"));
    write(&file, b"old", 0o600).unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    let placed = Staged::file(&link, None, b"new", 0o600)
        .unwrap()
        .replace(&|_| Ok(true))
        .unwrap();
    placed.keep();
    assert_eq!(read(&file).as_deref(), Some("new"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn only_folders_that_were_made_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    let made = make_folders(&deep).unwrap();
    assert_eq!(made.len(), 3);
    assert_eq!(make_folders(&deep).unwrap(), Vec::<PathBuf>::new());
    write(&folder.path().join("a/theirs"), b"", 0o600).unwrap();
    remove_folders(&made);
    assert_eq!(names(&folder.path().join("a")), ["theirs"]);
}
