//! One source, one destination, and what every version of it must hold.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::snapshot::{But, Snapshot, differences, take_but_xattrs as take};
use crate::support::{Ran, Rand, Scratch, finish, names, text, tree};

/// What one version must give back.
pub struct Version {
    /// The source when the version was made, without what the rules leave out.
    pub tree: Snapshot,
    /// Stopped on request: holds a part of `tree`, and for the rest what the version before held, or nothing.
    pub partial: bool,
}

pub struct World {
    pub scratch: Scratch,
    pub rand: Rand,
    seed: u64,
    /// Options of every command on this destination.
    pub secret: Vec<String>,
    /// Options of its backups, equal in all runs.
    pub kept: Vec<String>,
    /// Neither times, modes nor attributes are stored.
    pub bare: bool,
    /// `*.tmp` is left out.
    pub no_tmp: bool,
    /// Oldest first.
    pub versions: Vec<Version>,
    /// Something changed while size and time stayed as they were: seen only by a run with the cache of the last one.
    pub hidden: bool,
    /// The cache may have lost what the last run knew.
    blind: bool,
    /// The source's folders have other names than before.
    pub serial: u64,
    log: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(
                clippy::print_stderr,
                reason = "a failing round says how to see it again"
            )]
            {
                eprintln!(
                    "DUPLET_MODEL_SEED={} DUPLET_MODEL_ROUNDS=1 cargo test --test model\n{}",
                    self.seed,
                    self.log.join("\n")
                );
            }
        }
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let scratch = Scratch::new("model");
        let mut rand = Rand(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5851_f42d);
        let mut kept = vec![
            format!("--blocksize={}", rand.pick(&["1kb", "4kb", "10kb", "64kb"])),
            format!("--dblock-size={}", rand.pick(&["1mb", "2mb", "50mb"])),
        ];
        let secret = if rand.below(3) == 0 {
            kept.push("--no-encryption".to_owned());
            Vec::new()
        } else {
            vec![format!("--passphrase=model {seed}")]
        };
        if rand.below(4) == 0 {
            let hash = rand.pick(&["MD5", "SHA1", "SHA384", "SHA512"]);
            kept.push(format!("--block-hash-algorithm={hash}"));
        }
        if rand.below(4) == 0 {
            let hash = rand.pick(&["SHA1", "SHA384", "SHA512"]);
            kept.push(format!("--file-hash-algorithm={hash}"));
        }
        if rand.below(6) == 0 {
            kept.push("--prefix=box2".to_owned());
        }
        let bare = rand.below(8) == 0;
        if bare {
            kept.push("--skip-metadata".to_owned());
        }
        let no_tmp = rand.below(3) == 0;
        if no_tmp {
            kept.push("--exclude=*.tmp".to_owned());
        }
        let mut world = World {
            scratch,
            rand,
            seed,
            secret,
            kept,
            bare,
            no_tmp,
            versions: Vec::new(),
            hidden: false,
            blind: true,
            serial: 0,
            log: Vec::new(),
        };
        fs::create_dir_all(world.source()).unwrap();
        for _ in 0..6 + world.rand.below(12) {
            crate::changes::add_something(&mut world);
        }
        world.note(format!("kept options {:?}", world.kept));
        world
    }

    pub fn source(&self) -> PathBuf {
        self.scratch.at("source")
    }

    pub fn dest(&self) -> PathBuf {
        self.scratch.at("dest")
    }

    /// A line of what led to a failure.
    pub fn note(&mut self, line: String) {
        self.log.push(line);
    }

    /// What a backup of the source must hold now.
    pub fn wanted(&self) -> Snapshot {
        let mut all = take(&self.source());
        if self.no_tmp {
            use crate::support::snapshot::Kind;
            all.retain(|path, node| node.kind == Kind::Folder || !path.ends_with(b".tmp"));
        }
        all
    }

    /// What a restore of this destination cannot give back.
    pub fn but(&self) -> But {
        But {
            mode: self.bare,
            mtime: self.bare,
            xattr: self.bare,
            ..But::default()
        }
    }

    /// A command on `dest` with the options that open it.
    pub fn args(&self, verb: &str, dest: &std::path::Path, more: &[&str]) -> Vec<String> {
        let mut args = vec![verb.to_owned(), text(dest).to_owned()];
        args.extend(more.iter().map(|&s| s.to_owned()));
        args.extend(self.secret.iter().cloned());
        if self.kept.iter().any(|o| o == "--prefix=box2") {
            args.push("--prefix=box2".to_owned());
        }
        args
    }

    pub fn run(&mut self, args: &[String]) -> Ran {
        let ran = self.scratch.run(args);
        self.note(format!("{} from {}", ran.code, ran.line));
        ran.sane_but_tabs();
        ran
    }

    fn backup_args(&mut self, dest: &std::path::Path) -> Vec<String> {
        let source = self.source();
        let kept: Vec<String> = self.kept.clone();
        let mut more = vec![text(&source).to_owned()];
        more.extend(kept);
        if self.rand.below(4) == 0 {
            let level = self.rand.below(10);
            more.push(format!("--zip-compression-level={level}"));
        }
        let no_cache = self.rand.below(5) == 0 && !self.hidden;
        if no_cache {
            more.push("--no-cache".to_owned());
        }
        self.blind |= no_cache;
        if self.rand.below(8) == 0 {
            more.push("--upload-unchanged-backups".to_owned());
        }
        if self.rand.below(8) == 0 {
            more.push("--backup-test-samples=1".to_owned());
        }
        if self.hidden && self.blind {
            more.push("--disable-filetime-check".to_owned());
        }
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let mut args = self.args("backup", dest, &more);
        args.dedup();
        args
    }

    /// A run to its end. The model learns what the destination says it holds.
    pub fn backup(&mut self) {
        let dest = self.dest();
        let args = self.backup_args(&dest);
        let want = self.wanted();
        let before = self.count();
        let ran = self.run(&args).code(&[0, 1]);
        let after = self.count();
        assert_eq!(
            after,
            before + usize::from(ran.code == 0),
            "versions after {}",
            ran.all()
        );
        if ran.code == 1 {
            let last = self.versions.last().expect("nothing new beside a version");
            let all = differences(&last.tree, &want, self.but());
            assert!(all.is_empty(), "not nothing new: {all:?}\n{}", ran.all());
        } else {
            self.versions.push(Version {
                tree: want,
                partial: false,
            });
        }
        self.hidden = false;
        self.blind = args.iter().any(|a| a == "--no-cache");
    }

    /// A run that is killed (`kill`), or asked to stop, at a random moment.
    pub fn stopped_backup(&mut self, kill: bool) {
        crate::changes::change(self);
        crate::changes::grow(self);
        let dest = self.dest();
        let args = self.backup_args(&dest);
        let want = self.wanted();
        let before = self.count();
        let wait = Duration::from_millis(self.rand.below(150));
        let mut child = self.scratch.start(&args);
        std::thread::sleep(wait);
        let signal = if kill { "-KILL" } else { "-TERM" };
        let pid = child.id().to_string();
        let _ = std::process::Command::new("kill")
            .args([signal, &pid])
            .stderr(std::process::Stdio::null())
            .status();
        let code = child.wait().unwrap().code();
        let after = self.count();
        self.note(format!(
            "{code:?} after {signal} at {wait:?}, {after} versions: {args:?}"
        ));
        assert!(after == before || after == before + 1, "{after} versions");
        let codes = [None, Some(0), Some(1), Some(50)];
        assert!(codes.contains(&code), "exit {code:?} after {signal}");
        if after > before {
            assert_ne!(code, Some(1), "a version although nothing was new");
            self.versions.push(Version {
                tree: want,
                partial: code == Some(50),
            });
        } else {
            assert_ne!(code, Some(0), "no version after a success");
        }
        // Who knows what it had read.
        self.blind = true;
        self.hidden = true;
        assert!(self.scratch.left_in_tmp().is_empty());
    }

    /// How many versions the program finds, without its cache.
    fn count(&mut self) -> usize {
        if names(&self.dest()).is_empty() {
            return 0;
        }
        let args = self.args("list", &self.dest(), &["--json", "--no-cache"]);
        let ran = self.scratch.run(&args);
        // A killed first run leaves volumes and no version.
        if ran.code == 100 && self.versions.is_empty() {
            return 0;
        }
        let ran = ran.code(&[0]);
        ran.json()["Filesets"].as_array().unwrap().len()
    }

    /// Every file of the cache may be cut, changed, or gone.
    pub fn harm_cache(&mut self) {
        let mut open = vec![self.scratch.at("cache")];
        while let Some(folder) = open.pop() {
            for name in names(&folder) {
                let path = folder.join(name);
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let how = self.rand.below(4);
                self.note(format!("harm {how} to {}", path.display()));
                let Ok(mut bytes) = fs::read(&path) else {
                    continue;
                };
                match how {
                    0 => fs::remove_file(&path).unwrap(),
                    1 => {
                        bytes.truncate(bytes.len() / 2);
                        tree::write(&path, &bytes);
                    }
                    2 if !bytes.is_empty() => {
                        let at = self.rand.count(bytes.len());
                        bytes[at] ^= 1 << self.rand.below(8);
                        tree::write(&path, &bytes);
                    }
                    _ => {}
                }
            }
        }
        self.blind = true;
    }

    pub fn verify_clean(&mut self) {
        let args = self.args(
            "verify",
            &self.dest(),
            &["all", "--full-remote-verification"],
        );
        self.run(&args).code(&[0]);
        let args = self.args("verify", &self.dest(), &["all", "--no-cache"]);
        self.run(&args).code(&[0]);
    }

    /// Runs `args` in `folder` of the scratch folder; for words relative to somewhere.
    pub fn run_in(&mut self, folder: &std::path::Path, args: &[String]) -> Ran {
        let mut command = self.scratch.command(args);
        command.current_dir(folder);
        let ran = finish(command, args);
        self.note(format!("{} from {}", ran.code, ran.line));
        ran
    }
}

impl Rand {
    /// One of `all`, which is not empty.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let n = self.count(all.len());
        &all[n]
    }

    /// Below `n`, which is not 0.
    pub fn count(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).expect("less than a usize")
    }
}
