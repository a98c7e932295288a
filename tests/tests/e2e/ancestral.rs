//! Snapshots that only the ancestor made: seen wherever all are asked for, and told right when they are not whole.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{codes, text, write};

/// Two snapshots.
const IDS: [&str; 2] = ["20261120-155145-120724", "20261120-155314-726604"];

fn archive(sandbox: &Sandbox, collection: &str, id: &str) -> PathBuf {
    let folder = sandbox.home().snapshots(collection);
    folder.join(format!("{id}.tar.gz"))
}

fn index(sandbox: &Sandbox, collection: &str) -> PathBuf {
    sandbox.home().snapshots(collection).join("snapshots.toml")
}

fn entry(id: &str) -> String {
    format!(
        "[[snapshots]]\nid = \"{id}\"\ntimestamp = \"2026-11-20T15:51:45.120724\"\nmessage = \"theirs\"\n\
         artifact_count = 0\ntarball_path = \"/gone/{id}.tar.gz\"\n"
    )
}

/// A home as the ancestor leaves it: two collections with its snapshots, one of which it deleted; nothing of ours.
fn theirs() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["default", "oldcoll"] {
        let from = sandbox.path("from").join(name);
        let manifest = format!("[collection]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
        write(from.join("collection.toml"), &manifest);
        for id in IDS {
            let at = archive(&sandbox, name, id);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            let mut tar = std::process::Command::new("tar");
            tar.arg("-czf").arg(at).arg("-C").arg(sandbox.path("from"));
            assert!(tar.arg(name).status().unwrap().success());
        }
        write(index(&sandbox, name), IDS.map(entry).concat());
    }
    write(
        sandbox.collection("default", "collection.toml"),
        "[collection]\nname = \"default\"\nversion = \"1.0.0\"\n",
    );
    sandbox
}

/// The warning of damaged snapshots.
fn damage(sandbox: &Sandbox) -> Value {
    let status = sandbox.status_until("damaged snapshots", |status| {
        codes(&status["warnings"]) == ["snapshot-damaged"]
    });
    status["warnings"][0].clone()
}

fn is_calm(sandbox: &Sandbox) {
    sandbox.status_until("no warning", |status| codes(&status["warnings"]).is_empty());
}

#[test]
fn all_are_those_that_only_the_ancestor_made_too() {
    // Each as the first command, before there are rows.
    for args in [
        &["history", "--all", "--json"][..],
        &["snapshot", "list", "--all", "--json"],
        &["snapshot", "verify", "--all", "--json"],
    ] {
        let sandbox = theirs();
        for moment in ["first", "later", "without a cache"] {
            let told = sandbox.run(args).ok().json();
            let all = told["snapshots"].as_array().unwrap();
            assert_eq!(all.len(), 4, "{args:?} {moment}: {told:#}");
            if moment == "later" {
                sandbox.stop();
                fs::remove_dir_all(sandbox.home().cache_dir()).unwrap();
            }
        }
    }
    // What is wrong is found wherever it is.
    let sandbox = theirs();
    fs::remove_file(archive(&sandbox, "oldcoll", IDS[0])).unwrap();
    let told = sandbox.run(&["snapshot", "verify", "--all"]).exits(9);
    assert!(told.stderr.contains("1 of 4 snapshots damaged"), "{told:?}");
}

#[test]
fn an_index_that_can_not_be_read_is_not_whole() {
    let sandbox = theirs();
    let sound = fs::read_to_string(index(&sandbox, "default")).unwrap();
    write(index(&sandbox, "default"), format!("{sound}[[snapshots\n"));
    for args in [
        &["snapshot", "verify"][..],
        &["snapshot", "verify", "--all"],
    ] {
        let told = sandbox.run(args).exits(9).stderr;
        assert!(told.contains("snapshots.toml` can't be read"), "{told}");
        let told = sandbox.run(&[args, &["--json"]].concat()).exits(9).json();
        assert_eq!(told["ok"], false, "{told:#}");
        assert_eq!(told["problems"][0]["line"], 13, "{told:#}");
    }
    let error = sandbox.fails(&["snapshot", "verify", IDS[0]], 1);
    assert!(
        text(&error["message"]).contains("snapshots.toml"),
        "{error:#}"
    );
    // An entry of which nobody knows what it is.
    write(
        index(&sandbox, "default"),
        format!("{sound}[[snapshots]]\nid = \"x\"\n"),
    );
    let told = sandbox.run(&["snapshot", "verify"]).exits(9);
    assert!(told.stderr.contains("2 snapshots whole"), "{told:?}");
    drop(sandbox.run(&["snapshot", "verify", IDS[0]]).ok());
    write(index(&sandbox, "default"), sound);
    let told = sandbox.run(&["snapshot", "verify", "--json"]).ok().json();
    assert_eq!((&told["ok"], &told["problems"]), (&json!(true), &json!([])));
}

#[test]
fn an_index_that_can_not_be_read_keeps_nobody_from_snapshots_of_ours() {
    let sandbox = theirs();
    let manifest = sandbox.collection("default", "collection.toml");
    let before = fs::read(&manifest).unwrap();
    let ours = text(&sandbox.json(&["snapshot", "ours"])["snapshot"]["id"]);
    let sound = fs::read_to_string(index(&sandbox, "default")).unwrap();
    write(index(&sandbox, "default"), format!("{sound}[[broken\n"));
    let notes = sandbox.collection("default", "notes.md");
    write(&notes, "of now");
    sandbox.json(&["snapshot", "more"]);
    sandbox.json(&["rollback", &ours, "--yes"]);
    assert!(!notes.exists());
    assert!(fs::read(&manifest).unwrap() == before);
    // Only the ancestor's own need its index; an import of the archive makes one ours.
    let error = sandbox.fails(&["rollback", IDS[0], "--yes"], 1);
    assert_eq!(
        (&error["code"], &error["line"]),
        (&json!("file.io"), &json!(13))
    );
    let hint = text(&error["hints"][0]);
    assert!(
        hint.contains("mend") && hint.contains("`sm snapshot import FILE`"),
        "{hint}"
    );
    let file = archive(&sandbox, "default", IDS[0]);
    let args = ["snapshot", "import", file.to_str().unwrap()];
    assert_eq!(sandbox.json(&args)["id"], IDS[0]);
    sandbox.json(&["rollback", IDS[0], "--yes"]);
    // Whose index is mended sees it once.
    write(index(&sandbox, "default"), sound);
    let listed = sandbox.json(&["snapshot", "list"]);
    let ids = listed["snapshots"].as_array().unwrap().iter();
    let same = ids.filter(|one| one["id"] == IDS[0]);
    let origins: Vec<String> = same.map(|one| text(&one["origin"])).collect();
    assert_eq!(origins, ["imported"], "{listed:#}");
    drop(sandbox.run(&["snapshot", "verify", IDS[0]]).ok());
}

#[test]
fn a_damaged_archive_is_told_with_what_mends_it() {
    let sandbox = theirs();
    let at = archive(&sandbox, "oldcoll", IDS[0]);
    let sound = fs::read(&at).unwrap();
    let spoil = || {
        write(&at, "no archive");
        let told = sandbox
            .run(&["snapshot", "verify", "--all"])
            .exits(9)
            .stderr;
        assert!(!told.contains("delete"), "{told}");
        let hints = damage(&sandbox)["hints"].to_string();
        assert!(!hints.contains("delete"), "{hints}");
        let index = index(&sandbox, "oldcoll");
        for part in [at.to_str().unwrap(), index.to_str().unwrap()] {
            assert!(hints.contains(part), "{hints}");
        }
    };
    // The archive comes back.
    spoil();
    write(&at, &sound);
    drop(sandbox.run(&["snapshot", "verify", "-c", "oldcoll"]).ok());
    is_calm(&sandbox);
    // Its entry goes, or with the folder all that was left of the collection.
    spoil();
    write(index(&sandbox, "oldcoll"), entry(IDS[1]));
    drop(sandbox.run(&["snapshot", "verify", "-c", "oldcoll"]).ok());
    is_calm(&sandbox);
    write(index(&sandbox, "oldcoll"), entry(IDS[0]));
    spoil();
    fs::remove_dir_all(sandbox.home().snapshots("oldcoll")).unwrap();
    drop(sandbox.run(&["snapshot", "verify", "-c", "oldcoll"]).ok());
    is_calm(&sandbox);
    drop(sandbox.fails(&["history", "-c", "oldcoll"], 3));
    // One of ours is ours to delete.
    let error = sandbox.fails(&["snapshot", "delete", IDS[0], "--yes"], 2);
    let way = index(&sandbox, "default");
    assert!(
        text(&error["hints"][0]).contains(way.to_str().unwrap()),
        "{error:#}"
    );
}

#[test]
fn a_collection_that_is_not_there_has_no_snapshots_to_tell_of() {
    let sandbox = theirs();
    let file = archive(&sandbox, "default", IDS[0]);
    let file = file.to_str().unwrap();
    let out = sandbox.path("out.tar.gz");
    for args in [
        &["history"][..],
        &["snapshot", "list"],
        &["snapshot", "verify"],
        &["snapshot", "prune"],
        &["snapshot", "verify", IDS[0]],
        &["snapshot", "show", IDS[0]],
        &["snapshot", "diff", IDS[0]],
        &["snapshot", "delete", IDS[0], "--yes"],
        &["snapshot", "export", IDS[0], out.to_str().unwrap()],
        &["rollback", IDS[0], "--yes"],
    ] {
        let error = sandbox.fails(&[args, &["-c", "defualt"]].concat(), 3);
        assert_eq!(error["code"], "collection.not_found", "{args:?}: {error:#}");
        let hints = error["hints"].to_string();
        assert!(
            hints.contains("did you mean `default`?"),
            "{args:?}: {hints}"
        );
        // Where there is one, or was: none of ours there is no mistake.
        if args.len() < 3 {
            drop(sandbox.run(args).ok());
            drop(sandbox.run(&[args, &["-c", "oldcoll"]].concat()).ok());
        }
    }
    // An import may bring one back that was lost, and says that it is not there.
    let args = ["snapshot", "import", file, "-c"];
    let told = sandbox.run(&[&args[..], &["defualt"]].concat()).ok().stderr;
    assert!(told.contains("there is no collection `defualt`"), "{told}");
    assert!(told.contains("did you mean `default`?"), "{told}");
    drop(sandbox.run(&["history", "-c", "defualt"]).ok());
    let all = sandbox.json(&["snapshot", "verify", "--all"]);
    assert_eq!(all["snapshots"].as_array().unwrap().len(), 5, "{all:#}");
    fs::copy(file, sandbox.path("other.tar.gz")).unwrap();
    let other = sandbox.path("other.tar.gz");
    let args = ["snapshot", "import", other.to_str().unwrap()];
    let told = sandbox.run(&args).ok().stderr;
    assert!(!told.contains("there is no"), "{told}");
}
