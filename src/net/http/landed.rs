//! What a flight came to, as it lies ready for the request that it was sent for.

use std::io::{self, Cursor, Read};

use ureq::http::HeaderMap;

use crate::base::fault::Fault;
use crate::net::http::line::Line;

/// A reply that came whole, or as far as it goes.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Why the body is not at its end.
    pub(super) broken: Option<io::Error>,
    /// Neither side ends the connection after it.
    pub(super) keeps: bool,
}

impl Answered {
    /// Its body, which fails where it broke off.
    pub(super) fn into_body(self) -> (HeaderMap, Box<dyn Read>) {
        let body: Box<dyn Read> = match self.broken {
            None => Box::new(Cursor::new(self.body)),
            Some(e) => Box::new(Cursor::new(self.body).chain(Broken(Some(e)))),
        };
        (self.headers, body)
    }
}

/// What a flight came to.
pub(super) struct Landed {
    pub(super) method: String,
    pub(super) url: String,
    /// The server was asked before the body was sent.
    pub(super) asked: bool,
    /// It did not answer that in time.
    pub(super) unheard: bool,
    /// A byte of the body was taken.
    pub(super) begun: bool,
    pub(super) whole: bool,
    pub(super) outcome: Option<Result<Answered, Fault>>,
    /// The connection, where it is good for another request.
    #[cfg_attr(
        not(feature = "overlap"),
        allow(dead_code, reason = "there are no flights")
    )]
    pub(super) line: Option<Line>,
}

/// A body that breaks off.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(e) => Err(e),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
