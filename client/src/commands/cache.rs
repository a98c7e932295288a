//! `sm cache`: status, refresh, invalidate, clear.

use std::time::Duration;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::Code;
use skillmeat_shared::time::Timestamp;

use super::show::reference;
use super::{Context, Doing, Failure as Failed, Outcome, now};
use crate::cli::{CacheCommand, InvalidateArgs, RefreshArgs};
use crate::output::escape::{escape, one_line};
use crate::output::{json, units};

/// Reading every file of a large home from a slow disk takes its time.
const LONG: Duration = Duration::from_mins(10);

/// Failures that are named unless more are asked for.
const FAILURES: usize = 5;

/// The JSON of `sm cache status`; part of `sm status`.
#[derive(Serialize)]
pub(super) struct Status {
    total_artifacts: u64,
    total_collections: u64,
    size_bytes: u64,
    max_size_bytes: u64,
    last_refresh: Option<String>,
    metadata_ttl_seconds: u64,
    ttl_seconds: u64,
    stale_artifacts: u64,
    reads: u64,
    reads_from_rows: u64,
    hit_rate: Option<f64>,
    ingest_successes: u64,
    ingest_failures: u64,
    last_reconcile: Option<Report>,
    unindexed_artifacts: u64,
    evicted_texts: u64,
    rows_written: u64,
    path: String,
    schema_version: u32,
}

/// What a comparison of rows with files found; the JSON of `sm cache refresh` and `sm cache clear`.
#[derive(Serialize)]
struct Report {
    reason: String,
    finished_at: Option<String>,
    duration_us: u64,
    collections: u64,
    verified: u64,
    read: u64,
    added: u64,
    changed: u64,
    removed: u64,
    failed: u64,
    failures: Vec<Failure>,
}

/// An artifact, manifest or lock file that can't be read.
#[derive(Serialize)]
struct Failure {
    collection: String,
    path: String,
    reason: String,
}

/// The JSON of `sm cache invalidate`.
#[derive(Serialize)]
struct Invalidated {
    invalidated: u64,
    collections: Vec<String>,
}

impl From<v1::ReconcileReport> for Report {
    fn from(from: v1::ReconcileReport) -> Self {
        Self {
            reason: from.reason,
            finished_at: json::moment(from.finished_at),
            duration_us: from.duration_us,
            collections: from.collections,
            verified: from.verified,
            read: from.read,
            added: from.added,
            changed: from.changed,
            removed: from.removed,
            failed: from.failed,
            failures: json::all(from.failures),
        }
    }
}

impl From<v1::ReconcileFailure> for Failure {
    fn from(from: v1::ReconcileFailure) -> Self {
        Self {
            collection: from.collection,
            path: from.path,
            reason: from.reason,
        }
    }
}

impl From<v1::CacheStatusResponse> for Status {
    fn from(from: v1::CacheStatusResponse) -> Self {
        Self {
            total_artifacts: from.total_artifacts,
            total_collections: from.total_collections,
            size_bytes: from.size_bytes,
            max_size_bytes: from.max_size_bytes,
            last_refresh: from.last_refresh.and_then(json::moment),
            metadata_ttl_seconds: from.metadata_ttl_seconds,
            ttl_seconds: from.ttl_seconds,
            stale_artifacts: from.stale_artifacts,
            reads: from.reads,
            reads_from_rows: from.reads_from_rows,
            hit_rate: from.hit_rate,
            ingest_successes: from.ingest_successes,
            ingest_failures: from.ingest_failures,
            last_reconcile: from.last_reconcile.map(Into::into),
            unindexed_artifacts: from.unindexed_artifacts,
            evicted_texts: from.evicted_texts,
            rows_written: from.rows_written,
            path: from.path,
            schema_version: from.schema_version,
        }
    }
}

pub(super) fn run(context: &mut Context, command: CacheCommand) -> Doing<'_> {
    match command {
        CacheCommand::Status => Box::pin(status(context)),
        CacheCommand::Refresh(args) => Box::pin(refresh(context, args)),
        CacheCommand::Invalidate(args) => Box::pin(invalidate(context, args)),
        CacheCommand::Clear => Box::pin(clear(context)),
    }
}

async fn status(context: &mut Context) -> Outcome {
    let session = context.session().await?;
    let answer: v1::CacheStatusResponse = session.call(v1::CacheStatusRequest {}).await?;
    if context.out.json {
        context.out.document(&Status::from(answer))?;
        return Ok(());
    }
    let now = now();
    let out = &mut context.out;
    let collections = units::count(answer.total_collections, "collection");
    out.field(
        "artifacts",
        &format!("{} in {collections}", answer.total_artifacts),
    )?;
    out.field("stale", &answer.stale_artifacts.to_string())?;
    let (size, most) = (
        units::size(answer.size_bytes),
        units::size(answer.max_size_bytes),
    );
    out.field("size", &format!("{size} of at most {most}"))?;
    let last = answer.last_refresh.map(|at| units::ago(Timestamp(at), now));
    out.field("last refresh", &last.unwrap_or_else(|| "never".to_owned()))?;
    let ttl = units::ttl(answer.metadata_ttl_seconds);
    out.field(
        "metadata ttl",
        &format!("{ttl} (rows verified against files)"),
    )?;
    let ttl = units::ttl(answer.ttl_seconds);
    out.field("ttl", &format!("{ttl} (facts from upstream)"))?;
    let rate = match answer.hit_rate {
        Some(rate) => format!(
            "{:.1} % ({} of {})",
            rate * 100.0,
            answer.reads_from_rows,
            units::count(answer.reads, "read")
        ),
        None => "no reads yet".to_owned(),
    };
    out.field("hit rate", &rate)?;
    let (good, bad) = (answer.ingest_successes, answer.ingest_failures);
    out.field("ingested", &format!("{good} succeeded, {bad} failed"))?;
    if let Some(report) = &answer.last_reconcile {
        let ago = units::ago(Timestamp(report.finished_at), now);
        out.field(
            "last pass",
            &format!("{ago} ({}): {}", escape(&report.reason), words(report)),
        )?;
    }
    if answer.unindexed_artifacts > 0 {
        let count = units::count(answer.unindexed_artifacts, "artifact");
        out.field("index", &format!("the text of {count} is not in it yet"))?;
    }
    if answer.evicted_texts > 0 {
        let count = units::count(answer.evicted_texts, "text");
        out.field("evicted", &format!("{count}, to stay below the size limit"))?;
    }
    out.field("rows written", &answer.rows_written.to_string())?;
    out.field("database", &escape(&answer.path))?;
    out.field("schema", &answer.schema_version.to_string())?;
    Ok(())
}

/// What a pass did, in words.
fn words(report: &v1::ReconcileReport) -> String {
    format!(
        "{} verified, {} read, {} added, {} changed, {} removed, {} failed in {}",
        report.verified,
        report.read,
        report.added,
        report.changed,
        report.removed,
        report.failed,
        units::span(Duration::from_micros(report.duration_us))
    )
}

fn print_report(context: &mut Context, answer: v1::RefreshCacheResponse) -> Outcome {
    let report = answer.report.unwrap_or_default();
    // More than an artifact: a manifest, a folder of artifacts, all of a collection.
    let is_unread = report.failures.iter().any(|one| !one.path.contains('/'));
    if context.out.json {
        context.out.document(&Report::from(report))?;
    } else {
        context.out.note(&words(&report));
        failures(context, &report);
    }
    if is_unread {
        return Err(Failed::Told(Code::FilePermission.kind().exit_code()));
    }
    Ok(())
}

/// What failed, and why.
fn failures(context: &Context, report: &v1::ReconcileReport) {
    let most = if context.out.verbose {
        report.failures.len()
    } else {
        FAILURES
    };
    let mut shown = 0;
    for failure in report.failures.iter().take(most) {
        let (path, name) = (one_line(&failure.path), one_line(&failure.collection));
        let reason = one_line(&failure.reason);
        let of = if path.is_empty() {
            String::new()
        } else {
            format!("`{path}` of ")
        };
        context.out.warning(&format!("{of}`{name}`: {reason}"));
        shown += 1;
    }
    let more = report.failed.saturating_sub(shown);
    if shown > 0 && more > 0 {
        let more = format!("and {more} more (`--verbose` names up to a hundred)");
        context.out.note(&more);
    }
}

async fn refresh(context: &mut Context, args: RefreshArgs) -> Outcome {
    let session = context.session_for(LONG).await?;
    let request = v1::RefreshCacheRequest {
        collection: args.collection.unwrap_or_default(),
        force: args.force,
    };
    let answer = session.call(request).await?;
    print_report(context, answer)
}

async fn clear(context: &mut Context) -> Outcome {
    let session = context.session_for(LONG).await?;
    let answer = session.call(v1::ClearCacheRequest {}).await?;
    print_report(context, answer)
}

/// What a person types, as the daemon reads names: `type:name` with the kind's own spelling, or the name.
fn canonical(text: &str) -> String {
    let reference = reference(text);
    if reference.kind.is_empty() {
        return reference.name;
    }
    format!("{}:{}", reference.kind, reference.name)
}

async fn invalidate(context: &mut Context, args: InvalidateArgs) -> Outcome {
    let session = context.session().await?;
    let request = v1::InvalidateCacheRequest {
        collection: args.collection.unwrap_or_default(),
        artifacts: args.artifacts.iter().map(|name| canonical(name)).collect(),
    };
    let answer: v1::InvalidateCacheResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&Invalidated {
            invalidated: answer.invalidated,
            collections: answer.collections,
        })?;
    } else {
        let names: Vec<String> = answer
            .collections
            .iter()
            .map(|name| format!("`{}`", escape(name)))
            .collect();
        let count = units::count(answer.invalidated, "artifact");
        context
            .out
            .note(&format!("{count} of {} marked stale", names.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_the_daemon_reads_them() {
        for (typed, sent) in [
            ("pdf", "pdf"),
            ("skills:pdf", "skill:pdf"),
            ("a:b", "a:b"),
            ("Plugin:x", "composite:x"),
        ] {
            assert_eq!(canonical(typed), sent);
        }
    }
}
