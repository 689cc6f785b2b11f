//! What a refusal of B2 means (`destinations-core.md` 5.5), where its status alone does not tell.

use crate::base::fault::{Class, says_full};
use crate::net::service::refusal::word;
use crate::net::service::{Dialect, Form, Refusal, rules};

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Json("code", "message"),
    who: "a B2 server",
    rules: rules! {
        0 "*cap_exceeded" => Class::Full, "spending cap reached", "raise the cap in Backblaze's account settings, or wait until tomorrow";
        0 "bad_bucket_id" => Class::FolderMissing;
        400 "file_not_present no_such_file" => Class::NotFound;
        404 "file_not_present no_such_file" => Class::NotFound;
        0 "duplicate_bucket_name" => Class::Auth, "=bucket name '{bucket}' taken by another account", "choose another bucket name";
        0 "too_many_buckets" => Class::Full;
        400 "" "bucket*does not exist" => Class::FolderMissing;
        400 "" "bucket*not found" => Class::FolderMissing;
        404 "" "bucket*does not exist" => Class::FolderMissing;
        404 "" "bucket*not found" => Class::FolderMissing;
        400 "" "sha1*match" => Class::Transient;
        400 "" "checksum*match" => Class::Transient;
        404 "-" [List Put MakeFolder] => Class::Protocol;
        403 "" [Delete] => Class::Locked;
        401 "expired_auth_token bad_auth_token" => Class::Auth, "the server refuses the token that it has just given";
    },
    words: &[
        word(
            Class::FolderMissing,
            "=bucket '{bucket}' does not exist",
            "check the bucket name in b2://{bucket}",
        ),
        word(
            Class::Auth,
            "access denied for key id '{key}', {right} is needed",
            "make an application key with this right",
        ),
        word(Class::Locked, "it is protected, perhaps by a file lock", ""),
    ],
};

/// True when a token has run out; a new one may help.
pub(super) fn is_expired(refusal: &Refusal) -> bool {
    refusal.status == 401 && refusal.is("expired_auth_token bad_auth_token")
}

/// True when another upload URL may help at once: the server that was to take the file cannot.
pub(super) fn is_of_upload_url(refusal: &Refusal) -> bool {
    if refusal.status == 507 || says_full(refusal.status, &refusal.message) {
        return false;
    }
    is_expired(refusal)
        || matches!(refusal.status, 408 | 500..=599)
        || (refusal.status == 429 && refusal.retry_after.is_none())
}

/// True when a version of the service is unknown to the server.
pub(super) fn is_unknown_version(refusal: &Refusal) -> bool {
    refusal.status == 404 || (refusal.status == 400 && refusal.is("bad_request -"))
}

/// True when the server has said for sure that it did not do what was asked.
pub(super) fn is_definite(refusal: &Refusal) -> bool {
    !refusal.code.is_empty() || refusal.status < 500
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::service::Verb;

    #[test]
    fn classes() {
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
            (408, "request_timeout", "", Class::Transient),
            (429, "too_many_requests", "", Class::Throttled(None)),
            (503, "service_unavailable", "", Class::Throttled(None)),
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
            let (got, _) = refusal.class(&DIALECT, Verb::Get);
            assert_eq!(got, class, "{status} {code} {message}");
        }
    }

    #[test]
    fn bodies() {
        let parse = |body: &[u8]| Refusal::parse(body, DIALECT.form);
        let r = parse(br#"{"status":401,"code":"bad_auth_token","message":"m\u001b[31m"}"#);
        assert_eq!(
            (r.code.as_str(), r.message.as_str()),
            ("bad_auth_token", "m\u{1b}[31m")
        );
        assert!(!r.said().contains('\u{1b}'));
        for body in [&b""[..], b"{", b"[]", b"null", b"{\"code\":1}"] {
            assert_eq!(parse(body).code, "");
        }
        assert!(parse(b"<html>").html);
    }
}
