//! What only drives of Microsoft Graph do wrong: sessions of uploads that are gone on with, forgotten or open already, content at
//! another address, folders that move, tokens, and refusals.

use super::onedrive::faulty_graph::{FOLDER, Graph, error};
use super::*;

const LEN: usize = 11 * MIB;
const STEP: u64 = 10 << 20;

type Bench = Special<Graph>;

fn bench_with(query: &str) -> Bench {
    let server = onedrive::server();
    let url = onedrive::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

fn says(status: u16, code: &str) -> Trouble {
    reply(status, error(code, "because"))
}

/// Where the fragments of uploads began; `None` where it was asked how far one is.
fn parts(b: &Bench) -> Vec<Option<u64>> {
    let mut seen = b.asked("", "/up/");
    seen.retain(|s| s.method != "DELETE");
    let from = |s: &Seen| {
        let range = s.header("content-range")?;
        range["bytes ".len()..].split('-').next()?.parse().ok()
    };
    seen.iter().map(from).collect()
}

#[test]
fn a_broken_session_goes_on_where_the_server_has_it() {
    let data = bytes(LEN);
    // Broken before anything was kept; after some, also within what is aligned; with all kept, but no reply.
    for (trouble, keeps, want) in [
        (
            Some(Trouble::Reset(5 << 20)),
            None,
            vec![Some(0), None, Some(0), Some(STEP)],
        ),
        (
            Some(Trouble::Close),
            None,
            vec![Some(0), None, Some(0), Some(STEP)],
        ),
        (
            None,
            Some((2 * MIB, 503)),
            vec![Some(0), None, Some(2 << 20)],
        ),
        (
            None,
            Some((77, 500)),
            vec![Some(0), None, Some(77), Some(77 + STEP)],
        ),
        (None, Some((10 * MIB, 504)), vec![Some(0), None, Some(STEP)]),
    ] {
        let mut b = bench();
        b.with(|graph| graph.business = true);
        if let Some(trouble) = trouble {
            b.script("PUT", "/up/", trouble);
        }
        b.with(|graph| graph.keeps = keeps);
        b.put(&data).expect("in the end");
        assert!(b.file().expect("there") == data);
        assert_eq!(parts(&b), want, "{keeps:?}");
        assert_eq!((b.with(|graph| graph.begun), b.retries()), (1, 1));
    }
    // The reply to the last fragment was lost: nothing is sent twice.
    let mut b = bench_with("fragment-size=20mb");
    b.script("PUT", "/up/", Trouble::Swallow);
    b.put(&data).expect("found");
    assert!(b.file().expect("there") == data);
    assert_eq!((parts(&b), b.with(|graph| graph.begun)), (vec![Some(0)], 1));
    // A server that never gets on is no endless loop.
    let mut b = bench();
    let same = reply(202, r#"{"nextExpectedRanges":["0-"]}"#);
    b.scripts(40, "PUT", "/up/", &same);
    fails(b.put(&data), Kind::Busy, "takes no more");
    assert!(parts(&b).len() < 40);
    // A fragment that is there already, or too early: the server is asked.
    let mut b = bench();
    b.script("PUT", "/up/", says(416, "invalidRange"));
    b.put(&data).expect("in the end");
    assert_eq!(parts(&b), [Some(0), None, Some(0), Some(STEP)]);
    let mut b = bench();
    b.scripts(90, "PUT", "/up/", &says(416, "invalidRange"));
    refused(b.put(&data), "invalidRange");
}

/// By its digest, where the service tells one.
#[test]
fn what_was_stored_is_compared() {
    let stored = |digest: &str| {
        let text = format!(r#"{{"size":1000,"file":{{"hashes":{{"quickXorHash":"{digest}"}}}}}}"#);
        reply(201, text)
    };
    let mut b = bench_with("number-of-retries=0");
    b.script("PUT", ":/content", stored("aCgDG9jwBgAAAAAABQAAAAAAAAA="));
    b.stored(1000);
    fails(b.put(&bytes(1000)), Kind::Damaged, "not the one sent");
    assert_eq!(b.count("DELETE", "dblock"), 1);
    b.script("PUT", ":/content", stored(""));
    b.put(&bytes(1000)).expect("by its length");
}

#[test]
fn fragments_have_the_length_that_is_asked_for() {
    let data = bytes(LEN);
    let mut b = bench_with("fragment-size=4000000");
    b.put(&data).expect("stored");
    let step = 12 * (320 << 10);
    assert_eq!(parts(&b), [Some(0), Some(step), Some(2 * step)]);
    assert!(b.file().expect("there") == data);
    // What is short takes one request, and a session holds no file back.
    for (len, sessions) in [(0, 0), (1, 0), (4 * MIB, 0), (4 * MIB + 1, 1)] {
        let mut b = bench();
        b.put(&bytes(len)).expect("stored");
        assert_eq!(b.with(|graph| graph.begun), sessions, "{len}");
        assert!(b.file().expect("there") == bytes(len));
    }
}

/// 404 is documented; 401 and 403 are met with sessions that ran out (github.com/abraunegg/onedrive, 3859).
#[test]
fn a_session_that_ran_out_begins_anew() {
    let data = bytes(LEN);
    for status in [401, 403, 404, 410] {
        // In mid-file.
        let mut b = bench();
        b.script("PUT", "/up/", Trouble::More(Vec::new()));
        b.script("PUT", "/up/", says(status, "itemNotFound"));
        b.put(&data).expect("in the end");
        assert!(b.file().expect("there") == data);
        assert_eq!(
            (b.with(|graph| graph.begun), b.retries()),
            (2, 0),
            "{status}"
        );
        // While it was broken off.
        let mut b = bench();
        b.script("PUT", "/up/", Trouble::Close);
        b.script("GET", "/up/", says(status, "itemNotFound"));
        b.put(&data).expect("in the end");
        assert!(b.file().expect("there") == data);
        assert_eq!(b.with(|graph| graph.begun), 2, "{status}");
    }
    let mut b = bench();
    b.scripts(90, "PUT", "/up/", &says(404, "itemNotFound"));
    fails(b.put(&data), Kind::Busy, "forgets the upload");
    assert!(b.with(|graph| graph.begun) < 20);
    // Refused at once, and not for its age.
    let mut b = bench();
    b.script("PUT", "/up/", says(403, "accessDenied"));
    fails(b.put(&data), Kind::Credentials, "access denied");
    assert_eq!(b.count("DELETE", "/up/"), 1);
}

/// Drives of organisations have one open session for a name (github.com/OneDrive/onedrive-api-docs, 747): one that is not gone on with
/// is given up.
#[test]
fn sessions_are_given_up() {
    let data = bytes(LEN);
    for business in [false, true] {
        // Another content, another file.
        let mut b = bench_with("number-of-retries=0");
        b.with(|graph| (graph.business, graph.keeps) = (business, Some((MIB, 503))));
        refused(b.put(&data), "");
        b.put(&data[1..]).expect("stored");
        assert!(b.file().expect("there") == data[1..]);
        assert_eq!(b.count("DELETE", "/up/"), 1);
        b.with(|graph| graph.keeps = Some((MIB, 503)));
        refused(b.put(&data), "");
        b.put_as("other.zip", b"short").expect("stored");
        assert_eq!(b.count("DELETE", "/up/"), 2);
        // A refusal.
        b.script("PUT", "/up/", says(507, "quotaLimitReached"));
        fails(b.put(&data), Kind::NoSpace, "no space left");
        assert_eq!(b.count("DELETE", "/up/"), 3);
        assert!(b.with(|graph| graph.sessions.is_empty()));
        // All has arrived and no file came of it.
        b.script("PUT", "/up/", reply(202, r#"{"nextExpectedRanges":[]}"#));
        b.put(&data).expect("from the start");
        assert!(b.file().expect("there") == data);
        assert!(b.with(|graph| graph.sessions.is_empty()));
    }
    // The run ends without it.
    let mut b = bench_with("number-of-retries=0");
    b.with(|graph| graph.keeps = Some((MIB, 503)));
    refused(b.put(&data), "");
    let Special {
        server, subject, ..
    } = b;
    assert_eq!(server.with(|graph| graph.sessions.len()), 1);
    drop(subject);
    assert_eq!(server.with(|graph| graph.sessions.len()), 0);
    // One whose address never came is in the way: the file goes in one request.
    let mut b = bench();
    b.with(|graph| graph.business = true);
    b.script("POST", "createUploadSession", Trouble::Swallow);
    b.put(&data).expect("in the end");
    assert!(b.file().expect("there") == data);
    assert_eq!(b.count("PUT", ":/content"), 1);
}

#[test]
fn uploads_go_where_the_server_says_and_without_the_login() {
    let mut b = bench();
    b.put(&bytes(LEN)).expect("stored");
    for seen in b.asked("", "/up/") {
        assert!(seen.header("authorization").is_none());
        assert!(seen.holds("host", "localhost:"));
    }
    for odd in [
        "{}",
        r#"{"uploadUrl":""}"#,
        r#"{"uploadUrl":"ftp:x"}"#,
        "[]",
    ] {
        let mut b = bench();
        b.scripts(9, "POST", "createUploadSession", &reply(200, odd));
        refused(b.put(&bytes(LEN)), "");
        assert_eq!(parts(&b), []);
    }
}

/// `/content` sends to an address of another host, which refuses a log-in (learn.microsoft.com/graph/api/driveitem-get-content).
#[test]
fn content_is_fetched_where_the_server_says_without_the_login() {
    let other = bench();
    other.stored(1000);
    let port = other.server.address.port();
    let mut b = bench();
    b.stored(1000);
    let to = format!("http://localhost:{port}/v1.0/me/drive/items/F2:/{NAME}:/content?temp=auth");
    b.scripts(2, "GET", ":/content", &headed(302, "location", &to));
    other.script("GET", "temp=auth", Trouble::Cut(700));
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), bytes(1000));
    let there = other.server.seen("temp=auth");
    assert_eq!(there.len(), 2);
    assert!(there.iter().all(|s| s.header("authorization").is_none()));
    assert!(there[1].holds("range", "bytes=700-"));
    // The rest is asked for at the service again: what it gave lives for minutes.
    let own = b.asked("GET", ":/content");
    assert!(own.len() == 2 && own.iter().all(|s| s.holds("authorization", "acct-")));
}

#[test]
fn pages_are_only_of_the_service() {
    let mut b = bench();
    let away = r#"{"value":[],"@odata.nextLink":"https://example.org/v1.0/x"}"#;
    b.scripts(9, "GET", "/children", &reply(200, away));
    refused(b.list(), "example.org");
    let at = b.server.address;
    let same = format!(
        r#"{{"value":[],"@odata.nextLink":"http://{at}/v1.0/me/drive/items/F2/children?$top=1000&x"}}"#
    );
    let mut b = Special::at(b.server, &onedrive::url(&at.to_string(), ""));
    b.server.state.lock().expect("state").script.clear();
    b.scripts(2000, "GET", "/children", &reply(200, same));
    refused(b.list(), "does not advance");
    let deleted = r#"{"value":[{"name":"a","size":1,"file":{}},{"name":"b","size":1,"file":{},"deleted":{"state":"x"}},{"name":"c","package":{}},{"name":"d","folder":{}}]}"#;
    b.server.state.lock().expect("state").script.clear();
    b.script("GET", "/children", reply(200, deleted));
    assert_eq!(b.list().expect("listed"), ["a"]);
}

#[test]
fn a_folder_that_moves_is_the_same_and_one_that_goes_is_missing() {
    let mut b = bench();
    b.put(b"one").expect("stored");
    b.with(|graph| {
        graph.folders[2] = Some("d/moved".to_owned());
        let data = graph
            .files
            .remove(&format!("{FOLDER}/{NAME}"))
            .expect("there");
        graph.files.insert(format!("d/moved/{NAME}"), data);
    });
    assert_eq!(b.get(NAME, Some(3)).expect("still there"), b"one");
    b.put_as("two", b"two").expect("stored");
    assert!(b.with(|graph| graph.files.contains_key("d/moved/two")));
    assert_eq!(b.list().expect("listed").len(), 2);
    // Another one of the name comes into being meanwhile: nothing is spread over both.
    b.with(|graph| graph.folders.push(Some(FOLDER.to_owned())));
    b.put_as("three", b"three").expect("stored");
    assert!(b.with(|graph| graph.files.contains_key("d/moved/three")));
    b.with(|graph| graph.folders[2] = None);
    for len in [10, LEN] {
        let mut b = bench();
        b.put(b"one").expect("stored");
        b.with(|graph| graph.folders[2] = None);
        fails(b.put(&bytes(len)), Kind::Missing, "folder does not exist");
    }
}

#[test]
fn a_token_is_renewed_once() {
    for (method, part) in [
        ("GET", "/root:/d/b"),
        ("GET", "/children"),
        ("GET", "?$select=name"),
        ("GET", ":/content"),
        ("PUT", ":/content"),
        ("POST", "createUploadSession"),
        ("DELETE", "dblock"),
    ] {
        let act = |b: &mut Bench| -> Result<()> {
            match (method, part) {
                ("GET", "?$select=name") => b.stat(NAME).map(drop),
                ("GET", ":/content") => b.get(NAME, None).map(drop),
                ("GET", _) => b.list().map(drop),
                ("DELETE", _) => b.delete(),
                ("PUT", _) => b.put(b"short"),
                _ => b.put(&bytes(LEN)),
            }
        };
        let no = says(401, "InvalidAuthenticationToken");
        let mut b = bench();
        b.stored(3);
        b.script(method, part, no.clone());
        act(&mut b).expect("with a new token");
        let seen = b.asked(method, part);
        assert!(seen[0].holds("authorization", "acct-1"), "{part}");
        assert!(seen[1].holds("authorization", "acct-2"), "{part}");
        assert_eq!(b.retries(), 0);
        let mut b = bench();
        b.stored(3);
        b.scripts(2, method, part, &no);
        fails(act(&mut b), Kind::Credentials, "access denied");
    }
    // One that is about to run out is not used any more.
    let mut b = bench();
    b.with(|graph| graph.life = 20);
    b.put(&bytes(LEN)).expect("stored");
    b.list().expect("listed");
    assert_eq!(b.with(|graph| graph.tokens), 3);
}

#[test]
fn token_services_that_are_down_or_lead_elsewhere() {
    for (trouble, kind, words) in [
        (answer(503), Kind::Busy, "too busy"),
        (answer(500), Kind::Busy, "the AuthID is dead"),
        (
            moved("http://example.org/refresh"),
            Kind::Unsupported,
            "example.org",
        ),
        (login_page(200), Kind::Unsupported, "captive portal"),
        (reply(200, "{}"), Kind::Unsupported, "gives no token"),
        (
            headed(404, "x-reason", "No such key"),
            Kind::Credentials,
            "remote login onedrivev2",
        ),
        (
            headed(
                500,
                "x-reason",
                "Authentication provider for x gave error: invalid_grant",
            ),
            Kind::Credentials,
            "does not accept the AuthID any more",
        ),
    ] {
        let mut b = bench_with("number-of-retries=1");
        b.scripts(4, "GET", "/refresh", &trouble);
        fails(b.list().map(drop), kind, words);
    }
    // Down for a moment.
    let mut b = bench();
    b.script("GET", "/refresh", Trouble::Close);
    b.script("GET", "/refresh", answer(502));
    b.list().expect("in the end");
}

#[test]
fn refusals_are_told_in_words_that_help() {
    for (status, code, message, kind, words) in [
        (509, "activityLimitReached", "slow", Kind::Busy, "too busy"),
        (
            403,
            "accessDenied",
            "Access denied",
            Kind::Credentials,
            "check the log-in",
        ),
        (
            400,
            "BadRequest",
            "This API is not supported for MSA accounts",
            Kind::Unsupported,
            "no sites and no groups",
        ),
        (
            404,
            "ResourceNotFound",
            "User's mysite not found.",
            Kind::Missing,
            "no OneDrive yet",
        ),
        (
            400,
            "invalidRequest",
            "The provided name cannot contain this: begins with ~",
            Kind::Unsupported,
            "does not take this name",
        ),
    ] {
        let mut b = bench_with("number-of-retries=0");
        b.scripts(4, "PUT", ":/content", &reply(status, error(code, message)));
        fails(b.put(b"x"), kind, words);
    }
    // The folder is a file.
    let mut b = bench();
    b.with(|graph| {
        graph.folders[2] = None;
        graph.files.insert(FOLDER.to_owned(), b"x".to_vec());
    });
    fails(b.list().map(drop), Kind::Usage, "a file, not a folder");
}

#[test]
fn free_space_is_told() {
    let mut b = bench();
    let none = reply(200, r#"{"quota":{"total":100,"remaining":10}}"#);
    b.scripts(2, "GET", "$select=quota", &none);
    b.script("PUT", ":/content", says(507, "quotaLimitReached"));
    fails(b.put(&bytes(50)), Kind::NoSpace, "no space left");
    b.script("PUT", ":/content", Trouble::Close);
    b.script("PUT", ":/content", Trouble::Close);
    fails(b.put(&bytes(50)), Kind::NoSpace, "10 bytes are free");
}

/// With a token file, in a folder that goes with it.
struct InFile {
    folder: std::path::PathBuf,
    file: std::path::PathBuf,
    bench: Bench,
}

impl InFile {
    fn new(life: u64) -> InFile {
        let random = crate::base::rand::hex::<8>().expect("random");
        let folder = std::env::temp_dir().join(format!("duplet-token-{random}"));
        std::fs::create_dir(&folder).expect("made");
        let file = folder.join("token");
        write(&file, "acct-r");
        let server = onedrive::server();
        server.with(|graph| graph.life = life);
        let base = format!("http://{}", server.address);
        let url = format!(
            "onedrivev2://d/b?graph-endpoint={base}&oauth-token-url={base}/token&oauth-token-file={}&retry-delay=0s&http-proxy=none&number-of-retries=0",
            file.display()
        );
        let bench = Special::at(server, &url);
        InFile {
            folder,
            file,
            bench,
        }
    }

    fn kept(&self) -> String {
        let text = std::fs::read_to_string(&self.file).expect("there");
        let text = text.split("refresh_token\":\"").nth(1).expect("a token");
        text.split('"').next().expect("its end").to_owned()
    }
}

impl Drop for InFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn write(file: &std::path::Path, token: &str) {
    let text = format!(r#"{{"client_id":"own","refresh_token":"{token}"}}"#);
    std::fs::write(file, text).expect("written");
}

#[test]
fn a_refresh_token_is_used_once_and_the_next_one_kept() {
    // Each request needs a token of its own.
    let mut b = InFile::new(20);
    b.bench.list().expect("listed");
    b.bench.list().expect("listed");
    let given = b.bench.with(|graph| (graph.tokens, graph.refresh.clone()));
    assert_eq!(
        (given.0, b.kept()),
        (3, given.1),
        "for the folder and two listings"
    );
    // Another program has used it and kept the next: that one counts.
    b.bench
        .with(|graph| graph.refresh = "acct-other".to_owned());
    write(&b.file, "acct-other");
    b.bench.list().expect("listed");
    assert_eq!(b.kept(), "acct-otherr");
    // The file is gone, or spoilt: what was there is still known, and where there is a place for it kept again.
    std::fs::remove_file(&b.file).expect("removed");
    b.bench.list().expect("listed");
    std::fs::write(&b.file, b"{").expect("spoilt");
    b.bench.list().expect("listed");
    assert_eq!(b.kept(), b.bench.with(|graph| graph.refresh.clone()));
    assert_eq!(std::fs::read_dir(&b.folder).expect("listed").count(), 1);
    // It is told in one line how a new one is made, and no token is.
    b.bench.with(|graph| graph.refresh = "revoked".to_owned());
    let words = "make a new one with 'duplet remote login onedrivev2'";
    let told = fails(b.bench.list().map(drop), Kind::Credentials, words);
    assert!(told.contains("***"), "{told}");
}

/// By the clock of the program's own running time: whatever the device's says.
#[test]
fn a_token_is_used_as_long_as_it_lives() {
    let mut b = InFile::new(3600);
    for _ in 0..3 {
        b.bench.list().expect("listed");
    }
    assert_eq!(b.bench.with(|graph| graph.tokens), 1);
    // Revoked before its time.
    b.bench.with(|graph| graph.tokens = 7);
    b.bench.list().expect("with a new one");
    assert_eq!(b.bench.with(|graph| graph.tokens), 8);
}
