//! A line that fails: passes connections on to a port and spoils them as told, one after the other.

#![allow(
    clippy::unwrap_used,
    reason = "a broken line must fail the test, not the program under test"
)]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to one connection. Offsets count bytes of that connection in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Resets after so many bytes from the client.
    ResetUp(u64),
    /// Closes after so many bytes to the client.
    CutDown(u64),
    /// Falls silent after so many bytes to the client.
    StallDown(u64),
    /// Changes the byte at this offset.
    FlipUp(u64),
    FlipDown(u64),
    /// So many bytes in a second to the client and from it.
    Slow(u64),
}

/// The listening end; its threads end with the process.
#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    plan: Arc<Mutex<(VecDeque<Mode>, Mode)>>,
    connections: Arc<AtomicU64>,
}

impl Proxy {
    pub fn in_front_of(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            plan: Arc::new(Mutex::new((VecDeque::new(), Mode::Pass))),
            connections: Arc::new(AtomicU64::new(0)),
        };
        let shared = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let mode = {
                    let mut plan = shared.plan.lock().unwrap();
                    plan.0.pop_front().unwrap_or(plan.1)
                };
                std::thread::spawn(move || serve(client, target, mode));
            }
        });
        proxy
    }

    /// The next connections, then all others.
    pub fn plan(&self, next: &[Mode], then: Mode) {
        *self.plan.lock().unwrap() = (next.iter().copied().collect(), then);
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(client: TcpStream, target: u16, mode: Mode) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
        return;
    };
    let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || down(from, to, mode));
    up(client, server, mode);
}

fn up(mut client: TcpStream, mut server: TcpStream, mode: Mode) {
    let limit = match mode {
        Mode::ResetUp(n) => n,
        _ => u64::MAX,
    };
    let flip = match mode {
        Mode::FlipUp(n) => n,
        _ => u64::MAX,
    };
    let done = copy(&mut client, &mut server, limit, flip, mode);
    if done >= limit {
        // Closing with bytes unread is a reset.
        let _ = server.shutdown(Shutdown::Both);
    } else {
        let _ = server.shutdown(Shutdown::Write);
    }
}

fn down(mut server: TcpStream, mut client: TcpStream, mode: Mode) {
    let limit = match mode {
        Mode::CutDown(n) | Mode::StallDown(n) => n,
        _ => u64::MAX,
    };
    let flip = match mode {
        Mode::FlipDown(n) => n,
        _ => u64::MAX,
    };
    let done = copy(&mut server, &mut client, limit, flip, mode);
    if matches!(mode, Mode::StallDown(_)) && done >= limit {
        // Until the client gives up.
        let mut rest = Vec::new();
        let _ = server.read_to_end(&mut rest);
        return;
    }
    if !matches!(mode, Mode::ResetUp(_)) {
        let _ = client.shutdown(Shutdown::Both);
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// Bytes passed on.
fn copy(from: &mut TcpStream, to: &mut TcpStream, limit: u64, flip: u64, mode: Mode) -> u64 {
    let mut buffer = [0; 16 * 1024];
    let mut done = 0;
    while done < limit {
        let want = usize::try_from(limit - done).map_or(buffer.len(), |n| n.min(buffer.len()));
        let want = match mode {
            Mode::Slow(rate) => want.min(usize::try_from(rate / 50).unwrap().max(1)),
            _ => want,
        };
        let Ok(n @ 1..) = from.read(&mut buffer[..want]) else {
            break;
        };
        if let Some(at) = flip.checked_sub(done).filter(|&at| at < n as u64) {
            buffer[usize::try_from(at).unwrap()] ^= 1;
        }
        if let Mode::Slow(rate) = mode {
            std::thread::sleep(Duration::from_micros(n as u64 * 1_000_000 / rate));
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
        done += n as u64;
    }
    done
}
