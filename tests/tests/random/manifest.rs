//! Manifests as a person writes them.

use std::fmt::Write as _;

use crate::world::{KINDS, name, relative};

/// A manifest with these entries: kind, name, and what else it says.
pub(crate) fn text(collection: &str, entries: &[(u8, u8, u8)]) -> String {
    let mut text = format!(
        "# by hand\n[collection]\nname = \"{collection}\"\nversion = \"1.0.0\"\nmotto = \"kept\"\n"
    );
    for (kind, called, more) in entries {
        let (kind_name, name) = (KINDS[usize::from(*kind)].0, name(*called));
        write!(
            text,
            "\n[[artifacts]]\nname = \"{name}\"\ntype = \"{kind_name}\"\norigin = \"local\"\n"
        )
        .unwrap();
        let path = relative(*kind, *called);
        // The usual path, none, one outside of the usual folders, one inside of another artifact, or one that leads out.
        match more % 8 {
            0..=3 => writeln!(text, "path = \"{path}\"").unwrap(),
            4 => {}
            5 => writeln!(text, "path = \"extra/{name}\"").unwrap(),
            6 => writeln!(text, "path = \"{path}/references\"").unwrap(),
            _ => writeln!(text, "path = \"../{name}\"").unwrap(),
        }
        if more & 8 != 0 {
            writeln!(
                text,
                "tags = [\"t{}\", \"shared\"]\naliases = [\"a{}\"]",
                more % 3,
                more % 5
            )
            .unwrap();
        }
        if more & 16 != 0 {
            write!(
                text,
                "\n[artifacts.metadata]\ndescription = \"said {more}\"\ntitle = \"Zebra {more}\"\n"
            )
            .unwrap();
        }
    }
    let sum: usize = entries
        .iter()
        .map(|entry| usize::from(entry.2))
        .sum::<usize>()
        + entries.len();
    if sum % 3 == 1 {
        let members: Vec<String> = (0..4)
            .map(|number| format!("\"{}\"", name(number)))
            .collect();
        write!(
            text,
            "\n[[groups]]\nname = \"daily\"\nposition = {}\nmembers = [{}, \"skill:gone\"]\n",
            sum % 7,
            members.join(", ")
        )
        .unwrap();
    }
    if sum % 4 == 1 {
        text.push_str("\n[[tag_definitions]]\nname = \"Shared\"\nslug = \"shared\"\n");
    }
    if sum % 5 == 1 {
        write!(
            text,
            "\n[[mcp_servers]]\nname = \"server\"\nrepo = \"a/b\"\ndescription = \"Serves {sum}\"\n"
        )
        .unwrap();
    }
    text
}
