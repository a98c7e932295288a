//! `sm rollback` and `sm restore`.

use std::time::Duration;

use skillmeat_proto::v1;
use skillmeat_proto::v1::change_event::Event;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error};

use super::change::{self, Words};
use super::db::agreed;
use super::{Context, Failure, Outcome};
use crate::cli::{RestoreArtifactArgs, RollbackArgs};
use crate::output::escape::escape;
use crate::output::units;

/// A large collection is put back in its own time.
const LONG: Duration = Duration::from_mins(10);

pub(super) async fn run(context: &mut Context, args: RollbackArgs) -> Outcome {
    let artifacts: Vec<v1::ArtifactRef> = args.artifacts.iter().map(|text| named(text)).collect();
    let what = match artifacts.len() {
        0 => "the whole collection".to_owned(),
        count => units::count(count as u64, "artifact"),
    };
    let mut request = v1::RollbackRequest {
        collection: args.of.collection.unwrap_or_default(),
        id: args.id,
        artifacts,
        dry_run: args.dry.dry_run,
        ..v1::RollbackRequest::default()
    };
    if !(args.dry.dry_run || args.yes) {
        if let Some(would) = preview(context, request.clone()).await? {
            let id = escape(&request.id);
            agreed(false, &format!("{would}; take {what} back to `{id}`?"))?;
        } else {
            // Nobody agreed to what may differ a moment later.
            (request.dry_run, request.nothing) = (true, true);
        }
    }
    go_back(context, request, "roll back").await
}

/// What going back would do, for who is asked; `None`: nothing. An error if it can't be done at all.
async fn preview(
    context: &mut Context,
    request: v1::RollbackRequest,
) -> Result<Option<String>, Failure> {
    let session = context.session_for(LONG).await?;
    let request = v1::RollbackRequest {
        dry_run: true,
        ..request
    };
    let mut stream = session.stream(request).await?;
    let mut would = None;
    while let Some(message) = session.next(&mut stream).await? {
        if let Some(Event::Summary(summary)) = message.event {
            would = (back(&summary) > 0).then(|| tally(&summary));
        }
    }
    Ok(would)
}

pub(super) async fn restore(context: &mut Context, args: RestoreArtifactArgs) -> Outcome {
    let (name, id) = args
        .what
        .rsplit_once('@')
        .filter(|(name, id)| !name.is_empty() && !id.is_empty())
        .ok_or_else(|| {
            Error::new(
                Code::InvalidArgument,
                format!("`{}` names no artifact and snapshot", escape(&args.what)),
            )
            .hint("write `NAME@ID`; `sm history` lists the ids")
        })?;
    let request = v1::RollbackRequest {
        collection: args.of.collection.unwrap_or_default(),
        id: id.to_owned(),
        artifacts: vec![named(name)],
        dry_run: args.dry.dry_run,
        restore: true,
        nothing: false,
    };
    go_back(context, request, "restore").await
}

async fn go_back(context: &mut Context, request: v1::RollbackRequest, verb: &str) -> Outcome {
    let session = context.session_for(LONG).await?;
    let stream = session.stream(request).await?;
    let words = Words {
        verb,
        single: false,
        tolerates_conflicts: false,
        terse: false,
        tally: &tally,
        hints: &|_, _| Vec::new(),
    };
    change::follow(context, &session, stream, &words).await
}

/// How much goes back.
fn back(summary: &v1::ChangeSummary) -> u64 {
    change::count(summary, "restored") + change::count(summary, "removed")
}

fn tally(summary: &v1::ChangeSummary) -> String {
    let (restored, removed) = (
        change::count(summary, "restored"),
        change::count(summary, "removed"),
    );
    let would = if summary.dry_run { "would be " } else { "" };
    if back(summary) == 0 {
        return format!("nothing differs{}", change::rest(summary));
    }
    let name = escape(&summary.collection);
    let mut text = format!("{restored} {would}restored, {removed} {would}removed in `{name}`");
    text.push_str(&change::rest(summary));
    if !summary.operation.is_empty() {
        text.push_str("; `sm undo` takes it back");
    }
    text
}

fn named(text: &str) -> v1::ArtifactRef {
    // Every text is a name, with or without a kind.
    let ArtifactRef { kind, name } = text.parse().unwrap_or_else(|never| match never {});
    v1::ArtifactRef {
        kind: kind.map(|kind| kind.to_string()).unwrap_or_default(),
        name,
    }
}
