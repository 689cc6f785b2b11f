//! Listings. Memory: 16 KiB, a line, and of what has to be looked at when the listing is over at most 1000 names of links and 100
//! of temporary files, each at most 255 bytes long.

use std::io::Read as _;

use super::line::Stream;
use super::session::Session;
use super::wire::{Line, What, facts, listed};
use crate::base::fault::{Class, Done, Fault};
use crate::base::time::Timestamp;
use crate::dest::folders::{self, LEFTOVER_AGE, LEFTOVERS_MAX, Verb, Wait};
use crate::dest::{Listed, RemoteFile};

/// Start of the names that uploads have until they are whole; no volume is called so. Servers hide or forbid names that begin
/// with a dot.
pub(super) const TEMPORARY: &str = "duplet-tmp-";
/// Longest line and longest whole of a listing, in bytes.
const LINE_MAX: usize = 8 << 10;
const LISTING_MAX: u64 = 256 << 20;
/// Links of a listing that are looked at; further ones have no size.
const LINKS_MAX: usize = 1000;
/// Longest name that is kept for later, in bytes: file systems have none longer.
const NAME_MAX: usize = 255;

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
            let short = name.len() <= NAME_MAX;
            if old && plain && short && self.leftovers.len() < LEFTOVERS_MAX {
                self.leftovers.push(name);
            }
            return Ok(());
        }
        if what == What::Link && self.links.len() < LINKS_MAX && name.len() <= NAME_MAX {
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

pub(super) fn is_old(modified: i64) -> bool {
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
            match self.size(&name)? {
                Ok(size) => listing.pass(name, Some(size), None, false)?,
                Err(reply) if reply.code < 500 => return Err(self.refuse(Verb::List, &reply)),
                Err(_) => {}
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
                folders::words(&reply.said())
            );
            return Err(Fault::new(Class::Protocol, text)
                .hint("raise LimitRecursion of Pure-FTPd (its option -L)"));
        }
        // Servers end every line: one without its end was cut, as may be what followed it.
        match line.is_empty() {
            true => Ok(()),
            false => Err(Fault::new(
                Class::Transient,
                "listing incomplete: it ends in the middle of a line",
            )),
        }
    }
}

/// A listing that breaks off is incomplete.
fn incomplete(fault: Fault) -> Fault {
    Fault {
        text: format!("listing incomplete: {}", fault.text),
        ..fault
    }
}
