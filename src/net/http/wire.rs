//! The socket at the bottom of a connection: waits for what comes, or, at a glance ([`Glance`]), takes what has come.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[cfg(feature = "overlap")]
use ureq::unversioned::transport::Either;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::base::sys::Tcp;

/// No address is tried for less.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// Whether those who read have time.
#[derive(Debug, Default)]
pub(super) struct Glance(AtomicBool);

impl Glance {
    /// What reads in the meantime waits for nothing: it fails with `WouldBlock`, and can be tried again.
    pub(super) fn at<T>(&self, read: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::Relaxed);
        let done = read();
        self.0.store(false, Ordering::Relaxed);
        done
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Link of the connector chain that connects.
#[derive(Debug)]
pub(super) struct WireConnector(pub(super) Arc<Glance>);

impl WireConnector {
    fn wire(&self, details: &ConnectionDetails) -> Result<Wire, ureq::Error> {
        let patience = details.timeout.not_zero().map(|time| *time);
        let tcp = dial(&details.addrs, patience)?;
        let config = details.config;
        Ok(Wire {
            tcp,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            glance: self.0.clone(),
        })
    }
}

#[cfg(feature = "overlap")]
impl<In: Transport> Connector<In> for WireConnector {
    type Out = Either<In, Wire>;

    /// A connection that was handed over needs no other.
    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let there = chained.map(Either::A);
        there
            .map_or_else(|| self.wire(details).map(Either::B), Ok)
            .map(Some)
    }
}

#[cfg(not(feature = "overlap"))]
impl<In: Transport> Connector<In> for WireConnector {
    type Out = Wire;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<In>,
    ) -> Result<Option<Wire>, ureq::Error> {
        self.wire(details).map(Some)
    }
}

/// Connects to the first address that takes the call. The earlier ones get more of the time: each twice what the next one gets.
fn dial(addresses: &[SocketAddr], patience: Option<Duration>) -> Result<Tcp, ureq::Error> {
    let begun = Instant::now();
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused).into();
    let shares = (1u32 << addresses.len().min(16)).saturating_sub(1);
    for (i, address) in addresses.iter().enumerate() {
        let part = patience.map(|all| {
            let part = all.saturating_mul(shares.div_ceil(2) >> i.min(16)) / shares.max(1);
            part.max(LEAST_WAIT)
        });
        last = match Tcp::connect(address, part) {
            Ok(tcp) => return Ok(tcp),
            Err(e) if is_late(&e) => {
                let late = ureq::Error::Timeout(ureq::Timeout::Connect);
                if patience.is_some_and(|all| begun.elapsed() > all) {
                    return Err(late);
                }
                late
            }
            Err(e) if is_of_one_address(&e) => e.into(),
            Err(e) => return Err(e.into()),
        };
    }
    Err(last)
}

fn is_late(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// Another address may do better.
fn is_of_one_address(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable
    )
}

/// A socket with its buffers.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: Tcp,
    buffers: LazyBuffers,
    glance: Arc<Glance>,
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let late = ureq::Error::Timeout(timeout.reason);
        if timeout.after.is_zero() {
            return Err(late);
        }
        self.tcp.bound(timeout.not_zero().map(|time| *time));
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.tcp.write_all(output).map_err(|e| match is_late(&e) {
            true => late,
            false => e.into(),
        })
    }

    /// Reads what comes within this time, or, at a glance, what has come.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let late = ureq::Error::Timeout(timeout.reason);
        if timeout.after.is_zero() {
            return Err(late);
        }
        let glances = self.glance.is_on();
        self.tcp.bound(timeout.not_zero().map(|time| *time));
        let input = self.buffers.input_append_buf();
        let read = match glances {
            true => self.tcp.read_now(input),
            false => self.tcp.read(input),
        };
        match read {
            Ok(n) => {
                self.buffers.input_appended(n);
                Ok(n > 0)
            }
            Err(e) if is_late(&e) && !glances => Err(late),
            Err(e) => Err(e.into()),
        }
    }

    /// An idle connection is good as long as nothing comes, not even its end.
    fn is_open(&mut self) -> bool {
        self.tcp.is_quiet()
    }
}
