//! FTP against what people have: vsftpd, Pure-FTPd, ProFTPD and pyftpdlib, with and without TLS, and a server that goes wrong.

#![allow(
    clippy::print_stderr,
    reason = "a test says what it could not do or where to look"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/faulty_ftp/mod.rs"]
mod faulty_ftp;
#[path = "support/servers/ftp.rs"]
mod servers;
#[path = "ftp/stub.rs"]
mod stub;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use faulty_ftp::{Modes, Rest, Trouble};
use servers::{ALL, Kind, PASSWORD, PASSWORD_IN_URL, Server, Tls};
use support::life::{PASSPHRASE, remote, restored_alike, slow_upload, until, whole_life};
use support::snapshot::{But, same, take};
use support::{Rand, Scratch, copy_folder, fixture, fixture_names, names, peak_kib, text, tree};

const MIB: usize = 1 << 20;
/// The most memory in KiB that a run may take: a third more than a release build may.
const MOST: u64 = 18 << 10;
const FOLDER: &str = "My Folder+\u{e9}/deep";
const FOLDER_IN_URL: &str = "My%20Folder+\u{e9}/deep";

fn life_at(kind: Kind, tls: Tls) {
    let more = if kind == Kind::PureFtpd {
        "-L 10000:8"
    } else {
        ""
    };
    let Some(server) = Server::start(kind, tls, more) else {
        return;
    };
    let scratch = Scratch::new("ftp");
    let url = server.url(FOLDER_IN_URL, &server.good());
    // One life is long, the others are there for what servers do.
    let block = if kind == Kind::VsFtpd {
        10 << 10
    } else {
        3 << 10
    };
    whole_life(&scratch, &url, &server.home().join(FOLDER), block);
}

#[test]
fn a_whole_life_at_vsftpd_that_wants_sessions_resumed() {
    life_at(Kind::VsFtpd, Tls::Explicit);
}

#[test]
fn a_whole_life_at_pure_ftpd() {
    life_at(Kind::PureFtpd, Tls::Explicit);
}

#[test]
fn a_whole_life_at_proftpd_that_wants_sessions_resumed() {
    life_at(Kind::ProFtpd, Tls::Explicit);
}

#[test]
fn a_whole_life_at_pyftpdlib() {
    life_at(Kind::PyFtpdLib, Tls::None);
}

/// What else there is of servers and ways to speak to them: each operation once.
#[test]
fn every_command_on_files_by_every_way() {
    for (kind, tls, more, query) in [
        (Kind::VsFtpd, Tls::None, "", ""),
        (Kind::VsFtpd, Tls::Implicit, "", ""),
        (Kind::VsFtpd, Tls::Explicit, "", "ftp-ssl-protocols=Tls12"),
        (Kind::VsFtpd, Tls::Explicit, "", "ftp-ssl-protocols=Tls13"),
        (
            Kind::VsFtpd,
            Tls::None,
            "chroot_local_user=YES\nallow_writeable_chroot=YES",
            "",
        ),
        (Kind::PureFtpd, Tls::None, "-A", "ftp-use-cwd-names"),
        (
            Kind::ProFtpd,
            Tls::None,
            "",
            "ftp-data-connection-type=PASV",
        ),
        (
            Kind::ProFtpd,
            Tls::None,
            "DefaultRoot ~\nAllowOverwrite off",
            "",
        ),
        (Kind::ProFtpd, Tls::Explicit, "", "ftp-use-cwd-names"),
        (Kind::PyFtpdLib, Tls::Explicit, "", "ftp-no-rename"),
    ] {
        let Some(server) = Server::start(kind, tls, more) else {
            continue;
        };
        let scratch = Scratch::new("ftp");
        let url = server.url(FOLDER_IN_URL, &format!("{}&{query}", server.good()));
        let files = ["test", "mkdir"].map(|what| remote(&scratch, &[what, &url]).code(&[0]));
        drop(files);
        let folder = server.home().join(FOLDER);
        let one = scratch.at("one");
        for size in [0, 1, 70_000, 3 * MIB + 1, 20] {
            let data = Rand(5).bytes(size);
            fs::write(&one, &data).unwrap();
            remote(&scratch, &["put", &url, "a b+\u{e9}%", text(&one)]).code(&[0]);
            assert!(
                fs::read(folder.join("a b+\u{e9}%")).unwrap() == data,
                "{kind:?} {size}"
            );
            let back = scratch.at("back");
            let _ = fs::remove_file(&back);
            remote(&scratch, &["get", &url, "a b+\u{e9}%", text(&back)]).code(&[0]);
            assert!(fs::read(&back).unwrap() == data, "{kind:?} {size}");
        }
        assert_eq!(names(&folder), ["a b+\u{e9}%"], "{kind:?} {tls:?}");
        let listed = remote(&scratch, &["list", &url]).out;
        assert!(
            listed.contains("a b+\u{e9}%") && listed.lines().count() == 1,
            "{listed}"
        );
        for _ in 0..2 {
            remote(&scratch, &["delete", &url, "a b+\u{e9}%"]).code(&[0]);
        }
        assert!(names(&folder).is_empty(), "{kind:?} {tls:?}");
    }
}

#[test]
fn every_fixture_is_restored() {
    for kind in ALL {
        let Some(server) = Server::start(kind, Tls::None, "") else {
            continue;
        };
        // All of them from one server, some from the others.
        let step = if kind == Kind::VsFtpd { 1 } else { 9 };
        for name in fixture_names().iter().step_by(step) {
            let scratch = Scratch::new("ftp");
            copy_folder(&fixture(name).join("dest"), &server.folder(name));
            server.give_away();
            restored_alike(&scratch, &server.url(name, &server.good()), name);
        }
    }
}

#[test]
fn another_client_reads_and_writes_the_same_bytes() {
    for (kind, tls) in [(Kind::VsFtpd, Tls::Explicit), (Kind::PureFtpd, Tls::None)] {
        let Some(server) = Server::start(kind, tls, "") else {
            continue;
        };
        let scratch = Scratch::new("ftp");
        let folder = server.folder("b \u{e9}");
        let url = server.url("b%20%C3%A9", &server.good());
        let data = Rand(9).bytes(5 * MIB + 77);
        let file = scratch.at("file");
        fs::write(&file, &data).unwrap();
        remote(&scratch, &["put", &url, "ours one", text(&file)]).code(&[0]);
        let curl = |more: &[&str], name: &str| {
            let at = format!("ftp://127.0.0.1:{}/b%20%C3%A9/{name}", server.port);
            let login = format!("duplet:{PASSWORD}");
            let done = Command::new("curl")
                .args(["-sS", "-u", &login, "--cacert", faulty_ftp::CA_FILE])
                .args(if tls == Tls::None {
                    &[][..]
                } else {
                    &["--ssl-reqd"]
                })
                .args(more)
                .arg(at)
                .output()
                .expect("this test needs curl: run .ci/prepare");
            assert!(done.status.success(), "{done:?}");
        };
        curl(&["-o", text(&scratch.at("got"))], "ours%20one");
        assert!(fs::read(scratch.at("got")).unwrap() == data);
        curl(&["-T", text(&file)], "theirs");
        assert!(fs::read(folder.join("theirs")).unwrap() == data);
        let back = scratch.at("back");
        remote(&scratch, &["get", &url, "theirs", text(&back)]).code(&[0]);
        assert!(fs::read(back).unwrap() == data);
    }
}

#[test]
fn servers_that_are_killed_in_mid_transfer_and_come_back() {
    for (kind, tls) in [(Kind::VsFtpd, Tls::Explicit), (Kind::ProFtpd, Tls::None)] {
        let Some(mut server) = Server::start(kind, tls, "") else {
            continue;
        };
        let scratch = Scratch::new("ftp");
        let folder = server.folder("b");
        let url = server.url("b", &format!("{}&retry-delay=1s", server.good()));
        let mut child = slow_upload(&scratch, &url, &folder, 2 * MIB);
        // The server hides the command's secrets from nobody; the program does.
        let shown = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
        let shown = String::from_utf8_lossy(&shown).into_owned();
        assert!(
            !shown.contains(PASSWORD) && !shown.contains(PASSWORD_IN_URL),
            "{shown}"
        );
        server.restart();
        let ended = child.wait().unwrap();
        let said = fs::read_to_string(scratch.at("said")).unwrap();
        assert!(ended.success(), "{kind:?}: {said}");
        assert!(fs::read(folder.join("big")).unwrap() == fs::read(scratch.at("big")).unwrap());
    }
}

#[test]
fn conversations_that_end_while_the_program_is_busy() {
    for (kind, more) in [
        (Kind::VsFtpd, "idle_session_timeout=2"),
        (Kind::ProFtpd, "TimeoutIdle 2"),
    ] {
        let Some(server) = Server::start(kind, Tls::Explicit, more) else {
            continue;
        };
        let scratch = Scratch::new("ftp");
        let folder = server.folder("b");
        let source = scratch.folder("source");
        fs::write(source.join("file"), Rand(4).bytes(4 * MIB)).unwrap();
        let url = server.url("b", &server.good());
        let args = [
            "backup",
            &url,
            text(&source),
            PASSPHRASE,
            "--dblock-size=1mb",
            "--blocksize=10kb",
            "--retry-delay=0s",
            "--number-of-retries=2",
        ];
        let mut child = scratch.command(&args).spawn().unwrap();
        let pid = child.id().to_string();
        let signal = |what: &str| {
            Command::new("kill")
                .args([what, pid.as_str()])
                .status()
                .unwrap();
        };
        until("a first volume", || {
            let ends = |n: &std::ffi::OsString| n.to_string_lossy().ends_with(".aes");
            names(&folder).iter().any(ends) || child.try_wait().unwrap().is_some()
        });
        signal("-STOP");
        std::thread::sleep(Duration::from_millis(3500));
        signal("-CONT");
        let done = child.wait_with_output().unwrap();
        // It may have been stopped in the middle of a command, which costs an attempt.
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{kind:?}: {said}");
        scratch
            .run(&["verify", text(&folder), "all", PASSPHRASE])
            .code(&[0]);
    }
}

#[test]
fn listings_that_the_server_cuts_are_never_whole() {
    let Some(server) = Server::start(Kind::PureFtpd, Tls::None, "-L 50:3") else {
        return;
    };
    let scratch = Scratch::new("ftp");
    let source = scratch.folder("source");
    tree::make(&source, 3, 10 << 10);
    let folder = server.folder("b");
    let url = server.url("b", &server.good());
    let backup = ["backup", &url, text(&source), PASSPHRASE];
    scratch.run(&backup).code(&[0]);
    for i in 0..60 {
        fs::write(folder.join(format!("another-{i}")), b"x").unwrap();
    }
    let there = names(&folder);
    for args in [
        &["remote", "list", &url][..],
        &backup,
        &["repair", &url, PASSPHRASE],
        &["compact", &url, PASSPHRASE],
        &["delete", &url, "--version=0", PASSPHRASE],
    ] {
        let more = [args, &["--number-of-retries=1", "--retry-delay=0s"]].concat();
        let ran = scratch.run(&more).code(&[100]);
        ran.says("listing incomplete").says("LimitRecursion");
    }
    assert_eq!(names(&folder), there);
}

#[test]
fn accounts_that_may_only_read() {
    for kind in ALL {
        let Some(server) = Server::start(kind, Tls::None, "") else {
            continue;
        };
        let scratch = Scratch::new("ftp");
        let folder = server.folder("b");
        fs::write(folder.join("there"), b"x").unwrap();
        server.give_away();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
        let file = scratch.at("file");
        fs::write(&file, Rand(1).bytes(3 * MIB)).unwrap();
        let mut url = server.url("b", &server.good());
        if kind == Kind::PyFtpdLib {
            url = url.replace("duplet@", "reader@");
        }
        let ran = remote(&scratch, &["put", &url, "x", text(&file)]).code(&[100]);
        assert!(!ran.err.contains("trying again"), "{kind:?}: {}", ran.all());
        ran.says("does not allow writing");
        remote(&scratch, &["delete", &url, "there"])
            .code(&[100])
            .says("does not allow deleting");
        remote(&scratch, &["get", &url, "there", "-"]).code(&[0]);
        assert_eq!(names(&folder), ["there"]);
    }
}

#[test]
fn disks_that_are_full() {
    for kind in [Kind::PureFtpd, Kind::ProFtpd, Kind::VsFtpd] {
        let Some(server) = Server::start(kind, Tls::Explicit, "") else {
            continue;
        };
        let scratch = Scratch::new("ftp");
        let file = scratch.at("file");
        fs::write(&file, Rand(1).bytes(3 * MIB)).unwrap();
        let url = server.url("small", &server.good());
        let ran = remote(&scratch, &["put", &url, "x", text(&file)]).code(&[100]);
        assert!(
            ran.err.contains("space"),
            "{kind:?}: {}\n{}",
            ran.all(),
            server.log()
        );
        let left = remote(&scratch, &["list", &url]).code(&[0]).out;
        assert_eq!(left, "", "{kind:?}: nothing is left");
        fs::write(&file, b"small").unwrap();
        remote(&scratch, &["put", &url, "x", text(&file)]).code(&[0]);
    }
}

#[test]
fn a_wrong_password_is_tried_once() {
    let Some(server) = Server::start(Kind::VsFtpd, Tls::Explicit, "") else {
        return;
    };
    let scratch = Scratch::new("ftp");
    let source = scratch.folder("source");
    let folder = server.folder("b");
    let url = server.url("b", &format!("auth-password=wrong&{}", server.way()));
    for (at, args) in [
        &["remote", "list", &url][..],
        &["backup", &url, text(&source), PASSPHRASE],
        &["restore", &url, PASSPHRASE],
    ]
    .iter()
    .enumerate()
    {
        let ran = scratch
            .run(&[args, &["--retry-delay=0s"][..]].concat())
            .code(&[100]);
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
        ran.says("user 'duplet' rejected");
        let asked = server
            .log()
            .matches("command: Client \"127.0.0.1\", \"PASS")
            .count();
        assert_eq!(asked, at + 1, "{}", server.log());
    }
    assert!(names(&folder).is_empty());
}

#[test]
fn what_a_user_gets_wrong_about_tls() {
    let Some(server) = Server::start(Kind::VsFtpd, Tls::Explicit, "") else {
        return;
    };
    let scratch = Scratch::new("ftp");
    let password = format!("auth-password={PASSWORD_IN_URL}");
    server.folder("b");
    let list = |url: String| {
        let ran = remote(&scratch, &["list", &url]);
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
        ran
    };
    // In clear, where the server wants TLS; an authority that nobody knows; TLS at once, where it comes later.
    list(server.url("b", &password))
        .code(&[100])
        .says("ftp-encryption-mode");
    list(server.url("b", &format!("{password}&ftp-encryption-mode=Explicit")))
        .code(&[100])
        .says("accept-specified-ssl-hash");
    let any = format!("{password}&accept-any-ssl-certificate");
    list(server.url("b", &format!("{any}&use-ssl"))).code(&[0]);
    list(server.url("b", &any).replace("ftp://", "ftps://")).code(&[0]);
    list(server.url("b", &format!("{any}&ftp-encryption-mode=Auto"))).code(&[0]);
    let absolute = text(&server.home().join("b")).to_owned();
    let at = server.port;
    let mode = "encryption-mode=Explicit";
    list(format!(
        "ftp://duplet@127.0.0.1:{at}{absolute}?{any}&ftp-{mode}&ftp-absolute-path"
    ))
    .code(&[0]);
    list(format!(
        "aftp://duplet@127.0.0.1:{at}{absolute}?{any}&aftp-{mode}"
    ))
    .code(&[0]);
    list(format!(
        "aftp://duplet@127.0.0.1:{at}/b?{any}&aftp-{mode}&aftp-relative-path"
    ))
    .code(&[0]);
    let Some(plain) = Server::start(Kind::PyFtpdLib, Tls::None, "") else {
        return;
    };
    plain.folder("b");
    let query = |mode: &str| plain.url("b", &format!("{any}&ftp-encryption-mode={mode}"));
    list(query("Explicit")).code(&[100]).says("TLS");
    remote(&scratch, &["list", &query("Implicit")])
        .code(&[100])
        .says("TLS");
    list(query("Auto")).code(&[2]).says("unencrypted");
}

#[test]
fn twenty_thousand_entries_in_little_memory() {
    for (kind, more) in [
        (Kind::VsFtpd, ""),
        (Kind::PureFtpd, "-L 30000:3"),
        (Kind::ProFtpd, ""),
    ] {
        let Some(server) = Server::start(kind, Tls::Explicit, more) else {
            continue;
        };
        let scratch = Scratch::new("ftp");
        let folder = server.folder("many");
        for i in 0..20_000 {
            let name = format!("duplicati-b{i:032x}.dblock.zip");
            fs::write(folder.join(name), b"").unwrap();
        }
        let url = server.url("many", &server.good());
        let mut command = scratch.command(&["remote", "list", &url]);
        command.stdout(fs::File::create(scratch.at("listed")).unwrap());
        let (peak, ended) = peak_kib(command.spawn().unwrap());
        let listed = fs::read_to_string(scratch.at("listed")).unwrap();
        assert_eq!(listed.lines().count(), 20_000, "{kind:?}");
        assert!(ended.success() && peak < MOST, "{kind:?}: {peak} KiB");
    }
}

#[test]
fn large_volumes_in_little_memory() {
    let Some(server) = Server::start(Kind::VsFtpd, Tls::Explicit, "") else {
        return;
    };
    let scratch = Scratch::new("ftp");
    let folder = server.folder("b");
    let url = server.url("b", &server.good());
    let (file, back) = (scratch.at("file"), scratch.at("back"));
    fs::write(&file, Rand(6).bytes(50 * MIB)).unwrap();
    for args in [
        ["remote", "put", &url, "big", text(&file)],
        ["remote", "get", &url, "big", text(&back)],
    ] {
        let (peak, ended) = peak_kib(scratch.start(&args));
        assert!(ended.success() && peak < MOST, "{args:?}: {peak} KiB");
    }
    assert!(fs::read(&back).unwrap() == fs::read(&file).unwrap());
    assert_eq!(names(&folder), ["big"]);
}

fn faulty(modes: Modes) -> (faulty_ftp::Server, String) {
    let server = faulty_ftp::Server::start(modes);
    let url = format!(
        "ftp://user:s3cr3t%2F%2Bvalue@{}/d?retry-delay=0s",
        server.address
    );
    (server, url)
}

#[test]
fn a_server_that_ignores_where_a_file_is_to_begin() {
    for rest in [Rest::Works, Rest::Ignored, Rest::Unknown] {
        let (server, url) = faulty(Modes {
            rest,
            ..Modes::default()
        });
        let scratch = Scratch::new("ftp");
        let data = Rand(2).bytes(3 * MIB);
        server.store("f", &data);
        server.script("RETR", "f", Trouble::Cut(MIB as u64));
        server.script("RETR", "f", Trouble::Part(2000, "426 gone".to_owned()));
        let back = scratch.at("back");
        remote(&scratch, &["get", &url, "f", text(&back)]).code(&[0]);
        assert!(fs::read(&back).unwrap() == data, "{rest:?}");
        assert_eq!(server.left(), 0);
    }
}

#[test]
fn conversations_whose_tls_breaks_off_begin_anew() {
    let (server, url) = faulty(Modes {
        tls: faulty_ftp::Tls::Explicit,
        ..Modes::default()
    });
    let ca = faulty_ftp::CA_FILE;
    let url = format!("{url}&ftp-encryption-mode=Explicit&ssl-ca-file={ca}");
    let scratch = Scratch::new("ftp");
    server.store("f", b"what is stored");
    let back = scratch.at("back");
    for (trouble, words) in [
        (Trouble::Alert, "the server ended TLS with alert 50"),
        (
            Trouble::LastWords("500 OOPS: child died\r\n"),
            "the server closed the connection early",
        ),
    ] {
        server.script("RETR", "f", trouble.clone());
        let get = ["get", &url, "f", text(&back)];
        remote(&scratch, &get).code(&[0]);
        assert_eq!(fs::read(&back).unwrap(), b"what is stored", "{words}");
        fs::remove_file(&back).unwrap();
        server.script("RETR", "f", trouble);
        let once = format!("{url}&number-of-retries=0");
        remote(&scratch, &["get", &once, "f", text(&back)])
            .code(&[100])
            .says(words);
        assert_eq!(server.left(), 0, "{words}");
    }
}

#[test]
fn three_of_ten_operations_fail() {
    let (server, url) = faulty(Modes::default());
    let scratch = Scratch::new("ftp");
    let source = scratch.folder("source");
    tree::make(&source, 11, 10 << 10);
    server.change(|modes| modes.flaky = 30);
    let often = ["--number-of-retries=60", PASSPHRASE];
    let run = |args: &[&str]| {
        let ran = scratch.run(&[args, &often[..]].concat());
        let said = server.seen();
        assert!(
            ran.code == 0 || ran.code == 2,
            "{} after {:#?}",
            ran.all(),
            &said[said.len().saturating_sub(30)..]
        );
    };
    let before = take(&source);
    run(&[
        "backup",
        &url,
        text(&source),
        "--dblock-size=1mb",
        "--blocksize=10kb",
    ]);
    tree::edit(&source, 12);
    run(&[
        "backup",
        &url,
        text(&source),
        "--dblock-size=1mb",
        "--blocksize=10kb",
    ]);
    run(&["verify", &url, "all"]);
    let to = scratch.at("restored");
    let path = format!("--restore-path={}", text(&to));
    run(&[
        "restore",
        &url,
        &path,
        "--version=1",
        "--restore-permissions",
        "--no-cache",
    ]);
    same(&before, &take(&to), But::default(), "the first");
    assert!(server.connections() > 10);
}
