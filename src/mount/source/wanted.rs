//! What is asked for: a content with what its version says of it, or one block.

use crate::base::digest::BlockKey;
use crate::format::filelist::Content;
use crate::format::locator::Extent;
use crate::set::{Record, VolumeNo};

/// A content that is read, and where the version says that its blocks are.
#[derive(Clone, Copy)]
pub(in crate::mount) struct Whole<'r> {
    /// Whose it is, for reading ahead.
    pub(super) row: u64,
    pub(in crate::mount) content: &'r Content,
    /// It is the metadata of an entry.
    pub(super) meta: bool,
    pub(super) extents: &'r [Extent],
}

impl<'r> Whole<'r> {
    /// The content of a file; `None` where the version states none.
    pub(in crate::mount) fn data(row: u64, record: &'r Record) -> Option<Whole<'r>> {
        Some(Whole {
            row,
            content: record.entry.content.as_ref()?,
            meta: false,
            extents: &record.extents.data,
        })
    }

    /// The metadata of an entry; `None` where the version states none.
    pub(in crate::mount) fn meta(row: u64, record: &'r Record) -> Option<Whole<'r>> {
        Some(Whole {
            row,
            content: record.entry.meta.as_ref()?,
            meta: true,
            extents: &record.extents.meta,
        })
    }
}

/// A block that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::mount) struct Wanted {
    /// The volume in which the version says that it is.
    pub(in crate::mount) said: Option<VolumeNo>,
    pub(in crate::mount) key: BlockKey,
    /// What the caller knows it by.
    pub(in crate::mount) tag: u64,
}
