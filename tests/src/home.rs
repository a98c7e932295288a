//! A home of a test: its files, and commands that run in it.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use skillmeat_shared::paths::Home;
use tempfile::TempDir;

use crate::client::Rpc;
use crate::command::{Answer, Stream};
use crate::process::Process;
use crate::{daemon, until, wait};

/// Longer than any command may take.
const COMMAND: Duration = Duration::from_mins(2);

/// A temporary user: home folder, SkillMeat home, environment. The daemon of the home is ended when this
/// is dropped; its log is shown if the test failed.
#[derive(Debug)]
pub struct Sandbox {
    /// Deletes the folder at the end.
    _folder: TempDir,
    root: PathBuf,
    home: Home,
    env: Vec<(String, String)>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A user without a SkillMeat home.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sm").tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let home = Home::at(root.join(".skillmeat"));
        Self {
            _folder: folder,
            root,
            home,
            env: Vec::new(),
        }
    }

    /// A user with an initialised home.
    #[track_caller]
    pub fn initialised() -> Self {
        let sandbox = Self::new();
        drop(sandbox.run(&["init"]).ok());
        sandbox
    }

    /// A user whose home has the skills `one` and `two`.
    #[track_caller]
    pub fn with_two() -> Self {
        let sandbox = Self::initialised();
        for name in ["one", "two"] {
            let source = skill(&sandbox.path("src"), name, "As it was");
            drop(sandbox.run(&["add", source.to_str().unwrap()]).ok());
        }
        sandbox
    }

    /// A user with an initialised home whose daemon notices changes this way: `auto`, or `poll`, and then
    /// every second.
    #[track_caller]
    pub fn watched(backend: &str) -> Self {
        let sandbox = Self::initialised();
        if backend == "poll" {
            drop(
                sandbox
                    .run(&["config", "set", "watch.poll_interval", "1s"])
                    .ok(),
            );
            drop(
                sandbox
                    .run(&["config", "set", "watch.backend", backend])
                    .ok(),
            );
            sandbox.status_until("collections that are polled", |status| {
                status["roots"][0]["backend"] == "poll" && status["daemon"]["state"] == "ready"
            });
        }
        sandbox
    }

    /// Writes the config of a home in which changes are noticed this way, as in [`Self::watched`].
    pub fn configure(&self, backend: &str, more: &str) {
        let watch = if backend == "poll" {
            "[watch]\nbackend = \"poll\"\npoll_interval = \"1s\"\n"
        } else {
            ""
        };
        write(self.home.config(), format!("{watch}{more}"));
    }

    /// A user whose home is a copy of a folder of `fixtures/homes`.
    pub fn from_fixture(name: &str) -> Self {
        let sandbox = Self::new();
        copy(&fixture(&format!("homes/{name}")), sandbox.home.root());
        sandbox
    }

    /// Sets a variable for all commands to come.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The user's home folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The paths of the SkillMeat home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A path in the folder of a collection of the home.
    pub fn collection(&self, name: &str, path: &str) -> PathBuf {
        self.home.collection(name).join(path)
    }

    /// A path in the user's home folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A program, in this user's environment and nothing else.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.root)
            .env("SKILLMEAT_HOME", self.home.root())
            .env("LANG", "C.UTF-8")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.root)
            .stdin(Stdio::null());
        command
    }

    /// `sm` with these arguments, not yet run.
    pub fn sm<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = self.command(&binary("sm"));
        command.args(args);
        command
    }

    /// Runs `sm`.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Answer {
        output(self.sm(args))
    }

    /// Runs `sm` with `--json`, which must succeed; what it printed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).ok().json()
    }

    /// Runs `sm` with `--json`, which must fail with this exit code; its error.
    #[track_caller]
    pub fn fails(&self, args: &[&str], code: i32) -> Value {
        self.run(&[args, &["--json"]].concat()).exits(code).error()
    }

    /// Starts `sm` and reads its lines as they come.
    pub fn stream(&self, args: &[&str]) -> Stream {
        let mut command = self.sm(args);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Stream::new(command.spawn().unwrap())
    }

    /// Everything known of an artifact.
    #[track_caller]
    pub fn show(&self, artifact: &str) -> Value {
        self.json(&["show", artifact])
    }

    /// All artifacts of all collections.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        let list = self.json(&["list", "--all"]);
        list["artifacts"].as_array().unwrap().clone()
    }

    /// The ids of all artifacts, sorted.
    #[track_caller]
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.list().iter().map(|one| text(&one["id"])).collect();
        ids.sort();
        ids
    }

    /// Waits until every collection has been looked at; what `sm status` says then.
    #[track_caller]
    pub fn ready(&self) -> Value {
        until("a daemon that is ready", || {
            let status = self.json(&["status"]);
            (status["daemon"]["state"] == "ready").then_some(status)
        })
    }

    /// Waits until `sm show` of an artifact fits.
    #[track_caller]
    pub fn shows(&self, artifact: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            let answer = self.run(&["show", artifact, "--json"]);
            (answer.code == Some(0))
                .then(|| answer.json())
                .filter(&fits)
        })
    }

    /// Waits until `sm status` fits.
    #[track_caller]
    pub fn status_until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.json(&["status"])).filter(&fits))
    }

    /// Waits until `sm cache status` fits.
    #[track_caller]
    pub fn cache_until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.json(&["cache", "status"])).filter(&fits))
    }

    /// The daemon's process.
    ///
    /// # Panics
    /// If none runs.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        daemon::rendezvous(&self.home).unwrap().pid
    }

    /// Ends the daemon as a power cut would.
    #[track_caller]
    pub fn kill(&self) {
        daemon::kill_all(self.home.root());
    }

    /// The same to the daemon that runs now, while others may start another one.
    #[track_caller]
    pub fn kill_running(&self) {
        daemon::kill_running(self.home.root());
    }

    /// Sends a signal to the daemon. One that stops it has stopped it when this returns: each thread stops in
    /// its own time, and until then calls may still be taken, or even answered.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid();
        daemon::signal(pid, self.home.root(), signal);
        if signal == Signal::STOP {
            wait::until_true("a daemon that stands still", || Process(pid).is_stopped());
        }
    }

    /// Stops the daemon in good order and waits until it is gone.
    #[track_caller]
    pub fn stop(&self) {
        drop(self.run(&["daemon", "stop"]).ok());
        wait::until_true("the end of the daemon", || {
            daemon::processes(self.home.root()).is_empty()
        });
    }

    /// A client of the daemon that runs.
    #[track_caller]
    pub fn rpc(&self) -> Rpc {
        let at = daemon::rendezvous(&self.home).unwrap();
        Rpc::new(&at.socket)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the daemon\n{}", daemon::log_tail(&self.home));
        }
        for pid in daemon::processes(self.home.root()) {
            daemon::signal(pid, self.home.root(), Signal::KILL);
        }
    }
}

/// Runs a command to its end.
///
/// # Panics
/// If it does not end in time.
#[track_caller]
pub fn output(mut command: Command) -> Answer {
    let line = format!("{command:?}");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("can't run {line}: {error}"));
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        let mut pipe = pipe.unwrap();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| bytes).unwrap()
        })
    };
    let stdout = read(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = read(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let give_up = Instant::now() + COMMAND;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= give_up {
            child.kill().ok();
            panic!("{line} does not end");
        }
        std::thread::park_timeout(Duration::from_millis(2));
    };
    let output = std::process::Output {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    };
    Answer::new(line, &output)
}

/// A program of this build. `SM_TEST_BIN_DIR` names another folder.
///
/// # Panics
/// If it has not been built.
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("SM_TEST_BIN_DIR").map_or_else(
        || {
            let own = std::env::current_exe().unwrap();
            own.parent().and_then(Path::parent).unwrap().to_owned()
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "`{}` is not there: run `cargo build --bins` first",
        path.display()
    );
    path
}

/// A file or folder of the fixtures.
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(path)
}

/// Writes a file as a careless editor does: in place. Its folders are made.
#[expect(clippy::disallowed_methods, reason = "others write like this")]
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Writes a file as a careful editor does: a new file that takes the place of the old one.
pub fn replace(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    let new = path.with_file_name(".new~");
    write(&new, content);
    rename(&new, path);
}

/// Renames.
#[expect(clippy::disallowed_methods, reason = "others rename like this")]
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    std::fs::rename(from, to).unwrap();
}

/// Copies a file or folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Makes a skill; its folder.
pub fn skill(folder: &Path, name: &str, description: &str) -> PathBuf {
    let place = folder.join(name);
    write(
        place.join("SKILL.md"),
        format!(
            "---\nname: {name}\ndescription: {description}\n---\n# {name}\n\nWhat {name} does.\n"
        ),
    );
    place
}

/// The text of a JSON string.
///
/// # Panics
/// If it is none.
#[track_caller]
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// The codes of problems.
#[track_caller]
pub fn codes(problems: &Value) -> Vec<String> {
    let all = problems.as_array().unwrap();
    all.iter().map(|problem| text(&problem["code"])).collect()
}
