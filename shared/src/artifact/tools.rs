//! The tools that an artifact may use: the known names, and lists of them as people write them.

/// The tools with a fixed name.
pub const TOOLS: &[&str] = &[
    "Read",
    "Write",
    "Edit",
    "MultiEdit",
    "Glob",
    "Grep",
    "NotebookEdit",
    "Bash",
    "KillShell",
    "AskUserQuestion",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "Task",
    "TaskOutput",
    "Skill",
    "EnterPlanMode",
    "ExitPlanMode",
];

/// The known tool that a text names: any case, with `-` or `_` between words. `None` for patterns such
/// as `Bash(git diff:*)` and for names of others.
pub fn normalise(text: &str) -> Option<&'static str> {
    let plain: String = text
        .trim()
        .chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .collect();
    TOOLS
        .iter()
        .copied()
        .find(|tool| tool.eq_ignore_ascii_case(&plain))
}

/// Splits a list written in one line at commas and blanks, but not inside parentheses:
/// `Bash(git:*, x) Read` has two members. A parenthesis that is never closed ends with the text.
pub fn split(text: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut member = String::new();
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (c == ',' || c.is_whitespace()) {
            push(&mut members, &mut member);
        } else {
            member.push(c);
        }
    }
    push(&mut members, &mut member);
    members
}

fn push(members: &mut Vec<String>, member: &mut String) {
    let text = std::mem::take(member);
    let text = text.trim();
    if !text.is_empty() {
        members.push(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_spelling() {
        for (text, tool) in [
            ("Read", "Read"),
            ("bash", "Bash"),
            (" web-fetch ", "WebFetch"),
            ("TODO_WRITE", "TodoWrite"),
            ("exitplanmode", "ExitPlanMode"),
        ] {
            assert_eq!(normalise(text), Some(tool), "{text}");
        }
        for text in ["", "-", "Bash(git:*)", "mcp__x__y", "Reader", "NoSuchTool"] {
            assert_eq!(normalise(text), None, "{text}");
        }
    }

    #[test]
    fn lists_are_split_outside_of_parentheses() {
        for (text, members) in [
            ("Read, Write,Grep", &["Read", "Write", "Grep"][..]),
            ("Bash(git:*, x) Read", &["Bash(git:*, x)", "Read"]),
            ("Bash(a (b) c) , , Read", &["Bash(a (b) c)", "Read"]),
            ("Bash(git diff:*", &["Bash(git diff:*"]),
            (") Read", &[")", "Read"]),
            ("  ", &[]),
        ] {
            assert_eq!(split(text), members, "{text}");
        }
    }
}
