//! One more collection folder, outside of the home.

use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{codes, rename, skill, text};

/// What is true of an external collection, however it was named.
fn is_served_and_watched(sandbox: &Sandbox) {
    let place = sandbox.path("team/library");
    let shown = sandbox.shows("shared", "the external collection", |_| true);
    let name = text(&shown["collection"]);
    assert!(
        text(&shown["absolute_path"]).starts_with(place.to_str().unwrap()),
        "{shown:#}"
    );
    let collection = sandbox.json(&["collection", "show", &name]);
    assert_eq!(collection["external"], true);
    assert_eq!(collection["path"], place.to_str().unwrap());
    skill(&place.join("skills"), "shared", "Edited");
    sandbox.shows("shared", "an edit out there", |shown| {
        shown["description"] == "Edited"
    });
    skill(&place.join("skills"), "second", "New");
    sandbox.shows("second", "a new one out there", |_| true);
    let source = skill(&sandbox.path("src"), "added", "By a command");
    drop(
        sandbox
            .run(&["add", source.to_str().unwrap(), "-c", &name])
            .ok(),
    );
    assert!(place.join("skills/added/SKILL.md").is_file());
    let status = sandbox.json(&["status"]);
    let roots = status["roots"].to_string();
    assert!(roots.contains(place.to_str().unwrap()), "{roots}");
    // Away and back.
    rename(&place, sandbox.path("team/away"));
    sandbox.status_until("it to be unreachable", |status| {
        status["collections"].to_string().contains("unreachable")
    });
    assert_eq!(sandbox.show("shared")["description"], "Edited");
    rename(sandbox.path("team/away"), &place);
    sandbox.status_until("it to be back", |status| {
        !status["collections"].to_string().contains("unreachable")
    });
}

#[test]
fn the_variable_names_one() {
    let mut sandbox = Sandbox::new();
    skill(
        &sandbox.path("team/library/skills"),
        "shared",
        "Of the team",
    );
    let place = sandbox.path("team/library");
    sandbox.set("SKILLMEAT_COLLECTION_PATH", place.to_str().unwrap());
    sandbox.configure(crate::BACKEND, "");
    drop(sandbox.run(&["init"]).ok());
    is_served_and_watched(&sandbox);
}

#[test]
fn the_config_names_one_while_the_daemon_runs() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let place = sandbox.path("team/library");
    skill(&place.join("skills"), "shared", "Of the team");
    drop(
        sandbox
            .run(&["config", "set", "collection.path", place.to_str().unwrap()])
            .ok(),
    );
    assert_eq!(sandbox.json(&["list", "-c", "library"])["total"], 1);
    is_served_and_watched(&sandbox);
    let away = sandbox.path("team/away");
    rename(&place, &away);
    let status = sandbox.status_until("it to be missed", |status| {
        codes(&status["warnings"]) == ["collection-unreachable"]
    });
    let hints = status["warnings"][0]["hints"].to_string();
    assert!(
        hints.contains("`sm config unset collection.path`"),
        "{hints}"
    );
    drop(sandbox.run(&["config", "unset", "collection.path"]).ok());
    drop(sandbox.run(&["show", "shared"]).exits(3));
    let status = sandbox.json(&["status"]);
    assert_eq!(status["collections"].as_array().unwrap().len(), 1);
    rename(&away, &place);
    assert!(place.join("skills/shared/SKILL.md").is_file());
}

#[test]
fn a_first_manifest_that_is_taken_back_leaves_no_entries() {
    let sandbox = Sandbox::watched(crate::BACKEND);
    let place = sandbox.path("team/library");
    skill(&place.join("skills"), "shared", "Of the team");
    let place = place.to_str().unwrap();
    drop(
        sandbox
            .run(&["config", "set", "collection.path", place])
            .ok(),
    );
    sandbox.status_until("it to be served", |status| {
        status["collections"].as_array().unwrap().len() == 2
    });
    let source = skill(&sandbox.path("src"), "one", "One");
    let add = ["add", source.to_str().unwrap(), "-c", "library"];
    drop(sandbox.run(&add).ok());
    drop(sandbox.run(&["undo"]).ok());
    let list = sandbox.json(&["list", "-c", "library"]);
    assert_eq!(list["total"], 1, "{list}");
    assert_eq!(list["artifacts"][0]["status"], "unmanaged", "{list}");
    assert_eq!(list["outdated"], serde_json::json!([]), "{list}");
    drop(sandbox.run(&add).ok());
    assert_eq!(sandbox.json(&["list", "-c", "library"])["total"], 2);
}
