//! The folder that an archive is unpacked into.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::gate::{Gate, Node, refused, shown};
use super::{Limits, io};
use crate::fs::atomic::Temporary;
use crate::{Error, Result};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// An entry, as its format tells it.
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    pub(super) node: Node<'a>,
    /// Unix permissions.
    pub(super) mode: u32,
}

/// Of the bytes that an entry and the whole archive have unpacked to so far: those that count against the
/// bytes that they were packed in, and these.
pub(super) type Weigh<'a> = &'a dyn Fn(u64, u64) -> (u64, u64);

/// A new folder that gets the entries of one archive. Removed when dropped, unless kept.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    /// What is removed: the folder, or the private one around it.
    whole: Temporary,
    gate: Gate,
    /// Made at the end, when everything that they could lead to stands.
    links: Vec<(Vec<u8>, PathBuf, Vec<u8>)>,
    /// Set at the end, since a folder may forbid writing.
    modes: Vec<(PathBuf, u32)>,
}

impl Staging {
    /// A new folder `name` in a new private folder in `room`.
    pub(super) fn new(room: &Path, name: &str, limits: Limits) -> Result<Self> {
        crate::paths::ensure_private_dir(room)?;
        let whole = Temporary::name_in(room);
        make(&whole)?;
        let whole = Temporary::adopt(whole);
        let root = crate::fs::join(whole.path(), Path::new(name))?;
        make(&root)?;
        Ok(Self::around(root, whole, limits))
    }

    /// The new folder `root` itself.
    pub(super) fn at(root: PathBuf, limits: Limits) -> Result<Self> {
        make(&root)?;
        let whole = Temporary::adopt(root.clone());
        Ok(Self::around(root, whole, limits))
    }

    fn around(root: PathBuf, whole: Temporary, limits: Limits) -> Self {
        Self {
            root,
            whole,
            gate: Gate::new(limits),
            links: Vec::new(),
            modes: Vec::new(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) const fn limits(&self) -> &Limits {
        self.gate.limits()
    }

    pub(super) fn keep(self) {
        self.whole.disarm();
    }

    /// Unpacks one entry.
    pub(super) fn put(
        &mut self,
        entry: &Entry<'_>,
        content: &mut dyn Read,
        weigh: Weigh<'_>,
    ) -> Result<()> {
        let Some(path) = self.gate.admit(entry.name, &entry.node)? else {
            return Ok(());
        };
        let to = self.root.join(path);
        let folder = to.parent().unwrap_or(&self.root);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(io("create", folder))?;
        match entry.node {
            Node::File(_) => self.file(entry, &to, content, weigh),
            Node::Folder => {
                if !to.is_dir() {
                    make(&to)?;
                }
                self.modes.push((to, self.mode_of(entry.mode, true)));
                Ok(())
            }
            Node::Symlink(target) => {
                self.links.push((entry.name.to_vec(), to, target.to_vec()));
                Ok(())
            }
            Node::HardLink(target) => {
                let from = self.root.join(self.gate.linked(entry.name, target)?);
                if from == to {
                    return Err(refused(entry.name, "is a hard link to itself"));
                }
                let mut source = File::open(&from).map_err(io("read", &from))?;
                let copy = Entry {
                    mode: source
                        .metadata()
                        .map_err(io("read", &from))?
                        .permissions()
                        .mode(),
                    ..*entry
                };
                // What it copies was weighed when it was unpacked.
                self.file(&copy, &to, &mut source, &|_, _| (0, 0))
            }
            Node::Special(what) => Err(refused(entry.name, &format!("is {what}"))),
        }
    }

    fn file(
        &mut self,
        entry: &Entry<'_>,
        to: &Path,
        content: &mut dyn Read,
        weigh: Weigh<'_>,
    ) -> Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(io("create", to))?;
        let mut chunk = vec![0; CHUNK];
        let mut unpacked = 0_u64;
        loop {
            let read = content
                .read(&mut chunk)
                .map_err(|error| damaged(entry.name, &error))?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            unpacked += read as u64;
            self.gate.grow(entry.name, read as u64)?;
            let (unpacked, packed) = weigh(unpacked, self.gate.bytes());
            self.gate.weigh(entry.name, unpacked, packed)?;
            file.write_all(bytes).map_err(io("write", to))?;
        }
        let mode = fs::Permissions::from_mode(self.mode_of(entry.mode, false));
        file.set_permissions(mode).map_err(io("write", to))
    }

    /// The permissions that an entry gets. Nothing runs as somebody else.
    const fn mode_of(&self, mode: u32, is_folder: bool) -> u32 {
        match (self.limits().portable, is_folder || mode & 0o111 != 0) {
            (true, true) => 0o755,
            (true, false) => 0o644,
            (false, _) => mode & 0o777,
        }
    }

    /// Makes the links, and proves that none leads out.
    pub(super) fn finish(&mut self) -> Result<()> {
        for (_, at, target) in &self.links {
            std::os::unix::fs::symlink(OsStr::from_bytes(target), at).map_err(io("create", at))?;
        }
        let root = fs::canonicalize(&self.root).map_err(io("read", &self.root))?;
        for (name, at, _) in &self.links {
            match fs::canonicalize(at) {
                Ok(real) if real.starts_with(&root) => {}
                Ok(_) => return Err(refused(name, "is a link that leads out")),
                Err(_) if !self.limits().portable => {}
                Err(_) => return Err(refused(name, "is a link that leads nowhere")),
            }
        }
        for (folder, mode) in self.modes.iter().rev() {
            fs::set_permissions(folder, fs::Permissions::from_mode(*mode))
                .map_err(io("create", folder))?;
        }
        Ok(())
    }
}

fn make(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(folder)
        .map_err(io("create", folder))
}

/// The error for an entry whose bytes can't be read.
pub(super) fn damaged(name: &[u8], error: &std::io::Error) -> Error {
    // A limit of ours that a reader kept, or the archive's own fault.
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(ours) = inner {
        return Error::clone(ours);
    }
    // Whoever made the archive may have had it say anything.
    let why: String = error.to_string().escape_debug().collect();
    super::invalid(&if name.is_empty() {
        format!("is damaged: {why}")
    } else {
        format!("is damaged at `{}`: {why}", shown(name))
    })
}
