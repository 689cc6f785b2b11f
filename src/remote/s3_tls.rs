//! S3 over TLS through `Remote`: which certificates are accepted and what is said about the others (row 31).

#[path = "../../tests/support/forward.rs"]
mod forward;

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme, StreamOwned};

use super::faults::faulty_s3::Server;
use super::*;
use crate::base::bytes::hex;
use crate::base::error::Kind;
use crate::base::ui::Volume;
use forward::{Forward, Rules};

const KEY: &[u8] = include_bytes!("../../tests/data/tls/key.pem");
const GOOD: &[u8] = include_bytes!("../../tests/data/tls/good.pem");
const OTHER: &[u8] = include_bytes!("../../tests/data/tls/other.pem");
const EXPIRED: &[u8] = include_bytes!("../../tests/data/tls/expired.pem");
/// As `openssl req -x509` makes it: CA:TRUE and no names.
const SELF_SIGNED: &[u8] = include_bytes!("../../tests/data/tls/selfsigned.pem");
/// The same with a name, `localhost`.
const CA_LEAF: &[u8] = include_bytes!("../../tests/data/tls/ca-leaf.pem");
/// Of X.509 version 1, as a plain `openssl x509 -req` makes it.
const V1: &[u8] = include_bytes!("../../tests/data/tls/v1.pem");
/// With a critical extension that nobody knows.
const CRITICAL: &[u8] = include_bytes!("../../tests/data/tls/critical.pem");
/// Keys that cannot be used, and how they are called.
const USELESS: [(&[u8], &str); 5] = [
    (include_bytes!("../../tests/data/tls/p521.pem"), "P-521"),
    (
        include_bytes!("../../tests/data/tls/rsa1024.pem"),
        "RSA key of 1024 bits",
    ),
    (include_bytes!("../../tests/data/tls/ed448.pem"), "Ed448"),
    (include_bytes!("../../tests/data/tls/rsapss.pem"), "RSA-PSS"),
    (include_bytes!("../../tests/data/tls/k256.pem"), "secp256k1"),
];
const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");

fn der(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).expect("a certificate")
}

/// One whose certificate is good for `localhost`, and what a URL has to have for it.
pub(super) fn good() -> (Server, String) {
    let ca = crate::net::url::encode(CA_FILE);
    (server(GOOD), format!("ssl-ca-file={ca}"))
}

fn server(pem: &[u8]) -> Server {
    chain(&[pem])
}

/// Shows all these certificates, the first as its own.
fn chain(pems: &[&[u8]]) -> Server {
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
    showing(pems, key)
}

/// Shows whatever certificates with whatever key.
fn showing(pems: &[&[u8]], key: Arc<dyn SigningKey>) -> Server {
    let certificates = pems.iter().map(|pem| der(pem)).collect();
    let shown = Shown(Arc::new(CertifiedKey::new(certificates, key)));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    let config = Arc::new(config);
    Server::start_with(Arc::new(move |tcp| {
        let tls = ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(StreamOwned::new(tls, tcp)))
    }))
}

/// Shows a certificate without looking at it.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A key of a kind that this library cannot sign with: has one scheme, and signs nonsense.
#[derive(Debug)]
struct Pretended(SignatureScheme);

impl SigningKey for Pretended {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let wanted = offered.contains(&self.0);
        wanted.then(|| Box::new(Pretended(self.0)) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Pretended {
    fn sign(&self, _: &[u8]) -> std::result::Result<Vec<u8>, rustls::Error> {
        Ok(vec![7; 100])
    }

    fn scheme(&self) -> SignatureScheme {
        self.0
    }
}

/// Asks for a file that is there.
fn ask(server: &Server, host: &str, query: &str) -> Result<()> {
    let url = format!(
        "s3s://KEYID:s3cr3tvalue@bkt/p?s3-server-name={host}:{}&number-of-retries=0&http-proxy=none&{query}",
        server.address.port()
    );
    look(server, &url)
}

fn look(server: &Server, url: &str) -> Result<()> {
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    server.put("p/f", b"x");
    let mut remote = Remote::open(url, &Options::default(), &mut ui)?;
    for _ in 0..3 {
        assert!(remote.stat(&mut ui, "f")?.is_some());
    }
    let connections = server.state.lock().expect("state").connections;
    assert_eq!(connections, 1, "one connection for all requests");
    Ok(())
}

fn refused(server: &Server, host: &str, query: &str, parts: &[&str]) {
    let e = ask(server, host, query).expect_err("refused");
    assert_eq!(e.kind(), Kind::Tls, "{e}");
    for part in parts {
        assert!(e.to_string().contains(part), "{part}: {e}");
    }
}

fn pin(pem: &[u8], algo: Algo) -> String {
    let hash = hex(algo.hash(&der(pem)).as_bytes());
    format!("accept-specified-ssl-hash={hash}")
}

#[test]
fn a_certificate_of_an_own_authority() {
    let ca = format!("ssl-ca-file={}", crate::net::url::encode(CA_FILE));
    for host in ["localhost", "127.0.0.1"] {
        ask(&server(GOOD), host, &ca).expect("trusted");
    }
    let sha256 = hex(Algo::Sha256.hash(&der(GOOD)).as_bytes());
    let option = format!("--accept-specified-ssl-hash={sha256}");
    refused(&server(GOOD), "localhost", "", &["not trusted", &option]);
    refused(
        &server(OTHER),
        "localhost",
        &ca,
        &["example.org", "not for localhost"],
    );
    refused(&server(EXPIRED), "localhost", &ca, &["expired on"]);
}

/// What many a NAS shows signs itself and calls itself an authority. In the person's own file it is good as it is, for its name.
#[test]
fn a_certificate_that_is_its_own_authority() {
    let file = |name: &str| {
        let path = format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"));
        format!("ssl-ca-file={}", crate::net::url::encode(&path))
    };
    let own = file("ca-leaf.pem");
    ask(&server(CA_LEAF), "localhost", &own).expect("trusted");
    refused(&server(CA_LEAF), "127.0.0.1", &own, &["not for 127.0.0.1"]);
    let nameless = file("selfsigned.pem");
    refused(
        &server(SELF_SIGNED),
        "localhost",
        &nameless,
        &["not for localhost"],
    );
    refused(
        &server(EXPIRED),
        "localhost",
        &file("expired.pem"),
        &["expired"],
    );
    // Another one, although it signs itself, too.
    refused(&server(SELF_SIGNED), "localhost", &own, &["not trusted"]);
    refused(&server(CA_LEAF), "localhost", &nameless, &["not trusted"]);
}

#[test]
fn pinned_certificates() {
    for algo in [Algo::Sha1, Algo::Sha256] {
        ask(&server(SELF_SIGNED), "localhost", &pin(SELF_SIGNED, algo)).expect("pinned");
        ask(&server(OTHER), "localhost", &pin(OTHER, algo)).expect("pinned");
        refused(
            &server(SELF_SIGNED),
            "localhost",
            &pin(GOOD, algo),
            &["not trusted", "has changed", "stand in between"],
        );
        // What is wrong with it beside that is said, too.
        let changed = ["has changed", "not for localhost"];
        let ca = crate::net::url::encode(CA_FILE);
        let query = format!("{}&ssl-ca-file={ca}", pin(GOOD, algo));
        refused(&server(OTHER), "localhost", &query, &changed);
        let old = ["has changed", "expired"];
        refused(&server(EXPIRED), "localhost", &pin(GOOD, algo), &old);
        let expired = pin(EXPIRED, algo);
        refused(&server(EXPIRED), "localhost", &expired, &["expired"]);
    }
    refused(&server(SELF_SIGNED), "localhost", "", &["not trusted"]);
}

/// Anybody can show the certificate of an authority beside one of their own.
#[test]
fn a_pinned_authority_vouches_only_for_what_it_signed() {
    let ca = std::fs::read(CA_FILE).expect("a file");
    for algo in [Algo::Sha1, Algo::Sha256] {
        let pin = pin(&ca, algo);
        for leaf in [GOOD, OTHER] {
            ask(&chain(&[leaf, &ca]), "localhost", &pin).expect("signed by it");
        }
        for leaf in [SELF_SIGNED, EXPIRED] {
            let server = chain(&[leaf, &ca]);
            refused(&server, "localhost", &pin, &["certificate"]);
        }
    }
}

#[test]
fn any_certificate_when_told_so() {
    let any = "accept-any-ssl-certificate=true";
    for pem in [SELF_SIGNED, OTHER, EXPIRED] {
        ask(&server(pem), "localhost", any).expect("accepted");
    }
}

/// A fingerprint is enough whatever else is in a certificate, and so is the wish to take any.
#[test]
fn odd_certificates_that_a_person_vouches_for() {
    for pem in [V1, CRITICAL] {
        for algo in [Algo::Sha1, Algo::Sha256] {
            ask(&server(pem), "localhost", &pin(pem, algo)).expect("pinned");
        }
        let any = "accept-any-ssl-certificate=true";
        ask(&server(pem), "localhost", any).expect("accepted");
        let other = pin(GOOD, Algo::Sha256);
        let sha256 = hex(Algo::Sha256.hash(&der(pem)).as_bytes());
        let hint = format!("--accept-specified-ssl-hash={sha256}");
        refused(&server(pem), "localhost", &other, &["not trusted", &hint]);
    }
    refused(&server(V1), "localhost", "", &["version 1"]);
    refused(&server(CRITICAL), "localhost", "", &["critical extension"]);
}

/// Nobody without the key gets in by showing a certificate that is pinned.
#[test]
fn a_pinned_certificate_needs_its_key() {
    for pem in [V1, CRITICAL, GOOD] {
        let schemes = [
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
        ];
        for scheme in schemes {
            let server = showing(&[pem], Arc::new(Pretended(scheme)));
            for query in [&pin(pem, Algo::Sha256), "accept-any-ssl-certificate=true"] {
                let e = ask(&server, "localhost", query).expect_err("refused");
                assert_eq!(e.kind(), Kind::Tls, "{e}");
                assert!(server.seen("HEAD").is_empty());
            }
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    // Schemes that only such keys have are not offered at first; RSA keys have others.
    let scheme = [0x0603, 0x0804, 0x0808, 0x0809, 0x0603].map(SignatureScheme::from);
    for ((pem, name), scheme) in USELESS.into_iter().zip(scheme) {
        for query in [
            "",
            &pin(pem, Algo::Sha256),
            "accept-any-ssl-certificate=true",
        ] {
            let server = showing(&[pem], Arc::new(Pretended(scheme)));
            refused(
                &server,
                "localhost",
                query,
                &[name, "not supported", "P-256"],
            );
        }
    }
    // A server that shares nothing at all, also after a second look.
    let server = showing(&[GOOD], Arc::new(Pretended(SignatureScheme::from(0x7777))));
    refused(&server, "localhost", "", &["shares no cipher"]);
    assert_eq!(server.state.lock().expect("state").connections, 2);
}

#[test]
fn plain_and_tls_mixed_up() {
    use std::io::{Read as _, Write as _};
    refused(&Server::start(), "127.0.0.1", "", &["does not speak TLS"]);
    // What other programs do when they are greeted in TLS.
    let answers: [(&[u8], bool); 5] = [
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", true),
        (b"<html>bad request</html>", true),
        (b"SSH-2.0-OpenSSH_9.2\r\n", true),
        (b"", true),
        (b"", false),
    ];
    for (answer, close) in answers {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
                if !close {
                    kept.push(stream);
                }
            }
        });
        let mut ui = Ui::new(Volume::Quiet, false, Some(false));
        let url = format!(
            "s3s://KEYID:s3cr3tvalue@bkt/p?s3-server-name={address}&http-proxy=none&number-of-retries=0&short-timeout=1s"
        );
        let mut remote = Remote::open(&url, &Options::default(), &mut ui).expect("opens");
        let text = remote.stat(&mut ui, "f").err().expect("plain").to_string();
        assert!(text.contains("speak TLS on this port"), "{text}");
        assert!(text.contains("use-ssl=false"), "{text}");
    }
}

#[test]
fn row_50_tls_goes_through_a_tunnel() {
    let server = server(SELF_SIGNED);
    let through = |proxy: &str| {
        let url = format!(
            "s3s://KEYID:s3cr3tvalue@bkt/p?s3-server-name=s3.invalid&number-of-retries=0&http-proxy={proxy}&{}",
            pin(SELF_SIGNED, Algo::Sha256)
        );
        look(&server, &url)
    };
    let proxy = Forward::start(Rules {
        login: Some("Basic dTpw".to_owned()),
        to: Some(server.address),
        ..Rules::default()
    });
    through(&format!("http://u:p@{}", proxy.address)).expect("through");
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].method, "CONNECT");
    assert_eq!(asked[0].target, "s3.invalid:443");
    for sent in server.seen("") {
        assert_eq!(
            sent.header("proxy-authorization"),
            None,
            "not for the server"
        );
        assert!(sent.target.starts_with("/bkt/"), "{}", sent.target);
    }
    let e = through(&proxy.url()).expect_err("no login");
    assert_eq!(e.kind(), Kind::Credentials, "{e}");
    for (status, kind, part) in [
        (
            403,
            Kind::Credentials,
            "does not allow s3.invalid:443, it says 403",
        ),
        (502, Kind::Busy, "cannot reach s3.invalid:443, it says 502"),
        (301, Kind::Credentials, "it says 301"),
    ] {
        let proxy = Forward::start(Rules {
            connect: Some(status),
            ..Rules::default()
        });
        let e = through(&proxy.url()).expect_err("refused");
        let text = e.to_string();
        assert_eq!(e.kind(), kind, "{text}");
        assert!(
            text.contains(&format!("the proxy {}", proxy.address)),
            "{text}"
        );
        assert!(text.contains(part), "{text}");
    }
    for nonsense in [&b"SSH-2.0-x\r\n\r\n"[..], b"\x16\x03\x01", b""] {
        let proxy = Forward::start(Rules {
            nonsense: Some(nonsense),
            ..Rules::default()
        });
        let text = through(&proxy.url()).expect_err("nonsense").to_string();
        assert!(text.contains(&proxy.address.to_string()), "{text}");
    }
}

/// A proxy that is spoken to over TLS, for plain requests and for tunnels.
#[test]
fn row_50_proxies_over_tls() {
    let proxy = server(SELF_SIGNED);
    let at = format!("https://localhost:{}", proxy.address.port());
    let url = |pin: &str| {
        format!(
            "s3://KEYID:s3cr3tvalue@bkt/p?s3-server-name=s3.invalid&number-of-retries=0&http-proxy={at}&{pin}"
        )
    };
    look(&proxy, &url(&pin(SELF_SIGNED, Algo::Sha256))).expect("asked");
    assert!(
        proxy.seen("HEAD")[0]
            .target
            .starts_with("http://s3.invalid/")
    );
    let e = look(&proxy, &url("")).expect_err("not trusted");
    assert_eq!(e.kind(), Kind::Tls);
    assert!(e.to_string().contains("the proxy localhost"), "{e}");
}

#[test]
fn a_bad_file_of_authorities_is_named() {
    for (file, part) in [("/nonexistent.pem", "no such file"), (file!(), "no usable")] {
        let path = if file.starts_with("/non") {
            file.to_owned()
        } else {
            format!("{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"))
        };
        let query = format!("ssl-ca-file={}", crate::net::url::encode(&path));
        let e = ask(&Server::start(), "127.0.0.1", &query).expect_err("bad file");
        assert!(e.to_string().contains(part), "{e}");
    }
}
