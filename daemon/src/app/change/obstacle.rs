//! What keeps an operation from being taken back, and how that is told.

use skillmeat_shared::{Code, Error};

use super::Place;

/// Obstacles that are named.
pub(super) const NAMED: usize = 5;

/// The error for obstacles, and the later operations that are in the way, by number, with what they did.
pub(super) fn superseded(
    id: i64,
    (word, told): (&str, i64),
    obstacles: &[InTheWay],
    mut later: Vec<(i64, String)>,
) -> Error {
    later.sort();
    later.dedup();
    let mut names = Vec::new();
    for InTheWay {
        place,
        entries,
        why,
    } in obstacles
    {
        let at = if place.collection_name().is_empty() {
            format!("`{}`", place.path)
        } else {
            format!("`{}` of `{}`", place.path, place.collection_name())
        };
        if entries.is_empty() {
            names.push(at);
        } else {
            let named = entries.iter().take(NAMED).map(|name| format!("`{name}`"));
            let comments = match why {
                Why::Commented => "the comments of ",
                Why::Changed | Why::NotKept => "",
            };
            let named = named.collect::<Vec<_>>().join(", ");
            names.push(format!("{comments}{named} in {at}"));
        }
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let message = format!(
        "can't {word} operation {told}: changed since: {}{more}",
        names.join("; ")
    );
    let error = Error::new(Code::OperationSuperseded, message);
    let error = later
        .iter()
        .rev()
        .take(NAMED)
        .fold(error, |error, (later, what)| {
            error.hint(format!("operation {later} is in the way: {what}"))
        });
    let error = error.hint(if later.is_empty() {
        "nothing was changed; what is named was changed outside of `sm`"
    } else {
        "nothing was changed; undo what came later first"
    });
    if told == id {
        return error;
    }
    // `sm redo` alone would do again what was undone for it.
    error.hint(format!("then `sm undo {id}` does operation {told} again"))
}

/// Why a path can't be as it was.
#[derive(Debug)]
pub(super) struct InTheWay {
    pub(super) place: Place,
    /// The entries of a document.
    pub(super) entries: Vec<String>,
    pub(super) why: Why,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was changed since.
    Changed,
    /// It was not, but has comments that would go with it.
    Commented,
    /// What it was is not known.
    NotKept,
}
