//! pCloud in the table of faults.

#[path = "../../../tests/support/faulty_pcloud.rs"]
pub(in crate::remote) mod faulty_pcloud;

use super::statuses::again;
use super::*;
use crate::base::bytes::hex;
use faulty_pcloud::{PCloud, error};

pub(super) fn server() -> Server<PCloud> {
    let digests = |data: &[u8]| {
        let of = |algo: Algo| hex(algo.hash(data).as_bytes());
        vec![("sha1", of(Algo::Sha1)), ("sha256", of(Algo::Sha256))]
    };
    Server::start(|address| PCloud::new(address, digests))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<PCloud>);

impl Wire for Place {
    fn schemes(&self) -> &'static [&'static str] {
        &["pcloud"]
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
            Verb::Login => return None,
            // Of all of a folder, for there is no search.
            Verb::List => ("GET", "/listfolder?folderid=101$"),
            Verb::Look => ("GET", "/listfolder?folderid=101$"),
            Verb::Get => ("GET", "/duplicati-b1"),
            Verb::Put => ("PUT", "/uploadfile"),
            Verb::Delete => ("GET", "/deletefile"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        match status {
            404 => error(2009, message),
            _ => message.to_owned(),
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |result, kind, words| (200, error(result, "No."), kind, words);
        vec![
            of(1000, Kind::Credentials, "token is not accepted"),
            of(2000, Kind::Credentials, "token is not accepted"),
            of(2094, Kind::Credentials, "eapi.pcloud.com"),
            of(2003, Kind::Credentials, "lacks a right"),
            of(2001, Kind::Unsupported, "take the name"),
            of(2004, Kind::Unsupported, "a folder has the name"),
            of(2008, Kind::NoSpace, "no space left"),
            of(2345, Kind::Unsupported, "2345"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |(at, name): (usize, &&str)| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{"fileid":{at},"name":{name},"isfolder":false,"size":1}}"#)
        };
        let all: Vec<String> = names.iter().enumerate().map(entry).collect();
        let all = all.join(",");
        let page = format!(r#"{{"result":0,"metadata":{{"contents":[{all}]}}}}"#);
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"result":0}"#.to_owned(),
            r#"{"metadata":{"contents":[]}}"#.to_owned(),
            r#"{"result":0,"metadata":{"contents":null}}"#.to_owned(),
            r#"{"result":0,"metadata":{"contents":[{"name":"a"}]}}"#.to_owned(),
            r#"{"result":0,"metadata":{"contents":[{"fileid":1}]}}"#.to_owned(),
            format!(r#"{{"metadata":{{"contents":[{{"fileid":1,"name":"{long}"}}]}}}}"#),
            format!(r#"{{"metadata":{{"contents":{}"#, "[".repeat(100_000)),
        ]
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [
            ("\"size\":10", "\"size\":9"),
            ("\"sha1\":\"", "\"sha1\":\"0"),
            ("\"sha256\":\"", "\"sha256\":\"0"),
        ]
        .map(|(from, to)| (Verb::Put, Trouble::Replaced(from, to)))
        .into()
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    /// An address of a content that is not taken any more is asked for anew.
    fn unlike(&self, verb: Verb, status: u16) -> Option<Outcome> {
        (verb == Verb::Get && matches!(status, 401..=403 | 410)).then_some(again(0))
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let base = super::gcs::base(at);
    format!(
        "pcloud://api.pcloud.com/bkt?pcloud-endpoint={base}&authid={SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
