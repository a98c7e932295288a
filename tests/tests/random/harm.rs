//! Manifests and locks that are edited, broken and mended.

use std::fs;

use skillmeat_tests::home::{replace, write};

use crate::manifest;
use crate::step::{Harm, Step};
use crate::world::{COLLECTIONS, World, remove};

/// What a broken collection said before.
#[derive(Debug)]
pub(crate) struct Saved {
    harm: Harm,
    manifest: Vec<u8>,
    lock: Vec<u8>,
}

impl World {
    pub(crate) fn treat_manifest(&mut self, step: &Step) {
        match step {
            Step::Manifest(collection, entries) => {
                let at = usize::from(*collection);
                let manifest = self.root(*collection).join("collection.toml");
                match &self.broken[at] {
                    Some(saved) if saved.harm == Harm::Lock => {}
                    Some(_) => {
                        if manifest.is_dir() {
                            remove(&manifest);
                        }
                        self.broken[at] = None;
                    }
                    None => {}
                }
                write(&manifest, manifest::text(COLLECTIONS[at], entries));
            }
            Step::Break(collection, harm) => self.harm(*collection, *harm),
            Step::Mend(collection) => self.mend_one(*collection),
            _ => {}
        }
    }

    fn harm(&mut self, collection: u8, harm: Harm) {
        let slot = usize::from(collection);
        if self.broken[slot].is_some() {
            return;
        }
        let manifest = self.root(collection).join("collection.toml");
        let lock = self.root(collection).join("collection.lock");
        let saved = Saved {
            harm,
            manifest: fs::read(&manifest).unwrap(),
            lock: fs::read(&lock).unwrap(),
        };
        match harm {
            Harm::Torn => write(&manifest, "[collection]\nname = \"x\"\n\n[[artifa"),
            Harm::Empty => write(&manifest, ""),
            Harm::Gone => fs::remove_file(&manifest).unwrap(),
            Harm::Binary => write(&manifest, b"\xff\xfe\0\0[collection]\n"),
            Harm::Folder => {
                fs::remove_file(&manifest).unwrap();
                fs::create_dir(&manifest).unwrap();
            }
            Harm::Lock => write(&lock, "[lock]\nversion = \"1.0.0\"\n[lock.entr"),
        }
        self.broken[slot] = Some(saved);
    }

    pub(crate) fn mend_one(&mut self, collection: u8) {
        let Some(saved) = self.broken[usize::from(collection)].take() else {
            return;
        };
        if saved.harm == Harm::Lock {
            replace(self.root(collection).join("collection.lock"), saved.lock);
        } else {
            let manifest = self.root(collection).join("collection.toml");
            if manifest.is_dir() {
                remove(&manifest);
            }
            replace(manifest, saved.manifest);
        }
    }
}
