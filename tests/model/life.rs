//! One backup over months of a simulated clock: what each of its versions must give back, which volumes were damaged and how
//! they were before.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::steer::{Cut, steer};
use crate::support::snapshot::{Kind, Node, Snapshot, differences, take_but_xattrs as take};
use crate::support::{Ran, copy_folder, finish, names, text, tree};
use crate::world::World;

/// A version that is there.
#[derive(Clone)]
pub struct Kept {
    /// Seconds since 1970, as in the name of its list.
    pub time: i64,
    /// Times of the lists in the place of which a purge wrote this one.
    pub instead: Vec<i64>,
    pub full: bool,
    pub tree: Snapshot,
    /// Entries whose permissions and times were lost for good, by their paths.
    pub bare: Vec<Vec<u8>>,
}

pub struct Life {
    pub world: World,
    /// Oldest first.
    pub versions: Vec<Kept>,
    /// Volumes that were damaged, as they were before.
    pub vault: BTreeMap<OsString, Vec<u8>>,
    /// Versions, by time, whose lists are damaged.
    pub unreadable: Vec<i64>,
    pub now: i64,
    /// What lies beside the volumes, and must stay as it is.
    strangers: BTreeMap<OsString, Vec<u8>>,
    /// What reads no volume's size anew: the machine at hand.
    machine: usize,
}

/// Entries of a version that come back, and whether with all that belongs to them.
pub type Right = BTreeMap<Vec<u8>, bool>;

impl Life {
    pub fn new(seed: u64) -> Life {
        let world = World::new(seed);
        let now = 1_780_000_000 + i64::try_from(seed % 1000).unwrap() * 86_400;
        let mut life = Life {
            world,
            versions: Vec::new(),
            vault: BTreeMap::new(),
            unreadable: Vec::new(),
            now,
            strangers: BTreeMap::new(),
            machine: 0,
        };
        life.strangers_come();
        life
    }

    /// A backup under another prefix, and files that are no volumes.
    fn strangers_come(&mut self) {
        let (dest, other) = (self.world.dest(), self.world.scratch.folder("other"));
        tree::write(&other.join("f"), &self.world.rand.bytes(30_000));
        let args = [
            "backup",
            text(&dest),
            text(&other),
            "--prefix=neighbour",
            "--no-encryption",
        ];
        if self.world.rand.below(2) == 0 {
            self.world.scratch.run(&args).code(&[0]);
            if self.prefix() == "duplicati" {
                self.world.secret.push("--prefix=duplicati".to_owned());
            }
        }
        fs::create_dir_all(&dest).unwrap();
        if self.world.rand.below(2) == 0 {
            tree::write(&dest.join("notes.txt"), b"of a person");
            tree::write(&dest.join("duplicati-b0.part"), b"of a stopped copy");
        }
        for name in names(&dest) {
            let bytes = fs::read(dest.join(&name)).unwrap();
            self.strangers.insert(name, bytes);
        }
    }

    pub fn strangers_are_there(&self) {
        for (name, bytes) in &self.strangers {
            let now = fs::read(self.world.dest().join(name)).unwrap_or_default();
            assert!(now == *bytes, "{name:?} is not what it was");
        }
    }

    /// True when anything was damaged and neither brought back nor let go.
    pub fn hurt(&self) -> bool {
        !self.vault.is_empty()
    }

    /// Time of the newest version.
    pub fn newest(&self) -> Option<i64> {
        self.versions.last().map(|v| v.time)
    }

    /// Where the newest version went, the one before knows nothing of a change that leaves size and time as they were.
    pub fn newest_was(&mut self, before: Option<i64>) {
        self.world.hidden |= self.newest() < before;
    }

    pub fn pass_time(&mut self) {
        let rand = &mut self.world.rand;
        let step = match rand.below(8) {
            0 => 1 + rand.below(5),
            1 => 70 + rand.below(3000),
            2..=4 => 3600 * (1 + rand.below(40)) + rand.below(3600),
            5 | 6 => 86_400 * (1 + rand.below(4)),
            _ => 86_400 * (5 + rand.below(30)),
        };
        self.now += i64::try_from(step).unwrap();
    }

    /// A command line on the destination `dest`, with the cache of some machine.
    pub fn line(&mut self, verb: &str, dest: &Path, more: &[String]) -> Vec<String> {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let mut args = self.world.args(verb, dest, &more);
        match self.world.rand.below(8) {
            0 => self.machine = self.world.rand.count(3),
            1 => args.push("--no-cache".to_owned()),
            _ => {}
        }
        args
    }

    fn steered(&self, args: &[String], cut: Option<Cut>) -> Command {
        let mut command = self.world.scratch.command(args);
        let cache = self.world.scratch.at(&format!("cache/{}", self.machine));
        command.env("XDG_CACHE_HOME", cache);
        steer(&mut command, self.now, cut);
        command
    }

    /// Runs a command at the simulated time.
    pub fn run_cut(&mut self, args: &[String], cut: Option<Cut>) -> Ran {
        let ran = finish(self.steered(args, cut), args);
        self.world.note(format!(
            "{} at {} on {} with {cut:?}: {}",
            ran.code, self.now, self.machine, ran.line
        ));
        if ran.code != -9 {
            ran.sane_but_tabs();
        }
        assert!(!ran.err.contains("internal error"), "{}", ran.all());
        assert!(self.world.scratch.left_in_tmp().is_empty(), "{}", ran.all());
        ran
    }

    pub fn run(&mut self, args: &[String]) -> Ran {
        self.run_cut(args, None)
    }

    /// A command in which what lives at the destination is what counts.
    pub fn look(&mut self, verb: &str, dest: &Path, more: &[&str]) -> Ran {
        let mut args = self.world.args(verb, dest, more);
        args.push("--no-cache".to_owned());
        self.run(&args)
    }

    /// Times of the versions whose lists are there, oldest first.
    pub fn listed(&self, dest: &Path) -> Vec<i64> {
        let prefix = self.prefix();
        let lists = names(dest).into_iter().filter_map(|name| {
            let name = name.into_string().ok()?;
            let stamp = name.strip_prefix(prefix)?.get(1..17)?;
            (name.contains(".dlist.zip") && !name.starts_with('.')).then(|| seconds(stamp))
        });
        let mut times: Vec<i64> = lists.collect();
        times.sort_unstable();
        times
    }

    pub fn prefix(&self) -> &'static str {
        if self
            .world
            .args("x", Path::new("y"), &[])
            .iter()
            .any(|a| a == "--prefix=box2")
        {
            return "box2";
        }
        "duplicati"
    }

    /// Volumes of this backup that hold `word` in their names.
    pub fn own(&self, word: &str) -> Vec<OsString> {
        let prefix = format!("{}-", self.prefix());
        let ours = |n: &OsString| {
            let n = n.to_string_lossy();
            n.starts_with(&prefix) && n.contains(word)
        };
        names(&self.world.dest()).into_iter().filter(ours).collect()
    }

    /// Restores the version of `time` as it is at `dest`: the exit code, what came, what was said.
    pub fn restored(&mut self, dest: &Path, time: i64) -> (i32, Snapshot, String) {
        let to = self.world.scratch.at("life");
        let _ = fs::remove_dir_all(&to);
        let times = self.listed(dest);
        let at = times
            .iter()
            .rposition(|t| *t == time)
            .expect("a version that is listed");
        let version = format!("--version={}", times.len() - 1 - at);
        let path = format!("--restore-path={}", text(&to));
        let ran = self.look("restore", dest, &[&version, &path, "--restore-permissions"]);
        let got = if to.exists() {
            take(&to)
        } else {
            Snapshot::new()
        };
        (ran.code, got, ran.all())
    }

    /// Which entries of a version come back as they were, and whether with permissions and times, too. What comes back under its
    /// own name and is something else fails.
    pub fn right(&mut self, dest: &Path, version: &Kept) -> Right {
        let (code, got, said) = self.restored(dest, version.time);
        assert!([0, 2, 3, 100].contains(&code), "{said}");
        let mut right = Right::new();
        for (path, node) in &version.tree {
            let Some(now) = got.get(path).filter(|now| now.kind == node.kind) else {
                continue;
            };
            if node.kind == Kind::File {
                let shown = String::from_utf8_lossy(path);
                assert_eq!(
                    now.sha256, node.sha256,
                    "{shown} is not what it was: {said}"
                );
            }
            if now.target == node.target {
                let (want, got) = (one(path, node), one(path, now));
                let whole = differences(&want, &got, self.world.but()).is_empty();
                right.insert(path.clone(), whole);
            }
        }
        right
    }

    /// Fails unless `got` is the version.
    pub fn is(&self, version: &Kept, got: &Snapshot, said: &str) {
        let (mut want, mut got) = (version.tree.clone(), got.clone());
        for path in &version.bare {
            if let (Some(want), Some(got)) = (want.get_mut(path), got.get_mut(path)) {
                (want.mode, want.mtime) = (0, 0);
                (got.mode, got.mtime) = (0, 0);
            }
        }
        // The target folder itself is made where the version does not tell of it.
        if !want.contains_key(&Vec::new()) {
            got.remove(&Vec::new());
        }
        let all = differences(&want, &got, self.world.but());
        let first: Vec<_> = all.iter().take(12).collect();
        assert!(
            all.is_empty(),
            "the version of {}: {first:#?}\n{said}",
            version.time
        );
    }

    pub fn restores_at(&mut self, dest: &Path, version: &Kept) {
        let (code, got, said) = self.restored(dest, version.time);
        assert!(code == 0 || code == 2, "{said}");
        self.is(version, &got, &said);
    }

    /// With every volume that was damaged as it was, all that is kept restores: no command took what it needs.
    pub fn nothing_needed_is_gone(&mut self) {
        if self.versions.is_empty() {
            return;
        }
        let mut dest = self.world.dest();
        if self.hurt() {
            dest = self.world.scratch.at("mended");
            let _ = fs::remove_dir_all(&dest);
            copy_folder(&self.world.dest(), &dest);
            self.bring_back(&dest);
        }
        let count = self.versions.len();
        let all = self.world.rand.below(4) == 0;
        for no in 0..count {
            if all || self.world.rand.below(count as u64) == 0 {
                let version = self.versions[no].clone();
                self.restores_at(&dest, &version);
            }
        }
    }

    /// Puts damaged volumes back as they were.
    pub fn bring_back(&self, dest: &Path) {
        for (name, bytes) in &self.vault {
            fs::write(dest.join(name), bytes).unwrap();
        }
    }

    /// A list that went by a command does not come back.
    pub fn forget_lists(&mut self) {
        let (times, start) = (self.listed(&self.world.dest()), self.prefix().len() + 1);
        let stays = |name: &OsStr| {
            let name = name.to_string_lossy();
            let of = name
                .contains(".dlist.")
                .then(|| seconds(&name[start..start + 16]));
            of.is_none_or(|time| times.contains(&time))
        };
        self.vault.retain(|name, _| stays(name));
        self.unreadable.retain(|time| times.contains(time));
    }
}

fn one(path: &[u8], node: &Node) -> Snapshot {
    [(path.to_vec(), node.clone())].into()
}

/// Seconds since 1970 of `yyyyMMddTHHmmssZ`.
fn seconds(stamp: &str) -> i64 {
    let n = |range: std::ops::Range<usize>| stamp[range].parse::<i64>().expect("digits");
    let (year, month, day) = (n(0..4), n(4..6), n(6..8));
    // Days by counting March as the first month, so that a leap day is the last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + n(9..11)) * 60 + n(11..13)) * 60 + n(13..15)
}
