//! `sm db`: current, history, upgrade, downgrade, check, vacuum, backup, restore.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error};

use super::{Context, Doing, Failure, Outcome, now};
use crate::cli::{BackupArgs, DbCommand, DowngradeArgs, RestoreArgs};
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// A large database is copied or checked in its own time.
const LONG: Duration = Duration::from_mins(10);

/// The exit code for a database that has damage.
const DAMAGED: u8 = 9;

/// The JSON of `sm db current`.
#[derive(Serialize)]
struct Current {
    path: String,
    state: String,
    schema: Option<u32>,
    known_schema: u32,
    size_bytes: u64,
    free_bytes: u64,
    log_bytes: u64,
    instance: String,
    error: Option<Trouble>,
    replaced_at: Option<String>,
    replaced_because: Option<String>,
    copies: Vec<String>,
}

#[derive(Serialize)]
struct Trouble {
    code: String,
    message: String,
    hints: Vec<String>,
}

/// The JSON of `sm db history`.
#[derive(Serialize)]
struct History {
    migrations: Vec<Migration>,
}

#[derive(Serialize)]
struct Migration {
    version: u32,
    title: String,
    applied: bool,
    applied_at: Option<String>,
    program: Option<String>,
}

/// The JSON of `sm db upgrade` and `sm db downgrade`.
#[derive(Serialize)]
struct Migrated {
    before: Option<u32>,
    after: u32,
    how: String,
}

/// The JSON of `sm db check`.
#[derive(Serialize)]
struct Checked {
    ok: bool,
    findings: Vec<String>,
    duration_us: u64,
    rebuilding: bool,
}

/// The JSON of `sm db vacuum`.
#[derive(Serialize)]
struct Vacuumed {
    before_bytes: u64,
    after_bytes: u64,
}

/// The JSON of `sm db backup`.
#[derive(Serialize)]
struct Copied {
    path: String,
    size_bytes: u64,
    schema: u32,
}

/// The JSON of `sm db restore`.
#[derive(Serialize)]
struct Restored {
    path: String,
    schema: u32,
}

pub(super) fn run(context: &mut Context, command: DbCommand) -> Doing<'_> {
    match command {
        DbCommand::Current => Box::pin(current(context)),
        DbCommand::History => Box::pin(history(context)),
        DbCommand::Upgrade { target } => Box::pin(migrate(context, target, false)),
        DbCommand::Downgrade(args) => Box::pin(downgrade(context, args)),
        DbCommand::Check { thorough } => Box::pin(check(context, thorough)),
        DbCommand::Vacuum => Box::pin(vacuum(context)),
        DbCommand::Backup(args) => Box::pin(backup(context, args)),
        DbCommand::Restore(args) => Box::pin(restore(context, args)),
    }
}

async fn current(context: &mut Context) -> Outcome {
    let session = context.session().await?;
    let answer: v1::DbCurrentResponse = session.call(v1::DbCurrentRequest {}).await?;
    if context.out.json {
        context.out.document(&Current {
            path: answer.path,
            state: answer.state,
            schema: answer.schema,
            known_schema: answer.known_schema,
            size_bytes: answer.size_bytes,
            free_bytes: answer.free_bytes,
            log_bytes: answer.log_bytes,
            instance: answer.instance,
            error: answer.error.map(|error| Trouble {
                code: error.code,
                message: error.message,
                hints: error.hints,
            }),
            replaced_at: answer.replaced_at.and_then(json::moment),
            replaced_because: answer.replaced_at.map(|_| answer.replaced_because),
            copies: answer.copies,
        })?;
        return Ok(());
    }
    let out = &mut context.out;
    out.field("database", &escape(&answer.path))?;
    out.field("state", &escape(&answer.state))?;
    let schema = answer
        .schema
        .map_or_else(|| "unknown".to_owned(), |schema| schema.to_string());
    out.field(
        "schema",
        &format!("{schema} (the daemon knows {})", answer.known_schema),
    )?;
    let (free, log) = (
        units::size(answer.free_bytes),
        units::size(answer.log_bytes),
    );
    let size = units::size(answer.size_bytes);
    out.field("size", &format!("{size}, of it {free} free and {log} log"))?;
    out.field("instance", &escape(&answer.instance))?;
    if let Some(at) = answer.replaced_at {
        let ago = units::ago(Timestamp(at), now());
        let why = one_line(&answer.replaced_because);
        out.field("built anew", &format!("{ago}: {why}"))?;
    }
    for copy in &answer.copies {
        out.field("copy", &escape(copy))?;
    }
    if let Some(error) = &answer.error {
        out.flush()?;
        out.warning(&one_line(&error.message));
        for hint in &error.hints {
            out.note(&format!("  hint: {}", one_line(hint)));
        }
    }
    Ok(())
}

async fn history(context: &mut Context) -> Outcome {
    let session = context.session().await?;
    let answer: v1::DbHistoryResponse = session.call(v1::DbHistoryRequest {}).await?;
    if context.out.json {
        let migrations = answer
            .migrations
            .into_iter()
            .map(|one| Migration {
                version: one.version,
                title: one.title,
                applied: one.applied,
                applied_at: one.applied_at.and_then(json::moment),
                program: Some(one.program).filter(|program| !program.is_empty()),
            })
            .collect();
        context.out.document(&History { migrations })?;
        return Ok(());
    }
    let now = now();
    let mut table = Table::new(vec![
        Column::number("SCHEMA"),
        Column::text("APPLIED"),
        Column::text("BY"),
        Column::text("WHAT"),
    ]);
    for one in &answer.migrations {
        let applied = match one.applied_at {
            Some(at) => units::ago(Timestamp(at), now),
            None if one.applied => "yes".to_owned(),
            None => "no".to_owned(),
        };
        let title = match one.title.as_str() {
            "" => "known to a newer skillmeatd only",
            title => title,
        };
        table.row(vec![
            one.version.to_string().into(),
            applied.into(),
            escape(&one.program).into_owned().into(),
            Cell::new(escape(title), Tone::Dim),
        ]);
    }
    context.out.table(&table)?;
    Ok(())
}

async fn downgrade(context: &mut Context, args: DowngradeArgs) -> Outcome {
    let session = context.session().await?;
    let now: v1::DbCurrentResponse = session.call(v1::DbCurrentRequest {}).await?;
    let target = args.target;
    // Where nothing would be done nobody is asked: the daemon says why.
    let leads_there =
        (1..=now.known_schema).contains(&target) && now.schema.is_none_or(|schema| target < schema);
    if leads_there {
        agreed(
            args.yes,
            &format!("take the cache down to schema {target}?"),
        )?;
    }
    migrate(context, Some(target), true).await
}

async fn migrate(context: &mut Context, target: Option<u32>, down: bool) -> Outcome {
    let session = context.session_for(LONG).await?;
    let answer: v1::DbMigrateResponse = session.call(v1::DbMigrateRequest { target, down }).await?;
    if context.out.json {
        context.out.document(&Migrated {
            before: answer.before,
            after: answer.after,
            how: answer.how,
        })?;
        return Ok(());
    }
    let after = answer.after;
    let text = match answer.how.as_str() {
        "none" => format!("the cache has schema {after} already"),
        "copy" => format!("the copy from before the migration was taken over, at schema {after}"),
        "anew" => format!("the cache was put aside; a new one has schema {after}"),
        _ => match answer.before {
            Some(before) => format!("the cache went from schema {before} to {after}"),
            None => format!("the cache has schema {after} now"),
        },
    };
    context.out.note(&text);
    Ok(())
}

async fn check(context: &mut Context, thorough: bool) -> Outcome {
    let session = context.session_for(LONG).await?;
    let answer: v1::DbCheckResponse = session.call(v1::DbCheckRequest { thorough }).await?;
    let ok = answer.findings.is_empty();
    let took = units::span(Duration::from_micros(answer.duration_us));
    if context.out.json {
        context.out.document(&Checked {
            ok,
            findings: answer.findings,
            duration_us: answer.duration_us,
            rebuilding: answer.rebuilding,
        })?;
    } else {
        for finding in &answer.findings {
            context.out.line(&one_line(finding))?;
        }
        context.out.flush()?;
        if ok {
            context.out.note(&format!("no damage found in {took}"));
        } else {
            context.out.note(if answer.rebuilding {
                "the cache is put aside and built anew from your files"
            } else {
                "`sm cache clear` builds the cache anew from your files"
            });
        }
    }
    if ok {
        Ok(())
    } else {
        Err(Failure::Told(DAMAGED))
    }
}

async fn vacuum(context: &mut Context) -> Outcome {
    let session = context.session_for(LONG).await?;
    let answer: v1::DbVacuumResponse = session.call(v1::DbVacuumRequest {}).await?;
    if context.out.json {
        context.out.document(&Vacuumed {
            before_bytes: answer.before_bytes,
            after_bytes: answer.after_bytes,
        })?;
    } else {
        let (before, after) = (
            units::size(answer.before_bytes),
            units::size(answer.after_bytes),
        );
        context.out.note(&format!("from {before} to {after}"));
    }
    Ok(())
}

async fn backup(context: &mut Context, args: BackupArgs) -> Outcome {
    let path = whole(&args.file)?;
    let session = context.session_for(LONG).await?;
    let request = v1::DbBackupRequest {
        path,
        force: args.force,
    };
    let answer: v1::DbBackupResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&Copied {
            path: answer.path,
            size_bytes: answer.size_bytes,
            schema: answer.schema,
        })?;
    } else {
        let size = units::size(answer.size_bytes);
        let path = escape(&answer.path);
        context.out.note(&format!("{size} written to `{path}`"));
    }
    Ok(())
}

async fn restore(context: &mut Context, args: RestoreArgs) -> Outcome {
    let path = whole(&args.file)?;
    // Before anybody is asked.
    std::fs::metadata(&path).map_err(|error| Error::io("read", Path::new(&path), &error))?;
    let question = format!("replace the cache by `{}`?", escape(&path));
    agreed(args.yes, &question)?;
    let session = context.session_for(LONG).await?;
    let request = v1::DbRestoreRequest { path: path.clone() };
    let answer: v1::DbRestoreResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&Restored {
            path,
            schema: answer.schema,
        })?;
    } else {
        let path = escape(&path);
        context.out.note(&format!(
            "`{path}` was taken over and compared with your files"
        ));
    }
    Ok(())
}

/// The absolute path as the daemon, which stands elsewhere, needs it.
pub(super) fn whole(path: &Path) -> Result<String, Error> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(
            Code::InvalidArgument,
            format!("`{}` is not UTF-8", absolute.display()),
        )
        .hint("name another file")
    })
}

/// Asks, unless the answer was given already. Who can't be asked has to give it.
pub(super) fn agreed(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let cancelled = Failure::Error(Error::new(Code::Interrupted, "nothing was changed"));
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Error::new(
            Code::InvalidArgument,
            "this needs an answer, and nobody can be asked",
        )
        .hint("run it with `--yes`")
        .into());
    }
    let mut line = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ");
    match asked.and_then(|()| io::stdin().read_line(&mut line)) {
        Ok(_) if matches!(line.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(cancelled),
    }
}
