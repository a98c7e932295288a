//! `sm tag`: list, show, and every change of tags.

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_proto::v1::change_tags_request::Action;
use skillmeat_shared::{Code, Error};

use super::group::{Asked, PLACE, at, change, collection, is_whole};
use super::selection::{is_single, listed, selection};
use super::{Context, Outcome, missing};
use crate::cli::{TagCommand, TagDefinitionArgs, TaggingArgs};
use crate::output::escape::{escape, one_line};
use crate::output::json;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// A tag in JSON.
#[derive(Serialize)]
struct Tag {
    name: String,
    artifacts: u64,
    /// Whether the manifest says what it is.
    defined: bool,
    slug: Option<String>,
    color: Option<String>,
    description: Option<String>,
}

/// The JSON of `sm tag list`.
#[derive(Serialize)]
struct List {
    collection: String,
    tags: Vec<Tag>,
    total: usize,
    outdated: Vec<json::Outdated>,
}

/// The JSON of `sm tag show`.
#[derive(Serialize)]
struct One {
    collection: String,
    #[serde(flatten)]
    tag: Tag,
    members: Vec<String>,
    outdated: Vec<json::Outdated>,
}

pub(super) async fn run(context: &mut Context, command: TagCommand) -> Outcome {
    let asked = match command {
        TagCommand::List { of } => return list(context, of.collection).await,
        TagCommand::Show { tag, of } => return show(context, &tag, of.collection).await,
        TagCommand::Create(args) => defined(args, true),
        TagCommand::Define(args) => defined(args, false),
        TagCommand::Rename { tag, name, at } => Asked {
            action: Action::Rename(v1::RenameTag {
                name: tag,
                new_name: name,
            }),
            at,
            verb: "rename",
            done: "renamed",
            noun: PLACE,
            single: false,
        },
        TagCommand::Delete { tags, at } => Asked {
            action: Action::Delete(v1::DeleteTags {
                names: listed(tags)?,
            }),
            at,
            verb: "delete",
            done: "deleted",
            noun: PLACE,
            single: false,
        },
        TagCommand::Add(args) => tagged(args, Action::Add, "add", "tagged")?,
        TagCommand::Remove(args) => tagged(args, Action::Remove, "remove", "freed of the tag")?,
    };
    let request = |collection, dry_run, action| v1::ChangeTagsRequest {
        collection,
        dry_run,
        action: Some(action),
    };
    change(context, asked, request).await
}

fn defined(args: TagDefinitionArgs, only_new: bool) -> Asked<Action> {
    Asked {
        action: Action::Define(v1::DefineTag {
            name: args.tag,
            color: args.color,
            description: args.description,
            only_new,
        }),
        at: args.at,
        verb: "define",
        done: "defined",
        noun: "tag",
        single: true,
    }
}

fn tagged(
    args: TaggingArgs,
    action: fn(v1::TagArtifacts) -> Action,
    verb: &'static str,
    done: &'static str,
) -> Result<Asked<Action>, Error> {
    let selection = selection(args.select)?;
    Ok(Asked {
        single: is_single(&selection),
        at: at(&selection, args.dry.dry_run),
        action: action(v1::TagArtifacts {
            tags: args
                .tags
                .split(',')
                .map(|tag| tag.trim().to_owned())
                .collect(),
            artifacts: Some(selection),
        }),
        verb,
        done,
        noun: "artifact",
    })
}

/// The tags of a collection: those in use, most used first, then those that are only defined.
fn tags_of(answer: v1::ShowCollectionResponse) -> Vec<Tag> {
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let mut definitions = answer.tag_definitions;
    let mut tags: Vec<Tag> = Vec::new();
    for count in answer.tags {
        let at = definitions
            .iter()
            .position(|tag| same(&tag.name, &count.name) || same(&tag.slug, &count.name));
        let found = at.map(|at| definitions.remove(at));
        tags.push(tag(count.name, count.count, found));
    }
    let rest = definitions.into_iter();
    tags.extend(rest.map(|found| tag(found.name.clone(), 0, Some(found))));
    tags
}

fn tag(name: String, artifacts: u64, found: Option<v1::TagDefinition>) -> Tag {
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let defined = found.is_some();
    let found = found.unwrap_or_default();
    Tag {
        name,
        artifacts,
        defined,
        slug: filled(found.slug),
        color: filled(found.color),
        description: filled(found.description),
    }
}

async fn list(context: &mut Context, name: Option<String>) -> Outcome {
    let answer = collection(context, name).await?;
    let freshness = answer.freshness.clone().unwrap_or_default();
    let collection = answer.collection.as_ref().map(|one| one.name.clone());
    let collection = collection.unwrap_or_default();
    let tags = tags_of(answer);
    if context.out.json {
        context.out.document(&List {
            collection,
            total: tags.len(),
            tags,
            outdated: json::all(freshness.outdated),
        })?;
        return Ok(());
    }
    if tags.is_empty() && !is_whole(&freshness) {
        context.note_freshness(&freshness);
        return Ok(());
    }
    if tags.is_empty() {
        let message = format!(
            "no tags in `{}`; `sm tag add TAG ARTIFACT` sets one",
            escape(&collection)
        );
        context.out.note(&message);
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::text("TAG"),
        Column::number("ARTIFACTS"),
        Column::text("COLOUR"),
        Column::prose("DESCRIPTION"),
    ]);
    for tag in &tags {
        table.row(vec![
            Cell::new(one_line(&tag.name), Tone::Strong),
            tag.artifacts.to_string().into(),
            one_line(tag.color.as_deref().unwrap_or_default()).into(),
            one_line(tag.description.as_deref().unwrap_or_default()).into(),
        ]);
    }
    context.out.table(&table)?;
    context.note_freshness(&freshness);
    Ok(())
}

async fn show(context: &mut Context, name: &str, of: Option<String>) -> Outcome {
    let answer = collection(context, of).await?;
    let collection = answer.collection.as_ref().map(|one| one.name.clone());
    let collection = collection.unwrap_or_default();
    let freshness = answer.freshness.clone().unwrap_or_default();
    let same = |one: &str| one.to_lowercase() == name.to_lowercase();
    let found = tags_of(answer)
        .into_iter()
        .find(|tag| same(&tag.name) || tag.slug.as_deref().is_some_and(same));
    let tag = found.ok_or_else(|| {
        let what = format!("tag `{name}` in `{collection}`");
        let error = Error::new(Code::TagNotFound, format!("there is no {what}"));
        let error = error.hint("`sm tag list` shows those that there are");
        missing(error, &what, &freshness)
    })?;
    let members = carrying(context, &collection, &tag.name).await?;
    if context.out.json {
        context.out.document(&One {
            collection,
            tag,
            members,
            outdated: json::all(freshness.outdated),
        })?;
        return Ok(());
    }
    let out = &mut context.out;
    let title = out.paint.apply(Tone::Strong, &one_line(&tag.name));
    out.line(&title)?;
    out.field(
        "colour",
        &one_line(tag.color.as_deref().unwrap_or_default()),
    )?;
    let description = tag.description.as_deref().unwrap_or_default();
    out.field("description", &one_line(description))?;
    out.field("artifacts", &tag.artifacts.to_string())?;
    for id in &members {
        out.line(&format!("  {}", escape(id)))?;
    }
    Ok(())
}

/// The artifacts that carry a tag.
async fn carrying(context: &Context, collection: &str, tag: &str) -> Result<Vec<String>, Error> {
    let session = context.session().await?;
    let mut ids = Vec::new();
    let mut token = String::new();
    loop {
        let request = v1::ListArtifactsRequest {
            collection: collection.to_owned(),
            tags: vec![tag.to_owned()],
            page_size: 1000,
            page_token: token,
            ..Default::default()
        };
        let answer: v1::ListArtifactsResponse = session.call(request).await?;
        ids.extend(answer.artifacts.into_iter().map(|one| one.id));
        token = answer.next_page_token;
        if token.is_empty() {
            return Ok(ids);
        }
    }
}
