//! The states that a change takes from the disk and gives back to it.

use std::path::Path;

use skillmeat_shared::Result;
use skillmeat_shared::history::{self, MemoryObjects, Node, restore};

/// Keeps the states of one change.
#[derive(Debug, Default)]
pub(super) struct Past {
    objects: MemoryObjects,
}

impl Past {
    /// The state of a path; nothing if nothing stands there.
    pub(super) fn capture(&self, path: &Path) -> Result<Option<Node>> {
        history::capture(path, &self.objects).map(|captured| captured.node)
    }

    /// Has a state stand at a path where nothing stands.
    pub(super) fn restore(&self, node: &Node, path: &Path) -> Result<()> {
        restore::restore(node, &self.objects, path)?;
        restore::flush(path)
    }
}
