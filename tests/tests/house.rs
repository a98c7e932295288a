//! Rules of the house, checked: who may see whom, what things are called, how large they grow, and that
//! every error has its place in the papers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use skillmeat_shared::Code;

/// What lies at the top; everything else needs a place in one of these.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "TROUBLESHOOTING.md",
    "client",
    "clippy.toml",
    "daemon",
    "deny.toml",
    "packaging",
    "proto",
    "rustfmt.toml",
    "shared",
    "tests",
];

/// Not kept: made by building.
const BUILT: &[&str] = &["target"];

/// What a crate must never see, itself or through others.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "skillmeat-shared",
        &[
            "skillmeat-proto",
            "skillmeatd",
            "skillmeat-client",
            "tokio",
            "tonic",
            "prost",
            "axum",
            "hyper",
            "rusqlite",
            "notify",
            "reqwest",
            "ureq",
            "clap",
        ],
    ),
    (
        "skillmeat-proto",
        &[
            "skillmeatd",
            "skillmeat-client",
            "rusqlite",
            "notify",
            "clap",
        ],
    ),
    ("skillmeatd", &["skillmeat-client", "skillmeat-tests"]),
    (
        "skillmeat-client",
        &["skillmeatd", "skillmeat-tests", "rusqlite", "notify"],
    ),
];

/// The crates of the workspace that a crate may use.
const USES: &[(&str, &[&str])] = &[
    ("skillmeat-shared", &[]),
    ("skillmeat-proto", &["skillmeat-shared"]),
    ("skillmeatd", &["skillmeat-proto", "skillmeat-shared"]),
    ("skillmeat-client", &["skillmeat-proto", "skillmeat-shared"]),
    (
        "skillmeat-tests",
        &[
            "skillmeat-client",
            "skillmeat-proto",
            "skillmeat-shared",
            "skillmeatd",
        ],
    ),
];

const LONGEST_FILE: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All files below a folder, without those that building makes.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if BUILT.contains(&name) || name == ".git" {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Our own sources.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["proto", "shared", "daemon", "client", "tests"] {
        files(&root().join(folder), &mut found);
    }
    found.retain(|path| {
        path.extension().is_some_and(|extension| extension == "rs")
            && !path.components().any(|part| part.as_os_str() == "fixtures")
    });
    assert!(found.len() > 100, "{}", found.len());
    found
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The platform for which this machine's compiler builds.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

/// Names of all packages that each crate of ours is built with (tests aside).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version=1", "--offline", "--locked"]);
    // What only other systems are built with was never downloaded here.
    let output = command
        .args(["--filter-platform", &host()])
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: BTreeMap<String, String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let edges: BTreeMap<String, Vec<String>> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let needed = node["deps"].as_array().unwrap().iter().filter(|dep| {
                let kinds = dep["dep_kinds"].as_array().unwrap();
                kinds.iter().any(|kind| kind["kind"] != "dev")
            });
            (
                text(&node["id"]),
                needed.map(|dep| text(&dep["pkg"])).collect(),
            )
        })
        .collect();
    metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            let mut seen = BTreeSet::new();
            let mut queue = VecDeque::from([text(member)]);
            while let Some(id) = queue.pop_front() {
                for next in &edges[&id] {
                    if seen.insert(names[next].clone()) {
                        queue.push_back(next.clone());
                    }
                }
            }
            (names[&text(member)].clone(), seen)
        })
        .collect()
}

#[test]
fn no_crate_sees_what_it_must_not() {
    let all = dependencies();
    for (name, forbidden) in FORBIDDEN {
        let seen = &all[*name];
        for package in *forbidden {
            assert!(!seen.contains(*package), "`{name}` sees `{package}`");
        }
    }
    let ours: BTreeSet<&str> = USES.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        all.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        ours
    );
    for (name, uses) in USES {
        for other in &ours {
            assert!(
                !all[*name].contains(*other) || uses.contains(other),
                "`{name}` uses `{other}`"
            );
        }
    }
}

#[test]
fn the_daemon_reads_arguments_in_one_room_only() {
    let daemon = root().join("daemon/src");
    for path in sources() {
        if path.starts_with(&daemon) && path != daemon.join("cli.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("clap::"), "{}", path.display());
        }
    }
}

#[test]
fn no_room_is_called_anything_at_all() {
    for path in sources() {
        for part in path.strip_prefix(root()).unwrap().components() {
            let part = part.as_os_str().to_str().unwrap();
            let name = part.split('.').next().unwrap();
            assert!(
                ![
                    "utils", "util", "helpers", "helper", "common", "misc", "manager"
                ]
                .contains(&name),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_grows_too_long() {
    for path in sources() {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= LONGEST_FILE,
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn every_service_is_a_thin_room() {
    let folder = root().join("daemon/src/services");
    for path in sources()
        .into_iter()
        .filter(|path| path.starts_with(&folder))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("rusqlite"), "SQL in {}", path.display());
        assert!(!text.contains("std::fs"), "files in {}", path.display());
    }
}

#[test]
fn nothing_lies_around_at_the_top() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with('.') || BUILT.contains(&name.as_str()) {
            continue;
        }
        assert!(TOP.contains(&name.as_str()), "`{name}` lies at the top");
    }
    for name in TOP {
        assert!(root().join(name).exists(), "`{name}` is not there");
    }
}

/// The texts of all headings of this level that are code.
fn headings(papers: &str) -> Vec<&str> {
    papers
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect()
}

#[test]
fn every_error_warning_and_finding_has_a_heading_and_no_heading_is_doubled() {
    let papers = read("TROUBLESHOOTING.md");
    let headings = headings(&papers);
    for code in Code::ALL {
        assert!(headings.contains(&code.as_str()), "no heading for `{code}`");
    }
    let warnings: Vec<&str> = skillmeat_shared::health::ALL
        .iter()
        .map(|warnable| warnable.code)
        .collect();
    for warning in &warnings {
        assert!(headings.contains(warning), "no heading for `{warning}`");
    }
    let mut once = headings.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), headings.len(), "a heading is doubled");
    let diagnoses: Vec<&str> = skillmeat_shared::doctor::ALL
        .iter()
        .map(|diagnosis| diagnosis.code)
        .collect();
    for diagnosis in &diagnoses {
        assert!(headings.contains(diagnosis), "no heading for `{diagnosis}`");
    }
    for heading in headings {
        assert!(
            Code::parse(heading).is_some()
                || warnings.contains(&heading)
                || diagnoses.contains(&heading),
            "the heading `{heading}` is no code"
        );
    }
}

#[test]
fn every_problem_of_artifacts_and_collections_is_explained() {
    let papers = read("TROUBLESHOOTING.md");
    let shared = root().join("shared/src");
    let mut seen = BTreeSet::new();
    for path in sources() {
        let is_test = path.file_name().is_some_and(|name| name == "tests.rs");
        if !path.starts_with(&shared) || is_test {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("Problem::new(").skip(1) {
            let argument = part.trim_start();
            if let Some(code) = argument.strip_prefix('"') {
                seen.insert(code.split('"').next().unwrap().to_owned());
            }
        }
    }
    assert!(seen.len() > 10, "{seen:?}");
    for code in seen {
        assert!(
            papers.contains(&format!("`{code}`")),
            "`{code}` is not explained"
        );
    }
}

#[test]
fn the_list_of_failpoints_is_that_of_the_code() {
    let mut passed = BTreeMap::<String, usize>::new();
    for path in sources() {
        let name = path.strip_prefix(root()).unwrap();
        let is_ours = ["shared/src", "daemon/src"]
            .iter()
            .any(|folder| name.starts_with(folder));
        if !is_ours || name.ends_with("failpoint.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for call in ["hit(\"", "step(\"", "pass(\""] {
            for part in text.split(call).skip(1) {
                let point = part.split('"').next().unwrap();
                if point.contains('.') {
                    *passed.entry(point.to_owned()).or_default() += 1;
                }
            }
        }
    }
    let names: Vec<&str> = passed.keys().map(String::as_str).collect();
    assert_eq!(names, skillmeat_shared::failpoint::ALL);
    for (name, count) in passed {
        assert_eq!(count, 1, "`{name}` stands for several steps");
    }
}

#[test]
fn every_key_of_the_config_is_in_the_readme() {
    let papers = read("README.md");
    for key in skillmeat_shared::config::keys::KEYS
        .iter()
        .filter(|key| key.used)
    {
        assert!(
            papers.contains(&format!("`{}`", key.name)),
            "`{}`",
            key.name
        );
    }
}

#[test]
fn code_and_papers_name_no_place_of_a_machine() {
    let mut all = sources();
    for name in TOP.iter().filter(|name| {
        Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "md")
    }) {
        all.push(root().join(name));
    }
    let here = root();
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains(&format!("{}/", here.display())),
            "{}",
            path.display()
        );
    }
}
