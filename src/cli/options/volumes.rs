//! What is written: blocks, volumes, names, compression, and how the destination is checked.

use super::{ALL_COMMANDS, BACKUP, WRITING, options};
use crate::base::opt::Kind::{Choice, Flag, Int, Size, Word};

const HASHES: &[&str] = &["MD5", "SHA1", "SHA256", "SHA384", "SHA512"];
const SKIPPING: &[&str] = &["backup", "restore"];
const TESTING: &[&str] = &["verify", "backup"];

options! { LIST:
    DBLOCK_SIZE = "dblock-size" | "remote-volume-size", Size(1 << 20), "50mb", WRITING, "Size of a volume, without a suffix in MiB; may change at any time.";
    BLOCKSIZE = "blocksize", Size(1024), "1mb", BACKUP, "Length of a block, without a suffix in KiB; fixed by the first backup.";
    BLOCK_HASH = "block-hash-algorithm", Choice(HASHES), "SHA256", BACKUP, "Hash of a block; fixed by the first backup.";
    FILE_HASH = "file-hash-algorithm", Choice(HASHES), "SHA256", BACKUP, "Hash of a file; fixed by the first backup.";
    PREFIX = "prefix", Word, "duplicati", ALL_COMMANDS, "First part of every volume's name; tells several backups in one folder apart.";
    COMPRESSION_MODULE = "compression-module", Choice(&["zip"]), "zip", BACKUP, "What a volume is packed as; there is only zip.";
    ZIP_LEVEL = "zip-compression-level" | "compression-level", Int(0), "3", WRITING, "How hard to compress, 0 (not at all) to 9.";
    ZIP_METHOD = "zip-compression-method", Choice(&["Deflate", "None"]), "Deflate", WRITING, "How entries of a volume are compressed.";
    SKIP_METADATA = "skip-metadata", Flag, "", SKIPPING, "Neither stores nor restores times, owners, modes and attributes; links keep their target.";
    NEW_BACKUP = "new-backup", Flag, "", BACKUP, "Begins a new backup although the one that was there has vanished, or although the folder holds other files.";
    SYNCHRONOUS_UPLOAD = "synchronous-upload", Flag, "", BACKUP, "Waits for each volume to be uploaded before the next is packed.";
    UPLOAD_UNCHANGED = "upload-unchanged-backups", Flag, "", BACKUP, "Adds a version even when nothing changed.";
    NO_BACKEND_VERIFICATION = "no-backend-verification", Flag, "", BACKUP, "Does not look again at the listing before a version is published, and checks no samples.";
    BACKUP_TEST_SAMPLES = "backup-test-samples", Int(0), "0", BACKUP, "How many volumes of each kind to download and check after a backup that uploaded something.";
    FULL_REMOTE_VERIFICATION = "full-remote-verification", Choice(&["True", "False", "ListAndIndexes", "IndexesOnly"]), "False", TESTING, "What verify looks into: all volumes (True), a sample (False), all lists and index volumes, or all index volumes.";
    CASE_INSENSITIVE = "case-insensitive-remote", Flag, "", ALL_COMMANDS, "Compares the names of volumes without regard to case.";
}
