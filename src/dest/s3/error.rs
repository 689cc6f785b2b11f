//! What an S3 server's refusal means (`destinations-core.md` 3.7): from status, code and message to a class and a sentence.

use std::io;
use std::time::Duration;

use crate::base::fault::{Class, Fault, says_full};
use crate::base::size::show_span;
use crate::base::text;
use crate::net::http::Reply;
use crate::net::xml::{self, Step};

/// Wait for a server that is too busy and does not say how long.
const SLOW_DOWN: Duration = Duration::from_secs(1);
/// A clock that is off by more than this is refused by servers.
pub(super) const SKEW_SECONDS: u64 = 900;

/// A refusal as the server told it.
#[derive(Default, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) region: String,
    pub(super) endpoint: String,
    /// Seconds since 1970.
    pub(super) server_time: Option<i64>,
    pub(super) retry_after: Option<Duration>,
    /// A page of a portal or of a web server instead of S3's XML.
    pub(super) html: bool,
    /// Name of the body's root element.
    pub(super) root: String,
}

/// What was asked, for messages.
pub(super) struct Asked<'a> {
    /// Right needed, as `s3:PutObject`.
    pub(super) right: &'a str,
    /// The request was about an object, not the bucket.
    pub(super) object: bool,
    pub(super) bucket: &'a str,
    pub(super) host: &'a str,
    pub(super) key_id: &'a str,
    pub(super) region: &'a str,
    /// What the request was dated, seconds since 1970.
    pub(super) now: i64,
}

impl Refusal {
    /// Reads the rest of a reply that is no success.
    pub(super) fn of(reply: &mut Reply) -> Refusal {
        let body = reply.error_body();
        let mut refusal = Refusal::parse(&body);
        refusal.status = reply.status;
        refusal.retry_after = reply.retry_after();
        if refusal.server_time.is_none() {
            refusal.server_time = reply.date();
        }
        if refusal.region.is_empty()
            && let Some(region) = reply.header("x-amz-bucket-region")
        {
            refusal.region = clean(region);
        }
        refusal
    }

    /// From an error body; empty fields where it says nothing.
    pub(super) fn parse(body: &[u8]) -> Refusal {
        let mut out = Refusal::default();
        let unreadable = |_: &io::Error| Fault::new(Class::Transient, "");
        let _ = xml::read(body, &unreadable, &mut |step| {
            match step {
                Step::Open { path: [root] } => root.clone_into(&mut out.root),
                Step::Close {
                    path: [root, field],
                    text,
                } if root == "Error" => out.take(field, text.unwrap_or("")),
                _ => {}
            }
            Ok(())
        });
        if out.code.is_empty() {
            out.html = body.first() == Some(&b'<');
            out.message = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        }
        out
    }

    /// Takes up one field of an error body.
    pub(super) fn take(&mut self, field: &str, value: &str) {
        match field {
            "Code" => self.code = clean(value),
            "Message" => value.clone_into(&mut self.message),
            "Region" => self.region = clean(value),
            "Endpoint" => self.endpoint = clean(value),
            "ServerTime" => self.server_time = iso_time(value),
            _ => {}
        }
    }

    /// The region the server expects, if it told one.
    pub(super) fn expected_region(&self) -> Option<String> {
        if !self.region.is_empty() {
            return Some(self.region.clone());
        }
        for mark in ["expecting '", "expected: '", "expecting \"", "expected \""] {
            if let Some(at) = self.message.find(mark) {
                let rest = &self.message[at + mark.len()..];
                let end = rest.find(['\'', '"']).unwrap_or(0);
                let region = clean(&rest[..end]);
                if !region.is_empty() {
                    return Some(region);
                }
            }
        }
        None
    }

    /// True when the signing region was refused.
    pub(super) fn is_region(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AuthorizationHeaderMalformed" | "InvalidRegion" | "IllegalLocationConstraintException"
        )
    }

    /// True when the bucket is missing.
    pub(super) fn is_no_bucket(&self) -> bool {
        self.code == "NoSuchBucket"
    }

    /// True when no bucket can be called so.
    pub(super) fn is_bad_name(&self) -> bool {
        self.code == "InvalidBucketName"
    }

    /// True when key or signature were refused.
    pub(super) fn is_of_login(&self) -> bool {
        matches!(
            self.code.as_str(),
            "SignatureDoesNotMatch"
                | "InvalidAccessKeyId"
                | "NotSignedUp"
                | "ExpiredToken"
                | "InvalidToken"
        ) || self.is_clock()
    }

    /// True when the clock was refused.
    pub(super) fn is_clock(&self) -> bool {
        matches!(
            self.code.as_str(),
            "RequestTimeTooSkewed" | "RequestExpired"
        ) || (self.code == "AccessDenied" && self.message.contains("Request has expired"))
    }

    /// True when the server wants the other addressing style.
    pub(super) fn is_style(&self) -> bool {
        matches!(
            self.code.as_str(),
            "SecondLevelDomainForbidden" | "VirtualHostDomainRequired"
        ) || self.message.contains("virtual hosted style")
    }

    /// True when the server does not know the kind of listing that was asked for.
    pub(super) fn is_unknown_listing(&self) -> bool {
        matches!(self.status, 400 | 501)
            && matches!(self.code.as_str(), "NotImplemented" | "InvalidArgument")
    }

    /// True when the server may have refused an upload for its `If-None-Match` alone.
    pub(super) fn is_no_condition(&self) -> bool {
        matches!(self.status, 400 | 405 | 501)
            && matches!(
                self.code.as_str(),
                "" | "NotImplemented" | "InvalidArgument" | "InvalidRequest" | "InvalidHeader"
            )
    }

    /// The fault it is.
    pub(super) fn fault(&self, asked: &Asked<'_>) -> Fault {
        let class = self.class(asked.object);
        let fault = Fault::new(class, self.text(class, asked));
        match self.hint(class, asked) {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }

    fn class(&self, object: bool) -> Class {
        if says_full(self.status, &self.message) {
            return Class::Full;
        }
        match self.code.as_str() {
            "NoSuchKey" => Class::NotFound,
            "NoSuchBucket" => Class::FolderMissing,
            "AccessDenied"
            | "AllAccessDisabled"
            | "AccountProblem"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "TokenRefreshRequired"
            | "NotSignedUp"
            | "InvalidPayer"
            | "UnauthorizedAccess"
            | "RequestTimeTooSkewed"
            | "RequestExpired"
            | "AuthorizationHeaderMalformed"
            | "InvalidRegion" => Class::Auth,
            "InternalError"
            | "RequestTimeout"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "IncompleteBody"
            | "BadDigest"
            | "XAmzContentSHA256Mismatch"
            | "InvalidDigest" => Class::Transient,
            "EntityTooLarge" | "MaxMessageLengthExceeded" => Class::TooBig,
            "InvalidObjectState" => Class::Archived,
            "QuotaExceeded"
            | "StorageFull"
            | "XMinioStorageFull"
            | "XMinioAdminBucketQuotaExceeded"
            | "InsufficientCapacity" => Class::Full,
            "InvalidBucketName"
            | "InvalidStorageClass"
            | "KeyTooLongError"
            | "InvalidURI"
            | "InvalidLocationConstraint"
            | "MalformedXML"
            | "SecondLevelDomainForbidden"
            | "VirtualHostDomainRequired" => Class::Unsupported,
            "MethodNotAllowed" | "NotImplemented" => Class::Unsupported,
            code if slow(code) => self.throttled(),
            code if code.starts_with("InvalidPart") => Class::Unsupported,
            _ => self.class_of_status(object),
        }
    }

    fn class_of_status(&self, object: bool) -> Class {
        match self.status {
            404 if object => Class::NotFound,
            404 => Class::FolderMissing,
            401 | 403 | 407 => Class::Auth,
            413 => Class::TooBig,
            429 | 503 => self.throttled(),
            507 => Class::Full,
            405 | 501 => Class::Unsupported,
            408 | 425 | 500 | 502 | 504 | 520..=527 => Class::Transient,
            400 if self.message.contains("HTTP request") && self.message.contains("HTTPS") => {
                Class::Tls
            }
            _ => Class::Protocol,
        }
    }

    fn throttled(&self) -> Class {
        Class::Throttled(Some(self.retry_after.unwrap_or(SLOW_DOWN).max(SLOW_DOWN)))
    }

    /// What is wrong with the clock, when that is what the server refuses, whatever it calls it.
    fn clock(&self, class: Class, asked: &Asked<'_>) -> Option<String> {
        let off = self
            .server_time
            .map(|t| t.saturating_sub(asked.now).unsigned_abs());
        match off.filter(|&off| off > SKEW_SECONDS) {
            Some(off) if self.is_clock() || class == Class::Auth => Some(format!(
                "this machine's clock and the server's differ by {}",
                show_span(off)
            )),
            _ if self.is_clock() => Some("this machine's clock is wrong".to_owned()),
            _ => None,
        }
    }

    fn text(&self, class: Class, asked: &Asked<'_>) -> String {
        if let Some(clock) = self.clock(class, asked) {
            return format!("{clock}; {}", self.said());
        }
        let known = match self.code.as_str() {
            "SignatureDoesNotMatch" => Some(format!(
                "secret key rejected for access key '{}' in region {}",
                text::safe(asked.key_id.as_bytes()),
                text::safe(asked.region.as_bytes())
            )),
            "InvalidAccessKeyId" | "NotSignedUp" => Some(format!(
                "access key '{}' unknown at {}",
                text::safe(asked.key_id.as_bytes()),
                text::safe(asked.host.as_bytes())
            )),
            "InvalidBucketName" => Some(format!(
                "the server finds the bucket name '{}' invalid",
                text::safe(asked.bucket.as_bytes())
            )),
            _ => None,
        };
        if let Some(known) = known {
            return known;
        }
        let what = match class {
            Class::FolderMissing => {
                return format!(
                    "bucket '{}' does not exist at {}",
                    text::safe(asked.bucket.as_bytes()),
                    text::safe(asked.host.as_bytes())
                );
            }
            Class::NotFound => return "not found".to_owned(),
            Class::Auth => format!("access denied, {} is needed", asked.right),
            Class::Archived => "it is in cold storage".to_owned(),
            Class::Full => "no space at the destination".to_owned(),
            Class::TooBig => "the server refuses a file of this size".to_owned(),
            Class::Throttled(_) => "the server is too busy".to_owned(),
            Class::Tls => "the server speaks TLS on this port".to_owned(),
            _ if self.html => "this is not an S3 server (captive portal?)".to_owned(),
            _ if self.status < 300 && self.code.is_empty() => {
                "the reply is none of an S3 server".to_owned()
            }
            _ => return self.said(),
        };
        format!("{what}; {}", self.said())
    }

    /// `the server says 403 AccessDenied: text`.
    fn said(&self) -> String {
        let message = if self.html {
            text::safe_cut(self.message.as_bytes(), 80)
        } else {
            text::safe_cut(self.message.trim().as_bytes(), 200)
        };
        let mut out = format!("the server says {}", self.status);
        if !self.code.is_empty() {
            out.push(' ');
            out.push_str(&self.code);
        }
        if !message.is_empty() {
            out.push_str(": ");
            out.push_str(message.trim_end_matches('.'));
        }
        out
    }

    fn hint(&self, class: Class, asked: &Asked<'_>) -> Option<String> {
        if self.clock(class, asked).is_some() {
            return Some("set this machine's clock".to_owned());
        }
        let hint = match self.code.as_str() {
            "SignatureDoesNotMatch" => {
                "check --auth-password, percent-encode / and + of the secret in the URL, and check the clock"
            }
            "InvalidAccessKeyId" | "NotSignedUp" => "check --auth-username and --s3-server-name",
            "InvalidBucketName" => {
                "correct the bucket name in the URL; most servers want 3 to 63 of a-z, 0-9, - and ."
            }
            "InvalidStorageClass" => "correct --s3-storage-class",
            "InvalidLocationConstraint" | "IllegalLocationConstraintException" => {
                "correct --s3-location-constraint"
            }
            "KeyTooLongError" => "use a shorter folder in the URL",
            "SecondLevelDomainForbidden" | "VirtualHostDomainRequired" => {
                "try --s3-ext-forcepathstyle=false"
            }
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
                "get new temporary credentials and give --aws-session-token"
            }
            "AuthorizationHeaderMalformed" | "InvalidRegion" => "give --s3-authentication-region",
            "PermanentRedirect" | "TemporaryRedirect" => {
                "the bucket is at another address: give --s3-server-name and --s3-authentication-region of its region"
            }
            _ => match class {
                Class::Tls => "use use-ssl=true",
                // Nothing that an S3 server says.
                Class::Protocol if self.code.is_empty() => {
                    "is this an S3 server? check --s3-server-name and the port"
                }
                Class::FolderMissing => {
                    return Some(format!(
                        "check the bucket name in s3://{}",
                        text::safe(asked.bucket.as_bytes())
                    ));
                }
                _ => return None,
            },
        };
        Some(hint.to_owned())
    }
}

fn slow(code: &str) -> bool {
    matches!(
        code,
        "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "ServiceUnavailable"
            | "Busy"
            | "TooManyRequests"
            | "RequestLimitExceeded"
    ) || code.starts_with("Throttling")
}

/// A word that may go into a header, a host name or a message.
fn clean(word: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    word.trim().chars().filter(|&c| good(c)).take(120).collect()
}

/// `2013-05-24T00:00:00.000Z` or `20130524T000000Z`, seconds since 1970.
pub(super) fn iso_time(text: &str) -> Option<i64> {
    let digits: String = text
        .trim()
        .trim_end_matches('Z')
        .split('.')
        .next()?
        .chars()
        .filter(|c| *c != '-' && *c != ':')
        .collect();
    crate::base::time::Timestamp::parse_compact(format!("{digits}Z").as_bytes()).map(|t| t.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked {
        right: "s3:PutObject",
        object: true,
        bucket: "bkt",
        host: "h",
        key_id: "AKIA",
        region: "r",
        now: 1_800_000_000,
    };

    fn refusal(status: u16, code: &str, message: &str) -> Refusal {
        let body = format!(
            "<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>{code}</Code><Message>{message}</Message><Other><Code>no</Code></Other></Error>"
        );
        Refusal {
            status,
            ..Refusal::parse(body.as_bytes())
        }
    }

    #[test]
    fn codes_and_statuses() {
        for (status, code, class) in [
            (404, "NoSuchKey", Class::NotFound),
            (404, "NoSuchBucket", Class::FolderMissing),
            (403, "SignatureDoesNotMatch", Class::Auth),
            (403, "SomethingElse", Class::Auth),
            (400, "ExpiredToken", Class::Auth),
            (503, "SlowDown", Class::Throttled(Some(SLOW_DOWN))),
            (
                400,
                "ThrottlingException",
                Class::Throttled(Some(SLOW_DOWN)),
            ),
            (400, "RequestTimeout", Class::Transient),
            (409, "OperationAborted", Class::Transient),
            (400, "BadDigest", Class::Transient),
            (400, "EntityTooLarge", Class::TooBig),
            (403, "InvalidObjectState", Class::Archived),
            (507, "XMinioStorageFull", Class::Full),
            (400, "InvalidStorageClass", Class::Unsupported),
            (400, "InvalidBucketName", Class::Unsupported),
            (500, "InternalError", Class::Transient),
            (400, "InvalidPartOrder", Class::Unsupported),
            (501, "NotImplemented", Class::Unsupported),
            (400, "Strange", Class::Protocol),
            (522, "", Class::Transient),
            (429, "", Class::Throttled(Some(SLOW_DOWN))),
            (413, "", Class::TooBig),
            (507, "", Class::Full),
            (404, "", Class::NotFound),
        ] {
            assert_eq!(
                refusal(status, code, "m").fault(&ASKED).class,
                class,
                "{status} {code}"
            );
        }
        let bucket = Asked {
            object: false,
            ..ASKED
        };
        let f = refusal(404, "", "").fault(&bucket);
        assert_eq!(f.class, Class::FolderMissing);
        assert!(f.text.contains("bucket 'bkt' does not exist"));
    }

    #[test]
    fn sentences_say_what_to_do() {
        let f = refusal(403, "SignatureDoesNotMatch", "long").fault(&ASKED);
        assert!(f.text.contains("secret key rejected") && f.text.contains("'AKIA'"));
        assert!(f.hint.contains("clock") && f.hint.contains("--auth-password"));
        let f = refusal(403, "InvalidAccessKeyId", "x").fault(&ASKED);
        assert!(f.text.contains("'AKIA' unknown at h"));
        let f = refusal(403, "AccessDenied", "no\u{1b}[31m").fault(&ASKED);
        assert!(
            f.text.contains("s3:PutObject") && f.text.contains("\\x1b"),
            "{}",
            f.text
        );
        let html = Refusal {
            status: 200,
            ..Refusal::parse(b"<html><body>Please log in to HotelWifi</body>")
        };
        assert!(html.fault(&ASKED).text.contains("captive portal"));
        // What no S3 server says, and what one says of a bucket elsewhere.
        for (status, code, part, hint) in [
            (200, "", "none of an S3 server", "is this an S3 server?"),
            (400, "", "the server says 400", "is this an S3 server?"),
            (301, "PermanentRedirect", "says 301", "--s3-server-name"),
            (307, "TemporaryRedirect", "says 307", "--s3-server-name"),
        ] {
            let told = match code {
                "" => Refusal {
                    status,
                    ..Refusal::parse(b"")
                },
                code => refusal(status, code, ""),
            };
            let f = told.fault(&ASKED);
            assert!(
                f.text.contains(part) && f.hint.contains(hint),
                "{status}: {}",
                f.text
            );
        }
        let plain = Refusal {
            status: 400,
            ..Refusal::parse(b"Client sent an HTTP request to an HTTPS server.\n")
        };
        let f = plain.fault(&ASKED);
        assert_eq!((f.class, f.hint.as_str()), (Class::Tls, "use use-ssl=true"));
    }

    #[test]
    fn a_wrong_clock_is_named_first() {
        let with = |status, code, time| Refusal {
            server_time: time,
            ..refusal(status, code, "m")
        };
        let far = Some(ASKED.now - 3 * 3600);
        for (status, code, time, part) in [
            (403, "RequestTimeTooSkewed", far, "differ by 3h00m"),
            (403, "RequestTimeTooSkewed", None, "clock is wrong"),
            (400, "RequestExpired", Some(ASKED.now), "clock is wrong"),
            (403, "SignatureDoesNotMatch", far, "differ by 3h00m"),
            (403, "AccessDenied", far, "differ by 3h00m"),
            (403, "", Some(ASKED.now + 86_400), "differ by 1D00h"),
            (401, "InvalidAccessKeyId", far, "differ by 3h00m"),
        ] {
            let f = with(status, code, time).fault(&ASKED);
            assert_eq!(f.class, Class::Auth);
            assert!(f.text.starts_with("this machine's clock"), "{}", f.text);
            assert!(
                f.text.contains(part) && f.hint.contains("clock"),
                "{}",
                f.text
            );
        }
        for (code, time) in [
            ("SignatureDoesNotMatch", Some(ASKED.now + 800)),
            ("SignatureDoesNotMatch", None),
            ("NoSuchKey", far),
        ] {
            let f = with(403, code, time).fault(&ASKED);
            assert!(!f.text.contains("clock"), "{}", f.text);
        }
    }

    #[test]
    fn regions_and_times_in_bodies() {
        let r = refusal(
            400,
            "AuthorizationHeaderMalformed",
            "the region 'a' is wrong; expecting 'eu-test-1'",
        );
        assert!(r.is_region());
        assert_eq!(r.expected_region().as_deref(), Some("eu-test-1"));
        let r = Refusal::parse(b"<Error><Code>X</Code><Region>eu-1\r\nEvil: x</Region><ServerTime>2013-05-24T00:00:00Z</ServerTime></Error>");
        assert_eq!(r.expected_region().as_deref(), Some("eu-1Evil:x"));
        assert_eq!(r.server_time, Some(1_369_353_600));
        assert_eq!(iso_time("20130524T000000Z"), Some(1_369_353_600));
        assert_eq!(iso_time("2013-05-24T00:00:00.123Z"), Some(1_369_353_600));
        assert_eq!(iso_time("soon"), None);
        assert!(refusal(403, "AccessDenied", "Request has expired").is_clock());
    }

    #[test]
    fn no_body_makes_it_panic() {
        for body in [
            &b""[..],
            b"<",
            b"<Error>",
            b"\xff\xfe",
            b"<Error><Code>a</Code>",
        ] {
            let _ = Refusal::parse(body).fault(&ASKED);
        }
    }
}
