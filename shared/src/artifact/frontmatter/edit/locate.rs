//! Where fields stand in a text of YAML: the forms that people write. What is none of them is not found, or
//! found wrongly, which the caller notices as it reads its result again.

use std::ops::Range;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Not at all.
    Empty,
    /// Without quotes.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// As a block after `|` or `>`.
    Block,
    /// In brackets or braces.
    Flow,
    /// As lines that begin with `-`.
    Sequence,
    /// As lines with keys of their own.
    Mapping,
}

/// A key with its value. Places are bytes of the text.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Columns before the key.
    pub(super) indent: usize,
    /// Right behind the colon.
    pub(super) colon: usize,
    /// The value, without comments around it and the end of its last line.
    pub(super) value: Range<usize>,
    pub(super) form: Form,
    /// Whether the value begins on a line below its key; it then starts with that line.
    pub(super) begins_below: bool,
    /// All lines, from the key's to the value's last.
    pub(super) lines: Range<usize>,
}

/// An item of a list.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) value: Range<usize>,
    /// All its lines in a list of lines; the value in a list in brackets.
    pub(super) lines: Range<usize>,
}

/// The start of the line after the one that `at` stands in.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |end| at + end + 1)
}

/// The line that starts at `at`, without its end.
fn line(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn is_item(line: &str) -> bool {
    let rest = line.trim_start_matches(' ').strip_prefix('-');
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// The entries of the block mapping in a region of the text.
pub(super) fn entries(text: &str, region: Range<usize>) -> Vec<Entry> {
    let Some(text) = text.get(..region.end) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut column = None;
    let mut at = region.start;
    while at < text.len() {
        let line = line(text, at);
        let next = next_line(text, at);
        let own = indent(line);
        if is_blank(line) || *column.get_or_insert(own) != own {
            at = next;
            continue;
        }
        let Some((key, length)) = key(line.get(own..).unwrap_or_default()) else {
            at = next;
            continue;
        };
        let colon = at + own + length;
        let value = value(text, colon, own);
        let lines = at..kept_blanks(text, &value);
        at = lines.end;
        found.push(Entry {
            key,
            indent: own,
            colon,
            value: value.range,
            form: value.form,
            begins_below: value.begins_below,
            lines,
        });
    }
    found
}

/// The start of the line after a value, and after the blank lines behind it if it is a block that keeps them.
fn kept_blanks(text: &str, value: &Value) -> usize {
    let mut end = next_line(text, value.range.end);
    let header = line(text, value.range.start);
    let sign = header.split_whitespace().next().unwrap_or_default();
    if value.form == Form::Block && sign.contains('+') {
        while end < text.len() && line(text, end).trim().is_empty() {
            end = next_line(text, end);
        }
    }
    end
}

/// The key that a line begins with, and the bytes up to behind its colon.
fn key(line: &str) -> Option<(String, usize)> {
    if line.starts_with(['"', '\'']) {
        let end = quoted(line, 0)?;
        let key = line.get(1..end.checked_sub(1)?)?;
        let rest = line.get(end..)?;
        let colon = rest.trim_start().strip_prefix(':')?;
        return is_end(colon).then(|| (key.to_owned(), line.len() - colon.len()));
    }
    if line.starts_with(['[', '{', '?', '&', '*', '!', '|', '>', '%', '@', '`', '-']) {
        return None;
    }
    let mut from = 0;
    while let Some(found) = line.get(from..)?.find(':') {
        let behind = from + found + 1;
        if is_end(line.get(behind..)?) {
            let key = line.get(..behind - 1)?.trim_end();
            return Some((key.to_owned(), behind));
        }
        from = behind;
    }
    None
}

fn is_end(text: &str) -> bool {
    text.is_empty() || text.starts_with([' ', '\t'])
}

struct Value {
    range: Range<usize>,
    form: Form,
    begins_below: bool,
}

/// The value that begins at `start` or on a line below, of a key or dash in column `parent`.
fn value(text: &str, start: usize, parent: usize) -> Value {
    let rest = line(text, start);
    let blanks = rest.len() - rest.trim_start().len();
    let content = rest.get(blanks..).unwrap_or_default();
    if content.is_empty() || (content.starts_with('#') && blanks > 0) {
        return below(text, start, parent);
    }
    let at = start + blanks;
    let form = form_of(content);
    let end = match form {
        Form::Single | Form::Double => quoted(text, at),
        Form::Flow => brackets(text, at, &mut |_| {}),
        Form::Block => Some(block(text, at, parent)),
        _ => None,
    };
    // What is opened and never closed does not take in the entries below it: it is plain text, if anything.
    let (form, end) = end.map_or_else(|| (Form::Plain, plain(text, at, parent)), |end| (form, end));
    Value {
        range: at..end.min(text.len()),
        form,
        begins_below: false,
    }
}

/// How a value is written that begins like this.
pub(super) fn form_of(content: &str) -> Form {
    match content.chars().next() {
        None => Form::Empty,
        Some('"') => Form::Double,
        Some('\'') => Form::Single,
        Some('|' | '>') => Form::Block,
        Some('[' | '{') => Form::Flow,
        Some(_) => Form::Plain,
    }
}

/// A value on the lines below its key.
fn below(text: &str, start: usize, parent: usize) -> Value {
    let mut first = None;
    let mut end = start;
    let mut at = next_line(text, start);
    while at < text.len() {
        let line = line(text, at);
        if !is_blank(line) {
            let deeper = indent(line) > parent || (indent(line) == parent && is_item(line));
            if !deeper {
                break;
            }
            first.get_or_insert(at);
            end = at + line.trim_end().len();
        }
        at = next_line(text, at);
    }
    let Some(first) = first else {
        return Value {
            range: start..start,
            form: Form::Empty,
            begins_below: false,
        };
    };
    let line = line(text, first);
    let content = line.trim_start();
    let form = if is_item(line) {
        Form::Sequence
    } else if key(content).is_some() {
        Form::Mapping
    } else {
        form_of(content)
    };
    Value {
        range: first..end,
        form,
        begins_below: true,
    }
}

/// Behind the closing quote of the quoted text at `at`, if there is one.
fn quoted(text: &str, at: usize) -> Option<usize> {
    let mut chars = text.get(at..)?.char_indices();
    let (_, quote) = chars.next()?;
    let mut chars = chars.peekable();
    while let Some((offset, c)) = chars.next() {
        if quote == '"' && c == '\\' {
            chars.next();
        } else if c == quote {
            let doubled = quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == quote);
            if !doubled {
                return Some(at + offset + 1);
            }
            chars.next();
        }
    }
    None
}

/// Steps through the text in brackets at `at`; tells of each comma between items; behind the closing bracket, if there
/// is one.
fn brackets(text: &str, at: usize, comma: &mut dyn FnMut(usize)) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut here, mut before) = (0_usize, at, b'[');
    while let Some(byte) = bytes.get(here) {
        match byte {
            b'"' | b'\'' if matches!(before, b'[' | b'{' | b',' | b':') => {
                here = quoted(text, here)?;
                before = b'"';
                continue;
            }
            b'#' if here > 0 && bytes.get(here - 1).is_some_and(u8::is_ascii_whitespace) => {
                here = next_line(text, here);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(here + 1);
                }
            }
            b',' if depth == 1 => comma(here),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
        here += 1;
    }
    None
}

/// The end of a block scalar: its last line that is not blank.
fn block(text: &str, at: usize, parent: usize) -> usize {
    let mut end = at + line(text, at).trim_end().len();
    let mut next = next_line(text, at);
    while next < text.len() {
        let line = line(text, next);
        if !line.trim().is_empty() {
            if indent(line) <= parent {
                break;
            }
            end = next + line.len();
        }
        next = next_line(text, next);
    }
    end
}

/// The end of a plain value: it goes on over lines that stand deeper than its key, up to a comment.
fn plain(text: &str, at: usize, parent: usize) -> usize {
    let (mut end, mut open) = uncommented(text, at);
    let mut next = next_line(text, at);
    while open && next < text.len() {
        let line = line(text, next);
        if !line.trim().is_empty() {
            if indent(line) <= parent || line.trim_start().starts_with('#') {
                break;
            }
            (end, open) = uncommented(text, next);
        }
        next = next_line(text, next);
    }
    end
}

/// The end of the line at `at` without its comment, and whether it has none.
fn uncommented(text: &str, at: usize) -> (usize, bool) {
    let line = line(text, at);
    let comment = line.find(" #").or_else(|| line.find("\t#"));
    let content = comment.map_or(line, |comment| line.get(..comment).unwrap_or_default());
    (at + content.trim_end().len(), comment.is_none())
}

/// The items of a list.
pub(super) fn items(text: &str, entry: &Entry) -> Vec<Item> {
    match entry.form {
        Form::Flow => flow_items(text, entry.value.start),
        Form::Sequence => sequence_items(text, entry.value.clone()),
        _ => Vec::new(),
    }
}

fn flow_items(text: &str, at: usize) -> Vec<Item> {
    let mut commas = Vec::new();
    let Some(end) = brackets(text, at, &mut |comma| commas.push(comma)) else {
        return Vec::new();
    };
    let mut items = Vec::new();
    let mut from = at + 1;
    for to in commas.into_iter().chain([end.saturating_sub(1)]) {
        let value = without_comments(text, from..to);
        if !value.is_empty() {
            let lines = value.clone();
            items.push(Item { value, lines });
        }
        from = to + 1;
    }
    items
}

/// A range without blanks and whole comments at its ends.
fn without_comments(text: &str, range: Range<usize>) -> Range<usize> {
    let Range { mut start, end } = range;
    loop {
        let rest = text.get(start..end).unwrap_or_default();
        let trimmed = rest.trim_start();
        start = end - trimmed.len();
        if !trimmed.starts_with('#') {
            break;
        }
        start = next_line(text, start).min(end);
    }
    let rest = text.get(start..end).unwrap_or_default();
    let comment = rest.find(" #").filter(|_| !rest.starts_with(['"', '\'']));
    let content = comment.map_or(rest, |at| rest.get(..at).unwrap_or_default());
    start..start + content.trim_end().len()
}

fn sequence_items(text: &str, range: Range<usize>) -> Vec<Item> {
    let Some(text) = text.get(..next_line(text, range.end)) else {
        return Vec::new();
    };
    let mut items = Vec::new();
    let mut at = range.start;
    let column = indent(line(text, at));
    while at < text.len() {
        let line = line(text, at);
        if !is_item(line) || indent(line) != column {
            at = next_line(text, at);
            continue;
        }
        let value = value(text, at + column + 1, column);
        let lines = at..next_line(text, value.range.end.max(at));
        at = lines.end;
        items.push(Item {
            value: value.range,
            lines,
        });
    }
    items
}

/// What to cut so that some items go and nothing else: whole lines where an item has them for itself, else the
/// item with one comma. The ranges may touch or overlap.
pub(super) fn removals(text: &str, items: &[Item], goes: &[bool], form: Form) -> Vec<Range<usize>> {
    let last_kept = goes.iter().rposition(|goes| !goes);
    let mut ranges = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if !goes.get(at).copied().unwrap_or_default() {
            continue;
        }
        let range = if form == Form::Sequence {
            item.lines.clone()
        } else if let Some(lines) = own_lines(text, &item.value) {
            lines
        } else if last_kept.is_some_and(|kept| kept > at) {
            item.value.start
                ..items
                    .get(at + 1)
                    .map_or(item.value.end, |next| next.value.start)
        } else {
            let kept = last_kept.and_then(|kept| items.get(kept));
            kept.map_or(item.value.start, |kept| kept.value.end)..item.value.end
        };
        ranges.push(range);
    }
    ranges
}

/// The lines of an item in brackets, if nothing but its comma and a comment stands beside it.
fn own_lines(text: &str, value: &Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..value.start)?;
    let start = before.rfind('\n')? + 1;
    let after = line(text, value.end).trim_start();
    let after = after.strip_prefix(',').unwrap_or(after);
    let alone = before.get(start..)?.trim().is_empty() && is_blank(after);
    alone.then(|| start..next_line(text, value.end))
}
