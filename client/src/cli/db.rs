//! Arguments of `db`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Show the database of the cache: its schema, state and size
    #[command(after_help = "Examples:
  sm db current
  sm db current --json | jq .schema")]
    Current,
    /// List the versions of its schema, and when each was applied
    #[command(after_help = "Examples:
  sm db history")]
    History,
    /// Bring the schema up to a version
    #[command(after_help = "Examples:
  sm db upgrade                    to the newest that the daemon knows

The daemon does so by itself when it starts; this is for a cache that was taken down.")]
    Upgrade {
        /// The version [default: the newest]
        #[arg(value_name = "VERSION")]
        target: Option<u32>,
    },
    /// Bring the schema down to a version that an older daemon knows
    #[command(after_help = "Examples:
  sm db downgrade 1 --yes          then stop this daemon and start the older one

A cache of a newer daemon is put aside for the copy that was made before its migration, or for an \
empty one. Nothing is lost: all of it is made from your files.")]
    Downgrade(DowngradeArgs),
    /// Look for damage; exit 9 if there is any
    #[command(after_help = "Examples:
  sm db check
  sm db check --thorough           compare indexes with rows, too")]
    Check {
        /// Compare indexes with rows, too
        #[arg(long)]
        thorough: bool,
    },
    /// Give free space of the database back to the disk
    #[command(after_help = "Examples:
  sm db vacuum")]
    Vacuum,
    /// Write a copy of the database to a file
    #[command(after_help = "Examples:
  sm db backup ~/cache-copy.db
  sm db backup ~/cache-copy.db --force")]
    Backup(BackupArgs),
    /// Take over a copy that `sm db backup` wrote
    #[command(after_help = "Examples:
  sm db restore ~/cache-copy.db --yes

The copy is checked first, the database that it replaces is put aside, and its rows are compared with \
your files at once.")]
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DowngradeArgs {
    /// The version
    #[arg(value_name = "VERSION")]
    pub(crate) target: u32,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to write
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The copy
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
