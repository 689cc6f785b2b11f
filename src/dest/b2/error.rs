//! What a refusal of B2 means (`destinations-core.md` 5.5): from status, code and message to a class and a sentence.

use std::io;
use std::time::Duration;

use crate::base::fault::{Class, Fault, says_full};
use crate::base::text;
use crate::net::http::Reply;
use crate::net::json::{self, Step};

/// Wait for a server that is too busy and does not say how long.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// A refusal as the server told it.
#[derive(Default, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// A page of a portal or of a web server instead of B2's JSON.
    pub(super) html: bool,
}

/// What was asked, for messages.
pub(super) struct Asked<'a> {
    /// Capability needed, as `writeFiles`.
    pub(super) right: &'a str,
    /// The request was about a file, not the bucket or the account.
    pub(super) file: bool,
    pub(super) deleting: bool,
    pub(super) bucket: &'a str,
    pub(super) key_id: &'a str,
}

impl Refusal {
    /// Reads the rest of a reply that is no success.
    pub(super) fn of(reply: &mut Reply) -> Refusal {
        let body = reply.error_body();
        let mut refusal = Refusal::parse(&body);
        refusal.status = reply.status;
        refusal.retry_after = reply.retry_after();
        refusal
    }

    /// From an error body; empty fields where it says nothing.
    pub(super) fn parse(body: &[u8]) -> Refusal {
        let mut out = Refusal::default();
        let unreadable = |_: &io::Error| Fault::new(Class::Transient, "");
        let mut input = body;
        let _ = json::read(
            &mut input,
            json::SMALL_MAX_BYTES,
            &unreadable,
            &mut |step| {
                if let Step::Value { path, value } = step
                    && let [key] = path
                    && let Some(text) = value.text()
                {
                    match key.as_str() {
                        "code" => out.code = word(text),
                        "message" => out.message = text.to_owned(),
                        _ => {}
                    }
                }
                Ok(())
            },
        );
        if out.code.is_empty() && out.message.is_empty() {
            out.html = body.first() == Some(&b'<');
            out.message = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        }
        out
    }

    /// True when a token has run out; a new one may help.
    pub(super) fn is_expired(&self) -> bool {
        self.status == 401 && matches!(self.code.as_str(), "expired_auth_token" | "bad_auth_token")
    }

    /// True when another upload URL may help at once: the server that was to take the file cannot.
    pub(super) fn is_of_upload_url(&self) -> bool {
        if self.status == 507 || says_full(self.status, &self.message) {
            return false;
        }
        self.is_expired()
            || matches!(self.status, 408 | 500..=599)
            || (self.status == 429 && self.retry_after.is_none())
    }

    /// True when a version of the service is unknown to the server.
    pub(super) fn is_unknown_version(&self) -> bool {
        self.status == 404 || (self.status == 400 && matches!(&*self.code, "bad_request" | ""))
    }

    /// True when the server has said for sure that it did not do what was asked.
    pub(super) fn is_definite(&self) -> bool {
        !self.code.is_empty() || self.status < 500
    }

    /// The fault it is.
    pub(super) fn fault(&self, asked: &Asked<'_>) -> Fault {
        let class = self.class(asked);
        let fault = Fault::new(class, self.text(class, asked));
        match (class, self.code.as_str()) {
            (Class::FolderMissing, _) => fault.hint(format!(
                "check the bucket name in b2://{}",
                text::safe(asked.bucket.as_bytes())
            )),
            (_, "duplicate_bucket_name") => fault.hint("choose another bucket name"),
            (Class::Full, _) if self.code.ends_with("cap_exceeded") => {
                fault.hint("raise the cap in Backblaze's account settings, or wait until tomorrow")
            }
            (Class::Auth, _) => fault.hint("make an application key with this right"),
            _ => fault,
        }
    }

    fn class(&self, asked: &Asked<'_>) -> Class {
        let says = |part: &str| self.message.to_ascii_lowercase().contains(part);
        if says_full(self.status, &self.message) {
            return Class::Full;
        }
        match (self.status, self.code.as_str()) {
            (_, code) if code.ends_with("cap_exceeded") => Class::Full,
            (_, "bad_bucket_id") => Class::FolderMissing,
            (400 | 404, "file_not_present" | "no_such_file") => Class::NotFound,
            (_, "duplicate_bucket_name") => Class::Auth,
            (_, "too_many_buckets") => Class::Full,
            (400 | 404, _) if says("bucket") && (says("does not exist") || says("not found")) => {
                Class::FolderMissing
            }
            (400, _) if says("match") && (says("sha1") || says("checksum")) => Class::Transient,
            (404 | 410, _) if asked.file => Class::NotFound,
            (404, "not_found") => Class::FolderMissing,
            (403, _) if asked.deleting => Class::Locked,
            (401 | 403 | 407, _) => Class::Auth,
            (408 | 429 | 503, _) => Class::Throttled(Some(self.retry_after.unwrap_or(SLOW_DOWN))),
            (413, _) => Class::TooBig,
            (507, _) => Class::Full,
            (425 | 500..=599, _) => Class::Transient,
            _ => Class::Protocol,
        }
    }

    fn text(&self, class: Class, asked: &Asked<'_>) -> String {
        let bucket = text::safe(asked.bucket.as_bytes());
        let what = match class {
            Class::FolderMissing => return format!("bucket '{bucket}' does not exist"),
            Class::NotFound => return "not found".to_owned(),
            _ if self.code == "duplicate_bucket_name" => {
                return format!("bucket name '{bucket}' taken by another account");
            }
            Class::Auth if self.is_expired() => {
                "the server refuses the token that it has just given".to_owned()
            }
            Class::Auth => format!(
                "access denied for key id '{}', {} is needed",
                text::safe(asked.key_id.as_bytes()),
                asked.right
            ),
            Class::Full if self.code.ends_with("cap_exceeded") => "spending cap reached".to_owned(),
            Class::Full => "no room at the destination".to_owned(),
            Class::Locked => "it is protected, perhaps by a file lock".to_owned(),
            Class::TooBig => "the server refuses a file of this size".to_owned(),
            Class::Throttled(_) => "the server is too busy".to_owned(),
            _ if self.html => "this is not a B2 server (captive portal?)".to_owned(),
            _ => "the server refuses".to_owned(),
        };
        format!("{what}{}", self.said())
    }

    /// `; server: 403 access_denied, text`.
    pub(super) fn said(&self) -> String {
        let most = if self.html { 80 } else { 200 };
        let message = text::safe_cut(self.message.trim().as_bytes(), most);
        let mut out = format!("; server: {}", self.status);
        if !self.code.is_empty() {
            out.push(' ');
            out.push_str(&self.code);
        }
        if !message.is_empty() {
            out.push_str(", ");
            out.push_str(&message);
        }
        out
    }
}

/// A code that may go into a message.
fn word(text: &str) -> String {
    let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.chars().filter(good).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let wait = |s| Class::Throttled(Some(Duration::from_secs(s)));
        for (status, code, message, class) in [
            (401, "unauthorized", "", Class::Auth),
            (401, "expired_auth_token", "", Class::Auth),
            (403, "storage_cap_exceeded", "", Class::Full),
            (403, "cap_exceeded", "", Class::Full),
            (403, "access_denied", "", Class::Auth),
            (400, "bad_bucket_id", "", Class::FolderMissing),
            (
                400,
                "bad_request",
                "Bucket b does not exist",
                Class::FolderMissing,
            ),
            (404, "not_found", "Bucket b not found", Class::FolderMissing),
            (
                404,
                "not_found",
                "File with such name does not exist.",
                Class::NotFound,
            ),
            (400, "file_not_present", "", Class::NotFound),
            (404, "no_such_file", "", Class::NotFound),
            (400, "duplicate_bucket_name", "", Class::Auth),
            (400, "too_many_buckets", "", Class::Full),
            (
                400,
                "bad_request",
                "Sha1 did not match data received",
                Class::Transient,
            ),
            (400, "bad_request", "other", Class::Protocol),
            (408, "request_timeout", "", wait(5)),
            (429, "too_many_requests", "", wait(5)),
            (503, "service_unavailable", "", wait(5)),
            (500, "internal_error", "", Class::Transient),
            (502, "", "", Class::Transient),
            (413, "", "", Class::TooBig),
            (302, "", "", Class::Protocol),
        ] {
            let refusal = Refusal {
                status,
                code: code.to_owned(),
                message: message.to_owned(),
                ..Refusal::default()
            };
            let asked = Asked {
                right: "readFiles",
                file: true,
                deleting: false,
                bucket: "b",
                key_id: "id",
            };
            assert_eq!(refusal.class(&asked), class, "{status} {code} {message}");
        }
    }

    #[test]
    fn bodies() {
        let r =
            Refusal::parse(br#"{"status":401,"code":"bad_auth_token","message":"m\u001b[31m"}"#);
        assert_eq!(
            (r.code.as_str(), r.message.as_str()),
            ("bad_auth_token", "m\u{1b}[31m")
        );
        assert!(!r.said().contains('\u{1b}'));
        for body in [&b""[..], b"{", b"[]", b"null", b"{\"code\":1}"] {
            assert_eq!(Refusal::parse(body).code, "");
        }
        assert!(Refusal::parse(b"<html>").html);
    }
}
