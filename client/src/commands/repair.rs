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
        execute: args.execute && !args.dry_run,
    };
    let session = context.session().await?;
    let stream = session.stream(request).await?;
    let words = Words {
        verb: "repair",
        single: false,
        tolerates_conflicts: false,
        terse: true,
        tally: &|summary| tally(repair, summary),
        hints: &|_, _| Vec::new(),
    };
    match change::follow(context, &session, stream, &words).await {
        Err(Failure::Told(_)) => Err(Failure::Told(LEFT)),
        outcome => outcome,
    }
}

/// The summary, in the words of the ancestor's scripts.
fn tally(repair: &str, summary: &v1::ChangeSummary) -> String {
    let count = |result| change::count(summary, result);
    let (fixed, unchanged) = (count("fixed"), count("unchanged"));
    let mut lines = Vec::new();
    if repair == "tools" {
        lines.push(format!("Updated: {fixed}"));
        lines.push(format!("  With tools: {fixed}"));
        lines.push(format!("No tools: {unchanged}"));
    } else {
        lines.push(format!("Fixed: {fixed}"));
    }
    if count("skipped") > 0 || repair == "tools" {
        lines.push(format!("Skipped: {}", count("skipped")));
    }
    lines.push(format!("Errors: {}", count("failed")));
    let mut text = format!("Summary:\n  {}", lines.join("\n  "));
    if unchanged + count("skipped") > 0 {
        text.push_str("\n`--verbose` names those that are left as they are, and says why");
    }
    if summary.dry_run {
        text.push_str("\nDRY RUN MODE - no changes made; `--execute` applies the fixes");
    }
    text
}
