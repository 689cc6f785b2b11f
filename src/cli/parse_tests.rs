#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use super::*;
use std::os::unix::ffi::OsStringExt;

fn args(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn values(line: &Line) -> Vec<String> {
    line.values
        .iter()
        .map(|(o, v)| format!("{}={v}", o.name))
        .collect()
}

#[test]
fn words_and_options_stand_anywhere() {
    for (given, words, options) in [
        (
            vec!["list", "u", "--json"],
            vec!["list", "u"],
            vec!["json="],
        ),
        (vec!["--JSON", "list"], vec!["list"], vec!["json="]),
        (
            vec!["a", "-", "-v", "-q"],
            vec!["a", "-"],
            vec!["verbose=", "quiet-console="],
        ),
        (vec!["a", "-vv"], vec!["a"], vec!["very-verbose="]),
        (
            vec!["a", "--", "--json", "-x"],
            vec!["a", "--json", "-x"],
            vec![],
        ),
        (
            vec!["--remote-volume-size=\"1gb\""],
            vec![],
            vec!["dblock-size=1gb"],
        ),
        (
            vec!["--passphrase=\"", "--passphrase=a=b"],
            vec![],
            vec!["passphrase=\"", "passphrase=a=b"],
        ),
        (
            vec!["--exclude=1", "--include=2", "--exclude=3"],
            vec![],
            vec!["exclude=1", "include=2", "exclude=3"],
        ),
        (
            vec!["--full-remote-verification"],
            vec![],
            vec!["full-remote-verification=True"],
        ),
        (
            vec!["--no-local-db", "--keep-versions=0", "--vss-x=off"],
            vec![],
            vec![],
        ),
    ] {
        let line = read(&args(&given)).unwrap();
        assert_eq!(line.words, words, "{given:?}");
        assert_eq!(values(&line), options, "{given:?}");
    }
    let line = read(&args(&["--no-local-db", "--keep-versions=0"])).unwrap();
    assert_eq!(line.notes.len(), 2);
}

#[test]
fn mistakes_are_named() {
    for (given, message) in [
        (
            "--dblok-size=1",
            "unknown option --dblok-size (did you mean --dblock-size?)",
        ),
        (
            "--zzzzzzzz",
            "unknown option --zzzzzzzz (see 'duplet help options')",
        ),
        (
            "-passphrase=x",
            "unknown option -passphrase (with two dashes: --passphrase)",
        ),
        (
            "--passphrase",
            "--passphrase needs a value: --passphrase=TEXT",
        ),
        (
            "--passphrase = hunter2",
            "--passphrase = stands with a blank before its = (without blanks: --passphrase=VALUE)",
        ),
        (
            "--Dblock-Size\t=50mb",
            "--dblock-size = stands with a blank before its = (without blanks: --dblock-size=VALUE)",
        ),
        (
            "--target=/x",
            "unknown option --target (the first word after the command is the destination, and --restore-path=FOLDER says where a restore writes)",
        ),
        (
            "--keep-daily=7",
            "unknown option --keep-daily (--keep-versions, --keep-time and --retention-policy say which versions stay)",
        ),
        (
            "--timeout=30",
            "unknown option --timeout (did you mean --http-operation-timeout?)",
        ),
        ("--=x", "unknown option -- (see 'duplet help options')"),
    ] {
        let e = read(&args(&[given])).err().unwrap();
        assert_eq!(
            (e.to_string(), e.kind().exit_code()),
            (message.to_owned(), 200)
        );
    }
}

#[test]
fn a_sign_with_blanks_is_never_a_part_of_the_value() {
    for given in [
        vec!["--passphrase", "=", "hunter2"],
        vec!["--passphrase", "=hunter2"],
        vec!["--exclude", "=", "*.tmp"],
        vec!["--tempdir", "=/x"],
        vec!["--auth-password =hunter2"],
        vec!["--verbose", "=", "true"],
        vec!["--dbpath", "=", "/x"],
        vec!["--keep-versions", "=", "3"],
    ] {
        let e = read(&args(&given)).err().map(|e| e.to_string()).unwrap();
        assert!(e.contains("without blanks: --"), "{given:?}: {e}");
        assert!(!e.contains("hunter2"), "{e}");
    }
    // Where the sign stands as it should, the value may be anything.
    for (given, value) in [
        (vec!["--passphrase==x"], "passphrase==x"),
        (vec!["--passphrase== x"], "passphrase== x"),
        (vec!["--passphrase", "a=b"], "passphrase=a=b"),
        (vec!["--verbose", "=x"], "verbose="),
    ] {
        assert_eq!(values(&read(&args(&given)).unwrap()), [value], "{given:?}");
    }
}

#[test]
fn what_duplicati_exports_blank_is_as_good_as_not_given() {
    for blank in [
        "--encryption-module=",
        "--compression-module=\"\"",
        "--keep-time=",
        "--retention-policy=\"\"",
        "--run-script-before=",
        "--send-mail-to= ",
        "--snapshot-policy=",
    ] {
        let line = read(&args(&[blank])).unwrap();
        assert_eq!((line.values.len(), line.notes.len()), (0, 1), "{blank}");
    }
}

#[test]
fn an_argument_that_is_not_utf8_is_refused_and_a_secret_in_it_not_shown() {
    let bytes = |b: &[u8]| vec![OsString::from("list"), OsString::from_vec(b.to_vec())];
    let e = read(&bytes(b"/x\xff")).err().unwrap();
    assert_eq!(e.to_string(), "argument 2 is not valid UTF-8: /x\\xff");
    let e = read(&bytes(b"--passphrase=hunter\xff")).err().unwrap();
    assert_eq!(e.to_string(), "argument 2 is not valid UTF-8: an option");
}

#[test]
fn secrets_are_found_in_arguments() {
    for (arg, shown) in [
        ("--passphrase=x", "--passphrase="),
        ("--AUTH-Password=x", "--AUTH-Password="),
        ("--pasphrase=x", "--pasphrase="),
        ("--dblock-size=1", "--dblock-size=1"),
        ("--json", "--json"),
        ("/path?x", "/path?x"),
        ("s3://user:pw@host/p", "s3://user:"),
        ("s3://user:pw@host/p?a=b", "s3://user:"),
        ("s3://user@host/p?a=b", "s3://user@host/p?"),
        ("s3://host:80/p", "s3://host:80/p"),
        ("tahoe://h:3456/uri/URI:DIR2:k:f/a?x=y", "tahoe://"),
        ("Tahoes://h/uri/URI:DIR2", "Tahoes://"),
        ("http://h/uri/URI%3ADIR2%3Ak", "http://h/uri/"),
        ("URI:DIR2:k:f", ""),
        ("--http-proxy=http://u:p@h", "--http-proxy="),
        ("--", "--"),
    ] {
        let from = secret_from(arg.as_bytes(), &mut false).unwrap_or(arg.len());
        assert_eq!(&arg[..from], shown);
    }
    for (line, hidden) in [
        ("list u --passphrase hunter2 --json", "hunter2"),
        ("list --pasphrase hunter2 u", "hunter2"),
        ("--AUTH-PASSWORD hunter2", "hunter2"),
        ("list -phunter2", "hunter2"),
    ] {
        let mut after = false;
        let mut seen = String::new();
        for arg in line.split(' ') {
            let from = secret_from(arg.as_bytes(), &mut after).unwrap_or(arg.len());
            seen.push_str(&arg[..from]);
        }
        assert!(!seen.contains(hidden), "{seen}");
    }
}

/// However a secret gets into a word that is not understood, it is not said.
#[test]
fn mistyped_words_with_secrets_are_not_shown() {
    for given in [
        &["--passphrase:hunter2"][..],
        &["--passphrasehunter2"],
        &["--pasphrase=hunter2"],
        &["--pasphrase hunter2"],
        &["--auth-password:hunter2"],
        &["-phunter2"],
        &["-p", "hunter2"],
        &["-passphrase=hunter2"],
        &["-passphrase hunter2"],
        &["--passphrase", "-hunter2"],
        &["--aws-secret-access-keyhunter2"],
        &["--unknown/hunter2"],
    ] {
        let e = read(&args(given)).err().unwrap().to_string();
        assert!(!e.contains("hunter2"), "{given:?}: {e}");
        assert!(e.contains("option") || e.contains("needs a value"), "{e}");
    }
}

#[test]
fn a_value_may_be_the_next_word() {
    for (given, words, options) in [
        (
            &["restore", "u", "--restore-path", "/r", "x"][..],
            &["restore", "u", "x"][..],
            &["restore-path=/r"][..],
        ),
        (
            &["backup", "u", "--exclude", "*.tmp", "--exclude=*.o", "d"],
            &["backup", "u", "d"],
            &["exclude=*.tmp", "exclude=*.o"],
        ),
        (
            &["--dblock-size 10mb", "backup"],
            &["backup"],
            &["dblock-size=10mb"],
        ),
        (&["--time", "3D", "list"], &["list"], &["time=3D"]),
        (&["--dry-run", "true"], &["true"], &["dry-run="]),
        (
            &["--full-remote-verification", "x"],
            &["x"],
            &["full-remote-verification=True"],
        ),
        (&["-n", "backup", "u"], &["backup", "u"], &["dry-run="]),
        (&["--no-local-db", "x"], &["x"], &[]),
    ] {
        let line = read(&args(given)).unwrap();
        assert_eq!(line.words, words, "{given:?}");
        assert_eq!(values(&line), options, "{given:?}");
    }
    for given in [
        &["--prefix"][..],
        &["--prefix", "--json"],
        &["--prefix", "-v"],
    ] {
        let e = read(&args(given)).err().unwrap().to_string();
        assert_eq!(e, "--prefix needs a value: --prefix=TEXT");
    }
}

#[test]
fn empty_and_blank_values_are_mistakes() {
    let no_text = |kind| matches!(kind, Kind::Flag | Kind::Word | Kind::Path | Kind::Span);
    let mut tried = 0;
    for opt in options::real().filter(|o| no_text(o.kind)) {
        for value in ["", " ", "\t", "\"\"", "\" \""] {
            let given = format!("--{}={value}", opt.name);
            let e = read(&args(&[&given]))
                .and_then(|line| line.values.iter().try_for_each(|(o, v)| o.check(v)))
                .err()
                .unwrap_or_else(|| panic!("{given}"));
            assert_eq!(e.kind().exit_code(), 200);
            tried += 1;
        }
    }
    assert!(tried > 200, "{tried}");
}

/// Whatever the bytes: an answer, no panic.
#[test]
fn random_arguments_are_answered() {
    let mut state = 7u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    let pieces = [
        "--",
        "-",
        "=",
        "json",
        "include",
        "\"",
        "://",
        "?",
        ":",
        "@",
        "é",
        "x",
        "passphrase",
        "*",
    ];
    for _ in 0..2000 {
        let words: Vec<String> = (0..next() % 4)
            .map(|_| {
                (0..next() % 6)
                    .map(|_| pieces[next() % pieces.len()])
                    .collect()
            })
            .collect();
        let given = args(&words.iter().map(String::as_str).collect::<Vec<_>>());
        for arg in &words {
            assert!(secret_from(arg.as_bytes(), &mut false).is_none_or(|n| n <= arg.len()));
        }
        if let Ok(line) = read(&given) {
            assert!(line.words.len() <= words.len());
        }
    }
}

#[test]
fn what_other_programs_call_an_option_leads_to_one_that_exists() {
    for (other, here) in SYNONYMS {
        assert!(options::find(other).is_none(), "{other} is an option now");
        assert!(
            options::real().any(|o| o.is_named(here)),
            "no option {here}"
        );
    }
    for (other, advice) in ADVICE {
        assert!(options::find(other).is_none(), "{other} is an option now");
        let e = read(&args(&[&format!("--{other}")]))
            .err()
            .map(|e| e.to_string());
        assert!(e.as_ref().is_some_and(|e| e.contains(advice)), "{e:?}");
    }
}
