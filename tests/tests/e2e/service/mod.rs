//! The daemon as a service: a stand-in for systemd takes the place of the real one, and runs the real
//! programs as the unit says.

mod filter;

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use skillmeat_shared::version::VARIABLE;
use skillmeat_tests::home::{binary, copy, output, text, write};
use skillmeat_tests::{Sandbox, daemon};

use crate::versions::age;

/// A user with a service manager.
struct User {
    sandbox: Sandbox,
    manager: PathBuf,
}

impl User {
    fn new() -> Self {
        let mut sandbox = Sandbox::initialised();
        let manager = sandbox.path("manager");
        let program = |name: &str, script: &str| {
            let path = manager.join(name);
            write(&path, script);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        };
        program("systemctl", include_str!("systemctl.sh"));
        program("loginctl", "#!/bin/sh\necho no\n");
        sandbox.set("PATH", &format!("{}:/usr/bin:/bin", manager.display()));
        Self { sandbox, manager }
    }

    fn installed() -> Self {
        let user = Self::new();
        user.sandbox.json(&["service", "install"]);
        user
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.sandbox.path(&format!(".config/systemd/user/{name}"))
    }

    fn status(&self) -> Value {
        self.sandbox.json(&["service", "status"])
    }

    /// What the manager was asked since the last look, questions aside.
    fn asked(&self) -> Vec<String> {
        let calls = self.manager.join("calls");
        let all = std::fs::read_to_string(&calls).unwrap_or_default();
        std::fs::remove_file(&calls).ok();
        all.lines()
            .map(|line| {
                line.trim_start_matches("--user --no-ask-password ")
                    .to_owned()
            })
            .filter(|line| !line.starts_with("show"))
            .collect()
    }

    /// Who runs the daemon that serves now.
    fn runs(&self) -> String {
        text(&self.sandbox.json(&["daemon", "status"])["manager"])
    }

    /// Who runs it after a command that needs one.
    fn runs_after_a_command(&self) -> String {
        drop(self.sandbox.run(&["list"]).ok());
        self.runs()
    }

    fn processes(&self) -> usize {
        daemon::processes(self.sandbox.home().root()).len()
    }

    fn set(&self, flag: &str) {
        write(self.manager.join(flag), "");
    }
}

#[test]
fn an_installed_service_takes_over_and_runs_the_daemon() {
    let user = User::new();
    assert_eq!(user.runs(), "auto");
    let status = user.status();
    assert_eq!(
        (&status["installed"], &status["reachable"]),
        (&false.into(), &true.into())
    );
    let installed = user.sandbox.json(&["service", "install"]);
    assert_eq!(installed["files"][0]["action"], "create");
    assert_eq!(installed["linger"], false);
    assert_eq!((user.runs().as_str(), user.processes()), ("systemd", 1));
    assert_eq!(
        user.asked(),
        [
            "daemon-reload",
            "reset-failed skillmeatd.socket skillmeatd.service",
            "enable skillmeatd.socket skillmeatd.service",
            "restart skillmeatd.socket skillmeatd.service",
        ]
    );
    let variables = std::fs::read_to_string(user.manager.join("variables")).unwrap();
    assert!(!variables.contains("SKILLMEAT_HOME"), "{variables}");
    let status = user.status();
    for key in ["installed", "reachable", "enabled", "active"] {
        assert_eq!(status[key], true, "{key}: {status}");
    }
    for key in ["edited", "moved", "linger"] {
        assert_eq!(status[key], false, "{key}: {status}");
    }
    assert_eq!(status["problems"].as_array().unwrap().len(), 0, "{status}");
    let told = user.sandbox.run(&["service", "status", "--dry-run"]).ok();
    assert!(
        told.stdout.contains("active (running), enabled"),
        "{}",
        told.stdout
    );

    // A second time nothing is to be done, and nothing is disturbed.
    let pid = user.sandbox.pid();
    user.asked();
    let again = user.sandbox.json(&["service", "install"]);
    assert_eq!(again["files"][1]["action"], "unchanged");
    assert_eq!(user.sandbox.pid(), pid);
    assert!(!user.asked().contains(&"daemon-reload".to_owned()));

    let removed = user.sandbox.json(&["service", "uninstall"]);
    assert_eq!(removed["files"][1]["action"], "remove");
    assert_eq!(user.processes(), 0);
    assert!(!user.unit("skillmeatd.service").exists() && !user.unit("skillmeatd.socket").exists());
    assert_eq!(user.runs_after_a_command(), "auto");
    let again = user.sandbox.run(&["service", "uninstall"]).ok();
    assert!(again.stderr.contains("no service"), "{}", again.stderr);
}

#[test]
fn commands_start_and_stop_the_daemon_through_its_manager() {
    let user = User::installed();
    user.asked();
    drop(user.sandbox.run(&["daemon", "stop"]).ok());
    assert_eq!(user.asked(), ["stop skillmeatd.service"]);
    assert_eq!(user.processes(), 0);

    assert_eq!(user.runs_after_a_command(), "systemd");
    assert_eq!(
        user.asked(),
        [
            "reset-failed skillmeatd.socket skillmeatd.service",
            "start skillmeatd.service"
        ]
    );
    let first = user.sandbox.pid();
    // Ended by force it would be started again: the manager has to do it.
    user.sandbox.signal(Signal::STOP);
    drop(user.sandbox.run(&["daemon", "restart", "--force"]).ok());
    assert_ne!(user.sandbox.pid(), first);
    assert_eq!((user.runs().as_str(), user.processes()), ("systemd", 1));
    assert_eq!(user.asked()[0], "stop skillmeatd.service");
    drop(user.sandbox.run(&["daemon", "stop"]).ok());
    drop(user.sandbox.run(&["daemon", "start"]).ok());
    assert_eq!(user.runs(), "systemd");
}

#[test]
fn an_older_daemon_of_the_manager_is_replaced_by_the_manager() {
    let mut user = User::new();
    user.sandbox.set(VARIABLE, "0.1.0");
    write(user.manager.join("pretend"), "0.1.0");
    user.sandbox.json(&["service", "install"]);
    age(&user.sandbox);
    write(user.manager.join("pretend"), "0.2.0");
    user.sandbox.set(VARIABLE, "0.2.0");
    // While the manager can't be reached the older one serves on, and is not stopped by whoever could not start it.
    user.set("no-bus");
    drop(user.sandbox.run(&["list"]).ok());
    let error = user.sandbox.fails(&["daemon", "restart"], 7);
    assert!(error["hints"].to_string().contains("sm service uninstall"));
    let of = |user: &User| text(&user.sandbox.json(&["daemon", "status"])["version"]);
    assert_eq!(of(&user), "0.1.0");
    std::fs::remove_file(user.manager.join("no-bus")).unwrap();
    user.asked();
    drop(user.sandbox.run(&["list"]).ok());
    assert_eq!(
        (of(&user).as_str(), user.runs().as_str()),
        ("0.2.0", "systemd")
    );
    let asked = user.asked();
    assert_eq!(asked[0], "stop skillmeatd.service");
    assert_eq!(asked.last().unwrap(), "start skillmeatd.service");
    // And back again by nobody.
    age(&user.sandbox);
    user.sandbox.set(VARIABLE, "0.1.0");
    drop(user.sandbox.run(&["list"]).ok());
    assert!(user.asked().is_empty());
}

#[test]
fn no_daemon_is_started_beside_a_manager_that_cant_be_reached() {
    let user = User::installed();
    user.sandbox.stop();
    user.set("no-bus");
    let error = user.sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "service.unavailable");
    assert!(
        text(&error["message"]).contains("No medium found"),
        "{error}"
    );
    assert!(error["hints"].to_string().contains("sm service uninstall"));
    assert_eq!(user.processes(), 0);
    let told = user.sandbox.run(&["daemon", "status"]).exits(7).stderr;
    assert!(told.contains("no command can start it"), "{told}");
    let status = user.status();
    assert_eq!(
        (&status["reachable"], &status["active"]),
        (&false.into(), &Value::Null)
    );
    assert!(!status["problems"].as_array().unwrap().is_empty());

    // Its files go all the same, with the links by which it is started at a login.
    let link = user.unit("default.target.wants/skillmeatd.service");
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(user.unit("skillmeatd.service"), &link).unwrap();
    drop(user.sandbox.run(&["service", "uninstall"]).ok());
    assert!(link.symlink_metadata().is_err());
    assert_eq!(user.runs_after_a_command(), "auto");
}

#[test]
fn where_no_manager_runs_nothing_is_installed() {
    let mut user = User::new();
    user.set("no-bus");
    for path in [user.manager.clone(), user.sandbox.path("empty")] {
        user.sandbox
            .set("PATH", &format!("{}:/bin", path.display()));
        // `/bin` may hold the real one, which finds no session of this user either.
        let error = user.sandbox.fails(&["service", "install"], 7);
        assert_eq!(error["code"], "service.unavailable");
        assert!(error["hints"].to_string().contains("container"), "{error}");
    }
    user.sandbox.set("PATH", "/nowhere");
    let error = user.sandbox.fails(&["service", "install"], 7);
    assert!(text(&error["message"]).contains("not installed"), "{error}");
    assert!(!user.sandbox.path(".config").exists());
    assert_eq!(user.status()["installed"], false);
    assert_eq!(user.runs(), "auto", "the daemon of before runs on");
}

#[test]
fn a_unit_that_a_person_changed_is_left_alone() {
    let user = User::installed();
    let unit = user.unit("skillmeatd.service");
    let ours = std::fs::read_to_string(&unit).unwrap();
    let mine = ours.replace("MemoryMax=3072M", "MemoryMax=1G");
    write(&unit, &mine);
    assert_eq!(user.status()["edited"], true);
    for command in ["install", "uninstall"] {
        let error = user.sandbox.fails(&["service", command], 4);
        assert_eq!(error["code"], "service.edited");
        assert_eq!(std::fs::read_to_string(&unit).unwrap(), mine);
    }
    user.sandbox.json(&["service", "install", "--force"]);
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), ours);
    let saved = std::fs::read_to_string(unit.with_extension("service.saved")).unwrap();
    assert_eq!(saved, mine);

    // One that `sm` never wrote is removed by nobody but its owner.
    write(&unit, "[Service]\nExecStart=/usr/bin/skillmeatd\n");
    let error = user.sandbox.fails(&["service", "uninstall", "--force"], 4);
    assert_eq!(error["code"], "service.edited");
    assert!(unit.exists());
}

#[test]
fn a_dry_run_shows_everything_and_does_nothing() {
    let user = User::new();
    let before = user.sandbox.pid();
    let told = user.sandbox.run(&["service", "install", "--dry-run"]).ok();
    for part in [
        "would write",
        "ExecStart=",
        "ListenStream=",
        "systemctl --user",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
    assert!(user.asked().is_empty());
    assert!(!user.sandbox.path(".config").exists());
    assert_eq!(user.sandbox.pid(), before);
    user.sandbox.json(&["service", "install"]);
    user.asked();
    let told = user.sandbox.json(&["service", "uninstall", "--dry-run"]);
    assert_eq!(told["files"][0]["action"], "remove");
    assert!(user.asked().is_empty() && user.unit("skillmeatd.service").exists());
}

#[test]
fn a_program_that_has_moved_is_told_and_mended() {
    let mut user = User::installed();
    let moved = user.sandbox.path("new place/skillmeatd");
    std::fs::create_dir(moved.parent().unwrap()).unwrap();
    copy(&binary("skillmeatd"), &moved);
    user.sandbox.set("SKILLMEATD", moved.to_str().unwrap());
    let status = user.status();
    assert_eq!(status["moved"], true);
    assert_eq!(text(&status["expected_program"]), moved.to_str().unwrap());
    assert!(
        status["problems"][0]["hint"]
            .to_string()
            .contains("sm service install")
    );
    let changed = user.sandbox.json(&["service", "install"]);
    assert_eq!(changed["files"][1]["action"], "replace");
    let pid = user.sandbox.pid();
    assert_eq!(
        std::fs::read_link(format!("/proc/{pid}/exe")).unwrap(),
        moved
    );
    assert_eq!(user.status()["moved"], false);

    // Only by force, if a person changed the unit.
    let unit = user.unit("skillmeatd.service");
    let mine = std::fs::read_to_string(&unit).unwrap() + "# mine\n";
    write(&unit, &mine);
    let there = binary("skillmeatd");
    user.sandbox.set("SKILLMEATD", there.to_str().unwrap());
    user.sandbox.fails(&["service", "install"], 4);
    let hint = text(&user.status()["problems"][0]["hint"]);
    assert!(hint.contains("`sm service install --force`"), "{hint}");
    user.sandbox.json(&["service", "install", "--force"]);
    assert_eq!(user.status()["moved"], false);
}

#[test]
fn a_service_that_does_not_start_is_taken_back() {
    let user = User::new();
    user.set("broken");
    let error = user.sandbox.fails(&["service", "install"], 7);
    assert_eq!(error["code"], "service.failed");
    assert!(text(&error["message"]).contains("bad unit file"), "{error}");
    assert!(!user.unit("skillmeatd.service").exists());
    assert_eq!(user.runs_after_a_command(), "auto");
}

#[test]
fn a_service_that_only_says_that_it_runs_is_taken_back() {
    let user = User::new();
    user.set("idle");
    let error = user.sandbox.fails(&["service", "install"], 7);
    assert_eq!(error["code"], "service.failed", "{error}");
    assert!(error["hints"].to_string().contains("taken back"), "{error}");
    assert!(!user.unit("skillmeatd.service").exists());
    assert_eq!(user.runs_after_a_command(), "auto");
}

#[test]
fn a_manager_that_only_says_that_it_started_the_daemon_is_named() {
    let user = User::installed();
    user.sandbox.stop();
    user.set("idle");
    let error = user.sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "service.failed", "{error}");
    assert!(
        error["hints"].to_string().contains("sm daemon run"),
        "{error}"
    );
}

#[test]
fn what_keeps_the_daemon_from_starting_is_told_in_its_own_words() {
    let user = User::installed();
    let socket = daemon::rendezvous(user.sandbox.home()).unwrap().socket;
    user.sandbox.stop();
    std::fs::create_dir(&socket).unwrap();
    let error = user.sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "daemon.socket_path", "{error}");
    std::fs::remove_dir(&socket).unwrap();
    assert_eq!(user.runs_after_a_command(), "systemd");
}

#[test]
fn a_daemon_in_the_foreground_is_not_ended_for_a_service() {
    let user = User::new();
    user.sandbox.stop();
    let mut foreground = user.sandbox.stream(&["daemon", "run"]);
    assert!(foreground.line().contains("serving"));
    let error = user.sandbox.fails(&["service", "install"], 7);
    assert_eq!(error["code"], "daemon.already_running");
    assert!(!user.unit("skillmeatd.service").exists());
    assert_eq!(user.runs(), "foreground");
}

#[test]
fn another_home_has_another_service() {
    let user = User::installed();
    let other = user.sandbox.path("other");
    let other = other.to_str().unwrap();
    drop(user.sandbox.run(&["init", "--home", other]).ok());
    let at = user.sandbox.json(&["daemon", "status", "--home", other]);
    assert_eq!(
        at["manager"], "auto",
        "the service of the first home is not asked"
    );
    let status = user.sandbox.json(&["service", "status", "--home", other]);
    assert!(text(&status["name"]).starts_with("skillmeatd-"), "{status}");
    assert_eq!(status["installed"], false);
    drop(user.sandbox.run(&["daemon", "stop", "--home", other]).ok());
}

#[test]
fn systemd_itself_finds_nothing_wrong_with_the_units() {
    let tool = Path::new("/usr/bin/systemd-analyze");
    if !tool.exists() {
        println!("skipped: `{}` is not there", tool.display());
        return;
    }
    let mut user = User::new();
    // Whatever a path may hold must reach systemd as it is.
    let odd = user.sandbox.path("a b%h$HOME/skillmeatd");
    std::fs::create_dir(odd.parent().unwrap()).unwrap();
    copy(&binary("skillmeatd"), &odd);
    user.sandbox.set("SKILLMEATD", odd.to_str().unwrap());
    let service = user.sandbox.run(&["service", "install", "--dry-run"]).ok();
    for (name, begins) in [
        ("skillmeatd.socket", "ListenStream="),
        ("skillmeatd.service", "ExecStart="),
    ] {
        let unit: String = service
            .stdout
            .split("would write")
            .find(|part| part.contains(begins))
            .unwrap()
            .lines()
            .skip(1)
            .filter_map(|line| line.strip_prefix("    "))
            .flat_map(|line| [line, "\n"])
            .collect();
        write(user.unit(name), unit);
    }
    std::fs::create_dir(user.sandbox.path("run")).unwrap();
    let mut command: Command = user.sandbox.command(tool);
    command
        .env("XDG_RUNTIME_DIR", user.sandbox.path("run"))
        .args(["--user", "--man=no", "verify"])
        .args([
            user.unit("skillmeatd.socket"),
            user.unit("skillmeatd.service"),
        ]);
    let verified = output(command).ok();
    // Versions before 254 know no growing delays, and go on without.
    let complaints: Vec<&str> = verified
        .stderr
        .lines()
        .filter(|line| line.contains("skillmeatd"))
        .filter(|line| !line.contains("'RestartSteps'") && !line.contains("'RestartMaxDelaySec'"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_doctor_looks_at_the_service() {
    let user = User::installed();
    let codes = || -> Vec<String> {
        let seen = user.sandbox.json(&["doctor"]);
        let all = seen["findings"].as_array().unwrap();
        all.iter().map(|one| text(&one["code"])).collect()
    };
    assert_eq!(codes(), ["service-not-lingering"]);
    user.set("no-bus");
    assert_eq!(codes(), ["service-unsound"]);
    let seen = user.sandbox.json(&["doctor"]);
    let message = text(&seen["findings"][0]["message"]);
    assert!(message.contains("sm service uninstall"), "{message}");
    assert!(!seen["findings"].to_string().contains("sm service install"));
}
