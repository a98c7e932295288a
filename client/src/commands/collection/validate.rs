//! `sm collection validate`: what is wrong in a collection, from its rows.

use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::collection::layout;
use skillmeat_shared::error::word;
use skillmeat_shared::{Code, Error};

use crate::commands::group::collection;
use crate::commands::{Context, Failure, Outcome};
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::units;

/// Something that is wrong.
#[derive(Serialize)]
struct Finding {
    /// error or warning.
    severity: &'static str,
    code: String,
    message: String,
    path: Option<String>,
    line: Option<u32>,
}

/// The JSON of the command.
#[derive(Serialize)]
struct Report {
    collection: String,
    valid: bool,
    artifacts: u64,
    errors: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

pub(super) async fn run(context: &mut Context, name: Option<String>) -> Outcome {
    let answer = collection(context, name).await?;
    let whole = answer.collection.clone().unwrap_or_default();
    let mut findings: Vec<Finding> = whole.problems.iter().map(own).collect();
    if whole.state != "ok" {
        let message = format!("the collection is {}", escape(&whole.state));
        findings.push(finding("error", "collection.state", message));
    }
    for group in &answer.groups {
        for member in group.members.iter().filter(|member| member.id.is_none()) {
            let message = format!(
                "the group `{}` has the member `{}`, which no artifact has the name of",
                group.name, member.member
            );
            findings.push(finding("warning", "group.unknown_member", message));
        }
    }
    if whole.state == "ok" {
        let links = layout::broken_links(Path::new(&whole.path));
        findings.extend(links.iter().map(|link| nowhere(link)));
    }
    artifacts(context, &whole.name, &mut findings).await?;
    let count = |severity| {
        findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    let report = Report {
        valid: count("error") == 0,
        errors: count("error"),
        warnings: count("warning"),
        artifacts: whole.artifacts,
        collection: whole.name,
        findings,
    };
    if context.out.json {
        context.out.document(&report)?;
    } else {
        text(context, &report)?;
    }
    if report.valid {
        return Ok(());
    }
    Err(Failure::Told(Code::PartialFailure.kind().exit_code()))
}

fn finding(severity: &'static str, code: &str, message: String) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        message,
        path: None,
        line: None,
    }
}

fn nowhere(link: &Path) -> Finding {
    let path = link.display().to_string();
    let message = format!("`{path}` leads nowhere");
    Finding {
        path: Some(path),
        ..finding("warning", "link.broken", message)
    }
}

fn own(problem: &v1::Problem) -> Finding {
    Finding {
        severity: "error",
        code: problem.code.clone(),
        message: problem.message.clone(),
        path: problem.path.clone(),
        line: problem.line,
    }
}

/// What is wrong with single artifacts.
async fn artifacts(
    context: &Context,
    collection: &str,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let session = context.session().await?;
    let mut token = String::new();
    let mut declared = HashSet::new();
    let mut unmanaged = Vec::new();
    loop {
        let request = v1::ListArtifactsRequest {
            collection: collection.to_owned(),
            page_size: 1000,
            page_token: token,
            ..Default::default()
        };
        let answer: v1::ListArtifactsResponse = session.call(request).await?;
        for artifact in &answer.artifacts {
            if artifact.status == "declared" {
                declared.insert(artifact.id.clone());
            }
            match artifact.status.as_str() {
                "missing" => {
                    let message = format!(
                        "the manifest names `{}`, but there are no files",
                        artifact.id
                    );
                    findings.push(finding("error", "artifact.missing", message));
                }
                "unmanaged" => unmanaged.push((artifact.id.clone(), artifact.path.clone())),
                _ if artifact.problem_count > 0 => {
                    let problems = units::count(artifact.problem_count.into(), "problem");
                    let message = format!(
                        "`{}` has {problems}; `sm show {}` tells which",
                        artifact.id,
                        word(&artifact.id)
                    );
                    findings.push(finding("warning", "artifact.problems", message));
                }
                _ => {}
            }
        }
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    for (id, path) in unmanaged {
        let message = if declared.contains(&id) {
            format!("the files at `{path}` are not in the manifest, which declares a server `{id}`")
        } else {
            format!("`{id}` is not in the manifest")
        };
        findings.push(finding("warning", "artifact.unmanaged", message));
    }
    Ok(())
}

fn text(context: &mut Context, report: &Report) -> Outcome {
    let out = &mut context.out;
    for finding in &report.findings {
        let tone = if finding.severity == "error" {
            Tone::Bad
        } else {
            Tone::Warn
        };
        let severity = out.paint.apply(tone, &format!("{:<8}", finding.severity));
        let place = match (&finding.path, finding.line) {
            (Some(path), Some(line)) => format!("  ({}:{line})", escape(path)),
            (Some(path), None) => format!("  ({})", escape(path)),
            (None, _) => String::new(),
        };
        let place = out.paint.apply(Tone::Dim, &place);
        out.line(&format!("{severity} {}{place}", one_line(&finding.message)))?;
    }
    out.flush()?;
    out.note(&format!(
        "{} in `{}`: {}, {}",
        units::count(report.artifacts, "artifact"),
        escape(&report.collection),
        units::count(report.errors as u64, "error"),
        units::count(report.warnings as u64, "warning"),
    ));
    Ok(())
}
