//! Writing a collection to an archive.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use skillmeat_shared::collection::export::{self, Exported};
use skillmeat_shared::{Code, Error, Result};

use super::App;
use crate::app::reach::unreachable;

impl App {
    /// Writes a collection to a new `.tar.gz`. Its name, and what was written.
    ///
    /// # Errors
    /// [`Code::FileExists`] if something stands there and is not to be replaced; what reading and writing say.
    pub fn export_collection(
        &self,
        name: &str,
        path: &Path,
        force: bool,
    ) -> Result<(String, Exported)> {
        let whole = self.collection(name)?;
        let view = whole.described.view;
        let root = PathBuf::from(&view.path);
        let root = fs::canonicalize(&root).map_err(|error| unreachable(&root, &error))?;
        let folder = path.parent().unwrap_or(path);
        let inside = fs::canonicalize(folder).map_err(|error| Error::io("open", folder, &error))?;
        if inside.starts_with(&root) {
            let message = "the archive would lie in the collection that it holds";
            return Err(Error::new(Code::InvalidArgument, message).at(path, None));
        }
        let taken = || {
            Error::new(
                Code::FileExists,
                format!("`{}` exists already", path.display()),
            )
            .at(path, None)
            .hint("name another file, or replace it with `--force`")
        };
        if !force && path.symlink_metadata().is_ok() {
            return Err(taken());
        }
        let failed = |error: &std::io::Error| Error::io("write", path, error);
        let file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
        let done = export::export(&root, &view.name, BufWriter::new(file.as_file()))?;
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        let kept: Result<File, tempfile::PersistError> = if force {
            file.persist(path)
        } else {
            file.persist_noclobber(path)
        };
        match kept {
            Ok(_) => Ok((view.name, done)),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(taken()),
            Err(error) => Err(failed(&error.error)),
        }
    }
}
