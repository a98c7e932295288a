//! `sm edit`: a copy of a file goes through an editor, and comes back if it can be read.

use std::env;
use std::fs::DirBuilder;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use skillmeat_proto::v1;
use skillmeat_shared::fs::{create_new, read_bounded};
use skillmeat_shared::{Code, Error};

use super::change::{self, Words};
use super::show::reference;
use super::{Context, Failure, Outcome, now};
use crate::cli::EditArgs;
use crate::output::escape::escape;

/// Largest text, bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Mode of the copy.
const MODE: u32 = 0o600;

/// The text that is to be saved, as long as it can be lost.
#[derive(Default)]
struct Text {
    /// What came from stdin, which can't be read again.
    piped: Option<Vec<u8>>,
    /// What goes through an editor.
    copy: Option<PathBuf>,
    opened: v1::OpenFileResponse,
}

pub(super) async fn run(context: &mut Context, args: EditArgs) -> Outcome {
    let mut text = Text::default();
    if args.from.as_deref() == Some(Path::new("-")) {
        text.piped = Some(piped()?);
    }
    let dry_run = args.dry_run;
    match (save(context, args, &mut text).await, text.copy.take()) {
        (Ok(()), Some(copy)) if !dry_run => {
            discard(&copy);
            Ok(())
        }
        (Err(Failure::Error(error)), copy) => Err(text.kept(error, copy).into()),
        (outcome, _) => outcome,
    }
}

async fn save(context: &mut Context, args: EditArgs, text: &mut Text) -> Outcome {
    let session = context.session().await?;
    let request = v1::OpenFileRequest {
        collection: args.of.collection.unwrap_or_default(),
        artifact: Some(reference(&args.artifact)),
        file: args.file.unwrap_or_default(),
    };
    text.opened = session.call(request).await?;
    let content = if let Some(piped) = &text.piped {
        piped.clone()
    } else if let Some(from) = &args.from {
        read_bounded(from, MAX_BYTES)?
    } else {
        let editor = editor()?;
        let copy = text
            .copy
            .insert(copy_of(&text.opened.file, &text.opened.content)?);
        edit(&editor, copy)?;
        read_bounded(copy, MAX_BYTES)?
    };
    let opened = text.opened.clone();
    let request = v1::SaveFileRequest {
        collection: opened.collection,
        artifact: Some(reference(&opened.id)),
        file: opened.file,
        before: opened.content,
        content,
        dry_run: args.dry_run,
    };
    // The editor may have been open for hours: the daemon of then may be another one now.
    let session = context.session().await?;
    let stream = session.stream(request).await?;
    let words = Words {
        verb: "save",
        single: true,
        tolerates_conflicts: false,
        terse: false,
        tally: &|summary| match change::count(summary, "saved") {
            0 => "nothing was changed".to_owned(),
            _ if summary.dry_run => "it would be saved".to_owned(),
            _ => format!("saved in `{}`", escape(&summary.collection)),
        },
        hints: &|_, _| Vec::new(),
    };
    change::follow(context, &session, stream, &words).await
}

impl Text {
    /// The error, and where the text is that was not saved; nothing is kept of one that was not touched, or deleted.
    fn kept(&self, error: Error, copy: Option<PathBuf>) -> Error {
        let piped = self.piped.as_ref();
        let piped = piped.filter(|text| !text.is_empty() && text.len() as u64 <= MAX_BYTES);
        let copy = copy.or_else(|| copy_of(&self.opened.file, piped?).ok());
        let Some(copy) = copy else { return error };
        let is_same = |text| text == self.opened.content;
        if !copy.exists() || read_bounded(&copy, MAX_BYTES).is_ok_and(is_same) {
            discard(&copy);
            return error;
        }
        error.hint(format!(
            "your text is kept in `{}`; mend it there, then run the same with `--from` and that path",
            copy.display()
        ))
    }
}

fn piped() -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    let mut input = std::io::stdin().lock().take(MAX_BYTES + 1);
    input
        .read_to_end(&mut content)
        .map_err(|error| Error::io("read", Path::new("stdin"), &error))?;
    Ok(content)
}

/// A copy in a folder of its own that nobody else can look into. It has the name of the file, so that the editor
/// knows what it is.
fn copy_of(file: &str, content: &[u8]) -> Result<PathBuf, Error> {
    let unique = format!("sm-edit-{}-{}", std::process::id(), now().0);
    let folder = env::temp_dir().join(unique);
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| Error::io("create", &folder, &error))?;
    let name = Path::new(file).file_name();
    let copy = folder.join(name.unwrap_or_else(|| "text.md".as_ref()));
    create_new(&copy, content, MODE)?;
    Ok(copy)
}

fn discard(copy: &Path) {
    drop(std::fs::remove_file(copy));
    if let Some(folder) = copy.parent() {
        // It stays if the editor left something of its own in it.
        drop(std::fs::remove_dir(folder));
    }
}

/// The person's editor.
fn editor() -> Result<String, Error> {
    let chosen = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|editor| !editor.trim().is_empty());
    match chosen {
        Some(editor) => Ok(editor),
        None if std::io::stdin().is_terminal() => Ok("vi".to_owned()),
        None => Err(Error::new(Code::InvalidArgument, "no editor is named")
            .hint("set `EDITOR`, or give the text with `--from`")),
    }
}

/// Runs the editor, as git does: it is a command of the shell.
fn edit(editor: &str, copy: &Path) -> Result<(), Error> {
    let failed = |why: &str| {
        Error::new(
            Code::InvalidArgument,
            format!("the editor `{editor}` {why}"),
        )
        .hint("set `EDITOR` to another one; nothing was changed")
    };
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("{editor} \"$1\""), "sm"])
        .arg(copy)
        .status()
        .map_err(|error| failed(&format!("can't be started: {error}")))?;
    if !status.success() {
        Err(failed("ended with an error"))
    } else if copy.exists() {
        Ok(())
    } else {
        Err(failed("deleted the file"))
    }
}
