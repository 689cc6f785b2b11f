//! What is checked before anything from or for a destination is trusted: names, lengths, and the two ends of a transfer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use crate::base::digest::Digests;
use crate::base::error::{Error, Kind, Result, unwrap_io};
use crate::base::sys;
use crate::base::tmp::Spool;
use crate::dest::{Body, Sink, WantedDigests, look_at};
use crate::remote::throttle::Throttle;

/// Longest listed name that is passed on, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// Longest name that is written, in bytes.
const WRITTEN_MAX_BYTES: usize = 200;
/// Most that is handed to a connection at a time.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;

/// True when a listed name can be the name of a file in a flat folder.
pub(crate) fn good_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() <= NAME_MAX_BYTES
        && !name.contains(char::REPLACEMENT_CHARACTER)
        && !name.bytes().any(|b| b == b'/' || b < 0x20 || b == 0x7f)
}

/// Refuses a name that must not be written.
pub(crate) fn writable_name(name: &str) -> Result<()> {
    if good_name(name)
        && name.len() <= WRITTEN_MAX_BYTES
        && !name.starts_with(['.', '-'])
        && !name.contains('\\')
    {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{} cannot be the name of a remote file",
        crate::base::text::safe_cut(name.as_bytes(), 80)
    )))
}

/// Slows a transfer down and ends it when the run is to end.
pub(crate) struct Pace {
    throttle: Throttle,
    started: Instant,
}

impl Pace {
    /// `rate` in bytes a second, 0 = unlimited.
    pub(crate) fn new(rate: u64) -> Pace {
        Pace {
            throttle: Throttle::new(rate),
            started: Instant::now(),
        }
    }

    /// Whether transfers are slowed down.
    pub(crate) fn is_limited(&self) -> bool {
        self.throttle.is_limited()
    }

    /// Fails once the person wants the transfer to end.
    pub(crate) fn stopped(&self) -> io::Result<()> {
        match sys::ends_now() {
            true => Err(sys::stopped()),
            false => Ok(()),
        }
    }

    /// As [`Pace::pass`], for who does not wait: how long these bytes have to.
    pub(crate) fn take(&mut self, bytes: usize) -> Duration {
        self.throttle.take(bytes as u64, self.started.elapsed())
    }

    pub(crate) fn pass(&mut self, bytes: usize) -> io::Result<()> {
        let wait = self.take(bytes);
        self.stopped()?;
        if !wait.is_zero() && !sys::sleep_until_end(wait) {
            return Err(sys::stopped());
        }
        Ok(())
    }
}

/// Where a download goes: the end of a spool, never beyond the length expected.
pub(crate) struct SpoolSink<'a> {
    spool: &'a mut Spool,
    pace: &'a mut Pace,
    /// Bytes in the spool when the sink was made or restarted.
    base: u64,
    written: u64,
    limit: Option<u64>,
    /// All bytes that arrived, also those thrown away.
    pub(crate) received: u64,
    /// More bytes came than expected.
    pub(crate) too_long: bool,
    /// The spool's own error or a stop, which the destination may have taken for the network's.
    pub(crate) own_error: Option<Error>,
}

impl<'a> SpoolSink<'a> {
    /// The spool must be positioned at its end, `base`.
    pub(crate) fn new(
        spool: &'a mut Spool,
        pace: &'a mut Pace,
        base: u64,
        limit: Option<u64>,
    ) -> Self {
        SpoolSink {
            spool,
            pace,
            base,
            written: 0,
            limit,
            received: 0,
            too_long: false,
            own_error: None,
        }
    }

    /// Bytes of the file that are in the spool.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.written
    }

    fn keep(&mut self, e: io::Error) -> io::Error {
        if e.kind() != io::ErrorKind::Interrupted && self.own_error.is_none() {
            self.own_error = Some(unwrap_io(e));
        }
        io::Error::other("local error")
    }
}

impl Write for SpoolSink<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let end = self.position().saturating_add(data.len() as u64);
        if self.limit.is_some_and(|limit| end > limit) {
            self.too_long = true;
            return Err(io::Error::other("more bytes than expected"));
        }
        let passed = self.pace.pass(data.len());
        passed.map_err(|e| self.keep(e))?;
        let done = self.spool.write_all(data);
        done.map_err(|e| self.keep(e))?;
        self.written += data.len() as u64;
        self.received += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for SpoolSink<'_> {
    fn restart(&mut self) -> io::Result<()> {
        let cleared = self.spool.clear().map_err(io::Error::from);
        cleared.map_err(|e| self.keep(e))?;
        self.base = 0;
        self.written = 0;
        Ok(())
    }
}

/// The body of an upload: exactly `len` bytes of a spool.
pub(crate) struct SpoolBody<'a> {
    spool: &'a mut Spool,
    pace: &'a mut Pace,
    len: u64,
    at: u64,
    digests: Digests,
    is_new: bool,
    /// Bytes handed out, all attempts together.
    pub(crate) sent: u64,
    /// Every byte of the body has been handed out since `seek_to(0)`.
    pub(crate) whole: bool,
    pub(crate) own_error: Option<Error>,
}

impl<'a> SpoolBody<'a> {
    /// What the destination wants beside the digests that are known is computed in one pass over the spool, once for all attempts:
    /// it is added to them. An upload is checked by the digests of what was written, whatever became of the spool since.
    pub(crate) fn new(
        spool: &'a mut Spool,
        pace: &'a mut Pace,
        digests: &mut Digests,
        wants: WantedDigests,
        is_new: bool,
    ) -> Result<Self> {
        let mut body = SpoolBody::with(spool, pace, *digests, is_new)?;
        if digests.wanted.is_none()
            && let Some(mut hasher) = wants.hasher()
        {
            let len = body.len;
            let looked = look_at(&mut body, 0, len, &mut |part| hasher.update(part));
            looked.map_err(unwrap_io)?;
            digests.wanted = Some(hasher.finish());
            body.digests = *digests;
        }
        Ok(body)
    }

    /// As [`SpoolBody::new`], with all digests that are wanted.
    pub(crate) fn with(
        spool: &'a mut Spool,
        pace: &'a mut Pace,
        digests: Digests,
        is_new: bool,
    ) -> Result<Self> {
        if digests.sha256.array::<32>().is_none() {
            return Err(Error::bug("the digest of an upload is not SHA-256"));
        }
        let len = spool.len()?;
        Ok(SpoolBody {
            spool,
            pace,
            len,
            at: 0,
            digests,
            is_new,
            sent: 0,
            whole: len == 0,
            own_error: None,
        })
    }

    fn keep(&mut self, e: io::Error) -> io::Error {
        if self.own_error.is_none() {
            self.own_error = Some(unwrap_io(e));
        }
        io::Error::other("local error")
    }
}

impl Read for SpoolBody<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let n = buf.len().min(left).min(BUFFER_BYTES);
        if n == 0 {
            return Ok(0);
        }
        let passed = self.pace.pass(n);
        passed.map_err(|e| self.keep(e))?;
        let n = loop {
            match self.spool.read(&mut buf[..n]) {
                Ok(0) => {
                    let e = Error::new(Kind::Local, "a temporary file became shorter");
                    return Err(self.keep(e.into()));
                }
                Ok(n) => break n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.keep(e)),
            }
        };
        self.at += n as u64;
        self.sent += n as u64;
        self.whole |= self.at == self.len;
        Ok(n)
    }
}

impl Body for SpoolBody<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        let moved = self.spool.seek(SeekFrom::Start(offset));
        moved.map_err(|e| self.keep(e))?;
        self.at = offset.min(self.len);
        if offset == 0 {
            self.whole = self.len == 0;
        }
        Ok(())
    }

    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let read = self.spool.read_at(buf, offset).map_err(io::Error::from);
        read.map_err(|e| self.keep(e))
    }

    fn sha256(&self) -> [u8; 32] {
        // It was looked at when the body was made.
        self.digests.sha256.array().unwrap_or_default()
    }

    fn sha1(&self) -> Option<[u8; 20]> {
        self.digests.wanted.and_then(|hash| hash.array())
    }

    fn md5(&self) -> Option<[u8; 16]> {
        self.digests.wanted.and_then(|hash| hash.array())
    }

    fn is_new(&self) -> bool {
        self.is_new
    }

    fn unnamed(&self) -> Option<&File> {
        (!self.pace.is_limited()).then(|| self.spool.file())
    }

    fn taken(&mut self) {
        self.sent += self.len;
        self.whole = true;
    }
}

/// Compares what a destination holds with a spool, keeping nothing of it.
pub(crate) struct Compare<'a> {
    spool: &'a Spool,
    pub(crate) at: u64,
    pub(crate) differs: bool,
}

impl<'a> Compare<'a> {
    pub(crate) fn new(spool: &'a Spool) -> Compare<'a> {
        Compare {
            spool,
            at: 0,
            differs: false,
        }
    }
}

impl Write for Compare<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut ours = [0; 4096];
        let n = data.len().min(ours.len());
        let same = self.spool.read_at(&mut ours[..n], self.at).is_ok() && ours[..n] == data[..n];
        if !same {
            self.differs = true;
            return Err(io::Error::other("it is another file"));
        }
        self.at += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Compare<'_> {
    fn restart(&mut self) -> io::Result<()> {
        self.at = 0;
        Ok(())
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
