//! Google Cloud Storage in the table of faults, with an AuthID: a token service stands before it.

#[path = "../../../tests/support/faulty_gcs.rs"]
pub(in crate::remote) mod faulty_gcs;

use super::*;
use crate::base::bytes::base64;
use faulty_gcs::{Gcs, error};

pub(super) fn server() -> Server<Gcs> {
    let md5 = |data: &[u8]| Some(base64(Algo::Md5.hash(data).as_bytes()));
    Server::start(|address| Gcs::new(address, md5))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Google(server()))
}

struct Google(Server<Gcs>);

impl Wire for Google {
    fn schemes(&self) -> &'static [&'static str] {
        &["gcs"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|gcs| {
            gcs.files.clear();
            gcs.bucket = false;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "/refresh"),
            Verb::List => ("GET", "delimiter="),
            Verb::Look => ("GET", "fields=name"),
            Verb::Get => ("GET", "dblock"),
            Verb::Put => ("POST", "/upload/"),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let reason = match status {
            400 => "invalid",
            401 => "authError",
            403 => "forbidden",
            404 => "notFound",
            410 => "gone",
            413 => "uploadTooLarge",
            429 => "rateLimitExceeded",
            500 | 503 => "backendError",
            _ => return message.to_owned(),
        };
        error(status, reason, message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |status, reason, message, kind, words| {
            (status, error(status, reason, message), kind, words)
        };
        vec![
            of(403, "storageQuotaExceeded", "no", Kind::NoSpace, ""),
            of(
                403,
                "retentionPolicyNotMet",
                "no",
                Kind::Unsupported,
                "retention policy",
            ),
            of(
                400,
                "invalid",
                "Provided MD5 hash",
                Kind::Damaged,
                "damaged",
            ),
            of(400, "invalid", "odd", Kind::Unsupported, ""),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{"name":{name},"size":"1"}}"#)
        };
        let all: Vec<String> = names.iter().map(entry).collect();
        let page = format!(r#"{{"items":[{}],"kind":"storage#objects"}}"#, all.join(","));
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"items":[]}"#.to_owned(),
            r#"{"kind":"storage#object","name":"a"}"#.to_owned(),
            format!(r#"{{"kind":"storage#objects","items":[{{"name":"{long}"}}]}}"#),
            format!(r#"{{"kind":"storage#objects","items":{}"#, "[".repeat(100_000)),
        ]
    }

    fn pages(&self) -> usize {
        20
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [
            ("\"size\":\"10\"", "\"size\":\"9\""),
            ("\"md5Hash\":\"", "\"md5Hash\":\"0"),
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
        "gcs://bkt?gcs-endpoint={base}&oauth-url={base}/refresh&authid=KEYID:{SECRET_IN_URL}&gcs-project=prj&retry-delay=0s&http-proxy=none&{query}"
    )
}

/// Only this machine is spoken to in the clear.
pub(super) fn base(at: &str) -> String {
    let scheme = if at.starts_with("127.") { "http" } else { "https" };
    format!("{scheme}://{at}")
}
