//! The text below the fields.

use std::path::{Component, Path, PathBuf};

use super::{Page, Report};
use crate::Kind;

/// Lines of `SKILL.md` from which it is long.
const LINES: usize = 500;

/// Findings of one sort in one text.
const MAX: usize = 50;

pub(super) fn check(page: &Page<'_>, report: &mut Report) {
    let body = &page.document.body;
    if body.trim().is_empty() {
        report.add(
            "body.empty",
            None,
            "there is nothing below the fields".to_owned(),
        );
        return;
    }
    let lines = page.text.lines().count();
    if *page.subject.kind == Kind::Skill && lines >= LINES {
        report.add("body.long", None, format!("it has {lines} lines"));
    }
    let head = page.text.len().saturating_sub(body.len());
    let first = page
        .text
        .get(..head)
        .unwrap_or_default()
        .matches('\n')
        .count();
    let mut fence: Option<&str> = None;
    let (mut shells, mut links) = (0, 0);
    for (at, line) in (first + 1..).zip(body.lines()) {
        let number = u32::try_from(at).ok();
        let start = line.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| start.starts_with(mark));
        if mark.is_some() && shells < MAX && fence.is_none() && start.starts_with("```!") {
            shells += 1;
            report.add(
                "body.shell",
                number,
                "a block of commands runs by itself".to_owned(),
            );
        }
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        if fence.is_some() || mark.is_some() {
            continue;
        }
        if shells < MAX && runs_command(line) {
            shells += 1;
            report.add("body.shell", number, "a command runs by itself".to_owned());
        }
        if page.subject.is_file {
            continue;
        }
        for target in targets(line) {
            if links < MAX {
                links += usize::from(link(page, target, number, report));
            }
        }
    }
}

/// Whether a line has a command in it that is run: an exclamation mark before a backtick.
fn runs_command(line: &str) -> bool {
    line.match_indices("!`").any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let rest = line.get(at + 2..).unwrap_or_default();
        before.is_none_or(char::is_whitespace) && rest.contains('`')
    })
}

/// What a line links to: `[text](target)`, not within backticks.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| {
        let before = line.get(..at)?;
        let rest = line.get(at + 2..)?;
        let target = rest.split(')').next()?.split_whitespace().next()?;
        let is_code = before.matches('`').count() % 2 == 1;
        (!is_code && rest.contains(')')).then_some(target)
    })
}

/// Whether a link is broken.
fn link(page: &Page<'_>, target: &str, line: Option<u32>, report: &mut Report) -> bool {
    let path = target.trim_matches(['<', '>']);
    let path = path.split(['#', '?']).next().unwrap_or_default();
    let odd = path.is_empty()
        || path.contains(':')
        || path.contains(['$', '{', '*', '%', '\\'])
        || path.starts_with(['/', '~']);
    if odd {
        return false;
    }
    let shown: String = path.chars().take(200).collect();
    let Some(wanted) = inside(Path::new(path)) else {
        report.add(
            "link.outside",
            line,
            format!("`{shown}` leads out of the artifact"),
        );
        return true;
    };
    let is_there = page
        .subject
        .files
        .iter()
        .any(|file| file.starts_with(&wanted));
    if !is_there && !wanted.as_os_str().is_empty() {
        report.add("link.broken", line, format!("there is no `{shown}`"));
        return true;
    }
    false
}

/// A path without `.` and `..`; nothing if it leads out.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}
