//! Large inputs in the shapes that parsers choke on: they take no time that grows with the
//! square of their size, and no stack.

use std::time::{Duration, Instant};

use skillmeat_tests::fuzz::target;

/// Far beyond what a linear pass takes on a busy machine, far below what a quadratic one does.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that cost a linear pass nothing, and a quadratic one minutes.
const QUARTER: usize = 256 * 1024;

/// Checks pieces that are repeated up to a size, between a beginning and an end.
fn within_time(name: &str, size: usize, shapes: &[(&str, &str, &str)]) {
    let check = target(name).unwrap().check;
    for (begin, piece, end) in shapes {
        let times = size / piece.len();
        let bytes = format!("{begin}{}{end}", piece.repeat(times));
        let start = Instant::now();
        check(bytes.as_bytes());
        let took = start.elapsed();
        assert!(
            took < PATIENCE,
            "{name}: {took:?} for {times} times {piece:?}"
        );
    }
}

#[test]
fn frontmatter_at_its_limit() {
    within_time(
        "frontmatter",
        63 * 1024,
        &[
            ("---\na: ", "[", "\n---\n"),
            ("---\na: ", "{a: ", "\n---\n"),
            ("---\n", "- ", "x\n---\n"),
            ("---\n", "? ", "x\n---\n"),
            ("---\na: &a x\nb: [", "*a, ", "]\n---\n"),
            ("---\n", "a: b: c\n", "---\n"),
            ("---\n", "k: [x\n", "---\n"),
            ("---\nk: x\n", "  more: and: more\n", "---\n"),
            ("---\na: \"", "\\x41", "\"\n---\n"),
            ("---\na: '", "''", "\n---\n"),
            ("---\na: |\n", " \n", "---\n"),
            ("---\n", "# \n", "---\n"),
            ("", "---\n", ""),
            ("---\n", "é: ü\n", ""),
        ],
    );
}

#[test]
fn manifests_and_locks_of_a_quarter_megabyte() {
    const SHAPES: &[(&str, &str, &str)] = &[
        ("a = ", "[", ""),
        ("a = ", "{a=", ""),
        ("", "a.", "a = 1\n"),
        ("[", "a.", "a]\n"),
        (
            "[[artifacts]]\nname = \"a\"\ntype = \"skill\"\n",
            "a.",
            "a = 1\n",
        ),
        ("", "[[artifacts]]\n", ""),
        ("", "[[artifacts]]\nname = \"a\"\ntype = \"skill\"\n", ""),
        ("artifacts = [", "{name=\"a\",type=\"skill\"},", "]\n"),
        ("a = \"", "\\u0041", "\"\n"),
        ("a = '''", "''x", "'''\n"),
        ("", "# a comment\n", ""),
        ("", "\r\n", ""),
        ("[lock.entries]\n", "\"a::skill\" = {}\n", ""),
    ];
    within_time("manifest", QUARTER, SHAPES);
    within_time("lock", QUARTER, SHAPES);
}

#[test]
fn manifests_with_many_different_entries() {
    let check = target("manifest").unwrap().check;
    let entries: Vec<String> = (0..3000)
        .map(|number| {
            format!("[[artifacts]]\nname = \"n{number}\"\ntype = \"skill\"\nodd{number} = 1\n\n")
        })
        .collect();
    let start = Instant::now();
    check(entries.concat().as_bytes());
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn large_configs() {
    within_time(
        "config",
        QUARTER,
        &[
            ("a = ", "[", ""),
            ("", "a.", "a = 1\n"),
            ("[", "a.", "a]\n"),
            ("", "# a comment\n", ""),
            ("[settings]\ndefault-collection = \"", "x", "\"\n"),
        ],
    );
}

#[test]
fn queries_in_large_texts() {
    within_time(
        "query",
        QUARTER / 2,
        &[
            ("a b c d e f g h\n", "a ", ""),
            ("\"a a a a a a a a a a a a a a a a\"\n", "a ", "b"),
            ("a\n", "e\u{301}\u{301}\u{301}", ""),
            ("word\n", "word\n", ""),
            ("", "a\"", "\nx"),
            ("", "日 ", "\n日"),
        ],
    );
}
