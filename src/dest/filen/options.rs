//! Options of Filen.

use crate::base::opt::{Kind, options, row, secret, text};

options! {
    API_KEY: secret("api-key", "API key of a Filen account, which is used in place of a log-in; rclone needs it.");
    CODE: secret("two-factor-code", "Code of the moment of the second factor of a Filen account; an API key needs none.");
    TRASH: row("move-to-trash", Kind::Flag, "", "What is deleted at Filen goes to its trash, where it counts against the space.");
    ENDPOINT: text("filen-endpoint", "Address that stands for all of the service's own, for tests.");
}
