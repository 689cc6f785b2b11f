//! A service that takes reports: keeps every request, answers as told. Its threads end with the process.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken service must fail the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|h| h.0 == name);
        found.map_or("", |h| h.1.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    got: Arc<Mutex<Vec<Request>>>,
    status: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    pub fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            got: Arc::default(),
            status: Arc::default(),
        };
        let shared = receiver.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.serve(client));
            }
        });
        receiver
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    /// The next answers; 0 hangs up. Then 200 again.
    pub fn answer(&self, status: &[u16]) {
        *self.status.lock().unwrap() = status.to_vec();
    }

    /// What came since the last look.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    fn serve(&self, client: TcpStream) {
        let mut from = BufReader::new(client.try_clone().unwrap());
        let mut client = client;
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if from.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                let line = line.trim_end().to_owned();
                if line.is_empty() {
                    break;
                }
                lines.push(line);
            }
            let mut words = lines[0].split(' ').map(str::to_owned);
            let headers: Vec<(String, String)> = lines[1..]
                .iter()
                .filter_map(|l| l.split_once(": "))
                .map(|(n, v)| (n.to_lowercase(), v.to_owned()))
                .collect();
            let mut request = Request {
                method: words.next().unwrap(),
                target: words.next().unwrap(),
                headers,
                body: String::new(),
            };
            let length = request.header("content-length").parse().unwrap_or(0);
            let mut body = vec![0; length];
            from.read_exact(&mut body).unwrap();
            request.body = String::from_utf8(body).unwrap();
            self.got.lock().unwrap().push(request);
            let status = {
                let mut next = self.status.lock().unwrap();
                if next.is_empty() { 200 } else { next.remove(0) }
            };
            if status == 0 {
                return;
            }
            let more = if status / 100 == 3 {
                "location: /elsewhere\r\n"
            } else {
                ""
            };
            let reply = format!("HTTP/1.1 {status} Said\r\n{more}content-length: 0\r\n\r\n");
            if client.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }
}
