//! Asking what is there: `PROPFIND` in the form the server understands, the listing, one file, the folder itself.

use std::fs::File;
use std::io::{self, Read, Write};

use crate::base::error::Error;
use crate::base::fault::{Class, Done, Fault};
use crate::base::text;
use crate::dest::webdav::client::{Answer, Call};
use crate::dest::webdav::error::{Refusal, web_page};
use crate::dest::webdav::href::{Named, named};
use crate::dest::webdav::multistatus::{self, Item};
use crate::dest::webdav::{Folder, TEMPORARY};
use crate::dest::{Listed, Quota, RemoteFile};
use crate::net::http::{Pace, parse_date};
use crate::net::redirect::split;
use crate::net::service::{Content, Verb};
use crate::net::url::decode_percent;

const PROPERTIES: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:getcontentlength/><D:getlastmodified/></D:prop></D:propfind>";
const ALL: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:allprop/></D:propfind>";
const QUOTA: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/></D:prop></D:propfind>";
/// Leftovers of uploads that are remembered for removal.
const LEFTOVERS_MAX: usize = 64;
/// A temporary file this old belongs to nobody, in seconds.
const LEFTOVER_AGE: i64 = 86_400;

/// Names of properties by which servers are known that show an upload only when it is whole: Apache's mod_dav, Nextcloud and
/// ownCloud, lighttpd. A `Server` header proves nothing: a proxy in front of another server puts its own there.
const WHOLE_OR_NOTHING: [&[u8]; 3] = [
    b"http://apache.org/dav/props/",
    b"http://owncloud.org/ns",
    b"urn:uuid:c2f41010-65b3-11d1-a29f-00aa00c14882",
];
/// As much of a reply is searched for them.
const HEAD_BYTES: usize = 1024;

/// How to ask.
pub(super) struct Asking {
    /// Bodies that may still work; the first is used.
    bodies: Vec<&'static [u8]>,
    /// The first one has worked.
    settled: bool,
    /// Files are looked up with `HEAD`.
    head_only: bool,
    /// The server shows an upload only when it is whole.
    pub(super) is_whole_or_nothing: bool,
    debug_file: Option<String>,
    debug: Option<File>,
}

impl Asking {
    pub(super) fn new(extended: bool, debug_file: Option<String>) -> Asking {
        Asking {
            bodies: match extended {
                true => vec![ALL, b"", PROPERTIES],
                false => vec![PROPERTIES, b"", ALL],
            },
            settled: false,
            head_only: false,
            is_whole_or_nothing: false,
            debug_file,
            debug: None,
        }
    }

    /// The copy of replies asked for by option; made at the first one.
    fn debug(&mut self) -> Done<Option<&mut File>> {
        if let Some(path) = self.debug_file.take() {
            let file = File::create(&path).map_err(|e| {
                let why = crate::base::error::io_text(&e);
                let shown = text::safe(path.as_bytes());
                Fault::new(Class::Local, format!("cannot write {shown}: {why}"))
            })?;
            self.debug = Some(file);
        }
        Ok(self.debug.as_mut())
    }
}

/// Copies what is read, and keeps its head.
struct Tee<'a, R> {
    inner: &'a mut R,
    head: Vec<u8>,
    copy: Option<&'a mut File>,
}

impl<R> Tee<'_, R> {
    fn is_whole_or_nothing(&self) -> bool {
        let has = |name: &[u8]| self.head.windows(name.len()).any(|part| part == name);
        WHOLE_OR_NOTHING.iter().any(|name| has(name))
    }
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        let wanted = HEAD_BYTES.saturating_sub(self.head.len()).min(n);
        self.head.extend_from_slice(&buf[..wanted]);
        if let Some(copy) = &mut self.copy {
            let copied = copy.write_all(&buf[..n]);
            copied.map_err(|e| Error::io(&e).doing("copy a reply for --debug-propfind-file"))?;
        }
        Ok(n)
    }
}

impl Folder {
    /// Asks about `url` and passes on every `response`, with the decoded path that was asked in the end. `Err` inside is the
    /// refusal of the server.
    fn propfind(
        &mut self,
        url: &str,
        depth: &str,
        body: Option<&'static [u8]>,
        each: &mut dyn FnMut(Item, &[String]) -> Done<()>,
    ) -> Done<Result<(), Refusal>> {
        loop {
            let headers = [
                ("depth", depth),
                ("content-type", "application/xml; charset=utf-8"),
            ];
            let call = Call {
                headers: &headers,
                content: Content::Bytes(
                    body.or(self.asking.bodies.first().copied()).unwrap_or(ALL),
                ),
                pace: if depth == "0" {
                    Pace::Short
                } else {
                    Pace::List
                },
                ..Call::new("PROPFIND", url.to_owned())
            };
            let Answer { mut reply, url } = self.client.call(call)?;
            match reply.status {
                200 | 207 => {
                    if let Some(fault) = web_page(&mut reply) {
                        return Err(fault);
                    }
                    let base = levels(&url);
                    let io = reply.io_fault();
                    let mut tee = Tee {
                        inner: &mut reply,
                        head: Vec::new(),
                        copy: self.asking.debug()?,
                    };
                    multistatus::read(&mut tee, &io, &mut |item| each(item, &base))?;
                    let known = tee.is_whole_or_nothing();
                    self.asking.is_whole_or_nothing |= known;
                    reply.finish()?;
                    self.asking.settled |= body.is_none();
                    return Ok(Ok(()));
                }
                400 | 415 | 422 | 500 | 501
                    if body.is_none() && !self.asking.settled && self.asking.bodies.len() > 1 =>
                {
                    let refusal = Refusal::of(&mut reply);
                    let fault = refusal.fault(Verb::List, "");
                    if fault.class == Class::Tls {
                        return Err(fault);
                    }
                    self.asking.bodies.remove(0);
                }
                _ => return Ok(Err(Refusal::of(&mut reply))),
            }
        }
    }

    /// Every entry of the folder.
    pub(super) fn list_all(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let url = self.client.base.clone();
        let (mut own, mut children, mut foreign) = (None, 0u64, String::new());
        let mut leftovers = Vec::new();
        let now = crate::base::time::Timestamp::now().0;
        let asked = self.propfind(&url, "1", None, &mut |item, base| {
            match named(&item.href, base) {
                // So says RFC 5323 that there are more than it lists.
                Named::Folder if item.refused == Some(507) => {
                    return Err(Fault::new(
                        Class::Protocol,
                        "the server cuts its answer (status 507)",
                    ));
                }
                Named::Folder if item.refused.is_some() => {}
                Named::Folder => own = Some(item.is_folder || item.size.is_none()),
                Named::Child(_) if item.refused.is_some() => children += 1,
                Named::Child(name) => {
                    children += 1;
                    let old = item.modified.is_some_and(|m| m < now - LEFTOVER_AGE);
                    if name.starts_with(TEMPORARY) && old && leftovers.len() < LEFTOVERS_MAX {
                        leftovers.push(name.clone());
                    }
                    return each(Listed::Entry(RemoteFile {
                        name,
                        size: item.size,
                        modified: item.modified,
                        is_folder: item.is_folder,
                        is_archived: false,
                    }));
                }
                Named::Deeper => {}
                Named::Foreign if above(&item.href, base) => {}
                Named::Foreign => foreign = item.href,
            }
            Ok(())
        });
        let asked = asked.map_err(|fault| match fault.class {
            Class::Protocol => Fault {
                text: format!("listing incomplete: {}", fault.text),
                ..fault
            },
            _ => fault,
        })?;
        if let Err(refusal) = asked {
            return Err(match refusal.status {
                400 | 403 | 404 | 405 | 409 | 410 => self.no_folder(&refusal)?,
                _ => refusal.fault(Verb::List, &self.path_shown()),
            });
        }
        self.leftovers = leftovers;
        if own == Some(false) {
            return Err(self.is_a_file());
        }
        if children == 0 && !foreign.is_empty() {
            return Err(Fault::new(
                Class::Protocol,
                format!(
                    "listing incomplete: the server lists another folder: {}",
                    text::safe_cut(foreign.as_bytes(), 80)
                ),
            ));
        }
        if own.is_none() && children == 0 && !self.folder_exists()? {
            return Err(self.missing());
        }
        Ok(())
    }

    /// The fault of a folder that the server does not find: there may be a file of that name.
    fn no_folder(&mut self, refusal: &Refusal) -> Done<Fault> {
        let bare = self.client.base.trim_end_matches('/').to_owned();
        match self.look(&bare) {
            Ok(Some(item)) if !item.is_folder && item.size.is_some() => Ok(self.is_a_file()),
            _ => Ok(refusal.fault(Verb::List, &self.path_shown())),
        }
    }

    pub(super) fn missing(&self) -> Fault {
        Fault::new(
            Class::FolderMissing,
            format!("folder '{}' does not exist", self.path_shown()),
        )
    }

    pub(super) fn is_a_file(&self) -> Fault {
        Fault::new(
            Class::Unsupported,
            format!(
                "'{}' is a file on the server, not a folder",
                self.path_shown()
            ),
        )
    }

    /// What the server says about one address; `None` when it says that there is nothing, or nothing at all.
    pub(super) fn look(&mut self, url: &str) -> Done<Option<Item>> {
        let mut found: Option<Item> = None;
        let asked = self.propfind(url, "0", None, &mut |item, _| {
            if item.refused.is_none() && found.is_none() {
                found = Some(item);
            }
            Ok(())
        })?;
        match asked {
            Ok(()) => Ok(found),
            Err(refusal) if matches!(refusal.status, 404 | 409 | 410) => Ok(None),
            Err(refusal) => Err(refusal.fault(Verb::List, &self.path_shown())),
        }
    }

    /// True when the destination folder is there; a fault when a file is in its place.
    pub(super) fn folder_exists(&mut self) -> Done<bool> {
        let base = self.client.base.clone();
        match self.look(&base)? {
            Some(item) if item.is_folder || item.size.is_none() => Ok(true),
            Some(_) => Err(self.is_a_file()),
            None => Ok(false),
        }
    }

    /// One file: `PROPFIND`, or `HEAD` where that says nothing.
    pub(super) fn stat_file(&mut self, name: &str) -> Done<RemoteFile> {
        let url = self.url(name);
        if self.asking.head_only {
            return self.head(name, url);
        }
        let mut found: Option<Item> = None;
        let asked = self.propfind(&url, "0", None, &mut |item, _| {
            if found.is_none() {
                found = Some(item);
            }
            Ok(())
        })?;
        let absent = || Fault::new(Class::NotFound, "not found");
        match asked {
            Err(refusal) if matches!(refusal.status, 405 | 501) => {
                self.asking.head_only = true;
                self.head(name, url)
            }
            Err(refusal) => Err(refusal.fault(Verb::Look, &self.path_shown())),
            Ok(()) => match found {
                None => Err(absent()),
                Some(item) if item.refused.is_some_and(|s| matches!(s, 404 | 410)) => Err(absent()),
                Some(item) if item.is_folder || item.size.is_some() => Ok(RemoteFile {
                    name: name.to_owned(),
                    size: item.size,
                    modified: item.modified,
                    is_folder: item.is_folder,
                    is_archived: false,
                }),
                Some(_) => self.head(name, url),
            },
        }
    }

    fn head(&mut self, name: &str, url: String) -> Done<RemoteFile> {
        let mut reply = self.client.call(Call::new("HEAD", url))?.reply;
        if !(200..300).contains(&reply.status) {
            let refusal = Refusal::of(&mut reply);
            return Err(refusal.fault(Verb::Look, &self.path_shown()));
        }
        Ok(RemoteFile {
            name: name.to_owned(),
            size: reply.content_length(),
            modified: reply.header("last-modified").and_then(parse_date),
            is_folder: false,
            is_archived: false,
        })
    }

    /// Free and total space by the quota properties (RFC 4331).
    pub(super) fn space(&mut self) -> Done<Quota> {
        let base = self.client.base.clone();
        let mut quota = Quota::default();
        let asked = self.propfind(&base, "0", Some(QUOTA), &mut |item, _| {
            quota.free = quota.free.or(item.free);
            if let (Some(free), Some(used)) = (item.free, item.used) {
                quota.total = free.checked_add(used);
            }
            Ok(())
        })?;
        match asked {
            Ok(()) => Ok(quota),
            Err(refusal) => Err(refusal.fault(Verb::List, &self.path_shown())),
        }
    }
}

/// True for the address of a folder above the one that was listed.
fn above(href: &str, base: &[String]) -> bool {
    matches!(named(href, &[]), Named::Folder)
        || (1..base.len()).any(|n| named(href, &base[..n]) == Named::Folder)
}

/// The decoded names of the path of a URL.
fn levels(url: &str) -> Vec<String> {
    let levels = split(url).1.split('/').filter(|level| !level.is_empty());
    levels.map(decode_percent).collect()
}
