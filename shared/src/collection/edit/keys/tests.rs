use super::*;

fn change(text: &str, path: &[&str], keys: &[(&str, Option<&str>)]) -> Option<String> {
    let keys = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(Value::from)));
    let table = Keys {
        path: path.iter().map(|name| (*name).to_owned()).collect(),
        keys: keys.collect(),
    };
    set(text, &[table])
}

#[test]
fn only_the_keys_that_change_are_touched() {
    let text = "[ a . 'b' ] # hey\r\n x='1'# one\r\n\n[a.c]\ny = 2\r\n[[ z . z ]]\nend = 1";
    assert_eq!(
        change(text, &["a", "b"], &[("x", Some("1"))]).unwrap(),
        text
    );
    let (path, new) = (["a", "b"], [("x", Some("2")), ("new", Some("n"))]);
    assert_eq!(
        change(text, &path, &new).unwrap(),
        text.replace("x='1'# one\r\n", "x=\"2\"# one\r\n new = \"n\"\r\n")
    );
    assert_eq!(
        change(text, &["a", "c"], &[("y", None), ("q", Some("r"))]).unwrap(),
        text.replace("y = 2\r\n", "q = \"r\"\r\n")
    );
    assert_eq!(
        change(text, &["a", "d e"], &[("k", Some("v"))]).unwrap(),
        text.replace("y = 2\r\n", "y = 2\r\n\r\n[a.\"d e\"]\r\nk = \"v\"\r\n")
    );
}

#[test]
fn the_end_of_a_file_stays_as_it_is() {
    let text = "[a]\nx = 1";
    assert_eq!(
        change(text, &["a"], &[("y", Some("2")), ("z", Some("3"))]).unwrap(),
        "[a]\nx = 1\ny = \"2\"\nz = \"3\""
    );
    assert_eq!(
        change(text, &["a"], &[("x", Some("2"))]).unwrap(),
        "[a]\nx = \"2\""
    );
    assert_eq!(
        change(text, &["b"], &[("x", Some("2"))]).unwrap(),
        "[a]\nx = 1\n\n[b]\nx = \"2\"\n"
    );
    assert_eq!(
        change("", &["b"], &[("x", Some("2"))]).unwrap(),
        "[b]\nx = \"2\"\n"
    );
}

#[test]
fn tables_in_other_forms_are_changed_one_by_one() {
    let inline = "a = { b = { x = 1, y = 2 } } # so\n";
    assert_eq!(
        change(inline, &["a", "b"], &[("x", Some("2")), ("y", None)]).unwrap(),
        "a = { b = { x = \"2\" } } # so\n"
    );
    assert_eq!(
        change("a.b.x = 1 # so\n", &["a", "b"], &[("x", Some("2"))]).unwrap(),
        "a.b.x = \"2\" # so\n"
    );
    assert_eq!(change("a = 1\n", &["a", "b"], &[("x", Some("2"))]), None);
    assert_eq!(change("[[a]]\nx = 1\n", &["a"], &[("x", Some("2"))]), None);
}
