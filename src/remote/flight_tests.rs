//! Uploads on their way over TLS, over a line that stands still, under a throttle, and what counts as their end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::base::digest::Algo;
use crate::base::error::Kind;
use crate::remote::Permit;
use crate::remote::faults::faulty::Trouble;
use crate::remote::faults::faulty_s3::{Server, error};
use crate::remote::s3_tls;
use crate::remote::subject::{NAME, Subject, bytes, fails, flying};

const MIB: usize = 1 << 20;

fn url(scheme: &str, host: &str, server: &Server, query: &str) -> String {
    format!(
        "{scheme}://KEYID:s3cr3tvalue@bkt/p?s3-server-name={host}:{}&retry-delay=0s&http-proxy=none&{query}",
        server.address.port()
    )
}

/// In the clear, on this machine.
fn plain(server: &Server, query: &str) -> Subject {
    let url = url("s3", "127.0.0.1", server, &format!("use-ssl=false&{query}"));
    Subject::open(&url, &[])
}

#[test]
fn over_tls_it_is_as_in_the_clear() {
    let (server, ca) = s3_tls::good();
    let open = |query: &str| {
        let query = format!("{ca}&{query}");
        Subject::open(&url("s3s", "localhost", &server, &query), &[])
    };
    let data = bytes(9 * MIB);
    flying(|| {
        let mut s = open("");
        for (trouble, retries) in [
            (None, 0),
            (Some(Trouble::Reset(300_000)), 1),
            (Some(Trouble::Reset(8 << 20)), 1),
            (Some(Trouble::Answer(503, Vec::new(), String::new())), 1),
            (Some(Trouble::Mute), 0),
            (Some(Trouble::Swallow), 0),
            (Some(Trouble::Close), 1),
        ] {
            server.with(|s3| s3.files.clear());
            let before = s.retries();
            if let Some(trouble) = trouble.clone() {
                server.script("PUT", NAME, trouble);
            }
            s.put(&data).expect("stored");
            assert_eq!(server.file(&format!("p/{NAME}")), Some(data.clone()));
            assert_eq!(s.retries() - before, retries);
        }
        let full = error("", "");
        let mut s = open("number-of-retries=0&disable-expect100-continue=true");
        server.script("PUT", NAME, Trouble::Midway(300_000, 507, full));
        fails(s.put(&data), Kind::NoSpace, "");
    });
}

#[test]
fn without_the_right_certificate_nothing_is_sent() {
    let (server, _) = s3_tls::good();
    let mut s = Subject::open(
        &url("s3s", "localhost", &server, "number-of-retries=0"),
        &[],
    );
    let mut spool = spool_of(&s, b"bytes");
    let sha = Algo::Sha256.hash(b"bytes").into();
    let mut remote = RemoteMut::new(&mut s.remote, &Permit::to_write());
    let launched = remote.launch(&mut s.ui, NAME, &mut spool, &sha);
    assert!(launched.expect("no error").is_none());
    fails(s.put(b"bytes"), Kind::Tls, "");
}

/// A connection that stands still after some bytes, until it is free.
struct Stuck {
    tcp: TcpStream,
    read: usize,
    once: Arc<AtomicBool>,
    free: Arc<AtomicBool>,
}

impl Read for Stuck {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.read > 300_000 && !self.once.swap(true, Ordering::Relaxed) {
            while !self.free.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let n = self.tcp.read(buf)?;
        self.read += n;
        Ok(n)
    }
}

impl Write for Stuck {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.tcp.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.tcp.flush()
    }
}

/// No byte moves for `--read-write-timeout`: that attempt has failed. More than all buffers on the way hold is sent.
#[test]
fn a_line_that_stands_still_is_given_up() {
    let (once, free) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (held, freed) = (once.clone(), free.clone());
    let server = Server::start_with(Arc::new(move |tcp| {
        Some(Box::new(Stuck {
            tcp,
            read: 0,
            once: held.clone(),
            free: freed.clone(),
        }))
    }));
    let data = bytes(24 * MIB);
    flying(|| {
        let mut s = plain(&server, "read-write-timeout=1s");
        s.put(&data).expect("stored");
        assert_eq!(s.retries(), 1);
    });
    free.store(true, Ordering::Relaxed);
    assert!(once.load(Ordering::Relaxed));
    assert!(server.file(&format!("p/{NAME}")) == Some(data));
}

fn spool_of(s: &Subject, data: &[u8]) -> Spool {
    let mut spool = Spool::new(&s.tmp).expect("a spool");
    spool.write_all(data).expect("written");
    spool
}

/// Launches an upload at a server that is known.
fn launch(s: &mut Subject, spool: &mut Spool, data: &[u8]) -> Sending {
    s.list().expect("listed");
    let sha = Algo::Sha256.hash(data).into();
    let mut remote = RemoteMut::new(&mut s.remote, &Permit::to_write());
    let sending = remote.launch(&mut s.ui, NAME, spool, &sha);
    sending.expect("no error").expect("on its way")
}

/// That the system took all bytes is no success, and neither is that the server did: only its reply is.
#[test]
fn only_the_reply_ends_it() {
    let server = Server::start();
    let free = Arc::new(AtomicBool::new(false));
    server.script("PUT", NAME, Trouble::Held(free.clone()));
    let mut s = plain(&server, "");
    let data = bytes(MIB);
    let mut spool = spool_of(&s, &data);
    let mut sending = launch(&mut s, &mut spool, &data);
    while server.file(&format!("p/{NAME}")).is_none() {
        assert!(!s.remote.advance(&mut sending, &spool));
    }
    assert_eq!(sending.at, data.len() as u64);
    for _ in 0..100 {
        assert!(!s.remote.advance(&mut sending, &spool));
    }
    assert!(!sending.has_ended());
    free.store(true, Ordering::Relaxed);
    let sha = Algo::Sha256.hash(&data).into();
    let mut remote = RemoteMut::new(&mut s.remote, &Permit::to_write());
    let landed = remote.land(&mut s.ui, NAME, (&mut spool, &sha), sending);
    landed.expect("landed");
    assert_eq!(server.seen("PUT").len(), 1);
    let stats = s.remote.stats();
    assert_eq!(
        (stats.puts, stats.files_up, stats.bytes_up),
        (1, 1, MIB as u64)
    );
}

#[test]
fn a_throttle_holds_it_back_without_a_wait() {
    let server = Server::start();
    let mut s = plain(&server, "throttle-upload=1kb");
    let data = bytes(MIB);
    let mut spool = spool_of(&s, &data);
    let mut sending = launch(&mut s, &mut spool, &data);
    for _ in 0..1000 {
        assert!(!s.remote.advance(&mut sending, &spool));
    }
    // The first 16 KiB take 16 seconds.
    assert!(sending.at <= 16 << 10, "{}", sending.at);
    assert!(sending.not_before.is_some());
}

/// The request after a flight goes over its connection where the one before is no more.
#[test]
fn its_connection_is_used_again() {
    let (tls, ca) = s3_tls::good();
    let clear = Server::start();
    let data = bytes(MIB);
    for (server, url) in [
        (&tls, url("s3s", "localhost", &tls, &ca)),
        (&clear, url("s3", "127.0.0.1", &clear, "use-ssl=false")),
    ] {
        for (keeps, made) in [(true, 2), (false, 3)] {
            server.with(|s3| s3.files.clear());
            let mut s = Subject::open(&url, &[]);
            let before = server.connections();
            server.script("GET", "", Trouble::CloseAfter);
            let mut spool = spool_of(&s, &data);
            if !keeps {
                let end = vec![("connection", "close".to_owned())];
                server.script("PUT", NAME, Trouble::More(end));
            }
            let sending = launch(&mut s, &mut spool, &data);
            let sha = Algo::Sha256.hash(&data).into();
            let mut remote = RemoteMut::new(&mut s.remote, &Permit::to_write());
            let landed = remote.land(&mut s.ui, NAME, (&mut spool, &sha), sending);
            landed.expect("landed");
            for n in 0..3 {
                s.put_as(&format!("{NAME}{n}"), b"small").expect("stored");
            }
            assert_eq!(s.retries(), 0);
            assert_eq!(server.connections() - before, made, "{url} {keeps}");
        }
    }
}

/// What is broken off is no file, and costs the next upload nothing.
#[test]
fn what_is_broken_off_is_forgotten() {
    let server = Server::start();
    let mut s = plain(&server, "");
    let data = bytes(24 * MIB);
    let mut spool = spool_of(&s, &data);
    let sending = launch(&mut s, &mut spool, &data);
    let mut remote = RemoteMut::new(&mut s.remote, &Permit::to_write());
    remote.abandon(NAME, &mut spool, sending);
    assert_eq!(server.file(&format!("p/{NAME}")), None);
    s.put(b"other").expect("stored");
    assert_eq!(
        server.file(&format!("p/{NAME}")).as_deref(),
        Some(&b"other"[..])
    );
    assert_eq!(s.retries(), 0);
}
