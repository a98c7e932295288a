//! `sm collection rename|delete|import|export`.

use std::path::Path;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_proto::v1::change_collection_request::Action;
use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::{Code, Error};

use crate::commands::change::{self, Words};
use crate::commands::db::agreed;
use crate::commands::{Context, Failure, Outcome};
use crate::output::escape::escape;
use crate::output::units;

/// The JSON of `sm collection export`.
#[derive(Serialize)]
struct Export {
    collection: String,
    path: String,
    files: u64,
    bytes: u64,
    /// Links that lead out of the collection.
    left_out: Vec<String>,
}

pub(super) async fn rename(
    context: &mut Context,
    name: String,
    new_name: String,
    dry_run: bool,
) -> Outcome {
    let action = Action::Rename(v1::RenameCollection { name, new_name });
    send(context, action, dry_run, ("rename", "renamed")).await
}

pub(super) async fn delete(
    context: &mut Context,
    name: String,
    yes: bool,
    dry_run: bool,
) -> Outcome {
    let question = format!(
        "delete the collection `{}` with all its artifacts?",
        escape(&name)
    );
    agreed(yes || dry_run, &question)?;
    let action = Action::Delete(v1::DeleteCollection { name });
    send(context, action, dry_run, ("delete", "deleted")).await
}

pub(in crate::commands) async fn import(
    context: &mut Context,
    source: &str,
    name: Option<String>,
    copy: bool,
    dry_run: bool,
) -> Outcome {
    // The daemon stands in another folder; what is no path here is for it to look at.
    let is_remote = source.contains("://") || (source.contains('@') && source.contains(':'));
    let source = if is_remote && !Path::new(source).exists() {
        source.to_owned()
    } else {
        absolute(Path::new(source))?
    };
    let action = Action::Import(v1::ImportCollection {
        source,
        name: name.unwrap_or_default(),
        copy,
    });
    send(context, action, dry_run, ("import", "imported")).await
}

/// Has the folder of the command served, if it is a collection outside of the home that is not served yet, under
/// this name or, if it is empty, as its manifest says. The name that it is served by. Fails if that is another one.
pub(in crate::commands) async fn adopt(
    context: &Context,
    name: &str,
) -> Result<Option<String>, Failure> {
    let Ok(folder) = std::env::current_dir().and_then(|folder| folder.canonicalize()) else {
        return Ok(None);
    };
    let home = context.home()?;
    let is_inside = |outer: &Path, inner: &Path| {
        outer
            .canonicalize()
            .is_ok_and(|outer| inner.starts_with(outer))
    };
    if !folder.join(MANIFEST).is_file() {
        return Ok(None);
    }
    let session = context.session().await?;
    let known: v1::ListCollectionsResponse = session.call(v1::ListCollectionsRequest {}).await?;
    let mut known = known.collections.iter();
    let served = known.find(|one| {
        Path::new(&one.path)
            .canonicalize()
            .is_ok_and(|path| path == folder)
    });
    if let Some(one) = served {
        if name.is_empty() || one.name == name {
            return Ok(Some(one.name.clone()));
        }
    } else if is_inside(home.root(), &folder) {
        return Ok(None);
    }
    let request = v1::ChangeCollectionRequest {
        dry_run: false,
        action: Some(Action::Import(v1::ImportCollection {
            source: absolute(&folder)?,
            name: name.to_owned(),
            copy: false,
        })),
    };
    let mut stream = session.stream(request).await?;
    let mut name = None;
    while let Some(message) = session.next(&mut stream).await? {
        if let Some(v1::change_event::Event::Summary(summary)) = message.event {
            name = Some(summary.collection);
        }
    }
    Ok(name)
}

fn absolute(path: &Path) -> Result<String, Error> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    absolute.into_os_string().into_string().map_err(|path| {
        let message = format!("the path `{}` is not valid UTF-8", path.to_string_lossy());
        Error::new(Code::InvalidArgument, message).hint("name another path")
    })
}

pub(super) async fn send(
    context: &mut Context,
    action: Action,
    dry_run: bool,
    (verb, done): (&'static str, &'static str),
) -> Outcome {
    let request = v1::ChangeCollectionRequest {
        dry_run,
        action: Some(action),
    };
    let session = context.session().await?;
    let stream = session.stream(request).await?;
    let tally = |summary: &v1::ChangeSummary| {
        if summary.steps.is_empty() {
            return "nothing was changed".to_owned();
        }
        let would = if summary.dry_run { "would be" } else { "was" };
        format!(
            "the collection `{}` {would} {done}",
            escape(&summary.collection)
        )
    };
    let words = Words {
        verb,
        single: true,
        tolerates_conflicts: false,
        terse: false,
        tally: &tally,
        hints: &|_, _| Vec::new(),
    };
    change::follow(context, &session, stream, &words).await
}

pub(super) async fn export(
    context: &mut Context,
    name: String,
    file: &Path,
    force: bool,
) -> Outcome {
    let request = v1::ExportCollectionRequest {
        name,
        path: absolute(file)?,
        force,
    };
    let session = context.session().await?;
    let answer: v1::ExportCollectionResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&Export {
            collection: answer.name,
            path: answer.path,
            files: answer.files,
            bytes: answer.bytes,
            left_out: answer.left_out,
        })?;
    } else {
        for link in &answer.left_out {
            let message = format!(
                "left out `{}`: the link leads out of the collection",
                escape(link)
            );
            context.out.warning(&message);
        }
        context.out.note(&format!(
            "wrote {} ({}) of `{}` to {}",
            units::count(answer.files, "file"),
            units::size(answer.bytes),
            escape(&answer.name),
            escape(&answer.path)
        ));
    }
    Ok(())
}
