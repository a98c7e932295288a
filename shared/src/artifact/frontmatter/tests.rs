use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Document {
    parse(text.as_bytes())
}

#[test]
fn valid_frontmatter_is_strict_in_every_dress() {
    for text in [
        "---\nname: x\ntags: [a, b]\n---\nBody\n",
        "\u{feff}---\nname: x\ntags: [a, b]\n---\nBody\n",
        "\n  \n---  \nname: x\ntags: [a, b]\n---\t\nBody\n",
        "---\r\nname: x\r\ntags: [a, b]\r\n---\r\nBody\n",
    ] {
        let document = read(text);
        assert_eq!(document.status, ParseStatus::Strict, "{text:?}");
        assert_eq!(
            Value::Object(document.fields),
            json!({"name": "x", "tags": ["a", "b"]})
        );
        assert_eq!(document.body, "Body\n");
        assert!(document.has_frontmatter && document.error.is_none() && !document.lossy);
    }
}

#[test]
fn a_file_without_frontmatter_is_all_body() {
    for text in [
        "",
        "# Title\n",
        "text\n---\nmore\n",
        "---\n\ntext\n",
        "---\njust words\n---\n",
        "---\n- a\n- b\n---\n",
        "---\n\n*some* `words`: [\n\n---\n",
        "---",
    ] {
        let document = read(text);
        assert_eq!(document.body, text, "{text:?}");
        assert!(
            !document.has_frontmatter && document.fields.is_empty(),
            "{text:?}"
        );
        assert_eq!(
            (document.status, document.error),
            (ParseStatus::Strict, None),
            "{text:?}"
        );
    }
}

#[test]
fn empty_frontmatter_has_no_fields() {
    for text in ["---\n---\nBody", "---\n# comment\n---\nBody"] {
        let document = read(text);
        assert!(
            document.fields.is_empty() && document.has_frontmatter,
            "{text:?}"
        );
        assert_eq!(document.body, "Body");
    }
}

#[test]
fn values_keep_their_types_and_order() {
    let document = read(
        "---\nz: N\ny: yes\ncreated: 2026-01-02\nhint:\non: true\n1: one\nn: 3\ntext: |\n  a\n  b\n---\n",
    );
    assert_eq!(
        serde_json::to_string(&document.fields).unwrap(),
        r#"{"z":"N","y":"yes","created":"2026-01-02","hint":null,"on":true,"1":"one","n":3,"text":"a\nb\n"}"#
    );
}

#[test]
fn numbers_keep_their_spelling() {
    let document = read("---\nversion: 1.10 # current\ntitle: 0x10\nok: TRUE\nlist: [1.0]\n---\n");
    let spelling = |key: &str| document.spellings.get(key).map(String::as_str);
    assert_eq!(spelling("version"), Some("1.10"));
    assert_eq!(spelling("title"), Some("0x10"));
    assert_eq!(spelling("ok"), Some("TRUE"));
    assert_eq!(spelling("list"), None);
}

#[test]
fn a_repeated_key_counts_once_as_it_stands_last() {
    let document = read("---\nname: a\nname: b\n---\n");
    assert_eq!(document.status, ParseStatus::Strict);
    assert_eq!(Value::Object(document.fields), json!({"name": "b"}));
}

#[test]
fn plain_values_that_need_quotes_are_repaired() {
    let document = read(
        "---\nname: x\ndescription: Use when: the user's \"PDF\" breaks\n  over: lines\n\
         argument-hint: [path] [--all]\nversion: 1.10\ntools:\n  - Read\n---\nBody\n",
    );
    assert_eq!(document.status, ParseStatus::Repaired);
    assert_eq!(
        Value::Object(document.fields),
        json!({
            "name": "x",
            "description": "Use when: the user's \"PDF\" breaks over: lines",
            "argument-hint": "[path] [--all]",
            "version": 1.1,
            "tools": ["Read"],
        })
    );
    assert_eq!(document.spellings["version"], "1.10");
    let (message, line) = document.error.unwrap();
    assert_eq!(line, Some(3), "{message}");
    assert!(
        message.starts_with("invalid YAML: ") && !message.contains('\n'),
        "{message}"
    );
}

#[test]
fn what_can_not_be_repaired_is_salvaged() {
    let document = read(
        "---\nname: x\n<<<<<<< HEAD\ntags: [a, 'b']\ndescription: \"Does things\"\nother: y\n---\nBody\n",
    );
    assert_eq!(document.status, ParseStatus::Fallback);
    assert_eq!(
        Value::Object(document.fields),
        json!({"name": "x", "tags": ["a", "b"], "description": "Does things"})
    );
    assert_eq!(document.body, "Body\n");
    assert!(document.error.is_some());
}

#[test]
fn what_is_no_yaml_is_no_text_either() {
    for (yaml, line) in [
        ("\tname: x\n\tdescription: tabs", 2),
        ("\tdescription: tabs", 2),
        (" \tdescription: tabs", 2),
        ("# fields\n\n\tname: x", 4),
        ("\tjust words", 2),
        ("\t- a", 2),
        ("? [a", 2),
        ("*some* `words`: [", 2),
    ] {
        let document = read(&format!("---\n{yaml}\n---\nPara."));
        assert_eq!(document.status, ParseStatus::Fallback, "{yaml:?}");
        assert!(
            document.has_frontmatter && document.fields.is_empty(),
            "{yaml:?}"
        );
        let (message, at) = document.error.unwrap();
        assert!(message.starts_with("invalid YAML: "), "{message}");
        assert_eq!(at, Some(line), "{yaml:?}: {message}");
        assert_eq!(document.body, "Para.", "{yaml:?}");
    }
}

#[test]
fn a_missing_end_is_named() {
    let document = read("---\nname: x\ndescription: y\n\n# Title\n\nText\n");
    assert_eq!(document.status, ParseStatus::Fallback);
    assert_eq!(
        Value::Object(document.fields),
        json!({"name": "x", "description": "y"})
    );
    assert_eq!(document.body, "\n# Title\n\nText\n");
    assert_eq!(document.error.unwrap().1, Some(1));
}

#[test]
fn bytes_that_are_no_utf8_are_replaced() {
    let document = parse(b"---\nname: a\xFFb\n---\n\xC3\x28");
    assert!(document.lossy);
    assert_eq!(document.fields["name"], "a\u{fffd}b");
    assert_eq!(document.body, "\u{fffd}(");
    assert!(!parse("---\nname: é\n---\né".as_bytes()).lossy);
}

#[test]
fn nuls_do_no_harm() {
    let document = parse(b"---\nname: a\0b\ndescription: fine\n---\nBody\0");
    assert_eq!(document.fields["description"], "fine");
    assert_eq!(document.body, "Body\0");
}

#[test]
fn hostile_yaml_is_refused_within_moments() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (from, to) in ('a'..'y').zip('b'..'z') {
        let aliases = format!("*{from},").repeat(7);
        bomb.extend([
            to.to_string(),
            format!(": &{to} ["),
            aliases,
            "]\n".to_owned(),
        ]);
    }
    let nested = format!("a: {}\n", "[".repeat(30_000));
    let maps = format!("a: {}\n", "{a: ".repeat(10_000));
    let indents: String = (0..300)
        .flat_map(|n| [" ".repeat(n), "a:\n".to_owned()])
        .collect();
    let colons = "k: a: b\n".repeat(8_000);
    let merge = "a: &a {x: 1}\n".to_owned() + &"<<: *a\n".repeat(5_000);
    for (what, yaml) in [
        ("aliases", &bomb),
        ("flow lists", &nested),
        ("flow maps", &maps),
        ("indents", &indents),
        ("colons", &colons),
        ("merges", &merge),
    ] {
        let start = Instant::now();
        let document = read(&format!("---\n{yaml}description: kept\n---\nBody\n"));
        assert_ne!(document.status, ParseStatus::Strict, "{what}");
        assert_eq!(
            document.fields.get("description"),
            Some(&json!("kept")),
            "{what}"
        );
        assert_eq!(document.body, "Body\n", "{what}");
        let (message, _) = document.error.unwrap();
        assert!(
            message.starts_with("invalid YAML: ") && !message.contains("budget"),
            "{what}: {message}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{what}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn ten_megabytes_of_frontmatter_are_cut_off() {
    let long = format!(
        "---\ndescription: kept\nx: {}\n---\nBody\n",
        "y".repeat(10_000_000)
    );
    let many = format!(
        "---\ndescription: kept\n{}---\nBody\n",
        "k: v\n".repeat(2_000_000)
    );
    for text in [long, many] {
        let start = Instant::now();
        let document = read(&text);
        assert_eq!(document.status, ParseStatus::Fallback);
        assert_eq!(document.error, Some((TOO_LONG.to_owned(), Some(1))));
        assert_eq!(
            Value::Object(document.fields),
            json!({"description": "kept"})
        );
        assert_eq!(document.body, "Body\n");
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn whole_files_are_fields_by_their_extension() {
    let of = |name: &str, text: &str| parse_file(Path::new(name), text.as_bytes());
    assert_eq!(
        of("a.json", "\u{feff}{\"name\": \"x\"}").fields["name"],
        "x"
    );
    assert_eq!(of("a.YML", "name: x\n").fields["name"], "x");
    assert_eq!(of("a.md", "---\nname: x\n---\n").fields["name"], "x");
    let broken = of("a.json", "{\n\"name\":");
    assert_eq!(broken.status, ParseStatus::Fallback);
    assert_eq!(broken.error, Some(("invalid JSON".to_owned(), Some(2))));
    assert!(of("a.json", &"[".repeat(100_000)).fields.is_empty());
    assert!(of("a.yaml", "- 1\n- 2\n").fields.is_empty());
    assert_eq!(
        of("a.yaml", &"a: b\n".repeat(100_000)).status,
        ParseStatus::Fallback
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_harm_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut dressed = b"---\n".to_vec();
        dressed.extend(&bytes);
        dressed.extend(b"\n---\nBody");
        for input in [&bytes, &dressed] {
            let document = parse(input);
            prop_assert!(document.error.is_some() || document.status == ParseStatus::Strict);
            prop_assert!(document.body.len() <= 3 * input.len());
        }
    }

    #[test]
    fn no_yaml_like_text_harms_the_reader(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", ": ", "\n", "- ", "  ", "\t", "&x ", "*x", "<<: ", "[", "]", "{", "}", "'", "\"",
                "|\n", ">\n", "#", "!!str ", "? ", "---\n", "...\n", "%TAG ", "name: ", "1.0", "é", "\u{0}", ",",
            ]),
            0..80,
        )
    ) {
        let start = Instant::now();
        let yaml = parts.concat();
        let document = read(&format!("---\n{yaml}\n---\n"));
        prop_assert_eq!(document.status == ParseStatus::Strict, document.error.is_none());
        prop_assert!(start.elapsed() < Duration::from_secs(2), "{:?}", yaml);
    }

    #[test]
    fn any_quoted_text_comes_back(text in "[^\u{0}-\u{1f}\u{7f}-\u{9f}\u{feff}\u{fffe}\u{ffff}\u{2028}\u{2029}]{0,60}") {
        let document = read(&format!("---\ndescription: '{}'\n---\n", text.replace('\'', "''")));
        prop_assert_eq!(document.status, ParseStatus::Strict);
        prop_assert_eq!(document.fields.get("description"), Some(&json!(text)));
    }
}

#[test]
fn a_line_that_is_told_is_one_of_the_file() {
    // A carriage return ends a line of YAML, but none of the file.
    for text in ["a: b\r]", "a: \"b\r\rc", "\r\r\ra: [b"] {
        let (message, line) = parse_yaml(text.as_bytes()).error.unwrap();
        assert_eq!(line, Some(1), "{text:?}: {message}");
    }
}
