//! Downloads that are asked for before they are wanted: what is told of them and when, what they cost, and what ends them.

use super::*;
use crate::base::error::Kind;
use crate::base::tmp::Tmp;
use crate::remote::faults::faulty::Trouble;
use crate::remote::faults::faulty_s3::Server;
use crate::remote::s3_tls;
use crate::remote::subject::{NAME, Subject, bytes, fails};

const MIB: usize = 1 << 20;
const LEN: usize = 3 * MIB;

fn url(scheme: &str, host: &str, server: &Server, query: &str) -> String {
    format!(
        "{scheme}://KEYID:s3cr3tvalue@bkt/p?s3-server-name={host}:{}&http-proxy=none&{query}",
        server.address.port()
    )
}

fn plain(server: &Server, query: &str) -> Subject {
    let url = url("s3", "127.0.0.1", server, &format!("use-ssl=false&{query}"));
    Subject::open(&url, &[])
}

/// With a file of some length.
fn stored(query: &str) -> (Server, Subject, Vec<u8>) {
    let server = Server::start();
    let data = bytes(LEN);
    server.put(&format!("p/{NAME}"), &data);
    let subject = plain(&server, query);
    (server, subject, data)
}

/// Looks after what was asked for until so many bytes are here.
fn look_until(s: &mut Subject, len: u64) {
    while s.remote.has_ahead(NAME) < len {
        s.remote.look_ahead();
        std::thread::yield_now();
    }
}

fn get(s: &mut Subject) -> Result<Vec<u8>> {
    s.get(NAME, Some(LEN as u64))
}

#[test]
fn it_costs_one_request_and_comes_while_nobody_waits() {
    let (server, mut s, data) = stored("");
    s.ask_ahead(NAME, LEN as u64, 0);
    look_until(&mut s, LEN as u64);
    assert_eq!(s.remote.stats().files_down, 0, "it is not wanted yet");
    assert!(get(&mut s).expect("got") == data);
    let stats = *s.remote.stats();
    assert_eq!(
        (stats.gets, stats.files_down, stats.bytes_down),
        (1, 1, LEN as u64)
    );
    assert_eq!(server.seen("GET").len(), 1);
    assert!(get(&mut s).expect("got again") == data);
    assert_eq!(server.seen("GET").len(), 2, "nothing of it is kept");
}

#[test]
fn over_tls_it_is_as_in_the_clear() {
    let (server, ca) = s3_tls::good();
    let data = bytes(LEN);
    server.put(&format!("p/{NAME}"), &data);
    let mut s = Subject::open(&url("s3s", "localhost", &server, &ca), &[]);
    for until in [0, 700_000, LEN as u64] {
        s.ask_ahead(NAME, LEN as u64, 0);
        look_until(&mut s, until);
        assert!(get(&mut s).expect("got") == data);
    }
    server.script("GET", NAME, Trouble::Cut(900_000));
    s.ask_ahead(NAME, LEN as u64, 0);
    look_until(&mut s, 900_000);
    s.remote.look_ahead();
    assert!(get(&mut s).expect("gone on with") == data);
    assert_eq!((s.retries(), server.seen("GET").len()), (1, 5));
}

/// Whatever went wrong is the first attempt of who wants the file, and told by it.
#[test]
fn nothing_of_a_failure_is_told_before_the_file_is_wanted() {
    for (what, trouble) in [
        ("503", Trouble::Answer(503, Vec::new(), String::new())),
        ("404", Trouble::Answer(404, Vec::new(), String::new())),
        ("closed", Trouble::Close),
        ("cut", Trouble::Cut(MIB as u64)),
        ("short", Trouble::Length(10)),
    ] {
        let (server, mut s, data) = stored("retry-delay=7s");
        server.script("GET", NAME, trouble);
        s.ask_ahead(NAME, LEN as u64, 50);
        assert_eq!((s.retries(), s.waits()), (0, Vec::new()), "{what}");
        assert!(get(&mut s).expect("got") == data, "{what}");
        assert_eq!(s.retries(), 1, "{what}");
        assert_eq!(s.waits(), [7], "{what}");
    }
    let (server, mut s, _) = stored("number-of-retries=0");
    server.script("GET", NAME, Trouble::Answer(403, Vec::new(), String::new()));
    s.ask_ahead(NAME, LEN as u64, 0);
    fails(get(&mut s), Kind::Credentials, "");
    assert_eq!(server.seen("GET").len(), 1, "it was asked for once");
}

/// A server that gave up while nobody read is gone on with at once.
#[test]
fn a_connection_that_was_left_alone_is_no_failure() {
    for looked_after in [true, false] {
        let (server, mut s, data) = stored("retry-delay=7s&number-of-retries=1");
        server.script("GET", NAME, Trouble::Cut(MIB as u64));
        s.ask_ahead(NAME, LEN as u64, 0);
        if !looked_after {
            let asked = s.remote.ahead.asked.as_mut().expect("asked for");
            let before = asked.looked.checked_sub(2 * LEFT_ALONE);
            asked.looked = before.expect("this machine runs for so long");
        }
        look_until(&mut s, MIB as u64);
        assert!(get(&mut s).expect("got") == data);
        assert_eq!(s.retries(), u64::from(looked_after));
        let gets = server.seen("GET");
        let range = format!("bytes={MIB}-");
        assert_eq!(gets[1].header("range"), Some(range.as_str()));
        assert!(gets[1].header("if-match").is_some());
    }
}

#[test]
fn a_throttle_holds_it_back_without_a_wait() {
    let (_server, mut s, _) = stored("throttle-download=1kb");
    s.ask_ahead(NAME, LEN as u64, 50);
    for _ in 0..1000 {
        s.remote.look_ahead();
    }
    // The first 64 KiB take a minute.
    assert!(s.remote.has_ahead(NAME) <= BUFFER_BYTES as u64);
    let asked = s.remote.ahead.asked.as_ref().expect("asked for");
    assert!(asked.not_before.is_some());
}

/// A look takes what is there, of what is endless too, and no more of it than was listed.
#[test]
fn what_is_longer_than_listed_is_left() {
    let (server, mut s, _) = stored("retry-delay=0s");
    s.ask_ahead(NAME, MIB as u64, 0);
    while s.remote.ahead.asked.as_ref().is_some_and(|a| !a.too_long) {
        s.remote.look_ahead();
    }
    assert!(s.remote.has_ahead(NAME) <= MIB as u64);
    fails(
        s.get(NAME, Some(MIB as u64)),
        Kind::Damaged,
        "longer than the 1048576 bytes",
    );
    assert_eq!(server.seen("GET").len(), 2);
}

/// A slow answer holds nobody up who looks.
#[test]
fn a_look_waits_for_nothing() {
    let (server, mut s, data) = stored("");
    server.script("GET", NAME, Trouble::Stall(Some(100_000)));
    s.ask_ahead(NAME, LEN as u64, 0);
    look_until(&mut s, 100_000);
    for _ in 0..10_000 {
        s.remote.look_ahead();
    }
    assert_eq!(s.remote.has_ahead(NAME), 100_000);
    s.remote.drop_ahead();
    assert!(get(&mut s).expect("got") == data);
    assert_eq!(s.remote.stats().bytes_down, 100_000 + LEN as u64);
}

#[test]
fn what_is_not_wanted_any_more_is_broken_off() {
    let (server, mut s, data) = stored("");
    server.put("p/other", b"other");
    s.ask_ahead(NAME, LEN as u64, 0);
    // It is the one that is opened now, then the one after: that changes nothing.
    s.remote.expect(NAME, Some(("other", 5)));
    assert_eq!(s.remote.expected(), None, "one at a time");
    s.remote.expect("first", Some((NAME, LEN as u64)));
    assert_eq!(s.remote.expected(), None, "it is asked for already");
    s.remote.expect("first", Some(("other", 5)));
    assert_eq!(s.remote.has_ahead(NAME), 0);
    assert_eq!(s.remote.expected(), Some(5));
    s.remote.expect("first", None);
    assert_eq!(s.remote.expected(), None);
    assert!(get(&mut s).expect("got") == data);
    assert_eq!(server.seen("GET").len(), 2);
    // A listing with another size is another file.
    s.ask_ahead(NAME, LEN as u64 - 1, 0);
    assert!(get(&mut s).expect("got") == data);
    assert_eq!(server.seen("GET").len(), 4);
}

/// What fails is not what wants it: that begins anew, and tells it.
#[test]
fn without_room_it_is_given_up() {
    let (_server, mut s, data) = stored("");
    s.remote.expect("", Some((NAME, LEN as u64)));
    let full = Spool::new(&Tmp::full_disk()).expect("opens");
    s.remote.ask_ahead(&mut s.ui, full);
    while s.remote.ahead.asked.is_some() {
        s.remote.look_ahead();
    }
    assert!(get(&mut s).expect("got") == data);
    assert_eq!(s.retries(), 0);
}

/// Each of two files that are read at the same time is known again by its own tag.
#[test]
fn what_is_read_meanwhile_is_gone_on_with() {
    let (server, mut s, data) = stored("");
    server.put("p/parts", &data);
    assert_eq!(s.span("parts", 0, 100).expect("read").0, data[..100]);
    server.script("GET", NAME, Trouble::Cut(MIB as u64));
    s.ask_ahead(NAME, LEN as u64, 0);
    look_until(&mut s, MIB as u64);
    assert_eq!(s.span("parts", 100, 100).expect("read").0, data[100..200]);
    assert!(get(&mut s).expect("got") == data);
    let tied = |part: &str| {
        let gets = server.seen("GET");
        let last = gets.iter().rfind(|seen| seen.target.contains(part));
        last.is_some_and(|seen| seen.header("if-match").is_some())
    };
    assert!(tied("parts") && tied(NAME));
}

/// The head of the answer is waited for, and no more: other requests go another way meanwhile.
#[test]
fn other_requests_go_on_meanwhile() {
    let (server, mut s, data) = stored("");
    s.ask_ahead(NAME, LEN as u64, 0);
    server.put("p/small", b"small");
    assert_eq!(s.get("small", Some(5)).expect("got"), b"small");
    assert_eq!(s.stat(NAME).expect("asked"), Some(Some(LEN as u64)));
    assert!(get(&mut s).expect("got") == data);
    assert_eq!(server.seen("GET").len(), 2);
}
