//! A file that cannot be read at a destination which is well otherwise.

use crate::base::error::{Error, Kind};
use crate::base::fault::{Class, Fault};
use crate::base::sys;
use crate::remote::Remote;

/// So many one after the other are a fault of the server as a whole. Not of a folder of this machine: its disk may have lost
/// any number of files.
const MOST_IN_A_ROW: u32 = 8;

impl Remote {
    /// The error that a final fault of reading the file `name` becomes, if it is the fault of this file alone.
    pub(super) fn unreadable(&mut self, name: &str, fault: &Fault, doing: &str) -> Option<Error> {
        let may_be = matches!(
            fault.class,
            Class::Transient | Class::Throttled(_) | Class::Auth | Class::Local | Class::Usage
        );
        let many = self.unreadable >= MOST_IN_A_ROW && self.local_folder().is_none();
        if !self.leaves_out || !may_be || many || sys::ends_now() || !self.answers(name) {
            return None;
        }
        self.unreadable += 1;
        let fault = Fault {
            class: fault.class,
            text: fault.text.clone(),
            hint: fault.hint.clone(),
        };
        Some(self.error(fault, doing).with_kind(Kind::Unreadable))
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
