//! `sm add`: local artifacts into a collection, item by item.

use std::path::{Component, Path};

use skillmeat_proto::v1;
use skillmeat_shared::artifact::name;
use skillmeat_shared::{Code, Error};

use super::change::{self, Words};
use super::{Context, Outcome};
use crate::cli::AddArgs;
use crate::connect::service;
use crate::output::escape::escape;
use crate::output::units;

pub(super) async fn run(context: &mut Context, args: AddArgs) -> Outcome {
    if args.name.is_some() && args.paths.len() > 1 {
        return Err(Error::new(
            Code::InvalidArgument,
            "`--name` names one artifact, but several paths are given",
        )
        .hint("add them one by one, or leave `--name` out")
        .into());
    }
    // The daemon takes an empty name for none; a name that breaks the rules is refused here as it is there.
    if let Some(name) = &args.name {
        name::validate(name)?;
    }
    let paths = args
        .paths
        .iter()
        .map(|path| absolute(path))
        .collect::<Result<Vec<_>, _>>()?;
    let single = paths.len() == 1 && !args.all;
    let request = v1::AddArtifactsRequest {
        collection: args.collection.unwrap_or_default(),
        paths,
        kind: args.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        name: args.name.unwrap_or_default(),
        all: args.all,
        dry_run: args.dry_run,
    };
    let session = context.session().await?;
    let stream = session
        .stream(request, |channel, request| async move {
            service::artifacts(channel).add(request).await
        })
        .await?;
    let words = Words {
        verb: "add",
        single,
        // Of a tree, name clashes are expected; of paths that were named one by one they are not.
        tolerates_conflicts: args.all,
        tally: &tally,
        hints: &hints,
    };
    change::follow(context, &session, stream, &words).await
}

/// The path from the root, as the daemon stands in another folder than we do. Without `..`, so that its
/// last part is a name.
fn absolute(path: &Path) -> Result<String, Error> {
    let mut absolute =
        std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    if absolute
        .components()
        .any(|part| part == Component::ParentDir)
    {
        absolute = absolute
            .canonicalize()
            .map_err(|error| Error::io("find", path, &error))?;
    }
    absolute.into_os_string().into_string().map_err(|path| {
        Error::new(
            Code::InvalidArgument,
            format!("the path `{}` is not valid UTF-8", path.to_string_lossy()),
        )
        .hint("rename it, or add the folder that holds it with `--all`")
    })
}

/// The summary in words.
fn tally(summary: &v1::ChangeSummary) -> String {
    let added = if summary.dry_run {
        "would be added"
    } else {
        "added"
    };
    format!(
        "{} {added} to `{}`{}",
        units::count(change::count(summary, "added"), "artifact"),
        escape(&summary.collection),
        change::rest(summary)
    )
}

fn hints(code: Code, item: &v1::ChangeItem) -> Vec<String> {
    if code != Code::ArtifactExists {
        return Vec::new();
    }
    vec![
        "nothing was overwritten; add it under another name with `--name`".to_owned(),
        format!("`sm show {}` shows the one that is there", item.id),
    ]
}
