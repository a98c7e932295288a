//! `sm man`: manual pages made of the definition of the command line.

use std::io;
use std::path::Path;

use clap_mangen::Man;
use serde::Serialize;
use skillmeat_shared::{Error, fs};

use super::{Context, Outcome};
use crate::cli::ManArgs;
use crate::output::units::count;

/// The JSON of `sm man`.
#[derive(Serialize)]
struct Page<'a> {
    page: &'a str,
}

/// The JSON of `sm man --dir`.
#[derive(Serialize)]
struct Written {
    dir: String,
    files: Vec<String>,
}

pub(super) fn run(context: &mut Context, args: &ManArgs) -> Outcome {
    let mut command = crate::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        let page = render(command, "sm")?;
        if context.out.json {
            let page = &String::from_utf8_lossy(&page);
            context.out.document(&Page { page })?;
        } else {
            context.out.raw(&page)?;
        }
        return Ok(());
    };
    std::fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
    let mut files = Vec::new();
    write(&command, "sm", dir, &mut files)?;
    if context.out.json {
        let dir = dir.display().to_string();
        context.out.document(&Written { dir, files })?;
    } else {
        context.out.note(&format!(
            "wrote {} to {}",
            count(files.len() as u64, "page"),
            dir.display()
        ));
    }
    Ok(())
}

/// Writes the page of a command and the pages of the commands below it, and notes their names.
fn write(
    command: &clap::Command,
    name: &str,
    dir: &Path,
    files: &mut Vec<String>,
) -> Result<(), Error> {
    let file = format!("{name}.1");
    let path = dir.join(&file);
    let page = render(command.clone(), name).map_err(|error| Error::io("write", &path, &error))?;
    fs::write(&path, &page, 0o644)?;
    files.push(file);
    for child in command
        .get_subcommands()
        .filter(|child| !child.is_hide_set())
    {
        write(child, &format!("{name}-{}", child.get_name()), dir, files)?;
    }
    Ok(())
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
