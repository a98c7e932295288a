//! A disk that a thread of the test serves through `/dev/fuse`: it shows a folder, can't be written, and falls silent
//! when it is told to, as a network disk does whose server went away.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::until;

/// How it is mounted by a process that has the device as its standard input.
pub const OPTIONS: &str = "fd=0,rootmode=40000,user_id=0,group_id=0";

const REQUEST: usize = 1 << 18;
const HEADER: usize = 40;

const ENOENT: i32 = 2;
const ENOSYS: i32 = 38;

#[derive(Default)]
struct State {
    /// Which opening of which file is the last thing that is answered before it; none: it has not been said.
    silent_at: Option<(PathBuf, u32)>,
    is_silent: bool,
    /// What was asked meanwhile.
    unanswered: Vec<Vec<u8>>,
    paths: Vec<PathBuf>,
    numbers: HashMap<PathBuf, u64>,
}

/// The disk.
pub struct Disk {
    device: File,
    state: Arc<Mutex<State>>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// Serves what lies below a folder; nothing where this user may not open the device.
    pub fn serve(folder: &Path) -> Option<Self> {
        let mut options = File::options();
        let device = options.read(true).write(true).open("/dev/fuse").ok()?;
        let state = Arc::new(Mutex::new(State::default()));
        // The kernel calls the root 1.
        locked(&state).paths = vec![PathBuf::new(), folder.to_owned()];
        let (mut input, shared) = (device.try_clone().unwrap(), Arc::clone(&state));
        std::thread::spawn(move || {
            let mut request = vec![0; REQUEST];
            let mut next = || match input.read(&mut request) {
                // It is still to be mounted.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
                read => Some(read),
            };
            let mut read = until("the mount", &mut next);
            while let Ok(length) = read {
                take(&mut input, &shared, &request[..length]);
                read = input.read(&mut request);
            }
        });
        Some(Self { device, state })
    }

    /// What a process mounts.
    pub fn device(&self) -> File {
        self.device.try_clone().unwrap()
    }

    /// Answers nothing any more from the moment at which a file is opened for the so-manieth time from now on.
    pub fn fall_silent_at(&self, file: PathBuf, time: u32) {
        locked(&self.state).silent_at = Some((file, time));
    }

    /// Answers nothing any more.
    pub fn fall_silent(&self) {
        locked(&self.state).is_silent = true;
    }

    /// Whether it has fallen silent.
    pub fn is_silent(&self) -> bool {
        locked(&self.state).is_silent
    }

    /// Answers all that was asked meanwhile, and goes on.
    pub fn answer_again(&mut self) {
        let mut state = locked(&self.state);
        state.is_silent = false;
        state.silent_at = None;
        let unanswered = std::mem::take(&mut state.unanswered);
        drop(state);
        for request in unanswered {
            take(&mut self.device, &self.state, &request);
        }
    }
}

fn number(request: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(request[at..at + 8].try_into().unwrap())
}

fn half(request: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(request[at..at + 4].try_into().unwrap())
}

fn take(device: &mut File, state: &Mutex<State>, request: &[u8]) {
    let mut state = locked(state);
    if state.is_silent {
        state.unanswered.push(request.to_owned());
        return;
    }
    let answer = state.answer(request);
    drop(state);
    let Some(answer) = answer else { return };
    let (error, body) = answer.map_or_else(|error| (-error, Vec::new()), |body| (0, body));
    let mut bytes = u32::try_from(16 + body.len())
        .unwrap()
        .to_le_bytes()
        .to_vec();
    bytes.extend(error.to_le_bytes());
    bytes.extend(&request[8..16]);
    bytes.extend(body);
    // Who asked may have been ended meanwhile.
    drop(device.write(&bytes));
}

impl State {
    /// What is answered; nothing where no answer is expected, or comes.
    fn answer(&mut self, request: &[u8]) -> Option<Result<Vec<u8>, i32>> {
        let path = self
            .paths
            .get(usize::try_from(number(request, 16)).unwrap());
        let path = path.cloned().unwrap_or_default();
        let body = &request[HEADER..];
        let answer = match half(request, 4) {
            // Look up.
            1 => {
                let name = body.split(|byte| *byte == 0).next().unwrap();
                self.entry(path.join(OsStr::from_bytes(name)))
            }
            // Forget one, or many, and interrupt.
            2 | 36 | 42 => return None,
            // Attributes.
            3 => attributes(&path).map(|of| [vec![0; 16], of].concat()),
            // Open a file, or a folder.
            14 | 27 => {
                if let Some((file, times)) = &mut self.silent_at
                    && *file == path
                {
                    *times -= 1;
                    if *times == 0 {
                        self.is_silent = true;
                        self.unanswered.push(request.to_owned());
                        return None;
                    }
                }
                Ok(vec![0; 16])
            }
            15 => read(&path, number(body, 8), half(body, 16)),
            // Statistics of the disk.
            17 => Ok(vec![0; 80]),
            // Close.
            18 | 25 | 29 => Ok(Vec::new()),
            26 => Ok(hello()),
            28 => entries(&path, number(body, 8)),
            _ => Err(ENOSYS),
        };
        Some(answer)
    }

    fn entry(&mut self, path: PathBuf) -> Result<Vec<u8>, i32> {
        let of = attributes(&path)?;
        let next = u64::try_from(self.paths.len()).unwrap();
        let number = *self.numbers.entry(path.clone()).or_insert(next);
        if number == next {
            self.paths.push(path);
        }
        // Nothing of it may be remembered.
        Ok([number.to_le_bytes().to_vec(), vec![0; 32], of].concat())
    }
}

fn hello() -> Vec<u8> {
    let mut bytes = [7_u32.to_le_bytes(), 31_u32.to_le_bytes()].concat();
    bytes.resize(64, 0);
    bytes
}

fn attributes(path: &Path) -> Result<Vec<u8>, i32> {
    let found = path.symlink_metadata().map_err(|_| ENOENT)?;
    let mut bytes = Vec::new();
    let times = [found.atime(), found.mtime(), found.ctime()];
    for number in [found.ino(), found.len(), found.blocks()] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(times.iter().flat_map(|time| time.to_le_bytes()));
    let parts = [found.atime_nsec(), found.mtime_nsec(), found.ctime_nsec()];
    for part in parts {
        bytes.extend(u32::try_from(part).unwrap().to_le_bytes());
    }
    for number in [found.mode(), 1, 0, 0, 0, 4096, 0] {
        bytes.extend(number.to_le_bytes());
    }
    Ok(bytes)
}

fn read(path: &Path, offset: u64, size: u32) -> Result<Vec<u8>, i32> {
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    let file = File::open(path).map_err(|_| ENOENT)?;
    let length = file.read_at(&mut bytes, offset).map_err(|_| ENOENT)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// The entries of a folder, all at once: test folders are small.
fn entries(path: &Path, offset: u64) -> Result<Vec<u8>, i32> {
    let mut bytes = Vec::new();
    if offset > 0 {
        return Ok(bytes);
    }
    let kind = |found: &Metadata| if found.is_dir() { 4_u32 } else { 8 };
    let listed = std::fs::read_dir(path).map_err(|_| ENOENT)?.flatten();
    for (at, entry) in (1_u64..).zip(listed) {
        let (name, found) = (entry.file_name(), entry.metadata().map_err(|_| ENOENT)?);
        bytes.extend(found.ino().to_le_bytes());
        bytes.extend(at.to_le_bytes());
        bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend(kind(&found).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    Ok(bytes)
}
