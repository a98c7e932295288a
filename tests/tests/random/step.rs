//! What may happen to a home.

use proptest::prelude::*;

/// Where an artifact stands: one of two collections, one of some kinds, one of some names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) u8, pub(crate) u8, pub(crate) u8);

/// How a file is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// In place.
    Over,
    /// By a new file that takes its place.
    Replace,
    /// Twice at once with the same size, and with the time that it had.
    SameSize,
}

/// How manifest or lock are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Cut in the middle of a line.
    Torn,
    /// Emptied.
    Empty,
    /// Gone.
    Gone,
    /// Bytes that are no text.
    Binary,
    /// A folder stands there.
    Folder,
    /// The lock file is torn.
    Lock,
}

/// What `sm` is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Add(At, u8),
    AddAll(u8, u8),
    Refresh(bool),
    Invalidate(u8),
    Clear,
    Reads(At),
    Use(u8),
    Create,
    Setting(u8),
    Undo,
    Redo,
    Remove(At),
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Write(At, u8, How),
    AddFile(At, u8, u8),
    RemoveFile(At, u8),
    Delete(At),
    Rename(At, At),
    Touch(At),
    Executable(At, u8, bool),
    /// A link in place of the artifact, or inside of it.
    Link(At, u8),
    /// A file where a folder was, and the other way round.
    Swap(At),
    /// A folder that holds artifacts is renamed, or back again.
    Container(u8, u8),
    Many(u8, u8),
    Few(u8),
    Manifest(u8, Vec<(u8, u8, u8)>),
    Break(u8, Harm),
    Mend(u8),
    Away(u8),
    Back(u8),
    Sm(Ask),
    Kill,
    Restart,
    DeleteCache(bool),
    DamageCache(u16),
    Settle,
}

fn at() -> impl Strategy<Value = At> {
    (0..2_u8, 0..5_u8, 0..8_u8).prop_map(|(collection, kind, name)| At(collection, kind, name))
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Over), Just(How::Replace), Just(How::SameSize)]
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        Just(Harm::Torn),
        Just(Harm::Empty),
        Just(Harm::Gone),
        Just(Harm::Binary),
        Just(Harm::Folder),
        Just(Harm::Lock),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        4 => (at(), 0..6_u8).prop_map(|(at, text)| Ask::Add(at, text)),
        1 => (0..2_u8, any::<u8>()).prop_map(|(to, text)| Ask::AddAll(to, text)),
        2 => any::<bool>().prop_map(Ask::Refresh),
        1 => (0..3_u8).prop_map(Ask::Invalidate),
        1 => Just(Ask::Clear),
        2 => at().prop_map(Ask::Reads),
        1 => (0..2_u8).prop_map(Ask::Use),
        1 => Just(Ask::Create),
        1 => (0..4_u8).prop_map(Ask::Setting),
        2 => Just(Ask::Undo),
        1 => Just(Ask::Redo),
        1 => at().prop_map(Ask::Remove),
    ]
}

/// Any step; the usual ones more often.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let one = 0..2_u8;
    let entries = prop::collection::vec((0..5_u8, 0..8_u8, any::<u8>()), 0..6);
    prop_oneof![
        12 => (at(), 0..6_u8, how()).prop_map(|(at, text, how)| Step::Write(at, text, how)),
        4 => (at(), 0..6_u8, any::<u8>()).prop_map(|(at, file, text)| Step::AddFile(at, file, text)),
        2 => (at(), 0..6_u8).prop_map(|(at, file)| Step::RemoveFile(at, file)),
        3 => at().prop_map(Step::Delete),
        5 => (at(), at()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => at().prop_map(Step::Touch),
        2 => (at(), 0..6_u8, any::<bool>()).prop_map(|(at, file, on)| Step::Executable(at, file, on)),
        3 => (at(), 0..8_u8).prop_map(|(at, to)| Step::Link(at, to)),
        2 => at().prop_map(Step::Swap),
        2 => (one.clone(), 0..5_u8).prop_map(|(at, kind)| Step::Container(at, kind)),
        1 => (one.clone(), any::<u8>()).prop_map(|(at, text)| Step::Many(at, text)),
        1 => one.clone().prop_map(Step::Few),
        5 => (one.clone(), entries).prop_map(|(at, entries)| Step::Manifest(at, entries)),
        4 => (one.clone(), harm()).prop_map(|(at, harm)| Step::Break(at, harm)),
        2 => one.clone().prop_map(Step::Mend),
        2 => one.clone().prop_map(Step::Away),
        2 => one.prop_map(Step::Back),
        9 => ask().prop_map(Step::Sm),
        3 => Just(Step::Kill),
        2 => Just(Step::Restart),
        2 => any::<bool>().prop_map(Step::DeleteCache),
        1 => any::<u16>().prop_map(Step::DamageCache),
        6 => Just(Step::Settle),
    ]
}
