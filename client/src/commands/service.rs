//! `sm service`: the daemon as a service of the user's service manager.

use std::path::{Path, PathBuf};

use serde::Serialize;
use skillmeat_shared::fs::FileLock;
use skillmeat_shared::rendezvous::Rendezvous;
use skillmeat_shared::service::{Ask, Call, Standing};
use skillmeat_shared::{Code, Error};

use super::{Context, Outcome, daemon};
use crate::cli::{ServiceArgs, ServiceCommand};
use crate::connect;
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::service::{Control, Found, Survey, survey};

/// What happens, or happened, to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Create,
    Replace,
    Unchanged,
    Remove,
}

/// A file and what becomes of it.
struct Change {
    found: Found,
    content: String,
    action: Action,
}

/// The JSON of `sm service install` and `uninstall`.
#[derive(Serialize)]
struct Changed {
    name: String,
    manager: &'static str,
    dry_run: bool,
    files: Vec<ChangedFile>,
    commands: Vec<String>,
    linger: Option<bool>,
}

#[derive(Serialize)]
struct ChangedFile {
    path: String,
    action: Action,
}

/// The JSON of `sm service status`.
#[derive(Serialize)]
struct Status {
    name: String,
    manager: &'static str,
    reachable: bool,
    installed: bool,
    edited: bool,
    enabled: Option<bool>,
    active: Option<bool>,
    state: Option<String>,
    files: Vec<String>,
    program: Option<String>,
    expected_program: Option<String>,
    moved: bool,
    linger: Option<bool>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    message: String,
    hint: String,
}

pub(super) async fn run(context: &mut Context, command: ServiceCommand) -> Outcome {
    match command {
        ServiceCommand::Install(args) => install(context, args).await,
        ServiceCommand::Uninstall(args) => uninstall(context, args),
        ServiceCommand::Status { .. } => show(context),
    }
}

async fn install(context: &mut Context, args: ServiceArgs) -> Outcome {
    let home = context.home()?;
    let control = Control::of(&home, &context.env)?;
    let program = connect::program(&context.env)?;
    let mut changes = Vec::new();
    for file in control.service().render(&program)? {
        let found = Found::at(file.path)?;
        let action = match found.standing {
            None => Action::Create,
            Some(Standing::Ours) if found.content.as_deref() == Some(file.content.as_bytes()) => {
                Action::Unchanged
            }
            Some(Standing::Ours) => Action::Replace,
            Some(standing) if !args.force => return Err(not_ours(&found.path, standing).into()),
            Some(_) => Action::Replace,
        };
        changes.push(Change {
            found,
            content: file.content,
            action,
        });
    }
    let same = changes
        .iter()
        .all(|change| change.action == Action::Unchanged);
    let asks: &[Ask] = if same {
        &[Ask::Enable]
    } else {
        &[Ask::Reload, Ask::Renew]
    };
    if !args.dry_run {
        control.presence()?;
        // Until the manager has the service, no other command may start a daemon or wait for one in vain.
        let held = FileLock::acquire(&home.start_lock(), daemon::START_LOCK)?;
        make_way(context).await?;
        let mut done =
            write(&changes).and_then(|()| asks.iter().try_for_each(|ask| control.ask(*ask)));
        drop(held);
        if done.is_ok() {
            done = context.session().await.map(drop);
        }
        if let Err(error) = done {
            take_back(&control, &changes);
            return Err(error.hint("what was installed has been taken back").into());
        }
    }
    report(context, &control, &changes, asks, args.dry_run)
}

/// Ends a daemon that a command has started. One in somebody's foreground is not ours to end.
async fn make_way(context: &Context) -> Outcome {
    let home = context.home()?;
    let Some(running) = Rendezvous::load(&home.rendezvous())? else {
        return Ok(());
    };
    match running.manager.as_str() {
        "auto" => daemon::stop_held(context, &home, false).await.map(drop),
        "foreground" if connect::is_owned(&home)? => Err(Error::new(
            Code::DaemonAlreadyRunning,
            format!("a daemon (pid {}) runs in the foreground", running.pid),
        )
        .hint("end it, then run the command again")
        .into()),
        _ => Ok(()),
    }
}

fn write(changes: &[Change]) -> skillmeat_shared::Result<()> {
    for change in changes {
        if change.action == Action::Unchanged {
            continue;
        }
        if let Some(folder) = change.found.path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, &error))?;
        }
        if let (Some(before), Some(Standing::Edited | Standing::Foreign)) =
            (&change.found.content, change.found.standing)
        {
            skillmeat_shared::fs::write(&saved(&change.found.path), before, 0o644)?;
        }
        skillmeat_shared::fs::write(&change.found.path, change.content.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Where a file is kept that somebody had changed.
fn saved(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".saved");
    name.into()
}

/// After a start that failed: everything as it was before, as far as that is possible.
fn take_back(control: &Control, changes: &[Change]) {
    let fresh = changes.iter().all(|change| change.action == Action::Create);
    if fresh {
        control.ask(Ask::Disable).ok();
    }
    for change in changes {
        match (&change.found.content, change.action) {
            (_, Action::Unchanged | Action::Remove) => {}
            (Some(before), _) => {
                skillmeat_shared::fs::write(&change.found.path, before, 0o644).ok();
            }
            (None, _) => {
                std::fs::remove_file(&change.found.path).ok();
            }
        }
    }
    control.ask(Ask::Reload).ok();
    if !fresh {
        control.ask(Ask::Renew).ok();
    }
}

fn not_ours(path: &Path, standing: Standing) -> Error {
    let (what, hint) = match standing {
        Standing::Edited => (
            "somebody has changed it since `sm` wrote it",
            "`--force` goes on all the same; changes of yours are better kept with `systemctl --user edit`",
        ),
        _ => (
            "`sm` did not write it",
            "move the file away; `sm service install --force` saves it beside the new one",
        ),
    };
    Error::new(
        Code::ServiceEdited,
        format!("`{}` is left alone: {what}", path.display()),
    )
    .hint(hint)
    .at(path, None)
}

fn uninstall(context: &mut Context, args: ServiceArgs) -> Outcome {
    let home = context.home()?;
    let Survey {
        control,
        files,
        unreachable,
        ..
    } = survey(&home, &context.env)?;
    let mut changes = Vec::new();
    for found in files {
        match found.standing {
            None => continue,
            Some(Standing::Ours) => {}
            Some(Standing::Edited) if args.force => {}
            Some(standing) => return Err(not_ours(&found.path, standing).into()),
        }
        changes.push(Change {
            found,
            content: String::new(),
            action: Action::Remove,
        });
    }
    if changes.is_empty() {
        if context.out.json {
            return report(context, &control, &changes, &[], args.dry_run);
        }
        context.out.note("no service is installed");
        return Ok(());
    }
    let asks: (&[Ask], &[Ask]) = match unreachable {
        None => (&[Ask::Disable], &[Ask::Reload]),
        Some(_) => (&[], &[]),
    };
    if !args.dry_run {
        let stopped = asks.0.iter().try_for_each(|ask| control.ask(*ask));
        if !args.force {
            stopped?;
        }
        remove(&control, &changes)?;
        asks.1.iter().try_for_each(|ask| control.ask(*ask))?;
        if let Some(error) = unreachable {
            context.out.warning(&format!(
                "{}; a daemon that it runs goes on until your sessions end",
                error.message
            ));
        }
    }
    let asks = [asks.0, asks.1].concat();
    report(context, &control, &changes, &asks, args.dry_run)
}

fn remove(control: &Control, changes: &[Change]) -> skillmeat_shared::Result<()> {
    // The manager has removed these, if it could be reached.
    for (link, leads_to) in control.service().links() {
        if std::fs::read_link(&link).is_ok_and(|found| found == leads_to) {
            std::fs::remove_file(&link).map_err(|error| Error::io("remove", &link, &error))?;
        }
    }
    for change in changes {
        let path = &change.found.path;
        std::fs::remove_file(path).map_err(|error| Error::io("remove", path, &error))?;
    }
    Ok(())
}

fn report(
    context: &mut Context,
    control: &Control,
    changes: &[Change],
    asks: &[Ask],
    dry_run: bool,
) -> Outcome {
    let service = control.service();
    let calls: Vec<Call> = asks.iter().flat_map(|ask| service.calls(*ask)).collect();
    let installs = changes.iter().any(|change| change.action != Action::Remove);
    let linger = control.lingers().filter(|_| installs);
    if context.out.json {
        context.out.document(&Changed {
            name: service.name().to_owned(),
            manager: service.manager().as_str(),
            dry_run,
            files: changes
                .iter()
                .map(|change| ChangedFile {
                    path: change.found.path.display().to_string(),
                    action: change.action,
                })
                .collect(),
            commands: calls.iter().map(ToString::to_string).collect(),
            linger,
        })?;
        return Ok(());
    }
    for change in changes {
        let label = match (change.action, dry_run) {
            (Action::Create | Action::Replace, true) => "would write",
            (Action::Create | Action::Replace, false) => "wrote",
            (Action::Unchanged, _) => "unchanged",
            (Action::Remove, true) => "would remove",
            (Action::Remove, false) => "removed",
        };
        let path = change.found.path.display().to_string();
        context.out.field(label, &escape(&path))?;
        if dry_run && matches!(change.action, Action::Create | Action::Replace) {
            for line in change.content.lines() {
                context.out.line(&format!("    {}", escape(line)))?;
            }
        }
    }
    for call in calls {
        let label = if dry_run { "would run" } else { "ran" };
        let call = call.to_string();
        if dry_run || context.out.verbose {
            context.out.field(label, &escape(&call))?;
        }
    }
    if !dry_run && installs {
        context
            .out
            .note("the service runs, and starts at every login");
    }
    if linger == Some(false) {
        context
            .out
            .note("it ends with your last session: `loginctl enable-linger` lets it run on");
    }
    Ok(())
}

fn show(context: &mut Context) -> Outcome {
    let home = context.home()?;
    let survey = survey(&home, &context.env)?;
    let service = survey.control.service();
    let path = |path: &PathBuf| path.display().to_string();
    let problems = survey.problems();
    if context.out.json {
        let state = survey.state.as_ref();
        context.out.document(&Status {
            name: service.name().to_owned(),
            manager: service.manager().as_str(),
            reachable: survey.unreachable.is_none(),
            installed: survey.is_installed(),
            edited: survey.is_edited(),
            enabled: state.map(|state| state.enabled),
            active: state.map(|state| state.active),
            state: state.map(|state| state.text.clone()),
            files: service.files().iter().map(path).collect(),
            program: survey.program.as_ref().map(path),
            expected_program: survey.expected.as_ref().map(path),
            moved: survey.has_moved(),
            linger: survey.lingers,
            problems: problems
                .into_iter()
                .map(|(message, hint)| Problem { message, hint })
                .collect(),
        })?;
        return Ok(());
    }
    let out = &mut context.out;
    let standing = match (survey.is_installed(), survey.is_edited()) {
        (false, _) => out.paint.apply(Tone::Warn, "not installed"),
        (true, true) => "installed, with changes of yours".to_owned(),
        (true, false) => "installed".to_owned(),
    };
    out.field("service", &format!("{}: {standing}", service.name()))?;
    let manager = service.manager().as_str();
    out.field(
        "manager",
        &match &survey.unreachable {
            None => manager.to_owned(),
            Some(_) => format!(
                "{manager}, {}",
                out.paint.apply(Tone::Warn, "can't be reached")
            ),
        },
    )?;
    if let Some(state) = &survey.state {
        let enabled = if state.enabled { "enabled" } else { "disabled" };
        let tone = if state.active { Tone::Good } else { Tone::Warn };
        let text = out.paint.apply(tone, &one_line(&state.text));
        out.field("state", &format!("{text}, {enabled}"))?;
    }
    if let Some(program) = &survey.program {
        out.field("program", &escape(&path(program)))?;
    }
    if survey.is_installed() {
        for file in service.files() {
            out.field("file", &escape(&path(&file)))?;
        }
        if let Some(lingers) = survey.lingers {
            out.field("linger", if lingers { "yes" } else { "no" })?;
        }
    }
    for (message, hint) in problems {
        let label = out.paint.apply(Tone::Warn, "warning:");
        out.line(&format!("{label} {}", one_line(&message)))?;
        out.line(&format!("  {}", one_line(&hint)))?;
    }
    Ok(())
}
