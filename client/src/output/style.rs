//! Colours: when they are used, and which.

use anstyle::{AnsiColor, Color, Style};

use crate::cli::ColorWhen;

/// Puts colours around text, or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

/// What a piece of text means; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// No colour.
    Plain,
    /// A heading or a name that matters.
    Strong,
    /// What the eye may skip.
    Dim,
    /// All is well.
    Good,
    /// Needs a look.
    Warn,
    /// Is wrong.
    Bad,
    /// A kind, a path or another label.
    Label,
}

impl Tone {
    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(Color::Ansi(color)));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Good => color(AnsiColor::Green),
            Self::Warn => color(AnsiColor::Yellow),
            Self::Bad => color(AnsiColor::Red).bold(),
            Self::Label => color(AnsiColor::Cyan),
        }
    }
}

impl Paint {
    /// Colours for a stream: as asked, or as the environment says (any `NO_COLOR` that is not empty: never; any
    /// `CLICOLOR_FORCE` but 0: always; in this order), or on terminals that are not dumb.
    pub(crate) fn new(
        when: ColorWhen,
        is_terminal: bool,
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let on = match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                let is_set = |name: &str| var(name).filter(|value| !value.is_empty());
                let is_forced = is_set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
                let is_dumb = var("TERM").is_some_and(|value| value == "dumb");
                is_set("NO_COLOR").is_none() && (is_forced || (is_terminal && !is_dumb))
            }
        };
        Self { on }
    }

    /// No colours.
    #[cfg(test)]
    pub(crate) const fn off() -> Self {
        Self { on: false }
    }

    /// Whether colours are on.
    pub(crate) const fn is_on(self) -> bool {
        self.on
    }

    /// The text in its colour. The text must be escaped already.
    pub(crate) fn apply(self, tone: Tone, text: &str) -> String {
        if !self.on || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(when: ColorWhen, terminal: bool, vars: &[(&str, &str)]) -> bool {
        Paint::new(when, terminal, &|name| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
        .is_on()
    }

    #[test]
    fn colours_obey_flag_terminal_and_environment() {
        assert!(on(ColorWhen::Auto, true, &[]));
        assert!(on(ColorWhen::Auto, true, &[("NO_COLOR", "")]));
        assert!(!on(ColorWhen::Auto, true, &[("NO_COLOR", "1")]));
        assert!(!on(ColorWhen::Auto, true, &[("TERM", "dumb")]));
        assert!(!on(ColorWhen::Auto, false, &[]));
        assert!(on(ColorWhen::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!on(ColorWhen::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
        assert!(!on(ColorWhen::Auto, true, &both));
        assert!(!on(ColorWhen::Never, true, &[("CLICOLOR_FORCE", "1")]));
        assert!(on(ColorWhen::Always, false, &[("NO_COLOR", "1")]));
        assert!(!on(ColorWhen::Never, true, &[]));
    }

    #[test]
    fn off_adds_nothing() {
        assert_eq!(Paint::off().apply(Tone::Bad, "text"), "text");
        assert!(
            Paint { on: true }
                .apply(Tone::Bad, "text")
                .contains('\u{1b}')
        );
    }
}
