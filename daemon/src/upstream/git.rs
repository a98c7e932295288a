//! Fetching a repository with the system's git, so that nothing in it, and nothing that somebody else set up, is
//! run: no hooks, no filters, no templates, no helpers of transports, no questions.

use std::path::Path;
use std::time::Duration;

use skillmeat_shared::child::Program;
use skillmeat_shared::{Code, Error, Result, doctor};

/// How long a fetch may take.
const DEADLINE: Duration = Duration::from_mins(5);

/// Ways in which a repository may be reached.
const SCHEMES: [&str; 5] = ["https://", "http://", "ssh://", "git://", "file://"];

/// Settings that no config may change.
const SETTINGS: [&str; 8] = [
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.helper=",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
    "gc.auto=0",
];

/// Whether a text names a repository rather than a path: a URL, or `user@host:path`.
pub fn is_url(text: &str) -> bool {
    if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        return true;
    }
    text.split_once(':').is_some_and(|(host, path)| {
        host.contains('@') && !host.contains('/') && !path.is_empty() && !path.starts_with("//")
    })
}

/// Fetches the newest state of a repository into the new folder `into`.
///
/// # Errors
/// [`Code::InvalidArgument`] for a URL that we don't fetch; [`Code::UpstreamFailed`] if git is not there, or
/// says no.
pub fn fetch(url: &str, into: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<()> {
    let shown = shown(url);
    let is_odd = url.starts_with('-') || url.chars().any(char::is_control);
    if is_odd || !is_url(url) {
        let message = format!("`{}` is no URL of a repository", shown.escape_debug());
        return Err(Error::new(Code::InvalidArgument, message)
            .hint("it begins with `https://`, `ssh://` or `file://`, or is `user@host:path`"));
    }
    let path = env("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned());
    let git = doctor::git::ask(&path).map_err(|finding| {
        Error::new(Code::UpstreamFailed, finding.message)
            .hint("install git, or fetch the folder yourself and name it")
    })?;
    let mut program = Program::new(git.path)
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
        .args([
            "clone",
            "--quiet",
            "--depth=1",
            "--single-branch",
            "--no-tags",
            "--template=",
            "--no-recurse-submodules",
            "--",
        ])
        .args([url.as_ref(), into.as_os_str()])
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
            "ssh -oBatchMode=yes -oClearAllForwardings=yes",
        )
        .deadline(DEADLINE);
    // ssh finds its keys by these; git reads no config there.
    for name in [
        "HOME",
        "SSH_AUTH_SOCK",
        "https_proxy",
        "HTTPS_PROXY",
        "no_proxy",
    ] {
        if let Some(value) = env(name) {
            program = program.env(name, value);
        }
    }
    let failed = |why: &str| {
        Error::new(
            Code::UpstreamFailed,
            format!("can't fetch `{shown}`: {why}"),
        )
        .hint("try it with `git clone`, then name the folder")
    };
    let ended = program.run().map_err(|error| failed(&error.to_string()))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let last = said
        .lines()
        .rev()
        .map(|line| line.trim().trim_start_matches("fatal: "))
        .find(|line| !line.is_empty());
    Err(failed(
        &last.unwrap_or("git says nothing").replace(url, &shown),
    ))
}

/// A URL as it may be shown: without what stands before its `@`.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest.get(..host_end).and_then(|host| host.rfind('@')) {
        Some(at) => format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for url in [
            "https://x.org/a",
            "file:///x",
            "git@host:a/b.git",
            "ssh://x/y",
        ] {
            assert!(is_url(url), "{url}");
        }
        for path in [
            "/x",
            "a/b",
            "./a@b:c",
            "C:x",
            "ext::sh -c x",
            "a/b@c:d",
            "git@host:",
        ] {
            assert!(!is_url(path), "{path}");
        }
    }

    #[test]
    fn secrets_are_not_shown_and_odd_urls_are_refused() {
        assert_eq!(shown("https://me:token@x.org/a@b"), "https://x.org/a@b");
        assert_eq!(shown("git@x.org:a"), "git@x.org:a");
        let folder = tempfile::tempdir().unwrap();
        for url in ["--upload-pack=x", "ext::sh -c id", "https://x\n", "/etc"] {
            let error = fetch(url, &folder.path().join("x"), &|_| None).unwrap_err();
            assert_eq!(error.code, Code::InvalidArgument, "{url}");
        }
    }
}
