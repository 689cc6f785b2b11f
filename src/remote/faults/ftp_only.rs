//! What only FTP can do wrong: two connections, replies and listings in many forms, ports that lead nowhere, TLS that has to go on
//! from one connection to the next, files that begin elsewhere than they were told to.

use super::faulty_ftp::{CA_FILE, Lists, Modes, Rest, Tls, Trouble as Odd};
use super::ftp::Ftp;
use super::*;

const DATA: usize = 400_077;

/// What goes wrong, by name.
fn says(reply: &str) -> Odd {
    Odd::Says(reply.to_owned())
}

#[test]
pub(super) fn servers_of_every_kind() {
    type Change = fn(&mut Modes);
    let kinds: [(&str, Change); 14] = [
        ("as it should be", |_| ()),
        ("no FEAT", |m| m.no_feat = true),
        ("no EPSV", |m| m.no_epsv = true),
        ("no PASV", |m| m.no_pasv = true),
        ("behind a router", |m| (m.no_epsv, m.nat) = (true, true)),
        ("LIST of Unix", |m| m.lists = Lists::Unix),
        ("LIST of Windows", |m| m.lists = Lists::Dos),
        ("REST ignored", |m| m.rest = Rest::Ignored),
        ("REST unknown", |m| m.rest = Rest::Unknown),
        ("no SIZE", |m| m.no_size = true),
        ("no replacing", |m| m.no_replace = true),
        ("split words", |m| (m.splits, m.lists) = (true, Lists::Unix)),
        ("LIST takes nothing", |m| {
            (m.no_list_path, m.lists) = (true, Lists::Unix)
        }),
        ("wordy", |m| m.wordy = true),
    ];
    for (kind, change) in kinds {
        for query in ["", "aftp-use-cwd-names", "aftp-data-connection-type=PASV"] {
            let wire = Ftp::new(change);
            let mut s = wire.subject(query);
            s.put(b"before").expect(kind);
            s.put(&bytes(DATA)).expect(kind);
            assert_eq!(wire.0.names(), [NAME], "{kind}");
            assert_eq!(
                s.entries().expect(kind),
                Some(vec![(NAME.to_owned(), Some(DATA as u64))])
            );
            assert!(
                s.get(NAME, Some(DATA as u64)).expect(kind) == bytes(DATA),
                "{kind}"
            );
            assert_eq!(s.stat(NAME).expect(kind), Some(Some(DATA as u64)), "{kind}");
            assert_eq!(s.stat("absent").expect(kind), None, "{kind}");
            for (from, len) in [(0, 10), (100_000, 70_000), (DATA as u64 - 3, 9)] {
                let (got, _) = s.span(NAME, from, len).expect(kind);
                let at = usize::try_from(from).expect("small");
                let end = DATA.min(at + usize::try_from(len).expect("small"));
                assert!(got == bytes(DATA)[at..end], "{kind}: {from}");
            }
            s.delete().expect(kind);
            s.delete().expect("missing is gone");
            assert!(s.list().expect(kind).is_empty(), "{kind}");
            assert_eq!(s.retries(), 0, "{kind}, {query}");
        }
    }
}

#[test]
pub(super) fn folders_are_made_and_missed() {
    for query in ["", "aftp-use-cwd-names"] {
        let wire = Ftp::new(|_| ());
        wire.0.unmake();
        let mut s = wire.subject(query);
        assert_eq!(s.list().expect("asked"), ["(no folder)"]);
        s.make().expect("made");
        s.make().expect("there");
        s.put(b"x").expect("stored");
        assert_eq!(s.list().expect("listed"), [NAME], "{query}");
    }
}

#[test]
pub(super) fn downloads_and_uploads_that_break() {
    for (verb, trouble) in [
        ("RETR", Odd::Part(300_000, "426 broken off".to_owned())),
        ("RETR", Odd::Part(300_000, "226 done".to_owned())),
        ("RETR", Odd::Cut(300_000)),
        ("RETR", says("425 no data connection")),
        ("RETR", Odd::Ends("421 good night".to_owned())),
        ("RETR", Odd::Close),
        ("RETR", Odd::After("451 read error".to_owned())),
        ("STOR", Odd::Part(300_000, "426 broken off".to_owned())),
        ("STOR", Odd::Cut(300_000)),
        ("STOR", says("425 no data connection")),
        ("STOR", says("451 try again")),
        ("STOR", Odd::Ends("421 good night".to_owned())),
        ("STOR", Odd::Close),
        ("STOR", Odd::Short(300_000)),
        ("STOR", Odd::Swallow),
        ("EPSV", Odd::Close),
        ("RNFR", Odd::Close),
        ("RNTO", Odd::Close),
        ("TYPE", Odd::Close),
        ("PASS", Odd::Close),
    ] {
        let wire = Ftp::new(|_| ());
        let is_get = verb == "RETR";
        if is_get {
            wire.stored(DATA);
        }
        wire.0.script(verb, "", trouble.clone());
        let mut s = wire.subject("");
        if is_get {
            let got = s.get(NAME, Some(DATA as u64)).expect(verb);
            assert!(got == bytes(DATA), "{verb} {trouble:?}");
        } else {
            s.put(&bytes(DATA)).expect(verb);
            assert!(wire.file(NAME) == Some(bytes(DATA)), "{verb} {trouble:?}");
        }
        assert_eq!((s.retries(), wire.0.left()), (1, 0), "{verb} {trouble:?}");
        // A killed conversation leaves a file of another name at most.
        assert_eq!(s.list().expect("listed"), [NAME]);
    }
}

#[test]
pub(super) fn what_is_gone_on_with_is_not_sent_again() {
    let wire = Ftp::new(|_| ());
    let data = wire.stored(DATA);
    wire.0.script("RETR", "", Odd::Cut(300_000));
    let mut s = wire.subject("");
    assert!(s.get(NAME, Some(DATA as u64)).expect("read") == data);
    let down = s.remote.stats().bytes_down;
    assert!(down < DATA as u64 + 300_000, "{down}");
    assert_eq!(
        wire.0.count("REST"),
        2,
        "one to see that it works, one for the rest"
    );
}

#[test]
pub(super) fn bytes_never_come_to_the_wrong_place() {
    for (from, len) in [(50_000, 1000), (10, 300_000), (300_000, 100_077), (0, 10)] {
        for odd in [Odd::Whole, Odd::Late] {
            // Once it is a good server, and then no more.
            let wire = Ftp::new(|_| ());
            let data = wire.stored(DATA);
            let mut s = wire.subject("");
            let _ = s.span(NAME, 5, 5).expect("read");
            wire.0.script("RETR", "", odd.clone());
            let end = from + len;
            // What stands far from the end of the file, nobody can tell.
            if from > 0 && DATA - end < 60_000 {
                let (got, _) = s.span(NAME, from as u64, len as u64).expect("read");
                assert!(got == data[from..end], "{odd:?} {from}");
                assert_eq!(s.retries(), 1, "{odd:?} {from}");
            }
        }
        let wire = Ftp::new(|m| m.rest = Rest::Ignored);
        let data = wire.stored(DATA);
        let mut s = wire.subject("");
        let (got, passed) = s.span(NAME, from as u64, len as u64).expect("read");
        assert!(got == data[from..from + len] && passed.from_start == (from > 0));
        wire.0.script("RETR", "", Odd::Cut(100_000));
        assert!(s.get(NAME, Some(DATA as u64)).expect("read") == data);
    }
}

#[test]
fn a_conversation_that_ended_while_nothing_was_asked_is_no_failure() {
    for (verb, end) in [
        ("SIZE", Odd::ThenEnds("421 Timeout.".to_owned())),
        ("NOOP", Odd::Close),
    ] {
        let wire = Ftp::new(|_| ());
        wire.stored(10);
        wire.0.script(verb, "", end);
        let mut s = wire.subject("number-of-retries=0");
        for _ in 0..3 {
            assert_eq!(s.stat(NAME).expect("asked"), Some(Some(10)));
        }
        assert!(s.list().expect("listed") == [NAME]);
        assert_eq!(s.retries(), 0);
    }
    // Which shows only when something is asked.
    let wire = Ftp::new(|_| ());
    wire.stored(10);
    let mut s = wire.subject("number-of-retries=0");
    for end in [Odd::Close, Odd::Ends("421 No more.".to_owned())] {
        assert!(s.stat(NAME).is_ok());
        wire.0.script("SIZE", "", end);
        assert_eq!(s.stat(NAME).expect("a new one"), Some(Some(10)));
    }
    // Not twice.
    wire.0.script("SIZE", "", Odd::Close);
    wire.0.script("SIZE", "", Odd::Close);
    fails(s.stat(NAME), Kind::Busy, "closed the connection early");
}

#[test]
pub(super) fn refusals_and_what_they_mean() {
    for (verb, reply, kind, words) in [
        (
            "PASS",
            "530 Login incorrect.",
            Kind::Credentials,
            "user 'user' rejected (Login incorrect.)",
        ),
        ("PASS", "331 Again.", Kind::Credentials, "rejected"),
        ("PASS", "332 Account?", Kind::Credentials, "rejected"),
        (
            "PASS",
            "550 No home.",
            Kind::Credentials,
            "log-in refused (No home.), code 550",
        ),
        (
            "USER",
            "500 What?",
            Kind::Busy,
            "log-in refused (What?), code 500",
        ),
        (
            "PASS",
            "500 OOPS: vsftpd: refusing to run with writable root inside chroot()",
            Kind::Unsupported,
            "allow_writeable_chroot=YES",
        ),
        (
            "PASS",
            "500 OOPS: cannot change directory:/x",
            Kind::Busy,
            "the server failed (OOPS: cannot change directory:/x)",
        ),
        ("PASS", "430 No.", Kind::Credentials, "rejected"),
        (
            "USER",
            "530 Non-anonymous sessions must use encryption.",
            Kind::Credentials,
            "--ftp-encryption-mode=Explicit",
        ),
        ("USER", "421 Too many users.", Kind::Busy, "Too many users"),
        (
            "PASS",
            "530 Sorry, the maximum number of clients",
            Kind::Busy,
            "takes nobody now",
        ),
        ("STOR", "552 Over.", Kind::NoSpace, "no space left"),
        ("STOR", "452 Over.", Kind::NoSpace, "no space left"),
        ("STOR", "550 Disk full, sorry", Kind::NoSpace, "Disk full"),
        (
            "STOR",
            "553 Could not create file.",
            Kind::Credentials,
            "does not allow writing",
        ),
        (
            "STOR",
            "532 Need account.",
            Kind::Credentials,
            "does not allow writing",
        ),
        (
            "STOR",
            "502 Not here.",
            Kind::Unsupported,
            "does not offer writing",
        ),
        ("STOR", "451 Try again.", Kind::Busy, "Try again."),
        (
            "RNFR",
            "550 Permission denied.",
            Kind::Credentials,
            "ftp-no-rename",
        ),
        ("RNTO", "502 Not here.", Kind::Unsupported, "ftp-no-rename"),
        (
            "CWD",
            "530 Not logged in.",
            Kind::Credentials,
            "does not allow listing",
        ),
        ("MLSD", "425 No way.", Kind::Busy, "passive ports"),
    ] {
        let wire = Ftp::new(|_| ());
        wire.stored(10);
        for _ in 0..30 {
            wire.0.says(verb, reply);
        }
        let mut s = wire.subject("");
        let is_list = matches!(verb, "CWD" | "MLSD");
        for other in ["LIST", "LIST"]
            .iter()
            .filter(|_| verb == "MLSD")
            .cycle()
            .take(60)
        {
            wire.0.says(other, reply);
        }
        match is_list {
            true => fails(s.list(), kind, words),
            false => fails(s.put(b"new"), kind, words),
        };
        let final_ones = [Kind::Credentials, Kind::NoSpace, Kind::Unsupported];
        if final_ones.contains(&kind) {
            assert_eq!(s.retries(), 0, "{verb} {reply}");
        }
        wire.0.calm();
        assert_eq!(wire.file(NAME).expect("as it was"), bytes(10));
        assert_eq!(wire.0.names(), [NAME], "{verb} {reply}");
    }
}

#[test]
pub(super) fn what_a_server_says_of_itself_is_no_answer_to_the_command() {
    const OOPS: &str = "500 OOPS: priv_sock_get_cmd";
    for (verb, odd) in [
        ("RETR", Odd::Ends(OOPS.to_owned())),
        ("RETR", Odd::Part(300_000, OOPS.to_owned())),
        ("RETR", Odd::After("502 What?".to_owned())),
        ("RETR", says("500 Unknown command.")),
        ("RETR", says("502 Not here.")),
        ("RETR", says("503 Bad sequence.")),
        ("RETR", says("504 Not here.")),
        ("SIZE", Odd::Ends(OOPS.to_owned())),
        ("STOR", Odd::Ends(OOPS.to_owned())),
        ("STOR", Odd::Part(300_000, OOPS.to_owned())),
        ("STOR", says("500 Unknown command.")),
        ("STOR", Odd::After("500 What?".to_owned())),
        ("RNTO", Odd::Ends(OOPS.to_owned())),
        ("EPSV", Odd::Ends(OOPS.to_owned())),
        ("FEAT", Odd::Ends(OOPS.to_owned())),
        ("TYPE", says("500 What?")),
        ("USER", Odd::Ends("500 OOPS: child died".to_owned())),
        (
            "PASS",
            Odd::Ends("500 OOPS: cannot change directory:/x".to_owned()),
        ),
        ("PASS", says("503 Bad sequence.")),
        ("(start)", Odd::Ends("500 OOPS: socket".to_owned())),
    ] {
        let wire = Ftp::new(|_| ());
        let is_get = !matches!(verb, "STOR" | "RNTO");
        let data = wire.stored(DATA);
        for retries in [0, 1] {
            let mut s = wire.subject(&format!("number-of-retries={retries}"));
            wire.0.script(verb, "", odd.clone());
            let done = match is_get {
                true => s
                    .get(NAME, Some(DATA as u64))
                    .map(|got| assert!(got == data)),
                false => s.put(&data[1..]),
            };
            match retries {
                0 => {
                    assert!(done.is_err(), "{verb} {odd:?}");
                    fails(done, Kind::Busy, "");
                }
                _ => done.expect(verb),
            }
            assert_eq!((s.retries(), wire.0.left()), (retries, 0), "{verb} {odd:?}");
        }
    }
    let wire = Ftp::new(|_| ());
    for retries in [0, 1] {
        wire.0.script("MLSD", "", Odd::Ends(OOPS.to_owned()));
        let mut s = wire.subject(&format!("number-of-retries={retries}"));
        assert_eq!(s.list().is_ok(), retries > 0);
    }
    // What has worked before is known to be there.
    let mut s = wire.subject("");
    s.put(b"one").expect("stored");
    for (verb, reply) in [
        ("STOR", "502 No"),
        ("RNFR", "500 No."),
        ("RNTO", "504 No, no."),
    ] {
        wire.0.says(verb, reply);
        s.put(reply.as_bytes()).expect(reply);
    }
    assert_eq!((s.retries(), wire.0.left()), (3, 0));
}

#[test]
pub(super) fn what_fails_for_a_moment_is_not_missing_and_costs_no_file() {
    for reply in ["450 Busy.", "451 Local error.", "426 Cut.", "425 No way."] {
        let wire = Ftp::new(|_| ());
        wire.stored(10);
        let mut s = wire.subject("");
        for verb in ["SIZE", "DELE", "RNFR", "RNTO", "STOR", "CWD"] {
            wire.0.says(verb, reply);
            assert_eq!(s.stat(NAME).expect(reply), Some(Some(10)), "{verb}");
            s.put(&bytes(10)).expect(reply);
            assert_eq!(wire.file(NAME), Some(bytes(10)), "{verb} {reply}");
            wire.0.calm();
            let taken = format!("DELE /home/user/d/{NAME}");
            assert!(!wire.0.seen().contains(&taken), "{verb} {reply}");
        }
        wire.0.says("DELE", reply);
        s.delete().expect(reply);
        assert_eq!(wire.file(NAME), None);
        // A link is a file when its size can be had.
        wire.0.change(|modes| modes.lists = Lists::Unix);
        wire.stored(10);
        let link = format!("lrwxrwxrwx 1 u g 4 Jan  1 12:00 {NAME} -> x\r\n");
        let mut s = wire.subject("");
        wire.0.script("LIST", "", Odd::Data(link.into_bytes()));
        wire.0.says("SIZE", reply);
        assert_eq!(s.list().expect(reply), [NAME]);
    }
    // It is done, and said to have failed.
    let wire = Ftp::new(|_| ());
    wire.stored(10);
    wire.0.script("RNTO", "", Odd::After("426 Cut.".to_owned()));
    wire.subject("").put(b"new").expect("stored");
    assert_eq!(wire.file(NAME).expect("there"), b"new");
    // Taken, and then not there.
    wire.0
        .script("SIZE", "duplet-tmp", says("550 No such file."));
    let mut s = wire.subject("");
    s.put(b"again").expect("at the second try");
    assert_eq!(s.retries(), 1);
}

#[test]
pub(super) fn writes_that_fail_on_the_server_are_for_want_of_space() {
    for reply in [
        "451 Failure writing to local file.",
        "451-Error during write to file\r\n451-1 MB were sent\r\n451 0.017 seconds (measured here)",
        "451-Disk quota exceeded\r\n451 0.017 seconds (measured here)",
        "552 Exceeded storage allocation.",
        "452 No.",
        "426 Transfer aborted. No space left on device",
    ] {
        let wire = Ftp::new(|_| ());
        wire.0.script("STOR", "", Odd::Part(1000, reply.to_owned()));
        let mut s = wire.subject("");
        let text = fails(s.put(&bytes(DATA)), Kind::NoSpace, "");
        assert_eq!((s.retries(), wire.0.names()), (0, vec![]), "{reply}");
        let reason = reply[4..].split("\r\n").next().expect("a line");
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn listings_that_are_not_whole() {
    let names = ["a", "b", "c"];
    for lists in [Lists::Facts, Lists::Unix, Lists::Dos] {
        let new = || {
            let wire = Ftp::new(|m| m.lists = lists);
            names.iter().for_each(|name| wire.0.store(name, b"1"));
            wire
        };
        let verb = if lists == Lists::Facts {
            "MLSD"
        } else {
            "LIST"
        };
        for odd in [
            Odd::Part(30, "426 broken off".to_owned()),
            Odd::Part(30, "451 read error".to_owned()),
            Odd::Part(30, "226 Directory send OK.".to_owned()),
            Odd::Part(100, "226 Directory send OK.".to_owned()),
            Odd::Cut(30),
            Odd::After("226 Output truncated to 2 matches".to_owned()),
            Odd::Data(b"1 2 3\r\n4 5 6\r\n".to_vec()),
            Odd::Data(vec![b'x'; 20_000]),
        ] {
            let wire = new();
            wire.0.script(verb, "", odd.clone());
            let mut s = wire.subject("number-of-retries=0");
            let e = refused(s.list(), "listing incomplete");
            assert_eq!(wire.0.left(), 0, "{odd:?}: {e}");
            let mut s = wire.subject("");
            wire.0.script(verb, "", odd);
            assert_eq!(s.list().expect("tried again"), names);
        }
        let wire = new();
        wire.0.change(|m| m.limit = 2);
        let e = refused(wire.subject("").list(), "LimitRecursion");
        assert_eq!(e.kind(), Kind::Unsupported);
    }
}

#[test]
pub(super) fn silence_has_an_end() {
    let rows = [
        ("(start)", Odd::Hang),
        ("USER", Odd::Hang),
        ("SIZE", Odd::Endless),
        ("RETR", Odd::Stall(1000)),
    ];
    at_once(rows, |(verb, odd)| {
        let wire = Ftp::new(|_| ());
        let data = wire.stored(100_000);
        wire.0.script(verb, "", odd.clone());
        let mut s = wire.subject("short-timeout=1s&read-write-timeout=1s&number-of-retries=2");
        assert!(s.get(NAME, None).expect("tried again") == data, "{odd:?}");
        assert_eq!((s.retries(), wire.0.left()), (1, 0), "{verb}");
    });
}

/// A first conversation without a greeting may be one in TLS; after a log-in that worked it is a server that hangs.
#[test]
fn implicit_tls_is_thought_of_only_at_first() {
    let wire = Ftp::new(|_| ());
    let mut s = wire.subject("short-timeout=1s&number-of-retries=0");
    wire.0.script("(start)", "", Odd::Hang);
    fails(s.list(), Kind::Busy, "implicit TLS");
    assert!(s.list().expect("well").is_empty());
    for odd in [Odd::Hang, Odd::Close] {
        wire.0.script("MLSD", "", Odd::Close);
        refused(s.list(), "");
        wire.0.script("(start)", "", odd);
        let text = fails(s.list(), Kind::Busy, "127.0.0.1");
        assert!(!text.to_lowercase().contains("implicit"), "{text}");
    }
}

#[test]
fn folders_that_are_files() {
    let wire = Ftp::new(|_| ());
    wire.0.store("file", b"x");
    for below in ["", "/deep/er"] {
        for query in ["", "aftp-use-cwd-names"] {
            let url = wire.url("", &format!("number-of-retries=0&{query}"));
            let url = url.replace("/d?", &format!("/d/file{below}?"));
            let mut s = Subject::open(&url, SECRETS);
            for e in [
                s.list().map(drop),
                s.get(NAME, None).map(drop),
                s.put(b"x"),
                s.make(),
            ] {
                fails(e, Kind::Usage, "/d/file is a file on the server");
            }
        }
    }
}

#[test]
fn names_that_do_not_exist_are_told_at_once() {
    let mut s = Subject::open("aftp://user@a..b/d?retry-delay=0s", SECRETS);
    fails(s.list(), Kind::Busy, "cannot resolve 'a..b'");
    assert_eq!(s.retries(), 1);
}

#[test]
fn where_one_way_to_a_data_connection_fails_the_other_is_tried() {
    for (verb, query, replies) in [
        (
            "EPSV",
            "",
            ["229 ok (|||999999|)", "229 ok", "200 (|||1|)", "500 No."],
        ),
        (
            "PASV",
            "aftp-data-connection-type=PASV",
            ["227 ok", "227 (1,2,3,4,5)", "227 (1,2,3,4,0,0)", "502 No."],
        ),
    ] {
        for reply in replies {
            let wire = Ftp::new(|_| ());
            wire.stored(10);
            wire.0.says(verb, reply);
            let mut s = wire.subject(&format!("number-of-retries=0&{query}"));
            assert!(s.get(NAME, None).expect(reply) == bytes(10));
            assert!(s.get(NAME, None).expect(reply) == bytes(10));
            assert_eq!((wire.0.left(), wire.0.count(verb)), (0, 1), "{reply}");
        }
    }
}

#[test]
fn replies_that_are_none() {
    for (verb, odd, words) in [
        (
            "(start)",
            Odd::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            "no FTP server: 'SSH-2.0",
        ),
        ("(start)", Odd::Raw(vec![b'x'; 70_000]), "no FTP server"),
        (
            "(start)",
            Odd::Raw(b"\x1b[31m\x07\r\n".to_vec()),
            "no FTP server",
        ),
        ("(start)", Odd::Close, "before it said anything"),
        ("SIZE", Odd::Raw(b"garbage\r\n".to_vec()), "not FTP"),
        ("SIZE", Odd::Raw(b"\r\n".to_vec()), "not FTP"),
        ("EPSV", says("229 Entering (|||0|)"), "not FTP"),
        ("EPSV", says("229 Entering"), "not FTP"),
        ("EPSV", says("500 What?"), "not FTP"),
    ] {
        let wire = Ftp::new(|_| ());
        wire.stored(10);
        if verb == "EPSV" {
            wire.0.says("PASV", "227 Entering (127,0,0,1,0,0)");
        }
        wire.0.script(verb, "", odd);
        let mut s = wire.subject("number-of-retries=0");
        let e = refused(s.get(NAME, None), words);
        assert_eq!(
            e.kind() == Kind::Busy,
            verb != "(start)" || words.starts_with("before")
        );
    }
}

#[test]
pub(super) fn tls_of_every_kind() {
    let reuse = |m: &mut Modes| m.reuse = true;
    type Change = fn(&mut Modes);
    let kinds: [(Tls, &str, Change); 7] = [
        (Tls::Explicit, "Explicit", |_| ()),
        (Tls::Offered, "Auto", |_| ()),
        (Tls::Implicit, "Implicit", |_| ()),
        (Tls::Explicit, "Explicit&aftp-ssl-protocols=Tls12", |_| ()),
        (Tls::Explicit, "Explicit", |m| m.only_tls12 = true),
        (Tls::Explicit, "Explicit", |m| m.no_tickets = true),
        (Tls::Explicit, "Explicit", |m| m.lists = Lists::Unix),
    ];
    for (tls, mode, change) in kinds {
        let wire = Ftp::new(|m| {
            m.tls = tls;
            reuse(m);
            change(m);
        });
        let query = format!("aftp-encryption-mode={mode}&ssl-ca-file={CA_FILE}");
        let mut s = wire.subject(&query);
        for _ in 0..4 {
            s.put(&bytes(DATA)).expect(mode);
        }
        assert!(s.get(NAME, Some(DATA as u64)).expect(mode) == bytes(DATA));
        for from in [1, 200_000, 400_000] {
            let at = usize::try_from(from).expect("small");
            assert!(s.span(NAME, from, 77).expect(mode).0 == bytes(DATA)[at..at + 77]);
        }
        assert_eq!(s.list().expect(mode), [NAME]);
        assert_eq!(s.retries(), 0, "{mode}");
        assert!(wire.0.count("PROT") > 0, "{mode}");
    }
}

#[test]
pub(super) fn tls_that_goes_wrong() {
    let new = |query: &str| {
        let wire = Ftp::new(|m| m.tls = Tls::Explicit);
        wire.stored(1000);
        let query = format!("aftp-encryption-mode={query}&number-of-retries=0");
        let s = wire.subject(&query);
        (wire, s)
    };
    let (_wire, mut s) = new("Explicit");
    fails(s.list(), Kind::Tls, "accept-specified-ssl-hash=");
    // A fingerprint that does not fit is no first contact.
    let pin = "0".repeat(64);
    let (_wire, mut s) = new(&format!("Explicit&accept-specified-ssl-hash={pin}"));
    let text = fails(s.list(), Kind::Tls, "it has changed, or this is another");
    assert!(text.contains("somebody may stand in between"), "{text}");
    let (_wire, mut s) = new("None");
    fails(
        s.list(),
        Kind::Credentials,
        "--ftp-encryption-mode=Explicit",
    );
    let ca = format!("Explicit&ssl-ca-file={CA_FILE}");
    // A whole file needs no farewell, a listing does.
    let (wire, mut s) = new(&ca);
    wire.0.script("RETR", "", Odd::Abrupt);
    assert!(s.get(NAME, Some(1000)).expect("whole") == bytes(1000));
    wire.0.script("MLSD", "", Odd::Abrupt);
    refused(s.list(), "listing incomplete");
    for (verb, odd) in [("RETR", Odd::Clear), ("AUTH", says("502 No TLS."))] {
        let (wire, mut s) = new(&ca);
        wire.0.script(verb, "", odd);
        fails(s.get(NAME, None), Kind::Tls, "");
    }
    // Auto goes on in the clear, and never with a bad certificate.
    let (wire, mut s) = new("Auto");
    fails(s.list(), Kind::Tls, "certificate");
    assert_eq!(wire.0.count("USER"), 0);
    let wire = Ftp::new(|_| ());
    let data = wire.stored(1000);
    let mut s = wire.subject("aftp-encryption-mode=Auto&number-of-retries=0");
    assert!(s.get(NAME, None).expect("in the clear") == data);
    let (wire, mut s) = new(&ca);
    wire.0.change(|m| (m.reuse, m.no_tickets) = (true, false));
    wire.0
        .says("STOR", "522 SSL connection failed: session reuse required");
    s.put(b"x").expect("with an older version");
    assert!(wire.0.left() == 0 && s.retries() == 0);
}

#[test]
pub(super) fn uploads_without_renaming() {
    let wire = Ftp::new(|m| m.no_rename = true);
    let mut s = wire.subject("aftp-no-rename&aftp-use-cwd-names");
    s.put(b"one").expect("stored");
    s.put(b"two!").expect("replaced");
    assert!(!s.put_new(b"three").expect("asked"));
    wire.0
        .script("STOR", "", Odd::Part(1, "226 done".to_owned()));
    s.put(b"more").expect("again");
    assert_eq!(wire.file(NAME).expect("there"), b"more");
    assert_eq!((wire.0.count("RNFR"), s.retries()), (0, 1));
}

/// What an upload left that broke with its conversation goes when there is another one, and nothing else does.
#[test]
pub(super) fn own_leftovers_go_with_the_next_conversation() {
    const FOREIGN: &str = "duplet-tmp-0123456789abcdef";
    type Act = fn(&mut Subject);
    let next: [Act; 4] = [
        |s| assert!(s.list().expect("listed").is_empty()),
        |s| assert_eq!(s.stat(NAME).expect("asked"), None),
        |s| s.put(b"again").expect("stored"),
        |s| s.delete().expect("nothing to do"),
    ];
    for act in next {
        for query in ["", "aftp-use-cwd-names"] {
            let wire = Ftp::new(|_| ());
            wire.0.store(FOREIGN, b"another's");
            let mut s = wire.subject(&format!("number-of-retries=0&{query}"));
            wire.0.script("STOR", "", Odd::Cut(1000));
            refused(s.put(&bytes(DATA)), "");
            act(&mut s);
            let mut names = wire.0.names();
            names.retain(|name| name != NAME);
            assert_eq!(names, [FOREIGN]);
        }
    }
}

#[test]
pub(super) fn leftovers_of_killed_runs_go_after_a_day() {
    for lists in [Lists::Facts, Lists::Unix] {
        let wire = Ftp::new(|m| m.lists = lists);
        wire.0.store_aged("duplet-tmp-0123456789abcdef", b"1", 3);
        wire.0.store_aged("duplet-tmp-fedcba9876543210", b"1", 0);
        let mut s = wire.subject("");
        assert!(s.list().expect("listed").is_empty());
        s.put(b"x").expect("stored");
        assert_eq!(wire.0.names(), ["duplet-tmp-fedcba9876543210", NAME]);
    }
}
