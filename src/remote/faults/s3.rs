//! S3, and the schemes on its client, in the table of faults.

use super::faulty_s3::{Server, error};
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(S3 {
        server: Server::start(),
        schemes: &["s3", "e2"],
        url,
        login: None,
        list: "list-type",
        ways: &[
            "",
            "disable-expect100-continue",
            "s3-multipart-threshold=6mb&s3-part-size=5mb",
        ],
    })
}

/// A scheme on the client of S3.
pub(super) struct S3 {
    pub(super) server: Server,
    pub(super) schemes: &'static [&'static str],
    /// Of a server and a query.
    pub(super) url: fn(&str, &str) -> String,
    /// What it asks before all else.
    pub(super) login: Option<(&'static str, &'static str)>,
    /// A part of the target of listings.
    pub(super) list: &'static str,
    pub(super) ways: &'static [&'static str],
}

impl Wire for S3 {
    fn schemes(&self) -> &'static [&'static str] {
        self.schemes
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&*self.server)
    }

    fn url(&self, at: &str, query: &str) -> String {
        (self.url)(at, query)
    }

    fn unmake(&self) {
        self.server.with(|s3| {
            s3.files.clear();
            s3.bucket = false;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => return self.login,
            Verb::List => ("GET", self.list),
            Verb::Look => ("HEAD", "dblock"),
            Verb::Get => ("GET", "dblock"),
            Verb::Put => ("PUT", "dblock"),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let code = match status {
            400 => "InvalidRequest",
            401 | 403 => "AccessDenied",
            404 => "NoSuchKey",
            413 => "EntityTooLarge",
            500 => "InternalError",
            503 => "SlowDown",
            507 => "XMinioStorageFull",
            _ => return message.to_owned(),
        };
        error(code, "").replace("because", message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        vec![
            (507, error("", ""), Kind::NoSpace, ""),
            (400, error("EntityTooLarge", ""), Kind::Unsupported, ""),
            (400, error("InvalidRequest", ""), Kind::Unsupported, ""),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name: String = name.chars().map(reference).collect();
            format!("<Contents><Key>p/{name}</Key><Size>1</Size></Contents>")
        };
        let all: String = names.iter().map(entry).collect();
        let page = format!("<ListBucketResult>{all}</ListBucketResult>");
        (200, "application/xml", page)
    }

    fn poison(&self) -> Vec<String> {
        let inside = |x: &str| format!("<ListBucketResult>{x}</ListBucketResult>");
        let deep = "<d>".repeat(1000);
        let bomb = inside("<Contents><Key>&b;</Key></Contents>");
        vec![
            format!("<!DOCTYPE x [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]>{bomb}"),
            inside(&format!("<x>{}</x>", "y".repeat(70_000))),
            inside(&deep),
            deep,
        ]
    }

    fn ways(&self) -> &'static [&'static str] {
        self.ways
    }

    fn expects(&self) -> bool {
        true
    }

    fn looks_after_put(&self) -> bool {
        true
    }

    fn validator(&self) -> Option<&'static str> {
        Some("if-match")
    }

    fn pages(&self) -> usize {
        20
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        vec![(Verb::Look, Trouble::Length(3))]
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    format!(
        "s3://KEYID:{SECRET_IN_URL}@bkt/p?s3-server-name={at}&retry-delay=0s&http-proxy=none&{query}"
    )
}

/// How XML writes a character that must not be taken for anything else.
pub(super) fn reference(c: char) -> String {
    match c {
        // It has no way to write a NUL.
        '\0' => "&#1;".to_owned(),
        '&' | '<' | ..' ' => format!("&#{};", u32::from(c)),
        _ => c.to_string(),
    }
}
