//! Cloning a repository with the system's git, so that nothing in it, and nothing that somebody else set up, is
//! run: no hooks, no filters, no templates, no helpers of transports, no questions.
//!
//! Nothing of it is laid out before its listing was held to the rules for what strangers send. A clone is one
//! like others, to be worked in with git; nothing secret is in its config, in an argument, or in a message.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use skillmeat_shared::child::{Failed, Finished, Program};
use skillmeat_shared::source::{RepositoryUrl, listing};
use skillmeat_shared::{Code, Error, Result, doctor};

/// How long a clone may take.
const DEADLINE: Duration = Duration::from_mins(5);

/// How often the size of a clone is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Bytes that the history of a repository may have.
const MAX_BYTES: u64 = 1 << 30;

/// Bytes of a listing: more than any that is let in needs.
const MAX_LISTING: usize = 64 << 20;

/// Characters of what git says that are passed on.
const SHOWN: usize = 300;

/// Settings that no config may change.
const SETTINGS: [&str; 12] = [
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "core.askPass=",
    "credential.helper=",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
    "fetch.unpackLimit=1",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
    "gc.auto=0",
];

/// What git may know of this machine: where keys, proxies and certificates are. It reads no config there.
const PASSED: [&str; 12] = [
    "HOME",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Clones a repository into the new folder `into`: all of its history, and its newest state laid out. The paths of
/// its submodules, which are not fetched. It is given up as soon as nobody wants it any more.
///
/// # Errors
/// [`Code::Interrupted`] if it was given up;
/// [`Code::UpstreamFailed`] if git is not there, or says no; [`Code::ArchiveRefused`] and [`Code::FileTooLarge`]
/// for what may not come in.
pub fn clone(
    url: &RepositoryUrl,
    into: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Vec<String>> {
    Git::new(url, into, env, (DEADLINE, is_wanted))?.clone()
}

/// One repository that is cloned.
struct Git<'a> {
    url: &'a RepositoryUrl,
    into: &'a Path,
    program: Program,
    is_wanted: &'a dyn Fn() -> bool,
    give_up: Instant,
    seconds: u64,
}

impl<'a> Git<'a> {
    fn new(
        url: &'a RepositoryUrl,
        into: &'a Path,
        env: &dyn Fn(&str) -> Option<String>,
        (deadline, is_wanted): (Duration, &'a dyn Fn() -> bool),
    ) -> Result<Self> {
        let path = env("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned());
        let git = doctor::git::ask(&path).map_err(|finding| {
            Error::new(Code::UpstreamFailed, finding.message)
                .hint("install git, or fetch the folder yourself and name it")
        })?;
        let mut program = Program::new(git.path)
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .env("PATH", path)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "https:http:ssh:git:file")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env(
                "GIT_SSH_COMMAND",
                "ssh -oBatchMode=yes -oClearAllForwardings=yes -oConnectTimeout=20 -oServerAliveInterval=10",
            );
        if let Some((host, header)) = url.authorization() {
            // Arguments can be read by everybody, the environment cannot.
            program = program
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", format!("http.{host}/.extraHeader"))
                .env("GIT_CONFIG_VALUE_0", header);
        }
        for name in PASSED {
            if let Some(value) = env(name) {
                program = program.env(name, value);
            }
        }
        Ok(Self {
            url,
            into,
            program,
            is_wanted,
            give_up: Instant::now() + deadline,
            seconds: deadline.as_secs(),
        })
    }

    fn clone(&self) -> Result<Vec<String>> {
        let template = ["clone", "--quiet", "--no-checkout", "--template="];
        let args = template.map(OsStr::new).into_iter().chain([
            "--no-recurse-submodules".as_ref(),
            "--".as_ref(),
            self.url.plain().as_ref(),
            self.into.as_os_str(),
        ]);
        self.run(&self.program.clone().args(args))?;
        let listed = self.run(
            &self
                .inside(&["ls-tree", "-r", "-l", "-z", "--full-tree", "HEAD"])
                .max_output(MAX_LISTING),
        )?;
        if listed.stdout.len() >= MAX_LISTING {
            return Err(self.too_large());
        }
        let submodules = listing::check(&listed.stdout, &mut |object| {
            let read = self.run(&self.inside(&["cat-file", "blob", object]))?;
            Ok(read.stdout)
        })?;
        self.run(&self.inside(&["checkout", "--quiet", "--force", "HEAD", "--"]))?;
        Ok(submodules)
    }

    /// A command for the clone.
    fn inside(&self, args: &[&str]) -> Program {
        let program = self.program.clone();
        let program = program.args([OsStr::new("-C"), self.into.as_os_str()]);
        program.args(args)
    }

    fn run(&self, program: &Program) -> Result<Finished> {
        let mut looked = Instant::now();
        let left = self.give_up.saturating_duration_since(looked);
        let mut is_wanted = true;
        let ended = program.clone().deadline(left).run_while(&mut || {
            is_wanted = (self.is_wanted)();
            if !is_wanted {
                return false;
            }
            if looked.elapsed() < LOOK {
                return true;
            }
            looked = Instant::now();
            size(self.into, MAX_BYTES) < MAX_BYTES
        });
        match ended {
            Ok(ended) if ended.status.success() => {
                // It may have ended just before.
                let is_wanted = (self.is_wanted)();
                is_wanted.then_some(ended).ok_or_else(|| self.given_up())
            }
            Ok(ended) => Err(self.failed(&why(&ended.stderr))),
            Err(Failed::Stopped(_)) if !is_wanted => Err(self.given_up()),
            Err(Failed::Stopped(_)) => Err(self.too_large()),
            Err(Failed::TimedOut(..)) => {
                Err(self.failed(&format!("it takes longer than {} s", self.seconds)))
            }
            Err(Failed::Io(_, error)) => Err(self.failed(&error.to_string())),
        }
    }

    fn failed(&self, why: &str) -> Error {
        let message = format!("can't fetch `{}`: {why}", self.url.plain());
        Error::new(Code::UpstreamFailed, message)
            .hint("try it with `git clone`, then name the folder")
    }

    fn given_up(&self) -> Error {
        let message = format!("fetching `{}` was given up", self.url.plain());
        Error::new(Code::Interrupted, message).hint("nothing was changed; run it again")
    }

    fn too_large(&self) -> Error {
        let mib = MAX_BYTES >> 20;
        let message = format!("`{}` has more than {mib} MiB", self.url.plain());
        Error::new(Code::FileTooLarge, message).hint("clone it yourself, then name the folder")
    }
}

/// Bytes in a folder; it is not looked for more than `enough`.
fn size(folder: &Path, enough: u64) -> u64 {
    let mut bytes = 0_u64;
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    for entry in entries.filter_map(std::result::Result::ok) {
        let Ok(found) = entry.metadata() else {
            continue;
        };
        bytes = bytes.saturating_add(if found.is_dir() {
            size(&entry.path(), enough.saturating_sub(bytes))
        } else {
            found.len()
        });
        if bytes >= enough {
            break;
        }
    }
    bytes
}

/// The line of git's that tells most: the first complaint, as what follows it is advice.
fn why(said: &[u8]) -> String {
    const COMPLAINTS: [&str; 3] = ["fatal: ", "error: ", "ssh: "];
    let said = String::from_utf8_lossy(said);
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let complaint = lines().find(|line| COMPLAINTS.iter().any(|mark| line.starts_with(mark)));
    let line = complaint.or_else(|| lines().next());
    let line = line.unwrap_or("git says nothing");
    let bare = COMPLAINTS.iter().find_map(|mark| line.strip_prefix(mark));
    let shown = bare.unwrap_or(line).chars().take(SHOWN);
    shown
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_first_complaint_is_told() {
        let ssh = b"ssh: Could not resolve hostname x\nfatal: Could not read from remote repository.\n\n\
                    Please make sure you have the correct access rights\nand the repository exists.\n";
        assert_eq!(why(ssh), "Could not resolve hostname x");
        let fsck = b"warning: x\nerror: object 12: hasDotdot: contains '..'\nfatal: fsck error\n";
        assert_eq!(why(fsck), "object 12: hasDotdot: contains '..'");
        assert_eq!(why(b"remote: \x1b[31m'no'\n"), "remote: \u{fffd}[31m'no'");
        assert_eq!(why(b"\n"), "git says nothing");
    }

    #[test]
    fn a_server_that_says_nothing_is_left() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let deaf = std::thread::spawn(move || {
            let (mut connection, _) = server.accept().unwrap();
            // Until git is killed.
            let mut asked = Vec::new();
            connection.read_to_end(&mut asked).ok();
            asked
        });
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("clone");
        let url = RepositoryUrl::parse(&format!("http://me:s3cret@127.0.0.1:{port}/x")).unwrap();
        let started = Instant::now();
        let git = Git::new(&url, &into, &|_| None, (Duration::from_secs(1), &|| true)).unwrap();
        let error = git.clone().unwrap_err();
        assert_eq!(error.code, Code::UpstreamFailed);
        assert!(error.message.contains("takes longer than 1 s"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
        let asked = String::from_utf8_lossy(&deaf.join().unwrap()).into_owned();
        assert!(asked.contains("GET /x/info/refs"), "{asked}");
    }

    #[test]
    fn a_clone_that_grows_too_large_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        let file = std::fs::File::create(folder.path().join("inner/pack")).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(size(folder.path(), u64::MAX), 1 << 40);
        assert!(size(folder.path(), MAX_BYTES) >= MAX_BYTES);
        assert_eq!(size(&folder.path().join("none"), 1), 0);
    }
}
