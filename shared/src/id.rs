//! Typed ids: `type:name`.

use std::fmt;
use std::str::FromStr;

use crate::fs::pattern;
use crate::kind::Kind;

/// Names an artifact inside a collection: its kind and its name. Written `skill:pdf-tools`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactId {
    /// The kind.
    pub kind: Kind,
    /// The name, as it stands in the manifest or on disk.
    pub name: String,
}

impl ArtifactId {
    /// An id of its parts.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// Reads `type:name` as a group's members spell it; the kind may be any word. `None` without a colon
    /// or with an empty side.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        if kind.is_empty() || name.is_empty() {
            return None;
        }
        Some(Self::new(Kind::from_manifest(kind), name))
    }
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// What a person types to name an artifact: `name`, or `type:name` with a kind that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRef {
    /// The kind, if the text gives one.
    pub kind: Option<Kind>,
    /// The name.
    pub name: String,
}

impl ArtifactRef {
    /// Whether the name is a pattern with `*` or `?` in it.
    pub fn is_pattern(&self) -> bool {
        self.name.contains(['*', '?'])
    }

    /// Whether it is the pattern that everything fits. That means all also beside an artifact of this name, which is
    /// named with its kind.
    pub fn is_all(&self) -> bool {
        self.kind.is_none() && self.name == "*"
    }

    /// What to say of a name that begins as if with a kind, of which there is none.
    pub fn mistaken_kind(&self) -> Option<String> {
        let (kind, name) = self.name.split_once(':')?;
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let looks_so = self.kind.is_none() && !kind.is_empty() && !name.is_empty() && is_word(kind);
        let error = kind.parse::<Kind>().err().filter(|_| looks_so)?;
        Some(format!("{}; {}", error.message, error.hints.join("; ")))
    }

    /// Whether an artifact is of the kind, and its name fits the pattern.
    pub fn fits(&self, kind: &str, name: &str) -> bool {
        self.kind.as_ref().is_none_or(|own| own.as_str() == kind)
            && pattern::matches(self.name.as_bytes(), name.as_bytes())
    }
}

impl FromStr for ArtifactRef {
    type Err = std::convert::Infallible;

    /// A text whose part before the first colon is no known kind is a name with a colon in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((kind, name)) = text.split_once(':')
            && !name.is_empty()
            && !name.starts_with(':')
            && let Ok(kind) = kind.parse::<Kind>()
        {
            return Ok(Self {
                kind: Some(kind),
                name: name.to_owned(),
            });
        }
        Ok(Self {
            kind: None,
            name: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_there_is_none_of_is_told() {
        let told = |text: &str| text.parse::<ArtifactRef>().unwrap().mistaken_kind();
        let said = told("bogus:x").unwrap();
        assert!(said.starts_with("`bogus` is no artifact kind; use one of skill, "));
        for fine in ["skill:x", "x", "a thing:x", "bogus:", ":x", "a-b:x"] {
            assert_eq!(told(fine), None, "{fine}");
        }
    }

    #[test]
    fn patterns_fit_names_of_their_kind() {
        let pattern = |text: &str| text.parse::<ArtifactRef>().unwrap();
        assert!(pattern("pdf-*").is_pattern() && !pattern("skill:pdf").is_pattern());
        assert!(pattern("pdf-*").fits("agent", "pdf-x"));
        assert!(pattern("skill:*").fits("skill", "pdf"));
        assert!(!pattern("skill:*").fits("agent", "pdf"));
        assert!(!pattern("p?f").fits("skill", "PDF"));
    }
}
