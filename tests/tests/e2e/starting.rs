//! Starting: one daemon of many serves, whatever stands in the place of its socket.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use skillmeat_tests::home::{binary, skill, text, write};
use skillmeat_tests::{Sandbox, daemon, until};

#[test]
fn fifty_clients_on_a_cold_home_start_one_daemon() {
    let sandbox = Sandbox::from_fixture("git");
    let children: Vec<_> = (0..50)
        .map(|_| {
            let mut command = sandbox.sm(&["status", "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut instances = BTreeSet::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        instances.insert(text(&status["daemon"]["instance"]));
        // However early it was asked, one answer says one thing.
        let each = status["collections"].as_array().unwrap();
        let of_each = |one: &serde_json::Value| one["artifacts"].as_u64().unwrap();
        let sum: u64 = each.iter().map(of_each).sum();
        assert_eq!(status["artifacts"], sum, "{status:#}");
    }
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(daemon::processes(sandbox.home().root()).len(), 1);
}

#[test]
fn whatever_stands_in_the_place_of_the_socket() {
    let sandbox = Sandbox::initialised();
    let socket = daemon::rendezvous(sandbox.home()).unwrap().socket;
    sandbox.kill();
    // Left behind by the one that was killed.
    assert!(socket.exists());
    sandbox.ready();
    sandbox.stop();
    assert!(!socket.exists());
    write(&socket, "a regular file");
    sandbox.ready();
    sandbox.stop();
    drop(UnixListener::bind(&socket).unwrap());
    sandbox.ready();
    sandbox.stop();
    // Rubbish where the daemon says where it is.
    write(sandbox.home().rendezvous(), "{ rubbish");
    sandbox.ready();
    sandbox.stop();
    write(sandbox.home().lock_file(), "4000000000 rubbish\0\0");
    sandbox.ready();
}

#[test]
fn whatever_takes_the_place_of_a_killed_daemons_socket() {
    let sandbox = Sandbox::initialised();
    let killed = || {
        let socket = daemon::rendezvous(sandbox.home()).unwrap().socket;
        sandbox.kill();
        let lock = File::open(sandbox.home().lock_file()).unwrap();
        until("the lock of the killed one", || lock.try_lock_shared().ok());
        std::fs::remove_file(&socket).unwrap();
        socket
    };
    let is_served = |command: &[&str]| {
        sandbox.json(command);
        assert_eq!(sandbox.ready()["daemon"]["running"], true);
    };
    write(killed(), "a regular file");
    is_served(&["list"]);
    let socket = killed();
    std::os::unix::fs::symlink("/nowhere", &socket).unwrap();
    let error = sandbox.fails(&["list"], 7);
    assert_eq!(error["code"], "daemon.socket_path");
    std::fs::remove_file(&socket).unwrap();
    is_served(&["daemon", "start"]);
    // Somebody who listens, and says nothing; or something else.
    for words in [None, Some("HTTP/1.1 400 Bad Request\r\n\r\n")] {
        for command in [&["list"][..], &["daemon", "restart", "--force"]] {
            let socket = killed();
            let foreign = UnixListener::bind(&socket).unwrap();
            std::fs::set_permissions(&socket, Permissions::from_mode(0o600)).unwrap();
            std::thread::spawn(move || {
                let taken = foreign.incoming().flatten().map(|mut stream| {
                    drop(words.map(|words| stream.write_all(words.as_bytes())));
                    stream
                });
                taken.collect::<Vec<_>>()
            });
            is_served(command);
        }
    }
}

#[test]
fn of_daemons_that_start_at_once_one_serves() {
    let sandbox = Sandbox::initialised();
    sandbox.stop();
    let mut started: Vec<_> = (0..20)
        .map(|_| {
            let mut command = sandbox.command(&binary("skillmeatd"));
            command.arg("--home").arg(sandbox.home().root());
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    until("all but one to stand down", || {
        started.retain_mut(|one| match one.try_wait().unwrap() {
            Some(status) => {
                assert_eq!(status.code(), Some(75));
                false
            }
            None => true,
        });
        (started.len() == 1).then_some(())
    });
    assert_eq!(sandbox.ready()["daemon"]["pid"], started[0].id());
    sandbox.stop();
    assert_eq!(started[0].wait().unwrap().code(), Some(0));
}

#[test]
fn what_stands_in_the_place_of_the_rendezvous_is_to_be_moved_away() {
    let sandbox = Sandbox::initialised();
    sandbox.stop();
    let place = sandbox.home().rendezvous();
    std::fs::create_dir(&place).unwrap();
    for args in [
        &["list"][..],
        &["daemon", "start"],
        &["daemon", "restart", "--force"],
    ] {
        let error = sandbox.fails(args, 5);
        assert!(text(&error["message"]).contains("daemon.json"), "{error}");
        let hint = text(&error["hints"][0]);
        assert!(hint.starts_with("move what stands there away"), "{error}");
        assert!(hint.ends_with("`sm daemon restart`"), "{error}");
    }
    std::fs::remove_dir(&place).unwrap();
    sandbox.ready();
}

#[test]
fn what_changed_while_no_daemon_ran_is_found_by_the_first_that_asks() {
    let sandbox = Sandbox::initialised();
    let manifest = sandbox.collection("default", "collection.toml");
    sandbox.json(&["group", "create", "Old"]);
    let mut before = "Old".to_owned();
    for round in 0..5 {
        let (name, group) = (format!("new{round}"), format!("Group {round}"));
        sandbox.ready();
        sandbox.stop();
        let text = std::fs::read_to_string(&manifest).unwrap();
        let renamed = text.replace(&format!("\"{before}\""), &format!("\"{group}\""));
        write(&manifest, renamed);
        drop(sandbox.json(&["group", "show", &group]));
        before = group;
        sandbox.stop();
        let skills = sandbox.collection("default", "skills");
        let place = skill(&skills, &name, "By hand");
        assert_eq!(sandbox.show(&name)["name"], *name);
        sandbox.stop();
        write(
            place.join("SKILL.md"),
            format!("---\nname: {name}\ndescription: By hand\ntags: [tag{round}]\n---\n"),
        );
        drop(sandbox.json(&["tag", "show", &format!("tag{round}")]));
        sandbox.stop();
        let too = format!("{name}-too");
        skill(&skills, &too, "By hand");
        // A change looks for it as well.
        drop(sandbox.json(&["remove", &too, "--yes"]));
        assert!(!skills.join(&too).exists());
        // What is nowhere still is not.
        sandbox.stop();
        let error = sandbox.fails(&["show", "nowhere"], 3);
        assert_eq!(error["code"], "artifact.not_found");
    }
}
