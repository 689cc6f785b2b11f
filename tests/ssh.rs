//! SFTP against what people have: OpenSSH's server as a plain child and behind `sshd`, Dropbear, and their clients.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it could not do or where to look"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/servers/ssh.rs"]
mod servers;
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use servers::{Kind, PASSWORD, PASSWORD_IN_URL, SFTP_SERVER, Server, children_of};
use support::life::{FAST, remote, restored_alike, slow_upload, until, whole_life};
use support::{Ran, Rand, Scratch, fixture, fixture_names, is_root, names, text};

/// The folder at `path` by OpenSSH's server without any `ssh`.
fn plain(path: &Path, query: &str) -> Option<String> {
    if !Path::new(SFTP_SERVER).exists() {
        eprintln!("SKIPPED: {SFTP_SERVER} is not installed: run .ci/prepare first");
        return None;
    }
    let path = text(path).replace(' ', "%20").replace('+', "%2B");
    Some(format!(
        "ssh://localhost{path}?ssh-command={SFTP_SERVER}&{query}"
    ))
}

#[test]
fn a_whole_life_at_a_plain_server() {
    let scratch = Scratch::new("ssh");
    let folder = scratch.at("My Folder+\u{e9}/deep");
    let Some(url) = plain(&folder, "") else {
        return;
    };
    whole_life(&scratch, &url, &folder, 10 << 10);
}

#[test]
fn a_tilde_is_said_to_be_a_name() {
    let scratch = Scratch::new("ssh");
    for (path, is_told) in [("/~/duplet-none", true), ("/none/~", false)] {
        let Some(url) = plain(Path::new(path), "number-of-retries=0") else {
            return;
        };
        let ran = remote(&scratch, &["list", &url]).code(&[100]);
        assert_eq!(
            ran.err.contains("--ssh-relative-path"),
            is_told,
            "{}",
            ran.all()
        );
    }
}

#[test]
fn a_whole_life_behind_sshd_and_dropbear() {
    for kind in [Kind::OpenSsh, Kind::Dropbear] {
        let Some(server) = Server::start(kind, "") else {
            continue;
        };
        let scratch = Scratch::new("ssh");
        let url = server.url("My%20Folder+\u{e9}/deep", &server.good());
        let folder = server.home().join("My Folder+\u{e9}/deep");
        whole_life(&scratch, &url, &folder, 10 << 10);
    }
}

#[test]
fn every_fixture_is_restored() {
    for name in fixture_names() {
        let scratch = Scratch::new("ssh");
        let Some(url) = plain(&fixture(&name).join("dest"), "") else {
            return;
        };
        restored_alike(&scratch, &url, &name);
    }
}

#[test]
fn every_way_to_log_in() {
    let Some(server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    let known = server.knows(&["host_ed25519"]);
    let key = fs::read_to_string(server.key("id")).unwrap();
    let once = |text: &str| {
        let hex = |b: u8| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        };
        text.bytes().map(hex).collect::<String>()
    };
    let inline = once(&format!("sshkey://{}", once(&key)));
    let locked = format!("ssh-keyfile={}", text(&server.key("id_locked")));
    let mut ways = vec![
        format!("ssh-keyfile={}", text(&server.key("id"))),
        format!("ssh-keyfile={inline}"),
        format!("ssh-key={inline}"),
        format!("ssh-key={}", once(&key)),
        format!(
            "ssh-key={}&ssh-disable-agent",
            once(&key.replace('\n', "\r\n"))
        ),
        format!("{locked}&auth-password=the+phrase+of+the+key"),
    ];
    if is_root() {
        ways.push(format!("auth-password={PASSWORD_IN_URL}"));
    }
    for way in &ways {
        let url = server.url("b", &format!("{known}&{way}"));
        let ran = remote(&scratch, &["test", &url]).code(&[0]);
        assert!(!ran.err.contains("BEGIN") && !ran.out.contains("BEGIN"));
    }
    assert!(scratch.left_in_tmp().is_empty());
    // Without a user in the URL that of ssh's own configuration logs in.
    let user = &server.user;
    let query = format!("{known}+-o+User={user}&{}", ways[0]);
    let nobody = server.url("b", &query).replacen(&format!("{user}@"), "", 1);
    remote(&scratch, &["test", &nobody]).code(&[0]);

    let shut = once(&fs::read_to_string(server.key("id_locked")).unwrap());
    let before = server.log().matches("Failed").count();
    for (way, words) in [
        (
            format!("ssh-keyfile={}", text(&server.key("stranger"))),
            "rejected the key",
        ),
        (
            format!("ssh-keyfile={}", text(&scratch.at("none"))),
            text(&scratch.at("none")),
        ),
        (
            format!("ssh-keyfile={}", text(&scratch.at("none"))),
            "no such key file",
        ),
        (locked.clone(), "has a passphrase, which was not given"),
        (
            format!("{locked}&auth-password=wrong"),
            "the passphrase does not open the private key",
        ),
        (
            format!("ssh-key={shut}&auth-password=wrong"),
            "the passphrase does not open the private key",
        ),
        (
            format!(
                "ssh-keyfile={}&auth-password=x",
                text(&server.key("stranger"))
            ),
            "rejected the key",
        ),
        (
            "auth-password=wrong%20one".to_owned(),
            "rejected user name or password",
        ),
        (String::new(), "without a key or a password"),
    ] {
        let url = server.url("b", &format!("{known}&{way}"));
        let ran = remote(&scratch, &["list", &url])
            .code(&[100, 200])
            .says(words);
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
    }
    // A wrong password is tried once; keys leave no such line.
    let passwords = server.log().matches("Failed password").count();
    assert_eq!((before, passwords), (0, 1), "{}", server.log());
}

#[test]
fn keys_of_the_host() {
    let Some(mut server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    fs::create_dir(server.home().join("b")).unwrap();
    server.give_away();
    let key = format!("ssh-keyfile={}", text(&server.key("id")));
    let nobody = "ssh-options=-F+none+-o+UserKnownHostsFile=none";
    let list = |query: &str| remote(&scratch, &["list", &server.url("b", query)]);
    let sha = server.print_of("host_ed25519", "sha256");
    let md5 = server.print_of("host_ed25519", "md5").replace("MD5:", "");
    let rsa = server.print_of("host_rsa", "md5").replace("MD5:", "");
    let encoded = |pin: &str| pin.replace('+', "%2B").replace(' ', "+");
    for pin in [
        sha.clone(),
        format!("ssh-ed25519 256 {}", md5.to_uppercase()),
        format!("ssh-rsa 2048 {rsa}"),
        format!("rsa-sha2-256 3072 {rsa}"),
        format!("SHA256:{},{sha}", "A".repeat(43)),
        // Without its kind, and not the key that the server shows first.
        server.print_of("host_rsa", "sha256"),
        rsa.clone(),
    ] {
        let query = format!("{key}&{nobody}&ssh-fingerprint={}", encoded(&pin));
        list(&query).code(&[0]);
    }
    let wrong = format!("SHA256:{}", "A".repeat(43));
    let ran = list(&format!("{key}&{nobody}&ssh-fingerprint={wrong}")).code(&[100]);
    ran.says("not the one given with ssh-fingerprint")
        .says("ssh-keyscan HOST | ssh-keygen -lf -")
        .says(&sha);
    // A known host is of no use where another key is pinned.
    let ran = list(&format!("{}&ssh-fingerprint={wrong}", server.good())).code(&[100]);
    ran.says("not the one given with ssh-fingerprint");
    let ran = list(&format!("{key}&{nobody}")).code(&[100]);
    ran.says("not known to this machine")
        .says("--ssh-fingerprint")
        .says("| ssh-keygen -lf -'")
        .says("connect once by hand");
    // Where ssh would ask, the fingerprint is there to be copied.
    let asks = nobody.replace("UserKnownHostsFile=none", "UserKnownHostsFile=/dev/null");
    assert_ne!(asks, nobody);
    list(&format!("{key}&{asks}"))
        .code(&[100])
        .says(&format!("it is {sha} ("))
        .says(&format!(
            "use --ssh-fingerprint={sha}, or connect once by hand"
        ));
    let both = format!("ssh-fingerprint={wrong}&ssh-accept-any-fingerprints");
    list(&format!("{key}&{nobody}&{both}"))
        .code(&[100])
        .says("not the one given with ssh-fingerprint");
    list(&format!("{key}&{nobody}&ssh-accept-any-fingerprints"))
        .code(&[0])
        .says("every host key is accepted");
    // Another key than the one that is known.
    let known = server.known(&["host_ed25519"]);
    let good = server.good();
    let other = server.public("stranger");
    fs::write(&known, format!("[127.0.0.1]:{} {other}", server.port)).unwrap();
    let ran = list(&good)
        .code(&[100])
        .says("not the one that this machine knows");
    assert!(!ran.err.contains("trying again"), "{}", ran.all());
    server.kill();
    remote(&scratch, &["list", &server.url("b", &good)])
        .code(&[100])
        .says("refuses connections");
}

/// A folder with a program of this name that is a script. A process of its own writes it: were it open here, another thread that
/// starts a program could hold it open for a moment, and what is open for writing cannot be started.
fn program(scratch: &Scratch, name: &str, script: &str) -> PathBuf {
    let folder = scratch.folder(&format!("bin-{name}"));
    let path = folder.join(name);
    let write = "printf '#!/bin/sh\n%s\n' \"$1\" >\"$0\" && chmod 755 \"$0\"";
    let mut made = Command::new("sh");
    made.args(["-c", write, text(&path), script]);
    assert!(made.status().unwrap().success());
    folder
}

fn run_with_path(scratch: &Scratch, path: &str, args: &[&str]) -> Ran {
    scratch.run_env(args, &[("PATH", path)])
}

#[test]
fn nothing_secret_is_among_arguments_or_in_the_environment() {
    let Some(server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    let seen = scratch.at("seen");
    let script = format!(
        "for a in \"$@\"; do echo \"$a\" >>{0}; done; env >>{0}; exec /usr/bin/ssh \"$@\"",
        text(&seen)
    );
    let folder = program(&scratch, "ssh", &script);
    let path = format!("{}:/usr/bin:/bin", text(&folder));
    let key = fs::read_to_string(server.key("id")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let known = server.knows(&["host_ed25519"]);
    let locked = text(&server.key("id_locked")).to_owned();
    let mut ways = vec![
        (vec![format!("--ssh-key={key}")], line.to_owned()),
        (
            vec![
                format!("--ssh-keyfile={locked}"),
                "--auth-password=the phrase of the key".to_owned(),
            ],
            "the phrase".to_owned(),
        ),
    ];
    if is_root() {
        ways.push((
            vec![format!("--auth-password={PASSWORD}")],
            PASSWORD.to_owned(),
        ));
    }
    for (options, secret) in ways {
        let url = server.url("b", &known);
        let mut args = vec!["remote", "test", &url];
        args.extend(options.iter().map(String::as_str));
        let env = [
            ("PATH", &*path),
            ("PASSPHRASE", "not for ssh"),
            ("AWS_SECRET_ACCESS_KEY", "not for ssh"),
        ];
        let ran = scratch.run_env(&args, &env).code(&[0]);
        assert!(!ran.err.contains(&secret) && !ran.out.contains(&secret));
        let seen = fs::read_to_string(&seen).unwrap();
        assert!(seen.contains("-s\n--\n127.0.0.1\nsftp\n"), "{seen}");
        assert!(
            !seen.contains(&secret) && !seen.contains("not for ssh"),
            "{seen}"
        );
    }
}

#[test]
fn programs_that_are_missing_old_or_another() {
    let scratch = Scratch::new("ssh");
    let empty = scratch.folder("empty");
    let list = |path: &str, url: &str, more: &[&str]| {
        run_with_path(
            &scratch,
            path,
            &[&["remote", "list", url], more, &FAST[..]].concat(),
        )
    };
    list(text(&empty), "ssh://u@127.0.0.1:9/x", &[])
        .code(&[100])
        .says("neither ssh nor dbclient")
        .says("openssh-client");
    list(
        "/usr/bin:/bin",
        "ssh://u@h/x?ssh-command=/nonexistent/program",
        &[],
    )
    .code(&[100])
    .says("cannot be started");
    list("/usr/bin:/bin", "ssh://u@h/x?ssh-command=false", &[])
        .code(&[100])
        .says("false has ended with code 1");
    let Some(server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    fs::create_dir(server.home().join("b")).unwrap();
    server.give_away();
    // One that knows no command for known hosts: the keys are fetched before.
    let script = "[ \"$1\" = -V ] && { echo OpenSSH_8.0p1 >&2; exit; }\nexec /usr/bin/ssh \"$@\"";
    let old = program(&scratch, "ssh", script);
    let path = format!("{}:/usr/bin:/bin", text(&old));
    let url = server.url(
        "b",
        &format!(
            "ssh-options=-F+none&ssh-keyfile={}",
            text(&server.key("id"))
        ),
    );
    let sha = format!(
        "--ssh-fingerprint={}",
        server.print_of("host_ed25519", "sha256")
    );
    list(&path, &url, &[&sha]).code(&[0]);
    let wrong = format!("--ssh-fingerprint=SHA256:{}", "A".repeat(43));
    list(&path, &url, &[&wrong])
        .code(&[100])
        .says("not the one given");
    // Dropbear's client, also where it is called ssh.
    if !Path::new("/usr/bin/dbclient").exists() || !server.has_dropbear_keys() {
        eprintln!("SKIPPED: dbclient is not installed: run .ci/prepare first");
        return;
    }
    for name in ["dbclient", "ssh"] {
        let folder = scratch.folder(&format!("only-{name}"));
        symlink("/usr/bin/dbclient", folder.join(name)).unwrap();
        let url = |key: &str| {
            let query = format!("ssh-keyfile={}", text(&server.key(key)));
            server.url("b", &query)
        };
        let any = "--ssh-accept-any-fingerprints";
        list(text(&folder), &url("id_dropbear"), &[any]).code(&[0]);
        list(text(&folder), &url("id_dropbear"), &[])
            .code(&[100])
            .says("not known to this machine");
        list(text(&folder), &url("id_dropbear"), &[&sha])
            .code(&[100])
            .says("dbclient knows no key");
        // It would ask on, where nobody is there to answer.
        let asks = Instant::now();
        list(text(&folder), &server.url("b", ""), &[any])
            .code(&[100])
            .says("nobody in without a key or a password");
        list(text(&folder), &url("stranger_dropbear"), &[any])
            .code(&[100])
            .says("rejected the key");
        assert!(asks.elapsed() < Duration::from_secs(25));
        list(text(&folder), &url("id"), &[any])
            .code(&[100, 200])
            .says("dropbearconvert");
        if is_root() {
            let password = format!("auth-password={PASSWORD_IN_URL}");
            list(text(&folder), &server.url("b", &password), &[any]).code(&[0]);
            let wrong = server.url("b", "auth-password=wrong");
            list(text(&folder), &wrong, &[any])
                .code(&[100])
                .says("rejected user name or password");
        }
    }
}

#[test]
fn servers_that_have_no_sftp_or_talk() {
    for (more, words) in [
        ("Subsystem other /bin/true", "the server offers no SFTP"),
        ("Subsystem sftp /nonexistent/sftp-server", "offers no SFTP"),
        ("Subsystem sftp /bin/echo Welcome home", "'Welcome home'"),
        ("ForceCommand echo no files here; exit 1", "'no files here'"),
    ] {
        let Some(server) = Server::start(Kind::OpenSsh, more) else {
            return;
        };
        let scratch = Scratch::new("ssh");
        let url = server.url("b", &server.good());
        let ran = remote(&scratch, &["list", &url]).code(&[100]).says(words);
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
    }
}

#[test]
fn another_client_reads_and_writes_the_same_bytes() {
    let Some(server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    let url = server.url("b%20%C3%A9", &server.good());
    let data = Rand(9).bytes((5 << 20) + 77);
    let file = scratch.at("file");
    fs::write(&file, &data).unwrap();
    remote(&scratch, &["put", &url, "ours one", text(&file)]).code(&[0]);
    let batch = format!(
        "get \"{0}/b \u{e9}/ours one\" {1}\nput {2} \"{0}/b \u{e9}/theirs\"\n",
        text(&server.home()),
        text(&scratch.at("got")),
        text(&file)
    );
    let list = scratch.at("batch");
    fs::write(&list, batch).unwrap();
    let done = Command::new("sftp")
        .args([
            "-q",
            "-F",
            "none",
            "-b",
            text(&list),
            "-P",
            &server.port.to_string(),
            "-i",
        ])
        .arg(server.key("id"))
        .args([
            "-o",
            &format!(
                "UserKnownHostsFile={}",
                text(&server.known(&["host_ed25519"]))
            ),
        ])
        .arg(format!("{}@127.0.0.1", server.user))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(fs::read(scratch.at("got")).unwrap() == data);
    remote(
        &scratch,
        &["get", &url, "theirs", text(&scratch.at("back"))],
    )
    .code(&[0]);
    assert!(fs::read(scratch.at("back")).unwrap() == data);
}

#[test]
fn connections_and_servers_that_end_in_mid_transfer() {
    let Some(mut server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    let folder = server.home().join("b");
    let url = server.url("b", &server.good());
    remote(&scratch, &["mkdir", &url]).code(&[0]);
    // The child is killed.
    let mut child = slow_upload(&scratch, &url, &folder, 2 << 20);
    for pid in children_of(child.id()) {
        Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()
            .unwrap();
    }
    assert!(child.wait().unwrap().success());
    assert!(fs::read(folder.join("big")).unwrap() == fs::read(scratch.at("big")).unwrap());
    fs::remove_file(folder.join("big")).unwrap();
    for name in names(&folder) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    // The server is killed, and comes back.
    let mut child = slow_upload(&scratch, &format!("{url}&retry-delay=1s"), &folder, 2 << 20);
    server.restart();
    assert!(child.wait().unwrap().success(), "{}", server.log());
    assert!(fs::read(folder.join("big")).unwrap() == fs::read(scratch.at("big")).unwrap());
}

#[test]
fn the_child_ends_with_the_program_even_when_that_is_killed() {
    let Some(server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    let folder = server.home().join("b");
    let url = server.url("b", &server.good());
    remote(&scratch, &["mkdir", &url]).code(&[0]);
    for signal in ["-KILL", "-TERM"] {
        let mut child = slow_upload(&scratch, &url, &folder, 8 << 20);
        let theirs = children_of(child.id());
        assert_eq!(theirs.len(), 1, "one child");
        for _ in 0..if signal == "-TERM" { 2 } else { 1 } {
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(!child.wait().unwrap().success());
        until("the child ends", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", theirs[0])).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('Z'))
        });
        for name in names(&folder) {
            let _ = fs::remove_file(folder.join(name));
        }
    }
}

#[test]
fn accounts_and_disks_that_take_nothing() {
    let Some(server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    let folder = server.home().join("b");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("there"), b"x").unwrap();
    server.give_away();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let file = scratch.at("file");
    fs::write(&file, Rand(1).bytes(3 << 20)).unwrap();
    let url = server.url("b", &server.good());
    let ran = remote(&scratch, &["put", &url, "x", text(&file)]).code(&[100]);
    ran.says("does not allow writing").says("check the rights");
    remote(&scratch, &["delete", &url, "there"])
        .code(&[100])
        .says("does not allow deleting");
    remote(&scratch, &["get", &url, "there", "-"]).code(&[0]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    if is_root() {
        let url = server.url("small", &server.good());
        let ran = remote(&scratch, &["put", &url, "x", text(&file)]).code(&[100]);
        ran.says("no space left on the server");
        assert_eq!(
            remote(&scratch, &["list", &url]).code(&[0]).out,
            "",
            "nothing is left"
        );
    }
}

#[test]
fn twenty_thousand_entries_and_relative_paths() {
    let Some(server) = Server::start(Kind::OpenSsh, "") else {
        return;
    };
    let scratch = Scratch::new("ssh");
    let folder = server.home().join("many/here");
    fs::create_dir_all(&folder).unwrap();
    for i in 0..20_000 {
        fs::write(folder.join(format!("duplicati-b{i:032x}.dblock.zip")), b"").unwrap();
    }
    server.give_away();
    let url = server.url("many/here", &server.good());
    let count = |url: &str| {
        let ran = remote(&scratch, &["list", url]);
        ran.sane_but_tabs();
        (ran.code, ran.out.lines().count())
    };
    assert_eq!(count(&url), (0, 20_000));
    if is_root() {
        let url = format!(
            "sftp://{}@127.0.0.1:{}/many/here/?{}&ssh-relative-path",
            server.user,
            server.port,
            server.good()
        );
        assert_eq!(count(&url), (0, 20_000));
        let url = url.replace("many/here", "new/one");
        remote(&scratch, &["mkdir", &url]).code(&[0]);
        assert!(server.home().join("new/one").is_dir());
    }
}
