//! The body of a request, and sending it: one place that goes back to its start before each attempt.

use crate::base::fault::Fault;
use crate::base::transfer::{Body, Slice};
use crate::net::http::{Http, Payload, Reply, Request};

/// The body of a request.
pub(crate) enum Content<'a> {
    None,
    Bytes(&'a [u8]),
    /// `len` bytes of an upload from `from`.
    Part {
        body: &'a mut dyn Body,
        from: u64,
        len: u64,
    },
}

impl<'a> Content<'a> {
    /// A whole upload.
    pub(crate) fn whole(body: &'a mut dyn Body) -> Content<'a> {
        let len = body.len();
        Content::Part { body, from: 0, len }
    }

    /// Sends a request with this body from its beginning; whatever payload the request has is replaced. Also whether the last
    /// byte of the body was handed to the connection.
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
            Content::Part { body, from, len } => {
                if let Err(e) = body.seek_to(*from) {
                    return (Err(Fault::local(e)), false);
                }
                let mut slice = Slice::new(&mut **body, *len);
                let payload = Payload::Stream(&mut slice, *len);
                let sent = http.send(Request { payload, ..request });
                (sent, slice.left() == 0)
            }
        }
    }
}
