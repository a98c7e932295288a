//! The program `skillmeatd`.

use std::process::ExitCode;

use skillmeatd::{app, cli, lifecycle};

fn main() -> ExitCode {
    match cli::Args::read() {
        Ok(args) => lifecycle::run(&args, app::build),
        Err(code) => ExitCode::from(code),
    }
}
