//! The socket at the bottom of a connection: waits for what comes, or, at a glance ([`Glance`]), takes what has come.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[cfg(feature = "overlap")]
use ureq::unversioned::transport::Either;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

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
        tcp.set_nodelay(true)?;
        let config = details.config;
        Ok(Wire {
            tcp,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            glance: self.0.clone(),
            glances: false,
            read: None,
            write: None,
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
fn dial(addresses: &[SocketAddr], patience: Option<Duration>) -> Result<TcpStream, ureq::Error> {
    let begun = Instant::now();
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused).into();
    let shares = (1u32 << addresses.len().min(16)).saturating_sub(1);
    for (i, address) in addresses.iter().enumerate() {
        let called = match patience {
            Some(all) => {
                let part = all.saturating_mul(shares.div_ceil(2) >> i.min(16)) / shares.max(1);
                TcpStream::connect_timeout(address, part.max(LEAST_WAIT))
            }
            None => TcpStream::connect(address),
        };
        last = match called {
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
    tcp: TcpStream,
    buffers: LazyBuffers,
    glance: Arc<Glance>,
    /// The socket does not wait now.
    glances: bool,
    /// How long the socket waits, as it was last told.
    read: Option<Duration>,
    write: Option<Duration>,
}

impl Wire {
    fn set_glances(&mut self, glances: bool) -> io::Result<()> {
        if self.glances != glances {
            self.tcp.set_nonblocking(glances)?;
            self.glances = glances;
        }
        Ok(())
    }

    fn wait_at_most(&mut self, time: Option<Duration>) -> io::Result<()> {
        if self.read != time {
            self.tcp.set_read_timeout(time)?;
            self.read = time;
        }
        Ok(())
    }

    /// Reads what comes within this time, or what has come; a signal does not end it.
    fn receive(&mut self, time: Option<Duration>) -> io::Result<usize> {
        let glances = self.glance.is_on();
        self.set_glances(glances)?;
        if !glances {
            self.wait_at_most(time)?;
        }
        let begun = Instant::now();
        loop {
            let input = self.buffers.input_append_buf();
            match (self.tcp.read(input), time) {
                (Err(e), Some(time)) if e.kind() == io::ErrorKind::Interrupted => {
                    let left = time.saturating_sub(begun.elapsed());
                    if left.is_zero() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    if !glances {
                        self.wait_at_most(Some(left))?;
                    }
                }
                (Ok(n), _) => {
                    self.buffers.input_appended(n);
                    return Ok(n);
                }
                (Err(e), _) => return Err(e),
            }
        }
    }
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
        self.set_glances(false)?;
        let time = timeout.not_zero().map(|time| *time);
        if self.write != time {
            self.tcp.set_write_timeout(time)?;
            self.write = time;
        }
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.tcp.write_all(output).map_err(|e| match is_late(&e) {
            true => late,
            false => e.into(),
        })
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let late = ureq::Error::Timeout(timeout.reason);
        if timeout.after.is_zero() {
            return Err(late);
        }
        match self.receive(timeout.not_zero().map(|time| *time)) {
            Ok(n) => Ok(n > 0),
            Err(e) if is_late(&e) && !self.glances => Err(late),
            Err(e) => Err(e.into()),
        }
    }

    /// An idle connection is good as long as nothing comes, not even its end.
    fn is_open(&mut self) -> bool {
        let peeked = self
            .set_glances(true)
            .and_then(|()| self.tcp.peek(&mut [0]));
        peeked.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }
}
