//! An upload whose first attempt is on its way while other work goes on ([`Sending`]). Whatever that comes to goes into the
//! usual upload as the result of its first attempt, so that all the rest is as ever: proof of arrival, retries, messages.

use std::io;
use std::time::{Duration, Instant};

use crate::base::digest::Digests;
use crate::base::error::{Error, Result, unwrap_io};
use crate::base::fault::Fault;
use crate::base::sys;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::{Body as _, FLIES, Flight};
use crate::remote::check::{BUFFER_BYTES, SpoolBody, writable_name};
use crate::remote::{LONGEST_HELD, Remote, RemoteMut};

/// Longest wait between two looks at what the person wants.
const LOOK: Duration = Duration::from_secs(1);

/// A first attempt on its way. The caller keeps the spool, and gives the same one each time.
pub(crate) struct Sending {
    flight: Box<dyn Flight>,
    digests: Digests,
    begun: Instant,
    /// Stops that were requested then: one that comes while it is on its way came in mid-upload.
    stops: u32,
    /// Bytes of the spool that were handed out.
    at: u64,
    /// The throttle knows of the next bytes; they may go from then on.
    not_before: Option<Instant>,
    ended: bool,
    /// The spool's own error or a stop, which the destination may have taken for the network's.
    own_error: Option<Error>,
}

impl Sending {
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    pub(super) fn stops(&self) -> u32 {
        self.stops
    }

    /// There is nothing to be done but to take up what it came to.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Until more can be done, a signal comes or it is time to look around.
    pub(super) fn wait(&self) {
        let now = Instant::now();
        let held = self
            .not_before
            .map_or(LOOK, |at| at.saturating_duration_since(now));
        if self.not_before.is_none() || !held.is_zero() {
            self.flight.wait(held.min(LOOK));
        }
    }
}

impl Remote {
    /// Moves what can be moved without waiting, and the throttle lets go. True once it has come to an end, whatever that is.
    pub(crate) fn advance(&mut self, sending: &mut Sending, spool: &Spool) -> bool {
        if sending.ended {
            return true;
        }
        if let Err(e) = self.up.stopped() {
            sending.own_error = Some(unwrap_io(e));
            sending.ended = true;
            return true;
        }
        let Sending {
            flight,
            at,
            not_before,
            own_error,
            ..
        } = sending;
        let pace = &mut self.up;
        let mut next = |buf: &mut [u8]| {
            let n = buf.len().min(BUFFER_BYTES);
            let now = Instant::now();
            let from = match *not_before {
                Some(from) => from,
                None => now + pace.take(n).min(LONGEST_HELD),
            };
            if from > now {
                *not_before = Some(from);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            *not_before = None;
            let read = spool.read_at(&mut buf[..n], *at);
            if let Err(e) = read {
                *own_error = Some(e);
                return Err(io::Error::other("local error"));
            }
            *at += n as u64;
            Ok(n)
        };
        sending.ended = flight.advance(&mut next);
        sending.ended
    }
}

impl RemoteMut<'_> {
    /// Sends the whole spool on its way to `name`, replacing a file of that name; [`Remote::advance`] moves it on, and
    /// [`RemoteMut::land`] brings it to its end. `None` where this destination can only be waited for.
    pub(crate) fn launch(
        &mut self,
        ui: &mut Ui,
        name: &str,
        spool: &mut Spool,
        digests: &Digests,
    ) -> Result<Option<Sending>> {
        if !FLIES {
            return Ok(None);
        }
        writable_name(name)?;
        let (begun, stops) = (Instant::now(), sys::stops_requested());
        let remote = &mut *self.remote;
        let wants = remote.dest.about().wants;
        let mut digests = *digests;
        let mut body = SpoolBody::new(spool, &mut remote.up, &mut digests, wants, false)?;
        let flight = remote.dest.launch(name, &mut body);
        remote.tell(ui);
        Ok(flight.map(|flight| Sending {
            flight,
            digests,
            begun,
            stops,
            at: 0,
            not_before: None,
            ended: false,
            own_error: None,
        }))
    }

    /// Waits for the end of what was launched. When it returns, the destination has said that it holds a file of this length, as
    /// after [`RemoteMut::put`].
    pub(crate) fn land(
        &mut self,
        ui: &mut Ui,
        name: &str,
        (spool, digests): (&mut Spool, &Digests),
        sending: Sending,
    ) -> Result<()> {
        self.replace(ui, name, spool, digests, Some(sending))
    }

    /// Breaks off what was launched. Best effort: what stays is found by the next run.
    pub(crate) fn abandon(&mut self, name: &str, spool: &mut Spool, sending: Sending) {
        // The error of this run is told already.
        let _ = self.take_up(name, spool, sending);
    }

    /// Waits for the end of the first attempt: its result, and whether the whole body was handed to the connection.
    pub(super) fn arrive(
        &mut self,
        name: &str,
        spool: &mut Spool,
        mut sending: Sending,
        doing: &str,
    ) -> Result<(std::result::Result<(), Fault>, bool)> {
        while !self.remote.advance(&mut sending, spool) {
            self.remote.look_ahead();
            sending.wait();
        }
        self.take_up(name, spool, sending)
            .map_err(|e| e.doing(doing))
    }

    fn take_up(
        &mut self,
        name: &str,
        spool: &mut Spool,
        sending: Sending,
    ) -> Result<(std::result::Result<(), Fault>, bool)> {
        let remote = &mut *self.remote;
        remote.stats.calls += 1;
        remote.stats.puts += 1;
        remote.stats.bytes_up += sending.at;
        let whole = sending.flight.land();
        let mut body = SpoolBody::with(spool, &mut remote.up, sending.digests, false)?;
        let result = match body.seek_to(0) {
            Ok(()) => remote.dest.put(name, &mut body),
            Err(e) => Err(Fault::local(e)),
        };
        remote.stats.bytes_up += body.sent;
        match sending.own_error.or(body.own_error) {
            Some(e) => Err(e),
            None => Ok((result, whole || body.whole)),
        }
    }
}

#[cfg(all(test, feature = "dest-s3"))]
#[path = "flight_tests.rs"]
mod tests;
