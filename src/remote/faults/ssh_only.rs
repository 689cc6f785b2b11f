//! What only SFTP can do wrong: a child that ends, hangs or talks, replies in any order or of any size, one code for all failures.

use super::ssh::Sftp;
use super::*;

const DATA: usize = 3 * MIB + 77;

#[test]
pub(super) fn children_that_end_in_mid_transfer() {
    for trouble in [
        "die",
        "kill",
        "exit 3",
        "cut",
        "garbage",
        "huge",
        "wrong-id",
        "wrong-kind",
    ] {
        let wire = Sftp::new("");
        let mut s = wire.subject("");
        wire.script(&format!("write 40 {trouble}\n"));
        s.put(&bytes(DATA)).expect(trouble);
        assert!(wire.file(NAME) == Some(bytes(DATA)), "{trouble}");
        assert_eq!((s.retries(), wire.left().as_str()), (1, ""), "{trouble}");

        wire.script(&format!("read 40 {trouble}\n"));
        let got = s.get(NAME, Some(DATA as u64)).expect(trouble);
        assert!(got == bytes(DATA), "{trouble}");
        assert_eq!((s.retries(), wire.left().as_str()), (2, ""), "{trouble}");
        // What is gone on with is not asked for again.
        if trouble == "die" {
            let least = DATA / (32 << 10);
            assert!((least..least + 80).contains(&wire.count("read")));
        }
    }
}

#[test]
pub(super) fn a_child_that_is_gone_while_nothing_is_asked_is_no_failure() {
    let wire = Sftp::new("");
    let mut s = wire.subject("number-of-retries=0");
    s.put(b"one").expect("stored");
    for kind in ["rename", "extended", "close"] {
        // It ends with its last reply.
        wire.script(&format!("{kind} 9 die\n"));
        let _ = s.get(NAME, None).expect("read");
    }
    wire.script("close 1 error gone away\n");
    let _ = s.get(NAME, None);
    assert_eq!(s.get(NAME, None).expect("a new child"), b"one");
}

#[test]
pub(super) fn every_request_of_an_upload_can_break_or_be_refused() {
    for kind in ["open", "write", "extended", "close", "stat"] {
        let wire = Sftp::new("");
        let mut s = wire.subject("");
        wire.script(&format!("{kind} 1 die\n"));
        s.put(b"some bytes").expect(kind);
        assert_eq!(wire.file(NAME).expect("there"), b"some bytes", "{kind}");
        assert_eq!(wire.names(), [NAME], "{kind}: no temporary file stays");
        let words = "status 3:Permission denied";
        wire.script(&format!("{kind} 1 {words}\n"));
        let text = fails(
            s.put(b"other bytes"),
            Kind::Credentials,
            "does not allow writing",
        );
        assert!(text.contains("Permission denied"), "{kind}: {text}");
        assert_eq!(wire.file(NAME).expect("as it was"), b"some bytes", "{kind}");
        assert_eq!(wire.names(), [NAME], "{kind}");
        assert!(s.list().expect("listed") == [NAME], "{kind}");
    }
}

/// The end of an upload is one way to the server and back, whatever order it takes the requests in.
#[test]
pub(super) fn a_server_may_look_before_it_has_closed() {
    let wire = Sftp::new("");
    let mut s = wire.subject("number-of-retries=0");
    wire.script("stat 1 early\n");
    s.put(b"some bytes").expect("looked at again");
    assert_eq!(wire.file(NAME).expect("there"), b"some bytes");
    wire.script("stat 1 early\nstat 1 early\n");
    refused(s.put(b"other bytes"), "0 bytes were stored instead of 11");
    assert_eq!(wire.file(NAME).expect("as it was"), b"some bytes");
    assert_eq!(wire.names(), [NAME], "no temporary file stays");
}

/// What an upload left that broke with its conversation goes when there is another one, and nothing else does.
#[test]
pub(super) fn own_leftovers_go_with_the_next_conversation() {
    const FOREIGN: &str = ".duplet-tmp-0123456789abcdef";
    type Act = fn(&mut Subject);
    let next: [Act; 4] = [
        |s| assert!(s.list().expect("listed").is_empty()),
        |s| assert_eq!(s.stat(NAME).expect("asked"), None),
        |s| s.put(b"again").expect("stored"),
        |s| s.delete().expect("nothing to do"),
    ];
    for act in next {
        let wire = Sftp::new("");
        wire.store(FOREIGN, b"another's");
        let mut s = wire.subject("number-of-retries=0");
        for trouble in ["kill", "die"] {
            wire.script(&format!("write 3 {trouble}\n"));
            refused(s.put(&bytes(DATA)), "");
        }
        act(&mut s);
        let mut names = wire.names();
        names.retain(|name| name != NAME);
        assert_eq!(names, [FOREIGN]);
    }
    // One that cannot be removed is tried a few times only.
    let wire = Sftp::new("");
    let mut s = wire.subject("number-of-retries=0");
    wire.script(&format!("write 3 die\n{}", "remove 1 status 3\n".repeat(3)));
    refused(s.put(&bytes(DATA)), "");
    for _ in 0..5 {
        s.put(b"again").expect("stored");
    }
    assert_eq!(wire.count("remove"), 3);
}

#[test]
pub(super) fn a_full_disk_is_final_and_leaves_nothing() {
    for (mode, line, words) in [
        ("", "write 5 full", "no space left on the server"),
        ("", "write 1 full", "no space left on the server"),
        (
            "plain",
            "write 5 status 4:No space left on device",
            "no space left",
        ),
        (
            "plain",
            "close 1 status 14:Quota exceeded",
            "Quota exceeded",
        ),
        (
            "",
            "extended 1 status 4:disk quota exceeded",
            "no space left",
        ),
    ] {
        let wire = Sftp::new(mode);
        wire.script(&format!("{line}\n"));
        let mut s = wire.subject("");
        let text = fails(s.put(&bytes(MIB)), Kind::NoSpace, words);
        assert_eq!((wire.names(), s.retries()), (vec![], 0), "{line}: {text}");
    }
    // Nobody says that it is full.
    let wire = Sftp::new("plain");
    wire.script("write 5 bare 4\n");
    let mut s = wire.subject("number-of-retries=0");
    let text = fails(s.put(&bytes(MIB)), Kind::Unsupported, "could not store");
    assert!(text.contains("free space"), "{text}");
    assert_eq!(wire.names(), [""; 0]);
}

#[test]
pub(super) fn replies_in_any_order_and_of_any_length() {
    let modes = [
        "shuffle",
        "short",
        "shuffle short plain",
        "small",
        "small shuffle",
        "no-size short",
        "more-attrs",
        "no-attrs",
    ];
    at_once(modes, |mode| {
        let wire = Sftp::new(mode);
        let mut s = wire.subject("number-of-retries=0");
        let data = bytes(700_001);
        s.put(&data).expect(mode);
        assert!(wire.file(NAME).as_ref() == Some(&data), "{mode}");
        assert!(
            s.get(NAME, Some(data.len() as u64)).expect(mode) == data,
            "{mode}"
        );
        let (part, _) = s.span(NAME, 1000, 300_000).expect(mode);
        assert!(part == data[1000..301_000], "{mode}");
        for i in 0..250 {
            wire.store(&format!("file-{i}"), b"x");
        }
        let found = s.entries().expect(mode).expect("there");
        assert_eq!(found.len(), 251, "{mode}");
        let known = !mode.contains("no-");
        let sizes = found.iter().all(|(_, size)| size.is_some());
        assert_eq!(sizes, known, "{mode}");
        s.put(b"again").expect(mode);
        assert_eq!(wire.file(NAME).expect("there"), b"again", "{mode}");
    });
}

#[test]
pub(super) fn replies_that_cannot_be() {
    let lines = [
        "read 1 empty",
        "read 1 more",
        "read 1 wrong-id",
        "open 1 wrong-kind",
        "open 1 garbage",
        "fstat 1 wrong-id",
        "read 2 huge",
    ];
    at_once(lines, |line| {
        let wire = Sftp::new("");
        wire.store(NAME, &bytes(100_000));
        let mut s = wire.subject("number-of-retries=1&short-timeout=1s");
        wire.script(&format!("{line}\n"));
        assert!(
            s.get(NAME, None).expect("a second time") == bytes(100_000),
            "{line}"
        );
        let mut s = wire.subject("number-of-retries=0&short-timeout=1s");
        wire.script(&format!("{line}\n"));
        let text = refused(s.get(NAME, None).map(drop), "").to_string();
        assert!(
            ["no SFTP", "not answered", "failed on the server"]
                .iter()
                .any(|words| text.contains(words)),
            "{line}: {text}"
        );
    });
}

#[test]
pub(super) fn a_child_that_says_nothing_is_ended() {
    let query = "short-timeout=1s&read-write-timeout=1s&number-of-retries=1";
    at_once(["start", "open", "read", "fstat"], |kind| {
        let wire = Sftp::new("");
        wire.store(NAME, &bytes(100_000));
        let mut s = wire.subject(query);
        if kind != "start" {
            assert!(s.get(NAME, None).expect(kind) == bytes(100_000), "{kind}");
        }
        wire.script(&format!("{kind} 1 hang\n"));
        assert!(s.get(NAME, None).expect(kind) == bytes(100_000), "{kind}");
        assert_eq!((s.retries(), wire.left().as_str()), (1, ""), "{kind}");
        if kind == "open" {
            wire.script("open 1 hang\nopen 1 hang\n");
            fails(s.get(NAME, None), Kind::Busy, "has not answered for 1s");
        }
    });
}

#[test]
fn listings_that_break_off_are_never_whole() {
    let wire = Sftp::new("");
    for i in 0..250 {
        wire.store(&format!("file-{i}"), b"x");
    }
    for trouble in [
        "die",
        "status 4",
        "status 3",
        "bare 4",
        "garbage",
        "cut",
        "wrong-kind",
        "huge",
    ] {
        let mut s = wire.subject("number-of-retries=0");
        wire.script(&format!("readdir 2 {trouble}\n"));
        assert!(s.entries().is_err(), "{trouble}");
        assert_eq!(wire.left(), "", "{trouble}");
        assert_eq!(s.entries().expect("well again").expect("there").len(), 250);
    }
    let mut s = wire.subject("list-timeout=1s");
    wire.script("readdir 1 drip\n");
    let text = fails(s.entries(), Kind::Unsupported, "listing incomplete");
    assert!(
        text.contains("within 1s") && text.contains("--list-timeout"),
        "{text}"
    );
}

#[test]
fn text_in_place_of_sftp() {
    for (line, words) in [
        (
            "start 1 say Welcome to the NAS!\\n",
            "'Welcome to the NAS!'",
        ),
        ("start 1 say \\nlast login: today\\n", "'last login: today'"),
        (
            "start 1 say This service allows sftp connections only.\\n",
            "connections only",
        ),
        ("start 1 error sh: sftp-server: not found", "offers no SFTP"),
        (
            "start 1 error subsystem request failed on channel 0",
            "offers no SFTP",
        ),
        ("start 1 exit 1", "has ended with code 1"),
        ("start 1 kill", "killed by signal 9"),
        ("init 1 garbage", "no SFTP"),
    ] {
        let wire = Sftp::new("");
        wire.script(&format!("{line}\n{line}\n"));
        let mut s = wire.subject("number-of-retries=0");
        let e = refused(s.list(), words);
        assert!(
            e.to_string().contains("login script") || !line.contains("say"),
            "{e}"
        );
    }
    let wire = Sftp::new("version2");
    fails(wire.subject("").list(), Kind::Unsupported, "version 2");
}

#[test]
fn what_ssh_says_becomes_a_cause() {
    for (said, kind, words, hint) in [
        (
            "u@h: Permission denied (publickey,password).",
            Kind::Credentials,
            "rejected user name or password",
            "keys only",
        ),
        (
            "Host key verification failed.",
            Kind::Tls,
            "not known",
            "ssh-fingerprint",
        ),
        (
            "No ED25519 host key is known for h and you have requested strict checking.\\nHost key verification failed.",
            Kind::Tls,
            "not known",
            "connect once by hand",
        ),
        (
            "@@@\\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\\n@@@\\nHost key verification failed.",
            Kind::Tls,
            "not the one that this machine knows",
            "ssh-keygen -R",
        ),
        (
            "ssh: Could not resolve hostname h: Name or service not known",
            Kind::Busy,
            "cannot be resolved",
            "check the host",
        ),
        (
            "ssh: connect to host h port 22: Connection refused",
            Kind::Busy,
            "refuses connections",
            "",
        ),
        (
            "ssh: connect to host h port 22: Connection timed out",
            Kind::Busy,
            "does not answer",
            "",
        ),
        (
            "ssh: connect to host h port 22: No route to host",
            Kind::Busy,
            "no way leads",
            "",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host",
            Kind::Busy,
            "ended the connection",
            "",
        ),
        (
            "Unable to negotiate with h port 22: no matching host key type found. Their offer: ssh-rsa",
            Kind::Tls,
            "Their offer: ssh-rsa",
            "HostKeyAlgorithms",
        ),
        (
            "Unable to negotiate with h port 22: no matching key exchange method found. Their offer: x",
            Kind::Tls,
            "in common",
            "KexAlgorithms",
        ),
        (
            "@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\\nu@h: Permission denied (publickey).",
            Kind::Usage,
            "others can read",
            "chmod 600",
        ),
        (
            "Warning: Identity file /k not accessible: No such file or directory.\\nu@h: Permission denied (publickey).",
            Kind::Usage,
            "no such key file",
            "ssh-keyfile",
        ),
        (
            "Load key \\\"/k\\\": incorrect passphrase supplied to decrypt private key\\nu@h: Permission denied (publickey).",
            Kind::Credentials,
            "passphrase of the private key",
            "auth-password",
        ),
        (
            "Received disconnect from h port 22:2: Too many authentication failures",
            Kind::Credentials,
            "no more attempts",
            "ssh-keyfile",
        ),
        (
            "command-line: line 0: Bad configuration option: foo",
            Kind::Usage,
            "Bad configuration option: foo",
            "ssh-options",
        ),
        (
            "dbclient: Host key mismatch for h !",
            Kind::Tls,
            "not the one",
            "known_hosts",
        ),
        (
            "Host 'h' is not in the trusted hosts file.\\ndbclient: Connection to u@h:22 exited: Didn't validate host key",
            Kind::Tls,
            "not known",
            "by hand",
        ),
        (
            "dbclient: Connection to u@h:22 exited: No auth methods could be used.",
            Kind::Credentials,
            "rejected",
            "",
        ),
        (
            "dbclient: Connection to u@h:22 exited: Connect failed: Connection refused",
            Kind::Busy,
            "refuses",
            "",
        ),
        (
            "dbclient: Connection to u@h:22 exited: String too long",
            Kind::Usage,
            "cannot read this private key",
            "dropbearconvert",
        ),
        (
            "something nobody has heard of",
            Kind::Busy,
            "something nobody has heard of",
            "",
        ),
    ] {
        let wire = Sftp::new("");
        wire.script(&format!("start 1 error {said}\nstart 1 error {said}\n"));
        let mut s = wire.subject("number-of-retries=0");
        let text = fails(s.list(), kind, words);
        assert!(text.contains(hint), "{said}: {text}");
        assert_eq!(wire.left().lines().count(), 1, "asked once: {said}");
    }
}

/// A name that does not exist is told at once; a name server that does not answer may do so later.
#[test]
fn names_that_cannot_be_resolved() {
    for (said, retries) in [
        (
            "ssh: Could not resolve hostname h: Name or service not known",
            1,
        ),
        (
            "ssh: Could not resolve hostname h: Name does not resolve",
            1,
        ),
        (
            "dbclient: Connection to u@h:22 exited: Error resolving 'h' port '22'. Name or service not known",
            1,
        ),
        (
            "ssh: Could not resolve hostname h: Temporary failure in name resolution",
            5,
        ),
        ("ssh: Could not resolve hostname h: Try again", 5),
    ] {
        let wire = Sftp::new("");
        wire.script(&format!("start 1 error {said}\n").repeat(10));
        let mut s = wire.subject("");
        fails(s.list(), Kind::Busy, "cannot be resolved");
        assert_eq!(s.retries(), retries, "{said}");
    }
}

#[test]
fn folders_that_are_files_closed_or_strange() {
    let wire = Sftp::new("");
    std::fs::remove_dir(wire.path("")).expect("gone");
    std::fs::write(wire.path("").with_file_name("d"), b"x").expect("a file");
    let mut s = wire.subject("number-of-retries=0");
    fails(s.list(), Kind::Usage, "is a file on the server");
    fails(s.make(), Kind::Usage, "is a file on the server");
    refused(s.put(b"x"), "");
    // Servers say of what is a file, or lies below one, that there is no such folder.
    let wire = Sftp::new("");
    wire.store("file", b"x");
    for below in ["", "/deep/er"] {
        let url = wire.url("", "number-of-retries=0");
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

    let wire = Sftp::new("");
    let mut s = wire.subject("");
    wire.script("opendir 1 status 3:Permission denied\n");
    fails(s.list(), Kind::Credentials, "does not allow listing");
    // Above it lies what this user must not see.
    wire.unmake();
    wire.script("stat 2 status 3\nstat 1 status 3\nmkdir 1 status 3\n");
    s.make().expect("made");
    assert!(wire.path("").is_dir());
    wire.unmake();
    wire.script("mkdir 1 status 4\nmkdir 1 status 4\n");
    fails(
        wire.subject("number-of-retries=0").make(),
        Kind::Unsupported,
        "making the folder",
    );
}

#[test]
fn links_folders_pipes_and_leftovers_in_a_listing() {
    use std::os::unix::fs::symlink;
    for mode in ["", "shuffle"] {
        let wire = Sftp::new(mode);
        wire.store("file", b"12345");
        symlink("file", wire.path("link")).expect("a link");
        symlink("nowhere", wire.path("dangling")).expect("a link");
        std::fs::create_dir(wire.path("folder")).expect("a folder");
        symlink("folder", wire.path("link-to-folder")).expect("a link");
        wire.store(".duplet-tmp-0123456789abcdef", b"young");
        wire.store(".duplet-tmp-fedcba9876543210", b"old");
        let old = std::fs::File::options()
            .append(true)
            .open(wire.path(".duplet-tmp-fedcba9876543210"));
        old.and_then(|f| f.set_modified(std::time::UNIX_EPOCH))
            .expect("old");
        let mut s = wire.subject("");
        let mut found = s.entries().expect("listed").expect("there");
        found.sort();
        let file = |name: &str| (name.to_owned(), Some(5));
        assert_eq!(
            found,
            [file("file"), file("link")],
            "folders are not files of a backup"
        );
        s.put(b"x").expect("stored");
        let names = wire.names();
        assert!(names.contains(&".duplet-tmp-0123456789abcdef".to_owned()));
        assert!(!names.contains(&".duplet-tmp-fedcba9876543210".to_owned()));
    }
}

#[test]
pub(super) fn servers_that_cannot_replace() {
    let wire = Sftp::new("plain");
    let mut s = wire.subject("number-of-retries=0");
    for data in [&b"one"[..], b"two", b"three"] {
        s.put(data).expect("replaced");
        assert_eq!(wire.file(NAME).expect("there"), data);
    }
    assert_eq!(wire.count("remove"), 2);
    assert!(!s.put_new(b"four").expect("settled"));
    assert_eq!(wire.file(NAME).expect("there"), b"three");
    // It says that it can, and then cannot.
    let wire = Sftp::new("");
    let mut s = wire.subject("number-of-retries=0");
    wire.script("extended 2 status 8\n");
    s.put(b"one").expect("stored");
    s.put(b"two").expect("replaced");
    assert_eq!(wire.file(NAME).expect("there"), b"two");
}

#[test]
pub(super) fn lost_replies_are_no_second_file() {
    let wire = Sftp::new("");
    let mut s = wire.subject("");
    wire.script("rename 1 die\n");
    assert!(s.put_new(b"mine").expect("found by looking"));
    assert_eq!(wire.names(), [NAME]);
    wire.script("extended 2 die\n");
    s.put(b"replaced").expect("found or stored again");
    assert_eq!(wire.file(NAME).expect("there"), b"replaced");
    assert_eq!(wire.names(), [NAME]);
}

#[test]
fn deleting_what_is_gone_marked_or_kept() {
    let wire = Sftp::new("");
    let mut s = wire.subject("number-of-retries=0");
    s.delete().expect("nothing to do");
    wire.store(NAME, b"x");
    wire.script("remove 1 status 3\n");
    s.delete().expect("at the second try");
    assert_eq!(wire.file(NAME), None);
    wire.script("remove 1 status 4\n");
    s.delete().expect("it is not there");
    wire.store(NAME, b"x");
    wire.script("remove 1 status 3\nremove 1 status 3:no\n");
    fails(s.delete(), Kind::Credentials, "does not allow deleting");
}
