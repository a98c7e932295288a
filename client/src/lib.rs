//! `sm`: the light client of SkillMeat. Parses arguments, asks the daemon, renders what it answers.
//!
//! Nothing here knows a collection's files: the daemon does. What works without one (config, logs,
//! completions, manual pages, starting and stopping it) is done here.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod connect;
mod output;
mod service;

use std::process::ExitCode;

use clap::CommandFactory as _;
use skillmeat_shared::{Code, Error};

/// The whole definition of the command line, for manual pages and tests of the documentation.
pub fn command() -> clap::Command {
    cli::Cli::command()
}

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    if let Some(code) = commands::completions::complete() {
        return code;
    }
    match cli::parsed() {
        Ok(cli) => ExitCode::from(commands::run(cli)),
        Err(error) => usage(&error),
    }
}

/// Prints what clap has to say: help, version, or a wrong argument.
fn usage(error: &clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    let json = std::env::args_os()
        .skip(1)
        .take_while(|arg| arg != "--")
        .any(|arg| arg == "--json");
    if json && error.use_stderr() {
        let text = error.to_string();
        let mut lines = text.lines();
        let message = lines
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        let mut failure = Error::new(Code::InvalidArgument, message);
        failure.hints = lines
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| line.trim_start_matches("tip: ").to_owned())
            .collect();
        output::early_error(&failure, true);
    } else {
        // There is nobody to tell if this fails.
        error.print().ok();
    }
    code
}
