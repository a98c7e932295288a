//! How the service of a home stands: its files, its program, its manager.

use std::path::{Path, PathBuf};

use skillmeat_shared::fs::read_bounded;
use skillmeat_shared::paths::{Environment, Home};
use skillmeat_shared::service::Standing;
use skillmeat_shared::{Code, Error, Result};

use super::{Control, MAX_FILE, State};
use crate::connect;

/// A file of the service as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its place.
    pub(crate) path: PathBuf,
    /// What stands in it; `None` if there is no file.
    pub(crate) content: Option<Vec<u8>>,
    /// Whose it is.
    pub(crate) standing: Option<Standing>,
}

impl Found {
    /// What stands at the place.
    pub(crate) fn at(path: PathBuf) -> Result<Self> {
        let content = match read_bounded(&path, MAX_FILE) {
            Ok(content) => Some(content),
            Err(error) if error.code == Code::FileNotFound => None,
            Err(error) => return Err(error),
        };
        // A link is somebody's arrangement, whatever it leads to; so it is if it leads nowhere.
        let linked = path
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink());
        let standing = match &content {
            _ if linked => Some(Standing::Foreign),
            Some(content) => Some(Standing::of(content)),
            None => None,
        };
        Ok(Self {
            path,
            content,
            standing,
        })
    }
}

/// How the service stands.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The service and its manager.
    pub(crate) control: Control,
    /// Its files.
    pub(crate) files: Vec<Found>,
    /// The program that it starts.
    pub(crate) program: Option<PathBuf>,
    /// The program that `sm` would start.
    pub(crate) expected: Option<PathBuf>,
    /// Why the manager can't be reached.
    pub(crate) unreachable: Option<Error>,
    /// How the manager sees it. `None` if it does not know it or can't be reached.
    pub(crate) state: Option<State>,
    /// Whether services run on when nobody is logged in.
    pub(crate) lingers: Option<bool>,
}

impl Survey {
    /// Whether all of its files are there.
    pub(crate) fn is_installed(&self) -> bool {
        self.files.iter().all(|file| file.standing.is_some())
    }

    /// Whether any of its files is not, or no longer, as we wrote it.
    pub(crate) fn is_edited(&self) -> bool {
        let foreign = |file: &Found| {
            file.standing
                .is_some_and(|standing| standing != Standing::Ours)
        };
        self.files.iter().any(foreign)
    }

    /// Whether it starts another program than `sm` would, or one that is gone.
    pub(crate) fn has_moved(&self) -> bool {
        let is_gone = |program: &Path| !program.is_file();
        self.program.as_deref().is_some_and(|program| {
            is_gone(program)
                || self
                    .expected
                    .as_deref()
                    .is_some_and(|other| other != program)
        })
    }

    /// What should be mended, and how.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        // Without `--force` a file with changes is left alone.
        let install = if self.is_edited() {
            "run `sm service install --force`, which keeps the changed file beside"
        } else {
            "run `sm service install`"
        };
        if !self.is_installed() {
            if self.files.iter().any(|file| file.standing.is_some()) {
                problems.push(("one of its files is missing".to_owned(), install.to_owned()));
            }
            return problems;
        }
        if let (true, Some(program)) = (self.has_moved(), &self.program) {
            problems.push((
                format!(
                    "it starts `{}`, which is not the installed program",
                    program.display()
                ),
                install.to_owned(),
            ));
        }
        match (&self.unreachable, &self.state) {
            (Some(error), _) => problems.push((
                error.message.clone(),
                "commands that need the daemon fail until it can be reached; `sm service uninstall` ends that".to_owned(),
            )),
            (None, None) => problems.push((
                "its manager has not read its files".to_owned(),
                install.to_owned(),
            )),
            (None, Some(state)) => {
                if state.outdated {
                    problems.push((
                        "its files have changed since the manager read them".to_owned(),
                        format!("{install}, or `systemctl --user daemon-reload`"),
                    ));
                }
                if !state.enabled {
                    problems.push((
                        "it does not start at a login".to_owned(),
                        install.to_owned(),
                    ));
                }
            }
        }
        problems
    }
}

/// Looks at the service of a home.
///
/// # Errors
/// If one of its files is there and can't be read.
pub(crate) fn survey(home: &Home, env: &dyn Environment) -> Result<Survey> {
    let control = Control::of(home, env)?;
    let files = control
        .service()
        .files()
        .into_iter()
        .map(Found::at)
        .collect::<Result<Vec<_>>>()?;
    let unreachable = control.presence().err();
    let (state, lingers) = if unreachable.is_none() {
        (control.state()?, control.lingers())
    } else {
        (None, None)
    };
    Ok(Survey {
        files,
        program: control.program(),
        expected: connect::program(env).ok(),
        unreachable,
        state,
        lingers,
        control,
    })
}
