//! `duplet remote`: the destination alone, file by file, to find out what is wrong with a URL or to look after single files.
//! Knows nothing of volumes.

mod dry_run;
#[cfg(feature = "oauth")]
mod login;
mod rows;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::sys;
use crate::base::text::{self, count};
use crate::base::tmp::{Spool, Tmp};
use crate::base::ui::Ui;
use crate::cli::cmd_remote::rows::{fields, record};
use crate::cli::{Call, Command, Outcome, Section, options as o, parse};
use crate::dest::Listed;
use crate::remote::Remote;
use crate::spill::sorter::Sorter;
use crate::writer::by_hand::{self, Step, Trial};

pub(super) const COMMAND: Command = Command {
    name: "remote",
    aliases: &[],
    section: Section::Helpers,
    summary: "look after single files of a destination",
    usage: "<action> <url> ...",
    details: "\
list   <url>                 names, sizes and times, separated by tabs
get    <url> <name> [file]   fetches a file; - is standard output
put    <url> [name] <file>   stores a file, replacing one of that name
delete <url> <name>          removes a file; a missing one is no error
mkdir  <url>                 makes the folder or bucket
test   <url>                 lists, writes, reads back, compares and deletes
                             files of its own; the error names the step
login  <type>                a log-in for onedrivev2, dropbox and others, made
                             in a browser: --oauth-token-file=FILE keeps it
get never overwrites a file. Nothing here knows what a backup is: a volume that
is deleted by hand is lost. With --dry-run it only looks, and says what would
be stored, removed or made.",
    needs_url: true,
    words: (1, 3),
    writes: true,
    run,
};

/// Name, other name, least and most words after the URL, what it does.
type Action = (
    &'static str,
    &'static str,
    (usize, usize),
    fn(&mut Open, &[String], &mut Ui) -> Result<()>,
);

const ACTIONS: [Action; 6] = [
    ("list", "ls", (0, 0), list),
    ("get", "download", (1, 2), get),
    ("put", "upload", (1, 2), put),
    ("delete", "rm", (1, 1), delete),
    ("mkdir", "create-folder", (0, 0), mkdir),
    ("test", "check", (0, 0), test),
];

/// The names of the actions.
pub(super) fn actions() -> Vec<&'static str> {
    let login = cfg!(feature = "oauth").then_some("login");
    ACTIONS.iter().map(|a| a.0).chain(login).collect()
}

/// What every action works with.
struct Open {
    remote: Remote,
    tmp: Tmp,
    trial: Trial,
    /// Nothing is changed, neither there nor here.
    dry_run: bool,
}

const COPY_BYTES: usize = 64 * 1024;
/// Memory for the names of a listing before they go to disk.
const SORT_BYTES: usize = 2 << 20;

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let (word, words) = call
        .words
        .split_first()
        .ok_or_else(|| Error::bug("remote without an action"))?;
    let wanted = word.to_lowercase();
    #[cfg(feature = "oauth")]
    if wanted == "login" {
        return login::run(&call.url, words, &call.options, ui).map(|()| Outcome::Done);
    }
    let found = ACTIONS
        .iter()
        .find(|a| a.0 == wanted || a.1 == wanted || (wanted == "createfolder" && a.0 == "mkdir"));
    let Some((name, _, (least, most), act)) = found else {
        let shown = parse::shown(word);
        let names = actions().join(", ");
        return Err(Error::usage(format!(
            "remote has no action {shown}: one of {names} is expected before the URL"
        ))
        .hint("try 'duplet help remote'"));
    };
    if words.len() < *least || words.len() > *most {
        let what = if words.len() < *least { "few" } else { "many" };
        return Err(
            Error::usage(format!("too {what} arguments for remote {name}"))
                .hint("try 'duplet help remote'"),
        );
    }
    if let ("get" | "delete", [there, ..]) | ("put", [there, _]) = (*name, words) {
        rows::check_name(there)?;
    }
    if *name == "get" && ui.is_json() && words.get(1).is_some_and(|w| w == "-") {
        return Err(Error::usage(
            "--json and a file both want standard output; name a local file",
        ));
    }
    let options = &call.options;
    let number = |opt| options.int(opt).unwrap_or(1);
    let trial = Trial {
        files: number(&o::TEST_FILES),
        least: options.size(&o::TEST_LEAST).unwrap_or(0),
        most: options.size(&o::TEST_MOST).unwrap_or(0),
        rounds: number(&o::TEST_ROUNDS),
    };
    if trial.files > 10_000 {
        return Err(Error::usage("--number-of-files must be at most 10000"));
    }
    let mut open = Open {
        remote: Remote::open(&call.url, options, ui)?,
        tmp: Tmp::open(options.text(&o::TEMPDIR))?,
        trial,
        dry_run: options.flag(&o::DRY_RUN),
    };
    ui.json(|w| {
        w.key("Action")?;
        w.string(name.as_bytes())?;
        w.key("Destination")?;
        w.string(open.remote.describe().as_bytes())?;
        w.key("Dryrun")?;
        w.boolean(open.dry_run)
    });
    let done = act(&mut open, words, ui);
    let stats = *open.remote.stats();
    ui.json(|w| {
        w.close_to(1)?;
        for (key, n) in [
            ("BytesUploaded", stats.bytes_up),
            ("BytesDownloaded", stats.bytes_down),
            ("RemoteCalls", stats.calls),
            ("RetryAttempts", stats.retries),
        ] {
            w.key(key)?;
            w.number(n.into())?;
        }
        Ok(())
    });
    done.map(|()| Outcome::Done)
}

fn list(open: &mut Open, _: &[String], ui: &mut Ui) -> Result<()> {
    let mut sorter = Sorter::new(&open.tmp, SORT_BYTES);
    let tmp = &open.tmp;
    let mut archived = 0u64;
    let there = open.remote.list(ui, &mut |item| match item {
        Listed::Restart => {
            archived = 0;
            sorter = Sorter::new(tmp, SORT_BYTES);
            Ok(())
        }
        Listed::Entry(file) => {
            archived += u64::from(file.is_archived);
            sorter.add(&record(&file))
        }
    })?;
    if archived > 0 {
        let what = text::count(archived, "file");
        ui.note(&format!(
            "{what} in cold storage: restore them there before they can be read"
        ));
    }
    if !there {
        let doing = format!("list {}", open.remote.describe());
        return Err(open
            .remote
            .missing(doing)
            .hint("check the URL, or make it with 'duplet remote mkdir'"));
    }
    ui.json(|w| {
        w.key("Files")?;
        w.begin_array()
    });
    let mut sorted = sorter.finish()?;
    let mut last = Vec::new();
    let (mut files, mut bytes) = (0, 0u64);
    while let Some(record) = sorted.next()? {
        let (name, size, modified) = fields(record);
        if files > 0 && last == name {
            continue;
        }
        last.clear();
        last.extend_from_slice(name);
        files += 1;
        bytes = bytes.saturating_add(size.unwrap_or(0));
        ui.result(&format!(
            "{}\t{}\t{}",
            text::safe(name),
            size.map_or("-".to_owned(), |n| n.to_string()),
            modified.map_or("-".to_owned(), |t| t.local())
        ));
        ui.json(|w| {
            w.begin_object()?;
            w.key("Name")?;
            w.string(name)?;
            w.key("Size")?;
            match size {
                Some(n) => w.number(n.into())?,
                None => w.null()?,
            }
            w.key("LastModification")?;
            match modified {
                Some(t) => w.string(t.iso().as_bytes())?,
                None => w.null()?,
            }
            w.end_object()
        });
        if ui.broken() {
            return Ok(());
        }
    }
    ui.json(|w| {
        w.end_array()?;
        w.key("FileCount")?;
        w.number(files.into())?;
        w.key("SizeOfFiles")?;
        w.number(bytes.into())
    });
    Ok(())
}

fn get(open: &mut Open, words: &[String], ui: &mut Ui) -> Result<()> {
    let name = &words[0];
    let to = words.get(1).unwrap_or(name);
    if words.len() == 1 && (name.contains('/') || name == "-") {
        return Err(Error::usage("remote names hold no / and are not -"));
    }
    let shown = text::safe(to.as_bytes());
    let taken = || {
        Error::new(Kind::Local, "it exists already")
            .doing(format!("write {shown}"))
            .hint("get overwrites nothing; name another file")
    };
    if to != "-" && Path::new(to).symlink_metadata().is_ok() {
        return Err(taken());
    }
    let path = Path::new(to);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Where it is to be, if it can be without a name there until it is whole.
    let own = match to.as_str() {
        "-" => None,
        _ => sys::unnamed_file(folder, 0o600).ok(),
    };
    let in_place = own.is_some();
    let mut spool = match own {
        Some(file) => Spool::adopt(file, format!("write {shown}")),
        None => Spool::new(&open.tmp)?,
    };
    let remote = &mut open.remote;
    let found = remote.stat(ui, name)?;
    let Some(found) = found else {
        return Err(Error::new(Kind::Missing, "there is no such file")
            .doing(format!(
                "download {} from {}",
                text::safe(name.as_bytes()),
                remote.describe()
            ))
            .hint("'duplet remote list' shows what there is"));
    };
    if open.dry_run {
        let size = found.size.map_or("?".to_owned(), |n| count(n, "byte"));
        match to.as_str() {
            "-" => ui.result(&format!("would write to standard output: {size}")),
            _ => ui.result(&format!("would write {shown}: {size}")),
        }
        size_to_json(ui, name, found.size.unwrap_or(0));
        return Ok(());
    }
    remote.get(ui, name, found.size, &mut spool)?;
    let len = spool.len()?;
    if to == "-" {
        copy(&mut spool, &mut |data| ui.raw(data))?;
        return Ok(());
    }
    let named = match in_place {
        true => sys::give_name(spool.file(), path),
        false => Err(io::ErrorKind::Unsupported.into()),
    };
    match named {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(taken()),
        Err(_) => copy_to(&mut spool, path, &shown, &taken)?,
    }
    ui.result(&format!("{shown}: {}", count(len, "byte")));
    size_to_json(ui, name, len);
    Ok(())
}

/// For file systems where a file must have a name from its start.
fn copy_to(spool: &mut Spool, path: &Path, shown: &str, taken: &dyn Fn() -> Error) -> Result<()> {
    let doing = || format!("write {shown}");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(taken()),
        Err(e) => return Err(Error::io(&e).doing(doing())),
    };
    let done = copy(spool, &mut |data| file.write_all(data).doing(doing));
    if done.is_err() {
        // Half a file is worse than none; that it cannot be removed changes nothing about the error.
        let _ = std::fs::remove_file(path);
    }
    done
}

fn put(open: &mut Open, words: &[String], ui: &mut Ui) -> Result<()> {
    let from = &words[words.len() - 1];
    let shown = text::safe(from.as_bytes());
    let base = Path::new(from).file_name().and_then(|n| n.to_str());
    let name = match (words, base) {
        ([name, _], _) => name.as_str(),
        (_, Some(base)) => base,
        (_, None) => return Err(Error::usage(format!("{shown} does not end in a file name"))),
    };
    let doing = || format!("read {shown}");
    let file = File::open(from).doing(doing)?;
    if !file.metadata().doing(doing)?.is_file() {
        return Err(Error::usage("it is not a plain file").doing(doing()));
    }
    let mut body = Spool::adopt(file, doing());
    let len = body.len()?;
    if open.dry_run {
        dry_run::put(&mut open.remote, ui, name, len)?;
    } else {
        by_hand::put(&mut open.remote, ui, name, &mut body)?;
        finish(open, ui)?;
        ui.result(&format!(
            "{}: {}",
            text::safe(name.as_bytes()),
            count(len, "byte")
        ));
    }
    size_to_json(ui, name, len);
    Ok(())
}

fn delete(open: &mut Open, words: &[String], ui: &mut Ui) -> Result<()> {
    if open.dry_run {
        return dry_run::delete(&mut open.remote, ui, &words[0]);
    }
    by_hand::delete(&mut open.remote, ui, &words[0])?;
    finish(open, ui)?;
    ui.result(&format!("{} is gone", text::safe(words[0].as_bytes())));
    Ok(())
}

fn mkdir(open: &mut Open, _: &[String], ui: &mut Ui) -> Result<()> {
    if dry_run::mkdir(&mut open.remote, ui, open.dry_run)? {
        by_hand::create_folder(&mut open.remote, ui)?;
        finish(open, ui)?;
    }
    Ok(())
}

fn test(open: &mut Open, _: &[String], ui: &mut Ui) -> Result<()> {
    let mut passed: Vec<Step> = Vec::new();
    ui.json(|w| {
        w.key("PassedSteps")?;
        w.begin_array()
    });
    let mut pass = |ui: &mut Ui, step: Step, word: &str| {
        ui.result(&format!("{:<8} ok: {word}", step.word()));
        ui.json(|w| w.string(step.word().as_bytes()));
        passed.push(step);
    };
    let Open {
        remote, tmp, trial, ..
    } = open;
    let done = match open.dry_run {
        true => dry_run::test(remote, ui, trial, &mut pass),
        false => by_hand::trial(remote, tmp, ui, trial, &mut pass),
    };
    let failed = done
        .is_err()
        .then(|| Step::ALL[passed.len() % Step::ALL.len()]);
    ui.json(|w| {
        w.end_array()?;
        w.key("FailedStep")?;
        match failed {
            Some(step) => w.string(step.word().as_bytes()),
            None => w.null(),
        }
    });
    if let Some(step) = failed {
        ui.result(&format!("{:<8} failed", step.word()));
    }
    done?;
    match open.dry_run {
        true => Ok(()),
        false => finish(open, ui),
    }
}

fn finish(open: &mut Open, ui: &mut Ui) -> Result<()> {
    for line in by_hand::finish(&mut open.remote, ui)? {
        ui.result(&line);
    }
    Ok(())
}

fn size_to_json(ui: &mut Ui, name: &str, len: u64) {
    ui.json(|w| {
        w.key("Name")?;
        w.string(name.as_bytes())?;
        w.key("Size")?;
        w.number(len.into())
    });
}

fn copy(from: &mut Spool, to: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    from.rewind()?;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => to(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(crate::base::error::unwrap_io(e)),
        }
    }
}
