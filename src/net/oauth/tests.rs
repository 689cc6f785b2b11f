//! Log-ins by options, and token files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::base::rand;
use crate::net::oauth::token_file as f;

static PROVIDER: Provider = Provider {
    name: "Some Drive",
    scheme: "somedrive",
    service: "somedrive",
    token_url: "https://id.example/v2/token",
    device: "devicecode",
    page: "authorize?x=y",
    by_login_token: "",
    hosts: &[],
    scope: "files",
    own: "&scope=all",
};
static NEVER_OWN: Provider = Provider {
    own: "",
    ..PROVIDER_COPY
};
const PROVIDER_COPY: Provider = Provider {
    name: "Some Drive",
    scheme: "somedrive",
    service: "somedrive",
    token_url: "https://id.example/v2/token",
    device: "",
    page: "",
    by_login_token: "",
    hosts: &[],
    scope: "",
    own: "",
};

/// A folder of its own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("duplet-oauth-{}", rand::hex::<8>().expect("random"));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("made");
        Folder(path)
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(given: &[(&'static Opt, &str)]) -> Options {
    let mut options = Options::default();
    for (opt, value) in given {
        options.set(opt, value).expect("good");
    }
    options
}

static ID: Opt = AUTHID;
static SERVICE: Opt = OAUTH_URL;
static CLIENT: Opt = CLIENT_ID;
static SECRET: Opt = CLIENT_SECRET;
static REFRESH: Opt = REFRESH_TOKEN;
static URL: Opt = TOKEN_URL;
static FILE: Opt = TOKEN_FILE;

fn told(given: &[(&'static Opt, &str)], provider: &'static Provider) -> String {
    match login(&options(given), provider) {
        Ok(_) => String::new(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn a_log_in_is_named_by_options() {
    for (given, words) in [
        (vec![(&ID, "key:pass")], ""),
        (vec![(&ID, "token")], ""),
        (vec![(&CLIENT, "c"), (&REFRESH, "r")], ""),
        (vec![(&CLIENT, "c"), (&SECRET, "s")], ""),
        (
            vec![],
            "no log-in for Some Drive given (use --authid, or --oauth-token-file",
        ),
        (vec![(&REFRESH, "r")], "no log-in"),
        (
            vec![(&CLIENT, "c")],
            "no refresh token for --oauth-client-id given",
        ),
        (
            vec![(&ID, "a:b"), (&SERVICE, "http://example.org/x")],
            "--oauth-url is no address of https",
        ),
        (vec![(&ID, "a:b"), (&SERVICE, "http://127.0.0.1:1/x")], ""),
        (
            vec![
                (&CLIENT, "c"),
                (&REFRESH, "r"),
                (&URL, "http://example.org/x"),
            ],
            "--oauth-token-url is no address of https",
        ),
        (
            vec![(&FILE, "/does/not/exist")],
            "cannot read the token file /does/not/exist",
        ),
    ] {
        let told = told(&given, &PROVIDER);
        assert_eq!(told.is_empty(), words.is_empty(), "{told}");
        assert!(told.contains(words), "{told}");
    }
    let own = [(&CLIENT, "c"), (&SECRET, "hunter2")];
    let told = told(&own, &NEVER_OWN);
    assert!(
        told.contains("no refresh token") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn an_account_is_known_again_and_says_nothing() {
    let of = |given: &[(&'static Opt, &str)]| account(&options(given));
    assert_eq!(of(&[]), "");
    // Another password of the same key is the same log-in.
    assert_eq!(of(&[(&ID, "key:one")]), of(&[(&ID, "key:two")]));
    assert_ne!(of(&[(&ID, "key:one")]), of(&[(&ID, "yek:one")]));
    assert_ne!(of(&[(&ID, "v2:s:one")]), of(&[(&ID, "v2:s:two")]));
    assert_ne!(of(&[(&FILE, "/a")]), of(&[(&FILE, "/b")]));
    assert_eq!(of(&[(&FILE, "/a")]).len(), 16);
}

#[test]
fn a_token_file_is_kept_whole_and_for_its_owner() {
    let folder = Folder::new();
    let path = folder.at("token");
    let mut file = TokenFile::new(&path);
    file.set(f::CLIENT_ID, "c");
    file.set(f::REFRESH_TOKEN, "one");
    file.save().expect("saved");
    let mode = |path: &str| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    // Through a link it is the file that is written, and nothing else stays.
    let link = folder.at("link");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let mut again = TokenFile::read(&link).expect("read");
    assert_eq!((again.get(f::CLIENT_ID), again.get(f::AUTHID)), ("c", ""));
    again.set(f::REFRESH_TOKEN, "two");
    again.save().expect("saved");
    assert!(
        std::fs::symlink_metadata(&link)
            .expect("there")
            .is_symlink()
    );
    assert_eq!(
        TokenFile::read(&path).expect("read").get(f::REFRESH_TOKEN),
        "two"
    );
    assert_eq!(std::fs::read_dir(&folder.0).expect("listed").count(), 2);
    assert!(again.take_notices().is_empty());
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&path, open).expect("opened");
    let mut open = TokenFile::read(&path).expect("read");
    assert!(open.take_notices()[0].contains("others can read"));
    // What cannot be written leaves the old one, and nothing beside it.
    let nowhere = TokenFile::new(&folder.at("no/such/folder"));
    assert!(nowhere.save().is_err());
}

#[test]
fn token_files_that_are_none() {
    let folder = Folder::new();
    let path = folder.at("token");
    for (content, words) in [
        ("", "is no token file"),
        ("{\"refresh_token\":\"hunter2\"", "is no token file"),
        ("{}", "has no refresh token"),
        ("[1]", "has no refresh token"),
        (r#"{"refresh_token":"hunter2"}"#, "has no client id"),
        (
            r#"{"refresh_token":"hunter2","client_id":"c","token_url":"http://example.org"}"#,
            "no address of https",
        ),
        (r#"{"refresh_token":"r","client_id":"c"}"#, ""),
        ("\u{feff}{\"authid\":\"a:b\"}", ""),
    ] {
        std::fs::write(&path, content).expect("written");
        let told = told(&[(&FILE, &path)], &PROVIDER);
        assert_eq!(told.is_empty(), words.is_empty(), "{content}: {told}");
        assert!(told.contains(words) && !told.contains("hunter2"), "{told}");
    }
}
