//! FTP in the table of faults: a server in memory, which is shared with the tests of the program.

use super::faulty_ftp::{FOLDER, Modes, Server};
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Ftp::new(|_| ()))
}

/// A folder on a server, and what is to go wrong.
pub(in crate::remote) struct Ftp(pub(in crate::remote) Server);

impl Ftp {
    pub(in crate::remote) fn new(change: impl FnOnce(&mut Modes)) -> Ftp {
        let mut modes = Modes::default();
        change(&mut modes);
        Ftp(Server::start(modes))
    }

    pub(in crate::remote) fn subject(&self, query: &str) -> Subject {
        Subject::open(&self.url("", query), SECRETS)
    }

    /// A file of this length that downloads get.
    pub(in crate::remote) fn stored(&self, len: usize) -> Vec<u8> {
        self.0.store(NAME, &bytes(len));
        bytes(len)
    }
}

impl Wire for Ftp {
    fn schemes(&self) -> &'static [&'static str] {
        &["ftp", "aftp"]
    }

    fn url(&self, _: &str, query: &str) -> String {
        let at = self.0.address;
        format!("aftp://user:{SECRET_IN_URL}@{at}{FOLDER}?retry-delay=0s&{query}")
    }

    fn store(&self, name: &str, data: &[u8]) {
        // So servers tell of names with an end of line in them.
        self.0.store(&name.replace('\n', "\0"), data);
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.0.file(name)
    }

    fn unmake(&self) {
        self.0.unmake();
    }
}
