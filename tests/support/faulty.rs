//! An HTTP server in memory that misbehaves by script, whatever it serves: for tests of what a client does on bad networks and
//! with bad servers. What a good server would do is a [`Service`]. One thread a connection.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What goes wrong with one request.
#[derive(Clone)]
pub enum Trouble {
    /// Reads so many bytes of the body, then drops the connection (reset).
    Reset(u64),
    /// Does what was asked and closes without a reply.
    Swallow,
    /// Answers this without reading the body, then closes.
    Early(u16, &'static str),
    /// Reads so many bytes of the body without having been asked first, answers this, then closes (reset).
    Midway(u64, u16, String),
    /// Answers this after reading the body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The right reply, but only so many bytes of its body.
    Cut(u64),
    /// As `Cut`, without a `Content-Length`.
    CutOpen(u64),
    /// Sends the whole file although a range was asked for.
    Whole,
    /// A range that begins one byte too late.
    WrongRange,
    /// Answers, then closes the connection without saying so.
    CloseAfter,
    /// Closes as soon as the request has come.
    Close,
    /// Does what was asked, sends so many bytes of the reply's body (`None`: not even its head), then stays silent.
    Stall(Option<u64>),
    /// The right reply with these pieces of its body replaced.
    Replaced(&'static str, &'static str),
    /// The right reply, but it says another length.
    Length(u64),
    /// Never says that the body may come, and then takes it.
    Mute,
    /// The right reply with these lines in its head.
    More(Vec<(&'static str, String)>),
    /// So many bytes of the right reply's body, then this every now and then without end.
    Drip(usize, &'static str),
    /// The right reply, with its body in pieces and a pause before each.
    Slow,
    /// The right reply, once this is true.
    Held(Arc<AtomicBool>),
    /// A file changes before the request is served.
    Replace(&'static str, Vec<u8>),
}

/// One request as it came.
#[derive(Clone, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// Length of the body.
    pub body: u64,
    /// Its first bytes.
    pub text: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str())
    }

    /// There is such a header, and `part` in it.
    pub fn holds(&self, name: &str, part: &str) -> bool {
        self.header(name).is_some_and(|v| v.contains(part))
    }
}

/// Status, headers and body. A `content-length` among the headers is used as it is; an empty one means none at all.
pub type Reply = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// How a file is to be sent.
#[derive(Clone, Copy, Default)]
pub struct Twist {
    /// Without regard to the range asked for.
    pub whole: bool,
    /// One byte too late.
    pub late: bool,
}

/// What a good server would do.
pub trait Service: Send + 'static {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply;

    /// The answer to a request that asks with `Expect` before it sends its body, if that is refused.
    fn early(&mut self, _request: &Seen) -> Option<Reply> {
        None
    }

    /// Puts a file into the folder that tests use.
    fn keep(&mut self, _name: &str, _data: &[u8]) {}

    /// What such a file holds.
    fn kept(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }
}

/// A connection, plain or not.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Turns an accepted connection into what is spoken on it.
pub type Wrap = Arc<dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync>;

/// Which requests a trouble is for: method, and a part of the target.
type Wanted = (&'static str, &'static str);

pub struct State<S> {
    pub service: S,
    /// The first that fits a request is used up.
    pub script: Vec<(Wanted, Trouble)>,
    pub seen: Vec<Seen>,
    /// Connections accepted.
    pub connections: u64,
    /// Nobody asks any more.
    ended: bool,
}

/// A running server. With this value its port closes; what it is being asked goes on until the client hangs up.
pub struct Server<S> {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State<S>>>,
}

impl<S: Service> Server<S> {
    /// `make` gets the address, for services that name it in replies.
    pub fn start(make: impl FnOnce(SocketAddr) -> S) -> Server<S> {
        Server::start_at("127.0.0.1:0", Arc::new(|tcp| Some(Box::new(tcp))), make)
    }

    pub fn start_at(place: &str, wrap: Wrap, make: impl FnOnce(SocketAddr) -> S) -> Server<S> {
        let listener = TcpListener::bind(place).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            service: make(address),
            script: Vec::new(),
            seen: Vec::new(),
            connections: 0,
            ended: false,
        }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let mut now = shared.lock().unwrap();
                if now.ended {
                    return;
                }
                now.connections += 1;
                drop(now);
                let (state, wrap) = (shared.clone(), wrap.clone());
                std::thread::spawn(move || {
                    if let Some(stream) = wrap(tcp) {
                        let mut stream = BufReader::new(stream);
                        while serve(&mut stream, &state).unwrap_or(false) {}
                    }
                });
            }
        });
        Server { address, state }
    }

    pub fn script(&self, method: &'static str, part: &'static str, trouble: Trouble) {
        let mut state = self.state.lock().unwrap();
        state.script.push(((method, part), trouble));
    }

    /// Requests so far whose target holds `part`.
    pub fn seen(&self, part: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        let of = state.seen.iter().filter(|s| s.target.contains(part));
        of.cloned().collect()
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.state.lock().unwrap().connections
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut S) -> T) -> T {
        act(&mut self.state.lock().unwrap().service)
    }
}

/// Hundreds of servers that are left behind in one process make every child it starts slower.
impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.ended = true;
        }
        // Its thread waits for a connection.
        let _ = TcpStream::connect_timeout(&self.address, WAKE);
    }
}

/// Longest wait for a server to notice that it has ended.
const WAKE: std::time::Duration = std::time::Duration::from_secs(5);

type Io<T> = std::io::Result<T>;

/// One request. False = the connection ends.
fn serve<S: Service>(stream: &mut BufReader<Box<dyn Stream>>, state: &Mutex<State<S>>) -> Io<bool> {
    if stream.fill_buf()?.first() == Some(&0x16) {
        let text = b"Client sent a TLS greeting to an HTTP server";
        return answer(stream, 400, &[], text).map(|()| false);
    }
    let Some(mut request) = read_head(stream)? else {
        return Ok(false);
    };
    let trouble = take(state, &request);
    let note = |request: &Seen| state.lock().unwrap().seen.push(request.clone());
    let len: u64 = request
        .header("content-length")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    // What breaks off: bytes that are read before, and what is said.
    let end = match &trouble {
        Some(Trouble::Early(status, body)) => Some((None, Some((*status, *body)))),
        Some(Trouble::Midway(n, status, body)) => Some((Some(*n), Some((*status, body.as_str())))),
        Some(Trouble::Close) => Some((None, None)),
        Some(Trouble::Reset(n)) => Some((Some(*n), None)),
        _ => None,
    };
    if let Some((bytes, last)) = end {
        if let Some(bytes) = bytes {
            go_on(stream, &request)?;
            let mut begun = stream.by_ref().take(bytes.min(len));
            request.body = std::io::copy(&mut begun, &mut std::io::sink())?;
        }
        note(&request);
        if let Some((status, body)) = last {
            let close = [("connection", "close".to_owned())];
            answer(stream, status, &close, body.as_bytes())?;
        }
        return Ok(false);
    }
    if request.header("expect").is_some() {
        let refused = state.lock().unwrap().service.early(&request);
        if let Some((status, headers, body)) = refused {
            note(&request);
            return answer(stream, status, &headers, &body).map(|()| false);
        }
        if !matches!(trouble, Some(Trouble::Mute)) {
            go_on(stream, &request)?;
        }
    }
    let mut body = Vec::new();
    stream.by_ref().take(len).read_to_end(&mut body)?;
    request.body = body.len() as u64;
    request.text = String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned();
    note(&request);
    if request.body < len {
        return Ok(false);
    }
    match &trouble {
        Some(Trouble::Answer(status, headers, text)) => {
            return answer(stream, *status, headers, text.as_bytes()).map(|()| true);
        }
        Some(Trouble::Replace(name, data)) => {
            let mut state = state.lock().unwrap();
            state.service.keep(name, data);
        }
        _ => {}
    }
    let twist = Twist {
        whole: matches!(trouble, Some(Trouble::Whole)),
        late: matches!(trouble, Some(Trouble::WrongRange)),
    };
    let (status, mut headers, mut reply) = state.lock().unwrap().service.act(&request, body, twist);
    let whole = ("content-length", reply.len().to_string());
    let open = ("content-length", String::new());
    let part = |n: u64| &reply[..usize::try_from(n).unwrap().min(reply.len())];
    match trouble {
        Some(Trouble::Swallow) => return Ok(false),
        Some(Trouble::Held(ref free)) => {
            while !free.load(Ordering::Relaxed) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        Some(Trouble::Stall(sent)) => {
            if let Some(n) = sent {
                headers.push(whole);
                answer(stream, status, &headers, part(n))?;
            }
            return stream.read_to_end(&mut Vec::new()).map(|_| false);
        }
        Some(Trouble::Cut(n)) => {
            headers.push(whole);
            return answer(stream, status, &headers, part(n)).map(|()| false);
        }
        Some(Trouble::CutOpen(n)) => {
            headers.push(open);
            return answer(stream, status, &headers, part(n)).map(|()| false);
        }
        Some(Trouble::Drip(n, drop)) => {
            headers.push(open);
            answer(stream, status, &headers, &reply[..n])?;
            loop {
                stream.get_mut().write_all(drop.as_bytes())?;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        Some(Trouble::Slow) => {
            headers.push(whole);
            answer(stream, status, &headers, b"")?;
            for piece in reply.chunks(1 + reply.len() / 8) {
                std::thread::sleep(std::time::Duration::from_millis(150));
                stream.get_mut().write_all(piece)?;
            }
            return Ok(true);
        }
        Some(Trouble::More(ref more)) => headers.extend(more.iter().cloned()),
        Some(Trouble::Length(n)) => {
            headers.retain(|(name, _)| *name != "content-length");
            headers.push(("content-length", n.to_string()));
        }
        Some(Trouble::Replaced(from, to)) => {
            let text = String::from_utf8(reply).unwrap();
            assert!(text.contains(from), "{text}");
            reply = text.replace(from, to).into_bytes();
        }
        _ => {}
    }
    let reply = if request.method == "HEAD" {
        Vec::new()
    } else {
        reply
    };
    answer(stream, status, &headers, &reply)?;
    Ok(!matches!(trouble, Some(Trouble::CloseAfter)))
}

/// Lets a client that asks send its body.
fn go_on(stream: &mut BufReader<Box<dyn Stream>>, request: &Seen) -> Io<()> {
    if request.header("expect").is_none() {
        return Ok(());
    }
    let text = b"HTTP/1.1 100 Continue\r\n\r\n";
    stream.get_mut().write_all(text)
}

fn read_head(stream: &mut BufReader<Box<dyn Stream>>) -> Io<Option<Seen>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let mut seen = Seen {
        method: words.next().unwrap_or("").to_owned(),
        target: words.next().unwrap_or("").to_owned(),
        ..Seen::default()
    };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(Some(seen));
        };
        let name = name.to_ascii_lowercase();
        seen.headers.push((name, value.trim().to_owned()));
    }
}

fn take<S>(state: &Mutex<State<S>>, request: &Seen) -> Option<Trouble> {
    let mut state = state.lock().unwrap();
    let at = state
        .script
        .iter()
        .position(|((method, part), _)| *method == request.method && fits(&request.target, part))?;
    Some(state.script.remove(at).1)
}

/// `part` is in the target, or ends it when a `$` ends `part`.
pub fn fits(target: &str, part: &str) -> bool {
    match part.strip_suffix('$') {
        Some(end) => target.ends_with(end),
        None => target.contains(part),
    }
}

fn answer(
    stream: &mut BufReader<Box<dyn Stream>>,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Io<()> {
    let mut out = format!("HTTP/1.1 {status} X\r\n");
    let mut length = false;
    for (name, value) in headers {
        length |= *name == "content-length";
        if !value.is_empty() {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if !length {
        out.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    out.push_str("\r\n");
    let stream = stream.get_mut();
    if body.len() < 4096 {
        // In one piece: a connection that is reset afterwards loses what has not gone out.
        stream.write_all(&[out.as_bytes(), body].concat())?;
    } else {
        stream.write_all(out.as_bytes())?;
        stream.write_all(body)?;
    }
    stream.flush()
}

/// A file or a range of it as a server sends it.
pub fn ranged(
    data: &[u8],
    request: &Seen,
    twist: Twist,
    mut headers: Vec<(&'static str, String)>,
) -> Reply {
    let Some(range) = request.header("range").filter(|_| !twist.whole) else {
        return (200, headers, data.to_vec());
    };
    let (from, last) = range.trim_start_matches("bytes=").split_once('-').unwrap();
    let from = from.parse::<usize>().unwrap() + usize::from(twist.late);
    let total = data.len();
    let end = last.parse::<usize>().map_or(total, |n| total.min(n + 1));
    if from >= total {
        headers.push(("content-range", format!("bytes */{total}")));
        return (416, headers, Vec::new());
    }
    let range = format!("bytes {from}-{}/{total}", end - 1);
    headers.push(("content-range", range));
    (206, headers, data[from..end.max(from)].to_vec())
}

/// What tells one content from another.
pub fn etag(data: &[u8]) -> String {
    let some = data.iter().step_by(1 + data.len() / 100_000);
    let sum = some.fold(7u64, |n, &b| n.wrapping_mul(31).wrapping_add(u64::from(b)));
    format!("\"{sum:x}\"")
}

/// Percent decoding.
pub fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
        let digits = std::str::from_utf8(&digits).unwrap().to_owned();
        out.push(u8::from_str_radix(&digits, 16).unwrap());
    }
    String::from_utf8(out).unwrap()
}
