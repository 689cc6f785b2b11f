//! The program in an empty root and a network of its own, against an S3 server behind TLS that only a name leads to.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::faulty_s3::Server;
use super::support::snapshot::{But, same, take};
use super::support::{Scratch, text, tree};
use super::{Subject, dns, paths};

/// The name in the certificate.
const HOST: &str = "example.org";
const KEY: &[u8] = include_bytes!("../data/tls/key.pem");
const CERTIFICATE: &[u8] = include_bytes!("../data/tls/other.pem");
const AUTHORITY: &[u8] = include_bytes!("../data/tls/ca.pem");

/// Runs this program again in a network namespace that has a loopback device and nothing else.
pub fn outside(mode: &str) {
    let flush = if mode == "--net6" {
        "ip -4 address flush dev lo &&"
    } else {
        "ip -6 address flush dev lo &&"
    };
    let script = format!("ip link set lo up && {flush} exec \"$0\" {mode}");
    let mut command = Command::new("unshare");
    if !super::support::is_root() {
        command.arg("--map-root-user");
    }
    let me = std::env::current_exe().unwrap();
    let status = command
        .args(["--net", "sh", "-c", &script])
        .arg(me)
        .status()
        .expect("this test needs unshare and ip: apt-get install util-linux iproute2");
    assert!(status.success(), "the network part failed: {status}");
}

/// In the namespace: serves, and runs the program in its empty root.
pub fn inside(subject: &Subject, six: bool) {
    let address = if six {
        IpAddr::V6(Ipv6Addr::LOCALHOST)
    } else {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    };
    let shown = if six { "[::1]" } else { "127.0.0.1" };
    dns::serve(&format!("{shown}:53"), HOST, address);
    let server = serve(&format!("{shown}:0"));

    let scratch = Scratch::new("portable-net");
    let root = scratch.folder("root");
    for folder in ["etc", "data", "tmp"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    fs::copy(&subject.program, root.join("duplet")).unwrap();
    if let Some(runner) = &subject.runner {
        fs::copy(runner, root.join("runner")).unwrap();
    }
    fs::write(
        root.join("etc/resolv.conf"),
        format!("nameserver {address}\n"),
    )
    .unwrap();
    fs::write(root.join("data/ca.pem"), AUTHORITY).unwrap();
    let source = root.join("data/source");
    tree::make(&source, 5, 1 << 10);
    let before = paths(&root, &["data", "tmp"]);

    let url = format!(
        "s3s://KEYID:s3cr3tvalue@bkt/p?s3-server-name={HOST}:{}&ssl-ca-file=/data/ca.pem&http-proxy=none",
        server.address.port()
    );
    let run = |args: &[&str], code: i32| {
        let mut words = vec!["chroot", text(&root)];
        if subject.runner.is_some() {
            words.push("/runner");
        }
        words.push("/duplet");
        let mut args = args.to_vec();
        args.push("--passphrase=correct horse");
        let mut command = scratch.other(&words, &args);
        command.env_clear().env("TMPDIR", "/tmp");
        command.env("DUPLET_CACHE", "/tmp/cache");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        super::support::finish(command, &args).code(&[code]);
    };
    run(&["system-info", "--self-test"], 0);
    let small = ["--blocksize=1kb", "--dblock-size=1mb"];
    run(&["backup", &url, "/data/source", small[0], small[1]], 0);
    run(&["backup", &url, "/data/source", small[0], small[1]], 1);
    let restore = [
        "restore",
        &url,
        "--restore-path=/data/to",
        "--restore-permissions",
    ];
    run(&restore, 0);
    same(
        &take(&source),
        &take(&root.join("data/to")),
        But::default(),
        "the tree",
    );
    assert_eq!(
        before,
        paths(&root, &["data", "tmp"]),
        "something was written elsewhere"
    );
    assert_eq!(paths(&root.join("tmp"), &["cache"]), [Path::new("cache")]);
    assert!(server.seen("PUT").len() >= 3, "nothing was uploaded");
}

fn serve(place: &str) -> Server {
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
                PrivateKeyDer::from_pem_slice(KEY).unwrap(),
            )
            .unwrap();
    let config = Arc::new(config);
    Server::start_at(
        place,
        Arc::new(move |tcp| {
            let tls = ServerConnection::new(config.clone()).ok()?;
            Some(Box::new(StreamOwned::new(tls, tcp)))
        }),
    )
}
