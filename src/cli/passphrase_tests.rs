#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use super::*;
use crate::base::opt::Opt;

fn given(rows: &[(&'static Opt, &str)]) -> Options {
    let mut options = Options::default();
    for (opt, value) in rows {
        options.set(opt, value).unwrap();
    }
    options
}

fn from(rows: &[(&'static Opt, &str)]) -> Result<String> {
    let found = resolve(&given(rows), Need::ToRead)?;
    Ok(found.secret.reveal().to_owned())
}

#[test]
fn the_strongest_source_wins() {
    let path = "/proc/self/cmdline";
    assert_eq!(
        from(&[(&PASSPHRASE, " a b "), (&PASSPHRASE_FILE, path)]).unwrap(),
        " a b "
    );
    let shell = [(&PASSPHRASE_COMMAND, "printf 'first é\\r\\nsecond\\n'")];
    assert_eq!(
        from(&shell.map(|(o, v)| (o as &'static Opt, v))).unwrap(),
        "first é"
    );
    let long = "echo x; head -c 300000 /dev/zero";
    assert_eq!(from(&[(&PASSPHRASE_COMMAND, long)]).unwrap(), "x");
}

#[test]
fn what_is_no_passphrase_is_refused() {
    for (rows, want, code) in [
        (
            vec![(&PASSPHRASE, " ")],
            "the passphrase from --passphrase is empty or blank",
            200,
        ),
        (
            vec![(&PASSPHRASE_COMMAND, "true")],
            "the passphrase from --passphrase-command is empty or blank",
            200,
        ),
        (
            vec![(&PASSPHRASE_COMMAND, "exit 3")],
            "it failed with exit status: 3",
            100,
        ),
        (
            vec![(&PASSPHRASE_COMMAND, "printf '\\377'")],
            "not valid UTF-8",
            200,
        ),
        (
            vec![(&PASSPHRASE_FILE, "/dev/null")],
            "the passphrase from --passphrase-file=/dev/null is empty",
            200,
        ),
        (
            vec![(&PASSPHRASE_FILE, "/nonexistent/p")],
            "cannot read the passphrase file /nonexistent/p",
            100,
        ),
    ] {
        let rows: Vec<(&'static Opt, &str)> = rows
            .into_iter()
            .map(|(o, v)| (o as &'static Opt, v))
            .collect();
        let e = from(&rows).unwrap_err();
        assert!(e.to_string().contains(want), "{e}");
        assert_eq!(e.kind().exit_code(), code, "{e}");
    }
    assert!(check(&given(&[(&PASSPHRASE, "  ")]), true).is_err());
    assert!(check(&given(&[]), true).is_ok());
}

#[test]
fn each_source_is_called_by_its_name() {
    let file = "--passphrase-file=/proc/self/cmdline";
    let both = given(&[(&PASSPHRASE, "x"), (&PASSPHRASE_FILE, "/proc/self/cmdline")]);
    for (options, want) in [
        (given(&[(&PASSPHRASE, "x")]), "--passphrase"),
        (both, "--passphrase"),
        (given(&[(&PASSPHRASE_FILE, "/proc/self/cmdline")]), file),
        (
            given(&[(&PASSPHRASE_COMMAND, "echo x")]),
            "--passphrase-command",
        ),
    ] {
        assert_eq!(whence(&options).as_deref(), Some(want));
        let found = resolve(&options, Need::ToRead).unwrap();
        assert_eq!(found.whence, want);
    }
    for (origin, want) in [
        (
            Origin::ParametersFile,
            "--passphrase in the parameters file",
        ),
        (Origin::Url, "passphrase= in the destination URL"),
    ] {
        let mut options = given(&[(&PASSPHRASE, "weaker")]);
        options.set_from(&PASSPHRASE, "x", origin).unwrap();
        let found = resolve(&options, Need::ToRead).unwrap();
        assert_eq!((found.secret.reveal(), found.whence.as_str()), ("x", want));
    }
}

#[test]
fn first_lines() {
    for (text, want) in [
        (&b"a b\r\nc"[..], &b"a b"[..]),
        (b"a", b"a"),
        (b"", b""),
        (b"\xef\xbb\xbfa \n", b"a "),
    ] {
        assert_eq!(first_line(text).unwrap(), want);
    }
}

#[test]
fn without_any_source_the_ways_are_named() {
    for (need, code) in [(Need::ToCreate, 200), (Need::ToRead, 100)] {
        let e = absent(need);
        assert!(e.to_string().contains("--passphrase-file"));
        assert_eq!(e.kind().exit_code(), code);
    }
    assert!(
        absent(Need::ToCreate)
            .to_string()
            .contains("--no-encryption")
    );
}
