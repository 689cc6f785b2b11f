//! Box in the table of faults, with an AuthID: a token service stands before it.

#[path = "../../../tests/support/faulty_box.rs"]
pub(in crate::remote) mod faulty_box;

use super::gcs::base;
use super::*;
use crate::base::bytes::{base64, hex};
use faulty_box::{BoxCom, error};

pub(super) fn server() -> Server<BoxCom> {
    let sha1 = |data: &[u8]| {
        let hash = Algo::Sha1.hash(data);
        (hex(hash.as_bytes()), base64(hash.as_bytes()))
    };
    Server::start(|_| BoxCom::new(sha1))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<BoxCom>);

impl Wire for Place {
    fn schemes(&self) -> &'static [&'static str] {
        &["box"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|account| account.items.clear());
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "/refresh"),
            Verb::List => ("GET", "/items?fields=name,size"),
            Verb::Look => ("OPTIONS", "/2.0/files/content"),
            Verb::Get => ("GET", "/duplicati-b1"),
            Verb::Put => ("POST", "/content"),
            Verb::Delete => ("DELETE", "/2.0/files/"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let code = match status {
            400 => "bad_request",
            401 => "unauthorized",
            403 => "access_denied_insufficient_permissions",
            404 => "not_found",
            429 => "rate_limit_exceeded",
            503 => "unavailable",
            _ => return message.to_owned(),
        };
        error(status, code, message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |status, code, kind, words| (status, error(status, code, "no"), kind, words);
        vec![
            of(403, "storage_limit_exceeded", Kind::NoSpace, "no space left"),
            of(409, "storage_limit_exceeded", Kind::NoSpace, "no space left"),
            of(403, "file_size_limit_exceeded", Kind::Unsupported, "size"),
            of(403, "insufficient_scope", Kind::Credentials, "lacks a right"),
            of(400, "bad_digest", Kind::Damaged, "arrived damaged"),
            of(400, "item_name_invalid", Kind::Unsupported, "take the name"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |(at, name): (usize, &&str)| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{"type":"file","id":"{at}","name":{name},"size":1}}"#)
        };
        let all: Vec<String> = names.iter().enumerate().map(entry).collect();
        let page = format!(r#"{{"entries":[{}],"next_marker":null}}"#, all.join(","));
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"next_marker":null}"#.to_owned(),
            r#"{"entries":[{"type":"file","name":"a"}]}"#.to_owned(),
            format!(r#"{{"entries":[{{"type":"file","id":"1","name":"{long}"}}]}}"#),
            format!(r#"{{"entries":{}"#, "[".repeat(100_000)),
        ]
    }

    /// The name of an upload is asked for before it.
    fn looks(&self) -> usize {
        2
    }

    fn pages(&self) -> usize {
        20
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [
            ("\"size\":10", "\"size\":9"),
            ("\"sha1\":\"", "\"sha1\":\"0"),
        ]
        .map(|(from, to)| (Verb::Put, Trouble::Replaced(from, to)))
        .into()
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    fn follows(&self) -> (bool, bool) {
        (true, true)
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let base = base(at);
    format!(
        "box://bkt?box-endpoint={base}&oauth-url={base}/refresh&authid=KEYID:{SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
