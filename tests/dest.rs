//! One table of cases against every destination there is, through `duplet remote`: what one keeps, all keep.
//!
//! `DUPLET_TEST_URL` adds any real destination: an empty folder, with its credentials in the URL or the environment. A new
//! kind of destination adds a row to [`places`].

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it could not do or where to look"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_azure.rs"]
mod faulty_azure;
#[path = "support/faulty_box.rs"]
mod faulty_box;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/faulty_drime.rs"]
mod faulty_drime;
#[path = "support/faulty_drive.rs"]
mod faulty_drive;
#[path = "support/faulty_dropbox.rs"]
mod faulty_dropbox;
#[path = "support/faulty_filen.rs"]
mod faulty_filen;
#[path = "support/faulty_ftp/mod.rs"]
mod faulty_ftp;
#[path = "support/faulty_gcs.rs"]
mod faulty_gcs;
#[path = "support/faulty_graph.rs"]
mod faulty_graph;
#[path = "support/faulty_ipfs.rs"]
mod faulty_ipfs;
#[path = "support/faulty_jotta.rs"]
mod faulty_jotta;
#[path = "support/faulty_pcloud.rs"]
mod faulty_pcloud;
#[path = "support/faulty_storage.rs"]
mod faulty_storage;
#[path = "support/faulty_tahoe.rs"]
mod faulty_tahoe;
mod support;

use std::any::Any;
use std::fs;
use std::sync::Arc;

use faulty::Server;
use faulty_azure::Azure;
use faulty_box::BoxCom;
use faulty_dav::Dav;
use faulty_drime::Drime;
use faulty_drive::Drive;
use faulty_dropbox::Dropbox;
use faulty_filen::Filen;
use faulty_gcs::Gcs;
use faulty_graph::Graph;
use faulty_ipfs::Node;
use faulty_jotta::Jotta;
use faulty_pcloud::PCloud;
use faulty_storage::Storage;
use faulty_tahoe::{Tahoe, capability};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use support::craft::base64;
use support::servers::{b2, s3};
use support::{Ran, Rand, Scratch, text};

/// One destination folder, empty and not yet made.
struct Place {
    name: String,
    /// The schemes of the registry that it stands for.
    schemes: &'static [&'static str],
    url: String,
    /// The folder, or the bucket, can be missing.
    can_be_missing: bool,
    /// Upper and lower case are the same to it.
    folds_case: bool,
    /// Longer listings than one page are worth their time here.
    quick: bool,
    /// Keeps what the URL points at alive.
    _held: Option<Arc<dyn Any>>,
}

impl Place {
    fn new(name: &str, schemes: &'static [&'static str], url: String) -> Place {
        Place {
            name: name.to_owned(),
            schemes,
            url,
            can_be_missing: true,
            folds_case: false,
            quick: true,
            _held: None,
        }
    }
}

/// Every destination of this run, for one case: `case` makes folders of their own.
fn places(scratch: &Scratch, case: &str) -> Vec<Place> {
    let folder = text(&scratch.at(&format!("dest {case}"))).to_owned();
    let path = format!("kit-{case}/päth%20a%2Bb/x");
    let mut all = vec![Place::new("file", &["file"], folder)];
    for server in s3::all() {
        all.push(Place {
            quick: server.name == "juicefs",
            ..Place::new(server.name, &["s3", "e2"], server.url(&path, ""))
        });
        all.last_mut().unwrap()._held = Some(server);
    }
    all.extend(on_s3_and_swift(&path));
    let server = b2::Server::start();
    let url = server.url(&server.master(), &path, "");
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new("b2", &["b2"], url)
    });
    let server = Server::start(|_| Azure::new());
    let at = server.address;
    let url = format!(
        "azure://bkt/{path}?azure-use-path&azure-endpoint=http://{at}/account&auth-username=account&auth-password=a2V5&http-proxy=none"
    );
    all.push(Place {
        can_be_missing: false,
        _held: Some(Arc::new(server)),
        ..Place::new("azure", &["azure"], url)
    });
    let server = Server::start(|address| Gcs::new(address, |_| None));
    let at = server.address;
    let url = format!("gcs://bkt/{path}?gcs-endpoint=http://{at}&gcs-project=prj&http-proxy=none");
    all.push(Place {
        can_be_missing: false,
        _held: Some(Arc::new(server)),
        ..Place::new("gcs", &["gcs"], url)
    });
    let server = Server::start(Graph::new);
    let at = format!("http://{}", server.address);
    let login = format!("graph-endpoint={at}&oauth-url={at}/refresh&authid=a:b&http-proxy=none");
    // One client of one service.
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new(
            "onedrive",
            &["onedrivev2", "sharepoint", "msgroup"],
            format!("onedrivev2://{path}?{login}"),
        )
    });
    let server = Server::start(|address| Drive::new(address, md5));
    let at = server.address;
    let url =
        format!("googledrive://{path}?googledrive-endpoint=http://{at}&authid=x&http-proxy=none");
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new("googledrive", &["googledrive"], url)
    });
    let server = Server::start(|_| Dropbox::new(content_hash));
    let at = server.address;
    let url = format!("dropbox://{path}?dropbox-endpoint=http://{at}&authid=x&http-proxy=none");
    all.push(Place {
        folds_case: true,
        _held: Some(Arc::new(server)),
        ..Place::new("dropbox", &["dropbox"], url)
    });
    let server = Server::start(|_| Jotta::new(md5));
    let at = server.address;
    let url =
        format!("jottacloud://{path}?jottacloud-endpoint=http://{at}&authid=x&http-proxy=none");
    all.push(Place {
        folds_case: true,
        _held: Some(Arc::new(server)),
        ..Place::new("jottacloud", &["jottacloud"], url)
    });
    let server = Server::start(|_| BoxCom::new(sha1));
    let at = server.address;
    let url = format!("box://{path}?box-endpoint=http://{at}&authid=x&http-proxy=none");
    all.push(Place {
        folds_case: true,
        _held: Some(Arc::new(server)),
        ..Place::new("box", &["box"], url)
    });
    let server = Server::start(|address| PCloud::new(address, pcloud_digests));
    let at = server.address;
    let url = format!(
        "pcloud://api.pcloud.com/{path}?pcloud-endpoint=http://{at}&authid=x&http-proxy=none"
    );
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new("pcloud", &["pcloud"], url)
    });
    let server = Server::start(|_| Tahoe::new());
    let (at, own) = (server.address, capability());
    let plus = path.replace("%2B", "+");
    let url = format!("tahoe://{at}/uri/{own}/{plus}?http-proxy=none");
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new("tahoe", &["tahoe"], url)
    });
    let server = Server::start(|_| Filen::new("pw"));
    let at = server.address;
    let url = format!(
        "filen://{path}?filen-endpoint=http://{at}&auth-username=u&auth-password=pw&http-proxy=none"
    );
    all.push(Place {
        folds_case: true,
        _held: Some(Arc::new(server)),
        ..Place::new("filen", &["filen"], url)
    });
    all.extend(drime_and_storage(&path));
    let server = Server::start(|_| Dav::new());
    let url = format!("webdav://{}/d/b/{path}?http-proxy=none", server.address);
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new("webdav", &["webdav"], url)
    });
    let decoded = format!("/kit-{case}/päth a+b/x");
    let server = Server::start(|_| Node::new(&decoded, identifier));
    let url = format!("ipfs://{}/{path}?http-proxy=none", server.address);
    // What `ipns://` names is only read.
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new("ipfs", &["ipfs", "ipns"], url)
    });
    let folder = scratch.at(&format!("sftp-{case}/p\u{e4}th%20a+b/x"));
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faulty_sftp.py");
    let state = scratch.folder(&format!("sftp-state-{case}"));
    let ours = format!("python3+'{ours}'+{}", text(&state));
    let url = format!("ssh://localhost{}?ssh-command={ours}", text(&folder));
    all.push(Place::new("sftp in Python", &["ssh"], url));
    let theirs = "/usr/lib/openssh/sftp-server";
    if std::path::Path::new(theirs).exists() {
        let folder = scratch.at(&format!("openssh-{case}/p\u{e4}th%20a+b/x"));
        let url = format!("ssh://localhost{}?ssh-command={theirs}", text(&folder));
        all.push(Place::new("OpenSSH", &["ssh"], url));
    }
    let modes = faulty_ftp::Modes::default();
    let server: Arc<faulty_ftp::Server> = Arc::new(faulty_ftp::Server::start(modes));
    let login = format!("user:s3cr3t%2F%2Bvalue@{}", server.address);
    // One folder, seen from the log-in and from the root.
    let url = format!("ftp://{login}/kit-{case}/p\u{e4}th%20a+b/x");
    all.push(Place {
        _held: Some(server.clone()),
        ..Place::new("ftp", &["ftp"], url)
    });
    let home = faulty_ftp::HOME;
    let url = format!("aftp://{login}{home}/kit2-{case}/p\u{e4}th%20a+b/x");
    all.push(Place {
        _held: Some(server),
        ..Place::new("aftp", &["aftp"], url)
    });
    let folder = scratch.at(&format!("rclone-{case}/p\u{e4}th a+b/x"));
    let folder = text(&folder).replace(' ', "%20").replace('+', "%2B");
    let program = b2::programs().join("rclone");
    let url = format!(
        "rclone://{folder}?rclone-remote-repository=:local&rclone-executable={}",
        text(&program)
    );
    all.push(Place {
        quick: false,
        ..Place::new("rclone", &["rclone"], url)
    });
    if let Ok(url) = std::env::var("DUPLET_TEST_URL") {
        all.push(Place {
            can_be_missing: false,
            quick: false,
            ..Place::new("DUPLET_TEST_URL", &[], url)
        });
    }
    all
}

/// Drime, and Duplicati's own storage by its gateway and by keys of an S3 server.
fn drime_and_storage(path: &str) -> Vec<Place> {
    let mut all = Vec::new();
    let server = Server::start(|_| Drime::new());
    let at = server.address;
    let url = format!("drimecloud://{path}?api-url=http://{at}/api/v1&api-token=x&http-proxy=none");
    // What is the same of FileJump; nothing is written there.
    all.push(Place {
        _held: Some(Arc::new(server)),
        ..Place::new("drimecloud", &["drimecloud", "filejump"], url)
    });
    let keys = serde_json::json!({
        "mode": "direct", "endpoint": s3::juicefs().endpoint(), "bucket": path.split_once('/').unwrap().0,
        "accessKeyId": "duplet", "secretKey": "duplet-secret-key", "prefix": "lent/x",
    });
    for keys in [None, Some(keys)] {
        let server = Server::start(|_| Storage::new(digests));
        let at = server.address;
        let lends = keys.is_some();
        server.with(|it| (it.is_made, it.keys) = (false, keys));
        let url = format!(
            "duplicati://?duplicati-endpoint=http://{at}&duplicati-backup-id=b1&duplicati-auth-apiid=o&duplicati-auth-apikey=k&http-proxy=none"
        );
        let held: Arc<dyn Any> = Arc::new((server, s3::juicefs()));
        let name = if lends {
            "duplicati by keys"
        } else {
            "duplicati"
        };
        all.push(Place {
            quick: !lends,
            _held: Some(held),
            ..Place::new(name, &["duplicati"], url)
        });
    }
    all
}

/// MD5 and SHA-256 in base 64.
fn digests(data: &[u8]) -> (String, String) {
    use md5::Digest;
    let sha256 = digest(&SHA256, data);
    (base64(&md5::Md5::digest(data)), base64(sha256.as_ref()))
}

/// The schemes on the client of S3, and OpenStack, at servers that run for S3.
fn on_s3_and_swift(path: &str) -> Vec<Place> {
    let mut all = Vec::new();
    let (server, swift) = (s3::juicefs(), s3::swift());
    let (bucket, folder) = path.split_once('/').unwrap();
    let at = server.endpoint();
    for (name, what, login) in [
        (
            "cos",
            format!(
                "cos://{folder}?cos-bucket={bucket}-cos-1&cos-region=ap-guangzhou&s3-server-name={at}"
            ),
            "cos-secret-id=duplet&cos-secret-key=duplet-secret-key",
        ),
        (
            "aliyunoss",
            format!("aliyunoss://{folder}?oss-bucket-name={bucket}-oss&oss-endpoint={at}"),
            "oss-access-key-id=duplet&oss-access-key-secret=duplet-secret-key",
        ),
        (
            "storj",
            format!(
                "storj://?storj-bucket={bucket}-storj&storj-folder={folder}&s3-server-name={at}"
            ),
            "auth-username=duplet&auth-password=duplet-secret-key",
        ),
    ] {
        let schemes: &'static [&'static str] = match name {
            "cos" => &["cos"],
            "aliyunoss" => &["aliyunoss"],
            _ => &["storj"],
        };
        let held: Arc<dyn Any> = server.clone();
        all.push(Place {
            quick: false,
            _held: Some(held),
            ..Place::new(name, schemes, format!("{what}&{login}"))
        });
    }
    let url = format!(
        "openstack://{path}-os?openstack-authuri=http://127.0.0.1:{}/auth/v1.0&auth-username=test%3Atester&auth-password=testing",
        swift.port
    );
    all.push(Place {
        quick: false,
        _held: Some(swift),
        ..Place::new("swift itself", &["openstack"], url)
    });
    all
}

fn md5(data: &[u8]) -> String {
    use md5::Digest;
    let hash = md5::Md5::digest(data);
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// A SHA-1 in hexadecimal digits and in base 64.
fn sha1(data: &[u8]) -> (String, String) {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, data);
    let digits = hash.as_ref().iter().map(|b| format!("{b:02x}"));
    (digits.collect(), base64(hash.as_ref()))
}

/// What pCloud tells of a file in the EU.
fn pcloud_digests(data: &[u8]) -> Vec<(&'static str, String)> {
    let hash = digest(&SHA256, data);
    let sha256 = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    vec![("sha1", sha1(data).0), ("sha256", sha256)]
}

/// Dropbox's digest of a file: of the digests of its blocks of 4 MiB.
fn content_hash(data: &[u8]) -> String {
    let blocks = data.chunks(4 << 20).map(|block| digest(&SHA256, block));
    let all: Vec<u8> = blocks.flat_map(|hash| hash.as_ref().to_vec()).collect();
    let hash = digest(&SHA256, &all);
    hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The identifier that a node of IPFS gives a file in chunks of 1 MiB, up to 174 of them: `destinations-core.md` 6.5, written anew.
fn identifier(data: &[u8]) -> String {
    let cid =
        |codec, block: &[u8]| [&[1, codec, 0x12, 32], digest(&SHA256, block).as_ref()].concat();
    let number = |mut n: usize| {
        let mut out = Vec::new();
        while n > 127 {
            out.push(n.to_le_bytes()[0] | 128);
            n >>= 7;
        }
        out.push(n.to_le_bytes()[0]);
        out
    };
    let chunks: Vec<&[u8]> = data.chunks(1 << 20).collect();
    let (mut links, mut sizes) = (Vec::new(), Vec::new());
    for chunk in &chunks {
        let link = [
            &[10, 36][..],
            &cid(0x55, chunk),
            &[18, 0, 24],
            &number(chunk.len()),
        ]
        .concat();
        links.extend([&[18][..], &number(link.len()), &link].concat());
        sizes.extend([&[32][..], &number(chunk.len())].concat());
    }
    let file = [&[8, 2, 24][..], &number(data.len()), &sizes].concat();
    let root = match chunks.len() {
        0 | 1 => cid(0x55, data),
        _ => cid(
            0x70,
            &[&links[..], &[10], &number(file.len()), &file].concat(),
        ),
    };
    let bits: Vec<u8> = root
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| b >> i & 1))
        .collect();
    let digit = |five: &[u8]| {
        let value = (0..5).fold(0, |n, i| {
            n << 1 | usize::from(five.get(i).copied().unwrap_or(0))
        });
        char::from(b"abcdefghijklmnopqrstuvwxyz234567"[value])
    };
    format!("b{}", bits.chunks(5).map(digit).collect::<String>())
}

#[test]
fn every_scheme_of_the_program_has_a_place_here() {
    let scratch = Scratch::new("dest");
    let ran = scratch.run(&["list", "nosuch://x"]).code(&[200]);
    let (_, rest) = ran.err.split_once("known types: ").expect("a list of them");
    let (known, _) = rest.split_once(" (").expect("its end");
    let places = places(&scratch, "schemes");
    assert!(known.split(", ").count() >= 7, "{known}");
    for scheme in known.split(", ") {
        let has = places.iter().any(|place| place.schemes.contains(&scheme));
        assert!(has, "no Place for {scheme}: add one to `places`");
    }
}

/// A destination and the program.
struct Kit<'a> {
    scratch: &'a Scratch,
    place: Place,
}

impl Kit<'_> {
    fn remote(&self, action: &str, words: &[&str]) -> Ran {
        let mut args = vec!["remote", action, &self.place.url];
        args.extend(words);
        args.extend(["--retry-delay=1s", "--number-of-retries=2"]);
        let mut env = Vec::new();
        let names = [
            "AUTH_USERNAME",
            "AUTH_PASSWORD",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ];
        let values = names.map(|n| std::env::var(n).ok());
        for (name, value) in names.iter().zip(&values) {
            env.extend(value.as_deref().map(|v| (*name, v)));
        }
        let ran = self.scratch.run_env(&args, &env);
        ran.sane_but_tabs();
        ran
    }

    #[track_caller]
    fn put(&self, name: &str, data: &[u8]) {
        let from = self.scratch.at("from");
        fs::write(&from, data).unwrap();
        self.remote("put", &[name, text(&from)]).code(&[0]);
    }

    #[track_caller]
    fn get(&self, name: &str) -> Vec<u8> {
        let to = self.scratch.at("to");
        self.remote("get", &[name, text(&to)]).code(&[0]);
        let data = fs::read(&to).unwrap();
        fs::remove_file(&to).unwrap();
        data
    }

    #[track_caller]
    fn list(&self) -> Vec<(String, u64)> {
        let ran = self.remote("list", &["--json"]);
        let ran = ran.code(&[0]);
        let all = ran.json();
        let files = all["Files"].as_array().unwrap().iter();
        files
            .map(|f| {
                let name = f["Name"].as_str().unwrap().to_owned();
                (name, f["Size"].as_u64().unwrap())
            })
            .collect()
    }

    #[track_caller]
    fn delete(&self, name: &str) {
        self.remote("delete", &[name]).code(&[0]);
    }

    /// Leaves the folder as empty as it was.
    fn clean(&self) {
        for (name, _) in self.list() {
            self.delete(&name);
        }
        assert_eq!(self.list(), [], "{}", self.place.name);
    }
}

fn each(case: &str, check: impl Fn(&Kit)) {
    let scratch = Scratch::new("dest");
    for place in places(&scratch, case) {
        eprintln!("{case}: {}", place.name);
        check(&Kit {
            scratch: &scratch,
            place,
        });
    }
    assert!(scratch.left_in_tmp().is_empty());
}

#[test]
fn what_is_put_is_listed_and_read_back() {
    each("sizes", |kit| {
        let mut rand = Rand(5);
        let mut want = Vec::new();
        for len in [0, 1, 16_383, 16_384, 16_385, 1 << 20, (3 << 20) + 7] {
            let name = format!("size-{len:08}.bin");
            let data = rand.bytes(len);
            kit.put(&name, &data);
            assert!(kit.get(&name) == data, "{name} at {}", kit.place.name);
            want.push((name, len as u64));
        }
        assert_eq!(kit.list(), want, "{}", kit.place.name);
        kit.clean();
    });
}

#[test]
fn names_stay_what_they_are() {
    each("names", |kit| {
        let names = [
            "a",
            "duplicati-20260301T120000Z.dlist.zip.aes",
            "a b.zip",
            "a+b.zip",
            "a%2Bb.zip",
            "é ü 語.zip",
            "a&b=c;d,e.zip",
            "~tilde'quote(1)!*.zip",
            "a#b?c.zip",
            "A",
            &"n".repeat(200),
        ];
        let names = names.iter().filter(|n| **n != "A" || !kit.place.folds_case);
        let names: Vec<&str> = names.copied().collect();
        for name in &names {
            kit.put(name, name.as_bytes());
        }
        for name in &names {
            assert_eq!(kit.get(name), name.as_bytes(), "{}", kit.place.name);
        }
        let mut want: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        want.sort();
        let got: Vec<String> = kit.list().into_iter().map(|f| f.0).collect();
        assert_eq!(got, want, "{}", kit.place.name);
        kit.clean();
        for bad in [
            "a/b",
            "..",
            ".hidden",
            "-x",
            "a\\b",
            &"n".repeat(201),
            "a\nb",
        ] {
            let from = kit.scratch.at("from");
            let ran = kit.remote("put", &["--", bad, text(&from)]);
            assert_eq!(ran.code, 200, "{}", ran.all());
        }
        assert_eq!(kit.list(), []);
    });
}

#[test]
fn a_second_put_replaces_the_first() {
    each("replace", |kit| {
        kit.put("f", b"first");
        kit.put("f", b"the second, longer one");
        assert_eq!(kit.get("f"), b"the second, longer one");
        kit.put("f", b"");
        assert_eq!(kit.get("f"), b"");
        assert_eq!(kit.list(), [("f".to_owned(), 0)], "{}", kit.place.name);
        kit.clean();
    });
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    each("missing", |kit| {
        if kit.place.can_be_missing {
            let ran = kit.remote("list", &[]);
            let makes_none = ran.code == 0 && ran.out.is_empty();
            assert!(ran.code == 100 || makes_none, "{}", ran.all());
            kit.remote("get", &["f", "t"]).code(&[100]);
        }
        kit.remote("mkdir", &[]).code(&[0]);
        let ran = kit.remote("mkdir", &[]).code(&[0]);
        ran.says("is there already");
        assert_eq!(kit.list(), [], "{}", kit.place.name);
        let ran = kit.remote("get", &["absent.zip", "t"]).code(&[100]);
        ran.says("absent.zip").says("no such file");
        assert!(!kit.scratch.at("t").exists());
        kit.delete("absent.zip");
    });
}

#[test]
fn get_overwrites_nothing() {
    each("keep", |kit| {
        kit.put("f", b"remote");
        let mine = kit.scratch.at("mine");
        fs::write(&mine, "mine").unwrap();
        let ran = kit.remote("get", &["f", text(&mine)]).code(&[100]);
        ran.says("exists already");
        assert_eq!(fs::read(&mine).unwrap(), b"mine");
        let ran = kit.remote("get", &["f", "-"]).code(&[0]);
        assert_eq!(ran.out, "remote");
        kit.clean();
    });
}

#[test]
fn get_writes_a_file_once_and_names_it_when_it_is_whole() {
    use std::os::unix::fs::MetadataExt;
    let kit = Scratch::new("dest-whole");
    let folder = kit.at("remote");
    let place = kit.at("here");
    for path in [&folder, &place] {
        fs::create_dir(path).unwrap();
    }
    let data = vec![7; 3 << 20];
    fs::write(folder.join("f"), &data).unwrap();
    let to = place.join("to");
    let args = ["remote", "get", text(&folder), "f", text(&to)];
    kit.run(&args).code(&[0]);
    assert_eq!(fs::read(&to).unwrap(), data);
    // It may be a plain volume.
    assert_eq!(fs::metadata(&to).unwrap().mode() & 0o777, 0o600);
    kit.run(&args).code(&[100]).says("exists already");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    let to = place.join("cut");
    let args = ["remote", "get", text(&folder), "f", text(&to)];
    let program = env!("CARGO_BIN_EXE_duplet");
    let words = ["sh", "-c", "ulimit -f 1024; exec \"$@\"", "sh", program];
    assert_ne!(support::finish(kit.other(&words, &args), &args).code, 0);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1, "nothing half");
}

#[test]
fn more_than_one_page_is_listed() {
    each("pages", |kit| {
        if !kit.place.quick {
            return;
        }
        // One `remote test` writes many files without starting the program for each.
        let ran = kit.remote(
            "test",
            &[
                "--number-of-files=1100",
                "--min-file-size=1b",
                "--max-file-size=20b",
            ],
        );
        ran.code(&[0]).says("1100 files");
        assert_eq!(kit.list(), [], "{}", kit.place.name);
    });
}

#[test]
fn the_test_of_a_destination_passes_and_leaves_nothing() {
    each("test", |kit| {
        kit.put("mine.zip", b"not yours");
        let ran = kit.remote("test", &["--json", "--reruns=2"]).code(&[0]);
        let all = ran.json();
        assert_eq!(all["FailedStep"], serde_json::Value::Null);
        assert_eq!(all["PassedSteps"].as_array().unwrap().len(), 10);
        assert_eq!(kit.list(), [("mine.zip".to_owned(), 9)]);
        kit.clean();
    });
}

#[test]
fn a_dry_run_changes_nothing_there_or_here() {
    each("dry", |kit| {
        kit.put("f", b"first");
        let from = kit.scratch.at("from");
        fs::write(&from, b"a second one").unwrap();
        for (action, words, said) in [
            ("put", &["f", text(&from)][..], "would store f: 12 bytes in"),
            ("upload", &["g", text(&from)], "would store g: 12 bytes"),
            ("delete", &["f"], "would remove f"),
            ("rm", &["g"], "nothing would be removed"),
            ("get", &["f", text(&kit.scratch.at("t"))], "would write"),
            ("test", &["--reruns=2"], "2 times"),
        ] {
            let ran = kit.remote(action, &[words, &["--dry-run"]].concat());
            ran.code(&[0]).says(said);
        }
        kit.remote("mkdir", &["-n"]).code(&[0]);
        let ran = kit.remote("delete", &["f", "--dryrun", "--json"]);
        let all = ran.code(&[0]).json();
        assert_eq!(
            (all["Dryrun"].as_bool(), all["Found"].as_bool()),
            (Some(true), Some(true))
        );
        assert_eq!(kit.list(), [("f".to_owned(), 5)], "{}", kit.place.name);
        assert!(!kit.scratch.at("t").exists());
        assert_eq!(kit.get("f"), b"first");
        kit.clean();
    });
    let scratch = Scratch::new("dest-dry");
    let (from, dest) = (scratch.at("from"), scratch.at("none"));
    fs::write(&from, b"x").unwrap();
    for (action, word) in [("put", text(&from)), ("mkdir", ""), ("test", "")] {
        let mut args = vec!["remote", action, text(&dest), "--dry-run"];
        args.extend(Some(word).filter(|w| !w.is_empty()));
        scratch.run(&args).code(&[0]);
        assert!(!dest.exists(), "{action}");
    }
    let args = ["remote", "put", text(&dest), text(&from), "--dry-run"];
    scratch.run(&args).says("make file://");
    let args = [
        "remote",
        "put",
        text(&dest),
        "a/b",
        text(&from),
        "--dry-run",
    ];
    scratch.run(&args).code(&[200]);
}

#[test]
fn the_action_and_its_words_are_checked_before_anything_is_contacted() {
    let scratch = Scratch::new("dest");
    let url =
        "s3://b/p?s3-server-name=127.0.0.1:1&use-ssl=false&auth-username=k&auth-password=sekret";
    for (args, part) in [
        (vec!["remote", "fetch", url], "one of list, get, put"),
        (vec!["remote"], "needs a destination URL"),
        (vec!["remote", "list"], "needs a destination URL"),
        (vec!["remote", "get", url], "too few arguments"),
        (vec!["remote", "list", url, "x"], "too many arguments"),
        (
            vec!["remote", "get", url, "f", "-", "--json"],
            "standard output",
        ),
        (
            vec!["remote", "put", url, "/"],
            "does not end in a file name",
        ),
        (vec!["remote", "put", url, "/etc"], "not a plain file"),
        (
            vec!["remote", "test", url, "--number-of-files=0"],
            "at least 1",
        ),
    ] {
        let ran = scratch.run(&args).code(&[200]);
        assert!((ran.err.clone() + &ran.out).contains(part), "{}", ran.all());
        assert!(!ran.all().split("---").nth(1).unwrap().contains("sekret"));
    }
}
