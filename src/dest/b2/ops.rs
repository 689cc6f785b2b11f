//! The calls of the service: name, what it is billed as, and the capability it needs.

use crate::net::http::Pace;
use crate::net::service::Verb::{self, Delete, Get, List, Login, MakeFolder, Put};

/// What Backblaze bills a call as.
#[derive(Clone, Copy)]
pub(super) enum Cost {
    A,
    B,
    C,
}
use Cost::{A, B, C};

/// A call of the service.
pub(super) struct Op {
    pub(super) name: &'static str,
    pub(super) cost: Cost,
    /// Capability needed.
    pub(super) right: &'static str,
    pub(super) pace: Pace,
    pub(super) verb: Verb,
}

const fn op(name: &'static str, cost: Cost, right: &'static str, pace: Pace, verb: Verb) -> Op {
    Op {
        name,
        cost,
        right,
        pace,
        verb,
    }
}

const QUICK: Pace = Pace::Short;
const PAGE: Pace = Pace::List;
const SEND: Pace = Pace::Upload;
const WRITE: &str = "writeFiles";

pub(super) const LOGIN: Op = op("b2_authorize_account", C, "", QUICK, Login);
pub(super) const LIST_BUCKETS: Op = op("b2_list_buckets", C, "listBuckets", QUICK, List);
pub(super) const CREATE_BUCKET: Op = op("b2_create_bucket", C, "writeBuckets", QUICK, MakeFolder);
pub(super) const LIST_NAMES: Op = op("b2_list_file_names", C, "listFiles", PAGE, List);
pub(super) const LIST_VERSIONS: Op = op("b2_list_file_versions", C, "listFiles", PAGE, List);
pub(super) const DOWNLOAD: Op = op(
    "b2_download_file_by_name",
    B,
    "readFiles",
    Pace::Download,
    Get,
);
pub(super) const DELETE: Op = op("b2_delete_file_version", A, "deleteFiles", QUICK, Delete);
pub(super) const UPLOAD_URL: Op = op("b2_get_upload_url", A, WRITE, QUICK, Put);
pub(super) const UPLOAD: Op = op("b2_upload_file", A, WRITE, SEND, Put);
pub(super) const START_LARGE: Op = op("b2_start_large_file", A, WRITE, QUICK, Put);
pub(super) const PART_URL: Op = op("b2_get_upload_part_url", A, WRITE, QUICK, Put);
pub(super) const UPLOAD_PART: Op = op("b2_upload_part", A, WRITE, SEND, Put);
pub(super) const FINISH_LARGE: Op = op("b2_finish_large_file", A, WRITE, SEND, Put);
pub(super) const CANCEL_LARGE: Op = op("b2_cancel_large_file", A, WRITE, QUICK, Put);
