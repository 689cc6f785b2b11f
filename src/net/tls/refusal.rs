//! Why a certificate or a handshake was refused, in words: never a name out of the TLS library.

use std::fmt;

use rustls::{
    AlertDescription as Alert, CertificateError, Error as TlsError, InvalidMessage, OtherError,
    PeerIncompatible,
};

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::net::tls::certificate::Certificate;

/// A clock before this (2024-01-01) belongs to a machine that does not know the time.
const CLOCK_SANE: i64 = 1_704_067_200;
const OUTDATED: &str = "server requires an outdated TLS version; at least TLS 1.2 is needed";
const NOTHING_SHARED: &str = "the server shares no cipher with us; it may require an outdated one, TLS 1.2 with forward secrecy is the least";
const KEYS: &str = "make the server a certificate with an RSA key of 2048 bits or more, EC P-256, P-384 or Ed25519";

/// Why a certificate was refused, for people.
#[derive(Debug)]
pub(super) struct Refused {
    text: String,
    hint: String,
}

impl Refused {
    /// `host` is whom we wanted, `now` seconds since 1970.
    pub(super) fn new(reason: &CertificateError, leaf: &[u8], host: &str, now: i64) -> Refused {
        let day = |seconds: i64| Timestamp(seconds).iso();
        let read = Certificate::read(leaf);
        let dates = read.as_ref().and_then(Certificate::validity);
        let (from, to) = dates.unwrap_or((i64::MIN, i64::MAX));
        let mut hint = String::new();
        let why = match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                if now < CLOCK_SANE {
                    hint = "this machine's clock is wrong".to_owned();
                }
                format!(
                    "the certificate expired on {}, it is {} here",
                    day(to),
                    day(now)
                )
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                hint = "set this machine's clock".to_owned();
                format!(
                    "the certificate is valid from {}, it is {} here",
                    day(from),
                    day(now)
                )
            }
            CertificateError::NotValidForName => {
                format!("the certificate is not for {}", text::safe(host.as_bytes()))
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                // Such as `DnsName("example.org")`.
                let bare = |name: &'_ String| {
                    let inner = name.split_once('(').map_or("", |(_, inner)| inner);
                    inner.trim_end_matches(')').trim_matches('"').to_owned()
                };
                let names: Vec<String> = presented.iter().take(5).map(bare).collect();
                let names = match names.is_empty() {
                    true => "no name".to_owned(),
                    false => names.join(", "),
                };
                format!(
                    "the certificate is for {} and not for {}",
                    text::safe_cut(names.as_bytes(), 200),
                    text::safe(host.as_bytes())
                )
            }
            other => format!(
                "certificate not trusted: {}",
                words(other, read.is_some_and(|c| c.version < 3))
            ),
        };
        Refused::told(why, leaf, |sha256| match hint.is_empty() {
            true if now > to => "renew it on the server".to_owned(),
            true => format!("if that is the right server: --accept-specified-ssl-hash={sha256}"),
            false => hint,
        })
    }

    /// The same where fingerprints were given, and this is a certificate that has none of them.
    pub(super) fn unlike_pins(self, leaf: &[u8]) -> Refused {
        let sha256 = hex(Algo::Sha256.hash(leaf).as_bytes());
        Refused {
            text: format!(
                "the server's certificate does not match --accept-specified-ssl-hash: it has changed, or this is another server; {}",
                self.text
            ),
            hint: format!(
                "if the server has a new one, compare its fingerprint there, then --accept-specified-ssl-hash={sha256}; if not, somebody may stand in between"
            ),
        }
    }

    /// `what` is a key that the TLS library cannot use.
    pub(super) fn key(what: &str, leaf: &[u8]) -> Refused {
        let why = format!("the server's certificate has {what}, which is not supported");
        Refused::told(why, leaf, |_| KEYS.to_owned())
    }

    fn told(why: String, leaf: &[u8], hint: impl FnOnce(&str) -> String) -> Refused {
        let sha256 = hex(Algo::Sha256.hash(leaf).as_bytes());
        let sha1 = hex(Algo::Sha1.hash(leaf).as_bytes());
        Refused {
            text: format!("{why}; SHA-256 {sha256}, SHA-1 {sha1}"),
            hint: hint(&sha256),
        }
    }

    /// As the TLS library carries it.
    pub(super) fn into_error(self) -> TlsError {
        let inner = OtherError(std::sync::Arc::new(self));
        TlsError::InvalidCertificate(CertificateError::Other(inner))
    }
}

/// A clause for what is wrong with a certificate. `old`: it is of version 1 or 2.
fn words(reason: &CertificateError, old: bool) -> &'static str {
    match reason {
        _ if old => "it is of X.509 version 1, so only its fingerprint can vouch for it",
        CertificateError::UnknownIssuer => "its issuer is unknown or it is self-signed",
        CertificateError::BadEncoding => "it is not made as certificates have to be",
        CertificateError::BadSignature => "a signature in it or of the server is wrong",
        CertificateError::Revoked => "it was revoked",
        CertificateError::UnhandledCriticalExtension => UNKNOWN_EXTENSION,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not made for servers"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in an outdated or unknown way"
        }
        CertificateError::Other(e) => other(e),
        _ => "it cannot be checked",
    }
}

const UNKNOWN_EXTENSION: &str = "it has a critical extension that is not known";

/// A reason of the library's own checker, whose type is not public: its name is all there is, and that is not shown.
fn other(e: &OtherError) -> &'static str {
    match e.to_string().split('(').next().unwrap_or("") {
        "CaUsedAsEndEntity" => "it signs itself and is marked as an authority",
        "UnsupportedCriticalExtension" => UNKNOWN_EXTENSION,
        "UnsupportedCertVersion" => "it is of an old X.509 version",
        "EndEntityUsedAsCa" => "it is signed by one that is no authority",
        "PathLenConstraintViolated" | "NameConstraintViolation" => {
            "its authority may not vouch for it"
        }
        "MaximumSignatureChecksExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumPathDepthExceeded"
        | "MaximumNameConstraintComparisonsExceeded" => "the chain of its authorities is too long",
        "SignatureAlgorithmMismatch" => "it contradicts itself",
        _ => "it is not made as certificates have to be",
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

/// True when the server ended the handshake without a reason, which may be that its key is one that we did not offer to check.
pub(crate) fn may_be_the_key(fault: &Fault) -> bool {
    fault.class == Class::Tls && fault.text == NOTHING_SHARED
}

/// The fault of a failed handshake or broken connection.
pub(crate) fn fault(e: &TlsError) -> Fault {
    let tls = |text: &str| Fault::new(Class::Tls, text);
    match e {
        TlsError::InvalidCertificate(reason) => {
            let own = match reason {
                CertificateError::Other(OtherError(inner)) => inner.downcast_ref::<Refused>(),
                _ => None,
            };
            match own {
                Some(refused) => tls(&refused.text).hint(refused.hint.clone()),
                None => tls(&format!(
                    "certificate not trusted: {}",
                    words(reason, false)
                )),
            }
        }
        TlsError::NoCertificatesPresented => tls("the server shows no certificate"),
        TlsError::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => tls("peer does not speak TLS on this port")
            .hint("use another port, or no TLS: use-ssl=false, or a URL without the s"),
        TlsError::AlertReceived(alert) => of_alert(*alert),
        TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => tls(OUTDATED).hint("update the server"),
        TlsError::PeerIncompatible(_) => tls(NOTHING_SHARED).hint("update the server"),
        TlsError::FailedToGetCurrentTime => tls("this machine does not know the time"),
        TlsError::FailedToGetRandomBytes | TlsError::EncryptError => {
            tls("TLS cannot be spoken on this machine")
        }
        TlsError::DecryptError => Fault::new(
            Class::Transient,
            "what the server sent was damaged on the way",
        ),
        _ => tls("the server does not keep to the rules of TLS")
            .hint("is something in between that changes the traffic?"),
    }
}

fn of_alert(alert: Alert) -> Fault {
    let tls = |text: &str| Fault::new(Class::Tls, text);
    match alert {
        Alert::CloseNotify | Alert::UserCanceled => {
            Fault::new(Class::Transient, "the server closed the connection")
        }
        Alert::InternalError => Fault::new(Class::Transient, "the server failed at TLS"),
        Alert::ProtocolVersion => tls(OUTDATED).hint("update the server"),
        Alert::HandshakeFailure | Alert::InsufficientSecurity | Alert::IllegalParameter => {
            tls(NOTHING_SHARED).hint("update the server")
        }
        Alert::UnrecognisedName => tls("the server does not know this host name")
            .hint("use the name that its certificate is for"),
        Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            tls("the server wants a certificate of ours, which is not supported")
        }
        other => {
            // What a server says that got less than a whole record (OpenSSL: of a connection that it ended itself, too), or
            // another than was sent.
            let class = match other {
                Alert::DecodeError
                | Alert::DecryptError
                | Alert::BadRecordMac
                | Alert::DecryptionFailed
                | Alert::RecordOverflow
                | Alert::UnexpectedMessage => Class::Transient,
                _ => Class::Tls,
            };
            let code = u8::from(other);
            Fault::new(class, format!("the server ended TLS with alert {code}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::net::tls::certificate::tests::{ec, p521, shell};
    use rustls::{PeerMisbehaved, SignatureScheme};

    #[test]
    fn refusals_name_both_sides_and_the_option() {
        let reason = CertificateError::UnknownIssuer;
        let der = shell(
            (0x17, "240131123456Z"),
            (0x17, "300131123456Z"),
            Some(3),
            &ec(&[1]),
        );
        let r = Refused::new(&reason, &der, "nas.lan", 1_800_000_000);
        let sha = hex(Algo::Sha256.hash(&der).as_bytes());
        assert!(
            r.text.contains("not trusted") && r.text.contains(&sha),
            "{}",
            r.text
        );
        assert!(
            r.hint
                .ends_with(&format!("--accept-specified-ssl-hash={sha}"))
        );
        let r = Refused::new(&CertificateError::Expired, &der, "nas.lan", 1_600_000_000);
        assert!(r.hint.contains("clock"), "{}", r.hint);
        let r = Refused::new(&CertificateError::Expired, &der, "nas.lan", 2_000_000_000);
        assert!(
            r.text.contains("2030-01-31") && r.hint.contains("renew"),
            "{}",
            r.text
        );
    }

    /// Errors of every sort that the TLS library has.
    fn all() -> Vec<TlsError> {
        let mut out = vec![
            TlsError::NoCertificatesPresented,
            TlsError::DecryptError,
            TlsError::EncryptError,
            TlsError::PeerSentOversizedRecord,
            TlsError::HandshakeNotComplete,
            TlsError::NoApplicationProtocol,
            TlsError::UnsupportedNameType,
            TlsError::FailedToGetCurrentTime,
            TlsError::FailedToGetRandomBytes,
            TlsError::BadMaxFragmentSize,
            TlsError::General("SomeThing".to_owned()),
            TlsError::InvalidMessage(InvalidMessage::MessageTooLarge),
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType),
            TlsError::InvalidMessage(InvalidMessage::MissingData("CertificatePayload")),
            TlsError::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            TlsError::PeerMisbehaved(PeerMisbehaved::TooMuchEarlyDataReceived),
            TlsError::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme),
        ];
        out.extend((0..=255).map(|n| TlsError::AlertReceived(Alert::from(n))));
        #[derive(Debug)]
        struct Named(&'static str);
        impl fmt::Display for Named {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Named {}
        let named = |name| CertificateError::Other(OtherError(Arc::new(Named(name))));
        let mut reasons = vec![
            CertificateError::BadEncoding,
            CertificateError::BadSignature,
            CertificateError::Revoked,
            CertificateError::UnknownIssuer,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::UnknownRevocationStatus,
            CertificateError::InvalidPurpose,
            CertificateError::ApplicationVerificationFailure,
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1],
                supported_algorithms: Vec::new(),
            },
            CertificateError::NotValidForNameContext {
                expected: rustls::pki_types::ServerName::try_from("h").expect("a name"),
                presented: vec![
                    "DnsName(\"x.example\")".to_owned(),
                    "IpAddress(127.0.0.1)".to_owned(),
                ],
            },
        ];
        for name in [
            "UnsupportedCertVersion",
            "UnsupportedCriticalExtension",
            "CaUsedAsEndEntity",
            "EndEntityUsedAsCa",
            "PathLenConstraintViolated",
            "NameConstraintViolation",
            "MaximumPathDepthExceeded",
            "SignatureAlgorithmMismatch",
            "TrailingData(Certificate)",
            "SomethingNew { a: 1 }",
        ] {
            reasons.push(named(name));
        }
        for reason in reasons {
            let der = shell(
                (0x17, "240131123456Z"),
                (0x17, "300131123456Z"),
                None,
                &p521(),
            );
            for leaf in [&der[..], b"", b"garbage"] {
                let refused = Refused::new(&reason, leaf, "h", 1_800_000_000);
                out.push(refused.into_error());
            }
            out.push(TlsError::InvalidCertificate(reason));
        }
        out.push(Refused::key("an Ed448 key", b"x").into_error());
        out
    }

    #[test]
    fn no_name_of_the_library_is_ever_shown() {
        let names = "for x.example, 127.0.0.1 and not for h";
        assert!(all().iter().any(|e| fault(e).text.contains(names)));
        for e in all() {
            let f = fault(&e);
            for word in f.text.split(|c: char| !c.is_ascii_alphanumeric()) {
                // `BadSignature` and the like; what a server wrote stays.
                let humps = word
                    .chars()
                    .skip(1)
                    .filter(char::is_ascii_uppercase)
                    .count();
                let lower = word.chars().any(|c| c.is_ascii_lowercase());
                let theirs = word == "forwardSecrecy";
                assert!(theirs || humps == 0 || !lower, "{word}: {}", f.text);
            }
            assert!(
                !f.text.is_empty() && !f.text.contains(['{', '}']),
                "{}",
                f.text
            );
        }
        let scheme = SignatureScheme::ED25519;
        assert!(
            scheme.as_str().is_some(),
            "the list above is of this library"
        );
    }

    #[test]
    fn alerts_say_what_to_do() {
        for (alert, part) in [
            (Alert::ProtocolVersion, "outdated TLS version"),
            (Alert::HandshakeFailure, "no cipher"),
            (Alert::UnrecognisedName, "host name"),
            (Alert::CertificateRequired, "certificate of ours"),
            (Alert::Unknown(99), "alert 99"),
        ] {
            let f = fault(&TlsError::AlertReceived(alert));
            assert!(f.text.contains(part), "{}", f.text);
        }
        let f = fault(&TlsError::AlertReceived(Alert::Unknown(99)));
        assert_eq!(f.class, Class::Tls);
        let f = fault(&TlsError::AlertReceived(Alert::HandshakeFailure));
        assert!(may_be_the_key(&f));
        let f = fault(&TlsError::AlertReceived(Alert::ProtocolVersion));
        assert!(!may_be_the_key(&f));
    }

    #[test]
    fn a_record_that_was_cut_or_damaged_on_the_way_is_sent_again() {
        let f = fault(&TlsError::DecryptError);
        assert_eq!(f.class, Class::Transient);
        for code in [10, 20, 21, 22, 50, 51] {
            let f = fault(&TlsError::AlertReceived(Alert::from(code)));
            assert_eq!(f.class, Class::Transient, "{}", f.text);
            assert!(f.text.ends_with(&format!(" {code}")), "{}", f.text);
        }
    }
}
