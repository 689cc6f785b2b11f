//! Uploads: in one request, or in pieces, of which those that arrived are not sent again after a break.

use crate::base::fault::{Class, Done, Fault};
use crate::dest::objects::Api;
use crate::dest::objects::base::Base;
#[cfg(feature = "form")]
use crate::dest::objects::form;
use crate::dest::objects::shape::{File, Part, Sent, Upload};
use crate::dest::{Body, Flight};
use crate::net::http::Reply;
use crate::net::service::{Content, Verb};

/// So often one call begins an upload that the service forgets.
const BEGINS_MAX: u8 = 2;
/// So often one call is told that the service has other bytes than we thought.
const MOVES_MAX: u8 = 3;

/// What a service has of an upload.
enum State {
    /// All of it: what it says of the file.
    Done(Box<Reply>),
    /// So many bytes.
    Has(u64),
    /// So many bytes, which are others than we thought.
    At(u64),
    /// It does not know the upload.
    Gone,
}

/// Sends a file; the reply of its end. A fault of the line leaves the rest of one in pieces for the next call with that file.
pub(super) fn send(
    api: &mut dyn Api,
    base: &mut Base,
    file: &File<'_>,
    body: &mut dyn Body,
) -> Done<Reply> {
    let upload = match base.upload.take() {
        Some(upload) if upload.is_of(file) => upload,
        other => {
            if let Some(id) = other.and_then(|other| other.id) {
                api.cancel(base, &id);
            }
            let upload = Upload::new(file);
            if file.len < base.pieces_from {
                let request = whole(api, base, file);
                let sent = match &request.3[..] {
                    #[cfg(feature = "form")]
                    head if !head.is_empty() => {
                        let tail = &form::tail(head);
                        base.send(Verb::Put, &request, Content::Form { head, body, tail })
                    }
                    _ => base.send(Verb::Put, &request, Content::whole(body)),
                };
                let broke = |fault: &Fault| fault.class == Class::Transient;
                let long = file.len > base.shape.pieces_once_broken;
                if sent.as_ref().is_err_and(broke) && long {
                    base.upload = Some(upload);
                }
                return sent;
            }
            upload
        }
    };
    in_pieces(api, base, upload, file, body)
}

/// The request that uploads a file as a whole.
fn whole(api: &mut dyn Api, base: &Base, file: &File<'_>) -> Sent {
    let mut request = api.whole(base, file);
    let kind = ("content-type", "application/octet-stream".to_owned());
    if request.2.iter().all(|(name, _)| *name != kind.0) {
        request.2.push(kind);
    }
    request
}

/// Sends a file on its way that [`send`] would send as a whole; `None` where it would not.
pub(super) fn launch(
    api: &mut dyn Api,
    base: &mut Base,
    file: &File<'_>,
    body: &mut dyn Body,
) -> Option<Box<dyn Flight>> {
    if base.upload.is_some() || file.len >= base.pieces_from {
        return None;
    }
    let request = whole(api, base, file);
    base.launch(&request, body)
}

/// Sends what has not arrived.
fn in_pieces(
    api: &mut dyn Api,
    base: &mut Base,
    mut upload: Upload,
    file: &File<'_>,
    body: &mut dyn Body,
) -> Done<Reply> {
    if base.shape.begins_again {
        upload.id = None;
    }
    let mut asks = upload.id.is_some() && base.pieces.is_none();
    let (mut begun, mut moved) = (0, 0);
    loop {
        if upload.id.is_none() {
            upload.id = Some(api.begin(base, file)?);
            upload.at = api.had().min(file.len);
            begun += 1;
        }
        let id = upload.id.as_deref().unwrap_or_default();
        let asked = std::mem::take(&mut asks);
        let from = if asked { file.len } else { upload.at };
        let text = match piece(api, base, (id, from), file, body) {
            Ok(State::Done(reply)) => return Ok(*reply),
            Ok(State::Has(n)) if asked || (n > upload.at && n <= file.len) => {
                upload.at = n.min(file.len);
                continue;
            }
            Ok(State::At(n)) if moved < MOVES_MAX => {
                upload.at = n.min(file.len);
                moved += 1;
                continue;
            }
            Ok(State::Has(_) | State::At(_)) => {
                base.upload = Some(upload);
                "the server takes no more of the file"
            }
            Ok(State::Gone) if begun < BEGINS_MAX => {
                upload.id = None;
                continue;
            }
            Ok(State::Gone) => "the server forgets the upload each time",
            Err(fault) => {
                if matches!(fault.class, Class::Transient | Class::Throttled(_)) {
                    base.upload = Some(upload);
                }
                return Err(fault);
            }
        };
        return Err(Fault::new(Class::Transient, text));
    }
}

/// Sends the piece of an upload that begins at a position, or when that is the end of the file the end of the upload.
fn piece(
    api: &mut dyn Api,
    base: &mut Base,
    (id, from): (&str, u64),
    file: &File<'_>,
    body: &mut dyn Body,
) -> Done<State> {
    let left = file.len - from;
    let mut part = Part {
        from,
        len: left,
        number: 0,
        digest: Vec::new(),
    };
    if let Some((least, most)) = base.pieces {
        let size = least.max(file.len.div_ceil(most));
        (part.len, part.number) = (size.min(left), file.len.min(from).div_ceil(size));
        part.digest = api.digest(body, from, part.len)?;
    }
    let len = part.len;
    if len == 0 && base.pieces.is_some() {
        match api.before_end(base, id, file) {
            Err(fault) if fault.class == Class::NotFound => return Ok(State::Gone),
            done => done?,
        }
    }
    #[cfg(feature = "dest-filen")]
    let sealed = api.sealed(body, &part)?;
    let request = api.piece(base, id, file, &part);
    let content = match len {
        #[cfg(feature = "dest-filen")]
        _ if sealed.is_some() => Content::Once(sealed.as_deref().unwrap_or_default()),
        0 if request.0 == "GET" => Content::None,
        0 => Content::Bytes(&request.3),
        _ => Content::Part { body, from, len },
    };
    let sent = match base.ask(Verb::Resume, &request, content)? {
        Ok(reply) => Ok(reply),
        Err(refusal) => match api.offset(&refusal) {
            Some(n) => return Ok(State::At(n)),
            None => Err(base.service.fault(&refusal, Verb::Resume)),
        },
    };
    match sent {
        Ok(mut reply) if reply.status == 308 => {
            reply.finish()?;
            Ok(State::Has(received(&reply)))
        }
        // It is still put together.
        Ok(mut reply) if reply.status == 202 && len == 0 && base.pieces.is_some() => {
            reply.finish()?;
            let what = "the server is still working on the file";
            Err(Fault::new(Class::Throttled(reply.retry_after()), what))
        }
        Ok(reply) if len == 0 || base.pieces.is_none() => Ok(State::Done(Box::new(reply))),
        Ok(mut reply) => match api.taken(base, &mut reply) {
            Err(fault) if fault.class == Class::NotFound => Ok(State::Gone),
            done => done.map(|()| State::Has(from + len)),
        },
        Err(fault) if fault.class == Class::NotFound => Ok(State::Gone),
        Err(fault) => Err(fault),
    }
}

/// Bytes that the server has by its `Range: bytes=0-LAST`; none when it says nothing.
fn received(reply: &Reply) -> u64 {
    let last = reply.header("range").and_then(|r| r.rsplit_once('-'));
    let last = last.and_then(|(_, last)| last.trim().parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(1))
}
