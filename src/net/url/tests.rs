//! Tests of `net::url`.

use super::*;

/// scheme, user, password, host, port, path, query as `k=v;k=v`.
fn shape(text: &str) -> String {
    let (u, _) = DestUrl::parse(text).expect(text);
    let query: Vec<String> = u
        .query
        .iter()
        .map(|(k, v)| format!("{k}={}", v.reveal()))
        .collect();
    format!(
        "{}|{}|{}|{}|{}|{}|{}",
        u.scheme,
        u.user.as_deref().unwrap_or("-"),
        u.password.as_ref().map_or("-", |p| p.reveal()),
        u.host,
        u.port.map_or("-".to_owned(), |p| p.to_string()),
        u.path,
        query.join(";")
    )
}

/// `destinations-core.md` 1.3.
#[test]
fn parse_vectors() {
    for (text, want) in [
        (
            "s3://bucket/pre/fix?use-ssl=true",
            "s3|-|-|bucket|-|pre/fix|use-ssl=true",
        ),
        (
            "s3://AKIA:se%2Fcr%2Bet@bucket/a+b",
            "s3|AKIA|se/cr+et|bucket|-|a b|",
        ),
        (
            "webdav://user@dom.org:pw@host:8443/r/dav/x/",
            "webdav|user@dom.org|pw|host|8443|r/dav/x/|",
        ),
        ("webdav://u:p%40ss@host/a%40b", "webdav|u|p@ss|host|-|a@b|"),
        ("webdav://u@host/a@b", "webdav|u|-|host|-|a@b|"),
        ("webdav://host:80/a@b", "webdav|-|-|host|80|a@b|"),
        ("webdav://host/p:a@b/c", "webdav|-|-|host|-|p:a@b/c|"),
        ("webdav://host//x", "webdav|-|-|host|-|/x|"),
        ("webdav://[::1]:8080/x", "webdav|-|-|[::1]|8080|x|"),
        ("webdav://user:@host/x", "webdav|user||host|-|x|"),
        ("webdav://me@host", "webdav|me|-|host|-||"),
        ("webdav://a@b:80/x", "webdav|a|-|b|80|x|"),
        ("file:///mnt/usb/a+b", "file|-|-||-|/mnt/usb/a b|"),
        (
            "file:///mnt/a%2Bb?use-move-for-put",
            "file|-|-||-|/mnt/a+b|use-move-for-put=",
        ),
        ("file://rel/dir", "file|-|-||-|rel/dir|"),
        ("FILE:///x", "file|-|-||-|/x|"),
        ("/mnt/a+b?x=1", "file|-|-||-|/mnt/a+b?x=1|"),
        ("/mnt/x?u=http://h", "file|-|-||-|/mnt/x?u=http://h|"),
        ("./rel", "file|-|-||-|./rel|"),
        ("http://h/a#b?c=1", "http|-|-|h|-|a#b|c=1"),
        (
            "webdav://h/x?auth-password=a+b%26c&A=1&a=2&e&f==g",
            "webdav|-|-|h|-|x|auth-password=a b&c;a=2;e=;f==g",
        ),
        ("s3://b?", "s3|-|-|b|-||"),
        ("s3://", "s3|-|-||-||"),
        ("s3://b?a=1;b=2", "s3|-|-|b|-||a=1;b=2"),
    ] {
        assert_eq!(shape(text), want, "{text}");
    }
}

#[test]
fn bad_urls_say_what_to_do() {
    for (text, part) in [
        ("", "destination URL is empty"),
        ("  ", "destination URL is empty"),
        ("s3://k:s/x@bucket/p", "%2F"),
        ("s3://k:12s/x@bucket/p", "%2F"),
        ("webdav://h:0/x", "invalid port"),
        ("webdav://h:65536/x", "invalid port"),
        ("webdav://h:99999999999999999999/x", "invalid port"),
        ("file://C:\\x", "not supported on this platform"),
        ("file://\\\\server\\x", "not supported on this platform"),
        ("file://", "no path"),
        ("webdav://[::1]x/y", "between host and path"),
    ] {
        let e = DestUrl::parse(text).err().expect(text);
        assert_eq!(e.kind().exit_code(), 200, "{text}");
        assert!(e.to_string().contains(part), "{text}: {e}");
        assert!(!e.to_string().contains("s/x"), "{e}");
    }
}

#[test]
fn a_raw_plus_in_a_path_is_noticed() {
    let (_, notices) = DestUrl::parse("webdav://h/My+Folder").expect("good");
    assert_eq!(notices.len(), 1);
    let (_, notices) = DestUrl::parse("webdav://h/x?a=1+2").expect("good");
    assert!(notices.is_empty());
}

#[test]
fn a_local_path_with_a_plus_is_taken_literally_when_only_that_exists() {
    let folder = std::env::temp_dir().join(format!(
        "duplet+url+{}",
        crate::base::rand::hex::<8>().expect("random")
    ));
    std::fs::create_dir(&folder).expect("folder");
    let path = folder.to_str().expect("text");
    let (plain, _) = DestUrl::parse(&format!("{path}+new%41")).expect("good");
    let (url, _) = DestUrl::parse(&format!("file://{path}")).expect("good");
    std::fs::remove_dir(&folder).expect("removed");
    assert_eq!(plain.path, format!("{path}+new%41"));
    assert_eq!(url.path, path);
}

#[test]
fn coding() {
    assert_eq!(encode("a b+c&d\u{e9}#%/~"), "a%20b%2Bc%26d%C3%A9%23%25%2F~");
    assert_eq!(encode_path("a/b c"), "a/b%20c");
    for (text, want) in [
        ("a%zzb%", "a%zzb%"),
        ("%u00e9%ud83d%ude00", "\u{e9}\u{1f600}"),
        ("%ud83dx", "\u{fffd}x"),
        ("%u12", "%u12"),
        ("%C3%A9", "\u{e9}"),
        ("%ff", "\u{fffd}"),
        ("a+b", "a b"),
    ] {
        assert_eq!(decode(text), want, "{text}");
    }
    assert_eq!(decode_percent("a+b%2B"), "a+b+");
}

#[test]
fn shown_without_secrets() {
    for (text, want) in [
        ("s3://AKIA:secret@b/p?auth-password=x", "s3://b/p"),
        ("webdav://[::1]:80/x", "webdav://[::1]:80/x"),
        ("webdav://h", "webdav://h"),
        ("file:///a/b", "file:///a/b"),
        ("webdav://h/%1b[31m", "webdav://h/\\x1b[31m"),
    ] {
        let (url, _) = DestUrl::parse(text).expect(text);
        assert_eq!(url.display(), want);
    }
    for text in [
        "foo://u:secret@host/p?x=secret",
        "foo://u:secret/x",
        "foo://u:p@secret/secret@host/x",
        "foo://u:p@secret?secret@host/x",
        "foo://u:p@h/x?auth-password=a@secret",
        "u:secret@h",
    ] {
        assert!(!display_raw(text).contains("secret"), "{text}");
    }
    assert_eq!(display_raw("foo://host/p"), "foo://host/p");
    for (text, want) in [
        (
            "tahoe://h:3456/uri/URI:DIR2:secret:secret/a?x=1",
            "tahoe://h:3456/***",
        ),
        (
            "TAHOES://[::1]/uri/URI%3ADIR2%3Asecret",
            "tahoes://[::1]/***",
        ),
        ("tahoe://h", "tahoe://h/***"),
        ("tahoe://DIR2%3Asecret%3Asecret/x", "tahoe://***/***"),
    ] {
        let (url, _) = DestUrl::parse(text).expect(text);
        assert_eq!(url.display(), want);
    }
    for text in [
        "tahoe://h/uri/URI:DIR2:secret",
        "tahoe://URI:DIR2:secret:secret",
        "http://localhost:3456/uri/URI:DIR2:secret",
        "http://localhost/uri/URI%3ADIR2:secret",
        "URI:DIR2:secret",
    ] {
        assert!(!display_raw(text).contains("secret"), "{text}");
        assert!(!display_raw(text).contains("DIR2"), "{text}");
    }
}

#[test]
fn a_path_that_is_a_secret_is_one_in_its_parts() {
    let (key, print) = ("k".repeat(26), "f".repeat(52));
    let text = format!("tahoe://h/uri/URI%3ADIR2%3A{key}:{print}/folder");
    let (url, _) = DestUrl::parse(&text).expect("a URL");
    let parts: Vec<&str> = url.secret_path().collect();
    let whole = format!("URI:DIR2:{key}:{print}");
    assert_eq!(
        parts,
        [&format!("uri/{whole}/folder"), &whole, &key, &print]
    );
    let (url, _) = DestUrl::parse("webdav://h/uri/URI:DIR2").expect("a URL");
    assert_eq!(url.secret_path().count(), 0);
}

#[test]
fn no_text_makes_it_panic() {
    let mut seed = 7u64;
    let pool = [
        "s3", "://", ":", "@", "/", "?", "&", "=", "%", "%u", "d83d", "[", "]", "+", "\u{e9}", "1",
        "a", "file",
    ];
    for _ in 0..5000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pool[usize::try_from(seed >> 33).unwrap_or(0) % pool.len()]);
        }
        display_raw(&text);
        if let Ok((url, _)) = DestUrl::parse(&text) {
            url.display();
        }
    }
}

#[test]
fn a_question_mark_in_a_password_is_explained() {
    let e = DestUrl::parse("webdav://user:pa?ss@host/x").err();
    let e = e.expect("no port").to_string();
    assert!(e.contains("? as %3F") && !e.contains("pa?ss"), "{e}");
}

#[test]
fn a_second_at_after_a_password_is_refused_and_nothing_of_it_shown() {
    for text in [
        "ftp://u:p@secret/secret@host/x",
        "ftp://u:p@secret@host/x",
        "ftp://u:p@7777777/secret@host/x",
        "ssh://u:p@s/secret+w:d@host/x",
        "webdav://u:p@s/secret+w:d@host/x",
        "webdav://u:p@[::1]/secret@host/x",
        "s3://u:p@secret/secret@bucket",
        "ftp://u:p@secret?secret@host/x",
        "ftp://u:12?secret@host/x",
        "ftp://u:p@host/x?auth-password=secret&secret@1",
    ] {
        let e = DestUrl::parse(text).err().expect(text);
        assert_eq!(e.kind().exit_code(), 200, "{text}");
        let said = e.to_string();
        assert!(
            said.contains("@ as %40") && said.contains("/ as %2F"),
            "{said}"
        );
        assert!(!said.contains("secret") && !said.contains("777"), "{said}");
    }
}
