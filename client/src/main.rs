//! `sm`: the light client of SkillMeat.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    skillmeat_client::run()
}
