//! The reply that a server gave before it closed the connection in the middle of an upload.
//!
//! A server that will not have a body answers and closes. What is written after that fails, while the answer waits to be
//! read. This link of the connector chain, below TLS, then lets the rest of the body go nowhere, so that the answer is read.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

/// Wait for an answer after a write that failed.
const WAIT: Duration = Duration::from_secs(1);

/// Where the upload of the request being made stands.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Bytes of the body have been taken.
    sending: AtomicBool,
    /// The server has closed, and an answer is there.
    answered: AtomicBool,
}

impl Cut {
    /// A request begins.
    pub(super) fn begin(&self) {
        self.sending.store(false, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
    }

    /// True when the server answered and did not take the whole body.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Reads from a body, or, when the rest of it goes nowhere, fills `buf` with zeros.
    pub(super) fn read(&self, body: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
        self.sending.store(true, Ordering::Relaxed);
        if self.is_answered() {
            buf.fill(0);
            return Ok(buf.len());
        }
        body.read(buf)
    }
}

/// Link of the connector chain after the one that connects.
#[derive(Debug)]
pub(super) struct PendingConnector(pub(super) Arc<Cut>);

impl<In: Transport> Connector<In> for PendingConnector {
    type Out = Either<In, Pending<In>>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(|inner| {
            Either::B(Pending {
                inner,
                cut: self.0.clone(),
                closed: false,
            })
        }))
    }
}

/// A connection whose peer may close while we write.
#[derive(Debug)]
pub(super) struct Pending<T> {
    inner: T,
    cut: Arc<Cut>,
    closed: bool,
}

impl<T: Transport> Transport for Pending<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        timeout: NextTimeout,
    ) -> std::result::Result<(), ureq::Error> {
        if self.closed {
            return Ok(());
        }
        let Err(e) = self.inner.transmit_output(amount, timeout) else {
            return Ok(());
        };
        if !self.cut.sending.load(Ordering::Relaxed) {
            return Err(e);
        }
        let wait = NextTimeout {
            after: WAIT,
            ..timeout
        };
        match self.inner.await_input(wait) {
            Ok(true) => {
                self.closed = true;
                self.cut.answered.store(true, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(e),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        !self.closed && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
