//! The user's service manager: whether it is there, how our service stands with it, starting and stopping.
//!
//! Where a service is installed its manager is in charge of the daemon: nothing here or elsewhere in this
//! program starts one beside it. The manager's programs run with a deadline and with no more of the
//! environment than they need.

mod survey;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use skillmeat_shared::child::{Failed, Finished, Program};
use skillmeat_shared::fs::read_bounded;
use skillmeat_shared::paths::{self, Environment, Home};
use skillmeat_shared::rendezvous::StartupReport;
use skillmeat_shared::service::{Ask, Call, Manager, Service, program};
use skillmeat_shared::{Code, Error, Result};

pub(crate) use survey::{Found, Survey, survey};

/// No file of a service is longer.
const MAX_FILE: u64 = 64 * 1024;

/// How long the manager may take to tell something.
const TELL: Duration = Duration::from_secs(5);
/// How long it may take to start or stop the service: longer than the daemon may take to end, and to start.
const ACT: Duration = Duration::from_secs(40);

/// What the manager's programs need of the environment.
const NEEDED: [&str; 5] = [
    "PATH",
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// A service and its manager.
#[derive(Debug)]
pub(crate) struct Control {
    service: Service,
    programs: Vec<PathBuf>,
    env: Vec<(OsString, OsString)>,
}

/// How the manager sees the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Whether it starts at a login.
    pub(crate) enabled: bool,
    /// Whether it runs.
    pub(crate) active: bool,
    /// The manager's own words.
    pub(crate) text: String,
    /// Whether its files have changed since the manager read them.
    pub(crate) outdated: bool,
}

impl Control {
    /// The service of a home and the manager of this system, whether or not they are there.
    pub(crate) fn of(home: &Home, env: &dyn Environment) -> Result<Self> {
        Self::under(Manager::native(), home, env)
    }

    fn under(manager: Manager, home: &Home, env: &dyn Environment) -> Result<Self> {
        let mut needed: Vec<(OsString, OsString)> = NEEDED
            .into_iter()
            .filter_map(|name| Some((name.into(), env.path(name)?.into())))
            .collect();
        let session = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
        // Programs started by `cron` or `su` lack the variable, but the session may be there.
        if env.path("XDG_RUNTIME_DIR").is_none() && paths::check_socket_dir(&session).is_ok() {
            needed.push(("XDG_RUNTIME_DIR".into(), session.into()));
        }
        needed.push(("LC_ALL".into(), "C".into()));
        let programs = env
            .path("PATH")
            .iter()
            .flat_map(std::env::split_paths)
            .filter(|folder| folder.is_absolute())
            .collect();
        Ok(Self {
            service: Service::new(manager, home, env)?,
            programs,
            env: needed,
        })
    }

    /// The service of a home if it is installed: then its manager is in charge.
    pub(crate) fn in_charge(home: &Home, env: &dyn Environment) -> Option<Self> {
        // Who has no home folder has no service in it.
        let control = Self::of(home, env).ok();
        control.filter(|control| control.service.is_installed())
    }

    /// The service.
    pub(crate) const fn service(&self) -> &Service {
        &self.service
    }

    /// The program that the installed service starts.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        let content = read_bounded(self.service.files().last()?, MAX_FILE).ok()?;
        program(&String::from_utf8_lossy(&content))
    }

    /// That the manager is there and answers.
    ///
    /// # Errors
    /// [`Code::ServiceUnavailable`] if it does not.
    pub(crate) fn presence(&self) -> Result<()> {
        self.service
            .calls(Ask::Presence)
            .iter()
            .try_for_each(|call| match self.run(call, TELL) {
                Ok(finished) if finished.status.success() => Ok(()),
                Ok(finished) => Err(self.unavailable(&said(&finished))),
                Err(why) => Err(self.unavailable(&why)),
            })
    }

    /// Asks the manager for something and waits until it is done.
    ///
    /// # Errors
    /// [`Code::ServiceUnavailable`] if it does not answer at all, [`Code::ServiceFailed`] if it refuses.
    pub(crate) fn ask(&self, ask: Ask) -> Result<()> {
        for call in self.service.calls(ask) {
            let why = match self.run(&call, ACT) {
                Ok(finished) if finished.status.success() => continue,
                Ok(finished) => said(&finished),
                Err(why) => why,
            };
            if call.may_fail {
                continue;
            }
            self.presence()?;
            return Err(self.failed(format!("`{call}` failed: {why}")));
        }
        Ok(())
    }

    /// The error of a manager that does not do what it was asked.
    pub(crate) fn failed(&self, why: String) -> Error {
        Error::new(Code::ServiceFailed, why)
            .hint(self.how_to_look())
            .hint("`sm daemon run` starts the daemon in the foreground, where you see it fail")
    }

    /// Has the manager start the service, and tells what the daemon said if it could not start.
    pub(crate) fn start(&self, home: &Home) -> Result<()> {
        let asked_at = SystemTime::now();
        self.ask(Ask::Start).map_err(|error| match error.code {
            Code::ServiceUnavailable => without(error),
            _ => reported_since(home, asked_at).unwrap_or(error),
        })
    }

    /// That the manager could be asked to start the service.
    pub(crate) fn can_start(&self) -> Result<()> {
        self.presence().map_err(without)
    }

    /// How the service stands. `None` if the manager does not know it.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        let mut told = String::new();
        for call in self.service.calls(Ask::State) {
            let finished = self
                .run(&call, TELL)
                .map_err(|why| self.unavailable(&why))?;
            if !finished.status.success() {
                return Ok(None);
            }
            told.push_str(&String::from_utf8_lossy(&finished.stdout));
        }
        Ok(match self.service.manager() {
            Manager::Systemd => systemd_state(&told),
            Manager::Launchd => Some(launchd_state(&told)),
        })
    }

    /// Whether services run on when nobody is logged in. `None` if that can't be told, or is no question.
    pub(crate) fn lingers(&self) -> Option<bool> {
        let calls = self.service.calls(Ask::Linger);
        let finished = self.run(calls.first()?, TELL).ok()?;
        match String::from_utf8_lossy(&finished.stdout).trim() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }

    fn run(&self, call: &Call, deadline: Duration) -> Result<Finished, String> {
        let program = self
            .programs
            .iter()
            .map(|folder| folder.join(call.program))
            .find(|path| path.is_file())
            .ok_or_else(|| format!("the program `{}` is not installed", call.program))?;
        let program = self
            .env
            .iter()
            .fold(Program::new(program), |program, (name, value)| {
                program.env(name, value)
            });
        program
            .args(&call.args)
            .deadline(deadline)
            .run()
            .map_err(|error| match error {
                Failed::TimedOut(..) => format!("no answer within {} s", deadline.as_secs()),
                Failed::Io(..) | Failed::Stopped(_) => error.to_string(),
            })
    }

    fn unavailable(&self, why: &str) -> Error {
        Error::new(
            Code::ServiceUnavailable,
            format!(
                "the service manager {} can't be reached: {why}",
                self.service.manager().as_str()
            ),
        )
        .hint("run the command in a login session of your own, not through `su`, `sudo` or `cron`")
        .hint("in a container there is none: let `skillmeatd` be the main process")
    }

    fn how_to_look(&self) -> String {
        match self.service.manager() {
            Manager::Systemd => format!(
                "look at `journalctl --user --unit {}` and `sm daemon logs`",
                self.service.name()
            ),
            Manager::Launchd => "look at `sm daemon logs`".to_owned(),
        }
    }
}

/// What to do where the manager is in charge and not there.
fn without(error: Error) -> Error {
    error.hint("`sm service uninstall` lets commands start the daemon themselves again")
}

/// The first line that a program complained in, or how it ended.
fn said(finished: &Finished) -> String {
    let text = String::from_utf8_lossy(&finished.stderr).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| finished.status.to_string(), ToOwned::to_owned)
}

/// The error of a start that failed after this moment, in the daemon's own words.
fn reported_since(home: &Home, moment: SystemTime) -> Option<Error> {
    let path = home.last_start();
    let written = std::fs::metadata(&path).ok()?.modified().ok()?;
    // File systems may know whole seconds only.
    if written + Duration::from_secs(2) < moment {
        return None;
    }
    StartupReport::load(&path).ok()??.into_result().err()
}

fn systemd_state(told: &str) -> Option<State> {
    let value = |key: &str| {
        told.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default()
    };
    if matches!(value("LoadState"), "" | "not-found") {
        return None;
    }
    let (active, sub) = (value("ActiveState"), value("SubState"));
    let mut text = if sub.is_empty() {
        active.to_owned()
    } else {
        format!("{active} ({sub})")
    };
    let result = value("Result");
    if !matches!(result, "" | "success") {
        text.push_str(": ");
        text.push_str(result);
    }
    Some(State {
        enabled: value("UnitFileState").starts_with("enabled"),
        active: active == "active",
        text,
        outdated: value("NeedDaemonReload") == "yes",
    })
}

fn launchd_state(told: &str) -> State {
    let text = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("state = "))
        .unwrap_or("loaded")
        .to_owned();
    State {
        enabled: true,
        active: text == "running",
        text,
        outdated: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_tells_is_understood() {
        let told = "LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled\nNeedDaemonReload=yes\nResult=exit-code\n";
        let state = systemd_state(told).unwrap();
        assert_eq!(
            state,
            State {
                enabled: true,
                active: false,
                text: "failed (failed): exit-code".to_owned(),
                outdated: true,
            }
        );
        assert_eq!(
            systemd_state("LoadState=not-found\nActiveState=inactive\n"),
            None
        );
        assert_eq!(systemd_state(""), None);
    }

    #[test]
    fn what_launchd_tells_is_understood() {
        let told = "gui/501/x = {\n\tactive count = 1\n\tstate = running\n}\n";
        let state = launchd_state(told);
        assert!(state.active && state.enabled);
        assert_eq!(launchd_state("").text, "loaded");
    }

    /// A manager's program that notes its arguments, and fails for some of them.
    fn stand_in(folder: &std::path::Path, name: &str, fails_for: &str) -> Control {
        use std::os::unix::fs::PermissionsExt as _;
        let script = format!(
            "#!/bin/sh\necho \"$*\" >>{0}/asked\ncase $1 in {fails_for}) echo 'no such thing' >&2; exit 3 ;; esac\necho 'state = running'\n",
            folder.display()
        );
        let program = folder.join(name);
        skillmeat_shared::fs::write(&program, script.as_bytes(), 0o700).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let manager = if name == "launchctl" {
            Manager::Launchd
        } else {
            Manager::Systemd
        };
        let env = std::collections::BTreeMap::from([
            ("HOME".to_owned(), folder.display().to_string()),
            ("PATH".to_owned(), folder.display().to_string()),
        ]);
        Control::under(manager, &Home::at(folder.join(".skillmeat")), &env).unwrap()
    }

    #[test]
    fn launchd_is_asked_step_by_step_and_may_not_know_us_yet() {
        let folder = tempfile::tempdir().unwrap();
        let control = stand_in(folder.path(), "launchctl", "bootout");
        control.presence().unwrap();
        control.ask(Ask::Enable).unwrap();
        let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
        let steps: Vec<&str> = asked
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(steps, ["print", "bootout", "enable", "bootstrap"]);
        assert!(control.state().unwrap().unwrap().active);
        assert_eq!(control.lingers(), None);
    }

    #[test]
    fn a_refusal_is_told_in_the_managers_words() {
        let folder = tempfile::tempdir().unwrap();
        let control = stand_in(folder.path(), "launchctl", "kickstart");
        let error = control.ask(Ask::Start).unwrap_err();
        assert_eq!(error.code, Code::ServiceFailed);
        assert!(
            error.message.contains("kickstart") && error.message.contains("no such thing"),
            "{error}"
        );
        let control = stand_in(folder.path(), "systemctl", "--user");
        let error = control.ask(Ask::Start).unwrap_err();
        assert_eq!(error.code, Code::ServiceUnavailable);
        assert!(error.hints.iter().any(|hint| hint.contains("container")));
    }

    #[test]
    fn only_a_report_of_this_start_counts() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        paths::ensure_private_dir(&home.run_dir()).unwrap();
        let began = SystemTime::now();
        assert_eq!(reported_since(&home, began), None);
        let failure = Error::new(Code::HomeUnusable, "no");
        StartupReport::from(&failure)
            .save(&home.last_start())
            .unwrap();
        assert_eq!(reported_since(&home, began), Some(failure));
        assert_eq!(reported_since(&home, began + Duration::from_mins(1)), None);
    }
}
