//! `sm group`: list, show, and every change of groups.

use serde::Serialize;
use skillmeat_proto::call::Call;
use skillmeat_proto::v1;
use skillmeat_proto::v1::change_groups_request::Action;
use skillmeat_shared::{Code, Error};

use super::change::{self, Words};
use super::curation::PATIENCE;
use super::selection::{is_single, listed, select, selection};
use super::{Context, Outcome, missing};
use crate::cli::{DryRun, GroupCommand, Looks, OfCollection, SelectArgs, Where};
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::{json, units};

/// What a change of a tag counts: it stands in its definition, and in every artifact that carries it.
pub(super) const PLACE: &str = "place";

/// The JSON of `sm group list`.
#[derive(Serialize)]
struct List {
    collection: String,
    groups: Vec<json::Group>,
    total: usize,
    outdated: Vec<json::Outdated>,
}

/// The JSON of `sm group show`.
#[derive(Serialize)]
struct One {
    collection: String,
    #[serde(flatten)]
    group: json::Group,
    outdated: Vec<json::Outdated>,
}

/// A change, and the words for it.
pub(super) struct Asked<A> {
    pub(super) action: A,
    pub(super) at: Where,
    pub(super) verb: &'static str,
    /// What was done, for the tally, and to what.
    pub(super) done: &'static str,
    pub(super) noun: &'static str,
    pub(super) single: bool,
}

pub(super) async fn run(context: &mut Context, command: GroupCommand) -> Outcome {
    let asked = match command {
        GroupCommand::List { of } => return list(context, of.collection).await,
        GroupCommand::Show { group, of } => return show(context, &group, of.collection).await,
        GroupCommand::Create {
            group,
            members,
            filters,
            looks,
            dry: DryRun { dry_run },
        } => created(group, select(members, filters)?, looks, dry_run),
        GroupCommand::Update {
            group,
            name,
            looks,
            at,
        } => updated(group, name, looks, at)?,
        GroupCommand::Delete { groups, at } => {
            let names = listed(groups)?;
            Asked {
                single: names.len() == 1,
                action: Action::Delete(v1::DeleteGroups { names }),
                at,
                verb: "delete",
                done: "deleted",
                noun: "group",
            }
        }
        GroupCommand::Add {
            group,
            select,
            at: place,
            dry: DryRun { dry_run },
        } => {
            let action = |members| {
                Action::Add(v1::AddMembers {
                    group,
                    members,
                    at: place,
                })
            };
            membership(select, dry_run, "add", "added", action)?
        }
        GroupCommand::Remove {
            group,
            select,
            dry: DryRun { dry_run },
        } => {
            let action = |members| Action::Remove(v1::RemoveMembers { group, members });
            membership(select, dry_run, "remove", "removed", action)?
        }
        GroupCommand::Move {
            select,
            from,
            to,
            dry: DryRun { dry_run },
        } => {
            let action = |members| Action::Move(v1::MoveMembers { from, to, members });
            membership(select, dry_run, "move", "moved", action)?
        }
        GroupCommand::Copy {
            group,
            to,
            new_name,
            at,
        } => Asked {
            action: Action::Copy(v1::CopyGroup {
                name: group,
                to_collection: to.unwrap_or_default(),
                new_name: new_name.unwrap_or_default(),
            }),
            at,
            verb: "copy",
            done: "copied",
            noun: "group",
            single: true,
        },
        GroupCommand::Reorder { names, members, at } => reordered(names, members, at),
    };
    let request = |collection, dry_run, action| v1::ChangeGroupsRequest {
        collection,
        dry_run,
        action: Some(action),
    };
    change(context, asked, request).await
}

/// Where a change of what is selected is made.
pub(super) fn at(selection: &v1::Selection, dry_run: bool) -> Where {
    Where {
        dry: DryRun { dry_run },
        of: OfCollection {
            collection: Some(selection.collection.clone()),
        },
    }
}

fn membership(
    select: SelectArgs,
    dry_run: bool,
    verb: &'static str,
    done: &'static str,
    action: impl FnOnce(Option<v1::Selection>) -> Action,
) -> Result<Asked<Action>, Error> {
    let selection = selection(select)?;
    Ok(Asked {
        single: is_single(&selection),
        at: at(&selection, dry_run),
        action: action(Some(selection)),
        verb,
        done,
        noun: "member",
    })
}

fn created(group: String, selection: v1::Selection, looks: Looks, dry_run: bool) -> Asked<Action> {
    let at = at(&selection, dry_run);
    let chosen = !(selection.names.is_empty()
        && selection.kinds.is_empty()
        && selection.tags.is_empty()
        && selection.group.is_empty());
    Asked {
        single: !chosen,
        action: Action::Create(v1::CreateGroup {
            name: group,
            description: looks.description.unwrap_or_default(),
            color: looks.color.unwrap_or_default(),
            icon: looks.icon.unwrap_or_default(),
            position: looks.position,
            members: chosen.then_some(selection),
        }),
        at,
        verb: "create",
        done: "created",
        noun: "group",
    }
}

fn updated(
    group: String,
    name: Option<String>,
    looks: Looks,
    at: Where,
) -> Result<Asked<Action>, Error> {
    let update = v1::UpdateGroup {
        name: group,
        new_name: name,
        description: looks.description,
        color: looks.color,
        icon: looks.icon,
        position: looks.position,
    };
    let asks_nothing = v1::UpdateGroup {
        name: update.name.clone(),
        ..Default::default()
    };
    if update == asks_nothing {
        return Err(
            Error::new(Code::InvalidArgument, "nothing to change is given")
                .hint("give `--name`, `--description`, `--color`, `--icon` or `--position`"),
        );
    }
    Ok(Asked {
        action: Action::Update(update),
        at,
        verb: "update",
        done: "updated",
        noun: "group",
        single: true,
    })
}

fn reordered(names: Vec<String>, group: Option<String>, at: Where) -> Asked<Action> {
    let noun = "group";
    let action = match group {
        Some(group) => Action::ReorderMembers(v1::ReorderMembers {
            group,
            members: names,
        }),
        None => Action::Reorder(v1::ReorderGroups { names }),
    };
    Asked {
        action,
        at,
        verb: "reorder",
        done: "put in order",
        noun,
        single: false,
    }
}

/// Has a change of groups or tags made, and follows it.
pub(super) async fn change<A, Q: Call<Answer = v1::ChangeEvent>>(
    context: &mut Context,
    asked: Asked<A>,
    request: fn(String, bool, A) -> Q,
) -> Outcome {
    let Asked {
        action,
        at,
        verb,
        done,
        noun,
        single,
    } = asked;
    let request = request(at.of.collection.unwrap_or_default(), at.dry.dry_run, action);
    let session = context.session_for(PATIENCE).await?;
    let stream = session.stream(request).await?;
    let tally = |summary: &v1::ChangeSummary| tally(summary, noun, done);
    let words = Words {
        verb,
        single,
        tolerates_conflicts: false,
        terse: false,
        tally: &tally,
        hints: &|_, _| Vec::new(),
    };
    change::follow(context, &session, stream, &words).await
}

/// The summary in words: `2 members added in default, 1 unchanged`.
fn tally(summary: &v1::ChangeSummary, noun: &str, done: &str) -> String {
    let main = summary.counts.first().map_or(0, |first| first.count);
    let would = if summary.dry_run { "would be " } else { "" };
    if noun == PLACE {
        return format!(
            "{would}{done} in {} of `{}`{}",
            units::count(main, noun),
            escape(&summary.collection),
            change::rest(summary)
        );
    }
    format!(
        "{} {would}{done} in `{}`{}",
        units::count(main, noun),
        escape(&summary.collection),
        change::rest(summary)
    )
}

/// A collection with its groups and tags.
pub(super) async fn collection(
    context: &mut Context,
    name: Option<String>,
) -> Result<v1::ShowCollectionResponse, Error> {
    let request = v1::ShowCollectionRequest {
        name: name.unwrap_or_default(),
    };
    let session = context.session().await?;
    let answer: v1::ShowCollectionResponse = session.call(request).await?;
    if let Some(freshness) = answer.freshness.as_ref().filter(|_| !context.out.json) {
        context.note_outdated(freshness);
    }
    Ok(answer)
}

/// Whether what is not in an answer is not there: all was read, and could be.
pub(super) fn is_whole(freshness: &v1::Freshness) -> bool {
    freshness.complete && freshness.outdated.is_empty()
}

fn name_of(answer: &v1::ShowCollectionResponse) -> String {
    let collection = answer.collection.as_ref();
    collection.map_or_else(String::new, |collection| collection.name.clone())
}

async fn list(context: &mut Context, name: Option<String>) -> Outcome {
    let answer = collection(context, name).await?;
    if context.out.json {
        context.out.document(&List {
            collection: name_of(&answer),
            total: answer.groups.len(),
            groups: json::all(answer.groups),
            outdated: json::all(answer.freshness.unwrap_or_default().outdated),
        })?;
        return Ok(());
    }
    let freshness = answer.freshness.clone().unwrap_or_default();
    if answer.groups.is_empty() && !is_whole(&freshness) {
        context.note_freshness(&freshness);
        return Ok(());
    }
    if answer.groups.is_empty() {
        context.out.note(&format!(
            "no groups in `{}`; `sm group create NAME` makes one",
            escape(&name_of(&answer))
        ));
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::text("GROUP"),
        Column::number("MEMBERS"),
        Column::text("COLOUR"),
        Column::text("ICON"),
        Column::prose("DESCRIPTION"),
    ]);
    for group in &answer.groups {
        table.row(vec![
            Cell::new(one_line(&group.name), Tone::Strong),
            group.members.len().to_string().into(),
            one_line(&group.color).into(),
            one_line(&group.icon).into(),
            one_line(&group.description).into(),
        ]);
    }
    context.out.table(&table)?;
    context.note_freshness(&freshness);
    Ok(())
}

async fn show(context: &mut Context, name: &str, of: Option<String>) -> Outcome {
    let answer = collection(context, of).await?;
    let collection = name_of(&answer);
    let freshness = answer.freshness.unwrap_or_default();
    let found = answer.groups.into_iter().find(|group| group.name == name);
    let group = found.ok_or_else(|| {
        let what = format!("group `{name}` in `{collection}`");
        let error = Error::new(Code::GroupNotFound, format!("there is no {what}"));
        let error = error.hint("`sm group list` shows those that there are");
        missing(error, &what, &freshness)
    })?;
    if context.out.json {
        context.out.document(&One {
            collection,
            group: group.into(),
            outdated: json::all(freshness.outdated),
        })?;
        return Ok(());
    }
    let out = &mut context.out;
    let title = out.paint.apply(Tone::Strong, &one_line(&group.name));
    out.line(&title)?;
    out.field("description", &one_line(&group.description))?;
    out.field("colour", &one_line(&group.color))?;
    out.field("icon", &one_line(&group.icon))?;
    out.field("position", &group.position.to_string())?;
    out.field("members", &group.members.len().to_string())?;
    for member in &group.members {
        let line = if let Some(id) = &member.id {
            format!("  {}", escape(id))
        } else {
            let unknown = out.paint.apply(Tone::Warn, " (unknown)");
            format!("  {}{unknown}", one_line(&member.member))
        };
        out.line(&line)?;
    }
    context.out.flush()?;
    context.note_freshness(&freshness);
    Ok(())
}
