//! Arguments of `repair`.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;

use crate::commands::completions::collections;

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Do it; without this nothing is changed
    #[arg(long)]
    pub(crate) execute: bool,
    /// Only say what would be done, as without `--execute`
    #[arg(long, conflicts_with = "execute")]
    pub(crate) dry_run: bool,
    /// The collection [default: every collection]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepairCommand {
    /// Write the tools of skills, from their frontmatter, into entries that have none
    #[command(after_help = "Examples:
  sm repair tools
  sm repair tools --execute

Exits with 2 if something could not be repaired, as all repairs do.")]
    Tools(RepairArgs),
    /// Move artifacts to the collection whose manifest names them, if no other one does
    #[command(after_help = "Examples:
  sm repair misplaced
  sm repair misplaced --execute -c default

The manifests of both collections are kept as with origin-source.")]
    Misplaced(RepairArgs),
    /// Put the names of platforms where URLs stand in `origin_source`
    #[command(after_help = "Examples:
  sm repair origin-source
  sm repair origin-source --execute

The manifest as it was is kept beside it, as collection.toml.bak, or .bak.2 if there is one.")]
    OriginSource(RepairArgs),
    /// Give an entry to artifacts that have none, and forget locks of artifacts that are gone
    #[command(after_help = "Examples:
  sm repair orphans
  sm repair orphans --execute")]
    Orphans(RepairArgs),
    /// Remove entries whose files are nowhere
    #[command(after_help = "Examples:
  sm repair missing
  sm repair missing --execute -c work")]
    Missing(RepairArgs),
    /// Write paths of entries as they should be: relative, and there
    #[command(after_help = "Examples:
  sm repair layout
  sm repair layout --execute")]
    Layout(RepairArgs),
    /// All repairs, one operation each
    #[command(after_help = "Examples:
  sm repair all
  sm repair all --execute && sm log")]
    All(RepairArgs),
}
