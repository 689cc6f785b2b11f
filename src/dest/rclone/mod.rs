//! Anything that rclone reaches (`destinations-more.md` 2.3, 3): `rclone://REMOTE/folder`, and schemes of Duplicati's that become
//! a remote of rclone.
//!
//! A helper that serves on loopback carries the files, a process of its own lists them. Where no helper can be had every operation
//! is a process. What must not be seen goes into rclone's environment, never into its arguments.

mod config;
mod run;
mod secrets;
mod serving;
mod through;
mod told;

use std::io::{self, Read};
use std::time::Duration;

use self::config::{Mode, Setup};
use self::run::{LATE, Run};
use self::serving::{Serving, cannot_serve};
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::size::show_span;
use crate::dest::{
    About, Body, Destination, FLIES, Flight, GetFacts, Listed, Quota, RemoteFile, Said, Scheme,
    Sink, Span,
};
use crate::net::json::{LIST_MAX_BYTES, SMALL_MAX_BYTES};
use crate::net::service::rows::{Row, objects, page};
use crate::net::service::{Content, Verb};
use crate::net::url::DestUrl;

pub(crate) static SCHEME: Scheme = Scheme {
    names: &[
        "rclone",
        "smb",
        "cifs",
        "mega",
        #[cfg(not(feature = "dest-storj"))]
        "storj",
        #[cfg(not(feature = "dest-filen"))]
        "filen",
        #[cfg(not(feature = "dest-drimecloud"))]
        #[cfg(not(feature = "dest-drimecloud"))]
        "drimecloud",
    ],
    help: "what rclone reaches, with an rclone on this machine: rclone://REMOTE/folder, smb://user@host/SHARE/folder",
    options: config::OPTIONS,
    open: |url, options| Ok(Box::new(Folder::new(url, options)?)),
};

#[cfg(feature = "dest-storj")]
pub(crate) use self::config::{MODE, PROGRAM, WORDS};
pub(crate) use self::through::TRANSLATED;

/// A scheme that is carried by rclone because it has no way of its own, or by request.
pub(crate) fn carry(url: &DestUrl, options: &Options) -> Result<Box<dyn Destination>> {
    Ok(Box::new(Folder::new(url, options)?))
}

/// Bytes handed to a process at once.
const PIECE: usize = 64 << 10;

/// A folder that rclone reaches.
struct Folder {
    setup: Setup,
    mode: Mode,
    helper: Option<Serving>,
    /// Processes and requests so far; those of helpers that are gone.
    asked: u64,
    details: Vec<String>,
    memory_told: bool,
}

impl Folder {
    fn new(url: &DestUrl, options: &Options) -> Result<Folder> {
        let setup = Setup::new(url, options)?;
        let mut details = Vec::new();
        if setup.scheme != "rclone" {
            details.push(format!("{}:// goes through rclone", setup.scheme));
        }
        Ok(Folder {
            mode: setup.mode,
            setup,
            helper: None,
            asked: 0,
            details,
            memory_told: false,
        })
    }

    /// A process of rclone for the folder or one file in it. Without `whole` it may take any time as long as bytes move.
    fn run(&mut self, words: &[&str], name: Option<&str>, whole: Option<Duration>) -> Done<Run> {
        self.asked += 1;
        let target = match name {
            Some(name) => self.setup.file(name),
            None => self.setup.target.clone(),
        };
        let pause = whole.unwrap_or(self.setup.transfer);
        Run::start(&self.setup, words, &target, &[], (pause, whole))
    }

    /// A process that has nothing to tell but how it ended.
    fn run_to_end(&mut self, verb: Verb, words: &[&str], name: Option<&str>) -> Done<()> {
        let run = self.run(words, name, Some(self.setup.short))?;
        run.finish(verb, &self.setup)
    }

    /// Does something with the helper, which is started where there is none; `None` where none can be had.
    fn serve<T>(&mut self, act: impl FnOnce(&mut Serving) -> Done<T>) -> Done<Option<T>> {
        if self.mode == Mode::Command {
            return Ok(None);
        }
        let launched = self.helper.as_mut().map(|h| &mut h.launched);
        let launched = FLIES && launched.is_some_and(std::mem::take);
        if !launched && self.helper.as_mut().is_none_or(|h| !h.run.lives()) {
            self.drop_helper();
            match Serving::start(&self.setup) {
                Ok(helper) => self.helper = Some(helper),
                Err(fault) if self.mode == Mode::Auto && cannot_serve(&fault) => {
                    self.by_commands(&fault);
                    return Ok(None);
                }
                Err(fault) => return Err(fault),
            }
        }
        let Some(helper) = &mut self.helper else {
            return Ok(None);
        };
        helper.run.listen();
        if !launched {
            helper.run.errors.clear();
        }
        let done = act(helper);
        let done = helper.judge(done);
        if done.as_ref().is_err_and(|f| f.class == Class::Transient) {
            // What kept it from an answer may be in the helper: the next attempt gets another one.
            self.drop_helper();
        }
        done.map(Some)
    }

    fn by_commands(&mut self, fault: &Fault) {
        self.mode = Mode::Command;
        self.details.push(format!(
            "rclone cannot serve here, so that each operation starts one: {}",
            fault.text
        ));
    }

    fn drop_helper(&mut self) {
        if let Some(helper) = self.helper.take() {
            self.asked += helper.service.requests();
        }
    }

    /// One file, by a process; the helper says of all failures that there is no such file.
    fn look(&mut self, name: &str) -> Done<RemoteFile> {
        let words = ["lsjson", "--stat", "--no-mimetype", "--no-modtime"];
        let mut run = self.run(&words, Some(name), Some(self.setup.short))?;
        let read = objects(&mut run, &transient, SMALL_MAX_BYTES, "", &mut |_| Ok(()));
        run.finish(Verb::Look, &self.setup)?;
        let file = entry(&read?);
        match file.is_folder || file.name.is_empty() {
            true => Err(Fault::new(Class::NotFound, "not found")),
            false => Ok(RemoteFile {
                name: name.to_owned(),
                ..file
            }),
        }
    }

    /// A file that the helper does not find: it is not there, or the fault is a passing one.
    fn absent(&mut self, name: &str, fault: Fault) -> Fault {
        if fault.class != Class::NotFound {
            return fault;
        }
        match self.look(name) {
            Ok(_) => Fault::new(
                Class::Transient,
                "rclone says that the file is not there, and then that it is",
            ),
            Err(fault) => fault,
        }
    }

    fn put_by_command(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let len = body.len().to_string();
        let mut run = self.run(&["rcat", "--size", &len], Some(name), None)?;
        let mut buffer = vec![0; PIECE];
        loop {
            let n = body.read(&mut buffer).map_err(Fault::local)?;
            if n == 0 {
                break;
            }
            // Why it takes no more, its end tells.
            if let Err(fault) = run.write(&buffer[..n]) {
                run.finish(Verb::Put, &self.setup)?;
                return Err(fault);
            }
        }
        run.finish(Verb::Put, &self.setup)
    }

    fn get_by_command(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<()> {
        let from = span.from.to_string();
        let count = span.len.map(|len| len.to_string());
        let mut words = vec!["cat", "--offset", &from];
        words.extend(count.iter().flat_map(|count| ["--count", count]));
        let mut run = self.run(&words, Some(name), None)?;
        let mut buffer = vec![0; PIECE];
        loop {
            let n = run.read(&mut buffer).map_err(|e| transient(&e))?;
            if n == 0 {
                return run.finish(Verb::Get, &self.setup);
            }
            into.write_all(&buffer[..n]).map_err(Fault::local)?;
        }
    }
}

fn transient(e: &io::Error) -> Fault {
    Fault::new(Class::Transient, e.to_string())
}

fn entry(row: &Row) -> RemoteFile {
    RemoteFile {
        name: row.text("Name"),
        // -1: not known.
        size: row.number("Size"),
        modified: None,
        is_folder: row.flag("IsDir"),
        is_archived: false,
    }
}

impl Destination for Folder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let words = [
            "lsjson",
            "--files-only",
            "--no-mimetype",
            "--no-modtime",
            "--max-depth",
            "1",
        ];
        let list = self.setup.list;
        let mut run = self.run(&words, None, Some(list))?;
        let mut theirs = None;
        let read = page(&mut run, &transient, LIST_MAX_BYTES, "*/", &mut |row| {
            each(Listed::Entry(entry(row))).map_err(|fault| {
                let class = fault.class;
                theirs = Some(fault);
                Fault::new(class, "")
            })
        });
        if let Some(fault) = theirs {
            return Err(fault);
        }
        // It begins an array also when it fails: how it ended says more.
        run.finish(Verb::List, &self.setup)
            .and(read.map(drop))
            .map_err(|fault| match fault.text.contains(LATE) {
                true => {
                    let span = show_span(list.as_secs());
                    let what = "listing incomplete: it did not come to its end within";
                    Fault::new(Class::Endless, format!("{what} {span}"))
                        .hint("if the server is only slow: a longer --list-timeout")
                }
                false => fault,
            })
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let found = self.serve(|helper| helper.call(Verb::Look, "HEAD", name, Content::None));
        match found {
            Ok(Some(reply)) => Ok(RemoteFile {
                name: name.to_owned(),
                size: reply.content_length(),
                modified: None,
                is_folder: false,
                is_archived: false,
            }),
            Ok(None) => self.look(name),
            Err(fault) => Err(self.absent(name, fault)),
        }
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let got = self.serve(|helper| {
            let url = helper.url(name);
            helper
                .service
                .download(("GET", &url), &[], (name, span), into)
        });
        match got {
            Ok(Some(facts)) => Ok(facts),
            Ok(None) => {
                self.get_by_command(name, span, into)?;
                Ok(GetFacts::default())
            }
            Err(fault) => Err(self.absent(name, fault)),
        }
    }

    /// A process of its own for a file would be waited for.
    fn can_be_asked_ahead(&self) -> bool {
        self.helper.is_some()
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        if std::mem::take(&mut self.setup.keep_missing) {
            let words = ["lsjson", "--stat", "--no-modtime"];
            self.run_to_end(Verb::MakeFolder, &words, None)?;
        }
        match self.serve(|helper| helper.put(name, body))? {
            Some(_) => Ok(()),
            None => self.put_by_command(name, body),
        }
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        if !FLIES || self.setup.keep_missing {
            return None;
        }
        let launched = self.serve(|helper| Ok(helper.launch(name, body)));
        launched.ok().flatten().flatten()
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let done =
            match self.serve(|helper| helper.call(Verb::Delete, "DELETE", name, Content::None)) {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => self.run_to_end(Verb::Put, &["deletefile"], Some(name)),
                Err(fault) => Err(fault),
            };
        // A file that is not there is deleted; 1.60 has no code of its own for that.
        match done {
            Ok(()) => Ok(()),
            Err(fault) => match self.look(name) {
                Err(looked) if looked.class == Class::NotFound => Ok(()),
                _ if fault.class == Class::NotFound => Err(Fault::new(
                    Class::Transient,
                    "rclone did not find the file to delete, but it is there",
                )),
                _ => Err(fault),
            },
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        self.run_to_end(Verb::MakeFolder, &["mkdir"], None)
    }

    fn about(&self) -> About {
        About {
            atomic_put: false,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        let helper = self.helper.as_ref();
        if !self.memory_told
            && let Some(memory) = helper.and_then(|helper| helper.run.memory())
        {
            self.memory_told = true;
            self.details.push(format!(
                "rclone serves {} with a helper that takes {memory} MiB of memory",
                self.setup.shown
            ));
        }
        Said {
            details: std::mem::take(&mut self.details),
            requests: Some(self.asked + helper.map_or(0, |helper| helper.service.requests())),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.setup.shown.clone()
    }

    fn account(&self) -> String {
        self.setup.account.clone()
    }

    fn quota(&mut self) -> Done<Quota> {
        let mut run = self.run(&["about", "--json"], None, Some(self.setup.short))?;
        let read = objects(&mut run, &transient, SMALL_MAX_BYTES, "", &mut |_| Ok(()));
        run.finish(Verb::Login, &self.setup)?;
        let row = read?;
        Ok(Quota {
            total: row.number("total"),
            free: row.number("free"),
        })
    }
}
