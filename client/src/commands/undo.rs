//! `sm undo`, `sm redo`: operations are taken back and done again.

use skillmeat_proto::v1;

use super::change::{self, Words};
use super::{Context, Outcome};
use crate::cli::{RedoArgs, UndoArgs};
use crate::output::escape::escape;
use crate::output::units;

pub(super) async fn undo(context: &mut Context, args: UndoArgs) -> Outcome {
    let request = v1::UndoRequest {
        id: args.id.unwrap_or_default(),
        dry_run: args.dry.dry_run,
    };
    let session = context.session().await?;
    let stream = session.stream(request).await?;
    let tally = |summary: &v1::ChangeSummary| tally(summary, "; `sm redo` does it again");
    change::follow(context, &session, stream, &words("undo", &tally)).await
}

pub(super) async fn redo(context: &mut Context, args: RedoArgs) -> Outcome {
    let request = v1::RedoRequest {
        dry_run: args.dry.dry_run,
    };
    let session = context.session().await?;
    let stream = session.stream(request).await?;
    let tally = |summary: &v1::ChangeSummary| tally(summary, "");
    change::follow(context, &session, stream, &words("redo", &tally)).await
}

fn words<'a>(verb: &'a str, tally: &'a dyn Fn(&v1::ChangeSummary) -> String) -> Words<'a> {
    Words {
        verb,
        single: true,
        tolerates_conflicts: false,
        terse: false,
        tally,
        hints: &|_, _| Vec::new(),
    }
}

fn tally(summary: &v1::ChangeSummary, next: &str) -> String {
    let mut wholes = summary.steps.iter().filter_map(|step| {
        let name = step.path.strip_prefix("collections/")?;
        let is_whole = step.collection.is_empty() && !name.contains('/');
        is_whole.then_some((name, step.action == "remove"))
    });
    let (what, done) = match (wholes.next(), wholes.next()) {
        (Some((name, is_gone)), None) => (
            format!("collection `{}`", escape(name)),
            if is_gone { "removed" } else { "restored" },
        ),
        _ => (units::count(summary.steps.len() as u64, "path"), "changed"),
    };
    if summary.dry_run {
        format!("{what} would be {done}")
    } else {
        format!("{what} {done}{next}")
    }
}
