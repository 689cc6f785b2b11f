//! Which dblock is asked for before it is wanted, and when there is room for it.
//!
//! Temporary space: where a volume is read whole there are two files of its size while it is decrypted, and one from then on. The
//! next one comes beside these two where as much again stays free, else beside the one.

use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::FLIES;
use crate::set::shelf::Share;
use crate::set::volume::{Expected, only_zip};
use crate::set::{Set, VolumeNo};

impl Set {
    /// Volumes can be asked for before they are wanted.
    pub(crate) fn looks_ahead(&self) -> bool {
        self.remote.looks_ahead()
    }

    /// Says which dblock will be opened after `now`, which is to be opened next or is worked on. It has to be certain: it is
    /// asked for as soon as the other one is here.
    pub(crate) fn expect(&mut self, now: VolumeNo, next: Option<(VolumeNo, Expected, Share)>) {
        if !self.looks_ahead() {
            return;
        }
        let now = self.volumes.dblock(now).map(|(name, _)| name);
        let next = next.and_then(|(no, expected, share)| {
            let (name, size) = self.volumes.dblock(no)?;
            let size = size?;
            let in_parts = share.is_in_parts(size)
                && expected.size.is_none_or(|stated| stated == size)
                && self.takes_key(&name).is_some();
            let is_fetched = only_zip(&name).is_ok() && !self.judged.knows(&name);
            (is_fetched && !in_parts).then_some((name, size))
        });
        let now = now.as_ref().map_or("", |name| name.as_str());
        let next = next.as_ref().map(|(name, size)| (name.as_str(), *size));
        self.remote.expect(now, next);
    }

    /// No dblock will be opened after the one that is worked on.
    pub(crate) fn expect_none(&mut self) {
        self.remote.drop_ahead();
    }

    /// To be called often while a volume is worked on: takes in what has come of the next one, without waiting for it.
    pub(crate) fn look_ahead(&mut self, ui: &mut Ui) {
        if !FLIES {
            return;
        }
        self.ask_ahead(ui, 0);
        self.remote.look_ahead();
    }

    /// A volume is on its way that was asked for.
    pub(crate) fn is_ahead(&self) -> bool {
        self.remote.is_ahead()
    }

    /// As [`Set::look_ahead`], and asks for nothing.
    pub(crate) fn take_ahead(&mut self) {
        self.remote.look_ahead();
    }

    /// Asks for what is expected, if it is not asked for yet and there is room. `beside`: bytes that will be written in the meantime.
    pub(super) fn ask_ahead(&mut self, ui: &mut Ui, beside: u64) {
        let Some(size) = self.remote.expected() else {
            return;
        };
        let need = match beside {
            0 => size,
            beside => size.saturating_add(beside).saturating_mul(2),
        };
        if self.tmp.need(need).is_ok()
            && let Ok(spool) = Spool::new(&self.tmp)
        {
            self.remote.ask_ahead(ui, spool);
        }
    }
}
