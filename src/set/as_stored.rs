//! Volumes as they are stored: fetched and proved, not opened, or opened to be encrypted anew. For copies.

use std::io;

use crate::base::error::{Doing, Error, Kind, Result, unwrap_io};
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::format::aes_read;
use crate::format::aes_slice::AesSlice;
use crate::format::names::VolumeName;
use crate::format::zip_read::ZipReader;
use crate::remote::Meanwhile;
use crate::set::volume::{Expected, only_zip, reading};
use crate::set::{Protection, Set, gpg};

impl Set {
    /// Downloads a volume as it is stored, rewound, and proves it: by the hash that its index states, else by what encrypts it
    /// or by the checksums of a plain archive. Temporary space: its size, twice that with gpg. What comes damaged over a network
    /// is fetched once more.
    ///
    /// `Missing`: listed but not there. `Damaged`: it is not what it should be. `Unsupported`: another archive or encryption.
    pub(crate) fn fetch_stored(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Spool> {
        let mut found = self.stored_once(ui, name, size, expected);
        if let Err(e) = &found
            && e.kind() == Kind::Damaged
            && self.local_folder().is_none()
        {
            ui.note(&format!("{e}; fetching it once more"));
            found = self.stored_once(ui, name, size, expected);
        }
        self.passphrase_or_damage(found)
    }

    /// As [`Set::fetch_stored`], then decrypted: the archive, rewound. Temporary space: twice the size of the volume.
    pub(crate) fn fetch_archive(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Spool> {
        let stored = self.fetch_stored(ui, name, size, expected)?;
        let archive = self.decrypt(name, stored);
        let mut archive = self.passphrase_or_damage(archive)?;
        archive.rewind()?;
        Ok(archive)
    }

    /// The archive in a file that has this name elsewhere. Errors as those of a volume of the set.
    pub(crate) fn archive_in(&mut self, name: &VolumeName, stored: Spool) -> Result<Spool> {
        let archive = self.decrypt(name, stored);
        let mut archive = self.passphrase_or_damage(archive)?;
        ZipReader::open(&archive)?;
        archive.rewind()?;
        Ok(archive)
    }

    /// Whether a file elsewhere is encrypted with the passphrase of the set; `None` where it does not tell.
    pub(crate) fn opens(&self, stored: &Spool) -> Result<Option<bool>> {
        let Some(secret) = self.passphrase() else {
            return Ok(None);
        };
        match AesSlice::open_head(stored, secret) {
            Ok(_) => Ok(Some(true)),
            Err(e) if e.kind() == Kind::Passphrase => Ok(Some(false)),
            Err(e) if e.kind().is_of_one_volume() => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn stored_once(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Spool> {
        let mut stored = self.download(ui, name, size)?;
        if let Some(e) = self.differs(&mut stored, expected)? {
            return Err(e.doing(reading(name)));
        }
        if expected.hash.is_none() {
            self.is_sound(name, &mut stored).doing(|| reading(name))?;
        }
        stored.rewind()?;
        Ok(stored)
    }

    /// `Damaged` unless all of a stored file is what was once written.
    fn is_sound(&mut self, name: &VolumeName, stored: &mut Spool) -> Result<()> {
        stored.rewind()?;
        let encryption = name.encryption().map(str::to_ascii_lowercase);
        let secret = self.passphrase.as_ref().map(|known| &known.secret);
        match (encryption.as_deref(), secret) {
            (Some("aes"), Some(secret)) => {
                let mut stored = Meanwhile {
                    remote: &mut self.remote,
                    inner: stored,
                };
                aes_read::decrypt(&mut stored, secret, &mut io::sink()).map(drop)
            }
            (Some("gpg"), _) => {
                let program = self.gpg_program.as_str();
                let symmetric = self.protection() == Protection::Aes;
                let (_, flaw) = gpg::decrypt(program, stored, secret, symmetric, &self.tmp)?;
                flaw.map_or(Ok(()), Err)
            }
            (None, _) => {
                only_zip(name)?;
                let zip = ZipReader::open(&*stored)?;
                if zip.rescued() {
                    return Err(Error::damaged("the directory of its archive is damaged"));
                }
                let inflater = &mut self.inflater;
                zip.entries(&mut |_, entry| {
                    let mut reader = zip.reader(entry, inflater)?;
                    io::copy(&mut reader, &mut io::sink())
                        .map(drop)
                        .map_err(unwrap_io)
                })
            }
            _ => Err(Error::new(
                Kind::Passphrase,
                "there is no passphrase for it",
            )),
        }
    }
}
