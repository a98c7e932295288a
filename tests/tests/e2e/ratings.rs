//! Going back to snapshots: what comes along, and what is missing for it.

use std::fs;

use serde_json::{Value, json};
use skillmeat_shared::history::{MemoryObjects, capture};
use skillmeat_tests::home::{replace, text, write};
use skillmeat_tests::{Sandbox, until};

fn snapshot(sandbox: &Sandbox) -> String {
    text(&sandbox.json(&["snapshot", "then"])["snapshot"]["id"])
}

fn rating(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.show(name)["rating"].clone()
}

fn file(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.home().root().join("state/ratings.toml")).unwrap()
}

#[test]
fn a_rollback_across_a_renaming_brings_the_rating_along() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "5"]);
    sandbox.json(&["rate", "two", "1"]);
    let then = snapshot(&sandbox);
    sandbox.json(&["rename", "one", "other"]);
    sandbox.json(&["rate", "two", "3"]);
    sandbox.json(&["rollback", &then, "--dry-run"]);
    assert!(file(&sandbox).contains("skill:other"));
    sandbox.json(&["rollback", &then, "--yes"]);
    assert_eq!(rating(&sandbox, "one"), json!(5));
    assert_eq!(
        rating(&sandbox, "two"),
        json!(3),
        "it was there all the time"
    );
    assert!(!file(&sandbox).contains("other"), "{}", file(&sandbox));
    sandbox.json(&["undo"]);
    assert_eq!(rating(&sandbox, "other"), json!(5));
    assert!(!file(&sandbox).contains("skill:one"), "{}", file(&sandbox));
    sandbox.json(&["redo"]);
    assert_eq!(rating(&sandbox, "one"), json!(5));
    // The snapshot before the rollback has the other one.
    let all = sandbox.json(&["history"]);
    let safety = text(&all["snapshots"][0]["id"]);
    assert_ne!(safety, then);
    sandbox.json(&["rollback", &safety, "--yes"]);
    assert_eq!(rating(&sandbox, "other"), json!(5));
}

#[test]
fn what_was_removed_comes_back_with_its_rating() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "2"]);
    let then = snapshot(&sandbox);
    sandbox.json(&["remove", "one", "--yes"]);
    assert!(!file(&sandbox).contains("one"));
    sandbox.json(&["rollback", &then, "--yes"]);
    assert_eq!(rating(&sandbox, "one"), json!(2));
    sandbox.json(&["remove", "one", "--yes"]);
    let restored = sandbox.json(&["restore", &format!("one@{then}")]);
    assert_eq!(rating(&sandbox, "one"), json!(2));
    sandbox.json(&["undo", &text(&restored["operation"])]);
    assert_eq!(file(&sandbox), "");
    // What stands there keeps the rating of today.
    sandbox.json(&["restore", &format!("one@{then}")]);
    sandbox.json(&["rate", "one", "--clear"]);
    sandbox.json(&["set", "one", "description=Other"]);
    sandbox.json(&["restore", &format!("one@{then}")]);
    assert!(rating(&sandbox, "one").is_null());
}

#[test]
fn ratings_that_nobody_can_read_are_in_no_way() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "2"]);
    let then = snapshot(&sandbox);
    sandbox.json(&["remove", "one", "--yes"]);
    replace(sandbox.home().root().join("state/ratings.toml"), "[broken");
    sandbox.json(&["rollback", &then, "--yes"]);
    assert_eq!(sandbox.show("one")["status"], "managed");
    assert_eq!(file(&sandbox), "[broken");
}

#[test]
fn a_rollback_brings_a_collection_back_that_is_gone() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["collection", "create", "ghost"]);
    sandbox.json(&["copy", "one", "two", "--to", "ghost"]);
    sandbox.json(&["rate", "one", "4", "-c", "ghost"]);
    sandbox.json(&["group", "create", "both", "-c", "ghost"]);
    let made = sandbox.json(&["snapshot", "then", "-c", "ghost"]);
    let then = text(&made["snapshot"]["id"]);
    let place = sandbox.home().collection("ghost");
    let state = || capture(&place, &MemoryObjects::default()).unwrap().node;
    let before = state();
    sandbox.json(&["collection", "delete", "ghost", "--yes"]);
    let restore = format!("one@{then}");
    for args in [&["restore", &restore][..], &["snapshot", "diff", &then]] {
        let error = sandbox.fails(&[args, &["-c", "ghost"]].concat(), 3);
        assert_eq!(error["code"], "collection.not_found", "{args:?}");
        let hints = error["hints"].to_string();
        assert!(hints.contains("rollback ID --collection ghost"), "{hints}");
    }
    let error = sandbox.fails(&["snapshot", "x", "-c", "nothing"], 3);
    assert!(!error.to_string().contains("rollback"), "{error}");
    let back = ["rollback", &then, "-c", "ghost"];
    let planned = sandbox.json(&[&back[..], &["--dry-run"]].concat());
    assert_eq!(planned["restored"], 2, "{planned:#}");
    assert_eq!(state(), None);
    let done = sandbox.json(&[&back[..], &["--yes"]].concat());
    assert_eq!(
        (&done["restored"], &done["removed"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(done["steps"], planned["steps"]);
    assert_eq!(state(), before);
    let shown = sandbox.json(&["show", "one", "-c", "ghost"]);
    assert_eq!(
        (&shown["status"], &shown["rating"]),
        (&json!("managed"), &json!(4))
    );
    // What stands in its place is in the way.
    sandbox.json(&["undo"]);
    write(&place, "mine");
    let error = sandbox.fails(&[&back[..], &["--yes"]].concat(), 3);
    assert_eq!(error["code"], "collection.not_found");
    let hints = error["hints"].to_string();
    let away = format!("move `{}` away, then `sm rollback", place.display());
    assert!(hints.contains(&away), "{hints}");
    assert_eq!(fs::read(&place).unwrap(), b"mine");
    fs::remove_file(&place).unwrap();
    sandbox.json(&["redo"]);
    assert_eq!(state(), before);
    // Removed by somebody else, it is brought back in the same way.
    fs::remove_dir_all(&place).unwrap();
    sandbox.json(&[&back[..], &["--yes"]].concat());
    assert_eq!(state(), before);
    let shown = sandbox.json(&["show", "one", "-c", "ghost"]);
    assert_eq!(shown["status"], "managed");
}

#[test]
fn a_collection_that_comes_back_has_its_last_name() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["collection", "create", "old"]);
    sandbox.json(&["copy", "one", "--to", "old"]);
    let made = sandbox.json(&["snapshot", "then", "-c", "old"]);
    let then = text(&made["snapshot"]["id"]);
    sandbox.json(&["collection", "rename", "old", "new"]);
    let manifest = sandbox.collection("new", "collection.toml");
    let before = fs::read_to_string(&manifest).unwrap();
    sandbox.json(&["collection", "delete", "new", "--yes"]);
    let done = sandbox.json(&["rollback", &then, "-c", "new", "--yes"]);
    assert_eq!(done["notes"], json!([]));
    let name = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("name"))
            .map(str::to_owned)
    };
    let after = fs::read_to_string(&manifest).unwrap();
    assert_eq!(name(&after), name(&before));
    assert_eq!(
        sandbox.json(&["show", "one", "-c", "new"])["status"],
        "managed"
    );
}

#[test]
fn what_git_keeps_of_a_deleted_collection_is_told_to_be_elsewhere() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["collection", "create", "clone"]);
    let head = sandbox.collection("clone", ".git/HEAD");
    write(&head, "ref: refs/heads/main\n");
    let made = sandbox.json(&["snapshot", "then", "-c", "clone"]);
    let then = text(&made["snapshot"]["id"]);
    let deleted = sandbox.json(&["collection", "delete", "clone", "--yes"]);
    let done = sandbox.json(&["rollback", &then, "-c", "clone", "--yes"]);
    let undo = format!("`sm undo {}` instead", text(&deleted["operation"]));
    assert!(text(&done["notes"][0]).contains(&undo), "{done:#}");
    assert!(!head.exists());
    sandbox.json(&["undo"]);
    sandbox.json(&["undo"]);
    assert!(head.exists());
}

#[test]
fn ratings_follow_a_collection_to_its_new_name_and_back() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "5"]);
    let then = snapshot(&sandbox);
    sandbox.json(&["rate", "two", "4"]);
    sandbox.json(&["collection", "rename", "default", "mine"]);
    assert_eq!(file(&sandbox).lines().next(), Some("[mine]"));
    assert_eq!(rating(&sandbox, "one"), json!(5));
    sandbox.json(&["undo"]);
    assert_eq!(file(&sandbox).lines().next(), Some("[default]"));
    sandbox.json(&["redo"]);
    assert_eq!(rating(&sandbox, "one"), json!(5));

    // What was rated before the renaming is taken back, what was rated since stays in the way.
    let log = sandbox.json(&["log"]);
    let number = |words: &str| {
        let all = log["operations"].as_array().unwrap();
        let found = all.iter().find(|one| text(&one["what"]).contains(words));
        found.unwrap()["id"].to_string()
    };
    let (five, four) = (number("rate 5"), number("rate 4"));
    sandbox.json(&["undo", &four]);
    assert_eq!(rating(&sandbox, "two"), Value::Null);
    assert_eq!(rating(&sandbox, "one"), json!(5));
    sandbox.json(&["rate", "one", "2"]);
    let error = sandbox.fails(&["undo", &five], 4);
    let told = error.to_string();
    assert!(told.contains("rate 2"), "{told}");
    assert!(!told.contains("rename the collection"), "{told}");

    // A rating that came since goes along when the collection has its old name again.
    sandbox.json(&["collection", "rename", "mine", "default"]);
    assert_eq!(rating(&sandbox, "one"), json!(2));
    sandbox.json(&["remove", "one", "--yes"]);
    sandbox.json(&["rollback", &then, "--yes"]);
    assert_eq!(rating(&sandbox, "one"), json!(5));
    assert!(!file(&sandbox).contains("mine"), "{}", file(&sandbox));
}

#[test]
fn a_renaming_that_is_undone_keeps_what_was_rated_since() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "5"]);
    sandbox.json(&["collection", "rename", "default", "mine"]);
    sandbox.json(&["rate", "two", "3"]);
    let log = sandbox.json(&["log"]);
    let renaming = log["operations"][1]["id"].to_string();
    sandbox.json(&["undo", &renaming]);
    assert_eq!(
        sandbox.json(&["collection", "list"])["collections"][0]["name"],
        "default"
    );
    assert_eq!(rating(&sandbox, "one"), json!(5));
    assert_eq!(rating(&sandbox, "two"), json!(3));
    assert!(!file(&sandbox).contains("mine"), "{}", file(&sandbox));
}

#[test]
fn a_collection_that_goes_takes_its_ratings_along_until_it_comes_back() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "5"]);
    sandbox.json(&["collection", "delete", "default", "--yes"]);
    assert_eq!(file(&sandbox), "");
    sandbox.json(&["undo"]);
    assert_eq!(rating(&sandbox, "one"), json!(5));
}

#[test]
fn a_collection_that_is_made_under_the_name_of_one_that_is_gone_has_no_ratings_of_it() {
    let sandbox = Sandbox::with_two();
    let other = ["-c", "other"];
    let number = |what: &str| {
        let log = sandbox.json(&["log", "--limit", "100"]);
        let all = log["operations"].as_array().unwrap();
        let found = all.iter().find(|one| text(&one["what"]).contains(what));
        found.map(|one| one["id"].to_string())
    };
    let run = |args: &[&str]| sandbox.json(&[args, &other].concat());
    let stars = |name: &str| run(&["show", name])["rating"].clone();
    let create = || {
        sandbox.json(&["collection", "create", "other"]);
        sandbox.json(&["copy", "one", "two", "--to", "other"]);
    };
    create();
    run(&["rate", "one", "5"]);
    sandbox.json(&["rate", "two", "3"]);
    let rated = file(&sandbox);
    let deleted = "the collection `other` deleted by another program";
    fs::remove_dir_all(sandbox.home().collection("other")).unwrap();
    let first = until(deleted, || number(deleted));
    assert_eq!(file(&sandbox), rated, "it may be put back");

    create();
    assert_eq!(stars("one"), Value::Null);
    assert_eq!(rating(&sandbox, "two"), json!(3), "of another collection");
    run(&["rate", "one", "1"]);
    run(&["rate", "two", "2"]);
    fs::remove_dir_all(sandbox.home().collection("other")).unwrap();
    let second = until(deleted, || number(deleted).filter(|id| *id != first));

    // Each comes back with its own.
    let planned = sandbox.json(&["undo", &first, "--dry-run"]);
    let steps = planned["steps"].to_string();
    assert!(steps.contains("state/ratings.toml"), "{planned:#}");
    sandbox.json(&["undo", &first]);
    assert_eq!((stars("one"), stars("two")), (json!(5), Value::Null));
    assert_eq!(rating(&sandbox, "two"), json!(3));
    sandbox.json(&["redo"]);
    sandbox.json(&["undo", &first]);
    assert_eq!((stars("one"), stars("two")), (json!(5), Value::Null));
    sandbox.json(&["collection", "delete", "other", "--yes"]);
    sandbox.json(&["undo", &second]);
    assert_eq!((stars("one"), stars("two")), (json!(1), json!(2)));
    // One that we delete takes them along.
    let deleted = sandbox.json(&["collection", "delete", "other", "--yes"]);
    sandbox.json(&["rate", "two", "4"]);
    sandbox.json(&["undo", &text(&deleted["operation"])]);
    assert_eq!((stars("one"), stars("two")), (json!(1), json!(2)));
    assert_eq!(rating(&sandbox, "two"), json!(4));
}

#[test]
fn deleting_another_collection_of_a_name_takes_no_ratings_from_the_one_that_is_gone() {
    let sandbox = Sandbox::with_two();
    let create = || drop(sandbox.json(&["collection", "create", "other"]));
    create();
    sandbox.json(&["copy", "one", "--to", "other"]);
    sandbox.json(&["rate", "one", "5", "-c", "other"]);
    // Nobody had time to look.
    fs::remove_dir_all(sandbox.home().collection("other")).unwrap();
    create();
    sandbox.json(&["collection", "delete", "other", "--yes"]);
    let log = sandbox.json(&["log"]);
    let all = log["operations"].as_array().unwrap();
    let gone = all.iter().find(|one| one["actor"] == "external").unwrap();
    sandbox.json(&["undo", &gone["id"].to_string()]);
    let shown = sandbox.json(&["show", "one", "-c", "other"]);
    assert_eq!(shown["rating"], json!(5));
    // What was made in its place is no more, and what it had taken along stays.
    let made = all
        .iter()
        .find(|one| text(&one["what"]).starts_with("delete"));
    let error = sandbox.fails(&["undo", &made.unwrap()["id"].to_string()], 4);
    assert_eq!(error["code"], "operation.superseded", "{error}");
}

#[test]
fn the_log_of_a_collection_and_of_an_artifact_has_their_ratings() {
    let sandbox = Sandbox::with_two();
    let done = |args: &[&str]| text(&sandbox.json(args)["operation"]);
    let log = |args: &[&str]| -> Vec<String> {
        let told = sandbox.json(&[&["log"], args].concat());
        let all = told["operations"].as_array().unwrap();
        all.iter().map(|one| one["id"].to_string()).collect()
    };
    sandbox.json(&["collection", "create", "work"]);
    let first = done(&["rate", "one", "5"]);
    let other = done(&["rate", "two", "1"]);
    sandbox.json(&["copy", "one", "--to", "work"]);
    let elsewhere = done(&["rate", "one", "2", "-c", "work"]);
    sandbox.json(&["collection", "rename", "default", "mine"]);
    let cleared = done(&["rate", "one", "--clear"]);
    let of_one = log(&["--artifact", "skill:one", "-c", "mine"]);
    let all = log(&["-c", "mine"]);
    let work = log(&["-c", "work"]);
    for (number, is_of_one, is_of_all, is_of_work) in [
        (&first, true, true, false),
        (&other, false, true, false),
        (&elsewhere, false, false, true),
        (&cleared, true, true, false),
    ] {
        let number = number.trim_matches('"').to_owned();
        assert_eq!(of_one.contains(&number), is_of_one, "{number}: {of_one:?}");
        assert_eq!(all.contains(&number), is_of_all, "{number}: {all:?}");
        assert_eq!(work.contains(&number), is_of_work, "{number}: {work:?}");
    }
    assert!(all.is_sorted_by_key(|one| std::cmp::Reverse(one.parse::<u64>().unwrap())));
    // Page by page it is the same.
    let newest = log(&["-c", "mine", "--limit", "1"]);
    assert_eq!(newest, all[..1]);
    assert_eq!(log(&["-c", "mine", "--before", &newest[0]]), all[1..]);
}

#[test]
fn other_ratings_and_comments_stay() {
    let sandbox = Sandbox::with_two();
    sandbox.json(&["rate", "one", "3"]);
    let path = sandbox.home().root().join("state/ratings.toml");
    let text = "# all\r\n[ default ]\n'skill:one'=3 # good\n\"skill:two\" = 1\n[[ arr . y ]]\nz=1";
    replace(&path, text);
    sandbox.json(&["rate", "two", "2"]);
    let text = text.replace("two\" = 1", "two\" = 2");
    assert_eq!(file(&sandbox), text);
    sandbox.json(&["rename", "one", "q77"]);
    assert_eq!(file(&sandbox), text.replace("'skill:one'", "\"skill:q77\""));
    assert_eq!(sandbox.show("q77")["rating"], 3);
    sandbox.json(&["undo"]);
    assert_eq!(file(&sandbox), text);
}
