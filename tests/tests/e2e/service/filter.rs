//! Whether the unit forbids anything that the daemon does: its system calls are compared with those that the
//! unit's filter lets through.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use skillmeat_tests::home::{binary, fixture, output, write};
use skillmeat_tests::{Sandbox, Stream};

/// The template of the unit.
const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../packaging/systemd/skillmeatd.service"
);

/// What systemd may say at most of what the unit leaves open, in tenths: 0 is closed, 100 is open. It counts
/// folders that stay visible, name spaces and the network.
const OPEN: &str = "67";

/// The calls of a group of systemd, with those of the groups in it.
fn group(sandbox: &Sandbox, name: &str, all: &mut BTreeSet<String>) {
    let mut command = sandbox.command("/usr/bin/systemd-analyze".as_ref());
    command.args(["syscall-filter", name]);
    let told = output(command).ok().stdout;
    for line in told.lines().skip(1).map(str::trim) {
        match line.as_bytes() {
            [] | [b'#', ..] => {}
            [b'@', ..] => group(sandbox, line, all),
            _ => {
                all.insert(line.to_owned());
            }
        }
    }
}

#[test]
fn the_unit_forbids_nothing_that_the_daemon_does() {
    let sandbox = Sandbox::new();
    let [tracer, analyzer] = ["/usr/bin/strace", "/usr/bin/systemd-analyze"].map(Path::new);
    let mut works = sandbox.command(tracer);
    works.args(["-f", "/bin/true"]).stderr(Stdio::null());
    if !analyzer.exists() || !works.status().is_ok_and(|status| status.success()) {
        println!("skipped: no `strace` that works, or no `systemd-analyze`");
        return;
    }
    let mut allowed = BTreeSet::new();
    let unit = std::fs::read_to_string(UNIT).unwrap();
    for groups in unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        let mut named = BTreeSet::new();
        for name in groups.trim_start_matches('~').split(' ') {
            if name.starts_with('@') {
                group(&sandbox, name, &mut named);
            } else {
                named.insert(name.to_owned());
            }
        }
        if groups.starts_with('~') {
            allowed.retain(|call| !named.contains(call));
        } else {
            allowed.append(&mut named);
        }
    }
    assert!(allowed.len() > 200, "{allowed:?}");
    assert!(!allowed.contains("setuid") && allowed.contains("fchown"));

    let trace = sandbox.path("trace");
    let mut command = sandbox.command(tracer);
    command
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg(binary("skillmeatd"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut daemon = Stream::new(command.spawn().unwrap());
    assert!(daemon.line().contains("serving"));
    let corpus = fixture("corpus");
    let corpus = corpus.to_str().unwrap();
    for args in [
        &["init"][..],
        &["add", "--all", corpus],
        &["search", "web"],
        &["cache", "refresh", "--force"],
        &["cache", "clear"],
        &["list", "--all"],
        &["daemon", "stop"],
    ] {
        drop(sandbox.run(args).ok());
    }
    assert_eq!(daemon.wait().code(), Some(0));

    let trace = std::fs::read_to_string(trace).unwrap();
    let used: BTreeSet<&str> = trace
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .map(|(name, _)| name)
        .filter(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
        .collect();
    assert!(used.contains("openat") && used.len() > 30, "{used:?}");
    let refused: Vec<&&str> = used
        .iter()
        .filter(|name| !allowed.contains(**name))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
    // The other bolts: no memory that is written and run, no families of sockets but these.
    assert!(!trace.contains("PROT_WRITE|PROT_EXEC"));
    let family = |line: &str| Some(line.split_once(" socket(")?.1.split(',').next()?.to_owned());
    for family in trace.lines().filter_map(family) {
        assert!(
            ["AF_UNIX", "AF_INET", "AF_INET6"].contains(&family.as_str()),
            "{family}"
        );
    }
}

#[test]
fn systemd_finds_no_more_open_than_it_must_be() {
    let sandbox = Sandbox::new();
    let analyzer = Path::new("/usr/bin/systemd-analyze");
    if !analyzer.exists() {
        println!("skipped: `{}` is not there", analyzer.display());
        return;
    }
    let unit = std::fs::read_to_string(UNIT).unwrap();
    let unit = unit
        .replace("@NAME@", "skillmeatd")
        .replace("@EXE@", "/bin/true")
        .replace("@HOME@", "/home");
    let service = sandbox.path("units/skillmeatd.service");
    write(&service, unit);
    write(
        service.with_extension("socket"),
        "[Socket]\nListenStream=/x\n",
    );
    std::fs::create_dir(sandbox.path("run")).unwrap();
    let mut command = sandbox.command(analyzer);
    command
        .env("XDG_RUNTIME_DIR", sandbox.path("run"))
        .args(["security", "--user", "--offline=yes", "--no-pager"])
        .arg(format!("--threshold={OPEN}"))
        .arg(service);
    let told = output(command);
    // Versions before 250 can't look at a file.
    if told.stderr.contains("offline") {
        println!("skipped: {}", told.stderr);
        return;
    }
    let told = told.ok().stdout;
    assert!(told.contains("Overall exposure level"), "{told}");
}
