//! Which certificates are good: built-in roots and an own file of roots, pinned fingerprints, and refusals that say what to do.
//!
//! A fingerprint is one more way in, not a restriction; one of an authority lets in what that authority signed. Revocation is
//! not checked.

use std::fmt;
use std::io::Read as _;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError,
    InvalidMessage, OtherError, RootCertStore, SignatureScheme,
};

use crate::base::bytes::{Cursor, hex, hex_decode};
use crate::base::digest::Algo;
use crate::base::error::{Error, Kind, Result};
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::base::time::{Civil, Timestamp};
use crate::net::opts;

/// Longest file of roots.
const ROOTS_MAX_BYTES: u64 = 16 << 20;
/// A clock before this (2024-01-01) belongs to a machine that does not know the time.
const CLOCK_SANE: i64 = 1_704_067_200;

/// The TLS set-up that the options ask for.
pub(crate) fn config(options: &Options) -> Result<Arc<ClientConfig>> {
    check_versions(options.text(&opts::SSL_VERSIONS))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let file = options
        .text(&opts::SSL_CA_FILE)
        .map(str::to_owned)
        .or_else(|| {
            std::env::var("SSL_CERT_FILE")
                .ok()
                .filter(|f| !f.is_empty())
        });
    if let Some(file) = file {
        add_roots(&mut roots, &file)?;
    }
    let verifier = Verifier {
        normal: authorities(roots, &provider).ok_or_else(|| Error::bug("no TLS roots"))?,
        provider: provider.clone(),
        any: options.flag(&opts::SSL_ANY),
        hashes: fingerprints(options.text(&opts::SSL_HASH).unwrap_or(""))?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::bug("no TLS versions"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn authorities(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    builder.build().ok()
}

fn check_versions(list: Option<&str>) -> Result<()> {
    let Some(list) = list else {
        return Ok(());
    };
    let modern = list
        .split([',', ';', ' '])
        .any(|v| matches!(v.trim().to_ascii_uppercase().as_str(), "TLS12" | "TLS13"));
    if modern {
        return Ok(());
    }
    Err(Error::usage(
        "--allowed-ssl-versions names only versions below TLS 1.2, which are not supported",
    ))
}

fn add_roots(roots: &mut RootCertStore, file: &str) -> Result<()> {
    let doing = || format!("read the certificates in {}", text::safe(file.as_bytes()));
    let mut pem = Vec::new();
    std::fs::File::open(file)
        .and_then(|f| f.take(ROOTS_MAX_BYTES).read_to_end(&mut pem))
        .map_err(|e| Error::io(&e).doing(doing()))?;
    let mut found = false;
    for item in ureq::tls::parse_pem(&pem) {
        let Ok(ureq::tls::PemItem::Certificate(cert)) = item else {
            continue;
        };
        let der = CertificateDer::from(cert.der().to_vec());
        found |= roots.add(der).is_ok();
    }
    if found {
        Ok(())
    } else {
        Err(Error::new(Kind::Usage, "it holds no usable PEM certificate").doing(doing()))
    }
}

/// The values of `accept-specified-ssl-hash`: 20 or 32 bytes each.
fn fingerprints(list: &str) -> Result<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    for part in list.split([',', ';']) {
        let digits: String = part.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        if digits.is_empty() {
            continue;
        }
        match hex_decode(digits.as_bytes()) {
            Some(hash) if matches!(hash.len(), 20 | 32) => out.push(hash),
            _ => {
                return Err(Error::usage(format!(
                    "--accept-specified-ssl-hash={} is not valid: 64 hex digits (SHA-256) or 40 (SHA-1) are expected",
                    text::safe_cut(part.as_bytes(), 80)
                )));
            }
        }
    }
    Ok(out)
}

#[derive(Debug)]
struct Verifier {
    normal: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
    any: bool,
    hashes: Vec<Vec<u8>>,
}

impl Verifier {
    fn listed(&self, der: &[u8]) -> bool {
        [Algo::Sha1, Algo::Sha256]
            .iter()
            .any(|a| self.hashes.iter().any(|h| h == a.hash(der).as_bytes()))
    }

    /// True when `authority` signed the leaf, straight or through the chain. The name does not matter.
    fn signed(
        &self,
        authority: &CertificateDer<'_>,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        if roots.add(authority.clone().into_owned()).is_err() {
            return false;
        }
        let Some(alone) = authorities(roots, &self.provider) else {
            return false;
        };
        // The name is looked at last.
        matches!(
            alone.verify_server_cert(leaf, chain, name, &[], now),
            Ok(_)
                | Err(TlsError::InvalidCertificate(
                    CertificateError::NotValidForName
                        | CertificateError::NotValidForNameContext { .. }
                ))
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        if self.any {
            return Ok(ServerCertVerified::assertion());
        }
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let valid_now =
            |der: &[u8]| validity(der).is_some_and(|(from, to)| (from..=to).contains(&seconds));
        let by_authority = |c: &CertificateDer<'_>| {
            self.listed(c) && valid_now(c) && self.signed(c, leaf, chain, name, now)
        };
        if valid_now(leaf) && (self.listed(leaf) || chain.iter().any(by_authority)) {
            return Ok(ServerCertVerified::assertion());
        }
        let checked = self.normal.verify_server_cert(leaf, chain, name, ocsp, now);
        checked.map_err(|e| match e {
            TlsError::InvalidCertificate(reason) => {
                let refused = Refused::new(&reason, leaf, &name.to_str(), seconds);
                TlsError::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.normal.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.normal.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.normal.supported_verify_schemes()
    }
}

/// Why a certificate was refused, for people.
#[derive(Debug)]
struct Refused {
    text: String,
    hint: String,
}

impl Refused {
    fn new(reason: &CertificateError, leaf: &[u8], host: &str, now: i64) -> Refused {
        let day = |seconds: i64| Timestamp(seconds).iso();
        let (from, to) = validity(leaf).unwrap_or((i64::MIN, i64::MAX));
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
                let names: Vec<&str> = presented.iter().take(5).map(String::as_str).collect();
                format!(
                    "the certificate is for {} and not for {}",
                    text::safe_cut(names.join(", ").as_bytes(), 200),
                    text::safe(host.as_bytes())
                )
            }
            CertificateError::UnknownIssuer => {
                "certificate not trusted: its issuer is unknown or it is self-signed".to_owned()
            }
            // The verifier's own error type is not public; its name is all there is.
            CertificateError::Other(e) if format!("{e:?}").contains("CaUsedAsEndEntity") => {
                "certificate not trusted: it signs itself and is marked as an authority".to_owned()
            }
            other => format!(
                "certificate not trusted: {}",
                text::safe_cut(format!("{other}").as_bytes(), 100)
            ),
        };
        let sha256 = hex(Algo::Sha256.hash(leaf).as_bytes());
        let sha1 = hex(Algo::Sha1.hash(leaf).as_bytes());
        if hint.is_empty() {
            hint = if now > to {
                "renew it on the server".to_owned()
            } else {
                format!("if that is the right server: --accept-specified-ssl-hash={sha256}")
            };
        }
        Refused {
            text: format!("{why}; SHA-256 {sha256}, SHA-1 {sha1}"),
            hint,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

/// The fault of a failed handshake or broken connection.
pub(crate) fn fault(e: &TlsError) -> Fault {
    match e {
        TlsError::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            match inner.downcast_ref::<Refused>() {
                Some(refused) => {
                    Fault::new(Class::Tls, refused.text.clone()).hint(refused.hint.clone())
                }
                None => Fault::new(Class::Tls, "certificate not trusted"),
            }
        }
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Fault::new(Class::Tls, "peer does not speak TLS on this port")
                .hint("use another port, or use-ssl=false")
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion)
        | TlsError::AlertReceived(AlertDescription::HandshakeFailure)
        | TlsError::PeerIncompatible(_) => Fault::new(
            Class::Tls,
            "server requires an outdated TLS version or cipher; at least TLS 1.2 with forward secrecy is needed",
        )
        .hint("update the server"),
        TlsError::AlertReceived(AlertDescription::CloseNotify) => {
            Fault::new(Class::Transient, "the server closed the connection")
        }
        other => Fault::new(
            Class::Tls,
            format!(
                "TLS failed: {}",
                text::safe_cut(other.to_string().as_bytes(), 150)
            ),
        ),
    }
}

/// `notBefore` and `notAfter` of a certificate in seconds since 1970; `None` when it cannot be read.
fn validity(der: &[u8]) -> Option<(i64, i64)> {
    let (tag, certificate, _) = element(der)?;
    let (inner, mut at, _) = element(certificate)?;
    if (tag, inner) != (0x30, 0x30) {
        return None;
    }
    let (first, _, rest) = element(at)?;
    if first == 0xa0 {
        at = rest;
    }
    for _ in 0..3 {
        at = element(at)?.2;
    }
    let (_, dates, _) = element(at)?;
    let (from_tag, from, rest) = element(dates)?;
    let (to_tag, to, _) = element(rest)?;
    Some((date(from_tag, from)?, date(to_tag, to)?))
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let mut at = Cursor::new(der);
    let tag = at.u8()?;
    let len = match at.u8()? {
        n if n < 0x80 => usize::from(n),
        n => {
            let bytes = at.take(usize::from(n & 0x7f)).filter(|b| b.len() <= 4)?;
            bytes
                .iter()
                .fold(0usize, |sum, &b| sum << 8 | usize::from(b))
        }
    };
    let content = at.take(len)?;
    Some((tag, content, at.rest()))
}

fn date(tag: u8, raw: &[u8]) -> Option<i64> {
    let digits = raw.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pair = |at: usize| {
        Some(u32::from(*digits.get(at)? - b'0') * 10 + u32::from(*digits.get(at + 1)? - b'0'))
    };
    let (year, at) = match (tag, digits.len()) {
        (0x17, 12) => {
            let short = i64::from(pair(0)?);
            (
                if short < 50 {
                    2000 + short
                } else {
                    1900 + short
                },
                2,
            )
        }
        (0x18, 14) => (i64::from(pair(0)?) * 100 + i64::from(pair(2)?), 4),
        _ => return None,
    };
    Civil {
        year,
        month: pair(at)?,
        day: pair(at + 2)?,
        hour: pair(at + 4)?,
        minute: pair(at + 6)?,
        second: pair(at + 8)?,
    }
    .to_unix()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outer shell of a certificate with these dates (tag, text).
    fn shell(from: (u8, &str), to: (u8, &str), version: bool) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            let mut out = vec![tag, u8::try_from(content.len()).expect("short")];
            out.extend_from_slice(content);
            out
        };
        let dates = [wrap(from.0, from.1.as_bytes()), wrap(to.0, to.1.as_bytes())].concat();
        let mut body = Vec::new();
        if version {
            body.extend(wrap(0xa0, &[2, 1, 2]));
        }
        for tag in [2, 0x30, 0x30] {
            body.extend(wrap(tag, &[1]));
        }
        body.extend(wrap(0x30, &dates));
        wrap(0x30, &wrap(0x30, &body))
    }

    #[test]
    fn dates_of_certificates() {
        let utc = (0x17, "240131123456Z");
        let general = (0x18, "20991231235959Z");
        for version in [true, false] {
            let der = shell(utc, general, version);
            assert_eq!(validity(&der), Some((1_706_704_496, 4_102_444_799)));
            for cut in 0..der.len() {
                assert_eq!(validity(&der[..cut]), None);
            }
        }
        assert_eq!(
            validity(&shell((0x17, "24013112345Z"), general, true)),
            None
        );
        assert_eq!(
            validity(&shell((0x17, "991331000000Z"), general, true)),
            None
        );
        assert_eq!(date(0x17, b"500101000000Z"), Some(-631_152_000));
    }

    #[test]
    fn fingerprints_in_every_spelling() {
        let sha1 = "AA:bb cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd";
        let list = format!("{sha1}; {},", "0".repeat(64));
        let found = fingerprints(&list).expect("good");
        assert_eq!((found[0].len(), found[1].len(), found.len()), (20, 32, 2));
        assert_eq!(found[0][0], 0xaa);
        for bad in ["xyz", "aabb", &"0".repeat(63)] {
            let e = fingerprints(bad).expect_err(bad).to_string();
            assert!(e.contains("accept-specified-ssl-hash"), "{e}");
        }
    }

    #[test]
    fn refusals_name_both_sides_and_the_option() {
        let reason = CertificateError::UnknownIssuer;
        let der = shell((0x17, "240131123456Z"), (0x17, "300131123456Z"), true);
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

    #[test]
    fn old_versions_alone_are_refused() {
        assert!(check_versions(Some("SSL3,TLS11")).is_err());
        assert!(check_versions(Some("TLS11,tls12")).is_ok());
        assert!(check_versions(None).is_ok());
    }
}
