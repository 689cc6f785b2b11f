//! An HTTP proxy as one finds it in offices: `CONNECT` for some ports, requests in absolute form for all, perhaps a login. Passes
//! on one request a connection. Threads end with the process.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken proxy must fail the test"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it does not do.
#[derive(Clone, Default)]
pub struct Rules {
    /// The value of `Proxy-Authorization` it wants.
    pub login: Option<String>,
    /// Answers this to `CONNECT`.
    pub connect: Option<u16>,
    /// Answers this to requests in absolute form, with these further header lines.
    pub absolute: Option<(u16, String)>,
    /// Sends this instead of any answer.
    pub nonsense: Option<&'static [u8]>,
    /// Where everything goes, whatever host is asked for.
    pub to: Option<SocketAddr>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub login: Option<String>,
}

#[derive(Clone)]
pub struct Forward {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Forward {
    pub fn start(rules: Rules) -> Forward {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Forward {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let shared = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (rules, asked) = (rules.clone(), shared.asked.clone());
                std::thread::spawn(move || serve(client, &rules, &asked));
            }
        });
        proxy
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `http://` and address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(mut client: TcpStream, rules: &Rules, asked: &Mutex<Vec<Asked>>) -> Option<()> {
    let head = read_head(&mut client)?;
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let fields: Vec<&str> = lines.collect();
    let login = fields.iter().find_map(|l| {
        let (name, value) = l.split_once(':')?;
        name.eq_ignore_ascii_case("proxy-authorization")
            .then(|| value.trim().to_owned())
    });
    asked.lock().unwrap().push(Asked {
        method: method.clone(),
        target: target.clone(),
        login: login.clone(),
    });
    let mut answer = |status: u16, more: &str| {
        let text =
            format!("HTTP/1.1 {status} X\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n");
        client.write_all(text.as_bytes()).ok()
    };
    if let Some(nonsense) = rules.nonsense {
        return client.write_all(nonsense).ok();
    }
    if rules.login.is_some() && rules.login != login {
        return answer(407, "Proxy-Authenticate: Basic realm=\"x\"\r\n");
    }
    let tunnel = method == "CONNECT";
    let authority = match (tunnel, target.strip_prefix("http://")) {
        (true, _) => target.clone(),
        (false, Some(rest)) => rest.split('/').next()?.to_owned(),
        (false, None) => return answer(400, ""),
    };
    match (tunnel, rules.connect, &rules.absolute) {
        (true, Some(status), _) => return answer(status, ""),
        (false, _, Some((status, more))) => return answer(*status, more),
        _ => {}
    }
    let server = match rules.to {
        Some(to) => TcpStream::connect(to),
        None => TcpStream::connect(&authority),
    };
    let Ok(mut server) = server else {
        return answer(502, "");
    };
    if tunnel {
        client
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .ok()?;
    } else {
        let path = target.split_once("://")?.1;
        let path = path.find('/').map_or("/", |at| &path[at..]);
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for line in fields {
            let lower = line.to_ascii_lowercase();
            if !lower.starts_with("proxy-") && !lower.starts_with("connection:") {
                text.push_str(&format!("{line}\r\n"));
            }
        }
        text.push_str("\r\n");
        server.write_all(text.as_bytes()).ok()?;
        let len = length(&head).unwrap_or(0);
        let (from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        std::thread::spawn(move || std::io::copy(&mut from.take(len), &mut to));
        return reply(&mut server, &mut client, &method);
    }
    let (from, to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || pipe(from, to));
    pipe(client, server);
    Some(())
}

/// Head of a request or a reply with its empty line.
fn read_head(from: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn length(head: &str) -> Option<u64> {
    let lower = head.to_ascii_lowercase();
    let line = lower.lines().find(|l| l.starts_with("content-length:"))?;
    line.split_once(':')?.1.trim().parse().ok()
}

/// Passes one reply on, and says that the connection ends.
fn reply(server: &mut TcpStream, client: &mut TcpStream, method: &str) -> Option<()> {
    loop {
        let head = read_head(server)?;
        if head.starts_with("HTTP/1.1 100") {
            client.write_all(head.as_bytes()).ok()?;
            continue;
        }
        let (first, rest) = head.split_once("\r\n")?;
        let text = format!("{first}\r\nConnection: close\r\n{rest}");
        client.write_all(text.as_bytes()).ok()?;
        let len = if method == "HEAD" {
            0
        } else {
            length(&head).unwrap_or(0)
        };
        std::io::copy(&mut Read::take(&mut *server, len), client).ok()?;
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
        return Some(());
    }
}

fn pipe(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
