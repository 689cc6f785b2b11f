//! A small S3 server in memory that misbehaves by script: for tests of what the client does on bad networks and with bad
//! servers. Checks no signature; one thread a connection; knows `GET HEAD PUT POST DELETE` on one bucket.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What goes wrong with one request.
pub enum Trouble {
    /// Reads so many bytes of the body, then drops the connection (reset).
    Reset(u64),
    /// Does what was asked and closes without a reply.
    Swallow,
    /// Answers this without reading the body, then closes.
    Early(u16, &'static str),
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
    /// Pretends another length (`HEAD`).
    Length(u64),
    /// Answers, then closes the connection without saying so.
    CloseAfter,
    /// The store changes before the request is served.
    Replace(&'static str, Vec<u8>),
    /// Closes as soon as the request has come.
    Close,
    /// Does what was asked, sends so many bytes of the reply's body (`None`: not even its head), then stays silent.
    Stall(Option<u64>),
}

/// One request as it came.
#[derive(Clone, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: u64,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str())
    }
}

/// Which requests a trouble is for.
type Wanted = (&'static str, &'static str);

#[derive(Default)]
pub struct State {
    /// Files by key.
    pub files: BTreeMap<String, Vec<u8>>,
    pub bucket: bool,
    /// Troubles with method and a part of the target; the first that fits is used up.
    pub script: Vec<(Wanted, Trouble)>,
    pub seen: Vec<Seen>,
    /// Connections accepted.
    pub connections: u64,
    /// Answers version 1 of the listing whatever was asked.
    pub only_v1: bool,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
}

/// A running server; the thread ends with the process.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
}

/// Turns an accepted connection into what is spoken on it.
type Wrap = Arc<dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync>;

/// A connection, plain or not.
pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Server {
    pub fn start() -> Server {
        Server::start_with(Arc::new(|tcp| Some(Box::new(tcp))))
    }

    pub fn start_with(wrap: Wrap) -> Server {
        Server::start_at("127.0.0.1:0", wrap)
    }

    pub fn start_at(place: &str, wrap: Wrap) -> Server {
        let listener = TcpListener::bind(place).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            bucket: true,
            ..State::default()
        }));
        let server = Server { address, state };
        let shared = server.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                shared.state.lock().unwrap().connections += 1;
                let (state, wrap) = (shared.state.clone(), wrap.clone());
                std::thread::spawn(move || {
                    if let Some(stream) = wrap(tcp) {
                        let mut stream = BufReader::new(stream);
                        while serve(&mut stream, &state).unwrap_or(false) {}
                    }
                });
            }
        });
        server
    }

    pub fn script(&self, method: &'static str, part: &'static str, trouble: Trouble) {
        let mut state = self.state.lock().unwrap();
        state.script.push(((method, part), trouble));
    }

    pub fn put(&self, key: &str, data: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.files.insert(key.to_owned(), data.to_vec());
    }

    pub fn file(&self, key: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().files.get(key).cloned()
    }

    /// Requests of a method so far.
    pub fn seen(&self, method: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        let of = state.seen.iter().filter(|s| s.method == method);
        of.cloned().collect()
    }
}

/// Text of a refusal.
pub fn error(code: &str, more: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>because</Message>{more}</Error>")
}

type Io<T> = std::io::Result<T>;

/// One request. False = the connection ends.
fn serve(stream: &mut BufReader<Box<dyn Stream>>, state: &Mutex<State>) -> Io<bool> {
    if stream.fill_buf()?.first() == Some(&0x16) {
        let text = b"Client sent a TLS greeting to an HTTP server";
        return answer(stream, 400, &[], text).map(|()| false);
    }
    let Some(mut request) = read_head(stream)? else {
        return Ok(false);
    };
    let trouble = take(state, &request);
    let len: u64 = request
        .header("content-length")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    match trouble {
        Some(Trouble::Early(status, body)) => {
            note(state, &request);
            return answer(
                stream,
                status,
                &[("connection", "close".to_owned())],
                body.as_bytes(),
            )
            .map(|()| false);
        }
        Some(Trouble::Close) => {
            note(state, &request);
            return Ok(false);
        }
        _ => {}
    }
    if request.header("expect").is_some() {
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if let Some(Trouble::Reset(bytes)) = trouble {
        let mut some = Vec::new();
        stream
            .by_ref()
            .take(bytes.min(len))
            .read_to_end(&mut some)?;
        request.body = bytes;
        note(state, &request);
        return Ok(false);
    }
    let mut body = Vec::new();
    stream.by_ref().take(len).read_to_end(&mut body)?;
    request.body = body.len() as u64;
    note(state, &request);
    if request.body < len {
        return Ok(false);
    }
    if let Some(Trouble::Answer(status, headers, text)) = &trouble {
        return answer(stream, *status, headers, text.as_bytes()).map(|()| true);
    }
    if let Some(Trouble::Replace(key, data)) = &trouble {
        let mut state = state.lock().unwrap();
        state.files.insert((*key).to_owned(), data.clone());
    }
    let whole = matches!(trouble, Some(Trouble::Whole));
    let late = matches!(trouble, Some(Trouble::WrongRange));
    let (status, mut headers, reply) = act(&mut state.lock().unwrap(), &request, body, whole, late);
    match trouble {
        Some(Trouble::Swallow) => return Ok(false),
        Some(Trouble::Stall(part)) => {
            if let Some(n) = part {
                let n = usize::try_from(n).unwrap().min(reply.len());
                headers.push(("content-length", reply.len().to_string()));
                answer(stream, status, &headers, &reply[..n])?;
            }
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest)?;
            return Ok(false);
        }
        Some(Trouble::Length(n)) => {
            headers.retain(|(name, _)| *name != "content-length");
            headers.push(("content-length", n.to_string()));
        }
        Some(Trouble::Cut(n)) => {
            let n = usize::try_from(n).unwrap().min(reply.len());
            headers.push(("content-length", reply.len().to_string()));
            answer(stream, status, &headers, &reply[..n])?;
            return Ok(false);
        }
        Some(Trouble::CutOpen(n)) => {
            let n = usize::try_from(n).unwrap().min(reply.len());
            headers.push(("content-length", String::new()));
            answer(stream, status, &headers, &reply[..n])?;
            return Ok(false);
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

fn take(state: &Mutex<State>, request: &Seen) -> Option<Trouble> {
    let mut state = state.lock().unwrap();
    let at = state.script.iter().position(|((method, part), _)| {
        *method == request.method && request.target.contains(part)
    })?;
    Some(state.script.remove(at).1)
}

fn note(state: &Mutex<State>, request: &Seen) {
    state.lock().unwrap().seen.push(request.clone());
}

/// A `content-length` among the headers is used as it is; an empty one means none at all.
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
    stream.write_all(out.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

type Reply = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn refuse(status: u16, code: &str) -> Reply {
    (status, Vec::new(), error(code, "").into_bytes())
}

/// What a good server would do; path style only.
fn act(state: &mut State, request: &Seen, body: Vec<u8>, whole: bool, late: bool) -> Reply {
    if request.method == "CONNECT" {
        return (200, vec![("content-length", String::new())], Vec::new());
    }
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let (_, key) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or(("", ""));
    let key = decode(key);
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|p| p.split_once('='))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect();
    if key.is_empty() && request.method == "PUT" {
        state.bucket = true;
        return (200, Vec::new(), Vec::new());
    }
    if !state.bucket {
        return refuse(404, "NoSuchBucket");
    }
    match request.method.as_str() {
        "GET" if key.is_empty() => (200, Vec::new(), list(state, &query).into_bytes()),
        "GET" => match state.files.get(&key) {
            Some(data) => get(data, request, whole, late),
            None => refuse(404, "NoSuchKey"),
        },
        "HEAD" => match state.files.get(&key) {
            Some(data) => {
                let len = data.len().to_string();
                (200, vec![("content-length", len)], Vec::new())
            }
            None if key.is_empty() => (200, Vec::new(), Vec::new()),
            None => (404, Vec::new(), Vec::new()),
        },
        "PUT" | "POST" if query.contains_key("uploadId") => {
            parts(state, &key, request, &query, body)
        }
        "POST" => {
            let id = format!("up{}/+", state.uploads.len());
            let xml = format!("<R><Bucket>b</Bucket><UploadId>{id}</UploadId></R>");
            state.uploads.insert(id, BTreeMap::new());
            (200, Vec::new(), xml.into_bytes())
        }
        "PUT" => {
            state.files.insert(key, body);
            (200, vec![("etag", "\"e\"".to_owned())], Vec::new())
        }
        "DELETE" => {
            match query.get("uploadId") {
                Some(id) => drop(state.uploads.remove(id)),
                None => drop(state.files.remove(&key)),
            }
            (204, Vec::new(), Vec::new())
        }
        _ => refuse(405, "MethodNotAllowed"),
    }
}

fn parts(
    state: &mut State,
    key: &str,
    request: &Seen,
    query: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> Reply {
    let id = &query["uploadId"];
    if request.method == "PUT" {
        let number = query["partNumber"].parse().unwrap();
        return match state.uploads.get_mut(id) {
            Some(upload) => {
                upload.insert(number, body);
                (200, vec![("etag", format!("\"p{number}\""))], Vec::new())
            }
            None => refuse(404, "NoSuchUpload"),
        };
    }
    let Some(upload) = state.uploads.remove(id) else {
        return refuse(404, "NoSuchUpload");
    };
    let data = upload.into_values().flatten().collect();
    state.files.insert(key.to_owned(), data);
    // White space keeps the connection alive while the parts are put together.
    let xml = format!(
        "<?xml version=\"1.0\"?>\n{}<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>",
        " ".repeat(300)
    );
    (200, Vec::new(), xml.into_bytes())
}

fn etag(data: &[u8]) -> String {
    let sum = data
        .iter()
        .step_by(1 + data.len() / 100_000)
        .fold(7u64, |n, &b| n.wrapping_mul(31).wrapping_add(u64::from(b)));
    format!("\"{sum:x}\"")
}

fn get(data: &[u8], request: &Seen, whole: bool, late: bool) -> Reply {
    let mut headers = vec![("etag", etag(data))];
    let range = request.header("range").filter(|_| !whole);
    let Some(range) = range else {
        return (200, headers, data.to_vec());
    };
    if request.header("if-match").is_some_and(|e| e != etag(data)) {
        return refuse(412, "PreconditionFailed");
    }
    let from = range.trim_start_matches("bytes=").trim_end_matches('-');
    let from = from.parse::<usize>().unwrap() + usize::from(late);
    let total = data.len();
    if from >= total {
        headers.push(("content-range", format!("bytes */{total}")));
        return (416, headers, error("InvalidRange", "").into_bytes());
    }
    headers.push((
        "content-range",
        format!("bytes {from}-{}/{total}", total - 1),
    ));
    (206, headers, data[from..].to_vec())
}

fn list(state: &State, query: &BTreeMap<String, String>) -> String {
    let empty = String::new();
    let value = |name: &str| query.get(name).unwrap_or(&empty);
    let v2 = query.contains_key("list-type") && !state.only_v1;
    let after = if v2 {
        value("continuation-token")
    } else {
        value("marker")
    };
    let prefix = value("prefix");
    let keys: Vec<(&String, &Vec<u8>)> = state
        .files
        .range::<str, _>((
            std::ops::Bound::Excluded(after.max(prefix).as_str()),
            std::ops::Bound::Unbounded,
        ))
        .take_while(|(k, _)| k.starts_with(prefix.as_str()))
        .take(1001)
        .collect();
    let more = keys.len() > 1000;
    let mut out = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
    for (key, data) in keys.iter().take(1000) {
        let key = key.replace('&', "&amp;").replace('<', "&lt;");
        let len = data.len();
        out.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>{len}</Size></Contents>"
        ));
    }
    if v2 {
        out.push_str("<KeyCount>1</KeyCount>");
        if let Some((key, _)) = keys.get(999).filter(|_| more) {
            out.push_str(&format!(
                "<NextContinuationToken>{key}</NextContinuationToken>"
            ));
        }
    }
    out + "</ListBucketResult>"
}

fn decode(text: &str) -> String {
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
