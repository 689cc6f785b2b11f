//! Downloads that are asked for before they are wanted where all that is asked goes through one conversation: by SFTP and by FTP,
//! in the clear and in TLS.

use super::*;
use crate::base::error::Kind;
use crate::remote::faults::Wire;
use crate::remote::faults::faulty_ftp::{CA_FILE, Tls, Trouble};
use crate::remote::faults::ftp::Ftp;
use crate::remote::faults::ssh::Sftp;
use crate::remote::subject::{NAME, Subject, bytes, fails};

const MIB: usize = 1 << 20;
const LEN: usize = 3 * MIB + 5;
const OTHER: &str = "duplicati-b2.dblock.zip";

/// A server and a subject that talks to it.
enum Place {
    Sftp(Sftp),
    Ftp(Ftp, bool),
}

/// With a file of some length.
fn places(query: &str) -> Vec<(Place, Subject)> {
    let ftp = |tls: bool| {
        Ftp::new(|modes| {
            if tls {
                modes.tls = Tls::Explicit;
            }
        })
    };
    let all = [
        Place::Sftp(Sftp::new("")),
        Place::Sftp(Sftp::new("shuffle")),
        Place::Ftp(ftp(false), false),
        Place::Ftp(ftp(true), true),
    ];
    let open = |place: Place| {
        place.wire().store(NAME, &bytes(LEN));
        let query = match &place {
            Place::Ftp(_, true) => {
                format!("aftp-encryption-mode=Explicit&ssl-ca-file={CA_FILE}&{query}")
            }
            _ => query.to_owned(),
        };
        let subject = Subject::open(&place.wire().url("", &query), &[]);
        (place, subject)
    };
    all.into_iter().map(open).collect()
}

impl Place {
    fn wire(&self) -> &dyn Wire {
        match self {
            Place::Sftp(sftp) => sftp,
            Place::Ftp(ftp, _) => ftp,
        }
    }

    /// How often a file was opened to be read.
    fn opened(&self) -> usize {
        match self {
            Place::Sftp(sftp) => sftp.count("open"),
            Place::Ftp(ftp, _) => ftp.0.count("RETR"),
        }
    }

    fn conversations(&self) -> usize {
        match self {
            Place::Sftp(sftp) => sftp.count("init"),
            Place::Ftp(ftp, _) => ftp.0.connections(),
        }
    }

    /// The next download breaks off with its conversation behind so many bytes or more.
    fn cut(&self, after: usize) {
        match self {
            Place::Sftp(sftp) => sftp.script(&format!("read {} die\n", 1 + after / (32 << 10))),
            Place::Ftp(ftp, _) => ftp.0.script("RETR", "", Trouble::Cut(after as u64)),
        }
    }

    fn refuse(&self) {
        match self {
            Place::Sftp(sftp) => sftp.script("open 1 status 3:No\n"),
            Place::Ftp(ftp, _) => ftp.0.says("RETR", "530 No"),
        }
    }

    fn what(&self) -> String {
        match self {
            Place::Sftp(_) => "SFTP".to_owned(),
            Place::Ftp(_, tls) => format!("FTP, TLS {tls}"),
        }
    }
}

/// Looks after what was asked for until so many bytes are here.
fn look_until(s: &mut Subject, len: usize) {
    while s.remote.has_ahead(NAME) < len as u64 {
        let asked = s.remote.ahead.asked.as_ref().expect("asked for");
        assert!(asked.rest.is_some(), "{:?}", asked.came.as_ref().err());
        s.remote.look_ahead();
        std::thread::yield_now();
    }
}

/// Looks after it until it has come to an end, whatever that is.
fn look_to_the_end(s: &mut Subject) {
    while s.remote.is_ahead() {
        s.remote.look_ahead();
        std::thread::yield_now();
    }
}

fn get(s: &mut Subject) -> Result<Vec<u8>> {
    s.get(NAME, Some(LEN as u64))
}

#[test]
fn it_comes_whole_while_nobody_waits() {
    for (place, mut s) in places("number-of-retries=0") {
        let what = place.what();
        for opened in 1..4 {
            s.ask_ahead(NAME, LEN as u64, 0);
            look_until(&mut s, LEN);
            look_to_the_end(&mut s);
            assert_eq!(s.remote.stats().files_down, opened - 1, "{what}");
            assert_eq!(place.opened() as u64, opened, "{what}");
            assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
            let stats = *s.remote.stats();
            assert_eq!((stats.gets, stats.files_down), (opened, opened), "{what}");
            assert_eq!(stats.bytes_down, opened * LEN as u64, "{what}");
        }
        assert_eq!((place.opened(), place.conversations()), (3, 1), "{what}");
    }
}

/// What is asked in between breaks it off: it is gone on with where it was, nothing of that is told, and no reply is taken for
/// that to another request.
#[test]
fn other_requests_go_on_in_the_same_conversation() {
    type Act = fn(&mut Subject);
    let acts: [(&str, Act); 8] = [
        ("list", |s| {
            let names = s.list().expect("listed");
            assert!(names.iter().any(|n| n == NAME));
        }),
        ("stat", |s| {
            assert_eq!(s.stat(OTHER).expect("asked"), Some(Some(5)));
        }),
        ("absent", |s| {
            assert_eq!(s.stat("none").expect("asked"), None)
        }),
        ("get", |s| {
            assert_eq!(s.get(OTHER, Some(5)).expect("got"), b"other");
        }),
        ("span", |s| {
            let (got, _) = s.span(OTHER, 1, 3).expect("read");
            assert_eq!(got, b"the");
        }),
        ("put", |s| {
            s.put_as("duplicati-b3.dblock.zip", &bytes(MIB))
                .expect("put")
        }),
        ("make", |s| s.make().expect("there")),
        ("the same file", |s| {
            let (got, _) = s.span(NAME, 100, 2000).expect("read");
            assert!(got == bytes(LEN)[100..2100]);
        }),
    ];
    for until in [0, 1, MIB, LEN] {
        for (place, mut s) in places("number-of-retries=0") {
            place.wire().store(OTHER, b"other");
            for (act_name, act) in acts {
                let what = format!("{}, {act_name} after {until}", place.what());
                let before = s.remote.stats().bytes_down;
                s.ask_ahead(NAME, LEN as u64, 0);
                look_until(&mut s, until);
                let here = s.remote.has_ahead(NAME);
                act(&mut s);
                s.remote.look_ahead();
                assert!(s.remote.has_ahead(NAME) >= here, "{what}");
                assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
                let down = s.remote.stats().bytes_down - before;
                // The file, the other, and the last byte, by which is seen whether a server begins where it is told to.
                assert!(down <= LEN as u64 + 2100, "{what}: {down}");
            }
            assert_eq!(s.retries(), 0, "{}", place.what());
            assert!(s.waits().is_empty(), "{}", place.what());
        }
    }
}

/// An upload that is sent on its way goes another way.
#[test]
fn an_upload_flies_beside_it() {
    for (place, mut s) in places("number-of-retries=0") {
        let what = place.what();
        let data = bytes(2 * MIB);
        for n in 0..3 {
            s.ask_ahead(NAME, LEN as u64, 0);
            let opened = place.opened();
            s.send_beside(OTHER, &data);
            assert_eq!(place.wire().file(OTHER).expect("stored"), data, "{what}");
            look_until(&mut s, LEN);
            assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
            if let Place::Ftp(..) = place {
                assert_eq!(place.opened(), opened, "{what}: it was not broken off");
            }
            assert_eq!(place.conversations(), 2, "{what}, {n}");
        }
        assert_eq!(s.retries(), 0, "{what}");
    }
}

/// Where the server takes no second conversation it has the only one, and what was asked for is gone on with.
#[test]
fn an_upload_takes_the_only_conversation_there_can_be() {
    for (place, mut s) in places("number-of-retries=0") {
        let what = place.what();
        let data = bytes(2 * MIB);
        s.ask_ahead(NAME, LEN as u64, 0);
        match &place {
            Place::Sftp(sftp) => sftp.script("start 1 error Connection closed by server\n"),
            Place::Ftp(ftp, _) => {
                let crowded = Trouble::Ends("421 Too many connections.".to_owned());
                ftp.0.script("(start)", "", crowded);
            }
        }
        s.send_beside(OTHER, &data);
        assert_eq!(place.wire().file(OTHER).expect("stored"), data, "{what}");
        assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
        assert_eq!(s.retries(), 0, "{what}");
    }
}

#[test]
fn what_is_not_wanted_any_more_is_broken_off() {
    for until in [0, 1, MIB, LEN] {
        for (place, mut s) in places("number-of-retries=0") {
            let what = format!("{}, {until}", place.what());
            s.ask_ahead(NAME, LEN as u64, 0);
            look_until(&mut s, until);
            s.remote.drop_ahead();
            assert_eq!(s.list().expect(&what), [NAME], "{what}");
            assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
            // A listing with another size is another file.
            s.ask_ahead(NAME, LEN as u64 - 1, 0);
            assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
            assert_eq!(s.retries(), 0, "{what}");
        }
    }
}

/// Whatever goes wrong is the first attempt of who wants the file, and it goes on where that stopped.
#[test]
fn what_breaks_is_gone_on_with() {
    for after in [0, 1, 40_000, MIB, 2 * MIB + 3] {
        for is_looked_after in [false, true] {
            for (place, mut s) in places("retry-delay=7s&number-of-retries=1") {
                let what = format!("{}, {after}, {is_looked_after}", place.what());
                place.cut(after);
                s.ask_ahead(NAME, LEN as u64, 0);
                if is_looked_after {
                    look_to_the_end(&mut s);
                }
                assert_eq!((s.retries(), s.waits()), (0, Vec::new()), "{what}");
                assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
                assert_eq!((s.retries(), s.waits()), (1, vec![7]), "{what}");
                let down = s.remote.stats().bytes_down;
                assert!(down <= LEN as u64 + 1, "{what}: {down}");
            }
        }
    }
}

#[test]
fn a_refusal_is_told_when_the_file_is_wanted() {
    for (place, mut s) in places("") {
        place.refuse();
        s.ask_ahead(NAME, LEN as u64, 50);
        assert_eq!(s.retries(), 0);
        fails(get(&mut s), Kind::Credentials, "does not allow reading");
        assert_eq!(s.retries(), 0, "{}", place.what());
        assert!(get(&mut s).expect("well again") == bytes(LEN));
    }
}

/// A server that gave up while nobody read is gone on with at once.
#[test]
fn a_server_that_was_left_alone_has_not_failed() {
    for (reply, ends) in [
        ("426 Timeout.", false),
        ("421 Timeout.", true),
        ("421 Timeout.", false),
    ] {
        for (place, mut s) in places("retry-delay=7s&number-of-retries=0") {
            match &place {
                Place::Sftp(sftp) => sftp.script("read 60 error Connection closed by server\n"),
                Place::Ftp(ftp, _) if ends => ftp.0.script("RETR", "", Trouble::Cut(MIB as u64)),
                Place::Ftp(ftp, _) => {
                    let trouble = Trouble::Part(MIB as u64, reply.to_owned());
                    ftp.0.script("RETR", "", trouble);
                }
            }
            s.ask_ahead(NAME, LEN as u64, 0);
            look_until(&mut s, 1);
            let asked = s.remote.ahead.asked.as_mut().expect("asked for");
            let before = asked.looked.checked_sub(2 * LEFT_ALONE);
            asked.looked = before.expect("this machine runs for so long");
            let what = format!("{}, {reply}", place.what());
            assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
            assert_eq!(s.retries(), 0, "{what}");
            let down = s.remote.stats().bytes_down;
            assert!(down <= LEN as u64 + 1, "{what}: {down}");
        }
    }
}

/// A server that ends the conversation behind the file has not failed either.
#[test]
fn a_conversation_that_ends_behind_the_file_is_no_failure() {
    for (place, mut s) in places("number-of-retries=0") {
        match &place {
            Place::Sftp(sftp) => sftp.script("close 1 die\n"),
            Place::Ftp(ftp, _) => {
                let trouble = Trouble::ThenEnds("421 Timeout.".to_owned());
                ftp.0.script("RETR", "", trouble);
            }
        }
        for looks in [true, false] {
            s.ask_ahead(NAME, LEN as u64, 0);
            if looks {
                look_until(&mut s, LEN);
            }
            assert!(get(&mut s).expect("got") == bytes(LEN));
            assert_eq!(s.list().expect("listed"), [NAME]);
        }
        assert_eq!(s.retries(), 0, "{}", place.what());
    }
}

/// A silent server holds nobody up who looks; who waits waits for as long as anybody.
#[test]
fn a_look_waits_for_nothing() {
    for (place, mut s) in places("read-write-timeout=1s&short-timeout=1s&number-of-retries=1") {
        let what = place.what();
        match &place {
            Place::Sftp(sftp) => sftp.script("read 9 hang\n"),
            Place::Ftp(ftp, _) => ftp.0.script("RETR", "", Trouble::Stall(100_000)),
        }
        s.ask_ahead(NAME, LEN as u64, 0);
        look_until(&mut s, 1);
        for _ in 0..10_000 {
            s.remote.look_ahead();
        }
        assert!(s.remote.is_ahead() && s.retries() == 0, "{what}");
        assert!(get(&mut s).expect(&what) == bytes(LEN), "{what}");
        assert_eq!(s.retries(), 1, "{what}");
    }
}

#[test]
fn a_throttle_holds_it_back_without_a_wait() {
    for (place, mut s) in places("throttle-download=1kb") {
        s.ask_ahead(NAME, LEN as u64, 50);
        for _ in 0..1000 {
            s.remote.look_ahead();
        }
        // The first 64 KiB take a minute.
        let here = s.remote.has_ahead(NAME);
        assert!(here <= BUFFER_BYTES as u64, "{}: {here}", place.what());
    }
}
