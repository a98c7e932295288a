//! `sm remove`, `rename`, `move`, `copy`, `set` and `rate`.

use std::time::Duration;

use skillmeat_proto::v1;
use skillmeat_proto::v1::change_event::Event;
use skillmeat_shared::artifact::name;
use skillmeat_shared::{Code, Error};

use super::change::{self, Words};
use super::db::agreed;
use super::selection::{is_single, select, selection};
use super::show::reference;
use super::{Context, Failure, Outcome};
use crate::cli::{CopyArgs, MoveArgs, RateArgs, RemoveArgs, RenameArgs, SetArgs};
use crate::connect::{Answers, Session};
use crate::output::escape::escape;
use crate::output::units;

/// How long a change of thousands of artifacts may be silent.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);

/// How a command speaks of what it did.
struct Told {
    verb: &'static str,
    /// The result that counts, and the same in a tally: `removed`.
    done: &'static str,
    /// What follows in a tally: `from`.
    link: &'static str,
    single: bool,
}

async fn follow(
    context: &mut Context,
    session: &Session,
    stream: Answers<v1::ChangeEvent>,
    told: &Told,
) -> Outcome {
    let tally = |summary: &v1::ChangeSummary| {
        let would = if summary.dry_run { "would be " } else { "" };
        format!(
            "{} {would}{} {} `{}`{}",
            units::count(change::count(summary, told.done), "artifact"),
            told.done,
            told.link,
            escape(&summary.collection),
            change::rest(summary)
        )
    };
    let words = Words {
        verb: told.verb,
        single: told.single,
        tolerates_conflicts: false,
        terse: false,
        tally: &tally,
        hints: &|_, _| Vec::new(),
    };
    change::follow(context, session, stream, &words).await
}

/// Asks before several artifacts are changed for good, unless that was answered already.
async fn ask(
    session: &Session,
    mut stream: Answers<v1::ChangeEvent>,
    verb: &str,
) -> Result<(), Failure> {
    let mut named = Vec::new();
    while let Some(message) = session.next(&mut stream).await? {
        if let Some(Event::Item(item)) = message.event
            && item.result.starts_with("would-")
        {
            named.push(item.id);
        }
    }
    if named.len() < 2 {
        return Ok(());
    }
    let shown: Vec<&str> = named.iter().take(10).map(String::as_str).collect();
    let more = named.len() - shown.len();
    let mut list = shown.join(", ");
    if more > 0 {
        list.extend([" and ", &more.to_string(), " more"]);
    }
    let question = format!("{verb} {} artifacts ({})?", named.len(), escape(&list));
    agreed(false, &question)
}

pub(super) async fn remove(context: &mut Context, args: RemoveArgs) -> Outcome {
    let selection = selection(args.select)?;
    let single = is_single(&selection);
    let mut request = v1::RemoveArtifactsRequest {
        selection: Some(selection),
        keep_files: args.keep_files,
        dry_run: true,
    };
    let session = context.session_for(PATIENCE).await?;
    let call = async |request: v1::RemoveArtifactsRequest| session.stream(request).await;
    if !(single || args.yes || args.dry.dry_run) {
        let plan = call(request.clone()).await?;
        ask(&session, plan, "remove").await?;
    }
    request.dry_run = args.dry.dry_run;
    let stream = call(request).await?;
    let told = Told {
        verb: "remove",
        done: "removed",
        link: "from",
        single,
    };
    follow(context, &session, stream, &told).await
}

pub(super) async fn rename(context: &mut Context, args: RenameArgs) -> Outcome {
    name::validate(&args.name)?;
    let request = v1::RenameArtifactRequest {
        collection: args.of.collection.unwrap_or_default(),
        artifact: Some(reference(&args.artifact)),
        name: args.name,
        dry_run: args.dry.dry_run,
    };
    let session = context.session_for(PATIENCE).await?;
    let stream = session.stream(request).await?;
    let told = Told {
        verb: "rename",
        done: "renamed",
        link: "in",
        single: true,
    };
    follow(context, &session, stream, &told).await
}

pub(super) async fn relocate(context: &mut Context, args: MoveArgs) -> Outcome {
    let selection = selection(args.select)?;
    let single = is_single(&selection);
    let mut request = v1::TransferArtifactsRequest {
        selection: Some(selection),
        to: args.to,
        name: String::new(),
        copy: false,
        dry_run: true,
    };
    let session = context.session_for(PATIENCE).await?;
    if !(single || args.yes || args.dry.dry_run) {
        let plan = transfer(&session, request.clone()).await?;
        ask(&session, plan, "move").await?;
    }
    request.dry_run = args.dry.dry_run;
    let stream = transfer(&session, request).await?;
    let told = Told {
        verb: "move",
        done: "moved",
        link: "out of",
        single,
    };
    follow(context, &session, stream, &told).await
}

pub(super) async fn copy(context: &mut Context, args: CopyArgs) -> Outcome {
    if let Some(name) = &args.name {
        name::validate(name)?;
    }
    let selection = selection(args.select)?;
    let single = is_single(&selection);
    let request = v1::TransferArtifactsRequest {
        selection: Some(selection),
        to: args.to.unwrap_or_default(),
        name: args.name.unwrap_or_default(),
        copy: true,
        dry_run: args.dry.dry_run,
    };
    let session = context.session_for(PATIENCE).await?;
    let stream = transfer(&session, request).await?;
    let told = Told {
        verb: "copy",
        done: "copied",
        link: "from",
        single,
    };
    follow(context, &session, stream, &told).await
}

async fn transfer(
    session: &Session,
    request: v1::TransferArtifactsRequest,
) -> Result<Answers<v1::ChangeEvent>, Error> {
    session.stream(request).await
}

pub(super) async fn set(context: &mut Context, args: SetArgs) -> Outcome {
    let (fields, names): (Vec<String>, Vec<String>) =
        args.words.into_iter().partition(|word| word.contains('='));
    if fields.is_empty() {
        return Err(Error::new(Code::InvalidArgument, "no field is given")
            .hint("give fields as `key=value`, such as `version=1.3.0`")
            .into());
    }
    let selection = select(names, args.filters)?;
    let single = is_single(&selection);
    let request = v1::SetFieldsRequest {
        selection: Some(selection),
        fields: fields
            .iter()
            .filter_map(|field| field.split_once('='))
            .map(|(key, value)| v1::Field {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            })
            .collect(),
        dry_run: args.dry.dry_run,
    };
    let session = context.session_for(PATIENCE).await?;
    let stream = session.stream(request).await?;
    let told = Told {
        verb: "change",
        done: "changed",
        link: "in",
        single,
    };
    follow(context, &session, stream, &told).await
}

pub(super) async fn rate(context: &mut Context, args: RateArgs) -> Outcome {
    let mut names = args.words;
    let stars = if args.clear {
        0
    } else {
        let last = names.pop().unwrap_or_default();
        let Ok(stars @ 1..=5) = last.parse() else {
            let message = format!("`{}` is no rating", escape(&last));
            return Err(Error::new(Code::InvalidArgument, message)
                .hint("end with a number from 1 to 5, or use `--clear`")
                .into());
        };
        stars
    };
    let selection = select(names, args.filters)?;
    let single = is_single(&selection);
    let request = v1::RateArtifactsRequest {
        selection: Some(selection),
        stars,
        dry_run: args.dry.dry_run,
    };
    let session = context.session_for(PATIENCE).await?;
    let stream = session.stream(request).await?;
    let told = Told {
        verb: "rate",
        done: "rated",
        link: "in",
        single,
    };
    follow(context, &session, stream, &told).await
}
