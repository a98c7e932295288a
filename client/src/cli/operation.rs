//! Arguments of `log`, `undo` and `redo`.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;

use super::snapshot::DryRun;
use crate::commands::completions::{artifacts, collections};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    pub(crate) command: Option<LogCommand>,
    #[command(flatten)]
    pub(crate) list: LogListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogListArgs {
    /// Only what was done to the files of this artifact: NAME or TYPE:NAME
    #[arg(long, short, value_name = "ARTIFACT", add = ArgValueCompleter::new(artifacts))]
    pub(crate) artifact: Option<String>,
    /// Only what touched this collection; with --artifact, the one that it is in [default: the default one]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
    /// At most so many operations
    #[arg(long, short, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Only operations before this one
    #[arg(long, value_name = "OP", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) before: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Show what one operation changed, line by line
    #[command(after_help = "Examples:
  sm log show              the last one
  sm log show 12
  sm log show 12 --json | jq -r '.files[].path'")]
    Show {
        /// The number of the operation [default: the last one]
        #[arg(value_name = "OP", value_parser = clap::value_parser!(u64).range(1..))]
        id: Option<u64>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// The number of the operation, as `sm log` shows it [default: the last one of `sm` that changed files]
    #[arg(value_name = "OP", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) id: Option<u64>,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Debug, Args)]
pub(crate) struct RedoArgs {
    #[command(flatten)]
    pub(crate) dry: DryRun,
}
