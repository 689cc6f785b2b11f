//! Uploads (`destinations-core.md` 5.4): upload URLs that are kept and renewed, whole files, and the
//! check of what the server says it has stored.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::dest::b2::account::{ID_MAX_BYTES, is_header};
use crate::dest::b2::client::Client;
use crate::dest::b2::config::base_url;
use crate::dest::b2::error::{DIALECT, is_definite, is_of_upload_url};
use crate::dest::b2::ops::{DELETE, Op, UPLOAD, UPLOAD_URL};
use crate::dest::{Body, Flight, look_at};
use crate::net::http::Reply;
use crate::net::service::{Content, Refusal, rows};
use crate::net::url::encode_path;

/// Upload URLs that are tried at once, before the caller waits.
pub(super) const URLS_MAX: u32 = 5;
/// An upload URL is good for a day.
const URL_AGE: Duration = Duration::from_secs(23 * 3600);
/// Names of this run that are remembered, to know a replacement.
const RECENT_MAX: usize = 64;

/// Where files or parts can be sent, one after the other.
pub(super) struct Slot {
    url: String,
    token: Secret,
    since: Instant,
}

/// What uploads remember from one to the next.
#[derive(Default)]
pub(super) struct Uploads {
    pub(super) slot: Option<Slot>,
    /// Full names stored by this run, or perhaps stored: the next upload of one makes a second version.
    pub(super) recent: VecDeque<String>,
    /// A large file whose end is not known: full name and id.
    pub(super) open: Option<(String, String)>,
}

/// A stored file as the server describes it.
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) size: Option<u64>,
    pub(super) sha1: String,
}

impl Stored {
    pub(super) fn read(reply: &mut Reply) -> Done<Stored> {
        let row = rows::row(reply, DIALECT.who)?;
        Ok(Stored {
            id: row.text("fileId"),
            name: row.text("fileName"),
            size: row.number("contentLength").or(row.number("size")),
            sha1: row.text("contentSha1"),
        })
    }
}

/// Removes one version; a missing one is success.
pub(super) fn delete_version(client: &mut Client, full: &str, id: &str) -> Done<()> {
    let body = serde_json::json!({ "fileName": full, "fileId": id });
    match client.post(&DELETE, &body.to_string()) {
        Ok(mut reply) => reply.finish(),
        Err(fault) if fault.class == Class::NotFound => Ok(()),
        Err(fault) => Err(fault),
    }
}

impl Uploads {
    pub(super) fn remember(&mut self, full: &str) {
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(full.to_owned());
    }
}

/// Asks for a place to send to.
fn slot(client: &mut Client, op: &Op, body: &str) -> Done<Slot> {
    let row = client.ask(op, body)?;
    let (url, token) = (row.text("uploadUrl"), row.text("authorizationToken"));
    let safe = url.split('?').next().and_then(base_url).is_some() && is_header(&url);
    if !safe || url.contains(' ') || token.is_empty() || !is_header(&token) {
        return Err(Fault::new(
            Class::Protocol,
            "the server gives no usable upload URL",
        ));
    }
    Ok(Slot {
        url,
        token: Secret::new(token),
        since: Instant::now(),
    })
}

/// A stretch of an upload with the headers it needs.
pub(super) struct Piece<'a> {
    /// How to get an upload URL.
    pub(super) ask: &'a Op,
    pub(super) ask_body: &'a str,
    pub(super) op: &'a Op,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) from: u64,
    pub(super) len: u64,
}

/// How sending a piece failed.
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// The server may have stored it all the same.
    pub(super) doubtful: bool,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Failed {
        Failed {
            fault,
            doubtful: false,
        }
    }
}

/// Sends a piece, at once to another URL when the one at hand is no good.
pub(super) fn send(
    client: &mut Client,
    kept: &mut Option<Slot>,
    body: &mut dyn Body,
    piece: &Piece<'_>,
) -> Result<Stored, Failed> {
    let mut urls = 0;
    loop {
        let is_good =
            |s: &Slot| s.since.elapsed() < URL_AGE || urls == 0 && client.has_landed(&s.url);
        let place = match kept.take().filter(is_good) {
            Some(slot) => slot,
            None => slot(client, piece.ask, piece.ask_body)?,
        };
        urls += 1;
        let token = place.token.reveal().to_owned();
        let mut content = Content::Part {
            body: &mut *body,
            from: piece.from,
            len: piece.len,
        };
        let (sent, all_sent) = client.send(
            "POST",
            &place.url,
            piece.op,
            &token,
            piece.headers,
            &mut content,
        );
        let mut reply = match sent {
            Ok(reply) => reply,
            Err(fault) if fault.class != Class::Transient => return Err(fault.into()),
            Err(_) if !all_sent && urls < URLS_MAX => continue,
            Err(fault) => {
                return Err(Failed {
                    fault,
                    doubtful: all_sent,
                });
            }
        };
        if (200..300).contains(&reply.status) {
            let stored = Stored::read(&mut reply).map_err(|fault| Failed {
                fault: Fault {
                    class: Class::Transient,
                    ..fault
                },
                doubtful: true,
            })?;
            *kept = Some(place);
            return Ok(stored);
        }
        let mut refusal = Refusal::of(&mut reply, DIALECT.form);
        refusal.message = refusal.message.replace(&token, "***");
        let doubtful = all_sent && !is_definite(&refusal);
        if is_of_upload_url(&refusal) && urls < URLS_MAX && !doubtful {
            continue;
        }
        return Err(Failed {
            fault: client.fault(&refusal, piece.op),
            doubtful,
        });
    }
}

/// What a place for a whole file is asked for with.
fn asking(client: &mut Client) -> Done<String> {
    Ok(serde_json::json!({ "bucketId": client.bucket()?.id }).to_string())
}

fn sha1_of_all(body: &mut dyn Body) -> Done<String> {
    let len = body.len();
    match body.sha1() {
        Some(sha1) => Ok(hex(&sha1)),
        None => sha1_of(body, 0, len),
    }
}

/// The headers of a whole file.
fn headers<'h>(name: &'h str, sha1: &'h str) -> [(&'h str, &'h str); 3] {
    [
        ("x-bz-file-name", name),
        ("content-type", "application/octet-stream"),
        ("x-bz-content-sha1", sha1),
    ]
}

/// Sends a whole file on its way to the next upload URL, which stays the next: see `Destination::launch`.
pub(super) fn launch(
    client: &mut Client,
    uploads: &mut Uploads,
    full: &str,
    body: &mut dyn Body,
) -> Option<Box<dyn Flight>> {
    let sha1 = sha1_of_all(body).ok()?;
    let kept = uploads.slot.take();
    let place = match kept.filter(|s| s.since.elapsed() < URL_AGE) {
        Some(slot) => slot,
        None => {
            let ask = asking(client).ok()?;
            slot(client, &UPLOAD_URL, &ask).ok()?
        }
    };
    let name = encode_path(full);
    let headers = headers(&name, &sha1);
    let token = place.token.reveal();
    let content = Content::whole(body);
    let flight = client.launch("POST", &place.url, &UPLOAD, token, &headers, &content);
    uploads.slot = Some(place);
    flight
}

pub(super) fn whole(
    client: &mut Client,
    uploads: &mut Uploads,
    full: &str,
    body: &mut dyn Body,
) -> Done<String> {
    let len = body.len();
    let sha1 = sha1_of_all(body)?;
    let ask = asking(client)?;
    let name = encode_path(full);
    let piece = Piece {
        ask: &UPLOAD_URL,
        ask_body: &ask,
        op: &UPLOAD,
        headers: &headers(&name, &sha1),
        from: 0,
        len,
    };
    let stored = send(client, &mut uploads.slot, body, &piece).map_err(|failed| {
        if failed.doubtful {
            uploads.remember(full);
        }
        failed.fault
    })?;
    let same_sha1 = stored.sha1.trim_start_matches("unverified:") == sha1;
    check(client, full, len, &stored, same_sha1)?;
    Ok(stored.id)
}

/// Compares what is stored with what was sent, and removes it when it differs.
pub(super) fn check(
    client: &mut Client,
    full: &str,
    len: u64,
    stored: &Stored,
    same_sha1: bool,
) -> Done<()> {
    let why = if stored.size != Some(len) {
        let size = stored.size.unwrap_or(0);
        format!("the server stored {size} bytes instead of {len}")
    } else if !same_sha1 {
        "the SHA-1 of the stored file is not the one sent".to_owned()
    } else if stored.name != full {
        "the server stored it under another name".to_owned()
    } else if stored.id.is_empty() || stored.id.len() > ID_MAX_BYTES {
        "the server gives no usable id of the stored file".to_owned()
    } else {
        return Ok(());
    };
    if !stored.id.is_empty() {
        let _ = delete_version(client, &stored.name, &stored.id);
    }
    Err(Fault::new(Class::Integrity, why))
}

/// SHA-1 of a stretch in hex, by reading it once.
pub(super) fn sha1_of(body: &mut dyn Body, from: u64, len: u64) -> Done<String> {
    let mut hasher = Algo::Sha1.hasher();
    look_at(body, from, len, &mut |part| hasher.update(part)).map_err(Fault::local)?;
    Ok(hex(hasher.finish().as_bytes()))
}
