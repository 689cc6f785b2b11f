//! Putting a file there: under a temporary name, or straight where a server is known to show no part of an upload; and the
//! folders above it.

use crate::base::fault::{Class, Done, Fault};
use crate::base::rand;
use crate::dest::webdav::client::Call;
use crate::dest::webdav::config::Temporary;
use crate::dest::webdav::error::Refusal;
use crate::dest::webdav::{Folder, TEMPORARY};
use crate::dest::{Body, Flight};
use crate::net::http::Pace;
use crate::net::redirect::split;
use crate::net::service::Content;
use crate::net::service::Verb;

const LEVELS_MAX: usize = 32;
/// Of an upload; the second for one that must be new.
const HEADERS: [(&str, &str); 2] = [
    ("content-type", "application/octet-stream"),
    ("if-none-match", "*"),
];

/// A file on its way.
pub(super) struct Launched {
    name: String,
    /// The name it has first, unless it goes straight to its own.
    temporary: Option<String>,
}

fn taken() -> Fault {
    Fault::new(Class::Exists, "the name is taken")
}

/// What `MKCOL` came to.
enum Made {
    /// It exists now.
    There,
    /// Its parent does not exist, or the server does not say better.
    NoParent(Refusal),
    /// Not allowed here; perhaps it exists.
    Denied(Refusal),
}

impl Folder {
    /// True when uploads go under a temporary name first: most servers show the part of an upload that broke off under its
    /// final name.
    pub(super) fn is_careful(&self) -> bool {
        match self.temporary {
            Temporary::Always => true,
            Temporary::Never => false,
            Temporary::Auto => !self.straight && !self.asking.is_whole_or_nothing,
        }
    }

    pub(super) fn upload(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        for old in std::mem::take(&mut self.leftovers) {
            self.remove_quietly(&old);
        }
        if self.client.wants_question() {
            self.folder_exists()?;
        }
        let is_new = body.is_new();
        let launched = self.launched.take().filter(|l| l.name == name);
        let temporary = match launched {
            Some(launched) => launched.temporary,
            None => self.temporary_name()?,
        };
        let Some(temporary) = temporary else {
            return self.send(name, body, is_new);
        };
        if let Err(fault) = self.send(&temporary, body, false) {
            if self.refuses_name(&fault, &temporary) {
                self.go_straight("the server takes no names that begin with a dot");
                return self.send(name, body, is_new);
            }
            self.remove_quietly(&temporary);
            return Err(fault);
        }
        self.named_temporary = true;
        if let Err(fault) = self.rename(&temporary, name, is_new) {
            self.remove_quietly(&temporary);
            if self.cannot_move && self.temporary == Temporary::Auto {
                self.go_straight("the server cannot rename files");
                return self.send(name, body, is_new);
            }
            return Err(fault);
        }
        Ok(())
    }

    /// Sends a file on its way under the name that it has first: see `Destination::launch`.
    pub(super) fn send_off(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        if self.client.wants_question() {
            return None;
        }
        let temporary = self.temporary_name().ok()?;
        let first = temporary.as_deref().unwrap_or(name);
        let call = Call {
            headers: &HEADERS[..1],
            content: Content::whole(body),
            pace: Pace::Upload,
            ..Call::new("PUT", self.url(first))
        };
        let flight = self.client.launch(call)?;
        self.launched = Some(Launched {
            name: name.to_owned(),
            temporary,
        });
        Some(flight)
    }

    /// A new name for what is not there as a whole, where uploads have one.
    fn temporary_name(&self) -> Done<Option<String>> {
        if !self.is_careful() {
            return Ok(None);
        }
        let random = rand::hex::<8>().map_err(|e| Fault::new(Class::Local, e.to_string()))?;
        Ok(Some(format!("{TEMPORARY}{random}")))
    }

    /// True when it is the temporary name that the server will not have, not the content: an empty file is refused as well.
    fn refuses_name(&mut self, fault: &Fault, temporary: &str) -> bool {
        let refused = matches!(
            fault.class,
            Class::Auth | Class::NotFound | Class::Protocol | Class::Unsupported | Class::Usage
        );
        if !refused || self.named_temporary || self.temporary != Temporary::Auto {
            return false;
        }
        let call = Call {
            content: Content::Bytes(&[]),
            ..Call::new("PUT", self.url(temporary))
        };
        match self.client.call(call) {
            Ok(answer) => !(200..300).contains(&answer.reply.status) && answer.reply.status < 500,
            Err(fault) => fault.class == Class::Auth,
        }
    }

    fn go_straight(&mut self, why: &str) {
        self.straight = true;
        self.notices.push(format!(
            "{why}; uploads go straight to their names, where an interrupted one may leave a part"
        ));
    }

    /// Best effort: what stays is removed by a later run.
    fn remove_quietly(&mut self, name: &str) {
        let url = self.url(name);
        if let Ok(mut answer) = self.client.call(Call::new("DELETE", url)) {
            let _ = answer.reply.finish();
        }
    }

    fn send(&mut self, name: &str, body: &mut dyn Body, is_new: bool) -> Done<()> {
        let call = Call {
            headers: &HEADERS[..1 + usize::from(is_new)],
            content: Content::whole(&mut *body),
            pace: Pace::Upload,
            ..Call::new("PUT", self.url(name))
        };
        let mut reply = self.client.call(call)?.reply;
        if matches!(reply.status, 200 | 201 | 202 | 204) {
            return reply.finish();
        }
        let refusal = Refusal::of(&mut reply);
        if is_new && refusal.status == 412 {
            return match self.stat_file(name) {
                Ok(_) => Err(taken()),
                // The server does not mean what the condition asks for.
                Err(fault) if fault.class == Class::NotFound => self.send(name, body, false),
                Err(fault) => Err(fault),
            };
        }
        if !matches!(refusal.status, 404 | 409 | 410 | 500) {
            return Err(refusal.fault(Verb::Put, &self.path_shown()));
        }
        if !self.folder_exists()? {
            return Err(self.missing());
        }
        Err(match refusal.status {
            404 if refusal.is_iis() => Fault::new(
                Class::TooBig,
                "IIS refuses the upload: the file is larger than its request filtering allows (404.13), or its name is blocked",
            ),
            404 | 409 | 410 => Fault::new(
                Class::Protocol,
                format!(
                    "the server refuses the upload although the folder exists (HTTP {})",
                    refusal.status
                ),
            ),
            _ => refusal.fault(Verb::Put, &self.path_shown()),
        })
    }

    /// `MOVE`, with the whole address of the target, then with its path only: behind a proxy the server may not know its own
    /// address.
    fn rename(&mut self, from: &str, to: &str, is_new: bool) -> Done<()> {
        let target = self.url(to);
        let path = split(&target).1.to_owned();
        let mut last = String::new();
        for destination in [target, path] {
            let overwrite = if is_new { "F" } else { "T" };
            let headers = [
                ("destination", destination.as_str()),
                ("overwrite", overwrite),
            ];
            let call = Call {
                headers: &headers,
                ..Call::new("MOVE", self.url(from))
            };
            let mut reply = self.client.call(call)?.reply;
            if (200..300).contains(&reply.status) && reply.status != 207 {
                return reply.finish();
            }
            let refusal = Refusal::of(&mut reply);
            if is_new && refusal.status == 412 && self.stat_file(to).is_ok() {
                return Err(taken());
            }
            let fault = refusal.fault(Verb::Move, &self.path_shown());
            if !matches!(
                refusal.status,
                400 | 403 | 404 | 405 | 409 | 412 | 501 | 502
            ) {
                return Err(fault);
            }
            last = fault.text;
        }
        self.cannot_move = true;
        Err(Fault::new(
            Class::Unsupported,
            format!("the server cannot rename files: {last}"),
        )
        .hint("--webdav-temporary-names=never"))
    }

    /// Makes the folder and what is missing above it.
    pub(super) fn make_folders(&mut self) -> Done<()> {
        let all = self.folders.len();
        let mut depth = all;
        while depth > 0 {
            match self.make(depth)? {
                Made::There => break,
                Made::Denied(_) if depth < all => break,
                Made::Denied(refusal) => {
                    if self.folder_exists()? {
                        return Ok(());
                    }
                    if depth == 1 {
                        return Err(refusal.fault(Verb::MakeFolder, &self.path_shown()));
                    }
                }
                Made::NoParent(refusal) if depth == 1 || all - depth >= LEVELS_MAX => {
                    return Err(refusal.fault(Verb::MakeFolder, &self.path_shown()));
                }
                Made::NoParent(_) => {}
            }
            depth -= 1;
        }
        for level in depth + 1..=all {
            match self.make(level)? {
                Made::There => {}
                Made::NoParent(refusal) | Made::Denied(refusal) => {
                    return Err(refusal.fault(Verb::MakeFolder, &self.path_shown()));
                }
            }
        }
        if self.folder_exists()? {
            return Ok(());
        }
        let bare = self.client.base.trim_end_matches('/').to_owned();
        match self.look(&bare)? {
            Some(item) if !item.is_folder => Err(self.is_a_file()),
            _ => Err(Fault::new(
                Class::Protocol,
                "the server says that the folder was made, but does not show it",
            )),
        }
    }

    fn make(&mut self, depth: usize) -> Done<Made> {
        let url = self.level(depth);
        let mut reply = self.client.call(Call::new("MKCOL", url.clone()))?.reply;
        match reply.status {
            200 | 201 | 204 | 405 | 301 | 302 | 307 | 308 => {
                reply.finish()?;
                return Ok(Made::There);
            }
            _ => {}
        }
        let refusal = Refusal::of(&mut reply);
        match refusal.status {
            404 | 410 => Ok(Made::NoParent(refusal)),
            409 | 423 => match self.look(&url)? {
                Some(item) if item.is_folder => Ok(Made::There),
                _ if refusal.status == 423 => Err(refusal.fault(Verb::MakeFolder, "")),
                _ => Ok(Made::NoParent(refusal)),
            },
            402 | 403 => Ok(Made::Denied(refusal)),
            _ => Err(refusal.fault(Verb::MakeFolder, &self.path_shown())),
        }
    }
}
