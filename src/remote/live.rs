//! The same cases against any real destination: `DUPLET_TEST_URL` names an empty folder with its credentials. Without it the
//! test only says that nothing was checked.

use std::io::{Read as _, Write as _};

use super::*;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::dest::Span;
use crate::remote::check::SpoolSink;

pub(super) struct Live {
    remote: Remote,
    ui: Ui,
    tmp: Tmp,
}

impl Live {
    pub(super) fn open(url: &str) -> Live {
        let mut ui = Ui::new(Volume::Normal, false, Some(false));
        let mut options = Options::default();
        for (name, value) in [("retry-delay", "1s"), ("number-of-retries", "2")] {
            let opt = OPTIONS.iter().find(|o| o.name == name).expect("option");
            options.set(opt, value).expect("value");
        }
        let plan = open::plan(url, &options, SCHEMES, &|_| None, &mut ui).expect("planned");
        let dest = (plan.scheme.open)(&plan.url, &plan.options).expect("opens");
        let remote = Remote::with(dest, &plan.options, plan.redact, plan.scheme.names[0]);
        Live {
            remote,
            ui,
            tmp: Tmp::open(None).expect("tmp"),
        }
    }

    fn put(&mut self, name: &str, data: &[u8]) {
        let mut spool = Spool::new(&self.tmp).expect("spool");
        spool.write_all(data).expect("write");
        let sha = Algo::Sha256.hash(data).into();
        let done = RemoteMut::new(&mut self.remote, &Permit::to_write()).put(
            &mut self.ui,
            name,
            &mut spool,
            &sha,
        );
        done.expect(name);
    }

    pub(super) fn get(&mut self, name: &str, size: Option<u64>) -> Vec<u8> {
        let mut spool = Spool::new(&self.tmp).expect("spool");
        let remote = &mut self.remote;
        let done = remote.get(&mut self.ui, name, size, &mut spool);
        done.expect(name);
        let mut data = Vec::new();
        spool.read_to_end(&mut data).expect("read");
        data
    }

    pub(super) fn delete(&mut self, name: &str) {
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        remote.delete(&mut self.ui, name).expect(name);
    }

    fn list(&mut self) -> Vec<(String, Option<u64>)> {
        let mut found = Vec::new();
        let there = self.remote.list(&mut self.ui, &mut |item| {
            match item {
                Listed::Restart => found.clear(),
                Listed::Entry(file) => found.push((file.name, file.size)),
            }
            Ok(())
        });
        there.expect("listed");
        found.sort();
        found
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut seed = 11u64;
    let next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(seed >> 56).unwrap_or(0)
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
#[allow(
    clippy::print_stderr,
    reason = "a test that checked nothing has to say so"
)]
fn every_operation_against_the_destination_named_in_the_environment() {
    let Ok(url) = std::env::var("DUPLET_TEST_URL") else {
        eprintln!("skipped: DUPLET_TEST_URL is not set");
        return;
    };
    every_operation(&url);
    let tasks = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    assert!(tasks <= 3, "the destination started threads: {tasks}");
}

/// Puts, lists, reads and removes; the folder is empty before and after.
pub(super) fn every_operation(url: &str) {
    let mut live = Live::open(url);
    assert!(live.list().is_empty(), "the folder must be empty");
    let name = "duplicati-b1.dblock.zip.aes";
    let small = noise(1000);
    let large = noise(11 << 20);
    live.put(name, &small);
    let names = [
        "plain",
        "with space",
        "a+b&c=d",
        "percent%41",
        "x'y(z)!*~",
        "\u{e9}\u{1f600}",
    ];
    for other in names {
        live.put(other, other.as_bytes());
        assert_eq!(live.get(other, None), other.as_bytes(), "{other}");
    }
    live.put(name, &large);
    live.put("empty", b"");
    let len = large.len() as u64;
    assert_eq!(live.get(name, Some(len)), large);
    assert_eq!(live.get("empty", Some(0)), b"");
    let listed = live.list();
    assert_eq!(listed.len(), names.len() + 2, "{listed:?}");
    assert!(listed.contains(&(name.to_owned(), Some(len))));
    let mut spool = Spool::new(&live.tmp).expect("spool");
    let mut pace = Pace::new(0);
    let dest = &mut live.remote.dest;
    let from = len - 100;
    spool.truncate(from).expect("hole");
    let mut sink = SpoolSink::new(&mut spool, &mut pace, from, Some(len));
    dest.get(name, Span::starting(from), &mut sink)
        .expect("the end of a file");
    assert_eq!(sink.received, 100, "only the end was sent");
    let remote = &mut live.remote;
    let found = remote
        .stat(&mut live.ui, name)
        .expect("asked")
        .expect("there");
    assert_eq!(found.size, Some(len));
    assert!(
        remote
            .stat(&mut live.ui, "absent")
            .expect("asked")
            .is_none()
    );
    for (name, _) in listed {
        RemoteMut::new(&mut live.remote, &Permit::to_write())
            .delete(&mut live.ui, &name)
            .expect("deleted");
    }
    RemoteMut::new(&mut live.remote, &Permit::to_write())
        .delete(&mut live.ui, "absent")
        .expect("nothing to do");
    assert!(live.list().is_empty());
}
