//! What all commands that change something share: they follow the stream of the change, print what became of
//! each item, and end with the exit code that follows from it.

use serde::{Serialize, Serializer};
use skillmeat_proto::v1;
use skillmeat_proto::v1::change_event::Event;
use skillmeat_shared::{Code, Error};

use super::{Context, Failure, Outcome};
use crate::connect::{Answers, Session};
use crate::output::escape::{escape, one_line};
use crate::output::progress::Progress;
use crate::output::style::{Paint, Tone};

/// How a command speaks of its change.
pub(crate) struct Words<'a> {
    /// The command: `add`, for "can't add `x`".
    pub(crate) verb: &'a str,
    /// One thing is named: then it fails with the error of that thing, unless more than one came of it.
    pub(crate) single: bool,
    /// Conflicts are expected, and no failure.
    pub(crate) tolerates_conflicts: bool,
    /// Only who wants to know more is told of what was not touched.
    pub(crate) terse: bool,
    /// The last line for a person.
    pub(crate) tally: &'a dyn Fn(&v1::ChangeSummary) -> String,
    /// What to do about the error of a single thing.
    pub(crate) hints: &'a dyn Fn(Code, &v1::ChangeItem) -> Vec<String>,
}

impl Words<'_> {
    /// Whether the change was about one thing in the end.
    fn is_single(&self, items: &[v1::ChangeItem]) -> bool {
        self.single && items.len() <= 1
    }
}

/// The JSON of every command that changes something.
#[derive(Serialize)]
struct Change<'a> {
    /// None for what is about no collection, or about several.
    collection: Option<&'a str>,
    dry_run: bool,
    items: Vec<Item<'a>>,
    /// Items by result, each under its name.
    #[serde(flatten, serialize_with = "as_keys")]
    counts: Vec<(String, u64)>,
    operation: Option<&'a str>,
    steps: Vec<Step<'a>>,
    notes: &'a [String],
    seq: u64,
}

fn as_keys<S: Serializer>(counts: &[(String, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(counts.iter().map(|(name, count)| (name, count)))
}

/// What became of one thing.
#[derive(Serialize)]
struct Item<'a> {
    id: Option<&'a str>,
    result: &'a str,
    reason: Option<&'a str>,
    code: Option<&'a str>,
    source: Option<&'a str>,
    path: Option<&'a str>,
}

/// What happened to one path.
#[derive(Serialize)]
struct Step<'a> {
    action: &'a str,
    collection: Option<&'a str>,
    path: &'a str,
}

/// What to know of a change whose end nobody saw: who makes it again may make it twice.
const EITHER: &str = "all of the change stands, or nothing of it: `sm log` tells";

/// Follows a change to its end.
pub(crate) async fn follow(
    context: &mut Context,
    session: &Session,
    mut stream: Answers<v1::ChangeEvent>,
    words: &Words<'_>,
) -> Outcome {
    let progress = Progress::new(&context.out);
    let mut items = Vec::new();
    let mut summary = None;
    loop {
        let next = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                progress.finish();
                return Err(Error::new(Code::Interrupted, "stopped")
                    .hint(EITHER)
                    .into());
            }
            next = session.next(&mut stream) => next,
        };
        match next {
            Ok(Some(message)) => match message.event {
                Some(Event::Progress(at)) => progress.set(&at.phase, at.done, at.total),
                Some(Event::Item(item)) => {
                    items.push(item);
                    // The first one was held back for as long as it might be the only one.
                    let from = match items.len() {
                        2 if words.single && items.first().is_some_and(matters) => 0,
                        count => count - 1,
                    };
                    let single = words.single && items.len() == 1;
                    for item in items.iter().skip(from) {
                        let is_untold = words.terse && !context.out.verbose && !is_touched(item);
                        if !is_untold && is_printed(context, single, item) {
                            let line = line(item, context.out.paint);
                            progress.suspend(|| {
                                context.out.line(&line)?;
                                context.out.flush()
                            })?;
                        }
                    }
                }
                Some(Event::Summary(last)) => summary = Some(last),
                None => {}
            },
            Ok(None) => break,
            Err(mut error) => {
                progress.finish();
                if error.code == Code::DaemonUnavailable {
                    error.hints = vec![EITHER.to_owned()];
                }
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
        .hint(EITHER)
    })?;
    finish(context, &items, &summary, words)
}

/// Whether an item gets a line of its own. The one thing of a command that failed does not: the command fails
/// with its error, and a line would say the same again.
fn is_printed(context: &Context, single: bool, item: &v1::ChangeItem) -> bool {
    let is_quiet = if matters(item) {
        single
    } else {
        context.out.quiet
    };
    !(context.out.json || is_quiet)
}

/// Whether something was or would be done to an item, or failed.
fn is_touched(item: &v1::ChangeItem) -> bool {
    !matches!(item.result.as_str(), "skipped" | "unchanged")
}

/// Whether an item is shown even to those who want to see no more than failures.
fn matters(item: &v1::ChangeItem) -> bool {
    matches!(item.result.as_str(), "conflict" | "failed")
}

/// What an item is called.
fn called(item: &v1::ChangeItem) -> &str {
    if item.id.is_empty() {
        &item.source
    } else {
        &item.id
    }
}

fn line(item: &v1::ChangeItem, paint: Paint) -> String {
    let tone = match item.result.as_str() {
        "unchanged" | "skipped" => Tone::Dim,
        "conflict" => Tone::Warn,
        "failed" => Tone::Bad,
        _ => Tone::Good,
    };
    let width = if item.result.starts_with("would-") {
        13
    } else {
        10
    };
    let result = paint.apply(tone, &format!("{:<width$}", escape(&item.result)));
    let mut line = format!("{result} {}", escape(called(item)));
    if !item.reason.is_empty() {
        line.push_str(": ");
        line.push_str(&one_line(&item.reason));
    }
    if matters(item) && !item.id.is_empty() && !item.source.is_empty() {
        line.push_str(&paint.apply(Tone::Dim, &format!("  ({})", escape(&item.source))));
    }
    line
}

fn finish(
    context: &mut Context,
    items: &[v1::ChangeItem],
    summary: &v1::ChangeSummary,
    words: &Words<'_>,
) -> Outcome {
    let failure = failure(items, words);
    if context.out.json {
        context.out.document(&document(items, summary))?;
    } else {
        context.out.flush()?;
        if !words.is_single(items) || failure.is_none() {
            context.out.note(&(words.tally)(summary));
        }
        for note in &summary.notes {
            context.out.note(&one_line(note));
        }
    }
    failure.map_or(Ok(()), Err)
}

fn document<'a>(items: &'a [v1::ChangeItem], summary: &'a v1::ChangeSummary) -> Change<'a> {
    let filled = |text: &'a str| Some(text).filter(|text| !text.is_empty());
    let name = |result: &str| match result {
        // Items conflict; there are conflicts.
        "conflict" => "conflicts".to_owned(),
        other => other.replace('-', "_"),
    };
    Change {
        collection: filled(&summary.collection),
        dry_run: summary.dry_run,
        items: items
            .iter()
            .map(|item| Item {
                id: filled(&item.id),
                result: &item.result,
                reason: filled(&item.reason),
                code: filled(&item.code),
                source: filled(&item.source),
                path: filled(&item.path),
            })
            .collect(),
        counts: summary
            .counts
            .iter()
            .map(|one| (name(&one.result), one.count))
            .collect(),
        operation: filled(&summary.operation),
        steps: summary
            .steps
            .iter()
            .map(|step| Step {
                action: &step.action,
                collection: filled(&step.collection),
                path: &step.path,
            })
            .collect(),
        notes: &summary.notes,
        seq: summary.seq,
    }
}

/// How many items had a result.
pub(crate) fn count(summary: &v1::ChangeSummary, result: &str) -> u64 {
    summary
        .counts
        .iter()
        .filter(|one| one.result == result)
        .map(|one| one.count)
        .sum()
}

/// What did not go well, for the end of a tally: `, 2 skipped, 1 failed`.
pub(crate) fn rest(summary: &v1::ChangeSummary) -> String {
    [
        ("unchanged", "unchanged"),
        ("skipped", "skipped"),
        ("conflict", "in conflict"),
        ("failed", "failed"),
    ]
    .into_iter()
    .map(|(result, what)| (count(summary, result), what))
    .filter(|(count, _)| *count > 0)
    .fold(String::new(), |text, (count, what)| {
        format!("{text}, {count} {what}")
    })
}

/// How the command fails, if it does. One thing fails with its own error.
fn failure(items: &[v1::ChangeItem], words: &Words<'_>) -> Option<Failure> {
    if words.is_single(items) {
        let item = items.iter().find(|item| matters(item))?;
        let fallback = if item.result == "conflict" {
            Code::ArtifactExists
        } else {
            Code::PartialFailure
        };
        let code = Code::parse(&item.code).unwrap_or(fallback);
        // Some say themselves what can't be done with what.
        let message = if item.reason.starts_with("can't ") {
            item.reason.clone()
        } else {
            let called = escape(called(item));
            format!("can't {} `{called}`: {}", words.verb, item.reason)
        };
        let hints = (words.hints)(code, item);
        let error = hints
            .into_iter()
            .fold(Error::new(code, message), Error::hint);
        return Some(Failure::Error(error));
    }
    let is_bad = |item: &v1::ChangeItem| match item.result.as_str() {
        "failed" => true,
        "conflict" => !words.tolerates_conflicts,
        _ => false,
    };
    items
        .iter()
        .any(is_bad)
        .then(|| Failure::Told(Code::PartialFailure.kind().exit_code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(result: &str, code: &str) -> v1::ChangeItem {
        v1::ChangeItem {
            id: "skill:pdf".to_owned(),
            source: "/src/pdf".to_owned(),
            result: result.to_owned(),
            reason: "it is so".to_owned(),
            code: code.to_owned(),
            ..Default::default()
        }
    }

    fn exit(items: &[v1::ChangeItem], single: bool, tolerates_conflicts: bool) -> u8 {
        let words = Words {
            verb: "add",
            single,
            tolerates_conflicts,
            terse: false,
            tally: &|_| String::new(),
            hints: &|_, _| Vec::new(),
        };
        match failure(items, &words) {
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

    #[test]
    fn every_result_is_counted_under_its_own_name() {
        let counted = |result: &str| v1::ChangeCount {
            result: result.to_owned(),
            count: 2,
        };
        let summary = v1::ChangeSummary {
            counts: vec![counted("conflict"), counted("failed"), counted("would-add")],
            ..Default::default()
        };
        let json = serde_json::to_value(document(&[], &summary)).unwrap();
        for name in ["conflicts", "failed", "would_add"] {
            assert_eq!(json[name], 2, "{json}");
        }
        assert_eq!(rest(&summary), ", 2 in conflict, 2 failed");
    }
}
