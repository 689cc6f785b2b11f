//! A line that spoils what goes up: passes connections on to a port, one after the other as told.

#![allow(
    clippy::unwrap_used,
    reason = "a broken line must fail the test, not the program under test"
)]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The place of the byte from the client that is changed on one connection, if one is.
type At = Option<u64>;

/// The listening end; its threads end with the process.
pub struct Flip {
    pub port: u16,
    plan: Arc<Mutex<(VecDeque<At>, At)>>,
}

impl Flip {
    pub fn in_front_of(target: u16) -> Flip {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Mutex::new((VecDeque::new(), None)));
        let shared = plan.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
                    continue;
                };
                let mut plan = shared.lock().unwrap();
                let flip = plan.0.pop_front().unwrap_or(plan.1);
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || copy(from, to, Shutdown::Both, None));
                std::thread::spawn(move || copy(client, server, Shutdown::Write, flip));
            }
        });
        Flip { port, plan }
    }

    /// The next connections, then all others.
    pub fn plan(&self, next: &[At], then: At) {
        *self.plan.lock().unwrap() = (next.iter().copied().collect(), then);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, end: Shutdown, flip: At) {
    let mut buffer = [0; 16 * 1024];
    let mut done = 0;
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if let Some(at) = flip
            .and_then(|at| at.checked_sub(done))
            .filter(|&at| at < n as u64)
        {
            buffer[usize::try_from(at).unwrap()] ^= 1;
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
        done += n as u64;
    }
    let _ = to.shutdown(end);
    if end == Shutdown::Both {
        let _ = from.shutdown(end);
    }
}
