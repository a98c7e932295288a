//! The tables that only the ancestor acts on: where it wants a table inside of them, and what must hold there.

use serde_json::{Map, Value as Json};
use toml::de::{DeTable, DeValue};
use toml_edit::Value;

use super::Setting;
use super::edit::untyped;
use super::value::Kind;
use crate::document::{self, Lines};

/// What the weights must be.
const WANTED_WEIGHTS: &str = "a table of `trust`, `quality` and `match`, which make 1 together";

/// The weights of the scores, which the ancestor's command line calls otherwise.
const WEIGHTS: &str = "scoring.weights";

/// The keys of the weights.
const WEIGHED: [&str; 3] = ["trust", "quality", "match"];

/// The limits of similarity, the highest first.
const THRESHOLDS: [&str; 4] = ["high", "partial", "low", "floor"];

/// What lies directly in these is a table each time.
const OF_TABLES: [&str; 7] = [
    "scoring",
    "similarity",
    "platform",
    "platform.defaults",
    "instances",
    "deployment",
    "deployment.profiles",
];

/// What a value in a kept table must be, in a word.
pub(super) const ANY: &str = "any";

/// The dotted name of a key that the ancestor's command line spells in a way of its own.
pub(super) fn spelled(name: &str) -> &str {
    match name {
        "score-weights" => WEIGHTS,
        other => other,
    }
}

/// Whether the ancestor wants a table under this name.
pub(super) fn is_table(name: &str) -> bool {
    let outer = name.rsplit_once('.').map(|(outer, _)| outer);
    outer.is_some_and(|outer| OF_TABLES.contains(&outer))
}

/// What is wrong in a kept table: name and line of each key, and what it must be.
pub(super) fn wrong(
    name: &str,
    table: &DeTable<'_>,
    lines: &Lines,
) -> Vec<(String, u32, &'static str)> {
    let mut found = Vec::new();
    for (key, value) in document::in_order(table) {
        let name = format!("{name}.{}", key.get_ref());
        let line = lines.start(&key.span());
        match value.get_ref() {
            DeValue::Table(inner) => {
                found.extend(wrong(&name, inner, lines));
                let said = Json::Object(document::table_to_json(inner));
                found.extend(unfit(&name, &said).map(|wanted| (name, line, wanted)));
            }
            _ if is_table(&name) => found.push((name, line, "a table")),
            _ => {}
        }
    }
    found
}

/// What the keys of a table must be, if they are not. Those that are not there have the ancestor's defaults.
fn unfit(name: &str, table: &Json) -> Option<&'static str> {
    // The ancestor itself writes numbers as texts.
    let of = |key: &&str| {
        let value = table.get(key)?;
        let spelled = || value.as_str().and_then(|text| text.trim().parse().ok());
        Some(value.as_f64().or_else(spelled).unwrap_or(f64::NAN))
    };
    match name {
        WEIGHTS => {
            let all: Vec<f64> = WEIGHED.iter().filter_map(of).collect();
            let sum: f64 = all.iter().sum();
            // Not the opposite of a comparison: what is no number fits neither.
            let fits = all.iter().all(|one| (0.0..=1.0).contains(one))
                && (all.len() < WEIGHED.len() || (sum - 1.0).abs() <= 0.01);
            (!fits).then_some(WANTED_WEIGHTS)
        }
        "similarity.thresholds" => {
            let all: Vec<f64> = THRESHOLDS.iter().filter_map(of).collect();
            let fits = all.iter().all(|one| (0.0..=1.0).contains(one))
                && all.is_sorted_by(|higher, lower| higher > lower);
            (!fits).then_some(
                "a table of `high`, `partial`, `low` and `floor`, each below the one before",
            )
        }
        _ => None,
    }
}

/// The keys and values of a table as a command line gives it: `trust=0.5,quality=0.3,match=0.2`, or in TOML.
///
/// # Errors
/// What is wanted instead.
pub(super) fn pairs(name: &str, text: &str) -> Result<Vec<(String, Value)>, &'static str> {
    const WANTED: &str = "a table, such as `trust=0.5,quality=0.3` or `{ a = \"b\" }`";
    let text = text.trim();
    let pairs: Vec<(String, Value)> = if text.starts_with('{') {
        match text.parse() {
            Ok(Value::InlineTable(table)) => table
                .iter()
                .map(|(key, value)| (key.to_owned(), value.clone()))
                .collect(),
            _ => return Err(WANTED),
        }
    } else {
        text.split(',')
            .map(|pair| {
                let (key, value) = pair.split_once('=').ok_or(WANTED)?;
                Ok::<_, &str>((key.trim().to_owned(), untyped(value.trim())))
            })
            .collect::<Result<_, _>>()?
    };
    if pairs.is_empty() || pairs.iter().any(|(key, _)| key.is_empty()) {
        return Err(WANTED);
    }
    let said: Map<String, Json> = pairs
        .iter()
        .map(|(key, value)| {
            let number = value.as_float().or_else(|| {
                let whole = i32::try_from(value.as_integer()?).ok()?;
                Some(f64::from(whole))
            });
            (key.clone(), number.map_or(Json::Null, Json::from))
        })
        .collect();
    let lacks = name == WEIGHTS && !WEIGHED.iter().all(|key| said.contains_key(*key));
    match unfit(name, &Json::Object(said)) {
        Some(wanted) => Err(wanted),
        None if lacks => Err(WANTED_WEIGHTS),
        None => Ok(pairs),
    }
}

/// All that a kept table holds, as one setting. `None` if nothing lies in such a table.
pub(super) fn gathered(settings: &[Setting], name: &str) -> Option<Setting> {
    let within = format!("{name}.");
    let mut keys = settings
        .iter()
        .filter(|setting| setting.kind == ANY)
        .filter_map(|setting| Some((setting.key.strip_prefix(&within)?, setting)))
        .peekable();
    let (_, first) = *keys.peek()?;
    let mut table = Map::new();
    let mut secret = false;
    for (key, setting) in keys {
        secret |= setting.secret;
        nest(&mut table, key, &setting.value);
    }
    Some(Setting {
        key: name.to_owned(),
        value: Json::Object(table),
        secret,
        kind: Kind::Open.as_str(),
        ..first.clone()
    })
}

fn nest(table: &mut Map<String, Json>, key: &str, value: &Json) {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value.clone());
        return;
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| Json::Object(Map::new()));
    if let Json::Object(inner) = inner {
        nest(inner, rest, value);
    }
}
