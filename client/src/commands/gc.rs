//! `sm gc`.

use std::time::Duration;

use serde::Serialize;
use skillmeat_proto::v1;

use super::{Context, Outcome};
use crate::cli::GcArgs;
use crate::output::units;

/// A large history is looked through in its own time.
const LONG: Duration = Duration::from_mins(10);

/// The JSON of `sm gc`.
#[derive(Serialize)]
struct Collected {
    dry_run: bool,
    operations: u64,
    objects: u64,
    bytes: u64,
    left_bytes: u64,
    size_bytes: u64,
    needed_bytes: u64,
    warnings: Vec<String>,
}

pub(super) async fn run(context: &mut Context, args: GcArgs) -> Outcome {
    let session = context.session_for(LONG).await?;
    let request = v1::CollectRequest {
        dry_run: args.dry_run,
    };
    let answer: v1::CollectResponse = session.call(request).await?;
    if context.out.json {
        context.out.document(&Collected {
            dry_run: args.dry_run,
            operations: answer.operations,
            objects: answer.objects,
            bytes: answer.bytes,
            left_bytes: answer.left,
            size_bytes: answer.size_bytes,
            needed_bytes: answer.needed,
            warnings: answer.warnings,
        })?;
        return Ok(());
    }
    let verb = if args.dry_run { "would go" } else { "gone" };
    context.out.note(&format!(
        "{} and {} ({}) {verb}; the history holds {}",
        units::count(answer.operations, "operation"),
        units::count(answer.objects, "object"),
        units::size(answer.bytes),
        units::size(answer.left)
    ));
    for warning in &answer.warnings {
        context.out.warning(warning);
    }
    Ok(())
}
