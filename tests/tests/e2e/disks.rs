//! Real disks that are read-only: mounted in a namespace of their own, in which the daemon runs.

use std::path::Path;
use std::process::{Command, Stdio};

use skillmeat_tests::home::{binary, skill};
use skillmeat_tests::{Sandbox, daemon};

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

#[test]
fn a_home_on_a_read_only_disk_is_read() {
    let sandbox = Sandbox::initialised();
    skill(&sandbox.collection("default", "skills"), "one", "Plain");
    sandbox.ready();
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
    assert_eq!(said("refused.json")["error"]["code"], "home.unusable");
    assert!(daemon::processes(&root).is_empty());
    // Where it can be written again, all is as ever.
    assert_eq!(sandbox.ready()["artifacts"], 1);
}
