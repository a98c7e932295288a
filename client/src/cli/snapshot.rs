//! Arguments of `snapshot`, `history`, `rollback`, `restore` and `gc`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::ArgValueCompleter;

use crate::commands::completions::{artifacts, collections};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SnapshotCommand>,
    /// What to remember it by [default: Manual snapshot]
    #[arg(value_name = "MESSAGE")]
    pub(crate) message: Option<String>,
    /// The same, as another program spells it
    #[arg(
        long = "message",
        short,
        value_name = "MESSAGE",
        conflicts_with = "message",
        hide = true
    )]
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

/// Which collection.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(crate) struct OfCollection {
    /// The collection [default: the default one]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
}

/// Whether only to say it.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(crate) struct DryRun {
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Which collections.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OfCollections {
    /// The collection [default: the default one]
    #[arg(long, short, value_name = "COLLECTION", conflicts_with = "all", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
    /// Of every collection
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List snapshots, the newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  sm snapshot list
  sm snapshot list --all --limit 5
  sm snapshot list --json | jq -r '.snapshots[].id'

Snapshots that the ancestor made are listed as `archive`, and can be used like the others."
    )]
    List(HistoryArgs),
    /// Show what a snapshot holds
    #[command(after_help = "Examples:
  sm snapshot show 20261120-155145-120724")]
    Show(OneSnapshot),
    /// Compare a snapshot with a later one, or with the collection as it is
    #[command(after_help = "Examples:
  sm snapshot diff 20261120-155145-120724                            what changed since
  sm snapshot diff 20261120-155145-120724 20261121-080000-000000     what changed in between")]
    Diff {
        /// The snapshot
        #[arg(value_name = "ID")]
        before: String,
        /// The later one [default: the collection as it is]
        #[arg(value_name = "ID2")]
        after: Option<String>,
        #[command(flatten)]
        of: OfCollection,
    },
    /// Read all that snapshots need and compare it with its hashes; exit 9 if something is wrong
    #[command(after_help = "Examples:
  sm snapshot verify                          all of the default collection
  sm snapshot verify --all                    all of every collection
  sm snapshot verify 20261120-155145-120724")]
    Verify {
        /// The snapshots [default: all]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        of: OfCollections,
    },
    /// Delete snapshots
    #[command(after_help = "Examples:
  sm snapshot delete 20261120-155145-120724 --yes

This is final. Disk space comes back with the next `sm gc`.")]
    Delete {
        /// The snapshots
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        of: OfCollection,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Delete automatic snapshots that need not be kept; never those that you made
    #[command(after_help = "Examples:
  sm snapshot prune --dry-run
  sm snapshot prune --keep-last 3 --keep-daily 0

This is final. Without `--keep-...` the config decides (`snapshot.keep_last` and its like). The daemon prunes by itself.")]
    Prune(PruneArgs),
    /// Write a snapshot to a .tar.gz file, as the ancestor makes them
    #[command(after_help = "Examples:
  sm snapshot export 20261120-155145-120724 ~/backup.tar.gz")]
    Export {
        /// The snapshot
        #[arg(value_name = "ID")]
        id: String,
        /// The file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Replace a file that is there
        #[arg(long, short)]
        force: bool,
        #[command(flatten)]
        of: OfCollection,
    },
    /// Take in a .tar.gz file with a collection as a snapshot
    #[command(after_help = "Examples:
  sm snapshot import ~/backup.tar.gz
  sm snapshot import ~/backup.tar.gz -c work

The file is only kept; `sm rollback` brings its state back.")]
    Import {
        /// The file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// What to remember it by
        #[arg(long, short, value_name = "MESSAGE")]
        message: Option<String>,
        #[command(flatten)]
        of: OfCollection,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OneSnapshot {
    /// The snapshot
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// At most so many; 0 is all
    #[arg(long, short, value_name = "N", default_value_t = 10)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) of: OfCollections,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) of: OfCollections,
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    pub(crate) keep_last: Option<u64>,
    /// Keep the newest of each day, for N days
    #[arg(long, value_name = "N")]
    pub(crate) keep_daily: Option<u64>,
    /// Keep the newest of each week, for N weeks
    #[arg(long, value_name = "N")]
    pub(crate) keep_weekly: Option<u64>,
    /// Keep the newest of each month, for N months
    #[arg(long, value_name = "N")]
    pub(crate) keep_monthly: Option<u64>,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The snapshot
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Only this artifact: NAME, TYPE:NAME, or a pattern such as 'pdf-*'; may be given again
    #[arg(long = "artifact", value_name = "NAME", add = ArgValueCompleter::new(artifacts))]
    pub(crate) artifacts: Vec<String>,
    #[command(flatten)]
    pub(crate) dry: DryRun,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArtifactArgs {
    /// The artifact, or a pattern, and the snapshot to take it from
    #[arg(value_name = "NAME@ID")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) dry: DryRun,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
