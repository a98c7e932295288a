//! `sm daemon logs`: the end of the daemon's log, and what is added to it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error};
use tokio::time::sleep;

use super::{Context, Failure, Outcome};
use crate::cli::LogsArgs;
use crate::output::Output;
use crate::output::escape::paragraph;

/// How far back the last lines are looked for, in bytes.
const TAIL: u64 = 4 << 20;
/// Read at a time, in bytes.
const CHUNK: usize = 64 * 1024;
/// How often the file is looked at.
const REST: Duration = Duration::from_millis(200);

/// The JSON of one line. What is no line of the daemon is all message.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Entry<'a> {
    at: Option<&'a str>,
    level: Option<&'a str>,
    target: Option<&'a str>,
    message: &'a str,
}

impl<'a> Entry<'a> {
    fn of(line: &'a str) -> Self {
        Self::parse(line).unwrap_or(Self {
            message: line,
            ..Self::default()
        })
    }

    fn parse(line: &'a str) -> Option<Self> {
        let (at, rest) = line.split_once(' ')?;
        Timestamp::parse(at)?;
        let (level, rest) = rest.split_once(' ')?;
        let (target, message) = rest.split_once(": ")?;
        Some(Self {
            at: Some(at),
            level: Some(level),
            target: Some(target),
            message,
        })
    }
}

pub(super) async fn run(context: &mut Context, args: LogsArgs) -> Outcome {
    let path = context.home()?.log_file();
    let mut log = match Log::open(&path) {
        Ok(log) => Some(log),
        Err(error) if error.kind() == io::ErrorKind::NotFound && args.follow => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::new(Code::FileNotFound, "there is no log yet")
                .hint("the daemon writes it: start one with `sm daemon start`")
                .at(path, None)
                .into());
        }
        Err(error) => return Err(Error::io("read", &path, &error).into()),
    };
    let failed = |error: io::Error| Failure::from(Error::io("read", &path, &error));
    if let Some(log) = &mut log {
        let tail = log.tail(args.lines).map_err(failed)?;
        print(&mut context.out, &tail)?;
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::Told(Code::Interrupted.kind().exit_code()));
            }
            () = sleep(REST) => {}
        }
        if let Some(open) = &mut log {
            let more = open.more().map_err(failed)?;
            print(&mut context.out, &more)?;
        }
        // After the rest of the old file has been read, a new one in its place is begun.
        if log.as_ref().is_none_or(|log| log.is_replaced(&path))
            && let Ok(mut new) = Log::open(&path)
        {
            let more = new.more().map_err(failed)?;
            print(&mut context.out, &more)?;
            log = Some(new);
        }
    }
}

fn print(out: &mut Output, bytes: &[u8]) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(bytes);
    if out.json {
        for line in text.lines() {
            out.json_line(&Entry::of(line))?;
        }
        return Ok(());
    }
    out.line(&paragraph(text.trim_end_matches('\n')))?;
    Ok(out.flush()?)
}

/// An open log file and how far it has been read.
struct Log {
    file: File,
    at: u64,
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            at: 0,
        })
    }

    /// Whether another file stands at the path now, or this one was emptied.
    fn is_replaced(&self, path: &Path) -> bool {
        let (Ok(ours), Ok(there)) = (self.file.metadata(), std::fs::metadata(path)) else {
            return false;
        };
        ours.ino() != there.ino() || ours.dev() != there.dev() || there.len() < self.at
    }

    /// The last lines; the next read goes on after them.
    fn tail(&mut self, lines: usize) -> io::Result<Vec<u8>> {
        let end = self.file.metadata()?.len();
        self.at = end.saturating_sub(TAIL);
        let cut = self.at > 0;
        let mut bytes = self.more()?;
        if cut && let Some(start) = bytes.iter().position(|byte| *byte == b'\n') {
            bytes.drain(..=start);
        }
        let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let start = if lines == 0 {
            bytes.len()
        } else {
            let ends = body
                .iter()
                .enumerate()
                .rev()
                .filter(|(_, byte)| **byte == b'\n');
            ends.map(|(at, _)| at + 1).nth(lines - 1).unwrap_or(0)
        };
        bytes.drain(..start.min(bytes.len()));
        Ok(bytes)
    }

    /// What was added since the last read, up to the last whole line.
    fn more(&mut self) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = self.file.read(&mut chunk)?;
            bytes.extend(chunk.iter().take(read));
            if read == 0 || bytes.len() > 2 * usize::try_from(TAIL).unwrap_or(CHUNK) {
                break;
            }
        }
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        bytes.truncate(whole);
        self.at += u64::try_from(whole).unwrap_or_default();
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_last_lines_then_whole_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntwo\nthree\nhal").unwrap();
        for (lines, tail) in [
            (0, ""),
            (1, "three\n"),
            (2, "two\nthree\n"),
            (9, "one\ntwo\nthree\n"),
        ] {
            assert_eq!(
                Log::open(&path).unwrap().tail(lines).unwrap(),
                tail.as_bytes()
            );
        }
        let mut log = Log::open(&path).unwrap();
        log.tail(1).unwrap();
        assert_eq!(log.more().unwrap(), b"");
        file.write_all(b"f\nfour\n").unwrap();
        assert_eq!(log.more().unwrap(), b"half\nfour\n");
    }

    #[test]
    fn a_line_has_its_parts() {
        let line = "2026-11-20T15:47:26.161Z INFO watch: a: b count=2";
        let entry = Entry::of(line);
        assert_eq!(entry.at, Some("2026-11-20T15:47:26.161Z"));
        assert_eq!((entry.level, entry.target), (Some("INFO"), Some("watch")));
        assert_eq!(entry.message, "a: b count=2");
        for line in ["", "Traceback: no line of ours", "one two three: four"] {
            let entry = Entry::of(line);
            assert_eq!((entry.at, entry.message), (None, line));
        }
    }

    #[test]
    fn a_rotated_log_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        File::create(&path).unwrap().write_all(b"old\n").unwrap();
        let mut log = Log::open(&path).unwrap();
        log.tail(9).unwrap();
        assert!(!log.is_replaced(&path));
        std::fs::remove_file(&path).unwrap();
        assert!(!log.is_replaced(&path));
        let new = folder.path().join("new");
        File::create(&new).unwrap().write_all(b"new\n").unwrap();
        std::os::unix::fs::symlink(&new, &path).unwrap();
        assert!(log.is_replaced(&path));
    }
}
