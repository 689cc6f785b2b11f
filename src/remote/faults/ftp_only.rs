//! What only FTP can do wrong: two connections, replies and listings in many forms, ports that lead nowhere, TLS that has to go on
//! from one connection to the next, files that begin elsewhere than they were told to.

use super::faulty_ftp::{Lists, Rest, Trouble as Odd};
use super::ftp::Ftp;
use super::*;

const DATA: usize = 400_077;

/// What goes wrong, by name.
fn says(reply: &str) -> Odd {
    Odd::Says(reply.to_owned())
}

#[test]
fn servers_of_every_kind() {
    type Change = fn(&mut super::faulty_ftp::Modes);
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
fn folders_are_made_and_missed() {
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
fn downloads_and_uploads_that_break() {
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
