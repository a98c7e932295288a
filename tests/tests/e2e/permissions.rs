//! Nobody else gets in: modes of what we make, whatever the umask.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use skillmeat_tests::home::{binary, codes, output, skill, text, write};
use skillmeat_tests::{Sandbox, daemon, until};

use crate::doctor::OF_THE_MACHINE;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .permissions()
        .mode()
        & 0o7777
}

fn check(sandbox: &Sandbox) {
    let home = sandbox.home();
    assert_eq!(mode(home.root()), 0o700);
    assert_eq!(mode(&home.run_dir()), 0o700);
    assert_eq!(mode(&home.config()), 0o600);
    assert_eq!(mode(&home.log_file()), 0o600);
    let socket = daemon::rendezvous(home).unwrap().socket;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    let database = text(&sandbox.json(&["cache", "status"])["path"]);
    let folder = Path::new(&database).parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 1);
    for file in ["collection.toml", "collection.lock"] {
        assert_eq!(mode(&sandbox.collection("default", file)), 0o600, "{file}");
    }
}

#[test]
fn everything_is_for_the_user_alone() {
    let sandbox = Sandbox::initialised();
    let source = skill(&sandbox.path("src"), "one", "One");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    check(&sandbox);
}

#[test]
fn also_when_the_umask_allows_everything() {
    let sandbox = Sandbox::new();
    let source = skill(&sandbox.path("src"), "one", "One");
    for line in [
        "umask 0; exec \"$0\" init",
        "umask 0; exec \"$0\" config set cache.ttl 1h",
        "umask 0; exec \"$0\" add src/one",
    ] {
        let mut command = sandbox.command(Path::new("/bin/sh"));
        command.arg("-c").arg(line).arg(binary("sm"));
        drop(output(command).ok());
    }
    check(&sandbox);
    drop(source);
}

#[test]
fn a_home_that_is_too_open_is_tightened() {
    let sandbox = Sandbox::from_fixture("git");
    let root = sandbox.home().root();
    write(sandbox.home().config(), "[settings]\n");
    for (path, mode) in [(root, 0o755), (&sandbox.home().config(), 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    sandbox.ready();
    assert_eq!(mode(root), 0o700);
    assert_eq!(mode(&sandbox.home().config()), 0o600);
}

#[test]
fn a_home_that_is_no_folder_is_refused() {
    let sandbox = Sandbox::new();
    write(sandbox.home().root(), "a file");
    let error = sandbox.fails(&["list"], 5);
    assert_eq!(error["code"], "home.unusable");
    assert!(text(&error["message"]).contains(sandbox.home().root().to_str().unwrap()));
    assert_eq!(
        std::fs::read_to_string(sandbox.home().root()).unwrap(),
        "a file"
    );
}

#[test]
fn a_run_folder_of_another_user_is_told_and_no_daemon_is_made_up() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a folder away");
        return;
    }
    let sandbox = Sandbox::initialised();
    sandbox.stop();
    let folder = sandbox.home().run_dir();
    std::os::unix::fs::chown(&folder, Some(65_534), None).unwrap();
    let seen = sandbox.run(&["doctor", "--json"]).exits(9).json();
    assert_eq!(seen["daemon"]["state"], "stopped", "{seen:#}");
    let found = codes(&seen["findings"]);
    assert!(found.contains(&"foreign-owner".to_owned()), "{found:?}");
    assert!(
        !found.iter().any(|code| code.starts_with("daemon-")),
        "{found:?}"
    );
    let error = sandbox.fails(&["list"], 5);
    assert_eq!(error["code"], "home.unusable");
    let hint = format!("sudo chown -R \"$USER\" {}", folder.display());
    assert!(text(&error["hints"][0]).contains(&hint), "{error}");
    std::os::unix::fs::chown(&folder, Some(0), None).unwrap();

    // So it is with a lock that can't be opened.
    let lock = sandbox.home().start_lock();
    for (owner, mode, code) in [(65_534, 0o600, "foreign-owner"), (0, 0, "not-writable")] {
        std::os::unix::fs::chown(&lock, Some(owner), None).unwrap();
        std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(mode)).unwrap();
        let seen = output(bound(&sandbox, &["doctor", "--json"]))
            .exits(9)
            .json();
        assert_eq!(codes(&seen["findings"]), [code], "{seen:#}");
        assert_eq!(seen["daemon"]["state"], "stopped", "{seen:#}");
    }
    std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o600)).unwrap();
    drop(sandbox.run(&["list"]).ok());
}

#[test]
fn bytes_that_are_no_protocol_harm_nobody() {
    use std::io::{Read as _, Write as _};
    let sandbox = Sandbox::initialised();
    let socket = daemon::rendezvous(sandbox.home()).unwrap().socket;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b""] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .unwrap();
        // The other side may hang up in the middle.
        stream.write_all(bytes).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
    }
    sandbox.ready();
}

/// `sm` for somebody whom rights concern: also root, without the capabilities by which they do not.
pub(crate) fn bound(sandbox: &Sandbox, args: &[&str]) -> Command {
    if !rustix::process::geteuid().is_root() {
        return sandbox.sm(args);
    }
    let mut command = sandbox.command(Path::new("/usr/bin/setpriv"));
    let capabilities = "-dac_override,-dac_read_search,-fowner";
    command.args(["--bounding-set", capabilities, "--inh-caps", capabilities]);
    command.arg(binary("sm")).args(args);
    command
}

#[test]
fn a_home_whose_rights_forbid_writing_is_read() {
    // All of it; the folder alone.
    for args in [&["-R", "a-w"][..], &["u-w"]] {
        let mut sandbox = Sandbox::with_two();
        // Nothing is to be left in `/var/tmp`.
        let caches = sandbox.path(".cache");
        sandbox.set("XDG_CACHE_HOME", caches.to_str().unwrap());
        drop(sandbox.run(&["snapshot", "as it was"]).ok());
        sandbox.stop();
        let chmod = |args: &[&str]| {
            let mut command = sandbox.command(Path::new("/bin/chmod"));
            command.args(args).arg(sandbox.home().root());
            drop(output(command).ok());
        };
        chmod(args);
        let run = |args: &[&str]| output(bound(&sandbox, &[args, &["--json"]].concat()));
        let json = |args: &[&str]| run(args).ok().json();
        // What is kept of a connection must not fail the second time.
        for _ in 0..2 {
            assert_eq!(json(&["list"])["total"], 2, "{args:?}");
            let operations = json(&["log"])["operations"].clone();
            assert_eq!(operations.as_array().unwrap().len(), 4, "{operations}");
            let kept = json(&["snapshot", "list"])["snapshots"].clone();
            assert_eq!(kept[0]["message"], "as it was", "{kept}");
            let refused = run(&["tag", "add", "red", "one"]);
            assert_ne!(refused.code, Some(0), "{args:?}");
        }
        let status = json(&["status"]);
        assert_eq!(codes(&status["warnings"]), ["home-read-only"], "{args:?}");
        drop(run(&["daemon", "stop"]).ok());
        chmod(&["-R", "u+w"]);
        drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
    }
}

/// What the doctor finds of the home for somebody whom rights concern: the codes, each with its path.
#[track_caller]
fn found(sandbox: &Sandbox) -> Vec<(String, String)> {
    let seen = output(bound(sandbox, &["doctor", "--json"])).json();
    let all = seen["findings"].as_array().unwrap().iter();
    let told = all.map(|one| (text(&one["code"]), one["path"].to_string()));
    told.filter(|(code, _)| !OF_THE_MACHINE.contains(&code.as_str()))
        .map(|(code, path)| (code, path.trim_matches('"').to_owned()))
        .collect()
}

fn change(path: &Path, owner: u32, mode: u32) {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(owner), None).unwrap();
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn every_folder_and_database_that_cant_be_written_is_told() {
    let sandbox = Sandbox::with_two();
    sandbox.stop();
    let home = sandbox.home();
    let me = rustix::process::geteuid().as_raw();
    let mut places = home.folders();
    let (root, collection) = (places.remove(0), home.collection("default"));
    places.extend(["skills", "agents"].map(|kind| collection.join(kind)));
    places.push(collection);
    for folder in &places {
        std::fs::create_dir_all(folder).unwrap();
        change(folder, me, 0o700);
    }
    places.extend([home.history(), home.cache_dir().join("skillmeatd.db")]);
    assert_eq!(found(&sandbox), []);
    for place in &places {
        let told = |code: &str| {
            let expected = [(code.to_owned(), place.display().to_string())];
            assert_eq!(found(&sandbox), expected);
        };
        let (good, closed, open) = if place.is_dir() {
            (0o700, 0o500, 0o755)
        } else {
            (0o600, 0o400, 0o644)
        };
        change(place, me, closed);
        told("not-writable");
        if me == 0 {
            change(place, 65_534, open);
            told("foreign-owner");
        }
        change(place, me, good);
    }
    assert_eq!(found(&sandbox), []);
    // One cause, one finding.
    for path in [&root, &root.join("run")] {
        for place in places.iter().chain([&root]) {
            if me == 0 && place.starts_with(path) {
                change(place, 65_534, if place.is_dir() { 0o755 } else { 0o644 });
            }
        }
        if me == 0 {
            let codes: Vec<String> = found(&sandbox).into_iter().map(|(code, _)| code).collect();
            assert_eq!(codes, ["foreign-owner"], "{}", path.display());
        }
        for place in places.iter().chain([&root]) {
            change(place, me, if place.is_dir() { 0o700 } else { 0o600 });
        }
    }
    if me == 0 {
        // Only its owner could change its mode.
        change(&home.history(), 65_534, 0o600);
        let seen = output(bound(&sandbox, &["doctor", "--json"])).exits(9);
        let all = seen.json()["findings"].clone();
        let all = all.as_array().unwrap().iter();
        let mut unusable = all.filter(|one| one["code"] == "history-unusable");
        let hints = unusable.next().unwrap()["hints"].to_string();
        let way = format!("chown \\\"$USER\\\" {}", home.history().display());
        assert!(hints.contains(&way) && !hints.contains("chmod"), "{hints}");
        change(&home.history(), me, 0o600);
    }
}

#[test]
fn the_folder_that_the_config_names_for_the_cache_is_looked_at() {
    let sandbox = Sandbox::with_two();
    sandbox.stop();
    let cache = sandbox.path("fast/cache");
    let config = format!("[cache]\npath = \"{}\"\n", cache.display());
    write(sandbox.home().config(), config);
    sandbox.ready();
    assert_eq!(mode(&cache), 0o700);
    sandbox.stop();
    assert_eq!(found(&sandbox), []);
    let me = rustix::process::geteuid().as_raw();
    for (closed, code) in [(0o500, "not-writable"), (0o755, "folder-open")] {
        change(&cache, me, closed);
        let expected = [(code.to_owned(), cache.display().to_string())];
        assert_eq!(found(&sandbox), expected);
    }
    sandbox.json(&["doctor", "--fix"]);
    assert_eq!(mode(&cache), 0o700);
    assert_eq!(found(&sandbox), []);
    if me == 0 {
        change(&cache, 65_534, 0o700);
        let expected = [("foreign-owner".to_owned(), cache.display().to_string())];
        assert_eq!(found(&sandbox), expected);
        change(&cache, me, 0o700);
    }
}

#[test]
fn a_home_whose_run_folder_forbids_writing_can_be_written() {
    let mut sandbox = Sandbox::with_two();
    let caches = sandbox.path(".cache");
    sandbox.set("XDG_CACHE_HOME", caches.to_str().unwrap());
    sandbox.stop();
    write(sandbox.home().config(), "[daemon]\nself_check = \"1s\"\n");
    let run = sandbox.home().run_dir();
    let chmod = |mode| std::fs::set_permissions(&run, std::fs::Permissions::from_mode(mode));
    chmod(0o500).unwrap();
    let json = |args: &[&str]| {
        let args = [args, &["--json"]].concat();
        output(bound(&sandbox, &args)).ok().json()
    };
    let expected = [("not-writable".to_owned(), run.display().to_string())];
    assert_eq!(found(&sandbox), expected);
    let status = json(&["status"]);
    assert_eq!(status["warnings"], serde_json::json!([]), "{status:#}");
    json(&["tag", "add", "red", "one"]);
    let operations = json(&["log"])["operations"].clone();
    assert_eq!(operations[0]["verb"], "tag.add", "{operations}");
    assert_eq!(found(&sandbox), expected);
    // The next daemon belongs into the home, so there must not be two.
    let pid = status["daemon"]["pid"].as_u64().unwrap();
    chmod(0o700).unwrap();
    until("the daemon to end", || {
        let all = daemon::processes(sandbox.home().root());
        all.is_empty().then_some(())
    });
    assert_ne!(sandbox.ready()["daemon"]["pid"], pid);
    assert_eq!(found(&sandbox), []);
}
