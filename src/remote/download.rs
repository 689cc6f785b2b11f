//! Downloads: a whole file into a spool, or a span of one wherever the caller wants it; interrupted ones go on where they
//! stopped.

use std::io::{self, Write};
use std::time::Instant;

use crate::base::digest::Algo;
use crate::base::error::{Error, Kind, Result, unwrap_io};
use crate::base::fault::{Class, Done, Fault};
use crate::base::sys;
use crate::base::text;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::{GetFacts, Sink, Span};
use crate::remote::Remote;
use crate::remote::check::{Pace, SpoolSink};
use crate::remote::retry::Attempts;

/// Bytes of new data after which failures of a download are forgotten.
const PROGRESS_BYTES: u64 = 1 << 20;
/// Listed files that stayed absent or unreadable through all attempts, after which the next ones get a single further chance
/// each: a destination that lost its files must not cost all waits for every one of them.
const PATIENT_WITH: u32 = 3;
/// What reading a span came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Bytes passed on: fewer than asked for where the file ends before.
    pub(crate) len: u64,
    /// Length of the whole file, if the server states it.
    pub(crate) total: Option<u64>,
    /// The server cannot send parts: what stands before the span was read, too, and thrown away.
    pub(crate) from_start: bool,
}

/// What an attempt to download a file came to.
pub(super) struct Attempt {
    begun: Instant,
    result: Done<GetFacts>,
    /// Bytes of the file that are here.
    have: u64,
    /// All bytes that arrived.
    received: u64,
    /// More bytes came than expected.
    too_long: bool,
    own_error: Option<Error>,
    /// Its failure is none of the server's, and not counted.
    pub(super) spared: bool,
}

impl Attempt {
    pub(super) fn of(begun: Instant, result: Done<GetFacts>, sink: SpoolSink<'_>) -> Attempt {
        Attempt {
            begun,
            result,
            have: sink.position(),
            received: sink.received,
            too_long: sink.too_long,
            own_error: sink.own_error,
            spared: false,
        }
    }
}

impl Remote {
    /// Fetches a file into `into`, which is emptied first and rewound at the end. An interrupted transfer goes on where it
    /// stopped. `size` is what the listing said; any other length is damage. The caller has seen the file in a listing or a
    /// look-up: one that is not there is tried again like a passing fault, then it is `Missing`.
    pub(crate) fn get(
        &mut self,
        ui: &mut Ui,
        name: &str,
        size: Option<u64>,
        into: &mut Spool,
    ) -> Result<()> {
        into.clear()?;
        let doing = format!(
            "download {} from {}",
            text::safe(name.as_bytes()),
            self.shown
        );
        let mut attempts = Attempts::new(self.policy);
        let stops = sys::stops_requested();
        let (mut have, mut best) = (0, 0);
        let mut first = self.first_attempt(name, size, into);
        loop {
            let done = match first.take() {
                Some(done) => done,
                None => self.attempt(name, size, have, into),
            };
            have = done.have;
            self.stats.bytes_down += done.received;
            if let Some(e) = done.own_error {
                return Err(e.doing(doing));
            }
            self.asked(&doing, done.begun, done.result.as_ref().err(), ui);
            let result = match done.result {
                _ if done.too_long => Err(Fault::new(
                    Class::Integrity,
                    format!("it is longer than the {} bytes listed", size.unwrap_or(0)),
                )),
                Ok(facts) => complete(have, size, &facts, into),
                Err(_) if done.spared => continue,
                Err(fault) => Err(fault),
            };
            let fault = match result {
                Ok(()) => {
                    into.rewind()?;
                    self.used = true;
                    self.unreadable = 0;
                    self.stats.files_down += 1;
                    return Ok(());
                }
                Err(fault) => fault,
            };
            if matches!(fault.class, Class::Integrity | Class::Protocol) {
                into.clear()?;
                have = 0;
            }
            if have >= best + PROGRESS_BYTES {
                attempts.reset();
            }
            best = best.max(have);
            self.again_or_absent(&mut attempts, (name, fault), &doing, stops, ui)?;
        }
    }

    /// One request for what follows the first `have` bytes of a file.
    fn attempt(&mut self, name: &str, size: Option<u64>, have: u64, into: &mut Spool) -> Attempt {
        self.stats.calls += 1;
        self.stats.gets += 1;
        let begun = Instant::now();
        let mut sink = SpoolSink::new(into, &mut self.down, have, size);
        let result = self.dest.get(name, Span::starting(have), &mut sink);
        Attempt::of(begun, result, sink)
    }

    /// Passes the bytes `from..from + len` of a file to `into`, fewer only where the file ends before; `into.restart()` makes
    /// it begin again with `from`. Retried, and gone on with, as [`Remote::get`] does; nothing is known of the file's hash, so
    /// that the caller has to prove what came. At worst `from + len` bytes are read, where the server cannot send parts.
    pub(crate) fn read_span(
        &mut self,
        ui: &mut Ui,
        name: &str,
        from: u64,
        len: u64,
        into: &mut dyn Sink,
    ) -> Result<Passed> {
        let doing = format!(
            "read a part of {} from {}",
            text::safe(name.as_bytes()),
            self.shown
        );
        let mut passed = Passed {
            len: 0,
            total: None,
            from_start: false,
        };
        let mut attempts = Attempts::new(self.policy);
        let stops = sys::stops_requested();
        let mut best = 0;
        while passed.len < len {
            self.stats.calls += 1;
            self.stats.gets += 1;
            let span = Span::of(from.saturating_add(passed.len), len - passed.len);
            let mut sink = SpanSink::new(into, &mut self.down, span);
            let begun = Instant::now();
            let result = self.dest.get(name, span, &mut sink);
            passed.len += sink.wanted - span.from;
            passed.from_start |= sink.from_start;
            self.stats.bytes_down += sink.received;
            let own_error = sink.own_error;
            if let Some(e) = own_error {
                return Err(e.doing(doing));
            }
            self.asked(&doing, begun, result.as_ref().err(), ui);
            let fault = match result {
                Ok(facts) => {
                    passed.total = facts.total;
                    let there = facts.total.map(|total| total.saturating_sub(from).min(len));
                    match there.filter(|&there| passed.len < there) {
                        None => break,
                        Some(there) => cut_short(passed.len, there),
                    }
                }
                Err(fault) => fault,
            };
            if matches!(fault.class, Class::Integrity | Class::Protocol) {
                into.restart().map_err(unwrap_io)?;
                passed.len = 0;
            }
            if passed.len >= best + PROGRESS_BYTES {
                attempts.reset();
            }
            best = best.max(passed.len);
            self.again_or_absent(&mut attempts, (name, fault), &doing, stops, ui)?;
        }
        self.used = true;
        self.unreadable = 0;
        Ok(passed)
    }

    /// As [`Remote::again`] for a file that was seen in a listing or by a look-up.
    fn again_or_absent(
        &mut self,
        attempts: &mut Attempts,
        (name, fault): (&str, Fault),
        doing: &str,
        stops: u32,
        ui: &mut Ui,
    ) -> Result<()> {
        let next = match fault.class {
            Class::NotFound | Class::FolderMissing if self.believes_absence => Err(fault),
            Class::NotFound | Class::FolderMissing => {
                let text = match fault.class {
                    Class::NotFound => "it is listed but cannot be read: not found".to_owned(),
                    _ => fault.text,
                };
                let fault = Fault { text, ..fault };
                // What is gone from a folder of this machine does not come back in a moment.
                match self.dest.local_folder() {
                    Some(_) => Err(fault),
                    None => attempts.absent(fault, self.absent >= PATIENT_WITH),
                }
            }
            Class::Transient if self.unreadable >= PATIENT_WITH => attempts.absent(fault, true),
            _ => {
                self.hear(&fault);
                attempts.failed(fault, self.heard)
            }
        };
        let next = match next {
            Err(fault) if self.is_of_file(name, &fault) => {
                return Err(self.error(fault, doing).with_kind(Kind::Unreadable));
            }
            next => next,
        };
        if let Err(fault) = &next
            && matches!(fault.class, Class::NotFound | Class::FolderMissing)
        {
            self.absent += 1;
        }
        self.wait_for(attempts, next, doing, stops, ui)
    }
}

/// Where a bounded span goes: to the caller, without what is sent before it, and paced.
struct SpanSink<'a> {
    into: &'a mut dyn Sink,
    pace: &'a mut Pace,
    /// Position in the file of the byte that comes next.
    at: u64,
    /// Position of the one that the caller gets next.
    wanted: u64,
    end: u64,
    received: u64,
    from_start: bool,
    /// The caller's own error or a stop, which the destination may have taken for the network's.
    own_error: Option<Error>,
}

impl<'a> SpanSink<'a> {
    fn new(into: &'a mut dyn Sink, pace: &'a mut Pace, span: Span) -> SpanSink<'a> {
        SpanSink {
            into,
            pace,
            at: span.from,
            wanted: span.from,
            end: span.end(),
            received: 0,
            from_start: false,
            own_error: None,
        }
    }

    fn keep(&mut self, e: io::Error) -> io::Error {
        self.own_error.get_or_insert_with(|| unwrap_io(e));
        io::Error::other("local error")
    }
}

impl Write for SpanSink<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let passed = self.pace.pass(data.len());
        passed.map_err(|e| self.keep(e))?;
        let within = |position: u64| {
            let ahead = usize::try_from(position.saturating_sub(self.at));
            ahead.map_or(data.len(), |n| n.min(data.len()))
        };
        let wanted = &data[within(self.wanted)..within(self.end)];
        let done = self.into.write_all(wanted);
        done.map_err(|e| self.keep(e))?;
        self.wanted += wanted.len() as u64;
        self.at += data.len() as u64;
        self.received += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for SpanSink<'_> {
    fn restart(&mut self) -> io::Result<()> {
        self.at = 0;
        self.from_start = true;
        Ok(())
    }
}

/// The fault of a transfer that ended without an error, but before it was whole.
fn cut_short(have: u64, of: u64) -> Fault {
    Fault::new(
        Class::Transient,
        format!("the transfer ended after {have} of {of} bytes"),
    )
}

/// Compares what arrived with what was announced.
fn complete(
    have: u64,
    listed: Option<u64>,
    facts: &GetFacts,
    spool: &mut Spool,
) -> std::result::Result<(), Fault> {
    if let Some(total) = facts.total.filter(|&total| have < total) {
        return Err(cut_short(have, total));
    }
    if let Some(expected) = listed.or(facts.total).filter(|&n| n != have) {
        return Err(Fault::new(
            Class::Integrity,
            format!("it has {have} bytes, {expected} were expected"),
        ));
    }
    let Some(stated) = facts.sha1 else {
        return Ok(());
    };
    let mut hasher = Algo::Sha1.hasher();
    let mut buffer = [0; 16 * 1024];
    let mut at = 0;
    while at < have {
        let n = usize::try_from(have - at).map_or(buffer.len(), |n| n.min(buffer.len()));
        spool
            .read_at(&mut buffer[..n], at)
            .map_err(|e| Fault::new(Class::Local, e.to_string()))?;
        hasher.update(&buffer[..n]);
        at += n as u64;
    }
    if hasher.finish().as_bytes() == stated {
        Ok(())
    } else {
        Err(Fault::new(
            Class::Integrity,
            "its SHA-1 is not the one the server states",
        ))
    }
}
