//! Arguments of `add`, `list`, `show` and `search`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::ArgValueCompleter;
use skillmeat_shared::Kind;

use super::snapshot::{DryRun, OfCollection};
use crate::commands::completions::{artifacts, collections, groups, kinds, tags};

/// Reads a kind as a person types it.
pub(super) fn kind(text: &str) -> Result<Kind, String> {
    text.parse::<Kind>().map_err(|error| {
        let mut message = error.message;
        for hint in error.hints {
            message.push_str("; ");
            message.push_str(&hint);
        }
        message
    })
}

/// Reads a kind that artifacts are chosen by: the daemon knows which ones there are.
#[expect(clippy::unnecessary_wraps, reason = "parsers of values may fail")]
pub(super) fn any_kind(text: &str) -> Result<Kind, String> {
    Ok(text
        .parse()
        .unwrap_or_else(|_| Kind::Other(text.trim().into())))
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Files, folders, archives, an agent's folder, or patterns of them; `-` reads paths from standard input
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// The kind of the artifact, if it can't be detected
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = kind, add = ArgValueCompleter::new(kinds))]
    pub(crate) kind: Option<Kind>,
    /// The name in the collection [default: from the path]
    #[arg(
        id = "own_name",
        long = "as",
        short = 'n',
        visible_alias = "name",
        value_name = "NAME",
        conflicts_with = "all"
    )]
    pub(crate) name: Option<String>,
    /// Find every artifact in the folders
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Replace what has the same name; what was there stays in the history
    #[arg(long, short, conflicts_with = "update")]
    pub(crate) force: bool,
    /// Replace what changed since it was added, but not what was edited in the collection
    #[arg(long, short)]
    pub(crate) update: bool,
    #[command(flatten)]
    pub(crate) dry: DryRun,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    /// By name
    Name,
    /// Newest first
    Updated,
    /// Largest first
    Size,
    /// As the manifest says, then by name
    Position,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only this kind; may be given again for more kinds
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = any_kind, add = ArgValueCompleter::new(kinds))]
    pub(crate) kinds: Vec<Kind>,
    /// Only artifacts with this tag; given again: with all of them
    #[arg(long = "tag", value_name = "TAG", add = ArgValueCompleter::new(tags))]
    pub(crate) tags: Vec<String>,
    /// Only members of this group
    #[arg(long, short, value_name = "GROUP", add = ArgValueCompleter::new(groups))]
    pub(crate) group: Option<String>,
    /// Only artifacts of this origin
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Only artifacts that stand like this between manifest and disk
    #[arg(long, short, value_name = "STATUS", value_parser = ["managed", "unmanaged", "missing", "declared"])]
    pub(crate) status: Option<String>,
    /// The order
    #[arg(long, value_enum, default_value_t = SortBy::Name)]
    pub(crate) sort: SortBy,
    /// At most so many artifacts [default: all]
    #[arg(long, short, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Of every collection
    #[arg(long, short, conflicts_with = "collection")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// NAME, or TYPE:NAME if several kinds have the name
    #[arg(value_name = "ARTIFACT", add = ArgValueCompleter::new(artifacts))]
    pub(crate) artifact: String,
    /// The collection [default: the default one first, then all others]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
}

/// Where to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchIn {
    /// Names, aliases, titles, descriptions, tags, authors
    Metadata,
    /// The text of files
    Content,
    /// Both
    All,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words, beginnings of words, or "phrases in quotes"
    #[arg(required = true, value_name = "QUERY")]
    pub(crate) query: Vec<OsString>,
    /// Only this kind; may be given again for more kinds
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = any_kind, add = ArgValueCompleter::new(kinds))]
    pub(crate) kinds: Vec<Kind>,
    /// Only artifacts with this tag; given again: with all of them
    #[arg(long = "tag", value_name = "TAG", add = ArgValueCompleter::new(tags))]
    pub(crate) tags: Vec<String>,
    /// Where to search
    #[arg(long = "in", value_enum, default_value_t = SearchIn::All, value_name = "WHERE")]
    pub(crate) scope: SearchIn,
    /// At most so many artifacts
    #[arg(long, short, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
    /// The collection [default: every collection]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
}
