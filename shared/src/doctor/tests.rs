use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;
use crate::fs::write;
use crate::paths::Home;
use crate::rendezvous::Rendezvous;
use crate::time::Timestamp;

pub(super) struct Folder {
    _temp: tempfile::TempDir,
    pub(super) home: Home,
}

/// A home with its folders and one collection.
pub(super) fn folder() -> Folder {
    let temp = tempfile::tempdir().unwrap();
    let home = Home::at(temp.path().canonicalize().unwrap().join("home"));
    for path in [home.run_dir(), home.logs_dir(), home.cache_dir()] {
        crate::paths::ensure_private_dir(&path).unwrap();
    }
    crate::paths::ensure_private_dir(home.root()).unwrap();
    put(&home.collection("c").join("collection.toml"), MANIFEST);
    Folder { _temp: temp, home }
}

const MANIFEST: &str = "[collection]\nname = \"c\"\nversion = \"1.0.0\"\n";

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(path, text.as_bytes(), 0o600).unwrap();
}

fn entry(kind: &str, name: &str, path: &str) -> String {
    format!(
        "\n[[artifacts]]\nname = \"{name}\"\ntype = \"{kind}\"\npath = \"{path}\"\norigin = \"local\"\n"
    )
}

pub(super) fn collection(home: &Home) -> Collection {
    Collection {
        name: "c".to_owned(),
        path: home.collection("c"),
        external: false,
    }
}

/// Codes with the subjects and lines.
pub(super) fn told(findings: &[Finding]) -> Vec<(&'static str, &str, Option<u32>)> {
    findings
        .iter()
        .map(|finding| {
            (
                finding.diagnosis.code,
                finding.subject.as_str(),
                finding.line,
            )
        })
        .collect()
}

pub(super) fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings
        .iter()
        .map(|finding| finding.diagnosis.code)
        .collect()
}

fn age(path: &Path) {
    let old = SystemTime::now() - Duration::from_hours(1);
    File::open(path).unwrap().set_modified(old).unwrap();
}

#[test]
fn the_table_is_sound() {
    let once: BTreeSet<&str> = ALL.iter().map(|one| one.code).collect();
    assert_eq!(once.len(), ALL.len(), "a code is doubled");
    for one in ALL {
        assert!(!one.meaning.is_empty() && !one.remedy.is_empty());
        for text in [one.meaning, one.remedy] {
            assert!(!text.ends_with('.'), "{}", one.code);
        }
    }
    // What a daemon raises has its meaning here, and is as bad.
    for warnable in crate::health::ALL {
        let own = ALL.iter().find(|one| one.code == warnable.code);
        let own = own.unwrap_or_else(|| panic!("`{}` means nothing", warnable.code));
        assert_eq!(own.severity, warnable.severity, "{}", own.code);
        assert_eq!(of(warnable.code), Some(*own));
    }
}

#[test]
fn a_sound_collection_has_no_findings() {
    let folder = folder();
    let root = folder.home.collection("c");
    put(&root.join("skills/a/SKILL.md"), "# a\n");
    let manifest = format!("{MANIFEST}{}", entry("skill", "a", "skills/a"));
    put(&root.join("collection.toml"), &manifest);
    assert_eq!(told(&examine_collection(&collection(&folder.home))), []);
    put(
        &root.join("collection.lock"),
        "[lock]\nversion = \"1.0.0\"\n\n[lock.entries.\"a::skill\"]\ncontent_hash = \"0\"\n",
    );
    assert_eq!(told(&examine_collection(&collection(&folder.home))), []);
}

#[test]
fn artifacts_that_only_one_side_knows_are_found() {
    let folder = folder();
    let root = folder.home.collection("c");
    put(&root.join("skills/orphan/SKILL.md"), "# orphan\n");
    put(&root.join("agents/kept.md"), "# kept\n");
    let manifest = format!(
        "{MANIFEST}{}{}",
        entry("command", "gone", "commands/gone.md"),
        entry("agent", "kept", "agents/kept.md")
    );
    put(&root.join("collection.toml"), &manifest);
    put(
        &root.join("collection.lock"),
        "[lock]\nversion = \"1.0.0\"\n\n[lock.entries.\"gone::command\"]\ncontent_hash = \"0\"\n\n[lock.entries.\"past::skill\"]\ncontent_hash = \"0\"\n",
    );
    let findings = examine_collection(&collection(&folder.home));
    assert_eq!(
        told(&findings),
        [
            ("artifact-missing", "command:gone", Some(5)),
            ("artifact-orphan", "skill:orphan", None),
            ("lock-entry-missing", "agent:kept", None),
            ("lock-entry-orphan", "skill:past", None),
        ]
    );
    assert_eq!(
        findings[1].path.as_deref(),
        Some(root.join("skills/orphan").as_path())
    );
}

#[test]
fn names_that_other_disks_do_not_tell_apart_are_found() {
    let same = [
        ("Case", "case"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("CAFE\u{301}", "caf\u{e9}"),
        ("\u{c5}", "\u{212b}"),
    ];
    for (one, other) in same {
        let folder = folder();
        let root = folder.home.collection("c");
        for name in [one, other] {
            put(&root.join("skills").join(name).join("SKILL.md"), "# x\n");
        }
        let mut findings = examine_collection(&collection(&folder.home));
        findings.retain(|finding| finding.diagnosis.code == "artifact-clash");
        if root.join("skills").read_dir().unwrap().count() == 2 {
            assert_eq!(findings.len(), 1, "{one} and {other}");
        }
    }
    let folder = folder();
    let root = folder.home.collection("c");
    for name in ["cafe", "caf\u{e9}", "cases"] {
        put(&root.join("skills").join(name).join("SKILL.md"), "# x\n");
    }
    let findings = examine_collection(&collection(&folder.home));
    assert!(!codes(&findings).contains(&"artifact-clash"));
}

#[test]
fn broken_manifests_are_named_with_their_line() {
    let folder = folder();
    let root = folder.home.collection("c");
    let look = || examine_collection(&collection(&folder.home));
    put(
        &root.join("collection.toml"),
        &format!("{MANIFEST}\noops\n"),
    );
    assert_eq!(told(&look()), [("collection-broken", "c", Some(5))]);
    put(
        &root.join("collection.toml"),
        &format!("{MANIFEST}\n[[artifacts]]\ntype = \"skill\"\n"),
    );
    assert_eq!(codes(&look()), ["entry-broken"]);
    assert_eq!(look()[0].line, Some(5));
    put(&root.join("collection.toml"), MANIFEST);
    put(&root.join("collection.lock"), "not = = toml");
    assert_eq!(told(&look()), [("collection-broken", "c", Some(1))]);
    assert!(
        look()[0]
            .path
            .as_ref()
            .unwrap()
            .ends_with("collection.lock")
    );
}

#[test]
fn collections_that_are_none_and_those_that_lead_away_are_found() {
    let folder = folder();
    let root = folder.home.collection("c");
    let look = || examine_collection(&collection(&folder.home));
    let elsewhere = folder.home.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.join("skills")).unwrap();
    assert_eq!(codes(&look()), ["collection-linked-out"]);
    fs::remove_file(root.join("skills")).unwrap();
    fs::remove_file(root.join("collection.toml")).unwrap();
    // An empty folder is nobody's collection.
    assert_eq!(codes(&look()), Vec::<&str>::new());
    put(&root.join("commands/x.md"), "x");
    assert_eq!(codes(&look()), ["collection-no-manifest"]);
    let gone = Collection {
        name: "far".to_owned(),
        path: folder.home.root().join("far"),
        external: true,
    };
    assert_eq!(
        codes(&examine_collection(&gone)),
        ["collection-unreachable"]
    );
}

#[test]
fn links_that_lead_nowhere_or_away_are_found() {
    let folder = folder();
    let root = folder.home.collection("c");
    let elsewhere = folder.home.root().join("elsewhere");
    put(&elsewhere.join("SKILL.md"), "# far\n");
    put(&root.join("skills/a/SKILL.md"), "# a\n");
    put(&root.join("skills/b/SKILL.md"), "# b\n");
    let link = |to: &Path, at: &str| std::os::unix::fs::symlink(to, root.join(at)).unwrap();
    link(Path::new("nowhere"), "skills/a/broken");
    link(&elsewhere.join("SKILL.md"), "skills/a/outside.md");
    link(Path::new("../b/SKILL.md"), "skills/a/inside.md");
    link(&elsewhere, "skills/far");
    link(Path::new("/nowhere/at/all"), "skills/gone");
    link(Path::new("/nowhere/at/all"), "skills/.hidden");
    let entries: String = ["a", "b", "far", "gone"]
        .map(|name| entry("skill", name, &format!("skills/{name}")))
        .concat();
    put(
        &root.join("collection.toml"),
        &format!("{MANIFEST}{entries}"),
    );
    let mut findings = examine_collection(&collection(&folder.home));
    findings.retain(|one| one.diagnosis.code.starts_with("link-"));
    let at = |path: &str| root.join(path).display().to_string();
    let wanted = [
        ("link-broken", at("skills/gone")),
        ("link-broken", at("skills/a/broken")),
        ("link-outside", at("skills/a/outside.md")),
        ("link-outside", at("skills/far")),
    ];
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(code, path)| (*code, path.as_str(), None))
        .collect();
    assert_eq!(told(&findings), wanted);
    assert!(findings.iter().all(|one| one.repair.is_none()));
}

#[test]
fn files_and_folders_that_cant_be_read_are_found() {
    let folder = folder();
    let root = folder.home.collection("c");
    put(&root.join("skills/a/SKILL.md"), "# a\n");
    put(&root.join("agents/b.md"), "# b\n");
    let collection = collection(&folder.home);
    let audit = crate::reconcile::audit(&root).unwrap();
    let found = |closed: &str| {
        let closed = root.join(closed);
        let may_read = move |path: &Path| path != closed;
        super::collections::files(&collection, &audit.artifacts, &may_read)
    };
    for closed in ["skills/a/SKILL.md", "agents/b.md"] {
        let findings = found(closed);
        assert_eq!(codes(&findings), ["file-unreadable"]);
        assert_eq!(findings[0].path.as_deref(), Some(&*root.join(closed)));
    }
    assert_eq!(told(&found("nothing")), []);
    // The administrator may read everything.
    if RealAccess.uid() != 0 {
        let skills = root.join("skills");
        fs::set_permissions(&skills, Permissions::from_mode(0o000)).unwrap();
        let findings = examine_collection(&collection);
        fs::set_permissions(&skills, Permissions::from_mode(0o700)).unwrap();
        let told = codes(&findings);
        assert_eq!(told, ["collection-unreadable", "artifact-orphan"]);
        assert_eq!(findings[0].path.as_deref(), Some(&*skills));
    }
}

#[test]
fn the_collection_of_the_config_is_looked_at_once() {
    let folder = folder();
    let names = |configured: Option<&Path>, expected: &[&str]| -> Vec<String> {
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        in_home(&folder.home, configured, &expected)
            .into_iter()
            .map(|one| one.name)
            .collect()
    };
    assert_eq!(names(None, &[]), ["c"]);
    assert_eq!(names(Some(&folder.home.collection("c")), &[]), ["c"]);
    let far = Some(Path::new("/nowhere/far"));
    assert_eq!(names(far, &[]), ["c", "far"]);
    // One that is gone is missed, and once.
    assert_eq!(names(far, &["c", "b", "b"]), ["b", "c", "far"]);
}

#[test]
fn leftovers_are_found_and_moved_away_with_their_bytes() {
    let folder = folder();
    let root = folder.home.collection("c");
    let skills = root.join("skills");
    put(&skills.join(".skillmeat-tmp-1-2-3/SKILL.md"), "half");
    put(&skills.join(".skillmeat-tmp-9-9-9"), "young");
    put(&skills.join(".a.skillmeat-lock"), "");
    put(&skills.join(".held.skillmeat-lock"), "");
    put(&skills.join(".full.skillmeat-lock"), "somebody's");
    put(&root.join("tmpab12cd_4"), "[collection]\n");
    put(&root.join("tmp-notes"), "mine");
    for path in [
        skills.join(".skillmeat-tmp-1-2-3"),
        root.join("tmpab12cd_4"),
        root.join("tmp-notes"),
    ] {
        age(&path);
    }
    let held = File::open(skills.join(".held.skillmeat-lock")).unwrap();
    held.lock().unwrap();
    let mut findings = in_folder(&skills);
    findings.extend(in_folder(&root));
    assert_eq!(
        codes(&findings),
        ["stray-lock", "left-behind", "left-behind"]
    );

    let keep = mend::keep(&folder.home, Timestamp(1_763_000_000_000_000_000));
    assert!(keep.starts_with(folder.home.root().join("state/doctor")));
    let mut saved = BTreeMap::new();
    for finding in &findings {
        let mended = mend::mend(finding.repair.as_ref().unwrap(), &keep).unwrap();
        assert!(!finding.path.as_ref().unwrap().exists());
        saved.insert(finding.subject.clone(), mended.saved.unwrap());
    }
    let bytes = |path: &Path| {
        let place = &saved[&path.display().to_string()];
        assert!(place.starts_with(&keep));
        place.clone()
    };
    let half = bytes(&skills.join(".skillmeat-tmp-1-2-3")).join("SKILL.md");
    assert_eq!(fs::read_to_string(half).unwrap(), "half");
    let ancestors = bytes(&root.join("tmpab12cd_4"));
    assert_eq!(fs::read_to_string(ancestors).unwrap(), "[collection]\n");
    for left in [
        ".skillmeat-tmp-9-9-9",
        ".held.skillmeat-lock",
        ".full.skillmeat-lock",
    ] {
        assert!(skills.join(left).exists(), "{left}");
    }
    assert!(root.join("tmp-notes").exists());
    assert_eq!(codes(&in_folder(&skills)), Vec::<&str>::new());
    // Nobody else may look at what was kept.
    assert_eq!(fs::metadata(&keep).unwrap().mode() & 0o077, 0);
    let again = mend::mend(findings[0].repair.as_ref().unwrap(), &keep);
    assert_eq!(again.unwrap_err().code, crate::Code::FileNotFound);
}

#[test]
fn a_cache_that_was_put_aside_is_mentioned() {
    let folder = folder();
    put(
        &folder.home.cache_dir().join("skillmeatd.db.corrupt-1"),
        "x",
    );
    put(&folder.home.cache_dir().join("skillmeatd.db"), "x");
    let findings = in_folder(&folder.home.cache_dir());
    assert_eq!(codes(&findings), ["cache-put-aside"]);
    assert_eq!(findings[0].repair, None);
}

#[test]
fn what_a_killed_daemon_left_is_removed() {
    let folder = folder();
    let home = &folder.home;
    assert_eq!(codes(&left_by_a_daemon(home)), Vec::<&str>::new());
    let socket = home.run_dir().join("s");
    let listener = UnixListener::bind(&socket);
    let Ok(listener) = listener else {
        panic!("no socket at {}", socket.display());
    };
    drop(listener);
    let at = Rendezvous {
        socket: socket.clone(),
        pid: 1,
        instance: "i".to_owned(),
        version: "0".to_owned(),
        protocol: "1.0".to_owned(),
        manager: "auto".to_owned(),
        started_at: 0,
        exe: None,
        start_ticks: None,
        home: None,
    };
    at.save(&home.rendezvous()).unwrap();
    let findings = left_by_a_daemon(home);
    assert_eq!(codes(&findings), ["rendezvous-stale", "socket-stale"]);
    let keep = mend::keep(home, Timestamp(0));
    for finding in &findings {
        mend::mend(finding.repair.as_ref().unwrap(), &keep).unwrap();
    }
    assert!(!socket.exists() && !home.rendezvous().exists());
    assert_eq!(codes(&left_by_a_daemon(home)), Vec::<&str>::new());
    // A file in the place of the socket is not ours to remove.
    put(&socket, "words");
    let refused = mend::mend(&Repair::RemoveSocket(socket.clone()), &keep);
    assert_eq!(refused.unwrap_err().code, crate::Code::FileChanged);
    assert!(socket.exists());
    put(&home.rendezvous(), "{");
    assert_eq!(codes(&left_by_a_daemon(home)), ["rendezvous-stale"]);
}

/// A user who may not write in some folders.
struct User {
    uid: u32,
    readonly: Vec<PathBuf>,
}

impl Access for User {
    fn uid(&self) -> u32 {
        self.uid
    }
    fn is_writable(&self, folder: &Path) -> bool {
        !self.readonly.iter().any(|path| path == folder)
    }
}

#[test]
fn folders_that_are_open_foreign_or_read_only_are_found() {
    let folder = folder();
    let home = &folder.home;
    let collections = [collection(home)];
    let me = RealAccess.uid();
    let look = |user: &User| examine_folders(home, &home.history(), &collections, user);
    let mut user = User {
        uid: me,
        readonly: vec![],
    };
    assert_eq!(told(&look(&user)), []);
    fs::set_permissions(home.logs_dir(), Permissions::from_mode(0o755)).unwrap();
    let open = look(&user);
    assert_eq!(codes(&open), ["folder-open"]);
    let keep = mend::keep(home, Timestamp(0));
    mend::mend(open[0].repair.as_ref().unwrap(), &keep).unwrap();
    assert_eq!(fs::metadata(home.logs_dir()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(told(&look(&user)), []);
    assert!(!keep.exists(), "nothing was taken away");
    user.readonly = vec![home.cache_dir(), home.collection("c")];
    assert_eq!(codes(&look(&user)), ["not-writable", "not-writable"]);
    // All of it lies on one disk that can't be written.
    user.readonly = vec![
        home.root().to_owned(),
        home.logs_dir(),
        home.cache_dir(),
        home.collection("c"),
    ];
    assert_eq!(codes(&look(&user)), ["not-writable"]);
    user.uid = me + 1;
    assert!(codes(&look(&user)).contains(&"foreign-owner"));
}

#[test]
fn secrets_that_others_may_read_are_found_and_closed() {
    let folder = folder();
    let home = &folder.home;
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    put(&home.config(), "[settings]\ndefault-collection = \"c\"\n");
    open(&home.config());
    // Nothing in it is secret.
    assert_eq!(told(&secrets(home)), []);
    put(&home.config(), "[settings]\ngithub-token = \"t\"\n");
    open(&home.config());
    fs::create_dir(home.root().join("tokens")).unwrap();
    fs::set_permissions(home.root().join("tokens"), Permissions::from_mode(0o755)).unwrap();
    let findings = secrets(home);
    assert_eq!(codes(&findings), ["secret-open", "secret-open"]);
    assert!(findings.iter().all(|one| !one.message.contains("\"t\"")));
    for finding in &findings {
        mend::mend(finding.repair.as_ref().unwrap(), Path::new("/nowhere")).unwrap();
    }
    assert_eq!(told(&secrets(home)), []);
    assert_eq!(fs::metadata(home.config()).unwrap().mode() & 0o777, 0o600);
}
