//! `sm status`, and what `sm daemon status` shows of it.

mod numbers;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::paths::Home;
use skillmeat_shared::time::Timestamp;

use super::collection::{counts, state_tone};
use super::{Context, Outcome, now};
use crate::cli::StatusArgs;
use crate::connect::Session;
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// The JSON of `sm status`.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the JSON")]
struct Status {
    home: String,
    default_collection: String,
    artifacts: Option<u64>,
    by_status: Vec<json::Count>,
    stale: Option<u64>,
    daemon: Daemon,
    collections: Vec<json::Collection>,
    roots: Vec<Root>,
    schedules: Vec<Schedule>,
    warnings: Vec<Warning>,
}

/// The daemon; also the JSON of `sm daemon status`, where `running` is always there.
#[derive(Serialize)]
pub(super) struct Daemon {
    running: bool,
    state: String,
    version: Option<String>,
    protocol: Option<String>,
    instance: Option<String>,
    pid: Option<u32>,
    manager: Option<String>,
    started_at: Option<String>,
    uptime_seconds: Option<u64>,
    home: String,
    socket: Option<String>,
    log_file: String,
    memory_bytes: Option<u64>,
    last_seq: Option<u64>,
    log_instance: Option<String>,
    error: Option<ErrorJson>,
    tasks: Vec<Task>,
}

#[derive(Serialize)]
struct ErrorJson {
    code: String,
    message: String,
    hints: Vec<String>,
    path: Option<String>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct Task {
    name: String,
    essential: bool,
    running: bool,
}

#[derive(Serialize)]
struct Root {
    collection: String,
    path: String,
    state: String,
    backend: String,
    last_event_at: Option<String>,
    last_full_pass_at: Option<String>,
    last_full_pass_reason: Option<String>,
    reason: Option<String>,
    events: u64,
    echoes: u64,
    overflows: u64,
}

#[derive(Serialize)]
struct Schedule {
    name: String,
    every: String,
    next_due: Option<String>,
    last_run: Option<String>,
}

#[derive(Serialize)]
struct Warning {
    code: String,
    severity: String,
    subject: Option<String>,
    message: String,
    hints: Vec<String>,
    since: Option<String>,
}

/// How long the daemon has run.
fn uptime(status: &v1::StatusResponse) -> std::time::Duration {
    now().since(Timestamp(status.started_at))
}

impl Daemon {
    /// The daemon of a home that has none running.
    pub(super) fn stopped(home: &Home) -> Self {
        Self {
            running: false,
            state: "stopped".to_owned(),
            version: None,
            protocol: None,
            instance: None,
            pid: None,
            manager: None,
            started_at: None,
            uptime_seconds: None,
            home: home.root().display().to_string(),
            socket: None,
            log_file: home.log_file().display().to_string(),
            memory_bytes: None,
            last_seq: None,
            log_instance: None,
            error: None,
            tasks: Vec::new(),
        }
    }
}

impl From<&v1::StatusResponse> for Daemon {
    fn from(from: &v1::StatusResponse) -> Self {
        let error = from.error.clone().map(|error| ErrorJson {
            code: error.code,
            message: error.message,
            hints: error.hints,
            path: error.path,
            line: error.line,
        });
        let task = |task: &v1::TaskStatus| Task {
            name: task.name.clone(),
            essential: task.essential,
            running: task.running,
        };
        Self {
            running: true,
            state: from.state.clone(),
            version: Some(from.version.clone()),
            protocol: Some(from.protocol.clone()),
            instance: Some(from.instance.clone()),
            pid: Some(from.pid),
            manager: Some(from.manager.clone()),
            started_at: json::moment(from.started_at),
            uptime_seconds: Some(uptime(from).as_secs()),
            home: from.home.clone(),
            socket: Some(from.socket.clone()),
            log_file: from.log_file.clone(),
            memory_bytes: Some(from.memory_bytes),
            last_seq: Some(from.last_seq),
            log_instance: json::filled(from.log_instance.clone()),
            error,
            tasks: from.tasks.iter().map(task).collect(),
        }
    }
}

impl From<v1::RootStatus> for Root {
    fn from(from: v1::RootStatus) -> Self {
        Self {
            collection: from.collection,
            path: from.path,
            state: from.state,
            backend: from.backend,
            last_event_at: from.last_event_at.and_then(json::moment),
            last_full_pass_at: from.last_full_pass_at.and_then(json::moment),
            last_full_pass_reason: json::filled(from.last_full_pass_reason),
            reason: json::filled(from.reason),
            events: from.events,
            echoes: from.echoes,
            overflows: from.overflows,
        }
    }
}

impl From<v1::ScheduleStatus> for Schedule {
    fn from(from: v1::ScheduleStatus) -> Self {
        Self {
            name: from.name,
            every: from.every,
            next_due: json::moment(from.next_due),
            last_run: from.last_run.and_then(json::moment),
        }
    }
}

impl From<v1::Warning> for Warning {
    fn from(from: v1::Warning) -> Self {
        Self {
            code: from.code,
            severity: from.severity,
            subject: (!from.subject.is_empty()).then_some(from.subject),
            message: from.message,
            hints: from.hints,
            since: json::moment(from.since),
        }
    }
}

/// Asks the daemon how it is.
pub(super) async fn ask(session: &Session) -> skillmeat_shared::Result<v1::StatusResponse> {
    session.call(v1::StatusRequest {}).await
}

pub(super) async fn run(context: &mut Context, args: StatusArgs) -> Outcome {
    let session = context.session().await?;
    // First, as this answer waits for the first rows: the numbers of the other one would be those from before.
    let collections: skillmeat_shared::Result<v1::ListCollectionsResponse> =
        session.call(v1::ListCollectionsRequest {}).await;
    let mut status = ask(&session).await?;
    let mut collections = match collections {
        // A daemon that can't open its rows must still be able to say so.
        Err(_) if status.state == "degraded" => v1::ListCollectionsResponse::default(),
        answer => {
            let answer = answer?;
            numbers::count(&mut status, &answer.collections);
            answer
        }
    };
    if let Some(name) = args.collection {
        collections.collections = vec![numbers::only(&session, &mut status, name).await?];
    }
    // Without its cache the daemon knows no number, and zero would be one.
    let is_known = status.state != "degraded";
    if context.out.json {
        context.out.document(&Status {
            home: status.home.clone(),
            default_collection: status.default_collection.clone(),
            artifacts: is_known.then_some(status.artifacts),
            stale: is_known.then_some(status.stale_artifacts),
            daemon: Daemon::from(&status),
            collections: json::all(collections.collections),
            by_status: json::all(status.artifacts_by_status),
            roots: json::all(status.roots),
            schedules: json::all(status.schedules),
            warnings: json::all(status.warnings),
        })?;
        return Ok(());
    }
    daemon(context, &status)?;
    numbers::show(context, is_known.then_some(&status))?;
    roots(context, &status, &collections.collections)?;
    reasons(context, &status, &collections.collections)?;
    warnings(context, &status)?;
    context.out.flush()?;
    if is_known {
        context.note_freshness(&collections.freshness.unwrap_or_default());
    }
    Ok(())
}

/// What the daemon is, label by label.
pub(super) fn daemon(context: &mut Context, status: &v1::StatusResponse) -> Outcome {
    let out = &mut context.out;
    let state = out
        .paint
        .apply(state_tone(&status.state), &escape(&status.state));
    let detail = format!(
        "{state}, up {}, pid {}, version {}",
        units::span(uptime(status)),
        status.pid,
        escape(&status.version)
    );
    out.field("daemon", &detail)?;
    out.field("home", &escape(&status.home))?;
    out.field("socket", &escape(&status.socket))?;
    out.field("memory", &units::size(status.memory_bytes))?;
    if out.verbose {
        out.field("protocol", &escape(&status.protocol))?;
        out.field("instance", &escape(&status.instance))?;
        out.field("started by", &escape(&status.manager))?;
        out.field("log", &escape(&status.log_file))?;
        let last = match status.log_instance.as_str() {
            "" => status.last_seq.to_string(),
            log => format!("{}:{}", escape(log), status.last_seq),
        };
        out.field("last event", &last)?;
        let tasks: Vec<String> = status
            .tasks
            .iter()
            .map(|task| {
                let state = if task.running { "" } else { " (ended)" };
                format!("{}{state}", one_line(&task.name))
            })
            .collect();
        out.field("tasks", &tasks.join(", "))?;
        let now = now();
        for schedule in &status.schedules {
            let due = Timestamp(schedule.next_due).since(now);
            let (name, every) = (one_line(&schedule.name), one_line(&schedule.every));
            let text = format!("{name} every {every}, next in {}", units::span(due));
            out.field("schedule", &text)?;
        }
    }
    if status.version != skillmeat_shared::version::program() {
        out.note("`sm daemon restart` lets the installed version serve");
    }
    Ok(())
}

/// Collections, and how each is watched.
fn roots(
    context: &mut Context,
    status: &v1::StatusResponse,
    collections: &[v1::Collection],
) -> Outcome {
    if collections.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::text("COLLECTION"),
        Column::text("STATE"),
        Column::number("ARTIFACTS"),
        Column::number("STALE"),
        Column::text("PATH"),
    ]);
    for collection in collections {
        let mark = if collection.is_default { " *" } else { "" };
        table.row(vec![
            Cell::new(format!("{}{mark}", escape(&collection.name)), Tone::Strong),
            Cell::new(escape(&collection.state), state_tone(&collection.state)),
            collection.artifacts.to_string().into(),
            collection.stale.to_string().into(),
            Cell::new(escape(&collection.path), Tone::Dim),
        ]);
    }
    context.out.line("")?;
    context.out.table(&table)?;
    watches(context, status)
}

/// Why a collection is not as it should be, as long as no warning says it: those wait for what lasts.
fn reasons(
    context: &mut Context,
    status: &v1::StatusResponse,
    collections: &[v1::Collection],
) -> Outcome {
    // A folder elsewhere needs no manifest.
    let is_fine =
        |one: &v1::Collection| one.state == "ok" || (one.external && one.state == "no-manifest");
    for one in collections.iter().filter(|one| !is_fine(one)) {
        let mut warnings = status.warnings.iter();
        let Some(problem) = one.problems.first() else {
            continue;
        };
        if warnings.any(|warning| warning.subject == one.name) {
            continue;
        }
        let place = match (&problem.path, problem.line) {
            (Some(path), Some(line)) => format!("{}/{path}:{line}: ", one.path),
            (Some(path), None) => format!("{}/{path}: ", one.path),
            (None, _) => String::new(),
        };
        let out = &mut context.out;
        let label = out.paint.apply(Tone::Warn, "warning:");
        let (name, state) = (escape(&one.name), escape(&one.state));
        let why = one_line(&format!("{place}{}", problem.message));
        out.line(&format!("{label} `{name}` is {state}: {why}"))?;
    }
    Ok(())
}

/// How collections are watched, and when they were last looked at.
fn watches(context: &mut Context, status: &v1::StatusResponse) -> Outcome {
    if status.roots.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::text("COLLECTION"),
        Column::text("WATCH"),
        Column::text("BACKEND"),
        Column::text("LAST EVENT"),
        Column::text("LAST FULL PASS"),
        Column::text("WHY"),
    ]);
    let now = now();
    let when = |moment: Option<i64>| {
        moment.map_or_else(
            || "-".to_owned(),
            |moment| units::ago(Timestamp(moment), now),
        )
    };
    for root in &status.roots {
        let pass = match root.last_full_pass_reason.as_str() {
            "" => when(root.last_full_pass_at),
            why => format!("{} ({})", when(root.last_full_pass_at), one_line(why)),
        };
        table.row(vec![
            Cell::new(escape(&root.collection), Tone::Strong),
            Cell::new(escape(&root.state), state_tone(&root.state)),
            escape(&root.backend).into_owned().into(),
            when(root.last_event_at).into(),
            pass.into(),
            Cell::new(one_line(&root.reason), Tone::Dim),
        ]);
    }
    context.out.line("")?;
    Ok(context.out.table(&table)?)
}

/// What needs a look.
pub(super) fn warnings(context: &mut Context, status: &v1::StatusResponse) -> Outcome {
    let out = &mut context.out;
    // A warning tells the same, and since when.
    let is_told = |error: &v1::ErrorDetail| {
        let mut told = status.warnings.iter().map(|warning| &warning.message);
        told.any(|message| *message == error.message)
    };
    if let Some(error) = status.error.as_ref().filter(|error| !is_told(error)) {
        let label = out.paint.apply(Tone::Bad, "error:");
        out.line(&format!("{label} {}", one_line(&error.message)))?;
        for hint in &error.hints {
            out.line(&format!("  {}", one_line(hint)))?;
        }
    }
    for warning in &status.warnings {
        let tone = match warning.severity.as_str() {
            "error" => Tone::Bad,
            "warning" => Tone::Warn,
            _ => Tone::Dim,
        };
        let label = out
            .paint
            .apply(tone, &format!("{}:", escape(&warning.severity)));
        let age = units::span(now().since(Timestamp(warning.since)));
        let since = out.paint.apply(Tone::Dim, &format!("(for {age})"));
        out.line(&format!("{label} {} {since}", one_line(&warning.message)))?;
        for hint in &warning.hints {
            out.line(&format!("  {}", one_line(hint)))?;
        }
    }
    Ok(())
}
