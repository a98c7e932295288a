//! `sm show`: everything known of one artifact.

use serde_json::Value;
use skillmeat_proto::v1;
use skillmeat_shared::Error;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::time::Timestamp;

use super::list::status_tone;
use super::{Context, Outcome, now};
use crate::cli::ShowArgs;
use crate::output::escape::{escape, one_line, paragraph};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// Files shown unless more are asked for.
const FILES: usize = 50;

/// The name that a person gave, as the daemon wants it.
pub(super) fn reference(text: &str) -> v1::ArtifactRef {
    let Ok(reference) = text.parse::<ArtifactRef>();
    v1::ArtifactRef {
        kind: reference
            .kind
            .map(|kind| kind.to_string())
            .unwrap_or_default(),
        name: reference.name,
    }
}

pub(super) async fn run(context: &mut Context, args: ShowArgs) -> Outcome {
    let session = context.session().await?;
    let request = v1::ShowArtifactRequest {
        collection: args.collection.unwrap_or_default(),
        artifact: Some(reference(&args.artifact)),
    };
    let answer: v1::ShowArtifactResponse = session.call(request).await?;
    let freshness = answer.freshness.unwrap_or_default();
    let artifact = answer.artifact.ok_or_else(|| {
        Error::new(
            skillmeat_shared::Code::Internal,
            "the daemon answered without an artifact",
        )
    })?;
    if context.out.json {
        context
            .out
            .document(&json::Show::new(artifact, freshness))?;
        return Ok(());
    }
    text(context, &artifact)?;
    context.out.flush()?;
    context.note_freshness(&freshness);
    context.note_outdated(&freshness);
    Ok(())
}

fn text(context: &mut Context, artifact: &v1::Artifact) -> Outcome {
    let none = v1::ArtifactSummary::default();
    let summary = artifact.summary.as_ref().unwrap_or(&none);
    let paint = context.out.paint;
    let id = paint.apply(Tone::Strong, &escape(&summary.id));
    let place = paint.apply(Tone::Dim, &format!("in {}", escape(&summary.collection)));
    context.out.line(&format!("{id} {place}"))?;
    if let Some(description) = &summary.description {
        context
            .out
            .line(&format!("\n{}\n", paragraph(description.trim())))?;
    }
    facts(context, artifact, summary)?;
    declared(context, summary)?;
    files(context, artifact)?;
    if !artifact.differences.is_empty() {
        heading(context, "Manifest and files disagree")?;
        let mut table = Table::new(vec![
            Column::text("FIELD"),
            Column::prose("FILES"),
            Column::prose("MANIFEST"),
        ]);
        for difference in &artifact.differences {
            let side =
                |value: &Option<String>| Cell::from(one_line(value.as_deref().unwrap_or("-")));
            table.row(vec![
                escape(&difference.field).into_owned().into(),
                side(&difference.in_files),
                side(&difference.in_manifest),
            ]);
        }
        context.out.table(&table)?;
    }
    if !artifact.problems.is_empty() {
        heading(context, "Problems")?;
        problems(context, &artifact.problems)?;
    }
    if context.out.verbose {
        for (title, text) in [
            ("Frontmatter", &artifact.frontmatter_json),
            ("Manifest entry", &artifact.manifest_json),
            ("Lock entry", &artifact.lock_json),
        ] {
            document(context, title, text)?;
        }
    }
    Ok(())
}

/// What the artifact is.
fn facts(context: &mut Context, artifact: &v1::Artifact, summary: &v1::ArtifactSummary) -> Outcome {
    let paint = context.out.paint;
    let now = now();
    let out = &mut context.out;
    let optional = |value: &Option<String>| one_line(value.as_deref().unwrap_or_default());
    let list = |values: &[String]| {
        values
            .iter()
            .map(|value| one_line(value))
            .collect::<Vec<_>>()
            .join(", ")
    };
    out.field("title", &optional(&summary.title))?;
    out.field(
        "status",
        &paint.apply(status_tone(&summary.status), &escape(&summary.status)),
    )?;
    out.field("version", &optional(&summary.version))?;
    out.field("author", &optional(&summary.author))?;
    out.field("license", &optional(&summary.license))?;
    out.field("tags", &list(&summary.tags))?;
    out.field("aliases", &list(&summary.aliases))?;
    let groups: Vec<String> = artifact
        .groups
        .iter()
        .map(|group| format!("{} (position {})", one_line(&group.name), group.position))
        .collect();
    out.field("groups", &groups.join(", "))?;
    let rating = summary.rating.map(|stars| format!("{stars} of 5"));
    out.field("rating", rating.as_deref().unwrap_or_default())?;
    // The patterns say all that the names say, and more.
    let tools = if artifact.tool_patterns.is_empty() {
        &summary.tools
    } else {
        &artifact.tool_patterns
    };
    out.field("tools", &list(tools))?;
    out.field("dependencies", &list(&artifact.dependencies))?;
    out.field("scope", &optional(&summary.scope))?;
    let position = artifact.position.map(|position| position.to_string());
    out.field("position", &optional(&position))?;
    out.field("path", &escape(&artifact.absolute_path))?;
    if summary.file_count > 0 {
        let files = units::count(summary.file_count, "file");
        out.field("size", &format!("{} in {files}", units::size(summary.size)))?;
    }
    if summary.updated_at != 0 {
        let moment = Timestamp(summary.updated_at);
        let (exact, ago) = (moment.to_rfc3339(), units::ago(moment, now));
        // What is long ago is told by its date, which stands there already.
        let ago = if exact.starts_with(&ago) {
            String::new()
        } else {
            format!(" ({ago})")
        };
        out.field("changed", &format!("{exact}{ago}"))?;
    }
    if summary.parse_status != "strict" && !summary.parse_status.is_empty() {
        let place = artifact
            .parse_error_line
            .map(|line| format!(", line {line}"))
            .unwrap_or_default();
        let error = one_line(artifact.parse_error.as_deref().unwrap_or_default());
        let text = format!("{}{place}: {error}", escape(&summary.parse_status));
        out.field("frontmatter", &paint.apply(Tone::Warn, &text))?;
    }
    if summary.stale {
        out.field("cache", "stale: due to be verified against the files")?;
    }
    Ok(())
}

/// Where it comes from, as manifest and lock say.
fn declared(context: &mut Context, summary: &v1::ArtifactSummary) -> Outcome {
    let out = &mut context.out;
    let optional = |value: &Option<String>| one_line(value.as_deref().unwrap_or_default());
    out.field("origin", &escape(&summary.origin))?;
    out.field("origin source", &optional(&summary.origin_source))?;
    out.field("source", &optional(&summary.source))?;
    out.field("follows", &optional(&summary.version_spec))?;
    out.field("resolved", &optional(&summary.resolved_version))?;
    out.field("commit", &optional(&summary.resolved_sha))?;
    out.field("content hash", &optional(&summary.content_hash))?;
    if out.verbose {
        out.field("structure", &optional(&summary.structure_hash))?;
    }
    Ok(())
}

fn files(context: &mut Context, artifact: &v1::Artifact) -> Outcome {
    if let Some(modified) = artifact.modified {
        let (text, tone) = if modified {
            ("changed since the lock was written", Tone::Warn)
        } else {
            ("as the lock recorded", Tone::Good)
        };
        let text = context.out.paint.apply(tone, text);
        context.out.field("content", &text)?;
    }
    if artifact.files.is_empty() {
        return Ok(());
    }
    heading(context, "Files")?;
    let limit = if context.out.verbose {
        usize::MAX
    } else {
        FILES
    };
    let mut table = Table::new(vec![
        Column::text("PATH"),
        Column::number("SIZE"),
        Column::text(""),
    ]);
    for file in artifact.files.iter().take(limit) {
        let mark = match (file.kind.as_str(), file.executable) {
            ("file", true) => "executable",
            ("file", false) => "",
            (other, _) => other,
        };
        table.row(vec![
            escape(&file.path).into_owned().into(),
            units::size(file.size).into(),
            Cell::new(escape(mark), Tone::Dim),
        ]);
    }
    context.out.table(&table)?;
    let more = artifact.files.len().saturating_sub(limit);
    if more > 0 {
        let more = format!("and {more} more (`--verbose` shows all)");
        let more = context.out.paint.apply(Tone::Dim, &more);
        context.out.line(&more)?;
    }
    Ok(())
}

fn heading(context: &mut Context, title: &str) -> Outcome {
    let title = context.out.paint.apply(Tone::Strong, title);
    Ok(context.out.line(&format!("\n{title}"))?)
}

/// Problems, one a line, each with its place.
pub(super) fn problems(context: &mut Context, problems: &[v1::Problem]) -> Outcome {
    for problem in problems {
        let place = match (&problem.path, problem.line) {
            (Some(path), Some(line)) => format!("{}:{line}: ", escape(path)),
            (Some(path), None) => format!("{}: ", escape(path)),
            (None, Some(line)) => format!("line {line}: "),
            (None, None) => String::new(),
        };
        let code = context.out.paint.apply(Tone::Warn, &escape(&problem.code));
        context
            .out
            .line(&format!("{code}  {place}{}", one_line(&problem.message)))?;
    }
    Ok(())
}

fn document(context: &mut Context, title: &str, text: &str) -> Outcome {
    let value = json::embedded(text);
    if matches!(&value, Value::Null) || value.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(());
    }
    heading(context, title)?;
    let text = serde_json::to_string_pretty(&value).unwrap_or_default();
    Ok(context.out.line(&paragraph(&text))?)
}
