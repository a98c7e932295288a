use std::os::unix::fs::{MetadataExt, symlink};

use super::*;
use crate::fs::write;

fn copy_artifact(src: &Path, dst: &Path) -> Result<Vec<Problem>> {
    copy_tree(src, dst, Links::Followed)
}

fn touch(path: &Path, content: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(path, content.as_bytes(), mode).unwrap();
}

fn tree(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            into.push(contain::relative(root, &entry.path()).unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(root, &entry.path(), into);
            }
        }
    }
    let mut all = Vec::new();
    walk(root, root, &mut all);
    all.sort();
    all
}

#[test]
fn what_is_too_large_is_refused_also_before_it_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("src");
    touch(&src.join("SKILL.md"), "x", 0o644);
    touch(&src.join("data/hole.bin"), "", 0o644);
    let hole = File::options().write(true).open(src.join("data/hole.bin"));
    hole.unwrap().set_len(MAX_BYTES).unwrap();
    let error = left_out(&src, Links::Followed).unwrap_err();
    assert_eq!(error.code, Code::FileTooLarge);
    assert_eq!(
        copy_artifact(&src, &folder.path().join("dst")).unwrap_err(),
        error
    );
}

#[test]
fn a_folder_is_copied_with_its_modes_and_without_junk() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("src");
    for junk in [
        ".git/x",
        "__pycache__/a.pyc",
        "a/b.pyc",
        "node_modules/m",
        ".DS_Store",
        "x.egg-info/p",
    ] {
        touch(&src.join(junk), "junk", 0o600);
    }
    touch(&src.join("SKILL.md"), "s", 0o444);
    touch(&src.join("a/run.sh"), "r", 0o755);
    touch(&src.join(".hidden/note"), "n", 0o600);
    fs::set_permissions(src.join("a"), fs::Permissions::from_mode(0o555)).unwrap();
    let dst = folder.path().join("collection/skills/one");
    assert_eq!(copy_artifact(&src, &dst).unwrap(), []);
    assert_eq!(
        tree(&dst),
        [".hidden", ".hidden/note", "SKILL.md", "a", "a/run.sh"]
    );
    let mode = |path: &str| fs::metadata(dst.join(path)).unwrap().mode() & 0o777;
    assert_eq!(
        [mode("SKILL.md"), mode("a/run.sh"), mode("a")],
        [0o444, 0o755, 0o755]
    );
    let times = [src.join("SKILL.md"), dst.join("SKILL.md")]
        .map(|path| fs::metadata(path).unwrap().modified().unwrap());
    assert_eq!(times[0], times[1]);
    assert_eq!(tree(dst.parent().unwrap()).len(), 6);
    fs::set_permissions(src.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn links_inside_are_followed_and_others_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("src");
    touch(&src.join("real/file"), "r", 0o600);
    touch(&folder.path().join("secret"), "s", 0o600);
    for (to, at) in [
        ("real", "dir"),
        ("real/file", "file"),
        ("../secret", "outside"),
        ("/etc/passwd", "absolute"),
        ("nowhere", "broken"),
        (".", "loop"),
        ("..", "real/up"),
    ] {
        symlink(to, src.join(at)).unwrap();
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        src.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let dst = folder.path().join("dst");
    let notes = copy_artifact(&src, &dst).unwrap();
    assert_eq!(left_out(&src, Links::Followed).unwrap(), notes);
    let mut notes: Vec<_> = notes
        .iter()
        .map(|note| (note.code.as_str(), note.path.as_deref().unwrap()))
        .collect();
    notes.sort_unstable();
    assert_eq!(
        notes,
        [
            ("file.special", "pipe"),
            ("link.broken", "broken"),
            ("link.loop", "loop"),
            ("link.loop", "real/up"),
            ("link.loop", "real/up"),
            ("link.outside", "absolute"),
            ("link.outside", "outside"),
        ]
    );
    assert_eq!(tree(&dst), ["dir", "dir/file", "file", "real", "real/file"]);
    assert!(
        !fs::symlink_metadata(dst.join("file"))
            .unwrap()
            .file_type()
            .is_symlink()
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path().join("src.md");
    touch(&src, "new", 0o600);
    let dst = folder.path().join("c/dst.md");
    copy_artifact(&src, &dst).unwrap();
    assert_eq!(fs::read(&dst).unwrap(), b"new");
    assert_eq!(
        copy_artifact(&src, &dst).unwrap_err().code,
        Code::FileExists
    );
    let link = folder.path().join("c/link");
    symlink("nowhere", &link).unwrap();
    assert_eq!(
        copy_artifact(&src, &link).unwrap_err().code,
        Code::FileExists
    );
    let big = folder.path().join("big");
    touch(&big.join("a"), "a", 0o600);
    File::create(big.join("sparse"))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    let error = copy_artifact(&big, &folder.path().join("c/big")).unwrap_err();
    assert_eq!(error.code, Code::FileTooLarge);
    let none = copy_artifact(&folder.path().join("none"), &folder.path().join("c/none"));
    assert_eq!(none.unwrap_err().code, Code::FileNotFound);
    assert_eq!(tree(dst.parent().unwrap()), ["dst.md", "link"]);
}

#[test]
fn a_folder_is_not_copied_into_itself() {
    let folder = tempfile::tempdir().unwrap();
    touch(&folder.path().join("a"), "a", 0o600);
    let error = copy_artifact(folder.path(), &folder.path().join("c/d")).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
}

#[test]
fn deep_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut deep = folder.path().join("src");
    for _ in 0..=MAX_DEPTH {
        deep.push("d");
    }
    touch(&deep.join("f"), "f", 0o600);
    let error = copy_artifact(&folder.path().join("src"), &folder.path().join("dst")).unwrap_err();
    assert_eq!(error.code, Code::FileTooLarge);
    assert_eq!(
        tree(folder.path())
            .iter()
            .filter(|path| path.starts_with(".skillmeat"))
            .count(),
        0
    );
}

#[test]
fn links_that_lead_to_the_same_in_the_copy_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join("src").join(path);
    fs::create_dir_all(at("one/deep/.git")).unwrap();
    fs::create_dir_all(at("two")).unwrap();
    for file in ["one/file", "one/deep/.git/config", "two/other"] {
        File::create(at(file)).unwrap();
    }
    let real = fs::canonicalize(at("")).unwrap();
    let absolute = real.join("one/file");
    let inner = real.join("two");
    for (link, text) in [
        ("one/l", Path::new("file")),
        ("one/chain", Path::new("./l")),
        ("one/deep/up", Path::new("../file")),
        ("two/up", Path::new("../one/file")),
        ("folder", Path::new("one")),
        ("one/absolute", &absolute),
        ("one/chained", Path::new("absolute")),
        ("one/deep/two", &inner),
        ("one/excluded", Path::new("deep/.git/config")),
        ("one/around", Path::new("../../src/one/file")),
        ("through", Path::new("folder/file")),
        ("out", Path::new("/")),
        ("loop", Path::new(".")),
        ("broken", Path::new("nothing")),
    ] {
        symlink(text, at(link)).unwrap();
    }
    let dst = folder.path().join("dst");
    let notes = copy_tree(&at(""), &dst, Links::Kept).unwrap();
    assert_eq!(left_out(&at(""), Links::Kept).unwrap(), notes);
    let codes: Vec<&str> = notes.iter().map(|note| note.code.as_str()).collect();
    assert_eq!(codes, ["link.broken", "link.loop", "link.outside"]);
    let kept = |path: &str| fs::read_link(dst.join(path)).ok();
    for (path, text) in [
        ("one/l", "file"),
        ("one/chain", "./l"),
        ("one/deep/up", "../file"),
        ("two/up", "../one/file"),
        ("folder", "one"),
    ] {
        assert_eq!(kept(path).as_deref(), Some(Path::new(text)), "{path}");
    }
    // Those that would lead elsewhere there are what they led to.
    for path in [
        "one/absolute",
        "one/chained",
        "one/deep/two/other",
        "one/deep/two/up",
        "one/excluded",
        "one/around",
        "through",
    ] {
        let found = fs::symlink_metadata(dst.join(path)).unwrap();
        assert!(found.is_file(), "{path}");
    }
}
