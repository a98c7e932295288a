//! Repositories of git, and a server for them on this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Runs git in a folder, with nobody's config.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn git(folder: &Path, args: &[&str]) -> String {
    let settings = [
        "user.name=t",
        "user.email=t@example.org",
        "init.defaultBranch=main",
        "protocol.file.allow=always",
    ];
    let done = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {said}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// Makes a folder a repository, or commits what changed in it.
#[track_caller]
pub fn commit(folder: &Path, message: &str) {
    if !folder.join(".git").exists() {
        git(folder, &["init", "-q"]);
    }
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "--allow-empty", "-m", message]);
}

/// A server of the repositories below a folder: git's own, behind a few lines of HTTP. Ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// The headers of all requests.
    heard: Arc<Mutex<Vec<String>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the repositories below `root`; to those only who send this header, if there is one.
    pub fn start(root: &Path, wanted: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            ending: Arc::default(),
            thread: None,
        };
        let (heard, ending) = (Arc::clone(&server.heard), Arc::clone(&server.ending));
        let (root, wanted) = (root.to_owned(), wanted.map(str::to_owned));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                // A client that goes away in the middle is no failure of the server.
                connection
                    .and_then(|c| answer(&c, &root, wanted.as_deref(), &heard))
                    .ok();
            }
        });
        server.thread = Some(thread);
        server
    }

    /// The URL of a repository, with what stands before the host.
    pub fn url(&self, user: &str, path: &str) -> String {
        format!("http://{user}{}/{path}", self.address)
    }

    /// The headers of all requests so far.
    pub fn heard(&self) -> String {
        self.heard.lock().unwrap().concat()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Answers one request and closes the connection.
fn answer(
    connection: &TcpStream,
    root: &Path,
    wanted: Option<&str>,
    heard: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    heard.lock().unwrap().push(head.clone());
    let mut connection = connection;
    if wanted.is_some_and(|wanted| header("authorization") != Some(wanted)) {
        let refusal = "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n";
        return connection.write_all(refusal.as_bytes());
    }
    let mut body = Vec::new();
    if header("transfer-encoding").is_some() {
        // In chunks, each after its size in hexadecimal digits.
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).unwrap_or_default();
            if size == 0 {
                break;
            }
            reader.by_ref().take(size).read_to_end(&mut body)?;
            reader.read_line(&mut line)?;
        }
    } else {
        let length = header("content-length").and_then(|length| length.parse().ok());
        reader
            .by_ref()
            .take(length.unwrap_or(0))
            .read_to_end(&mut body)?;
    }
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env(
            "HTTP_CONTENT_ENCODING",
            header("content-encoding").unwrap_or_default(),
        )
        .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = backend.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&body));
    let output = backend.wait_with_output()?.stdout;
    writer.join().unwrap().ok();
    let text = String::from_utf8_lossy(&output);
    let status = text.lines().find_map(|line| line.strip_prefix("Status: "));
    write!(connection, "HTTP/1.0 {}\r\n", status.unwrap_or("200 OK"))?;
    connection.write_all(&output)
}

/// A program that stands in for `ssh`: it notes its arguments in `log`, and runs what it is asked to run on this
/// machine. Its folder, for `PATH`.
pub fn stand_in_for_ssh(folder: &Path, log: &Path) -> PathBuf {
    stand_in(
        folder,
        "ssh",
        log,
        "for last; do :; done\nexec /bin/sh -c \"$last\"",
    )
}

/// The system's git, which notes its arguments in `log`. Its folder, for `PATH`.
pub fn noting_git(folder: &Path, log: &Path) -> PathBuf {
    stand_in(folder, "git", log, "PATH=/usr/bin:/bin exec git \"$@\"")
}

fn stand_in(folder: &Path, name: &str, log: &Path, rest: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;

    let log = log.display();
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{log}'\n{rest}\n");
    crate::home::write(folder.join(name), script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join(name), mode).unwrap();
    folder.to_owned()
}
