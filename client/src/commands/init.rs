//! `sm init`: home, config and first collection.

use serde::Serialize;
use skillmeat_proto::v1;

use super::collection::change::adopt;
use super::{Context, Outcome};
use crate::cli::InitArgs;
use crate::output::escape::escape;
use crate::output::units::count;

/// The JSON of `sm init`.
#[derive(Serialize)]
struct Init {
    home: String,
    collection: String,
    config: String,
    created_collection: bool,
    created_config: bool,
    artifacts: u64,
    /// The collection that the folder of the command is now served as, if it is one.
    adopted: Option<String>,
}

pub(super) async fn run(context: &mut Context, args: InitArgs) -> Outcome {
    let name = args.name.unwrap_or_default();
    // First: a name that is taken leaves nothing behind, and one that is free is the first collection's, if it is
    // called so.
    let adopted = adopt(context, &name).await?;
    let session = context.session().await?;
    let answer: v1::InitResponse = session.call(v1::InitRequest { name }).await?;
    if context.out.json {
        context.out.document(&Init {
            adopted,
            home: answer.home,
            collection: answer.collection,
            config: answer.config,
            created_collection: answer.created_collection,
            created_config: answer.created_config,
            artifacts: answer.artifacts,
        })?;
        return Ok(());
    }
    if context.out.quiet {
        return Ok(());
    }
    let state = |created| if created { "created" } else { "there already" };
    context.out.field("home", &escape(&answer.home))?;
    context.out.field(
        "collection",
        &format!(
            "{} ({}, {})",
            escape(&answer.collection),
            state(answer.created_collection),
            count(answer.artifacts, "artifact")
        ),
    )?;
    context.out.field(
        "config",
        &format!(
            "{} ({})",
            escape(&answer.config),
            state(answer.created_config)
        ),
    )?;
    if let Some(name) = &adopted {
        let folder = format!("{} (this folder, where it is)", escape(name));
        context.out.field("adopted", &folder)?;
    }
    if answer.artifacts == 0 && adopted.is_none() {
        context.out.flush()?;
        context
            .out
            .note("next: `sm add PATH` adds an artifact, `sm add --all FOLDER` all of a folder");
    }
    Ok(())
}
