//! `sm add`: local artifacts into a collection, item by item.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use skillmeat_proto::v1;
use skillmeat_shared::artifact::name;
use skillmeat_shared::error::word;
use skillmeat_shared::fs::glob;
use skillmeat_shared::paths::expand_tilde;
use skillmeat_shared::{Code, Error};

use super::change::{self, Words};
use super::{Context, Outcome};
use crate::cli::AddArgs;
use crate::output::escape::escape;
use crate::output::units;

/// Bytes of paths from standard input.
const MAX_INPUT: u64 = 4 * 1024 * 1024;

pub(super) async fn run(context: &mut Context, args: AddArgs) -> Outcome {
    let paths = paths(context, &args.paths)?;
    if args.name.is_some() && paths.len() > 1 {
        return Err(Error::new(
            Code::InvalidArgument,
            "`--as` names one artifact, but several paths are given",
        )
        .hint("add them one by one, or leave `--as` out")
        .into());
    }
    // The daemon takes an empty name for none; a name that breaks the rules is refused here as it is there.
    if let Some(name) = &args.name {
        name::validate(name)?;
    }
    let replace = match (args.force, args.update) {
        (true, _) => v1::Replace::Always,
        (false, true) => v1::Replace::Changed,
        (false, false) => v1::Replace::Unspecified,
    };
    let single = paths.len() == 1 && !args.all;
    let request = v1::AddArtifactsRequest {
        collection: args.of.collection.unwrap_or_default(),
        paths,
        kind: args.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        name: args.name.unwrap_or_default(),
        all: args.all,
        dry_run: args.dry.dry_run,
        replace: replace.into(),
    };
    let session = context.session().await?;
    let stream = session.stream(request).await?;
    let words = Words {
        verb: "add",
        single,
        // Of a tree, name clashes are expected; of paths that were named one by one they are not.
        tolerates_conflicts: args.all && !args.update,
        terse: false,
        tally: &tally,
        hints: &hints,
    };
    change::follow(context, &session, stream, &words).await
}

/// The paths that the arguments stand for: patterns that no shell expanded, and lines of standard input.
fn paths(context: &Context, given: &[PathBuf]) -> Result<Vec<String>, Error> {
    let mut paths = Vec::new();
    for path in given {
        let lines = if path == Path::new("-") {
            listed(io::stdin())?
        } else {
            vec![path.clone()]
        };
        for path in lines {
            let stands = |path: &Path| path.symlink_metadata().is_ok();
            let home = expand_tilde(&path, &context.env);
            let path = if stands(&path) { path } else { home };
            if stands(&path) || !glob::is_pattern(&path) {
                paths.push(absolute(&path)?);
            } else {
                for path in glob::expand(&path)? {
                    paths.push(absolute(&path)?);
                }
            }
        }
        if paths.len() > glob::MAX_PATHS {
            let message = format!("more than {} paths are given", glob::MAX_PATHS);
            return Err(Error::new(Code::FileTooLarge, message)
                .hint("name the folder that holds them, with `--all`"));
        }
    }
    if paths.is_empty() {
        return Err(Error::new(Code::InvalidArgument, "no path is given")
            .hint("`-` reads paths from standard input, one on each line"));
    }
    Ok(paths)
}

/// Paths from a stream, one on each line, or with NULs between them.
fn listed(stream: impl Read) -> Result<Vec<PathBuf>, Error> {
    let fail = |why: &str| Error::new(Code::InvalidArgument, format!("standard input {why}"));
    let mut bytes = Vec::new();
    stream
        .take(MAX_INPUT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(&format!("can't be read: {error}")))?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(fail("has more than 4 MiB of paths"));
    }
    let end = if bytes.contains(&0) { 0 } else { b'\n' };
    let lines = bytes
        .split(|byte| *byte == end)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(|line| PathBuf::from(OsStr::from_bytes(line)))
        .collect())
}

/// The path from the root, as the daemon stands in another folder than we do. Without `..`, so that its
/// last part is a name.
pub(super) fn absolute(path: &Path) -> Result<String, Error> {
    let mut absolute =
        std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    if absolute
        .components()
        .any(|part| part == Component::ParentDir)
    {
        absolute = absolute
            .canonicalize()
            .map_err(|error| Error::io("find", path, &error))?;
    }
    absolute.into_os_string().into_string().map_err(|path| {
        Error::new(
            Code::InvalidArgument,
            format!("the path `{}` is not valid UTF-8", path.to_string_lossy()),
        )
        .hint("rename it, or add the folder that holds it with `--all`")
    })
}

/// The summary in words.
pub(super) fn tally(summary: &v1::ChangeSummary) -> String {
    let would = if summary.dry_run { "would be " } else { "" };
    let (added, replaced) = (
        change::count(summary, "added"),
        change::count(summary, "replaced"),
    );
    let collection = escape(&summary.collection);
    let text = if added == 0 && replaced > 0 {
        let replaced = units::count(replaced, "artifact");
        return format!(
            "{replaced} {would}replaced in `{collection}`{}",
            change::rest(summary)
        );
    } else {
        let added = units::count(added, "artifact");
        format!("{added} {would}added to `{collection}`")
    };
    let also = if replaced > 0 {
        format!(", {replaced} {would}replaced")
    } else {
        String::new()
    };
    let nothing = if summary.counts.iter().all(|one| one.count == 0) {
        ": nothing there is told as one; `sm add PATH --type TYPE` says what a file or folder is"
    } else {
        ""
    };
    text + &also + &change::rest(summary) + nothing
}

fn hints(code: Code, item: &v1::ChangeItem) -> Vec<String> {
    if code != Code::ArtifactExists {
        return Vec::new();
    }
    vec![format!(
        "`sm show {}` shows the one that is there, `--force` replaces it",
        word(&item.id)
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_by_lines_or_with_nuls() {
        let read = |text: &str| {
            let paths = listed(text.as_bytes()).unwrap();
            let shown: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
            shown.join("|")
        };
        assert_eq!(read("a b\r\n\nc"), "a b|c");
        assert_eq!(read("a\nb\0c\0"), "a\nb|c");
        assert_eq!(read(""), "");
        assert!(listed(io::repeat(b'a')).is_err());
    }

    #[test]
    fn the_tally_tells_what_was_replaced() {
        let summary = |added, replaced, dry_run| v1::ChangeSummary {
            collection: "work".to_owned(),
            dry_run,
            counts: [("added", added), ("replaced", replaced), ("skipped", 2)]
                .map(|(result, count)| v1::ChangeCount {
                    result: result.to_owned(),
                    count,
                })
                .into(),
            ..v1::ChangeSummary::default()
        };
        assert_eq!(
            tally(&summary(1, 0, false)),
            "1 artifact added to `work`, 2 skipped"
        );
        let nothing = tally(&v1::ChangeSummary::default());
        assert!(nothing.contains("--type"), "{nothing}");
        assert_eq!(
            tally(&summary(0, 2, true)),
            "2 artifacts would be replaced in `work`, 2 skipped"
        );
        assert_eq!(
            tally(&summary(3, 1, false)),
            "3 artifacts added to `work`, 1 replaced, 2 skipped"
        );
    }
}
