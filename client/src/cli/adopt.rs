//! Arguments of `adopt`.

use clap::{Args, ValueHint};
use clap_complete::ArgValueCompleter;
use skillmeat_shared::Kind;

use super::artifact::any_kind;
use super::snapshot::{DryRun, OfCollection};
use crate::commands::completions::{agents, kinds};

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// What to take in: NAME, TYPE:NAME, or patterns of them; - reads names from stdin
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// An agent, an agent's folder, a project, or a folder with projects; may be given again [default: every
    /// agent's folders in your home, and the projects below `search.project-roots`]
    #[arg(long, short, value_name = "AGENT|PATH", value_hint = ValueHint::DirPath, add = ArgValueCompleter::new(agents))]
    pub(crate) from: Vec<String>,
    /// Only this kind; may be given again for more kinds
    #[arg(long = "type", short = 't', value_name = "TYPE", value_parser = any_kind, add = ArgValueCompleter::new(kinds))]
    pub(crate) kinds: Vec<Kind>,
    /// Take in everything that the collection does not have
    #[arg(long, short, conflicts_with = "names")]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) dry: DryRun,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}
