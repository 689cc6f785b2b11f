//! Dropbox in the table of faults, with an AuthID: a token service stands before it.

#[path = "../../../tests/support/faulty_dropbox.rs"]
pub(in crate::remote) mod faulty_dropbox;

use super::gcs::base;
use super::*;
use crate::base::bytes::hex;
use faulty_dropbox::{Dropbox, FOLDER, error};

/// The service's digest, written anew: of the digests of blocks of 4 MiB.
pub(super) fn content_hash(data: &[u8]) -> String {
    let blocks = data.chunks(4 << 20).map(|block| Algo::Sha256.hash(block));
    let all: Vec<u8> = blocks.flat_map(|hash| hash.as_bytes().to_vec()).collect();
    hex(Algo::Sha256.hash(&all).as_bytes())
}

pub(super) fn server() -> Server<Dropbox> {
    Server::start(|_| Dropbox::new(content_hash))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<Dropbox>);

impl Wire for Place {
    fn schemes(&self) -> &'static [&'static str] {
        &["dropbox"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|dropbox| dropbox.tree.retain(|path, _| !path.starts_with(FOLDER)));
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "/refresh"),
            Verb::List => ("POST", "/list_folder"),
            Verb::Look => ("POST", "/get_metadata"),
            Verb::Get => ("GET", "/2/"),
            Verb::Put => ("POST", "/files/upload"),
            Verb::Delete => ("POST", "/delete_v2"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        match status {
            400 => "Error in call to API function".to_owned(),
            401 => error("expired_access_token"),
            409 => error(message),
            429 => error("too_many_requests"),
            _ => message.to_owned(),
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |summary, kind, words| (409, error(summary), kind, words);
        vec![
            of("path/insufficient_space", Kind::NoSpace, "no space left"),
            of("payload_too_large", Kind::Unsupported, "size"),
            of("path/disallowed_name", Kind::Unsupported, "take the name"),
            of("path/malformed_path", Kind::Unsupported, "take the name"),
            of("path/conflict/folder", Kind::Unsupported, "a folder has"),
            of("path/conflict/file_ancestor", Kind::Unsupported, "is a file"),
            of("path/no_write_permission", Kind::Credentials, "only read"),
            of("content_hash_mismatch", Kind::Damaged, "arrived damaged"),
        ]
    }

    fn absent(&self) -> Trouble {
        reply(409, error("path/not_found"))
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{".tag":"file","name":{name},"size":1}}"#)
        };
        let all: Vec<String> = names.iter().map(entry).collect();
        let all = all.join(",");
        let page = format!(r#"{{"entries":[{all}],"cursor":"c","has_more":false}}"#);
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"entries":[],"cursor":"c"}"#.to_owned(),
            r#"{"cursor":"c","has_more":false}"#.to_owned(),
            r#"{"entries":[],"has_more":true}"#.to_owned(),
            format!(r#"{{"entries":[{{".tag":"file","name":"{long}"}}],"has_more":false}}"#),
            format!(r#"{{"entries":{}"#, "[".repeat(100_000)),
        ]
    }

    /// An upload asks first whether the folder is there.
    fn looks(&self) -> usize {
        2
    }

    fn pages(&self) -> usize {
        10
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [
            ("\"size\":10", "\"size\":9"),
            ("\"content_hash\":\"", "\"content_hash\":\"0"),
        ]
        .map(|(from, to)| (Verb::Put, Trouble::Replaced(from, to)))
        .into()
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let base = base(at);
    format!(
        "dropbox://bkt?dropbox-endpoint={base}&oauth-url={base}/refresh&authid=KEYID:{SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
