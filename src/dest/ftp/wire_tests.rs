//! Replies and listings as servers write them, and as they must not be.

use super::*;

fn reply(text: &str) -> Result<Option<(u16, String)>, Garbled> {
    let mut replies = Replies::default();
    for line in text.split('\n') {
        if replies.push(line)? {
            let reply = replies.take();
            return Ok(Some((reply.code, reply.message().to_owned())));
        }
    }
    Ok(None)
}

#[test]
fn replies() {
    let good = |code: u16, text: &str| Ok(Some((code, text.to_owned())));
    for (text, want) in [
        ("220 hello", good(220, "hello")),
        ("220", good(220, "")),
        ("220 ", good(220, "")),
        ("230-a\n230 b", good(230, "b")),
        ("230-a\n 230 no\n231 no\n230-no\n230 b", good(230, "b")),
        ("211-Features:\n MDTM\n211 End", good(211, "End")),
        ("230-a\n230 ", good(230, "a")),
        ("230-a\n230", good(230, "a")),
        ("230-a\nb", Ok(None)),
        ("", Err(Garbled)),
        ("22 x", Err(Garbled)),
        ("220x", Err(Garbled)),
        ("000 x", Err(Garbled)),
        ("999 x", Err(Garbled)),
        ("SSH-2.0-OpenSSH_9.2", Err(Garbled)),
        ("HTTP/1.1 400 Bad Request", Err(Garbled)),
        ("\u{e9}\u{e9} x", Err(Garbled)),
    ] {
        assert_eq!(reply(text), want, "{text}");
    }
    let mut replies = Replies::default();
    assert_eq!(replies.push("230-x"), Ok(false));
    let long = "y".repeat(1023);
    let done = (0..64).try_for_each(|_| replies.push(&long).map(drop));
    assert_eq!(done, Err(Garbled), "longer than it may be");
}

#[test]
fn features_and_words() {
    let mut replies = Replies::default();
    for line in [
        "211-Extensions supported:",
        " MLST type*;size*;",
        "211 End.",
    ] {
        let _ = replies.push(line).expect("good");
    }
    let reply = replies.take();
    assert!(reply.is_good() && reply.says(&["mlst"]) && !reply.says(&["utf8"]));
}

#[test]
fn ports() {
    for (text, want) in [
        ("Entering Extended Passive Mode (|||6446|)", Some(6446)),
        ("ok (!!!1!)", Some(1)),
        ("(|1|10.0.0.1|99|)", Some(99)),
        ("(|||0|)", None),
        ("(|||65536|)", None),
        ("(|||80)", None),
        ("(80)", None),
        ("()", None),
        ("|||80|", None),
        ("(||||)", None),
    ] {
        assert_eq!(epsv_port(text), want, "{text}");
    }
    for (text, want) in [
        ("Entering Passive Mode (192,168,1,2,4,1)", Some(1025)),
        ("Entering Passive Mode (192,168,1,2,4,1).", Some(1025)),
        ("Entering Passive Mode. 127,0,0,1,0,21", Some(21)),
        ("=10,0,0,1,255,255", Some(65535)),
        ("(1,2,3,4,0,0)", None),
        ("(1,2,3,4,256,1)", None),
        ("(1,2,3,4,5)", None),
        ("(1,2,3,4,5,6,7)", None),
        ("(1,2,3,4,,6)", None),
        ("", None),
    ] {
        assert_eq!(pasv_port(text), want, "{text}");
    }
}

#[test]
fn folders_and_times() {
    for (text, want) in [
        ("\"/home/u\" is the current directory", Some("/home/u")),
        ("\"/a \"\"b\"\"\" is it", Some("/a \"b\"")),
        ("\"\"", Some("")),
        ("/home/u", None),
        ("\"/home", None),
    ] {
        assert_eq!(quoted(text).as_deref(), want, "{text}");
    }
    for (text, want) in [
        ("19700101000001", Some(1)),
        ("20240131123456.789", Some(1_706_704_496)),
        ("20241331123456", None),
        ("2024", None),
        ("2024013112345\u{e9}", None),
    ] {
        assert_eq!(time(text), want, "{text}");
    }
}

fn line(name: &str, what: What, size: Option<u64>) -> Option<Line> {
    Some(Line {
        name: name.to_owned(),
        what,
        size,
        modified: None,
    })
}

#[test]
fn lines_of_facts() {
    let time = Some(1_706_704_496);
    let dated = |l: Option<Line>| {
        l.map(|l| Line {
            modified: time,
            ..l
        })
    };
    for (text, want) in [
        (
            "type=file;size=12;modify=20240131123456; a b ",
            dated(line("a b ", What::File, Some(12))),
        ),
        (
            "Type=FILE;Size=12;Modify=20240131123456.5;UNIX.mode=0644; x",
            dated(line("x", What::File, Some(12))),
        ),
        ("type=dir;sizd=4096; d", line("d", What::Folder, None)),
        ("type=cdir; .", line(".", What::Other, None)),
        (
            "type=OS.unix=slink:/x;size=3; l",
            line("l", What::Link, Some(3)),
        ),
        ("type=OS.unix=symlink; l", line("l", What::Link, None)),
        (
            "type=OS.unix=chr-1/3; null",
            line("null", What::Other, None),
        ),
        (
            "type=file;size=99999999999999999999; x",
            line("x", What::File, None),
        ),
        ("size=1;  x", line(" x", What::File, Some(1))),
        ("type=file; a;b=c d", line("a;b=c d", What::File, None)),
        ("type=file;size=1 x", None),
        ("type=file;", None),
        ("type=file; ", None),
        ("nonsense; x", None),
        ("-rw-r--r-- 1 u g 12 Jan 31 12:34 x", None),
        ("", None),
    ] {
        assert_eq!(facts(text), want, "{text}");
    }
}

#[test]
fn lines_of_listings() {
    use What::{File, Folder, Link, Other};
    for (text, want) in [
        (
            "-rw-r--r--    1 1000     1000           12 Jan 31 12:34 a  b ",
            line("a  b ", File, Some(12)),
        ),
        (
            "-rw-r--r-- 1 u g 12 Jan  1  2024 x",
            line("x", File, Some(12)),
        ),
        (
            "-rw-r--r--+ 1 u g 12 Jan 31 12:34 x",
            line("x", File, Some(12)),
        ),
        (
            "-rw-r--r--. 1 u 12 Jan 31 12:34 no group",
            line("no group", File, Some(12)),
        ),
        (
            "-rw-r--r-- 1 u g 12 Jan 31 12:34  led",
            line(" led", File, Some(12)),
        ),
        (
            "-rw-r--r-- 1 u g 12 Jan 31 12:34 7 Feb 3 11:11 y",
            line("7 Feb 3 11:11 y", File, Some(12)),
        ),
        (
            "-rw-r--r-- 1 may 5 12 JAN 31 12:34 x",
            line("x", File, Some(12)),
        ),
        (
            "-rw-r--r-- 1 u domain users 12 Jan 31 12:34 x",
            line("x", File, Some(12)),
        ),
        (
            "-rw-r--r-- 1 u g 12 2024-01-31 12:34 x",
            line("x", File, Some(12)),
        ),
        (
            "drwxr-xr-x 2 u g 4096 Jan 31 12:34 d",
            line("d", Folder, None),
        ),
        (
            "lrwxrwxrwx 1 u g 3 Jan 31 12:34 l -> a -> b",
            line("l", Link, None),
        ),
        (
            "crw-rw-rw- 1 u g 1, 3 Jan 31 12:34 null",
            line("null", Other, None),
        ),
        ("srw-rw-rw- 1 u g 0 Jan 31 12:34 s", line("s", Other, None)),
        (
            "01-31-24  12:34PM       <DIR>          a b",
            line("a b", Folder, None),
        ),
        (
            "01-31-2024  12:34             1,234 c  d",
            line("c  d", File, Some(1234)),
        ),
        (
            "01-31-24  12:34AM                 1 x",
            line("x", File, Some(1)),
        ),
        (
            "01-31-24  12:34AM    <JUNCTION>     j",
            line("j", Other, None),
        ),
        ("01-31-24  12:34AM    <DIR>", None),
        ("01-31-24  12:34AM    big x", None),
        ("total 12", None),
        ("-rw-r--r-- 1 u g 12 Jan 31 12:34", None),
        ("-rw-r--r-- 1 u g big Jan 31 12:34 x", None),
        ("-rw 1 u g 12 Jan 31 12:34 x", None),
        ("+i8388621.48594,m825718503,r,s280,\tx", None),
        ("X.TXT;1 1/3 31-JAN-2024 12:34", None),
        ("", None),
        ("\u{e9}", None),
    ] {
        assert_eq!(listed(text), want, "{text}");
    }
}
