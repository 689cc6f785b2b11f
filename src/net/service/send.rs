//! The body of a request, and sending it: one place that goes back to its start before each attempt.

#[cfg(feature = "form")]
use std::io::Read;

use crate::base::fault::Fault;
use crate::base::transfer::{Body, Flight, Slice};
use crate::net::http::{Http, Payload, Reply, Request};
use crate::net::redirect::{Chain, foreign, same_origin};

/// The body of a request.
pub(crate) enum Content<'a> {
    None,
    Bytes(&'a [u8]),
    /// A transfer from memory; as with one of a file, no second one is begun quietly where the line breaks.
    #[cfg(feature = "dest-filen")]
    Once(&'a [u8]),
    /// `len` bytes of an upload from `from`.
    Part {
        body: &'a mut dyn Body,
        from: u64,
        len: u64,
    },
    /// An upload within a form: what stands before and behind it.
    #[cfg(feature = "form")]
    Form {
        head: &'a [u8],
        body: &'a mut dyn Body,
        tail: &'a [u8],
    },
}

impl<'a> Content<'a> {
    /// Bytes that are sent.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Content::None => 0,
            Content::Bytes(bytes) => bytes.len() as u64,
            #[cfg(feature = "dest-filen")]
            Content::Once(bytes) => bytes.len() as u64,
            Content::Part { len, .. } => *len,
            #[cfg(feature = "form")]
            Content::Form { head, body, tail } => {
                head.len() as u64 + body.len() + tail.len() as u64
            }
        }
    }

    /// A whole upload.
    pub(crate) fn whole(body: &'a mut dyn Body) -> Content<'a> {
        let len = body.len();
        Content::Part { body, from: 0, len }
    }

    /// Gives a request with this body out of hand, to be sent while other work goes on: see [`Http::launch`]. `None` where that
    /// cannot be.
    pub(crate) fn launch(&self, http: &mut Http, request: &Request<'_>) -> Option<Box<dyn Flight>> {
        match self {
            Content::Part { len, .. } => http.launch(request, *len),
            _ => None,
        }
    }

    /// Sends a request with this body from its beginning, or takes the answer to one that was launched before; whatever payload
    /// the request has is replaced. Also whether the last byte of the body was handed to the connection.
    pub(crate) fn send(
        &mut self,
        http: &mut Http,
        request: Request<'_>,
    ) -> (Result<Reply, Fault>, bool) {
        match self {
            Content::None => (http.send(request), true),
            Content::Bytes(bytes) => {
                let payload = Payload::Bytes(bytes);
                (http.send(Request { payload, ..request }), true)
            }
            #[cfg(feature = "dest-filen")]
            Content::Once(bytes) => {
                let (mut rest, len) = (*bytes, bytes.len() as u64);
                let payload = Payload::Stream(&mut rest, len);
                let sent = http.send(Request { payload, ..request });
                (sent, rest.is_empty())
            }
            Content::Part { body, from, len } => {
                if let Some(landed) = http.landed(&request) {
                    return landed;
                }
                if let Err(e) = body.seek_to(*from) {
                    return (Err(Fault::local(e)), false);
                }
                let mut slice = Slice::new(&mut **body, *len);
                let payload = Payload::Stream(&mut slice, *len);
                let sent = http.send(Request { payload, ..request });
                (sent, slice.left() == 0)
            }
            #[cfg(feature = "form")]
            Content::Form { .. } => self.send_form(http, request),
        }
    }
}

#[cfg(feature = "form")]
impl Content<'_> {
    fn send_form(&mut self, http: &mut Http, request: Request<'_>) -> (Result<Reply, Fault>, bool) {
        let total = self.len();
        let Content::Form { head, body, tail } = self else {
            return (http.send(request), true);
        };
        if let Err(e) = body.seek_to(0) {
            return (Err(Fault::local(e)), false);
        }
        let len = body.len();
        let mut slice = Slice::new(&mut **body, len);
        let mut whole = (*head).chain(&mut slice).chain(*tail);
        let payload = Payload::Stream(&mut whole, total);
        let sent = http.send(Request { payload, ..request });
        (sent, slice.left() == 0)
    }
}

/// As [`Content::send`]; redirects are followed within the address of the request. `count` is called for each request.
pub(crate) fn send_home(
    http: &mut Http,
    request: Request<'_>,
    content: &mut Content<'_>,
    count: &mut dyn FnMut(),
) -> (Result<Reply, Fault>, bool) {
    let mut chain = Chain::default();
    let mut url = request.url.to_owned();
    loop {
        count();
        let once = Request {
            url: &url,
            payload: Payload::None,
            ..request
        };
        let (sent, whole) = content.send(http, once);
        let to = match &sent {
            Ok(reply) => onward(&mut chain, &url, request.method, reply),
            Err(_) => Ok(None),
        };
        url = match to {
            Ok(Some(to)) => to,
            Ok(None) => return (sent, whole),
            Err(fault) => return (Err(fault), whole),
        };
    }
}

/// Where a reply sends the request when that is another address than the request's own.
pub(crate) fn elsewhere(url: &str, reply: &Reply) -> Result<Option<String>, Fault> {
    let moved = matches!(reply.status, 301 | 302 | 303 | 307 | 308);
    let Some(location) = reply.location().filter(|_| moved) else {
        return Ok(None);
    };
    let to = Chain::default().follow(url, &location)?;
    Ok((!same_origin(url, &to)).then_some(to))
}

/// Where a reply sends the request, as long as that is within its address; `None` for a reply that is the answer.
pub(crate) fn onward(
    chain: &mut Chain,
    url: &str,
    method: &str,
    reply: &Reply,
) -> Result<Option<String>, Fault> {
    if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = reply.location() else {
        return Ok(None);
    };
    let to = chain.follow(url, &location)?;
    match same_origin(url, &to) && (reply.status != 303 || method == "GET") {
        true => Ok(Some(to)),
        false => Err(foreign(&to)),
    }
}
