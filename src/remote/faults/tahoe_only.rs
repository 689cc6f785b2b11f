//! What only Tahoe-LAFS does wrong: grids whose servers are away, capabilities that are none, and what may show of one.

use super::tahoe::faulty_tahoe::{
    FINGERPRINT, KEY, READ_KEY, Tahoe, capability, page, read_capability, trace,
};
use super::*;

type Bench = Special<Tahoe>;

fn bench(query: &str) -> Bench {
    let server = tahoe::server();
    let url = tahoe::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench_at(path: &str) -> Bench {
    let server = tahoe::server();
    let place = format!("tahoe://{}/uri/{path}", server.address);
    Special::at(
        server,
        &format!("{place}?http-proxy=none&number-of-retries=0"),
    )
}

/// Servers that are away are no directory that is not there: another backup would begin in it.
#[test]
fn servers_that_are_away_are_waited_for() {
    let sentence =
        "the directory could not be retrieved, because there were insufficient good shares";
    let gone = "UnrecoverableFileError: ".to_owned() + sentence;
    for (body, of) in [
        (page(410, "Error", &gone), "GET"),
        (format!("{{\"error\": \"{gone}\"}}"), "GET"),
        (trace("NotEnoughServersError", "x"), "PUT"),
        (trace("UncoordinatedWriteError", "x"), "PUT"),
        (
            "NoSharesError: no shares could be found.\n\nx".to_owned(),
            "GET",
        ),
        ("NotEnoughSharesError: some servers\n\nx".to_owned(), "GET"),
    ] {
        let status = if of == "GET" { 410 } else { 500 };
        let mut b = bench("number-of-retries=1");
        b.stored(100);
        b.scripts(4, of, "", &reply(status, body.clone()));
        let done = match of {
            "GET" => b.list().map(drop),
            _ => b.put(b"x"),
        };
        fails(done, Kind::Busy, "");
        assert_eq!(b.retries(), 1, "{body}");
        b = bench("");
        b.stored(100);
        b.script("GET", "dblock.zip", reply(410, body));
        assert_eq!(b.get(NAME, None).expect("at the second try").len(), 100);
    }
}

#[test]
fn what_can_only_be_read_is_read() {
    let mut b = bench_at(&format!("{}/bkt", read_capability()));
    b.store(NAME, b"abc");
    assert_eq!(b.list().expect("listed"), [NAME]);
    assert_eq!(b.get(NAME, Some(3)).expect("got"), b"abc");
    assert!(b.remote.read_only().is_some());
    fails(b.put(b"x"), Kind::Unsupported, "only reads");
    assert_eq!(b.count("PUT", ""), 0);
    // A folder that can only be read, below a directory that can be changed.
    let mut b = bench("number-of-retries=0");
    b.store(NAME, b"abc");
    b.script(
        "DELETE",
        "dblock",
        reply(500, trace("NotWriteableError", "")),
    );
    fails(b.delete(), Kind::Unsupported, "can only be read");
}

#[test]
fn a_capability_that_the_gateway_does_not_take() {
    let other = format!("URI:DIR2:{}:{FINGERPRINT}", "sesame2222sesame2222sesame");
    let mut b = bench_at(&format!("{other}/bkt"));
    let told = fails(b.list(), Kind::Credentials, "does not know the capability");
    assert!(!told.contains("2222"), "{told}");
    fails(b.put(b"x"), Kind::Credentials, "");
    fails(b.delete(), Kind::Credentials, "");
    let mut b = bench_at(&format!("{}/bkt/file", capability()));
    b.store("file", b"x");
    fails(b.list(), Kind::Unsupported, "is a file");
    b.put(b"x").expect_err("no folder");
}

/// Whatever the server says, and wherever it sends us.
#[test]
fn nothing_of_a_capability_shows() {
    let own = capability();
    let encoded = own.replace(':', "%3A");
    let sends = |to: &str| headed(302, "location", to);
    for trouble in [
        reply(500, format!("failed at {own}")),
        reply(500, format!("failed at http://h/uri/{encoded}/x")),
        reply(404, page(404, "Error", &format!("No such child: {KEY}"))),
        reply(
            400,
            trace(
                "OddError",
                &format!("<{own}> {READ_KEY} URI:CHK:{KEY}:{KEY}:1"),
            ),
        ),
        reply(200, format!("[\"{own}\", {{}}]")),
        reply(200, format!("{{\"error\": \"{encoded}\"}}")),
        page_of(&own),
        sends(&format!("/uri/{own}/bkt?t=json")),
        sends(&format!("ftp://h/uri/{own}")),
        sends(&format!("http://user:{KEY}@h/uri/{own}")),
        sends(&format!("http://127.0.0.1:1/uri/{encoded}/bkt")),
    ] {
        let mut b = bench("number-of-retries=0");
        b.stored(10);
        b.scripts(9, "GET", "", &trouble);
        // What is told is looked through for secrets.
        let _ = b.list();
        let _ = b.get(NAME, None);
        for line in b.ui.messages() {
            assert!(
                !line.contains("sesame") && !line.contains("fingerpr2nt"),
                "{line}"
            );
        }
    }
    let b = bench("");
    let shown = b.remote.describe().to_owned();
    assert!(
        shown.ends_with("/***") && shown.starts_with("tahoe://127."),
        "{shown}"
    );
    for text in [b.remote.place(), b.remote.account()] {
        assert!(
            !text.contains("sesame") && !text.contains("fingerpr2nt"),
            "{text}"
        );
    }
}

fn page_of(text: &str) -> Trouble {
    super::page(200, "text/html", &format!("<html><p>{text}</p>"))
}

/// The cache is that of the directory, by whatever capability and gateway.
#[test]
fn one_directory_is_one_place() {
    let of = |path: &str| bench_at(path).remote.place();
    let whole = of(&capability());
    assert_eq!(whole, of(&format!("{}/", read_capability())));
    assert_ne!(whole, of(&format!("{}/bkt", capability())));
    assert_eq!(
        of(&format!("{}/bkt", capability())),
        of(&format!("{}//bkt/", read_capability()))
    );
}

#[test]
fn a_folder_of_the_listing_is_no_file() {
    let mut b = bench("");
    b.with(|tahoe| tahoe.folders.insert(format!("/bkt/{NAME}")));
    assert!(b.list().expect("listed").is_empty());
    assert!(b.stat(NAME).expect("asked").is_none());
    fails(
        b.put(b"x"),
        Kind::Unsupported,
        "a directory has the name of the file",
    );
}
