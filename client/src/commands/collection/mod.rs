//! `sm collection`: list, show, use, create; renaming and the like, and validating, in files of their own.

pub(super) mod change;
mod validate;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_proto::v1::change_collection_request::Action;
use skillmeat_shared::time::Timestamp;

use super::{Context, Doing, Outcome, now, show};
use crate::cli::{CollectionCommand, DryRun};
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// The JSON of `sm collection use`.
#[derive(Serialize)]
struct Use {
    name: String,
    before: Option<String>,
}

pub(super) fn run(context: &mut Context, command: CollectionCommand) -> Doing<'_> {
    match command {
        CollectionCommand::List => Box::pin(list(context)),
        CollectionCommand::Show(which) => {
            Box::pin(show(context, which.into_name().unwrap_or_default()))
        }
        CollectionCommand::Use {
            name,
            dry: DryRun { dry_run },
        } => Box::pin(choose(context, name, dry_run)),
        CollectionCommand::Create {
            name,
            dry: DryRun { dry_run },
        } => Box::pin(create(context, name, dry_run)),
        CollectionCommand::Rename {
            name,
            new_name,
            dry: DryRun { dry_run },
        } => Box::pin(change::rename(context, name, new_name, dry_run)),
        CollectionCommand::Delete {
            name,
            yes,
            dry: DryRun { dry_run },
        } => Box::pin(change::delete(context, name, yes, dry_run)),
        CollectionCommand::Validate(which) => Box::pin(validate::run(context, which.into_name())),
        CollectionCommand::Export { name, file, force } => {
            Box::pin(async move { change::export(context, name, &file, force).await })
        }
        CollectionCommand::Import {
            source,
            name,
            copy,
            dry: DryRun { dry_run },
        } => Box::pin(async move { change::import(context, &source, name, copy, dry_run).await }),
    }
}

/// The tone of a collection's state.
pub(super) fn state_tone(state: &str) -> Tone {
    match state {
        "ok" | "watching" | "ready" => Tone::Good,
        "broken" | "unreachable" | "unreadable" | "failed" | "missing" | "degraded" => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// Counts with their names, such as `3 skill, 1 agent`.
pub(super) fn counts<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(name, count)| format!("{count} {}", escape(name)))
        .collect();
    parts.join(", ")
}

async fn list(context: &mut Context) -> Outcome {
    let session = context.session().await?;
    let answer: v1::ListCollectionsResponse = session.call(v1::ListCollectionsRequest {}).await?;
    let freshness = answer.freshness.unwrap_or_default();
    if context.out.json {
        let total = answer.collections.len();
        context.out.document(&json::Collections {
            collections: json::all(answer.collections),
            total,
            stale: freshness.stale,
            complete: freshness.complete,
        })?;
        return Ok(());
    }
    if answer.collections.is_empty() && !freshness.complete {
        context.note_freshness(&freshness);
        return Ok(());
    }
    if answer.collections.is_empty() {
        context
            .out
            .note("no collections; `sm init` makes the first one");
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::text("NAME"),
        Column::text("STATE"),
        Column::number("ARTIFACTS"),
        Column::number("SIZE"),
        Column::text("PATH"),
    ]);
    for collection in &answer.collections {
        let mark = if collection.is_default { " *" } else { "" };
        table.row(vec![
            Cell::new(format!("{}{mark}", escape(&collection.name)), Tone::Strong),
            Cell::new(escape(&collection.state), state_tone(&collection.state)),
            collection.artifacts.to_string().into(),
            units::size(collection.size).into(),
            Cell::new(escape(&collection.path), Tone::Dim),
        ]);
    }
    context.out.table(&table)?;
    context.out.flush()?;
    context.out.note("* the default collection");
    context.note_freshness(&freshness);
    Ok(())
}

async fn show(context: &mut Context, name: String) -> Outcome {
    let session = context.session().await?;
    let answer: v1::ShowCollectionResponse =
        session.call(v1::ShowCollectionRequest { name }).await?;
    let freshness = answer.freshness.unwrap_or_default();
    let collection = answer.collection.unwrap_or_default();
    if context.out.json {
        context.out.document(&json::CollectionShow {
            collection: collection.into(),
            groups: json::all(answer.groups),
            tag_definitions: json::all(answer.tag_definitions),
            tags: json::all(answer.tags),
            unknown_keys: answer.unknown_keys,
            complete: freshness.complete,
        })?;
        return Ok(());
    }
    facts(context, &collection)?;
    let out = &mut context.out;
    if !answer.tags.is_empty() {
        let mut tags: Vec<String> = answer
            .tags
            .iter()
            .take(20)
            .map(|tag| format!("{} ({})", one_line(&tag.name), tag.count))
            .collect();
        let more = answer.tags.len().saturating_sub(tags.len());
        if more > 0 {
            tags.push(format!("and {more} more"));
        }
        out.field("tags", &tags.join(", "))?;
    }
    let keys: Vec<String> = answer
        .unknown_keys
        .iter()
        .map(|key| one_line(key))
        .collect();
    out.field("unknown keys", &keys.join(", "))?;
    if !answer.groups.is_empty() {
        let mut table = Table::new(vec![
            Column::text("GROUP"),
            Column::number("MEMBERS"),
            Column::prose("DESCRIPTION"),
        ]);
        for group in &answer.groups {
            table.row(vec![
                Cell::new(one_line(&group.name), Tone::Strong),
                group.members.len().to_string().into(),
                one_line(&group.description).into(),
            ]);
        }
        out.line("")?;
        out.table(&table)?;
    }
    if !collection.problems.is_empty() {
        let title = out.paint.apply(Tone::Strong, "\nProblems");
        out.line(&title)?;
        show::problems(context, &collection.problems)?;
    }
    context.out.flush()?;
    context.note_freshness(&freshness);
    Ok(())
}

/// What a collection is, label by label.
fn facts(context: &mut Context, collection: &v1::Collection) -> Outcome {
    let out = &mut context.out;
    let paint = out.paint;
    let mut title = paint.apply(Tone::Strong, &escape(&collection.name));
    if collection.is_default {
        title.push_str(&paint.apply(Tone::Dim, " (default)"));
    }
    if collection.external {
        title.push_str(&paint.apply(Tone::Dim, " (outside of the home)"));
    }
    out.line(&title)?;
    out.field(
        "state",
        &paint.apply(state_tone(&collection.state), &escape(&collection.state)),
    )?;
    out.field("path", &escape(&collection.path))?;
    let kinds = counts(
        collection
            .by_kind
            .iter()
            .map(|count| (count.name.as_str(), count.count)),
    );
    let kinds = if kinds.is_empty() {
        kinds
    } else {
        format!(" ({kinds})")
    };
    out.field("artifacts", &format!("{}{kinds}", collection.artifacts))?;
    let statuses = collection
        .by_status
        .iter()
        .map(|count| (count.name.as_str(), count.count));
    out.field("status", &counts(statuses))?;
    out.field("size", &units::size(collection.size))?;
    out.field(
        "version",
        &one_line(collection.manifest_version.as_deref().unwrap_or_default()),
    )?;
    out.field(
        "created",
        &one_line(collection.created.as_deref().unwrap_or_default()),
    )?;
    out.field(
        "updated",
        &one_line(collection.updated.as_deref().unwrap_or_default()),
    )?;
    let verified = match collection.verified_at {
        Some(at) => units::ago(Timestamp(at), now()),
        None => "not yet".to_owned(),
    };
    out.field("verified", &verified)?;
    if collection.stale > 0 {
        out.field("stale", &collection.stale.to_string())?;
    }
    Ok(())
}

async fn choose(context: &mut Context, name: String, dry_run: bool) -> Outcome {
    let request = v1::UseCollectionRequest { name };
    if dry_run {
        let words = ("use", "made the default one");
        return change::send(context, Action::Use(request), true, words).await;
    }
    let session = context.session().await?;
    let answer: v1::UseCollectionResponse = session.call(request).await?;
    if context.out.json {
        let before = (!answer.before.is_empty()).then_some(answer.before);
        context.out.document(&Use {
            name: answer.name,
            before,
        })?;
    } else {
        context.out.note(&if answer.before == answer.name {
            format!(
                "`{}` is the default collection already",
                escape(&answer.name)
            )
        } else {
            format!("`{}` is the default collection now", escape(&answer.name))
        });
    }
    Ok(())
}

async fn create(context: &mut Context, name: String, dry_run: bool) -> Outcome {
    let request = v1::CreateCollectionRequest { name };
    if dry_run {
        let words = ("create", "created");
        return change::send(context, Action::Create(request), true, words).await;
    }
    let session = context.session().await?;
    let answer: v1::CreateCollectionResponse = session.call(request).await?;
    let collection = answer.collection.unwrap_or_default();
    if context.out.json {
        context.out.document(&json::Collection::from(collection))?;
    } else {
        let (name, path) = (escape(&collection.name), escape(&collection.path));
        context.out.note(&format!("created `{name}` in {path}"));
    }
    Ok(())
}
