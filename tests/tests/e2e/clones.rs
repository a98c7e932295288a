//! Clones that are collections: while they are fetched, and when they go again.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{text, write};
use skillmeat_tests::repository::git;
use skillmeat_tests::wait::until_true;

use crate::repositories::{import, leftovers, shared};

/// A server that takes a connection and never says anything; what comes in is read to its end.
fn deaf_server() -> (String, Receiver<()>, JoinHandle<()>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/team.git", server.local_addr().unwrap());
    let (asked, is_asked) = sync_channel(1);
    let until_left = std::thread::spawn(move || {
        let (mut connection, _) = server.accept().unwrap();
        connection.read_exact(&mut [0; 4]).unwrap();
        asked.send(()).unwrap();
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).ok();
    });
    (url, is_asked, until_left)
}

#[test]
fn fetching_ends_when_nobody_waits_for_it_any_more() {
    let sandbox = Sandbox::initialised();
    sandbox.stop();
    write(
        sandbox.home().config(),
        "[daemon]\ndrain_timeout = \"1s\"\n",
    );
    let ends: [(&str, &dyn Fn(u32)); 3] = [
        ("ctrl-c", &|pid| send(pid, Signal::INT)),
        ("kill -9", &|pid| send(pid, Signal::KILL)),
        ("the end of the daemon", &|_| sandbox.stop()),
    ];
    for (what, end) in ends {
        let (url, is_asked, until_left) = deaf_server();
        let mut importing = sandbox.stream(&["collection", "import", &url]);
        is_asked.recv_timeout(Duration::from_secs(30)).unwrap();
        let room = std::fs::read_dir(sandbox.home().unpacked()).unwrap();
        assert_eq!(room.count(), 1, "{what}");
        let since = Instant::now();
        end(importing.pid());
        // Git has a connection, and what it has made is in the way of nobody.
        until_left.join().unwrap();
        until_true("the leftovers to be gone", || leftovers(&sandbox) == 0);
        let took = since.elapsed();
        assert!(took < Duration::from_secs(10), "{what}: {took:?}");
        assert!(!importing.wait().success(), "{what}");
        assert!(!sandbox.collection("team", "").exists(), "{what}");
    }
    let log = sandbox.json(&["log"]).to_string();
    assert!(!log.contains("collection.import"), "{log}");
    // And all lanes are free.
    let url = format!("file://{}", shared(&sandbox).display());
    assert_eq!(import(&sandbox, &url)["collection"], "team");
}

/// What is done in a clone, how, and the path that is in the way then.
type Work<'a> = (&'a str, &'a dyn Fn(), Option<&'a str>);

#[test]
fn what_git_does_for_itself_is_not_in_the_way_of_undoing_an_import() {
    let sandbox = Sandbox::initialised();
    let url = format!("file://{}", shared(&sandbox).display());
    let clone = sandbox.collection("team", "");
    let file = clone.join("skills/one/SKILL.md");
    let work: [Work<'_>; 7] = [
        (
            "upkeep",
            &|| {
                // So old that the index is written anew with how the file looks.
                let long_ago = std::fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
                let opened = std::fs::File::options().write(true).open(&file).unwrap();
                opened.set_times(long_ago).unwrap();
                git(&clone, &["status"]);
                git(&clone, &["gc", "-q", "--prune=now"]);
                assert!(clone.join(".git/packed-refs").is_file());
            },
            None,
        ),
        (
            "a commit",
            &|| {
                git(&clone, &["commit", "-q", "--allow-empty", "-m", "x"]);
            },
            Some("`.git/refs/heads/main`"),
        ),
        (
            "a branch",
            &|| {
                git(&clone, &["branch", "other"]);
            },
            Some("`.git/refs/heads/other`"),
        ),
        (
            "a stash",
            &|| {
                write(&file, "mine");
                git(&clone, &["stash", "-q"]);
            },
            Some("`.git/refs/stash`"),
        ),
        (
            "what is staged",
            &|| {
                let before = std::fs::read(&file).unwrap();
                write(&file, "mine");
                git(&clone, &["add", "-A"]);
                write(&file, before);
            },
            Some("`.git/index`"),
        ),
        (
            "the config",
            &|| {
                git(&clone, &["config", "user.name", "me"]);
            },
            Some("`.git/config`"),
        ),
        (
            "the work tree",
            &|| write(&file, "mine"),
            Some("`skills/one/SKILL.md`"),
        ),
    ];
    for (what, work, in_the_way) in work {
        let operation = text(&import(&sandbox, &url)["operation"]);
        work();
        if let Some(path) = in_the_way {
            let error = sandbox.fails(&["undo", &operation], 4);
            let message = text(&error["message"]);
            assert!(
                error["code"] == "operation.superseded" && message.contains(path),
                "{what}: {error}"
            );
            assert!(clone.exists(), "{what}");
            sandbox.json(&["collection", "delete", "team", "--yes"]);
        } else {
            sandbox.json(&["undo", &operation]);
        }
        assert!(!clone.exists(), "{what}");
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}
