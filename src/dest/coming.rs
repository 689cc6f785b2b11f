//! A download on its way that has a conversation with the server for itself, until that is wanted for something else.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;

use crate::base::fault::{Class, Done, Fault};
use crate::base::transfer::{FLIES, Incoming, Sink};

/// A conversation that is busy with a download.
pub(super) trait Fetching: 'static {
    type Session;

    /// Bytes that have come; 0 at the end, `None` when there are none yet. Waits for nothing.
    fn read(&mut self, buf: &mut [u8]) -> Done<Option<usize>>;

    /// All that has not been read; what is still to come is waited for.
    fn copy(&mut self, into: &mut dyn Write) -> Done<()>;

    /// Brings what is under way to an end, so that the next reply is the one to the next request: the conversation, if it can be
    /// gone on with. What came until then may still be read.
    fn leave(&mut self) -> Option<Self::Session>;
}

/// The last download that was left for later, with its conversation.
pub(super) struct Lane<T>(Option<Rc<RefCell<T>>>);

impl<T> Default for Lane<T> {
    fn default() -> Lane<T> {
        Lane(None)
    }
}

impl<T: Fetching> Lane<T> {
    /// Leaves a download to who has no time for it now, or waits for all of it: then the conversation comes back, too.
    pub(super) fn hand(
        &mut self,
        fetching: T,
        into: &mut dyn Sink,
    ) -> (Done<()>, Option<T::Session>) {
        let shared = Rc::new(RefCell::new(fetching));
        let rest = Box::new(Coming {
            fetching: shared.clone(),
            fault: Cell::new(None),
        });
        match into.later(rest) {
            None => {
                self.0 = Some(shared);
                (Ok(()), None)
            }
            Some(mut rest) => {
                let done = rest.copy(into);
                let session = shared.borrow_mut().leave();
                (done, session)
            }
        }
    }

    /// Somebody still wants what is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|f| Rc::strong_count(f) > 1)
    }

    /// The conversation of a download that nobody reads any more.
    pub(super) fn idle(&mut self) -> Option<T::Session> {
        match FLIES && !self.is_busy() {
            true => self.back(),
            false => None,
        }
    }

    /// The conversation; a download on its way in it is broken off.
    pub(super) fn back(&mut self) -> Option<T::Session> {
        let fetching = self.0.take().filter(|_| FLIES)?;
        fetching.borrow_mut().leave()
    }
}

/// Such a download for who reads it.
struct Coming<T> {
    fetching: Rc<RefCell<T>>,
    /// Why it cannot be read on.
    fault: Cell<Option<Fault>>,
}

impl<T: Fetching> Incoming for Coming<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.fetching.borrow_mut().read(buf) {
            Ok(Some(n)) => Ok(n),
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fault) => {
                self.fault.set(Some(fault));
                Err(io::Error::other("see the fault"))
            }
        }
    }

    fn copy(&mut self, into: &mut dyn Write) -> Done<()> {
        self.fetching.borrow_mut().copy(into)
    }

    fn fault(&self, _: &io::Error) -> Fault {
        self.fault.take().unwrap_or_else(broken_off)
    }
}

/// What became of a download whose conversation was wanted for something else: whoever wants the file goes on at once.
pub(super) fn broken_off() -> Fault {
    Fault::new(Class::Stopped, "the download was broken off")
}
