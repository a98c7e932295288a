//! Trees: what a folder holds, in one canonical encoding.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::encoding::{Cursor, put_text};
use super::object::{Keep, Objects};
use super::packed::{Encoding, Packed};
use crate::fs::FileHash;
use crate::{Code, Error, Result};

/// The state of one path: of a file, a link, or a folder with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A regular file.
    File {
        /// Permissions, as `chmod` takes them.
        mode: u16,
        /// Bytes.
        size: u64,
        /// The SHA-256 of its bytes.
        hash: FileHash,
    },
    /// A symbolic link.
    Link {
        /// What it says, whether or not it leads anywhere.
        target: OsString,
    },
    /// A folder.
    Folder {
        /// Permissions, as `chmod` takes them.
        mode: u16,
        /// The hash of its tree.
        hash: FileHash,
    },
}

impl Node {
    /// The object that it needs; a link needs none.
    pub const fn hash(&self) -> Option<&FileHash> {
        match self {
            Self::File { hash, .. } | Self::Folder { hash, .. } => Some(hash),
            Self::Link { .. } => None,
        }
    }

    /// Whether it is a folder.
    pub const fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }

    /// Its one encoding. What can't be encoded, a link of more than 65,535 bytes, exists nowhere.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        self.encode_into(&mut bytes);
        bytes
    }

    pub(super) fn encode_into(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::File { mode, size, hash } => {
                bytes.push(b'f');
                bytes.extend(mode.to_le_bytes());
                bytes.extend(size.to_le_bytes());
                bytes.extend(hash.0);
            }
            Self::Link { target } => {
                bytes.push(b'l');
                let target = target.as_bytes();
                let kept = target.get(..usize::from(u16::MAX)).unwrap_or(target);
                put_text(bytes, kept);
            }
            Self::Folder { mode, hash } => {
                bytes.push(b'd');
                bytes.extend(mode.to_le_bytes());
                bytes.extend(hash.0);
            }
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Code::HistoryDamaged`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor(bytes);
        Self::decode_from(&mut cursor)
            .filter(|_| cursor.is_at_end())
            .ok_or_else(|| damaged("a node"))
    }

    /// The bytes of the node that comes next.
    pub(super) fn skip<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
        let all = cursor.0;
        match cursor.byte()? {
            b'f' => cursor.take(2 + 8 + 32).map(drop)?,
            b'l' => cursor.text().map(drop)?,
            b'd' => cursor.take(2 + 32).map(drop)?,
            _ => return None,
        }
        all.get(..all.len() - cursor.0.len())
    }

    fn decode_from(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(match cursor.byte()? {
            b'f' => Self::File {
                mode: cursor.short()?,
                size: cursor.long()?,
                hash: cursor.hash()?,
            },
            b'l' => Self::Link {
                target: OsString::from_vec(cursor.text()?.to_vec()),
            },
            b'd' => Self::Folder {
                mode: cursor.short()?,
                hash: cursor.hash()?,
            },
            _ => return None,
        })
    }
}

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: any bytes but `/` and NUL.
    pub name: OsString,
    /// Its state.
    pub node: Node,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: Vec<Entry>,
}

impl Tree {
    /// A tree of these entries, in whatever order they are.
    ///
    /// # Errors
    /// [`Code::FileOutside`] if a name is none that a folder can hold, or stands there twice.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self> {
        entries.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        for entry in &entries {
            if !is_name(&entry.name) {
                let message = format!("`{}` is no name of a file", entry.name.display());
                return Err(Error::new(Code::FileOutside, message));
            }
        }
        let twice = entries
            .windows(2)
            .find(|pair| matches!(pair, [a, b] if a.name == b.name));
        if let Some([one, _]) = twice {
            let message = format!("`{}` stands there twice", one.name.display());
            return Err(Error::new(Code::FileOutside, message));
        }
        Ok(Self { entries })
    }

    /// The entries, sorted by the bytes of their names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries, sorted by the bytes of their names.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The entry of this name.
    pub fn get(&self, name: &OsStr) -> Option<&Node> {
        self.entries
            .binary_search_by(|entry| entry.name.as_bytes().cmp(name.as_bytes()))
            .ok()
            .and_then(|at| self.entries.get(at))
            .map(|entry| &entry.node)
    }

    fn encoded(&self) -> Encoding {
        let mut encoding = Encoding::of(self.entries.len());
        for entry in &self.entries {
            encoding.push(&entry.name, |bytes| entry.node.encode_into(bytes));
        }
        encoding
    }

    /// The hash of the encoding.
    pub fn hash(&self) -> FileHash {
        FileHash::of(&self.encoded().bytes)
    }

    /// Keeps it, unless it is `known` to be kept, and gives its hash.
    pub fn keep(&self, objects: &dyn Keep, known: Option<&FileHash>) -> Result<FileHash> {
        self.encoded().keep(objects, known)
    }

    /// Reads a tree back.
    ///
    /// # Errors
    /// [`Code::HistoryDamaged`] if it is missing, or is no tree in its one encoding.
    pub fn load(objects: &dyn Objects, hash: &FileHash) -> Result<Self> {
        Ok(Self {
            entries: Packed::load(objects, hash)?.unpack(),
        })
    }

    /// Reads what was encoded. Nothing else is believed: names decide where files are written.
    ///
    /// # Errors
    /// [`Code::HistoryDamaged`] for anything that is not the one encoding of a tree.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            entries: Packed::checked(bytes.to_vec())?.unpack(),
        })
    }
}

/// Permissions of folders of which neither state nor mode is known.
const FOLDER_MODE: u16 = 0o755;

/// Keeps the tree of a folder of which the states at some paths are known, and the modes of some folders in it, and gives
/// its state. What lies in a folder whose state is known is what that says.
pub fn keep_all(
    states: Vec<(PathBuf, Node)>,
    modes: &BTreeMap<PathBuf, u16>,
    objects: &dyn Keep,
) -> Result<Node> {
    keep_folder(Path::new(""), states, modes, objects)
}

fn keep_folder(
    folder: &Path,
    states: Vec<(PathBuf, Node)>,
    modes: &BTreeMap<PathBuf, u16>,
    objects: &dyn Keep,
) -> Result<Node> {
    let mut inside: BTreeMap<OsString, Vec<(PathBuf, Node)>> = BTreeMap::new();
    for (path, node) in states {
        let mut rest = path.components();
        let Some(first) = rest.next() else {
            return Ok(node);
        };
        let first = first.as_os_str().to_owned();
        let rest = rest.as_path().to_path_buf();
        inside.entry(first).or_default().push((rest, node));
    }
    let entries: Result<Vec<Entry>> = inside
        .into_iter()
        .map(|(name, states)| {
            let node = keep_folder(&folder.join(&name), states, modes, objects)?;
            Ok(Entry { name, node })
        })
        .collect();
    Ok(Node::Folder {
        mode: modes.get(folder).copied().unwrap_or(FOLDER_MODE),
        hash: Tree::new(entries?)?.keep(objects, None)?,
    })
}

pub(super) fn is_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 1024
        && !matches!(bytes, b"." | b"..")
        && !bytes.iter().any(|byte| matches!(byte, 0 | b'/'))
}

pub(super) fn damaged(what: &str) -> Error {
    Error::new(
        Code::HistoryDamaged,
        format!("the history holds {what} that can't be read"),
    )
    .hint("`sm snapshot verify` tells which snapshots are whole")
}

#[cfg(test)]
mod tests {
    use super::super::packed::{MAGIC, Packed};
    use proptest::prelude::*;

    use super::super::MemoryObjects;
    use super::*;

    fn file(bytes: &[u8]) -> Node {
        Node::File {
            mode: 0o644,
            size: bytes.len() as u64,
            hash: FileHash::of(bytes),
        }
    }

    fn entry(name: &[u8], node: Node) -> Entry {
        Entry {
            name: OsString::from_vec(name.to_vec()),
            node,
        }
    }

    #[test]
    fn states_at_paths_make_a_folder() {
        let objects = MemoryObjects::default();
        let inner = Tree::new(vec![entry(b"b", file(b"inner"))]).unwrap();
        let known = Node::Folder {
            mode: 0o700,
            hash: inner.keep(&objects, None).unwrap(),
        };
        let states = vec![
            (PathBuf::from("x/a/b"), file(b"as the folder does not say")),
            (PathBuf::from("x/a"), known.clone()),
            (PathBuf::from("x/c"), file(b"c")),
            (PathBuf::from("top"), file(b"top")),
        ];
        let modes = BTreeMap::from([(PathBuf::from("x"), 0o750)]);
        let Node::Folder { hash, mode } = keep_all(states, &modes, &objects).unwrap() else {
            panic!("no folder");
        };
        assert_eq!(mode, FOLDER_MODE);
        let top = Tree::load(&objects, &hash).unwrap();
        assert_eq!(top.get("top".as_ref()), Some(&file(b"top")));
        let inside = top.get("x".as_ref());
        assert!(matches!(inside, Some(Node::Folder { mode: 0o750, .. })));
        let inside = inside.and_then(Node::hash).unwrap();
        let inside = Tree::load(&objects, inside).unwrap();
        let expected = [entry(b"a", known), entry(b"c", file(b"c"))];
        assert_eq!(inside.entries(), expected);
    }

    #[test]
    fn the_order_in_which_entries_were_found_does_not_matter() {
        let a = || entry(b"a", file(b"1"));
        let b = || entry(b"b", file(b"2"));
        let one = Tree::new(vec![a(), b()]).unwrap();
        let other = Tree::new(vec![b(), a()]).unwrap();
        assert_eq!(one.hash(), other.hash());
        assert_eq!(one.get(OsStr::new("b")), Some(&file(b"2")));
        assert_eq!(one.get(OsStr::new("c")), None);
        let renamed = Tree::new(vec![a(), entry(b"c", file(b"2"))]).unwrap();
        assert_ne!(one.hash(), renamed.hash());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 1025]] {
            assert!(Tree::new(vec![entry(bad, file(b""))]).is_err(), "{bad:?}");
            let mut bytes = MAGIC.to_vec();
            put_text(&mut bytes, bad).unwrap();
            file(b"").encode_into(&mut bytes);
            assert!(Tree::decode(&bytes).is_err(), "{bad:?}");
        }
        let twice = vec![entry(b"a", file(b"1")), entry(b"a", file(b"2"))];
        assert!(Tree::new(twice).is_err());
    }

    #[test]
    fn a_tree_has_one_encoding() {
        let mut bytes = MAGIC.to_vec();
        for name in [b"b", b"a"] {
            put_text(&mut bytes, name).unwrap();
            file(b"").encode_into(&mut bytes);
        }
        assert_eq!(Tree::decode(&bytes).unwrap_err().code, Code::HistoryDamaged);
        assert!(Tree::decode(b"").is_err());
        assert_eq!(Tree::decode(MAGIC).unwrap(), Tree::default());
    }

    #[test]
    fn one_changed_entry_of_a_large_folder_costs_little() {
        let objects = MemoryObjects::default();
        let tree = |changed: usize| {
            let entries = (0..10_000).map(|number: usize| {
                let bytes = if number == changed { vec![1] } else { vec![] };
                entry(format!("skill-{number}").as_bytes(), file(&bytes))
            });
            Tree::new(entries.collect()).unwrap()
        };
        let first = tree(10_000).keep(&objects, None).unwrap();
        let (count, bytes) = (objects.count(), objects.bytes());
        assert!(count > 50, "{count}");
        let second = tree(4711).keep(&objects, None).unwrap();
        assert_ne!(first, second);
        // The part with the entry, and the list of the parts.
        assert_eq!(objects.count(), count + 2);
        let cost = objects.bytes() - bytes;
        assert!(cost * 20 < bytes, "{cost} of {bytes}");
        assert_eq!(Tree::load(&objects, &second).unwrap(), tree(4711));
        assert_eq!(Tree::load(&objects, &first).unwrap(), tree(10_000));
    }

    fn node() -> impl Strategy<Value = Node> {
        prop_oneof![
            (0..0o10000_u16, any::<u64>(), any::<[u8; 32]>()).prop_map(|(mode, size, hash)| {
                Node::File {
                    mode,
                    size,
                    hash: FileHash(hash),
                }
            }),
            prop::collection::vec(1..=255_u8, 0..40).prop_map(|target| Node::Link {
                target: OsString::from_vec(target)
            }),
            (0..0o10000_u16, any::<[u8; 32]>()).prop_map(|(mode, hash)| Node::Folder {
                mode,
                hash: FileHash(hash),
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            entries in prop::collection::btree_map(
                prop::collection::vec((1..=255_u8).prop_filter("a slash", |b| *b != b'/'), 3..20),
                node(),
                0..20,
            )
        ) {
            let entries = entries.into_iter().map(|(name, node)| entry(&name, node)).collect();
            let tree = Tree::new(entries).unwrap();
            let bytes = tree.encoded().bytes;
            prop_assert_eq!(&Tree::decode(&bytes).unwrap(), &tree);
            for entry in tree.entries() {
                prop_assert_eq!(&Node::decode(&entry.node.encode()).unwrap(), &entry.node);
            }
        }

        #[test]
        fn a_tree_that_changes_is_encoded_like_any_other(
            before in prop::collection::btree_map("[a-f]{1,2}", node(), 0..20),
            touched in prop::collection::btree_map("[a-f]{1,2}", prop::option::of(node()), 0..10),
        ) {
            let entries = |all: &BTreeMap<String, Node>| {
                let all = all.iter().map(|(name, node)| entry(name.as_bytes(), node.clone()));
                Tree::new(all.collect()).unwrap()
            };
            let packed = Packed::checked(entries(&before).encoded().bytes).unwrap();
            let gone = touched.keys().map(OsStr::new).collect();
            let come: BTreeMap<_, _> = touched
                .iter()
                .filter_map(|(name, node)| Some((name.clone(), node.clone()?)))
                .collect();
            let changed = packed.changed(&gone, &entries(&come));
            let mut after = before;
            after.retain(|name, _| !touched.contains_key(name));
            after.extend(come);
            let whole = entries(&after).encoded();
            prop_assert_eq!(&changed.bytes, &whole.bytes);
            prop_assert_eq!(&changed.cuts, &whole.cuts);
        }

        #[test]
        fn any_bytes_are_refused_or_are_the_one_encoding(mut bytes in prop::collection::vec(any::<u8>(), 0..200), real: bool) {
            if real {
                let tree = Tree::new(vec![entry(b"a", file(b"1")), entry(b"b", file(b"2"))]).unwrap();
                let mut whole = tree.encoded().bytes;
                for (at, byte) in bytes.iter().enumerate().take(3) {
                    let at = (at * 29 + usize::from(*byte)) % whole.len();
                    whole[at] ^= byte;
                }
                bytes = whole;
            }
            if let Ok(tree) = Tree::decode(&bytes) {
                prop_assert_eq!(tree.encoded().bytes, bytes);
            }
        }
    }
}
