mod make;
mod room;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;
use make::{FILE, Made, Zip, file, tarball, zip};
use room::{Room, tree};

#[test]
fn both_formats_give_the_same_files() {
    let entries = [
        (&b"pdf/"[..], EntryType::Directory, 0o700, &b""[..]),
        file("pdf/SKILL.md", b"---\nname: pdf\n---\n"),
        (b"pdf/scripts/run.sh", FILE, 0o700, b"echo"),
        (b"pdf/latest", EntryType::Symlink, 0o777, b"scripts"),
        file("pdf/gr\u{f6}\u{df}e.txt", b""),
        (b"pdf/empty/", EntryType::Directory, 0o777, b""),
    ];
    for bytes in [tarball(&entries), zip(&entries)] {
        let room = Room::new();
        let unpacked = room.unpack(&bytes, &Limits::PACKAGE).unwrap();
        let found = tree(unpacked.root());
        let expected: Vec<(PathBuf, u32)> = [
            ("pdf", 0o755),
            ("pdf/SKILL.md", 0o644),
            ("pdf/empty", 0o755),
            ("pdf/gr\u{f6}\u{df}e.txt", 0o644),
            ("pdf/latest", 0o777),
            ("pdf/scripts", 0o700),
            ("pdf/scripts/run.sh", 0o755),
        ]
        .map(|(path, mode)| (path.into(), mode))
        .into();
        assert_eq!(found, expected);
        let text = fs::read(unpacked.root().join("pdf/SKILL.md")).unwrap();
        assert_eq!(text, b"---\nname: pdf\n---\n");
        assert_eq!(unpacked.root().file_name().unwrap(), "pdf");
        let root = unpacked.root().to_owned();
        drop(unpacked);
        assert!(!root.exists());
    }
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let long = "n".repeat(99);
    let cases: &[(Vec<Made<'_>>, &str, &str)] = &[
        (vec![file("../evil", b"x")], "../evil", ".."),
        (vec![file("a/../../evil", b"x")], "a/../../evil", ".."),
        (vec![file("/evil", b"x")], "/evil", "absolute"),
        (vec![file("C:/evil", b"x")], "C:/evil", "colon"),
        (vec![file("a:stream", b"x")], "a:stream", "colon"),
        (vec![file("..\\evil", b"x")], "..\\\\evil", "backslash"),
        (vec![file("\\\\host\\x", b"x")], "\\\\\\\\host", "backslash"),
        (vec![file("a/nul.md", b"x")], "a/nul.md", "Windows"),
        (vec![file("COM1", b"x")], "COM1", "Windows"),
        (vec![file("a\x1bb", b"x")], "a\\u{1b}b", "control"),
        (
            vec![(b"\xff.md", FILE, 0o644, b"x")],
            "\u{fffd}.md",
            "UTF-8",
        ),
        (
            vec![file("a/Readme", b"1"), file("a/README", b"2")],
            "a/README",
            "same name as `a/Readme`",
        ),
        (
            vec![file("A/x", b"1"), file("a/y", b"2")],
            "a/y",
            "same name as `A`",
        ),
        (
            vec![file("x", b"1"), file("x. ", b"2")],
            "x. ",
            "same name as `x`",
        ),
        (
            vec![file("\u{e9}", b"1"), file("e\u{301}", b"2")],
            "e",
            "same name",
        ),
        (vec![file("x", b"1"), file("x", b"2")], "x", "twice"),
        (vec![file("x", b"1"), file("x/y", b"2")], "x/y", "no folder"),
        (vec![file(".", b"1")], ".", "names nothing"),
        (
            vec![(b"l", EntryType::Symlink, 0o777, b"/etc/passwd")],
            "l",
            "a link that leads out",
        ),
        (
            vec![(b"a/l", EntryType::Symlink, 0o777, b"../../evil")],
            "a/l",
            "a link that leads out",
        ),
        (
            vec![(b"l", EntryType::Symlink, 0o777, b"nowhere")],
            "l",
            "leads nowhere",
        ),
        (
            vec![
                (b"l", EntryType::Symlink, 0o777, b".."),
                file("l/evil", b"x"),
            ],
            "l",
            "a link that leads out",
        ),
        (
            vec![
                file("d/x", b""),
                (b"l", EntryType::Symlink, 0o777, b"d"),
                file("l/y", b"x"),
            ],
            "l/y",
            "no folder",
        ),
        (vec![(b"p", EntryType::Fifo, 0o644, b"")], "p", "pipe"),
        (vec![(b"d", EntryType::Block, 0o644, b"")], "d", "device"),
        (
            vec![file("in.zip", b"x")],
            "in.zip",
            "archive in the archive",
        ),
        (
            vec![file("a/x.TAR.GZ", b"x")],
            "a/x.TAR.GZ",
            "archive in the archive",
        ),
        (
            vec![file(&long, b"x"), (b"l/l", EntryType::Symlink, 0o777, b"")],
            "l/l",
            "no path",
        ),
    ];
    let room = Room::new();
    for (entries, name, why) in cases {
        for bytes in [tarball(entries), zip(entries)] {
            let error = room.refused(&bytes, &Limits::PACKAGE);
            assert_eq!(error.code, Code::ArchiveRefused, "{name}: {error:?}");
            assert!(
                error.message.contains(&format!("`{name}")),
                "{name}: {error:?}"
            );
            assert!(error.message.contains(why), "{name}: {error:?}");
            assert!(!error.message.chars().any(char::is_control));
        }
    }
}

#[test]
fn links_are_judged_by_where_they_lead_when_everything_stands() {
    // By its text alone `y` stays inside; through `x` it leaves.
    let entries = [
        file("a/b/file", b""),
        (b"a/b/x", EntryType::Symlink, 0o777, b"../.."),
        (b"y", EntryType::Symlink, 0o777, b"a/b/x/../.."),
    ];
    let room = Room::new();
    for bytes in [tarball(&entries), zip(&entries)] {
        let error = room.refused(&bytes, &Limits::PACKAGE);
        assert!(
            error.message.contains("`y` is a link that leads out"),
            "{error:?}"
        );
    }
}

#[test]
fn hard_links_become_copies_of_files_before_them() {
    let room = Room::new();
    let good = [
        (&b"run.sh"[..], FILE, 0o755, &b"echo"[..]),
        (b"./also.sh", EntryType::Link, 0o644, b"./run.sh"),
    ];
    let unpacked = room.unpack(&tarball(&good), &Limits::PACKAGE).unwrap();
    let also = unpacked.root().join("also.sh");
    assert_eq!(fs::read(&also).unwrap(), b"echo");
    assert_eq!(
        fs::metadata(also).unwrap().permissions().mode() & 0o777,
        0o755
    );
    drop(unpacked);
    for target in [&b"later"[..], b"../evil", b"/etc/passwd", b"l", b"d"] {
        let entries = [
            (&b"d/"[..], EntryType::Directory, 0o755, &b""[..]),
            (b"l", EntryType::Link, 0o644, target),
            file("later", b"x"),
        ];
        let error = room.refused(&tarball(&entries), &Limits::PACKAGE);
        assert_eq!(error.code, Code::ArchiveRefused, "{error:?}");
    }
}

#[test]
fn sizes_and_counts_have_limits() {
    let room = Room::new();
    let small = Limits {
        entries: 3,
        bytes: 100,
        ..Limits::PACKAGE
    };
    let many = [
        file("a", b""),
        file("b", b""),
        file("c", b""),
        file("d", b""),
    ];
    let large = [file("a", &[1; 60]), file("b", &[2; 60])];
    let deep = "d/".repeat(MAX_DEPTH / 2 - 1) + &"x/".repeat(2) + "f";
    for (entries, name) in [(&many[..], "`d`"), (&large[..], "`b`")] {
        for bytes in [tarball(entries), zip(entries)] {
            let error = room.refused(&bytes, &small);
            assert_eq!(error.code, Code::FileTooLarge, "{error:?}");
            assert!(error.message.contains(name), "{error:?}");
        }
    }
    drop(
        room.unpack(&zip(&[file(&deep, b"")]), &Limits::PACKAGE)
            .unwrap(),
    );
    let deeper = "d/".repeat(MAX_DEPTH) + "f";
    let error = room.refused(&zip(&[file(&deeper, b"")]), &Limits::PACKAGE);
    assert_eq!(error.code, Code::FileTooLarge);
    let folders: Vec<String> = (0..7).map(|n| format!("{n}/")).collect();
    let folders: Vec<Made<'_>> = folders
        .iter()
        .map(|name| (name.as_bytes(), EntryType::Directory, 0o755, &b""[..]))
        .collect();
    for bytes in [tarball(&folders), zip(&folders)] {
        assert_eq!(room.refused(&bytes, &small).code, Code::FileTooLarge);
    }
}

#[test]
fn bombs_are_refused() {
    let room = Room::new();
    let zeros = vec![0; 3 << 20];
    for bytes in [
        tarball(&[file("zeros", &zeros)]),
        zip(&[file("zeros", &zeros)]),
    ] {
        let error = room.refused(&bytes, &Limits::PACKAGE);
        assert_eq!(error.code, Code::ArchiveRefused, "{error:?}");
        assert!(
            error.message.contains("`zeros` is more than 100 times"),
            "{error:?}"
        );
    }
    // A name that is longer than any archive may be.
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 20);
    header.set_cksum();
    tar.append(&header, std::io::repeat(b'n').take(1 << 20))
        .unwrap();
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let error = room.refused(&bytes, &Limits::PACKAGE);
    assert_eq!(error.code, Code::FileTooLarge);
    // Nothing but the end of a tar, and then more of it than any archive may have.
    let mut bytes = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut std::io::repeat(0).take(2 << 20), &mut bytes).unwrap();
    let small = Limits {
        entries: 10,
        bytes: 1 << 20,
        ..Limits::PACKAGE
    };
    let error = room.refused(&bytes.finish().unwrap(), &small);
    assert_eq!(error.code, Code::FileTooLarge);
}

#[test]
fn a_zip_says_the_same_in_both_of_its_places() {
    let room = Room::new();
    let regular = 0o100_644 << 16;
    let mut cases: Vec<(Vec<u8>, &str)> = Vec::new();
    let one = |name: &[u8], own: &[u8], said: usize, flags: u16| {
        let mut zip = Zip::default();
        zip.entry(name, own, b"content", said, flags, regular);
        zip
    };
    cases.push((one(b"a", b"b", 7, 0).finish(), "`a` is another one"));
    cases.push((one(b"a", b"a", 6, 0).finish(), "not those that were packed"));
    cases.push((one(b"a", b"a", 8, 0).finish(), "not those that were packed"));
    cases.push((one(b"a", b"a", 7, 1).finish(), "encrypted"));
    let good = one(b"a", b"a", 7, 0);
    cases.push((good.finish_counting(0), "more entries than it counts"));
    cases.push((good.finish_counting(2), "in the middle of its directory"));
    let mut front = b"#!/bin/sh\n".to_vec();
    front.extend(good.finish());
    cases.push((front[..4].to_vec(), "neither a zip nor"));
    let mut shifted = b"PK".to_vec();
    shifted.extend(good.finish());
    cases.push((shifted, "does not end where"));
    let mut twice = one(b"a", b"a", 7, 0);
    let again = twice.directory.clone();
    twice.directory.extend(again);
    twice.count = 2;
    cases.push((twice.finish(), "`a` comes twice"));
    cases.push((good.finish()[..40].to_vec(), "no directory"));
    cases.push((Vec::new(), "neither a zip nor"));
    for (bytes, why) in cases {
        let error = room.refused(&bytes, &Limits::PACKAGE);
        assert!(error.message.contains(why), "{why}: {error:?}");
        assert!(matches!(
            error.code,
            Code::ArchiveRefused | Code::ArchiveInvalid
        ));
    }
    let unpacked = room.unpack(&good.finish(), &Limits::PACKAGE).unwrap();
    assert_eq!(fs::read(unpacked.root().join("a")).unwrap(), b"content");
}

#[test]
fn archives_of_other_programs_are_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archives");
    let room = Room::new();
    for (name, is_run) in [
        ("python-zipfile.skill", true),
        ("info-zip.zip", true),
        ("gnu-tar.tar.gz", true),
        ("python-tarfile-pax.tgz", true),
        ("dos.zip", false),
    ] {
        let at = room.folder.path().join("room");
        let unpacked = unpack(&fixtures.join(name), &at, "x", &Limits::PACKAGE).unwrap();
        let root = unpacked.root().join("pdf-forms");
        let text = fs::read_to_string(root.join("SKILL.md")).unwrap();
        assert!(text.starts_with("---\nname: pdf-forms\n"), "{name}");
        let run = fs::metadata(root.join("scripts/fill.sh")).unwrap();
        let mode = run.permissions().mode() & 0o777;
        assert_eq!(mode, if is_run { 0o755 } else { 0o644 }, "{name}");
    }
}

#[test]
fn what_only_macos_understands_stays_out() {
    let room = Room::new();
    let bytes = zip(&[file("__MACOSX/._SKILL.md", b"x"), file("SKILL.md", b"y")]);
    let unpacked = room.unpack(&bytes, &Limits::PACKAGE).unwrap();
    assert_eq!(tree(unpacked.root()).len(), 1);
}

#[test]
fn long_names_of_both_sorts_are_read() {
    let room = Room::new();
    let name = format!("{}/{}/SKILL.md", "a".repeat(120), "b".repeat(120));
    let pack = |gnu: bool| {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o644);
        if gnu {
            tar.append_data(&mut header, &name, &b"text"[..]).unwrap();
        } else {
            tar.append_pax_extensions([("path", name.as_bytes()), ("mtime", b"1.5")])
                .unwrap();
            header.set_path("short").unwrap();
            header.set_cksum();
            tar.append(&header, &b"text"[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    };
    for bytes in [pack(true), pack(false)] {
        let unpacked = room.unpack(&bytes, &Limits::PACKAGE).unwrap();
        assert_eq!(fs::read(unpacked.root().join(&name)).unwrap(), b"text");
    }
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    tar.append_pax_extensions([("path", &b"../evil"[..])])
        .unwrap();
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.set_cksum();
    tar.append(&header, &b""[..]).unwrap();
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    assert_eq!(
        room.refused(&bytes, &Limits::PACKAGE).code,
        Code::ArchiveRefused
    );
}

#[test]
fn a_tar_of_our_own_keeps_any_name_and_mode() {
    let limits = Limits {
        portable: false,
        flat: false,
        ..Limits::PACKAGE
    };
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("into");
    let bytes = tarball(&[
        (b"ro/", EntryType::Directory, 0o555, b""),
        (b"ro/aux.md", FILE, 0o400, b"x"),
        (b"A:b\\c\xff", FILE, 0o4755, b"x"),
        file("readme", b""),
        file("README", b""),
        file("in.zip", b""),
        (b"dangling", EntryType::Symlink, 0o777, b"nowhere"),
    ]);
    unpack_tar_gz(&bytes[..], &into, &limits).unwrap();
    let modes: Vec<u32> = tree(&into).into_iter().map(|(_, mode)| mode).collect();
    assert_eq!(modes, [0o755, 0o644, 0o777, 0o644, 0o644, 0o555, 0o400]);
    fs::set_permissions(into.join("ro"), fs::Permissions::from_mode(0o755)).unwrap();
    let again = unpack_tar_gz(&bytes[..], &into, &limits).unwrap_err();
    assert_eq!(again.code, Code::FileIo, "{again:?}");
    assert!(into.join("readme").exists());
    for name in ["../x", "/x"] {
        let bytes = tarball(&[file(name, b"")]);
        let error = unpack_tar_gz(&bytes[..], &folder.path().join("other"), &limits);
        assert_eq!(error.unwrap_err().code, Code::ArchiveRefused);
        assert!(!folder.path().join("other").exists());
    }
}

#[test]
fn names_of_archives() {
    for (name, expected) in [
        ("pdf.skill", Some("pdf")),
        ("a/b.tools.TAR.GZ", Some("b.tools")),
        ("x.tgz", Some("x")),
        ("x.ZIP", Some("x")),
        (".zip", None),
        ("x.gz", None),
        ("x.md", None),
        ("zip", None),
    ] {
        assert_eq!(stem(Path::new(name)), expected, "{name}");
    }
}

proptest! {
    /// Whatever bytes were changed: nothing panics, nothing is written elsewhere, nothing is left behind.
    #[test]
    fn damaged_archives_do_no_harm(
        at in 0_usize..2000,
        with in any::<u8>(),
        cut in 0_usize..2000,
        is_zip in any::<bool>(),
    ) {
        let entries = [file("pdf/SKILL.md", b"text text text"), file("pdf/a/b", b"more")];
        let mut bytes = if is_zip { zip(&entries) } else { tarball(&entries) };
        let at = at % bytes.len();
        bytes[at] = with;
        if cut < bytes.len() {
            bytes.truncate(bytes.len() - cut);
        }
        let room = Room::new();
        if let Ok(unpacked) = room.unpack(&bytes, &Limits::PACKAGE) {
            for (path, _) in tree(unpacked.root()) {
                let real = fs::canonicalize(unpacked.root().join(path)).unwrap();
                prop_assert!(real.starts_with(room.folder.path().canonicalize().unwrap()));
            }
        } else {
            let left = fs::read_dir(room.folder.path().join("room"));
            prop_assert_eq!(left.map_or(0, Iterator::count), 0);
        }
    }
}
