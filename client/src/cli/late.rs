//! Arguments that are put together only when they are needed.

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

/// Values that may be empty: texts that go then, words to look for, and names whose rules are told by their own
/// error.
const MAY_BE_EMPTY: [&str; 9] = [
    "description",
    "icon",
    "message",
    "own_color",
    "own_name",
    "query",
    "text",
    "value",
    "words",
];

/// The arguments of one of many commands. To put together those of all takes longer than most answers of the
/// daemon; these are put together when the command is given, or when help or a completion looks at it.
#[derive(Debug)]
pub(crate) struct Late<T>(pub(crate) T);

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Late<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| with_its_help(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(|command| with_its_help(command, T::augment_args_for_update))
    }
}

impl<T: Subcommand> Subcommand for Late<T> {
    fn augment_subcommands(command: Command) -> Command {
        command.defer(|command| with_its_help(command, T::augment_subcommands))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        command.defer(|command| with_its_help(command, T::augment_subcommands_for_update))
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}

/// Fails if a value is empty that must not be: it would stand for a default that nobody asked for. `command` is the
/// one that these are the matches of, as it was put together for them.
pub(super) fn filled(command: &Command, matches: &ArgMatches) -> Result<(), Error> {
    for id in matches.ids().map(clap::Id::as_str) {
        let mut values = matches.get_raw(id).into_iter().flatten();
        if !MAY_BE_EMPTY.contains(&id) && values.any(std::ffi::OsStr::is_empty) {
            let mut arguments = command.get_arguments();
            let argument = arguments.find(|one| one.get_id() == id);
            let name = argument.map_or_else(|| id.to_owned(), ToString::to_string);
            let message = format!("the value of `{name}` is empty");
            return Err(Error::raw(ErrorKind::InvalidValue, message));
        }
    }
    let Some((name, inner)) = matches.subcommand() else {
        return Ok(());
    };
    command
        .find_subcommand(name)
        .map_or(Ok(()), |command| filled(command, inner))
}

/// Fills a command in. What it is about stays as it was said where it is listed: arguments bring a text of their own.
fn with_its_help(command: Command, fill: fn(Command) -> Command) -> Command {
    let about = Resettable::from(command.get_about().cloned());
    let long_about = Resettable::from(command.get_long_about().cloned());
    fill(command).about(about).long_about(long_about)
}
