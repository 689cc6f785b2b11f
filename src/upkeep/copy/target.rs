//! What the second destination of a copy holds before it begins.

use crate::base::digest::{Algo, Hash};
use crate::base::error::{Error, Kind, Result};
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::Listed;
use crate::format::aes_write;
use crate::format::names::{VolumeKind, VolumeName};
use crate::remote::Remote;
use crate::set::{Expected, Protection, Set, Volumes, hash_of};
use crate::writer::reseal::FileFacts;

/// What the target holds of the prefix. All names that it is asked about are those of the source.
pub(crate) struct Target {
    volumes: Volumes,
    pub(super) folder_exists: bool,
    /// What of it is whole, where volumes are encrypted anew, so that their lengths tell nothing.
    proved: Option<Proved>,
}

/// By number: 64 bytes a dblock, one a dindex.
struct Proved {
    /// What their dindexes state, where that is what is listed.
    dblocks: Vec<Option<FileFacts>>,
    dindexes: Vec<bool>,
    /// SHA-256 of the archives.
    dlists: Vec<Option<Hash>>,
}

impl Target {
    /// For a copy as it is. Costs a listing; 30 bytes a volume.
    pub(crate) fn list(remote: &mut Remote, ui: &mut Ui, prefix: &str) -> Result<Target> {
        let mut volumes = Volumes::new(prefix);
        let folder_exists = remote.list(ui, &mut |item| {
            match item {
                Listed::Restart => volumes = Volumes::new(prefix),
                Listed::Entry(file) => {
                    let name = VolumeName::parse(&file.name);
                    if let Some(name) = name.filter(|n| n.prefix() == prefix) {
                        volumes.add(name, file.size);
                    }
                }
            }
            Ok(())
        })?;
        volumes.seal();
        Ok(Target {
            volumes,
            folder_exists,
            proved: None,
        })
    }

    /// For a copy under another passphrase, with which `set` was opened. Costs the indexes and lists there that are not cached.
    /// `Passphrase` when what is there has another one.
    pub(crate) fn prove(set: &mut Set, ui: &mut Ui) -> Result<Target> {
        let mut dblocks = vec![None; set.volumes().dblock_count() as usize];
        let mut dindexes = vec![true; set.volumes().dindex_count()];
        let mut dlists = vec![None; set.volumes().dlists().len()];
        if !dindexes.is_empty() || !dlists.is_empty() {
            set.learn_params(ui)?;
            set.prove(ui)?;
            let (places, report) = set.load_index(ui, true, &mut |_, _| Ok(()))?;
            let resized = report.resized.iter().map(|r| &r.0);
            let damaged = report.unread.iter().chain(&report.spoilt);
            for i in damaged.chain(&report.absent).chain(resized) {
                if let Some(whole) = dindexes.get_mut(*i as usize) {
                    *whole = false;
                }
            }
            for (no, facts) in (0u32..).zip(&mut dblocks) {
                let index = places.dindex_of(no).and_then(|i| dindexes.get(i as usize));
                let expected = places.expected(no)?;
                let listed = set.volumes().dblock(no).and_then(|(_, size)| size);
                *facts = expected
                    .size
                    .filter(|size| index == Some(&true) && listed.is_none_or(|l| l == *size))
                    .map(|size| FileFacts {
                        hash: expected.hash,
                        size,
                    });
            }
        }
        for (no, whole) in dlists.iter_mut().enumerate() {
            *whole = match set.open_dlist(ui, no) {
                Ok(opened) => Some(opened.digest()?),
                Err(e) if e.kind().is_of_one_volume() => None,
                Err(e) => return Err(e),
            };
        }
        Ok(Target {
            volumes: set.volumes().clone(),
            folder_exists: set.folder_exists(),
            proved: Some(Proved {
                dblocks,
                dindexes,
                dlists,
            }),
        })
    }

    /// How many volumes of the prefix there are.
    pub(super) fn len(&self) -> u64 {
        self.volumes.len() as u64
    }

    /// Whether it holds a volume of this name, whatever it is worth.
    pub(super) fn lists(&self, name: &VolumeName) -> bool {
        self.find(name).is_some()
    }

    /// Whether it holds this volume whole: the same name and, where both lengths are known, the same length; or what was proved.
    pub(super) fn has(&self, name: &VolumeName, size: Option<u64>) -> bool {
        let Some((no, there)) = self.find(name) else {
            return false;
        };
        let Some(proved) = &self.proved else {
            return there.is_none() || size.is_none() || there == size;
        };
        match name.kind() {
            VolumeKind::Dblock => matches!(proved.dblocks.get(no), Some(Some(_))),
            VolumeKind::Dindex => proved.dindexes.get(no) == Some(&true),
            VolumeKind::Dlist => matches!(proved.dlists.get(no), Some(Some(_))),
        }
    }

    /// Refuses a target that is encrypted with another passphrase than that of the set, before anything is sent. Costs the
    /// smallest encrypted volume there.
    pub(super) fn check_passphrase(&self, set: &Set, to: &mut Remote, ui: &mut Ui) -> Result<()> {
        const TRIED: usize = 3;
        if self.proved.is_some() || set.protection() != Protection::Aes {
            return Ok(());
        }
        for (name, size) in self.volumes.smallest_sealed(TRIED) {
            if name
                .encryption()
                .is_none_or(|e| !e.eq_ignore_ascii_case("aes"))
            {
                continue;
            }
            let mut there = Spool::new(set.tmp())?;
            match to.get(ui, name.as_str(), Some(size), &mut there) {
                Ok(()) => {}
                Err(e) if e.kind().is_of_one_volume() => continue,
                Err(e) => return Err(e),
            }
            match set.opens(&there)? {
                None => {}
                Some(true) => return Ok(()),
                Some(false) => {
                    let cause = format!("{} has another passphrase", to.describe());
                    return Err(Error::new(Kind::Passphrase, cause)
                        .doing("copy")
                        .hint("give it with --new-passphrase-file or --change-passphrase, or copy to an empty folder; nothing was changed"));
                }
            }
        }
        Ok(())
    }

    /// Whether a version of this name there is whole and another one than that of the source: two backups that went on by
    /// themselves may have one of the same second. Costs a download where lengths differ.
    pub(super) fn has_another(
        &self,
        set: &mut Set,
        to: &mut Remote,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
    ) -> Result<bool> {
        if name.kind() != VolumeKind::Dlist {
            return Ok(false);
        }
        let Some((no, there)) = self.find(name) else {
            return Ok(false);
        };
        if let Some(proved) = &self.proved {
            let ours = match name.encryption() {
                None => size.map(aes_write::stored_len),
                Some(_) => size,
            };
            let Some(Some(theirs)) = proved.dlists.get(no) else {
                return Ok(false);
            };
            if ours.is_none() || ours == there {
                return Ok(false);
            }
            return match set.fetch_archive(ui, name, size, Expected::default()) {
                Ok(archive) => Ok(hash_of(&archive, Algo::Sha256)? != *theirs),
                // That of the source is damaged: nothing says that the one there is another.
                Err(e) if e.kind().is_of_one_volume() => Ok(false),
                Err(e) => Err(e),
            };
        }
        if self.has(name, size) {
            return Ok(false);
        }
        let mut stored = Spool::new(set.tmp())?;
        let got = to.get(ui, name.as_str(), there, &mut stored);
        match got.and_then(|()| set.archive_in(name, stored)) {
            Ok(_) => Ok(true),
            // What an interrupted upload left, or damage.
            Err(e) if e.kind().is_of_one_volume() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// What a dblock is there as a file, if that was proved.
    pub(super) fn file(&self, name: &VolumeName) -> Option<FileFacts> {
        let (no, _) = self.find(name)?;
        *self.proved.as_ref()?.dblocks.get(no)?
    }

    /// Number and listed length of a volume with this very name, or with the one that it has once it is encrypted anew.
    fn find(&self, name: &VolumeName) -> Option<(usize, Option<u64>)> {
        let sealed = match self.proved {
            Some(_) => name.sealed().ok()?,
            None => name.clone(),
        };
        let there = &self.volumes;
        let (no, (found, size)) = match name.kind() {
            VolumeKind::Dlist => {
                let no = there.dlists().iter().position(|d| d.0 == sealed)?;
                (no, there.dlists().get(no)?.clone())
            }
            VolumeKind::Dblock => {
                let no = there.find_dblock(&sealed)?;
                (no as usize, there.dblock(no)?)
            }
            VolumeKind::Dindex => {
                let no = there.find_dindex(&sealed)? as usize;
                (no, there.dindex(no)?)
            }
        };
        (found == sealed).then_some((no, size))
    }
}
