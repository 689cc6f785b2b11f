//! Layer 4: what is there. [`Set`] is one destination as this run's listing shows it: volumes, versions, parameters, and
//! the ways to read them. What a set knows never changes after it was opened.

mod blocks;
mod cache;
mod cache_folder;
mod files;
mod gpg;
mod lock;
mod members;
mod places;
mod versions;
mod volume;
mod volumes;

pub(crate) use blocks::{IndexReport, Seen};
pub(crate) use cache::{Cache, Looked, Previous};
pub(crate) use cache_folder::default_folder;
pub(crate) use files::{Record, Stamp};
pub(crate) use lock::RunLock;
pub(crate) use members::{Members, broken};
pub(crate) use places::{PLACE_LEN, Places, PlacesReader, split as split_place};
pub(crate) use versions::VersionChoice;
pub(crate) use volume::{Expected, Opened, digest};
pub(crate) use volumes::{Added, StateSum, VolumeNo, Volumes};

use crate::base::digest::Hash;
use crate::base::error::{Error, Kind, Result};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::dest::Listed;
use crate::format::deflate::Inflater;
use crate::format::manifest::Params;
use crate::format::names::{Prefix, VolumeName};
use crate::remote::Remote;

/// The prefix of new destinations (`format.md` 2).
pub(crate) const DEFAULT_PREFIX: &str = "duplicati";

/// Asked for the passphrase once the listing shows that one is needed.
pub(crate) type AskPassphrase<'a> = dyn FnMut(&mut Ui, Need) -> Result<Option<Secret>> + 'a;

/// Why a passphrase is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Encrypted volumes are there, and the first one read proves the passphrase.
    ToRead,
    /// The destination will be written and holds nothing that proves a passphrase.
    ToCreate,
}

/// What `Set::open` needs beside the remote.
pub(crate) struct SetOptions {
    pub(crate) prefix: Option<Prefix>,
    /// The command will write: an empty or missing folder is no error.
    pub(crate) writing: bool,
    pub(crate) case_insensitive: bool,
    /// Program to run for `.gpg` volumes.
    pub(crate) gpg_program: String,
    pub(crate) cache: Cache,
    /// Keeps other runs on this machine out as long as the set lives.
    pub(crate) lock: Option<RunLock>,
}

/// A destination as one listing shows it.
pub(crate) struct Set {
    remote: Remote,
    tmp: Tmp,
    prefix: Prefix,
    volumes: Volumes,
    passphrase: Option<Secret>,
    gpg_program: String,
    params: Option<Params>,
    /// An encrypted volume was read with the passphrase.
    accepted: bool,
    inflater: Inflater,
    cache: Cache,
    /// False when the destination's folder does not exist yet.
    folder_exists: bool,
    /// Files in the folder that are not volumes of this prefix.
    strays: u64,
    /// Names are matched without case.
    any_case: bool,
    _lock: Option<RunLock>,
    /// The last dlist that was opened, kept so that looking and reading cost one download.
    last_dlist: Option<(usize, Opened)>,
}

impl Set {
    /// Lists the destination, picks the prefix and asks for the passphrase if the listing shows encrypted volumes. Reads no
    /// volume. `Missing` when there is no backup and `writing` is off.
    pub(crate) fn open(
        mut remote: Remote,
        tmp: Tmp,
        options: SetOptions,
        ui: &mut Ui,
        ask: &mut AskPassphrase<'_>,
    ) -> Result<Set> {
        let (found, folder_exists, strays) = list(&mut remote, &options, ui)?;
        let (prefix, volumes) = pick(found, &options, &remote)?;
        if volumes.repeated > 0 {
            let what = text::count(volumes.repeated, "name");
            ui.warn(
                "repeated-names",
                &format!("the destination lists {what} more than once"),
            );
        }
        if volumes.len() == 0 && !options.writing {
            let at = remote.describe().to_owned();
            let cause = if folder_exists {
                "there is no backup in it"
            } else {
                "the folder does not exist"
            };
            return Err(Error::new(Kind::Missing, cause)
                .doing(format!("read {at}"))
                .hint("check the URL and --prefix"));
        }
        // dblocks alone, of a first backup that was cut short, are not read.
        let proof = !volumes.dlists().is_empty() || volumes.dindex_count() > 0;
        let passphrase = match (volumes.len() == 0, volumes.any_encrypted()) {
            (false, false) => None,
            (false, true) if proof || !options.writing => ask(ui, Need::ToRead)?,
            _ => ask(ui, Need::ToCreate)?,
        };
        Ok(Set {
            remote,
            tmp,
            prefix,
            volumes,
            passphrase,
            gpg_program: options.gpg_program,
            params: None,
            accepted: false,
            inflater: Inflater::new(),
            cache: options.cache,
            folder_exists,
            strays,
            any_case: options.case_insensitive,
            _lock: options.lock,
            last_dlist: None,
        })
    }

    pub(crate) fn remote(&mut self) -> &mut Remote {
        &mut self.remote
    }

    /// The folder of a destination on this machine.
    pub(crate) fn local_folder(&self) -> Option<std::path::PathBuf> {
        self.remote.local_folder()
    }

    pub(crate) fn tmp(&self) -> &Tmp {
        &self.tmp
    }

    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub(crate) fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    pub(crate) fn folder_exists(&self) -> bool {
        self.folder_exists
    }

    pub(crate) fn strays(&self) -> u64 {
        self.strays
    }

    pub(crate) fn passphrase(&self) -> Option<&Secret> {
        self.passphrase.as_ref()
    }

    pub(crate) fn cache(&mut self) -> &mut Cache {
        &mut self.cache
    }

    pub(crate) fn inflater(&mut self) -> &mut Inflater {
        &mut self.inflater
    }

    /// Parameters of the destination, known once any volume was opened.
    pub(crate) fn params(&self) -> Option<Params> {
        self.params
    }

    /// Versions, newest first: their times.
    pub(crate) fn versions(&self) -> impl Iterator<Item = Timestamp> {
        self.volumes.dlists().iter().filter_map(|d| d.0.time())
    }

    /// Name and listed size of version `no` (0 = newest).
    pub(crate) fn dlist(&self, no: usize) -> Option<(&VolumeName, Option<u64>)> {
        self.volumes.dlists().get(no).map(|d| (&d.0, d.1))
    }

    /// Digest of the listing: equal states mean equal destinations.
    pub(crate) fn state(&self) -> Hash {
        self.volumes.state()
    }

    /// Adds this run's uploads to the listing, so that what follows needs no further one. Numbers of volumes change.
    pub(crate) fn grow(&mut self, add: &mut dyn FnMut(&mut Volumes) -> Result<()>) -> Result<()> {
        self.last_dlist = None;
        self.folder_exists = true;
        let done = add(&mut self.volumes);
        self.volumes.seal();
        done
    }

    /// Lists again, for a look at what changed while the command ran.
    pub(crate) fn list_again(&mut self, ui: &mut Ui) -> Result<Volumes> {
        let mut all = Volumes::new(self.prefix.as_str());
        let prefix = self.prefix.clone();
        self.each_listed(ui, &mut |volume| match volume {
            None => all = Volumes::new(prefix.as_str()),
            Some((name, size)) => all.add(name, size),
        })?;
        all.seal();
        Ok(all)
    }

    /// As [`Set::list_again`], only the state, in no memory. A name that is listed twice counts twice.
    pub(crate) fn state_again(&mut self, ui: &mut Ui) -> Result<Hash> {
        let mut sum = StateSum::default();
        self.each_listed(ui, &mut |volume| match volume {
            None => sum = StateSum::default(),
            Some((name, size)) => sum.add(&name, size),
        })?;
        Ok(sum.finish())
    }

    /// Lists; `each` gets a volume of the prefix, or `None` when the listing starts again.
    fn each_listed(
        &mut self,
        ui: &mut Ui,
        each: &mut dyn FnMut(Option<(VolumeName, Option<u64>)>),
    ) -> Result<()> {
        let (prefix, any_case) = (self.prefix.as_str(), self.any_case);
        self.remote.list(ui, &mut |listed| {
            match listed {
                Listed::Restart => each(None),
                Listed::Entry(file) => {
                    if let Some(name) = parse_name(&file.name, any_case)
                        .filter(|n| same_prefix(prefix, n.prefix(), any_case))
                    {
                        each(Some((name, file.size)));
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn parse_name(name: &str, any_case: bool) -> Option<VolumeName> {
    if any_case {
        VolumeName::parse_any_case(name)
    } else {
        VolumeName::parse(name)
    }
}

fn same_prefix(a: &str, b: &str, any_case: bool) -> bool {
    a == b || any_case && a.eq_ignore_ascii_case(b)
}

/// Volumes by prefix, in order of first appearance; more prefixes than this are not a backup folder.
const PREFIXES_AT_MOST: usize = 64;

fn list(
    remote: &mut Remote,
    options: &SetOptions,
    ui: &mut Ui,
) -> Result<(Vec<Volumes>, bool, u64)> {
    let mut found: Vec<Volumes> = Vec::new();
    let mut strays = 0u64;
    let wanted = options.prefix.as_ref().map(|p| p.as_str().to_owned());
    let any_case = options.case_insensitive;
    let exists = remote.list(ui, &mut |listed| {
        let file = match listed {
            Listed::Restart => {
                found.clear();
                strays = 0;
                return Ok(());
            }
            Listed::Entry(file) => file,
        };
        let name = parse_name(&file.name, any_case).filter(|n| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|w| same_prefix(w, n.prefix(), any_case))
        });
        let Some(name) = name else {
            strays += 1;
            return Ok(());
        };
        let at = found
            .iter()
            .position(|v| same_prefix(v.prefix(), name.prefix(), any_case));
        let at = match at {
            Some(i) => i,
            None if found.len() < PREFIXES_AT_MOST => {
                // Volumes keep their names; what is written gets the usual spelling.
                let lower = any_case.then(|| name.prefix().to_ascii_lowercase());
                found.push(Volumes::new(lower.as_deref().unwrap_or(name.prefix())));
                found.len() - 1
            }
            None => {
                strays += 1;
                return Ok(());
            }
        };
        found[at].add(name, file.size);
        Ok(())
    })?;
    for volumes in &mut found {
        volumes.seal();
    }
    Ok((found, exists, strays))
}

fn pick(
    mut found: Vec<Volumes>,
    options: &SetOptions,
    remote: &Remote,
) -> Result<(Prefix, Volumes)> {
    if let Some(prefix) = &options.prefix {
        let volumes = found.pop().unwrap_or_else(|| Volumes::new(prefix.as_str()));
        return Ok((prefix.clone(), volumes));
    }
    let names = || {
        found
            .iter()
            .map(|v| text::safe(v.prefix().as_bytes()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match found.len() {
        0 => Ok((Prefix::parse(DEFAULT_PREFIX)?, Volumes::new(DEFAULT_PREFIX))),
        1 if !options.writing || found[0].prefix() == DEFAULT_PREFIX => {
            let volumes = found.remove(0);
            Ok((Prefix::parse(volumes.prefix())?, volumes))
        }
        1 => Err(Error::new(
            Kind::Missing,
            format!("it holds a backup with the prefix {}", names()),
        )
        .doing(format!("write to {}", remote.describe()))
        .hint(format!(
            "give --prefix={} to continue it, or another folder",
            names()
        ))),
        _ => Err(Error::new(
            Kind::Missing,
            format!("it holds backups with several prefixes: {}", names()),
        )
        .doing(format!("use {}", remote.describe()))
        .hint("choose one with --prefix=NAME")),
    }
}
