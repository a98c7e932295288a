//! What the doctor finds where no daemon runs that could tell of it.

use std::fs;

use skillmeat_tests::home::write;

use crate::doctor::{codes, doctor, finding, healthy};

#[test]
fn something_else_in_the_place_of_a_folder() {
    let sandbox = healthy();
    sandbox.stop();
    let cache = sandbox.path("fast");
    let config = format!("[cache]\npath = \"{}\"\n", cache.display());
    write(sandbox.home().config(), config);
    assert_eq!(codes(&doctor(&sandbox, &[], 0)), [""; 0]);
    write(&cache, "no folder");
    let seen = doctor(&sandbox, &[], 9);
    assert_eq!(codes(&seen), ["not-a-folder"]);
    let found = finding(&seen, "not-a-folder");
    assert_eq!(found["path"], cache.to_str().unwrap());
    assert!(found["hints"][0].as_str().unwrap().starts_with("move "));
    fs::remove_file(&cache).unwrap();
    sandbox.ready();
    assert_eq!(codes(&doctor(&sandbox, &[], 0)), [""; 0]);
}

#[test]
fn a_skill_that_lacks_its_file() {
    let sandbox = healthy();
    let file = sandbox.collection("default", "skills/one/SKILL.md");
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let is_found = || {
        let seen = doctor(&sandbox, &[], 9);
        assert_eq!(codes(&seen), ["artifact-missing"]);
        let message = finding(&seen, "artifact-missing")["message"].to_string();
        assert!(message.contains("lacks its files at"), "{message}");
    };
    is_found();
    sandbox.stop();
    is_found();
    write(&file, kept);
    assert_eq!(codes(&doctor(&sandbox, &[], 0)), [""; 0]);
}
