//! `sm repair`: what would be repaired, or is.

use skillmeat_proto::v1;

use super::change::{self, Words};
use super::{Context, Failure, Outcome};
use crate::cli::{RepairArgs, RepairCommand};

/// The exit code of a repair that left something.
const LEFT: u8 = 2;

pub(super) async fn run(context: &mut Context, command: RepairCommand) -> Outcome {
    let (repair, args): (_, RepairArgs) = match command {
        RepairCommand::Tools(args) => ("tools", args),
        RepairCommand::Misplaced(args) => ("misplaced", args),
        RepairCommand::OriginSource(args) => ("origin-source", args),
        RepairCommand::Orphans(args) => ("orphans", args),
        RepairCommand::Missing(args) => ("missing", args),
        RepairCommand::Layout(args) => ("layout", args),
        RepairCommand::All(args) => ("all", args),
    };
    let request = v1::RepairRequest {
        repair: repair.to_owned(),
        collection: args.collection.unwrap_or_default(),
        execute: args.execute,
    };
    let session = context.session().await?;
    let stream = session.stream(request).await?;
    let words = Words {
        verb: "repair",
        single: false,
        tolerates_conflicts: false,
        terse: true,
        tally: &tally,
        hints: &|_, _| Vec::new(),
    };
    match change::follow(context, &session, stream, &words).await {
        Err(Failure::Told(_)) => Err(Failure::Told(LEFT)),
        outcome => outcome,
    }
}

/// The summary, in the words of the ancestor's scripts.
fn tally(summary: &v1::ChangeSummary) -> String {
    let count = |result| change::count(summary, result);
    let mut text = format!(
        "Summary:\n  Fixed: {}\n  Unchanged: {}\n  Skipped: {}\n  Errors: {}",
        count("fixed"),
        count("unchanged"),
        count("skipped"),
        count("failed")
    );
    if count("unchanged") + count("skipped") > 0 {
        text.push_str("\n`--verbose` names those that are left as they are, and says why");
    }
    if summary.dry_run {
        text.push_str("\nDRY RUN: nothing was changed; `--execute` applies the fixes");
    }
    text
}
