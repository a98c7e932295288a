//! `sm log`, `sm log show`: what was done, by whom, and what it changed.

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::time::Timestamp;

use super::{Context, Outcome, now};
use crate::cli::{LogArgs, LogCommand, LogListArgs};
use crate::output::escape::{escape, one_line};
use crate::output::style::{Paint, Tone};
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// The JSON of `sm log`.
#[derive(Serialize)]
struct Log {
    operations: Vec<Operation>,
    more: bool,
    lost: Option<String>,
}

#[derive(Serialize)]
struct Operation {
    id: u64,
    at: Option<String>,
    finished_at: Option<String>,
    actor: String,
    verb: String,
    what: String,
    state: String,
    undoes: Option<u64>,
}

/// The JSON of `sm log show`.
#[derive(Serialize)]
struct Shown {
    operation: Operation,
    files: Vec<File>,
    cut: bool,
}

#[derive(Serialize)]
struct File {
    collection: Option<String>,
    path: String,
    action: String,
    size_before: Option<u64>,
    size_after: Option<u64>,
    binary: bool,
    diff: Option<String>,
}

impl From<v1::Operation> for Operation {
    fn from(from: v1::Operation) -> Self {
        Self {
            id: from.id,
            at: json::moment(from.at),
            finished_at: from.finished_at.and_then(json::moment),
            actor: from.actor,
            verb: from.verb,
            what: from.what,
            state: from.state,
            undoes: from.undoes,
        }
    }
}

pub(super) async fn run(context: &mut Context, args: LogArgs) -> Outcome {
    match args.command {
        Some(LogCommand::Show { id }) => show(context, id.unwrap_or_default()).await,
        None => list(context, args.list).await,
    }
}

async fn list(context: &mut Context, args: LogListArgs) -> Outcome {
    let request = v1::ListOperationsRequest {
        collection: args.collection.unwrap_or_default(),
        artifact: args.artifact.unwrap_or_default(),
        limit: args.limit,
        before: args.before.unwrap_or_default(),
    };
    let session = context.session().await?;
    let answer: v1::ListOperationsResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&Log {
            operations: json::all(answer.operations),
            more: answer.more,
            lost: json::filled(answer.lost),
        })?;
        return Ok(());
    }
    if answer.operations.is_empty() {
        if answer.lost.is_empty() {
            context.out.note("nothing was changed yet");
        }
        tell_lost(context, &answer.lost);
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::number("OP"),
        Column::text("WHEN"),
        Column::text("BY"),
        Column::text("STATE"),
        Column::prose("WHAT"),
    ]);
    let now = now();
    let oldest = answer.operations.last().map(|one| one.id);
    for one in &answer.operations {
        table.row(vec![
            Cell::new(one.id.to_string(), Tone::Strong),
            units::ago(Timestamp(one.at), now).into(),
            Cell::new(escape(&one.actor), Tone::Dim),
            Cell::new(escape(&one.state), tone(&one.state)),
            one_line(&one.what).into(),
        ]);
    }
    context.out.table(&table)?;
    context.out.flush()?;
    if let Some(oldest) = oldest.filter(|_| answer.more) {
        let note = format!("there are older ones: `sm log --before {oldest}`");
        context.out.note(&note);
    }
    tell_lost(context, &answer.lost);
    Ok(())
}

fn tell_lost(context: &Context, lost: &str) {
    if !lost.is_empty() {
        context.out.warning(&one_line(lost));
    }
}

fn tone(state: &str) -> Tone {
    match state {
        "done" => Tone::Good,
        "open" => Tone::Warn,
        _ => Tone::Dim,
    }
}

async fn show(context: &mut Context, id: u64) -> Outcome {
    let session = context.session().await?;
    let answer: v1::ShowOperationResponse = session.call(v1::ShowOperationRequest { id }).await?;
    let operation = answer.operation.unwrap_or_default();
    if context.out.json {
        context.out.document(&Shown {
            operation: operation.into(),
            files: answer
                .files
                .into_iter()
                .map(|file| File {
                    collection: json::filled(file.collection),
                    path: file.path,
                    action: file.action,
                    size_before: file.size_before,
                    size_after: file.size_after,
                    binary: file.binary,
                    diff: json::filled(file.diff),
                })
                .collect(),
            cut: answer.cut,
        })?;
        return Ok(());
    }
    let moment = Timestamp(operation.at);
    let out = &mut context.out;
    out.field("operation", &operation.id.to_string())?;
    out.field("what", &one_line(&operation.what))?;
    out.field(
        "when",
        &format!("{} ({})", moment.to_rfc3339(), units::ago(moment, now())),
    )?;
    out.field("by", &escape(&operation.actor))?;
    out.field("state", &escape(&operation.state))?;
    let undoes = operation.undoes.map(|id| format!("operation {id}"));
    out.field("takes back", &undoes.unwrap_or_default())?;
    for file in &answer.files {
        out.line("")?;
        let heading = heading(file);
        let heading = out.paint.apply(Tone::Strong, &heading);
        out.line(&heading)?;
        let paint = out.paint;
        for line in file.diff.lines() {
            let line = colour(line, paint);
            out.line(&line)?;
        }
    }
    out.flush()?;
    if answer.cut {
        out.note("there is more: large files and long lists are left out");
    }
    Ok(())
}

fn heading(file: &v1::ChangedFile) -> String {
    let place = if file.collection.is_empty() {
        escape(&file.path).into_owned()
    } else {
        format!("{} of `{}`", escape(&file.path), escape(&file.collection))
    };
    let sizes = match (file.size_before, file.size_after) {
        (Some(before), Some(after)) if before != after => {
            format!(", {} -> {}", units::size(before), units::size(after))
        }
        (Some(size), _) | (None, Some(size)) => format!(", {}", units::size(size)),
        (None, None) => String::new(),
    };
    let binary = if file.binary { ", no text" } else { "" };
    format!("{} {place}{sizes}{binary}", escape(&file.action))
}

fn colour(line: &str, paint: Paint) -> String {
    let tone = match line.as_bytes().first() {
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Label,
        _ => Tone::Plain,
    };
    paint.apply(tone, &escape(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_tell_the_place_and_what_it_weighed() {
        let mut file = v1::ChangedFile {
            collection: "work".to_owned(),
            path: "skills/a/SKILL.md".to_owned(),
            action: "edit".to_owned(),
            size_before: Some(10),
            size_after: Some(2048),
            ..Default::default()
        };
        assert_eq!(
            heading(&file),
            "edit skills/a/SKILL.md of `work`, 10 B -> 2.0 KiB"
        );
        file.collection.clear();
        file.size_before = None;
        file.binary = true;
        assert_eq!(heading(&file), "edit skills/a/SKILL.md, 2.0 KiB, no text");
    }
}
