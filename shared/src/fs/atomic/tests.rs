use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_write_keeps_the_mode_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, b"one", 0o600).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    write(&path, b"two", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn a_symbolic_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real");
    fs::create_dir(&real).unwrap();
    write(&real.join("file"), b"one", 0o600).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("real/file", &link).unwrap();
    write(&link, b"two", 0o600).unwrap();
    assert!(
        fs::symlink_metadata(&link)
            .unwrap()
            .file_type()
            .is_symlink()
    );
    assert_eq!(fs::read(real.join("file")).unwrap(), b"two");
    let dangling = folder.path().join("dangling");
    std::os::unix::fs::symlink("real/new", &dangling).unwrap();
    write(&dangling, b"three", 0o600).unwrap();
    assert_eq!(fs::read(real.join("new")).unwrap(), b"three");
    let round = folder.path().join("round");
    std::os::unix::fs::symlink("round", &round).unwrap();
    assert_eq!(
        write(&round, b"x", 0o600).unwrap_err().code,
        Code::FilePermission
    );
}

#[test]
fn a_new_file_never_replaces_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    create_new(&path, b"one", 0o600).unwrap();
    assert_eq!(
        create_new(&path, b"two", 0o600).unwrap_err().code,
        Code::FileExists
    );
    assert_eq!(fs::read(&path).unwrap(), b"one");
    let race = Temporary::adopt(folder.path().join("t"));
    write(race.path(), b"three", 0o600).unwrap();
    assert_eq!(place_new(race, &path).unwrap_err().code, Code::FileExists);
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn placing_works_without_the_rename_flag_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("a"), b"a", 0o600).unwrap();
    write(&at("b"), b"b", 0o600).unwrap();
    let refused = place_without_flag(&at("a"), &at("b")).unwrap_err();
    assert_eq!(refused.kind(), Io::AlreadyExists);
    place_without_flag(&at("a"), &at("c")).unwrap();
    fs::create_dir(at("d")).unwrap();
    place_without_flag(&at("d"), &at("e")).unwrap();
    assert_eq!(names(folder.path()), ["b", "c", "e"]);
    fs::create_dir(at("f")).unwrap();
    assert_eq!(
        place_without_flag(&at("f"), &at("e")).unwrap_err().kind(),
        Io::AlreadyExists
    );
}

#[test]
fn a_swap_wants_the_content_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let read = Expected::after_reading(Some(b"one"));
    assert_eq!(
        swap(&path, &read, b"x").unwrap_err().code,
        Code::FileChanged
    );
    swap(&path, &Expected::Absent, b"one").unwrap();
    assert_eq!(
        swap(&path, &Expected::Absent, b"x").unwrap_err().code,
        Code::FileChanged
    );
    swap(&path, &read, b"two").unwrap();
    assert_eq!(
        swap(&path, &read, b"x").unwrap_err().code,
        Code::FileChanged
    );
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn only_regular_files_within_the_limit_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, b"12345", 0o600).unwrap();
    assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
    assert_eq!(read_bounded(&path, 4).unwrap_err().code, Code::FileTooLarge);
    assert_eq!(
        read_bounded(folder.path(), 9).unwrap_err().code,
        Code::FilePermission
    );
    assert_eq!(
        read_bounded(&path.join("b"), 9).unwrap_err().code,
        Code::FileIo
    );
    assert_eq!(
        read_bounded(&folder.path().join("b"), 9).unwrap_err().code,
        Code::FileNotFound
    );
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(
        read_bounded(&pipe, 9).unwrap_err().code,
        Code::FilePermission
    );
    assert_eq!(
        write(&pipe, b"x", 0o600).unwrap_err().code,
        Code::FilePermission
    );
}

#[test]
fn hashes_are_spelled_in_lower_case_hex() {
    assert_eq!(
        FileHash::of(b"").to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn of_many_who_swap_at_once_none_is_lost() {
    const LINES: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, b"", 0o600).unwrap();
    let add = |name: &str| {
        for line in 0..LINES {
            loop {
                let before = read_bounded(&path, 1 << 20).unwrap();
                let expected = Expected::after_reading(Some(&before));
                let after = [before.as_slice(), format!("{name} {line}\n").as_bytes()].concat();
                match swap(&path, &expected, &after) {
                    Ok(()) => break,
                    Err(error) => assert_eq!(error.code, Code::FileChanged),
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let add = &add;
            scope.spawn(move || add(name));
        }
    });
    let all = fs::read_to_string(&path).unwrap();
    assert_eq!(all.lines().count(), 3 * LINES, "{all}");
}
