use std::os::unix::ffi::OsStrExt;

use super::*;

fn touch(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    crate::fs::write(&path, b"x", 0o600).unwrap();
}

fn ids(found: &[Found]) -> Vec<String> {
    found
        .iter()
        .map(|found| format!("{}:{} {}", found.kind, found.name, found.path))
        .collect()
}

#[test]
fn more_than_a_collection_may_hold_is_an_error_and_no_part_of_a_list() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["skills/a", "skills/b", "agents/.hidden"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    assert_eq!(list_at_most(folder.path(), 3).unwrap().found.len(), 2);
    let error = list_at_most(folder.path(), 2).unwrap_err();
    assert_eq!(error.code, Code::FileTooLarge);
}

#[test]
fn artifacts_are_told_by_place_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for path in [
        "collection.toml",
        "README.md",
        "skills/b.skill/SKILL.md",
        "skills/a/x",
        "skills/file.md",
        "skills/.hidden/SKILL.md",
        "skills/.x.skillmeat-lock",
        "skills/x.skillmeat-lock/a",
        "commands/a.b.md",
        "commands/old.md/run.md",
        "commands/sub/x.md",
        "commands/notes.txt",
        "commands/a.md~",
        "commands/.#a.md",
        "commands/4913",
        "agents/a.md",
        "agents/.a.md.swp",
        "hooks/h/settings.json",
        "mcp/m/mcp.json",
        "mcp/n.json",
        "mcp/readme.md",
        "workflows/w/WORKFLOW.yaml",
        "workflows/w2.yml",
        "workflows/deploy.js",
        "workflows/x.txt",
        "composites/c/COMPOSITE.md",
        "souls/s.md",
        "other/x/SKILL.md",
    ] {
        touch(root, path);
    }
    let found = list(root).unwrap().found;
    assert_eq!(
        ids(&found),
        [
            "skill:a skills/a",
            "skill:b.skill skills/b.skill",
            "command:a.b commands/a.b.md",
            "command:old commands/old.md",
            "agent:a agents/a.md",
            "hook:h hooks/h",
            "mcp:m mcp/m",
            "mcp:n mcp/n.json",
            "orchestration:deploy workflows/deploy.js",
            "workflow:w workflows/w",
            "workflow:w2 workflows/w2.yml",
            "composite:c composites/c",
            "soul:s souls/s.md",
        ]
    );
    for one in found {
        assert_eq!(
            found_at(root, &one.path).unwrap(),
            Some((one.clone(), None))
        );
        assert_eq!(classify(Path::new(&one.path)), Place::Artifact(one.path));
    }
    for none in [
        "skills/.hidden",
        "skills",
        "skills/",
        "skills/a/x",
        "other/x",
        "skills/..",
        "x",
    ] {
        assert_eq!(found_at(root, none).unwrap(), None, "{none}");
    }
}

#[test]
fn only_files_and_folders_are_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    touch(root, "skills/real/SKILL.md");
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.join(at)).unwrap();
    link("real", "skills/linked");
    link("nowhere", "skills/dangling");
    link("loop", "skills/loop");
    fs::create_dir(root.join("commands")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("commands/pipe.md"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    touch(root, "agents");
    assert_eq!(
        ids(&list(root).unwrap().found),
        ["skill:linked skills/linked", "skill:real skills/real"]
    );
    let (_, link) = found_at(root, "skills/linked").unwrap().unwrap();
    let expected = ["skills/linked", "skills/real"].map(PathBuf::from);
    assert_eq!(link.map(|link| [link.at, link.to]), Some(expected));
    assert_eq!(found_at(root, "skills/dangling").unwrap(), None);
}

#[test]
fn a_name_that_is_no_text_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in [&b"a\xff"[..], b"a\xfe", br"a\xff"] {
        fs::create_dir_all(root.join("skills").join(OsStr::from_bytes(name))).unwrap();
    }
    let found = list(root).unwrap().found;
    assert_eq!(
        ids(&found),
        [
            r"skill:a\x5cxff skills/a\x5cxff",
            r"skill:a\xfe skills/a\xfe",
            r"skill:a\xff skills/a\xff",
        ]
    );
    for one in found {
        assert_eq!(
            found_at(root, &one.path).unwrap(),
            Some((one.clone(), None))
        );
        let raw = one.raw.unwrap();
        assert!(root.join(&raw).is_dir());
        assert_eq!(classify(&raw), Place::Artifact(one.path));
    }
}

#[test]
fn a_collection_that_is_gone_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(list(folder.path()).unwrap(), Listing::default());
    let error = list(&folder.path().join("gone")).unwrap_err();
    assert_eq!(error.code, Code::CollectionUnreachable);
}

#[test]
fn paths_are_classified_by_their_names() {
    let artifact = |path: &str| Place::Artifact(path.to_owned());
    let cases = [
        ("", Place::Container),
        (".", Place::Container),
        ("collection.toml", Place::Manifest),
        ("collection.lock", Place::Lock),
        ("skills", Place::Container),
        ("skills/a", artifact("skills/a")),
        ("skills/a/.hidden/4913", artifact("skills/a")),
        ("commands/a.md", artifact("commands/a.md")),
        ("commands/a.md/run.md", artifact("commands/a.md")),
        ("commands/a.txt", Place::Ignored),
        ("skills/.a/SKILL.md", Place::Ignored),
        ("skills/.skillmeat-tmp-1-2-3", Place::Ignored),
        (".skillmeat-tmp-1-2-3", Place::Ignored),
        ("collection.toml~", Place::Ignored),
        ("a/collection.toml", Place::Ignored),
        ("../skills/a", Place::Ignored),
        ("/skills/a", Place::Ignored),
    ];
    for (path, place) in cases {
        assert_eq!(classify(Path::new(path)), place, "{path}");
    }
}
