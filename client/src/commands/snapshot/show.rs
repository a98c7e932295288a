//! What a snapshot holds, and how it differs from another one.

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::time::Timestamp;

use super::Snapshot;
use crate::cli::OneSnapshot;
use crate::commands::{Context, Outcome, now};
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// The JSON of `sm snapshot show`.
#[derive(Serialize)]
struct Show {
    #[serde(flatten)]
    snapshot: Snapshot,
    held: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    id: String,
    path: String,
    files: u64,
    bytes: u64,
}

/// The JSON of `sm snapshot diff`.
#[derive(Serialize)]
struct Diff {
    collection: String,
    before: String,
    after: Option<String>,
    changes: Vec<Differing>,
    truncated: bool,
}

#[derive(Serialize)]
struct Differing {
    change: String,
    path: String,
    artifact: Option<String>,
    before_bytes: Option<u64>,
    after_bytes: Option<u64>,
}

pub(super) async fn show(context: &mut Context, args: OneSnapshot) -> Outcome {
    let session = context.session_for(super::LONG).await?;
    let request = v1::ShowSnapshotRequest {
        collection: args.of.collection.unwrap_or_default(),
        id: args.id,
    };
    let answer: v1::ShowSnapshotResponse = session.call(request).await?;
    let snapshot = answer.snapshot.unwrap_or_default();
    if context.out.json {
        let held = answer.artifacts.into_iter().map(|one| Held {
            id: one.id,
            path: one.path,
            files: one.files,
            bytes: one.bytes,
        });
        context.out.document(&Show {
            snapshot: snapshot.into(),
            held: held.collect(),
        })?;
        return Ok(());
    }
    let out = &mut context.out;
    let at = Timestamp(snapshot.at);
    out.field("snapshot", &escape(&snapshot.id))?;
    out.field("collection", &escape(&snapshot.collection))?;
    out.field(
        "made",
        &format!("{} ({})", at.to_rfc3339(), units::ago(at, now())),
    )?;
    out.field("why", &escape(&snapshot.origin))?;
    out.field("message", &one_line(&snapshot.message))?;
    if let (Some(files), Some(bytes)) = (snapshot.files, snapshot.bytes) {
        let files = units::count(files, "file");
        out.field("size", &format!("{files}, {}", units::size(bytes)))?;
    }
    if !snapshot.archive.is_empty() {
        out.field("archive", &escape(&snapshot.archive))?;
    }
    if answer.artifacts.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut table = Table::new(vec![
        Column::text("ARTIFACT"),
        Column::number("FILES"),
        Column::number("SIZE"),
    ]);
    for one in &answer.artifacts {
        table.row(vec![
            escape(&one.id).into_owned().into(),
            one.files.to_string().into(),
            units::size(one.bytes).into(),
        ]);
    }
    out.table(&table)?;
    Ok(())
}

pub(super) async fn diff(context: &mut Context, request: v1::DiffSnapshotsRequest) -> Outcome {
    let session = context.session_for(super::LONG).await?;
    let (before, after) = (request.before.clone(), json::filled(request.after.clone()));
    let answer: v1::DiffSnapshotsResponse = session.call(request).await?;
    if context.out.json {
        let changes = answer.changes.into_iter().map(|one| Differing {
            change: one.change,
            path: one.path,
            artifact: json::filled(one.artifact),
            before_bytes: one.before_bytes,
            after_bytes: one.after_bytes,
        });
        context.out.document(&Diff {
            collection: answer.collection,
            before,
            after,
            changes: changes.collect(),
            truncated: answer.truncated,
        })?;
        return Ok(());
    }
    if !answer.changes.is_empty() {
        let mut table = Table::new(vec![
            Column::text("CHANGE"),
            Column::text("PATH"),
            Column::number("BEFORE"),
            Column::number("AFTER"),
        ]);
        let size = |bytes: Option<u64>| bytes.map(units::size).unwrap_or_default();
        for one in &answer.changes {
            let tone = match one.change.as_str() {
                "added" => Tone::Good,
                "removed" => Tone::Bad,
                _ => Tone::Warn,
            };
            table.row(vec![
                Cell::new(escape(&one.change), tone),
                escape(&one.path).into_owned().into(),
                size(one.before_bytes).into(),
                size(one.after_bytes).into(),
            ]);
        }
        context.out.table(&table)?;
    }
    context.out.flush()?;
    let count = units::count(answer.changes.len() as u64, "path");
    context
        .out
        .note(&match (answer.changes.len(), answer.truncated) {
            (0, _) => "nothing differs".to_owned(),
            (_, true) => format!("{count} and more differ"),
            (1, false) => format!("{count} differs"),
            (_, false) => format!("{count} differ"),
        });
    Ok(())
}
