//! `sm adopt`: what agents have already, as a table to choose from, and taken into a collection.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use skillmeat_proto::v1;
use skillmeat_shared::deployment::agents::Agents;
use skillmeat_shared::fs::glob;
use skillmeat_shared::paths::{Environment as _, expand_tilde};
use skillmeat_shared::{Code, Error};

use super::add::{absolute, tally};
use super::change::{self, Words};
use super::db::agreed;
use super::selection::listed;
use super::{Context, Failure, Outcome};
use crate::cli::AdoptArgs;
use crate::connect::Session;
use crate::output::escape::{escape, one_line};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::units;

/// How long looking through everybody's folders may take.
const LONG: Duration = Duration::from_mins(10);

/// Places of one artifact that the table shows.
const PLACES: usize = 3;

/// The JSON of `sm adopt` when nothing is chosen.
#[derive(Serialize)]
struct Survey<'a> {
    collection: &'a str,
    rows: Vec<Row<'a>>,
    skipped: Vec<Skip<'a>>,
    folders: &'a [String],
}

/// One artifact that was found.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    state: &'a str,
    known_as: Option<&'a str>,
    description: Option<&'a str>,
    content_hash: Option<&'a str>,
    places: Vec<Place<'a>>,
}

/// Where it stands.
#[derive(Serialize)]
struct Place<'a> {
    path: &'a str,
    name: &'a str,
    agents: &'a [String],
}

/// What was left out.
#[derive(Serialize)]
struct Skip<'a> {
    path: &'a str,
    reason: &'a str,
}

/// What to do after the table was shown.
enum Choice {
    /// These rows, by index.
    Rows(BTreeSet<usize>),
    /// Nothing was asked for.
    Look,
}

pub(super) async fn run(context: &mut Context, mut args: AdoptArgs) -> Outcome {
    args.names = listed(args.names)?;
    let session = context.session_for(LONG).await?;
    let mut survey = look(context, &session, &args).await?;
    let is_wanted = |row: &v1::SurveyRow| {
        args.kinds.is_empty() || args.kinds.iter().any(|kind| kind.as_str() == row.kind)
    };
    survey.rows.retain(is_wanted);
    let rows = &survey.rows;
    let is_asking = args.names.is_empty() && !args.all;
    if is_asking && context.out.json {
        return Ok(context.out.document(&document(&survey))?);
    }
    if !context.out.json {
        show(context, &survey)?;
    }
    let choice = if args.all {
        let new: BTreeSet<usize> = new_rows(rows).collect();
        if !new.is_empty() && !args.dry.dry_run && io::stdin().is_terminal() {
            let what = units::count(new.len() as u64, "artifact");
            agreed(args.yes, &format!("take in {what}?"))?;
        }
        Choice::Rows(new)
    } else if !args.names.is_empty() {
        Choice::Rows(named(rows, &args.names)?)
    } else {
        ask(rows)?
    };
    let chosen = match choice {
        Choice::Rows(chosen) if !chosen.is_empty() => chosen,
        Choice::Rows(_) if context.out.json => {
            return Ok(context.out.document(&document(&survey))?);
        }
        Choice::Rows(_) => {
            context.out.note("nothing is new: nothing was taken in");
            return Ok(());
        }
        Choice::Look => {
            if new_rows(rows).next().is_some() {
                context
                    .out
                    .note("nothing was taken in; name what you want, or `--all` for what is new");
            }
            return Ok(());
        }
    };
    take(context, &session, &args, rows, &chosen).await
}

/// Asks the daemon what there is.
async fn look(
    context: &Context,
    session: &Session,
    args: &AdoptArgs,
) -> Result<v1::SurveyResponse, Failure> {
    let agents = Agents::load(&context.home()?)?;
    let moving = agents
        .iter()
        .filter_map(|agent| agent.variable.as_ref())
        .map(|variable| variable.name.as_str());
    let variables: HashMap<String, String> = ["HOME"]
        .into_iter()
        .chain(moving)
        .filter_map(|name| Some((name.to_owned(), context.env.var(name)?)))
        .collect();
    let from = args
        .from
        .iter()
        .map(|from| {
            // What is an agent's id is no folder: `./cursor` is the folder.
            let path = expand_tilde(Path::new(from), &context.env);
            let is_path = from.contains('/') || from.starts_with(['.', '~']);
            if is_path || (agents.get(from).is_err() && path.is_dir()) {
                absolute(&path)
            } else {
                agents.get(from).map(|agent| agent.id.clone())
            }
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let request = v1::SurveyRequest {
        collection: args.of.collection.clone().unwrap_or_default(),
        from,
        variables,
    };
    let survey = session.call(request).await?;
    Ok(survey)
}

async fn take(
    context: &mut Context,
    session: &Session,
    args: &AdoptArgs,
    rows: &[v1::SurveyRow],
    chosen: &BTreeSet<usize>,
) -> Outcome {
    let chosen = chosen.iter().filter_map(|at| {
        let row = rows.get(*at)?;
        Some(v1::TakeChosen {
            kind: row.kind.clone(),
            name: row.name.clone(),
            path: row.places.first()?.path.clone(),
        })
    });
    let request = v1::TakeRequest {
        collection: args.of.collection.clone().unwrap_or_default(),
        chosen: chosen.collect(),
        dry_run: args.dry.dry_run,
    };
    let stream = session.stream(request).await?;
    let words = Words {
        verb: "adopt",
        single: false,
        tolerates_conflicts: false,
        terse: false,
        tally: &tally,
        hints: &|_, _| Vec::new(),
    };
    change::follow(context, session, stream, &words).await
}

/// The rows that the collection does not have, and that no other row stands in the way of.
fn new_rows(rows: &[v1::SurveyRow]) -> impl Iterator<Item = usize> {
    let is_new = |(at, row): (usize, &v1::SurveyRow)| (row.state == "new").then_some(at);
    rows.iter().enumerate().filter_map(is_new)
}

/// The rows that names and patterns mean. Of rivals for one name the first is meant.
fn named(rows: &[v1::SurveyRow], names: &[String]) -> Result<BTreeSet<usize>, Error> {
    let mut chosen = BTreeSet::new();
    for name in names {
        let fits = |row: &v1::SurveyRow| glob::fits(name, &row.id) || glob::fits(name, &row.name);
        let before = chosen.len();
        let found = rows.iter().enumerate().filter(|(_, row)| fits(row));
        let mut is_found = false;
        for (at, row) in found {
            is_found = true;
            if row.state != "rival" {
                chosen.insert(at);
            }
        }
        if !is_found && chosen.len() == before {
            let message = format!("nothing called `{}` was found", escape(name));
            return Err(
                Error::new(Code::ArtifactNotFound, message).hint("`sm adopt` shows what there is")
            );
        }
    }
    Ok(chosen)
}

/// Asks a person, if one is there.
fn ask(rows: &[v1::SurveyRow]) -> Result<Choice, Failure> {
    let new = new_rows(rows).count();
    if rows.is_empty() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(Choice::Look);
    }
    let all = match new {
        0 => String::new(),
        _ => format!("`all` for the {new} that are new, "),
    };
    let question = format!("Take in which? Numbers (1,3-5), names, {all}or nothing: ");
    let mut line = String::new();
    write!(io::stderr(), "{question}")?;
    io::stdin().read_line(&mut line)?;
    match parse(rows, &line)? {
        chosen if chosen.is_empty() => Ok(Choice::Look),
        chosen => Ok(Choice::Rows(chosen)),
    }
}

/// What an answer means.
fn parse(rows: &[v1::SurveyRow], answer: &str) -> Result<BTreeSet<usize>, Error> {
    let mut chosen = BTreeSet::new();
    for word in answer
        .split([',', ' ', '\t', '\n'])
        .filter(|w| !w.is_empty())
    {
        let number = |text: &str| text.parse::<usize>().ok();
        let range = match word.split_once('-') {
            Some((from, to)) => number(from).zip(number(to)),
            None => number(word).map(|one| (one, one)),
        };
        match range {
            Some((from, to)) if 1 <= from && from <= to && to <= rows.len() => {
                chosen.extend(from - 1..to);
            }
            Some(_) => {
                let message = format!("`{word}` is no number from 1 to {}", rows.len());
                return Err(Error::new(Code::InvalidArgument, message)
                    .hint("nothing was changed; run the command again"));
            }
            None if word == "all" => chosen.extend(new_rows(rows)),
            None => chosen.extend(named(rows, &[word.to_owned()])?),
        }
    }
    Ok(chosen)
}

/// Prints what was found.
fn show(context: &mut Context, survey: &v1::SurveyResponse) -> Result<(), Failure> {
    let home = context.env.var("HOME").unwrap_or_default();
    if !survey.rows.is_empty() {
        let table = table(&survey.rows, &home);
        context.out.table(&table)?;
    }
    context.out.flush()?;
    for skip in &survey.skipped {
        let path = shortened(&skip.path, &home);
        context
            .out
            .detail(&format!("left out {path}: {}", one_line(&skip.reason)));
    }
    let folders = units::count(survey.folders.len() as u64, "folder");
    let mut text = if survey.rows.is_empty() {
        format!("no artifacts in {folders} of agents")
    } else {
        let rows = units::count(survey.rows.len() as u64, "artifact");
        let new = new_rows(&survey.rows).count();
        format!(
            "{rows} in {folders} of agents, {new} new to `{}`",
            escape(&survey.collection)
        )
    };
    if !survey.skipped.is_empty() {
        let how = if context.out.verbose {
            ""
        } else {
            " (`-v` shows why)"
        };
        text = format!("{text}, {} left out{how}", survey.skipped.len());
    }
    context.out.note(&text);
    Ok(())
}

fn table(rows: &[v1::SurveyRow], home: &str) -> Table {
    let mut table = Table::new(vec![
        Column::number("#"),
        Column::text("NAME"),
        Column::text("TYPE"),
        Column::text("STATE"),
        Column::text("WHERE"),
        Column::prose("DESCRIPTION"),
    ]);
    for (at, row) in rows.iter().enumerate() {
        let (state, tone) = state(row);
        let mut places = row.places.iter().map(|place| shortened(&place.path, home));
        table.row(vec![
            (at + 1).to_string().into(),
            Cell::new(escape(&row.name), Tone::Strong),
            escape(&row.kind).into_owned().into(),
            Cell::new(state, tone),
            places.next().unwrap_or_default().into(),
            Cell::new(one_line(&row.description), Tone::Dim),
        ]);
        let more = row.places.len().saturating_sub(PLACES);
        let rest = places.by_ref().take(PLACES - 1).collect::<Vec<_>>();
        let more = (more > 0).then(|| format!("and {more} more"));
        for place in rest.into_iter().chain(more) {
            let blank = || Cell::from("");
            table.row(vec![
                blank(),
                blank(),
                blank(),
                blank(),
                Cell::new(place, Tone::Dim),
            ]);
        }
    }
    table
}

/// How a row stands with the collection, in words.
fn state(row: &v1::SurveyRow) -> (String, Tone) {
    match row.state.as_str() {
        "new" => ("new".to_owned(), Tone::Good),
        "present" if row.known_as == row.id => ("there already".to_owned(), Tone::Dim),
        "present" => (format!("there as {}", escape(&row.known_as)), Tone::Dim),
        "differs" => ("there, but differs".to_owned(), Tone::Warn),
        "rival" => ("differs from above".to_owned(), Tone::Warn),
        other => (escape(other).into_owned(), Tone::Plain),
    }
}

fn shortened(path: &str, home: &str) -> String {
    let below = Path::new(path).strip_prefix(home).ok();
    match below.filter(|_| !home.is_empty()) {
        Some(below) => escape(&format!("~/{}", below.display())).into_owned(),
        None => escape(path).into_owned(),
    }
}

fn document(survey: &v1::SurveyResponse) -> Survey<'_> {
    let filled = |text: &'_ str| !text.is_empty();
    Survey {
        collection: &survey.collection,
        rows: survey
            .rows
            .iter()
            .map(|row| Row {
                id: &row.id,
                state: &row.state,
                known_as: Some(row.known_as.as_str()).filter(|text| filled(text)),
                description: Some(row.description.as_str()).filter(|text| filled(text)),
                content_hash: Some(row.content_hash.as_str()).filter(|text| filled(text)),
                places: row
                    .places
                    .iter()
                    .map(|place| Place {
                        path: &place.path,
                        name: &place.name,
                        agents: &place.agents,
                    })
                    .collect(),
            })
            .collect(),
        skipped: survey
            .skipped
            .iter()
            .map(|skip| Skip {
                path: &skip.path,
                reason: &skip.reason,
            })
            .collect(),
        folders: &survey.folders,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Paint;
    use crate::output::table::Width;

    fn row(id: &str, state: &str) -> v1::SurveyRow {
        let (kind, name) = id.split_once(':').unwrap();
        v1::SurveyRow {
            id: id.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            state: state.to_owned(),
            places: (0..5)
                .map(|n| v1::SurveyPlace {
                    path: format!("/h/{n}/{name}"),
                    ..v1::SurveyPlace::default()
                })
                .collect(),
            ..v1::SurveyRow::default()
        }
    }

    fn rows() -> Vec<v1::SurveyRow> {
        vec![
            row("agent:pdf", "new"),
            row("skill:pdf", "new"),
            row("skill:pdf", "rival"),
            row("skill:xlsx", "present"),
            row("skill:yaml", "new"),
        ]
    }

    #[test]
    fn answers_are_numbers_ranges_names_or_all() {
        let rows = rows();
        let parsed = |answer: &str| parse(&rows, answer).map(Vec::from_iter);
        assert_eq!(parsed("\n"), Ok(vec![]));
        assert_eq!(parsed("2, 4-5\n"), Ok(vec![1, 3, 4]));
        assert_eq!(parsed("3"), Ok(vec![2]));
        assert_eq!(parsed("all"), Ok(vec![0, 1, 4]));
        assert_eq!(parsed("skill:pdf yaml"), Ok(vec![1, 4]));
        assert_eq!(parsed("pdf"), Ok(vec![0, 1]));
        assert_eq!(parsed("skill:*"), Ok(vec![1, 3, 4]));
        for bad in ["0", "6", "3-2", "2-9", "nothing", "1-x"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_table_shows_some_places_of_each() {
        let text = table(&rows(), "/h").render(Width::Page(120), Paint::off());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 5 * 4);
        assert!(lines[1].contains("~/0/pdf"), "{text}");
        assert!(lines[4].contains("and 2 more"), "{text}");
    }
}
