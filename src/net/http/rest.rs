//! The body of a reply that is read on when there is time for it ([`Incoming`]).

use std::io::{self, Read as _, Write};

use crate::base::fault::Fault;
use crate::base::transfer::Incoming;
use crate::net::http::Reply;

impl Reply {
    /// Its body, for who has no time for it now.
    pub(crate) fn into_rest(self) -> Box<dyn Incoming> {
        Box::new(Rest(self))
    }
}

struct Rest(Reply);

impl Incoming for Rest {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(glance) = self.0.glance.clone() else {
            return self.0.read(buf);
        };
        loop {
            match glance.at(|| self.0.read(buf)) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn copy(&mut self, into: &mut dyn Write) -> Result<(), Fault> {
        self.0.copy(u64::MAX, into).map(drop)
    }

    fn fault(&self, e: &io::Error) -> Fault {
        self.0.fault(e)
    }
}
