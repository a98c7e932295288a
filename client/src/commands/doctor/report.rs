//! What the doctor found, for a person or a script.

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::doctor::{self, Finding};
use skillmeat_shared::health::Severity;

use super::mending::Mending;
use super::{Check, Examined, severity_of};
use crate::commands::{Context, Outcome};
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::units;

/// The JSON of `sm doctor`.
#[derive(Serialize)]
struct Doctor {
    healthy: bool,
    errors: usize,
    warnings: usize,
    infos: usize,
    home: String,
    log_file: String,
    daemon: Daemon,
    git: Option<Git>,
    checks: Vec<Checked>,
    findings: Vec<Found>,
    fixes: Vec<Fix>,
    kept_in: Option<String>,
}

#[derive(Serialize)]
struct Daemon {
    state: String,
    pid: Option<u32>,
    version: Option<String>,
    protocol: Option<String>,
    manager: Option<String>,
    socket: Option<String>,
    environment: Vec<Variable>,
}

#[derive(Serialize)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Git {
    path: String,
    version: String,
}

#[derive(Serialize)]
struct Checked {
    name: &'static str,
    ok: Option<bool>,
    detail: String,
}

#[derive(Serialize)]
struct Found {
    code: String,
    severity: String,
    subject: Option<String>,
    message: String,
    meaning: Option<String>,
    hints: Vec<String>,
    path: Option<String>,
    line: Option<u32>,
    fixable: bool,
}

#[derive(Serialize)]
struct Fix {
    code: &'static str,
    subject: Option<String>,
    done: bool,
    what: String,
    saved: Option<String>,
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl From<&Finding> for Found {
    fn from(from: &Finding) -> Self {
        Self {
            code: from.diagnosis.code.to_owned(),
            severity: from.diagnosis.severity.as_str().to_owned(),
            subject: filled(&from.subject),
            message: from.message.clone(),
            meaning: filled(from.diagnosis.meaning),
            hints: from.ways(),
            path: from.path.as_ref().map(|path| path.display().to_string()),
            line: from.line,
            fixable: from.repair.is_some(),
        }
    }
}

impl From<&v1::Warning> for Found {
    fn from(from: &v1::Warning) -> Self {
        let known = doctor::of(&from.code);
        let mut hints = from.hints.clone();
        if hints.is_empty() {
            hints.extend(known.map(|known| known.remedy.to_owned()));
        }
        Self {
            code: from.code.clone(),
            severity: severity_of(&from.severity).as_str().to_owned(),
            subject: filled(&from.subject),
            message: from.message.clone(),
            meaning: known.map(|known| known.meaning.to_owned()),
            hints,
            path: None,
            line: None,
            fixable: false,
        }
    }
}

impl From<&super::Daemon> for Daemon {
    fn from(from: &super::Daemon) -> Self {
        let at = from.at.as_ref().filter(|_| from.state != "stopped");
        Self {
            state: from.state.to_owned(),
            pid: at.map(|at| at.pid),
            version: at.map(|at| at.version.clone()),
            protocol: at.map(|at| at.protocol.clone()),
            manager: at.map(|at| at.manager.clone()),
            socket: at.map(|at| at.socket.display().to_string()),
            environment: from
                .environment()
                .iter()
                .map(|variable| Variable {
                    name: variable.name.clone(),
                    value: variable.value.clone(),
                })
                .collect(),
        }
    }
}

/// Everything that was found, the worst first.
fn found(examined: &Examined) -> Vec<Found> {
    let own = examined
        .findings()
        .map(|finding| (finding.diagnosis.severity, Found::from(finding)));
    let told = examined
        .warnings()
        .map(|warning| (severity_of(&warning.severity), Found::from(warning)));
    let mut all: Vec<(Severity, Found)> = own.chain(told).collect();
    // Stable: within one severity in the order of the checks.
    all.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    all.into_iter().map(|(_, found)| found).collect()
}

fn fixes(mended: Option<&Mending>) -> Vec<Fix> {
    let attempts = mended.map(|mended| mended.attempts.iter());
    attempts
        .into_iter()
        .flatten()
        .map(|attempt| Fix {
            code: attempt.code,
            subject: filled(&attempt.subject),
            done: attempt.result.is_ok(),
            what: match &attempt.result {
                Ok(mended) => mended.what.clone(),
                Err(error) => error.message.clone(),
            },
            saved: attempt.result.as_ref().ok().and_then(|mended| {
                let saved = mended.saved.as_ref()?;
                Some(saved.display().to_string())
            }),
        })
        .collect()
}

/// Prints it.
pub(super) fn show(
    context: &mut Context,
    examined: &Examined,
    mended: Option<&Mending>,
) -> Outcome {
    let [errors, warnings, infos] =
        [Severity::Error, Severity::Warning, Severity::Info].map(|one| examined.count(one));
    let findings = found(examined);
    let fixes = fixes(mended);
    let kept_in = mended.and_then(|mended| mended.kept_in.as_ref());
    let kept_in = kept_in.map(|folder| folder.display().to_string());
    if context.out.json {
        context.out.document(&Doctor {
            healthy: errors + warnings == 0,
            errors,
            warnings,
            infos,
            home: examined.home.root().display().to_string(),
            log_file: examined.home.log_file().display().to_string(),
            daemon: Daemon::from(&examined.daemon),
            git: examined.git.as_ref().map(|git| Git {
                path: git.path.display().to_string(),
                version: git.version.clone(),
            }),
            checks: examined
                .checks
                .iter()
                .map(|check| checked(check, &examined.daemon))
                .collect(),
            findings,
            fixes,
            kept_in,
        })?;
        return Ok(());
    }
    if !context.out.quiet {
        surroundings(context, examined)?;
        checks(context, examined)?;
    }
    for fix in &fixes {
        let (tone, label) = if fix.done {
            (Tone::Good, "mended:")
        } else {
            (Tone::Bad, "not mended:")
        };
        let label = context.out.paint.apply(tone, label);
        context
            .out
            .line(&format!("{label} {}", one_line(&fix.what)))?;
    }
    if let Some(folder) = &kept_in {
        let folder = escape(folder);
        context
            .out
            .line(&format!("what was moved away is kept in {folder}"))?;
    }
    for finding in &findings {
        one(context, finding)?;
    }
    summary(context, (errors, warnings), &findings)
}

fn checked(check: &Check, daemon: &super::Daemon) -> Checked {
    Checked {
        name: check.name,
        ok: check.is_ok(daemon),
        detail: match check.severities().count() {
            0 => check.detail.clone(),
            found => units::count(found as u64, "finding"),
        },
    }
}

/// Where everything is, and what the daemon was started with.
fn surroundings(context: &mut Context, examined: &Examined) -> Outcome {
    let out = &mut context.out;
    let home = examined.home.root().display().to_string();
    out.field("home", &escape(&home))?;
    out.field("daemon", &one_line(&examined.daemon.words()))?;
    let at = examined.daemon.at.as_ref();
    if let Some(at) = at.filter(|_| examined.daemon.state != "stopped") {
        out.field("socket", &escape(&at.socket.display().to_string()))?;
    }
    let log = examined.home.log_file().display().to_string();
    out.field("log", &escape(&log))?;
    for (at, variable) in examined.daemon.environment().iter().enumerate() {
        let label = if at == 0 { "environment" } else { "" };
        let text = format!("{}={}", variable.name, variable.value);
        out.field(label, &one_line(&text))?;
    }
    out.line("")?;
    Ok(())
}

fn checks(context: &mut Context, examined: &Examined) -> Outcome {
    let mut table = Table::new(vec![
        Column::text("CHECK"),
        Column::text("RESULT"),
        Column::prose("DETAIL"),
    ]);
    for check in &examined.checks {
        let seen = checked(check, &examined.daemon);
        let (tone, result) = match check.severities().max() {
            None if seen.ok.is_none() => (Tone::Dim, "not checked"),
            None => (Tone::Good, "ok"),
            Some(Severity::Info) => (Tone::Dim, "note"),
            Some(Severity::Warning) => (Tone::Warn, "warning"),
            Some(Severity::Error) => (Tone::Bad, "error"),
        };
        table.row(vec![
            check.name.into(),
            Cell::new(result, tone),
            Cell::new(one_line(&seen.detail), Tone::Dim),
        ]);
    }
    context.out.table(&table)?;
    Ok(context.out.line("")?)
}

fn one(context: &mut Context, finding: &Found) -> Outcome {
    let out = &mut context.out;
    let (tone, label) = match severity_of(&finding.severity) {
        Severity::Error => (Tone::Bad, "error:"),
        Severity::Warning => (Tone::Warn, "warning:"),
        Severity::Info => (Tone::Dim, "note:"),
    };
    let label = out.paint.apply(tone, label);
    let code = out
        .paint
        .apply(Tone::Dim, &format!("[{}]", escape(&finding.code)));
    out.line(&format!("{label} {} {code}", one_line(&finding.message)))?;
    if let Some(path) = &finding.path {
        let line = finding
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        let place = format!("{path}{line}");
        if !finding.message.contains(&place) {
            out.line(&format!("  at {}", escape(&place)))?;
        }
    }
    if let Some(meaning) = &finding.meaning {
        out.line(&format!("  {}", one_line(meaning)))?;
    }
    for hint in &finding.hints {
        out.line(&format!("  to mend it: {}", one_line(hint)))?;
    }
    Ok(())
}

fn summary(context: &mut Context, counts: (usize, usize), findings: &[Found]) -> Outcome {
    let out = &mut context.out;
    let (errors, warnings) = counts;
    if errors + warnings == 0 {
        let text = out.paint.apply(Tone::Good, "no problems");
        return Ok(out.line(&text)?);
    }
    let fixable = findings.iter().filter(|one| one.fixable).count();
    let text = format!(
        "{}, {}",
        units::count(errors as u64, "error"),
        units::count(warnings as u64, "warning")
    );
    out.line("")?;
    out.line(&text)?;
    out.flush()?;
    if fixable > 0 {
        out.note(&format!(
            "`sm doctor --fix` mends {fixable} of them, and keeps what it takes away"
        ));
    }
    Ok(())
}
