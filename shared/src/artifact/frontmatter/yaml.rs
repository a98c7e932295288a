//! The YAML reader, with our limits.

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Error, NonFiniteFloatPolicy};

use super::{MAX_BYTES, line_count};

/// The line, from 1, that begins the fields if a tab indents it: no YAML, though our reader takes it for a key's or a
/// text's.
fn tab_at(yaml: &str) -> Option<u32> {
    let is_content = |(_, line): &(u32, &str)| !line.trim().is_empty() && !line.starts_with('#');
    let (number, line) = (1..).zip(yaml.lines()).find(is_content)?;
    let (indent, _) = line.split_at(line.len() - line.trim_start().len());
    indent.contains('\t').then_some(number)
}

/// Strict YAML within the budget; of a key that stands twice the last counts. The error's line counts from 1 in the text.
pub(super) fn load(yaml: &str) -> Result<Value, (String, Option<u32>)> {
    if let Some(line) = tab_at(yaml) {
        return Err((
            "invalid YAML: a tab indents the line".to_owned(),
            Some(line),
        ));
    }
    read(yaml, DuplicateKeyPolicy::LastWins)
        .map_err(|error| (describe(&error.to_string()), line_of(yaml, &error)))
}

/// A key that stands twice in a mapping, and the line of the second one, from 1 in the text. Nothing of what can't be
/// read at all.
pub(super) fn doubled(yaml: &str) -> Option<(String, Option<u32>)> {
    if yaml.len() > MAX_BYTES || load(yaml).is_err() {
        return None;
    }
    match read(yaml, DuplicateKeyPolicy::Error) {
        Err(error) => match &error {
            Error::DuplicateMappingKey { key, .. } => {
                Some((key.clone().unwrap_or_default(), line_of(yaml, &error)))
            }
            _ => None,
        },
        Ok(_) => None,
    }
}

fn line_of(yaml: &str, error: &Error) -> Option<u32> {
    error
        .location()
        .and_then(|at| u32::try_from(at.line()).ok())
        .filter(|at| *at > 0)
        // Carriage returns end lines of YAML, too, but none of the file.
        .map(|at| at.min(line_count(yaml).saturating_add(1)))
}

fn read(yaml: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Value, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 40_000,
            max_aliases: 256,
            max_anchors: 256,
            max_depth: 48,
            max_documents: 1,
            max_nodes: 20_000,
            max_total_scalar_bytes: 4 * MAX_BYTES,
            max_merge_keys: 64,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 256,
        },
        duplicate_keys: duplicate_keys,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(yaml, options)
}

/// The YAML reader's message in our form: one line, without the position, which we give apart.
fn describe(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .trim_end_matches(['.', ':', ' ']);
    let limits = ["budget breached", "alias replay limit", "recursion limit"];
    let line = if line.starts_with("budget breached: Documents") {
        "a second document begins"
    } else if limits.iter().any(|limit| line.starts_with(limit)) {
        "too many values, levels or aliases"
    } else {
        line
    };
    let mut text = String::from("invalid YAML: ");
    text.extend(line.chars().take(200));
    text
}
