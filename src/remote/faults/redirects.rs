//! Rows about redirects: where one may lead, and that a login stays where it belongs.

use super::*;

/// The target of a good download of [`NAME`], with a mark at its end that it did not have.
fn marked(b: &mut Bench, verb: Verb) -> (String, String) {
    let target = match verb {
        Verb::Put => {
            b.put(b"a first one").expect("stored");
            b.asked(Verb::Put)[0].target.clone()
        }
        _ => {
            b.get(NAME, None).expect("got");
            b.asked(Verb::Get)[0].target.clone()
        }
    };
    let mark = if target.contains('?') { '&' } else { '?' };
    (target.clone(), format!("{target}{mark}x=1"))
}

/// Requests with the mark.
fn arrived(b: &Bench) -> usize {
    let seen = b.line().seen();
    seen.iter().filter(|s| s.target.contains("x=1")).count()
}

pub(super) fn redirects_are_followed(start: Start) {
    if !start().follows().0 {
        return redirects_that_lead_nowhere(start);
    }
    let open = || {
        let b = Bench::open(start, "number-of-retries=0");
        b.stored(1000);
        b
    };
    let mut b = open();
    let (target, to) = marked(&mut b, Verb::Get);
    let (folder, _) = target.rsplit_once('/').expect("a path");
    let last = folder.rsplit('/').next().expect("a folder");
    for (scheme, form) in [
        ("http://", to.clone()),
        ("HTTP://", to.clone()),
        ("//", to.clone()),
        ("", to.clone()),
        ("", format!("{to}#there")),
        ("", format!("{NAME}?x=1")),
        ("", format!("./{NAME}?x=1")),
        ("", format!("../{last}/{NAME}?x=1")),
        ("", format!("/d/../.{to}")),
        ("", "?x=1".to_owned()),
    ] {
        let mut b = open();
        let at = b.line().address().to_string();
        let host = if scheme.is_empty() { "" } else { &at };
        b.script(Verb::Get, moved(&format!("{scheme}{host}{form}")));
        let got = b.get(NAME, None);
        assert_eq!(got.expect(&form), bytes(1000));
        assert_eq!(arrived(&b), 1, "{form}");
        let asked = b.asked(Verb::Get);
        assert_eq!(
            asked[0].header("authorization").is_some(),
            asked[1].header("authorization").is_some(),
            "the same server"
        );
    }
    // A header that comes twice: the first counts.
    let mut b = open();
    let both = vec![("location", to.clone()), ("location", to.clone())];
    b.script(Verb::Get, Trouble::Answer(307, both, String::new()));
    assert_eq!(b.get(NAME, None).expect("followed"), bytes(1000));

    let data = bytes(2 * MIB);
    let (_, to) = marked(&mut b, Verb::Put);
    b.script(Verb::Put, moved(&to));
    b.put(&data).expect("followed with its body");
    assert_eq!(b.file().expect("there"), data);

    let mut b = open();
    let (target, to) = marked(&mut b, Verb::Get);
    for _ in 0..20 {
        b.line().script("GET", "x=1", moved(&target));
        b.script(Verb::Get, moved(&to));
    }
    refused(b.get(NAME, None), "circle");
}

pub(super) fn redirects_that_lead_nowhere(start: Start) {
    for (to, part) in [
        ("", ""),
        ("#there", "names no address"),
        ("http:///d/b/x", "names no host"),
        ("//", "names no host"),
        ("http://user:pass@127.0.0.1/x", "carries a login"),
        ("http:x", "not understood"),
        ("ftp://127.0.0.1/x", "away from HTTP"),
        ("http://127.0.0.1:99999/x", "no number"),
    ] {
        for verb in [Verb::Get, Verb::List, Verb::Put] {
            let mut b = Bench::open(start, "number-of-retries=0");
            b.stored(10);
            b.script(verb, moved(to));
            let words = if b.wire.follows().0 { part } else { "" };
            let text = fails(b.act(verb), Kind::Unsupported, words);
            assert!(!text.contains("user:pass"), "{to}: {text}");
        }
    }
}

pub(super) fn logins_stay_where_they_are(start: Start) {
    let other = Bench::open(start, "");
    other.wire.store(NAME, b"elsewhere");
    let port = other.line().address().port();
    for place in [
        // Another port of the same host, another name of it.
        format!("http://127.0.0.1:{port}"),
        format!("HTTP://127.0.0.1:{port}"),
        format!("//127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://LOCALHOST:{port}"),
        format!("https://127.0.0.1:{port}"),
    ] {
        for verb in [Verb::Get, Verb::List, Verb::Put, Verb::Delete] {
            let mut b = Bench::open(start, "number-of-retries=0");
            b.stored(3);
            let (_, to) = marked(&mut b, Verb::Get);
            b.script(verb, moved(&format!("{place}{to}")));
            if verb == Verb::Get && b.wire.follows().1 {
                if place.starts_with("https") {
                    b.get(NAME, None).expect_err("it speaks no TLS");
                    continue;
                }
                assert_eq!(b.get(NAME, None).expect("followed"), b"elsewhere");
                continue;
            }
            let text = fails(b.act(verb), Kind::Unsupported, "another address");
            assert!(text.contains(&port.to_string()), "{verb:?}: {text}");
        }
    }
    let seen = other.line().seen();
    assert_eq!(seen.len(), if other.wire.follows().1 { 5 } else { 0 });
    for one in seen {
        let sent = (one.method.as_str(), one.header("authorization"));
        assert_eq!(sent, ("GET", None));
    }
    // One that wants a login is named, and is not given any.
    let mut b = Bench::open(start, "number-of-retries=0");
    if b.wire.follows().1 {
        b.stored(3);
        other.script(Verb::Get, answer(401));
        let to = format!("http://127.0.0.1:{port}/d/b/{NAME}");
        b.script(Verb::Get, moved(&to));
        let text = fails(b.get(NAME, None), Kind::Credentials, "wants a login");
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    }
}
