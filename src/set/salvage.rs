//! What a damaged dblock still gives. Its proof is the hash of each block, and hashes come from lists that are proved, so
//! damage costs the blocks it touches and no others. A dlist or dindex is never read this way.

use std::rc::Rc;

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::format::index::parse_block_name;
use crate::format::names::VolumeName;
use crate::format::zip_read::ZipReader;
use crate::set::volume::{Expected, Opened, only_zip, reading};
use crate::set::{RESCUED, Set};

/// Damaged volumes whose archives stay in temporary files until the run ends.
const KEPT_AT_MOST: usize = 4;
/// Damaged volumes that a run remembers.
const REMEMBERED_AT_MOST: usize = 1000;

/// The damaged dblocks that a run met, so that each is judged once.
#[derive(Default)]
pub(super) struct Judged {
    known: Vec<(VolumeName, Verdict)>,
}

enum Verdict {
    /// Here it is.
    Kept(Rc<Opened>),
    /// It has to be fetched when it is wanted again, but only once.
    Again,
    /// There is nothing in it: why.
    Nothing(Kind, String),
}

impl Judged {
    fn find(&self, name: &VolumeName) -> Option<&Verdict> {
        self.known.iter().find(|k| k.0 == *name).map(|k| &k.1)
    }

    pub(super) fn knows(&self, name: &VolumeName) -> bool {
        self.find(name).is_some()
    }

    fn remember(&mut self, name: &VolumeName, opened: &Result<Rc<Opened>>) {
        let is_kept = |k: &&(VolumeName, Verdict)| matches!(k.1, Verdict::Kept(_));
        let room = self.known.iter().filter(is_kept).count() < KEPT_AT_MOST;
        let verdict = match opened {
            Ok(opened) if opened.flaw.is_none() => return,
            Ok(opened) if room => Verdict::Kept(Rc::clone(opened)),
            Ok(_) => Verdict::Again,
            Err(e) if matches!(e.kind(), Kind::Damaged | Kind::Unreadable) => {
                Verdict::Nothing(e.kind(), e.cause().to_owned())
            }
            Err(_) => return,
        };
        if let Some(known) = self.known.iter_mut().find(|k| k.0 == *name) {
            known.1 = verdict;
        } else if self.known.len() < REMEMBERED_AT_MOST {
            self.known.push((name.clone(), verdict));
        }
    }

    /// Gives the temporary files back. False when there were none.
    pub(super) fn release(&mut self) -> bool {
        let mut any = false;
        for (_, verdict) in &mut self.known {
            if matches!(verdict, Verdict::Kept(_)) {
                *verdict = Verdict::Again;
                any = true;
            }
        }
        any
    }
}

impl Set {
    /// Downloads and opens a dblock for its blocks. What is wrong with it as a whole (its HMAC, its length or hash as the
    /// index has it, its zip directory, its manifest) is its [`Opened::flaw`]; then every block is to be compared with its
    /// hash, and any may be missing. An intact one is as from [`Set::fetch`].
    ///
    /// A damaged one is fetched once more in case the transfer was at fault: not from a local folder, not when the listing shows
    /// another length than the index, too, and not what an interrupted upload left. Then it is remembered: at most four archives are kept, further ones are fetched again when they are wanted
    /// again.
    ///
    /// `Damaged`: there is not one block in it. `Missing`, `Unsupported` and `Passphrase` as from [`Set::fetch`]; a refused
    /// passphrase that others take is `Damaged`.
    pub(crate) fn fetch_dblock(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Rc<Opened>> {
        let judged = match self.judged.find(name) {
            Some(Verdict::Kept(opened)) => return Ok(Rc::clone(opened)),
            Some(Verdict::Nothing(kind, why)) => {
                return Err(Error::new(*kind, why.as_str()).doing(reading(name)));
            }
            Some(Verdict::Again) => true,
            None => false,
        };
        // The listing has the wrong length, too: it is not the transfer.
        let changed = size.is_some() && expected.size.is_some() && size != expected.size;
        let mut opened = self.open_far(ui, name, size, expected);
        let flaw = match &opened {
            Ok(opened) => opened.flaw.clone(),
            Err(e) => (e.kind() == Kind::Damaged).then(|| e.cause().to_owned()),
        };
        if let Some(flaw) = flaw
            && !judged
            && self.remote.local_folder().is_none()
            && !self.is_leftover(name, expected)
            && !changed
        {
            drop(opened);
            let doing = reading(name);
            ui.note(&format!("cannot {doing}: {flaw}; fetching it once more"));
            opened = self.open_far(ui, name, size, expected);
        }
        let opened = opened.map(Rc::new);
        self.judged.remember(name, &opened);
        opened
    }

    fn open_far(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Opened> {
        let opened = self.look_far(ui, name, size, expected);
        match self.passphrase_or_damage(opened) {
            Err(e) if self.params.is_none() => Err(self.with_source(e)),
            other => other,
        }
    }

    /// What can be read of a file that cannot be read as a whole, and `why` as its flaw.
    fn read_around(
        &mut self,
        name: &VolumeName,
        size: Option<u64>,
        why: Error,
    ) -> Result<(Spool, Option<Error>)> {
        let mut stored = Spool::new(&self.tmp)?;
        match size {
            Some(size)
                if why.kind() == Kind::Unreadable
                    && self.remote.get_around(name.as_str(), size, &mut stored)? =>
            {
                Ok((stored, Some(why.with_kind(Kind::Damaged))))
            }
            _ => Err(why),
        }
    }

    fn look_far(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Opened> {
        only_zip(name)?;
        let (mut stored, unread) = match self.download(ui, name, size) {
            Ok(stored) => (stored, None),
            Err(e) => self.read_around(name, size, e)?,
        };
        let other = self.differs(&mut stored, expected)?;
        let (plain, unproved) = self.decrypted(name, stored, true)?;
        self.accepted |= name.encryption().is_some() && unproved.is_none();
        let mut flaw = unread.or(unproved).or(other);
        if flaw.is_none() {
            let inside = ZipReader::open(&plain).and_then(|zip| {
                let found = self.read_manifest(&zip)?;
                Ok((found, zip.layout(), zip.rescued()))
            });
            match inside {
                Ok(((params, created), layout, false)) => {
                    self.settle_params(name, params)?;
                    return Ok(Opened {
                        name: name.clone(),
                        plain,
                        layout,
                        params,
                        created,
                        flaw: None,
                    });
                }
                Ok((_, _, true)) => flaw = Some(Error::damaged(RESCUED)),
                Err(e) if e.kind() == Kind::Damaged => flaw = Some(e),
                Err(e) => return Err(e.doing(reading(name))),
            }
        }
        let flaw = flaw.ok_or_else(|| Error::bug("a volume that is not whole has a flaw"))?;
        // What a damaged volume says of the parameters is nothing to begin with.
        let Some(params) = self.params else {
            return Err(flaw.doing(reading(name)));
        };
        let mut any = false;
        let zip = ZipReader::salvage(&plain).doing(|| reading(name))?;
        let layout = zip.layout();
        zip.entries(&mut |entry, _| {
            any |= parse_block_name(entry)
                .is_some_and(|id| id.as_bytes().len() == params.block_hash.len());
            Ok(())
        })?;
        if !any {
            return Err(flaw.doing(reading(name)));
        }
        let flaw = match flaw.kind() {
            // Names of blocks came out: it was the right one.
            Kind::Passphrase => "neither its header nor its content authenticates".to_owned(),
            _ => flaw.cause().to_owned(),
        };
        Ok(Opened {
            name: name.clone(),
            plain,
            layout,
            params,
            created: None,
            flaw: Some(flaw),
        })
    }
}
