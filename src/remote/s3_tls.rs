//! S3 over TLS through `Remote`: which certificates are accepted and what is said about the others (row 31).

#[path = "../../tests/support/faulty.rs"]
mod faulty;
#[path = "../../tests/support/faulty_s3.rs"]
mod faulty_s3;

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::base::bytes::hex;
use crate::base::error::Kind;
use crate::base::ui::Volume;
use faulty_s3::Server;

const KEY: &[u8] = include_bytes!("../../tests/data/tls/key.pem");
const GOOD: &[u8] = include_bytes!("../../tests/data/tls/good.pem");
const OTHER: &[u8] = include_bytes!("../../tests/data/tls/other.pem");
const EXPIRED: &[u8] = include_bytes!("../../tests/data/tls/expired.pem");
/// As `openssl req -x509` makes it: CA:TRUE and no names.
const SELF_SIGNED: &[u8] = include_bytes!("../../tests/data/tls/selfsigned.pem");
const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");

fn der(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).expect("a certificate")
}

fn server(pem: &[u8]) -> Server {
    chain(&[pem])
}

/// Shows all these certificates, the first as its own.
fn chain(pems: &[&[u8]]) -> Server {
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(pems.iter().map(|pem| der(pem)).collect(), key)
        .expect("certificate and key");
    let config = Arc::new(config);
    Server::start_with(Arc::new(move |tcp| {
        let tls = ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(StreamOwned::new(tls, tcp)))
    }))
}

/// Asks for a file that is there.
fn ask(server: &Server, host: &str, query: &str) -> Result<()> {
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    let url = format!(
        "s3s://KEYID:s3cr3tvalue@bkt/p?s3-server-name={host}:{}&http-proxy=none&number-of-retries=0&{query}",
        server.address.port()
    );
    server.put("p/f", b"x");
    let mut remote = Remote::open(&url, &Options::default(), &mut ui)?;
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

#[test]
fn pinned_certificates() {
    for algo in [Algo::Sha1, Algo::Sha256] {
        ask(&server(SELF_SIGNED), "localhost", &pin(SELF_SIGNED, algo)).expect("pinned");
        ask(&server(OTHER), "localhost", &pin(OTHER, algo)).expect("pinned");
        refused(
            &server(SELF_SIGNED),
            "localhost",
            &pin(GOOD, algo),
            &["not trusted"],
        );
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

#[test]
fn plain_and_tls_mixed_up() {
    refused(&Server::start(), "127.0.0.1", "", &["does not speak TLS"]);
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
