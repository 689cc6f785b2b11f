//! Files and listings over data connections. Memory: one piece of 64 KiB, and one line of a listing.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::line::{Stream, is_end};
use super::session::Session;
use super::wire::{Line, What, facts, listed, time};
use crate::base::fault::{Class, Done, Fault};
use crate::base::time::Timestamp;
use crate::dest::folders::{
    self, LEFTOVER_AGE, LEFTOVERS_MAX, Verb, Wait, body_short, exists, fill, short,
};
use crate::dest::{Body, GetFacts, Listed, RemoteFile, Sink, Span};

/// Start of the names that uploads have until they are whole; no volume is called so. Servers hide or forbid names that begin
/// with a dot.
const TEMPORARY: &str = "duplet-tmp-";
const PIECE: usize = 64 << 10;
/// What is read for nothing behind a span, so that the conversation goes on without a quarrel, and the end of the file shows
/// whether it began where it was to.
const DRAINED: u64 = 64 << 10;
/// Longest line and longest whole of a listing, in bytes.
const LINE_MAX: usize = 8 << 10;
const LISTING_MAX: u64 = 256 << 20;
/// Links of a listing that are looked at; further ones have no size.
const LINKS_MAX: usize = 1000;

/// What a listing came to, line by line.
struct Listing<'a> {
    each: &'a mut dyn FnMut(Listed) -> Done<()>,
    facts: bool,
    /// Temporary files, too.
    all: bool,
    lines: u64,
    understood: u64,
    /// To be looked at when the listing is over.
    links: Vec<String>,
    /// Old temporary files; where listings have no times, all of them.
    leftovers: Vec<String>,
}

impl Listing<'_> {
    fn take(&mut self, line: &[u8]) -> Done<()> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() || !self.facts && line.starts_with("total ") {
            return Ok(());
        }
        self.lines += 1;
        let found = if self.facts {
            facts(line)
        } else {
            listed(line)
        };
        let Some(found) = found else {
            return Ok(());
        };
        self.understood += 1;
        let Line {
            name,
            what,
            size,
            modified,
        } = found;
        if what == What::Other || name == "." || name == ".." {
            return Ok(());
        }
        if name.starts_with(TEMPORARY) && !self.all {
            let old = modified.is_none_or(is_old);
            let plain = what == What::File && !name.contains(['/', '\r', '\0']);
            if old && plain && self.leftovers.len() < LEFTOVERS_MAX {
                self.leftovers.push(name);
            }
            return Ok(());
        }
        if what == What::Link && self.links.len() < LINKS_MAX {
            self.links.push(name);
            return Ok(());
        }
        let size = size.filter(|_| what == What::File);
        self.pass(name, size, modified, what == What::Folder)
    }

    fn pass(
        &mut self,
        name: String,
        size: Option<u64>,
        modified: Option<i64>,
        is_folder: bool,
    ) -> Done<()> {
        (self.each)(Listed::Entry(RemoteFile {
            name,
            size,
            modified,
            is_folder,
            is_archived: false,
        }))
    }
}

fn is_old(modified: i64) -> bool {
    modified < Timestamp::now().0 - LEFTOVER_AGE
}

impl Session {
    /// Every entry of the folder, to `each`, with temporary files if `all`; else those that killed runs may have left are the
    /// result.
    pub(super) fn list(
        &mut self,
        all: bool,
        each: &mut dyn FnMut(Listed) -> Done<()>,
    ) -> Done<Vec<String>> {
        self.enter()?;
        let wait = Wait::short(self.setup.times.list);
        let mut listing = Listing {
            each,
            facts: self.offers.facts,
            all,
            lines: 0,
            understood: 0,
            links: Vec::new(),
            leftovers: Vec::new(),
        };
        let ways: &[&str] = match listing.facts {
            true => &["MLSD", "LIST -a", "LIST"],
            false => &["LIST -a", "LIST"],
        };
        let mut refused = None;
        for &way in ways {
            listing.facts = way == "MLSD";
            match self.begin_transfer(way, 0)? {
                Err(reply) if reply.code == 421 || self.is_broken() => {
                    return Err(self.refuse(Verb::List, &reply));
                }
                Err(reply) => refused = Some(reply),
                Ok(stream) => {
                    refused = None;
                    self.read_list(stream, &mut listing, wait)?;
                    // With -a there is always a line; a server that took it for a name has none.
                    if listing.lines > 0 || way != "LIST -a" {
                        break;
                    }
                }
            }
        }
        if let Some(reply) = refused {
            return Err(match reply.code {
                550 | 450 => folders::no_folder(&self.shown()),
                _ => self.refuse(Verb::List, &reply),
            });
        }
        if listing.lines > 0 && listing.understood == 0 {
            let text = "listing incomplete: it is written in a way that is not known";
            return Err(Fault::new(Class::Protocol, text)
                .hint("duplet reads MLSD and the LIST of Unix and Windows servers: can the server be set to one?"));
        }
        for name in std::mem::take(&mut listing.links) {
            if name.contains(['/', '\r', '\0']) {
                continue;
            }
            // One that leads nowhere, or to a folder, has no size.
            if let Some(size) = self.size(&name)?.0 {
                listing.pass(name, Some(size), None, false)?;
            }
        }
        Ok(listing.leftovers)
    }

    fn read_list(&mut self, mut stream: Stream, to: &mut Listing<'_>, wait: Wait) -> Done<()> {
        let list = self.setup.times.list;
        stream.sock().bound(wait);
        let mut buffer = vec![0; 16 << 10];
        let (mut line, mut all, mut done) = (Vec::new(), 0, Ok(()));
        let ended = loop {
            let n = match stream.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(n) => n,
                Err(e) => break Err(e),
            };
            all += n as u64;
            for part in buffer[..n].split_inclusive(|&b| b == b'\n') {
                line.extend_from_slice(part);
                if part.ends_with(b"\n") {
                    done = to.take(&line);
                    line.clear();
                }
                if line.len() > LINE_MAX {
                    let text = "listing incomplete: it has a line without end";
                    done = Err(Fault::new(Class::Protocol, text));
                }
                if done.is_err() {
                    self.give_up();
                    return done;
                }
            }
            if all > LISTING_MAX || wait.is_over() {
                self.give_up();
                let text = format!(
                    "listing incomplete: it is longer than {} MiB",
                    LISTING_MAX >> 20
                );
                let fault = Fault::new(Class::Endless, text);
                return Err(folders::incomplete(Some(wait), list, fault));
            }
        };
        if let Err(e) = ended {
            let over = wait.is_over();
            if over {
                self.give_up();
                let fault = Fault::new(Class::Transient, "late");
                return Err(folders::incomplete(Some(wait), list, fault));
            }
            drop(stream);
            let fault = self.blame(Verb::List, &e);
            return Err(folders::incomplete(None, list, incomplete(fault)));
        }
        stream.end_download();
        let reply = self
            .end_transfer(Verb::List, Wait::short(self.setup.times.short))
            .map_err(|fault| folders::incomplete(None, list, incomplete(fault)))?;
        if reply.says(&["truncated"]) {
            let text = format!(
                "listing incomplete: the server cuts it{}",
                folders::words(reply.message())
            );
            return Err(Fault::new(Class::Protocol, text)
                .hint("raise LimitRecursion of Pure-FTPd (its option -L)"));
        }
        match line.is_empty() {
            true => Ok(()),
            false => to.take(&line),
        }
    }

    /// The size of a file, where it has one; else the code of the refusal.
    pub(super) fn size(&mut self, name: &str) -> Done<(Option<u64>, u16)> {
        let path = self.path(name)?;
        let reply = self.call(&format!("SIZE {path}"))?;
        let size = reply.message().trim().parse().ok();
        Ok((size.filter(|_| reply.code == 213), reply.code))
    }

    /// As [`Session::size`] also where the server does not tell single ones; `None` for a file that is there and has none.
    pub(super) fn stat(&mut self, name: &str) -> Done<Option<u64>> {
        match self.size(name)? {
            (Some(size), _) => Ok(Some(size)),
            (None, 500..=504 | 202) => {
                let mut found = None;
                self.list(true, &mut |item| {
                    if let Listed::Entry(file) = item
                        && file.name == name
                        && !file.is_folder
                    {
                        found = Some(file.size);
                    }
                    Ok(())
                })?;
                found.ok_or_else(|| folders::no_file(&self.shown()))
            }
            _ => Err(self.absent()),
        }
    }

    /// The fault of a file that is not there: its folder may be missing.
    fn absent(&mut self) -> Fault {
        match self.enter() {
            Err(fault) => fault,
            Ok(()) => folders::no_file(&self.shown()),
        }
    }

    fn is_there(&mut self, name: &str) -> Done<bool> {
        match self.stat(name) {
            Ok(_) => Ok(true),
            Err(fault) if matches!(fault.class, Class::NotFound | Class::FolderMissing) => {
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    pub(super) fn delete(&mut self, name: &str) -> Done<()> {
        let path = self.path(name)?;
        let reply = self.call(&format!("DELE {path}"))?;
        if reply.is_good() {
            return Ok(());
        }
        match reply.code {
            450 | 550 if !self.is_there(name)? => Ok(()),
            _ => Err(self.refuse(Verb::Delete, &reply)),
        }
    }

    /// Removes what uploads that were killed left behind.
    pub(super) fn sweep(&mut self, names: &[String]) -> Done<()> {
        for name in names {
            let path = self.path(name)?;
            let reply = self.call(&format!("MDTM {path}"))?;
            let modified = time(reply.message().trim()).filter(|_| reply.code == 213);
            if modified.is_some_and(is_old) {
                let _ = self.call(&format!("DELE {path}"))?;
            }
        }
        Ok(())
    }

    /// The bytes of a span, in order.
    pub(super) fn download(
        &mut self,
        name: &str,
        span: Span,
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let size = match self.size(name)? {
            (Some(size), _) => Some(size),
            (None, 500..=504) => None,
            (None, _) => match self.is_there(name)? {
                true => None,
                false => return Err(self.absent()),
            },
        };
        let facts = GetFacts {
            total: size,
            sha1: None,
        };
        let mut from = span.from;
        match size {
            Some(size) if size < from && span.is_open() => return Err(short(size, from)),
            Some(size) if size <= from && from > 0 => return Ok(facts),
            _ => {}
        }
        if from > 0 && !self.can_begin_at(name, size)? {
            into.restart().map_err(Fault::local)?;
            from = 0;
        }
        let path = self.path(name)?;
        let stream = match self.begin_transfer(&format!("RETR {path}"), from)? {
            Ok(stream) => stream,
            Err(reply) => {
                return Err(match reply.code {
                    450 | 550 if !self.is_there(name)? => self.absent(),
                    _ => self.refuse(Verb::Get, &reply),
                });
            }
        };
        self.receive(stream, (from, span.end(), size), into)?;
        Ok(facts)
    }

    /// Whether the server begins where it is told to. One that says so and begins at the start would have bytes put in the wrong
    /// place: so it is asked for the last byte of the file, and must send no more.
    fn can_begin_at(&mut self, name: &str, size: Option<u64>) -> Done<bool> {
        if let Some(known) = self.offers.rest {
            return Ok(known);
        }
        let Some(size) = size.filter(|&size| size > 1) else {
            return Ok(false);
        };
        let path = self.path(name)?;
        let able = match self.begin_transfer(&format!("RETR {path}"), size - 1)? {
            Err(_) => false,
            Ok(stream) => {
                let mut last = Count(0);
                let received = self.receive(stream, (size - 1, size, Some(size)), &mut last);
                match received {
                    Ok(()) => last.0 == 1,
                    Err(fault) if fault.class == Class::Integrity => false,
                    Err(fault) => return Err(fault),
                }
            }
        };
        self.offers.rest = Some(able);
        Ok(able)
    }

    /// Reads from `at` to `end`, at most; the file is `size` bytes long.
    fn receive(
        &mut self,
        mut stream: Stream,
        (mut at, end, size): (u64, u64, Option<u64>),
        into: &mut dyn Sink,
    ) -> Done<()> {
        stream.sock().bound(Wait::moving(self.setup.times.transfer));
        let mut buffer = vec![0; PIECE];
        let last = end.saturating_add(DRAINED);
        let ended = loop {
            let n = match stream.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(n) => n as u64,
                Err(e) => break Err(e),
            };
            let wanted = end.saturating_sub(at).min(n);
            let wanted = &buffer[..usize::try_from(wanted).unwrap_or(0)];
            if !wanted.is_empty()
                && let Err(e) = into.write_all(wanted)
            {
                self.give_up();
                return Err(Fault::local(e));
            }
            at += n;
            if at >= end && (at > last || size.is_none_or(|size| size > last)) {
                return self.hang_up(stream);
            }
            if size.is_some_and(|size| at > size) {
                self.hang_up(stream)?;
                let text = "the server sends more of it than it has: it does not begin where it was told to";
                return Err(Fault::new(Class::Integrity, text));
            }
        };
        let missing = size.filter(|&size| at < size);
        match ended {
            // Some servers end TLS without saying so: what is whole is whole.
            Err(e) if is_end(&e) && size == Some(at) => drop(stream),
            Err(e) => {
                drop(stream);
                return Err(self.blame(Verb::Get, &e));
            }
            Ok(()) => stream.end_download(),
        }
        self.end_transfer(Verb::Get, Wait::short(self.setup.times.short))?;
        match missing {
            Some(size) => Err(short(at, size)),
            None => Ok(()),
        }
    }

    /// Ends a download in its middle: the server answers that it was broken off, or not at all.
    fn hang_up(&mut self, stream: Stream) -> Done<()> {
        drop(stream);
        let wait = Wait::short(self.setup.times.short.min(Duration::from_secs(5)));
        if self.reply(wait).is_err() {
            self.give_up();
        }
        Ok(())
    }

    /// Stores a body under a name, by way of a temporary one.
    pub(super) fn upload(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        if body.is_new() && self.is_there(name)? {
            return Err(exists());
        }
        let rename = self.setup.rename;
        let first = match rename {
            true => folders::temporary(TEMPORARY)?,
            false => name.to_owned(),
        };
        let stored = self.store(&first, body).and_then(|()| match rename {
            true => self.rename(&first, name, body.is_new()),
            false => Ok(()),
        });
        match stored {
            Err((begun, fault)) => {
                if begun && !self.is_broken() {
                    // The first fault counts; what stays is removed a day later.
                    let path = self.path(&first)?;
                    let _ = self.call(&format!("DELE {path}"));
                }
                Err(fault)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Sends the whole and looks. The fault, and whether there is something to remove.
    fn store(&mut self, name: &str, body: &mut dyn Body) -> Result<(), (bool, Fault)> {
        let not_begun = |fault| (false, fault);
        let begun = |fault| (true, fault);
        let path = self.path(name).map_err(not_begun)?;
        let started = self.begin_transfer(&format!("STOR {path}"), 0);
        let stream = match started.map_err(begun)? {
            Ok(stream) => stream,
            Err(reply) => {
                let fault = match (reply.code, self.enter()) {
                    (550 | 553 | 450, Err(fault)) => fault,
                    _ => self.refuse(Verb::Put, &reply),
                };
                return Err((false, fault));
            }
        };
        let len = body.len();
        self.send(stream, body).map_err(begun)?;
        if !self.setup.verify {
            return Ok(());
        }
        std::thread::sleep(self.setup.delay);
        match self.stat(name).map_err(begun)? {
            Some(size) if size != len => Err((true, folders::stored(size, len))),
            _ => Ok(()),
        }
    }

    fn send(&mut self, mut stream: Stream, body: &mut dyn Body) -> Done<()> {
        stream.sock().bound(Wait::moving(self.setup.times.transfer));
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < body.len() {
            let n = match fill(body, &mut buffer) {
                Ok(0) => Err(body_short(at, body.len())),
                Ok(n) => Ok(n),
                Err(e) => Err(Fault::local(e)),
            };
            let n = n.inspect_err(|_| self.give_up())?;
            if let Err(e) = stream.write_all(&buffer[..n]) {
                drop(stream);
                return Err(self.blame(Verb::Put, &e));
            }
            at += n as u64;
        }
        let wait = Wait::short(self.setup.times.closing);
        if let Err(e) = stream.end_upload(wait) {
            return Err(self.blame(Verb::Put, &e));
        }
        self.end_transfer(Verb::Put, wait).map(drop)
    }

    /// Gives a whole file its name.
    fn rename(&mut self, from: &str, to: &str, is_new: bool) -> Result<(), (bool, Fault)> {
        let done = self.rename_once(from, to, is_new);
        done.map_err(|fault| (true, fault))
    }

    fn rename_once(&mut self, from: &str, to: &str, is_new: bool) -> Done<()> {
        if is_new && self.is_there(to)? {
            return Err(exists());
        }
        let (from, target) = (self.path(from)?, self.path(to)?);
        let (first, second) = (format!("RNFR {from}"), format!("RNTO {target}"));
        let mut reply = self.call(&first)?;
        if reply.code == 350 {
            reply = self.call(&second)?;
            if reply.is_good() {
                return Ok(());
            }
            // Some replace nothing: for a moment there is no file of the name.
            if !is_new && self.is_there(to)? {
                let removed = self.call(&format!("DELE {target}"))?;
                if removed.is_good() && self.call(&first)?.code == 350 {
                    reply = self.call(&second)?;
                    if reply.is_good() {
                        return Ok(());
                    }
                }
            }
        }
        let fault = self.refuse(Verb::Put, &reply);
        Err(match fault.class {
            Class::Auth | Class::Unsupported | Class::Protocol => Fault {
                text: format!("the upload could not be renamed: {}", fault.text),
                hint: "if the account may not rename: --ftp-no-rename (aftp: --aftp-no-rename)"
                    .to_owned(),
                ..fault
            },
            _ => fault,
        })
    }
}

/// A listing that breaks off is incomplete.
fn incomplete(fault: Fault) -> Fault {
    Fault {
        text: format!("listing incomplete: {}", fault.text),
        ..fault
    }
}

/// Counts.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0 += data.len();
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Count {
    fn restart(&mut self) -> std::io::Result<()> {
        self.0 = 0;
        Ok(())
    }
}
