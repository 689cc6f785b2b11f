//! Names of the files in which a restore puts things together, and how to tell those of a run that is over from those of one
//! that is still at it.
//!
//! `.duplet-restore-MACHINEBOOTSPACE-PID-START-RANDOM-NUMBER`, all hexadecimal: 8 digits each of the digests of the machine's
//! id, of its boot id and of its process numbers' space, the process, when it started, 8 random digits, and which entry of the
//! restore it is. Zeros stand for what the system did not say. Earlier releases wrote `.duplet-restore-RANDOM-NUMBER` with 16
//! random digits.

use std::fs;

use crate::base::digest::Algo;
use crate::base::error::Result;
use crate::base::rand;
use crate::base::sys;
use crate::base::time::Timestamp;

const START: &str = ".duplet-restore-";
/// What nobody wrote to for so long is left over, whoever made it.
const OLD_SECONDS: i64 = 86_400;

/// Start of the names of this run, to which `-NUMBER` in hexadecimal is appended. At most 90 bytes with it.
pub(crate) fn run_name() -> Result<String> {
    let here = Here::now();
    Ok(format!(
        "{START}{:08x}{:08x}{:08x}-{:x}-{:x}-{}",
        here.machine,
        here.boot,
        here.space,
        std::process::id(),
        started(std::process::id()).unwrap_or(0),
        rand::hex::<4>()?
    ))
}

/// True for every name that a restore gives to a file under way, of this release or an earlier one: nothing to back up.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    Name::parse(name).is_some()
}

/// True when what has this name and was last written at `written` belongs to no run any more: its process is gone, or nothing
/// is known of the process and it is older than a day. Costs a system call or two.
pub(crate) fn is_left_over(name: &[u8], written: Timestamp, now: Timestamp) -> bool {
    let Some(name) = Name::parse(name) else {
        return false;
    };
    let old = now.0.saturating_sub(written.0) > OLD_SECONDS;
    let here = Here::now();
    match name {
        Name::Marked {
            machine,
            boot,
            space,
            pid,
            start,
        } if machine != 0 && machine == here.machine && boot != 0 && here.boot != 0 => {
            if boot != here.boot {
                // The machine was started again since.
                true
            } else if space != 0 && space == here.space {
                let gone = !sys::process_exists(pid);
                gone || started(pid).is_some_and(|s| start != 0 && s != start)
            } else {
                old
            }
        }
        _ => old,
    }
}

enum Name {
    Marked {
        machine: u32,
        boot: u32,
        space: u32,
        pid: u32,
        start: u64,
    },
    Earlier,
}

impl Name {
    fn parse(name: &[u8]) -> Option<Name> {
        let rest = std::str::from_utf8(name).ok()?.strip_prefix(START)?;
        let parts: Vec<&str> = rest.splitn(6, '-').collect();
        let hex = |text: &str| {
            let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            ((1..=16).contains(&text.len()) && text.bytes().all(digits))
                .then(|| u64::from_str_radix(text, 16).ok())
                .flatten()
        };
        match *parts.as_slice() {
            [random, number] if random.len() == 16 => {
                hex(random)?;
                hex(number)?;
                Some(Name::Earlier)
            }
            [place, pid, start, random, number] if place.len() == 24 && random.len() == 8 => {
                hex(random)?;
                hex(number)?;
                let third = |i: usize| u32::try_from(hex(place.get(i..i + 8)?)?).ok();
                Some(Name::Marked {
                    machine: third(0)?,
                    boot: third(8)?,
                    space: third(16)?,
                    pid: u32::try_from(hex(pid)?).ok()?,
                    start: hex(start)?,
                })
            }
            _ => None,
        }
    }
}

/// Where this process runs.
struct Here {
    machine: u32,
    boot: u32,
    space: u32,
}

impl Here {
    fn now() -> Here {
        let file = |path: &str| fs::read(path).ok().filter(|t| !t.is_empty());
        let machine = file("/etc/machine-id").or_else(|| file("/proc/sys/kernel/hostname"));
        let space = fs::read_link("/proc/self/ns/pid").ok();
        Here {
            machine: short(machine),
            boot: short(file("/proc/sys/kernel/random/boot_id")),
            space: short(space.map(|s| s.into_os_string().into_encoded_bytes())),
        }
    }
}

/// Some digits of a digest; 0 only for nothing.
fn short(text: Option<Vec<u8>>) -> u32 {
    let Some(text) = text else {
        return 0;
    };
    let digest = Algo::Sha256.hash(&text);
    let first = digest.as_bytes().first_chunk::<4>();
    first.map_or(1, |f| u32::from_be_bytes(*f)).max(1)
}

/// When a process started, in ticks since the machine did; the field after the 19th behind the name.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_706_704_496);

    fn dead(name: &str, age: i64) -> bool {
        is_left_over(name.as_bytes(), Timestamp(NOW.0 - age), NOW)
    }

    #[test]
    fn the_files_of_this_run_are_in_use_however_old_they_are() {
        let name = format!("{}-1f", run_name().expect("random bytes"));
        assert!(is_ours(name.as_bytes()) && name.len() <= 90, "{name}");
        assert!(!dead(&name, 10), "{name}");
        if Here::now().space != 0 {
            assert!(!dead(&name, 10 * OLD_SECONDS), "{name}");
        }
    }

    #[test]
    fn files_of_processes_that_are_gone_are_left_over_at_once() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pid = child.id();
        child.wait().expect("it ends");
        let here = Here::now();
        if here.machine == 0 || here.boot == 0 || here.space == 0 {
            return;
        }
        let name = |machine: u32, boot: u32, space: u32, pid: u32, start: u64| {
            format!("{START}{machine:08x}{boot:08x}{space:08x}-{pid:x}-{start:x}-00000000-0")
        };
        let me = std::process::id();
        let (m, b, s) = (here.machine, here.boot, here.space);
        let mine = started(me).expect("it runs");
        for (name, young, old) in [
            (name(m, b, s, pid, 7), true, true),
            // The number was given to another process since.
            (name(m, b, s, me, mine + 1), true, true),
            (name(m, b, s, me, mine), false, false),
            // The machine was started again.
            (name(m, b ^ 1, s, me, mine), true, true),
            // A container, another machine, and one that says nothing of itself.
            (name(m, b, s ^ 1, pid, 7), false, true),
            (name(m ^ 1, b, s, pid, 7), false, true),
            (name(0, 0, 0, pid, 7), false, true),
            (format!("{START}0123456789abcdef-a"), false, true),
        ] {
            assert!(is_ours(name.as_bytes()), "{name}");
            assert_eq!(dead(&name, 10), young, "{name}");
            assert_eq!(dead(&name, OLD_SECONDS + 1), old, "{name}");
            assert!(!dead(&name, -OLD_SECONDS) || young, "{name}");
        }
    }

    #[test]
    fn names_that_only_look_like_it_are_the_users() {
        for name in [
            ".duplet-restore-",
            ".duplet-restore-notes.txt",
            ".duplet-restore-0123456789abcdef",
            ".duplet-restore-0123456789abcdef-",
            ".duplet-restore-0123456789abcdef-1.txt",
            ".duplet-restore-0123456789ABCDEF-1",
            ".duplet-restore-0123456789abcde-1",
            ".duplet-restore-0123456789abcdef01234567-1-1-00000000",
            ".duplet-restore-0123456789abcdef01234567-1-1-00000000-1-2",
            "x.duplet-restore-0123456789abcdef-1",
            "duplet-restore-0123456789abcdef-1",
        ] {
            assert!(!is_ours(name.as_bytes()), "{name}");
            assert!(!dead(name, 10 * OLD_SECONDS), "{name}");
        }
        assert!(!is_ours(b".duplet-restore-0123456789abcde\xff-1"));
    }
}
