//! How a service manager is asked: programs and arguments, nothing more.

use super::{Manager, Service};

/// What a manager is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Whether it is there.
    Presence,
    /// How the service stands.
    State,
    /// Whether services run on when nobody is logged in.
    Linger,
    /// To read the files again.
    Reload,
    /// To start the service now, and at every login.
    Enable,
    /// The same for one whose files have changed.
    Renew,
    /// To stop it, and to start it no more.
    Disable,
    /// To start it.
    Start,
    /// To stop it.
    Stop,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub program: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
    /// Whether it does not matter if it fails: it only tidies up.
    pub may_fail: bool,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

impl Service {
    /// The programs that ask the manager for something, in their order.
    pub fn calls(&self, ask: Ask) -> Vec<Call> {
        match self.manager {
            Manager::Systemd => self.systemd(ask),
            Manager::Launchd => self.launchd(ask),
        }
    }

    fn systemd(&self, ask: Ask) -> Vec<Call> {
        let units = self.units();
        let both: Vec<&str> = units.iter().map(String::as_str).collect();
        let service = both.last().copied().unwrap_or_default();
        let ctl = |args: &[&str], of: &[&str]| Call {
            program: "systemctl",
            args: ["--user", "--no-ask-password"]
                .iter()
                .chain(args)
                .chain(of)
                .map(|arg| (*arg).to_owned())
                .collect(),
            may_fail: false,
        };
        // A start that failed too often would be refused otherwise.
        let forgiven = Call {
            may_fail: true,
            ..ctl(&["reset-failed"], &both)
        };
        match ask {
            Ask::Presence => vec![ctl(&["show", "--property=Version", "--value"], &[])],
            Ask::State => vec![ctl(
                &[
                    "show",
                    "--property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,Result",
                ],
                &[service],
            )],
            Ask::Linger => vec![Call {
                program: "loginctl",
                args: vec![
                    "show-user".to_owned(),
                    self.uid.to_string(),
                    "--property=Linger".to_owned(),
                    "--value".to_owned(),
                ],
                may_fail: true,
            }],
            Ask::Reload => vec![ctl(&["daemon-reload"], &[])],
            Ask::Enable => vec![forgiven, ctl(&["enable", "--now"], &both)],
            Ask::Renew => vec![forgiven, ctl(&["enable"], &both), ctl(&["restart"], &both)],
            Ask::Disable => vec![ctl(&["disable", "--now"], &both), forgiven],
            Ask::Start => vec![forgiven, ctl(&["start"], &[service])],
            Ask::Stop => vec![ctl(&["stop"], &[service])],
        }
    }

    fn launchd(&self, ask: Ask) -> Vec<Call> {
        let domain = format!("gui/{}", self.uid);
        let target = format!("{domain}/{}", self.name);
        let file = self
            .files()
            .pop()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        let ctl = |args: &[&str]| Call {
            program: "launchctl",
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            may_fail: false,
        };
        // Also stops it. Fails if it is not loaded.
        let unload = Call {
            may_fail: true,
            ..ctl(&["bootout", &target])
        };
        let load = || {
            [
                ctl(&["enable", &target]),
                ctl(&["bootstrap", &domain, &file]),
            ]
        };
        match ask {
            Ask::Presence => vec![ctl(&["print", &domain])],
            Ask::State => vec![ctl(&["print", &target])],
            Ask::Linger | Ask::Reload => Vec::new(),
            Ask::Enable | Ask::Renew => [unload].into_iter().chain(load()).collect(),
            Ask::Disable => vec![unload],
            Ask::Start => vec![ctl(&["kickstart", &target])],
            Ask::Stop => vec![ctl(&["kill", "SIGTERM", &target])],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::paths::Home;

    fn lines(manager: Manager, ask: Ask) -> Vec<String> {
        let env = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
        let home = Home::at("/home/ada/.skillmeat");
        let mut service = Service::new(manager, &home, &env).unwrap();
        service.uid = 1000;
        service.calls(ask).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn systemd_is_asked_as_its_user_manager() {
        let told = lines(Manager::Systemd, Ask::Renew);
        assert_eq!(
            told,
            [
                "systemctl --user --no-ask-password reset-failed skillmeatd.socket skillmeatd.service",
                "systemctl --user --no-ask-password enable skillmeatd.socket skillmeatd.service",
                "systemctl --user --no-ask-password restart skillmeatd.socket skillmeatd.service",
            ]
        );
        for ask in [
            Ask::Presence,
            Ask::State,
            Ask::Reload,
            Ask::Start,
            Ask::Stop,
        ] {
            assert!(
                lines(Manager::Systemd, ask)
                    .iter()
                    .all(|line| line.starts_with("systemctl --user "))
            );
        }
        assert_eq!(
            lines(Manager::Systemd, Ask::Linger),
            ["loginctl show-user 1000 --property=Linger --value"]
        );
    }

    #[test]
    fn launchd_is_asked_in_the_users_domain() {
        let label = "io.github.skillmeat.skillmeatd";
        assert_eq!(
            lines(Manager::Launchd, Ask::Enable),
            [
                format!("launchctl bootout gui/1000/{label}"),
                format!("launchctl enable gui/1000/{label}"),
                format!(
                    "launchctl bootstrap gui/1000 /home/ada/Library/LaunchAgents/{label}.plist"
                ),
            ]
        );
        assert_eq!(
            lines(Manager::Launchd, Ask::Start),
            [format!("launchctl kickstart gui/1000/{label}")]
        );
        assert!(lines(Manager::Launchd, Ask::Linger).is_empty());
    }
}
