//! An upload on its way, with the conversation that it was begun in.

use std::os::fd::RawFd;

use super::session::Session;
use super::upload::Upload;
use crate::base::transfer::NextBytes;
use crate::dest::sailing::Busy;

/// A conversation, and an upload that was begun in it.
pub(super) struct Begun {
    pub(super) session: Session,
    pub(super) upload: Upload,
}

impl Busy for Begun {
    fn advance(&mut self, next: &mut NextBytes<'_>) -> bool {
        self.upload.sending.move_on(&mut self.session.control, next)
    }

    fn watched(&self) -> Option<(RawFd, bool)> {
        self.upload.sending.watched(&self.session.control)
    }

    fn land(&mut self, ended: bool) -> bool {
        self.upload.sending.land(ended)
    }
}
