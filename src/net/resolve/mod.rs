//! Host names to addresses without the C library (`static-build.md` 3): literals, the hosts file, DNS over UDP and TCP.
//!
//! Blocking, on the caller's thread. Only [`Names`] remembers: ureq asks before every request, also on an open connection.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::base::bytes::Cursor;
use crate::base::fault::Class;
use crate::base::rand;
use crate::base::sys::{self, Tcp};

/// Most addresses returned.
pub(crate) const ADDRESSES_MAX: usize = 16;
/// Longest hosts or resolver file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 4 << 20;
const SERVERS_MAX: usize = 3;
/// So long an answer is good.
const KNOWN_FOR: Duration = Duration::from_secs(60);
const NAMES_MAX: usize = 8;
const NO_HOST: &str = "no such host";
const NO_NAME: &str = "it is not a host name";
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// What `resolv.conf` says.
#[derive(Debug, PartialEq, Eq)]
struct Config {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    timeout: Duration,
    attempts: u32,
    ndots: usize,
}

/// Answers that are still good.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Known>);

#[derive(Debug)]
struct Known {
    host: String,
    since: Instant,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// The addresses of a host as `ask` finds them, or found them not long before `now`.
    pub(crate) fn get(
        &mut self,
        host: &str,
        now: Instant,
        ask: &mut dyn FnMut(&str) -> Result<Vec<IpAddr>, String>,
    ) -> Result<&[IpAddr], String> {
        self.0
            .retain(|k| now.saturating_duration_since(k.since) < KNOWN_FOR);
        let at = match self.0.iter().position(|k| k.host == host) {
            Some(at) => at,
            None => {
                let addresses = ask(host)?;
                if self.0.len() >= NAMES_MAX {
                    self.0.remove(0);
                }
                self.0.push(Known {
                    host: host.to_owned(),
                    since: now,
                    addresses,
                });
                self.0.len() - 1
            }
        };
        Ok(&self.0[at].addresses)
    }

    /// The next request asks again: what is known may lead to nowhere.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

/// The class of an error of [`resolve`]: of a name that does not exist a further question soon makes no difference.
pub(crate) fn class(why: &str) -> Class {
    match why {
        NO_HOST | NO_NAME => Class::NoHost,
        _ => Class::Transient,
    }
}

/// All addresses of a host, best first (hosts file order; IPv4 before IPv6 from DNS). Empty = not found; the error is a
/// clause for people.
pub(crate) fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![ip]);
    }
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    if !good_host(&name) {
        return Err(NO_NAME.to_owned());
    }
    let hosts = in_hosts(&read_file("/etc/hosts"), &name);
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]);
    }
    let config = parse_config(&read_file("/etc/resolv.conf"));
    ask_all(&config, &name, bare.ends_with('.'), &mut |server, query| {
        exchange(server, query, config.timeout)
    })
}

fn read_file(path: &str) -> String {
    let mut data = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(FILE_MAX_BYTES).read_to_end(&mut data);
    }
    String::from_utf8_lossy(&data).into_owned()
}

fn good_host(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(['#', ';'])
        .next()
        .unwrap_or("")
        .split_ascii_whitespace()
}

fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = words(line);
        let Some(ip) = words.next().and_then(|w| w.parse().ok()) else {
            continue;
        };
        if words.any(|w| w.eq_ignore_ascii_case(name))
            && !found.contains(&ip)
            && found.len() < ADDRESSES_MAX
        {
            found.push(ip);
        }
    }
    found
}

fn parse_config(text: &str) -> Config {
    let mut config = Config {
        servers: Vec::new(),
        search: Vec::new(),
        timeout: Duration::from_secs(5),
        attempts: 2,
        ndots: 1,
    };
    for line in text.lines() {
        let mut words = words(line);
        match words.next() {
            Some("nameserver") => {
                let word = words.next().unwrap_or("");
                let plain = word.split('%').next().unwrap_or("");
                if let Ok(ip) = plain.parse::<IpAddr>()
                    && config.servers.len() < SERVERS_MAX
                {
                    config.servers.push(SocketAddr::new(ip, 53));
                }
            }
            Some("search" | "domain") => {
                let names = words.map(|w| w.trim_end_matches('.').to_ascii_lowercase());
                config.search = names.filter(|n| good_host(n)).take(6).collect();
            }
            Some("options") => {
                for option in words {
                    let (name, value) = option.split_once(':').unwrap_or((option, ""));
                    let value = value.parse::<u32>().ok();
                    match (name, value) {
                        ("timeout", Some(n)) => {
                            config.timeout = Duration::from_secs(u64::from(n.clamp(1, 30)));
                        }
                        ("attempts", Some(n)) => config.attempts = n.clamp(1, 5),
                        ("ndots", Some(n)) => {
                            config.ndots = usize::try_from(n.min(15)).unwrap_or(1);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if config.servers.is_empty() {
        config
            .servers
            .push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53));
    }
    config
}

/// The names to try in order.
fn candidates(config: &Config, name: &str, absolute: bool) -> Vec<String> {
    let dots = name.matches('.').count();
    let mut names = Vec::new();
    if absolute || dots >= config.ndots {
        names.push(name.to_owned());
    }
    if !absolute {
        names.extend(config.search.iter().map(|s| format!("{name}.{s}")));
        if dots < config.ndots {
            names.push(name.to_owned());
        }
    }
    names.retain(|n| good_host(n));
    names
}

/// Sends a query to a server and returns its reply.
type Exchange<'a> = dyn FnMut(SocketAddr, &[u8]) -> Result<Vec<u8>, String> + 'a;

fn ask_all(
    config: &Config,
    name: &str,
    absolute: bool,
    exchange: &mut Exchange<'_>,
) -> Result<Vec<IpAddr>, String> {
    let mut problem = None;
    for full in candidates(config, name, absolute) {
        let mut found = Vec::new();
        for kind in [TYPE_A, TYPE_AAAA] {
            match ask(config, &full, kind, exchange) {
                Ok(mut more) => found.append(&mut more),
                Err(e) => problem = Some(e),
            }
        }
        found.truncate(ADDRESSES_MAX);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(problem.unwrap_or_else(|| NO_HOST.to_owned()))
}

/// One name and record type; an empty list when there is no such name or record.
fn ask(
    config: &Config,
    name: &str,
    kind: u16,
    exchange: &mut Exchange<'_>,
) -> Result<Vec<IpAddr>, String> {
    let mut problem = "no name server answers".to_owned();
    for _ in 0..config.attempts {
        for server in &config.servers {
            let mut id = [0; 2];
            rand::fill(&mut id).map_err(|e| e.to_string())?;
            let query = question(id, name, kind);
            let reply = match exchange(*server, &query) {
                Ok(reply) => reply,
                Err(e) => {
                    problem = format!("name server {}: {e}", server.ip());
                    continue;
                }
            };
            match answer(&reply, &query, kind) {
                Some(Answer::Found(list)) => return Ok(list),
                Some(Answer::NoName) => return Ok(Vec::new()),
                Some(Answer::Failed(code)) => {
                    problem = format!("name server {} answers with error {code}", server.ip());
                }
                None => problem = format!("name server {} sends nonsense", server.ip()),
            }
        }
    }
    Err(problem)
}

fn question(id: [u8; 2], name: &str, kind: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 18);
    out.extend_from_slice(&id);
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out
}

/// One input for all that reads the files and answers of the resolver, for the fuzz program.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(data: &[u8]) {
    let query = question([1, 2], "host.example", TYPE_A);
    for kind in [TYPE_A, TYPE_AAAA] {
        if let Some(Answer::Found(found)) = answer(data, &query, kind) {
            assert!(found.len() <= ADDRESSES_MAX && belongs(data, &query));
        }
    }
    let text = String::from_utf8_lossy(data);
    drop(candidates(&parse_config(&text), "host", false));
    drop(in_hosts(&text, "host"));
}

enum Answer {
    Found(Vec<IpAddr>),
    NoName,
    Failed(u8),
}

/// True when a reply belongs to the query: same id, a response, same question.
fn belongs(reply: &[u8], query: &[u8]) -> bool {
    let (Some(id), Some(flags), Some(count)) = (reply.get(..2), reply.get(2), reply.get(4..6))
    else {
        return false;
    };
    let asked = &query[12..];
    let echoed = reply.get(12..query.len());
    Some(id) == query.get(..2)
        && flags & 0x80 != 0
        && count == [0, 1]
        && echoed.is_some_and(|e| e.eq_ignore_ascii_case(asked))
}

fn answer(reply: &[u8], query: &[u8], kind: u16) -> Option<Answer> {
    if !belongs(reply, query) {
        return None;
    }
    match reply.get(3)? & 15 {
        0 => {}
        3 => return Some(Answer::NoName),
        code => return Some(Answer::Failed(code)),
    }
    let mut header = Cursor::new(reply.get(6..)?);
    let answers = header.u16_be()?;
    let mut at = Cursor::new(reply.get(query.len()..)?);
    let mut found = Vec::new();
    for _ in 0..answers {
        skip_name(&mut at)?;
        let record = at.u16_be()?;
        at.take(6)?;
        let len = at.u16_be()?;
        let data = at.take(usize::from(len))?;
        let ip = match (record, data.len()) {
            (TYPE_A, 4) => Some(IpAddr::from(<[u8; 4]>::try_from(data).ok()?)),
            (TYPE_AAAA, 16) => Some(IpAddr::from(<[u8; 16]>::try_from(data).ok()?)),
            _ => None,
        };
        if let Some(ip) = ip
            && record == kind
            && found.len() < ADDRESSES_MAX
        {
            found.push(ip);
        }
    }
    Some(Answer::Found(found))
}

/// Passes over a name; a pointer ends it, so nothing is followed and nothing can loop.
fn skip_name(at: &mut Cursor<'_>) -> Option<()> {
    for _ in 0..128 {
        match at.u8()? {
            0 => return Some(()),
            n if n & 0xc0 == 0xc0 => {
                at.u8()?;
                return Some(());
            }
            n if n & 0xc0 == 0 => {
                at.take(usize::from(n))?;
            }
            _ => return None,
        }
    }
    None
}

/// One query over UDP, again over TCP when the reply was cut.
fn exchange(server: SocketAddr, query: &[u8], timeout: Duration) -> Result<Vec<u8>, String> {
    let text = |e: std::io::Error| crate::base::error::io_text(&e);
    let any = if server.is_ipv4() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
    } else {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0)
    };
    let socket = UdpSocket::bind(any).map_err(text)?;
    socket.connect(server).map_err(text)?;
    socket.send(query).map_err(text)?;
    let started = Instant::now();
    let mut buffer = [0; 4096];
    loop {
        let left = timeout
            .checked_sub(started.elapsed())
            .filter(|d| !d.is_zero())
            .ok_or_else(|| "no answer in time".to_owned())?;
        let received = sys::in_slices(Some(left), &mut |slice| {
            socket.set_read_timeout(Some(slice))?;
            socket.recv(&mut buffer)
        });
        let n = match received {
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                return Err("no answer in time".to_owned());
            }
            Err(e) => return Err(text(e)),
        };
        let reply = &buffer[..n];
        if !belongs(reply, query) {
            continue;
        }
        if reply[2] & 2 == 0 {
            return Ok(reply.to_vec());
        }
        return over_tcp(server, query, timeout).map_err(text);
    }
}

fn over_tcp(server: SocketAddr, query: &[u8], timeout: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = Tcp::connect(&server, Some(timeout))?;
    let len = u16::try_from(query.len()).unwrap_or(0);
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed)?;
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(head))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

#[cfg(test)]
mod tests;
