//! Tasks that panic or hang, calls that never end, daemons that can't be seen: each is noticed, told, and
//! followed by a daemon that works.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use skillmeat_shared::failpoint;
use skillmeat_tests::home::{binary, skill, text, write};
use skillmeat_tests::{Sandbox, daemon, until};

/// A user whose daemon looks after itself every second and reads a file for what should go wrong.
fn prepared() -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::new();
    let file = sandbox.path("failpoints");
    write(&file, "");
    let config = "[daemon]\nself_check = \"1s\"\ndrain_timeout = \"1s\"\n";
    write(sandbox.home().config(), config);
    sandbox.set(failpoint::VARIABLE, &format!("@{}", file.display()));
    drop(sandbox.run(&["init"]).ok());
    sandbox.ready();
    (sandbox, file)
}

fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.home().log_file()).unwrap()
}

#[test]
fn a_panic_in_an_essential_task_ends_the_daemon_with_70_and_the_next_command_starts_another() {
    let (sandbox, file) = prepared();
    for (n, task) in ["ingest", "text_index", "watch", "accept"]
        .iter()
        .enumerate()
    {
        let before = sandbox.pid();
        write(&file, format!("task.{task}=panic"));
        until(task, || {
            // Something for each of them to do; the watches of a new daemon may not be set yet. It may not
            // live to hear the command.
            skill(
                &sandbox.collection("default", "skills"),
                &format!("s{n}"),
                task,
            );
            drop(sandbox.run(&["list", "--no-autostart"]));
            (!daemon::is_daemon_of(before, sandbox.home().root())).then_some(())
        });
        write(&file, "");
        let log = log(&sandbox);
        assert_eq!(log.matches("ended code=70").count(), n + 1, "{task}: {log}");
        // The row of the daemon that ended may be of a file that was half written.
        sandbox.shows(&format!("s{n}"), "the skill", |shown| {
            shown["description"] == *task
        });
        assert_ne!(sandbox.pid(), before);
    }
}

#[test]
fn a_panic_in_another_task_is_told_and_the_task_starts_again() {
    let (sandbox, file) = prepared();
    let pid = sandbox.pid();
    let has_failed = || {
        let status = sandbox.json(&["status"]);
        status.to_string().contains("task-failed")
    };
    write(&file, "task.self_check=panic");
    until("the warning", || has_failed().then_some(()));
    write(&file, "");
    until("the end of the warning", || (!has_failed()).then_some(()));
    assert_eq!(sandbox.pid(), pid);
    let status = sandbox.json(&["daemon", "status"]);
    let tasks = status["tasks"].as_array().unwrap();
    let task = tasks
        .iter()
        .find(|task| task["name"] == "self-check")
        .unwrap();
    assert_eq!(
        (&task["running"], &task["essential"]),
        (&true.into(), &false.into())
    );
}

#[test]
fn a_panic_in_a_schedule_is_told_and_the_schedule_goes_on() {
    let (sandbox, file) = prepared();
    let pid = sandbox.pid();
    let has_failed = |status: &serde_json::Value| {
        let warnings = status["warnings"].as_array().unwrap();
        let mut failed = warnings.iter().filter(|one| one["code"] == "task-failed");
        failed.any(|one| one["subject"] == "verify-stale")
    };
    write(&file, "task.schedule=panic");
    // Stale rows are looked for every second from now on.
    let ttl = ["config", "set", "cache.metadata_ttl", "2s"];
    drop(sandbox.run(&ttl).ok());
    let status = sandbox.status_until("the warning", has_failed);
    assert!(
        status["warnings"].to_string().contains("`task.schedule`"),
        "{status}"
    );
    write(&file, "");
    // The next run goes well, at the time at which it is due.
    sandbox.status_until("the end of the warning", |status| !has_failed(status));
    assert_eq!(sandbox.pid(), pid);
    until("the line in the log", || {
        let line = "the task panicked and runs again when it is due";
        log(&sandbox).contains(line).then_some(())
    });
}

#[test]
fn a_server_that_hangs_is_noticed_by_the_daemon_itself() {
    let (sandbox, file) = prepared();
    let before = sandbox.pid();
    write(&file, "task.accept=hang");
    until("the end of the daemon", || {
        (!daemon::is_daemon_of(before, sandbox.home().root())).then_some(())
    });
    write(&file, "");
    let log = log(&sandbox);
    assert!(log.contains("does not answer its own calls"), "{log}");
    drop(sandbox.run(&["list"]).ok());
}

#[test]
fn a_call_that_hangs_is_cut_off_at_the_drain_timeout() {
    let (sandbox, file) = prepared();
    write(&file, "change.ready=hang");
    let source = skill(&sandbox.path("src"), "one", "One");
    let mut adding = sandbox.sm(&["add", source.to_str().unwrap()]);
    let mut adding = adding.stderr(Stdio::null()).spawn().unwrap();
    let skills = sandbox.collection("default", "skills");
    until("the copy", || {
        let mut entries = std::fs::read_dir(&skills).ok()?;
        entries.next().map(drop)
    });
    let started = Instant::now();
    drop(sandbox.run(&["daemon", "stop"]).ok());
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
    assert_ne!(adding.wait().unwrap().code(), Some(0));
    write(&file, "");
    drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
    assert_eq!(sandbox.show("one")["modified"], false);
}

#[test]
fn a_second_signal_means_now() {
    let (sandbox, file) = prepared();
    sandbox.stop();
    write(&file, "shutdown.before_persist=hang");
    let mut child = sandbox
        .command(&binary("skillmeatd"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the daemon", || daemon::rendezvous(sandbox.home()));
    sandbox.ready();
    sandbox.signal(Signal::TERM);
    until("the shutdown", || {
        log(&sandbox).contains("signal SIGTERM").then_some(())
    });
    assert_eq!(child.try_wait().unwrap(), None);
    sandbox.signal(Signal::TERM);
    let ended = until("the end of the daemon", || child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(128 + 15));
    write(&file, "");
    drop(sandbox.run(&["list"]).ok());
}

#[test]
fn a_stopped_daemon_fails_commands_soon_and_a_forced_restart_recovers() {
    let sandbox = Sandbox::initialised();
    let before = sandbox.pid();
    let timed = || {
        let started = Instant::now();
        let answer = sandbox.run(&["list"]);
        (answer, started.elapsed())
    };
    let (usual, start) = timed();
    drop(usual.ok());
    sandbox.signal(Signal::STOP);
    // A process may start late on a busy machine, but not at each of several tries.
    let is_soon = (0..4).any(|_| {
        let (failed, took) = timed();
        let failed = failed.exits(8);
        assert!(
            failed.stderr.contains("sm daemon restart --force"),
            "{failed:?}"
        );
        took < Duration::from_millis(1500) + 2 * start
    });
    assert!(
        is_soon,
        "commands fail late; one that works takes {start:?}"
    );
    drop(sandbox.run(&["daemon", "restart", "--force"]).ok());
    assert_ne!(sandbox.pid(), before);
    drop(sandbox.run(&["list"]).ok());
}

#[test]
fn the_environment_of_a_client_does_not_matter() {
    let mut sandbox = Sandbox::new();
    let runtime = sandbox.path("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.set("XDG_RUNTIME_DIR", runtime.to_str().unwrap());
    drop(sandbox.run(&["init"]).ok());
    let at = daemon::rendezvous(sandbox.home()).unwrap();
    assert!(at.socket.starts_with(&runtime), "{}", at.socket.display());
    let link = sandbox.path("link");
    std::os::unix::fs::symlink(sandbox.root(), &link).unwrap();
    let ask = |name: &str, value: &Path| {
        let mut command = Command::new(binary("sm"));
        command
            .args(["daemon", "status", "--json", "--no-autostart"])
            .env_clear()
            .env("TMPDIR", "/nowhere")
            .env(name, value);
        let answer = skillmeat_tests::home::output(command).ok().json();
        assert_eq!(text(&answer["instance"]), at.instance);
    };
    ask("SKILLMEAT_HOME", sandbox.home().root());
    ask("HOME", sandbox.root());
    ask("HOME", &link);
    ask("SKILLMEAT_HOME", &link.join(".skillmeat"));
}

#[test]
fn a_pipe_after_a_cold_start_ends() {
    let sandbox = Sandbox::new();
    drop(sandbox.run(&["init"]).ok());
    sandbox.stop();
    let script = format!("'{}' list --json | cat", binary("sm").display());
    let mut command = sandbox.command(Path::new("/bin/sh"));
    command.args(["-c", &script]);
    let answer = skillmeat_tests::home::output(command).ok();
    assert_eq!(answer.json()["total"], 0);
    assert_eq!(daemon::processes(sandbox.home().root()).len(), 1);
}

#[test]
fn a_daemon_in_another_mount_namespace_is_told_apart() {
    let sandbox = Sandbox::new();
    let runtime = sandbox.path("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    let unshared = |script: &str| {
        let mut command = sandbox.command(Path::new("/usr/bin/unshare"));
        command.args(["-rm", "sh", "-c", script]);
        command.env("XDG_RUNTIME_DIR", &runtime);
        command
    };
    let mount = format!("mount -t tmpfs -o mode=700 none '{}'", runtime.display());
    let can = unshared(&mount).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system lets nobody make a mount namespace");
        return;
    }
    let script = format!("{mount} && exec '{}'", binary("skillmeatd").display());
    let mut child = unshared(&script).stdout(Stdio::null()).spawn().unwrap();
    let at = until("the daemon", || daemon::rendezvous(sandbox.home()));
    assert!(at.socket.starts_with(&runtime) && !at.socket.exists());
    let error = sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "daemon.unreachable_owner");
    assert!(
        error["hints"].to_string().contains("container"),
        "{error:#}"
    );
    // Nothing of it was touched, and no second one lives.
    assert_eq!(daemon::rendezvous(sandbox.home()), Some(at));
    assert_eq!(child.try_wait().unwrap(), None);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    until("the end of the daemon", || child.try_wait().unwrap());
}

#[test]
fn two_homes_share_one_collection_and_lose_nothing() {
    let (mut one, mut two) = (Sandbox::new(), Sandbox::new());
    let shared = one.path("shared");
    write(
        shared.join("collection.toml"),
        "[collection]\nname = \"shared\"\n",
    );
    for sandbox in [&mut one, &mut two] {
        sandbox.set("SKILLMEAT_COLLECTION_PATH", shared.to_str().unwrap());
        drop(sandbox.run(&["init"]).ok());
    }
    for n in 0..6 {
        let children: Vec<_> = [&one, &two]
            .iter()
            .enumerate()
            .map(|(who, sandbox)| {
                let name = format!("s{n}-{who}");
                let source = skill(&sandbox.path("src"), &name, "Shared");
                let path = source.to_str().unwrap();
                sandbox
                    .sm(&["add", path, "--collection", "shared"])
                    .spawn()
                    .unwrap()
            })
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
    }
    let manifest = std::fs::read_to_string(shared.join("collection.toml")).unwrap();
    assert_eq!(manifest.matches("[[artifacts]]").count(), 12, "{manifest}");
    for sandbox in [&one, &two] {
        until("all twelve", || {
            let list = sandbox.json(&["list", "--collection", "shared"]);
            (list["total"] == 12).then_some(())
        });
    }
}

#[test]
fn the_journal_gets_levels_and_no_times() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("journal");
    let file = std::fs::File::create(&path).unwrap();
    let found = file.metadata().unwrap();
    let mut child = sandbox
        .command(&binary("skillmeatd"))
        .env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()))
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .unwrap();
    until("the daemon", || daemon::rendezvous(sandbox.home()));
    sandbox.signal(Signal::TERM);
    until("the end of the daemon", || child.try_wait().unwrap());
    let journal = std::fs::read_to_string(&path).unwrap();
    assert!(journal.lines().count() > 1, "{journal}");
    for line in journal.lines() {
        assert!(
            line.starts_with("<6>INFO ") || line.starts_with("<4>WARN "),
            "{line}"
        );
    }
    // The file has the same, with times.
    assert!(log(&sandbox).lines().all(|line| line.starts_with("20")));
}

#[test]
fn who_does_not_know_whether_a_change_stands_is_not_told_to_make_it_again() {
    let (sandbox, file) = prepared();
    let source = skill(&sandbox.path("src"), "one", "Good");
    sandbox.json(&["add", source.to_str().unwrap()]);
    write(&file, "change.placed=kill");
    let error = sandbox.fails(&["set", "one", "author=Me"], 7);
    write(&file, "");
    let told = "all of the change stands, or nothing of it: `sm log` tells";
    assert_eq!(error["hints"], serde_json::json!([told]), "{error}");
    // The rows follow once the next daemon has looked.
    sandbox.shows("one", "its author", |shown| shown["author"] == "Me");
}
