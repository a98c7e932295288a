//! Errors: one type with a stable code, a kind that decides the exit code, a message that names the
//! thing, and hints that say what to do next.
//!
//! Every code has a heading in TROUBLESHOOTING.md; a test over [`Code::ALL`] checks it.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is. Decides the exit code of `sm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A defect in this program.
    Internal,
    /// The request makes no sense as written.
    Usage,
    /// The named thing does not exist.
    NotFound,
    /// The thing exists already, or changed under our hands.
    Conflict,
    /// The system or our own rules refuse access.
    Permission,
    /// Somebody else's server failed or limits us.
    Upstream,
    /// The daemon can't be reached or can't serve yet.
    Unavailable,
    /// It took longer than it may.
    Timeout,
    /// Some items of a batch failed.
    Partial,
    /// The user stopped it.
    Interrupted,
}

impl ErrorKind {
    /// The exit code of `sm` for an error of this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Permission => 5,
            Self::Upstream => 6,
            Self::Unavailable => 7,
            Self::Timeout => 8,
            Self::Partial => 9,
            Self::Interrupted => 130,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $kind:ident;)*) => {
        /// The stable names of all errors, as scripts see them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of their names' contexts.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable text, such as `collection.not_found`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The kind that decides the exit code.
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }

            /// The code with this stable text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// A defect in this program.
    Internal = "internal", Internal;
    /// An argument makes no sense.
    InvalidArgument = "usage.invalid_argument", Usage;
    /// A name breaks the rules for names.
    InvalidName = "usage.invalid_name", Usage;
    /// The user stopped the command.
    Interrupted = "usage.interrupted", Interrupted;
    /// The home folder can't be used.
    HomeUnusable = "home.unusable", Permission;
    /// A config file has a syntax error or a value of a wrong type.
    ConfigInvalid = "config.invalid", Usage;
    /// No such config key.
    ConfigUnknownKey = "config.unknown_key", Usage;
    /// No such collection.
    CollectionNotFound = "collection.not_found", NotFound;
    /// The collection exists already.
    CollectionExists = "collection.exists", Conflict;
    /// The collection's folder is gone or unreadable.
    CollectionUnreachable = "collection.unreachable", NotFound;
    /// A manifest can't be read.
    ManifestInvalid = "manifest.invalid", Conflict;
    /// A file changed between our reading and our writing.
    FileChanged = "file.changed", Conflict;
    /// A file or folder stands where a new one should be made.
    FileExists = "file.exists", Conflict;
    /// The file system failed.
    FileIo = "file.io", Internal;
    /// The file system refuses access.
    FilePermission = "file.permission", Permission;
    /// A path that a command names does not exist.
    FileNotFound = "file.not_found", NotFound;
    /// The disk, or the user's share of it, is full.
    DiskFull = "file.disk_full", Internal;
    /// A limit on size, depth or count was passed.
    FileTooLarge = "file.too_large", Usage;
    /// A path leaves the folder that it belongs to.
    FileOutside = "file.outside", Permission;
    /// No such artifact.
    ArtifactNotFound = "artifact.not_found", NotFound;
    /// Several artifacts have this name.
    ArtifactAmbiguous = "artifact.ambiguous", Usage;
    /// An artifact of this name exists already.
    ArtifactExists = "artifact.exists", Conflict;
    /// The files are no valid artifact of the kind.
    ArtifactInvalid = "artifact.invalid", Usage;
    /// Fields of an artifact's file can't be read, or not changed without touching others.
    FrontmatterInvalid = "artifact.frontmatter_invalid", Conflict;
    /// The kind of the files can't be told.
    ArtifactUndetected = "artifact.undetected", Usage;
    /// A file is no archive that we read, or is damaged.
    ArchiveInvalid = "archive.invalid", Usage;
    /// An archive holds an entry that may not come in.
    ArchiveRefused = "archive.refused", Permission;
    /// No such group.
    GroupNotFound = "group.not_found", NotFound;
    /// A group of this name exists already.
    GroupExists = "group.exists", Conflict;
    /// No artifact has the tag, and nothing defines it.
    TagNotFound = "tag.not_found", NotFound;
    /// The tag is defined already.
    TagExists = "tag.exists", Conflict;
    /// A repository can't be fetched.
    UpstreamFailed = "upstream.failed", Upstream;
    /// Some items of a batch failed.
    PartialFailure = "batch.partial", Partial;
    /// The cache was written by a newer program.
    CacheNewerSchema = "cache.newer_schema", Unavailable;
    /// The cache was taken down for an older program, and stays closed.
    CacheClosed = "cache.closed", Unavailable;
    /// The cache turned out to be damaged.
    CacheDamaged = "cache.damaged", Unavailable;
    /// The cache can't be opened or written.
    CacheUnavailable = "cache.unavailable", Unavailable;
    /// The history lacks something, or it was altered.
    HistoryDamaged = "history.damaged", Internal;
    /// The history was written by a newer program.
    HistoryNewerSchema = "history.newer_schema", Unavailable;
    /// The history can't be opened or written.
    HistoryUnavailable = "history.unavailable", Unavailable;
    /// No such snapshot.
    SnapshotNotFound = "snapshot.not_found", NotFound;
    /// A snapshot of this name exists already.
    SnapshotExists = "snapshot.exists", Conflict;
    /// No such operation.
    OperationNotFound = "operation.not_found", NotFound;
    /// What an operation changed was changed again since, or it does not stand any more.
    OperationSuperseded = "operation.superseded", Conflict;
    /// No daemon runs and none may be started.
    DaemonUnavailable = "daemon.unavailable", Unavailable;
    /// The daemon was started and gave up.
    DaemonStartFailed = "daemon.start_failed", Unavailable;
    /// Another daemon owns this home.
    DaemonAlreadyRunning = "daemon.already_running", Unavailable;
    /// A daemon owns this home but its socket can't be reached from here.
    DaemonUnreachableOwner = "daemon.unreachable_owner", Unavailable;
    /// The daemon is not ready yet.
    DaemonStarting = "daemon.starting", Unavailable;
    /// The daemon is shutting down.
    DaemonDraining = "daemon.draining", Unavailable;
    /// The daemon did not answer in time.
    DaemonTimeout = "daemon.timeout", Timeout;
    /// The daemon is too old for what was asked.
    DaemonTooOld = "daemon.too_old", Unavailable;
    /// The daemon and the client speak different protocols.
    DaemonProtocol = "daemon.protocol", Unavailable;
    /// The socket or its folder does not belong to the user.
    DaemonUntrustedSocket = "daemon.untrusted_socket", Permission;
    /// No usable place for the socket.
    DaemonSocketPath = "daemon.socket_path", Unavailable;
    /// The user's service manager can't be reached.
    ServiceUnavailable = "service.unavailable", Unavailable;
    /// The service manager could not do what it was asked for.
    ServiceFailed = "service.failed", Unavailable;
    /// A file of the service was changed, or not written, by somebody else.
    ServiceEdited = "service.edited", Conflict;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// What went wrong, naming the thing. Lower-case start, no full stop.
    pub message: String,
    /// What to do next.
    pub hints: Vec<String>,
    /// The file at fault.
    pub path: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
}

impl Error {
    /// A new error.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hints: Vec::new(),
            path: None,
            line: None,
        }
    }

    /// The same error with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error with the file at fault.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>, line: Option<u32>) -> Self {
        self.path = Some(path.into());
        self.line = line;
        self
    }

    /// The kind of the error's code.
    pub const fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// An error of the file system, with the path and the verb (`read`, `create`) in its message.
    pub fn io(verb: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let code = match error.kind() {
            Io::NotFound => Code::FileNotFound,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => Code::FilePermission,
            Io::StorageFull | Io::QuotaExceeded => Code::DiskFull,
            _ => Code::FileIo,
        };
        let mut text = error.to_string();
        if let Some(end) = text.find(" (os error") {
            text.truncate(end);
        }
        let mut lower = text.chars();
        let text: String = lower
            .next()
            .map(|c| c.to_lowercase().chain(lower).collect())
            .unwrap_or_default();
        let failed =
            Self::new(code, format!("can't {verb} `{}`: {text}", path.display())).at(path, None);
        if code == Code::DiskFull {
            return failed.hint("make room on that disk, then try again");
        }
        failed
    }
}

/// A text as one word of a command that a hint prints: quoted for a shell, if a shell would take it for something
/// else.
pub fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', "'\\''")))
}

/// An error as scripts read it.
#[derive(Debug, Serialize)]
pub struct ErrorJson<'a> {
    code: &'static str,
    message: &'a str,
    hints: &'a [String],
    path: Option<String>,
    line: Option<u32>,
}

impl<'a> From<&'a Error> for ErrorJson<'a> {
    fn from(error: &'a Error) -> Self {
        Self {
            code: error.code.as_str(),
            message: &error.message,
            hints: &error.hints,
            path: error.path.as_ref().map(|path| path.display().to_string()),
            line: error.line,
        }
    }
}

impl ErrorJson<'_> {
    /// The object that a failed program prints on standard error, in one line with its end.
    pub fn to_line(&self) -> String {
        #[derive(Serialize)]
        struct Report<'a> {
            error: &'a ErrorJson<'a>,
        }
        serde_json::to_string(&Report { error: self }).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_are_quoted_if_a_shell_needs_that() {
        for (text, quoted) in [
            ("skill:pdf", "skill:pdf"),
            ("größe_1.2", "größe_1.2"),
            ("two words", "'two words'"),
            ("it's", "'it'\\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }
}
