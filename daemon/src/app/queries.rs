//! Reading artifacts: pages, one in full, names for completion, and what a name means.

use std::borrow::Cow;

use skillmeat_shared::artifact::name;
use skillmeat_shared::error::word;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error, Kind, Result};

use super::filters;
use super::{App, Freshness, Shown};
use crate::store::list::{self, Cursor, Query, Sort, Summary};
use crate::store::{Store, collection, show};

/// Rows of a page at most.
const MAX_PAGE: u32 = 1000;

/// Rows of a page if the request names no number.
const PAGE: u32 = 50;

/// Bytes of a name that near ones are looked for, at most.
pub(super) const LONGEST_TYPO: usize = 256;

/// Names that an error suggests at most.
const SUGGESTIONS: usize = 3;

/// What a page is asked for.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of ListArtifactsRequest; see artifact.proto"
)]
pub struct ListRequest {
    pub collection: String,
    pub all_collections: bool,
    pub kinds: Vec<String>,
    pub tags: Vec<String>,
    pub group: String,
    pub origin: String,
    pub status: String,
    pub sort: Sort,
    pub page_size: u32,
    pub page_token: String,
}

/// A page, but for its rows.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Matches on all pages.
    pub total: u64,
    /// Token of the next page; empty on the last one.
    pub next: String,
    /// How fresh the rows are.
    pub freshness: Freshness,
    /// Collections that were asked.
    pub collections: Vec<String>,
    /// What the filters name that is not there, if nothing passes them.
    pub hints: Vec<String>,
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl App {
    /// A page of artifacts, which are handed over one by one.
    pub fn list(&self, request: &ListRequest, take: &mut dyn FnMut(Summary)) -> Result<Listed> {
        let store = self.store()?;
        let request = request.clone();
        let asked = self.asked(&store, &request.collection, request.all_collections)?;
        let after: Option<Cursor> = if request.page_token.is_empty() {
            None
        } else {
            Some(serde_json::from_str(&request.page_token).map_err(|_| {
                Error::new(Code::InvalidArgument, "the page token is not one of ours")
                    .hint("begin again with the first page")
            })?)
        };
        let status = some(request.status);
        if let Some(status) = &status
            && skillmeat_shared::artifact::Status::parse(status).is_none()
        {
            let known = skillmeat_shared::artifact::Status::ALL
                .map(skillmeat_shared::artifact::Status::as_str)
                .join(", ");
            return Err(Error::new(
                Code::InvalidArgument,
                format!("`{status}` is no status of an artifact"),
            )
            .hint(format!("use one of {known}")));
        }
        let one = match asked.as_slice() {
            [(row, _)] if !request.all_collections => Some(*row),
            // The collection is on disk, but its row is still to come.
            [] if !request.all_collections => Some(0),
            _ => None,
        };
        let query = Query {
            collection: one,
            kinds: self.kinds_of(&store, &request.kinds)?,
            tags: request.tags,
            group: some(request.group),
            origin: some(request.origin),
            status,
            sort: request.sort,
            after,
            limit: if request.page_size == 0 {
                PAGE
            } else {
                request.page_size.min(MAX_PAGE)
            },
        };
        if query
            .after
            .as_ref()
            .is_some_and(|after| after.sort() != query.sort)
        {
            return Err(Error::new(
                Code::InvalidArgument,
                "the page token belongs to another order",
            )
            .hint("begin again with the first page"));
        }
        let building = self.building();
        let listed = store.read(|connection| {
            let cursor = list::each(connection, &query, take)?;
            let total = list::total(connection, &query)?;
            let mut freshness = self.freshness_of(connection, &asked, &building)?;
            freshness.complete &= !building.hides(&asked, request.all_collections);
            Ok(Listed {
                total,
                // What a filter names may stand in files that are still to be read.
                hints: if freshness.complete {
                    filters::hints(connection, &asked, &(&query).into(), total)?
                } else {
                    Vec::new()
                },
                next: cursor
                    .and_then(|cursor| serde_json::to_string(&cursor).ok())
                    .unwrap_or_default(),
                freshness,
                collections: asked.iter().map(|(_, name)| name.clone()).collect(),
            })
        })?;
        self.counters.read(listed.freshness.complete);
        Ok(listed)
    }

    /// One artifact in full.
    pub fn show(&self, collection: &str, reference: &ArtifactRef) -> Result<Shown> {
        let store = self.store()?;
        let building = self.building();
        let found = self.resolve(&store, collection, reference)?;
        let shown = store.read(|connection| {
            let Some(detail) = show::detail(connection, found.row)? else {
                return Ok(None);
            };
            let asked: Vec<(i64, String)> = collection::names(connection)?
                .into_iter()
                .filter(|(_, name)| *name == found.collection)
                .collect();
            let freshness = self.freshness_of(connection, &asked, &building)?;
            Ok(Some(Shown::new(detail, freshness)))
        })?;
        let shown = shown.ok_or_else(|| unknown(reference, None))?;
        self.counters.read(true);
        Ok(shown)
    }

    /// The artifact that a name means: in the collection that is named, or in the default one, or, failing
    /// that, in any.
    pub(super) fn resolve(
        &self,
        store: &Store,
        collection: &str,
        reference: &ArtifactRef,
    ) -> Result<Summary> {
        if !collection.is_empty() {
            return self.resolve_in(store, collection, reference);
        }
        let default = self.collection_or_default("");
        let names = store.read(collection::names)?;
        if names.iter().any(|(_, name)| *name == default) {
            match self.resolve_in(store, &default, reference) {
                Err(error) if error.code == Code::ArtifactNotFound => {}
                found => return found,
            }
        }
        let found = store.read(|connection| find(connection, None, reference))?;
        match found.len() {
            0 => {
                self.counters.read(self.is_everything_known());
                Err(unknown(
                    reference,
                    Some(&store.read(|c| show::names(c, None))?),
                ))
            }
            _ => the_one(found, reference),
        }
    }

    /// The artifact that a name means in one collection.
    pub(super) fn resolve_in(
        &self,
        store: &Store,
        collection: &str,
        reference: &ArtifactRef,
    ) -> Result<Summary> {
        let found = self.meant_by(store, collection, reference)?;
        if found.is_empty() {
            let asked = self.asked(store, collection, false)?;
            let row = asked.first().map_or(0, |(row, _)| *row);
            let names = store.read(|connection| show::names(connection, Some(row)))?;
            return Err(unknown(reference, Some(&names)));
        }
        the_one(found, reference)
    }

    /// All artifacts that a name means in one collection; none is no error.
    pub(super) fn meant_by(
        &self,
        store: &Store,
        collection: &str,
        reference: &ArtifactRef,
    ) -> Result<Vec<Summary>> {
        let asked = self.asked(store, collection, false)?;
        let row = asked.first().map_or(0, |(row, _)| *row);
        store.read(|connection| find(connection, Some(row), reference))
    }

    fn is_everything_known(&self) -> bool {
        self.phase() == super::Phase::Ready
    }

    /// Names that begin with a prefix, with help.
    pub fn complete(&self, what: &str, prefix: &str, limit: u32) -> Result<Vec<(String, String)>> {
        let store = self.store()?;
        let limit = if limit == 0 { 200 } else { limit.min(1000) };
        let starts = |name: &str| name.to_lowercase().starts_with(&prefix.to_lowercase());
        let mut found: Vec<(String, String)> = store.read(|connection| match what {
            "collection" => Ok(collection::all(connection)?
                .into_iter()
                .map(|view| {
                    let help = format!("{} artifacts", view.artifacts());
                    (view.name, help)
                })
                .filter(|(name, _)| starts(name))
                .collect()),
            "tag" => Ok(collection::tags(connection, None)?
                .into_iter()
                .filter(|(tag, _)| starts(tag))
                .map(|(tag, uses)| (tag, format!("{uses} artifacts")))
                .collect()),
            "group" => {
                let mut groups = Vec::new();
                for (row, _) in collection::names(connection)? {
                    for group in collection::groups(connection, row)? {
                        if starts(&group.group.name) {
                            groups.push((group.group.name, group.group.description));
                        }
                    }
                }
                Ok(groups)
            }
            _ => complete_artifacts(connection, prefix, limit),
        })?;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }
}

fn complete_artifacts(
    connection: &rusqlite::Connection,
    prefix: &str,
    limit: u32,
) -> rusqlite::Result<Vec<(String, String)>> {
    let typed = prefix.split_once(':').and_then(|(kind, name)| {
        kind.parse::<Kind>()
            .ok()
            .map(|kind| (kind.as_str().to_owned(), name))
    });
    let (kind, name) = match &typed {
        Some((kind, name)) => (Some(kind.as_str()), *name),
        None => (None, prefix),
    };
    let names = show::complete(connection, name, limit)?;
    let mut seen = std::collections::HashSet::new();
    Ok(names
        .into_iter()
        // Several collections may hold the same one.
        .filter(|(name, of, _)| seen.insert((name.clone(), of.clone())))
        .filter(|(_, of, _)| kind.is_none_or(|kind| kind == of))
        .map(|(name, of, description)| {
            let value = if kind.is_some() {
                format!("{of}:{name}")
            } else {
                name
            };
            (value, description.unwrap_or(of))
        })
        .collect())
}

fn find(
    connection: &rusqlite::Connection,
    collection: Option<i64>,
    reference: &ArtifactRef,
) -> rusqlite::Result<Vec<Summary>> {
    let found = show::find(
        connection,
        collection,
        reference.kind.as_ref(),
        &reference.name,
    )?;
    if !found.is_empty() {
        return Ok(found);
    }
    // Existing programs accept the file's name, too, on both sides.
    let bare = name::bare(&reference.name);
    if let Some(bare) = bare {
        let found = show::find(connection, collection, reference.kind.as_ref(), bare)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let bare = bare.unwrap_or(&reference.name);
    let found = show::find_but_for_ending(connection, collection, reference.kind.as_ref(), bare)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let mut found = show::find_alias(connection, collection, &reference.name)?;
    if let Some(kind) = &reference.kind {
        found.retain(|summary| summary.kind == kind.as_str());
    } else if found.is_empty()
        && let Some((kind, name)) = reference.name.split_once(':')
    {
        // A manifest may have kinds that we do not know.
        let kind = Kind::from_manifest(kind);
        return show::find(connection, collection, Some(&kind), name);
    }
    Ok(found)
}

/// The only one; or the managed one among files that share an id; or an error that names all.
fn the_one(mut found: Vec<Summary>, reference: &ArtifactRef) -> Result<Summary> {
    let same_id = found.windows(2).all(|pair| match pair {
        [a, b] => (&a.collection, &a.kind, &a.name) == (&b.collection, &b.kind, &b.name),
        _ => true,
    });
    if same_id && !found.is_empty() {
        return Ok(found.swap_remove(0));
    }
    let mut error = Error::new(
        Code::ArtifactAmbiguous,
        format!("`{}` names {} artifacts", reference.name, found.len()),
    );
    for summary in found.iter().take(10) {
        error = error.hint(format!(
            "`{}:{}` in `{}`: `sm show {} -c {}`",
            summary.kind,
            summary.name,
            summary.collection,
            word(&format!("{}:{}", summary.kind, summary.name)),
            word(&summary.collection)
        ));
    }
    Err(error)
}

fn unknown(reference: &ArtifactRef, names: Option<&[(String, String)]>) -> Error {
    if reference.name.len() > LONGEST_TYPO {
        // Not repeated: an error must fit into the head of an answer.
        return Error::new(
            Code::ArtifactNotFound,
            format!(
                "there is no artifact with a name of {} bytes",
                reference.name.len()
            ),
        )
        .hint("`sm list` shows those that there are");
    }
    let wanted = match &reference.kind {
        Some(kind) => format!("{kind}:{}", reference.name),
        None => reference.name.clone(),
    };
    let error = Error::new(
        Code::ArtifactNotFound,
        format!("there is no artifact `{wanted}`"),
    );
    if let Some(mistake) = reference.mistaken_kind() {
        return error.hint(mistake);
    }
    let near = nearest(&reference.name, names.unwrap_or_default());
    if near.is_empty() {
        let end_of_options = if reference.name.starts_with('-') {
            "-- "
        } else {
            ""
        };
        return error.hint(format!(
            "`sm search {end_of_options}{}` looks for it everywhere",
            word(&reference.name)
        ));
    }
    let list: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    error.hint(format!("did you mean {}?", list.join(" or ")))
}

/// Edits that may make a name another one: more would name what nobody meant, and one is all of a letter.
pub(super) fn tolerance(name: &str) -> usize {
    let letters = name.chars().count();
    (letters / 3).clamp(1, 3).min(letters.saturating_sub(1))
}

/// The nearest names: few edits, or one contains the other. None for what takes too long to compare.
fn nearest(wanted: &str, names: &[(String, String)]) -> Vec<String> {
    if wanted.len() > LONGEST_TYPO {
        return Vec::new();
    }
    let wanted = wanted.to_lowercase();
    let tolerance = tolerance(&wanted);
    let mut scored: Vec<(usize, Cow<'_, str>)> = names
        .iter()
        .filter_map(|(kind, name)| {
            let lower = name.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &wanted);
            let contains =
                wanted.len() >= 3 && (lower.contains(&wanted) || wanted.contains(&lower));
            (distance <= tolerance || contains).then(|| {
                // What stands before a colon is taken for a kind.
                let shown = if name.contains(':') {
                    Cow::Owned(format!("{kind}:{name}"))
                } else {
                    Cow::Borrowed(name.as_str())
                };
                (distance, shown)
            })
        })
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored
        .into_iter()
        .take(SUGGESTIONS)
        .map(|(_, name)| name.into_owned())
        .collect()
}
