//! Failpoints of a test's daemon, which only builds with debug assertions have, and whether its cache is what a new one would be.

use std::path::PathBuf;

use serde_json::{Value, json};
use skillmeat_shared::failpoint;

use crate::home::{replace, text};
use crate::wait::{until, until_true};
use crate::{Sandbox, daemon};

/// Words that are looked for when caches are compared.
const QUERIES: [&str; 3] = ["plain", "edited", "what"];

/// The failpoints of all daemons of a sandbox, told anew while they run.
#[derive(Debug)]
pub struct Faults {
    file: PathBuf,
}

impl Faults {
    /// Daemons of this sandbox that start from now on listen.
    pub fn of(sandbox: &mut Sandbox) -> Self {
        let file = sandbox.path("failpoints");
        let faults = Self { file };
        faults.none();
        let told = format!("@{}", faults.file.display());
        sandbox.set(failpoint::VARIABLE, &told);
        faults
    }

    /// Has this happen from now on.
    pub fn tell(&self, what: &str) {
        // There need not be one.
        drop(std::fs::remove_file(self.notes()));
        replace(&self.file, what);
    }

    fn notes(&self) -> PathBuf {
        self.file.with_extension("passed")
    }

    /// The steps that were noted, or are waited at, since it was told what to do: `name@count` in each line.
    pub fn passed(&self) -> String {
        std::fs::read_to_string(self.notes()).unwrap_or_default()
    }

    /// Has nothing happen from now on.
    pub fn none(&self) {
        replace(&self.file, "");
    }
}

/// Waits until a daemon that was told to die is dead.
#[track_caller]
pub fn until_dead(sandbox: &Sandbox, what: &str) {
    until_true(what, || daemon::processes(sandbox.home().root()).is_empty());
}

/// What the daemon tells of its rows, without what depends on when it looked. `None` while it looks.
fn told(sandbox: &Sandbox) -> Option<Value> {
    let ask = |args: &[&str]| {
        let answer = sandbox.run(&[args, &["--json"]].concat());
        (answer.code == Some(0)).then(|| answer.json())
    };
    let cache = ask(&["cache", "status"])?;
    let mut list = ask(&["list", "--all"])?;
    if cache["unindexed_artifacts"] != 0 || list["complete"] != true {
        return None;
    }
    let artifacts = list["artifacts"].as_array_mut()?;
    for artifact in artifacts.iter_mut() {
        artifact["synced_at"] = Value::Null;
        artifact["stale"] = Value::Null;
    }
    // Those of one name in two collections come in the order of their rows.
    artifacts.sort_by_key(|one| {
        (
            text(&one["name"]),
            text(&one["collection"]),
            text(&one["id"]),
        )
    });
    let mut collection = ask(&["collection", "show"])?;
    for key in ["verified_at", "stale"] {
        collection["collection"][key] = Value::Null;
        collection[key] = Value::Null;
    }
    let mut found = Vec::new();
    for query in QUERIES {
        let hits = ask(&["search", query, "--limit", "100"])?;
        let mut ids: Vec<String> = hits["hits"]
            .as_array()?
            .iter()
            .map(|hit| text(&hit["artifact"]["id"]))
            .collect();
        ids.sort();
        found.push(ids);
    }
    Some(json!([list["artifacts"], collection, found]))
}

/// Waits until the rows are those that a cache made anew from the files has, and checks the database.
///
/// # Panics
/// If they never are.
#[track_caller]
pub fn equals_a_fresh_one(sandbox: &Sandbox, after: &str) {
    until_true(&format!("a pass after {after}"), || {
        sandbox.run(&["cache", "refresh"]).code == Some(0)
    });
    let live = until(&format!("rows after {after}"), || told(sandbox));
    let checked = sandbox.json(&["db", "check", "--thorough"]);
    assert_eq!(checked["ok"], true, "after {after}: {checked}");
    drop(sandbox.run(&["cache", "clear"]).ok());
    let fresh = until(&format!("fresh rows after {after}"), || told(sandbox));
    assert!(
        live == fresh,
        "after {after}\nlive: {live:#}\nfresh: {fresh:#}"
    );
}
