//! A finished volume on its way while the next is packed: one at most. It has landed, with its index after it, before anything
//! else is published, so that what becomes visible does so in the order in which it does without.

use crate::base::error::Result;
use crate::base::transfer::FLIES;
use crate::base::ui::Ui;
use crate::remote::{Remote, RemoteMut, Sending};
use crate::writer::pack::Finished;
use crate::writer::{Writer, permit};

/// A volume on its way. Its spool stays: an upload that fails begins anew.
pub(super) struct Air {
    finished: Finished,
    sending: Sending,
}

impl Air {
    /// Moves what can be moved without waiting.
    pub(super) fn advance(&mut self, remote: &mut Remote) {
        remote.advance(&mut self.sending, &self.finished.stored);
    }
}

impl Writer<'_> {
    /// Goes on with what is on its way, without waiting: to be called often by who reads or walks. What it comes to shows later.
    pub(crate) fn tick(&mut self) {
        if let Some(air) = &mut self.air
            && FLIES
        {
            air.advance(self.set.remote());
        }
    }

    /// The number that the volume being filled gets: those on their way come before it.
    pub(super) fn next_number(&self) -> u32 {
        self.set.volumes().dblock_count() + self.sent + u32::from(self.air.is_some())
    }

    /// Ends the open volume, and sends it on its way once the one before it has landed; where that cannot be, it is uploaded.
    pub(super) fn send_off(&mut self, ui: &mut Ui) -> Result<()> {
        let Some(mut finished) = self.end_pack(ui)? else {
            return Ok(());
        };
        self.land(ui)?;
        // Beside this volume the next one and its index need room.
        let fits = || self.set.tmp().need(self.room()).is_ok();
        if !FLIES || !self.options.overlapped || !fits() {
            return self.put_finished(ui, finished);
        }
        self.get_ready(ui, &finished.name, &finished.stored, finished.size)?;
        let mut remote = RemoteMut::new(self.set.remote(), permit(self.permit.as_ref())?);
        let sending = remote.launch(
            ui,
            finished.name.as_str(),
            &mut finished.stored,
            &finished.digests,
        )?;
        match sending {
            Some(sending) => {
                self.air = Some(Air { finished, sending });
                self.tick();
                Ok(())
            }
            None => {
                let name = finished.name.as_str();
                remote.put(ui, name, &mut finished.stored, &finished.digests)?;
                self.arrived(ui, finished)
            }
        }
    }

    /// A volume is there: counts it, and uploads its index.
    fn arrived(&mut self, ui: &mut Ui, finished: Finished) -> Result<()> {
        self.stats.stored_bytes += finished.size;
        self.put_index(ui, finished)
    }

    /// Waits for what is on its way, and uploads its index.
    pub(super) fn land(&mut self, ui: &mut Ui) -> Result<()> {
        let Some(Air {
            mut finished,
            sending,
        }) = self.air.take().filter(|_| FLIES)
        else {
            return Ok(());
        };
        let mut remote = RemoteMut::new(self.set.remote(), permit(self.permit.as_ref())?);
        let spool = (&mut finished.stored, &finished.digests);
        remote.land(ui, finished.name.as_str(), spool, sending)?;
        self.arrived(ui, finished)
    }

    /// Before a block is put into a volume: what has landed gets its index, and what has not is waited for where the temporary
    /// folder has no room for a further volume beside it.
    pub(super) fn make_room(&mut self, ui: &mut Ui) -> Result<()> {
        let Some(air) = self.air.as_ref().filter(|_| FLIES) else {
            return Ok(());
        };
        let full = || self.pack.is_none() && self.set.tmp().need(self.room()).is_err();
        match air.sending.has_ended() || full() {
            true => self.land(ui),
            false => Ok(()),
        }
    }

    /// Waits for what is on its way; to be called where a run ends without a [`Writer::commit`].
    pub(crate) fn settle(&mut self, ui: &mut Ui) -> Result<()> {
        match self.air.is_some() {
            true => self.step(|writer| writer.land(ui)),
            false => Ok(()),
        }
    }

    /// Breaks off what is on its way: the run has failed.
    pub(super) fn abandon(&mut self) {
        let Some(Air {
            mut finished,
            sending,
        }) = self.air.take().filter(|_| FLIES)
        else {
            return;
        };
        if let Ok(permit) = permit(self.permit.as_ref()) {
            let name = finished.name.as_str();
            RemoteMut::new(self.set.remote(), permit).abandon(name, &mut finished.stored, sending);
        }
    }
}

#[cfg(test)]
#[path = "air_tests.rs"]
mod tests;
