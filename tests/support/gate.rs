//! A server that reads no further until it may: what else goes on meanwhile shows.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::faulty::Wrap;

/// Lets so many bytes of the client through, and no more until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<Bar>);

struct Bar {
    taken: AtomicU64,
    limit: AtomicU64,
    reached: AtomicBool,
    /// Connections of an earlier run have another number.
    run: AtomicU64,
}

impl Default for Bar {
    fn default() -> Bar {
        Bar {
            taken: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            reached: AtomicBool::new(false),
            run: AtomicU64::new(0),
        }
    }
}

impl Gate {
    pub fn wrap(&self) -> Wrap {
        let gate = self.clone();
        Arc::new(move |tcp| {
            let gate = gate.clone();
            let run = gate.0.run.load(Ordering::Relaxed);
            Some(Box::new(Gated { tcp, gate, run }))
        })
    }

    /// After so many further bytes.
    pub fn shut(&self, after: u64) {
        let taken = self.0.taken.load(Ordering::Relaxed);
        self.0.reached.store(false, Ordering::Relaxed);
        self.0.limit.store(taken + after, Ordering::Relaxed);
    }

    pub fn open(&self) {
        self.0.limit.store(u64::MAX, Ordering::Relaxed);
    }

    /// What a killed run has sent and nobody has read is lost: else it would arrive while the next one runs.
    pub fn cut(&self) {
        self.0.run.fetch_add(1, Ordering::Relaxed);
        self.open();
    }

    pub fn is_reached(&self) -> bool {
        self.0.reached.load(Ordering::Relaxed)
    }
}

struct Gated {
    tcp: TcpStream,
    gate: Gate,
    run: u64,
}

impl Read for Gated {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let bar = &self.gate.0;
        loop {
            if bar.run.load(Ordering::Relaxed) != self.run {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            let limit = bar.limit.load(Ordering::Relaxed);
            let left = limit.saturating_sub(bar.taken.load(Ordering::Relaxed));
            if left == 0 {
                bar.reached.store(true, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            let most = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
            let n = self.tcp.read(&mut buf[..most])?;
            bar.taken.fetch_add(n as u64, Ordering::Relaxed);
            return Ok(n);
        }
    }
}

impl Write for Gated {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.tcp.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.tcp.flush()
    }
}
