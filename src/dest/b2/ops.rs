//! The calls of the service: name, what it is billed as, and the capability it needs.

use crate::net::http::Pace;

/// What Backblaze bills a call as.
#[derive(Clone, Copy)]
pub(super) enum Cost {
    A,
    B,
    C,
}

/// A call of the service.
pub(super) struct Op {
    pub(super) name: &'static str,
    pub(super) cost: Cost,
    /// Capability needed.
    pub(super) right: &'static str,
    pub(super) pace: Pace,
    /// It is about a file.
    pub(super) file: bool,
}

const fn op(name: &'static str, cost: Cost, right: &'static str, pace: Pace, file: bool) -> Op {
    Op {
        name,
        cost,
        right,
        pace,
        file,
    }
}

pub(super) const LOGIN: Op = op("b2_authorize_account", Cost::C, "", Pace::Short, false);
pub(super) const LIST_BUCKETS: Op = op(
    "b2_list_buckets",
    Cost::C,
    "listBuckets",
    Pace::Short,
    false,
);
pub(super) const CREATE_BUCKET: Op = op(
    "b2_create_bucket",
    Cost::C,
    "writeBuckets",
    Pace::Short,
    false,
);
pub(super) const LIST_NAMES: Op = op(
    "b2_list_file_names",
    Cost::C,
    "listFiles",
    Pace::List,
    false,
);
pub(super) const LIST_VERSIONS: Op = op(
    "b2_list_file_versions",
    Cost::C,
    "listFiles",
    Pace::List,
    false,
);
pub(super) const DOWNLOAD: Op = op(
    "b2_download_file_by_name",
    Cost::B,
    "readFiles",
    Pace::Download,
    true,
);
pub(super) const DELETE: Op = op(
    "b2_delete_file_version",
    Cost::A,
    "deleteFiles",
    Pace::Short,
    true,
);
pub(super) const UPLOAD_URL: Op = op(
    "b2_get_upload_url",
    Cost::A,
    "writeFiles",
    Pace::Short,
    false,
);
pub(super) const UPLOAD: Op = op("b2_upload_file", Cost::A, "writeFiles", Pace::Upload, false);
pub(super) const START_LARGE: Op = op(
    "b2_start_large_file",
    Cost::A,
    "writeFiles",
    Pace::Short,
    false,
);
pub(super) const PART_URL: Op = op(
    "b2_get_upload_part_url",
    Cost::A,
    "writeFiles",
    Pace::Short,
    false,
);
pub(super) const UPLOAD_PART: Op = op("b2_upload_part", Cost::A, "writeFiles", Pace::Upload, false);
pub(super) const FINISH_LARGE: Op = op(
    "b2_finish_large_file",
    Cost::A,
    "writeFiles",
    Pace::Upload,
    false,
);
pub(super) const CANCEL_LARGE: Op = op(
    "b2_cancel_large_file",
    Cost::A,
    "writeFiles",
    Pace::Short,
    false,
);
