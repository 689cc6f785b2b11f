//! A file that cannot be read at a destination which is well otherwise.

use crate::base::error::Result;
use crate::base::fault::{Class, Fault};
use crate::base::sys;
use crate::base::tmp::Spool;
use crate::dest::Span;
use crate::remote::Remote;
use crate::remote::check::SpoolSink;

/// So many one after the other are a fault of the server as a whole. Not of a folder of this machine: its disk may have lost
/// any number of files.
const MOST_IN_A_ROW: u32 = 8;
/// [`Remote::get_around`] goes by pieces of this length, until so many failed.
const PIECE_BYTES: u64 = 64 << 10;
const MOST_BAD: u32 = 16;

impl Remote {
    /// Whether a final fault of reading the file `name` is the fault of this file alone; counts it then.
    pub(super) fn is_of_file(&mut self, name: &str, fault: &Fault) -> bool {
        let may_be = matches!(
            fault.class,
            Class::Transient | Class::Throttled(_) | Class::Auth | Class::Local | Class::Usage
        );
        let many = self.unreadable >= MOST_IN_A_ROW && self.local_folder().is_none();
        let is_its_own =
            self.leaves_out && may_be && !many && !sys::ends_now() && self.answers(name);
        self.unreadable += u32::from(is_its_own);
        is_its_own
    }

    /// What can be read of a file in a folder of this machine, such as one on a disk with bad sectors, into `into`, with zeros in
    /// place of the rest. Each piece of 64 KiB is tried once, and no more of them after the sixteenth that failed: a disk takes
    /// seconds for each. False when that is nothing, or the destination is none of this machine.
    pub(crate) fn get_around(&mut self, name: &str, size: u64, into: &mut Spool) -> Result<bool> {
        into.clear()?;
        let (mut at, mut bad, mut any) = (0, 0, false);
        while self.local_folder().is_some() && bad < MOST_BAD && at < size {
            let len = PIECE_BYTES.min(size - at);
            self.stats.calls += 1;
            self.stats.gets += 1;
            let mut sink = SpoolSink::new(into, &mut self.down, at, Some(at + len));
            let result = self.dest.get(name, Span::of(at, len), &mut sink);
            any |= sink.received > 0;
            self.stats.bytes_down += sink.received;
            if let Some(e) = sink.own_error {
                return Err(e);
            }
            bad += u32::from(result.is_err());
            at += len;
            into.truncate(at)?;
        }
        into.truncate(size)?;
        into.rewind()?;
        Ok(any)
    }

    /// Whether the destination answers to anything else.
    fn answers(&mut self, name: &str) -> bool {
        self.stats.calls += 1;
        let mut any = self.dest.stat(name).is_ok();
        if !any {
            self.stats.calls += 1;
            self.stats.lists += 1;
            // One entry is enough, and the rest is not waited for.
            let _ = self.dest.list("", &mut |_| {
                any = true;
                Err(Fault::new(Class::Local, "enough"))
            });
        }
        self.gather();
        any
    }
}
