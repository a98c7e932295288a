//! Arguments of the commands that change artifacts, and of how they are chosen.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::ArgValueCompleter;
use skillmeat_shared::Kind;

use super::artifact::any_kind;
use super::snapshot::{DryRun, OfCollection};
use crate::commands::completions::{artifacts, collections, groups, kinds, tags};

/// Which artifacts of a collection a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct SelectArgs {
    /// NAME, TYPE:NAME, or a pattern such as 'pdf-*'; - reads names from stdin, one on each line
    #[arg(value_name = "ARTIFACT", required_unless_present_any = ["kinds", "tags", "group"], add = ArgValueCompleter::new(artifacts))]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// What artifacts must have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// Only this type; may be given again for more types
    #[arg(id = "kinds", long = "type", short = 't', value_name = "TYPE", value_parser = any_kind, add = ArgValueCompleter::new(kinds))]
    pub(crate) kinds: Vec<Kind>,
    /// Only artifacts with this tag; given again: with all of them
    #[arg(id = "tags", long = "tag", value_name = "TAG", add = ArgValueCompleter::new(tags))]
    pub(crate) tags: Vec<String>,
    /// Only members of this group
    #[arg(id = "group", long, short, value_name = "GROUP", add = ArgValueCompleter::new(groups))]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Take them out of the manifest, and leave the files where they are
    #[arg(long)]
    pub(crate) keep_files: bool,
    /// Remove several without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// NAME, or TYPE:NAME if several types have the name
    #[arg(value_name = "OLD", add = ArgValueCompleter::new(artifacts))]
    pub(crate) artifact: String,
    /// The new name
    #[arg(value_name = "NEW")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) dry: DryRun,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// The collection that they go to
    #[arg(long, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) to: String,
    /// Move several without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// The collection that the copies go to [default: the same one]
    #[arg(long, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) to: Option<String>,
    /// The name of the copy [default: the same]
    #[arg(long = "as", value_name = "NEW")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Artifacts, then KEY=VALUE for each field; KEY= takes a field away
    #[arg(required = true, value_name = "ARTIFACT|KEY=VALUE", add = ArgValueCompleter::new(artifacts))]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct RateArgs {
    /// Artifacts, then a number from 1 to 5
    #[arg(required_unless_present = "clear", value_name = "ARTIFACT|STARS", add = ArgValueCompleter::new(artifacts))]
    pub(crate) words: Vec<String>,
    /// Take the rating away; no number is given then
    #[arg(long)]
    pub(crate) clear: bool,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// NAME, or TYPE:NAME if several types have the name
    #[arg(value_name = "ARTIFACT", add = ArgValueCompleter::new(artifacts))]
    pub(crate) artifact: String,
    /// A file of the artifact [default: the one that says what it is, such as SKILL.md]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// Take the new text from this file, and open no editor; - is stdin
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) from: Option<PathBuf>,
    /// Say whether the text would be saved, and save nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Names or patterns, or paths with a slash in them [default: the whole collection]
    #[arg(value_name = "ARTIFACT|PATH", add = ArgValueCompleter::new(artifacts))]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
    /// Hold them to the letter of the specification
    #[arg(long)]
    pub(crate) strict: bool,
    /// Mend what can be mended without guessing
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix: say what would be mended, and change nothing
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,
    /// List every rule
    #[arg(long, conflicts_with_all = ["words", "fix", "strict"])]
    pub(crate) rules: bool,
}
