//! Which certificates are good: built-in roots and an own file of roots, pinned fingerprints, and refusals that say what to do.
//!
//! A fingerprint is one more way in, not a restriction; one of an authority lets in what that authority signed. Revocation is
//! not checked.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SigningKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, PeerMisbehaved,
    RootCertStore, SignatureScheme, SupportedProtocolVersion,
};

use crate::base::bytes::hex_decode;
use crate::base::digest::{Algo, Hash};
use crate::base::error::{Error, Kind, Result};
use crate::base::opt::Options;
use crate::base::text;
use crate::net::opts;
use crate::net::tls::certificate::Certificate;
use crate::net::tls::refusal::Refused;

/// Longest file of roots.
const ROOTS_MAX_BYTES: u64 = 16 << 20;
/// Signatures that cannot be checked, offered only to see the certificate of a server that refuses all others: P-521, Ed448,
/// RSA-PSS with keys for that only, Brainpool, PKCS #1 with SHA-1.
const UNCHECKED: [u16; 9] = [
    0x0603, 0x0808, 0x0809, 0x080a, 0x080b, 0x081a, 0x081b, 0x081c, 0x0201,
];

/// The TLS of a client.
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
}

impl Tls {
    /// From now on every kind of signature is offered, so that a server shows a certificate whose key cannot be used. Such a
    /// handshake never succeeds: the key is refused by name.
    pub(crate) fn offer_more(&self, on: bool) {
        self.verifier.more.store(on, Ordering::Relaxed);
    }

    /// The same for these versions of TLS only. Knows nothing of the sessions of the other.
    #[cfg(feature = "dest-ftp")]
    pub(crate) fn speaking(&self, versions: &[&'static SupportedProtocolVersion]) -> Result<Tls> {
        Tls::of(self.verifier.clone(), versions)
    }

    fn of(verifier: Arc<Verifier>, versions: &[&'static SupportedProtocolVersion]) -> Result<Tls> {
        let config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(versions)
            .map_err(|_| Error::bug("no TLS versions"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        Ok(Tls {
            config: Arc::new(config),
            verifier,
        })
    }
}

/// The TLS set-up that the options ask for.
pub(crate) fn config(options: &Options) -> Result<Tls> {
    check_versions(options.text(&opts::SSL_VERSIONS))?;
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
    let mut own = Vec::new();
    if let Some(file) = file {
        own = add_roots(&mut roots, &file)?;
    }
    let verifier = Verifier {
        more: AtomicBool::new(false),
        roots,
        own,
        algorithms: provider().signature_verification_algorithms,
        any: options.flag(&opts::SSL_ANY),
        hashes: fingerprints(options.text(&opts::SSL_HASH).unwrap_or(""))?,
    };
    Tls::of(Arc::new(verifier), rustls::DEFAULT_VERSIONS)
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        key_provider: &NoKeys,
        ..rustls::crypto::ring::default_provider()
    }
}

/// Checks that a chain leads to one of `roots`, is in time and is for `name`, in this order; as `WebPkiServerVerifier` does
/// without revocation lists, whose reader would add to the program.
fn check_chain(
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    roots: &RootCertStore,
    algorithms: &WebPkiSupportedAlgorithms,
    (name, now): (&ServerName<'_>, UnixTime),
) -> std::result::Result<(), TlsError> {
    let leaf = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, roots, chain, now, algorithms.all)?;
    verify_server_name(&leaf, name)
}

/// The key provider of a client that has no keys: the code that signs stays out of the program.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _: PrivateKeyDer<'static>,
    ) -> std::result::Result<Arc<dyn SigningKey>, TlsError> {
        Err(TlsError::General(
            "client certificates are not used".to_owned(),
        ))
    }
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

/// Adds the certificates of a file; their SHA-256 is the result.
fn add_roots(roots: &mut RootCertStore, file: &str) -> Result<Vec<Hash>> {
    let doing = || format!("read the certificates in {}", text::safe(file.as_bytes()));
    let mut pem = Vec::new();
    std::fs::File::open(file)
        .and_then(|f| f.take(ROOTS_MAX_BYTES).read_to_end(&mut pem))
        .map_err(|e| Error::io(&e).doing(doing()))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        let Ok(ureq::tls::PemItem::Certificate(cert)) = item else {
            continue;
        };
        let der = CertificateDer::from(cert.der().to_vec());
        let hash = Algo::Sha256.hash(&der);
        if roots.add(der).is_ok() {
            found.push(hash);
        }
    }
    if found.is_empty() {
        return Err(Error::new(Kind::Usage, "it holds no usable PEM certificate").doing(doing()));
    }
    Ok(found)
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
    roots: RootCertStore,
    /// Those of the person's own file.
    own: Vec<Hash>,
    algorithms: WebPkiSupportedAlgorithms,
    more: AtomicBool,
    any: bool,
    hashes: Vec<Vec<u8>>,
}

impl Verifier {
    fn listed(&self, der: &[u8]) -> bool {
        [Algo::Sha1, Algo::Sha256]
            .iter()
            .any(|a| self.hashes.iter().any(|h| h == a.hash(der).as_bytes()))
    }

    /// True for exactly a certificate of the person's own file.
    fn is_own(&self, leaf: &[u8]) -> bool {
        let hash = Algo::Sha256.hash(leaf);
        self.own.contains(&hash)
    }

    /// Checks what the server signed in the handshake with the key of its certificate, of which nothing else is looked at: a
    /// certificate may be good by its fingerprint alone.
    fn check_signature(
        &self,
        message: &[u8],
        cert: &[u8],
        dss: &DigitallySignedStruct,
        tls13: bool,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        let refused = |reason| Err(TlsError::InvalidCertificate(reason));
        let Some(Ok(key)) = Certificate::read(cert).as_ref().map(Certificate::key) else {
            return refused(CertificateError::BadEncoding);
        };
        let unasked = PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme;
        // TLS 1.3 has no PKCS #1 signatures of handshakes (RFC 8446, 4.2.3).
        let pkcs1 = matches!(
            dss.scheme,
            SignatureScheme::RSA_PKCS1_SHA256
                | SignatureScheme::RSA_PKCS1_SHA384
                | SignatureScheme::RSA_PKCS1_SHA512
        );
        let mapping = self.algorithms.mapping;
        let found = mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
        let Some((_, algorithms)) = found.filter(|_| !(tls13 && pkcs1)) else {
            return Err(unasked.into());
        };
        // From TLS 1.3 on a scheme names the curve, too: the first.
        let count = if tls13 { 1 } else { algorithms.len() };
        let fitting = algorithms
            .iter()
            .take(count)
            .find(|a| a.public_key_alg_id() == key.kind);
        match fitting.map(|a| a.verify_signature(key.bytes, message, dss.signature())) {
            Some(Ok(())) => Ok(HandshakeSignatureValid::assertion()),
            _ => refused(CertificateError::BadSignature),
        }
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
        // The name is looked at last.
        matches!(
            check_chain(leaf, chain, &roots, &self.algorithms, (name, now)),
            Ok(())
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
        _ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        let read = Certificate::read(leaf);
        if let Some(Err(what)) = read.as_ref().map(Certificate::key) {
            return Err(Refused::key(&what, leaf).into_error());
        }
        if self.any {
            return Ok(ServerCertVerified::assertion());
        }
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let in_time =
            |dates: Option<(i64, i64)>| dates.map(|(from, to)| (from..=to).contains(&seconds));
        // A certificate that is vouched for may have dates that cannot be read, but not be out of date.
        let own = in_time(read.as_ref().and_then(Certificate::validity)).unwrap_or(true);
        let by_authority = |c: &CertificateDer<'_>| {
            let dates = Certificate::read(c).and_then(|c| c.validity());
            self.listed(c) && in_time(dates) == Some(true) && self.signed(c, leaf, chain, name, now)
        };
        if own && (self.listed(leaf) || chain.iter().any(by_authority)) {
            return Ok(ServerCertVerified::assertion());
        }
        if !own && self.listed(leaf) {
            let late = read.and_then(|c| c.validity());
            let reason = match late.is_some_and(|(from, _)| seconds < from) {
                true => CertificateError::NotValidYet,
                false => CertificateError::Expired,
            };
            return Err(Refused::new(&reason, leaf, &name.to_str(), seconds).into_error());
        }
        let checked = match self.is_own(leaf) {
            // It signs itself, as many servers' do, and may call itself an authority, which no chain may end in.
            true if own => {
                ParsedCertificate::try_from(leaf).and_then(|leaf| verify_server_name(&leaf, name))
            }
            _ => check_chain(leaf, chain, &self.roots, &self.algorithms, (name, now)),
        };
        match checked {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(TlsError::InvalidCertificate(reason)) => {
                let refused = Refused::new(&reason, leaf, &name.to_str(), seconds);
                Err(match self.hashes.is_empty() {
                    true => refused,
                    false => refused.unlike_pins(leaf),
                }
                .into_error())
            }
            Err(other) => Err(other),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.check_signature(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        self.check_signature(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        if self.more.load(Ordering::Relaxed) {
            schemes.extend(UNCHECKED.map(SignatureScheme::from));
        }
        schemes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn old_versions_alone_are_refused() {
        assert!(check_versions(Some("SSL3,TLS11")).is_err());
        assert!(check_versions(Some("TLS11,tls12")).is_ok());
        assert!(check_versions(None).is_ok());
    }
}
