//! Real disks that are full or read-only: mounted in a namespace of their own, in which the daemon runs.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use skillmeat_tests::fault::equals_a_fresh_one;
use skillmeat_tests::home::{binary, skill, write};
use skillmeat_tests::{Sandbox, daemon, until};

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
        std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: this system gives no mount namespaces to this user\n",
        )
        .unwrap();
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
    let mut sandbox = Sandbox::initialised();
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

#[test]
fn a_home_on_a_read_only_disk_is_read() {
    let sandbox = Sandbox::initialised();
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
            if \"$sm\" collection create work --json 2>refused.json; then exit 9; fi
            \"$sm\" daemon stop >stop.txt
        ' sh \"$1\"",
        root.display()
    );
    let Some(mut command) = in_namespace(&sandbox, &script) else {
        return;
    };
    command.arg("sh").arg(binary("sm"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(sandbox.path(name)).unwrap()).unwrap()
    };
    assert_eq!(said("list.json")["total"], 1);
    assert_eq!(said("show.json")["description"], "Plain");
    assert_eq!(said("found.json")["hits"].as_array().unwrap().len(), 1);
    let status = said("status.json");
    assert!(
        status["warnings"].to_string().contains("home-read-only"),
        "{status}"
    );
    assert_eq!(said("refused.json")["error"]["code"], "file.permission");
    assert!(daemon::processes(&root).is_empty());
    // Where it can be written again, all is as ever.
    sandbox.status_until("its row again", |status| status["artifacts"] == 1);
}
