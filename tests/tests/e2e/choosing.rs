//! Choosing artifacts: names, patterns, filters and standard input mean the same in every command that takes them.

use std::process::Stdio;

use serde_json::{Value, json};
use skillmeat_tests::Sandbox;
use skillmeat_tests::home::{output, skill, write};

/// Three skills and a command; two skills are tagged, and in a group with the command.
fn stocked() -> Sandbox {
    let sandbox = Sandbox::initialised();
    let source = sandbox.path("src");
    for name in ["pdf-a", "pdf-b", "other"] {
        skill(&source, name, "Good");
    }
    write(
        source.join("commands/pdf-c.md"),
        "---\ndescription: Good\n---\nDo\n",
    );
    sandbox.json(&["add", "--all", source.to_str().unwrap()]);
    sandbox.json(&["tag", "add", "Old", "pdf-a", "other"]);
    sandbox.json(&["group", "create", "Forms", "pdf-a", "pdf-c", "other"]);
    sandbox
}

fn members(sandbox: &Sandbox, group: &str) -> Vec<String> {
    let group = sandbox.json(&["group", "show", group]);
    let members = group["members"].as_array().unwrap().iter();
    let text = |member: &Value| member["id"].as_str().unwrap_or_default().to_owned();
    members.map(text).collect()
}

/// Runs `sm` with these lines on its standard input.
fn fed(sandbox: &Sandbox, args: &[&str], lines: &str) -> Value {
    let file = sandbox.path("names");
    write(&file, lines);
    let mut command = sandbox.sm(&[args, &["--json"]].concat());
    command.stdin(Stdio::from(std::fs::File::open(file).unwrap()));
    output(command).ok().json()
}

#[test]
fn tags_are_put_on_what_is_chosen() {
    let sandbox = stocked();
    let by_pattern = sandbox.json(&["tag", "add", "new", "pdf-*"]);
    assert_eq!(by_pattern["added"], 3, "{by_pattern}");
    let by_kind = sandbox.json(&["tag", "remove", "new", "pdf-*", "--type", "command"]);
    assert_eq!(by_kind["removed"], 1, "{by_kind}");
    let by_tag = sandbox.json(&["tag", "add", "older", "--tag", "old"]);
    assert_eq!(by_tag["added"], 2, "{by_tag}");
    let dry = sandbox.json(&["tag", "remove", "old", "--group", "forms", "--dry-run"]);
    assert_eq!(
        (&dry["removed"], &dry["unchanged"]),
        (&json!(2), &json!(1)),
        "{dry}"
    );
    let by_group = sandbox.json(&["tag", "remove", "old", "--group", "forms"]);
    assert_eq!(by_group["removed"], 2, "{by_group}");
    let from_stdin = fed(&sandbox, &["tag", "add", "fed", "-"], "pdf-b\nother\n\n");
    assert_eq!(from_stdin["added"], 2, "{from_stdin}");
    assert_eq!(
        sandbox.json(&["tag", "show", "fed"])["members"],
        json!(["skill:other", "skill:pdf-b"])
    );
    // One operation each.
    sandbox.json(&["undo"]);
    sandbox.fails(&["tag", "show", "fed"], 3);
    let batch = sandbox.run(&["tag", "add", "x", "pdf-a", "q*", "--json"]);
    let batch = batch.exits(9).json();
    assert_eq!((&batch["added"], &batch["failed"]), (&json!(1), &json!(1)));
}

#[test]
fn members_are_what_is_chosen() {
    let sandbox = stocked();
    sandbox.json(&["group", "create", "Skills", "--type", "skill"]);
    assert_eq!(
        members(&sandbox, "Skills"),
        ["skill:other", "skill:pdf-a", "skill:pdf-b"]
    );
    fed(&sandbox, &["group", "create", "Fed", "-"], "pdf-c\n");
    assert_eq!(members(&sandbox, "Fed"), ["command:pdf-c"]);
    let added = sandbox.json(&["group", "add", "Fed", "pdf-*", "--at", "0"]);
    assert_eq!(
        (&added["added"], &added["unchanged"]),
        (&json!(2), &json!(1)),
        "{added}"
    );
    let all = ["skill:pdf-a", "skill:pdf-b", "command:pdf-c"];
    assert_eq!(members(&sandbox, "Fed"), all);
    // Of the members only: `other` carries the tag, too.
    let moved = sandbox.json(&[
        "group", "move", "--tag", "old", "--from", "Fed", "--to", "Skills",
    ]);
    assert_eq!(
        (&moved["moved"], &moved["unchanged"]),
        (&json!(1), &json!(0)),
        "{moved}"
    );
    assert_eq!(members(&sandbox, "Fed"), all[1..]);
    let moved = sandbox.json(&["group", "move", "pdf-*", "--from", "Fed", "--to", "Skills"]);
    assert_eq!(moved["moved"], 2, "{moved}");
    let gone = sandbox.json(&["group", "remove", "Skills", "*", "--type", "skill"]);
    assert_eq!(gone["removed"], 3, "{gone}");
    assert_eq!(members(&sandbox, "Skills"), ["command:pdf-c"]);
    let nothing = sandbox.run(&["group", "remove", "Skills", "nothing-*"]);
    assert_eq!(nothing.code, Some(9), "{nothing:?}");
    sandbox.json(&["group", "remove", "Skills", "--group", "forms"]);
    assert_eq!(members(&sandbox, "Skills"), [""; 0]);
    // Nothing at all is chosen.
    for args in [
        vec!["group", "add", "Skills"],
        vec!["group", "remove", "Skills"],
        vec!["group", "move", "--from", "Fed", "--to", "Skills"],
        vec!["tag", "add", "x"],
    ] {
        assert_eq!(sandbox.run(&args).code, Some(2), "{args:?}");
    }
}

#[test]
fn a_filter_that_names_nothing_is_an_error() {
    let sandbox = stocked();
    sandbox.json(&["tag", "define", "unused"]);
    sandbox.json(&["group", "create", "Empty"]);
    for command in [
        vec!["remove", "--yes"],
        vec!["set", "license=MIT"],
        vec!["move", "--to", "default", "--yes"],
        vec!["tag", "add", "x"],
        vec!["group", "add", "Empty"],
        vec!["group", "remove", "Forms"],
        vec!["validate"],
    ] {
        let of = |filter: [&'static str; 2]| [&command[..], &filter].concat();
        let group = sandbox.run(&[&of(["-g", "Form"])[..], &["--json"]].concat());
        // Where they would go to the collection that they are in, that is the first thing to say.
        if command[0] == "move" {
            assert_eq!(group.code, Some(2));
            continue;
        }
        let group = group.exits(3).error();
        assert!(
            group.to_string().contains("did you mean `Forms`?"),
            "{group}"
        );
        let tag = sandbox.fails(&of(["--tag", "odl"]), 3);
        assert!(tag.to_string().contains("did you mean `Old`?"), "{tag}");
        // What is there and holds nothing chooses nothing.
        if command[0] != "validate" {
            for filter in [["-g", "empty"], ["--tag", "UNUSED"]] {
                let none = sandbox.json(&of(filter));
                assert_eq!(none["items"], json!([]), "{none}");
            }
        }
    }
    let rated = sandbox.fails(&["rate", "-g", "none", "5"], 3);
    assert_eq!(rated["code"], "group.not_found", "{rated}");
    assert_eq!(sandbox.ids().len(), 4);
}

#[test]
fn a_colour_of_a_thing_is_not_that_of_the_output() {
    let mut sandbox = stocked();
    sandbox.json(&["tag", "define", "red", "--color", "#f00"]);
    assert_eq!(sandbox.json(&["tag", "show", "red"])["color"], "#ff0000");
    let colours = |sandbox: &Sandbox, args: &[&str]| {
        let answer = sandbox.run(args).ok();
        answer.stdout.contains('\u{1b}')
    };
    // In front of the command it is about the output.
    let define = ["tag", "define", "red", "--color", "#0f0"];
    assert!(colours(
        &sandbox,
        &[&["--color", "always"][..], &define].concat()
    ));
    assert_eq!(sandbox.json(&["tag", "show", "red"])["color"], "#00ff00");
    let update = ["group", "update", "Forms", "--color", "#00f"];
    assert!(!colours(&sandbox, &update));
    sandbox.set("CLICOLOR_FORCE", "1");
    assert!(colours(
        &sandbox,
        &["tag", "define", "red", "--color", "#fff"]
    ));
    assert!(!colours(
        &sandbox,
        &[
            "--color", "never", "tag", "define", "red", "--color", "#0ff"
        ]
    ));
    sandbox.set("NO_COLOR", "1");
    assert!(!colours(
        &sandbox,
        &["tag", "define", "red", "--color", "#ff0"]
    ));
    let help = sandbox.run(&["tag", "define", "--help"]).ok().stdout;
    assert!(
        help.contains("CLICOLOR_FORCE") && !help.contains("--color-output"),
        "{help}"
    );
}

#[test]
fn a_batch_tells_how_far_it_is() {
    use skillmeat_proto::v1;
    use skillmeat_proto::v1::change_event::Event;

    let sandbox = stocked();
    let rpc = sandbox.rpc();
    let mut client = v1::curation_service_client::CurationServiceClient::new(rpc.channel());
    let request = v1::SetFieldsRequest {
        selection: Some(v1::Selection {
            names: vec!["*".to_owned()],
            ..v1::Selection::default()
        }),
        fields: vec![v1::Field {
            key: "author".to_owned(),
            value: "Me".to_owned(),
        }],
        dry_run: false,
    };
    let phases = rpc.wait(async {
        let mut stream = client.set(request).await.unwrap().into_inner();
        let mut phases = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(Event::Progress(at)) = message.event {
                assert!(at.done <= at.total, "{at:?}");
                phases.push(at.phase);
            }
        }
        phases
    });
    for phase in ["planning", "keeping", "changing"] {
        assert!(phases.iter().any(|one| one == phase), "{phase}: {phases:?}");
    }
    // Nobody watches: nothing of it is printed.
    let answer = sandbox.run(&["set", "*", "author=You"]).ok();
    assert!(!answer.stderr.contains("planning"), "{answer:?}");
}

#[test]
fn hints_are_of_what_helps() {
    let sandbox = Sandbox::new();
    let source = skill(&sandbox.path("src"), "a", "Short");
    let error = sandbox.fails(&["add", source.to_str().unwrap(), "-c", "nope"], 3);
    assert_eq!(error["hints"][0], "`sm init --name nope` makes it");
    drop(sandbox.run(&["init", "--name", "nope"]).ok());
    drop(
        sandbox
            .run(&["add", source.to_str().unwrap(), "-c", "nope"])
            .ok(),
    );
    // One letter is no misspelling of another.
    let error = sandbox.fails(&["show", ":"], 3);
    assert!(
        !error["hints"].to_string().contains("did you mean"),
        "{error}"
    );
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let empty = sandbox.run(&["add", "--all", "empty", "-c", "nope"]).ok();
    assert!(
        empty.stderr.contains("--type") || empty.stdout.contains("--type"),
        "{empty:?}"
    );
}

#[test]
fn groups_are_deleted_by_patterns_and_by_names_on_stdin() {
    let sandbox = stocked();
    for name in ["tmp-a", "tmp-b", "kept", "listed"] {
        sandbox.json(&["group", "create", name]);
    }
    let manifest = sandbox.collection("default", "collection.toml");
    let mut text = std::fs::read_to_string(&manifest).unwrap();
    text.push_str("\n[[groups]]\nname = \"t*\"\nmembers = []\n");
    write(manifest, text);
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let left = || -> Vec<String> {
        let list = sandbox.json(&["group", "list"]);
        let names = list["groups"].as_array().unwrap().iter();
        names
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = left();
    let dry = sandbox.json(&["group", "delete", "tmp-*", "--dry-run"]);
    assert_eq!(dry["deleted"], 2, "{dry:#}");
    assert_eq!(left(), before);
    // What there is of this name is meant.
    let one = sandbox.json(&["group", "delete", "t*"]);
    assert_eq!(one["items"][0]["id"], "t*", "{one:#}");
    let mut command = sandbox.sm(&["group", "delete", "-", "tmp-[ab]", "--json"]);
    write(sandbox.path("names"), "listed\n\n tmp-a \nnobody\n");
    command.stdin(std::fs::File::open(sandbox.path("names")).unwrap());
    let done = output(command).exits(9).json();
    assert_eq!((&done["deleted"], &done["failed"]), (&3.into(), &1.into()));
    assert!(
        !left()
            .iter()
            .any(|name| name.starts_with("tmp") || name == "listed")
    );
    sandbox.json(&["undo"]);
    assert!(left().contains(&"tmp-b".to_owned()), "one operation");
    let error = sandbox.fails(&["group", "delete", "zz*"], 3);
    assert_eq!(error["code"], "group.not_found");
}

#[test]
fn ratings_of_what_filters_choose_are_taken_away() {
    let sandbox = stocked();
    for filter in [
        &["--tag", "Old"][..],
        &["--type", "skill"],
        &["-g", "Forms"],
    ] {
        sandbox.json(&[&["rate", "5"], filter].concat());
        assert_eq!(sandbox.show("pdf-a")["rating"], 5);
        sandbox.json(&[&["rate", "--clear"], filter].concat());
        assert_eq!(sandbox.show("pdf-a")["rating"], Value::Null, "{filter:?}");
    }
    let error = sandbox.fails(&["rate", "--clear"], 2);
    assert_eq!(error["message"], "no artifact is named");
    drop(sandbox.run(&["rate", "--tag", "Old"]).exits(2));
}

#[test]
fn what_is_gone_is_told_as_gone_though_its_row_is_still_there() {
    let sandbox = Sandbox::initialised();
    let skills = sandbox.collection("default", "skills");
    for number in 0..30 {
        skill(&skills, &format!("s{number}"), "Nobody added it");
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    sandbox.stop();
    // So many at once are not believed to be gone at the first look.
    for number in 0..30 {
        std::fs::remove_dir_all(skills.join(format!("s{number}"))).unwrap();
    }
    for args in [
        &["rename", "s1", "t1"][..],
        &["set", "s2", "license=MIT"],
        &["remove", "s3", "--yes"],
    ] {
        let error = sandbox.fails(args, 3);
        let told = error.to_string();
        assert!(
            told.contains("neither files nor an entry") || told.contains("artifact.not_found"),
            "{args:?}: {told}"
        );
    }
    let log = sandbox.json(&["log"]);
    assert_eq!(log["operations"].as_array().unwrap().len(), 1, "{log:#}");
}
