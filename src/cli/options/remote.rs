//! Options of `remote test`, named as those of Duplicati's tester, and of `copy`.

use super::options;
use crate::base::opt::Kind::{Flag, Int, Size};

const REMOTE: &[&str] = &["remote"];
const COPY: &[&str] = &["copy"];

options! { LIST:
    TEST_FILES = "number-of-files", Int(1), "3", REMOTE, "Files that 'remote test' writes, reads and deletes.";
    TEST_LEAST = "min-file-size", Size(1), "1kb", REMOTE, "Smallest file of 'remote test'.";
    TEST_MOST = "max-file-size", Size(1), "100kb", REMOTE, "Largest file of 'remote test'.";
    TEST_ROUNDS = "reruns", Int(1), "1", REMOTE, "How often 'remote test' does it all.";
    COPY_VERIFY = "verify", Flag, "", COPY, "Reads each volume that 'copy' sent back and compares it.";
}
