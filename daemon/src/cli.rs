//! The command line of the daemon.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// The daemon of SkillMeat. It serves one home in the foreground until it is told to stop; `sm` starts it by
/// itself when it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
#[command(name = "skillmeatd", version = skillmeat_shared::version::program())]
pub struct Args {
    /// The folder that holds collections, config and cache [default: `SKILLMEAT_HOME`, else `~/.skillmeat`]
    #[arg(long, value_name = "FOLDER")]
    pub home: Option<PathBuf>,

    /// Say in one line of JSON on standard output whether it serves, then leave the terminal
    #[arg(long, hide = true)]
    pub startup_report: bool,

    /// Say in JSON that it serves, or why it does not, as `sm --json` does
    #[arg(long, hide = true, conflicts_with = "startup_report")]
    pub json: bool,

    /// Which service manager runs this process
    #[arg(long, hide = true, value_enum, conflicts_with = "startup_report")]
    pub manager: Option<Manager>,
}

/// A service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Manager {
    /// The one of most Linux systems.
    Systemd,
    /// The one of macOS.
    Launchd,
}

impl Manager {
    /// Its name in the rendezvous and in `sm status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }
}

impl Args {
    /// Reads the process's arguments. `Err` is the exit code after help, version or a usage error was
    /// printed.
    pub fn read() -> Result<Self, u8> {
        Self::try_parse().map_err(|error| {
            // Nowhere to say that standard output is closed.
            drop(error.print());
            u8::try_from(error.exit_code()).unwrap_or(2)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
