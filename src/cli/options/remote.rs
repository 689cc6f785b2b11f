//! Options of `remote test`, named as those of Duplicati's tester, and of `copy`.

use super::options;
use crate::base::opt::Kind::{Flag, Int, Path, Secret, Size, Word};

const REMOTE: &[&str] = &["remote"];
const COPY: &[&str] = &["copy"];

options! { LIST:
    TEST_FILES = "number-of-files", Int(1), "3", REMOTE, "Files that 'remote test' writes, reads and deletes.";
    TEST_LEAST = "min-file-size", Size(1), "1kb", REMOTE, "Smallest file of 'remote test'.";
    TEST_MOST = "max-file-size", Size(1), "100kb", REMOTE, "Largest file of 'remote test'.";
    TEST_ROUNDS = "reruns", Int(1), "1", REMOTE, "How often 'remote test' does it all.";
    LOGIN_PORT = "oauth-port", Int(0), "53682", REMOTE, "Port of this machine at which 'remote login' waits for the browser.";
    LOGIN_TOKEN = "oauth-login-token", Secret, "", REMOTE, "Personal login token of the provider, good for one use, with which 'remote login' needs no browser: for jottacloud.";
    COPY_VERIFY = "verify", Flag, "", COPY, "Reads each volume that 'copy' sent back and compares it.";
    CHANGE_PASSPHRASE = "change-passphrase", Flag, "", COPY, "The copy gets another passphrase: from one of the next three, from NEW_PASSPHRASE, or asked for at the terminal.";
    NEW_PASSPHRASE = "new-passphrase", Secret, "", COPY, "Passphrase of the copy.";
    NEW_PASSPHRASE_FILE = "new-passphrase-file", Path, "", COPY, "File whose first line is the passphrase of the copy.";
    NEW_PASSPHRASE_COMMAND = "new-passphrase-command", Word, "", COPY, "Shell command whose first line of output is the passphrase of the copy.";
}
