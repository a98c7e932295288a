//! `sm validate`: what is wrong with artifacts by the rules of those who read them.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::artifact::validate::RULES;
use skillmeat_shared::{Code, Error};

use super::add::absolute;
use super::selection::select;
use super::{Context, Failure, Outcome};
use crate::cli::ValidateArgs;
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Column, Table};
use crate::output::units;

/// How long a whole collection may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// The JSON of `sm validate`.
#[derive(Serialize)]
struct Validate<'a> {
    checked: u64,
    errors: usize,
    warnings: usize,
    artifacts: Vec<Artifact<'a>>,
    failed: Vec<Failed<'a>>,
    mended: Vec<Mended<'a>>,
    operation: Option<&'a str>,
    dry_run: bool,
    truncated: bool,
}

#[derive(Serialize)]
struct Artifact<'a> {
    id: &'a str,
    collection: Option<&'a str>,
    path: &'a str,
    findings: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    rule: &'a str,
    severity: &'a str,
    file: &'a str,
    line: Option<u32>,
    message: &'a str,
    wanted: &'a str,
    fixable: bool,
}

#[derive(Serialize)]
struct Failed<'a> {
    id: &'a str,
    reason: &'a str,
    code: Option<&'a str>,
}

#[derive(Serialize)]
struct Mended<'a> {
    id: &'a str,
    rule: &'a str,
}

/// A rule, of the list of all.
#[derive(Serialize)]
struct Asked {
    rule: &'static str,
    severity: &'static str,
    strict: &'static str,
    wanted: &'static str,
}

pub(super) async fn run(context: &mut Context, args: ValidateArgs) -> Outcome {
    if args.rules {
        return rules(context);
    }
    let is_path = |word: &String| word.contains('/') || matches!(word.as_str(), "." | "..");
    let (paths, names): (Vec<String>, Vec<String>) = args.words.into_iter().partition(is_path);
    let request = v1::ValidateRequest {
        selection: Some(select(names, args.filters)?),
        paths: paths
            .iter()
            .map(|path| absolute(Path::new(path)))
            .collect::<Result<_, Error>>()?,
        strict: args.strict,
        fix: args.fix,
        dry_run: args.dry_run,
    };
    let session = context.session_for(PATIENCE).await?;
    let answer: v1::ValidateResponse = session.call(request).await?;
    let count = |severity: &str| {
        let findings = answer.artifacts.iter().flat_map(|one| &one.findings);
        findings
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (errors, warnings) = (count("error"), count("warning"));
    if let ([failed], 0) = (answer.failed.as_slice(), answer.checked) {
        let code = Code::parse(&failed.code).unwrap_or(Code::PartialFailure);
        let message = format!("can't validate `{}`: {}", escape(&failed.id), failed.reason);
        return Err(Error::new(code, message).into());
    }
    if context.out.json {
        let document = document(&answer, errors, warnings, args.dry_run);
        context.out.document(&document)?;
    } else {
        text(context, &answer, args.dry_run)?;
        context.out.flush()?;
        context.out.note(&format!(
            "{} checked: {}, {}",
            units::count(answer.checked, "artifact"),
            units::count(errors as u64, "error"),
            units::count(warnings as u64, "warning"),
        ));
    }
    if errors > 0 || !answer.failed.is_empty() {
        return Err(Failure::Told(Code::PartialFailure.kind().exit_code()));
    }
    Ok(())
}

fn text(context: &mut Context, answer: &v1::ValidateResponse, dry_run: bool) -> Outcome {
    let paint = context.out.paint;
    for mended in &answer.mended {
        let result = if dry_run { "would-mend" } else { "mended" };
        let result = paint.apply(Tone::Good, &format!("{result:<10}"));
        let line = format!("{result} {}: {}", escape(&mended.id), mended.rule);
        context.out.line(&line)?;
    }
    for failed in &answer.failed {
        let result = paint.apply(Tone::Bad, &format!("{:<10}", "failed"));
        let line = format!(
            "{result} {}: {}",
            escape(&failed.id),
            one_line(&failed.reason)
        );
        context.out.line(&line)?;
    }
    for artifact in &answer.artifacts {
        let is_shown = |finding: &&v1::Finding| context.out.verbose || finding.severity != "advice";
        let shown: Vec<&v1::Finding> = artifact.findings.iter().filter(is_shown).collect();
        if shown.is_empty() {
            continue;
        }
        let name = paint.apply(Tone::Strong, &escape(&artifact.id));
        let place = paint.apply(Tone::Dim, &escape(&artifact.path));
        context.out.line(&format!("{name}  {place}"))?;
        for finding in shown {
            let tone = match finding.severity.as_str() {
                "error" => Tone::Bad,
                "warning" => Tone::Warn,
                _ => Tone::Dim,
            };
            let severity = paint.apply(tone, &format!("{:<7}", finding.severity));
            let line = finding
                .line
                .map(|line| format!(":{line}"))
                .unwrap_or_default();
            let fix = if finding.fixable {
                ", `--fix` mends it"
            } else {
                ""
            };
            let rule = paint.apply(Tone::Dim, &format!("({}{fix})", finding.rule));
            context.out.line(&format!(
                "  {severity}  {}{line}  {} {rule}",
                escape(&finding.file),
                one_line(&finding.message)
            ))?;
            if context.out.verbose {
                let wanted = paint.apply(Tone::Dim, &one_line(&finding.wanted));
                context.out.line(&format!("           {wanted}"))?;
            }
        }
    }
    if answer.truncated {
        context
            .out
            .note("there are more findings than are shown: validate fewer artifacts at once");
    }
    Ok(())
}

fn document(
    answer: &v1::ValidateResponse,
    errors: usize,
    warnings: usize,
    dry_run: bool,
) -> Validate<'_> {
    fn filled(text: &str) -> Option<&str> {
        Some(text).filter(|text| !text.is_empty())
    }
    fn finding(one: &v1::Finding) -> Finding<'_> {
        Finding {
            rule: &one.rule,
            severity: &one.severity,
            file: &one.file,
            line: one.line,
            message: &one.message,
            wanted: &one.wanted,
            fixable: one.fixable,
        }
    }
    Validate {
        checked: answer.checked,
        errors,
        warnings,
        artifacts: answer
            .artifacts
            .iter()
            .map(|one| Artifact {
                id: &one.id,
                collection: filled(&one.collection),
                path: &one.path,
                findings: one.findings.iter().map(finding).collect(),
            })
            .collect(),
        failed: answer
            .failed
            .iter()
            .map(|one| Failed {
                id: &one.id,
                reason: &one.reason,
                code: filled(&one.code),
            })
            .collect(),
        mended: answer
            .mended
            .iter()
            .map(|one| Mended {
                id: &one.id,
                rule: &one.rule,
            })
            .collect(),
        operation: filled(&answer.operation),
        dry_run,
        truncated: answer.truncated,
    }
}

/// Every rule, without asking anybody.
fn rules(context: &mut Context) -> Outcome {
    let all = RULES.iter().map(|rule| Asked {
        rule: rule.id,
        severity: rule.severity.as_str(),
        strict: rule.strict.as_str(),
        wanted: rule.text,
    });
    if context.out.json {
        context.out.document(&all.collect::<Vec<_>>())?;
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::whole("RULE"),
        Column::text("SEVERITY"),
        Column::text("STRICT"),
        Column::prose("WHAT IT ASKS FOR"),
    ]);
    for rule in all {
        table.row(vec![
            rule.rule.to_owned().into(),
            rule.severity.to_owned().into(),
            rule.strict.to_owned().into(),
            rule.wanted.to_owned().into(),
        ]);
    }
    context.out.table(&table)?;
    Ok(())
}
