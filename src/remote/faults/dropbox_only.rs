//! What only Dropbox does wrong: uploads in parts that are gone on with, tokens, spaces of teams, names and paths.

use super::dropbox::faulty_dropbox::{Dropbox, error};
use super::*;
use crate::base::error::Error;

const LEN: usize = 9 * MIB;
const PARTS: &str = "dropbox-part-size=4mb";

type Bench = Special<Dropbox>;

fn bench_with(query: &str) -> Bench {
    let server = dropbox::server();
    let url = dropbox::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with(PARTS)
}

/// Offsets of the parts that were sent, the end of the upload too.
fn parts(b: &Bench) -> Vec<u64> {
    let offset = |seen: &Seen| {
        let arg = seen.header("dropbox-api-arg").expect("an argument");
        let arg: serde_json::Value = serde_json::from_str(arg).expect("JSON");
        arg["cursor"]["offset"].as_u64()
    };
    let sent = b.asked("POST", "upload_session");
    sent.iter().filter_map(offset).collect()
}

#[test]
fn a_broken_upload_goes_on_where_the_server_has_it() {
    let data = bytes(LEN);
    const M4: u64 = 4 << 20;
    let end = LEN as u64;
    let mut b = bench();
    b.put(&data).expect("stored");
    assert_eq!(parts(&b), [0, M4, 2 * M4, end]);
    assert_eq!(b.count("POST", "start"), 1);
    // The second part breaks: with nothing of it kept, with some, and with all of it but no answer.
    for (trouble, keeps, want) in [
        (
            Some(Trouble::Reset(1000)),
            None,
            vec![0, M4, M4, 2 * M4, end],
        ),
        (None, Some(0), vec![0, 0, M4, 2 * M4, end]),
        (None, Some(MIB), vec![0, 0, 1 << 20, M4 + (1 << 20), end]),
        (Some(Trouble::Swallow), None, vec![0, M4, M4, 2 * M4, end]),
    ] {
        let mut b = bench();
        b.with(|dropbox| dropbox.keeps = keeps);
        if let Some(trouble) = trouble {
            // Only the first of them goes through.
            b.script("POST", "append_v2", Trouble::More(Vec::new()));
            b.script("POST", "append_v2", trouble);
        }
        b.put(&data).expect("in the end");
        assert_eq!(b.file().expect("there"), data);
        let sent = parts(&b);
        let mut unique = sent.clone();
        unique.dedup();
        let mut expected = want.clone();
        expected.dedup();
        assert_eq!((unique, sent.len()), (expected, want.len()), "{sent:?}");
        assert_eq!(b.with(|dropbox| dropbox.begun), 1);
    }
    // The answer to the last part, and that to the end, get lost.
    let mut b = bench();
    for _ in 0..2 {
        b.script("POST", "append_v2", Trouble::More(Vec::new()));
    }
    b.script("POST", "append_v2", Trouble::Swallow);
    b.put(&data).expect("in the end");
    assert_eq!(parts(&b), [0, M4, 2 * M4, 2 * M4, end]);
    let mut b = bench();
    b.script("POST", "finish", Trouble::Swallow);
    b.put(&data).expect("found by looking");
    assert_eq!(b.file().expect("there"), data);
    assert_eq!(b.with(|dropbox| dropbox.begun), 1);
    // A session that was closed by its last part, whose answer was lost.
    let mut b = bench();
    for _ in 0..2 {
        b.script("POST", "append_v2", Trouble::More(Vec::new()));
    }
    b.script("POST", "append_v2", Trouble::Swallow);
    b.script("POST", "append_v2", reply(409, error("closed")));
    b.put(&data).expect("in the end");
    assert_eq!(b.file().expect("there"), data);
}

#[test]
fn an_upload_that_the_server_forgets_begins_anew() {
    let data = bytes(LEN);
    for (call, summary) in [
        ("append_v2", "not_found"),
        ("finish", "lookup_failed/not_found"),
    ] {
        let mut b = bench();
        b.script("POST", call, reply(409, error(summary)));
        b.put(&data).expect("in the end");
        assert_eq!(b.file().expect("there"), data);
        assert_eq!((b.with(|d| d.begun), b.retries()), (2, 0), "{call}");
        let mut b = bench();
        b.scripts(40, "POST", call, &reply(409, error(summary)));
        fails(b.put(&data), Kind::Busy, "forgets the upload");
        assert!(b.with(|dropbox| dropbox.begun) < 20);
    }
    // A server that never gets on is no endless loop.
    let mut b = bench();
    let never = r#"{"error_summary":"incorrect_offset/.","error":{".tag":"incorrect_offset","correct_offset":7}}"#;
    b.scripts(90, "POST", "append_v2", &reply(409, never));
    fails(b.put(&data), Kind::Busy, "takes no more");
    assert!(parts(&b).len() < 90);
}

/// What was begun for another file, or with another content, takes nothing over.
#[test]
fn an_upload_is_gone_on_with_only_for_the_same_file() {
    let data = bytes(LEN);
    let mut b = bench_with(&format!("{PARTS}&number-of-retries=0"));
    b.with(|dropbox| dropbox.keeps = Some(MIB));
    refused(b.put(&data), "");
    b.put(&data[1..]).expect("stored");
    assert_eq!(b.file().expect("there"), data[1..]);
    b.with(|dropbox| dropbox.keeps = Some(MIB));
    refused(b.put(&data), "");
    b.put_as("other.zip", &data).expect("stored");
    let stored = b.with(|dropbox| dropbox.tree["/bkt/other.zip"].1.clone());
    assert_eq!(stored.expect("a file"), data);
    // What must be new stays new, also when the name is taken at the last moment.
    let mut b = bench();
    b.script("POST", "finish", Trouble::Replace(NAME, b"theirs".to_vec()));
    assert!(!b.put_new(&data).expect("settled"));
    assert_eq!(b.file().expect("there"), b"theirs");
}

#[test]
fn what_was_stored_is_compared() {
    let data = bytes(LEN);
    for (from, to) in [
        ("\"content_hash\":\"", "\"content_hash\":\"0"),
        ("\"size\":9", "\"size\":8"),
    ] {
        let mut b = bench();
        b.script("POST", "finish", Trouble::Replaced(from, to));
        b.put(&data).expect("at the second try");
        assert_eq!((b.with(|d| d.begun), b.retries()), (2, 1));
        assert_eq!(b.count("POST", "delete_v2"), 1);
        let mut b = bench_with(&format!("{PARTS}&number-of-retries=0"));
        b.script("POST", "finish", Trouble::Replaced(from, to));
        fails(b.put(&data), Kind::Damaged, "not the one sent");
    }
}

/// Any call may be the one for which the token has run out.
#[test]
fn a_token_is_renewed_once_by_every_call() {
    type Act = fn(&mut Bench) -> Result<()>;
    let calls: [(&str, &str, Act); 10] = [
        ("POST", "list_folder", |b| b.list().map(drop)),
        ("POST", "get_metadata", |b| b.stat(NAME).map(drop)),
        ("GET", "download", |b| b.get(NAME, None).map(drop)),
        ("POST", "files/upload", |b| b.put(b"short")),
        ("POST", "start", |b| b.put(&bytes(LEN))),
        ("POST", "append_v2", |b| b.put(&bytes(LEN))),
        ("POST", "finish", |b| b.put(&bytes(LEN))),
        ("POST", "delete_v2", |b| b.delete()),
        ("POST", "create_folder_v2", |b| b.make()),
        ("POST", "get_current_account", |b| b.list().map(drop)),
    ];
    for (method, part, act) in calls {
        let query = match part {
            "get_current_account" => "dropbox-path-root=team",
            _ => PARTS,
        };
        let mut b = bench_with(query);
        b.stored(3);
        let no = reply(401, error("expired_access_token"));
        b.script(method, part, no.clone());
        act(&mut b).expect("with a new token");
        let seen = b.asked(method, part);
        assert!(seen[0].holds("authorization", "acct-1"), "{part}");
        assert!(seen[1].holds("authorization", "acct-2"), "{part}");
        assert_eq!(b.retries(), 0);
        let mut b = bench_with(query);
        b.stored(3);
        b.scripts(2, method, part, &no);
        fails(act(&mut b), Kind::Credentials, "access denied");
    }
}

/// Where the paths begin is said with every request; what a team's space is called is asked once.
#[test]
fn spaces_of_teams() {
    let root = |b: &Bench| {
        let seen = b.server.seen("/2/files");
        let told: Vec<_> = seen
            .iter()
            .map(|s| s.header("dropbox-api-path-root"))
            .collect();
        let first = told[0].map(str::to_owned);
        assert!(told.iter().all(|one| one.map(str::to_owned) == first));
        first
    };
    for (given, want, asks) in [
        ("", None, 0),
        ("dropbox-path-root=Home", None, 0),
        ("dropbox-path-root=team", Some("77"), 1),
        ("dropbox-path-root=123", Some("123"), 0),
    ] {
        let mut b = bench_with(given);
        b.put(b"x").expect("stored");
        assert_eq!(b.get(NAME, None).expect("got"), b"x");
        b.list().expect("listed");
        let want = want.map(|id| format!(r#"{{".tag":"namespace_id","namespace_id":"{id}"}}"#));
        assert_eq!(root(&b), want, "{given}");
        assert_eq!(b.count("POST", "get_current_account"), asks);
    }
    // In the root of it, which cannot be looked at; and with a download for the first request.
    let root_of = |server: Server<Dropbox>| -> Bench {
        let at = server.address;
        let query = format!("dropbox-endpoint=http://{at}&authid=fixed&http-proxy=none");
        Special::at(
            server,
            &format!("dropbox://?{query}&dropbox-path-root=team"),
        )
    };
    let mut b = root_of(dropbox::server());
    b.put_as("n", b"x").expect("stored");
    assert_eq!(b.count("POST", "get_metadata"), 0);
    let mut b = root_of(dropbox::server());
    b.with(|dropbox| {
        let file = ("n".to_owned(), Some(b"x".to_vec()));
        dropbox.tree.insert("/n".to_owned(), file)
    });
    assert_eq!(b.get("n", None).expect("got"), b"x");
    assert!(b.asked("GET", "download")[0].holds("dropbox-api-path-root", "77"));
    // https://www.dropbox.com/developers/reference/path-root-header-modes
    let mut b = bench_with("dropbox-path-root=5");
    b.script("POST", "list_folder", reply(422, error("invalid_root")));
    fails(b.list(), Kind::Credentials, "--dropbox-path-root");
    let mut b = bench_with("dropbox-path-root=team");
    b.script("POST", "get_current_account", reply(200, "{}"));
    b.scripts(9, "POST", "get_current_account", &reply(200, "{}"));
    refused(b.list(), "no space of a team");
}

#[test]
fn paths_are_decoded_twice() {
    for (url, folder) in [
        ("dropbox://A/b", Some("/A/b")),
        ("dropbox://a%2541/%2562", Some("/aA/b")),
        ("dropbox://a%20b/c+d/%252B", Some("/a b/c d/+")),
        ("dropbox://%C3%A4//x/", Some("/\u{e4}/x")),
        ("dropbox://", None),
    ] {
        let server = dropbox::server();
        let at = server.address;
        let query = format!("dropbox-endpoint=http://{at}&authid=fixed&http-proxy=none");
        let mut b: Bench = Special::at(server, &format!("{url}?{query}"));
        b.put_as("n", b"x").expect("stored");
        let want = format!("{}/n", folder.unwrap_or_default()).to_lowercase();
        assert!(b.with(|d| d.tree.contains_key(&want)), "{url}");
        assert_eq!(b.list().expect("listed"), ["n"], "{url}");
    }
}

/// The service makes the folder anew for the next file: what was sent is then in two places.
#[test]
fn a_folder_that_is_moved_meanwhile_is_told() {
    let mut b = bench();
    b.put(b"x").expect("stored");
    b.finish().expect("all in one place");
    b.with(|dropbox| dropbox.moved = 1);
    b.put_as("second", b"y").expect("stored");
    fails(b.finish(), Kind::Unsupported, "moved or replaced");
    b.with(|dropbox| dropbox.tree.clear());
    fails(b.finish(), Kind::Missing, "folder does not exist");
    // Nothing was sent.
    let mut b = bench();
    b.list().expect("listed");
    b.finish().expect("nothing to look at");
    assert_eq!(b.count("POST", "get_metadata"), 0);
}

/// The service does not tell upper from lower case, and so a file may answer to another name.
#[test]
fn names_are_compared_as_they_are() {
    let mut b = bench();
    b.store("DUPLICATI-B1.dblock.zip", b"theirs");
    assert!(b.stat(NAME).expect("asked").is_none());
    assert!(!b.list().expect("listed").contains(&NAME.to_owned()));
}

#[test]
fn refusals_are_told_as_what_they_are() {
    let says = |b: &mut Bench, status, body: String| -> Error {
        b.script("POST", "list_folder", reply(status, body));
        b.list().expect_err("refused")
    };
    let scope = "Error in call to API function \"files/list_folder\": Your app (ID: 1) is not permitted to access this endpoint because it does not have the required scope 'files.metadata.read'.";
    for (status, body, kind, words) in [
        (
            401,
            error("missing_scope"),
            Kind::Credentials,
            "lacks a right",
        ),
        (400, scope.to_owned(), Kind::Credentials, "lacks a right"),
        (
            400,
            "The given OAuth 2 access token is malformed.".to_owned(),
            Kind::Credentials,
            "access denied",
        ),
        (
            401,
            error("user_suspended"),
            Kind::Credentials,
            "user_suspended",
        ),
        (
            403,
            error("invalid_account_type"),
            Kind::Credentials,
            "access denied",
        ),
        (
            409,
            error("path/not_folder"),
            Kind::Unsupported,
            "is a file",
        ),
        (
            409,
            error("path/restricted_content"),
            Kind::Unsupported,
            "blocked",
        ),
        (400, "odd".to_owned(), Kind::Unsupported, "odd"),
    ] {
        let mut b = bench_with("number-of-retries=0");
        if status == 401 {
            b.script("POST", "list_folder", reply(status, body.clone()));
        }
        let e = says(&mut b, status, body);
        assert_eq!(e.kind(), kind, "{words}: {e}");
        assert!(e.to_string().contains(words), "{words}: {e}");
    }
    // A cursor that has run out: the listing begins anew.
    let mut b = bench();
    for i in 0..2001 {
        b.store(&format!("f{i}"), b"");
    }
    b.script("POST", "continue", reply(409, error("reset")));
    assert_eq!(b.list().expect("listed").len(), 2001);
    assert_eq!(b.retries(), 1);
    // Too many writes at a time are waited for, as long as the service says.
    let mut b = bench();
    let body = error("too_many_write_operations");
    let later = vec![("retry-after", "3".to_owned())];
    b.script("POST", "files/upload", Trouble::Answer(409, later, body));
    b.put(b"x").expect("in the end");
    assert_eq!(b.waits(), [3]);
}

#[test]
fn what_is_wrong_in_url_and_options_is_told_at_once() {
    for (query, words) in [
        ("authid=a:b&dropbox-path-root=here", "--dropbox-path-root"),
        ("authid=a:b&dropbox-endpoint=ftp://x", "--dropbox-endpoint"),
        (
            "authid=a:b&dropbox-endpoint=http://example.org",
            "in the clear",
        ),
        ("dropbox-part-size=1mb", "no log-in for Dropbox"),
    ] {
        let mut ui = Ui::new(crate::base::ui::Volume::Quiet, false, Some(false));
        let url = format!("dropbox://a?{query}");
        let opened = Remote::open(&url, &Options::default(), &mut ui);
        let told = opened.err().expect(words).to_string();
        assert!(told.contains(words), "{words}: {told}");
    }
}
