//! Rows about connections.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use super::*;

pub(super) fn connections_closed_while_idle(start: Start) {
    let mut b = Bench::open(start, "");
    let data = b.stored(1000);
    b.scripts(3, Verb::Get, &Trouble::CloseAfter);
    b.script(Verb::Look, Trouble::Close);
    for _ in 0..4 {
        assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    }
    let found = b.stat(NAME).expect("asked");
    assert_eq!(found, Some(Some(1000)));
    assert_eq!(b.retries(), 0);
}

/// A port that nobody listens on.
fn dead() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

pub(super) fn dead_servers_and_unknown_hosts(start: Start) {
    for (at, part) in [
        (dead().to_string(), "connection refused"),
        ("a..b:80".to_owned(), "cannot resolve 'a..b'"),
    ] {
        let url = start().url(&at, "number-of-retries=0");
        let mut subject = Subject::open(&url, SECRETS);
        for e in [
            subject.list().expect_err("nobody"),
            subject.get(NAME, None).expect_err("nobody"),
            subject.put(b"x").expect_err("nobody"),
        ] {
            assert_eq!(e.kind(), Kind::Busy, "{e}");
            assert!(e.to_string().contains(part), "{e}");
        }
    }
    // A name that does not exist is told at once.
    let mut subject = Subject::open(&start().url("a..b:80", ""), SECRETS);
    fails(subject.list(), Kind::Busy, "cannot resolve 'a..b'");
    assert_eq!(subject.retries(), 1);
}

/// A download has no longest time, but what comes in place of one has.
pub(super) fn refusals_that_drip(start: Start) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 404 X\r\n\r\n");
            while stream.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let query = "short-timeout=1s&list-timeout=1s&number-of-retries=0";
    let url = start().url(&address.to_string(), query);
    let mut subject = Subject::open(&url, SECRETS);
    // Were it read to its end, this test would have none.
    let e = subject.get(NAME, None).expect_err("refused");
    assert_ne!(e.kind(), Kind::Bug, "{e}");
}
