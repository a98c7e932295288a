use super::*;
use crate::collection::manifest::Group;
use crate::collection::membership::ByName;

#[test]
fn members_come_back_behind_those_that_stood_before_them() {
    let id = |name: &str| ArtifactId::new(Kind::Skill, name);
    let group = |name: &str, members: &[&str]| Group {
        name: name.to_owned(),
        members: members.iter().map(|&member| member.to_owned()).collect(),
        ..Group::default()
    };
    let known = ByName::of(["a", "b", "c", "d", "new"].map(id));
    let back = |then: &[&str], now: &str, ids: &[&str]| {
        let head = "# mine\n[[groups]]\nname = \"g\" # here\nodd = 1\nmembers = [";
        let then = [group("g", then), group("lost", &["skill:b"])];
        let ids: Vec<_> = ids.iter().map(|&name| id(name)).collect();
        let done = rejoin(&format!("{head}{now}]\n"), &then, &ids, &known).unwrap();
        let rest = done.text.strip_prefix(head).unwrap();
        let joined = done.joined.len();
        let gone: Vec<_> = done
            .gone
            .iter()
            .map(|(id, group)| format!("{id} {group}"))
            .collect();
        (
            rest.split_whitespace()
                .collect::<String>()
                .replace(",]", "]"),
            joined,
            gone.join(" "),
        )
    };
    for (then, now, ids, wanted, joined) in [
        (
            &["a", "b", "c"][..],
            "'a','c'",
            &["b"][..],
            "'a',\"b\",'c'",
            1,
        ),
        // The nearest one may be gone itself; what came since stays behind.
        (&["a", "c", "b"], "'a','new'", &["b"], "'a',\"b\",'new'", 1),
        (&["b", "c"], "'new','c'", &["b"], "'new',\"b\",'c'", 1),
        (&["b"], "'new'", &["b"], "'new',\"b\"", 1),
        (&["b"], "", &["b"], "\"b\"", 1),
        (&["skill:b"], "", &["b"], "\"skill:b\"", 1),
        // The style is that of today.
        (&["a", "b"], "'skill:a'", &["b"], "'skill:a',\"skill:b\"", 1),
        (
            &["skill:b", "ghost", "a"],
            "'ghost','a'",
            &["b"],
            "\"b\",'ghost','a'",
            1,
        ),
        (
            &["a", "b", "c"],
            "",
            &["c", "b", "a"],
            "\"a\",\"b\",\"c\"",
            3,
        ),
        (&["a", "b"], "'B','a'", &["b"], "'B','a'", 0),
        (&["a"], "'a'", &["b"], "'a'", 0),
    ] {
        let lost = if ids.contains(&"b") {
            "skill:b lost"
        } else {
            ""
        };
        let found = back(then, now, ids);
        assert_eq!(
            found,
            (format!("{wanted}]"), joined, lost.to_owned()),
            "{then:?} {now}"
        );
    }
}

#[test]
fn comments_go_with_the_members_that_they_stand_above_or_beside() {
    let ordered = |now: &str, order: &[&str]| {
        let head = "[[groups]]\nname = \"g\"\nmembers = [";
        let change = GroupChange {
            members: Some(order.iter().map(|&member| member.to_owned()).collect()),
            ..GroupChange::default()
        };
        let text = update_group(&format!("{head}{now}]\n"), "g", &change).unwrap();
        text.strip_prefix(head).unwrap().trim_end().to_owned()
    };
    let now =
        " # of all\n  # above a\n  \"a\", # beside a\n  # above b\n  \"b\" # beside b\n  # end\n";
    for (now, order, wanted) in [
        (
            now,
            &["b", "a"][..],
            " # of all\n  # above b\n  \"b\", # beside b\n  # above a\n  \"a\" # beside a\n  # end\n]",
        ),
        (
            now,
            &["b"],
            " # of all\n  # above b\n  \"b\" # beside b\n  # end\n]",
        ),
        (now, &[], " # of all\n  # end\n]"),
        (" # of all\n", &["a"], " # of all\n    \"a\",\n]"),
        (
            "\"a\", # beside a\n  \"b\"",
            &["b", "a"],
            "\n  \"b\",\n  \"a\" # beside a\n]",
        ),
        ("\"a\", \"b\"", &["b", "a"], "\"b\", \"a\"]"),
    ] {
        assert_eq!(ordered(now, order), wanted, "{now}");
    }
}
