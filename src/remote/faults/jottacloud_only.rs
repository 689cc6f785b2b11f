//! What only Jottacloud does wrong: uploads that are announced and gone on with, revisions, tokens, devices.

use super::jottacloud::faulty_jotta::{Jotta, api_error, error};
use super::*;

const LEN: usize = 3 * MIB;

type Bench = Special<Jotta>;

fn bench_with(query: &str) -> Bench {
    let server = jottacloud::server();
    let url = jottacloud::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

/// Positions at which pieces of files began.
fn pieces(b: &Bench) -> Vec<u64> {
    let from = |seen: &Seen| {
        let range = seen.header("range").expect("a range");
        let from = range.trim_start_matches("bytes=").split('-').next();
        from.expect("a start").parse().expect("a number")
    };
    b.asked("POST", "/upload/").iter().map(from).collect()
}

#[test]
fn a_broken_upload_goes_on_where_the_server_has_it() {
    let data = bytes(LEN);
    for (trouble, keeps, want) in [
        (None, None, vec![0]),
        (Some(Trouble::Reset(1000)), None, vec![0, 0]),
        (None, Some(0), vec![0, 0]),
        (None, Some(MIB), vec![0, 1 << 20]),
        (
            Some(reply(
                420,
                api_error(420, "IncompleteUploadOpenApiException", "x"),
            )),
            None,
            vec![0, 0],
        ),
        (Some(reply(416, "{}")), None, vec![0, 0]),
    ] {
        let mut b = bench();
        b.with(|jotta| jotta.keeps = keeps);
        if let Some(trouble) = trouble {
            b.script("POST", "/upload/", trouble);
        }
        b.put(&data).expect("in the end");
        assert_eq!(b.file().expect("there"), data);
        assert_eq!(pieces(&b), want);
        assert_eq!(b.with(|jotta| jotta.begun), 1);
    }
    // All of it arrived, and only the answer was lost.
    let mut b = bench();
    b.script("POST", "/upload/", Trouble::Swallow);
    b.put(&data).expect("found there");
    assert_eq!(
        (pieces(&b), b.file().expect("there")),
        (vec![0], data.clone())
    );
    // It begins with what another run left, and only for the same content.
    let mut b = bench_with("number-of-retries=0");
    b.with(|jotta| jotta.keeps = Some(MIB));
    refused(b.put(&data), "");
    b.put(&data[1..]).expect("stored");
    assert_eq!(b.file().expect("there"), data[1..]);
    assert_eq!(pieces(&b), [0, 0]);
}

#[test]
fn what_is_there_already_is_not_sent_but_looked_at() {
    let data = bytes(1000);
    let mut b = bench();
    b.put(&data).expect("stored");
    b.put(&data).expect("there");
    assert_eq!(b.count("POST", "/upload/"), 1);
    // The service says so, and it is not.
    let mut b = bench_with("number-of-retries=0");
    b.stored(5);
    let done = r#"{"state":"COMPLETED","upload_url":"","resume_pos":1000}"#;
    b.script("POST", "/allocate", reply(200, done));
    fails(b.put(&data), Kind::Damaged, "not the one sent");
    // An empty file is sent, too.
    let mut b = bench();
    b.put(b"").expect("stored");
    assert_eq!(b.file().expect("there"), b"");
    assert_eq!(b.count("POST", "/upload/"), 1);
}

#[test]
fn an_upload_that_the_server_forgets_begins_anew() {
    let data = bytes(LEN);
    let gone = reply(404, api_error(404, "NoSuchPathException", "gone"));
    let mut b = bench();
    b.script("POST", "/upload/", gone.clone());
    b.put(&data).expect("in the end");
    assert_eq!((b.count("POST", "/allocate"), b.retries()), (2, 0));
    let mut b = bench();
    b.scripts(40, "POST", "/upload/", &gone);
    fails(b.put(&data), Kind::Busy, "forgets the upload");
    assert!(b.count("POST", "/upload/") < 20);
}

/// The token goes where the content goes.
#[test]
fn uploads_go_to_the_service_only() {
    let other = jottacloud::server();
    let mut b = bench();
    b.with(|jotta| jotta.elsewhere = Some(format!("http://{}", other.address)));
    refused(b.put(b"x"), "");
    let mut b = bench();
    b.with(|jotta| jotta.elsewhere = Some("https://up.jottacloud.com.example.org".to_owned()));
    fails(b.put(b"x"), Kind::Unsupported, "example.org");
    let mut b = bench();
    b.script("POST", "/allocate", reply(200, r#"{"state":"INCOMPLETE"}"#));
    b.scripts(
        9,
        "POST",
        "/allocate",
        &reply(200, r#"{"state":"INCOMPLETE"}"#),
    );
    refused(b.put(b"x"), "where the file goes");
}

/// Any call may be the one for which the token has run out.
#[test]
fn a_token_is_renewed_once_by_every_call() {
    type Act = fn(&mut Bench) -> Result<()>;
    let calls: [(&str, &str, Act); 8] = [
        ("GET", "/userinfo", |b| b.list().map(drop)),
        ("GET", "/Archive/bkt$", |b| b.list().map(drop)),
        ("GET", "dblock.zip$", |b| b.stat(NAME).map(drop)),
        ("GET", "mode=bin", |b| b.get(NAME, None).map(drop)),
        ("POST", "/allocate", |b| b.put(b"short")),
        ("POST", "/upload/", |b| b.put(&bytes(LEN))),
        ("POST", "rm=true", |b| b.delete()),
        ("POST", "mkDir=true", |b| b.make()),
    ];
    for (method, part, act) in calls {
        let mut b = bench();
        b.stored(3);
        let no = reply(401, error(401, "BadCredentialsException", "expired"));
        b.script(method, part, no.clone());
        act(&mut b).expect("with a new token");
        let seen = b.asked(method, part.trim_end_matches('$'));
        assert!(seen[0].holds("authorization", "acct-1"), "{part}");
        assert!(seen[1].holds("authorization", "acct-2"), "{part}");
        assert_eq!(b.retries(), 0);
        assert!(b.count("GET", "/userinfo") <= 2);
        let mut b = bench();
        b.stored(3);
        b.scripts(2, method, part, &no);
        fails(act(&mut b), Kind::Credentials, "access denied");
    }
}

/// Listings hold what was deleted, and files whose upload failed.
#[test]
fn what_is_deleted_or_not_whole_is_not_there() {
    let mut b = bench();
    for name in ["dead", "broken", "a b+c%41 \u{e9}&<\"'"] {
        b.store(name, b"x");
    }
    b.with(|jotta| {
        jotta.trash.insert("/bkt/dead".to_owned());
        jotta.broken.insert("/bkt/broken".to_owned());
    });
    assert_eq!(b.list().expect("listed"), ["a b+c%41 \u{e9}&<\"'"]);
    assert!(b.stat("dead").expect("asked").is_none());
    assert!(b.stat("broken").expect("asked").is_none());
    // Upper and lower case are the same to the service.
    b.store("DUPLICATI-B1.dblock.zip", b"theirs");
    assert!(b.stat(NAME).expect("asked").is_none());
    // A folder that was deleted is none, until it is made anew.
    b.with(|jotta| jotta.trash.insert("/bkt".to_owned()));
    fails(b.list(), Kind::Unsupported, "in the trash");
    b.make().expect("made");
    b.list().expect("listed");
}

#[test]
fn refusals_are_told_as_what_they_are() {
    for (status, body, kind, words) in [
        (
            403,
            error(403, "AccessDeniedException", "no"),
            Kind::Credentials,
            "AccessDeniedException",
        ),
        (
            409,
            error(409, "UniqueFileException", "x"),
            Kind::Unsupported,
            "UniqueFileException",
        ),
        (
            200,
            "<file name='x'/>".to_owned(),
            Kind::Unsupported,
            "is a file",
        ),
    ] {
        let mut b = bench_with("number-of-retries=0");
        b.script("GET", "/Archive/bkt$", reply(status, body));
        fails(b.list(), kind, words);
    }
    let mut b = bench_with("number-of-retries=0");
    let no = api_error(400, "InvalidArgumentException", "bad name");
    b.script("POST", "/allocate", reply(400, no));
    fails(b.put(b"x"), Kind::Unsupported, "take the name");
    let mut b = bench();
    let none = error(404, "NoSuchMountPointException", "x");
    b.script("GET", "/Archive/bkt$", reply(404, none));
    assert_eq!(b.list().expect("asked"), ["(no folder)"]);
    let mut b = bench_with("number-of-retries=0");
    b.script("GET", "/userinfo", reply(200, "{}"));
    refused(b.list(), "name of the account");
}

#[test]
fn what_is_wrong_in_url_and_options_is_told_at_once() {
    for (query, words) in [
        ("authid=a:b&jottacloud-mountpoint=trash", "takes no backup"),
        ("authid=a:b&jottacloud-device=a/b", "--jottacloud-device"),
        (
            "authid=a:b&jottacloud-endpoint=http://example.org",
            "in the clear",
        ),
        (
            "oauth-client-id=jottacli&oauth-refresh-token=x",
            "good for one use",
        ),
        ("jottacloud-threads=4", "no log-in for Jottacloud"),
    ] {
        let mut ui = Ui::new(crate::base::ui::Volume::Quiet, false, Some(false));
        let url = format!("jottacloud://a?{query}");
        let opened = Remote::open(&url, &Options::default(), &mut ui);
        let told = opened.err().expect(words).to_string();
        assert!(told.contains(words), "{words}: {told}");
    }
}
