//! Options of `remote test`, named as those of Duplicati's tester.

use super::options;
use crate::base::opt::Kind::{Int, Size};

const REMOTE: &[&str] = &["remote"];

options! { LIST:
    TEST_FILES = "number-of-files", Int(1), "3", REMOTE, "Files that 'remote test' writes, reads and deletes.";
    TEST_LEAST = "min-file-size", Size(1), "1kb", REMOTE, "Smallest file of 'remote test'.";
    TEST_MOST = "max-file-size", Size(1), "100kb", REMOTE, "Largest file of 'remote test'.";
    TEST_ROUNDS = "reruns", Int(1), "1", REMOTE, "How often 'remote test' does it all.";
}
