//! What a refusal of S3 means (`destinations-core.md` 3.7), where its status alone does not tell, and what it says of region and
//! clock.

use std::ops::Deref;

use crate::base::fault::{Class, Fault};
use crate::base::size::show_span;
use crate::dest::s3::manner::Manner;
use crate::net::http::{Reply, iso_time};
use crate::net::service::fill::plain_word;
use crate::net::service::refusal::word;
use crate::net::service::{self, Dialect, Form, Verb, rules};

/// A clock that is off by more than this is refused by servers.
pub(super) const SKEW_SECONDS: u64 = 900;

static DIALECT: Dialect = Dialect {
    form: Form::Xml("Error"),
    who: "an S3 server",
    rules: rules! {
        0 "NoSuchKey NoSuchUpload" => Class::NotFound;
        0 "NoSuchBucket" => Class::FolderMissing;
        0 "SignatureDoesNotMatch" => Class::Auth, "=secret key rejected for access key '{key}' in region {region}",
            "check {secret}, percent-encode / and + of the secret in the URL, and check the clock";
        0 "InvalidAccessKeyId NotSignedUp" => Class::Auth, "=access key '{key}' unknown at {host}",
            "check {user} and {server}";
        0 "ExpiredToken InvalidToken TokenRefreshRequired" => Class::Auth, "",
            "get new temporary credentials and give --aws-session-token";
        0 "AuthorizationHeaderMalformed InvalidRegion" => Class::Auth, "", "give --s3-authentication-region";
        0 "UnavailableForLegalReasons UserDisable" => Class::Auth, "the account is blocked", "is a bill not paid?";
        0 "FileImmutable" => Class::Locked, "it is locked by a rule of the bucket";
        0 "AccessDenied AllAccessDisabled AccountProblem InvalidPayer UnauthorizedAccess RequestTimeTooSkewed RequestExpired" => Class::Auth;
        0 "InternalError RequestTimeout OperationAborted ConditionalRequestConflict" => Class::Transient;
        0 "IncompleteBody BadDigest XAmzContentSHA256Mismatch InvalidDigest" => Class::Transient;
        0 "EntityTooLarge MaxMessageLengthExceeded" => Class::TooBig;
        0 "InvalidObjectState" => Class::Archived, "it is in cold storage";
        0 "QuotaExceeded StorageFull XMinioStorageFull XMinioAdminBucketQuotaExceeded InsufficientCapacity" => Class::Full;
        0 "InvalidBucketName" => Class::Unsupported, "=the server finds the bucket name '{bucket}' invalid",
            "correct {bucket_at}; most servers want 3 to 63 of a-z, 0-9, - and .";
        0 "InvalidStorageClass" => Class::Unsupported, "", "correct {class}";
        0 "InvalidLocationConstraint" => Class::Unsupported, "", "correct --s3-location-constraint";
        0 "IllegalLocationConstraintException" => Class::Protocol, "", "correct --s3-location-constraint";
        0 "KeyTooLongError" => Class::Unsupported, "", "use a shorter folder in the URL";
        0 "SecondLevelDomainForbidden VirtualHostDomainRequired" => Class::Unsupported, "",
            "try --s3-ext-forcepathstyle=false";
        0 "InvalidURI MalformedXML MethodNotAllowed NotImplemented InvalidPart*" => Class::Unsupported;
        0 "PermanentRedirect TemporaryRedirect" => Class::Protocol, "",
            "the bucket is at another address: give {server} and --s3-authentication-region of its region";
        0 "SlowDown SlowDownRead SlowDownWrite ServiceUnavailable Busy TooManyRequests RequestLimitExceeded Throttling*" => Class::Throttled(None);
    },
    words: &[
        word(
            Class::FolderMissing,
            "=bucket '{bucket}' does not exist at {host}",
            "check {missing}",
        ),
        word(Class::Auth, "access denied, {right} is needed", ""),
        word(Class::Unsupported, "", ""),
    ],
};

/// A refusal as the server told it.
#[derive(Default, Debug)]
pub(super) struct Refusal {
    told: service::Refusal,
    /// Where the bucket is, if the server says it.
    pub(super) region: String,
    pub(super) endpoint: String,
    /// Seconds since 1970.
    pub(super) server_time: Option<i64>,
}

impl Deref for Refusal {
    type Target = service::Refusal;

    fn deref(&self) -> &service::Refusal {
        &self.told
    }
}

/// What was asked, for messages.
pub(super) struct Asked<'a> {
    pub(super) manner: &'static Manner,
    pub(super) verb: Verb,
    /// Right needed, as `s3:PutObject`.
    pub(super) right: &'a str,
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
        let mut out = Refusal::from(service::Refusal::of(reply, DIALECT.form));
        out.server_time = out.server_time.or(reply.date());
        if let Some(region) = reply.header("x-amz-bucket-region")
            && out.region.is_empty()
        {
            out.region = plain_word(region);
        }
        out
    }

    fn from(told: service::Refusal) -> Refusal {
        Refusal {
            region: plain_word(told.field("Region")),
            endpoint: plain_word(told.field("Endpoint")),
            server_time: iso_time(told.field("ServerTime")),
            told,
        }
    }

    /// Takes up one field of an error that follows the beginning of a success.
    pub(super) fn take(&mut self, field: &str, value: &str) {
        self.told.status = 200;
        self.told.take_xml(field, value);
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
                let region = plain_word(&rest[..end]);
                if !region.is_empty() {
                    return Some(region);
                }
            }
        }
        None
    }

    /// True when the signing region was refused.
    pub(super) fn is_region(&self) -> bool {
        self.is("AuthorizationHeaderMalformed InvalidRegion IllegalLocationConstraintException")
    }

    /// True when the bucket is missing.
    pub(super) fn is_no_bucket(&self) -> bool {
        self.is("NoSuchBucket")
    }

    /// True when no bucket can be called so.
    pub(super) fn is_bad_name(&self) -> bool {
        self.code == "InvalidBucketName"
    }

    /// True when key or signature were refused.
    pub(super) fn is_of_login(&self) -> bool {
        self.is("SignatureDoesNotMatch InvalidAccessKeyId NotSignedUp ExpiredToken InvalidToken")
            || self.is_clock()
    }

    /// True when the clock was refused.
    pub(super) fn is_clock(&self) -> bool {
        self.is("RequestTimeTooSkewed RequestExpired")
            || (self.code == "AccessDenied" && self.message.contains("Request has expired"))
    }

    /// True when the server does not know, or not any more, the keys.
    pub(super) fn is_of_old_keys(&self) -> bool {
        self.is("InvalidAccessKeyId ExpiredToken InvalidToken")
    }

    /// True when the bucket is at the endpoint that it names, although no redirect says so.
    pub(super) fn is_elsewhere(&self) -> bool {
        !self.endpoint.is_empty() && self.message.contains("using the specified endpoint")
    }

    /// True when the server wants the other addressing style.
    pub(super) fn is_style(&self) -> bool {
        self.is("SecondLevelDomainForbidden VirtualHostDomainRequired")
            || self.message.contains("virtual hosted style")
    }

    /// True when the server does not know the kind of listing that was asked for.
    pub(super) fn is_unknown_listing(&self) -> bool {
        matches!(self.status, 400 | 501) && self.is("NotImplemented InvalidArgument")
    }

    /// True when the server may have refused an upload for its `If-None-Match` alone.
    pub(super) fn is_no_condition(&self) -> bool {
        matches!(self.status, 400 | 405 | 501)
            && self.is("- NotImplemented InvalidArgument InvalidRequest InvalidHeader")
    }

    /// The fault it is.
    pub(super) fn fault(&self, asked: &Asked<'_>) -> Fault {
        let manner = asked.manner;
        let names = [
            // What others are named in.
            ("missing", manner.missing),
            ("bucket_at", manner.bucket),
            ("server", manner.server),
            ("user", manner.user),
            ("secret", manner.secret),
            ("class", manner.class),
            ("right", asked.right),
            ("bucket", asked.bucket),
            ("host", asked.host),
            ("key", asked.key_id),
            ("region", asked.region),
        ];
        let fault = self.told.fault(&DIALECT, asked.verb, &names);
        if let Some(clock) = self.clock(fault.class, asked) {
            return Fault::new(fault.class, format!("{clock}; {}", self.said()))
                .hint("set this machine's clock");
        }
        match fault.class {
            // Nothing that an S3 server says.
            Class::Protocol if self.code.is_empty() => fault.hint(format!(
                "is this an S3 server? check {} and the port",
                manner.server
            )),
            _ => fault,
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked {
        manner: &crate::dest::s3::manner::S3,
        right: "s3:PutObject",
        verb: Verb::Get,
        bucket: "bkt",
        host: "h",
        key_id: "AKIA",
        region: "r",
        now: 1_800_000_000,
    };

    fn parsed(status: u16, body: &[u8]) -> Refusal {
        Refusal::from(service::Refusal {
            status,
            ..service::Refusal::parse(body, DIALECT.form)
        })
    }

    fn refusal(status: u16, code: &str, message: &str) -> Refusal {
        let body = format!(
            "<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>{code}</Code><Message>{message}</Message><Other><Code>no</Code></Other></Error>"
        );
        parsed(status, body.as_bytes())
    }

    #[test]
    fn codes_and_statuses() {
        for (status, code, class) in [
            (404, "NoSuchKey", Class::NotFound),
            (404, "NoSuchBucket", Class::FolderMissing),
            (403, "SignatureDoesNotMatch", Class::Auth),
            (403, "SomethingElse", Class::Auth),
            (400, "ExpiredToken", Class::Auth),
            (503, "SlowDown", Class::Throttled(None)),
            (400, "ThrottlingException", Class::Throttled(None)),
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
            (429, "", Class::Throttled(None)),
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
            verb: Verb::List,
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
        let html = parsed(200, b"<html><body>Please log in to HotelWifi</body>");
        assert!(html.fault(&ASKED).text.contains("captive portal"));
        // What no S3 server says, and what one says of a bucket elsewhere.
        for (status, code, part, hint) in [
            (200, "", "none of an S3 server", "is this an S3 server?"),
            (400, "", "the server says 400", "is this an S3 server?"),
            (301, "PermanentRedirect", "says 301", "--s3-server-name"),
            (307, "TemporaryRedirect", "says 307", "--s3-server-name"),
        ] {
            let told = match code {
                "" => parsed(status, b""),
                code => refusal(status, code, ""),
            };
            let f = told.fault(&ASKED);
            assert!(
                f.text.contains(part) && f.hint.contains(hint),
                "{status}: {}",
                f.text
            );
        }
        let plain = parsed(400, b"Client sent an HTTP request to an HTTPS server.\n");
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
        let r = parsed(400, b"<Error><Code>X</Code><Region>eu-1\r\nEvil: x</Region><ServerTime>2013-05-24T00:00:00Z</ServerTime></Error>");
        assert_eq!(r.expected_region().as_deref(), Some("eu-1Evil:x"));
        assert_eq!(r.server_time, Some(1_369_353_600));
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
            let _ = parsed(0, body).fault(&ASKED);
        }
    }
}
