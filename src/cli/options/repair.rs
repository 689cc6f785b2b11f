//! What is taken out of versions, and how lost volumes are made good.

use super::options;
use crate::base::opt::Kind::Flag;

const FORCED: &[&str] = &["purge", "repair"];
const BROKEN: &[&str] = &["purge-broken-files"];
const REPAIR: &[&str] = &["repair"];

options! { LIST:
    FORCE = "force", Flag, "", FORCED, "Lets purge take more than half of all entries, and repair delete the index of a volume that is gone.";
    REBUILD = "rebuild-missing-dblock-files", Flag, "", REPAIR, "Looks for lost blocks in the files of this machine that they came from, and stores them again.";
    NO_REPLACE_METADATA = "disable-replace-missing-metadata", Flag, "", BROKEN, "Takes out what lost only its metadata, too, instead of leaving it without.";
}
