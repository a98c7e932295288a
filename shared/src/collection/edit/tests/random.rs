use proptest::prelude::*;

use super::*;
use crate::collection::manifest::{Group, TagDefinition};

/// A piece of a manifest, and whose it is.
type Piece = (Option<Key>, String);

fn comment() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => "# [a-z\"'=\\[\\]{},]{0,10}\n"]
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("\n"), 1 => Just("\n\n"), 1 => Just("\n# free\n\n")]
}

fn body() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("path = \"skills/x\"\n"),
        Just("tags = [\"one\", 'two'] # t\n"),
        Just("tags = [\n    \"one\", # why\n    \"two\",\n]\n"),
        Just("tags = []\n"),
        Just("  added = 2026-01-01T00:00:00\n"),
        Just("metadata = { description = 'x', extra = { y = 1 } }\n"),
        Just("metadata.description = \"\"\"\n[[artifacts]]\n# no comment\n\"\"\"\n"),
        Just("\n[artifacts.metadata]\ndescription = \"d\" # here\n"),
        Just("\n# about it\n[artifacts.metadata.extra]\nmodel = '''\n[x]\n'''\n"),
        Just("\n[[artifacts.metadata.linked_artifacts]]\nartifact_name = \"z\"\n"),
        Just("odd = [[1, 2], [ # c\n ]]\n"),
    ];
    proptest::collection::vec(line, 0..4).prop_map(|lines| {
        let (tables, mut pairs): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.contains("\n["));
        pairs.sort_unstable();
        pairs.dedup_by_key(|line| line.trim().chars().take(4).collect::<String>());
        let mut tables = tables;
        tables.sort_unstable();
        tables.dedup();
        if pairs.iter().any(|line| line.starts_with("metadata")) {
            tables.retain(|line| !line.contains("metadata"));
        }
        pairs.concat() + &tables.concat()
    })
}

fn artifact(place: usize) -> impl Strategy<Value = Piece> {
    (comment(), body()).prop_map(move |(lead, body)| {
        let own = format!("{lead}[[artifacts]]\nname = \"n{place}\"\ntype = \"skill\"\n{body}");
        (Some(skill(&format!("n{place}"))), own)
    })
}

fn list(place: usize, is_group: bool) -> impl Strategy<Value = Piece> {
    let members = prop_oneof![
        Just("members = [\"skill:n0\", 'n1', \"ghost\"] # m\n"),
        Just("members = [\n    \"n0\",\n    \"skill:n2\", # two\n]\n"),
        Just(""),
    ];
    (comment(), members).prop_map(move |(lead, members)| {
        let name = format!("g{place}");
        if is_group {
            (
                Some(group(&name)),
                format!("{lead}[[groups]]\nname = \"{name}\"\n{members}"),
            )
        } else {
            let own = format!("{lead}[[tag_definitions]]\nname = \"{name}\"\nslug = '{name}'\n");
            (Some(Key::Tag(name)), own)
        }
    })
}

fn manifest() -> impl Strategy<Value = (Vec<Piece>, bool)> {
    let head = prop_oneof![
        Just("# top\n[collection]\nname = \"x\"\nupdated = \"u\"\n"),
        Just("\u{feff}artifacts_of = []\n\n[tool.skillmeat]\nname = 'x'\n"),
        Just("odd = 1\ncollection = { name = \"x\" }\n"),
    ];
    let entries = (
        proptest::collection::vec(any::<u8>(), 0..6),
        artifact(0),
        artifact(1),
        artifact(2),
        list(0, true),
        list(1, true),
        list(0, false),
    );
    let strange = "# other\n[other]\nname = \"n0\"\n".to_owned();
    (
        head,
        entries,
        proptest::collection::vec(blank(), 12),
        any::<bool>(),
    )
        .prop_map(
            move |(head, (order, a0, a1, a2, g0, g1, t0), blanks, is_windows)| {
                let mut pieces = vec![a0, a1, a2, g0, g1, t0, (None, strange.clone())];
                for swap in order {
                    let at = usize::from(swap) % (pieces.len() - 1);
                    pieces.swap(at, at + 1);
                }
                pieces.insert(0, (None, head.to_owned()));
                let mut all = Vec::new();
                for (piece, blank) in pieces.into_iter().zip(blanks) {
                    all.push(piece);
                    all.push((None, blank.to_owned()));
                }
                if is_windows {
                    for (_, text) in &mut all {
                        *text = text.replace('\n', "\r\n");
                    }
                }
                (all, is_windows)
            },
        )
}

fn text_of<'p>(pieces: impl IntoIterator<Item = &'p Piece>) -> String {
    pieces.into_iter().map(|(_, text)| text.as_str()).collect()
}

fn without_blanks(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .collect()
}

/// What stands before and after an entry.
fn around(pieces: &[Piece], key: &Key) -> (String, String) {
    let at = pieces
        .iter()
        .position(|(own, _)| own.as_ref() == Some(key))
        .unwrap();
    (text_of(&pieces[..at]), text_of(&pieces[at + 1..]))
}

proptest! {
    #[test]
    fn what_is_removed_leaves_the_rest_and_can_be_put_back(
        (pieces, _) in manifest(),
        which in any::<prop::sample::Index>(),
    ) {
        let text = text_of(&pieces);
        let keys: Vec<&Key> = pieces.iter().filter_map(|(key, _)| key.as_ref()).collect();
        let key = keys[which.index(keys.len())];
        let kept = block(&text, key).unwrap().unwrap();
        let out = remove(&text, std::slice::from_ref(key)).unwrap();
        let others = text_of(pieces.iter().filter(|(own, _)| own.as_ref() != Some(key)));
        prop_assert_eq!(without_blanks(&out), without_blanks(&others));
        let same: Vec<&&Key> = keys.iter().filter(|other| other.list() == key.list()).collect();
        let next = same.iter().skip_while(|other| ***other != key).nth(1);
        let back = insert(&out, &kept, next.map(|next| **next)).unwrap();
        prop_assert_eq!(without_empty(model(&back)), without_empty(model(&text)));
        let moved = insert("[collection]\nname = \"y\"\n", &kept, None).unwrap();
        prop_assert_eq!(block(&moved, key).unwrap().unwrap(), kept);
        let all: Vec<Key> = keys.into_iter().cloned().collect();
        let none = remove(&text, &all).unwrap();
        let others = text_of(pieces.iter().filter(|(own, _)| own.is_none()));
        prop_assert_eq!(without_blanks(&none), without_blanks(&others));
    }

    #[test]
    fn what_is_changed_changes_alone(
        (pieces, is_windows) in manifest(),
        which in any::<prop::sample::Index>(),
        path in prop_oneof![
            Just("tags"), Just("position"), Just("metadata.description"), Just("metadata.title"),
            Just("name"), Just("new key"), Just("metadata.extra.model"),
        ],
        value in prop_oneof![
            "[a-z \"#\\]\\n]{0,9}".prop_map(Value::Text),
            any::<i64>().prop_map(Value::Integer),
            proptest::collection::vec("[a-z#,]{0,3}", 0..4).prop_map(Value::Texts),
        ],
    ) {
        let text = text_of(&pieces);
        let keys: Vec<&Key> = pieces.iter().filter_map(|(key, _)| key.as_ref()).collect();
        let key = keys[which.index(keys.len())];
        let (before, after) = around(&pieces, key);
        let value = if path == "name" { Value::from("renamed") } else { value };
        let out = set(&text, key.clone(), path, value.clone());
        prop_assert!(out.starts_with(&before) && out.ends_with(&after), "{}", out);
        if is_windows {
            prop_assert_eq!(out.matches('\n').count(), out.matches("\r\n").count());
        }
        let again = match (path, key) {
            ("name", Key::Artifact(_)) => skill("renamed"),
            ("name", Key::Group(_)) => group("renamed"),
            _ => key.clone(),
        };
        prop_assert_eq!(&set(&out, again.clone(), path, value), &out);
        if path != "name" {
            let gone = edit(&out, again, Change::unset(path)).unwrap();
            prop_assert!(gone.starts_with(&before) && gone.ends_with(&after), "{}", gone);
            let straight = edit(&text, key.clone(), Change::unset(path)).unwrap();
            prop_assert_eq!(without_empty(model(&gone)), without_empty(model(&straight)));
        }
    }

    #[test]
    fn what_is_added_and_removed_leaves_nothing((pieces, _) in manifest()) {
        let text = text_of(&pieces);
        let new = Group { name: "new".to_owned(), members: vec!["x".to_owned()], ..Group::default() };
        let tag = TagDefinition { name: "new".to_owned(), slug: "s".to_owned(), ..TagDefinition::default() };
        let out = define_tag(&add_group(&text, &new).unwrap(), &tag).unwrap();
        prop_assert!(out.starts_with(&text));
        prop_assert!(read(&out).groups.contains(&new) && read(&out).tag_definitions.contains(&tag));
        let back = remove(&out, &[group("new"), Key::Tag("s".to_owned())]).unwrap();
        prop_assert_eq!(back.trim_end(), text.trim_end());
    }
}

fn without_empty(mut value: Json) -> Json {
    match &mut value {
        Json::Object(table) => {
            let old = std::mem::take(table);
            for (key, value) in old {
                let value = without_empty(value);
                if !value.as_object().is_some_and(serde_json::Map::is_empty) {
                    table.insert(key, value);
                }
            }
        }
        Json::Array(items) => {
            let old = std::mem::take(items);
            items.extend(old.into_iter().map(without_empty));
        }
        Json::String(text) => *text = text.replace("\r\n", "\n"),
        _ => {}
    }
    value
}
