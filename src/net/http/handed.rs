//! The connection of a flight that has landed, as one that requests are sent over which are waited for.

use std::fmt;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport,
};

use crate::base::sys;
use crate::net::http::line::{Got, Line};

/// Longest wait at once, where there is no limit.
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) struct Handed {
    line: Line,
    buffers: LazyBuffers,
}

impl Handed {
    pub(super) fn new(line: Line, details: &ConnectionDetails) -> Handed {
        let config = details.config;
        Handed {
            line,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        }
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handed")
    }
}

/// Waits until a connection can be read or written, until a time; then it is an error.
fn wait(line: &Line, writes: bool, limit: NextTimeout, begun: Instant) -> Result<(), ureq::Error> {
    let all = limit.not_zero().map(|limit| *limit);
    let left = all.map(|all| all.saturating_sub(begun.elapsed()));
    if left.is_some_and(|left| left.is_zero()) {
        return Err(ureq::Error::Timeout(limit.reason));
    }
    sys::await_ready(line.fd(), writes, left.unwrap_or(LONGEST))?;
    Ok(())
}

impl Transport for Handed {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let (limit, begun) = (timeout.for_write(), Instant::now());
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let mut at = 0;
        while !self.line.push(output, &mut at)?.1 {
            wait(&self.line, true, limit, begun)?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let (limit, begun) = (timeout.for_read(), Instant::now());
        loop {
            match self.line.read(self.buffers.input_append_buf())? {
                Got::Bytes(n) => {
                    self.buffers.input_appended(n);
                    return Ok(n > 0);
                }
                Got::End => return Ok(false),
                Got::Nothing => wait(&self.line, false, limit, begun)?,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.line.is_quiet()
    }

    fn is_tls(&self) -> bool {
        self.line.is_tls()
    }
}
