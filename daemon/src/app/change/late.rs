//! What another program still wrote to a file that was moved aside: through a descriptor that it had open, after
//! the file was compared and before it is let go.

use skillmeat_shared::Result;
use skillmeat_shared::fs::Placed;
use skillmeat_shared::history::Node;

use super::draft::Draft;
use super::outside::external;
use super::past;
use super::place::Place;
use crate::app::App;
use crate::store::history::operation::{self, State, TouchedPath};

/// A thing that was moved aside, and its state when it was compared.
pub(super) struct Aside {
    pub(super) place: Place,
    pub(super) before: Option<Node>,
}

/// Captures the late writes among what was moved aside: the states before and after them.
pub(super) fn captured(draft: &Draft<'_>, asides: &[(Aside, Placed)]) -> Vec<TouchedPath> {
    let mut late = Vec::new();
    // The config may hold secrets, which the history does not keep.
    for (aside, placed) in asides.iter().filter(|(aside, _)| !aside.place.is_config()) {
        let Some(path) = placed.written_aside() else {
            continue;
        };
        match draft.past.capture(path) {
            Ok(now) if now != aside.before => {
                late.push(past::touched(&aside.place, aside.before.clone(), now));
            }
            Ok(_) => {}
            Err(error) => tracing::error!(
                target: "change",
                path = %placed.target().display(), "what was written late can't be kept: {error}"
            ),
        }
    }
    late
}

impl App {
    /// Keeps late writes as an operation of `external`, and as what stood there before the operation `id`, so that
    /// taking it back brings them back, too. What to tell the person.
    pub(super) fn keep_late(
        &self,
        draft: &mut Draft<'_>,
        id: i64,
        late: &[TouchedPath],
    ) -> Vec<String> {
        let kept = |draft: &mut Draft<'_>| -> Result<i64> {
            let new = external(self, late);
            draft.past.commit(|transaction| {
                for one in late {
                    operation::amend(transaction, id, one)?;
                }
                let told = operation::begin(transaction, &new, late)?;
                operation::set_state(transaction, told, State::Done, new.at)?;
                Ok(told)
            })
        };
        if late.is_empty() {
            return Vec::new();
        }
        match kept(draft) {
            Ok(told) => late
                .iter()
                .map(|one| {
                    let path = &one.path;
                    tracing::warn!(target: "change", id, told, path, "written to while it was replaced");
                    format!(
                        "another program wrote to `{path}` while it was replaced: `sm log show {told}` has what it wrote"
                    )
                })
                .collect(),
            Err(error) => {
                tracing::error!(target: "change", id, "what was written late can't be kept: {error}");
                Vec::new()
            }
        }
    }
}
