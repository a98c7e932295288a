//! Plain aligned tables that fit the terminal. A cell is one line; what does not fit is cut with `…`.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::style::{Paint, Tone};

const GAP: &str = "  ";
/// A flexible column is not cut below this many columns of the terminal.
const LEAST_FLEXIBLE: usize = 12;
/// Other columns are not cut below this while others are wider.
const LEAST: usize = 8;
/// What is left of a column on a terminal that is narrower than that.
const NARROWEST: usize = 2;

/// A heading and how the cells below it lie.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    flexible: bool,
    whole: bool,
}

impl Column {
    /// A column of words.
    pub(crate) const fn text(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            flexible: false,
            whole: false,
        }
    }

    /// A column of what is of no use in parts, such as ids: it is never cut. Where there is no room for it, the last
    /// of the other columns go.
    pub(crate) const fn whole(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            flexible: false,
            whole: true,
        }
    }

    /// A column of numbers.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self {
            title,
            right: true,
            flexible: false,
            whole: false,
        }
    }

    /// A column of prose: the first to be cut, and the only one that is cut when nobody's terminal limits us.
    pub(crate) const fn prose(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            flexible: true,
            whole: false,
        }
    }
}

/// A text, escaped already, and its tone.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone.
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// How wide a table may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// The columns of a terminal: everything must fit.
    Terminal(usize),
    /// A pipe or a file: prose is cut here, names never.
    Page(usize),
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub(crate) const fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row; a row shorter than the headings has empty cells at its end.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each line ended.
    pub(crate) fn render(&self, width: Width, paint: Paint) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let heading: Vec<Cell> = self
            .columns
            .iter()
            .map(|column| Cell::new(column.title, Tone::Dim))
            .collect();
        self.push_line(&mut text, &heading, &widths, paint);
        for row in &self.rows {
            self.push_line(&mut text, row, &widths, paint);
        }
        text
    }

    fn widths(&self, width: Width) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|column| columns(column.title))
            .collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(columns(&cell.text));
            }
        }
        let (limit, all) = match width {
            Width::Terminal(limit) => (limit, true),
            Width::Page(limit) => (limit, false),
        };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
        for (column, width) in self.columns.iter().zip(&mut widths) {
            if column.flexible {
                let cut = over.min(width.saturating_sub(LEAST_FLEXIBLE));
                *width -= cut;
                over -= cut;
            }
        }
        // Then the widest gives way, one column of the terminal after the other.
        let may_go = self.columns.iter().any(|column| column.whole);
        for least in [LEAST, if may_go { LEAST } else { NARROWEST }] {
            while all && over > 0 {
                let cuttable = self.columns.iter().zip(&mut widths);
                let cuttable = cuttable.filter(|(column, width)| !column.whole && **width > least);
                let Some(widest) = cuttable.map(|(_, width)| width).max() else {
                    break;
                };
                *widest -= 1;
                over -= 1;
            }
        }
        if all && may_go {
            for (column, width) in self.columns.iter().zip(&mut widths).rev() {
                if over > 0 && !column.whole {
                    over = over.saturating_sub(*width + GAP.len());
                    *width = 0;
                }
            }
        }
        widths
    }

    fn push_line(&self, text: &mut String, cells: &[Cell], widths: &[usize], paint: Paint) {
        let start = text.len();
        let kept = self.columns.iter().zip(widths).enumerate();
        for (index, (column, width)) in kept.filter(|(_, (_, width))| **width > 0) {
            let (cell, tone) = cells
                .get(index)
                .map_or(("", Tone::Plain), |cell| (cell.text.as_str(), cell.tone));
            let shown = truncate(cell, *width);
            let padding = width.saturating_sub(columns(&shown));
            if text.len() > start {
                text.push_str(GAP);
            }
            if column.right {
                text.extend(std::iter::repeat_n(' ', padding));
            }
            text.push_str(&paint.apply(tone, &shown));
            if !column.right {
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        let end = text.trim_end_matches(' ').len().max(start);
        text.truncate(end);
        text.push('\n');
    }
}

/// How many columns of a terminal a text takes that is safe to print.
pub(crate) fn columns(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.width()
    }
}

/// The text cut to so many columns of a terminal, with `…` where it was cut.
pub(crate) fn truncate(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    let mut cut: String = match text.get(..width.saturating_sub(1)) {
        Some(start) if text.is_ascii() => start.to_owned(),
        _ => text.chars().take_while(&mut fits).collect(),
    };
    if width > 0 {
        cut.truncate(cut.trim_end().len());
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(vec![
            Column::text("NAME"),
            Column::number("SIZE"),
            Column::prose("DESCRIPTION"),
        ]);
        table.row(vec![
            "pdf".into(),
            "1.0 KiB".into(),
            "reads documents of many pages and more".into(),
        ]);
        table.row(vec!["日本語の名前".into(), "5 B".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let text = table().render(Width::Page(120), Paint::off());
        assert_eq!(
            text,
            "NAME             SIZE  DESCRIPTION\n\
             pdf           1.0 KiB  reads documents of many pages and more\n\
             日本語の名前      5 B\n"
        );
    }

    #[test]
    fn every_line_fits_the_terminal() {
        let mut many = Table::new(vec![Column::text("COLUMN-NAME"); 5]);
        many.row(vec!["a-long-name".into(); 5]);
        for width in [20, 30, 40, 50] {
            for table in [table(), many.clone()] {
                for line in table.render(Width::Terminal(width), Paint::off()).lines() {
                    assert!(line.width() <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn what_is_whole_stays_and_other_columns_go() {
        let mut table = Table::new(vec![
            Column::whole("ID"),
            Column::text("MADE"),
            Column::prose("MESSAGE"),
        ]);
        let id = "20261121-094304-083020";
        table.row(vec![id.into(), "just now".into(), "a message".into()]);
        let at = |width| table.render(Width::Terminal(width), Paint::off());
        assert!(at(50).ends_with("just now  a message\n"), "{}", at(50));
        assert_eq!(
            at(35),
            format!("ID                      MADE\n{id}  just now\n")
        );
        assert_eq!(at(20), format!("ID\n{id}\n"));
    }

    #[test]
    fn names_are_whole_on_a_page() {
        let mut table = Table::new(vec![Column::text("NAME"), Column::prose("DESCRIPTION")]);
        let name = "n".repeat(200);
        table.row(vec![name.clone().into(), "d".repeat(200).into()]);
        let text = table.render(Width::Page(120), Paint::off());
        assert!(text.contains(&format!("{name}  ")));
        assert!(text.contains('…'));
    }

    #[test]
    fn cutting_respects_wide_characters() {
        assert_eq!(truncate("日本語", 6), "日本語");
        assert_eq!(truncate("日本語", 5), "日本…");
        assert_eq!(truncate("日本語", 4), "日…");
        assert_eq!(truncate("abc", 0), "");
    }
}
