use super::*;

fn way(option: Option<&str>, env: &[(&str, &str)], tls: bool, host: &str, port: u16) -> String {
    let look = |name: &str| {
        let found = env.iter().find(|(n, _)| *n == name);
        found.map(|(_, v)| (*v).to_owned())
    };
    let proxies = match Proxies::from(option, &look) {
        Ok(proxies) => proxies,
        Err(e) => return format!("error: {e}"),
    };
    match proxies.of(tls, host, port) {
        Ok(Some(p)) => {
            let login = p.login.as_ref().map_or("", |l| l.reveal());
            let scheme = if p.tls { "https" } else { "http" };
            format!("{scheme}://{}:{} {login}", p.host, p.port)
                .trim_end()
                .to_owned()
        }
        Ok(None) => "direct".to_owned(),
        Err(why) => format!("refused: {why}"),
    }
}

#[test]
fn each_scheme_has_its_variable() {
    let (http, https, all) = (
        ("http_proxy", "a:1"),
        ("https_proxy", "b:2"),
        ("all_proxy", "c:3"),
    );
    let upper = [
        ("HTTP_PROXY", "d:4"),
        ("HTTPS_PROXY", "e:5"),
        ("ALL_PROXY", "f:6"),
    ];
    for (env, plain, tls) in [
        (&[][..], "direct", "direct"),
        (&[http], "http://a:1", "direct"),
        (&[https], "direct", "http://b:2"),
        (&[http, https], "http://a:1", "http://b:2"),
        (&[all], "http://c:3", "http://c:3"),
        (&[all, https], "http://c:3", "http://b:2"),
        (&upper, "http://d:4", "http://e:5"),
        (&upper[2..], "http://f:6", "http://f:6"),
        (&[http, upper[0]], "http://a:1", "direct"),
        (&[upper[1], https], "direct", "http://b:2"),
        (
            &[("http_proxy", ""), ("HTTP_PROXY", "d:4")],
            "http://d:4",
            "direct",
        ),
        (&[("https_proxy", " "), all], "http://c:3", "http://c:3"),
        (&[upper[0], ("REQUEST_METHOD", "GET")], "direct", "direct"),
        (&[http, ("REQUEST_METHOD", "GET")], "http://a:1", "direct"),
    ] {
        assert_eq!(way(None, env, false, "h", 80), plain, "{env:?}");
        assert_eq!(way(None, env, true, "h", 443), tls, "{env:?}");
    }
    let env = [http, https];
    for tls in [false, true] {
        assert_eq!(way(Some("o:9"), &env, tls, "h", 1), "http://o:9");
        assert_eq!(way(Some(" None "), &env, tls, "h", 1), "direct");
    }
}

#[test]
fn urls_of_proxies() {
    for (url, want) in [
        ("http://p:8080", "http://p:8080"),
        ("http://p:8080/", "http://p:8080"),
        ("HTTP://P.Example", "http://p.example:1080"),
        ("https://p", "https://p:443"),
        ("p", "http://p:1080"),
        ("p:", "http://p:1080"),
        ("10.0.0.1:3128/x?y#z", "http://10.0.0.1:3128"),
        ("[::1]:3128", "http://[::1]:3128"),
        ("http://u:p@p:1", "http://p:1 Basic dTpw"),
        ("http://u@p:1", "http://p:1 Basic dTo="),
        ("u%40d:p%3A%2f@p:1", "http://p:1 Basic dUBkOnA6Lw=="),
        ("http://u:a@b@p:1", "http://p:1 Basic dTphQGI="),
        (" http://p:1 ", "http://p:1"),
    ] {
        assert_eq!(way(None, &[("http_proxy", url)], false, "h", 80), want);
        assert_eq!(way(Some(url), &[], false, "h", 80), want);
    }
    for url in [
        "socks5://p:1",
        "socks5h://u:s3cret@p",
        "ftp://p",
        "http://",
        "http://:8080",
        "http://p:0",
        "http://p:99999",
        "http://p:x",
        "http://[::1",
        "http://[x]:1",
        "http://p q:1",
        "http://u:s3cret@",
        "//p:1",
    ] {
        let got = way(None, &[("http_proxy", url)], false, "h", 80);
        assert!(
            got.starts_with("refused: http_proxy is not")
                && got.ends_with("--http-proxy=none connects directly"),
            "{url}: {got}"
        );
        assert!(!got.contains("s3cret"), "{got}");
        let got = way(Some(url), &[], false, "h", 80);
        assert!(
            got.starts_with("error: --http-proxy is not"),
            "{url}: {got}"
        );
        let got = way(None, &[("http_proxy", url)], true, "h", 443);
        assert_eq!(got, "direct", "of no concern: {url}");
    }
    assert!(way(Some(""), &[], false, "h", 80).starts_with("error"));
}

#[test]
fn hosts_that_are_asked_directly() {
    for (list, host, port, direct) in [
        ("*", "h", 80, true),
        ("a, *", "h", 80, true),
        ("h", "h", 80, true),
        ("H.", "h", 80, true),
        ("h", "H.", 80, true),
        ("h", "x.h", 80, true),
        ("h", "xh", 80, false),
        (".h", "h", 80, true),
        (".h", "x.h", 80, true),
        (".h", "xh", 80, false),
        ("*.h", "y.x.h", 80, true),
        ("*.h", "xh", 80, false),
        ("a b\tc", "b", 80, true),
        (" a ,, b , ", "b", 80, true),
        ("a,b", "c", 80, false),
        ("h:80", "h", 80, true),
        ("h:80", "h", 81, false),
        (".h:8080", "x.h", 8080, true),
        ("127.0.0.1", "127.0.0.1", 80, true),
        ("127.0.0.1:81", "127.0.0.1", 80, false),
        ("127.0.0.1", "127.0.0.11", 80, false),
        ("0.1", "127.0.0.1", 80, false),
        ("10.0.0.0/8", "10.1.2.3", 80, true),
        ("10.0.0.0/8", "11.1.2.3", 80, false),
        ("192.168.1.77/24", "192.168.1.1", 80, true),
        ("192.168.1.0/25", "192.168.1.128", 80, false),
        ("0.0.0.0/0", "9.9.9.9", 80, true),
        ("0.0.0.0/0", "::1", 80, false),
        ("10.0.0.0/8", "ten.example", 80, false),
        ("::1", "[::1]", 80, true),
        ("[::1]", "[::1]", 80, true),
        ("[::1]:81", "[::1]", 80, false),
        ("[::1]:80", "[::1]", 80, true),
        ("fe80::/10", "[fe80::9]", 80, true),
        ("fe80::/10", "[fec0::9]", 80, false),
        ("::/0", "[fe80::1]", 80, true),
        ("::ffff:10.0.0.0/104", "10.9.9.9", 80, true),
        ("10.*", "10.1.2.3", 80, true),
        ("10.*", "100.1.2.3", 80, false),
        ("192.168.*", "192.168.7.7", 80, true),
        ("<local>", "nas", 80, true),
        ("<local>", "nas.lan", 80, false),
        ("localhost", "127.0.0.1", 80, false),
        ("", "h", 80, false),
    ] {
        for name in ["no_proxy", "NO_PROXY"] {
            let env = [("http_proxy", "p:1"), (name, list)];
            let want = if direct { "direct" } else { "http://p:1" };
            assert_eq!(way(None, &env, false, host, port), want, "{list} {host}");
        }
        let want = if direct { "direct" } else { "http://p:1" };
        let got = way(Some("p:1"), &[("no_proxy", list)], true, host, port);
        assert_eq!(got, want, "also with the option: {list} {host}");
    }
    for list in [
        "10.0.0.0/33",
        "::1/129",
        "h/24",
        "10.0.0.0/x",
        "h:0",
        "h:99999",
        "h:x",
        "http://h",
        "a*b",
        "1*",
        "h;i",
        "a,ü",
        "*.*",
    ] {
        let env = [("http_proxy", "p:1"), ("no_proxy", list)];
        let got = way(None, &env, false, "h", 80);
        assert!(got.starts_with("refused: no_proxy has"), "{list}: {got}");
        assert_eq!(way(None, &env[1..], false, "h", 80), "direct", "no proxy");
    }
}
