//! An upload on its way that has a conversation with the server for itself, and brings it back when it lands.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::base::fault::Done;
use crate::base::sys;
use crate::base::transfer::{Flight, NextBytes, Strip};

/// A conversation that is busy with an upload.
pub(super) trait Busy {
    /// As [`Flight::advance`].
    fn advance(&mut self, next: &mut NextBytes<'_>) -> bool;

    /// What has to become ready for more to be moved, and whether to be written to; `None` where only time helps.
    fn watched(&self) -> Option<(RawFd, bool)>;

    /// Nothing more is moved; `ended`: it has come to its end. See [`Flight::land`].
    fn land(&mut self, ended: bool) -> bool;
}

/// What an upload that was sent on its way came to, by the name of the file: the conversation with it, or why it was not begun.
pub(super) type Landed<T> = (String, Done<T>);

/// An upload on its way.
pub(super) struct Sailing<T> {
    name: String,
    begun: Done<T>,
    ended: bool,
    strip: Strip<Landed<T>>,
}

impl<T: Busy + 'static> Sailing<T> {
    /// `strip`: where it comes back to.
    pub(super) fn send(
        name: &str,
        begun: Done<T>,
        strip: &Strip<Landed<T>>,
    ) -> Option<Box<dyn Flight>> {
        strip.replace(None);
        Some(Box::new(Sailing {
            name: name.to_owned(),
            ended: begun.is_err(),
            begun,
            strip: strip.clone(),
        }))
    }
}

impl<T: Busy> Flight for Sailing<T> {
    fn advance(&mut self, next: &mut NextBytes<'_>) -> bool {
        if let (Ok(busy), false) = (&mut self.begun, self.ended) {
            self.ended = busy.advance(next);
        }
        self.ended
    }

    fn wait(&self, at_most: Duration) {
        let busy = self.begun.as_ref().ok().filter(|_| !self.ended);
        match busy.and_then(T::watched) {
            // Who waits looks by itself whether the run ends.
            Some((fd, writes)) => drop(sys::await_ready(fd, writes, at_most)),
            None => drop(sys::sleep_until_end(at_most)),
        }
    }

    fn land(mut self: Box<Self>) -> bool {
        let whole = match &mut self.begun {
            Ok(busy) => busy.land(self.ended),
            Err(_) => false,
        };
        self.strip.replace(Some((self.name, self.begun)));
        whole
    }
}
