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

pub(super) async fn run(context: &mut Context, args: EditArgs) -> Outcome {
    let session = context.session().await?;
    let request = v1::OpenFileRequest {
        collection: args.collection.unwrap_or_default(),
        artifact: Some(reference(&args.artifact)),
        file: args.file.unwrap_or_default(),
    };
    let opened: v1::OpenFileResponse = session.call(request).await?;
    let (content, copy) = if let Some(from) = &args.from {
        (given(from)?, None)
    } else {
        let editor = editor()?;
        let copy = copy_of(&opened)?;
        let edited = edit(&editor, &copy).and_then(|()| read_bounded(&copy, MAX_BYTES));
        (
            edited.map_err(|error| kept(error, &copy, &opened.content))?,
            Some(copy),
        )
    };
    let before = opened.content.clone();
    let request = v1::SaveFileRequest {
        collection: opened.collection,
        artifact: Some(reference(&opened.id)),
        file: opened.file,
        before,
        content,
        dry_run: args.dry_run,
    };
    // The editor may have been open for hours: the daemon of then may be another one now.
    let session = context.session().await?;
    let saved = async {
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
    };
    match (saved.await, copy) {
        (Ok(()), Some(copy)) if !args.dry_run => {
            discard(&copy);
            Ok(())
        }
        (Err(Failure::Error(error)), Some(copy)) => Err(kept(error, &copy, &opened.content).into()),
        (outcome, _) => outcome,
    }
}

/// The error, and where the text is that was not saved; nothing is kept of one that was not touched, or deleted.
fn kept(error: Error, copy: &Path, original: &[u8]) -> Error {
    if !copy.exists() || read_bounded(copy, MAX_BYTES).is_ok_and(|text| text == original) {
        discard(copy);
        return error;
    }
    error.hint(format!(
        "your text is kept in `{}`; mend it there, then run the same with `--from` and that path",
        copy.display()
    ))
}

/// A text that was made elsewhere.
fn given(from: &Path) -> Result<Vec<u8>, Error> {
    if from != Path::new("-") {
        return read_bounded(from, MAX_BYTES);
    }
    let mut content = Vec::new();
    let mut input = std::io::stdin().lock().take(MAX_BYTES + 1);
    input
        .read_to_end(&mut content)
        .map_err(|error| Error::io("read", Path::new("stdin"), &error))?;
    Ok(content)
}

/// A copy in a folder of its own that nobody else can look into. It has the name of the file, so that the editor
/// knows what it is.
fn copy_of(opened: &v1::OpenFileResponse) -> Result<PathBuf, Error> {
    let unique = format!("sm-edit-{}-{}", std::process::id(), now().0);
    let folder = env::temp_dir().join(unique);
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| Error::io("create", &folder, &error))?;
    let name = Path::new(&opened.file).file_name();
    let copy = folder.join(name.unwrap_or_else(|| "text.md".as_ref()));
    create_new(&copy, &opened.content, MODE)?;
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
