//! From the options to a running child: which program, which arguments, and how it gets what must be in none of them.
//!
//! Keys, passwords and lists of known hosts are files in memory that only this user can open, by their place in `/proc`. `ssh`
//! asks for a password and for the keys of a host by starting this program again ([`super::helper`]).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::config::{Key, Setup};
use super::helper::{ANSWER, REPORT, Report};
use super::pins::{Pin, pinned};
use crate::base::fault::{Class, Fault};
use crate::base::program;
use crate::base::sys::{self, Piped};
use crate::base::tmp::Tmp;

type Done<T> = std::result::Result<T, Fault>;

/// Most that a small program may take to say something, and most that it may say.
const QUICK: Duration = Duration::from_secs(20);
const SAID_MAX: usize = 64 << 10;

/// The first version of OpenSSH that asks a command for the keys of a host.
const COMMANDED: (u32, u32) = (8, 5);

/// What speaks SSH here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The person's own command.
    Own,
    /// With the two numbers of its version, zeros when it does not say.
    OpenSsh(PathBuf, (u32, u32)),
    Dropbear(PathBuf),
}

impl Program {
    /// True where it can be asked for the host keys of one kind and then for those of another.
    pub(super) fn may_ask(&self, setup: &Setup) -> bool {
        let is_open = !setup.pins.is_empty() && Pin::algorithms(&setup.pins).is_none();
        is_open && matches!(self, Program::OpenSsh(_, version) if *version >= COMMANDED)
    }
}

/// The files in memory that a child reads and writes, which are there as long as this is.
pub(super) struct Held {
    /// What the helper was told of the server's key.
    report: Option<File>,
    _files: Vec<File>,
}

impl Held {
    /// What the helper was asked; nothing where it was not.
    pub(super) fn report(&mut self) -> Report {
        let mut text = String::new();
        if let Some(file) = self.report.as_mut()
            && file.seek(SeekFrom::Start(0)).is_ok()
        {
            let _ = file.take(1000).read_to_string(&mut text);
        }
        Report::read(&text)
    }
}

/// Finds the program to use.
pub(super) fn find(setup: &Setup) -> Done<Program> {
    if !setup.command.is_empty() {
        return Ok(Program::Own);
    }
    if let Some(path) = program::find("ssh") {
        let words = [path.to_string_lossy().into_owned(), "-V".to_owned()];
        let said = ask(&words, QUICK);
        return Ok(match version(&said) {
            None => Program::Dropbear(path),
            Some(version) => Program::OpenSsh(path, version),
        });
    }
    match program::find("dbclient") {
        Some(path) => Ok(Program::Dropbear(path)),
        None => Err(Fault::new(
            Class::Unsupported,
            "neither ssh nor dbclient is on this machine, in no folder of PATH",
        )
        .hint("install an SSH client (Debian: openssh-client, OpenWrt: openssh-client or dropbear), or name one with --ssh-command")),
    }
}

/// The version of OpenSSH; `None` when it is Dropbear.
fn version(said: &str) -> Option<(u32, u32)> {
    if said.contains("Dropbear") {
        return None;
    }
    let number = |text: &str| {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text[..end].parse().unwrap_or(0)
    };
    let rest = said.split_once("OpenSSH_").map_or("", |(_, rest)| rest);
    let rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (major, minor) = rest.split_once('.').unwrap_or((rest, ""));
    Some((number(major), number(minor)))
}

/// All that a small program says, within a time; nothing when it cannot be started.
fn ask(words: &[String], time: Duration) -> String {
    let Ok(mut child) = Piped::start(words, &[], &is_secret) else {
        return String::new();
    };
    child.close_input();
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let moved = child.exchange(&[], &mut out, SAID_MAX, &mut errors, left);
        let ended = moved.map_or(true, |m| m.output_ended && m.errors_ended);
        if ended || left.is_zero() || out.len() + errors.len() > SAID_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&[out, errors].concat()).into_owned()
}

/// True for variables of the environment that `ssh` does not get.
fn is_secret(name: &str) -> bool {
    program::is_secret(name) && name != "DROPBEAR_PASSWORD"
}

/// Starts the child for a destination.
pub(super) fn start(setup: &Setup, program: &Program) -> Done<(Piped, Held)> {
    let mut call = Call::default();
    match program {
        Program::Own => call.words.clone_from(&setup.command),
        Program::OpenSsh(path, version) => openssh(setup, path, *version, &mut call)?,
        Program::Dropbear(path) => dropbear(setup, path, &mut call)?,
    }
    let child = Piped::start(&call.words, &call.set, &is_secret).map_err(|e| {
        let name = call.words.first().map_or("", String::as_str);
        let shown = crate::base::text::safe_cut(name.as_bytes(), 80);
        let text = format!(
            "{shown} cannot be started: {}",
            crate::base::error::io_text(&e)
        );
        Fault::new(Class::Unsupported, text).hint("check --ssh-command")
    })?;
    let held = Held {
        report: call.report,
        _files: call.held,
    };
    Ok((child, held))
}

/// A command line under way.
#[derive(Default)]
struct Call {
    words: Vec<String>,
    /// Variables of its environment.
    set: Vec<(&'static str, String)>,
    /// Files that stay open as long as the child runs.
    held: Vec<File>,
    report: Option<File>,
}

impl Call {
    fn words<const N: usize>(&mut self, words: [&str; N]) {
        self.words.extend(words.map(str::to_owned));
    }

    /// `-o NAME=VALUE`.
    fn option(&mut self, name: &str, value: &str) {
        self.words(["-o", &format!("{name}={value}")]);
    }

    /// A file in memory with this content, and its path.
    fn file(&mut self, content: &[u8]) -> Done<String> {
        let (file, path) = private(content)?;
        self.held.push(file);
        Ok(path)
    }

    fn user(&mut self, setup: &Setup) {
        if let Some(user) = &setup.user {
            self.words(["-l", user]);
        }
    }

    fn key(&mut self, setup: &Setup) -> Done<()> {
        match &setup.key {
            Key::None => {}
            Key::File(path) => self.words(["-i", path]),
            Key::Inline(key) => {
                let path = self.file(key.reveal().as_bytes())?;
                self.words(["-i", &path]);
            }
        }
        Ok(())
    }
}

/// A file that only this user can read and that has no name, with a path by which a child can open it.
fn private(content: &[u8]) -> Done<(File, String)> {
    let made = sys::memory_file().or_else(|_| {
        // Kernels before 3.17 have no files in memory; one that was unlinked is as private.
        let tmp = Tmp::open(None).and_then(|tmp| tmp.file());
        tmp.map_err(|e| std::io::Error::other(e.to_string()))
    });
    let written = made.and_then(|mut file| file.write_all(content).map(|()| file));
    let file = written.map_err(Fault::local)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok((file, path))
}

/// This program, whatever became of its file.
fn own_program() -> String {
    format!("/proc/{}/exe", std::process::id())
}

fn openssh(setup: &Setup, path: &Path, version: (u32, u32), call: &mut Call) -> Done<()> {
    let port = setup.port.unwrap_or(22).to_string();
    call.words([&*path.to_string_lossy()]);
    // Of an option given twice the first one counts: a pin stays one, all else is as the person wants it.
    let (report, report_path) = private(b"")?;
    call.report = Some(report);
    host_keys(setup, version, &report_path, call)?;
    call.words.extend(setup.words.iter().cloned());
    // Without a user that of ssh's configuration, or of this machine, logs in.
    call.words(["-p", &port]);
    call.user(setup);
    let has_key = !matches!(setup.key, Key::None);
    call.key(setup)?;
    if has_key {
        call.option("IdentitiesOnly", "yes");
        call.option("PreferredAuthentications", "publickey");
    } else if setup.secret.is_some() {
        // A full agent would use up the attempts that the server grants.
        call.option("PreferredAuthentications", "password,keyboard-interactive");
    } else {
        // What `BatchMode` does, but that the helper is asked about an unknown host and can say whose key it was.
        call.option("PasswordAuthentication", "no");
        call.option("KbdInteractiveAuthentication", "no");
    }
    if !setup.agent {
        call.option("IdentityAgent", "none");
    }
    let short = setup.times.short.as_secs().to_string();
    let keepalive = setup.keepalive.to_string();
    for (name, value) in [
        // Asked for a passphrase once more, the helper knows that the first answer was wrong; a server is asked once.
        ("NumberOfPasswordPrompts", if has_key { "2" } else { "1" }),
        ("ConnectTimeout", &*short),
        ("ServerAliveInterval", &keepalive),
        ("ServerAliveCountMax", "3"),
        ("Compression", "no"),
        ("ControlMaster", "no"),
        ("ControlPath", "none"),
        ("ForwardAgent", "no"),
        ("ForwardX11", "no"),
        ("ClearAllForwardings", "yes"),
        ("PermitLocalCommand", "no"),
        ("RequestTTY", "no"),
    ] {
        call.option(name, value);
    }
    call.set.extend([
        (REPORT, report_path),
        ("SSH_ASKPASS", own_program()),
        ("SSH_ASKPASS_REQUIRE", "force".to_owned()),
    ]);
    if std::env::var_os("DISPLAY").is_none() {
        // Before 8.4 the helper was asked only where there was a screen.
        call.set.push(("DISPLAY", "none".to_owned()));
    }
    if let Some(secret) = &setup.secret {
        let path = call.file(secret.reveal().as_bytes())?;
        call.set.push((ANSWER, path));
    }
    call.words(["-s", "--", &setup.host, "sftp"]);
    Ok(())
}

/// Which keys of the server `ssh` takes.
fn host_keys(setup: &Setup, version: (u32, u32), report: &str, call: &mut Call) -> Done<()> {
    if setup.any_host {
        call.option("StrictHostKeyChecking", "no");
        call.option("UserKnownHostsFile", "/dev/null");
        call.option("GlobalKnownHostsFile", "/dev/null");
        return Ok(());
    }
    if setup.pins.is_empty() {
        return Ok(());
    }
    call.option("StrictHostKeyChecking", "yes");
    call.option("GlobalKnownHostsFile", "none");
    if let Some(list) = Pin::algorithms(&setup.pins) {
        call.option("HostKeyAlgorithms", &list);
    } else if let Some(kinds) = setup.kinds.get() {
        call.option("HostKeyAlgorithms", kinds);
    }
    let words: Vec<String> = setup.pins.iter().map(Pin::word).collect();
    if version >= COMMANDED {
        call.option("UserKnownHostsFile", "none");
        let command = format!(
            "{} __hostkey {} {report} %I %t %K %H",
            own_program(),
            words.join(",")
        );
        call.option("KnownHostsCommand", &command);
        return Ok(());
    }
    // Older ones have no such command: the keys are fetched before, and those that fit are all that `ssh` knows.
    let kinds = match Pin::algorithms(&setup.pins) {
        Some(list) if list.contains("ed25519") => "ed25519,rsa,ecdsa",
        _ => "rsa,ecdsa,ed25519",
    };
    let port = setup.port.unwrap_or(22).to_string();
    let scan = ["ssh-keyscan", "-p", &port, "-t", kinds, "--", &setup.host].map(str::to_owned);
    let (lines, others) = pinned(&ask(&scan, setup.times.short + QUICK), &setup.pins);
    if lines.is_empty() && others {
        return Err(wrong_key());
    }
    let path = call.file(lines.as_bytes())?;
    call.option("UserKnownHostsFile", &path);
    Ok(())
}

/// None of the server's keys is pinned.
pub(super) fn wrong_key() -> Fault {
    Fault::new(
        Class::Tls,
        "the server's host key is not the one given with ssh-fingerprint",
    )
    .hint("a server has several keys, each with a fingerprint of its own ('ssh-keyscan HOST | ssh-keygen -lf -' shows them); if none is the one given and the server has new ones, ask for a fingerprint by another way and give that; if not, somebody may stand in between")
}

/// The home folder where `dbclient` looks: that of the list of users, whatever the environment says.
fn home() -> PathBuf {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = sys::effective_uid().to_string();
    let of_line = |line: &str| {
        let mut fields = line.split(':').skip(2);
        (fields.next()? == own).then(|| fields.nth(2).map(PathBuf::from))?
    };
    let listed = users.lines().find_map(of_line);
    listed.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()))
}

fn dropbear(setup: &Setup, path: &Path, call: &mut Call) -> Done<()> {
    let port = setup.port.unwrap_or(22).to_string();
    call.words([&*path.to_string_lossy(), "-p", &port]);
    call.user(setup);
    call.key(setup)?;
    if setup.any_host {
        call.words(["-y", "-y"]);
    } else if !setup.pins.is_empty() {
        // It checks the file by itself, and knows hosts by their name alone.
        let known = std::fs::read_to_string(home().join(".ssh/known_hosts"));
        let known = known.unwrap_or_default();
        let is_host = |line: &&str| {
            let hosts = line.split_whitespace().next().unwrap_or("");
            hosts.split(',').any(|host| host == setup.host)
        };
        let lines: Vec<&str> = known.lines().filter(is_host).collect();
        match pinned(&lines.join("\n"), &setup.pins) {
            (kept, false) if !kept.is_empty() => {}
            (_, true) => return Err(wrong_key()),
            _ => {
                return Err(Fault::new(
                    Class::Tls,
                    "dbclient knows no key of this server that ssh-fingerprint could be compared with",
                )
                .hint(format!(
                    "connect once by hand, 'dbclient -p {port} {}{}', and compare the fingerprint it shows",
                    setup.user.as_deref().map_or(String::new(), |u| format!("{u}@")),
                    setup.host
                )));
            }
        }
    }
    call.words(["-K", &setup.keepalive.to_string()]);
    if let Some(secret) = &setup.secret {
        call.set
            .push(("DROPBEAR_PASSWORD", secret.reveal().to_owned()));
    }
    call.words.extend(setup.words.iter().cloned());
    call.words(["-s", &setup.host, "sftp"]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (said, want) in [
            (
                "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19",
                Some((9, 2)),
            ),
            ("OpenSSH_10.0p2 Debian-7", Some((10, 0))),
            ("OpenSSH_7.4p1, OpenSSL 1.0.2k-fips", Some((7, 4))),
            ("OpenSSH_for_Windows_8.1p1", Some((8, 1))),
            ("Dropbear v2022.83", None),
            (
                "Dropbear SSH client v2019.78 https://matt.ucc.asn.au/",
                None,
            ),
            ("something else", Some((0, 0))),
            ("", Some((0, 0))),
        ] {
            assert_eq!(version(said), want, "{said}");
        }
    }

    #[test]
    fn secrets_stay_out_of_the_environment() {
        for name in [
            "PASSPHRASE",
            "NEW_PASSPHRASE",
            "AUTH_PASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "B2_APPLICATION_KEY",
            "AZURE_STORAGE_KEY",
            "AZURE_STORAGE_SAS_TOKEN",
            "DUPLET_URL",
            "auth_password",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "SSH_AUTH_SOCK",
            "SSH_ASKPASS",
            "DROPBEAR_PASSWORD",
            "AUTH_USERNAME",
            "LC_ALL",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn the_home_is_that_of_the_list_of_users() {
        let home = home();
        assert!(home.is_absolute(), "{}", home.display());
    }

    #[test]
    fn small_programs_are_listened_to() {
        assert_eq!(ask(&["echo", "a b"].map(str::to_owned), QUICK), "a b\n");
        assert_eq!(ask(&["/nonexistent".to_owned()], QUICK), "");
        let words = ["sh", "-c", "echo OpenSSH_1.2 >&2"].map(str::to_owned);
        assert_eq!(ask(&words, QUICK), "OpenSSH_1.2\n");
    }
}
