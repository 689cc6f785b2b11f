//! What only rclone can do wrong: a helper that does not come, ends or lies, a process that fails in its own words.

use super::rclone::Rclone;
use super::*;

const LEN: usize = 3 * MIB + 77;

/// What processes say and how they end, and what becomes of it.
#[test]
fn codes_and_words_are_faults() {
    for (script, kind, words) in [
        (
            "echo '1 NOTICE: no such flag' >&2; exit 2",
            Kind::Usage,
            "no such flag",
        ),
        (
            "echo '1 ERROR : open /x: permission denied' >&2; exit 1",
            Kind::Credentials,
            "permission denied",
        ),
        (
            "echo 'Failed: didn'\"'\"'t find section in config file' >&2; exit 1",
            Kind::Unsupported,
            "rclone config",
        ),
        (
            "echo 'didn'\"'\"'t find backend called \"smb\"' >&2; exit 1",
            Kind::Unsupported,
            "too old",
        ),
        (
            "echo 'Failed: unable to decrypt configuration' >&2; exit 1",
            Kind::Credentials,
            "RCLONE_CONFIG_PASS",
        ),
        (
            "echo 'couldn'\"'\"'t fetch token: invalid_grant' >&2; exit 1",
            Kind::Credentials,
            "reconnect",
        ),
        (
            "echo 'dial tcp 1.2.3.4:445: connect: connection refused' >&2; exit 5",
            Kind::Busy,
            "connection refused",
        ),
        ("echo 'something' >&2; exit 1", Kind::Busy, "something"),
        ("echo 'something' >&2; exit 5", Kind::Busy, "something"),
        (
            "echo 'something' >&2; exit 6",
            Kind::Unsupported,
            "something",
        ),
        (
            "echo 'something' >&2; exit 7",
            Kind::Unsupported,
            "something",
        ),
        (
            "echo 'Max transfer limit reached' >&2; exit 8",
            Kind::NoSpace,
            "Max transfer",
        ),
        ("exit 77", Kind::Busy, "ended with code 77"),
        ("kill -KILL $$", Kind::Busy, "signal 9"),
    ] {
        let wire = Rclone::new();
        let mut s = wire.subject("number-of-retries=0");
        wire.once(script);
        let text = fails(s.list(), kind, words);
        assert!(!text.contains("1 ERROR"), "{text}");
    }
    for code in [3, 4] {
        let wire = Rclone::new();
        wire.once(&format!("echo '['; exit {code}"));
        let found = wire.subject("number-of-retries=0").list();
        assert_eq!(found.is_ok(), code == 3, "a folder that is not there");
    }
}

#[test]
pub(super) fn a_helper_that_ends_is_started_anew() {
    let wire = Rclone::new();
    wire.once("(sleep 0.5; kill -KILL $$) >/dev/null 2>&1 & true");
    let mut s = wire.subject("http-operation-timeout=2s");
    wire.0.script("POST", "dblock", Trouble::Stall(None));
    s.put(&bytes(LEN)).expect("stored by another helper");
    assert!(wire.0.with(|f| f.kept(NAME)) == Some(bytes(LEN)));
    // One that lives and does not answer is not asked again.
    let wire = Rclone::new();
    let mut s = wire.subject("read-write-timeout=1s");
    s.put(b"zero").expect("stored");
    assert_eq!(wire.helpers(), 1);
    wire.0.script("POST", "dblock", Trouble::Stall(None));
    s.put(b"one").expect("stored by another helper");
    assert_eq!(wire.helpers(), 2);
    // One that was gone while nothing was asked is no failure.
    let wire = Rclone::new();
    wire.once("(sleep 0.2; kill -KILL $$) >/dev/null 2>&1 & true");
    let mut s = wire.subject("number-of-retries=0");
    s.put(b"one").expect("stored");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(s.get(NAME, None).expect("read"), b"one");
}

#[test]
fn helpers_that_do_not_come() {
    let rows = [
        (
            "echo '1 CRITICAL: Failed to create file system: didn'\"'\"'t find section in config file' >&2; exit 1",
            Kind::Unsupported,
            "rclone config",
        ),
        ("exit 9", Kind::Busy, "ended with code 9"),
        ("exec sleep 60", Kind::Busy, "within 1s"),
        ("while echo more >&2; do :; done", Kind::Busy, "within 1s"),
    ];
    at_once(rows, |(script, kind, words)| {
        let wire = Rclone::new();
        wire.once(script);
        let mut s = wire.subject("number-of-retries=0&short-timeout=1s");
        fails(s.put(b"x"), kind, words);
        s.put(b"x").expect("the next one comes");
    });
    // One that cannot serve, or whose port cannot be reached: processes do it.
    let wire = Rclone::new();
    let commands = "case $1 in serve) echo 'unknown command \"serve\"' >&2; exit 1;; esac";
    for mode in ["auto", "serve"] {
        wire.once(commands);
        let mut s = wire.subject(&format!("number-of-retries=0&rclone-mode={mode}"));
        let text = refused(s.put(b"x"), "").to_string();
        let word = if mode == "auto" { "rcat" } else { "serve" };
        assert!(
            text.contains(&format!("unknown command \"{word}\"")),
            "{text}"
        );
    }
}

/// The helper has one answer for all look-ups that fail: a process of its own is asked.
#[test]
fn files_that_the_helper_does_not_find_are_looked_for() {
    let wire = Rclone::new();
    Line::store(&wire.0, NAME, b"data");
    for (method, act) in [
        (
            "GET",
            (|s| s.get(NAME, None).map(drop)) as fn(&mut Subject) -> Result<()>,
        ),
        ("HEAD", |s| s.stat(NAME).map(drop)),
        ("DELETE", |s| s.delete()),
    ] {
        let mut s = wire.subject("number-of-retries=0");
        wire.0.script(method, "dblock", answer(404));
        refused(act(&mut s), "");
        let mut s = wire.subject("number-of-retries=1");
        wire.0.script(method, "dblock", answer(404));
        act(&mut s).expect("at the second try");
        assert_eq!(s.retries(), 1, "{method}");
    }
    assert_eq!(Line::file(&wire.0, NAME), None, "deleted");
    let mut s = wire.subject("number-of-retries=0");
    assert_eq!(s.stat(NAME).expect("no error"), None);
    s.delete().expect("no error");
    // It is not known whether it is there.
    wire.0.script("OPTIONS", "dblock", answer(500));
    fails(s.stat(NAME).map(drop), Kind::Busy, "status 500");
}

#[test]
fn listings_that_are_no_good() {
    let rows = [
        ("echo '['; exit 0", Kind::Unsupported, "listing incomplete"),
        ("exit 0", Kind::Unsupported, "listing incomplete"),
        (
            "echo '[{\"Name\":\"a\",\"Size\":1'; exit 0",
            Kind::Unsupported,
            "listing incomplete",
        ),
        (
            "echo 'hello'; exit 0",
            Kind::Unsupported,
            "listing incomplete",
        ),
        (
            "echo '[{\"Name\":\"a\",\"Size\":1}'; echo why >&2; exit 1",
            Kind::Busy,
            "why",
        ),
        (
            "printf '[{\"Name\":\"'; head -c 100000 /dev/zero | tr '\\0' x; exit 0",
            Kind::Unsupported,
            "too long",
        ),
        (
            "echo '['; while echo '{\"Name\":\"a\",\"Size\":1},'; do sleep 0.05; done",
            Kind::Unsupported,
            "within 1s",
        ),
        ("exec sleep 60", Kind::Unsupported, "within 1s"),
    ];
    at_once(rows, |(script, kind, words)| {
        let wire = Rclone::new();
        wire.once(script);
        let mut s = wire.subject("number-of-retries=0&list-timeout=1s");
        fails(s.entries().map(drop), kind, words);
        assert!(s.entries().expect("well again").expect("there").is_empty());
    });
    // Sizes that are not known, folders, and what is said beside.
    let wire = Rclone::new();
    wire.once("echo '[{\"Name\":\"a\",\"Size\":-1,\"IsDir\":false},{\"Name\":\"b\",\"Size\":2,\"IsDir\":true}]'; head -c 200000 /dev/zero | tr '\\0' y >&2; exit 0");
    let found = wire.subject("").entries().expect("listed").expect("there");
    assert_eq!(found, [("a".to_owned(), None)]);
}
