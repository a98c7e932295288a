//! Real disks that are full or read-only: mounted in a namespace of their own, in which the daemon runs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use skillmeat_tests::fault::equals_a_fresh_one;
use skillmeat_tests::fuse::{Disk, OPTIONS};
use skillmeat_tests::home::{binary, codes, skill, write};
use skillmeat_tests::{Sandbox, daemon, until};

fn skipped(why: &str) {
    let line = format!("skipped: {why}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
}

/// A script in a mount namespace of its own; `None`, with a word about it, where the system has none for us.
fn in_namespace(sandbox: &Sandbox, script: &str) -> Option<Command> {
    let unshare = |script: &str| {
        let mut command = sandbox.command(Path::new("/usr/bin/unshare"));
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "/bin/sh", "-ec", script]);
        command
    };
    let probe = "mount -t tmpfs -o size=1m none /mnt && mount --bind /mnt /mnt";
    let works = unshare(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        skipped("this system gives no mount namespaces to this user");
    }
    works.then(|| unshare(script))
}

/// Runs a daemon in the foreground after the script has arranged its disks, and waits until it serves.
fn serve(sandbox: &Sandbox, mut arranged: Command) -> Child {
    let child = arranged
        .arg("sh")
        .arg(binary("skillmeatd"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the daemon in the namespace", || {
        let answer = sandbox.run(&["list", "--json", "--no-autostart"]);
        (answer.code == Some(0)).then_some(())
    });
    child
}

fn end(sandbox: &Sandbox, mut child: Child) {
    drop(sandbox.run(&["daemon", "stop", "--force"]));
    child.wait().unwrap();
    sandbox.kill();
}

#[test]
fn a_disk_that_is_full_and_then_has_room_again() {
    let mut sandbox = Sandbox::watched(crate::BACKEND);
    skill(&sandbox.collection("default", "skills"), "one", "Plain");
    sandbox.stop();
    let disk = sandbox.path("disk");
    std::fs::create_dir(&disk).unwrap();
    sandbox.set("SKILLMEAT_CACHE_PATH", disk.join("cache").to_str().unwrap());
    // Room for the rows that there are, but not for what comes.
    let script = format!(
        "mount -t tmpfs -o size=24m none '{0}'; chmod 700 '{0}'; \
         head -c 22m /dev/zero >'{0}/filler'; exec \"$1\"",
        disk.display()
    );
    let Some(command) = in_namespace(&sandbox, &script) else {
        return;
    };
    let child = serve(&sandbox, command);
    let words: Vec<String> = (0..7_000u32)
        .map(|n| format!("w{:07x}", n.wrapping_mul(2_654_435_761)))
        .collect();
    let body = words.join(" ");
    for n in 0..40 {
        write(
            sandbox.collection("default", &format!("commands/c{n:02}.md")),
            format!("---\ndescription: Number {n}\n---\n{n} {body}"),
        );
    }
    let status = sandbox.status_until("the warning", |status| {
        status["warnings"].to_string().contains("disk-full")
    });
    assert_ne!(status["daemon"]["state"], "degraded", "{status}");
    // What was known before is still told.
    assert_eq!(sandbox.show("one")["description"], "Plain");
    // The disk as the daemon sees it.
    let filler = format!("/proc/{}/root{}/filler", child.id(), disk.display());
    std::fs::remove_file(filler).unwrap();
    // Nobody has to ask for what was missed.
    sandbox.shows("c07", "the new rows", |shown| {
        shown["description"] == "Number 7"
    });
    sandbox.status_until("no warning", |status| {
        !status["warnings"].to_string().contains("disk-full")
    });
    equals_a_fresh_one(&sandbox, "a full disk");
    end(&sandbox, child);
}

/// Runs a script whose last program is the client, which lists, shows and finds the one artifact; then gives what it
/// wrote as JSON. Nothing where this user can't have disks of their own.
fn serves_one<'s>(
    sandbox: &'s Sandbox,
    script: &str,
) -> Option<impl Fn(&str) -> serde_json::Value + 's> {
    let mut command = in_namespace(sandbox, script)?;
    command.arg("sh").arg(binary("sm"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(sandbox.path(name)).unwrap()).unwrap()
    };
    assert_eq!(said("list.json")["total"], 1);
    assert_eq!(said("show.json")["description"], "Plain");
    assert_eq!(said("found.json")["hits"].as_array().unwrap().len(), 1);
    Some(said)
}

#[test]
fn a_daemon_starts_on_a_full_disk_and_serves_what_is_there() {
    // Its disk hides the config, and nothing of it changes.
    if crate::BACKEND == "poll" {
        return;
    }
    let sandbox = Sandbox::new();
    skill(&sandbox.path("src"), "one", "Plain");
    let root = sandbox.home().root().to_owned();
    // Full while it is stopped, and once more after it was killed.
    let script = format!(
        "mkdir -p '{0}'; mount -t tmpfs -o size=24m none '{0}'; chmod 700 '{0}'; exec /bin/sh -c '
            set -e
            sm=$1
            \"$sm\" init
            \"$sm\" add --all src
            \"$sm\" search plain
            \"$sm\" daemon stop
            dd if=/dev/zero of=\"{0}/filler\" bs=4k 2>dd.txt || true
            \"$sm\" list --json >list.json
            \"$sm\" show one --json >show.json
            \"$sm\" search plain --json >found.json
            \"$sm\" doctor --json >doctor.json || true
            if \"$sm\" collection create work --json 2>refused.json; then exit 9; fi
            kill -9 $(\"$sm\" daemon status --json | tr , \"\\n\" | grep -m1 pid | tr -dc 0-9)
            \"$sm\" list --json >again.json
            rm \"{0}/filler\"
            \"$sm\" collection create work
            \"$sm\" daemon stop
        ' sh \"$1\"",
        root.display()
    );
    let Some(said) = serves_one(&sandbox, &script) else {
        return;
    };
    assert_eq!(said("again.json")["total"], 1);
    assert_eq!(said("refused.json")["error"]["code"], "file.disk_full");
    let found = said("doctor.json").to_string();
    assert!(found.contains("disk-space-low"), "{found}");
}

#[test]
fn a_home_on_a_read_only_disk_is_read() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    skill(&sandbox.collection("default", "skills"), "one", "Plain");
    sandbox.status_until("its row", |status| status["artifacts"] == 1);
    sandbox.stop();
    let root = sandbox.home().root().to_owned();
    let script = format!(
        "mount --bind '{0}' '{0}'; mount -o remount,bind,ro '{0}'; exec /bin/sh -c '
            set -e
            sm=$1
            \"$sm\" list --json >list.json
            \"$sm\" show one --json >show.json
            \"$sm\" search plain --json >found.json
            \"$sm\" status --json >status.json
            \"$sm\" doctor --json >doctor.json || true
            if \"$sm\" collection create work --json 2>refused.json; then exit 9; fi
            \"$sm\" snapshot --json 2>kept.json || test $? = 5
            \"$sm\" daemon stop >stop.txt
        ' sh \"$1\"",
        root.display()
    );
    let Some(said) = serves_one(&sandbox, &script) else {
        return;
    };
    assert_eq!(said("kept.json")["error"]["code"], "file.permission");
    let status = said("status.json");
    assert_eq!(codes(&status["warnings"]), ["home-read-only"], "{status}");
    let found = said("doctor.json");
    let found: Vec<String> = codes(&found["findings"])
        .into_iter()
        .filter(|code| code == "not-writable" || code.contains("read-only") || code.contains("log"))
        .collect();
    assert_eq!(found, ["not-writable"]);
    assert_eq!(said("refused.json")["error"]["code"], "file.permission");
    assert!(daemon::processes(&root).is_empty());
    // Where it can be written again, all is as ever.
    sandbox.status_until("its row again", |status| status["artifacts"] == 1);
}

#[test]
fn the_history_of_a_home_on_a_read_only_disk_is_read() {
    // Closed in order; with a log that is left of a kill; none yet.
    for state in ["closed", "killed", "gone"] {
        let sandbox = Sandbox::watched(crate::BACKEND);
        skill(&sandbox.collection("default", "skills"), "one", "Plain");
        sandbox.status_until("its row", |status| status["artifacts"] == 1);
        drop(sandbox.run(&["tag", "add", "red", "one"]).ok());
        drop(sandbox.run(&["snapshot", "as it was"]).ok());
        if state == "killed" {
            sandbox.kill();
        }
        sandbox.stop();
        let history = sandbox.home().history();
        if state == "gone" {
            std::fs::remove_file(&history).unwrap();
        }
        let before = std::fs::read(&history).ok();
        let script = format!(
            "mount --bind '{0}' '{0}'; mount -o remount,bind,ro '{0}'; exec /bin/sh -c '
                set -e
                sm=$1
                for round in 1 2; do
                    \"$sm\" list --json >list.json
                    \"$sm\" show one --json >show.json
                    \"$sm\" search plain --json >found.json
                    \"$sm\" log --json >log.json
                    test {1} = gone || \"$sm\" log show --json >shown.json
                    \"$sm\" snapshot list --json >snapshots.json
                    \"$sm\" snapshot verify --json >verified.json
                    \"$sm\" status --json >status.json
                    if \"$sm\" tag add blue one --json 2>refused.json; then exit 9; fi
                done
                \"$sm\" daemon stop >stop.txt
            ' sh \"$1\"",
            sandbox.home().root().display(),
            state
        );
        let Some(said) = serves_one(&sandbox, &script) else {
            return;
        };
        let count = |name: &str, key: &str| said(name)[key].as_array().unwrap().len();
        let is_kept = state != "gone";
        assert_eq!(count("log.json", "operations") > 0, is_kept, "{state}");
        assert_eq!(count("snapshots.json", "snapshots") > 0, is_kept, "{state}");
        assert_eq!(said("verified.json")["ok"], true, "{state}");
        let warnings = codes(&said("status.json")["warnings"]);
        let lost = (!is_kept).then_some("history-lost");
        let expected: Vec<&str> = lost.into_iter().chain(["home-read-only"]).collect();
        assert_eq!(warnings, expected, "{state}");
        assert!(std::fs::read(&history).ok() == before, "{state}");
        // Where it can be written again, it goes on.
        drop(sandbox.run(&["tag", "add", "blue", "one"]).ok());
    }
}

/// Waits until the disk of the collection `team` is known not to answer.
fn is_silent(sandbox: &Sandbox) {
    let status = sandbox.status_until("the silent disk", |status| {
        let warnings = status["warnings"].to_string();
        status["daemon"]["state"] == "ready" && warnings.contains("does not answer")
    });
    let roots = status["roots"].as_array().unwrap();
    let team = roots.iter().find(|root| root["collection"] == "team");
    assert_eq!(team.unwrap()["state"], "unresponsive", "{status:#}");
    assert!(codes(&status["warnings"]).contains(&"collection-unreachable".to_owned()));
}

/// The rows of a silent disk are served, and nobody waits to hear that it can't be changed. All others go on: seen,
/// changed, compared.
fn harms_only_itself(sandbox: &Sandbox) {
    assert_eq!(sandbox.show("far")["description"], "Away");
    let error = sandbox.fails(&["tag", "add", "x", "far", "--collection", "team"], 3);
    assert_eq!(error["code"], "collection.unreachable", "{error}");
    skill(&sandbox.collection("default", "skills"), "one", "Edited");
    sandbox.shows("one", "an edit", |shown| shown["description"] == "Edited");
    sandbox.json(&["group", "create", "some", "one"]);
    drop(sandbox.run(&["cache", "refresh"]).exits(5));
}

/// A home with a collection of its own and one on a disk, whose rows are there from a run before; no daemon runs.
fn known() -> (Sandbox, PathBuf) {
    let mut sandbox = Sandbox::watched(crate::BACKEND);
    skill(&sandbox.collection("default", "skills"), "one", "Plain");
    let disk = sandbox.path("disk");
    skill(&disk.join("skills"), "far", "Away");
    write(
        disk.join("collection.toml"),
        "[collection]\nname = \"team\"\n",
    );
    sandbox.stop();
    sandbox.set("SKILLMEAT_COLLECTION_PATH", disk.to_str().unwrap());
    sandbox.ready();
    assert_eq!(sandbox.show("far")["description"], "Away");
    sandbox.stop();
    (sandbox, disk)
}

#[test]
fn a_disk_that_does_not_answer_harms_only_itself() {
    let (sandbox, disk) = known();
    // A server that has taken the mount and never reads what is asked. Closing it ends the mount, also if this fails.
    let open = || {
        let mut options = std::fs::File::options();
        options.read(true).write(true).open("/dev/fuse")
    };
    let mount = |at: &str| {
        in_namespace(
            &sandbox,
            &format!("mount -i -t fuse -o {OPTIONS} none {at}"),
        )
    };
    let can_mount = || {
        let mut command = mount("/mnt")?;
        let status = command.stdin(Stdio::from(open().ok()?)).status().ok()?;
        status.success().then_some(())
    };
    let is_root = rustix::process::geteuid().is_root();
    let (Ok(server), Some(())) = (open(), is_root.then(can_mount).flatten()) else {
        skipped("this user can't mount what a program serves");
        return;
    };
    let then = format!("'{}'; exec \"$1\" </dev/null", disk.display());
    let Some(mut command) = mount(&then) else {
        return;
    };
    command.stdin(Stdio::from(server.try_clone().unwrap()));
    let child = serve(&sandbox, command);
    is_silent(&sandbox);
    harms_only_itself(&sandbox);
    // The server goes; then the disk that the mount hid is there again.
    drop(server);
    let mut unmount = sandbox.command(Path::new("/usr/bin/nsenter"));
    unmount.args(["--mount", "--target", &child.id().to_string()]);
    unmount.args(["umount", "-l", disk.to_str().unwrap()]);
    assert!(unmount.status().unwrap().success());
    skill(&disk.join("skills"), "far", "Back");
    sandbox.shows("far", "the disk again", |shown| {
        shown["description"] == "Back"
    });
    sandbox.status_until("no warning", |status| {
        status["warnings"] == serde_json::json!([])
    });
    end(&sandbox, child);
}

/// A daemon with a collection `team` on a disk that can fall silent; nothing where this user can't mount it.
fn served(sandbox: &mut Sandbox, first: impl FnOnce(&Disk)) -> Option<(Disk, Child)> {
    let (folder, disk) = (sandbox.path("served"), sandbox.path("disk"));
    write(
        folder.join("collection.toml"),
        "[collection]\nname = \"team\"\n",
    );
    std::fs::create_dir_all(&disk).unwrap();
    sandbox.set("SKILLMEAT_COLLECTION_PATH", disk.to_str().unwrap());
    let server = Disk::serve(&folder)?;
    first(&server);
    let at = disk.display();
    let script =
        format!("mount -i -t fuse -o {OPTIONS} none '{at}' || exit 77; exec \"$1\" </dev/null");
    let mut command = in_namespace(sandbox, &script)?;
    command.stdin(Stdio::from(server.device()));
    Some((server, serve(sandbox, command)))
}

fn can_serve() -> bool {
    let may = rustix::process::geteuid().is_root() && Path::new("/dev/fuse").exists();
    if !may {
        skipped("this user can't mount what a program serves");
    }
    may
}

#[test]
fn a_disk_that_falls_silent_while_it_is_read_harms_only_itself() {
    if !can_serve() {
        return;
    }
    let mut sandbox = Sandbox::watched(crate::BACKEND);
    drop(
        sandbox
            .run(&["config", "set", "watch.poll_interval", "1s"])
            .ok(),
    );
    skill(&sandbox.collection("default", "skills"), "one", "Plain");
    let skills = sandbox.path("served/skills");
    for name in ["far", "further"] {
        skill(&skills, name, "Away");
    }
    sandbox.stop();
    let Some((mut server, child)) = served(&mut sandbox, |_| ()) else {
        return;
    };
    sandbox.shows("far", "the disk", |shown| shown["description"] == "Away");
    // A look finds the change, and the pass falls silent as it reads it.
    server.fall_silent_at(skills.join("far/SKILL.md"), 1);
    skill(&skills, "far", "Changed");
    until("silence", || server.is_silent().then_some(()));
    is_silent(&sandbox);
    harms_only_itself(&sandbox);
    server.answer_again();
    sandbox.shows("far", "what changed meanwhile", |shown| {
        shown["description"] == "Changed"
    });
    sandbox.status_until("no warning", |status| {
        status["warnings"] == serde_json::json!([])
    });
    // Noticed also if nobody needs anything of it.
    server.fall_silent();
    is_silent(&sandbox);
    // A process in which something hangs does not go, and the next one starts all the same.
    drop(sandbox.run(&["daemon", "stop"]).ok());
    assert_eq!(sandbox.show("one")["description"], "Edited");
    server.answer_again();
    end(&sandbox, child);
}

/// A disk falls silent when a folder of it is opened for the so-manieth time.
fn falls_silent_at_opening(time: u32) {
    let (mut sandbox, _) = known();
    let far = sandbox.path("served/skills/far");
    skill(&sandbox.path("served/skills"), "far", "Away");
    let silence = |disk: &Disk| disk.fall_silent_at(far, time);
    let Some((mut server, child)) = served(&mut sandbox, silence) else {
        return;
    };
    until("silence", || server.is_silent().then_some(()));
    is_silent(&sandbox);
    harms_only_itself(&sandbox);
    server.answer_again();
    sandbox.status_until("no warning", |status| {
        let roots = status["roots"].as_array().unwrap();
        let is_watched = roots.iter().all(|root| root["state"] == "watching");
        is_watched && status["warnings"] == serde_json::json!([])
    });
    end(&sandbox, child);
}

#[test]
fn a_disk_that_falls_silent_while_it_comes_to_be_watched_harms_only_itself() {
    if !can_serve() {
        return;
    }
    // Passes compare, the kernel walks through it and we look: in any order.
    std::thread::scope(|scope| {
        for time in 1..=4 {
            scope.spawn(move || falls_silent_at_opening(time));
        }
    });
}

#[test]
fn texts_of_others_are_indexed_while_a_disk_is_silent() {
    if !can_serve() {
        return;
    }
    let mut sandbox = Sandbox::watched(crate::BACKEND);
    sandbox.stop();
    let near = sandbox.collection("default", "skills");
    let far = sandbox.path("served/skills");
    // So many that their texts are left to the thread that indexes them.
    for number in 0..80 {
        let name = format!("far{number}");
        write(far.join(&name).join("notes.md"), "zebrafish\n");
        skill(&far, &name, "Somewhere");
        let name = format!("near{number}");
        write(near.join(&name).join("notes.md"), "aardvark\n");
        skill(&near, &name, "Here");
    }
    // Once for the pass.
    let silence = |disk: &Disk| disk.fall_silent_at(far.join("far0/notes.md"), 2);
    let Some((mut server, child)) = served(&mut sandbox, silence) else {
        return;
    };
    until("silence", || server.is_silent().then_some(()));
    until("the texts that are left", || {
        let log = std::fs::read_to_string(sandbox.home().log_file()).ok()?;
        log.contains("can't be read now").then_some(())
    });
    let finds = |word: &str| {
        let found = sandbox.json(&["search", word, "--limit", "100"]);
        let found = found["hits"].as_array().unwrap().len();
        (found == 80).then_some(())
    };
    for number in 0..80 {
        write(near.join(format!("near{number}/more.md")), "capybara\n");
    }
    until("the texts of others", || finds("capybara"));
    server.answer_again();
    until("its own texts", || finds("zebrafish"));
    end(&sandbox, child);
}
