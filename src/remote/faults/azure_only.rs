//! What only Azure does wrong: clocks, SAS tokens, tiers, snapshots, blocks, and paths that Duplicati ignores.

use super::azure::faulty_azure::{Azure, error};
use super::*;

const KEY: &str = "auth-username=account&auth-password=a2V5LW9mLXRoZS1hY2NvdW50";

type Bench = Special<Azure>;

fn bench_with(query: &str) -> Bench {
    let server = azure::server();
    let url = azure::with(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    let server = azure::server();
    let url = azure::url(&server.address.to_string(), "");
    Special::at(server, &url)
}

/// A refusal as the server sends it, with a further element.
fn says(status: u16, code: &str, more: &str) -> Trouble {
    reply(
        status,
        error(
            code,
            "Server failed to authenticate the request. Make sure",
            more,
        ),
    )
}

fn detail(text: &str) -> String {
    format!("<AuthenticationErrorDetail>{text}</AuthenticationErrorDetail>")
}

#[test]
fn refusals_are_told_in_words_that_help() {
    let expired =
        "Signature not valid in the specified time frame: Start [1] - Expiry [2] - Current [3]";
    let old = "Request date header too old: 'Thu, 01 Jan 1970'";
    for (status, code, more, kind, words) in [
        (
            403,
            "AuthenticationFailed",
            detail(expired),
            Kind::Credentials,
            "make a new SAS token",
        ),
        (
            403,
            "AuthenticationFailed",
            detail(old),
            Kind::Credentials,
            "set the clock",
        ),
        (
            403,
            "AuthenticationFailed",
            String::new(),
            Kind::Credentials,
            "--auth-password",
        ),
        (
            403,
            "AuthorizationPermissionMismatch",
            String::new(),
            Kind::Credentials,
            "lacks the right",
        ),
        (
            403,
            "AuthorizationSourceIPMismatch",
            String::new(),
            Kind::Credentials,
            "Networking",
        ),
        (
            403,
            "AuthorizationResourceTypeMismatch",
            String::new(),
            Kind::Credentials,
            "something else",
        ),
        (
            403,
            "AuthorizationProtocolMismatch",
            String::new(),
            Kind::Credentials,
            "https",
        ),
        (
            403,
            "KeyBasedAuthenticationNotPermitted",
            String::new(),
            Kind::Credentials,
            "delegation",
        ),
        (
            403,
            "AccountIsDisabled",
            String::new(),
            Kind::Credentials,
            "AccountIsDisabled",
        ),
        (
            409,
            "BlobArchived",
            String::new(),
            Kind::Unsupported,
            "archive tier",
        ),
        (
            409,
            "BlobBeingRehydrated",
            String::new(),
            Kind::Unsupported,
            "archive tier",
        ),
        (
            409,
            "BlobImmutableDueToPolicy",
            String::new(),
            Kind::Unsupported,
            "policy",
        ),
        (
            412,
            "LeaseIdMissing",
            String::new(),
            Kind::Unsupported,
            "lease",
        ),
        (
            400,
            "InvalidResourceName",
            String::new(),
            Kind::Unsupported,
            "name",
        ),
    ] {
        let mut b = bench();
        b.stored(10);
        b.scripts(2, "GET", "dblock", &says(status, code, &more));
        let e = refused(b.get(NAME, None), words);
        assert_eq!(e.kind(), kind, "{code}: {e}");
        assert_eq!(b.count("GET", "dblock"), 1, "{code} is final");
    }
    for (code, again) in [("ContainerBeingDeleted", 2), ("AccountBeingCreated", 2)] {
        let mut b = bench();
        b.script("PUT", "dblock", says(409, code, ""));
        b.put(b"x").expect("in the end");
        assert_eq!(b.count("PUT", "dblock"), again, "{code}");
    }
}

/// The server does not always say so: the token does.
#[test]
fn a_token_that_has_run_out_is_named() {
    let no = || {
        let head = vec![("date", "Fri, 02 Jan 2026 00:00:00 GMT".to_owned())];
        Trouble::Answer(403, head, error("AuthorizationFailure", "no", ""))
    };
    for (end, over) in [
        ("2026-01-01", true),
        ("2026-01-02T00:00Z", true),
        ("2026-01-01T23%253A59%253A59Z", true),
        ("2026-01-02T00%253A00%253A01Z", false),
        ("2026-01-03", false),
        ("whenever", false),
        ("", false),
    ] {
        let mut b = bench_with(&format!(
            "azure-access-sas-token=sv%3D1%26se%3D{end}%26sig%3Dxxxx"
        ));
        b.script("GET", "comp=list", no());
        let e = b.list().expect_err("refused").to_string();
        assert_eq!(e.contains("ran out on 2026"), over, "{end}: {e}");
    }
    // In the middle of an upload, of a file and of a listing: told at once, and not tried again.
    let mut b = bench_with("azure-access-sas-token=sv%3D1%26se%3D2026-01-01%26sig%3Dxxxx");
    let body = error("AuthenticationFailed", "no", "");
    b.script("PUT", "", Trouble::Midway(300_000, 403, body));
    fails(b.put(&bytes(3 * MIB)), Kind::Credentials, "ran out on 2026");
    b.stored(10);
    b.script("GET", "dblock", no());
    fails(b.get(NAME, None), Kind::Credentials, "ran out on 2026");
    assert_eq!(b.retries(), 0);
}

/// A reply to HEAD has no body: the code stands in its head.
#[test]
fn a_code_in_the_head_counts() {
    let mut b = bench();
    b.stored(10);
    b.script(
        "HEAD",
        "dblock",
        headed(403, "x-ms-error-code", "AuthorizationPermissionMismatch"),
    );
    let e = b.stat(NAME).expect_err("refused");
    assert!(e.to_string().contains("lacks the right"), "{e}");
}

#[test]
fn what_the_server_repeats_of_a_secret_is_masked() {
    for said in [
        format!("no access to /bkt?sv=2021-12-02&amp;sig={SECRET_IN_URL}"),
        format!("the signature {SECRET} is not the one"),
        format!("bad: {SECRET_IN_URL}"),
    ] {
        let mut b = bench();
        b.script(
            "GET",
            "comp=list",
            reply(403, error("AuthenticationFailed", &said, "")),
        );
        let e = b.list().expect_err("refused").to_string();
        assert!(e.contains("***") && !e.contains("s3cr3t"), "{e}");
    }
    // The signature that a key made.
    let mut b = bench_with(KEY);
    b.list().expect("listed");
    let sent = b.asked("GET", "")[0]
        .header("authorization")
        .map(str::to_owned);
    let sent = sent.expect("signed");
    assert!(sent.starts_with("SharedKey account:"), "{sent}");
}

#[test]
fn a_clock_that_is_off_is_corrected_once() {
    let late = vec![("date", "Sat, 01 Jan 2033 00:00:00 GMT".to_owned())];
    let refused = |times| {
        let b = bench_with(KEY);
        b.stored(10);
        let no = Trouble::Answer(403, late.clone(), error("AuthenticationFailed", "no", ""));
        b.scripts(times, "GET", "dblock", &no);
        b
    };
    let mut b = refused(1);
    b.get(NAME, None).expect("by the server's clock");
    let gets = b.asked("GET", "dblock");
    assert_eq!(gets.len(), 2);
    assert!(gets[1].holds("x-ms-date", "01 Jan 2033 00:00:0"));
    b.get(NAME, None).expect("remembered");
    assert!(b.asked("GET", "dblock")[2].holds("x-ms-date", "2033"));

    let mut b = refused(4);
    fails(b.get(NAME, None), Kind::Credentials, "access denied");
    assert_eq!(b.count("GET", "dblock"), 2);

    // Of no use with a SAS token, and for other refusals with a clock that is right.
    let mut b = bench();
    b.stored(10);
    b.script(
        "GET",
        "dblock",
        Trouble::Answer(403, late.clone(), error("AuthenticationFailed", "no", "")),
    );
    fails(b.get(NAME, None), Kind::Credentials, "access denied");
}

#[test]
fn files_that_cannot_be_read_now_are_listed_as_such() {
    for (tier, query, archived) in [
        ("Archive", "", true),
        ("Cold", "", true),
        ("Cool", "", false),
        ("", "", false),
        ("Cold", "azure-archive-classes=archive", false),
        ("ARCHIVE", "azure-archive-classes=archive", true),
    ] {
        let mut b = bench_with(&format!("{KEY}&{query}"));
        b.stored(3);
        b.with(|azure| azure.tier = tier);
        let mut found = Vec::new();
        let Subject { remote, ui, .. } = &mut *b;
        remote
            .list(ui, &mut |item| {
                if let crate::dest::Listed::Entry(file) = item {
                    found.push(file.is_archived);
                }
                Ok(())
            })
            .expect("listed");
        assert_eq!(found, [archived], "{tier} {query}");
    }
    let mut b = bench();
    b.stored(3);
    b.with(|azure| azure.tier = "Archive");
    fails(b.get(NAME, None), Kind::Unsupported, "set-tier");
}

#[test]
fn snapshots_go_with_their_file() {
    let mut b = bench();
    b.stored(3);
    b.with(|azure| azure.snapshots.push(NAME.to_owned()));
    b.delete().expect("deleted");
    assert_eq!(b.file(), None);
    assert_eq!(b.methods("dblock"), "DELETE DELETE");
    b.delete().expect("nothing there");
    b.with(|azure| azure.container = false);
    fails(b.delete(), Kind::Missing, "container");
}

/// A broken upload of a long file goes on in blocks: what has arrived is not sent again.
#[test]
fn a_poor_line_takes_blocks() {
    let data = bytes(14 * MIB);
    let mut b = bench();
    b.script("PUT", "dblock", Trouble::Reset(5 << 20));
    b.script("PUT", "comp=block&", Trouble::Reset(1 << 20));
    b.put(&data).expect("in the end");
    assert_eq!(b.file().expect("there"), data);
    // The whole, a block that broke, four blocks; then the list.
    assert_eq!(
        (b.count("PUT", "comp=block&"), b.count("PUT", "blocklist")),
        (5, 1)
    );
    let lens: Vec<u64> = b
        .asked("PUT", "comp=block&")
        .iter()
        .map(|s| s.body)
        .collect();
    assert_eq!(lens[1..], [4 << 20, 4 << 20, 4 << 20, 2 << 20]);

    // A later break takes up where it was.
    let mut b = bench();
    b.script("PUT", "dblock", Trouble::Close);
    b.put(&data[1..]).expect("in the end");
    b.script("PUT", "dblock", Trouble::Reset(100));
    b.script("PUT", "comp=blocklist", answer(500));
    b.put(&data).expect("in the end");
    assert_eq!(b.file().expect("there"), data);
    assert_eq!(b.count("PUT", "comp=block&"), 8, "each once");

    // Blocks that the server has forgotten are sent again; a refusal is final.
    let mut b = bench();
    b.script("PUT", "dblock", Trouble::Close);
    b.script("PUT", "comp=blocklist", says(400, "InvalidBlockList", ""));
    b.put(&data).expect("in the end");
    assert_eq!(b.count("PUT", "comp=block&"), 8, "all of them twice");
    let mut b = bench();
    b.script("PUT", "dblock", Trouble::Close);
    b.script(
        "PUT",
        "comp=block&",
        says(403, "AuthorizationPermissionMismatch", ""),
    );
    fails(b.put(&data), Kind::Credentials, "lacks the right");
    // Short files are simply sent again.
    let mut b = bench();
    b.script("PUT", "dblock", Trouble::Close);
    b.put(&data[..MIB]).expect("in the end");
    assert_eq!(b.count("PUT", "comp="), 0);
    // What must be new stays new.
    let mut b = bench();
    b.script("PUT", "dblock", Trouble::Replace(NAME, b"theirs".to_vec()));
    assert!(!b.put_new(&data).expect("settled"));
}

/// Where files lie: Duplicati does not look at the path.
#[test]
fn a_path_is_ignored_unless_only_it_has_the_backup() {
    let at = |path: &str, query: &str| {
        let server = azure::server();
        let url = azure::with(&server.address.to_string(), &format!("{KEY}&{query}"));
        Special::at(server, &url.replace("//bkt?", &format!("//bkt/{path}?")))
    };
    let other = "duplicati-b2.dblock.zip";
    // Nothing anywhere, files in both, files in the root: the root.
    for (root, below) in [(false, false), (true, true), (true, false)] {
        let mut b = at("some/path", "");
        if root {
            b.stored(3);
        }
        if below {
            b.store(&format!("some/path/{other}"), b"x");
        }
        let want: &[&str] = if root { &[NAME] } else { &[] };
        assert_eq!(b.list().expect("listed"), want);
        b.list().expect("listed");
        let asked = b.count("GET", "comp=list");
        assert_eq!(
            asked,
            if root { 2 } else { 3 },
            "the path is looked at once"
        );
        b.put(b"y").expect("stored");
        assert!(b.file().is_some(), "in the root");
    }
    // Only below, or beside files that are none of this backup: there, and only for reading.
    let mut b = at("some/path/", "");
    b.store(&format!("some/path/{other}"), b"x");
    b.store("some/path/deeper/duplicati-b3.dblock.zip", b"x");
    b.store("note.txt", b"x");
    assert_eq!(b.list().expect("listed"), [other]);
    assert_eq!(b.get(other, None).expect("read"), b"x");
    assert_eq!(b.list().expect("listed"), [other]);
    refused(b.put(b"y"), "azure-use-path");
    assert_eq!(b.count("PUT", ""), 0);
    // Asked for.
    let mut b = at("p%20%C3%A4+x/y", "azure-use-path=true");
    b.put(b"y").expect("stored");
    b.store("duplicati-b9.dblock.zip", b"x");
    assert_eq!(b.list().expect("listed"), [NAME]);
    let key = format!("p \u{e4} x/y/{NAME}");
    assert_eq!(b.with(|azure| azure.files[&key].clone()), b"y");
    assert_eq!(b.get(NAME, None).expect("read"), b"y");
    b.delete().expect("deleted");
    assert!(!b.with(|azure| azure.files.contains_key(&key)));
}

#[test]
fn what_cannot_be_right_is_refused_before_anything_is_asked() {
    let open = |url: &str| {
        let mut ui = Ui::new(crate::base::ui::Volume::Quiet, false, Some(false));
        let opened = Remote::open(url, &Options::default(), &mut ui);
        opened.err().map(|e| (e.kind(), e.to_string()))
    };
    let key = "auth-username=account&auth-password=a2V5";
    for container in [
        "ab",
        "-abc",
        "abc-",
        "a--b",
        "a_b",
        "a.b",
        "\u{e4}bc",
        &"x".repeat(64),
        "abc:80",
    ] {
        let (kind, text) = open(&format!("azure://{container}?{key}")).expect("refused");
        assert!(
            kind == Kind::Usage && text.contains("no container name"),
            "{text}"
        );
    }
    for container in [
        "abc",
        "a-b-c",
        "ABC",
        "123",
        "$root",
        "$web",
        &"x".repeat(63),
    ] {
        assert_eq!(open(&format!("azure://{container}?{key}")), None);
    }
    for (query, words) in [
        ("", "no storage account given"),
        ("auth-username=account", "no account key or SAS token given"),
        ("auth-password=a2V5", "no storage account given"),
        ("auth-username=account&auth-password=a2V", "not in base64"),
        (
            "auth-username=Account&auth-password=a2V5",
            "no storage account",
        ),
        ("auth-username=a.b&auth-password=a2V5", "no storage account"),
        (
            "auth-username=account&azure-access-sas-token=abcdef",
            "no whole SAS token",
        ),
        (
            "azure-access-sas-token=sv%3D1%26sig%3Dx",
            "no storage account given",
        ),
        (
            "auth-username=account&auth-password=a2V5&azure-endpoint=ftp://x",
            "no address",
        ),
        (
            "auth-username=account&auth-password=a2V5&azure-endpoint=x?y",
            "no address",
        ),
    ] {
        let (kind, text) = open(&format!("azure://abc?{query}")).expect(query);
        assert!(
            kind == Kind::Usage && text.contains(words),
            "{query}: {text}"
        );
    }
    assert!(
        open("azure://?auth-username=account")
            .expect("refused")
            .1
            .contains("missing container")
    );
    for query in [
        "auth-username=account&azure-access-sas-token=%3Fsv%3D1%26sig%3Dxxxx",
        "auth-username=account&azure-access-sas-token=https://a/b%3Fsv%3D1%26sig%3Dxxxx",
        "azure-endpoint=example.org&azure-access-sas-token=sv%3D1%26sig%3Dxxxx",
        "azure_account_name=account&azure_access_key=a2V5",
        "azure-account-name=account&azure-access-key=a2V5&azure-internal-retries=5",
    ] {
        assert_eq!(open(&format!("azure://abc?{query}")), None, "{query}");
    }
}
