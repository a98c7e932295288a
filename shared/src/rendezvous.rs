//! How clients find the daemon, and how a start that failed says why.
//!
//! The lock is the truth about whether a daemon runs; the rendezvous only says where it listens. It is
//! written after the socket is bound and removed by the daemon that wrote it, and by no other.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result};

/// The most that either file may hold, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a running daemon can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendezvous {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The process. A label: the lock is what counts.
    pub pid: u32,
    /// Tells one run of the daemon from another.
    pub instance: String,
    /// The daemon's version.
    pub version: String,
    /// The protocol it speaks, such as `1.0`.
    pub protocol: String,
    /// Who runs it: `auto`, `foreground`, `systemd` or `launchd`.
    pub manager: String,
    /// When, in nanoseconds since the Unix epoch.
    pub started_at: i64,
    /// The program's file.
    #[serde(default)]
    pub exe: Option<PathBuf>,
    /// When the process started, as [`start_ticks`] tells it: unlike `started_at`, setting the clock does not
    /// change it. Daemons of earlier versions leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ticks: Option<u64>,
    /// The home that it serves, as it sees it. In a home that was moved this is another one. Daemons of earlier
    /// versions leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<PathBuf>,
}

/// When a process started, in the kernel's ticks since the machine did. With its number it names a process
/// for good: numbers are used again. `None` if there is no such process, or where the system does not tell.
pub fn start_ticks(pid: u32) -> Option<u64> {
    let stat = crate::fs::read_bounded(Path::new(&format!("/proc/{pid}/stat")), MAX_BYTES).ok()?;
    started_in(&stat)
}

/// The 22nd field of what the kernel tells of a process.
fn started_in(stat: &[u8]) -> Option<u64> {
    // The second one, the program's name, may hold anything, but is the only one in brackets.
    let (_, fields) = std::str::from_utf8(stat).ok()?.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

impl Rendezvous {
    /// What stands at `path`. `None` if there is nothing, or nothing that can be understood: then no
    /// daemon of ours wrote it.
    ///
    /// # Errors
    /// If the file is there and can't be read.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        load(path)
    }

    /// Writes it, readable for the user alone. A path that is no text is left out, but for the socket's, which was
    /// chosen for it.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut written = self.clone();
        written.exe = written.exe.filter(|exe| exe.to_str().is_some());
        written.home = written.home.filter(|home| home.to_str().is_some());
        save(path, &written)
    }

    /// Removes the file if it is the one of this instance. Whether it was.
    pub fn remove_if_instance(path: &Path, instance: &str) -> Result<bool> {
        match Self::load(path)? {
            Some(found) if found.instance == instance => {
                std::fs::remove_file(path).map_err(|error| Error::io("remove", path, &error))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// How a start of the daemon went: one line of JSON on its standard output, and the content of
/// [`Home::last_start`](crate::paths::Home::last_start).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartupReport {
    /// Whether it serves.
    pub ok: bool,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Which run it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Why it does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReportedError>,
}

impl StartupReport {
    /// The report of a daemon that serves.
    pub fn started(at: &Rendezvous) -> Self {
        Self {
            ok: true,
            socket: Some(at.socket.clone()),
            instance: Some(at.instance.clone()),
            pid: Some(at.pid),
            error: None,
        }
    }

    /// The report as one line, with its line end.
    pub fn to_line(&self) -> String {
        // Every field has a text: the socket's path was chosen for it.
        let mut line =
            serde_json::to_string(self).unwrap_or_else(|_| format!("{{\"ok\":{}}}", self.ok));
        line.push('\n');
        line
    }

    /// Reads such a line.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.trim()).ok()
    }

    /// What stands at `path`, as [`Rendezvous::load`] does it.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        load(path)
    }

    /// Writes it, readable for the user alone.
    pub fn save(&self, path: &Path) -> Result<()> {
        save(path, self)
    }

    /// The error of a start that failed; the report itself of one that did not.
    pub fn into_result(self) -> Result<Self> {
        if self.ok {
            return Ok(self);
        }
        Err(self.error.map_or_else(
            || {
                Error::new(
                    Code::DaemonStartFailed,
                    "the daemon gave up without a reason",
                )
            },
            Error::from,
        ))
    }
}

impl From<&Error> for StartupReport {
    fn from(error: &Error) -> Self {
        let error = Some(ReportedError::from(error));
        Self {
            ok: false,
            socket: None,
            instance: None,
            pid: Some(std::process::id()),
            error,
        }
    }
}

/// An [`Error`] on its way to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedError {
    /// The stable text of the code.
    pub code: String,
    /// The message.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub hints: Vec<String>,
    /// The file at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in that file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl From<&Error> for ReportedError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            message: error.message.clone(),
            hints: error.hints.clone(),
            path: error
                .path
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned()),
            line: error.line,
        }
    }
}

impl From<ReportedError> for Error {
    /// A code of another version that we do not know counts as a failed start.
    fn from(reported: ReportedError) -> Self {
        Self {
            code: Code::parse(&reported.code).unwrap_or(Code::DaemonStartFailed),
            message: reported.message,
            hints: reported.hints,
            path: reported.path.map(PathBuf::from),
            line: reported.line,
        }
    }
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    Ok(bytes_at(path)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn bytes_at(path: &Path) -> Result<Option<Vec<u8>>> {
    match crate::fs::read_bounded(path, MAX_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.code, Code::FileNotFound | Code::FileTooLarge) => Ok(None),
        Err(error) if path.metadata().is_ok_and(|found| !found.is_file()) => {
            Err(error.hint("move what stands there away, then `sm daemon restart`"))
        }
        Err(error) => Err(error),
    }
}

fn save<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| {
        Error::new(
            Code::FileIo,
            format!("can't write `{}`: {error}", path.display()),
        )
        .at(path, None)
    })?;
    bytes.push(b'\n');
    crate::fs::write(path, &bytes, 0o600)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn sample() -> Rendezvous {
        Rendezvous {
            socket: "/s/a.sock".into(),
            pid: 7,
            instance: "i1".to_owned(),
            version: "0.1.0".to_owned(),
            protocol: "1.0".to_owned(),
            manager: "auto".to_owned(),
            started_at: 5,
            exe: None,
            start_ticks: None,
            home: None,
        }
    }

    #[test]
    fn only_the_instance_that_wrote_it_removes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.json");
        assert_eq!(Rendezvous::load(&path).unwrap(), None);
        sample().save(&path).unwrap();
        assert_eq!(Rendezvous::load(&path).unwrap(), Some(sample()));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!Rendezvous::remove_if_instance(&path, "i2").unwrap());
        assert!(path.exists());
        assert!(Rendezvous::remove_if_instance(&path, "i1").unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn what_can_not_be_understood_is_as_good_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.json");
        for content in [
            b"".as_slice(),
            b"\xff\0",
            b"{",
            b"{\"pid\":1}",
            &vec![b' '; 70_000],
        ] {
            crate::fs::write(&path, content, 0o600).unwrap();
            assert_eq!(Rendezvous::load(&path).unwrap(), None);
        }
    }

    #[test]
    fn a_process_is_told_by_when_it_started() {
        let stat = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 8421 9 10\n";
        assert_eq!(started_in(stat), Some(8421));
        for cut in [&b""[..], b"7 (a) S 1", b"7 (\xff) S", b"7 a S"] {
            assert_eq!(started_in(cut), None);
        }
        let own = start_ticks(std::process::id());
        assert_eq!(own.is_some(), Path::new("/proc/self/stat").exists());
        assert_eq!(own, start_ticks(std::process::id()));
        assert_eq!(start_ticks(u32::MAX), None);
    }

    #[test]
    fn an_error_survives_the_way_to_another_process() {
        let error = Error::new(Code::HomeUnusable, "no `x`")
            .hint("do y")
            .at("/x", Some(3));
        let line = StartupReport::from(&error).to_line();
        assert_eq!(line.matches('\n').count(), 1);
        let back = StartupReport::parse(&line).unwrap();
        assert_eq!(back.into_result().unwrap_err(), error);
        let unknown = r#"{"ok":false,"error":{"code":"x.y","message":"m"}}"#;
        let error = StartupReport::parse(unknown)
            .unwrap()
            .into_result()
            .unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::DaemonStartFailed, "m")
        );
        let started = StartupReport::started(&sample());
        assert_eq!(
            StartupReport::parse(&started.to_line()),
            Some(started.clone())
        );
        assert_eq!(started.clone().into_result(), Ok(started));
        assert_eq!(StartupReport::parse("x"), None);
    }
}
