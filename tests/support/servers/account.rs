//! A user for servers that let in the users of the machine: `duplet`, who is there only in the mount namespace of the server, with
//! a password, a home in its scratch folder and a small disk `small` of 2 MiB in it. The machine's own users and folders are not
//! touched. Only root can make such a namespace.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Of the user `duplet`, and how a URL writes it.
pub const PASSWORD: &str = "päss wörd-123";
pub const PASSWORD_IN_URL: &str = "p%C3%A4ss%20w%C3%B6rd-123";
pub const HASH: &str = "$6$dupletdu$33RbORIe89zOV4a4otMBkkvYkdY.7Uywej2htqVbG4qhfUG8UfxCLsHRsTJrmy6JZxXzMS28xKY3zHDS3IXQB1";
/// The number of the user, who owns nothing on this machine.
pub const UID: &str = "65534";

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// The lists of users, `passwd` and `shadow`, in the scratch folder, and the home; the files for the server's log-in in `pam.d`.
pub fn make(root: &Path) {
    let d = root.display();
    for sub in ["home/small", "pam.d"] {
        fs::create_dir_all(root.join(sub)).expect("a writable temporary folder");
    }
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    let line = format!("duplet:x:{UID}:{UID}::{d}/home:/bin/sh\n");
    fs::write(root.join("passwd"), users + &line).expect("a file");
    let shadow = root.join("shadow");
    fs::write(&shadow, format!("duplet:{HASH}:19000::::::\n")).expect("a file");
    let pam =
        "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n";
    fs::write(root.join("pam.d/duplet"), pam).expect("a file");
    if is_root() {
        give_away(&root.join("home"));
        run(Command::new("chown").args(["-R", "0:0"]).arg(shadow));
    }
}

/// A folder with all that is in it becomes the user's.
pub fn give_away(folder: &Path) {
    if is_root() {
        run(Command::new("chown")
            .args(["-R", &format!("{UID}:{UID}")])
            .arg(folder));
    }
}

/// The command of a server, in the namespace when this is root.
pub fn inside(root: &Path, words: &[String]) -> Command {
    let d = root.display();
    let script = format!(
        "mount -t tmpfs none /run && mkdir /run/sshd && mount --bind {d}/passwd /etc/passwd && \
         mount --bind {d}/shadow /etc/shadow && \
         {{ [ ! -d /etc/pam.d ] || mount --bind {d}/pam.d /etc/pam.d; }} && \
         mount -t tmpfs -o size=2m,uid={UID},mode=755 none {d}/home/small && exec \"$@\""
    );
    let mut command = Command::new(if is_root() { "unshare" } else { &words[0] });
    if is_root() {
        command.args(["-m", "sh", "-c", &script, "sh"]).args(words);
    } else {
        command.args(&words[1..]);
    }
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null());
    command
}

/// Starts a server [`inside`], what it prints at the end of `log` in its folder, and waits until its port of this machine is open.
pub fn start(root: &Path, words: &[String], port: u16) -> Child {
    let path = root.join("log");
    let log = fs::File::options().create(true).append(true).open(&path);
    let log = log.expect("a file");
    let mut child = inside(root, words)
        .env("LC_ALL", "C.UTF-8")
        .process_group(0)
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("the server starts");
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = child.try_wait().ok().flatten();
        let said = fs::read_to_string(&path).unwrap_or_default();
        let waits = ended.is_none() && Instant::now() < end;
        assert!(waits, "{words:?} does not start: {said}");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

/// Ends a process at once, with all that come from it.
pub fn kill_all(mut child: Child) {
    let mut all = vec![child.id()];
    let mut at = 0;
    while at < all.len() {
        all.extend(children_of(all[at]));
        at += 1;
    }
    for pid in &all {
        let _ = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .stderr(Stdio::null())
            .status();
    }
    let _ = child.wait();
}

/// Numbers of the children of a process.
pub fn children_of(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(pid) {
            found.push(number);
        }
    }
    found
}

/// Runs another program, which must succeed.
pub fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(done.expect("the program starts").success(), "{command:?}");
}
