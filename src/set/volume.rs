//! One volume: fetched, checked, decrypted into an unnamed file, its manifest read. Whole or not at all; what a damaged dblock
//! still gives is in `salvage`.

use crate::base::digest::{Algo, Hash};
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::format::aes_read;
use crate::format::manifest::{self, Params};
use crate::format::names::{VolumeKind, VolumeName};
use crate::format::zip_read::{Layout, ZipReader};
use crate::remote::Meanwhile;
use crate::set::{Protection, Set, Share, gpg};

/// A decrypted volume on disk, not in memory.
pub(crate) struct Opened {
    pub(crate) name: VolumeName,
    /// The zip archive, and how its entries are found.
    pub(super) plain: Spool,
    pub(super) layout: Layout,
    pub(crate) params: Params,
    /// When it was made, as its manifest says.
    pub(super) created: Option<Timestamp>,
    /// What is wrong with a dblock as a whole. Then only its blocks count, each by its hash.
    pub(crate) flaw: Option<String>,
}

impl Opened {
    /// SHA-256 of the archive.
    pub(crate) fn digest(&self) -> Result<Hash> {
        hash_of(&self.plain, Algo::Sha256)
    }

    /// The archive; of a volume with a flaw whatever can be found in it (see [`ZipReader::salvage`]).
    pub(crate) fn zip(&self) -> ZipReader<'_> {
        ZipReader::again(&self.plain, self.layout)
    }
}

/// `read VOLUME`, for errors.
pub(crate) fn reading(name: &VolumeName) -> String {
    format!("read volume {}", text::safe(name.as_str().as_bytes()))
}

/// What a dindex says a dblock must be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Expected {
    pub(crate) hash: Option<Hash>,
    pub(crate) size: Option<u64>,
}

impl Set {
    /// Downloads and opens a volume. Two temporary files of its size exist for a moment, one remains.
    ///
    /// `Missing`: listed but not there. `Damaged`: size, hash, encryption, archive or manifest is wrong. `Passphrase`: refused
    /// by its header. `Unsupported`: other archive, encryption or parameters than this destination's.
    ///
    /// What came damaged over a network is fetched once more from its start: the damage may be the line's. Not so a dblock
    /// that no index describes although others are: it is what an interrupted upload left.
    pub(crate) fn fetch(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Opened> {
        match self.fetch_once(ui, name, size, expected) {
            Err(e)
                if e.kind() == Kind::Damaged
                    && self.remote.local_folder().is_none()
                    && !self.is_leftover(name, expected) =>
            {
                ui.note(&format!("{e}; fetching it once more"));
                self.fetch_once(ui, name, size, expected)
            }
            Err(e) if self.params.is_none() => Err(self.with_source(e)),
            other => other,
        }
    }

    /// As [`Set::fetch`], once, for a volume that no index describes as it is: also the hash of the file as stored, by `algo`,
    /// and its length in bytes.
    pub(crate) fn fetch_hashed(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
        algo: Algo,
    ) -> Result<(Opened, Hash, u64)> {
        let mut both = None;
        let opened = self.fetch_with(ui, name, size, expected, &mut |stored| {
            both = Some((digest(stored, algo)?, stored.len()?));
            Ok(())
        });
        let opened = self.passphrase_or_damage(opened)?;
        let (hash, length) = both.ok_or_else(|| Error::bug("a fetched volume was hashed"))?;
        Ok((opened, hash, length))
    }

    pub(super) fn is_leftover(&self, name: &VolumeName, expected: Expected) -> bool {
        name.kind() == VolumeKind::Dblock
            && expected.hash.is_none()
            && expected.size.is_none()
            && self.volumes.dindex_count() > 0
    }

    fn fetch_once(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Opened> {
        self.fetch_with(ui, name, size, expected, &mut |_| Ok(()))
    }

    /// `look` is shown the file as stored.
    fn fetch_with(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
        look: &mut dyn FnMut(&mut Spool) -> Result<()>,
    ) -> Result<Opened> {
        let mut stored = self.download(ui, name, size)?;
        if let Some(e) = self.differs(&mut stored, expected)? {
            return Err(e.doing(reading(name)));
        }
        look(&mut stored)?;
        let plain = self.decrypt(name, stored)?;
        self.accepted |= name.encryption().is_some();
        only_zip(name)?;
        let (params, created, layout) = ZipReader::open(&plain)
            .and_then(|zip| {
                let (params, created) = self.read_manifest(&zip)?;
                Ok((params, created, zip.layout()))
            })
            .doing(|| reading(name))?;
        self.settle_params(name, params)?;
        Ok(Opened {
            name: name.clone(),
            plain,
            layout,
            params,
            created,
            flaw: None,
        })
    }

    /// The file as it is stored.
    pub(super) fn download(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
    ) -> Result<Spool> {
        let mut stored = Spool::new(&self.tmp)?;
        if let Some(size) = size {
            let here = self.remote.has_ahead(name.as_str());
            let files = if name.encryption().is_some() { 2 } else { 1 };
            let need = size.saturating_mul(files).saturating_sub(here);
            match self.tmp.need(need) {
                Err(_) if self.judged.release() => self.tmp.need(need)?,
                enough => enough?,
            }
        }
        self.remote.get(ui, name.as_str(), size, &mut stored)?;
        self.ask_ahead(ui, size.unwrap_or(0).max(1));
        Ok(stored)
    }

    /// `Damaged` for a stored file that is not what its index says.
    pub(super) fn differs(
        &mut self,
        stored: &mut Spool,
        expected: Expected,
    ) -> Result<Option<Error>> {
        let length = stored.len()?;
        if let Some(wanted) = expected.size.filter(|&s| s != length) {
            let what = format!("it has {length} bytes, its index says {wanted}");
            return Ok(Some(Error::damaged(what)));
        }
        let Some(wanted) = expected.hash else {
            return Ok(None);
        };
        let same = self.digest(stored, Algo::Sha256)? == wanted
            || self.matches_file_hash(stored, &wanted)?;
        Ok((!same).then(|| Error::damaged("its hash differs from the one in its index")))
    }

    /// Makes the first volume's parameters those of the set; `Unsupported` for a volume with others.
    pub(super) fn settle_params(&mut self, name: &VolumeName, params: Params) -> Result<()> {
        match self.params {
            Some(known) if !agree(&known, &params) => Err(Error::new(
                Kind::Unsupported,
                format!(
                    "its manifest says {}, the rest of the backup uses {}",
                    describe(&params),
                    describe(&known)
                ),
            )
            .doing(reading(name))),
            Some(_) => Ok(()),
            None => {
                self.params = Some(params);
                Ok(())
            }
        }
    }

    /// Volume hashes are SHA-256 in old backups and the file hash algorithm in new ones (R23a).
    fn matches_file_hash(&mut self, stored: &mut Spool, wanted: &Hash) -> Result<bool> {
        for algo in [Algo::Md5, Algo::Sha1, Algo::Sha384, Algo::Sha512] {
            if algo.len() == wanted.as_bytes().len() {
                return Ok(self.digest(stored, algo)? == *wanted);
            }
        }
        Ok(false)
    }

    /// As [`digest`], while what was asked for comes in.
    fn digest(&mut self, spool: &mut Spool, algo: Algo) -> Result<Hash> {
        let hash = hash_while(spool, algo, &mut || self.remote.look_ahead())?;
        spool.rewind()?;
        Ok(hash)
    }

    pub(super) fn decrypt(&mut self, name: &VolumeName, stored: Spool) -> Result<Spool> {
        let (plain, flaw) = self.decrypted(name, stored, false)?;
        match flaw {
            None => Ok(plain),
            Some(flaw) => Err(flaw.doing(reading(name))),
        }
    }

    /// `far`: with what came out in spite of a flaw, which is given beside it; else nothing that has one need be written.
    pub(super) fn decrypted(
        &mut self,
        name: &VolumeName,
        mut stored: Spool,
        far: bool,
    ) -> Result<(Spool, Option<Error>)> {
        stored.rewind()?;
        let no_passphrase = || {
            Error::new(
                Kind::Passphrase,
                "it is encrypted and there is no passphrase",
            )
            .hint("give one with --passphrase-file, PASSPHRASE or --passphrase")
        };
        let encryption = name.encryption().map(str::to_ascii_lowercase);
        match encryption.as_deref() {
            None => Ok((stored, None)),
            Some("aes") => {
                let key = self.passphrase.as_ref();
                let key = key.ok_or_else(|| no_passphrase().doing(reading(name)))?;
                let mut plain = Spool::new(&self.tmp)?;
                let mut stored = Meanwhile {
                    remote: &mut self.remote,
                    inner: &mut stored,
                };
                let flaw = if far {
                    aes_read::decrypt_far(&mut stored, &key.secret, &mut plain)
                } else {
                    aes_read::decrypt(&mut stored, &key.secret, &mut plain).map(|_| None)
                }
                .doing(|| reading(name))?;
                plain.rewind()?;
                Ok((plain, flaw))
            }
            Some("gpg") => gpg::decrypt(
                &self.gpg_program,
                &stored,
                self.passphrase(),
                self.protection == Protection::Aes,
                &self.tmp,
            )
            .doing(|| reading(name)),
            Some(_) => Err(Error::bug("a volume's name has a known ending")),
        }
    }

    pub(super) fn read_manifest(
        &mut self,
        zip: &ZipReader<'_>,
    ) -> Result<(Params, Option<Timestamp>)> {
        let entry = zip
            .find(b"manifest")?
            .ok_or_else(|| Error::damaged("it has no manifest"))?;
        let mut reader = zip.reader(entry, &mut self.inflater)?;
        manifest::read_manifest(&mut reader)
    }

    /// Learns the parameters from the newest readable dlist, else from a dindex, and so proves the passphrase. Does nothing
    /// when they are known. `Passphrase` only when no volume accepts the passphrase.
    pub(crate) fn learn_params(&mut self, ui: &mut Ui) -> Result<Params> {
        if let Some(params) = self.params {
            return Ok(params);
        }
        let mut first: Option<Error> = None;
        for no in 0..self.volumes.dlists().len().min(3) {
            match self.open_dlist(ui, no) {
                Ok(_) => break,
                Err(e) if e.kind().is_volume_or_key() => first = first.or(Some(e)),
                Err(e) => return Err(e),
            }
        }
        if self.params.is_none() {
            self.list_rest(ui)?;
        }
        for i in 0..self.volumes.dindex_count().min(3) {
            if self.params.is_some() {
                break;
            }
            if let Some((name, size)) = self.volumes.dindex(i) {
                match self.fetch(ui, &name, size, Expected::default()) {
                    Ok(_) => {}
                    Err(e) if e.kind().is_volume_or_key() => first = first.or(Some(e)),
                    Err(e) => return Err(e),
                }
            }
        }
        if self.params.is_none() && first.is_none() && self.volumes.dblock_count() > 0 {
            self.shelf(ui, 0, Expected::default(), Share::All)?;
        }
        match (self.params, first) {
            (Some(params), _) => Ok(params),
            (None, Some(e)) => Err(e),
            (None, None) => Err(Error::new(
                Kind::Missing,
                "the destination holds no readable volume",
            )),
        }
    }

    /// The dlist of version `no`, kept open for the next call. Learns the parameters.
    pub(crate) fn open_dlist(&mut self, ui: &mut Ui, no: usize) -> Result<&Opened> {
        if self.last_dlist.as_ref().is_none_or(|(n, _)| *n != no) {
            self.last_dlist = None;
            let (name, size) = self
                .volumes
                .dlists()
                .get(no)
                .cloned()
                .ok_or_else(|| Error::bug("a version number was resolved"))?;
            let mut opened = self.fetch(ui, &name, size, Expected::default());
            if let Err(e) = &opened
                && e.kind() == Kind::Passphrase
                && self.try_another(ui, no)?
            {
                opened = Err(Error::new(e.kind(), e.cause()).doing(reading(&name)));
            }
            let opened = self.passphrase_or_damage(opened)?;
            self.last_dlist = Some((no, opened));
        }
        match &self.last_dlist {
            Some((_, opened)) => Ok(opened),
            None => Err(Error::bug("the dlist was just opened")),
        }
    }

    /// A header that refuses a passphrase which other volumes accepted is damage. Once volumes that are not encrypted could be
    /// read, a wrong passphrase is no reason to stop either.
    pub(crate) fn passphrase_or_damage<T>(&self, result: Result<T>) -> Result<T> {
        match result {
            Err(e)
                if e.kind() == Kind::Passphrase
                    && self.params.is_some()
                    && self.passphrase.is_some() =>
            {
                Err(e.with_kind(Kind::Damaged).hint(if self.accepted {
                    "other volumes accept the passphrase, so this one is damaged"
                } else {
                    "the volumes read so far are not encrypted, so the passphrase may be wrong"
                }))
            }
            other => other,
        }
    }
}

/// `Unsupported` for an archive that is no zip, by its name.
pub(super) fn only_zip(name: &VolumeName) -> Result<()> {
    if name.compression().eq_ignore_ascii_case("zip") {
        return Ok(());
    }
    let what = text::safe(name.compression().as_bytes());
    let cause = format!("it is a {what} archive; only zip is supported");
    Err(Error::new(Kind::Unsupported, cause).doing(reading(name)))
}

/// The version of the manifest may differ within one backup, the parameters may not.
fn agree(a: &Params, b: &Params) -> bool {
    (a.block_size, a.block_hash, a.file_hash) == (b.block_size, b.block_hash, b.file_hash)
}

fn describe(p: &Params) -> String {
    format!(
        "blocks of {} bytes, {} and {}",
        p.block_size,
        p.block_hash.name(),
        p.file_hash.name()
    )
}

/// Digest of a whole spool; leaves it rewound.
pub(crate) fn digest(spool: &mut Spool, algo: Algo) -> Result<Hash> {
    let hash = hash_of(spool, algo)?;
    spool.rewind()?;
    Ok(hash)
}

/// As [`digest`] without moving anything.
pub(crate) fn hash_of(spool: &Spool, algo: Algo) -> Result<Hash> {
    hash_while(spool, algo, &mut || {})
}

/// As [`hash_of`]; `between` two pieces something else may be done.
fn hash_while(spool: &Spool, algo: Algo, between: &mut dyn FnMut()) -> Result<Hash> {
    let mut hasher = algo.hasher();
    let mut buffer = vec![0; 64 * 1024];
    let (len, mut at) = (spool.len()?, 0);
    while at < len {
        let n = usize::try_from(len - at).map_or(buffer.len(), |n| n.min(buffer.len()));
        spool.read_at(&mut buffer[..n], at)?;
        hasher.update(&buffer[..n]);
        at += n as u64;
        between();
    }
    Ok(hasher.finish())
}
