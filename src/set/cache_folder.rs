//! The folder that caches are in: which one it is, made private to its owner.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::base::bytes;
use crate::base::digest::Algo;
use crate::base::error::{Doing, Error, Result};
use crate::base::sys;

/// Layout of a cache's files; another number is another folder, so unknown layouts are simply not found.
const LAYOUT: u32 = 2;

/// Caches of other accounts that are looked at.
const SIBLINGS_AT_MOST: usize = 16;

/// Hexadecimal digits of a folder's name that stand for the place; as many stand for the account.
const PLACE_DIGITS: usize = 16;

/// Whose cache it is. Holds no secret.
pub(crate) struct Owner {
    /// Server, bucket or folder, and prefix of the volumes' names: the same text however they were given.
    pub(crate) place: String,
    /// Who logs in there; empty for nobody.
    pub(crate) account: String,
}

impl Owner {
    /// One word of 32 hexadecimal digits.
    pub(crate) fn id(&self) -> String {
        let half = |text: &str| {
            let hash = Algo::Sha256.hash(text.as_bytes());
            bytes::hex(&hash.as_bytes()[..PLACE_DIGITS / 2])
        };
        half(&self.place) + &half(&self.account)
    }

    pub(super) fn folder_name(&self) -> String {
        format!("{}-v{LAYOUT}", self.id())
    }
}

/// Caches of the same place for other accounts.
pub(super) fn siblings(own: &Path) -> Vec<PathBuf> {
    let (Some(name), Some(parent)) = (own.file_name().and_then(|n| n.to_str()), own.parent())
    else {
        return Vec::new();
    };
    let (Some(place), Some(layout)) = (name.get(..PLACE_DIGITS), name.get(2 * PLACE_DIGITS..))
    else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let same = |other: &str| {
        other != name
            && other.len() == name.len()
            && other.starts_with(place)
            && other.ends_with(layout)
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(same))
        .filter(|path| private(path, &parent.to_owned()).is_ok())
        .take(SIBLINGS_AT_MOST)
        .collect()
}

/// Puts the folder `other` in the place of `own`, which holds nothing that counts.
pub(super) fn replace(own: &Path, other: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(own)? {
        fs::remove_file(entry?.path())?;
    }
    fs::rename(other, own)
}

/// Where caches are without `--cache-dir`: `$DUPLET_CACHE`, `$XDG_CACHE_HOME/duplet`, for root `/var/cache/duplet`, else
/// `~/.cache/duplet`; `None` when no home folder is known.
pub(crate) fn default_folder() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set("DUPLET_CACHE") {
        return Some(folder);
    }
    if let Some(folder) = set("XDG_CACHE_HOME").filter(|p| p.is_absolute()) {
        return Some(folder.join("duplet"));
    }
    if sys::effective_uid() == 0 {
        return Some(PathBuf::from("/var/cache/duplet"));
    }
    set("HOME")
        .filter(|p| p.is_absolute())
        .map(|h| h.join(".cache/duplet"))
}

/// Makes the folder private to us, and marks its parent as a cache for other backup programs.
pub(super) fn private(folder: &PathBuf, parent: &PathBuf) -> Result<PathBuf> {
    let doing = || "use the cache folder".to_owned();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .doing(doing)?;
    for place in [parent, folder] {
        let meta = fs::symlink_metadata(place).doing(doing)?;
        if !meta.is_dir() || meta.uid() != sys::effective_uid() {
            return Err(Error::new(
                crate::base::error::Kind::Local,
                "it is not a folder of this user",
            )
            .doing(doing()));
        }
    }
    let mode = fs::metadata(folder).doing(doing)?.mode();
    if mode & 0o077 != 0 {
        return Err(
            Error::new(crate::base::error::Kind::Local, "other users may enter it").doing(doing()),
        );
    }
    let tag = parent.join("CACHEDIR.TAG");
    if !tag.exists() {
        // Only a courtesy to other programs.
        let _tagged = fs::write(
            tag,
            "Signature: 8a477f597d28d172789f06886806bc55\n# cache of duplet; may be deleted at any time\n",
        );
    }
    Ok(folder.clone())
}
