//! All mutations.

use crate::mutation::{Back, Mutation, broken};

/// As short as the table.
const fn of(name: &'static str, args: &'static [&'static str]) -> Mutation {
    Mutation::of(name, args)
}

const NEW: &str = "default/skills/new/SKILL.md";
const LATE: &str = "default/skills/late/SKILL.md";
const TOOL: &str = "default/skills/tool/SKILL.md";
const FLOW: &str = "default/commands/flow.md";
const CANVAS: &str = "work/skills/canvas/SKILL.md";
const STRAY: &str = "default/skills/stray/SKILL.md";
const WORK: &str = "work/agents/helper.md";
const OFFICE: &str = "office/agents/helper.md";
const MAIN: &str = "main/skills/pdf/SKILL.md";

pub(crate) const ADD: &[Mutation] = &[
    of("add", &["add", "src/new"]).about(NEW),
    of("add --update", &["add", "src/late", "--update"]).about(LATE),
];

pub(crate) const REPLACE: &[Mutation] = &[
    of("add --force", &["add", "other/pdf", "--force"]),
    of("adopt", &["adopt", "tool", "--yes"]).about(TOOL),
    of("edit", &["edit", "pdf", "--from", "text.md"]),
];

pub(crate) const REMOVE: &[Mutation] = &[
    of("remove", &["remove", "pdf", "flow", "--yes"]),
    of("remove --keep-files", &["remove", "pdf", "--keep-files"]),
];

pub(crate) const MOVE: &[Mutation] = &[
    of("rename", &["rename", "pdf", "paper"]),
    of("move", &["move", "pdf", "--to", "work"]),
    of("copy", &["copy", "flow", "--as", "second"]).about(FLOW),
    of("copy --to", &["copy", "pdf", "--to", "work"]),
];

pub(crate) const SET: &[Mutation] = &[
    of("set", &["set", "pdf", "description=Set", "license=MIT"]),
    of("set several", &["set", "pdf", "flow", "version=2"]).about(FLOW),
];

pub(crate) const MEND: &[Mutation] = &[
    of("rate", &["rate", "pdf", "flow", "2"]),
    of("rate --clear", &["rate", "pdf", "--clear"]),
    of("validate --fix", &["validate", "--fix", "late"]).about(LATE),
];

pub(crate) const TAG: &[Mutation] = &[
    of("tag create", &["tag", "create", "fresh"]),
    of(
        "tag define",
        &["tag", "define", "old", "--description", "Old"],
    ),
    of("tag rename", &["tag", "rename", "old", "fresh"]),
];

pub(crate) const TAGGED: &[Mutation] = &[
    of("tag delete", &["tag", "delete", "old"]),
    of("tag add", &["tag", "add", "new,more", "pdf"]),
    of("tag remove", &["tag", "remove", "old", "flow"]).about(FLOW),
];

pub(crate) const GROUP: &[Mutation] = &[
    of("group create", &["group", "create", "N", "pdf"]),
    of(
        "group update",
        &["group", "update", "G", "--name", "GG", "--icon", "x"],
    ),
    of("group delete", &["group", "delete", "G", "H"]),
    of("group copy", &["group", "copy", "G", "--to", "work"]),
];

pub(crate) const MEMBER: &[Mutation] = &[
    of("group add", &["group", "add", "H", "pdf"]),
    of("group remove", &["group", "remove", "G", "pdf"]),
    of(
        "group move",
        &["group", "move", "pdf", "--from", "G", "--to", "H"],
    ),
    of("group reorder", &["group", "reorder", "H", "G"]),
    of(
        "group reorder --members",
        &["group", "reorder", "--members", "G", "flow", "pdf"],
    ),
];

pub(crate) const COLLECTION: &[Mutation] = &[
    of("collection create", &["collection", "create", "fresh"]),
    of(
        "collection rename",
        &["collection", "rename", "work", "office"],
    )
    .about(WORK),
    of(
        "collection delete",
        &["collection", "delete", "work", "--yes"],
    )
    .about(WORK),
    of("collection use", &["collection", "use", "work"]),
];

pub(crate) const IMPORT: &[Mutation] = &[
    of("collection import", &["collection", "import", "team"]),
    of(
        "collection import --copy",
        &["collection", "import", "team", "--copy"],
    ),
];

pub(crate) const REPAIR: &[Mutation] = &[
    of("repair tools", &["repair", "tools", "--execute"])
        .within(broken)
        .exits(2),
    of("repair misplaced", &["repair", "misplaced", "--execute"])
        .within(broken)
        .about(CANVAS),
    of(
        "repair origin-source",
        &["repair", "origin-source", "--execute"],
    )
    .within(broken),
];

pub(crate) const REPAIR_MORE: &[Mutation] = &[
    of("repair orphans", &["repair", "orphans", "--execute"])
        .within(broken)
        .about(STRAY),
    of("repair missing", &["repair", "missing", "--execute"]).within(broken),
    of("repair layout", &["repair", "layout", "--execute"]).within(broken),
    of("repair all", &["repair", "all", "--execute"]).within(broken),
];

pub(crate) const BACK: &[Mutation] = &[
    of("restore", &["restore", "pdf@THEN"]),
    of(
        "rollback --artifact",
        &["rollback", "THEN", "--artifact", "pdf", "--yes"],
    ),
    of("rollback", &["rollback", "THEN", "--yes"]),
];

pub(crate) const UNDO: &[Mutation] = &[
    of("undo", &["undo"])
        .after(&[&["remove", "pdf", "--yes"]])
        .back(Back::Redo),
    of("redo", &["redo"]).after(&[&["set", "pdf", "author=Me"], &["undo"]]),
    of("undo of an older one", &["undo", "4"]).back(Back::Redo),
];

pub(crate) const RENAMED: &[Mutation] = &[
    of("undo of one before a renaming", &["undo", "10"])
        .after(&[&["collection", "rename", "work", "office"]])
        .about(OFFICE)
        .back(Back::Redo),
    of("undo of a renaming", &["undo", "14"])
        .after(&[
            &["collection", "rename", "work", "office"],
            &["set", "helper", "author=Me", "-c", "office"],
        ])
        .about(OFFICE)
        .back(Back::Redo),
    of(
        "rollback beyond a renaming",
        &["rollback", "THEN", "-c", "main", "--yes"],
    )
    .after(&[&["collection", "rename", "default", "main"]])
    .about(MAIN),
];

pub(crate) const SNAPSHOT: &[Mutation] = &[
    of("snapshot", &["snapshot", "again"]).back(Back::Copy),
    of("snapshot import", &["snapshot", "import", "out.tar.gz"])
        .after(&[&["snapshot", "export", "THEN", "out.tar.gz"]])
        .back(Back::Copy),
];

pub(crate) const FORGET: &[Mutation] = &[
    of("snapshot delete", &["snapshot", "delete", "THEN", "--yes"]).back(Back::Copy),
    of(
        "snapshot prune",
        &[
            "snapshot",
            "prune",
            "--keep-last",
            "0",
            "--keep-daily",
            "0",
            "--keep-weekly",
            "0",
            "--keep-monthly",
            "0",
        ],
    )
    .after(&[&["rollback", "THEN", "--yes"]])
    .back(Back::Copy),
    of("gc", &["gc"])
        .after(&[&["snapshot", "x"], &["snapshot", "delete", "THEN", "--yes"]])
        .back(Back::Copy),
];
