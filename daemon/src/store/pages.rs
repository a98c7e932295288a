//! Checksums of the database's pages, which SQLite does not have.
//!
//! A file beside the database holds one for each page. Pages change in the database only when the log is moved into
//! it, which only the writer does: it then takes the sums of these pages anew, before the log can begin anew. Thus at
//! any moment, also after a kill, each page either stands in the log, whose frames have checksums of their own, or
//! agrees with its sum. After an end that was not in order all pages are compared, and until that is done nothing is
//! moved from the log into the database: what was written on top of a turned bit never becomes right.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use flate2::Crc;
use skillmeat_shared::{Error, Result, fs};

use super::files::sums_of;
use super::journal::{self, Logged};

/// The first bytes of the file: what it is, and its version.
const MAGIC: &[u8; 8] = b"smsums 1";

/// The largest file that is read: sums for 1 TB of pages of the usual size.
const LARGEST: u64 = 256 << 20;

/// Pages that are read at once.
const CHUNK: u32 = 32;

/// The sum of each page, from the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sums {
    /// Bytes of a page.
    page: u32,
    sums: Vec<u32>,
}

/// What lies beside a database.
#[derive(Debug)]
pub(super) enum Saved {
    /// It never had any, as far as one can tell.
    None,
    /// They are not as they were written.
    Damaged,
    /// Its sums.
    Sums(Sums),
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The sum of a page: of its place, too.
fn sum(number: u32, page: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&number.to_le_bytes());
    crc.update(page);
    crc.sum()
}

fn number(bytes: &[u8]) -> u32 {
    let bytes = bytes.first_chunk().copied().unwrap_or_default();
    u32::from_le_bytes(bytes)
}

/// The bytes of some pages as far as the file goes.
fn read_pages(file: &File, page: u32, first: u32, count: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; page as usize * count as usize];
    let mut filled = 0;
    let start = u64::from(first.saturating_sub(1)) * u64::from(page);
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, start + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl Sums {
    /// Those of a database without any pages.
    pub(super) const fn empty(page: u32) -> Self {
        Self {
            page,
            sums: Vec::new(),
        }
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Reads what lies beside a database.
    pub(super) fn read(path: &Path) -> Saved {
        let file = sums_of(path);
        if std::fs::symlink_metadata(&file).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        {
            return Saved::None;
        }
        let Ok(bytes) = fs::read_bounded(&file, LARGEST) else {
            return Saved::Damaged;
        };
        Self::parse(&bytes).map_or(Saved::Damaged, Saved::Sums)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (said, check) = bytes.split_last_chunk::<4>()?;
        let (page, sums) = said.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let page = u32::from_le_bytes(*page);
        let is_whole = u32::from_le_bytes(*check) == crc(said)
            && page.is_power_of_two()
            && (512..=65_536).contains(&page)
            && sums.len() % 4 == 0;
        is_whole.then(|| Self {
            page,
            sums: sums.chunks_exact(4).map(number).collect(),
        })
    }

    /// Writes them beside their database, durably.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.page.to_le_bytes());
        bytes.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        bytes.extend(crc(&bytes).to_le_bytes());
        fs::write(&sums_of(path), &bytes, 0o600)
    }

    /// Takes those of a database as it stands, because it is believed.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let failed = |error: &io::Error| Error::io("read", path, error);
        let file = File::open(path).map_err(|error| failed(&error))?;
        let mut head = [0; 18];
        file.read_exact_at(&mut head, 0)
            .map_err(|error| failed(&error))?;
        let [.., high, low] = head;
        // 1 stands for what does not fit.
        let page = match u16::from_be_bytes([high, low]) {
            1 => 65_536,
            page => u32::from(page),
        };
        let mut sums = Self::empty(page.max(512));
        sums.update(path, &BTreeSet::new())?;
        Ok(sums)
    }

    /// Compares a database with them, but for pages that stand in its log.
    pub(super) fn compare(&self, path: &Path, logged: &BTreeSet<u32>) -> Proven {
        let proof = Proof {
            path: path.to_owned(),
            sums: self.clone(),
            logged: Logged {
                pages: logged.clone(),
                size: None,
            },
        };
        proof.run(&|| true)
    }

    /// Takes those of some pages anew, and of those that are new; forgets those that are gone.
    pub(super) fn update(&mut self, path: &Path, pages: &BTreeSet<u32>) -> Result<()> {
        let failed = |error: &io::Error| Error::io("read", path, error);
        let file = File::open(path).map_err(|error| failed(&error))?;
        let bytes = file.metadata().map_err(|error| failed(&error))?.len();
        let count = u32::try_from(bytes / u64::from(self.page)).unwrap_or(u32::MAX);
        self.sums.truncate(count as usize);
        let known = u32::try_from(self.sums.len()).unwrap_or(u32::MAX);
        for number in pages.iter().filter(|number| (1..=known).contains(*number)) {
            let page = read_pages(&file, self.page, *number, 1).map_err(|error| failed(&error))?;
            if let Some(slot) = self.sums.get_mut(*number as usize - 1) {
                *slot = sum(*number, &page);
            }
        }
        let mut first = known + 1;
        while first <= count {
            let chunk = CHUNK.min(count - first + 1);
            let read =
                read_pages(&file, self.page, first, chunk).map_err(|error| failed(&error))?;
            let pages = (first..).zip(read.chunks(self.page as usize));
            self.sums
                .extend(pages.map(|(number, page)| sum(number, page)));
            first += chunk;
        }
        Ok(())
    }
}

/// What is to be compared of a database that was not closed in order, as it was before anybody opened it.
#[derive(Debug)]
pub(super) struct Proof {
    path: PathBuf,
    sums: Sums,
    logged: Logged,
}

/// What a comparison found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proven {
    /// Every page is as it was written: so many.
    Sound(u32),
    /// One is not.
    Damaged(String),
    /// It was cut short.
    Stopped,
}

impl Proof {
    /// Looks at the log of a database that nobody has open yet, and at its first page, without which nothing that it
    /// says of itself is worth anything.
    ///
    /// # Errors
    /// Why it is damaged, in words.
    pub(super) fn begin(path: &Path, sums: Sums) -> std::result::Result<Self, String> {
        let logged = journal::logged(path)
            .map_err(|error| format!("its log of writes can't be read: {error}"))?;
        let proof = Self {
            path: path.to_owned(),
            sums,
            logged,
        };
        let file = File::open(path).map_err(|error| format!("it can't be read: {error}"))?;
        match proof.first_wrong(&file, 1, 1) {
            None => Ok(proof),
            Some(why) => Err(why),
        }
    }

    /// Compares all pages, as long as it may.
    pub(super) fn run(&self, may_go_on: &dyn Fn() -> bool) -> Proven {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) => return Proven::Damaged(format!("it can't be read: {error}")),
        };
        let known = u32::try_from(self.sums.sums.len()).unwrap_or(u32::MAX);
        let count = self.logged.size.unwrap_or(known);
        let mut first = 1;
        while first <= count {
            if !may_go_on() {
                return Proven::Stopped;
            }
            let chunk = CHUNK.min(count - first + 1);
            if let Some(why) = self.first_wrong(&file, first, chunk) {
                return Proven::Damaged(why);
            }
            first = first.saturating_add(chunk);
        }
        Proven::Sound(count)
    }

    /// What is wrong with the first of some pages that is not as it was written.
    fn first_wrong(&self, file: &File, first: u32, count: u32) -> Option<String> {
        let size = self.sums.page;
        let read = match read_pages(file, size, first, count) {
            Ok(read) => read,
            Err(error) => return Some(format!("page {first} can't be read: {error}")),
        };
        let mut pages = read.chunks(size as usize);
        (first..).take(count as usize).find_map(|number| {
            let page = pages.next().unwrap_or_default();
            let is_right = self.logged.pages.contains(&number)
                || match self.sums.sums.get(number as usize - 1) {
                    Some(expected) => sum(number, page) == *expected,
                    // A page that was used and freed within one transaction is never written.
                    None => page.iter().all(|byte| *byte == 0),
                };
            (!is_right).then(|| format!("page {number} is not as it was written"))
        })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;

    const PAGE: u32 = 512;

    fn database(pages: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut bytes: Vec<u8> = (0..pages * PAGE)
            .map(|at| (at / 7).to_le_bytes()[0])
            .collect();
        bytes[16..18].copy_from_slice(&[2, 0]);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn prove(path: &Path, sums: &Sums) -> Option<String> {
        match Proof::begin(path, sums.clone()).map(|proof| proof.run(&|| true)) {
            Ok(Proven::Sound(_)) => None,
            Ok(Proven::Damaged(why)) | Err(why) => Some(why),
            Ok(Proven::Stopped) => panic!("nobody stopped it"),
        }
    }

    #[test]
    fn every_turned_bit_is_found() {
        let (_folder, path) = database(70);
        let sums = Sums::take(&path).unwrap();
        assert_eq!(prove(&path, &sums), None);
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(97) {
            let mut turned = bytes.clone();
            turned[at] ^= 1 << (at % 8);
            std::fs::write(&path, turned).unwrap();
            let page = at / PAGE as usize + 1;
            assert_eq!(
                prove(&path, &sums),
                Some(format!("page {page} is not as it was written"))
            );
        }
        // Pages in each other's places, and a file that ends too early.
        let mut turned = bytes.clone();
        turned.rotate_left(PAGE as usize);
        std::fs::write(&path, turned).unwrap();
        assert!(prove(&path, &sums).is_some());
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(prove(&path, &sums).is_some());
    }

    #[test]
    fn sums_are_read_as_they_were_written_or_not_at_all() {
        let (_folder, path) = database(5);
        assert!(matches!(Sums::read(&path), Saved::None));
        let sums = Sums::take(&path).unwrap();
        sums.save(&path).unwrap();
        assert!(matches!(Sums::read(&path), Saved::Sums(read) if read == sums));
        let file = sums_of(&path);
        let bytes = std::fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[at] ^= 0x10;
            std::fs::write(&file, turned).unwrap();
            assert!(matches!(Sums::read(&path), Saved::Damaged), "{at}");
        }
        std::fs::write(&file, b"").unwrap();
        assert!(matches!(Sums::read(&path), Saved::Damaged));
    }

    #[test]
    fn pages_that_come_change_and_go_have_the_sums_of_now() {
        let (_folder, path) = database(5);
        let mut sums = Sums::empty(PAGE);
        sums.update(&path, &BTreeSet::new()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[1000] ^= 1;
        bytes.extend(vec![7; 40 * PAGE as usize]);
        std::fs::write(&path, &bytes).unwrap();
        sums.update(&path, &BTreeSet::from([2, 3, 900])).unwrap();
        assert_eq!(sums, Sums::take(&path).unwrap());
        bytes.truncate(2 * PAGE as usize);
        std::fs::write(&path, &bytes).unwrap();
        sums.update(&path, &BTreeSet::from([4])).unwrap();
        assert_eq!(sums, Sums::take(&path).unwrap());
    }
}
