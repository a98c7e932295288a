//! Arguments of `daemon` and `watch`.

use std::fmt::{self, Display, Formatter};
use std::num::ParseIntError;
use std::str::FromStr;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;

use crate::commands::completions::collections;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Begin with the events after this number, of this instance of the log [default: only new events]
    #[arg(long, value_name = "[INSTANCE:]SEQ")]
    pub(crate) since: Option<Since>,
    /// Only events of this collection
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
}

/// An event that somebody has seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Since {
    /// The instance of the log that it is from; empty if that is not known.
    pub(crate) instance: String,
    /// Its number.
    pub(crate) seq: u64,
}

impl Display for Since {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.instance.is_empty() {
            write!(f, "{}:", self.instance)?;
        }
        write!(f, "{}", self.seq)
    }
}

impl FromStr for Since {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (instance, seq) = text.rsplit_once(':').unwrap_or(("", text));
        Ok(Self {
            instance: instance.to_owned(),
            seq: seq.parse()?,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Mend what is safe to mend: leftovers, modes, what a killed daemon left
    #[arg(long)]
    pub(crate) fix: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Run the daemon in the foreground
    #[command(after_help = "Examples:
  sm daemon run
  sm daemon run --home /srv/skillmeat")]
    Run,
    /// Start the daemon in the background, if none runs
    #[command(after_help = "Examples:
  sm daemon start")]
    Start,
    /// Stop the daemon
    #[command(after_help = "Examples:
  sm daemon stop
  sm daemon stop --force    also if it does not answer")]
    Stop {
        /// End the process if it does not answer
        #[arg(long)]
        force: bool,
    },
    /// Stop the daemon and start it again
    #[command(after_help = "Examples:
  sm daemon restart
  sm daemon restart --force    also if it does not answer")]
    Restart {
        /// End the process if it does not answer
        #[arg(long)]
        force: bool,
    },
    /// Show the state of the daemon; never starts one
    #[command(after_help = "Examples:
  sm daemon status
  sm daemon status --json")]
    Status,
    /// Print the daemon's log; needs no running daemon
    #[command(after_help = "Examples:
  sm daemon logs
  sm daemon logs -n 500
  sm daemon logs -f")]
    Logs(LogsArgs),
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogsArgs {
    /// Go on printing new lines
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Begin with the last so many lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
}
