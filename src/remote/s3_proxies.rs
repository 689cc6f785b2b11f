//! S3 through `Remote` and a proxy (row 50): the form of the requests, and failures that name the proxy.

#[path = "../../tests/support/forward.rs"]
mod forward;

use super::faults::faulty_s3::Server;
use super::subject::NAME;
use super::*;
use crate::base::error::Kind;
use crate::base::ui::Volume;
use forward::{Forward, Rules};

const KEY: &str = "p/duplicati-b1.dblock.zip";

/// Looks three times for a file at `http://s3.invalid` through a proxy.
fn proxied(proxy: &str) -> Result<bool> {
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    let url = format!(
        "s3://KEYID:s3cr3tvalue@bkt/p?s3-server-name=s3.invalid&number-of-retries=0&http-proxy={proxy}"
    );
    let mut remote = Remote::open(&url, &Options::default(), &mut ui)?;
    let mut there = true;
    for _ in 0..3 {
        there &= remote.stat(&mut ui, NAME)?.is_some();
    }
    Ok(there)
}

#[test]
fn row_50_plain_requests_go_to_a_proxy_in_absolute_form() {
    let server = Server::start();
    server.put(KEY, b"x");
    let url = format!("http://u:proxypass@{}", server.address);
    assert!(proxied(&url).expect("asked"));
    let seen = server.seen("HEAD");
    assert_eq!((seen.len(), server.seen("CONNECT").len()), (3, 0));
    for one in seen {
        assert_eq!(one.target, format!("http://s3.invalid/bkt/{KEY}"));
        assert_eq!(one.header("host"), Some("s3.invalid"));
        let login = one.header("proxy-authorization");
        assert_eq!(login, Some("Basic dTpwcm94eXBhc3M="));
    }
    let connections = server.state.lock().expect("state").connections;
    assert_eq!(connections, 1, "one connection for all requests");
}

#[test]
fn row_50_failures_of_a_proxy_name_it() {
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        listener.local_addr().expect("address")
    };
    let e = proxied(&format!("http://u:proxypass@{dead}")).expect_err("dead");
    let text = e.to_string();
    assert!(
        text.contains(&format!("the proxy {dead}: connection refused")),
        "{text}"
    );
    assert!(
        text.contains("--http-proxy=none") && !text.contains("proxypass"),
        "{text}"
    );
    let e = proxied("http://no-such-proxy.invalid:1").expect_err("no host");
    assert!(
        e.to_string().contains("the proxy 'no-such-proxy.invalid'"),
        "{e}"
    );
    for (status, more, kind, part) in [
        (407, "", Kind::Credentials, "wants a login"),
        (502, "", Kind::Busy, "cannot reach s3.invalid, it says 502"),
        (504, "", Kind::Busy, "cannot reach s3.invalid"),
        (
            503,
            "X-Squid-Error: ERR_CONNECT_FAIL 111\r\n",
            Kind::Busy,
            "cannot reach",
        ),
        (
            403,
            "Server: tinyproxy/1.11\r\n",
            Kind::Credentials,
            "does not allow",
        ),
    ] {
        let proxy = Forward::start(Rules {
            absolute: Some((status, more.to_owned())),
            ..Rules::default()
        });
        let e = proxied(&proxy.url()).expect_err("refused");
        let text = e.to_string();
        assert_eq!(e.kind(), kind, "{text}");
        let named = format!("the proxy {}", proxy.address);
        assert!(text.contains(&named) && text.contains(part), "{text}");
    }
    let url = |at: &Forward| format!("http://u:proxypass@{}", at.address);
    let proxy = Forward::start(Rules {
        login: Some("Basic other".to_owned()),
        ..Rules::default()
    });
    let text = proxied(&url(&proxy)).expect_err("refused").to_string();
    assert!(
        text.contains("rejects the login") && !text.contains("proxypass"),
        "{text}"
    );
}
