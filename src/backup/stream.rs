//! The one file of a version that is no file of this machine: what comes from standard input, or from a command. It is read to its
//! end or the version is not made: half a dump under the name of a whole one is worse than none.

use std::io::{self, Read};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::backup::job::{Job, kind_index, tell};
use crate::backup::source::Source;
use crate::backup::split::{Idle, Trouble};
use crate::base::error::{Error, Kind, Result, io_text};
use crate::base::sys::{self, Identity, Piped, Users};
use crate::base::text;
use crate::base::time::{Timestamp, ticks_from_unix};
use crate::base::transfer::FLIES;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::format::locator::Extents;
use crate::format::meta::{Attributes, Attrs, EMPTY_BLOB, Owner};
use crate::set::{Record, Stamp};

/// Bytes taken from a command at a time.
const PIECE: usize = 256 << 10;
/// How often it is seen whether a command that closed its output has ended, or a stop has come.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After so long without input a volume that is on its way gets its turn.
const TURN: Duration = Duration::from_millis(20);
/// What is read is private to who backed it up.
const MODE: u32 = 0o600;

/// Where the bytes come from.
pub(crate) enum Producer {
    Input,
    /// A command line for `/bin/sh`, and which variables of the environment it does not get.
    Command(String, fn(&str) -> bool),
}

/// A file that is read while it is stored.
pub(crate) struct Streamed {
    /// The path that it gets in the version: absolute, no folder.
    pub(crate) path: Vec<u8>,
    pub(crate) producer: Producer,
}

impl Streamed {
    /// The source that has the path, or would lie below or above it.
    pub(crate) fn rival<'a>(&self, sources: &'a [Source]) -> Option<&'a Source> {
        let below = |path: &[u8], folder: &[u8]| {
            let folder = folder.strip_suffix(b"/").unwrap_or(folder);
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let mut sources = sources.iter();
        sources.find(|s| below(&self.path, &s.path) || below(&s.path, &self.path))
    }

    fn open(&self) -> Result<Reader> {
        match &self.producer {
            Producer::Input => Ok(Reader::Input),
            Producer::Command(line, unset) => {
                let words = ["/bin/sh", "-c", line.as_str()].map(str::to_owned);
                match Piped::start_loud(&words, unset) {
                    Ok(child) => Ok(Reader::Command {
                        child: Box::new(child),
                        ready: Vec::new(),
                        at: 0,
                    }),
                    Err(e) => Err(Error::new(Kind::Local, io_text(&e)).doing(self.doing())),
                }
            }
        }
    }

    fn doing(&self) -> &'static str {
        match self.producer {
            Producer::Input => "back up standard input",
            Producer::Command(..) => "back up what the command of --stdin-from-command writes",
        }
    }

    /// What is wrong when it does not come to its end.
    fn failed(&self, cause: String) -> Error {
        Error::new(Kind::Local, cause)
            .doing(self.doing())
            .hint("no version was added; what was stored of it is used by the next run")
    }
}

/// Standard input or the output of a command.
enum Reader {
    Input,
    Command {
        child: Box<Piped>,
        ready: Vec<u8>,
        at: usize,
    },
}

impl Reader {
    /// At the end: why the command did not do what it should.
    fn end(self) -> Result<Option<String>> {
        let Reader::Command { mut child, .. } = self else {
            return Ok(None);
        };
        let status = loop {
            if let Some(status) = child.wait(LOOK_EVERY) {
                break status;
            }
            obey()?;
        };
        Ok(match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(format!("it ended with exit status {code}")),
            (None, signal) => Some(format!("it was ended by signal {}", signal.unwrap_or(0))),
        })
    }
}

impl Read for Reader {
    /// Fails once a stop is requested, however long nothing comes; [`Idle`] from time to time until then.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if sys::stops_requested() > 0 {
                return Err(io::Error::other("stopped"));
            }
            match self {
                Reader::Input if FLIES && !has_input() => {
                    return Err(io::Error::other(Idle));
                }
                Reader::Input => match io::stdin().read(buffer) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    done => return done,
                },
                Reader::Command { child, ready, at } => {
                    let left = ready.get(*at..).unwrap_or_default();
                    if !left.is_empty() {
                        let n = left.len().min(buffer.len());
                        buffer[..n].copy_from_slice(&left[..n]);
                        *at += n;
                        return Ok(n);
                    }
                    ready.clear();
                    *at = 0;
                    let turn = if FLIES { TURN } else { LOOK_EVERY };
                    let moved = child.exchange(b"", ready, PIECE, &mut Vec::new(), turn)?;
                    if ready.is_empty() && moved.output_ended {
                        return Ok(0);
                    }
                    if FLIES && ready.is_empty() {
                        return Err(io::Error::other(Idle));
                    }
                }
            }
        }
    }
}

/// Waits a little for standard input, whose end counts, too.
fn has_input() -> bool {
    sys::wait_ready(io::stdin().as_raw_fd(), false, TURN, 0)
}

fn obey() -> Result<()> {
    match sys::stops_requested() {
        0 => Ok(()),
        _ => Err(
            Error::new(Kind::Interrupted, "stopped before its end was read")
                .hint("no version was added; what was stored of it is used by the next run"),
        ),
    }
}

impl Job<'_> {
    /// Reads the streamed file to its end and adds it, between the sources before and after it. A dry run reads nothing.
    pub(super) fn stream(&mut self, ui: &mut Ui, stream: &Streamed, dry_run: bool) -> Result<()> {
        let path = &stream.path;
        let old = self.old_record(path, ui)?;
        self.losses.there(path);
        if old.is_some() {
            self.list.skip_old()?;
        }
        let (sign, counts) = match &old {
            Some(old) if old.entry.kind == EntryKind::File => ('~', &mut self.report.modified),
            _ => ('+', &mut self.report.added),
        };
        counts[kind_index(EntryKind::File)] += 1;
        if let Some(other) = old
            .as_ref()
            .map(|o| o.entry.kind)
            .filter(|k| *k != EntryKind::File)
        {
            self.report.deleted[kind_index(other)] += 1;
        }
        self.report.examined_files += 1;
        let now = Timestamp::now();
        let mut extents = Extents::default();
        let content = match dry_run {
            true => {
                let what = text::safe(path);
                ui.note(&format!(
                    "{what} would be read to its end; a dry run does not"
                ));
                None
            }
            false => {
                let content = self.read_stream(ui, stream)?;
                extents.data = self.writer.followed();
                Some(content)
            }
        };
        let size = content.as_ref().map_or(0, |c| c.size);
        tell(sign, path, Some(size), self.dry_run, ui);
        let blob = match self.options.skip_metadata {
            true => EMPTY_BLOB.to_vec(),
            false => attributes(now).to_blob(),
        };
        let meta;
        (meta, extents.meta) = self.metadata(ui, &blob)?;
        let empty = || Content {
            hash: Some(self.writer.params().file_hash.hash(b"")),
            ..Content::default()
        };
        let entry = Entry {
            kind: EntryKind::File,
            path: path.clone(),
            time: Some(now),
            content: Some(content.unwrap_or_else(empty)),
            meta: Some(meta),
        };
        self.list.add(&Record {
            entry,
            stamp: Stamp::default(),
            extents,
        })?;
        self.last_path.clone_from(path);
        Ok(())
    }

    fn read_stream(&mut self, ui: &mut Ui, stream: &Streamed) -> Result<Content> {
        let mut reader = stream.open()?;
        self.report.opened_files += 1;
        let (files, totals) = (self.report.examined_files, self.totals);
        let before = self.report.opened_bytes;
        let mut read = 0;
        let mut tick = |ui: &mut Ui, n: u64| {
            read += n;
            let progress = Progress {
                files,
                bytes: before + read,
                ..totals
            };
            ui.progress_at("backup", progress, &stream.path);
            sys::stops_requested() == 0
        };
        let stored = self
            .splitter
            .store(&mut self.writer, ui, &mut reader, &mut tick);
        let content = match stored {
            Ok(content) => content,
            Err(Trouble::Fatal(e)) => return Err(e),
            Err(Trouble::Stopped) => {
                obey().map_err(|e| e.doing(stream.doing()))?;
                return Err(Error::bug("a stop was requested"));
            }
            Err(Trouble::Source(e)) => {
                obey().map_err(|e| e.doing(stream.doing()))?;
                return Err(stream.failed(io_text(&e)));
            }
        };
        // The end of the output is not the end of the command, and says nothing of how that goes.
        if let Some(why) = reader.end()? {
            return Err(stream.failed(why));
        }
        self.report.examined_bytes += content.size;
        self.report.opened_bytes += content.size;
        self.report.added_bytes += content.size;
        if content.size == 0 {
            let what = match stream.producer {
                Producer::Input => "standard input",
                Producer::Command(..) => "the output of the command",
            };
            let line = format!("{what} was empty: {} is, too", text::safe(&stream.path));
            ui.warn("empty-input", &line);
        }
        Ok(content)
    }
}

fn attributes(now: Timestamp) -> Attrs {
    let me = Identity::of_process();
    let mut users = Users::new();
    let ticks = ticks_from_unix(now.0, 0);
    Attrs {
        owner: Some(Owner {
            uid: me.uid(),
            gid: me.gid(),
            mode: MODE,
        }),
        owner_name: users.user_name(me.uid()).map(str::to_owned),
        group_name: users.group_name(me.gid()).map(str::to_owned),
        attributes: Some(Attributes(Attributes::NORMAL)),
        modified: Some(ticks),
        created: Some(ticks),
        ..Attrs::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_and_a_streamed_file_do_not_share_a_path() {
        let stream = |path: &str| Streamed {
            path: path.into(),
            producer: Producer::Input,
        };
        for (path, source, clash) in [
            ("/db.sql", "/home/", false),
            ("/db.sql", "/db.sq", false),
            ("/db.sql", "/db.sql.d/", false),
            ("/db.sql", "/db.sql", true),
            ("/db.sql", "/db.sql/", true),
            ("/db.sql", "/", true),
            ("/home/a/db.sql", "/home/", true),
            ("/home/a/db.sql", "/home/a/db.sql/x", true),
            ("/home/ab", "/home/a/", false),
        ] {
            let source = [Source {
                path: source.into(),
            }];
            assert_eq!(stream(path).rival(&source).is_some(), clash, "{path}");
        }
    }
}
