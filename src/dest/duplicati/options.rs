//! Options of Duplicati's own storage, by Duplicati's names, and the id of the machine.

use crate::base::opt::{Kind, Part, options, row, secret, text};

options! {
    ID: text("duplicati-auth-apiid", "Id of the organisation; also auth-username.")
        .of_login(Part::User, "");
    KEY: secret("duplicati-auth-apikey", "Key of the organisation; also auth-password.")
        .of_login(Part::Password, "");
    BACKUP: text("duplicati-backup-id", "Id of the backup.");
    MACHINE: text("duplicati-machine-id", "Id of the machine that made the backup, by which the service knows it.");
    ENDPOINT: text("duplicati-endpoint", "Address of the service; https://storage.duplicati.com without it.");
    TIMEOUT: row("duplicati-auth-timeout", Kind::Span, "120s", "Longest wait for the keys of the storage.");
}
