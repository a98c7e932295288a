//! Which artifacts a command is about: names from the command line and from stdin, and filters.

use std::io::{BufRead as _, Read as _};

use skillmeat_proto::v1;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error};

use crate::cli::{FilterArgs, SelectArgs};

/// Bytes of names that are read from stdin.
const MAX_INPUT: u64 = 8 * 1024 * 1024;

/// How names are given.
const ONE_EACH: &str = "give one name on each line";

/// The selection as the daemon wants it.
pub(super) fn selection(args: SelectArgs) -> Result<v1::Selection, Error> {
    select(args.names, args.filters)
}

/// As [`selection`], for commands that find the names among other words.
pub(super) fn select(names: Vec<String>, filters: FilterArgs) -> Result<v1::Selection, Error> {
    Ok(v1::Selection {
        collection: filters.of.collection.unwrap_or_default(),
        names: listed(names)?,
        kinds: filters.kinds.iter().map(ToString::to_string).collect(),
        tags: filters.tags,
        group: filters.group.unwrap_or_default(),
    })
}

/// The names, with those on the lines of stdin in the place of `-`.
pub(super) fn listed(names: Vec<String>) -> Result<Vec<String>, Error> {
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        if name == "-" {
            all.extend(from_stdin()?);
        } else {
            all.push(name);
        }
    }
    Ok(all)
}

/// The names on the lines of stdin.
fn from_stdin() -> Result<Vec<String>, Error> {
    let input = std::io::stdin().lock().take(MAX_INPUT);
    let mut names = Vec::new();
    for line in input.lines() {
        let line = line.map_err(|error| {
            let message = format!("can't read names from stdin: {error}");
            Error::new(Code::InvalidArgument, message).hint(ONE_EACH)
        })?;
        let name = line.trim();
        if !name.is_empty() {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        return Err(Error::new(Code::InvalidArgument, "stdin holds no name").hint(ONE_EACH));
    }
    Ok(names)
}

/// Whether a selection is one artifact, named in full: then the command fails with its error.
pub(super) fn is_single(selection: &v1::Selection) -> bool {
    let [name] = selection.names.as_slice() else {
        return false;
    };
    let Ok(reference) = name.parse::<ArtifactRef>();
    !reference.is_pattern()
}
