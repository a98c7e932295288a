//! `sm config`: the config file. It is read without the daemon; one that runs makes the changes, so that they
//! can be undone. Without one, and whatever its state, the file is edited here.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use serde_json::Value;
use skillmeat_proto::v1;
use skillmeat_proto::v1::change_config_request::Action;
use skillmeat_shared::config::{self, Origin, Setting};
use skillmeat_shared::fs::{self, Expected};
use skillmeat_shared::paths::{Environment as _, ensure_private_dir};
use skillmeat_shared::{Code, Error};

use super::{Context, Outcome, runtime};
use crate::cli::ConfigCommand;
use crate::connect::{self, Autostart, CALL};
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// The largest config file that is edited, and the longest value, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The JSON of a key and its value.
#[derive(Serialize)]
struct SettingJson<'a> {
    key: &'a str,
    value: &'a Value,
    /// `default`, `file` or `environment`.
    origin: &'static str,
    /// The variable, if the environment sets it.
    variable: Option<&'a str>,
    path: Option<String>,
    line: Option<u32>,
    secret: bool,
    /// Whether this version acts on it.
    used: bool,
    /// What the value must be.
    kind: &'a str,
    description: &'a str,
}

/// The JSON of `sm config list`.
#[derive(Serialize)]
struct ListJson<'a> {
    settings: Vec<SettingJson<'a>>,
    problems: Vec<skillmeat_shared::error::ErrorJson<'a>>,
}

/// The JSON of `sm config set` and `unset`.
#[derive(Serialize)]
struct ChangeJson<'a> {
    key: &'a str,
    changed: bool,
    path: String,
    /// None if no daemon ran that could have noted it.
    operation: Option<String>,
}

/// The JSON of `sm config edit`.
#[derive(Serialize)]
struct EditJson {
    changed: bool,
    path: String,
    /// None if nothing was changed, or no daemon ran that could have noted it.
    operation: Option<String>,
}

/// The JSON of `sm config path`.
#[derive(Serialize)]
struct PathJson {
    path: String,
    exists: bool,
}

impl<'a> From<&'a Setting> for SettingJson<'a> {
    fn from(setting: &'a Setting) -> Self {
        let (origin, variable, path, line) = match &setting.origin {
            Origin::Default => ("default", None, None, None),
            Origin::File { path, line } => {
                ("file", None, Some(path.display().to_string()), Some(*line))
            }
            Origin::Environment { name } => ("environment", Some(name.as_str()), None, None),
        };
        Self {
            key: &setting.key,
            value: &setting.value,
            origin,
            variable,
            path,
            line,
            secret: setting.secret,
            used: setting.used,
            kind: setting.kind,
            description: setting.description,
        }
    }
}

pub(super) fn run(context: &mut Context, command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Get { key } => get(context, &key),
        ConfigCommand::Set { key, value } => set(context, &key, value),
        ConfigCommand::Unset { key } => unset(context, &key),
        ConfigCommand::List { changed } => list(context, changed),
        ConfigCommand::Path => path(context),
        ConfigCommand::Edit => edit(context),
    }
}

fn load(context: &Context) -> Result<config::Loaded, Error> {
    Ok(config::load(&context.home()?, &context.env))
}

/// Problems of the file, each as a warning with its place.
fn warn(context: &Context, problems: &[Error]) {
    for problem in problems {
        let place = match (&problem.path, problem.line) {
            (Some(path), Some(line)) => format!("{}:{line}: ", escape(&path.display().to_string())),
            _ => String::new(),
        };
        let hints: Vec<String> = problem
            .hints
            .iter()
            .map(|hint| format!(" ({})", one_line(hint)))
            .collect();
        let hints = hints.concat();
        context
            .out
            .warning(&format!("{place}{}{hints}", one_line(&problem.message)));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text).into_owned(),
        other => other.to_string(),
    }
}

fn get(context: &mut Context, key: &str) -> Outcome {
    let loaded = load(context)?;
    let setting = loaded.setting(key)?;
    if context.out.json {
        context.out.document(&SettingJson::from(&*setting))?;
    } else {
        context.out.line(&plain(&setting.value))?;
        context.out.flush()?;
        warn(context, &loaded.problems);
    }
    Ok(())
}

/// Has a daemon that runs make a change. Nothing if there is none, or it is in no state to: the change must be
/// possible all the same, as it may be what mends that state.
fn by_daemon(context: &Context, action: Action) -> Result<Option<v1::ChangeConfigResponse>, Error> {
    let home = context.home()?;
    let deadline = context.deadline(CALL);
    let request = v1::ChangeConfigRequest {
        action: Some(action),
    };
    let answer = runtime()?.block_on(async {
        let session = connect::connect(&home, &context.env, Autostart::Never, deadline).await?;
        session.call(request).await
    });
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_of_config(error.code) => Err(error),
        Err(error) if error.code == Code::DaemonUnavailable => {
            context
                .out
                .detail(&format!("the file is edited without the daemon: {error}"));
            Ok(None)
        }
        Err(error) => {
            context.out.warning(&format!(
                "the file is edited without the daemon, so `sm undo` will not know of it: {error}"
            ));
            Ok(None)
        }
    }
}

/// Whether an error is about the config and what was asked, so that nobody else could do it either.
const fn is_of_config(code: Code) -> bool {
    matches!(
        code,
        Code::ConfigInvalid
            | Code::ConfigUnknownKey
            | Code::CollectionNotFound
            | Code::FileChanged
            | Code::FileTooLarge
    )
}

fn set(context: &mut Context, key: &str, value: String) -> Outcome {
    let home = context.home()?;
    let value = if value == "-" { read_stdin()? } else { value };
    let action = Action::Set(v1::SetKey {
        key: key.to_owned(),
        value: value.clone(),
    });
    let operation = if let Some(answer) = by_daemon(context, action)? {
        answer.operation
    } else {
        ensure_private_dir(home.root())?;
        config::set(&home, key, &value)?;
        String::new()
    };
    let loaded = load(context)?;
    let overridden = loaded
        .setting(key)
        .ok()
        .and_then(|setting| match &setting.origin {
            Origin::Environment { name } => Some(name.clone()),
            _ => None,
        });
    if let Some(name) = overridden {
        context
            .out
            .warning(&format!("the environment variable `{name}` overrides it"));
    }
    changed(context, key, true, operation)
}

fn read_stdin() -> Result<String, Error> {
    let failed = |error: &io::Error| Error::io("read", Path::new("standard input"), error);
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| failed(&error))?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

fn unset(context: &mut Context, key: &str) -> Outcome {
    let (was_there, operation) = match by_daemon(context, Action::Unset(key.to_owned()))? {
        Some(answer) => (answer.changed, answer.operation),
        None => (config::unset(&context.home()?, key)?, String::new()),
    };
    if !was_there {
        context
            .out
            .note(&format!("`{}` is not set in the file", escape(key)));
    }
    changed(context, key, was_there, operation)
}

fn changed(context: &mut Context, key: &str, changed: bool, operation: String) -> Outcome {
    if context.out.json {
        let path = context.home()?.config().display().to_string();
        context.out.document(&ChangeJson {
            key,
            changed,
            path,
            operation: Some(operation).filter(|operation| !operation.is_empty()),
        })?;
    }
    Ok(())
}

fn list(context: &mut Context, only_changed: bool) -> Outcome {
    let loaded = load(context)?;
    let shown = loaded
        .settings
        .iter()
        .filter(|setting| !only_changed || setting.origin != Origin::Default);
    if context.out.json {
        let list = ListJson {
            settings: shown.map(Into::into).collect(),
            problems: loaded.problems.iter().map(Into::into).collect(),
        };
        context.out.document(&list)?;
        return Ok(());
    }
    let mut columns = vec![
        Column::text("KEY"),
        Column::text("VALUE"),
        Column::text("FROM"),
    ];
    if context.out.verbose {
        columns.push(Column::prose("MEANING"));
    }
    let mut table = Table::new(columns);
    for setting in shown {
        // What is only kept for others and not set says nothing.
        if !setting.used && setting.origin == Origin::Default && !context.out.verbose {
            continue;
        }
        let from = match &setting.origin {
            Origin::Default => "default".to_owned(),
            Origin::File { line, .. } => format!("config.toml:{line}"),
            Origin::Environment { name } => format!("${name}"),
        };
        let ignored = !setting.used && setting.origin != Origin::Default;
        let from = if ignored {
            from + " (kept, not used)"
        } else {
            from
        };
        let tone = if setting.origin == Origin::Default {
            Tone::Dim
        } else {
            Tone::Good
        };
        table.row(vec![
            Cell::new(escape(&setting.key), Tone::Strong),
            plain(&setting.value).into(),
            Cell::new(escape(&from), tone),
            setting.description.into(),
        ]);
    }
    if table.is_empty() {
        context.out.note("every value is the default");
    } else {
        context.out.table(&table)?;
    }
    context.out.flush()?;
    warn(context, &loaded.problems);
    Ok(())
}

fn path(context: &mut Context) -> Outcome {
    let path = context.home()?.config();
    if context.out.json {
        let json = PathJson {
            path: path.display().to_string(),
            exists: path.exists(),
        };
        context.out.document(&json)?;
    } else {
        context.out.line(&escape(&path.display().to_string()))?;
    }
    Ok(())
}

/// Lets the user edit a copy, checks it, and puts it in place of the file unless the file has changed
/// meanwhile.
fn edit(context: &mut Context) -> Outcome {
    let home = context.home()?;
    let path = home.config();
    ensure_private_dir(home.root())?;
    let before = match fs::read_bounded(&path, MAX_BYTES) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.code == Code::FileNotFound => None,
        Err(error) => return Err(error.into()),
    };
    let expected = Expected::after_reading(before.as_deref());
    let text = before
        .clone()
        .unwrap_or_else(|| config::default_text().into());
    // In the home, as it may hold a token: nobody else may read there.
    let copy = home
        .root()
        .join(format!(".config-edit-{}.toml", std::process::id()));
    fs::create_new(&copy, &text, 0o600)?;
    let edited = loop {
        if let Err(error) = open_editor(context, &copy) {
            remove(&copy);
            return Err(error.into());
        }
        let bytes = fs::read_bounded(&copy, MAX_BYTES)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // What the environment gets wrong is no fault of the file.
        let mut problems = config::check(&home, &text, &BTreeMap::new());
        for problem in &mut problems {
            problem.path = problem.path.take().map(|_| copy.clone());
            // They speak of a config that is in use.
            problem.hints.clear();
        }
        if problems.is_empty() {
            break bytes;
        }
        warn(context, &problems);
        match again() {
            Answer::Edit => {}
            Answer::Keep => break bytes,
            Answer::Discard => {
                let kept = copy.display();
                return Err(Error::new(
                    Code::ConfigInvalid,
                    "the edited config has errors and was not kept",
                )
                .hint(format!("your text is in `{kept}`"))
                .into());
            }
        }
    };
    if before.as_deref() == Some(edited.as_slice()) {
        remove(&copy);
        return edited_to(context, &path, false, String::new());
    }
    let action = Action::Replace(v1::ReplaceConfig {
        before,
        text: edited.clone(),
    });
    let saved = match by_daemon(context, action) {
        Ok(Some(answer)) => Ok(answer.operation),
        Ok(None) => fs::swap(&path, &expected, &edited).map(|()| String::new()),
        Err(error) => Err(error),
    };
    match saved {
        Ok(operation) => {
            remove(&copy);
            edited_to(context, &path, true, operation)
        }
        Err(error) => Err(error
            .hint(format!("your text is in `{}`", copy.display()))
            .into()),
    }
}

/// Says what became of the file.
fn edited_to(context: &mut Context, path: &Path, changed: bool, operation: String) -> Outcome {
    if context.out.json {
        context.out.document(&EditJson {
            changed,
            path: path.display().to_string(),
            operation: Some(operation).filter(|operation| !operation.is_empty()),
        })?;
    } else if changed {
        context.out.note(&format!("saved {}", path.display()));
    } else {
        context.out.note("nothing was changed");
    }
    Ok(())
}

/// Removes the copy. It is of no more use; if it can't be removed it does no harm.
fn remove(copy: &Path) {
    std::fs::remove_file(copy).ok();
}

/// What to do with a text that has errors.
enum Answer {
    Edit,
    Keep,
    Discard,
}

/// Asks; who can't be asked does not want a broken file.
fn again() -> Answer {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Answer::Discard;
    }
    let mut line = String::new();
    let asked = write!(
        io::stderr(),
        "edit again, keep it as it is, or discard it? [e/k/d] "
    );
    match asked.and_then(|()| io::stdin().read_line(&mut line)) {
        Err(_) | Ok(0) => Answer::Discard,
        Ok(_) => match line.trim().chars().next().map(|c| c.to_ascii_lowercase()) {
            Some('k') => Answer::Keep,
            Some('d') => Answer::Discard,
            _ => Answer::Edit,
        },
    }
}

/// Runs `$VISUAL` or `$EDITOR`, which may carry arguments, as a shell would.
fn open_editor(context: &Context, file: &Path) -> Result<(), Error> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| {
            context
                .env
                .var(name)
                .filter(|value| !value.trim().is_empty())
        })
        .unwrap_or_else(|| "vi".to_owned());
    let failed = |why: &str| {
        Error::new(
            Code::InvalidArgument,
            format!("the editor `{editor}` {why}"),
        )
        .hint("set `VISUAL` or `EDITOR` to the command that opens your editor")
    };
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file)
        .status()
        .map_err(|error| failed(&format!("can't be started: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(&format!("failed ({status}); nothing was changed")))
    }
}
