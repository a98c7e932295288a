//! `sm add`: local artifacts into a collection, item by item.

use std::path::{Component, Path};

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_proto::v1::add_artifacts_event::Event;
use skillmeat_shared::artifact::name;
use skillmeat_shared::{Code, Error};

use super::{Context, Failure, Outcome};
use crate::cli::AddArgs;
use crate::connect::service;
use crate::output::escape::{escape, one_line};
use crate::output::progress::Progress;
use crate::output::style::{Paint, Tone};
use crate::output::units;

/// The JSON of `sm add`.
#[derive(Serialize)]
struct Add<'a> {
    collection: &'a str,
    dry_run: bool,
    items: Vec<Item<'a>>,
    added: u64,
    unchanged: u64,
    skipped: u64,
    conflicts: u64,
    failed: u64,
    seq: u64,
}

/// What became of one artifact.
#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    result: &'a str,
    reason: Option<&'a str>,
    code: Option<&'a str>,
    source: &'a str,
    path: Option<&'a str>,
}

pub(super) async fn run(context: &mut Context, args: AddArgs) -> Outcome {
    if args.name.is_some() && args.paths.len() > 1 {
        return Err(Error::new(
            Code::InvalidArgument,
            "`--name` names one artifact, but several paths are given",
        )
        .hint("add them one by one, or leave `--name` out")
        .into());
    }
    // The daemon takes an empty name for none; a name that breaks the rules is refused here as it is there.
    if let Some(name) = &args.name {
        name::validate(name)?;
    }
    let paths = args
        .paths
        .iter()
        .map(|path| absolute(path))
        .collect::<Result<Vec<_>, _>>()?;
    let single = paths.len() == 1 && !args.all;
    let request = v1::AddArtifactsRequest {
        collection: args.collection.unwrap_or_default(),
        paths,
        kind: args.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        name: args.name.unwrap_or_default(),
        all: args.all,
        dry_run: args.dry_run,
    };
    let session = context.session().await?;
    let mut stream = session
        .stream(request, |channel, request| async move {
            service::artifacts(channel).add(request).await
        })
        .await?;
    let progress = Progress::new(&context.out);
    let mut items = Vec::new();
    let mut summary = None;
    loop {
        let message = session.next(&mut stream).await;
        match message {
            Ok(Some(message)) => match message.event {
                Some(Event::Progress(at)) => progress.set(&at.phase, at.done, at.total),
                Some(Event::Item(item)) => {
                    if !context.out.json && !single_failure(single, &item) {
                        let line = line(&item, context.out.paint);
                        if !context.out.quiet || matters(&item) {
                            progress.suspend(|| {
                                context.out.line(&line)?;
                                context.out.flush()
                            })?;
                        }
                    }
                    items.push(item);
                }
                Some(Event::Summary(last)) => summary = Some(last),
                None => {}
            },
            Ok(None) => break,
            Err(error) => {
                progress.finish();
                return Err(error.into());
            }
        }
    }
    progress.finish();
    let summary = summary.ok_or_else(|| {
        Error::new(
            Code::DaemonUnavailable,
            "the daemon went away before it was done",
        )
        .hint("what was added so far is in the collection; run the command again for the rest")
    })?;
    finish(context, &items, &summary, single, args.all)
}

/// The path from the root, as the daemon stands in another folder than we do. Without `..`, so that its
/// last part is a name.
fn absolute(path: &Path) -> Result<String, Error> {
    let mut absolute =
        std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    if absolute
        .components()
        .any(|part| part == Component::ParentDir)
    {
        absolute = absolute
            .canonicalize()
            .map_err(|error| Error::io("find", path, &error))?;
    }
    absolute.into_os_string().into_string().map_err(|path| {
        Error::new(
            Code::InvalidArgument,
            format!("the path `{}` is not valid UTF-8", path.to_string_lossy()),
        )
        .hint("rename it, or add the folder that holds it with `--all`")
    })
}

/// Whether the item is the one artifact of the command and failed: then the command fails with its error,
/// and an item line would say the same again.
fn single_failure(single: bool, item: &v1::AddItem) -> bool {
    single && matters(item)
}

/// Whether an item is shown even to those who want to see no more than failures.
fn matters(item: &v1::AddItem) -> bool {
    matches!(item.result.as_str(), "conflict" | "failed")
}

fn line(item: &v1::AddItem, paint: Paint) -> String {
    let tone = match item.result.as_str() {
        "added" | "would-add" => Tone::Good,
        "conflict" => Tone::Warn,
        "failed" => Tone::Bad,
        _ => Tone::Dim,
    };
    let result = paint.apply(tone, &format!("{:<10}", escape(&item.result)));
    let what = if item.id.is_empty() {
        &item.source
    } else {
        &item.id
    };
    let mut line = format!("{result} {}", escape(what));
    if !item.reason.is_empty() {
        line.push_str(": ");
        line.push_str(&one_line(&item.reason));
    }
    if matters(item) && !item.id.is_empty() {
        line.push_str(&paint.apply(Tone::Dim, &format!("  ({})", escape(&item.source))));
    }
    line
}

fn finish(
    context: &mut Context,
    items: &[v1::AddItem],
    summary: &v1::AddSummary,
    single: bool,
    all: bool,
) -> Outcome {
    let failure = failure(items, summary, single, all);
    if context.out.json {
        let filled = |text: &'_ String| !text.is_empty();
        context.out.document(&Add {
            collection: &summary.collection,
            dry_run: summary.dry_run,
            items: items
                .iter()
                .map(|item| Item {
                    id: &item.id,
                    result: &item.result,
                    reason: Some(item.reason.as_str()).filter(|_| filled(&item.reason)),
                    code: Some(item.code.as_str()).filter(|_| filled(&item.code)),
                    source: &item.source,
                    path: Some(item.path.as_str()).filter(|_| filled(&item.path)),
                })
                .collect(),
            added: summary.added,
            unchanged: summary.unchanged,
            skipped: summary.skipped,
            conflicts: summary.conflicts,
            failed: summary.failed,
            seq: summary.seq,
        })?;
    } else {
        context.out.flush()?;
        if !single || failure.is_none() {
            context.out.note(&tally(summary));
        }
    }
    failure.map_or(Ok(()), Err)
}

/// The summary in words.
fn tally(summary: &v1::AddSummary) -> String {
    let added = if summary.dry_run {
        "would be added"
    } else {
        "added"
    };
    let mut parts = vec![format!(
        "{} {added} to `{}`",
        units::count(summary.added, "artifact"),
        escape(&summary.collection)
    )];
    for (count, what) in [
        (summary.unchanged, "unchanged"),
        (summary.skipped, "skipped"),
        (summary.conflicts, "in conflict"),
        (summary.failed, "failed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

/// How the command fails, if it does. One artifact fails with its own error. Of a tree, name clashes are
/// expected; of paths that were named one by one they are not.
fn failure(
    items: &[v1::AddItem],
    summary: &v1::AddSummary,
    single: bool,
    all: bool,
) -> Option<Failure> {
    if single {
        let item = items.iter().find(|item| matters(item))?;
        let fallback = if item.result == "conflict" {
            Code::ArtifactExists
        } else {
            Code::PartialFailure
        };
        let code = Code::parse(&item.code).unwrap_or(fallback);
        let what = if item.id.is_empty() {
            &item.source
        } else {
            &item.id
        };
        let mut error = Error::new(
            code,
            format!("can't add `{}`: {}", escape(what), item.reason),
        );
        if code == Code::ArtifactExists {
            error = error
                .hint("nothing was overwritten; add it under another name with `--name`")
                .hint(format!("`sm show {}` shows the one that is there", item.id));
        }
        return Some(Failure::Error(error));
    }
    let bad = summary.failed + if all { 0 } else { summary.conflicts };
    if bad == 0 {
        return None;
    }
    Some(Failure::Told(Code::PartialFailure.kind().exit_code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(result: &str, code: &str) -> v1::AddItem {
        v1::AddItem {
            id: "skill:pdf".to_owned(),
            source: "/src/pdf".to_owned(),
            result: result.to_owned(),
            reason: "it is so".to_owned(),
            code: code.to_owned(),
            ..Default::default()
        }
    }

    fn exit(items: &[v1::AddItem], single: bool, all: bool) -> u8 {
        let count = |what: &str| {
            u64::try_from(items.iter().filter(|item| item.result == what).count()).unwrap()
        };
        let summary = v1::AddSummary {
            added: count("added"),
            conflicts: count("conflict"),
            failed: count("failed"),
            ..Default::default()
        };
        match failure(items, &summary, single, all) {
            None => 0,
            Some(Failure::Told(code)) => code,
            Some(Failure::Error(error)) => error.kind().exit_code(),
            Some(Failure::ReaderGone) => 255,
        }
    }

    #[test]
    fn exit_codes() {
        let added = item("added", "");
        let conflict = item("conflict", "artifact.exists");
        let failed = item("failed", "artifact.invalid");
        assert_eq!(exit(std::slice::from_ref(&added), true, false), 0);
        assert_eq!(exit(std::slice::from_ref(&conflict), true, false), 4);
        assert_eq!(exit(&[item("failed", "file.not_found")], true, false), 3);
        assert_eq!(exit(&[item("failed", "from.the.future")], true, false), 9);
        assert_eq!(exit(&[added.clone(), conflict.clone()], false, true), 0);
        assert_eq!(exit(&[added.clone(), conflict], false, false), 9);
        assert_eq!(exit(&[added, failed], false, true), 9);
    }

    #[test]
    fn lines_name_the_item_and_the_reason() {
        assert_eq!(
            line(&item("skipped", ""), Paint::off()),
            "skipped    skill:pdf: it is so"
        );
        assert_eq!(
            line(&item("failed", ""), Paint::off()),
            "failed     skill:pdf: it is so  (/src/pdf)"
        );
    }
}
