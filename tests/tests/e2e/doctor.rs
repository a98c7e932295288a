//! `sm doctor`: every sort of damage is made, found, and mended where that is safe.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use serde_json::{Value, json};
use skillmeat_tests::home::{binary, output, skill, text, write};
use skillmeat_tests::namespace::Namespace;
use skillmeat_tests::{Sandbox, daemon, until};

/// What `sm doctor` says; its exit code must be this one.
#[track_caller]
pub(crate) fn doctor(sandbox: &Sandbox, args: &[&str], code: i32) -> Value {
    let args = [&["doctor", "--json"], args].concat();
    sandbox.run(&args).exits(code).json()
}

/// What may be so of the machine that the tests run on, whatever they do.
pub(crate) const OF_THE_MACHINE: [&str; 6] = [
    "cache-on-network-disk",
    "disk-space-low",
    "git-missing",
    "home-ignores-case",
    "home-on-network-disk",
    "watch-limit-low",
];

/// The codes of what was found in the home, in the order in which they are shown.
pub(crate) fn codes(seen: &Value) -> Vec<String> {
    let all = seen["findings"].as_array().unwrap();
    all.iter()
        .map(|one| text(&one["code"]))
        .filter(|code| !OF_THE_MACHINE.contains(&code.as_str()))
        .collect()
}

#[track_caller]
pub(crate) fn finding<'a>(seen: &'a Value, code: &str) -> &'a Value {
    let all = seen["findings"].as_array().unwrap();
    all.iter()
        .find(|one| one["code"] == code)
        .unwrap_or_else(|| panic!("no {code} in {:?}", codes(seen)))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Makes a path look an hour old.
fn age(path: &Path) {
    let old = SystemTime::now() - Duration::from_hours(1);
    File::open(path).unwrap().set_modified(old).unwrap();
}

/// A home with an artifact, and its daemon.
pub(crate) fn healthy() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    sandbox.ready();
    sandbox
}

#[test]
fn a_healthy_home_has_no_problems_with_and_without_a_daemon() {
    let sandbox = healthy();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(seen["healthy"], true, "{seen:#}");
    assert_eq!(codes(&seen), [""; 0], "{seen:#}");
    assert_eq!(seen["daemon"]["state"], "running");
    assert_eq!(seen["daemon"]["pid"], sandbox.pid());
    assert_eq!(
        seen["log_file"],
        sandbox.home().log_file().display().to_string()
    );
    let database = &seen["checks"].as_array().unwrap()[3];
    assert_eq!(
        database,
        &json!({"name": "database", "ok": true, "detail": "sound"})
    );
    let environment = seen["daemon"]["environment"].to_string();
    assert!(environment.contains("SKILLMEAT_HOME"), "{environment}");
    let seen = sandbox.run(&["doctor"]).ok();
    assert!(seen.stdout.contains("no problems"), "{}", seen.stdout);
    assert!(seen.stdout.contains("SKILLMEAT_HOME="), "{}", seen.stdout);

    sandbox.stop();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(seen["healthy"], true, "{seen:#}");
    assert_eq!(seen["daemon"]["state"], "stopped");
    assert_eq!(codes(&seen), [""; 0]);
    // What was not looked at is not called sound.
    assert_eq!(seen["checks"][3]["ok"], Value::Null);
    // It started none.
    assert!(daemon::processes(sandbox.home().root()).is_empty());
    let fixed = doctor(&sandbox, &["--fix"], 0);
    assert_eq!(fixed["fixes"], json!([]));
    assert!(!sandbox.home().root().join("state/doctor").exists());
}

#[test]
fn a_home_that_is_not_there_yet_has_no_problems() {
    let sandbox = Sandbox::new();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(codes(&seen), [""; 0], "{seen:#}");
    assert!(!sandbox.home().root().exists());
}

#[test]
fn the_damage_of_the_ancestor_is_found_and_its_modes_are_mended() {
    let sandbox = Sandbox::from_fixture("git");
    chmod(sandbox.home().root(), 0o755);
    chmod(&sandbox.home().config(), 0o644);
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(
        codes(&seen),
        [
            "artifact-missing",
            "folder-open",
            "secret-open",
            "artifact-orphan"
        ]
    );
    assert_eq!((&seen["errors"], &seen["warnings"]), (&json!(1), &json!(3)));
    let missing = finding(&seen, "artifact-missing");
    assert_eq!(missing["subject"], "agent:db-admin");
    let manifest = sandbox.collection("default", "collection.toml");
    assert_eq!(missing["path"], manifest.display().to_string());
    let line = usize::try_from(missing["line"].as_u64().unwrap()).unwrap();
    let text_of_manifest = fs::read_to_string(&manifest).unwrap();
    let lines: Vec<&str> = text_of_manifest.lines().collect();
    assert_eq!(lines[line - 1], "[[artifacts]]");
    assert_eq!(lines[line], "name = \"db-admin\"");
    let orphan = finding(&seen, "artifact-orphan");
    let place = sandbox.collection("default", "commands/plain.md");
    assert_eq!(orphan["path"], place.display().to_string());

    let fixed = doctor(&sandbox, &["--fix"], 9);
    assert_eq!(codes(&fixed), ["artifact-missing", "artifact-orphan"]);
    assert!(
        fixed["fixes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|fix| fix["done"] == true)
    );
    assert_eq!(mode(sandbox.home().root()), 0o700);
    assert_eq!(mode(&sandbox.home().config()), 0o600);
    // Files of the user are as they were.
    assert_eq!(fs::read_to_string(&manifest).unwrap(), text_of_manifest);
    assert!(place.exists());
    let again = doctor(&sandbox, &["--fix"], 9);
    assert_eq!(again["fixes"], json!([]));

    // The way that the finding names works.
    drop(sandbox.run(&["add", place.to_str().unwrap()]).ok());
    assert_eq!(codes(&doctor(&sandbox, &[], 9)), ["artifact-missing"]);
    write(
        sandbox.collection("default", "agents/db-admin.md"),
        "# db-admin\n",
    );
    let mended = doctor(&sandbox, &[], 0);
    assert_eq!(mended["errors"], 0);
}

#[test]
fn leftovers_are_moved_away_with_their_bytes_and_a_second_run_is_clean() {
    let sandbox = healthy();
    let skills = sandbox.collection("default", "skills");
    let half = skills.join(".skillmeat-tmp-1-2-3");
    write(half.join("SKILL.md"), "half a copy");
    age(&half);
    let young = skills.join(".skillmeat-tmp-4-5-6");
    write(&young, "at work");
    let lock = skills.join(".one.skillmeat-lock");
    write(&lock, "");
    let torn = sandbox.collection("default", "tmpx7_9qa2b");
    write(&torn, "[collection]\n");
    age(&torn);
    let seen = doctor(&sandbox, &[], 0);
    let mut found = codes(&seen);
    found.sort();
    assert_eq!(found, ["left-behind", "left-behind", "stray-lock"]);
    assert!(
        seen["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["fixable"] == true)
    );
    // Looking changes nothing.
    assert!(half.exists() && lock.exists() && torn.exists());

    let fixed = doctor(&sandbox, &["--fix"], 0);
    assert_eq!(codes(&fixed), [""; 0]);
    let kept_in = text(&fixed["kept_in"]);
    assert!(Path::new(&kept_in).starts_with(sandbox.home().root()));
    let saved = |path: &Path| {
        let fixes = fixed["fixes"].as_array().unwrap();
        let fix = fixes
            .iter()
            .find(|fix| fix["subject"] == path.display().to_string());
        let saved = text(&fix.unwrap_or_else(|| panic!("{fixes:#?}"))["saved"]);
        assert!(saved.starts_with(&kept_in), "{saved}");
        saved
    };
    let bytes = fs::read_to_string(Path::new(&saved(&half)).join("SKILL.md")).unwrap();
    assert_eq!(bytes, "half a copy");
    assert_eq!(fs::read_to_string(saved(&torn)).unwrap(), "[collection]\n");
    assert!(Path::new(&saved(&lock)).exists());
    assert!(!half.exists() && !lock.exists() && !torn.exists());
    assert!(young.exists(), "somebody may be at work on it");
    let again = doctor(&sandbox, &["--fix"], 0);
    assert_eq!(
        (&again["fixes"], &again["kept_in"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(sandbox.ids(), ["skill:one"]);
}

#[test]
fn damaged_collections_and_configs_are_named_with_their_line() {
    let mut sandbox = healthy();
    sandbox.stop();
    let manifest = sandbox.collection("default", "collection.toml");
    let good = fs::read_to_string(&manifest).unwrap();
    let line = good.lines().count() + 1;
    write(&manifest, format!("{good}oops\n"));
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(codes(&seen), ["collection-broken"]);
    assert_eq!(finding(&seen, "collection-broken")["line"], line);

    // With a daemon it is told once, not twice.
    sandbox.status_until("the broken manifest", |status| {
        status["warnings"].to_string().contains("collection-broken")
    });
    assert_eq!(codes(&doctor(&sandbox, &[], 9)), ["collection-broken"]);
    let seen = sandbox.run(&["doctor"]).exits(9).stdout;
    assert!(seen.contains(&format!("collection.toml:{line}")), "{seen}");
    assert!(seen.contains("1 error, 0 warnings"), "{seen}");
    sandbox.stop();
    write(
        &manifest,
        format!("{good}\n[[artifacts]]\ntype = \"skill\"\n"),
    );
    let seen = doctor(&sandbox, &[], 0);
    assert!(
        codes(&seen).contains(&"entry-broken".to_owned()),
        "{seen:#}"
    );
    write(&manifest, &good);

    let lock = sandbox.collection("default", "collection.lock");
    let locked = fs::read_to_string(&lock).unwrap();
    write(
        &lock,
        format!("{locked}\n[lock.entries.\"past::skill\"]\ncontent_hash = \"0\"\n"),
    );
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(finding(&seen, "lock-entry-orphan")["subject"], "skill:past");
    write(&lock, "[lock]\nversion = \"1.0.0\"\n");
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(finding(&seen, "lock-entry-missing")["severity"], "info");
    write(&lock, locked);

    sandbox.stop();
    write(
        sandbox.home().config(),
        "[cache]\nmetadata_ttl = \"soon\"\n",
    );
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(finding(&seen, "config-invalid")["line"], 2);
    sandbox.ready();
    assert_eq!(codes(&doctor(&sandbox, &[], 0)), ["config-invalid"]);
    sandbox.set("SKILLMEAT_COLLECTION_PATH", "/nowhere/far");
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(finding(&seen, "collection-unreachable")["subject"], "far");
}

#[test]
fn folders_that_are_no_collections_or_lead_away_are_found() {
    let sandbox = healthy();
    sandbox.stop();
    write(sandbox.collection("bare", "commands/x.md"), "# x\n");
    fs::create_dir_all(sandbox.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(
        sandbox.path("elsewhere"),
        sandbox.collection("default", "agents-of-others"),
    )
    .unwrap();
    let agents = sandbox.collection("default", "agents");
    fs::remove_dir_all(&agents).ok();
    std::os::unix::fs::symlink(sandbox.path("elsewhere"), &agents).unwrap();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(finding(&seen, "collection-no-manifest")["subject"], "bare");
    assert_eq!(
        finding(&seen, "collection-linked-out")["path"],
        agents.display().to_string()
    );
    assert_eq!(codes(&seen).len(), 2, "{seen:#}");
}

#[test]
fn a_daemon_that_hangs_is_named_at_once() {
    let sandbox = healthy();
    sandbox.signal(Signal::STOP);
    let started = Instant::now();
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(codes(&seen), ["daemon-silent"]);
    assert_eq!(seen["daemon"]["state"], "silent");
    assert_eq!(seen["daemon"]["pid"], sandbox.pid());
    let hints = finding(&seen, "daemon-silent")["hints"].to_string();
    assert!(hints.contains("sm daemon restart --force"), "{hints}");
    assert!(started.elapsed() < Duration::from_secs(30));
    // Not ours to end.
    let fixed = doctor(&sandbox, &["--fix"], 9);
    assert_eq!(fixed["fixes"], json!([]));
    sandbox.signal(Signal::CONT);
    until("the daemon to answer", || {
        let answer = sandbox.run(&["doctor", "--json"]);
        (answer.code == Some(0)).then_some(())
    });
}

#[test]
fn what_a_killed_daemon_left_is_mended() {
    let sandbox = healthy();
    let at = daemon::rendezvous(sandbox.home()).unwrap();
    sandbox.kill();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(codes(&seen), ["rendezvous-stale", "socket-stale"]);
    assert_eq!(seen["daemon"]["state"], "stopped");
    let fixed = doctor(&sandbox, &["--fix"], 0);
    assert_eq!(codes(&fixed), [""; 0]);
    assert!(!at.socket.exists() && !sandbox.home().rendezvous().exists());
    let saved = text(&fixed["fixes"][0]["saved"]);
    assert!(fs::read_to_string(saved).unwrap().contains(&at.instance));
    sandbox.ready();
    assert_eq!(doctor(&sandbox, &[], 0)["healthy"], true);
}

#[test]
fn a_start_that_failed_and_a_home_that_is_owned_are_told() {
    let sandbox = healthy();
    sandbox.stop();
    fs::remove_file(sandbox.home().lock_file()).unwrap();
    fs::create_dir(sandbox.home().lock_file()).unwrap();
    let failed = sandbox.run(&["daemon", "start"]);
    assert_ne!(failed.code, Some(0));
    fs::remove_dir(sandbox.home().lock_file()).unwrap();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(codes(&seen), ["daemon-start-failed"], "{seen:#}");
    drop(sandbox.run(&["daemon", "start"]).ok());
    assert_eq!(doctor(&sandbox, &[], 0)["healthy"], true);

    // The daemon lives, but nobody can find it; and it can't put back what is gone.
    sandbox.signal(Signal::STOP);
    fs::remove_file(sandbox.home().rendezvous()).unwrap();
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(codes(&seen), ["daemon-unreachable"]);
    assert_eq!(seen["daemon"]["state"], "unreachable");
}

#[test]
fn a_socket_that_others_could_use_is_refused_and_its_folder_is_closed() {
    let mut sandbox = Sandbox::new();
    // A folder of its own: the usual one is shared with the daemons of other homes.
    let runtime = sandbox.path("x");
    fs::create_dir(&runtime).unwrap();
    chmod(&runtime, 0o700);
    sandbox.set("XDG_RUNTIME_DIR", runtime.to_str().unwrap());
    drop(sandbox.run(&["init"]).ok());
    sandbox.ready();
    let at = daemon::rendezvous(sandbox.home()).unwrap();
    let folder = at.socket.parent().unwrap();
    assert!(folder.starts_with(&runtime), "{}", folder.display());
    chmod(folder, 0o755);
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(
        finding(&seen, "socket-untrusted")["path"],
        folder.display().to_string()
    );
    let fixed = doctor(&sandbox, &["--fix"], 0);
    assert_eq!(fixed["healthy"], true, "{fixed:#}");
    assert_eq!(mode(folder), 0o700);
}

#[test]
fn a_cache_that_is_none_is_found() {
    let sandbox = healthy();
    sandbox.stop();
    let cache = sandbox.home().cache_dir().join("skillmeatd.db");
    for name in ["skillmeatd.db", "skillmeatd.db-wal", "skillmeatd.db-shm"] {
        fs::remove_file(cache.with_file_name(name)).ok();
    }
    write(
        &cache,
        "this is no database, although it is long enough to be one",
    );
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(codes(&seen), ["cache-damaged"]);
    // The daemon mends it by itself, and keeps what was there.
    sandbox.ready();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(
        codes(&seen),
        ["cache-put-aside", "cache-replaced"],
        "{seen:#}"
    );
    assert_eq!(seen["healthy"], true);
}

#[test]
fn programs_that_differ_or_were_replaced_are_found() {
    let mut sandbox = Sandbox::new();
    // A copy of the daemon that may be replaced.
    let own = sandbox.path("bin/skillmeatd");
    fs::create_dir_all(sandbox.path("bin")).unwrap();
    fs::copy(binary("skillmeatd"), &own).unwrap();
    sandbox.set("SKILLMEATD", own.to_str().unwrap());
    drop(sandbox.run(&["init"]).ok());
    sandbox.ready();
    assert_eq!(codes(&doctor(&sandbox, &[], 0)), Vec::<String>::new());
    fs::remove_file(&own).unwrap();
    fs::copy(binary("skillmeatd"), &own).unwrap();
    let seen = doctor(&sandbox, &[], 0);
    assert_eq!(
        finding(&seen, "stale-binary")["path"],
        own.display().to_string()
    );
    write(sandbox.path("other/skillmeatd"), "#!/bin/sh\n");
    let path = format!("{}:/usr/bin:/bin", sandbox.path("other").display());
    let mut command = sandbox.sm(&["doctor", "--json"]);
    command.env("PATH", path);
    let seen = output(command).ok().json();
    assert_eq!(finding(&seen, "programs-differ")["subject"], "skillmeatd");
    let mut command = sandbox.sm(&["doctor", "--json"]);
    command.env("SKILLMEATD", "/nowhere/skillmeatd");
    let seen = output(command).exits(9).json();
    assert_eq!(finding(&seen, "program-missing")["severity"], "error");
}

#[test]
fn a_git_that_hangs_or_is_too_old_does_not_stop_the_doctor() {
    let sandbox = healthy();
    sandbox.stop();
    let git = sandbox.path("bin/git");
    write(&git, "#!/bin/sh\necho 'git version 1.9.1'\n");
    chmod(&git, 0o755);
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    let mut command = sandbox.sm(&["doctor", "--json"]);
    command.env("PATH", &path);
    let seen = output(command).ok().json();
    let message = text(&finding(&seen, "git-unusable")["message"]);
    assert!(message.contains("1.9.1"), "{message}");
    assert_eq!(seen["git"], Value::Null);
}

#[test]
fn what_is_left_on_another_disk_is_moved_into_the_home() {
    let mut sandbox = Sandbox::initialised();
    sandbox.stop();
    let library = sandbox.path("disk/library");
    fs::create_dir_all(&library).unwrap();
    sandbox.set("SKILLMEAT_COLLECTION_PATH", library.to_str().unwrap());
    let Some(mut namespace) = Namespace::new(&sandbox) else {
        return;
    };
    let half = library.join("skills/.skillmeat-tmp-1-2-3");
    let fixed = sandbox.path("fixed.json");
    namespace.run(&format!(
        "mount -t tmpfs none {0} && echo '[collection]' >{0}/collection.toml \
         && mkdir -p {1}/deep && echo 'half a copy' >{1}/deep/SKILL.md \
         && touch -d '1 hour ago' {1}",
        library.display(),
        half.display()
    ));
    namespace.run(&format!(
        "{} doctor --fix --json >{}",
        binary("sm").display(),
        fixed.display()
    ));
    let fixed: Value = serde_json::from_slice(&fs::read(&fixed).unwrap()).unwrap();
    assert_eq!(fixed["fixes"][0]["done"], true, "{fixed:#}");
    let saved = text(&fixed["fixes"][0]["saved"]);
    assert!(Path::new(&saved).starts_with(sandbox.home().root()));
    let kept = fs::read_to_string(Path::new(&saved).join("deep/SKILL.md")).unwrap();
    assert_eq!(kept, "half a copy\n");
    namespace.run(&format!("test ! -e {}", half.display()));
}
