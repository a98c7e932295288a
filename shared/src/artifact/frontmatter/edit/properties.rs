//! What holds for all forms that people write.

use proptest::prelude::*;

use super::tests::{add, remove, rename, run, set};
use super::*;
use crate::artifact::frontmatter;

/// A field that is not the one to change, in a form that people use.
fn other() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,4}: [a-z0-9 ]{0,8}[a-z]( # [a-z ]{1,6})?\n",
        "[a-z]{1,4}: '[a-z:# ]{0,8}'\n",
        "[a-z]{1,4}: \"[a-z:#,\\[ ]{0,8}\"\n",
        "[a-z]{1,4}: (>|\\||>-|\\|-|\\|\\+)\n( {2,4}[a-z:#-]{1,5}){0}  [a-z: #-]{1,8}\n(\n)?  [a-z]{1,4}\n",
        "[a-z]{1,4}:\n(  - [a-z]{1,4}( # [a-z]{1,3})?\n){1,3}",
        "[a-z]{1,4}:\n(- [a-z]{1,4}\n){1,3}",
        "[a-z]{1,4}: \\[([a-z]{1,3}, ){0,2}'[a-z,\\]]{1,3}'\\]\n",
        "[a-z]{1,4}:\n  [a-z]{1,3}: [a-z]{1,4}\n",
        "# [a-z: ]{0,8}\n",
        Just("\n".to_owned()),
    ]
}

fn scalar_form() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z][a-z ]{0,8}[a-z]( # [a-z ]{1,6})?".prop_map(|text| format!("description: {text}\n")),
        "[a-z:# ]{0,8}".prop_map(|text| format!("description: '{text}'\n")),
        "[a-z:# ]{0,8}".prop_map(|text| format!("description: \"{text}\" # c\n")),
        "[a-z]{1,4}( [a-z]{1,4}\n  [a-z]{1,4}){0,3}"
            .prop_map(|text| format!("description: {text}\n")),
        "(>|\\||>-|\\|-|\\|\\+|>2)\n(  [a-z: #]{0,8}\n|\n){1,4}  [a-z]{1,3}\n{1,2}"
            .prop_map(|text| format!("description: {text}")),
        "(  [a-z]{1,4}\n){1,3}".prop_map(|text| format!("description:\n{text}")),
        Just("description:\n".to_owned()),
    ]
}

fn tag_form() -> impl Strategy<Value = String> {
    let tags = || prop::collection::vec("[a-z]{1,3}", 1..5);
    prop_oneof![
        Just(String::new()),
        tags().prop_map(|tags| format!("tags: [{}]\n", tags.join(", "))),
        tags().prop_map(|tags| format!("tags: [ '{}' ] # c\n", tags.join("' ,'"))),
        tags().prop_map(|tags| format!("tags: [\n  {},\n  ]\n", tags.join(", # c\n  "))),
        tags().prop_map(|tags| format!("tags:\n  - {}\n", tags.join(" # c\n  - "))),
        tags().prop_map(|tags| format!("tags:\n- \"{}\"\n", tags.join("\"\n\n# c\n- \""))),
        tags().prop_map(|tags| format!("tags: {}\n", tags.join(","))),
        tags().prop_map(|tags| format!("tags: \"{}\" # c\n", tags.join(", "))),
    ]
}

/// The tags that a file has, by the reader.
fn tags_of(text: &str) -> Vec<String> {
    metadata::extract(&Kind::Skill, "x", &frontmatter::parse(text.as_bytes())).tags
}

fn without(fields: &Map<String, Value>, key: &str) -> Map<String, Value> {
    let mut fields = fields.clone();
    fields.shift_remove(key);
    fields
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_value_says_what_it_was_set_to_and_all_else_stays(
        before in prop::collection::vec(other(), 0..4),
        field in scalar_form(),
        after in prop::collection::vec(other(), 0..4),
        value in prop_oneof!["[ -~é]{1,20}", "[a-z:#\\n ]{1,20}", "[0-9.:eE+-]{1,6}"],
        dos in any::<bool>(),
    ) {
        let (before, after) = (before.concat(), after.concat());
        let mut text = format!("---\n{before}{field}{after}---\nbody\n\n---\nmore\n");
        if dos {
            text = text.replace('\n', "\r\n");
        }
        let value = value.trim().to_owned();
        let was = frontmatter::parse(text.as_bytes());
        prop_assume!(was.status != ParseStatus::Fallback && !value.is_empty() && was.has_frontmatter);
        // A field of this name among the others would be the one that counts.
        prop_assume!(field.is_empty() || was.fields.contains_key("description"));
        let out = run(&text, &[Change::Set("description", value.clone())]).unwrap();
        let is = frontmatter::parse(out.as_bytes());
        prop_assert_eq!(is.fields.get("description"), Some(&Value::from(value)));
        prop_assert_eq!(without(&is.fields, "description"), without(&was.fields, "description"));
        prop_assert_eq!(&is.body, &was.body);
        let native = |text: &str| if dos { text.replace('\n', "\r\n") } else { text.to_owned() };
        if !field.is_empty() {
            let (head, tail) = (format!("---\n{before}"), format!("{after}---\nbody\n\n---\nmore\n"));
            prop_assert!(out.starts_with(&native(&head)) && out.ends_with(&native(&tail)), "{}", out);
        }
        prop_assert_eq!(out.contains('\r'), dos);
        // Gone again: as if it had never been there.
        // But blank lines behind it may then count for a block that keeps all of them, which is refused.
        if !before.contains('+') {
            let gone = run(&out, &[Change::Unset("description")]).unwrap();
            prop_assert_eq!(frontmatter::parse(gone.as_bytes()).fields, without(&was.fields, "description"));
        }
    }

    #[test]
    fn tags_come_and_go_and_leave_no_trace(
        before in prop::collection::vec(other(), 0..3),
        field in tag_form(),
        after in prop::collection::vec(other(), 0..3),
        new in "[A-Z][A-Z ,:#'\"]{0,4}[A-Z]",
    ) {
        let text = format!("---\n{}{field}{}---\nbody\n", before.concat(), after.concat());
        let was = frontmatter::parse(text.as_bytes());
        prop_assume!(was.status != ParseStatus::Fallback && was.has_frontmatter);
        let old = tags_of(&text);
        let is_text = was.fields.get("tags").is_some_and(Value::is_string);
        let new = if is_text { new.replace(',', ";") } else { new };
        let all: Vec<String> = old.iter().cloned().chain([new.clone()]).collect();
        let added = run(&text, &[add(&[&new])]).unwrap();
        prop_assert_eq!(tags_of(&added), all);
        let back = run(&added, &[remove(&[&new])]).unwrap();
        if old.is_empty() {
            prop_assert_eq!(tags_of(&back), old);
        } else if !field.contains("\\n  ]") && !is_text {
            prop_assert_eq!(&back, &text);
        } else {
            prop_assert_eq!(tags_of(&back), old);
        }
        for tag in &tags_of(&text) {
            let renamed = run(&text, &[rename(tag, &new)]).unwrap();
            let wanted: Vec<String> = tags_of(&text).iter().map(|old| if old == tag { new.clone() } else { old.clone() }).collect();
            prop_assert_eq!(tags_of(&renamed), wanted);
            let less = run(&text, &[remove(&[tag])]).unwrap();
            let wanted: Vec<String> = tags_of(&text).into_iter().filter(|old| old != tag).collect();
            prop_assert_eq!(tags_of(&less), wanted);
            prop_assert_eq!(without(&frontmatter::parse(less.as_bytes()).fields, "tags"), without(&was.fields, "tags"));
        }
    }

    #[test]
    fn no_text_breaks_the_editor(text in "(---\n)?[ -~\\n\\ré]{0,80}(\n---\n)?[a-z]{0,4}", tag in "[ -~]{1,8}") {
        for change in [set("description", "x"), add(&[&tag]), remove(&[&tag]), Change::Unset("tags")] {
            if let Ok(out) = run(&text, std::slice::from_ref(&change)) {
                let (was, is) = (frontmatter::parse(text.as_bytes()), frontmatter::parse(out.as_bytes()));
                let strip = |fields: &Map<String, Value>| without(&without(fields, "description"), "tags");
                prop_assert_eq!(strip(&was.fields), strip(&is.fields));
            }
        }
    }
}
