//! SQLite's write-ahead log, read as bytes: which pages it holds, and which of them would still count after a kill.
//!
//! See "WAL-mode file format" of SQLite. Each frame carries a checksum that goes on from the one before it, and two
//! random numbers (*salts*) that are drawn anew whenever the log begins anew.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::files::log_of;

/// Bytes of the log's header.
const HEADER: usize = 32;

/// Bytes of a frame before its page.
const FRAME: usize = 24;

/// The first bytes of a log whose checksums take words with the low byte first; the last bit tells the other one.
const MAGIC: u32 = 0x377f_0682;

/// What counts in a log.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// Pages that stand in the log instead of in the database.
    pub(super) pages: BTreeSet<u32>,
    /// Pages of the database, if the log holds anything.
    pub(super) size: Option<u32>,
}

/// A running checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum {
    low_first: bool,
    words: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut one, mut two) = self.words;
        for [a, b, c, d, e, f, g, h] in bytes.as_chunks().0 {
            let (first, second) = ([*a, *b, *c, *d], [*e, *f, *g, *h]);
            let (first, second) = if self.low_first {
                (u32::from_le_bytes(first), u32::from_le_bytes(second))
            } else {
                (u32::from_be_bytes(first), u32::from_be_bytes(second))
            };
            one = one.wrapping_add(first).wrapping_add(two);
            two = two.wrapping_add(second).wrapping_add(one);
        }
        self.words = (one, two);
    }
}

/// The number at a place of a header; 0 beyond its end.
fn number(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn part(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or_default()
}

struct Header {
    sum: Sum,
    page: usize,
    salts: (u32, u32),
}

/// The header, if it is one. Its checksum is over what stands before it.
fn header(bytes: &[u8; HEADER]) -> Option<Header> {
    let magic = number(bytes, 0);
    let mut sum = Sum {
        low_first: magic == MAGIC,
        words: (0, 0),
    };
    sum.add(part(bytes, 24));
    let page = number(bytes, 8) as usize;
    let is_one = (magic | 1) == (MAGIC | 1)
        && page.is_power_of_two()
        && (512..=65_536).contains(&page)
        && sum.words == (number(bytes, 24), number(bytes, 28));
    is_one.then(|| Header {
        sum,
        page,
        salts: (number(bytes, 16), number(bytes, 20)),
    })
}

/// Fills the buffer. False at the end of the file.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// What SQLite takes over from the log of a database that nobody has open: whole transactions, up to the first frame
/// that is not as it was written.
pub(super) fn logged(path: &Path) -> io::Result<Logged> {
    let mut logged = Logged::default();
    let file = match File::open(log_of(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(logged),
        file => file?,
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut start = [0; HEADER];
    if !fill(&mut reader, &mut start)? {
        return Ok(logged);
    }
    let Some(Header {
        mut sum,
        page,
        salts,
    }) = header(&start)
    else {
        return Ok(logged);
    };
    let (mut frame, mut bytes) = ([0; FRAME], vec![0; page]);
    let mut open = BTreeSet::new();
    while fill(&mut reader, &mut frame)? && fill(&mut reader, &mut bytes)? {
        sum.add(part(&frame, 8));
        sum.add(&bytes);
        let is_whole = (number(&frame, 8), number(&frame, 12)) == salts
            && (number(&frame, 16), number(&frame, 20)) == sum.words
            && number(&frame, 0) > 0;
        if !is_whole {
            break;
        }
        open.insert(number(&frame, 0));
        let size = number(&frame, 4);
        if size > 0 {
            logged.pages.append(&mut open);
            logged.size = Some(size);
        }
    }
    Ok(logged)
}

/// Whether nothing in the log of a database that nobody has open counts.
pub(super) fn is_empty(path: &Path) -> bool {
    logged(path).is_ok_and(|logged| logged.size.is_none())
}

/// Follows the log of the database that this process alone writes to.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    file: Option<File>,
    salts: (u32, u32),
    /// Frames of whole transactions that were seen since the log began anew.
    frames: u64,
    /// The pages in them, until they are taken.
    pages: BTreeSet<u32>,
}

impl Follower {
    /// Follows the log of the database at `path` from its beginning.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: log_of(path),
            file: None,
            salts: (0, 0),
            frames: 0,
            pages: BTreeSet::new(),
        }
    }

    /// Frames of whole transactions in the log.
    pub(super) const fn frames(&self) -> u64 {
        self.frames
    }

    /// Pages that were written since they were last taken.
    pub(super) const fn pages(&self) -> &BTreeSet<u32> {
        &self.pages
    }

    /// The pages are no longer of interest.
    pub(super) fn forget(&mut self) {
        self.pages.clear();
    }

    /// Looks at what was written since the last look. Not during a transaction.
    pub(super) fn advance(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                file => Some(file?),
            };
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        let read = |buffer: &mut [u8], at: u64| match file.read_exact_at(buffer, at) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        };
        let mut start = [0; HEADER];
        let found = read(&mut start, 0)?.then(|| header(&start)).flatten();
        let Some(Header { page, salts, .. }) = found else {
            (self.salts, self.frames) = ((0, 0), 0);
            return Ok(());
        };
        if salts != self.salts {
            (self.salts, self.frames) = (salts, 0);
        }
        // What a transaction wrote that was taken back is overwritten by the next one.
        let mut open = BTreeSet::new();
        let mut frame = [0; FRAME];
        let mut next = self.frames;
        let length = (FRAME + page) as u64;
        while read(&mut frame, HEADER as u64 + next * length)?
            && (number(&frame, 8), number(&frame, 12)) == salts
        {
            next += 1;
            open.insert(number(&frame, 0));
            if number(&frame, 4) > 0 {
                self.pages.append(&mut open);
                self.frames = next;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// A database in which pages stand in the log only, and another connection that keeps them there.
    fn database() -> (tempfile::TempDir, PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 10;
                 CREATE TABLE t (a);",
            )
            .unwrap();
        (folder, path, writer)
    }

    fn fill_table(writer: &Connection, rows: u32) {
        writer
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                 INSERT INTO t SELECT hex(randomblob(500)) FROM n",
                [rows],
            )
            .unwrap();
    }

    fn page_count(connection: &Connection) -> u32 {
        connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn what_counts_ends_at_the_first_turned_bit() {
        let (_folder, path, writer) = database();
        for _ in 0..5 {
            fill_table(&writer, 40);
        }
        let whole = logged(&path).unwrap();
        assert_eq!(whole.size, Some(page_count(&writer)));
        assert!(whole.pages.len() > 20, "{whole:?}");
        let log = log_of(&path);
        let bytes = std::fs::read(&log).unwrap();
        let copy = path.with_extension("copy");
        let mut last = 0;
        for at in (HEADER..bytes.len()).step_by(bytes.len() / 40) {
            let mut turned = bytes.clone();
            turned[at] ^= 4;
            std::fs::copy(&path, &copy).unwrap();
            std::fs::write(log_of(&copy), turned).unwrap();
            let ours = logged(&copy).unwrap();
            // SQLite is of the same mind.
            let theirs = Connection::open(&copy).unwrap();
            let rows = |connection: &Connection| -> u32 {
                connection
                    .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                    .unwrap_or(0)
            };
            let expected = ours.size.map_or(1, |size| size);
            assert_eq!(page_count(&theirs), expected, "{at}");
            assert!(rows(&theirs) < rows(&writer), "{at}");
            assert!(ours.pages.len() >= last, "{at}");
            last = ours.pages.len();
            drop(theirs);
            drop(std::fs::remove_file(log_of(&copy)));
        }
        assert!(last > 0);
        let mut turned = bytes;
        turned[9] ^= 1;
        std::fs::write(&log, turned).unwrap();
        assert_eq!(logged(&path).unwrap().size, None, "no header");
    }

    #[test]
    fn a_follower_sees_each_page_that_was_written_for_good() {
        let (_folder, path, mut writer) = database();
        let mut follower = Follower::new(&path);
        follower.advance().unwrap();
        for round in 0..6 {
            if round % 2 == 1 {
                // It writes to the log before it is taken back.
                let transaction = writer.transaction().unwrap();
                fill_table(&transaction, 300);
                transaction.rollback().unwrap();
                follower.advance().unwrap();
            }
            fill_table(&writer, 30);
            follower.advance().unwrap();
            let all = logged(&path).unwrap();
            assert_eq!(follower.pages(), &all.pages, "{round}");
        }
        follower.forget();
        writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        follower.advance().unwrap();
        assert_eq!((follower.frames(), follower.pages().len()), (0, 0));
        fill_table(&writer, 3);
        follower.advance().unwrap();
        assert_eq!(follower.pages(), &logged(&path).unwrap().pages);
        assert!(follower.frames() > 0);
    }
}
