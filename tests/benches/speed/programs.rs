//! The programs as files and as processes.

use std::fs;
use std::process::Command;

use skillmeat_tests::bench::daemon::Home;
use skillmeat_tests::bench::table::{Samples, Table};
use skillmeat_tests::home::binary;

use crate::floor::{STARTS, run};

const MB: u64 = 1_000_000;

/// How large the programs are.
pub(crate) fn sizes(table: &mut Table) {
    for (name, most) in [("sm", 4), ("skillmeatd", 20)] {
        let bytes = fs::metadata(binary(name)).unwrap().len();
        table.number(
            &format!("`{name}`, stripped"),
            bytes / 1000,
            most * MB / 1000,
            " kB",
        );
    }
}

/// A page of the list from start to exit, in turns with a program that does nothing.
pub(crate) fn list(home: &Home, table: &mut Table) {
    let (mut ours, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        nothing.push(run(Command::new("/bin/true")));
        let mut command = home.command("sm");
        command.args(["list", "--limit", "50"]);
        ours.push(run(command));
    }
    let floor = ("`/bin/true`", Samples::new(nothing).p50());
    table.against(
        "`sm list --limit 50`, start to exit, p50",
        Samples::new(ours).p50(),
        floor,
        5.0,
    );
}
