//! `sm list`: artifacts as a table or as JSON.

use skillmeat_proto::v1;

use super::{Context, Outcome, now};
use crate::cli::{ListArgs, SortBy};
use crate::connect::Session;
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};
use skillmeat_shared::time::Timestamp;

/// Artifacts asked for at a time.
const PAGE: usize = 500;

pub(super) async fn run(context: &mut Context, args: ListArgs) -> Outcome {
    let session = context.session().await?;
    let (artifacts, last) = read(&session, &args).await?;
    let freshness = last.freshness.unwrap_or_default();
    if context.out.json {
        context.out.document(&json::List {
            artifacts: json::all(artifacts),
            total: last.total,
            collections: last.collections,
            hints: last.hints,
            stale: freshness.stale,
            complete: freshness.complete,
            outdated: json::all(freshness.outdated),
            verified_at: freshness.verified_at.and_then(json::moment),
        })?;
        return Ok(());
    }
    let shown = artifacts.len();
    if shown > 0 {
        let table = table(&artifacts, last.collections.len() > 1, context.out.verbose);
        context.out.table(&table)?;
    }
    context.out.flush()?;
    let place = match last.collections.as_slice() {
        [one] => format!(" in `{}`", escape(one)),
        _ => String::new(),
    };
    let total = last.total;
    context.out.note(&if total == 0 && is_filtered(&args) {
        let yet = if freshness.complete { "" } else { " yet" };
        format!("no artifact{place} matches{yet}")
    } else if total == 0 && !freshness.complete {
        "no artifacts yet".to_owned()
    } else if total == 0 && !freshness.outdated.is_empty() {
        // Of what can't be read nobody knows whether it is empty.
        "no artifacts are known".to_owned()
    } else if total == 0 {
        format!("no artifacts{place}; add some with `sm add PATH`")
    } else if u64::try_from(shown).is_ok_and(|shown| shown < total) {
        format!("{shown} of {}{place}", units::count(total, "artifact"))
    } else {
        format!("{}{place}", units::count(total, "artifact"))
    });
    context.note_hints(&last.hints);
    context.note_freshness(&freshness);
    context.note_outdated(&freshness);
    Ok(())
}

fn is_filtered(args: &ListArgs) -> bool {
    !args.kinds.is_empty()
        || !args.tags.is_empty()
        || args.group.is_some()
        || args.origin.is_some()
        || args.status.is_some()
}

/// All pages, up to the limit. What the last page says stands for all of them.
async fn read(
    session: &Session,
    args: &ListArgs,
) -> skillmeat_shared::Result<(Vec<v1::ArtifactSummary>, v1::ListArtifactsResponse)> {
    let limit = args.limit.unwrap_or(usize::MAX);
    let mut request = v1::ListArtifactsRequest {
        collection: args.of.collection.clone().unwrap_or_default(),
        all_collections: args.all,
        kinds: args.kinds.iter().map(ToString::to_string).collect(),
        tags: args.tags.clone(),
        group: args.group.clone().unwrap_or_default(),
        origin: args.origin.clone().unwrap_or_default(),
        status: args.status.clone().unwrap_or_default(),
        sort: match args.sort {
            SortBy::Name => v1::ArtifactSort::Name,
            SortBy::Updated => v1::ArtifactSort::Updated,
            SortBy::Size => v1::ArtifactSort::Size,
            SortBy::Position => v1::ArtifactSort::Position,
        }
        .into(),
        page_size: 0,
        page_token: String::new(),
    };
    let mut artifacts: Vec<v1::ArtifactSummary> = Vec::new();
    loop {
        // A page of nothing can't be asked for: ask for one artifact and show none.
        let wanted = limit.saturating_sub(artifacts.len()).clamp(1, PAGE);
        request.page_size = u32::try_from(wanted).unwrap_or(u32::MAX);
        let mut page: v1::ListArtifactsResponse = session.call(request.clone()).await?;
        artifacts.append(&mut page.artifacts);
        if artifacts.len() >= limit || page.next_page_token.is_empty() {
            artifacts.truncate(limit);
            return Ok((artifacts, page));
        }
        request.page_token.clone_from(&page.next_page_token);
    }
}

fn table(artifacts: &[v1::ArtifactSummary], collections: bool, verbose: bool) -> Table {
    let status = artifacts
        .iter()
        .any(|artifact| artifact.status != "managed");
    let mut columns = vec![Column::text("NAME"), Column::text("TYPE")];
    if collections {
        columns.push(Column::text("COLLECTION"));
    }
    if status {
        columns.push(Column::text("STATUS"));
    }
    if verbose {
        columns.push(Column::text("ORIGIN"));
        columns.push(Column::number("FILES"));
        columns.push(Column::number("SIZE"));
        columns.push(Column::text("CHANGED"));
    }
    columns.push(Column::prose("DESCRIPTION"));
    let mut table = Table::new(columns);
    let now = now();
    for artifact in artifacts {
        let name_tone = if artifact.problem_count > 0 {
            Tone::Warn
        } else {
            Tone::Strong
        };
        let mut row = vec![
            Cell::new(escape(&artifact.name), name_tone),
            Cell::new(escape(&artifact.kind), Tone::Label),
        ];
        if collections {
            row.push(escape(&artifact.collection).into_owned().into());
        }
        if status {
            row.push(Cell::new(
                escape(&artifact.status),
                status_tone(&artifact.status),
            ));
        }
        if verbose {
            row.push(escape(&artifact.origin).into_owned().into());
            row.push(artifact.file_count.to_string().into());
            row.push(units::size(artifact.size).into());
            row.push(match artifact.updated_at {
                0 => "".into(),
                at => units::ago(Timestamp(at), now).into(),
            });
        }
        let description = artifact
            .description
            .as_deref()
            .or(artifact.title.as_deref());
        row.push(one_line(description.unwrap_or_default()).into());
        table.row(row);
    }
    table
}

/// The tone of an artifact's status.
pub(super) fn status_tone(status: &str) -> Tone {
    match status {
        "managed" => Tone::Plain,
        "missing" => Tone::Bad,
        "unmanaged" => Tone::Warn,
        _ => Tone::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Paint;
    use crate::output::table::Width;

    fn artifact(name: &str, status: &str) -> v1::ArtifactSummary {
        v1::ArtifactSummary {
            name: name.to_owned(),
            kind: "skill".to_owned(),
            status: status.to_owned(),
            collection: "default".to_owned(),
            description: Some("Reads\n  PDFs".to_owned()),
            ..Default::default()
        }
    }

    #[test]
    fn a_name_from_disk_can_not_break_the_table() {
        let text = table(&[artifact("a\nb\u{1b}[31m", "managed")], false, false)
            .render(Width::Page(120), Paint::off());
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.contains("a\\nb\\u{1b}[31m  skill  Reads PDFs"),
            "{text}"
        );
    }

    #[test]
    fn status_stands_there_only_if_it_says_something() {
        let render = |artifacts: &[v1::ArtifactSummary]| {
            table(artifacts, false, false).render(Width::Page(120), Paint::off())
        };
        assert!(!render(&[artifact("a", "managed")]).contains("STATUS"));
        assert!(render(&[artifact("a", "managed"), artifact("b", "missing")]).contains("missing"));
    }
}
