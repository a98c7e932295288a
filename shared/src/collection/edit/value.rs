//! Values to write, and arrays whose items change.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value as Json;
use toml::de::DeValue;

use super::lexer::{self, Items};
use crate::document::{self, Lines, quote};

/// A value to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// An array of strings.
    Texts(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&[String]> for Value {
    fn from(texts: &[String]) -> Self {
        Self::Texts(texts.to_vec())
    }
}

impl Value {
    /// As the parser will see it.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => Json::from(text.as_str()),
            Self::Integer(number) => Json::from(*number),
            Self::Boolean(flag) => Json::from(*flag),
            Self::Texts(texts) => Json::from(texts.as_slice()),
        }
    }

    /// What the parser saw, if it can be written.
    pub(super) fn of_json(value: &Json) -> Option<Self> {
        match value {
            Json::String(text) => Some(Self::Text(text.clone())),
            Json::Number(number) => number.as_i64().map(Self::Integer),
            Json::Bool(flag) => Some(Self::Boolean(*flag)),
            Json::Array(items) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map(Self::Texts)
            }
            Json::Null | Json::Object(_) => None,
        }
    }

    /// As TOML; an array with a line for each item, if that is how the place is written.
    pub(super) fn render(&self, on_lines: bool) -> String {
        match self {
            Self::Text(text) => quote(text),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Texts(texts) if texts.is_empty() => "[]".to_owned(),
            Self::Texts(texts) if on_lines => {
                let items = texts.iter().map(|text| format!("    {},\n", quote(text)));
                format!("[\n{}]", items.collect::<String>())
            }
            Self::Texts(texts) => {
                let items: Vec<String> = texts.iter().map(|text| quote(text)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// What stands where `old` stood. An array keeps the items that stay as they are, with their comments.
    pub(super) fn replacing(&self, old: &str, on_lines: bool) -> String {
        let before = parsed(old);
        if before.as_ref() == Some(&self.to_json()) {
            return old.to_owned();
        }
        let (Self::Texts(texts), Some(Json::Array(values))) = (self, before) else {
            return self.render(on_lines);
        };
        let items = lexer::items(old);
        if items.items.len() != values.len() {
            return self.render(on_lines);
        }
        let rest = old.get(items.rest.clone()).unwrap_or_default();
        if values.is_empty() && rest.trim().is_empty() {
            return self.render(on_lines);
        }
        rebuild(old, &items, &slots(texts, &values))
    }
}

/// Where the items of an array come from. One that is new stands in the place of the old one that went there, and
/// has its comments.
fn slots(texts: &[String], values: &[Json]) -> Vec<Slot> {
    let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (at, value) in values.iter().enumerate() {
        if let Some(text) = value.as_str() {
            places.entry(text).or_default().push_back(at);
        }
    }
    let mut stays = |text: &String| places.get_mut(text.as_str())?.pop_front();
    let kept: Vec<Option<usize>> = texts.iter().map(&mut stays).collect();
    let mut taken: HashSet<usize> = kept.iter().flatten().copied().collect();
    let mut next = 0;
    texts
        .iter()
        .zip(kept)
        .map(|(text, old)| {
            let is_free = next < values.len() && !taken.contains(&next);
            let slot = match old {
                Some(at) => Slot::old(at),
                None if is_free => Slot {
                    old: Some(next),
                    new: Some(quote(text)),
                },
                None => Slot::new(quote(text)),
            };
            if let Some(at) = slot.old {
                taken.insert(at);
                next = at + 1;
            }
            slot
        })
        .collect()
}

fn parsed(written: &str) -> Option<Json> {
    let text = format!("x = {written}");
    let root = document::parse(&text, &Lines::of(&text)).ok()?;
    Some(document::to_json(root.get_ref().get("x")?.get_ref()))
}

/// Whether two statements say the same, whatever comments stand in them.
pub(in crate::collection) fn same(one: &str, other: &str) -> bool {
    let said = |text: &str| {
        let root = document::parse(text, &Lines::of(text)).ok()?;
        Some(document::table_to_json(root.get_ref()))
    };
    one.trim() == other.trim() || said(one).is_some_and(|one| said(other) == Some(one))
}

/// The value `was` as `now` is written, which says something else: the comments of both are in it. Nothing if one
/// would go.
pub(in crate::collection) fn carried(was: &str, now: &str) -> Option<String> {
    let texts = match parsed(was) {
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let new = match texts {
        Some(texts) => Value::Texts(texts).replacing(now, true),
        None => was.to_owned(),
    };
    let kept = lexer::comments(&new);
    let mut old = lexer::comments(was);
    old.extend(lexer::comments(now));
    old.iter()
        .all(|comment| kept.contains(comment))
        .then_some(new)
}

/// A parsed value on one line.
pub(super) fn on_one_line(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| on_one_line(item.get_ref()))
                .collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) => {
            let pairs: Vec<String> = document::in_order(table)
                .into_iter()
                .map(|(key, value)| {
                    format!(
                        "{} = {}",
                        spelled(key.get_ref()),
                        on_one_line(value.get_ref())
                    )
                })
                .collect();
            if pairs.is_empty() {
                return "{}".to_owned();
            }
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// A key, with quotes if it needs them.
pub(super) fn spelled(key: &str) -> String {
    let is_bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { key.to_owned() } else { quote(key) }
}

/// What stands at a place of a new array or inline table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// The old item that stands here, with the comments that belong to it.
    pub(super) old: Option<usize>,
    /// What is written instead of its own text.
    pub(super) new: Option<String>,
}

impl Slot {
    pub(super) const fn old(at: usize) -> Self {
        Self {
            old: Some(at),
            new: None,
        }
    }

    pub(super) const fn new(text: String) -> Self {
        Self {
            old: None,
            new: Some(text),
        }
    }
}

/// An array or inline table with these items, written as it was: each old item keeps what belongs to it, new
/// ones stand as the old ones do. A comment behind the opening bracket belongs to the whole.
pub(super) fn rebuild(text: &str, items: &Items, slots: &[Slot]) -> String {
    let part = |range: &std::ops::Range<usize>| text.get(range.clone()).unwrap_or_default();
    let old = &items.items;
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (head, first) = of_bracket(part(old.first().map_or(&items.rest, |item| &item.lead)));
    let rest = if old.is_empty() {
        first
    } else {
        part(&items.rest)
    };
    let on_lines = !head.is_empty()
        || rest.contains('\n')
        || old.iter().any(|item| part(&item.lead).contains('\n'));
    let fresh = if on_lines {
        let lead = old.last().map_or("", |item| part(&item.lead));
        let indent = lead.rfind('\n').and_then(|at| lead.get(at + 1..));
        format!("{newline}{}", indent.unwrap_or("    "))
    } else {
        " ".to_owned()
    };
    let ends_with_comma = old.last().map_or(on_lines, |item| item.has_comma);
    let mut out: String = text.chars().take(1).collect();
    out.push_str(head);
    let mut in_comment = !head.is_empty();
    for (place, slot) in slots.iter().enumerate() {
        let item = slot.old.and_then(|at| old.get(at));
        let lead = match slot.old {
            _ if !on_lines && place == 0 => first,
            None => &fresh,
            Some(0) if place > 0 && !first.contains('\n') => &fresh,
            Some(0) => first,
            Some(_) => item.map_or("", |item| part(&item.lead)),
        };
        if in_comment && !lead.starts_with(['\n', '\r']) {
            out.push_str(newline);
        }
        out.push_str(lead);
        match &slot.new {
            Some(new) => out.push_str(new),
            None => out.push_str(item.map_or("", |item| part(&item.span))),
        }
        out.push_str(item.map_or("", |item| part(&item.gap)));
        if ends_with_comma || place + 1 < slots.len() {
            out.push(',');
        }
        let tail = item.map_or("", |item| part(&item.tail));
        out.push_str(tail);
        in_comment = tail.contains('#');
    }
    // Without items there is nothing to keep apart from the brackets, but for a comment.
    if !slots.is_empty() || in_comment || rest.contains('#') {
        if in_comment && !rest.starts_with(['\n', '\r']) {
            out.push_str(newline);
        }
        out.push_str(rest);
    }
    out.extend(text.chars().next_back());
    out
}

/// The comment on the line of the opening bracket, and what stands below it.
fn of_bracket(lead: &str) -> (&str, &str) {
    let line = lead.find(['\n', '\r']).unwrap_or(lead.len());
    match lead.split_at(line) {
        (head, below) if head.contains('#') => (head, below),
        _ => ("", lead),
    }
}
