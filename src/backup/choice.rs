//! What belongs to a backup, and the reasons why an entry is in or out, in the words of the options.

use std::path::PathBuf;

use crate::base::size::show_size;
use crate::base::text;
use crate::select::FilterSet;

/// What to do with symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SymlinkPolicy {
    Store,
    Follow,
    Ignore,
}

/// What to do with files that have several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HardlinkPolicy {
    All,
    First,
    None,
}

/// What belongs to the backup.
pub(crate) struct Choice {
    pub(crate) filters: FilterSet,
    pub(crate) symlinks: SymlinkPolicy,
    pub(crate) hardlinks: HardlinkPolicy,
    /// Attribute names, lower case: hidden, readonly, directory, reparsepoint, normal.
    pub(crate) exclude_attributes: Vec<String>,
    /// Bytes; larger files are left out.
    pub(crate) larger_than: Option<u64>,
    /// A folder with an entry of such a name is left out whole.
    pub(crate) ignore_names: Vec<String>,
    pub(crate) exclude_empty_folders: bool,
    /// Honour the extended attributes that ask for exclusion.
    pub(crate) exclusion_attributes: bool,
    pub(crate) one_file_system: bool,
    /// Sources inside another one, as `Source::path`: file systems that hold no files are entered for them.
    pub(crate) named: Vec<Vec<u8>>,
    /// Absolute paths of sources that are not there.
    pub(crate) absent: Vec<Vec<u8>>,
    /// The destination's folder on this machine: where links are followed, the walk may come to it by one.
    pub(crate) own: Option<PathBuf>,
}

/// Why an entry was left out, or taken.
pub(crate) enum Reason {
    Source,
    Special,
    Hardlink,
    IgnoreName(String),
    Attribute(&'static str),
    /// Number of the deciding rule, `None` when no rule matched.
    Filter(Option<usize>),
    SymlinkPolicy,
    TooLarge(u64),
    OtherFileSystem,
    /// A file system that holds no files, such as proc.
    PseudoFileSystem,
    EmptyFolder,
    /// A file in which a restore puts something together.
    Leftover,
    /// Extended attribute of this name.
    AskedFor(String),
}

impl Reason {
    /// For `test-filters`.
    pub(crate) fn explain(&self, filters: &FilterSet) -> String {
        match self {
            Reason::Source => "a source".to_owned(),
            Reason::Special => "device, pipe or socket".to_owned(),
            Reason::Hardlink => "--hardlink-policy".to_owned(),
            Reason::IgnoreName(name) => format!(
                "the folder holds {} (--ignore-filenames)",
                text::safe(name.as_bytes())
            ),
            Reason::Attribute(name) => format!("--exclude-files-attributes={name}"),
            Reason::Filter(Some(rule)) => filters.rule_text(*rule),
            Reason::Filter(None) => "no rule matches".to_owned(),
            Reason::SymlinkPolicy => "--symlink-policy=Ignore".to_owned(),
            Reason::TooLarge(size) => {
                format!("{} is more than --skip-files-larger-than", show_size(*size))
            }
            Reason::OtherFileSystem => "another file system (--one-file-system)".to_owned(),
            Reason::PseudoFileSystem => {
                "the kernel's own file system; name it as a source to take it".to_owned()
            }
            Reason::Leftover => "left by a restore that was ended".to_owned(),
            Reason::EmptyFolder => "--exclude-empty-folders".to_owned(),
            Reason::AskedFor(name) => format!("its extended attribute {name} asks for that"),
        }
    }
}
