//! rclone as a way to anywhere: the distribution's old one and a new one, on folders of this machine, and a script in its place
//! where it matters what it is told.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it could not do or where to look"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/forward.rs"]
mod forward;
#[path = "support/servers/smb.rs"]
mod smb;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::life::{FAST, remote, restored_alike, slow_upload, until, whole_life};
use support::servers::account::PASSWORD_IN_URL;
use support::servers::b2::programs;
use support::servers::cloud::{Cloud, OWN};
use support::servers::s3;
use support::{Rand, Scratch, fixture, fixture_names, is_root, peak_kib, text};

/// The new rclone, and the old one where it is installed.
fn rclones() -> Vec<PathBuf> {
    let old = Path::new("/usr/bin/rclone");
    if !old.exists() {
        eprintln!("SKIPPED: the distribution's rclone is not installed: run .ci/prepare first");
    }
    let new = programs().join("rclone");
    [new, old.to_owned()]
        .into_iter()
        .filter(|p| p.exists())
        .collect()
}

fn new_one() -> PathBuf {
    programs().join("rclone")
}

/// The folder at `path`, reached by this rclone.
fn url(program: &Path, path: &Path, query: &str) -> String {
    let encoded = |path: &Path| {
        text(path)
            .replace('%', "%25")
            .replace(' ', "%20")
            .replace('+', "%2B")
    };
    format!(
        "rclone://{}?rclone-remote-repository=:local&rclone-executable={}&{query}",
        encoded(path),
        encoded(program)
    )
}

#[test]
fn a_whole_life_in_either_mode() {
    for (program, mode) in rclones().iter().zip(["serve", "command"]) {
        let scratch = Scratch::new("rclone");
        let folder = scratch.at("My Folder+\u{e9}/deep");
        let query = format!("rclone-mode={mode}");
        whole_life(&scratch, &url(program, &folder, &query), &folder, 10 << 10);
    }
}

#[test]
fn a_whole_life_at_samba() {
    let Some(server) = smb::Server::start() else {
        return;
    };
    for (program, scheme) in rclones().iter().zip(["cifs", "smb"]) {
        let scratch = Scratch::new("rclone");
        let url = |password: &str| {
            format!(
                "{scheme}://duplet:{password}@127.0.0.1:{}/data/{scheme} Folder%2B\u{e9}/deep?rclone-executable={}",
                server.port,
                text(program)
            )
        };
        let folder = server.share().join(format!("{scheme} Folder+\u{e9}/deep"));
        match scheme {
            "cifs" => whole_life(&scratch, &url(PASSWORD_IN_URL), &folder, 10 << 10),
            _ => drop(remote(&scratch, &["test", &url(PASSWORD_IN_URL)]).code(&[0])),
        }
        let wrong = remote(&scratch, &["list", &url("nonsense")]).code(&[100]);
        assert!(!wrong.err.contains("nonsense"), "{}", wrong.err);
        wrong.says("password");
    }
}

#[test]
fn every_fixture_is_restored() {
    for name in fixture_names() {
        let scratch = Scratch::new("rclone");
        let url = url(&new_one(), &fixture(&name).join("dest"), "");
        restored_alike(&scratch, &url, &name);
    }
}

#[test]
fn rclone_itself_reads_and_writes_the_same_bytes() {
    for program in rclones() {
        for mode in ["serve", "command"] {
            let scratch = Scratch::new("rclone");
            let folder = scratch.at("b \u{e9}");
            let url = url(&program, &folder, &format!("rclone-mode={mode}"));
            let data = Rand(9).bytes((5 << 20) + 77);
            let file = scratch.at("file");
            fs::write(&file, &data).unwrap();
            remote(&scratch, &["put", &url, "ours one", text(&file)]).code(&[0]);
            let theirs = |words: &[&str]| {
                let ran = Command::new(&program)
                    .args(words)
                    .env("HOME", scratch.at("home"))
                    .output()
                    .unwrap();
                assert!(
                    ran.status.success(),
                    "{}",
                    String::from_utf8_lossy(&ran.stderr)
                );
                ran.stdout
            };
            let at = format!(":local:{}", text(&folder));
            assert!(theirs(&["cat", &format!("{at}/ours one")]) == data);
            theirs(&["copyto", text(&file), &format!("{at}/theirs")]);
            let back = scratch.at("back");
            remote(&scratch, &["get", &url, "theirs", text(&back)]).code(&[0]);
            assert!(fs::read(&back).unwrap() == data);
            let listed = remote(&scratch, &["list", &url]).out;
            assert!(
                listed.contains("ours one\t5242957\t") && listed.contains("theirs\t5242957\t"),
                "{listed}"
            );
            let found = remote(&scratch, &["test", &url, "-v"]).code(&[0]);
            if mode == "serve" {
                found.says("MiB of memory");
            }
        }
    }
}

/// What is in rclone's memory ends with the process: a helper finds again what it stored, another process does not.
#[test]
fn a_remote_in_memory_lasts_as_long_as_the_helper() {
    let scratch = Scratch::new("rclone");
    let url = format!(
        "rclone://bucket/folder?rclone-remote-repository=:memory&rclone-executable={}",
        text(&new_one())
    );
    let file = scratch.at("file");
    fs::write(&file, Rand(2).bytes(3 << 20)).unwrap();
    // The upload is looked at by the same helper.
    remote(&scratch, &["put", &url, "x", text(&file)]).code(&[0]);
    remote(&scratch, &["get", &url, "x", "-"]).code(&[100]);
}

#[test]
fn what_is_missing_is_named() {
    let scratch = Scratch::new("rclone");
    let empty = scratch.folder("empty");
    let here = scratch.at("here");
    for (url, words) in [
        ("rclone://r/x", "apt install rclone"),
        (
            "rclone://r/x?rclone-executable=/nonexistent/rclone",
            "--rclone-executable",
        ),
        ("smb://u:p@127.0.0.1/share/x", "goes through rclone"),
        ("smb://u:p@127.0.0.1/share/x", "mount -t cifs"),
        ("mega://x?auth-username=u&auth-password=p", "MEGAcmd"),
    ] {
        let args = ["remote", "list", url, FAST[0]];
        let ran = scratch.run_env(&args, &[("PATH", text(&empty))]);
        let ran = ran.code(&[100]).says(words);
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
    }
    for program in rclones() {
        let program = text(&program);
        let url = format!("rclone://nosuch/x?rclone-executable={program}");
        for action in ["list", "mkdir"] {
            let ran = remote(&scratch, &[action, &url]).code(&[100]);
            ran.says("find section in config file")
                .says("rclone config");
        }
        let file = scratch.at("file");
        fs::write(&file, b"x").unwrap();
        remote(&scratch, &["put", &url, "x", text(&file)])
            .code(&[100])
            .says("rclone config");
        let at = self::url(Path::new(program), &here, "rclone-option=--nonsense");
        remote(&scratch, &["list", &at])
            .code(&[200])
            .says("unknown flag");
        let at = self::url(Path::new(program), &here, "");
        remote(&scratch, &["list", &at])
            .code(&[100])
            .says("does not exist");
        remote(&scratch, &["mkdir", &at]).code(&[0]);
        remote(&scratch, &["list", &at]).code(&[0]);
        remote(&scratch, &["get", &at, "none", "-"])
            .code(&[100])
            .says("no such file");
        fs::remove_dir(&here).unwrap();
        let kept = [
            &["put", &at, "x", text(&file)],
            &["--disable-autocreate-folder"][..],
        ]
        .concat();
        remote(&scratch, &kept).code(&[100]).says("does not exist");
        assert!(!here.exists());
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let told = fs::read_to_string(path).unwrap();
    told.split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect()
}

fn signal(name: &str, pid: u32) {
    Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .unwrap();
}

/// A slow upload under way, of which a part has arrived, and its helper.
fn upload_with_helper(scratch: &Scratch, url: &str, folder: &Path) -> (Child, u32) {
    let child = slow_upload(scratch, url, folder, 2 << 20);
    let helpers = children_of(child.id());
    assert_eq!(helpers.len(), 1, "one child");
    (child, helpers[0])
}

#[test]
fn a_helper_that_is_killed_and_one_whose_parent_is() {
    for program in rclones() {
        let scratch = Scratch::new("rclone");
        let folder = scratch.folder("b");
        let url = url(&program, &folder, "");
        let (mut child, helper) = upload_with_helper(&scratch, &url, &folder);
        signal("-KILL", helper);
        assert!(child.wait().unwrap().success());
        assert!(fs::read(folder.join("big")).unwrap() == fs::read(scratch.at("big")).unwrap());
        fs::remove_file(folder.join("big")).unwrap();
        let (mut child, helper) = upload_with_helper(&scratch, &url, &folder);
        signal("-KILL", child.id());
        assert!(!child.wait().unwrap().success());
        until("the helper ends", || {
            let stat = fs::read_to_string(format!("/proc/{helper}/stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('Z'))
        });
    }
}

#[test]
fn disks_that_are_full_or_take_nothing() {
    if !is_root() {
        eprintln!("SKIPPED: only root can mount a small disk");
        return;
    }
    for (program, mode) in rclones().iter().zip(["serve", "command"]) {
        let scratch = Scratch::new("rclone");
        let disk = scratch.folder("disk");
        let file = scratch.at("file");
        fs::write(&file, Rand(1).bytes(3 << 20)).unwrap();
        let url = url(program, &disk, &format!("rclone-mode={mode}"));
        for (options, words) in [("size=1m", "no space"), ("ro", "read-only file system")] {
            let script = format!(
                "mount -t tmpfs -o {options} none '{}' && exec \"$@\"",
                text(&disk)
            );
            let words_before = [
                "unshare",
                "-m",
                "sh",
                "-c",
                &script,
                "sh",
                env!("CARGO_BIN_EXE_duplet"),
            ];
            let args = ["remote", "put", &url, "x", text(&file), FAST[0]];
            let ran = support::finish(scratch.other(&words_before, &args), &args);
            let ran = ran.code(&[100]).says(words);
            assert!(!ran.err.contains("trying again"), "{}", ran.all());
        }
    }
}

#[test]
fn twenty_thousand_entries_take_no_memory() {
    let scratch = Scratch::new("rclone");
    let folder = scratch.folder("many");
    for i in 0..20_000 {
        fs::write(folder.join(format!("duplicati-b{i:032x}.dblock.zip")), b"").unwrap();
    }
    let few = scratch.folder("few");
    fs::write(few.join("duplicati-b0.dblock.zip"), b"").unwrap();
    let peak = |folder: &Path| {
        let words = ["remote", "list", &url(&new_one(), folder, "")];
        let (peak, ended) = peak_kib(scratch.start(&words));
        assert!(ended.success());
        peak
    };
    let (small, large) = (peak(&few), peak(&folder));
    // What the command itself holds of a listing is no more for a plain folder.
    assert!(large < small + 3000, "{small} and {large} KiB");
    let ran = remote(&scratch, &["list", &url(&new_one(), &folder, "")]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 20_000));
}

/// A script in the place of rclone that writes down its arguments and its environment and then says no.
fn listener(scratch: &Scratch) -> (PathBuf, PathBuf) {
    let (program, seen) = (scratch.at("listener"), scratch.at("seen"));
    let script = format!(
        "#!/bin/sh\nfor a in \"$@\"; do echo \"arg $a\" >>'{0}'; done\nenv >>'{0}'\necho 'no: access denied' >&2\nexit 1\n",
        text(&seen)
    );
    // No process forked meanwhile is to hold it open for writing: such a file cannot be started.
    let plain = scratch.at("listener.sh");
    fs::write(&plain, script).unwrap();
    let mut copy = Command::new("install");
    copy.args(["-m", "755", text(&plain), text(&program)]);
    assert!(copy.status().unwrap().success());
    (program, seen)
}

/// What was obscured for rclone as rclone reads it.
fn revealed(obscured: &str) -> String {
    let ran = Command::new(new_one())
        .args(["reveal", "--", obscured])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(ran.stdout)
        .unwrap()
        .trim_end_matches('\n')
        .to_owned()
}

#[test]
fn urls_of_duplicati_become_remotes_and_no_secret_is_seen() {
    const SECRET: &str = "p\u{e4}ss w+rd%/of more than sixteen";
    const IN_URL: &str = "p%C3%A4ss%20w%2Brd%25%2Fof%20more%20than%20sixteen";
    let scratch = Scratch::new("rclone");
    let (program, seen) = listener(&scratch);
    let login = format!("auth-username=me%40x&auth-password={IN_URL}");
    // URL, last argument, variables; `=` before a value: it is obscured.
    for (url, target, variables) in [
        (
            format!("smb://me:{IN_URL}@Nas:1445/Share/a+b%20c/?auth-domain=HOME&transport=directtcp&read-buffer-size=5"),
            "duplet:Share/a+b c",
            &[("TYPE", "smb"), ("HOST", "nas"), ("PORT", "1445"), ("USER", "me"), ("PASS", "=S"), ("DOMAIN", "HOME")][..],
        ),
        (
            format!("cifs://nas/share?{login}"),
            "duplet:share",
            &[("TYPE", "smb"), ("HOST", "nas"), ("USER", "me@x"), ("PASS", "=S")],
        ),
        (
            format!("mega://Back/Up?{login}&auth-two-factor-key=GEZDGNBVGY3TQOJQ"),
            "duplet:Back/Up",
            &[("TYPE", "mega"), ("USER", "me@x"), ("PASS", "=S"), ("HARD_DELETE", "true")],
        ),
        (
            format!("filen://Back?through=rclone&{login}&api-key={IN_URL}&move-to-trash"),
            "duplet:Back",
            &[("TYPE", "filen"), ("EMAIL", "me@x"), ("PASSWORD", "=S"), ("API_KEY", "=S")],
        ),
        (
            format!("storj://x?storj-auth-method=Access%20grant&storj-shared-access={IN_URL}&storj-folder=a/b&storj-via=rclone"),
            "duplet:duplicati/a/b",
            &[("TYPE", "storj"), ("ACCESS_GRANT", "S")],
        ),
        (
            format!("storj://x?storj-api-key={IN_URL}&storj-secret={IN_URL}&storj-bucket=b"),
            "duplet:b",
            &[("TYPE", "storj"), ("SATELLITE_ADDRESS", "us1.storj.io:7777"), ("API_KEY", "S"), ("PASSPHRASE", "S")],
        ),
        (
            format!("webdavs://me:{IN_URL}@Nas:8443/a%20b/c/?through=rclone"),
            "duplet:a b/c",
            &[("TYPE", "webdav"), ("URL", "https://Nas:8443/"), ("VENDOR", "other"), ("USER", "me"), ("PASS", "=S")],
        ),
        (
            format!("s3://bucket/a/b?through=rclone&s3-server-name=127.0.0.1:9000&aws-access-key-id=me&aws-secret-access-key={IN_URL}&s3-location-constraint=eu&s3-storage-class=COLD"),
            "duplet:bucket/a/b",
            &[
                ("TYPE", "s3"), ("PROVIDER", "Other"), ("ENDPOINT", "http://127.0.0.1:9000"), ("ACCESS_KEY_ID", "me"),
                ("SECRET_ACCESS_KEY", "S"), ("REGION", "eu"), ("LOCATION_CONSTRAINT", "eu"), ("STORAGE_CLASS", "COLD"),
            ],
        ),
        (
            format!("cos://a/b?through=rclone&cos-bucket=box&cos-app-id=12&cos-region=ap-x&{login}"),
            "duplet:box-12/a/b",
            &[("TYPE", "s3"), ("PROVIDER", "TencentCOS"), ("ENDPOINT", "https://cos.ap-x.myqcloud.com"), ("ACCESS_KEY_ID", "me@x"), ("SECRET_ACCESS_KEY", "S")],
        ),
        (
            format!("aliyunoss://a?through=rclone&oss-bucket-name=box&oss-endpoint=oss-x&{login}"),
            "duplet:box/a",
            &[("TYPE", "s3"), ("PROVIDER", "Alibaba"), ("ENDPOINT", "https://oss-x.aliyuncs.com"), ("ACCESS_KEY_ID", "me@x"), ("SECRET_ACCESS_KEY", "S")],
        ),
        (
            format!("b2://bucket/a?through=rclone&b2-accountid=me&b2-applicationkey={IN_URL}"),
            "duplet:bucket/a",
            &[("TYPE", "b2"), ("ACCOUNT", "me"), ("KEY", "S"), ("HARD_DELETE", "true")],
        ),
        (
            format!("azure://box/a?through=rclone&azure-account-name=me&azure-access-key={IN_URL}"),
            "duplet:box",
            &[("TYPE", "azureblob"), ("ACCOUNT", "me"), ("KEY", "S")],
        ),
        (
            format!("gcs://bucket/a?through=rclone&gcs-service-account-json={IN_URL}&gcs-location=EU"),
            "duplet:bucket/a",
            &[("TYPE", "google cloud storage"), ("SERVICE_ACCOUNT_CREDENTIALS", "S"), ("LOCATION", "EU")],
        ),
        (
            format!("googledrive://a/b?through=rclone&oauth-client-id=me&oauth-client-secret={IN_URL}&oauth-refresh-token=x&googledrive-teamdrive-id=t"),
            "duplet:a/b",
            &[
                ("TYPE", "drive"), ("CLIENT_ID", "me"), ("CLIENT_SECRET", "S"), ("SCOPE", "drive"), ("TEAM_DRIVE", "t"), ("USE_TRASH", "false"),
                ("TOKEN", r#"{"access_token":"none","expiry":"2001-01-01T00:00:00Z","refresh_token":"x","token_type":"Bearer"}"#),
            ],
        ),
        (
            format!("rclone://Remote//abs/x/?rclone-option=-v+--sftp-pass={IN_URL}+--drive-token+{IN_URL}").replace("%20", "%5C%20"),
            "Remote:/abs/x",
            &[],
        ),
    ] {
        let option = format!("--rclone-executable={}", text(&program));
        for action in ["list", "mkdir", "put"] {
            let _ = fs::remove_file(&seen);
            let mut args = vec!["remote", action, &url, &option, FAST[0], "-v"];
            if action == "put" {
                args.splice(3..3, ["x", text(&program)]);
            }
            let env = [("PASSPHRASE", "not for it"), ("AWS_SECRET_ACCESS_KEY", "not for it"), ("RCLONE_CONFIG_PASS", "for it")];
            let ran = scratch.run_env(&args, &env).code(&[100]).says("access denied");
            let told = fs::read_to_string(&seen).unwrap();
            assert!(told.contains("for it") && !told.contains("not for it"), "{url}: {told}");
            let (given, inside): (Vec<&str>, Vec<&str>) = told.lines().partition(|l| l.starts_with("arg "));
            assert!(given.contains(&format!("arg {target}").as_str()), "{url}: {given:?}");
            for word in [SECRET, IN_URL, "sixteen", "not for it"] {
                assert!(!given.iter().any(|l| l.contains(word)), "{url}: {given:?}");
                assert!(!ran.err.contains(word) && !ran.out.contains(word), "{}", ran.all());
            }
            for (name, want) in variables {
                let start = format!("RCLONE_CONFIG_DUPLET_{name}=");
                let got = inside.iter().find_map(|l| l.strip_prefix(start.as_str()));
                let got = got.unwrap_or_else(|| panic!("{url}: no {name}"));
                match *want {
                    "S" => assert_eq!(got, SECRET),
                    "=S" if action == "list" => assert_eq!(revealed(got), SECRET),
                    "=S" => assert!(!got.contains("sixteen")),
                    plain => assert_eq!(got, plain),
                }
            }
            if url.contains("two-factor") {
                let code = inside.iter().find_map(|l| l.strip_prefix("RCLONE_CONFIG_DUPLET_2FA="));
                assert!(code.is_some_and(|c| c.len() == 6 && c.bytes().all(|b| b.is_ascii_digit())));
            }
            if url.starts_with("rclone") {
                for name in ["RCLONE_SFTP_PASS", "RCLONE_DRIVE_TOKEN"] {
                    assert!(inside.contains(&format!("{name}={SECRET}").as_str()), "{name}: {told}");
                }
                assert!(given.contains(&"arg -v"), "{given:?}");
            }
        }
    }
}

/// What one way writes the other reads, by the same URL.
#[test]
fn a_destination_with_a_way_of_its_own_goes_by_rclone_if_that_is_said() {
    let scratch = Scratch::new("rclone");
    let source = scratch.folder("source");
    fs::write(source.join("a"), Rand(3).bytes(300_000)).unwrap();
    let by = format!("through=rclone&rclone-executable={}", text(&new_one()));
    let server = s3::juicefs();
    let own = server.url("carried/p\u{e4}th%20a%2Bb/x", "");
    let carried = format!("{own}&{by}");
    let secret = "--passphrase=x";
    for (to, from) in [(&carried, &own), (&own, &carried)] {
        let options = ["--no-cache", FAST[0], secret];
        fs::write(source.join("more"), to).unwrap();
        let ran = scratch.run(&[&["backup", to, text(&source), "-v"][..], &options].concat());
        let ran = ran.code(&[0]);
        assert_eq!(
            ran.err.contains("s3:// goes through rclone"),
            to == &carried,
            "{}",
            ran.all()
        );
        let out = scratch.at("out");
        let _ = fs::remove_dir_all(&out);
        let restore = format!("--restore-path={}", text(&out));
        scratch
            .run(&[&["restore", from, &restore][..], &options].concat())
            .code(&[0]);
        assert_eq!(fs::read_to_string(out.join("more")).unwrap(), *to);
        scratch
            .run(&[&["verify", from, "all"][..], &options].concat())
            .code(&[0]);
    }
}

/// The log-in of an own registration is told to rclone, which writes no token down.
#[test]
fn a_log_in_by_an_own_registration_goes_to_rclone() {
    let scratch = Scratch::new("rclone");
    let stub = Cloud::secure("dropbox", &[]);
    let proxy = forward::Forward::start(forward::Rules {
        to: Some(stub.address()),
        ..forward::Rules::default()
    });
    let ca = stub.home.at("ca.pem");
    let url = format!(
        "dropbox://box/sub?through=rclone&{OWN}&retry-delay=0s&rclone-executable={}&rclone-option=--ca-cert+{}",
        text(&new_one()),
        text(&ca)
    );
    let home = scratch.folder("home");
    let at = format!("http://{}", proxy.address);
    let env = [
        ("HTTPS_PROXY", at.as_str()),
        ("HOME", text(&home)),
        ("NO_PROXY", "127.0.0.1"),
        ("XDG_CONFIG_HOME", text(&home)),
    ];
    let file = scratch.at("file");
    fs::write(&file, Rand(3).bytes(300_000)).unwrap();
    for args in [
        &["remote", "mkdir", &url][..],
        &["remote", "put", &url, "f", text(&file)],
        &["remote", "get", &url, "f", text(&scratch.at("back"))],
    ] {
        scratch.run_env(args, &env).code(&[0]);
    }
    assert_eq!(
        fs::read(scratch.at("back")).unwrap(),
        fs::read(&file).unwrap()
    );
    let own = stub.url("box/sub", OWN);
    let other = scratch.at("natively");
    scratch
        .run(&["remote", "get", &own, "f", text(&other)])
        .code(&[0]);
    assert_eq!(fs::read(other).unwrap(), fs::read(&file).unwrap());
    let mut open = vec![home];
    while let Some(path) = open.pop() {
        match path.is_dir() {
            true => open.extend(support::names(&path).into_iter().map(|n| path.join(n))),
            false => assert!(
                !fs::read_to_string(&path)
                    .unwrap_or_default()
                    .contains("stub-refresh"),
                "{path:?}"
            ),
        }
    }
}

#[test]
fn urls_that_lack_something() {
    let scratch = Scratch::new("rclone");
    for (url, words) in [
        ("rclone:///x", "no remote"),
        ("rclone://-x/y", "not valid"),
        ("rclone://r/a/../b", ".."),
        (
            "rclone://x/y?rclone-remote-repository=:sftp,host=h,pass=hunter2",
            "list of processes",
        ),
        ("rclone://x/y?rclone-option=%22a", "quote"),
        (
            "rclone://x/y?rclone-mode=fast",
            "one of auto, serve, command",
        ),
        ("smb://u@h", "SHARE"),
        ("smb://u@/share", "SHARE"),
        ("smb://u@h/share?transport=netbios", "netbios"),
        ("mega://x", "--auth-username"),
        (
            "mega://x?auth-username=u&auth-password=hunter2&auth-two-factor-key=1",
            "base32",
        ),
        (
            "filen://x?through=rclone&auth-username=u&auth-password=hunter2",
            "--api-key",
        ),
        (
            "pcloud://backup/x?through=rclone&authid=hunter2",
            "no server of pCloud",
        ),
        ("storj://x", "--storj-shared-access"),
        (
            "storj://x?storj-auth-method=API%20key&storj-shared-access=hunter2",
            "--storj-api-key",
        ),
    ] {
        let ran = remote(&scratch, &["list", url]).code(&[200]).says(words);
        assert!(!ran.err.contains("hunter2"), "{}", ran.all());
    }
}

#[test]
fn every_type_of_duplicati_is_said_what_becomes_of_it() {
    let scratch = Scratch::new("rclone");
    let page = scratch.run(&["help", "destinations"]).code(&[0]).out;
    let joined = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for (scheme, words) in [
        ("skydrive", "onedrivev2://folder"),
        ("movistarcloud", "in a browser"),
    ] {
        assert!(joined.contains(words), "{scheme}: {joined}");
        let url = format!("{scheme}://user:hunter2@host/folder");
        let ran = scratch.run(&["list", &url]).code(&[200]).says(words);
        assert!(!ran.err.contains("hunter2"), "{}", ran.all());
    }
    for native in [
        "azure",
        "gcs",
        "openstack",
        "cos",
        "aliyunoss",
        "storj",
        "onedrivev2",
        "googledrive",
        "dropbox",
        "jottacloud",
        "box",
        "pcloud",
        "tahoe",
        "filen",
        "drimecloud",
        "filejump",
        "duplicati",
    ] {
        let words = format!("; duplet help {native}");
        assert!(joined.contains(&words), "{native}: {joined}");
    }
    assert!(page.contains("smb cifs") && page.contains("through rclone"));
}
