//! Arguments of `group` and `tag`.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;

use super::snapshot::{DryRun, OfCollection};
use super::{ColorWhen, FilterArgs, SelectArgs};
use crate::commands::completions::{artifacts, collections, groups, tags};

/// Where a change of groups or tags is made, and whether it is.
#[derive(Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    pub(crate) dry: DryRun,
    #[command(flatten)]
    pub(crate) of: OfCollection,
}

/// How a group looks.
#[derive(Debug, Args)]
pub(crate) struct Looks {
    /// What it is for
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Its colour: #rrggbb, or a word. Colours of the output: `sm --color WHEN ...`, NO_COLOR or CLICOLOR_FORCE
    #[arg(id = "own_color", long = "color", value_name = "COLOUR")]
    pub(crate) color: Option<String>,
    /// Stands for the global flag of this id, which is copied into every command that lacks one: its name is
    /// taken here.
    #[arg(id = "color", long = "color-output", value_enum, hide = true)]
    _when: Option<ColorWhen>,
    /// Its icon: a word
    #[arg(long, value_name = "ICON")]
    pub(crate) icon: Option<String>,
    /// Its place among the groups, from 0
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) position: Option<i64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the groups of a collection in their order
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  sm group list
  sm group list -c work --json"
    )]
    List {
        #[command(flatten)]
        of: OfCollection,
    },
    /// Show a group with its members
    #[command(after_help = "Examples:
  sm group show Authentication")]
    Show {
        /// The group
        #[arg(value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        group: String,
        #[command(flatten)]
        of: OfCollection,
    },
    /// Make a group, with members if some are named
    #[command(after_help = "Examples:
  sm group create Authentication jwt-auth oauth-handler
  sm group create 'Data Layer' --description 'Databases and caches' --color '#6366F1' --icon database")]
    Create {
        /// The name
        #[arg(id = "new_group", value_name = "GROUP")]
        group: String,
        /// Its first members: NAME, TYPE:NAME, or a pattern; - reads names from stdin
        #[arg(value_name = "ARTIFACT", add = ArgValueCompleter::new(artifacts))]
        members: Vec<String>,
        #[command(flatten)]
        filters: FilterArgs,
        #[command(flatten)]
        looks: Looks,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Change a group's name, description, colour, icon or position
    #[command(after_help = "Examples:
  sm group update Authentication --name Auth --color '#10B981'
  sm group update Auth --description ''     without a description")]
    Update {
        /// The group
        #[arg(value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        group: String,
        /// Another name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        looks: Looks,
        #[command(flatten)]
        at: Where,
    },
    /// Delete groups; their members stay in the collection
    #[command(after_help = "Examples:
  sm group delete Authentication
  sm group delete Old 'tmp-*' --dry-run")]
    Delete {
        /// The groups, or patterns; - reads names from stdin
        #[arg(required = true, value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        groups: Vec<String>,
        #[command(flatten)]
        at: Where,
    },
    /// Add artifacts to a group
    #[command(after_help = "Examples:
  sm group add Authentication jwt-auth command:login
  sm group add Authentication session-manager --at 0
  sm group add Authentication 'auth-*' --type skill
  sm group add Authentication --tag security --dry-run")]
    Add {
        /// The group
        #[arg(id = "into", value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        group: String,
        #[command(flatten)]
        select: SelectArgs,
        /// The place of the first of them, from 0 [default: behind all others]
        #[arg(long, value_name = "N")]
        at: Option<u64>,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Take members out of a group; they stay in the collection
    #[command(after_help = "Examples:
  sm group remove Authentication jwt-auth
  sm group remove Authentication skill:gone     a member that no artifact has the name of
  sm group remove Authentication --tag old      those of its members")]
    Remove {
        /// The group
        #[arg(id = "out_of", value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        group: String,
        #[command(flatten)]
        select: SelectArgs,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Move members from one group to another
    #[command(after_help = "Examples:
  sm group move jwt-auth --from Authentication --to Security
  sm group move '*' --type command --from Authentication --to Commands")]
    Move {
        #[command(flatten)]
        select: SelectArgs,
        /// The group that they leave
        #[arg(long, value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        from: String,
        /// The group that they come into
        #[arg(long, value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        to: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Copy a group, to another name or to another collection
    #[command(after_help = "Examples:
  sm group copy Authentication --as Security
  sm group copy Authentication --to work

Members that the other collection lacks are copied too, and shown as unknown until it has them.")]
    Copy {
        /// The group
        #[arg(value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        group: String,
        /// The collection that gets the copy [default: the same one]
        #[arg(long, value_name = "COLLECTION", required_unless_present = "new_name", add = ArgValueCompleter::new(collections))]
        to: Option<String>,
        /// The name of the copy [default: the same one]
        #[arg(long = "as", value_name = "NAME")]
        new_name: Option<String>,
        #[command(flatten)]
        at: Where,
    },
    /// Change the order of the groups, or of the members of one
    #[command(after_help = "Examples:
  sm group reorder Security Authentication          these first, the others behind them
  sm group reorder --members Authentication oauth-handler jwt-auth")]
    Reorder {
        /// The groups, or the members, that come first
        #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(groups))]
        names: Vec<String>,
        /// Change the order of this group's members
        #[arg(long, value_name = "GROUP", add = ArgValueCompleter::new(groups))]
        members: Option<String>,
        #[command(flatten)]
        at: Where,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TagCommand {
    /// List tags: those in use and those that are defined
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  sm tag list
  sm tag list -c work --json"
    )]
    List {
        #[command(flatten)]
        of: OfCollection,
    },
    /// Show a tag: its definition, and the artifacts that carry it
    #[command(after_help = "Examples:
  sm tag show backend")]
    Show {
        /// The tag
        #[arg(value_name = "TAG", add = ArgValueCompleter::new(tags))]
        tag: String,
        #[command(flatten)]
        of: OfCollection,
    },
    /// Define a new tag
    #[command(after_help = "Examples:
  sm tag create backend --color '#3B82F6' --description 'Server-side artifacts'")]
    Create(TagDefinitionArgs),
    /// Define a tag, or change its definition
    #[command(after_help = "Examples:
  sm tag define backend --color '#3B82F6'")]
    Define(TagDefinitionArgs),
    /// Rename a tag in its definition and on every artifact that carries it
    #[command(after_help = "Examples:
  sm tag rename backend server
  sm tag rename backend server --dry-run")]
    Rename {
        /// The tag
        #[arg(value_name = "TAG", add = ArgValueCompleter::new(tags))]
        tag: String,
        /// Its new name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        at: Where,
    },
    /// Delete tags: their definitions, and from every artifact that carries them
    #[command(after_help = "Examples:
  sm tag delete old
  sm tag delete old 'tmp-*' --dry-run")]
    Delete {
        /// The tags, or patterns; - reads names from stdin
        #[arg(required = true, value_name = "TAG", add = ArgValueCompleter::new(tags))]
        tags: Vec<String>,
        #[command(flatten)]
        at: Where,
    },
    /// Tag artifacts: in their files and in the manifest
    #[command(after_help = "Examples:
  sm tag add backend jwt-auth oauth-handler
  sm tag add backend,security jwt-auth
  sm tag add backend --group Authentication
  sm list --json | jq -r '.artifacts[].id' | sm tag add mine -")]
    Add(TaggingArgs),
    /// Take tags off artifacts
    #[command(after_help = "Examples:
  sm tag remove backend jwt-auth
  sm tag remove backend 'ui-*' --type skill")]
    Remove(TaggingArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TagDefinitionArgs {
    /// The tag
    #[arg(value_name = "TAG", add = ArgValueCompleter::new(tags))]
    pub(crate) tag: String,
    /// Its colour: #rrggbb, or a word. Colours of the output: `sm --color WHEN ...`, NO_COLOR or CLICOLOR_FORCE
    #[arg(id = "own_color", long = "color", value_name = "COLOUR")]
    pub(crate) color: Option<String>,
    /// Stands for the global flag of this id, which is copied into every command that lacks one: its name is
    /// taken here.
    #[arg(id = "color", long = "color-output", value_enum, hide = true)]
    _when: Option<ColorWhen>,
    /// What it means
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    #[command(flatten)]
    pub(crate) at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct TaggingArgs {
    /// One tag, or several with commas between them
    #[arg(id = "which", value_name = "TAG", add = ArgValueCompleter::new(tags))]
    pub(crate) tags: String,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}
