//! A relay on loopback in front of a server of any kind, which falls silent when it is told to: no connection ends, and nothing
//! passes any more. It counts bytes, so that the silence comes in the middle of whatever is wanted. Threads end with the process.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken relay must fail the test"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const OPEN: u64 = u64::MAX;
/// What an FTP server says before the port of a data connection.
const PASSIVE: &str = "229 Entering Extended Passive Mode (|||";

/// When nothing passes any more.
#[derive(Clone, Copy, Debug)]
pub enum Silence {
    /// Connections are made, and nothing else.
    AtOnce,
    /// After so many bytes of the server.
    Answer(u64),
    /// After so many bytes of the client.
    Request(u64),
    /// After so many bytes of the client, which may go on: only the server is not heard.
    Deaf(u64),
}

/// One of the two ways: bytes that passed, and how many may.
struct Way {
    passed: AtomicU64,
    limit: AtomicU64,
    reached: AtomicBool,
}

impl Way {
    fn new() -> Way {
        Way {
            passed: AtomicU64::new(0),
            limit: AtomicU64::new(OPEN),
            reached: AtomicBool::new(false),
        }
    }

    fn shut_after(&self, bytes: u64) {
        let passed = self.passed.load(Ordering::SeqCst);
        self.reached.store(false, Ordering::SeqCst);
        self.limit
            .store(passed.saturating_add(bytes), Ordering::SeqCst);
    }

    /// How many bytes may pass; waits until that is one.
    fn room(&self) -> u64 {
        loop {
            let limit = self.limit.load(Ordering::SeqCst);
            let left = limit.saturating_sub(self.passed.load(Ordering::SeqCst));
            if left > 0 {
                return left;
            }
            self.reached.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

struct State {
    up: Way,
    down: Way,
    /// The other way is shut once so many bytes went up.
    deaf_at: AtomicU64,
    /// Connections that were made.
    calls: AtomicU64,
}

#[derive(Clone)]
pub struct Hush {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl Hush {
    pub fn before(server: SocketAddr) -> Hush {
        let state = Arc::new(State {
            up: Way::new(),
            down: Way::new(),
            deaf_at: AtomicU64::new(OPEN),
            calls: AtomicU64::new(0),
        });
        let address = relay(server, state.clone());
        Hush { address, state }
    }

    /// From now on it falls silent there.
    pub fn hush(&self, silence: Silence) {
        match silence {
            Silence::AtOnce => {
                self.state.up.shut_after(0);
                self.state.down.shut_after(0);
            }
            Silence::Answer(bytes) => self.state.down.shut_after(bytes),
            Silence::Request(bytes) => self.state.up.shut_after(bytes),
            Silence::Deaf(bytes) => {
                let passed = self.state.up.passed.load(Ordering::SeqCst);
                self.state.deaf_at.store(passed + bytes, Ordering::SeqCst);
            }
        }
    }

    /// Bytes of the server that passed so far.
    pub fn answered(&self) -> u64 {
        self.state.down.passed.load(Ordering::SeqCst)
    }

    /// Something waits for what does not come.
    pub fn is_silent(&self) -> bool {
        let of = |way: &Way| way.reached.load(Ordering::SeqCst);
        of(&self.state.up) || of(&self.state.down)
    }

    /// What was held back passes, and all that follows.
    pub fn speak(&self) {
        self.state.deaf_at.store(OPEN, Ordering::SeqCst);
        for way in [&self.state.up, &self.state.down] {
            way.limit.store(OPEN, Ordering::SeqCst);
            way.reached.store(false, Ordering::SeqCst);
        }
    }
}

/// Listens, and passes on what comes to `server`.
fn relay(server: SocketAddr, state: Arc<State>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            state.calls.fetch_add(1, Ordering::SeqCst);
            let Ok(server) = TcpStream::connect(server) else {
                continue;
            };
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let up = state.clone();
            std::thread::spawn(move || pump(from, to, &up, true));
            let down = state.clone();
            std::thread::spawn(move || pump(server, client, &down, false));
        }
    });
    address
}

fn pump(mut from: TcpStream, mut to: TcpStream, state: &Arc<State>, is_up: bool) -> Option<()> {
    let way = if is_up { &state.up } else { &state.down };
    let mut buffer = vec![0; 16 << 10];
    loop {
        let most = usize::try_from(way.room()).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let n = from.read(&mut buffer[..most]).unwrap_or(0);
        if n == 0 {
            let _ = to.shutdown(Shutdown::Write);
            return None;
        }
        // It may have been shut since.
        way.room();
        let passed = way.passed.fetch_add(n as u64, Ordering::SeqCst) + n as u64;
        if is_up && passed >= state.deaf_at.load(Ordering::SeqCst) {
            state.deaf_at.store(OPEN, Ordering::SeqCst);
            state.down.shut_after(0);
        }
        match is_up {
            true => to.write_all(&buffer[..n]).ok()?,
            false => to.write_all(&passive(&buffer[..n], &from, state)).ok()?,
        }
    }
}

/// With the port of a relay of its own in the place of that of a data connection.
fn passive(said: &[u8], server: &TcpStream, state: &Arc<State>) -> Vec<u8> {
    let text = String::from_utf8_lossy(said);
    let Some((before, rest)) = text.split_once(PASSIVE) else {
        return said.to_vec();
    };
    let (port, rest) = rest.split_once('|').unwrap();
    let mut data = server.peer_addr().unwrap();
    data.set_port(port.parse().unwrap());
    let port = relay(data, state.clone()).port();
    format!("{before}{PASSIVE}{port}|{rest}").into_bytes()
}
