//! Shell completion: the script that a shell loads, and the answers to what it asks.
//!
//! Answers come from the daemon if it runs. Completion never starts one, never waits for long, and never
//! says a word when it fails: a shell has no place for it.

use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Duration;

use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;
use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::deployment::agents::Agents;
use skillmeat_shared::paths::{Home, ProcessEnvironment};
use skillmeat_shared::{Code, Error, Kind, config};

use super::{Context, Outcome};
use crate::cli::Shell;
use crate::connect::existing;
use crate::output::escape::one_line;
use crate::output::table::truncate;

/// Set by the scripts when they ask for completions.
const VARIABLE: &str = "SM_COMPLETE";
/// How long a person waits for a list after pressing a key.
const PATIENCE: Duration = Duration::from_millis(300);
/// The room beside a candidate, in columns of the terminal.
const HELP_WIDTH: usize = 60;
/// More than anybody reads.
const MOST: u32 = 200;

/// What bash runs before it asks. It splits words at `:` and `=`, and what stands before these in the word at the cursor
/// stays in the line; so does what stands before a `'` that was put between single quotes. No name has a backslash of
/// its own.
const JOIN_FOR_BASH: &str = r#"
    local at piece last=-1 head= line=$COMP_LINE
    words=()
    for at in "${!COMP_WORDS[@]}"; do
        piece=${COMP_WORDS[at]}
        if [[ $at -eq 0 || $line == [[:space:]]* ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            words[++last]=
        fi
        line=${line#"$piece"}
        if [[ $at -eq $COMP_CWORD ]]; then
            head=${words[last]//\\/}
            [[ $piece =~ ^[:=]+$ ]] && head+=$piece
            if [[ $piece == \'*"'\\''"* ]]; then
                piece=${piece#?}
                piece=${piece%"$2"}
                head+=${piece//"'\\''"/\'}
            fi
            piece=$head${2//\\/}
            words[last]=
            _CLAP_COMPLETE_INDEX=$last
        fi
        words[last]+=$piece
    done
    COMPREPLY=("#;

/// What bash runs before it shows candidates. It puts them into the line as they are, so they are quoted there. Where a
/// quote is open, only what would end it or mean something in it is.
const QUOTE_FOR_BASH: &str = r#"
    for at in "${!COMPREPLY[@]}"; do
        piece=${COMPREPLY[at]#"$head"}
        case ${COMP_WORDS[COMP_CWORD]} in
            \'*) piece=${piece//\'/"'\\''"} ;;
            \"*) for line in \\ \$ \` \"; do piece=${piece//"$line"/"\\$line"}; done ;;
            *) printf -v piece '%q' "$piece" ;;
        esac
        COMPREPLY[at]=$piece
    done
}
"#;

/// The JSON of `sm completions`.
#[derive(Serialize)]
struct Script<'a> {
    shell: &'a str,
    script: &'a str,
}

/// Answers a shell that asks for completions. `None` if this is an ordinary run.
pub(crate) fn complete() -> Option<ExitCode> {
    std::env::var_os(VARIABLE)?;
    let completed = CompleteEnv::with_factory(crate::command)
        .var(VARIABLE)
        .bin("sm")
        .completer("sm")
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    match completed {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => None,
        Err(_) => Some(ExitCode::FAILURE),
    }
}

pub(super) fn run(context: &mut Context, shell: Shell) -> Outcome {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Elvish => "elvish",
    };
    // Both names of the program.
    let names = match shell {
        Shell::Bash | Shell::Zsh => "sm skillmeat",
        Shell::Fish => "sm --command skillmeat",
        _ => "sm",
    };
    let shells = Shells::builtins();
    let completer = shells
        .completer(name)
        .ok_or_else(|| Error::new(Code::Internal, format!("no completions for `{name}`")))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "sm", "BOTH", "sm", &mut script)?;
    let mut script = String::from_utf8_lossy(&script).replace("BOTH", names);
    if shell == Shell::Bash {
        script = quoting(&script);
    }
    if context.out.json {
        context.out.document(&Script {
            shell: name,
            script: &script,
        })?;
    } else {
        context.out.raw(script.as_bytes())?;
    }
    Ok(())
}

/// The script for bash with whole words and quoted ones.
fn quoting(script: &str) -> String {
    script
        .replacen("\n    COMPREPLY=(", JOIN_FOR_BASH, 1)
        .replacen("\n}\n", QUOTE_FOR_BASH, 1)
}

/// Names of artifacts that begin like this.
pub(crate) fn artifacts(current: &OsStr) -> Vec<CompletionCandidate> {
    ask(current, "artifact")
}

/// Names of collections that begin like this.
pub(crate) fn collections(current: &OsStr) -> Vec<CompletionCandidate> {
    ask(current, "collection")
}

/// Tags that begin like this.
pub(crate) fn tags(current: &OsStr) -> Vec<CompletionCandidate> {
    ask(current, "tag")
}

/// Groups that begin like this.
pub(crate) fn groups(current: &OsStr) -> Vec<CompletionCandidate> {
    ask(current, "group")
}

/// Kinds that begin like this.
pub(crate) fn kinds(current: &OsStr) -> Vec<CompletionCandidate> {
    starting(current, Kind::KNOWN.iter().map(Kind::as_str))
}

/// Agents that begin like this.
pub(crate) fn agents(current: &OsStr) -> Vec<CompletionCandidate> {
    let home = Home::resolve(None, &ProcessEnvironment);
    match home.and_then(|home| Agents::load(&home)) {
        Ok(agents) => starting(current, agents.iter().map(|agent| agent.id.as_str())),
        Err(_) => Vec::new(),
    }
}

/// Config keys that begin like this.
pub(crate) fn config_keys(current: &OsStr) -> Vec<CompletionCandidate> {
    starting(current, config::keys::KEYS.iter().map(|key| key.name))
}

fn starting<'a>(current: &OsStr, all: impl Iterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    all.filter(|text| text.starts_with(current))
        .map(CompletionCandidate::new)
        .collect()
}

fn ask(current: &OsStr, what: &str) -> Vec<CompletionCandidate> {
    let Some(prefix) = current.to_str() else {
        return Vec::new();
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
    else {
        return Vec::new();
    };
    let request = v1::CompleteNamesRequest {
        prefix: prefix.to_owned(),
        what: what.to_owned(),
        limit: MOST,
    };
    let answer = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, names(request))
            .await
            .ok()
            .flatten()
    });
    let mut names = answer.unwrap_or_default();
    // Several collections may hold the same name.
    names.sort_by(|one, other| one.value.cmp(&other.value));
    names.dedup_by(|one, other| one.value == other.value);
    names
        .into_iter()
        // A line break would be two candidates to the shell.
        .filter(|candidate| !candidate.value.contains(char::is_control))
        .map(|candidate| {
            let help = truncate(&one_line(&candidate.help), HELP_WIDTH);
            let help = (!help.is_empty()).then(|| help.into());
            CompletionCandidate::new(candidate.value).help(help)
        })
        .collect()
}

/// What the daemon that runs answers; `None` whatever goes wrong.
async fn names(request: v1::CompleteNamesRequest) -> Option<Vec<v1::Completion>> {
    // The flags of the line that is being completed are not known here: the environment decides.
    let home = Home::resolve(None, &ProcessEnvironment).ok()?;
    let session = existing(&home, PATIENCE).await.ok()??;
    let answer: v1::CompleteNamesResponse = session.call(request).await.ok()?;
    Some(answer.completions)
}
