//! Many commands at once: none loses what another one wrote, and none fails because of another.

use std::process::{Child, Stdio};

use serde_json::{Value, json};
use skillmeat_shared::failpoint;
use skillmeat_tests::Sandbox;
use skillmeat_tests::fault::Faults;
use skillmeat_tests::home::{output, replace, skill, text, write};
use skillmeat_tests::wait::until_true;

fn start(sandbox: &Sandbox, args: &[&str]) -> Child {
    let mut command = sandbox.sm(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for the end; what it printed.
#[track_caller]
fn finish(child: Child, code: i32) -> String {
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn additions_at_once_all_arrive() {
    let sandbox = Sandbox::initialised();
    let sources: Vec<_> = (0..12)
        .map(|n| {
            skill(
                &sandbox.path("src"),
                &format!("s{n}"),
                &format!("Number {n}"),
            )
        })
        .collect();
    let children: Vec<_> = sources
        .iter()
        .map(|source| start(&sandbox, &["add", source.to_str().unwrap()]))
        .collect();
    for child in children {
        finish(child, 0);
    }
    let list = sandbox.json(&["list", "--status", "managed"]);
    assert_eq!(list["total"], 12);
    let manifest =
        std::fs::read_to_string(sandbox.collection("default", "collection.toml")).unwrap();
    assert_eq!(manifest.matches("[[artifacts]]").count(), 12);
    let lock = std::fs::read_to_string(sandbox.collection("default", "collection.lock")).unwrap();
    assert_eq!(lock.matches("[lock.entries.").count(), 12);
}

#[test]
fn one_name_is_added_once() {
    let sandbox = Sandbox::initialised();
    let children: Vec<_> = (0..8)
        .map(|n| {
            let source = skill(
                &sandbox.path(&format!("src{n}")),
                "same",
                &format!("Number {n}"),
            );
            start(&sandbox, &["add", source.to_str().unwrap()])
        })
        .collect();
    let codes: Vec<_> = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap().status.code().unwrap())
        .collect();
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == 4).count(),
        7,
        "{codes:?}"
    );
    assert_eq!(sandbox.show("same")["modified"], false);
}

#[test]
fn an_edit_by_hand_between_two_additions_is_kept() {
    let sandbox = Sandbox::initialised();
    let path = sandbox.collection("default", "collection.toml");
    for n in 0..5 {
        let source = skill(
            &sandbox.path("src"),
            &format!("s{n}"),
            &format!("Number {n}"),
        );
        let child = start(&sandbox, &["add", source.to_str().unwrap()]);
        finish(child, 0);
        let edited = format!("{}\n# note {n}\n", std::fs::read_to_string(&path).unwrap());
        skillmeat_tests::home::replace(&path, edited);
    }
    let manifest = std::fs::read_to_string(&path).unwrap();
    for n in 0..5 {
        assert!(manifest.contains(&format!("# note {n}\n")), "{manifest}");
    }
    assert_eq!(sandbox.json(&["list"])["total"], 5);
}

#[test]
fn reads_go_on_while_the_daemon_restarts_and_the_cache_is_cleared() {
    let sandbox = Sandbox::from_fixture("git");
    sandbox.ready();
    for _ in 0..3 {
        let clear = start(&sandbox, &["cache", "clear"]);
        let reads: Vec<_> = (0..8)
            .map(|_| start(&sandbox, &["list", "--json"]))
            .collect();
        finish(clear, 0);
        for read in reads {
            let list: Value = serde_json::from_str(&finish(read, 0)).unwrap();
            // Either everything is there, or the answer says that rows may be missing.
            assert!(list["total"] == 7 || list["complete"] == false, "{list:#}");
        }
        let restart = start(&sandbox, &["daemon", "restart"]);
        let reads: Vec<_> = (0..8)
            .map(|_| start(&sandbox, &["list", "--json"]))
            .collect();
        finish(restart, 0);
        for read in reads {
            let list: Value = serde_json::from_str(&finish(read, 0)).unwrap();
            assert!(list["total"] == 7 || list["complete"] == false, "{list:#}");
        }
    }
    assert_eq!(text(&sandbox.show("pdf-tools")["status"]), "managed");
}

#[test]
fn a_refresh_outlives_a_restart_in_the_middle_of_it() {
    let sandbox = Sandbox::initialised();
    for n in 0..300 {
        let name = format!("s{n:03}");
        skill(&sandbox.collection("default", "skills"), &name, "Many");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let before = sandbox.pid();
    for _ in 0..3 {
        let refresh = start(&sandbox, &["cache", "refresh", "--force", "--json"]);
        let restart = start(&sandbox, &["daemon", "restart"]);
        // Done by the daemon that was asked, which is let end it, or by the next one: by one of them in full.
        let done: Value = serde_json::from_str(&finish(refresh, 0)).unwrap();
        assert_eq!((&done["read"], &done["failed"]), (&300.into(), &0.into()));
        finish(restart, 0);
    }
    assert_ne!(sandbox.pid(), before);
    assert_eq!(sandbox.json(&["list"])["total"], 300);
}

#[test]
fn settings_changed_at_once_all_arrive() {
    let sandbox = Sandbox::initialised();
    let keys = [
        ("cache.ttl", "3h"),
        ("cache.metadata_ttl", "40m"),
        ("cache.max_size_mb", "321"),
        ("log.max_files", "7"),
        ("watch.settle_ms", "60"),
        ("daemon.drain_timeout", "5s"),
    ];
    let children: Vec<_> = keys
        .iter()
        .map(|(key, value)| start(&sandbox, &["config", "set", key, value]))
        .collect();
    for child in children {
        finish(child, 0);
    }
    for (key, value) in keys {
        let seen = sandbox.run(&["config", "get", key]).ok().stdout;
        assert_eq!(seen.trim(), value, "{key}");
    }
}

#[test]
fn only_what_another_program_added_meanwhile_clashes() {
    let mut sandbox = Sandbox::initialised();
    let first = skill(&sandbox.path("src"), "first", "Ours");
    sandbox.json(&["add", first.to_str().unwrap()]);
    sandbox.stop();
    let file = sandbox.path("failpoints");
    write(&file, "");
    sandbox.set(failpoint::VARIABLE, &format!("@{}", file.display()));
    sandbox.ready();
    let points = [
        ("change.planned", "skills/b0"),
        ("change.ready", "skills/b1"),
        ("change.recorded", "skills/b2"),
        ("change.placing", "skills/b3"),
        // In another place than ours goes to.
        ("change.planned", "skills/theirs"),
    ];
    for (round, (point, path)) in points.into_iter().enumerate() {
        let name = |which: &str| format!("{which}{round}");
        let paths: Vec<String> = ["a", "b", "c"]
            .iter()
            .map(|which| {
                let folder = skill(&sandbox.path("src"), &name(which), "Ours");
                folder.to_str().unwrap().to_owned()
            })
            .collect();
        let waits = sandbox.path("failpoints.passed");
        std::fs::remove_file(&waits).ok();
        replace(&file, format!("{point}=wait"));
        let mut command = sandbox.sm(&["add", &paths[0], &paths[1], &paths[2], "--json"]);
        let adding = std::thread::spawn(move || {
            command.stdin(std::process::Stdio::null());
            output(command)
        });
        until_true("the step", || waits.exists());
        // As the ancestor does: files first, then the manifest as a whole, then the lock.
        let theirs = name("b");
        let skill_file = sandbox.collection("default", &format!("{path}/SKILL.md"));
        write(&skill_file, "---\nname: b\ndescription: Theirs\n---\n");
        let manifest = sandbox.collection("default", "collection.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        let entry = format!(
            "\n[[artifacts]]\nname = \"{theirs}\"\ntype = \"skill\"\npath = \"{path}\"\norigin = \"local\"\n\
             added = \"2026-11-20T15:51:45.120724\"\n"
        );
        replace(&manifest, format!("{text}{entry}"));
        replace(&file, "");
        let done = adding.join().unwrap().exits(9).json();
        assert_eq!(
            (&done["added"], &done["conflicts"]),
            (&json!(2), &json!(1)),
            "{point}: {done:#}"
        );
        let item = done["items"].as_array().unwrap().iter();
        let clash: Vec<_> = item.filter(|item| item["result"] == "conflict").collect();
        assert_eq!(clash[0]["id"], format!("skill:{theirs}"), "{point}");
        let kept = std::fs::read_to_string(&skill_file).unwrap();
        assert!(kept.contains("Theirs"), "{point}: {kept}");
        for which in ["a", "c"] {
            sandbox.shows(&name(which), "what was added", |one| {
                one["status"] == "managed"
            });
        }
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert_eq!(
            text.matches(&format!("name = \"{theirs}\"")).count(),
            1,
            "{point}: {text}"
        );
    }
}

#[test]
fn a_config_that_was_read_before_a_change_does_not_win_over_it() {
    let mut sandbox = Sandbox::new();
    let faults = Faults::of(&mut sandbox);
    drop(sandbox.run(&["init"]).ok());
    drop(sandbox.run(&["collection", "create", "work"]).ok());
    let config = sandbox.home().config();
    faults.tell("config.loaded=wait@1");
    replace(&config, "[settings]\ndefault-collection = \"work\"\n");
    until_true("the old text", || !faults.passed().is_empty());
    let changing = start(
        &sandbox,
        &["config", "set", "default-collection", "default"],
    );
    until_true("the new text", || {
        let text = std::fs::read_to_string(&config).unwrap();
        text.contains("\"default\"")
    });
    faults.none();
    drop(finish(changing, 0));
    for _ in 0..20 {
        assert_eq!(sandbox.json(&["status"])["default_collection"], "default");
    }
}

#[test]
fn of_several_who_undo_the_same_only_one_does_and_the_others_are_told() {
    let sandbox = Sandbox::initialised();
    for round in 0..4 {
        let source = skill(&sandbox.path("src"), &format!("s{round}"), "One");
        let added = text(&sandbox.json(&["add", source.to_str().unwrap()])["operation"]);
        let undoing: Vec<Child> = (0..4).map(|_| start(&sandbox, &["undo", &added])).collect();
        let mut done = 0;
        for child in undoing {
            let output = child.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                done += 1;
            } else {
                assert!(told.contains("it was undone already"), "{told}");
            }
        }
        assert_eq!(done, 1, "round {round}");
    }
}
