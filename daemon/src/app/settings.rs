//! Changing the config, as an operation like others.

use skillmeat_shared::config::record::shows_value;
use skillmeat_shared::config::value::Unit;
use skillmeat_shared::config::{self, keys};
use skillmeat_shared::error::word;
use skillmeat_shared::{Code, Error, Result};

use super::App;
use super::change::{Actor, Asked, Draft, Place};
use super::collections::{DEFAULT_COLLECTION, not_found_near};
use crate::store::collection;

/// Bytes of the largest config.
const MAX_BYTES: usize = 1 << 20;

/// Letters of a value that the log of operations shows.
const SHOWN: usize = 200;

/// What is to change.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the messages of config.proto")]
pub enum ConfigAction {
    Set {
        key: String,
        value: String,
    },
    Unset {
        key: String,
    },
    Replace {
        before: Option<Vec<u8>>,
        text: Vec<u8>,
    },
}

impl ConfigAction {
    fn verb(&self) -> &'static str {
        match self {
            Self::Set { .. } => "config.set",
            Self::Unset { .. } => "config.unset",
            Self::Replace { .. } => "config.edit",
        }
    }

    /// The change in words, without anything that may be a secret.
    fn told(&self) -> String {
        let name = |key: &str| {
            let known = keys::find(key).map_or(key, |known| known.name);
            known.chars().take(SHOWN).collect::<String>()
        };
        match self {
            Self::Set { key, value } if shows_value(key) => {
                let value: String = value.chars().take(SHOWN).collect();
                format!("set `{}` to `{value}`", name(key))
            }
            Self::Set { key, .. } => format!("set `{}`", name(key)),
            Self::Unset { key } => format!("unset `{}`", name(key)),
            Self::Replace { .. } => "edit the config".to_owned(),
        }
    }
}

impl App {
    /// Changes the config. Whether it was another one before, and the operation that it is known as.
    ///
    /// # Errors
    /// [`Code::CollectionNotFound`] for a default one that is not there; [`Code::ConfigUnknownKey`] and [`Code::ConfigInvalid`] for what can't be set; [`Code::FileChanged`] if
    /// somebody else wrote; what a change may fail with.
    pub fn change_config(&self, action: &ConfigAction) -> Result<(bool, Option<String>)> {
        let asked = Asked {
            verb: action.verb(),
            what: action.told(),
            actor: Actor::CommandLine,
            dry_run: false,
            undoes: None,
        };
        if let ConfigAction::Set { key, value } = action
            && let Some(known) = keys::find(key).filter(|known| known.name == DEFAULT_COLLECTION)
            && let Ok(name) = known.kind.parse(value, Unit::Plain)
        {
            self.heed_default(name.as_str().unwrap_or_default())?;
        }
        let _turn = config::turn(&self.boot.home)?;
        let changed = self.change(&asked, &|draft| self.plan_config(action, draft))?;
        Ok((changed.report, changed.operation))
    }

    /// Refuses a default collection that is not there: every command would fail that names none.
    fn heed_default(&self, name: &str) -> Result<()> {
        // Without rows nobody can tell, and the config must be possible to mend all the same.
        let Some(store) = self.gate.open() else {
            return Ok(());
        };
        let names = store.read(collection::names)?;
        let has_row = names.iter().any(|(_, other)| other == name);
        if has_row || names.is_empty() || self.boot.home.collection(name).exists() {
            return Ok(());
        }
        let create = format!(
            "`sm collection create {}` makes one of that name",
            word(name)
        );
        Err(not_found_near(name, &names).hint(create))
    }

    fn plan_config(&self, action: &ConfigAction, draft: &mut Draft<'_>) -> Result<bool> {
        let place = Place::config();
        let path = self.boot.home.config();
        let text = match action {
            ConfigAction::Set { key, value } => {
                let old = draft.text(&place)?.unwrap_or_default();
                config::with(&path, &old, key, value)?.into_bytes()
            }
            ConfigAction::Unset { key } => {
                let old = draft.text(&place)?.unwrap_or_default();
                match config::without(&path, &old, key)? {
                    Some(text) => text.into_bytes(),
                    None => return Ok(false),
                }
            }
            ConfigAction::Replace { before, text } => {
                if draft.read(&place)? != *before {
                    let message = format!("`{}` was changed by somebody else", path.display());
                    return Err(Error::new(Code::FileChanged, message).at(path, None));
                }
                text.clone()
            }
        };
        if text.len() > MAX_BYTES {
            let message = format!("`{}` would be larger than 1 MiB", path.display());
            return Err(Error::new(Code::FileTooLarge, message).at(path, None));
        }
        draft.write(&place, text)?;
        Ok(true)
    }
}
