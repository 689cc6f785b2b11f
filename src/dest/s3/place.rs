//! Where a request may go: which hosts may get our credentials.

use crate::dest::s3::config::Endpoint;
use crate::net::redirect::host_and_port;

/// The host in iDrive's answer: plain text, or JSON with `domain_name`.
pub(super) fn e2_host(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let host = if text.starts_with('{') {
        let value: serde_json::Value = serde_json::from_slice(text.as_bytes()).ok()?;
        value.get("domain_name")?.as_str()?.trim().to_owned()
    } else {
        text.to_owned()
    };
    let good = host.contains('.')
        && host.len() <= 253
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    good.then(|| host.to_ascii_lowercase())
}

/// The name under which Aliyun's server speaks S3 and nothing else, for the name of one that speaks both.
pub(super) fn other_name(endpoint: &Endpoint) -> Option<String> {
    let plain = endpoint.host.starts_with("oss-") && endpoint.is_under("aliyuncs.com");
    plain.then(|| format!("s3.{}", endpoint.host))
}

/// True when credentials for `home` may be used (newly signed) at `other`: same scheme and port, and the same host or one of
/// the same registered domain, as the regions of a service are.
pub(super) fn same_owner(home: &Endpoint, other: &Endpoint) -> bool {
    let port = |e: &Endpoint| match host_and_port(&e.host).1 {
        "" if e.tls => "443".to_owned(),
        "" => "80".to_owned(),
        port => port.to_owned(),
    };
    if home.tls != other.tls || port(home) != port(other) {
        return false;
    }
    home.name() == other.name()
        || match (domain(home.name()), domain(other.name())) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
}

/// The last two labels, three where the last two look like `co.uk`; `None` for addresses and single names.
fn domain(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.split('.').collect();
    let top = labels.last()?;
    if host.starts_with('[') || top.is_empty() || top.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let second = labels.get(labels.len().checked_sub(2)?)?;
    let wanted = if top.len() == 2 && second.len() <= 3 {
        3
    } else {
        2
    };
    let from = labels.len().checked_sub(wanted)?;
    Some(labels[from..].join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(tls: bool, host: &str) -> Endpoint {
        Endpoint {
            tls,
            host: host.to_owned(),
        }
    }

    #[test]
    fn credentials_stay_with_their_owner() {
        for (home, other, same) in [
            ("s3.amazonaws.com", "b.s3.eu-west-1.amazonaws.com", true),
            ("nas:9000", "nas:9000", true),
            ("nas", "nas:80", true),
            ("s3.example.com:1", "b.s3.example.com:1", true),
            ("nas:9000", "nas:9001", false),
            ("nas", "nas:9000", false),
            ("s3.example.com", "b.example.com:1", false),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1", "127.0.0.2", false),
            ("nas", "evil", false),
            ("s3.example.com", "example.com.evil.org", false),
            ("s3.foo.co.uk", "s3.bar.co.uk", false),
            ("[::1]:1", "[::2]:1", false),
        ] {
            let same_now = same_owner(&endpoint(false, home), &endpoint(false, other));
            assert_eq!(same_now, same, "{home} {other}");
        }
        assert!(!same_owner(&endpoint(true, "h"), &endpoint(false, "h")));
        assert!(!same_owner(&endpoint(false, "h"), &endpoint(true, "h")));
        assert!(same_owner(&endpoint(true, "h:443"), &endpoint(true, "h")));
    }

    #[test]
    fn e2_answers() {
        for (body, want) in [
            (
                &b"q5n8.la.idrivee2-14.com\n"[..],
                Some("q5n8.la.idrivee2-14.com"),
            ),
            (
                b"{\"resp_code\":0,\"domain_name\":\"a.b.com\"}",
                Some("a.b.com"),
            ),
            (b"", None),
            (b"{}", None),
            (b"evil.com/path", None),
            (b"<html>", None),
        ] {
            assert_eq!(e2_host(body).as_deref(), want);
        }
    }
}
