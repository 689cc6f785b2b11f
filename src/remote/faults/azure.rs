//! Azure Blob Storage in the table of faults, with a SAS token: the secret is in every request's address.

#[path = "../../../tests/support/faulty_azure.rs"]
pub(in crate::remote) mod faulty_azure;

use super::s3::reference;
use super::*;
use faulty_azure::{Azure, error, listing};

pub(super) fn server() -> Server<Azure> {
    Server::start(|_| Azure::new())
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Blobs(server()))
}

struct Blobs(Server<Azure>);

impl Wire for Blobs {
    fn schemes(&self) -> &'static [&'static str] {
        &["azure"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|azure| {
            azure.files.clear();
            azure.container = false;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => return None,
            Verb::List => ("GET", "comp=list"),
            Verb::Look => ("HEAD", "dblock"),
            Verb::Get => ("GET", "dblock"),
            Verb::Put => ("PUT", "dblock"),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let code = match status {
            400 => "InvalidInput",
            401 => "NoAuthenticationInformation",
            403 => "AuthorizationPermissionMismatch",
            404 => "BlobNotFound",
            413 => "RequestBodyTooLarge",
            500 => "InternalError",
            503 => "ServerBusy",
            _ => return message.to_owned(),
        };
        error(code, message, "")
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |status, code, kind, words| (status, error(code, "", ""), kind, words);
        vec![
            of(409, "BlobImmutableDueToPolicy", Kind::Unsupported, "policy"),
            of(412, "LeaseIdMissing", Kind::Unsupported, "lease"),
            of(400, "InvalidInput", Kind::Unsupported, ""),
            of(400, "Md5Mismatch", Kind::Damaged, "damaged"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name: String = name.chars().map(reference).collect();
            format!("<Blob><Name>{name}</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>")
        };
        let all: String = names.iter().map(entry).collect();
        (200, "application/xml", listing(&all, ""))
    }

    fn poison(&self) -> Vec<String> {
        let bomb = listing("<Blob><Name>&b;</Name></Blob>", "");
        let deep = "<d>".repeat(1000);
        vec![
            format!("<!DOCTYPE x [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]>{bomb}"),
            listing(&format!("<x>{}</x>", "y".repeat(70_000)), ""),
            listing(&deep, ""),
            listing("", &"x".repeat(5000)),
            "<EnumerationResults><Blobs/></EnumerationResults>".to_owned(),
            "<Other><NextMarker/></Other>".to_owned(),
            deep,
        ]
    }

    fn ways(&self) -> &'static [&'static str] {
        &["", "disable-expect100-continue", "azure-access-tier=cool"]
    }

    fn expects(&self) -> bool {
        true
    }

    fn pages(&self) -> usize {
        4
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        let other = ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==".to_owned());
        vec![(Verb::Put, Trouble::More(vec![other]))]
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let signature = SECRET_IN_URL.replace('%', "%25");
    let token = format!("sv%3D2021-12-02%26sr%3Dc%26sig%3D{signature}");
    with(at, &format!("azure-access-sas-token={token}&{query}"))
}

/// A URL with this log-in.
pub(super) fn with(at: &str, login: &str) -> String {
    format!(
        "azure://bkt?azure-endpoint=http://{at}/account&retry-delay=0s&http-proxy=none&{login}"
    )
}
