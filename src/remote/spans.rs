//! Spans of a file through every destination: the right bytes and no more, whatever a server makes of a range.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::download::Passed;
use super::faults::b2::faulty_b2::B2;
use super::faults::faulty::{Server, Service, Trouble};
use super::faults::faulty_dav::Dav;
use super::faults::faulty_s3;
use super::faults::ipfs::stub_ipfs::{Ipfs, archive};
use super::subject::{NAME, Subject, bytes};
use super::*;
use crate::base::bytes::hex;
use crate::base::error::Kind;
use crate::dest::Sink;

/// `tests/data/ipfs/folder-v1.car`.
const FOLDER: &str = "bafybeidnptwsxwpwcfobbngo35iyc3sqktjw7tltybkwjfh3ku2vzo5lqe";
const LEN: u64 = 200_000;

/// A destination with one file.
struct Place {
    subject: Subject,
    name: &'static str,
    data: Vec<u8>,
    /// What a server does to the next download; `None` where there is no server that could.
    trouble: Option<Box<dyn Fn(Trouble)>>,
    /// The file becomes another; `None` where content never changes or nothing tells it.
    replace: Option<Box<dyn Fn(Vec<u8>)>>,
    /// Downloads are asked for by `Range`.
    ranges: bool,
    _held: Option<Folder>,
}

impl Place {
    fn new(url: &str, data: Vec<u8>) -> Place {
        Place {
            subject: Subject::open(url, &[]),
            name: NAME,
            data,
            trouble: None,
            replace: None,
            ranges: true,
            _held: None,
        }
    }

    fn at<S: Service>(self, server: Server<S>, method: &'static str, part: &'static str) -> Place {
        let trouble = move |trouble| server.script(method, part, trouble);
        Place {
            trouble: Some(Box::new(trouble)),
            ..self
        }
    }

    /// What arrived, and what is said of it.
    fn span(&mut self, from: u64, len: u64) -> Result<(Vec<u8>, Passed)> {
        let mut got = Got(Vec::new());
        let subject = &mut self.subject;
        let read = subject
            .remote
            .read_span(&mut subject.ui, self.name, from, len, &mut got);
        Ok((got.0, read.map_err(|e| self.subject.checked(e))?))
    }

    fn wanted(&self, from: u64, len: u64) -> &[u8] {
        let place = |n: u64| usize::try_from(n).expect("small").min(self.data.len());
        &self.data[place(from)..place(from + len)]
    }

    fn trouble(&self, trouble: Trouble) -> bool {
        let script = self.trouble.as_ref();
        script.map(|script| script(trouble)).is_some()
    }
}

/// Removed when it is no longer used.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Got(Vec<u8>);

impl std::io::Write for Got {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Got {
    fn restart(&mut self) -> std::io::Result<()> {
        self.0.clear();
        Ok(())
    }
}

const QUERY: &str = "retry-delay=0s&http-proxy=none";

fn file() -> Place {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("duplet-spans-{}-{number}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    std::fs::create_dir(&folder.0).expect("made");
    let data = bytes(usize::try_from(LEN).expect("small"));
    std::fs::write(folder.0.join(NAME), &data).expect("written");
    let url = format!("file://{}", folder.0.display());
    Place {
        _held: Some(folder),
        ranges: false,
        ..Place::new(&url, data)
    }
}

fn s3() -> Place {
    let server = faulty_s3::Server::start();
    let data = bytes(usize::try_from(LEN).expect("small"));
    server.put("p/duplicati-b1.dblock.zip", &data);
    let url = format!(
        "s3://KEYID:secret@bkt/p?s3-server-name={}&{QUERY}",
        server.address
    );
    let state = server.state.clone();
    let put = move |data| {
        let files = &mut state.lock().expect("alive").service.files;
        files.insert("p/duplicati-b1.dblock.zip".to_owned(), data);
    };
    Place {
        trouble: Some(Box::new(move |t| server.script("GET", "dblock", t))),
        replace: Some(Box::new(put)),
        ..Place::new(&url, data)
    }
}

fn webdav() -> Place {
    let server = Server::start(|_| Dav::new());
    let data = bytes(usize::try_from(LEN).expect("small"));
    let state = server.state.clone();
    let put = move |data| {
        let files = &mut state.lock().expect("alive").service.files;
        files.insert("/d/b/duplicati-b1.dblock.zip".to_owned(), data);
    };
    put(data.clone());
    let url = format!("webdav://{}/d/b?{QUERY}", server.address);
    Place {
        replace: Some(Box::new(put)),
        ..Place::new(&url, data).at(server, "GET", "dblock")
    }
}

fn b2() -> Place {
    let sha1 = |data: &[u8]| hex(Algo::Sha1.hash(data).as_bytes());
    let server = Server::start(|address| B2::new(address, sha1));
    let data = bytes(usize::try_from(LEN).expect("small"));
    server.with(|b2| b2.store("p/duplicati-b1.dblock.zip", &data));
    let url = format!(
        "b2://KEYID:s3cr3t%2F%2Bvalue@bkt/p?b2-api-url=http://{}&{QUERY}",
        server.address
    );
    Place::new(&url, data).at(server, "GET", "file")
}

fn node() -> Place {
    let server = Server::start(|_| Ipfs::default());
    let data = bytes(usize::try_from(LEN).expect("small"));
    server.with(|node| {
        node.folder = true;
        node.files.insert(NAME.to_owned(), data.clone());
    });
    let url = format!("ipfs://{}/p/q?{QUERY}", server.address);
    let place = Place::new(&url, data).at(server, "POST", "/files/read");
    Place {
        ranges: false,
        ..place
    }
}

/// Through a gateway: block by block, by way of archives, or as it gives the file.
fn gateway(mode: &str) -> Place {
    let server = Server::start(|_| Ipfs {
        blocks: archive("folder-v1.car"),
        ..Ipfs::default()
    });
    let url = format!(
        "ipfs://{FOLDER}?ipfs-gateway=http://{}&ipfs-gateway-mode={mode}&{QUERY}",
        server.address
    );
    let mut place = Place::new(&url, Vec::new());
    if mode == "path" {
        let data = bytes(usize::try_from(LEN).expect("small"));
        server.with(|gateway| gateway.files.insert(NAME.to_owned(), data.clone()));
        place.data = data;
        return place.at(server, "GET", "dblock");
    }
    place.name = "large.bin";
    place.data = place.subject.get("large.bin", None).expect("read");
    place.ranges = false;
    place
}

fn places() -> Vec<(&'static str, Place)> {
    vec![
        ("file", file()),
        ("s3", s3()),
        ("webdav", webdav()),
        ("b2", b2()),
        ("ipfs node", node()),
        ("gateway, blocks", gateway("raw")),
        ("gateway, archives", gateway("car")),
        ("gateway, unchecked", gateway("path")),
    ]
}

#[test]
fn a_span_is_exactly_the_bytes_asked_for() {
    for (who, mut place) in places() {
        let total = place.data.len() as u64;
        for (from, len) in [
            (0, 1),
            (0, total),
            (1, 1000),
            (16_384, 16_384),
            (70_000, 70_001),
            (total - 1, 1),
            (total - 5, 10),
            (0, total + 9),
            (total, 5),
            (total + 7, 3),
            (1000, 0),
        ] {
            let before = place.subject.remote.stats().bytes_down;
            let (got, passed) = place.span(from, len).expect(who);
            assert!(got == place.wanted(from, len), "{who}: {from}+{len}");
            let down = place.subject.remote.stats().bytes_down - before;
            assert_eq!((passed.len, down), (got.len() as u64, got.len() as u64));
            assert!(!passed.from_start, "{who}");
            if len > 0 {
                assert_eq!(passed.total, Some(total), "{who}: {from}+{len}");
            }
        }
        assert!(place.subject.waits.borrow().is_empty(), "{who}");
    }
}

#[test]
fn a_server_without_ranges_sends_what_stands_before_and_no_more() {
    for (who, mut place) in places() {
        if !place.ranges {
            continue;
        }
        for (from, len) in [(1, 10), (50_000, 20_000), (LEN - 3, 3), (0, 10)] {
            let before = place.subject.remote.stats().bytes_down;
            place.trouble(Trouble::Whole);
            let (got, passed) = place.span(from, len).expect(who);
            assert!(got == place.wanted(from, len), "{who}: {from}+{len}");
            assert_eq!(passed.from_start, from > 0, "{who}");
            let down = place.subject.remote.stats().bytes_down - before;
            assert_eq!(down, from + len, "{who}");
        }
        // The connection that was left in the middle does no harm.
        let (got, _) = place.span(7, 7).expect(who);
        assert!(got == place.wanted(7, 7), "{who}");
    }
}

#[test]
fn another_part_than_the_one_asked_for_is_never_taken_for_it() {
    for (who, mut place) in places() {
        for (from, len) in [(1, 10), (50_000, 20_000)] {
            let odd = match place.ranges {
                true => Trouble::WrongRange,
                false => Trouble::Whole,
            };
            if !place.trouble(odd) {
                continue;
            }
            let (got, passed) = place.span(from, len).expect(who);
            assert!(got == place.wanted(from, len), "{who}: {from}+{len}");
            assert_eq!(passed.len, len, "{who}");
        }
    }
}

#[test]
fn a_span_that_breaks_off_is_gone_on_with() {
    for (who, mut place) in places() {
        for broken in [Trouble::Cut(700), Trouble::CutOpen(800), Trouble::Close] {
            if !place.trouble(broken) {
                continue;
            }
            let before = place.subject.remote.stats().bytes_down;
            let (got, _) = place.span(33_000, 5000).expect(who);
            assert!(got == place.wanted(33_000, 5000), "{who}");
            let down = place.subject.remote.stats().bytes_down - before;
            assert_eq!(down, 5000, "{who}: nothing twice");
        }
    }
}

#[test]
fn parts_of_two_files_are_never_put_together() {
    for (who, mut place) in places() {
        let Some(replace) = place.replace.take() else {
            continue;
        };
        let mut other = place.data.clone();
        other.iter_mut().for_each(|b| *b ^= 0x55);
        let (got, _) = place.span(10, 10).expect(who);
        assert!(got == place.wanted(10, 10), "{who}");
        replace(other.clone());
        let old = std::mem::replace(&mut place.data, other);
        let (got, _) = place.span(33_000, 5000).expect(who);
        assert!(got == place.wanted(33_000, 5000), "{who}");
        assert_ne!(old, place.data);
        // And where the server neither looks at conditions nor at ranges.
        replace(old.clone());
        place.data = old;
        place.trouble(Trouble::Whole);
        let (got, _) = place.span(40_000, 5000).expect(who);
        assert!(got == place.wanted(40_000, 5000), "{who}");
    }
}

#[test]
fn a_span_of_a_file_that_is_not_there_is_missing() {
    for (who, mut place) in places() {
        place.name = "absent.zip";
        let e = place.span(5, 5).expect_err(who);
        assert_eq!(e.kind(), Kind::Missing, "{who}: {e}");
        assert!(e.to_string().contains("read a part of absent.zip"), "{e}");
    }
}
