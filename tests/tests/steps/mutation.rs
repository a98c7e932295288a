//! A mutation as the table tells it, and the homes that it is tried in.

use skillmeat_tests::Sandbox;
use skillmeat_tests::fault::Faults;
use skillmeat_tests::home::{skill, text, write};

/// How one gets back to the state before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Back {
    /// By taking back each operation.
    Undo,
    /// By doing again what was undone.
    Redo,
    /// It is no operation: the home is put back as a whole.
    Copy,
}

/// One mutation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mutation {
    /// What failures call it.
    pub(crate) name: &'static str,
    /// The home that it is tried in.
    pub(crate) home: fn(&Sandbox),
    /// Commands before it.
    pub(crate) before: &'static [&'static [&'static str]],
    /// The command; `THEN` stands for the snapshot of the home.
    pub(crate) args: &'static [&'static str],
    /// Its exit code.
    pub(crate) exit: i32,
    /// A file that it has to do with, from the home folder on.
    pub(crate) file: &'static str,
    /// The way back.
    pub(crate) back: Back,
}

impl Mutation {
    /// One of a library, that can be undone.
    pub(crate) const fn of(name: &'static str, args: &'static [&'static str]) -> Self {
        Self {
            name,
            home: library,
            before: &[],
            args,
            exit: 0,
            file: "default/skills/pdf/SKILL.md",
            back: Back::Undo,
        }
    }

    /// The same, after these commands.
    pub(crate) const fn after(self, before: &'static [&'static [&'static str]]) -> Self {
        Self { before, ..self }
    }

    /// The same, in another home.
    pub(crate) const fn within(self, home: fn(&Sandbox)) -> Self {
        Self { home, ..self }
    }

    /// The same, with another exit code.
    pub(crate) const fn exits(self, exit: i32) -> Self {
        Self { exit, ..self }
    }

    /// The same, about this file of the collections.
    pub(crate) const fn about(self, file: &'static str) -> Self {
        Self { file, ..self }
    }

    /// The same, with another way back.
    pub(crate) const fn back(self, back: Back) -> Self {
        Self { back, ..self }
    }

    /// A home for it, with what comes before done.
    pub(crate) fn prepare(&self) -> (Sandbox, Faults) {
        let mut sandbox = Sandbox::new();
        let faults = Faults::of(&mut sandbox);
        drop(sandbox.run(&["init"]).ok());
        (self.home)(&sandbox);
        for args in self.before {
            drop(sandbox.run(&given(&sandbox, args)).ok());
        }
        (sandbox, faults)
    }
}

/// Arguments with the snapshot's number.
pub(crate) fn given(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    let then = || {
        let listed = sandbox.json(&["snapshot", "list", "--limit", "1000"]);
        let all = listed["snapshots"].as_array().unwrap().clone();
        let then = all.iter().find(|one| one["message"] == "then").unwrap();
        text(&then["id"])
    };
    let given = |arg: &&str| {
        if arg.contains("THEN") {
            arg.replace("THEN", &then())
        } else {
            (*arg).to_owned()
        }
    };
    args.iter().map(given).collect()
}

fn sm(sandbox: &Sandbox, line: &str) {
    let args: Vec<&str> = line.split(' ').collect();
    drop(sandbox.run(&args).ok());
}

/// Some of everything, a snapshot, and what was done since.
pub(crate) fn library(sandbox: &Sandbox) {
    let at = |path: &str| sandbox.path(path);
    skill(&at("lib/skills"), "pdf", "Reads PDF");
    write(at("lib/skills/pdf/more/notes.txt"), "notes\n");
    write(
        at("lib/commands/flow.md"),
        "---\nname: flow\ndescription: Flows\n---\n# F\n",
    );
    write(
        at("lib/agents/helper.md"),
        "---\nname: helper\ndescription: Helps\n---\n# H\n",
    );
    skill(&at("src"), "new", "New");
    skill(&at("src"), "late", "Use when: late");
    skill(&at("other"), "pdf", "Another one");
    skill(&at(".claude/skills"), "tool", "A tool");
    write(
        at("text.md"),
        "---\nname: pdf\ndescription: Edited\n---\n# Edited\n",
    );
    // In no artifact, and so only in snapshots.
    let notes = sandbox.collection("default", "notes.txt");
    write(&notes, "then\n");
    for line in [
        "add --all lib",
        "group create G pdf flow",
        "group create H helper",
        "tag create old --color #123456",
        "tag add old pdf flow",
        "rate pdf 4",
        "set pdf aliases=forms",
        "collection create work",
        "copy helper --to work",
        "snapshot then",
        "set pdf description=Later",
        "add src/late",
    ] {
        sm(sandbox, line);
    }
    write(&notes, "now\n");
    skill(&at("src"), "late", "Changed since");
    skill(&at("team/skills"), "shared", "Of the team");
    write(
        at("team/collection.toml"),
        "[collection]\nname = \"team\"\nversion = \"1.0.0\"\n",
    );
}

/// What older programs left behind.
pub(crate) fn broken(sandbox: &Sandbox) {
    let entry = |name: &str, path: &str, more: &str| {
        format!(
            "\n[[artifacts]]\nname = \"{name}\"\ntype = \"skill\"\npath = \"{path}\"\norigin = \"local\"\n\
             added = \"2026-01-01T00:00:00\"\n{more}"
        )
    };
    sm(sandbox, "collection create work");
    let root = sandbox.collection("default", "");
    write(
        root.join("skills/pdf/SKILL.md"),
        "---\nname: pdf\ndescription: D\ntools: [Read, Write]\n---\n",
    );
    skill(&root.join("skills"), "stray", "No entry");
    skill(&sandbox.collection("work", "skills"), "canvas", "Misplaced");
    write(
        root.join("collection.lock"),
        "[lock]\nversion = \"1.0.0\"\n\n[lock.entries.\"old::skill\"]\ncontent_hash = \"0\"\nfetched = \"x\"\n",
    );
    write(
        root.join("collection.toml"),
        [
            "# mine\n[collection]\nname = \"default\"\nversion = \"1.0.0\"\n",
            &entry(
                "pdf",
                "./skills/pdf/",
                "origin_source = \"https://github.com/a/b\" # url\n",
            ),
            &entry("canvas", "skills/canvas", ""),
            &entry("gone", "skills/gone", ""),
            "\n[[groups]]\nname = \"G\"\nmembers = [\"skill:gone\", \"skill:pdf\"]\n",
        ]
        .concat(),
    );
    sm(sandbox, "cache refresh");
}
