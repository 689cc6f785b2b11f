//! Filen in the table of faults, with an account of version 2.

#[path = "../../../tests/support/faulty_filen.rs"]
pub(in crate::remote) mod faulty_filen;

use super::gcs::base;
use super::*;
use faulty_filen::{Filen, entry, refusal};

pub(super) fn server() -> Server<Filen> {
    Server::start(|_| Filen::new(SECRET))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<Filen>);

impl Wire for Place {
    fn schemes(&self) -> &'static [&'static str] {
        &["filen"]
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
            Verb::Login => ("POST", "/v3/auth/info"),
            Verb::List => ("POST", "/v3/dir/content"),
            Verb::Look => ("POST", "/v3/file/exists"),
            Verb::Get => ("GET", "/de-1/filen-1/"),
            // What makes a file of the chunks.
            Verb::Put => ("POST", "/v3/upload/done"),
            Verb::Delete => ("POST", "/v3/file/delete/permanent"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let code = match status {
            429 => "rate_limited",
            500..=599 => "internal_error",
            _ => "",
        };
        refusal(code, message)
    }

    /// In good replies.
    fn refusals(&self) -> Vec<Refusal> {
        let of = |code, kind, words| (200, refusal(code, "no"), kind, words);
        vec![
            of("max_storage_reached", Kind::NoSpace, "no space left"),
            of("invalid_params", Kind::Unsupported, "invalid_params: no"),
            of("hash_mismatch", Kind::Damaged, "arrived damaged"),
            of("internal_error", Kind::Busy, "the server failed"),
            of("upload_not_found", Kind::Busy, "does not know the upload"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let master = self.0.with(|account| account.master().to_owned());
        let entries = names.iter().enumerate();
        let all: Vec<_> = entries
            .map(|(at, name)| entry(&master, &format!("u{at}"), name, 1))
            .collect();
        let data = serde_json::json!({ "uploads": all, "folders": [] });
        let page = format!(r#"{{"status":true,"data":{data}}}"#);
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        let with =
            |entries: &str| format!(r#"{{"status":true,"data":{{"uploads":[{entries}]}}}}"#);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"status":true}"#.to_owned(),
            r#"{"status":true,"data":{"folders":[]}}"#.to_owned(),
            r#"{"data":{"uploads":[]}}"#.to_owned(),
            with(r#"{"metadata":"002"}"#),
            with(&format!(r#"{{"uuid":"u","metadata":"{long}"}}"#)),
            format!(r#"{{"status":true,"data":{{"uploads":{}"#, "[".repeat(100_000)),
        ]
    }

    /// By two hashes that there is none yet, by one that no name is alike, and that the file is there.
    fn looks(&self) -> usize {
        4
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        vec![(Verb::Put, Trouble::Replaced("\"size\":10", "\"size\":9"))]
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    /// Of a chunk, which is read as a whole.
    fn offset(&self, request: &Seen) -> u64 {
        let range = request.header("range").unwrap_or("bytes=0-");
        let from = range.trim_start_matches("bytes=").split('-').next();
        from.and_then(|from| from.parse().ok()).expect("a number")
    }

    fn ranges(&self) -> bool {
        false
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let base = base(at);
    format!(
        "filen://bkt?filen-endpoint={base}&auth-username=me@example.com&auth-password={SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
