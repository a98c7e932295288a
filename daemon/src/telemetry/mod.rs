//! Logs: lines of text in `<home>/logs/skillmeat.log`, rotated by size.
//!
//! A line is `2026-11-20T15:47:26.161Z INFO target: message key=value`; control characters are escaped, so
//! one event is one line whatever an artifact is called. Callers never wait for the disk: lines go through
//! a bounded queue to a thread of their own, and when it is full they are dropped and counted.

mod line;
mod rotate;

use std::io::{IsTerminal as _, Write as _};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use skillmeat_shared::config::Level;
use skillmeat_shared::paths::Environment;
use skillmeat_shared::{Code, Error, Result};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

use rotate::RotatingFile;

/// Lines that may wait for the disk.
const QUEUE: usize = 4_096;

/// Libraries that would drown our own lines: they only warn unless every step is wanted.
const CHATTY: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_util",
    "notify",
    "tokio_cron_scheduler",
    "tonic",
    "tower",
    "tokio_util",
];

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// What is logged.
    pub level: Level,
    /// The size at which the file is rotated, bytes.
    pub max_size: u64,
    /// Old files that are kept besides the current one.
    pub max_old: usize,
    /// How lines also go to standard error.
    pub stderr: Stderr,
}

/// What becomes of lines at standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// They do not go there.
    No,
    /// They go there as they are.
    Lines,
    /// The system's journal reads there: it keeps the time itself, and wants the level as a number.
    Journal,
}

impl Stderr {
    /// How this process's standard error is to be used: who starts it for a command leaves it soon.
    pub fn find(env: &dyn Environment) -> Self {
        let is_journal = env
            .var("JOURNAL_STREAM")
            .is_some_and(|named| stderr_identity().is_some_and(|found| named == found));
        if is_journal {
            Self::Journal
        } else if std::io::stderr().is_terminal() {
            Self::Lines
        } else {
            Self::No
        }
    }

    fn write(self, line: &str) -> std::io::Result<()> {
        match self {
            Self::No => Ok(()),
            Self::Lines => std::io::stderr().write_all(line.as_bytes()),
            Self::Journal => std::io::stderr().write_all(line::for_journal(line).as_bytes()),
        }
    }
}

/// The device and inode of standard error, as the journal spells them.
fn stderr_identity() -> Option<String> {
    let found = rustix::fs::fstat(std::io::stderr()).ok()?;
    Some(format!("{}:{}", found.st_dev, found.st_ino))
}

pub(crate) enum Message {
    Line(String),
    Limits { max_size: u64, max_old: usize },
    StderrOff,
    Flush(SyncSender<()>),
}

#[derive(Clone)]
pub(crate) struct Queue {
    sender: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    pub(crate) fn line(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Line(line)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Changes how the process logs. Clones speak of the same log.
#[derive(Clone)]
pub struct Telemetry {
    queue: Queue,
    filter: reload::Handle<Targets, Registry>,
}

impl Telemetry {
    /// Starts to log and installs the panic hook. Once per process.
    ///
    /// # Errors
    /// When no thread can be started or a subscriber is installed already. A file that can't be written
    /// is no error here: [`probe`] tells.
    pub fn start(settings: Settings) -> Result<Self> {
        let (this, subscriber) = Self::build(settings)?;
        tracing::subscriber::set_global_default(subscriber)
            .map_err(|_| Error::new(Code::Internal, "logging was started twice"))?;
        std::panic::set_hook(Box::new(log_panic));
        Ok(this)
    }

    fn build(settings: Settings) -> Result<(Self, impl tracing::Subscriber + Send + Sync)> {
        let (sender, messages) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let queue = Queue {
            sender,
            dropped: Arc::clone(&dropped),
        };
        let (filter, handle) = reload::Layer::new(targets(settings.level));
        let stderr = settings.stderr;
        let file = RotatingFile::new(settings.path, settings.max_size, settings.max_old);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&messages, file, stderr, &dropped))
            .map_err(|error| {
                Error::new(
                    Code::Internal,
                    format!("can't start the log thread: {error}"),
                )
            })?;
        let subscriber = Registry::default()
            .with(filter)
            .with(line::Lines::new(queue.clone()));
        Ok((
            Self {
                queue,
                filter: handle,
            },
            subscriber,
        ))
    }

    /// Changes what is logged, from now on.
    pub fn set_level(&self, level: Level) {
        if let Err(error) = self.filter.reload(targets(level)) {
            tracing::warn!(%error, "the log level did not change");
        }
    }

    /// Changes when the file is rotated and how many are kept.
    pub fn set_limits(&self, max_size: u64, max_old: usize) {
        drop(
            self.queue
                .sender
                .try_send(Message::Limits { max_size, max_old }),
        );
    }

    /// Stops copying lines to standard error.
    pub fn leave_stderr(&self) {
        drop(self.queue.sender.try_send(Message::StderrOff));
    }

    /// Waits until all lines so far are written, at most this long. Whether they are.
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        self.queue.sender.try_send(Message::Flush(done)).is_ok()
            && wait.recv_timeout(patience).is_ok()
    }
}

/// Checks that the log can be written.
///
/// # Errors
/// What the file system says, with the path.
pub fn probe(path: &Path) -> Result<()> {
    rotate::open(path).map(drop).map_err(|error| {
        Error::io("write", path, &error)
            .hint("mend its rights, or make room: until then nothing is logged")
    })
}

fn targets(level: Level) -> Targets {
    let ours = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warning => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let theirs = if level == Level::Trace {
        ours
    } else {
        ours.min(LevelFilter::WARN)
    };
    Targets::new()
        .with_default(ours)
        .with_targets(CHATTY.iter().map(|name| (*name, theirs)))
}

fn write_lines(
    messages: &Receiver<Message>,
    mut file: RotatingFile,
    mut stderr: Stderr,
    dropped: &AtomicU64,
) {
    while let Ok(message) = messages.recv() {
        match message {
            Message::Line(mut line) => {
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let now = line::now();
                    line = format!("{line}{now} WARN log: {lost} lines were dropped\n");
                }
                // A log that can't be written has nowhere to say so; status does.
                drop(file.write(line.as_bytes()));
                if stderr.write(&line).is_err() {
                    stderr = Stderr::No;
                }
            }
            Message::Limits { max_size, max_old } => file.set_limits(max_size, max_old),
            Message::StderrOff => stderr = Stderr::No,
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

thread_local! {
    static LAST_PANIC: std::cell::RefCell<Option<String>> = const { std::cell::RefCell::new(None) };
}

/// What the last panic on this thread said, with its place. Taken out.
pub fn take_panic() -> Option<String> {
    LAST_PANIC.with_borrow_mut(Option::take)
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let said = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    LAST_PANIC.with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some(format!("{said} at {place}"));
        }
    });
    tracing::error!(
        place,
        thread = thread.name().unwrap_or("unnamed"),
        "panic: {said}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn settings(dir: &Path) -> Settings {
        Settings {
            path: dir.join("logs/skillmeat.log"),
            level: Level::Info,
            max_size: 1_000_000,
            max_old: 3,
            stderr: Stderr::No,
        }
    }

    fn logged(settings: &Settings, work: impl FnOnce(&Telemetry)) -> String {
        let (telemetry, subscriber) = Telemetry::build(settings.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || work(&telemetry));
        assert!(telemetry.flush(Duration::from_secs(10)));
        std::fs::read_to_string(&settings.path).unwrap_or_default()
    }

    #[test]
    fn a_line_has_time_level_target_message_and_fields() {
        let dir = tempfile::tempdir().unwrap();
        let text = logged(&settings(dir.path()), |_| {
            tracing::info!(target: "skillmeat::x", count = 3, name = "a b", "it is done");
        });
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == 24, "{time}");
        assert_eq!(rest, "INFO skillmeat::x: it is done count=3 name=\"a b\"\n");
        let mode = std::fs::metadata(dir.path().join("logs/skillmeat.log"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn one_event_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let text = logged(&settings(dir.path()), |_| {
            tracing::warn!(
                path = "a\nERROR fake: b",
                "message with\u{1b}[31m and\nbreak"
            );
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn the_level_changes_while_running() {
        let dir = tempfile::tempdir().unwrap();
        let text = logged(&settings(dir.path()), |telemetry| {
            tracing::debug!("first");
            telemetry.set_level(Level::Debug);
            tracing::debug!("second");
            tracing::debug!(target: "h2::codec", "third");
            telemetry.set_level(Level::Error);
            tracing::warn!("fourth");
        });
        assert!(
            text.contains("second") && text.lines().count() == 1,
            "{text}"
        );
    }

    #[test]
    fn a_log_that_cant_be_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        drop(std::fs::File::create(&file).unwrap());
        let error = probe(&file.join("skillmeat.log")).unwrap_err();
        assert!(error.message.contains("skillmeat.log"), "{error}");
    }
}
