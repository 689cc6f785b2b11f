//! What passes between this program and a destination: the body of an upload, an upload on its way, the span and the sink of a
//! download.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

#[cfg(feature = "dest-dropbox")]
use crate::base::digest::Algo;
use crate::base::fault::Fault;

/// The body of an upload: knows its length and digests, and can be read again from the start.
pub(crate) trait Body: Read {
    /// Exact length in bytes.
    fn len(&self) -> u64;
    /// Back to `offset`; called before every attempt and for parts.
    fn seek_to(&mut self, offset: u64) -> io::Result<()>;
    /// Bytes from `offset` to look at: they are not sent, nor counted, nor slowed down, and the place for reading stays.
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// SHA-256 of the whole.
    fn sha256(&self) -> [u8; 32];
    /// SHA-1 of the whole; `Some` when the destination declared it in [`WantedDigests`].
    fn sha1(&self) -> Option<[u8; 20]>;
    /// MD5 of the whole; `Some` when the destination declared it in [`WantedDigests`].
    fn md5(&self) -> Option<[u8; 16]>;
    /// True when a file of the name must stay as it is: the answer is then `Exists`.
    fn is_new(&self) -> bool;
    /// The file that is the whole body, if it may get a name in place of being read. Then [`Body::taken`] is called.
    fn unnamed(&self) -> Option<&File> {
        None
    }
    /// All of it counts as sent.
    fn taken(&mut self) {}
}

/// Fills a buffer with the bytes of a body that follow: how many, at least one. `WouldBlock` when none may go now.
pub(crate) type NextBytes<'a> = dyn FnMut(&mut [u8]) -> io::Result<usize> + 'a;

/// Whether this build has flights: where it has none, what is said of them takes no room.
pub(crate) const FLIES: bool = cfg!(feature = "overlap");

/// The one request of an upload, on its way while other work goes on: see `Destination::launch`. Owns its connection and borrows
/// nothing; what is dropped is broken off.
pub(crate) trait Flight {
    /// Moves what can be moved without waiting. True once it has come to an end, whatever that is.
    fn advance(&mut self, next: &mut NextBytes<'_>) -> bool;

    /// Waits until more can be moved, for at most so long; less when a signal comes.
    fn wait(&self, at_most: Duration);

    /// Lends what it came to to the destination, whose next `put` of this file takes it as the answer to its first request; one
    /// that has not come to its end is broken off by that. True when every byte of the body was handed to the connection.
    fn land(self: Box<Self>) -> bool;
}

/// Where a flight leaves what it came to, for the destination that sent it.
pub(crate) type Strip<T> = Rc<RefCell<Option<T>>>;

#[cfg(test)]
thread_local! {
    /// Bytes of bodies that were looked at on this thread.
    pub(crate) static LOOKED_AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Shows `len` bytes of a body from `from` to `each`, piece by piece, such as for a digest.
pub(crate) fn look_at(
    body: &mut dyn Body,
    from: u64,
    len: u64,
    each: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let mut done = 0;
    while done < len {
        let n = usize::try_from(len - done).map_or(buffer.len(), |n| n.min(buffer.len()));
        body.read_at(&mut buffer[..n], from + done)?;
        each(&buffer[..n]);
        done += n as u64;
    }
    #[cfg(test)]
    LOOKED_AT.set(LOOKED_AT.get() + len);
    Ok(())
}

/// Of `len` bytes of a body from `from`, the SHA-256 of the digests of blocks of this length, the last one shorter: known before
/// all is read, and of any stretch of whole blocks.
#[cfg(feature = "dest-dropbox")]
pub(crate) fn digest_of_blocks(
    body: &mut dyn Body,
    from: u64,
    len: u64,
    block: u64,
) -> io::Result<Vec<u8>> {
    let (mut all, mut done) = (Algo::Sha256.hasher(), 0);
    while done < len {
        let n = block.min(len - done);
        let mut one = Algo::Sha256.hasher();
        look_at(body, from + done, n, &mut |part| one.update(part))?;
        all.update(one.finish().as_bytes());
        done += n;
    }
    Ok(all.finish().as_bytes().to_vec())
}

/// Exactly so many bytes of a body; a body that is shorter is an error, never an early end.
pub(crate) struct Slice<'a> {
    body: &'a mut dyn Body,
    left: u64,
}

impl<'a> Slice<'a> {
    /// From where the body stands.
    pub(crate) fn new(body: &'a mut dyn Body, len: u64) -> Slice<'a> {
        Slice { body, left: len }
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

impl Read for Slice<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        if most == 0 {
            return Ok(0);
        }
        let n = self.body.read(&mut buf[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Where a download goes. `Write` appends; a destination never keeps a whole body in memory.
pub(crate) trait Sink: Write {
    /// What comes next is the file from its first byte, although a later one was asked for.
    fn restart(&mut self) -> io::Result<()>;

    /// Takes what follows from here to the end of the file, to read it on when there is time; gives it back where it is to come
    /// now.
    fn later(&mut self, rest: Box<dyn Incoming>) -> Option<Box<dyn Incoming>> {
        Some(rest)
    }
}

/// What follows in a download, on its way while other work goes on. What is dropped is broken off.
pub(crate) trait Incoming {
    /// Bytes that have come; 0 at the end, `WouldBlock` when there are none yet.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// All that has not been read, and what is still to come is waited for. Errors of `into` are of the class `Local`.
    fn copy(&mut self, into: &mut dyn Write) -> Result<(), Fault>;

    /// The fault of what could not be read.
    fn fault(&self, e: &io::Error) -> Fault;
}

/// Which bytes of a file a download is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Position of the first byte.
    pub(crate) from: u64,
    /// So many bytes at most, at least one: a bounded span. `None`: to the end of the file, an open one.
    pub(crate) len: Option<u64>,
}

impl Span {
    pub(crate) const WHOLE: Span = Span { from: 0, len: None };

    /// From a position to the end of the file.
    pub(crate) fn starting(from: u64) -> Span {
        Span { from, len: None }
    }

    /// `len` bytes from a position on, fewer where the file ends before.
    pub(crate) fn of(from: u64, len: u64) -> Span {
        Span {
            from,
            len: Some(len.max(1)),
        }
    }

    /// Position after the last byte that can be wanted.
    pub(crate) fn end(self) -> u64 {
        let end = self.len.map(|len| self.from.saturating_add(len));
        end.unwrap_or(u64::MAX)
    }

    /// True when only the end of the file ends it.
    pub(crate) fn is_open(self) -> bool {
        self.len.is_none()
    }

    /// The value of a `Range` header; `None` when it is the whole file.
    #[cfg(feature = "http")]
    pub(crate) fn header(self) -> Option<String> {
        let Span { from, len } = self;
        match len {
            Some(len) => Some(format!(
                "bytes={from}-{}",
                from.saturating_add(len.saturating_sub(1))
            )),
            None if from > 0 => Some(format!("bytes={from}-")),
            None => None,
        }
    }
}

/// What a completed `get` knows about the whole file.
#[derive(Clone, Copy, Default)]
pub(crate) struct GetFacts {
    /// Total length in bytes of the whole file as the server stated it.
    pub(crate) total: Option<u64>,
    /// SHA-1 the server stated for the whole file.
    pub(crate) sha1: Option<[u8; 20]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_as_headers_and_their_ends() {
        for (span, header, end) in [
            (Span::WHOLE, None, u64::MAX),
            (Span::starting(7), Some("bytes=7-"), u64::MAX),
            (Span::of(0, 10), Some("bytes=0-9"), 10),
            (Span::of(95, 10), Some("bytes=95-104"), 105),
            (Span::of(200, 1), Some("bytes=200-200"), 201),
            (Span::of(5, 0), Some("bytes=5-5"), 6),
            (
                Span::of(u64::MAX, 2),
                Some("bytes=18446744073709551615-18446744073709551615"),
                u64::MAX,
            ),
        ] {
            assert_eq!(span.end(), end, "{span:?}");
            #[cfg(feature = "http")]
            assert_eq!(span.header().as_deref(), header, "{span:?}");
            #[cfg(not(feature = "http"))]
            let _ = header;
        }
    }
}
