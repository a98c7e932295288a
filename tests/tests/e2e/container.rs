//! The daemon as in a container: in the foreground, with next to no environment, and as the first process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use skillmeat_tests::home::{binary, copy, output};
use skillmeat_tests::{Sandbox, Stream, daemon, until};

/// A stream of a command's lines.
fn stream(mut command: Command) -> Stream {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    Stream::new(command.spawn().unwrap())
}

#[test]
fn it_needs_no_environment_at_all() {
    let sandbox = Sandbox::new();
    let home = sandbox.home().root().to_str().unwrap().to_owned();
    let bare = |program: &str, args: &[&str]| {
        let mut command = Command::new(binary(program));
        command.env_clear().args(args).args(["--home", &home]);
        command.current_dir("/").stdin(Stdio::null());
        command
    };
    let mut served = stream(bare("skillmeatd", &[]));
    let line = served.line();
    assert!(line.contains(&home), "{line}");
    let at = daemon::rendezvous(sandbox.home()).unwrap();
    assert_eq!((at.manager.as_str(), at.pid), ("foreground", served.pid()));
    for args in [&["init"][..], &["list"], &["status"], &["daemon", "status"]] {
        drop(output(bare("sm", args)).ok());
    }
    // No command starts another one, and the end is told to whoever runs the container.
    assert_eq!(
        daemon::rendezvous(sandbox.home()).unwrap().pid,
        served.pid()
    );
    drop(output(bare("sm", &["daemon", "stop"])).ok());
    assert_eq!(served.wait().code(), Some(0));
}

#[test]
fn a_user_whom_the_system_does_not_know_is_served_without_a_home_folder() {
    let sandbox = Sandbox::new();
    let unknown = |program: &Path, args: &[&str]| {
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--user", "--map-user=54321"]).arg(program);
        command.args(args).env_clear().current_dir("/");
        command.env("SKILLMEAT_HOME", sandbox.home().root());
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let tried = unknown("/bin/true".as_ref(), &[]).status();
    if !tried.is_ok_and(|status| status.success()) {
        println!("skipped: no name spaces for users on this machine");
        return;
    }
    for args in [
        &["init"][..],
        &["list"],
        &["daemon", "restart"],
        &["daemon", "restart", "--force"],
        &["daemon", "stop"],
        &["cache", "refresh"],
        &["doctor"],
        &["daemon", "stop"],
    ] {
        drop(output(unknown(&binary("sm"), args)).ok());
    }
}

/// A command that runs `skillmeatd` as the first process of a container, if this machine lets us.
fn first_process(sandbox: &Sandbox) -> Option<Command> {
    let unshare = || {
        let mut command = sandbox.command("/usr/bin/unshare".as_ref());
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-current-user"]);
        }
        command.args(["--pid", "--mount-proc", "--fork", "--kill-child"]);
        command
    };
    let mut tried = unshare();
    tried.arg("/bin/true").stderr(Stdio::null());
    if !tried.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = unshare();
    command.arg(binary("skillmeatd"));
    Some(command)
}

#[test]
fn as_the_first_process_it_serves_and_ends_when_told() {
    let sandbox = Sandbox::new();
    let Some(command) = first_process(&sandbox) else {
        println!("skipped: no name spaces for processes on this machine");
        return;
    };
    let mut container = stream(command);
    assert!(container.line().contains("serving"));
    assert_eq!(daemon::rendezvous(sandbox.home()).unwrap().pid, 1);
    // From outside the socket is reached all the same.
    drop(sandbox.run(&["init"]).ok());
    let status = sandbox.json(&["daemon", "status"]);
    assert_eq!(
        (&status["pid"], &status["manager"]),
        (&1.into(), &"foreground".into())
    );
    // A first process is ended by no signal that it does not handle.
    let [pid] = daemon::processes(sandbox.home().root())[..] else {
        panic!("one daemon");
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(container.wait().code(), Some(0));
    until("a home that was left in order", || {
        let left = daemon::rendezvous(sandbox.home());
        left.is_none().then_some(())
    });
}

/// A folder that holds the two programs and the libraries that they load, and nothing else.
fn image(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path("image");
    for folder in ["bin", "volume", "proc", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for program in ["sm", "skillmeatd"] {
        copy(&binary(program), &root.join("bin").join(program));
        let mut ldd = Command::new("/usr/bin/ldd");
        ldd.arg(binary(program));
        for path in output(ldd).ok().stdout.split_whitespace() {
            if path.starts_with('/') {
                let place = root.join(path.trim_start_matches('/'));
                std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                copy(Path::new(path), &place);
            }
        }
    }
    root
}

#[test]
fn an_image_needs_nothing_but_the_programs() {
    let sandbox = Sandbox::new();
    let inside = |root: &Path, program: &str| {
        let mut command = Command::new("/usr/bin/unshare");
        command.env_clear().env("PATH", "/bin");
        command.env("SKILLMEAT_HOME", "/volume");
        command.args(["--map-root-user", "--root"]).arg(root);
        command.arg(program).stdin(Stdio::null());
        command
    };
    let mut tried = inside(Path::new("/"), "/bin/true");
    tried.stderr(Stdio::null());
    if !Path::new("/usr/bin/ldd").exists() || !tried.status().is_ok_and(|status| status.success()) {
        println!("skipped: no name spaces for users on this machine");
        return;
    }
    let root = image(&sandbox);
    let mut served = stream(inside(&root, "/bin/skillmeatd"));
    let line = served.line();
    assert!(line.contains("serving /volume on /volume/run/"), "{line}");
    let sm = |args: &[&str]| {
        let mut command = inside(&root, "/bin/sm");
        command.args(args);
        output(command)
    };
    drop(sm(&["init"]).ok());
    let doctor = sm(&["doctor", "--json"]).ok().json();
    assert_eq!(doctor["errors"], 0, "{doctor:#}");
    assert_eq!(doctor["daemon"]["manager"], "foreground");
    drop(sm(&["service", "install"]).exits(5));
    drop(sm(&["daemon", "stop"]).ok());
    assert_eq!(served.wait().code(), Some(0));
}
