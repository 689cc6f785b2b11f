//! A TCP relay that stops at a given amount of uploaded bytes, so that something can happen in mid-upload at an exact place.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[derive(Default)]
struct State {
    /// Bytes that may still pass upwards; `None` = any number.
    left: Option<u64>,
    reached: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The relay; its threads end with the process.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
}

/// The moment at which the relay stops.
pub struct Reached(Arc<Shared>);

impl Reached {
    /// Blocks until the bytes have passed.
    pub fn wait(&self) {
        let state = self.0.state.lock().expect("state");
        let long = Duration::from_secs(60);
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, long, |s| !s.reached);
        assert!(
            !waited.expect("state").1.timed_out(),
            "the upload never came so far"
        );
    }
}

impl Relay {
    pub fn to(port: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let all = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let (mut up_from, mut up_to) = (
                    client.try_clone().expect("a socket"),
                    server.try_clone().expect("a socket"),
                );
                let counted = all.clone();
                std::thread::spawn(move || {
                    copy(&mut up_from, &mut up_to, Some(&counted));
                });
                std::thread::spawn(move || {
                    let (mut from, mut to) = (server, client);
                    copy(&mut from, &mut to, None);
                });
            }
        });
        Relay { port: own, shared }
    }

    /// After so many more bytes upwards nothing passes any more, until [`Relay::release`].
    pub fn hold_after(&self, bytes: u64) -> Reached {
        let mut state = self.shared.state.lock().expect("state");
        state.left = Some(bytes);
        state.reached = false;
        Reached(self.shared.clone())
    }

    /// Ends the connection that was held and lets all others pass.
    pub fn release(&self) {
        let mut state = self.shared.state.lock().expect("state");
        state.left = None;
        state.reached = false;
        self.shared.changed.notify_all();
    }
}

fn copy(from: &mut TcpStream, to: &mut TcpStream, counted: Option<&Arc<Shared>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n) = from.read(&mut buffer) {
        let pass = counted.map_or(n, |shared| allowed(shared, n));
        if n == 0 || to.write_all(&buffer[..pass]).is_err() {
            break;
        }
        if pass < n {
            let shared = counted.expect("only counted bytes are held");
            let state = shared.state.lock().expect("state");
            drop(shared.changed.wait_while(state, |s| s.left.is_some()));
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// How many of `n` bytes may pass.
fn allowed(shared: &Shared, n: usize) -> usize {
    let mut state = shared.state.lock().expect("state");
    let Some(left) = state.left else { return n };
    let pass = usize::try_from(left).map_or(n, |left| left.min(n));
    state.left = Some(left - pass as u64);
    if pass < n {
        state.reached = true;
        shared.changed.notify_all();
    }
    pass
}
