//! Google Drive in the table of faults, with an AuthID: a token service stands before it.

#[path = "../../../tests/support/faulty_drive.rs"]
pub(in crate::remote) mod faulty_drive;

use super::gcs::base;
use super::statuses::again;
use super::*;
use crate::base::bytes::hex;
use faulty_drive::{Drive, error};

pub(super) fn server() -> Server<Drive> {
    let md5 = |data: &[u8]| hex(Algo::Md5.hash(data).as_bytes());
    Server::start(|address| Drive::new(address, md5))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<Drive>);

impl Wire for Place {
    fn schemes(&self) -> &'static [&'static str] {
        &["googledrive"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|drive| drive.items.clear());
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "/refresh"),
            // Of all files; of those of one name, which is the volume's.
            Verb::List => ("GET", "q=%27"),
            Verb::Look => ("GET", "q=name%20%3D%20%27d"),
            Verb::Get => ("GET", "/duplicati-b1"),
            Verb::Put => ("PUT", "upload_id="),
            Verb::Delete => ("DELETE", "/drive/v3/files/"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let reason = match status {
            400 => "badRequest",
            401 => "authError",
            403 => "forbidden",
            404 => "notFound",
            410 => "deleted",
            413 => "uploadTooLarge",
            429 => "rateLimitExceeded",
            500 | 503 => "backendError",
            _ => return message.to_owned(),
        };
        error(status, reason, message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |status, reason, kind, words| (status, error(status, reason, "no"), kind, words);
        vec![
            of(403, "storageQuotaExceeded", Kind::NoSpace, "no space left"),
            of(403, "teamDriveFileLimitExceeded", Kind::NoSpace, "as many files"),
            of(403, "appNotAuthorizedToFile", Kind::Credentials, "another program"),
            of(403, "insufficientPermissions", Kind::Credentials, "lacks a right"),
            of(403, "accessNotConfigured", Kind::Credentials, "may not use Drive"),
            of(403, "parentNotAFolder", Kind::Unsupported, "is a file"),
            of(400, "invalid", Kind::Unsupported, ""),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |(at, name): (usize, &&str)| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{"id":"i{at}","name":{name},"size":"1"}}"#)
        };
        let all: Vec<String> = names.iter().enumerate().map(entry).collect();
        let page = format!(r#"{{"files":[{}],"kind":"drive#fileList"}}"#, all.join(","));
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"files":[]}"#.to_owned(),
            r#"{"kind":"drive#fileList"}"#.to_owned(),
            r#"{"kind":"drive#fileList","files":[],"incompleteSearch":true}"#.to_owned(),
            r#"{"kind":"drive#fileList","files":[{"name":"a"}]}"#.to_owned(),
            r#"{"kind":"drive#file","id":"a","name":"a"}"#.to_owned(),
            format!(r#"{{"kind":"drive#fileList","files":[{{"id":"i","name":"{long}"}}]}}"#),
            format!(r#"{{"kind":"drive#fileList","files":{}"#, "[".repeat(100_000)),
        ]
    }

    /// The name of an upload is looked for before it.
    fn looks(&self) -> usize {
        2
    }

    fn pages(&self) -> usize {
        20
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [
            ("\"size\":\"10\"", "\"size\":\"9\""),
            ("\"md5Checksum\":\"", "\"md5Checksum\":\"0"),
        ]
        .map(|(from, to)| (Verb::Put, Trouble::Replaced(from, to)))
        .into()
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    /// An upload that is not known any more begins anew.
    fn unlike(&self, verb: Verb, status: u16) -> Option<Outcome> {
        (verb == Verb::Put && status == 410).then_some(again(0))
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
        "googledrive://bkt?googledrive-endpoint={base}&oauth-url={base}/refresh&authid=KEYID:{SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
