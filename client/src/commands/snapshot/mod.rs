//! `sm snapshot` and `sm history`.

mod show;

use std::time::Duration;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::error::word;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error};

use super::db::{agreed, whole};
use super::{Context, Doing, Failure, Outcome, now};
use crate::cli::{HistoryArgs, OfCollections, PruneArgs, SnapshotArgs, SnapshotCommand};
use crate::output::escape::{escape, one_line};
use crate::output::progress::Progress;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// Large collections are read and written in their own time.
const LONG: Duration = Duration::from_mins(10);

/// The exit code if a snapshot is not whole.
const DAMAGED: u8 = 9;

/// The JSON of a snapshot.
#[derive(Serialize)]
pub(super) struct Snapshot {
    id: String,
    collection: String,
    at: Option<String>,
    message: String,
    origin: String,
    artifacts: u64,
    files: Option<u64>,
    bytes: Option<u64>,
    stored_bytes: u64,
    archive: Option<String>,
    problem: Option<String>,
}

impl From<v1::Snapshot> for Snapshot {
    fn from(from: v1::Snapshot) -> Self {
        Self {
            id: from.id,
            collection: from.collection,
            at: json::moment(from.at),
            message: from.message,
            origin: from.origin,
            artifacts: from.artifacts,
            files: from.files,
            bytes: from.bytes,
            stored_bytes: from.stored,
            archive: json::filled(from.archive),
            problem: json::filled(from.problem),
        }
    }
}

/// The JSON of `sm snapshot`.
#[derive(Serialize)]
struct Created {
    snapshot: Option<Snapshot>,
    files_read: u64,
    left_out: Vec<String>,
}

/// The JSON of `sm snapshot list` and `sm history`.
#[derive(Serialize)]
struct List {
    snapshots: Vec<Snapshot>,
    total: u64,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    code: String,
    message: String,
    path: Option<String>,
    line: Option<u32>,
}

/// The JSON of `sm snapshot verify`.
#[derive(Serialize)]
struct Verify {
    ok: bool,
    snapshots: Vec<Verified>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Verified {
    id: String,
    collection: String,
    ok: bool,
    problems: Vec<Problem>,
}

/// The JSON of `sm snapshot delete` and `prune`.
#[derive(Serialize)]
struct Deleted {
    dry_run: bool,
    deleted: Vec<Snapshot>,
}

/// The JSON of `sm snapshot export`.
#[derive(Serialize)]
struct Exported {
    path: String,
    size_bytes: u64,
}

fn problem(from: v1::Problem) -> Problem {
    Problem {
        code: from.code,
        message: from.message,
        path: from.path,
        line: from.line,
    }
}

pub(super) async fn run(context: &mut Context, args: SnapshotArgs) -> Outcome {
    let Some(command) = args.command else {
        let message = args.message.or(args.text).unwrap_or_default();
        return create(context, args.of.collection.unwrap_or_default(), message).await;
    };
    let doing: Doing<'_> = match command {
        SnapshotCommand::List(args) => Box::pin(history(context, args)),
        SnapshotCommand::Show(args) => Box::pin(show::show(context, args)),
        SnapshotCommand::Diff { before, after, of } => {
            let request = v1::DiffSnapshotsRequest {
                collection: of.collection.unwrap_or_default(),
                before,
                after: after.unwrap_or_default(),
            };
            Box::pin(show::diff(context, request))
        }
        SnapshotCommand::Verify { ids, of } => Box::pin(verify(context, ids, of)),
        SnapshotCommand::Delete { ids, of, yes } => {
            agreed(
                yes,
                &format!(
                    "delete {} for good?",
                    units::count(ids.len() as u64, "snapshot")
                ),
            )?;
            let request = v1::DeleteSnapshotsRequest {
                collection: of.collection.unwrap_or_default(),
                ids,
            };
            Box::pin(delete(context, request))
        }
        SnapshotCommand::Prune(args) => Box::pin(prune(context, args)),
        SnapshotCommand::Export {
            id,
            file,
            force,
            of,
        } => {
            let request = v1::ExportSnapshotRequest {
                collection: of.collection.unwrap_or_default(),
                id,
                path: whole(&file)?,
                force,
            };
            Box::pin(export(context, request))
        }
        SnapshotCommand::Import { file, message, of } => {
            let request = v1::ImportSnapshotRequest {
                collection: of.collection.unwrap_or_default(),
                path: whole(&file)?,
                message: message.unwrap_or_default(),
            };
            Box::pin(import(context, request))
        }
    };
    doing.await
}

async fn create(context: &mut Context, collection: String, message: String) -> Outcome {
    let session = context.session_for(LONG).await?;
    let request = v1::CreateSnapshotRequest {
        collection,
        message,
    };
    let mut stream = session.stream(request).await?;
    let progress = Progress::new(&context.out);
    let mut done = None;
    let ended = loop {
        match session.next(&mut stream).await {
            Ok(Some(message)) => {
                progress.set("reading", message.files, message.files);
                done = message.done.or(done);
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    progress.finish();
    ended?;
    let made = done.ok_or_else(|| {
        Error::new(
            Code::DaemonUnavailable,
            "the daemon went away before it was done",
        )
        .hint("run the command again")
    })?;
    let snapshot = made.snapshot.unwrap_or_default();
    if context.out.json {
        context.out.document(&Created {
            snapshot: Some(snapshot.into()),
            files_read: made.read,
            left_out: made.left_out.into_iter().map(|one| one.message).collect(),
        })?;
        return Ok(());
    }
    context.out.line(&snapshot.id)?;
    context.out.flush()?;
    for one in &made.left_out {
        context.out.warning(&one_line(&one.message));
    }
    context.out.note(&format!(
        "{}: {} in {}, {}; {} new",
        one_line(&snapshot.message),
        units::count(snapshot.artifacts, "artifact"),
        units::count(snapshot.files.unwrap_or_default(), "file"),
        units::size(snapshot.bytes.unwrap_or_default()),
        units::size(snapshot.stored)
    ));
    Ok(())
}

/// `sm history` and `sm snapshot list`.
pub(super) async fn history(context: &mut Context, args: HistoryArgs) -> Outcome {
    let session = context.session().await?;
    let request = v1::ListSnapshotsRequest {
        collection: args.of.collection.unwrap_or_default(),
        all_collections: args.of.all,
        limit: args.limit,
    };
    let answer: v1::ListSnapshotsResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&List {
            snapshots: json::all(answer.snapshots),
            total: answer.total,
            problems: answer.problems.into_iter().map(problem).collect(),
        })?;
        return Ok(());
    }
    let shown = answer.snapshots.len() as u64;
    if shown > 0 {
        let table = table(&answer.snapshots, args.of.all);
        context.out.table(&table)?;
    }
    context.out.flush()?;
    warn(context, &answer.problems);
    context.out.note(&match (shown, answer.total) {
        (0, _) => "no snapshots; `sm snapshot` makes one".to_owned(),
        (shown, total) if shown < total => {
            format!(
                "{shown} of {}; `--limit 0` shows all",
                units::count(total, "snapshot")
            )
        }
        (_, total) => units::count(total, "snapshot"),
    });
    Ok(())
}

fn table(snapshots: &[v1::Snapshot], is_of_all: bool) -> Table {
    let now = now();
    let mut columns = vec![Column::whole("ID"), Column::text("MADE")];
    if is_of_all {
        columns.push(Column::text("COLLECTION"));
    }
    columns.extend([
        Column::text("WHY"),
        Column::number("ARTIFACTS"),
        Column::number("SIZE"),
        Column::prose("MESSAGE"),
    ]);
    let mut table = Table::new(columns);
    for one in snapshots {
        let why = match one.problem.as_str() {
            "" => Cell::new(escape(&one.origin), Tone::Dim),
            problem => Cell::new(one_line(problem), Tone::Bad),
        };
        let mut row: Vec<Cell> = vec![
            one.id.clone().into(),
            units::ago(Timestamp(one.at), now).into(),
        ];
        if is_of_all {
            row.push(escape(&one.collection).into_owned().into());
        }
        row.extend([
            why,
            one.artifacts.to_string().into(),
            units::size(one.bytes.unwrap_or(one.stored)).into(),
            one_line(&one.message).into(),
        ]);
        table.row(row);
    }
    table
}

async fn verify(context: &mut Context, ids: Vec<String>, of: OfCollections) -> Outcome {
    let session = context.session_for(LONG).await?;
    let request = v1::VerifySnapshotsRequest {
        collection: of.collection.unwrap_or_default(),
        all_collections: of.all,
        ids,
    };
    let answer: v1::VerifySnapshotsResponse = session.call(request).await?;
    let bad = answer
        .snapshots
        .iter()
        .filter(|one| !one.problems.is_empty())
        .count();
    let total = answer.snapshots.len() as u64;
    let ok = bad == 0 && answer.problems.is_empty();
    // The ancestor's archives are not ours to delete.
    let ours = Code::HistoryDamaged.as_str();
    let mut problems = answer.snapshots.iter().flat_map(|one| &one.problems);
    let next = if problems.any(|one| one.code == ours) {
        "; `sm snapshot delete` removes one of ours"
    } else {
        ""
    };
    if context.out.json {
        let snapshots = answer.snapshots.into_iter().map(|one| Verified {
            id: one.id,
            collection: one.collection,
            ok: one.problems.is_empty(),
            problems: one.problems.into_iter().map(problem).collect(),
        });
        context.out.document(&Verify {
            ok,
            snapshots: snapshots.collect(),
            problems: answer.problems.into_iter().map(problem).collect(),
        })?;
    } else {
        for one in &answer.snapshots {
            for problem in &one.problems {
                let place = problem
                    .path
                    .as_deref()
                    .map(|path| format!(" {}", one_line(path)))
                    .unwrap_or_default();
                let line = format!("{}{place}: {}", one.id, one_line(&problem.message));
                context.out.line(&line)?;
            }
        }
        context.out.flush()?;
        warn(context, &answer.problems);
        let all = units::count(total, "snapshot");
        context.out.note(&match bad {
            0 => format!("{all} whole"),
            bad => format!("{bad} of {all} damaged{next}"),
        });
    }
    if ok {
        Ok(())
    } else {
        Err(Failure::Told(DAMAGED))
    }
}

/// Tells what is wrong with the ancestor's index.
fn warn(context: &Context, problems: &[v1::Problem]) {
    for one in problems {
        context.out.warning(&one_line(&one.message));
    }
}

async fn delete(context: &mut Context, request: v1::DeleteSnapshotsRequest) -> Outcome {
    let session = context.session().await?;
    let answer: v1::DeleteSnapshotsResponse = session.call(request).await?;
    deleted(context, answer.snapshots, false)
}

async fn prune(context: &mut Context, args: PruneArgs) -> Outcome {
    let session = context.session().await?;
    let request = v1::PruneSnapshotsRequest {
        collection: args.of.collection.unwrap_or_default(),
        all_collections: args.of.all,
        dry_run: args.dry_run,
        keep_last: args.keep_last,
        keep_daily: args.keep_daily,
        keep_weekly: args.keep_weekly,
        keep_monthly: args.keep_monthly,
    };
    let answer: v1::DeleteSnapshotsResponse = session.call(request).await?;
    deleted(context, answer.snapshots, args.dry_run)
}

fn deleted(context: &mut Context, snapshots: Vec<v1::Snapshot>, dry_run: bool) -> Outcome {
    let count = snapshots.len() as u64;
    if context.out.json {
        context.out.document(&Deleted {
            dry_run,
            deleted: json::all(snapshots),
        })?;
        return Ok(());
    }
    for one in &snapshots {
        context.out.line(&one.id)?;
    }
    context.out.flush()?;
    let count = units::count(count, "snapshot");
    context.out.note(&if dry_run {
        format!("{count} would be deleted")
    } else {
        format!("{count} deleted; `sm gc` gives their space back")
    });
    Ok(())
}

async fn export(context: &mut Context, request: v1::ExportSnapshotRequest) -> Outcome {
    let session = context.session_for(LONG).await?;
    let answer: v1::ExportSnapshotResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&Exported {
            path: answer.path,
            size_bytes: answer.size_bytes,
        })?;
    } else {
        let size = units::size(answer.size_bytes);
        let path = escape(&answer.path);
        context.out.note(&format!("{size} written to `{path}`"));
        tell(context, &answer.notes);
    }
    Ok(())
}

fn tell(context: &Context, notes: &[String]) {
    for note in notes {
        context.out.note(&one_line(note));
    }
}

async fn import(context: &mut Context, request: v1::ImportSnapshotRequest) -> Outcome {
    let session = context.session_for(LONG).await?;
    let mut of = String::new();
    if !request.collection.is_empty() {
        of = format!(" --collection {}", word(&request.collection));
    }
    let answer: v1::Snapshot = session.call(request).await?;
    if context.out.json {
        context.out.document(&Snapshot::from(answer))?;
        return Ok(());
    }
    context.out.line(&answer.id)?;
    context.out.flush()?;
    let artifacts = units::count(answer.artifacts, "artifact");
    context.out.note(&format!(
        "{artifacts}; `sm rollback {}{of}` brings them back",
        answer.id
    ));
    tell(context, &answer.notes);
    Ok(())
}
