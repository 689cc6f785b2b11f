//! Backups of one folder to some server and back, as a user makes them.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::snapshot::{But, Snapshot, same, take};
use super::{Ran, Scratch, differs, fixture, fixture_names, opens_with, text};

/// A scratch folder with the tree to back up in `source`.
pub struct Trip {
    scratch: Scratch,
    /// The option without which nothing opens.
    secret: &'static str,
    /// What every backup is given.
    sizes: &'static [&'static str],
}

impl Deref for Trip {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        &self.scratch
    }
}

impl Trip {
    pub fn new(label: &str, secret: &'static str, sizes: &'static [&'static str]) -> Trip {
        let scratch = Scratch::new(label);
        scratch.folder("source");
        Trip {
            scratch,
            secret,
            sizes,
        }
    }

    pub fn source(&self) -> PathBuf {
        self.at("source")
    }

    /// Copies the tree that `DUPLET_TEST_TREE` names, if it names one, to be backed up.
    pub fn given_tree(&self) -> bool {
        let Some(tree) = std::env::var_os("DUPLET_TEST_TREE") else {
            return false;
        };
        let args = [Path::new(&tree).join("."), self.source()];
        let copied = Command::new("cp").arg("-a").args(args).status();
        assert!(copied.expect("cp").success());
        true
    }

    fn args<'a>(&'a self, first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        [first, &[self.secret], more].concat()
    }

    fn to_back_up<'a>(&'a self, url: &'a str, source: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let args = self.args(&["backup", url, text(source)], self.sizes);
        [&args[..], more].concat()
    }

    pub fn backup(&self, url: &str, more: &[&str]) -> Ran {
        self.run(&self.to_back_up(url, &self.source(), more))
    }

    /// A backup that goes on while something happens to it.
    pub fn begin(&self, url: &str, more: &[&str]) -> Child {
        self.start(&self.to_back_up(url, &self.source(), more))
    }

    /// A restore of anything to `to`, without the cache.
    pub fn restore(&self, url: &str, to: &str, more: &[&str]) -> Ran {
        let to = self.at(to);
        let _ = std::fs::remove_dir_all(&to);
        let path = format!("--restore-path={}", text(&to));
        let args = ["restore", url, &path, "--no-cache", "--restore-permissions"];
        let ran = self.run(&[&args[..], more].concat());
        assert!(self.left_in_tmp().is_empty(), "{}", ran.all());
        ran
    }

    #[track_caller]
    pub fn restored(&self, url: &str, more: &[&str]) -> Snapshot {
        let more = self.args(&[], more);
        self.restore(url, "restored", &more).code(&[0]);
        take(&self.at("restored"))
    }

    /// What is restored from there is this.
    #[track_caller]
    pub fn gives(&self, want: &Snapshot, url: &str, more: &[&str]) {
        same(want, &self.restored(url, more), But::default(), url);
    }

    #[track_caller]
    pub fn verify(&self, url: &str) {
        let first = ["verify", url, "all", "--full-remote-verification"];
        self.run(&self.args(&first, &["--no-cache"])).code(&[0]);
    }

    /// Every backup of Duplicati's restores from where `put` brought it as from its folder.
    pub fn fixtures(&self, mut put: impl FnMut(&str, &Path) -> String) {
        let names = fixture_names();
        assert!(names.len() > 10);
        for name in &names {
            let local = fixture(name).join("dest");
            let options: Vec<&str> = opens_with(name).into_iter().collect();
            let restored = |from: &str, to: &str| {
                self.restore(from, to, &options).code(&[0]);
                take(&self.at(to))
            };
            let want = restored(text(&local), "want");
            assert!(want.len() > 1, "{name} is empty");
            let url = put(name, &local);
            same(&want, &restored(&url, "got"), differs(name), &url);
        }
    }

    /// Most memory in KiB that a listing takes which ends well.
    pub fn listing_peak(&self, url: &str, more: &[&str]) -> u64 {
        let args = [&["list", url, "--no-cache"], more].concat();
        let (peak, ended) = super::peak_kib(self.start(&args));
        assert!(ended.success() && peak > 1000, "{url}: {ended}, {peak} KiB");
        peak
    }
}
