//! Which artifacts of a collection a call is about: names, patterns, and filters.

use std::collections::BTreeSet;
use std::path::Path;

use skillmeat_shared::fs::glob;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error, Result};

use super::App;
use super::filters::{self, Wanted};
use super::queries::{LONGEST_TYPO, tolerance};
use crate::store::list::{self, Query, Summary};

/// Names in one selection.
const MAX_NAMES: usize = 10_000;

/// Rows that are read at once.
const PAGE: u32 = 1000;

/// What a call names.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of Selection; see common.proto")]
pub struct Selection {
    pub collection: String,
    pub names: Vec<String>,
    pub kinds: Vec<String>,
    pub tags: Vec<String>,
    pub group: String,
}

impl Selection {
    /// One artifact of a collection.
    pub fn one(collection: &str, artifact: &ArtifactRef) -> Self {
        let name = match &artifact.kind {
            Some(kind) => format!("{kind}:{}", artifact.name),
            None => artifact.name.clone(),
        };
        Self {
            collection: collection.to_owned(),
            names: vec![name],
            ..Self::default()
        }
    }

    /// In the words of a log.
    pub(super) fn words(&self) -> String {
        let names: Vec<String> = self
            .names
            .iter()
            .take(20)
            .map(|name| format!("`{}`", name.chars().take(200).collect::<String>()))
            .collect();
        let mut words = names.join(", ");
        if self.names.len() > names.len() {
            words.push_str(", …");
        }
        if words.is_empty() {
            words.push_str("all");
        }
        for (what, values) in [("of type", &self.kinds), ("tagged", &self.tags)] {
            if !values.is_empty() {
                words.extend([" ", what, " ", &values.join(", ")]);
            }
        }
        if !self.group.is_empty() {
            words.extend([" in group `", &self.group, "`"]);
        }
        words
    }

    pub(super) fn is_filtered(&self) -> bool {
        !self.kinds.is_empty() || !self.tags.is_empty() || !self.group.is_empty()
    }
}

/// The error that a name is not among those that there are: it says which one may be meant.
pub(super) fn unknown<'n>(
    error: Error,
    name: &str,
    names: impl Iterator<Item = &'n str>,
    otherwise: &str,
) -> Error {
    let wanted = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&other.to_lowercase(), &wanted);
    let near = names
        // Comparing takes time by the length.
        .filter(|other| name.len() <= LONGEST_TYPO && other.len() <= LONGEST_TYPO)
        .map(|other| (distance(other), other))
        .filter(|(distance, _)| *distance <= tolerance(name))
        .min();
    match near {
        Some((_, other)) => error.hint(format!("did you mean `{other}`?")),
        None => error.hint(otherwise),
    }
}

/// Each name, and in the place of a pattern that is none of the names that there are those that fit it, if any do.
pub(super) fn spread<'n>(given: &[String], there: impl Iterator<Item = &'n str>) -> Vec<String> {
    let there: Vec<&str> = there.collect();
    let mut all: Vec<String> = Vec::new();
    for name in given {
        let is_name = !parsed(name).is_all() && there.contains(&name.as_str());
        let is_pattern = glob::is_pattern(Path::new(name)) && !is_name;
        let fitting = there
            .iter()
            .filter(|one| is_pattern && glob::fits(name, one));
        let mut meant: Vec<String> = fitting.map(|one| (*one).to_owned()).collect();
        if meant.is_empty() {
            meant.push(name.clone());
        }
        all.extend(meant);
    }
    let mut seen = BTreeSet::new();
    all.retain(|name| seen.insert(name.clone()));
    all
}

/// The error that a collection has no such group.
pub(super) fn no_group<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Error {
    let error = Error::new(Code::GroupNotFound, format!("there is no group `{name}`"));
    unknown(
        error,
        name,
        names,
        "`sm group list` shows those that there are",
    )
}

/// The error that a collection has no such tag.
pub(super) fn no_tag<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Error {
    let error = Error::new(Code::TagNotFound, format!("there is no tag `{name}`"));
    unknown(
        error,
        name,
        names,
        "`sm tag list` shows those that there are",
    )
}

/// What a selection means.
#[derive(Debug, Clone, Default)]
pub(super) struct Selected {
    /// The artifacts, each once: those of the first name first.
    pub(super) rows: Vec<Summary>,
    /// Names that mean none, and why.
    pub(super) failed: Vec<(String, Error)>,
}

impl App {
    /// The artifacts that a selection means. A name that means none is no reason to give up the others.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] if nothing is named, a filter makes no sense, or too much is named;
    /// [`Code::CollectionNotFound`]; [`Code::GroupNotFound`] and [`Code::TagNotFound`] if a filter names what is
    /// not there: one that is mistyped must not look like one that nothing passes.
    pub(super) fn select(&self, collection: &str, selection: &Selection) -> Result<Selected> {
        if selection.names.is_empty() && !selection.is_filtered() {
            return Err(
                Error::new(Code::InvalidArgument, "no artifact is named").hint(
                    "name artifacts, or choose them with `--type`, `--tag` or `--group`; `'*'` means all",
                ),
            );
        }
        if selection.names.len() > MAX_NAMES {
            let message = format!("more than {MAX_NAMES} names are given at once");
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("use a pattern such as `'pdf-*'`, or several commands"));
        }
        self.check_filters(collection, selection)?;
        let is_plain = |name: &&String| !parsed(name).is_pattern();
        let needs_all =
            selection.is_filtered() || !selection.names.iter().all(|name| is_plain(&name));
        let passing = if needs_all {
            self.passing(collection, selection)?
        } else {
            Vec::new()
        };
        if selection.names.is_empty() {
            return Ok(Selected {
                rows: passing,
                failed: Vec::new(),
            });
        }
        let store = self.store()?;
        let passes: BTreeSet<i64> = passing.iter().map(|row| row.row).collect();
        let mut seen = BTreeSet::new();
        let mut selected = Selected::default();
        for name in &selection.names {
            let reference = parsed(name);
            let resolved = if reference.is_all() {
                Err(Error::new(Code::ArtifactNotFound, name))
            } else {
                self.resolve_in(&store, collection, &reference)
            };
            let found = match resolved {
                Ok(row) if !selection.is_filtered() || passes.contains(&row.row) => Ok(vec![row]),
                Ok(row) => {
                    let message = format!(
                        "`{}:{}` is there, but not of the types, tags and group that are asked for",
                        row.kind, row.name
                    );
                    Err(Error::new(Code::ArtifactNotFound, message))
                }
                Err(error) if error.code == Code::ArtifactNotFound && reference.is_pattern() => {
                    let fits = |row: &&Summary| reference.fits(&row.kind, &row.name);
                    let fitting: Vec<Summary> = passing.iter().filter(fits).cloned().collect();
                    if fitting.is_empty() {
                        let message = format!("nothing in `{collection}` fits `{name}`");
                        Err(Error::new(Code::ArtifactNotFound, message))
                    } else {
                        Ok(fitting)
                    }
                }
                Err(error) if is_of_all(&error) => return Err(error),
                Err(error) => Err(self.with_whereabouts(error, collection, &reference)),
            };
            match found {
                Ok(rows) => selected
                    .rows
                    .extend(rows.into_iter().filter(|row| seen.insert(row.row))),
                Err(error) => selected.failed.push((name.clone(), self.told(error))),
            }
        }
        Ok(selected)
    }

    /// Fails if a group or tag of the filters is not there. One that is defined is there, also if nothing has it.
    fn check_filters(&self, collection: &str, selection: &Selection) -> Result<()> {
        if selection.group.is_empty() && selection.tags.is_empty() {
            return Ok(());
        }
        let store = self.store()?;
        let asked = self.asked(&store, collection, false)?;
        let row = asked.first().map_or(0, |(row, _)| *row);
        let wanted = Wanted {
            tags: &selection.tags,
            group: &selection.group,
            origin: "",
        };
        let rows = [row].into_iter();
        let missing = store.read(|connection| filters::missing(connection, rows, &wanted))?;
        missing.into_iter().next().map_or(Ok(()), Err)
    }

    /// All rows of a collection that pass the filters.
    fn passing(&self, collection: &str, selection: &Selection) -> Result<Vec<Summary>> {
        let store = self.store()?;
        let asked = self.asked(&store, collection, false)?;
        let mut query = Query {
            collection: Some(asked.first().map_or(0, |(row, _)| *row)),
            kinds: self.kinds_of(&store, &selection.kinds)?,
            tags: selection.tags.clone(),
            group: Some(selection.group.clone()).filter(|group| !group.is_empty()),
            limit: PAGE,
            ..Query::default()
        };
        let mut rows = Vec::new();
        loop {
            let (mut page, cursor) = store.read(|connection| list::page(connection, &query))?;
            rows.append(&mut page);
            query.after = cursor;
            if query.after.is_none() {
                return Ok(rows);
            }
        }
    }

    /// An artifact that is not in this collection may be in another one.
    fn with_whereabouts(&self, error: Error, collection: &str, reference: &ArtifactRef) -> Error {
        if error.code != Code::ArtifactNotFound {
            return error;
        }
        let elsewhere = self
            .store()
            .and_then(|store| self.resolve(&store, "", reference));
        match elsewhere {
            Ok(row) if row.collection != collection => error.hint(format!(
                "there is one in `{}`: name it with `-c {}`",
                row.collection, row.collection
            )),
            _ => error,
        }
    }
}

/// A name as a reference.
pub(super) fn parsed(name: &str) -> ArtifactRef {
    let Ok(reference) = name.parse();
    reference
}

/// Whether an error is not about the name alone.
const fn is_of_all(error: &Error) -> bool {
    !matches!(
        error.code,
        Code::ArtifactNotFound | Code::ArtifactAmbiguous | Code::InvalidArgument
    )
}
