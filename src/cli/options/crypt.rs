//! Passphrases and where they come from.

use super::{ALL_COMMANDS, BACKUP, options};
use crate::base::opt::Kind::{Choice, Flag, Path, Secret, Word};

options! { LIST:
    PASSPHRASE = "passphrase", Secret, "", ALL_COMMANDS, "Passphrase of the backup; also from PASSPHRASE, or asked for at the terminal.";
    PASSPHRASE_FILE = "passphrase-file", Path, "", ALL_COMMANDS, "File whose first line is the passphrase.";
    PASSPHRASE_COMMAND = "passphrase-command", Word, "", ALL_COMMANDS, "Shell command whose first line of output is the passphrase.";
    PASSPHRASE_STDIN = "force-passphrase-from-stdin", Flag, "", ALL_COMMANDS, "Reads the passphrase from the first line of standard input.";
    NO_ENCRYPTION = "no-encryption", Flag, "", ALL_COMMANDS, "The backup is not encrypted: the first backup writes plain volumes, and a passphrase that the environment has for other backups is not used.";
    ALLOW_PLAIN = "allow-plain-volumes", Flag, "", ALL_COMMANDS, "Reads volumes that are not encrypted although others of the backup are; anybody can have put them there.";
    ENCRYPTION_MODULE = "encryption-module", Choice(&["aes", "gpg"]), "aes", BACKUP, "How volumes are encrypted; those of gpg are read, not written.";
    AES_VERSION = "aes-version", Choice(&["2"]), "2", BACKUP, "Version of the AES Crypt streams to write; 0 to 3 are read.";
    GPG_PROGRAM = "gpg-program-path", Path, "gpg", ALL_COMMANDS, "Program that reads .gpg volumes.";
}
