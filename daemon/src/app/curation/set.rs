//! Fields of artifacts: in the file where the artifact says what it is, and in the manifest.

use std::path::Path;

use skillmeat_shared::artifact::frontmatter::edit::{self as frontmatter, Change as Own};
use skillmeat_shared::artifact::frontmatter::parse_file;
use skillmeat_shared::collection::edit::{self, Change, Key};
use skillmeat_shared::collection::entry::Entry;
use skillmeat_shared::{Code, Error, Kind, Result};

use super::super::App;
use super::super::change::{Caller, ChangeSummary, Draft};
use super::super::selection::Selection;
use super::save::no_worse;
use super::validate::findings_with;
use super::{Batch, Work, files, id_of, relock, said};
use crate::store::list::Summary;

/// The results that a summary always counts.
const RESULTS: [&str; 3] = ["changed", "unchanged", "failed"];

/// Longest value, bytes.
const MAX_VALUE: usize = 16 * 1024;

/// Aliases of one artifact.
const MAX_ALIASES: usize = 100;

/// The fields that an artifact says itself, and their keys in the manifest.
const TEXTS: [(&str, &str); 5] = [
    ("title", "metadata.title"),
    ("description", "metadata.description"),
    ("author", "metadata.author"),
    ("license", "metadata.license"),
    ("version", "metadata.version"),
];

/// What changes in the manifest for one artifact.
type Edit = (Key, Vec<Change>);

/// A field with its new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// One of `TEXTS` with its key in the manifest; none: it goes.
    Text(&'static str, &'static str, Option<String>),
    /// Other names.
    Aliases(Vec<String>),
    /// The place in the collection.
    Position(Option<i64>),
}

impl Field {
    /// Reads `key` and `value` as a person gives them.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`].
    pub fn parse(key: &str, value: &str) -> Result<Self> {
        let invalid = |message: String| Error::new(Code::InvalidArgument, message);
        let value = value.trim();
        if value.len() > MAX_VALUE {
            return Err(invalid(format!(
                "the value of `{key}` is longer than 16 KiB"
            )));
        }
        let odd = |c: char| c.is_control() && !(matches!(c, '\n' | '\t') && key == "description");
        if value.contains(odd) {
            return Err(invalid(format!(
                "the value of `{key}` has a control character or a line break in it"
            )));
        }
        if let Some((own, in_manifest)) = TEXTS.iter().find(|(own, _)| *own == key) {
            let value = Some(value.to_owned()).filter(|value| !value.is_empty());
            return Ok(Self::Text(own, in_manifest, value));
        }
        match key {
            "aliases" => {
                let mut aliases: Vec<String> = Vec::new();
                for alias in value.split(',').map(str::trim).filter(|a| !a.is_empty()) {
                    if !aliases.iter().any(|known| known == alias) {
                        aliases.push(alias.to_owned());
                    }
                }
                if aliases.len() > MAX_ALIASES {
                    return Err(invalid(format!(
                        "more than {MAX_ALIASES} aliases are given"
                    )));
                }
                Ok(Self::Aliases(aliases))
            }
            "position" if value.is_empty() => Ok(Self::Position(None)),
            "position" => match value.parse::<u32>() {
                Ok(position) => Ok(Self::Position(Some(i64::from(position)))),
                Err(_) => Err(invalid(format!("`{value}` is no position"))
                    .hint("a position is a number from 0")),
            },
            "tags" => Err(invalid("tags are not set as a whole".to_owned())
                .hint("use `sm tag add` and `sm tag remove`")),
            "name" => Err(invalid("a name is not a field".to_owned()).hint("use `sm rename`")),
            _ => Err(invalid(format!("there is no field `{}`", short(key)))
                .hint("use title, description, author, license, version, aliases or position")),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// What is to be set.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of SetFieldsRequest; see curation.proto"
)]
pub struct SetRequest {
    pub selection: Selection,
    pub fields: Vec<Field>,
    pub dry_run: bool,
}

impl App {
    /// Sets fields of artifacts.
    pub fn set(&self, request: &SetRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        if request.fields.is_empty() {
            return Err(Error::new(Code::InvalidArgument, "no field is given")
                .hint("give fields as `key=value`"));
        }
        let names: Vec<&str> = request.fields.iter().map(Field::name).collect();
        let mut given = names.iter().enumerate();
        if let Some((_, name)) = given.find(|(at, name)| names.iter().take(*at).any(|n| n == *name))
        {
            let message = format!("`{name}` is given twice");
            return Err(Error::new(Code::InvalidArgument, message).hint("give each field once"));
        }
        let work = Work {
            verb: "artifact.set",
            words: format!("set {} of", names.join(", ")),
            results: &RESULTS,
            dry_run: request.dry_run,
        };
        self.curate(&work, &request.selection, caller, &|draft, batch| {
            let is_free = |row: &Summary| {
                let new = aliases(&request.fields).iter();
                let new = new.filter(|alias| !row.aliases.contains(alias));
                self.are_free(new, &row.collection, &id_of(row))
            };
            plan(request, draft, batch, &is_free)
        })
    }
}

impl Field {
    const fn name(&self) -> &'static str {
        match self {
            Self::Text(name, _, _) => name,
            Self::Aliases(_) => "aliases",
            Self::Position(_) => "position",
        }
    }

    /// The changes of a manifest's entry; nothing if it says so already. What the ancestor would drop is kept in a
    /// second place.
    fn in_entry(&self, entry: &Entry) -> Vec<Change> {
        let said = &entry.metadata;
        match self {
            Self::Text(name, key, value) => {
                let old = match *name {
                    "title" => &said.title,
                    "description" => &said.description,
                    "author" => &said.author,
                    "license" => &said.license,
                    _ => &said.version,
                };
                let change = (old != value).then(|| match value {
                    Some(value) => Change::set(key, value.as_str()),
                    None => Change::unset(key),
                });
                change.into_iter().collect()
            }
            Self::Aliases(new) if entry.aliases != *new => ["aliases", "metadata.extra.aliases"]
                .map(|key| Change::texts(key, new))
                .into(),
            Self::Position(new) if entry.position != *new => {
                ["position", "metadata.extra.position"]
                    .map(|key| match new {
                        Some(position) => Change::set(key, *position),
                        None => Change::unset(key),
                    })
                    .into()
            }
            Self::Aliases(_) | Self::Position(_) => Vec::new(),
        }
    }

    fn in_file(&self) -> Option<Own> {
        match self {
            Self::Text(name, _, Some(value)) => Some(Own::Set(name, value.clone())),
            Self::Text(name, _, None) => Some(Own::Unset(name)),
            Self::Aliases(_) | Self::Position(_) => None,
        }
    }
}

/// The aliases that are to be set.
fn aliases(fields: &[Field]) -> &[String] {
    let aliases = fields.iter().find_map(|field| match field {
        Field::Aliases(aliases) => Some(aliases.as_slice()),
        _ => None,
    });
    aliases.unwrap_or_default()
}

fn plan(
    request: &SetRequest,
    draft: &mut Draft<'_>,
    batch: &mut Batch<'_>,
    is_free: &dyn Fn(&Summary) -> Result<()>,
) -> Result<()> {
    let collection = batch.collection;
    if batch.rows.len() > 1 && !aliases(&request.fields).is_empty() {
        let message = "aliases are given for several artifacts";
        return Err(Error::new(Code::InvalidArgument, message)
            .hint("set them for one artifact: an alias means one in a collection"));
    }
    let mut edits: Vec<Edit> = Vec::new();
    let mut touched = Vec::new();
    for row in batch.rows {
        match is_free(row).and_then(|()| set_one(request, draft, batch, row)) {
            Ok((in_file, entry)) => {
                let (in_file, silent) = match in_file {
                    InFile::Set(differs) => (differs, None),
                    InFile::Silent(why) => (false, Some(why).filter(|_| entry.is_some())),
                };
                touched.extend(batch.touched(row).filter(|_| in_file));
                let result = if in_file || entry.is_some() {
                    said(request.dry_run, "would-change", "changed")
                } else {
                    "unchanged"
                };
                edits.extend(entry);
                let told = silent.map(|why| format!("in the manifest only: {why}"));
                batch.done(row, result, &told.unwrap_or_default(), &row.path);
            }
            Err(error) if error.code == Code::FileChanged => return Err(error),
            Err(error) => batch.failed(row, &error),
        }
    }
    relock(draft, collection, &touched)?;
    if edits.is_empty() {
        return Ok(());
    }
    let now = draft.now();
    draft.edit_manifest(collection, &|text| {
        edit::date(&edit::change(text, &edits)?, now)
    })
}

/// What became of fields in the artifact's own file.
enum InFile {
    /// They stand there; whether it changes.
    Set(bool),
    /// It says none of them, and why.
    Silent(String),
}

/// What was drafted in the file, and what changes in the manifest.
fn set_one(
    request: &SetRequest,
    draft: &mut Draft<'_>,
    batch: &Batch<'_>,
    row: &Summary,
) -> Result<(InFile, Option<Edit>)> {
    let key = batch.entries.key_of(row);
    if row.status == "declared" {
        return declared(request, batch, row, key);
    }
    let id = id_of(row);
    let entry = batch.entries.entry_of(&id);
    let changes: Vec<Change> = if let Some(entry) = entry {
        let fields = request.fields.iter();
        fields.flat_map(|field| field.in_entry(entry)).collect()
    } else {
        let only_there = request
            .fields
            .iter()
            .find(|field| field.in_file().is_none());
        if let Some(field) = only_there {
            let message = format!(
                "`{}` stands in the manifest, and it is not in there",
                field.name()
            );
            return Err(Error::new(Code::ArtifactInvalid, message).hint("`sm add` it first"));
        }
        Vec::new()
    };
    let own: Vec<Own> = request.fields.iter().filter_map(Field::in_file).collect();
    let in_file = if own.is_empty() {
        InFile::Set(false)
    } else {
        set_in_file(&own, draft, batch.collection, row, entry.is_some())?
    };
    let edit = key
        .filter(|_| !changes.is_empty())
        .map(|key| (key, changes));
    Ok((in_file, edit))
}

/// Drafts fields in the artifact's own file.
fn set_in_file(
    changes: &[Own],
    draft: &mut Draft<'_>,
    collection: &str,
    row: &Summary,
    has_entry: bool,
) -> Result<InFile> {
    if row.status == "missing" {
        return Err(Error::new(Code::FileNotFound, "its files are missing")
            .hint("`sm remove` takes it out of the manifest"));
    }
    let Some((place, file)) = files::manifest_file(draft, collection, row)? else {
        if has_entry {
            let why = "no file of it says what it is";
            return Ok(InFile::Silent(why.to_owned()));
        }
        return Err(Error::new(
            Code::ArtifactInvalid,
            "it has no file that says what it is",
        ));
    };
    let Some(bytes) = draft.read(&place)? else {
        return Err(Error::new(
            Code::FileNotFound,
            format!("there is no `{}`", place.path),
        ));
    };
    if has_entry && is_silent(&file, &bytes, changes) {
        let why = format!("`{}` has no place for it", file.display());
        return Ok(InFile::Silent(why));
    }
    let kind = Kind::from_manifest(&row.kind);
    let edited = frontmatter::edit(&bytes, &file, &kind, changes)?;
    let differs = edited != bytes;
    if differs {
        let artifact = files::place_of(collection, row);
        let scan = files::scanned(draft, collection, &artifact)?;
        let mut found = |bytes| findings_with(draft, (&artifact, row), &scan, (&file, bytes));
        let (before, after) = (found(&bytes)?, found(&edited)?);
        no_worse(&place, &before, &after)?;
    }
    draft.write(&place, edited)?;
    // Another artifact may have the same file.
    Ok(InFile::Set(draft.is_drafted(&place)?))
}

/// Whether a file has no place for these fields: settings in JSON, which say nothing of them. Then the manifest
/// says them alone.
fn is_silent(file: &Path, bytes: &[u8], changes: &[Own]) -> bool {
    let is_json = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let says = |change: &Own| match change {
        Own::Set(key, _) | Own::Unset(key) => Some(*key),
        _ => None,
    };
    is_json && {
        let fields = parse_file(file, bytes).fields;
        !changes
            .iter()
            .filter_map(says)
            .any(|key| fields.contains_key(key))
    }
}

/// An MCP server that only the manifest knows has a description there, and nothing else.
fn declared(
    request: &SetRequest,
    batch: &Batch<'_>,
    row: &Summary,
    key: Option<Key>,
) -> Result<(InFile, Option<Edit>)> {
    let mut changes = Vec::new();
    for field in &request.fields {
        let Field::Text("description", _, value) = field else {
            let message = format!("a declared server has no `{}`", field.name());
            return Err(Error::new(Code::ArtifactInvalid, message));
        };
        let servers = &batch.entries.manifest.mcp_servers;
        let server = servers.iter().find(|server| server.name == row.name);
        if server.is_some_and(|server| server.description != *value) {
            changes.push(match value {
                Some(value) => Change::set("description", value.as_str()),
                None => Change::unset("description"),
            });
        }
    }
    Ok((
        InFile::Set(false),
        key.filter(|_| !changes.is_empty())
            .map(|key| (key, changes)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_people_give_them() {
        let text = |value: &str| Field::parse("title", value).unwrap();
        assert_eq!(
            text(" A b "),
            Field::Text("title", "metadata.title", Some("A b".to_owned()))
        );
        assert_eq!(text(""), Field::Text("title", "metadata.title", None));
        let aliases = Field::parse("aliases", "a, b,,a").unwrap();
        assert_eq!(
            aliases,
            Field::Aliases(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(Field::parse("position", "3"), Ok(Field::Position(Some(3))));
        assert_eq!(Field::parse("position", ""), Ok(Field::Position(None)));
        assert!(Field::parse("description", "a\n\nb").is_ok());
        for (key, value) in [
            ("title", "a\nb"),
            ("description", "a\u{7}b"),
            ("position", "-1"),
            ("position", "first"),
            ("tags", "a"),
            ("name", "a"),
            ("colour", "a"),
            ("", "a"),
            ("author", &"x".repeat(MAX_VALUE + 1)),
        ] {
            assert_eq!(
                Field::parse(key, value).unwrap_err().code,
                Code::InvalidArgument,
                "{key}"
            );
        }
    }
}
