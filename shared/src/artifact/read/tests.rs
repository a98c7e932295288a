use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::artifact::scan::scan;

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    io::Write::write_all(&mut File::create(path).unwrap(), bytes).unwrap();
}

fn skill(path: &Path) -> Reading {
    read(&Kind::Skill, "x", path, &scan(path, path).unwrap(), true).unwrap()
}

fn codes(reading: &Reading) -> Vec<(&str, &str)> {
    reading
        .problems
        .iter()
        .map(|p| (p.code.as_str(), p.path.as_deref().unwrap_or_default()))
        .collect()
}

#[test]
fn an_artifact_is_read_whole() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sources");
    let path = fixtures.join("skills/pdf-tools");
    let found = scan(&path, &fixtures).unwrap();
    let reading = read(&Kind::Skill, "pdf-tools", &path, &found, true).unwrap();
    assert_eq!(reading.manifest_file.as_deref(), Some("SKILL.md"));
    assert_eq!(reading.metadata.title.as_deref(), Some("PDF Tools"));
    assert_eq!(reading.metadata.tools, ["Read", "Write", "Bash"]);
    assert_eq!(reading.problems, []);
    let texts: Vec<_> = reading
        .texts
        .iter()
        .map(|text| text.path.as_str())
        .collect();
    assert_eq!(
        texts,
        ["SKILL.md", "references/forms.md", "scripts/extract.sh"]
    );
    assert!(reading.texts[1].text.contains("case sensitive"));

    let without = read(&Kind::Skill, "pdf-tools", &path, &found, false).unwrap();
    assert_eq!(without.texts, []);
    assert_eq!(
        (without.hashes, without.metadata),
        (reading.hashes, reading.metadata)
    );
}

#[test]
fn a_sparse_giant_is_never_read() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("SKILL.md"), b"---\ndescription: d\n---\n");
    File::create(dir.path().join("giant"))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    let start = std::time::Instant::now();
    let reading = skill(dir.path());
    assert!(
        start.elapsed() < std::time::Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(reading.hashes.content, None);
    assert_eq!(codes(&reading), [("hash.too_large", "giant")]);
    assert_eq!(reading.metadata.description.as_deref(), Some("d"));
    assert_eq!(reading.texts.len(), 1);
    // Of the file that says what it is the beginning counts.
    fs::remove_file(dir.path().join("giant")).unwrap();
    let manifest = File::options()
        .write(true)
        .open(dir.path().join("SKILL.md"));
    manifest.unwrap().set_len(2 << 30).unwrap();
    let reading = skill(dir.path());
    assert_eq!(codes(&reading), [("hash.too_large", "SKILL.md")]);
    assert_eq!(reading.metadata.description.as_deref(), Some("d"));
    assert_eq!(reading.metadata.parse_status, ParseStatus::Strict);
}

#[test]
fn a_manifest_that_is_not_read_was_not_understood() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("SKILL.md"), b"---\ndescription: d\n---\n");
    let found = scan(dir.path(), dir.path()).unwrap();
    fs::remove_file(dir.path().join("SKILL.md")).unwrap();
    let reading = read(&Kind::Skill, "x", dir.path(), &found, true).unwrap();
    assert_eq!(codes(&reading), [("file.unreadable", "SKILL.md")]);
    assert_eq!(reading.metadata.parse_status, ParseStatus::Fallback);
    assert_eq!(reading.metadata.description, None);
}

#[test]
fn an_unreadable_file_counts_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("SKILL.md"), b"hi\n");
    let closed = dir.path().join("z");
    put(&closed, b"secret");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let is_refused = File::open(&closed).is_err();
    let reading = skill(dir.path());
    let expected: &[u8] = if is_refused {
        b"SKILL.mdhi\nz"
    } else {
        b"SKILL.mdhi\nzsecret"
    };
    assert_eq!(
        reading.hashes.content,
        Some(hash::hex(&Sha256::digest(expected)))
    );
    assert_eq!(!codes(&reading).is_empty(), is_refused);
}

#[test]
fn links_are_read_inside_and_counted_outside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    put(&path.join("SKILL.md"), b"hi\n");
    put(&dir.path().join("secret"), b"secret");
    symlink("SKILL.md", path.join("a")).unwrap();
    symlink("../secret", path.join("b")).unwrap();
    symlink("nowhere", path.join("c")).unwrap();
    symlink(".", path.join("d")).unwrap();
    let reading = skill(&path);
    let expected = Sha256::digest(b"SKILL.mdhi\nahi\nb");
    assert_eq!(reading.hashes.content, Some(hash::hex(&expected)));
    assert_eq!(
        reading.hashes.structure,
        hash::hex(&Sha256::digest(b"SKILL.mdab"))
    );
    assert!(
        reading
            .texts
            .iter()
            .all(|text| !text.text.contains("secret"))
    );
}

#[test]
fn a_file_that_changes_after_the_scan_is_met_with_care() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["SKILL.md", "a", "b"] {
        put(&dir.path().join(name), b"1");
    }
    let found = scan(dir.path(), dir.path()).unwrap();
    fs::remove_file(dir.path().join("a")).unwrap();
    fs::remove_file(dir.path().join("b")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("b")).unwrap();
    let reading = read(&Kind::Skill, "x", dir.path(), &found, true).unwrap();
    assert_eq!(
        codes(&reading),
        [("file.unreadable", "a"), ("file.unreadable", "b")]
    );
    assert_eq!(reading.hashes.content, None);
}

#[test]
fn texts_are_bounded_and_the_manifest_is_always_among_them() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..content::MAX_FILES + 50 {
        put(&dir.path().join(format!("A{n:04}")), b"few");
    }
    put(&dir.path().join("SKILL.md"), b"manifest");
    let reading = skill(dir.path());
    assert_eq!(reading.texts.len(), content::MAX_FILES);
    assert_eq!(reading.texts[0].path, "SKILL.md");

    let dir = tempfile::tempdir().unwrap();
    for n in 0..20 {
        put(
            &dir.path().join(format!("A{n:04}")),
            "x".repeat(100_000).as_bytes(),
        );
    }
    put(&dir.path().join("binary"), b"\0\0\0");
    put(&dir.path().join("SKILL.md"), "y".repeat(200_000).as_bytes());
    let reading = skill(dir.path());
    let total: usize = reading.texts.iter().map(|text| text.text.len()).sum();
    assert!(total <= content::MAX_ARTIFACT_BYTES, "{total}");
    assert!(reading.texts.len() > 5);
    assert_eq!(reading.texts[0].text.len(), content::MAX_FILE_BYTES);
}

#[test]
fn what_is_wrong_with_the_manifest_is_a_problem() {
    for (bytes, code, line) in [
        (
            &b"---\ndescription: a: b\n---\n"[..],
            "frontmatter.repaired",
            Some(2),
        ),
        (b"---\nname: x\n<<<<<<<\n---\n", "frontmatter.invalid", None),
        (b"---\nname: x\xFF\n---\n", "file.encoding", None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("SKILL.md"), bytes);
        let reading = skill(dir.path());
        assert_eq!(codes(&reading), [(code, "SKILL.md")]);
        assert!(line.is_none() || reading.problems[0].line == line);
    }
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("other.md"), b"text");
    let reading = skill(dir.path());
    assert_eq!(codes(&reading), [("artifact.no_manifest", "")]);
    assert_eq!(reading.metadata, Metadata::default());
}

#[test]
fn of_a_folder_that_can_not_be_listed_nothing_else_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut scan = scan(dir.path(), dir.path().parent().unwrap()).unwrap();
    scan.complete = false;
    scan.entries.push(Entry {
        path: std::path::PathBuf::new(),
        kind: EntryKind::Unreadable,
        size: 0,
        mtime_ns: 0,
        ctime_ns: 0,
        inode: 0,
        mode: 0,
    });
    let reading = read(&Kind::Skill, "x", dir.path(), &scan, false).unwrap();
    assert_eq!(codes(&reading), []);
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(scan.label(Path::new("")), name);
}
