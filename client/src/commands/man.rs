//! `sm man`: manual pages made of the definition of the command line.

use std::io;
use std::path::Path;

use clap_mangen::Man;
use skillmeat_shared::{Error, fs};

use super::{Context, Outcome};
use crate::cli::ManArgs;
use crate::output::units::count;

pub(super) fn run(context: &mut Context, args: &ManArgs) -> Outcome {
    let mut command = crate::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        let page = render(command, "sm")?;
        context.out.raw(&page)?;
        return Ok(());
    };
    std::fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
    let pages = write(&command, "sm", dir)?;
    context.out.note(&format!(
        "wrote {} to {}",
        count(pages, "page"),
        dir.display()
    ));
    Ok(())
}

/// Writes the page of a command and the pages of the commands below it. How many.
fn write(command: &clap::Command, name: &str, dir: &Path) -> Result<u64, Error> {
    let path = dir.join(format!("{name}.1"));
    let page = render(command.clone(), name).map_err(|error| Error::io("write", &path, &error))?;
    fs::write(&path, &page, 0o644)?;
    let mut pages = 1;
    for child in command
        .get_subcommands()
        .filter(|child| !child.is_hide_set())
    {
        pages += write(child, &format!("{name}-{}", child.get_name()), dir)?;
    }
    Ok(pages)
}

fn render(command: clap::Command, name: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let title = name.to_uppercase();
    Man::new(command.display_name(name.to_owned()))
        .title(title)
        .section("1")
        .source(concat!("skillmeat ", env!("CARGO_PKG_VERSION")))
        .manual("SkillMeat")
        .render(&mut page)?;
    Ok(page)
}
