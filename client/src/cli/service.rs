//! Arguments of `service`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Have the daemon run by your service manager: at every login, and again when it fails
    #[command(after_help = "Examples:
  sm service install
  sm service install --dry-run    the files and commands, and nothing done

Run it again when the programs have moved. A file that you have changed is left alone unless --force is given; it is \
then saved beside the new one.")]
    Install(ServiceArgs),
    /// Stop the service and remove its files; commands start the daemon themselves again
    #[command(after_help = "Examples:
  sm service uninstall
  sm service uninstall --dry-run")]
    Uninstall(ServiceArgs),
    /// Show whether the service is installed, enabled and running
    #[command(after_help = "Examples:
  sm service status
  sm service status --json | jq .active")]
    Status {
        /// For those who give it to every command: this one changes nothing anyway
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ServiceArgs {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also if you have changed a file of the service, or it can't be stopped
    #[arg(long)]
    pub(crate) force: bool,
}
