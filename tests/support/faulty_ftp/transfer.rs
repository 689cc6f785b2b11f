//! Files and listings on data connections.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use super::conn::{Conn, Io};
use super::listing::now;
use super::session::{LONG, Session, over, parent};
use super::{Lists, Trouble};

impl Session {
    /// The data connection, once the client has heard that it may begin; `None`: that was refused.
    pub(super) fn open(&mut self, begin: &str, clear: bool) -> Io<Option<Conn>> {
        let Some(listener) = self.listener.take() else {
            self.say("425 Use PORT or PASV first.")?;
            return Ok(None);
        };
        listener.set_nonblocking(true)?;
        let end = Instant::now() + Duration::from_secs(20);
        self.say(begin)?;
        let tcp = loop {
            match listener.accept() {
                Ok((tcp, _)) => break tcp,
                Err(e) if e.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => {
                    self.say("425 Failed to establish connection.")?;
                    return Ok(None);
                }
            }
        };
        tcp.set_nonblocking(false)?;
        tcp.set_read_timeout(Some(LONG))?;
        if !self.private || clear {
            return Ok(Some(Conn::Plain(tcp)));
        }
        let config = self.config.clone().expect("TLS");
        match Conn::protected(tcp, &config) {
            Err(_) => {
                self.say("522 SSL connection failed; session reuse required?")?;
                Ok(None)
            }
            Ok(conn) if self.modes.reuse && !conn.resumed() => {
                self.say("522 SSL connection failed: session reuse required")?;
                Ok(None)
            }
            Ok(conn) => Ok(Some(conn)),
        }
    }

    /// Sends a file or a listing.
    pub(super) fn send(&mut self, verb: &str, argument: &str, trouble: Option<Trouble>) -> Io<()> {
        let rest = std::mem::take(&mut self.rest);
        let found = match verb {
            "RETR" => self.content(argument, rest, trouble.as_ref()),
            "MLSD" if self.modes.lists != Lists::Facts => Err("500 Unknown command."),
            _ => self.listing(verb, argument),
        };
        let (mut data, good) = match found {
            Ok((data, good)) => (data, good),
            Err(refusal) => return self.say(refusal),
        };
        if let Some(Trouble::Data(other)) = &trouble {
            data.clone_from(other);
        }
        let clear = matches!(trouble, Some(Trouble::Clear));
        let Some(mut conn) = self.open("150 Here it comes.", clear)? else {
            return Ok(());
        };
        let part = |n: u64| &data[..usize::try_from(n).unwrap_or(usize::MAX).min(data.len())];
        match &trouble {
            Some(Trouble::Cut(n)) => {
                conn.write_all(part(*n))?;
                return over();
            }
            Some(Trouble::Stall(n)) => {
                conn.write_all(part(*n))?;
                conn.flush()?;
                std::thread::sleep(LONG);
                return over();
            }
            Some(Trouble::Drip(n)) => {
                conn.write_all(part(*n))?;
                loop {
                    conn.write_all(b"x")?;
                    conn.flush()?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Some(Trouble::Part(n, _)) => conn.write_all(part(*n))?,
            Some(Trouble::Slow) => {
                for piece in data.chunks(1 + data.len() / 8) {
                    std::thread::sleep(Duration::from_millis(300));
                    conn.write_all(piece)?;
                    conn.flush()?;
                }
            }
            _ => {
                // Who hangs up in mid-transfer hears of it.
                if conn.write_all(&data).is_err() {
                    return self.say("426 Failure writing network stream.");
                }
            }
        }
        if conn
            .finish(matches!(trouble, Some(Trouble::Abrupt)))
            .is_err()
        {
            return self.say("426 Failure writing network stream.");
        }
        // As vsftpd does: the reply waits for the other end.
        if matches!(conn, Conn::Tls(_)) {
            let _ = std::io::copy(&mut conn, &mut std::io::sink());
        }
        drop(conn);
        if verb == "RETR" {
            self.state.lock().unwrap().sent.push(argument.to_owned());
        }
        self.end(trouble, &good)
    }

    /// What is said at the end of a transfer.
    pub(super) fn end(&mut self, trouble: Option<Trouble>, good: &str) -> Io<()> {
        match trouble {
            Some(trouble) => self.go_wrong(&trouble, good),
            None => self.say(good),
        }
    }

    pub(super) fn content(
        &self,
        argument: &str,
        rest: u64,
        trouble: Option<&Trouble>,
    ) -> Result<(Vec<u8>, String), &'static str> {
        let state = self.state.lock().unwrap();
        let (data, _) = state
            .files
            .get(&self.path(argument))
            .ok_or("550 Failed to open file.")?;
        let from = match trouble {
            Some(Trouble::Whole) => 0,
            Some(Trouble::Late) => rest + 1,
            _ => rest,
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(data.len());
        Ok((data[from..].to_vec(), "226 Transfer complete.".to_owned()))
    }

    /// Takes a file. What comes stays, also when it is not all.
    pub(super) fn take(&mut self, argument: &str, trouble: Option<Trouble>) -> Io<()> {
        let path = self.path(argument);
        let rest = usize::try_from(std::mem::take(&mut self.rest)).unwrap_or(0);
        let known = self.state.lock().unwrap().folders.contains(parent(&path));
        if !known || self.modes.read_only || argument.is_empty() {
            return self.say("553 Could not create file.");
        }
        let mut kept = {
            let state = self.state.lock().unwrap();
            let old = state
                .files
                .get(&path)
                .map(|f| f.0.clone())
                .unwrap_or_default();
            old[..rest.min(old.len())].to_vec()
        };
        let clear = matches!(trouble, Some(Trouble::Clear));
        let Some(mut conn) = self.open("150 Ok to send data.", clear)? else {
            return Ok(());
        };
        let most = match &trouble {
            Some(Trouble::Cut(n) | Trouble::Part(n, _) | Trouble::Stall(n)) => *n,
            _ => u64::MAX,
        };
        let read = Read::by_ref(&mut conn).take(most).read_to_end(&mut kept);
        if let Some(Trouble::Short(n)) = trouble {
            kept.truncate(usize::try_from(n).expect("small"));
        }
        self.state.lock().unwrap().files.insert(path, (kept, now()));
        match trouble {
            Some(Trouble::Cut(_)) => return over(),
            Some(Trouble::Stall(_)) => {
                std::thread::sleep(LONG);
                return over();
            }
            _ => {}
        }
        // Who ends without saying so has broken off.
        if read.is_err() {
            drop(conn);
            return self.say("426 Failure reading network stream.");
        }
        // Who has said that all is sent may be gone.
        let _ = conn.finish(false);
        drop(conn);
        self.end(trouble, "226 Transfer complete.")
    }
}
