//! Everything that the doctor can find.

use super::Diagnosis;
use crate::health::Severity;

/// Defines one constant for each, and the table of all.
macro_rules! diagnoses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $meaning:literal, $remedy:literal;)*) => {
        $(
            $(#[$doc])*
            pub static $name: Diagnosis = Diagnosis {
                code: $code,
                severity: Severity::$severity,
                meaning: $meaning,
                remedy: $remedy,
            };
        )*

        /// Every diagnosis, by its code.
        pub static ALL: &[&Diagnosis] = &[$(&$name),*];
    };
}

diagnoses! {
    /// Artifacts whose places are one on disks that do not tell their names apart.
    ARTIFACT_CLASH = "artifact-clash", Warning,
        "on disks that ignore case or normalise letters, as those of other systems often do, only one of them can be there",
        "give one of them another name";
    /// A manifest names an artifact that has no files.
    ARTIFACT_MISSING = "artifact-missing", Error,
        "the manifest names it, but its files are gone, so it can't be used",
        "bring the files back, or remove its entry from `collection.toml`";
    /// Files of an artifact that no manifest names.
    ARTIFACT_ORPHAN = "artifact-orphan", Warning,
        "it lies in the collection, but the manifest does not name it: an addition failed, or it was copied by hand",
        "`sm add PATH` with the path shown takes it into the manifest; or move it away";
    /// The cache's file is no database, or a damaged one.
    CACHE_DAMAGED = "cache-damaged", Error,
        "answers may be wrong or fail; your files are not concerned",
        "`sm cache clear` builds it anew from the files";
    /// The texts of some artifacts left the search index to save space.
    CACHE_EVICTED = "cache-evicted", Warning,
        "what stands in the files of these artifacts is not searched, only their names, descriptions and tags",
        "raise `cache.max_size_mb`, if searching their contents matters";
    /// The cache lies where its shared memory can't be used.
    CACHE_ON_NETWORK_DISK = "cache-on-network-disk", Warning,
        "it is slower there, and only one program may have it open",
        "`sm config set cache.path FOLDER` with a folder on a local disk, then `sm daemon restart`";
    /// Files that were put aside when a cache was damaged or converted.
    CACHE_PUT_ASIDE = "cache-put-aside", Info,
        "an earlier cache was put aside because it was damaged or of another version; nothing reads it",
        "delete it when you like";
    /// The cache was damaged and built anew, not long ago.
    CACHE_REPLACED = "cache-replaced", Info,
        "what was answered just before may have been wrong; your files are not concerned",
        "nothing; if it comes again, have the disk and the memory tested";
    /// The cache can't be opened.
    CACHE_UNAVAILABLE = "cache-unavailable", Error,
        "nothing can be listed, shown or searched; your files are not concerned",
        "mend what the message names; `sm cache clear` builds the cache anew from the files";
    /// The time can't be right.
    CLOCK_WRONG = "clock-wrong", Warning,
        "schedules and the age of what is shown follow the clock",
        "set the clock, and let the system keep it (`timedatectl set-ntp true`)";
    /// A manifest or lock file can't be read.
    COLLECTION_BROKEN = "collection-broken", Error,
        "the collection can't be changed, and its last good rows are served",
        "mend the line named, or its rights";
    /// A folder of a collection leads out of it.
    COLLECTION_LINKED_OUT = "collection-linked-out", Warning,
        "nothing behind that link is read, and nothing is added there",
        "make it a folder, or name the collection that it leads to as `collection.path`";
    /// A collection has no manifest.
    COLLECTION_NO_MANIFEST = "collection-no-manifest", Warning,
        "a folder with artifacts has no `collection.toml`, so it is no collection",
        "bring the file back, or `sm collection create NAME` and add the artifacts to it";
    /// A collection lies on a network disk.
    COLLECTION_ON_NETWORK_DISK = "collection-on-network-disk", Info,
        "the system tells of no changes that other machines make there",
        "`sm cache refresh` looks at once; otherwise changes are seen within `cache.metadata_ttl`";
    /// A folder that the config names is gone.
    COLLECTION_UNREACHABLE = "collection-unreachable", Error,
        "its folder is gone or can't be read, and its last good rows are served",
        "bring it back, mend its rights, or change `collection.path`; else `sm cache clear` forgets it";
    /// A folder of a collection can't be read.
    COLLECTION_UNREADABLE = "collection-unreadable", Error,
        "changes in what can't be read are not seen, and its last good rows are served",
        "mend what the message names: its rights with `chmod`, or its owner with `sudo chown -R \"$USER\"`";
    /// The config has a mistake.
    CONFIG_INVALID = "config-invalid", Warning,
        "what stands there does not count; a key without a value that can be used has its default",
        "`sm config edit` opens the file and checks it before it is kept";
    /// The daemon speaks another protocol.
    DAEMON_INCOMPATIBLE = "daemon-incompatible", Error,
        "the daemon that runs and this program do not understand each other",
        "`sm daemon restart` starts the installed one";
    /// The daemon is of another version.
    DAEMON_OTHER_VERSION = "daemon-other-version", Warning,
        "the daemon that runs is not of the version of this program",
        "`sm daemon restart` starts the installed one";
    /// The daemon does not answer.
    DAEMON_SILENT = "daemon-silent", Error,
        "the daemon is there but does not answer, so every command fails",
        "`sm daemon restart --force`";
    /// A start of the daemon failed.
    DAEMON_START_FAILED = "daemon-start-failed", Warning,
        "no daemon runs, and the last start of one failed",
        "mend what the message names, then `sm daemon start`";
    /// A daemon owns the home and can't be reached.
    DAEMON_UNREACHABLE = "daemon-unreachable", Error,
        "some daemon owns the home, but its socket can't be reached from here",
        "if it lives in another container, run `sm` there; otherwise `sm daemon restart --force`";
    /// There is no room on the disk that holds the cache.
    DISK_FULL = "disk-full", Error,
        "changes fail and what was changed is not shown; nothing half-written stays",
        "make room on that disk";
    /// Little room is left.
    DISK_SPACE_LOW = "disk-space-low", Warning,
        "changes and the cache fail when the disk is full",
        "make room on that disk";
    /// A mistake in a manifest or lock file that does not hide the rest.
    ENTRY_BROKEN = "entry-broken", Warning,
        "that part of the file does not count; the rest does",
        "mend what the message names";
    /// A file or folder of an artifact can't be read.
    FILE_UNREADABLE = "file-unreadable", Warning,
        "the permissions forbid to read it, so it is neither shown nor searched nor copied",
        "mend its rights with `chmod`, or its owner with `sudo chown -R \"$USER\"`";
    /// A folder of the home is open to others.
    FOLDER_OPEN = "folder-open", Warning,
        "other users of this machine can look into it",
        "`sm doctor --fix`, or `chmod 700` by hand";
    /// A folder or database of the home belongs to somebody else.
    FOREIGN_OWNER = "foreign-owner", Error,
        "it belongs to another user, perhaps because a command ran with `sudo`",
        "`sudo chown -R \"$USER\"` with the path shown";
    /// Git does not run.
    GIT_MISSING = "git-missing", Info,
        "artifacts can't be fetched from git repositories",
        "install git, or put it where the daemon's `PATH` leads";
    /// Git is too old, or does not answer.
    GIT_UNUSABLE = "git-unusable", Warning,
        "git is there, but did not say its version, or is older than 2.20",
        "run `git --version` by hand, and update it";
    /// What the history has to keep is more than it may hold.
    HISTORY_ABOVE_LIMIT = "history-above-limit", Warning,
        "snapshots and current files alone take more than `history.max_size_mb`, and changes that take much can't be undone for long",
        "raise `history.max_size_mb`, or delete snapshots, then `sm gc`";
    /// The history is gone, or a part of it.
    HISTORY_LOST = "history-lost", Warning,
        "what stood in it can't be undone, and the snapshots in it are gone",
        "put a copy of it back";
    /// The history was damaged, put aside and begun anew.
    HISTORY_REPLACED = "history-replaced", Warning,
        "changes from before can't be undone by commands; the file that was put aside holds what can be undone",
        "keep that file, at another place: the warning goes with it";
    /// The history can't be used.
    HISTORY_UNUSABLE = "history-unusable", Error,
        "nothing can be added, changed or undone, as every change is recorded there first; reading goes on",
        "mend what the message names, and keep the file: it holds what can be undone";
    /// Upper and lower case are the same on this disk.
    HOME_IGNORES_CASE = "home-ignores-case", Info,
        "two artifacts whose names differ in case only can't both lie here",
        "nothing, or move the home to a disk that tells them apart";
    /// The home is on a network disk.
    HOME_ON_NETWORK_DISK = "home-on-network-disk", Warning,
        "every look at a file costs a round trip, and locks may not hold between machines",
        "put the home on a local disk and name it with `SKILLMEAT_HOME`";
    /// Nothing can be written in the home.
    HOME_READ_ONLY = "home-read-only", Warning,
        "artifacts are listed, shown and searched; nothing can be added or changed",
        "make the home writable";
    /// A temporary file or copy that a program left when it was cut short.
    LEFT_BEHIND = "left-behind", Warning,
        "a write or copy was cut short; nothing reads what it left",
        "`sm doctor --fix` moves it away";
    /// A link in a collection that leads nowhere.
    LINK_BROKEN = "link-broken", Warning,
        "a link leads nowhere: what it led to was moved or deleted",
        "mend the link, remove it, or put the files in its place";
    /// A link of an artifact that leads out of the collection.
    LINK_OUTSIDE = "link-outside", Info,
        "what a link outside of the collection leads to is neither read nor searched nor copied",
        "put a copy of the files in its place, if they belong to the artifact";
    /// An artifact without an entry in the lock file.
    LOCK_ENTRY_MISSING = "lock-entry-missing", Info,
        "whether its files were edited since it was added can't be told",
        "nothing; an update of the artifact writes the entry";
    /// An entry of the lock file without an artifact.
    LOCK_ENTRY_ORPHAN = "lock-entry-orphan", Warning,
        "`collection.lock` remembers an artifact that the manifest does not name: a removal was cut short",
        "remove that entry from `collection.lock`";
    /// The log can't be written.
    LOG_UNWRITABLE = "log-unwritable", Warning,
        "the daemon serves, but what it does and what goes wrong is written down nowhere",
        "mend what the message names";
    /// The daemon takes more memory than it should.
    MEMORY_HIGH = "memory-high", Warning,
        "above `daemon.memory_hard_mb` the daemon ends, and the next command starts it anew",
        "raise `daemon.memory_soft_mb` if the collections are very large";
    /// Something else stands in the place of a folder of the home.
    NOT_A_FOLDER = "not-a-folder", Error,
        "what belongs there lies elsewhere meanwhile, or can't be made: no daemon runs without `run`, no archive is unpacked without `cache`, nothing is rated without `state`",
        "move what stands there away, then `sm daemon restart`";
    /// A folder or database can't be written.
    NOT_WRITABLE = "not-writable", Error,
        "nothing can be changed there",
        "mend its rights, or use a disk that can be written";
    /// Several programs of one name.
    PROGRAMS_DIFFER = "programs-differ", Warning,
        "which one runs depends on `PATH`, so a shell and a service may use different ones",
        "remove the ones that you do not want";
    /// There is no daemon to start.
    PROGRAM_MISSING = "program-missing", Error,
        "no daemon can be started",
        "put `skillmeatd` beside `sm` or on `PATH`";
    /// A rendezvous of a daemon that is gone.
    RENDEZVOUS_STALE = "rendezvous-stale", Warning,
        "a daemon was killed and left its address; it is in nobody's way",
        "`sm doctor --fix`, or the next start of the daemon";
    /// A file with secrets that others can read.
    SECRET_OPEN = "secret-open", Warning,
        "it holds a secret, and other users may read it",
        "`sm doctor --fix`, or `chmod 600` by hand";
    /// The service ends with the session.
    SERVICE_NOT_LINGERING = "service-not-lingering", Info,
        "the daemon ends when you log out, which is fine for a desktop, and not for a server",
        "`loginctl enable-linger` if it should go on";
    /// The service is not as it should be.
    SERVICE_UNSOUND = "service-unsound", Warning,
        "the daemon is run by the system's service manager, and something is wrong with that",
        "do what the message says; `sm service status` tells more";
    /// Snapshots are not whole any more.
    SNAPSHOT_DAMAGED = "snapshot-damaged", Error,
        "these snapshots can't be restored as a whole; what is whole in them still can",
        "`sm snapshot verify` tells all that is wrong";
    /// A socket that nobody listens on.
    SOCKET_STALE = "socket-stale", Warning,
        "a daemon was killed and left its socket; it is in nobody's way",
        "`sm doctor --fix`, or the next start of the daemon";
    /// Somebody else could listen on the socket.
    SOCKET_UNTRUSTED = "socket-untrusted", Error,
        "the socket, or its folder, is not yours alone, so commands refuse to use it",
        "`sm doctor --fix` closes its folder; else remove the socket, then `sm daemon restart`";
    /// The daemon's program was replaced or removed.
    STALE_BINARY = "stale-binary", Warning,
        "the program on the disk is not the one that the daemon runs",
        "`sm daemon restart` starts the installed one; if there is none, install it first";
    /// A lock file of another program that nobody holds.
    STRAY_LOCK = "stray-lock", Warning,
        "the ancestor leaves these empty files behind; they mean nothing",
        "`sm doctor --fix` moves it away";
    /// A part of the daemon hit a defect.
    TASK_FAILED = "task-failed", Warning,
        "that part of the daemon is started again after a pause; everything else goes on",
        "`sm daemon logs` tells where; please report it";
    /// A folder can't be watched.
    WATCH_FAILED = "watch-failed", Warning,
        "changes in the collection are seen late: within `cache.metadata_ttl`",
        "`sm cache refresh` looks at once; with `watch.backend` `poll` the daemon looks every `watch.poll_interval`";
    /// The kernel watches no further folder.
    WATCH_LIMIT = "watch-limit", Warning,
        "the collection is looked at every `watch.poll_interval`, so changes are seen later",
        "raise it: `sudo sysctl` with the line shown, and the same line in `/etc/sysctl.d/`";
    /// The system's limits on watches are near.
    WATCH_LIMIT_LOW = "watch-limit-low", Warning,
        "when it is reached, changes are no longer seen at once",
        "raise it: `sudo sysctl` with the line shown, and the same line in `/etc/sysctl.d/`";
    /// The kernel's events don't arrive.
    WATCH_SILENT = "watch-silent", Warning,
        "all collections are looked at every `watch.poll_interval`, so changes are seen later",
        "nothing: the daemon asks the kernel again every hour";
}

/// What a code means for a person, whoever found it.
pub fn of(code: &str) -> Option<&'static Diagnosis> {
    ALL.iter().copied().find(|one| one.code == code)
}
