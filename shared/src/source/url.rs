//! URLs of repositories. What is secret in one leaves it at once, and is never shown or written down.

use std::fmt;

use crate::{Code, Error, Result};

/// Ways in which a repository may be reached.
const SCHEMES: [&str; 5] = ["https://", "http://", "ssh://", "git://", "file://"];

/// Longest URL, bytes.
const MAX_URL: usize = 2048;

/// A URL that a repository is fetched from.
#[derive(Clone, PartialEq, Eq)]
pub struct RepositoryUrl {
    plain: String,
    authorization: Option<String>,
}

impl RepositoryUrl {
    /// Reads a URL as a person wrote it.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for what we don't fetch.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            let shown: String = shown(text).escape_debug().take(200).collect();
            Error::new(
                Code::InvalidArgument,
                format!("`{shown}` is no URL of a repository{why}"),
            )
            .hint("it begins with `https://`, `ssh://` or `file://`, or is `user@host:path`")
        };
        let is_odd = text.starts_with('-') || text.chars().any(|c| c.is_control() || c == ' ');
        if is_odd || text.len() > MAX_URL || !is_url(text) {
            return Err(refused(""));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::open(text));
        };
        if scheme == "file" {
            return Ok(Self::open(text));
        }
        if rest.contains(['?', '#']) {
            return Err(refused(": it has a `?` or `#`"));
        }
        let (Some(user), host, path) = split(rest) else {
            return Ok(Self::open(text));
        };
        if scheme == "ssh" {
            // Who comes belongs to the address; ssh takes no password from it.
            let user = user.split(':').next().unwrap_or_default();
            return Ok(Self::open(&format!("ssh://{user}@{host}{path}")));
        }
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let mut pair = decoded(name);
        pair.push(b':');
        pair.extend(decoded(password));
        Ok(Self {
            plain: format!("{scheme}://{host}{path}"),
            authorization: Some(format!("Authorization: Basic {}", base64(&pair))),
        })
    }

    fn open(plain: &str) -> Self {
        Self {
            plain: plain.to_owned(),
            authorization: None,
        }
    }

    /// The URL without what is secret.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// The header that tells the server who asks, and where it may be sent: `http.<this>.extraHeader`.
    pub fn authorization(&self) -> Option<(&str, &str)> {
        let header = self.authorization.as_deref()?;
        let after = self.plain.find("://")? + 3;
        let end = self.plain.get(after..)?.find('/').map(|at| after + at);
        Some((self.plain.get(..end.unwrap_or(self.plain.len()))?, header))
    }
}

impl fmt::Debug for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RepositoryUrl").field(&self.plain).finish()
    }
}

/// Whether a text names a repository rather than a path: a URL, or `user@host:path`.
pub fn is_url(text: &str) -> bool {
    if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        return true;
    }
    text.split_once(':').is_some_and(|(host, path)| {
        host.contains('@') && !host.contains('/') && !path.is_empty() && !path.starts_with("//")
    })
}

/// A URL as it may be shown: without what stands before its `@`, and without its query.
pub fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    if scheme == "file" {
        return text.to_owned();
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (_, host, path) = split(rest);
    format!("{scheme}://{host}{path}")
}

/// Who comes, the host and the path. A slash in a password belongs to it, although nobody should write it so.
fn split(rest: &str) -> (Option<&str>, &str, &str) {
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, _) = rest.split_at(end);
    let is_port = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    let is_cut =
        !host.starts_with('[') && host.split_once(':').is_some_and(|(_, port)| !is_port(port));
    let at = if host.contains('@') {
        host.rfind('@')
    } else {
        rest.rfind('@').filter(|_| is_cut)
    };
    let (user, rest) = match at {
        Some(at) => (rest.get(..at), rest.get(at + 1..).unwrap_or_default()),
        None => (None, rest),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (user, host, path)
}

/// The bytes that `%41` and the like stand for.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = after
            .get(if byte.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    bytes
}

/// As headers spell bytes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * n) & 63) as usize);
            let is_there = n <= chunk.len();
            text.push(
                digit
                    .filter(|_| is_there)
                    .map_or('=', |digit| char::from(*digit)),
            );
        }
    }
    text
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
            assert_eq!(RepositoryUrl::parse(url).unwrap().plain(), url);
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
            assert!(RepositoryUrl::parse(path).is_err(), "{path}");
        }
        for odd in [
            "-x@host:y",
            "https://x\n",
            "https://x/a b",
            "https://x/a?token=s3cret",
        ] {
            let error = RepositoryUrl::parse(odd).unwrap_err();
            assert_eq!(error.code, Code::InvalidArgument, "{odd}");
            assert!(!error.message.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_is_secret_leaves_the_url() {
        let url = RepositoryUrl::parse("https://me:p%40ss@x.org/a@b").unwrap();
        assert_eq!(url.plain(), "https://x.org/a@b");
        let header = "Authorization: Basic bWU6cEBzcw==";
        assert_eq!(url.authorization(), Some(("https://x.org", header)));
        assert_eq!(format!("{url:?}"), "RepositoryUrl(\"https://x.org/a@b\")");
        let token = RepositoryUrl::parse("http://ghp_token@x.org").unwrap();
        assert_eq!(token.plain(), "http://x.org");
        assert!(token.authorization().is_some());
        let ssh = RepositoryUrl::parse("ssh://git:pass@x.org:22/a").unwrap();
        assert_eq!(ssh.plain(), "ssh://git@x.org:22/a");
        assert_eq!(ssh.authorization(), None);
        assert_eq!(shown("https://me:token@x.org/a@b?x=y"), "https://x.org/a@b");
        assert_eq!(shown("https://me:to/ken@x.org/a"), "https://x.org/a");
        assert_eq!(shown("http://[::1]:8/a@b"), "http://[::1]:8/a@b");
        assert_eq!(shown("https://x.org:80/a@b"), "https://x.org:80/a@b");
        assert_eq!(shown("git@x.org:a"), "git@x.org:a");
        assert_eq!(shown("file:///a@b/c?d"), "file:///a@b/c?d");
    }

    #[test]
    fn bytes_are_spelled_as_in_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(decoded("a%2Fb%zz%4"), b"a/b%zz%4");
    }
}
