//! The folder that caches are in: which one it is, made private to its owner.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

use crate::base::error::{Doing, Error, Result};
use crate::base::sys;

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
