use super::*;
use crate::Kind;
use crate::collection::lockfile::Lockfile;

fn entry(hash: &str) -> LockEntry {
    LockEntry {
        content_hash: Some(hash.to_owned()),
        fetched: Some("2026-11-20T16:04:12.152557".to_owned()),
        ..LockEntry::default()
    }
}

#[test]
fn setting_keeps_everything_else() {
    let text = "# mine\n[lock]\nversion = \"1.0.0\" # v\nother = 1\n\n[lock.entries.\"a::skill\"]\n\
                content_hash = \"1\" # why\nrecipe_hash = \"x\"\nupstream = \"u\"\n";
    let ids = ["a", "b"].map(|name| ArtifactId::new(Kind::Skill, name));
    let [a, b] = ids.clone();
    let out = set(text, &[(a, entry("2")), (b, entry("3"))]).unwrap();
    assert!(
        out.starts_with("# mine\n[lock]\nversion = \"1.0.0\" # v\nother = 1\n"),
        "{out}"
    );
    assert!(
        out.contains("content_hash = \"2\" # why\nrecipe_hash = \"x\"\n"),
        "{out}"
    );
    assert!(!out.contains("upstream"), "{out}");
    let lock = Lockfile::parse(&out).unwrap();
    assert_eq!(lock.problems, []);
    for (id, hash) in ids.iter().zip(["2", "3"]) {
        assert_eq!(lock.entries[id].content_hash.as_deref(), Some(hash));
    }
    let again: Vec<_> = lock.entries.into_iter().collect();
    let foreign = out.replace('\n', "\r\n");
    assert_eq!(set(&foreign, &again).unwrap(), foreign);
    assert_eq!(set(&out, &again).unwrap(), out);
}

#[test]
fn a_new_lock_takes_entries() {
    for text in [
        "",
        render_new(),
        "[lock]\nversion = \"1.0.0\"\n\n[lock.entries]\n",
    ] {
        let id = ArtifactId::new(Kind::Command, "a b.c");
        let out = set(text, &[(id.clone(), entry("1"))]).unwrap();
        assert!(out.contains("[lock.entries.\"a b.c::command\"]"), "{out}");
        assert_eq!(Lockfile::parse(&out).unwrap().entries.len(), 1);
    }
    for bad in ["a =", "lock = 1", "[lock]\nentries = 1"] {
        let id = ArtifactId::new(Kind::Skill, "a");
        assert_eq!(
            set(bad, &[(id, entry("1"))]).unwrap_err().code,
            Code::ManifestInvalid
        );
    }
}

#[test]
fn entries_are_carried_over_with_all_their_keys() {
    let from = "[lock]\nversion = \"1.0.0\"\n\n[lock.entries.\"a::skill\"]\ncontent_hash = \"h\"\nrecipe_hash = \"r\"\n";
    let id = |name: &str| ArtifactId::new(Kind::Skill, name);
    let names = [(id("a"), id("b")), (id("none"), id("gone"))];
    let to = set("", &[(id("gone"), entry("x")), (id("kept"), entry("y"))]).unwrap();
    let out = carry(from, &to, &names).unwrap();
    let lock = Lockfile::parse(&out).unwrap();
    assert_eq!(lock.entries.len(), 2);
    assert_eq!(lock.entries[&id("b")].raw["recipe_hash"], "r");
    assert_eq!(lock.entries[&id("kept")].content_hash.as_deref(), Some("y"));
    assert!(carry("[lock", &to, &names).is_err());
}

/// As other programs and people write it: odd headers, both sorts of line ends, no newline at the end.
const FOREIGN: &str = "# top\r\n[lock]\nversion = \"1.0.0\"\r\n\n[ lock . entries . 'q1::skill' ] # hey\n\
                       content_hash='1'\r\n\n[lock.entries.\"q2::skill\"]\ncontent_hash = \"2\" # two\n\n\
                       [lock.entries.\"noname::skill\"]\r\ncontent_hash = \"3\"\r\n# tail\r\n\n[[ arr . y ]]\nz=1";

#[test]
fn other_entries_stay_byte_for_byte() {
    let [q1, q2, q3] = ["q1", "q2", "q3"].map(|name| ArtifactId::new(Kind::Skill, name));
    let out = set(FOREIGN, &[(q2.clone(), entry("9"))]).unwrap();
    let changed = "content_hash = \"9\" # two\nfetched = \"2026-11-20T16:04:12.152557\"\n";
    let wanted = FOREIGN.replace("content_hash = \"2\" # two\n", changed);
    assert_eq!(out, wanted);
    let new = "\n[lock.entries.\"q3::skill\"]\ncontent_hash = \"2\" # two\n".replace('\n', "\r\n");
    let wanted = FOREIGN.replace("# tail\r\n", &format!("# tail\r\n{new}"));
    let names = [(q2.clone(), q3.clone())];
    assert_eq!(carry(FOREIGN, FOREIGN, &names).unwrap(), wanted);
    assert_eq!(
        rename(FOREIGN, &q1, &q3).unwrap(),
        FOREIGN.replace("'q1::skill'", "\"q3::skill\"")
    );
    let block = block(FOREIGN, &q2).unwrap().unwrap();
    assert_eq!(put(FOREIGN, &q2, &block).unwrap(), FOREIGN);
    let none = [(q3, q1)];
    assert_eq!(
        carry(FOREIGN, FOREIGN, &none).unwrap(),
        FOREIGN.replace(
            "[ lock . entries . 'q1::skill' ] # hey\ncontent_hash='1'\r\n\n",
            ""
        )
    );
    assert_eq!(set(FOREIGN, &[]).unwrap(), FOREIGN);
}

#[test]
fn entries_within_braces_are_renamed_and_taken_in() {
    let text = "[lock]\nversion = \"1.0.0\"\nentries = { \"a::skill\" = { content_hash = \"1\", more = 2 }, \"b::skill\" = { content_hash = \"3\" } } # mine\n";
    let id = |name: &str| ArtifactId::new(Kind::Skill, name);
    let renamed = rename(text, &id("a"), &id("c")).unwrap();
    let (old, new) = (model(text).unwrap(), model(&renamed).unwrap());
    assert_eq!(entry_of(&new, "c::skill"), entry_of(&old, "a::skill"));
    assert!(!has(&new, "a::skill") && has(&new, "b::skill"));
    assert!(renamed.ends_with("} # mine\n"), "{renamed}");
    let copied = carry(text, text, &[(id("a"), id("d"))]).unwrap();
    let new = model(&copied).unwrap();
    assert_eq!(entry_of(&new, "d::skill"), entry_of(&old, "a::skill"));
    assert_eq!(entry_of(&new, "a::skill"), entry_of(&old, "a::skill"));
}
