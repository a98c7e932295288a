//! The command line: every command, flag and help text. Nothing here acts.

mod adopt;
mod artifact;
mod curation;
mod daemon;
mod db;
mod group;
mod late;
mod operation;
mod repair;
mod service;
mod settings;
mod snapshot;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub(crate) use adopt::AdoptArgs;
pub(crate) use artifact::{AddArgs, ListArgs, SearchArgs, SearchIn, ShowArgs, SortBy};
pub(crate) use curation::{
    CopyArgs, EditArgs, FilterArgs, MoveArgs, RateArgs, RemoveArgs, RenameArgs, SelectArgs,
    SetArgs, ValidateArgs,
};
pub(crate) use daemon::{DaemonCommand, DoctorArgs, LogsArgs, Since, WatchArgs};
pub(crate) use db::{BackupArgs, DbCommand, DowngradeArgs, RestoreArgs};
pub(crate) use group::{GroupCommand, Looks, TagCommand, TagDefinitionArgs, TaggingArgs, Where};
pub(crate) use late::Late;
pub(crate) use operation::{LogArgs, LogCommand, LogListArgs, RedoArgs, UndoArgs};
pub(crate) use repair::{RepairArgs, RepairCommand};
pub(crate) use service::{ServiceArgs, ServiceCommand};
pub(crate) use settings::{
    CacheCommand, CollectionCommand, ConfigCommand, InitArgs, InvalidateArgs, ManArgs, RefreshArgs,
    Shell, StatusArgs,
};
pub(crate) use snapshot::{
    DryRun, GcArgs, HistoryArgs, OfCollection, OfCollections, OneSnapshot, PruneArgs,
    RestoreArtifactArgs, RollbackArgs, SnapshotArgs, SnapshotCommand,
};

/// Keeps your library of coding-agent artifacts: skills, commands, agents, hooks, MCP servers.
#[derive(Debug, Parser)]
#[command(
    name = "sm",
    bin_name = "sm",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  sm init                          set up a home with a first collection
  sm add --all ~/src/my-skills     add every artifact of a folder
  sm list --type skill             list skills
  sm search \"pdf forms\"            search names, descriptions and texts
  sm show skill:pdf                everything known of one artifact

The daemon `skillmeatd` starts by itself when a command needs it.
Exit codes: 0 ok, 1 internal, 2 usage, 3 not found, 4 conflict, 5 permission, 6 upstream, \
7 daemon unavailable, 8 timeout, 9 partial failure, 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command line of this process.
pub(crate) fn parsed() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    late::filled(&command, &matches)
        .and_then(|()| Cli::from_arg_matches_mut(&mut matches))
        .map_err(|error| error.format(&mut command))
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print data and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more: more columns, codes of errors, what happens behind the scenes
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// The home folder [default: $SKILLMEAT_HOME or ~/.skillmeat]
    #[arg(long, global = true, value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
    pub(crate) home: Option<PathBuf>,
    /// Do not start the daemon if none runs
    #[arg(long, global = true)]
    pub(crate) no_autostart: bool,
    /// Give up on an answer after so many seconds [default: 30]
    #[arg(long, global = true, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    pub(crate) color: ColorWhen,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On terminals, unless NO_COLOR is set; everywhere if CLICOLOR_FORCE is
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up the home: folders, config and a first collection; harmless if done already
    #[command(after_help = "Examples:
  sm init
  sm init --name work")]
    Init(Late<InitArgs>),
    /// Add local artifacts to a collection
    #[command(after_help = "Examples:
  sm add ./my-skill                    its kind is detected
  sm add ./review.md --type command    of a given kind
  sm add ./my-skill --as better-name   under another name
  sm add pdf.skill tools.tar.gz        what archives hold (.skill, .zip, .tar.gz, .tgz)
  sm add '~/src/skills/pdf-*'          all that fits a pattern
  sm add ~/.claude                     what an agent's folder holds; see also `sm adopt`
  sm add --all ~/src/agents --dry-run  what a whole tree would bring, and what be skipped
  sm add --all ~/src/agents --update   again: replace what changed there
  find . -name SKILL.md -printf '%h\\n' | sm add -

Nothing that exists is overwritten: an artifact of the same name with other content is a conflict (exit 4). \
--update replaces it, unless it was edited in the collection; --force replaces it in any case. What was \
replaced stays in the history: `sm undo` brings it back. \
With --all, in archives and in agents' folders, name clashes and duplicates are skipped; exit 9 says that \
an artifact failed. An archive may hold 1,000 files and 25 MiB, and no links, names or devices that could harm.")]
    Add(Late<AddArgs>),
    /// Take artifacts out of a collection
    #[command(
        visible_alias = "rm",
        after_help = "Examples:
  sm remove pdf
  sm remove 'pdf-*' --type skill --dry-run
  sm remove --tag old --yes
  sm remove pdf --keep-files        only the manifest forgets it

Files, entries of manifest and lock, places in groups and the rating go; `sm undo` brings all of it back."
    )]
    Remove(Late<RemoveArgs>),
    /// Give an artifact another name: folder or file, manifest, groups, lock
    #[command(after_help = "Examples:
  sm rename pdf pdf-tools
  sm rename command:review code-review --dry-run")]
    Rename(Late<RenameArgs>),
    /// Move artifacts to another collection
    #[command(
        name = "move",
        visible_alias = "mv",
        after_help = "Examples:
  sm move pdf --to work
  sm move --tag client-x --to client-x --yes

Entries of manifest and lock and ratings go along, and nothing at the goal is overwritten."
    )]
    Move(Late<MoveArgs>),
    /// Copy artifacts to another collection, or one under another name
    #[command(
        visible_alias = "cp",
        after_help = "Examples:
  sm copy pdf --as pdf-next
  sm copy pdf review --to work"
    )]
    Copy(Late<CopyArgs>),
    /// Set title, description, author, license, version, aliases or position of artifacts
    #[command(after_help = "Examples:
  sm set pdf description='Fill in forms' version=1.3.0
  sm set pdf author=                     the field goes
  sm set 'pdf-*' license=MIT --type skill
  sm set pdf aliases=forms,acroform position=3

Texts are changed in the artifact's own file, comments and order kept, and in the manifest; aliases and \
position stand in the manifest only.")]
    Set(Late<SetArgs>),
    /// Rate artifacts from 1 to 5
    #[command(after_help = "Examples:
  sm rate pdf 5
  sm rate 'pdf-*' 4 --type skill
  sm rate pdf --clear

Ratings stand in `state/ratings.toml` of the home.")]
    Rate(Late<RateArgs>),
    /// Hold artifacts to the Agent Skills specification and the rules of Claude Code
    #[command(after_help = "Examples:
  sm validate                       the whole collection
  sm validate pdf --strict          by the letter of the specification
  sm validate ./my-skill ~/src/skills
  sm validate --type agent --fix    mend what can be mended without guessing
  sm validate --rules               every rule, with its severity

With --strict, what some program does not take is an error. Exits with 9 if there is an error.")]
    Validate(Late<ValidateArgs>),
    /// Edit a file of an artifact with $VISUAL or $EDITOR
    #[command(after_help = "Examples:
  sm edit pdf
  sm edit pdf references/forms.md
  sed s/foo/bar/ SKILL.md | sm edit pdf --from -

A copy is opened. It is saved if it can be read, has no new error (see `sm validate`), and nobody else wrote \
the file meanwhile; else your text is kept, and the error says where.")]
    Edit(Late<EditArgs>),
    /// Take in what your agents have already: skills, agents and commands from their folders and from projects
    #[command(after_help = "Examples:
  sm adopt                              what there is; on a terminal, choose from it
  sm adopt --from claude-code           of one agent
  sm adopt --from ~/src/shop --dry-run  of a project
  sm adopt --all --type skill --yes     all skills that the collection does not have
  sm adopt pdf 'agent:*' --from cursor  some of it; - reads names from stdin
  sm adopt --json | jq '.rows[].id'

Same content is one row, wherever it stands. The agents' own files stay as they are; the collection gets a \
copy. Of two with one name and other content the first is taken; `sm add PATH --as NAME` takes the other.")]
    Adopt(Late<AdoptArgs>),
    /// List artifacts
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  sm list
  sm list --type skill --type agent --tag pdf
  sm list --status missing --all
  sm list --sort updated --limit 10
  sm list --json | jq -r '.artifacts[].id'"
    )]
    List(Late<ListArgs>),
    /// Show everything known of an artifact
    #[command(after_help = "Examples:
  sm show pdf
  sm show skill:pdf
  sm show pdf -c work --json")]
    Show(Late<ShowArgs>),
    /// Search names, aliases, descriptions, tags and texts
    #[command(after_help = "Examples:
  sm search pdf
  sm search '\"fill in forms\"' --type skill
  sm search kubernets               near words are found too
  sm search TODO --in content --limit 5")]
    Search(Late<SearchArgs>),
    /// List what was done to the library, and show what each operation changed
    #[command(after_help = "Examples:
  sm log
  sm log --artifact skill:pdf --limit 5
  sm log -c work                   what touched a collection
  sm log show 12                   what operation 12 changed, line by line
  sm log --json | jq -r '.operations[0].id'

Every change is an operation: those by commands, and (by `external`) edits that other programs made.")]
    Log(Late<LogArgs>),
    /// Take an operation back
    #[command(after_help = "Examples:
  sm undo                 the last one of `sm` that changed files; again: the one before
  sm undo 12 --dry-run    what would change

An older operation can be undone if nothing later touched the same files or entries of the manifest; else the \
command says what is in the way (exit 4) and changes nothing.")]
    Undo(Late<UndoArgs>),
    /// Do the operation again that was undone last
    #[command(after_help = "Examples:
  sm redo
  sm redo --dry-run

What was undone can be redone until something else is changed.")]
    Redo(Late<RedoArgs>),
    /// List, show, choose and create collections
    #[command(subcommand, arg_required_else_help = true)]
    Collection(Late<CollectionCommand>),
    /// Put artifacts into groups: with a colour, an icon, an order of their own
    #[command(subcommand, arg_required_else_help = true)]
    Group(Late<GroupCommand>),
    /// Tag artifacts, and say what tags mean
    #[command(subcommand, arg_required_else_help = true)]
    Tag(Late<TagCommand>),
    /// Make a snapshot of a collection; list, compare, verify, export and delete them
    #[command(after_help = "Examples:
  sm snapshot                              of the default collection
  sm snapshot 'before the big cleanup'
  sm snapshot -c work
  sm snapshot list")]
    Snapshot(Late<SnapshotArgs>),
    /// List snapshots, the newest first; as `snapshot list`
    #[command(after_help = "Examples:
  sm history
  sm history --limit 20
  sm history -c work")]
    History(Late<HistoryArgs>),
    /// Take a collection, or some artifacts of it, back to a snapshot
    #[command(after_help = "Examples:
  sm rollback 20261120-155145-120724 --dry-run    what would change
  sm rollback 20261120-155145-120724 --yes
  sm rollback 20261120-155145-120724 --artifact pdf --artifact command:review

All of it goes back, or nothing. What the snapshot did not have is removed; a snapshot of the collection \
as it is is made before, and `sm undo` takes the rollback back.")]
    Rollback(Late<RollbackArgs>),
    /// Bring artifacts back from a snapshot
    #[command(after_help = "Examples:
  sm restore pdf@20261120-155145-120724
  sm restore command:review@20261120-155145-120724 --dry-run
  sm restore 'pdf-*@20261120-155145-120724'

Its files come back as they were, with what the manifest said of it, into the groups that held it. It \
leaves no other group. `sm undo` takes it back.")]
    Restore(Late<RestoreArtifactArgs>),
    /// Delete what the history need not keep any more
    #[command(after_help = "Examples:
  sm gc --dry-run
  sm gc

Changes can be undone for `history.keep_days`, as long as `history.max_size_mb` has room for them. Snapshots \
stay. The daemon does this by itself once a week.")]
    Gc(Late<GcArgs>),
    /// Show the state of the daemon and of the collections
    #[command(after_help = "Examples:
  sm status
  sm status -c work
  sm status --json | jq .daemon.state")]
    Status(Late<StatusArgs>),
    /// Look for what is wrong with the home, the daemon and the system, and mend what is safe
    #[command(after_help = "Examples:
  sm doctor
  sm doctor --fix                   mend what is safe; what is taken away is kept in the home
  sm doctor --json | jq '.findings[].code'

It starts no daemon. Exits with 9 if an error remains.")]
    Doctor(Late<DoctorArgs>),
    /// Repair what older programs left in collections; says what it would do unless told to
    #[command(subcommand, arg_required_else_help = true)]
    Repair(Late<RepairCommand>),
    /// Print changes as they happen
    #[command(after_help = "Examples:
  sm watch
  sm watch --json | jq -r .artifact
  sm watch --since 120              begin with the events after number 120
  sm watch --since 5f0c9a:120       and be told if the log is not that one any more

Each event has a number. The first line says whether the stream is continuous: if it is not, events between \
the number given and the first one shown were lost, and the state should be read anew. When the daemon is \
restarted or upgraded, the stream goes on with the next one, after another such line.")]
    Watch(Late<WatchArgs>),
    /// Look after the cache of artifacts
    #[command(subcommand, arg_required_else_help = true)]
    Cache(Late<CacheCommand>),
    /// Look after the database of the cache: its schema, checks, copies
    #[command(subcommand, arg_required_else_help = true)]
    Db(Late<DbCommand>),
    /// Read and change the configuration
    #[command(subcommand, arg_required_else_help = true)]
    Config(Late<ConfigCommand>),
    /// Run, start, stop and inspect the daemon
    #[command(subcommand, arg_required_else_help = true)]
    Daemon(Late<DaemonCommand>),
    /// Have the daemon run by your service manager
    #[command(subcommand, arg_required_else_help = true)]
    Service(Late<ServiceCommand>),
    /// Print the version of this program, and of the daemon if one runs
    #[command(after_help = "Examples:
  sm version
  sm version --json")]
    Version,
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  bash          echo 'source <(sm completions bash)' >> ~/.bashrc
  zsh           echo 'source <(sm completions zsh)' >> ~/.zshrc
  fish          sm completions fish > ~/.config/fish/completions/sm.fish
  elvish        echo 'eval (sm completions elvish | slurp)' >> ~/.config/elvish/rc.elv
  powershell    Add-Content $PROFILE 'sm completions powershell | Out-String | Invoke-Expression'

Names of artifacts, collections, tags and groups are completed from the daemon if it runs.")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands to a folder
    #[command(after_help = "Examples:
  sm man | man -l -
  sm man --dir ~/.local/share/man/man1")]
    Man(Late<ManArgs>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_takes_the_global_flags() {
        fn visit(command: &clap::Command, path: &str) {
            let mut leaves = 0;
            for child in command
                .get_subcommands()
                .filter(|child| child.get_name() != "help")
            {
                visit(child, &format!("{path} {}", child.get_name()));
                leaves += 1;
            }
            if leaves == 0 {
                let help = command
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(
                    help.contains("Examples:") && help.contains(path.trim()),
                    "{path}"
                );
                // Prose is broken where the terminal ends.
                let is_prose =
                    |line: &str| !line.is_empty() && !line.starts_with(' ') && line != "Examples:";
                let lines: Vec<bool> = help.lines().map(is_prose).collect();
                assert!(
                    !lines.windows(2).any(|two| two == [true, true]),
                    "{path}: {help}"
                );
                assert!(command.get_about().is_some(), "{path}");
            }
        }
        let mut command = Cli::command();
        command.build();
        visit(&command, "sm");
        for text in [
            "sm list --json -q --home /x --no-autostart --timeout 5 --color never",
            "sm daemon status --json",
        ] {
            assert!(Cli::try_parse_from(text.split(' ')).is_ok(), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "sm",
            "sm nothing",
            "sm list --timeout 0",
            "sm list -q -v",
            "sm add",
            "sm list --all -c work",
            "sm search",
            "sm add . --type rubbish",
            "sm completions tcsh",
        ] {
            assert!(Cli::try_parse_from(text.split(' ')).is_err(), "{text}");
        }
    }
}
