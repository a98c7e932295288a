//! Arguments of `init`, `collection`, `cache`, `config`, `completions` and `man`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCompleter;

use super::snapshot::DryRun;
use crate::commands::completions::{artifacts, collections, config_keys};

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The name of the first collection
    #[arg(long, short, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// List collections
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  sm collection list
  sm collection list --json"
    )]
    List,
    /// Show a collection: counts, groups, tags, problems
    #[command(after_help = "Examples:
  sm collection show
  sm collection show work")]
    Show(WhichCollection),
    /// Make a collection the default one
    #[command(after_help = "Examples:
  sm collection use work")]
    Use {
        /// The collection
        #[arg(value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
        name: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Create an empty collection
    #[command(after_help = "Examples:
  sm collection create work")]
    Create {
        /// The name
        #[arg(id = "own_name", value_name = "NAME")]
        name: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Rename a collection: its folder, and the name in its manifest
    #[command(after_help = "Examples:
  sm collection rename work office
  sm collection rename work office --dry-run")]
    Rename {
        /// The collection
        #[arg(value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
        name: String,
        /// Its new name
        #[arg(value_name = "NAME")]
        new_name: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Delete a collection with all its artifacts; `sm undo` brings it back
    #[command(after_help = "Examples:
  sm collection delete old
  sm collection delete old --yes       without a question

Of a collection that was imported in place only the link is removed; its folder stays.")]
    Delete {
        /// The collection
        #[arg(value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
        name: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Look for what is wrong in a collection: its manifest, missing files, unknown members of groups
    #[command(after_help = "Examples:
  sm collection validate
  sm collection validate work --json

Exits with 9 if there is an error among the findings.")]
    Validate(WhichCollection),
    /// Write a collection to a .tar.gz
    #[command(after_help = "Examples:
  sm collection export work work.tar.gz
  sm collection export work work.tar.gz --force     replace the file")]
    Export {
        /// The collection
        #[arg(value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
        name: String,
        /// The archive
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Import a collection: a folder with a collection.toml, an archive, or a repository
    #[command(after_help = "Examples:
  sm collection import ~/src/team-skills    the folder stays where it is
  sm collection import ~/src/team-skills --copy
  sm collection import work.tar.gz --name work
  sm collection import https://github.com/me/skills.git

A folder is served in place, with its groups and tags, and what you change is changed there. A repository \
becomes a clone in the home, to pull in and to push from; nothing in it is run, and its submodules are not \
fetched. A password or token in the URL is used for fetching and kept nowhere.")]
    Import {
        /// A folder, an archive, or the URL of a git repository
        #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
        source: String,
        /// The name of the collection [default: as its manifest says]
        #[arg(long, short, value_name = "NAME")]
        name: Option<String>,
        /// Copy a folder into the home
        #[arg(long)]
        copy: bool,
        #[command(flatten)]
        dry: DryRun,
    },
}

/// One collection, named in either way.
#[derive(Debug, Args)]
pub(crate) struct WhichCollection {
    /// The collection [default: the default one]
    #[arg(value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    name: Option<String>,
    /// The same, as other commands take it
    #[arg(long, short, value_name = "COLLECTION", conflicts_with = "name", add = ArgValueCompleter::new(collections))]
    collection: Option<String>,
}

impl WhichCollection {
    /// Its name, if one is given.
    pub(crate) fn into_name(self) -> Option<String> {
        self.name.or(self.collection)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show size, freshness and hit rate of the cache
    #[command(after_help = "Examples:
  sm cache status
  sm cache status --json | jq .stale_artifacts")]
    Status,
    /// Compare the cache with the files now
    #[command(after_help = "Examples:
  sm cache refresh
  sm cache refresh -c work --force")]
    Refresh(RefreshArgs),
    /// Mark artifacts as stale; they are read again in the background
    #[command(after_help = "Examples:
  sm cache invalidate                  everything
  sm cache invalidate -c work          one collection
  sm cache invalidate skill:pdf xlsx   two artifacts of the default collection")]
    Invalidate(InvalidateArgs),
    /// Drop the cache and build it anew from the files
    #[command(after_help = "Examples:
  sm cache clear")]
    Clear,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this collection [default: every collection]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    /// The collection [default: every collection]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
    /// Read every file, whatever its size and times say
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InvalidateArgs {
    /// NAME or TYPE:NAME [default: the whole collection]
    #[arg(value_name = "ARTIFACT", add = ArgValueCompleter::new(artifacts))]
    pub(crate) artifacts: Vec<String>,
    /// The collection [default: every collection; with artifacts the default one]
    #[arg(long, short, value_name = "COLLECTION", add = ArgValueCompleter::new(collections))]
    pub(crate) collection: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a value
    #[command(after_help = "Examples:
  sm config get cache.metadata_ttl
  sm config get log.level --json    with where it comes from")]
    Get {
        /// The key
        #[arg(add = ArgValueCompleter::new(config_keys))]
        key: String,
    },
    /// Set a value in the config file
    #[command(after_help = "Examples:
  sm config set cache.metadata_ttl 1h
  sm config set settings.default-collection work
  sm config set github-token - < token    read from standard input, so that it shows in no list of processes")]
    Set {
        /// The key
        #[arg(add = ArgValueCompleter::new(config_keys))]
        key: String,
        /// The value; `-` reads it from standard input
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Remove a value from the config file
    #[command(after_help = "Examples:
  sm config unset cache.metadata_ttl")]
    Unset {
        /// The key
        #[arg(add = ArgValueCompleter::new(config_keys))]
        key: String,
    },
    /// List all values and where each comes from
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  sm config list
  sm config list --changed"
    )]
    List {
        /// Only values that are not the default
        #[arg(long)]
        changed: bool,
    },
    /// Print the path of the config file
    #[command(after_help = "Examples:
  sm config path")]
    Path,
    /// Edit the config file; it is checked before it is kept
    #[command(after_help = "Examples:
  sm config edit
  EDITOR=nano sm config edit")]
    Edit,
}

/// A shell that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
    /// PowerShell
    Powershell,
    /// Elvish
    Elvish,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for every command to this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}
