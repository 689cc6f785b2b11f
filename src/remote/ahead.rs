//! A file that is asked for before it is wanted: its first bytes come while other work goes on ([`Remote::look_ahead`]). Whatever
//! the request comes to is the first attempt of the download that wants the file, so that all the rest is as ever: retries,
//! going on where it stopped, messages. Until then nothing of it is told, and no failure ends anything.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::base::digest::Digests;
use crate::base::error::{Result, unwrap_io};
use crate::base::fault::{Class, Done};
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::{FLIES, GetFacts, Incoming, Sink, Span};
use crate::remote::check::{Pace, SpoolSink};
use crate::remote::download::Attempt;
use crate::remote::{LONGEST_HELD, Remote, RemoteMut};

/// Most that is held between two writes.
const BUFFER_BYTES: usize = 64 * 1024;
/// So often is the buffer filled before the caller gets its turn again.
const ROUNDS_MAX: u32 = 64;
/// A server that waited for so long for who reads has a reason to end the connection.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// What is wanted after the file that is worked on.
#[derive(Default)]
pub(super) struct Ahead {
    /// Not asked for yet.
    next: Option<(String, u64)>,
    asked: Option<Box<Asked>>,
}

/// A request whose answer is on its way.
struct Asked {
    name: String,
    size: u64,
    spool: Spool,
    /// Bytes in the spool.
    have: u64,
    begun: Instant,
    came: Done<GetFacts>,
    /// What is still to come; `None` at the end.
    rest: Option<Box<dyn Incoming>>,
    buffer: Vec<u8>,
    /// The throttle lets no bytes pass before.
    not_before: Option<Instant>,
    /// When it was last looked after, and whether that took too long once.
    looked: Instant,
    left_alone: bool,
    too_long: bool,
}

impl Asked {
    /// Takes in what has come, as far as the throttle lets it. An error is the spool's own.
    fn advance(&mut self, pace: &mut Pace) -> Result<()> {
        let now = Instant::now();
        self.left_alone |= now.duration_since(self.looked) > LEFT_ALONE;
        self.looked = now;
        for _ in 0..ROUNDS_MAX {
            if self.not_before.is_some_and(|at| Instant::now() < at) {
                break;
            }
            self.not_before = None;
            let (filled, more) = self.fill();
            if filled == 0 {
                break;
            }
            if self.have + filled as u64 > self.size {
                self.too_long = true;
                self.rest = None;
                break;
            }
            let part = self.buffer.get(..filled).unwrap_or_default();
            self.spool.write_all(part).map_err(unwrap_io)?;
            self.have += filled as u64;
            let wait = pace.take(filled).min(LONGEST_HELD);
            self.not_before = (!wait.is_zero()).then(|| Instant::now() + wait);
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Fills the buffer with what is there: how far, and whether there may be more.
    fn fill(&mut self) -> (usize, bool) {
        let mut filled = 0;
        while let Some(rest) = &mut self.rest {
            let Some(room) = self.buffer.get_mut(filled..).filter(|r| !r.is_empty()) else {
                return (filled, true);
            };
            match rest.read(room) {
                Ok(0) => self.rest = None,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => {
                    self.came = Err(rest.fault(&e));
                    self.rest = None;
                }
            }
        }
        (filled, false)
    }
}

/// Where the answer goes: what follows its head is left for later, if the destination does that.
struct Head<'a> {
    sink: SpoolSink<'a>,
    rest: Option<Box<dyn Incoming>>,
}

impl Write for Head<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.sink.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Head<'_> {
    fn restart(&mut self) -> io::Result<()> {
        self.rest = None;
        self.sink.restart()
    }

    fn later(&mut self, rest: Box<dyn Incoming>) -> Option<Box<dyn Incoming>> {
        self.rest = Some(rest);
        None
    }
}

impl Remote {
    /// Files can be asked for before they are wanted.
    pub(crate) fn looks_ahead(&self) -> bool {
        FLIES && self.dest.can_be_asked_ahead()
    }

    /// Says which file, with its size, will be wanted whole after `now`, so that it may be asked for; `None`: none is known. What
    /// was asked for and is neither is broken off.
    pub(crate) fn expect(&mut self, now: &str, next: Option<(&str, u64)>) {
        let asked = self.ahead.asked.as_ref().map(|a| a.name.as_str());
        let is_next = asked.is_some() && asked == next.map(|(name, _)| name);
        if asked.is_some_and(|name| name != now && !is_next) {
            self.drop_ahead();
        }
        let next = next.filter(|_| !is_next);
        self.ahead.next = next.map(|(name, size)| (name.to_owned(), size));
    }

    /// The size of the file that may be asked for now; `None` while there is none, or another is on its way.
    pub(crate) fn expected(&self) -> Option<u64> {
        let next = self.ahead.next.as_ref().filter(|_| FLIES)?;
        self.ahead.asked.is_none().then_some(next.1)
    }

    /// A file is on its way that was asked for.
    pub(crate) fn is_ahead(&self) -> bool {
        let asked = self.ahead.asked.as_ref().filter(|_| FLIES);
        asked.is_some_and(|asked| asked.rest.is_some())
    }

    /// Bytes of a file that came before it was wanted.
    pub(crate) fn has_ahead(&self, name: &str) -> u64 {
        let asked = self
            .ahead
            .asked
            .as_ref()
            .filter(|a| FLIES && a.name == name);
        asked.map_or(0, |asked| asked.have)
    }

    /// Asks for the file that is expected; its bytes go to `spool`, which is empty, whenever [`Remote::look_ahead`] is called. Waits
    /// for the head of the answer, and for no more.
    pub(crate) fn ask_ahead(&mut self, ui: &mut Ui, mut spool: Spool) {
        let Some((name, size)) = self.ahead.next.take().filter(|_| FLIES) else {
            return;
        };
        self.stats.calls += 1;
        self.stats.gets += 1;
        let begun = Instant::now();
        let mut head = Head {
            sink: SpoolSink::new(&mut spool, &mut self.down, 0, Some(size)),
            rest: None,
        };
        let came = self.dest.get(&name, Span::WHOLE, &mut head);
        let Head { sink, rest } = head;
        let (have, too_long) = (sink.position(), sink.too_long);
        let own_error = sink.own_error.is_some();
        let received = sink.received;
        self.tell(ui);
        if own_error {
            // Who wants the file will meet it again.
            self.stats.bytes_down += received;
            return;
        }
        self.ahead.asked = Some(Box::new(Asked {
            name,
            size,
            spool,
            have,
            begun,
            rest: rest.filter(|_| came.is_ok()),
            came,
            buffer: vec![0; BUFFER_BYTES],
            not_before: None,
            looked: Instant::now(),
            left_alone: false,
            too_long,
        }));
    }

    /// Takes in what has come of a file that was asked for, without waiting. To be called often while other work goes on; costs next
    /// to nothing where there is none.
    pub(crate) fn look_ahead(&mut self) {
        if let Some(asked) = self.ahead.asked.as_mut().filter(|_| FLIES)
            && asked.advance(&mut self.down).is_err()
        {
            // There is no room for it now. Who wants the file begins anew.
            self.drop_ahead();
        }
    }

    /// Breaks off what was asked for.
    pub(crate) fn drop_ahead(&mut self) {
        self.ahead.next = None;
        if let Some(asked) = self.ahead.asked.take() {
            self.stats.bytes_down += asked.have;
        }
    }

    /// What a file came to that was asked for before, as the first attempt to download it to `into`: waits for the rest. `None` where
    /// it was not.
    pub(super) fn first_attempt(
        &mut self,
        name: &str,
        size: Option<u64>,
        into: &mut Spool,
    ) -> Option<Attempt> {
        let here = |asked: &mut Box<Asked>| asked.name == name;
        let asked = *self.ahead.asked.take_if(|a| FLIES && here(a))?;
        if size.is_some_and(|size| size != asked.size) {
            self.stats.bytes_down += asked.have;
            return None;
        }
        let left_alone = asked.left_alone || asked.looked.elapsed() > LEFT_ALONE;
        *into = asked.spool;
        self.stats.bytes_down += asked.have;
        let mut sink = SpoolSink::new(into, &mut self.down, asked.have, size);
        sink.too_long = asked.too_long;
        let result = match (asked.came, asked.rest) {
            (Ok(facts), Some(mut rest)) => rest.copy(&mut sink).map(|()| facts),
            (came, _) => came,
        };
        let spared = match &result {
            // Its connection was wanted for something else.
            Err(fault) if fault.class == Class::Stopped => true,
            Err(fault) if fault.class == Class::Transient => left_alone && sink.position() > 0,
            _ => false,
        };
        let mut attempt = Attempt::of(asked.begun, result, sink);
        attempt.spared = spared;
        Some(attempt)
    }
}

impl RemoteMut<'_> {
    /// As [`RemoteMut::put`]; `meanwhile` gets a turn again and again until the file is there, where the destination can be sent one
    /// without being waited for.
    pub(crate) fn put_while(
        &mut self,
        ui: &mut Ui,
        name: &str,
        (spool, digests): (&mut Spool, &Digests),
        meanwhile: &mut dyn FnMut(),
    ) -> Result<()> {
        let Some(mut sending) = self.launch(ui, name, spool, digests)? else {
            return self.put(ui, name, spool, digests);
        };
        while !self.remote.advance(&mut sending, spool) {
            meanwhile();
            sending.wait();
        }
        self.land(ui, name, (spool, digests), sending)
    }
}

/// What a caller of [`Remote::look_ahead`] reads or writes meanwhile.
pub(crate) struct Meanwhile<'a, T: ?Sized> {
    pub(crate) remote: &'a mut Remote,
    pub(crate) inner: &'a mut T,
}

impl<T: io::Read + ?Sized> io::Read for Meanwhile<'_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.remote.look_ahead();
        self.inner.read(buf)
    }
}

#[cfg(all(test, feature = "dest-s3", feature = "overlap"))]
#[path = "ahead_tests.rs"]
mod tests;

#[cfg(all(test, feature = "dest-ftp", feature = "dest-ssh", feature = "overlap"))]
#[path = "ahead_talk_tests.rs"]
mod talk_tests;
