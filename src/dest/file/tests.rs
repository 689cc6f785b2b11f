#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use std::io::{self, Read, Write};

use super::*;
use crate::base::secret::Secret;

pub(super) struct Data(Vec<u8>, usize, u64, bool);

impl Read for Data {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (&self.0[self.1..]).read(buf)?;
        self.1 += n;
        Ok(n)
    }
}

impl Body for Data {
    fn len(&self) -> u64 {
        self.2
    }
    fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        self.1 = usize::try_from(offset).unwrap();
        Ok(())
    }
    fn read_at(&mut self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn sha256(&self) -> [u8; 32] {
        [0; 32]
    }
    fn sha1(&self) -> Option<[u8; 20]> {
        None
    }
    fn md5(&self) -> Option<[u8; 16]> {
        None
    }
    fn is_new(&self) -> bool {
        self.3
    }
}

pub(super) fn data(bytes: &[u8]) -> Data {
    // The position is wrong on purpose: every put starts by seeking.
    Data(bytes.to_vec(), bytes.len(), bytes.len() as u64, false)
}

#[derive(Default)]
struct Collected(Vec<u8>);

impl Write for Collected {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(data);
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Collected {
    fn restart(&mut self) -> io::Result<()> {
        self.0.clear();
        Ok(())
    }
}

#[test]
fn what_must_be_new_replaces_nothing() {
    let root = Root::new();
    let mut dest = root.dest(&[]);
    dest.create_folder().unwrap();
    let new = |bytes: &[u8]| Data(bytes.to_vec(), 0, bytes.len() as u64, true);
    dest.put("f", &mut new(b"first")).unwrap();
    std::fs::create_dir(root.at("d/folder")).unwrap();
    for name in ["f", "folder"] {
        let fault = dest.put(name, &mut new(b"second")).unwrap_err();
        assert_eq!(fault.class, Class::Exists, "{}", fault.text);
    }
    assert_eq!(std::fs::read(root.at("d/f")).unwrap(), b"first");
    assert_eq!(std::fs::read_dir(root.at("d")).unwrap().count(), 2);
    dest.put("f", &mut data(b"replaced")).unwrap();
    assert_eq!(std::fs::read(root.at("d/f")).unwrap(), b"replaced");
}

pub(super) struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        Root::below(&std::env::temp_dir())
    }

    pub(super) fn below(folder: &Path) -> Root {
        let name = format!("duplet-dest-{}", rand::hex::<8>().unwrap());
        let root = folder.join(name);
        std::fs::create_dir(&root).unwrap();
        Root(root)
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn dest(&self, options: &[(&str, &str)]) -> FileDest {
        make(self.at("d").to_str().unwrap(), options).unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn url(host: &str, path: &str) -> DestUrl {
    DestUrl {
        scheme: "file".to_owned(),
        user: None,
        password: None::<Secret>,
        host: host.to_owned(),
        port: None,
        path: path.to_owned(),
        query: Vec::new(),
    }
}

fn make(path: &str, given: &[(&str, &str)]) -> Result<FileDest> {
    let mut options = Options::default();
    for (name, value) in given {
        let opt = OPTIONS.iter().find(|o| o.is_named(name)).unwrap();
        options.set(opt, value).unwrap();
    }
    FileDest::open(&url("", path), &options)
}

fn names(dest: &mut FileDest) -> Vec<String> {
    let mut names = Vec::new();
    dest.list("", &mut |l| {
        if let Listed::Entry(e) = l {
            names.push(format!("{}:{:?}:{}", e.name, e.size, e.is_folder));
        }
        Ok(())
    })
    .unwrap();
    names.sort();
    names
}

fn class<T>(done: Done<T>) -> Class {
    done.err().unwrap().class
}

#[test]
fn a_volume_goes_in_and_comes_out() {
    let root = Root::new();
    let mut dest = root.dest(&[]);
    assert_eq!(class(dest.list("", &mut |_| Ok(()))), Class::FolderMissing);
    assert_eq!(class(dest.put("v", &mut data(b"x"))), Class::FolderMissing);
    dest.create_folder().unwrap();
    dest.create_folder().unwrap();
    let big: Vec<u8> = (0..200_000u32).map(|i| i.to_le_bytes()[0]).collect();
    dest.put("v", &mut data(b"old")).unwrap();
    dest.put("v", &mut data(&big)).unwrap();
    std::fs::create_dir(root.at("d/sub")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.at("d/dangling")).unwrap();
    std::fs::write(root.at("d/.duplet-tmp-0123456789abcdef"), b"").unwrap();
    assert_eq!(names(&mut dest), ["sub:None:true", "v:Some(200000):false"]);
    for from in [0, 1, 65_536, 199_999, 200_000] {
        let mut sink = Collected::default();
        let facts = dest.get("v", Span::starting(from), &mut sink).unwrap();
        assert_eq!(facts.total, Some(200_000));
        assert!(sink.0 == big[usize::try_from(from).unwrap()..]);
    }
    for (from, len) in [
        (0, 1),
        (0, 70_000),
        (65_535, 2),
        (199_990, 10),
        (199_990, 11),
    ] {
        let mut sink = Collected::default();
        let facts = dest.get("v", Span::of(from, len), &mut sink).unwrap();
        assert_eq!(facts.total, Some(200_000));
        let end = big.len().min(usize::try_from(from + len).unwrap());
        assert!(sink.0 == big[usize::try_from(from).unwrap()..end]);
    }
    let mut sink = Collected::default();
    assert_eq!(
        class(dest.get("v", Span::starting(200_001), &mut sink)),
        Class::Integrity
    );
    assert_eq!(
        class(dest.get("none", Span::WHOLE, &mut sink)),
        Class::NotFound
    );
    assert_eq!(dest.stat("v").unwrap().size, Some(200_000));
    assert_eq!(class(dest.stat("none")), Class::NotFound);
    dest.delete("v").unwrap();
    dest.delete("v").unwrap();
    assert_eq!(class(dest.stat("v")), Class::NotFound);
    assert!(dest.finish().unwrap().is_empty());
    let quota = dest.quota().unwrap();
    assert!(quota.total.unwrap() >= quota.free.unwrap());
    assert_eq!(
        dest.describe(),
        format!("file://{}", root.at("d").display())
    );
    std::fs::remove_dir_all(root.at("d")).unwrap();
    assert_eq!(
        class(dest.get("v", Span::WHOLE, &mut sink)),
        Class::FolderMissing
    );
    assert_eq!(class(dest.delete("v")), Class::FolderMissing);
}

#[test]
fn a_failed_put_leaves_nothing() {
    let root = Root::new();
    let mut dest = root.dest(&[]);
    dest.create_folder().unwrap();
    dest.put("v", &mut data(b"good")).unwrap();
    let mut lying = Data(b"ab".to_vec(), 0, 3, false);
    assert_eq!(class(dest.put("v", &mut lying)), Class::Local);
    let mut huge = Data(Vec::new(), 0, u64::MAX, false);
    assert_eq!(class(dest.put("v", &mut huge)), Class::Full);
    std::fs::create_dir(root.at("d/sub")).unwrap();
    assert_eq!(class(dest.put("sub", &mut data(b"x"))), Class::Usage);
    assert_eq!(std::fs::read_dir(root.at("d")).unwrap().count(), 2);
    assert_eq!(std::fs::read(root.at("d/v")).unwrap(), b"good");
    let mut dest = root.dest(&[("file-min-free", "9999999tb"), ("file-sync", "off")]);
    assert_eq!(class(dest.put("w", &mut data(b"x"))), Class::Full);
    for name in ["", ".", "..", "a/b", "../x", "a\0b"] {
        assert_eq!(class(dest.put(name, &mut data(b"x"))), Class::Usage);
        assert_eq!(class(dest.stat(name)), Class::Usage);
        assert_eq!(class(dest.delete(name)), Class::Usage);
    }
}

#[test]
fn leftovers_of_killed_runs_go_after_a_day() {
    let root = Root::new();
    let mut dest = root.dest(&[]);
    dest.create_folder().unwrap();
    for (name, age) in [
        (".duplet-tmp-old", 25),
        (".duplet-tmp-new", 23),
        ("other", 25),
    ] {
        let file = File::create(root.at("d").join(name)).unwrap();
        let time = SystemTime::now() - Duration::from_secs(age * 3600);
        file.set_modified(time).unwrap();
    }
    dest.put("v", &mut data(b"x")).unwrap();
    assert!(!root.at("d/.duplet-tmp-old").exists());
    assert!(root.at("d/.duplet-tmp-new").exists());
    assert_eq!(names(&mut dest), ["other:Some(0):false", "v:Some(1):false"]);
}

#[test]
fn the_marker_chooses_and_nothing_is_made_without_it() {
    let root = Root::new();
    let (second, third) = (root.at("second"), root.at("third"));
    let both = format!("{}:{}", second.display(), third.display());
    let options = [
        ("alternate-target-paths", both.as_str()),
        ("alternate-destination-marker", "mark"),
    ];
    let mut dest = root.dest(&options);
    std::fs::create_dir(root.at("d")).unwrap();
    std::fs::create_dir(&third).unwrap();
    let e = dest.put("v", &mut data(b"x")).unwrap_err();
    assert_eq!(e.class, Class::FolderMissing);
    let shown = root.at("d").display().to_string();
    assert!(
        e.text
            .starts_with(&format!("marker file mark not found in: {shown}, "))
    );
    assert_eq!(class(dest.create_folder()), Class::FolderMissing);
    std::fs::write(third.join("mark"), b"").unwrap();
    dest.put("v", &mut data(b"x")).unwrap();
    assert!(third.join("v").exists());
    std::fs::remove_dir_all(&third).unwrap();
    assert_eq!(class(dest.put("w", &mut data(b"x"))), Class::FolderMissing);
    assert_eq!(class(dest.create_folder()), Class::FolderMissing);
    assert!(!third.exists() && !second.exists());
    let mut dest = root.dest(&options[..1]);
    std::fs::remove_dir(root.at("d")).unwrap();
    std::fs::create_dir(&second).unwrap();
    dest.put("v", &mut data(b"x")).unwrap();
    assert!(second.join("v").exists());
    assert!(make("/x", &[("alternate-destination-marker", "a/b")]).is_err());
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let root = Root::new();
    std::fs::write(root.at("d"), b"").unwrap();
    assert_eq!(
        class(root.dest(&[]).list("", &mut |_| Ok(()))),
        Class::Usage
    );
}

#[test]
fn paths() {
    let here = std::env::current_dir().unwrap();
    for (host, path, want) in [
        ("", "/a/b/", Some(PathBuf::from("/a/b"))),
        ("", "rel", Some(here.join("rel"))),
        ("", "./rel", Some(here.join("rel"))),
        ("rel", "dir", Some(here.join("rel/dir"))),
        ("rel", "", Some(here.join("rel"))),
        ("", "~/x", Some(here.join("~/x"))),
        ("", "", None),
        ("", "C:\\x", None),
        ("", "C:", None),
        ("", "\\\\srv\\share", None),
        ("", "a\0b", None),
    ] {
        let got = FileDest::open(&url(host, path), &Options::default());
        assert_eq!(
            got.ok().map(|d| d.candidates[0].clone()),
            want,
            "{host} {path}"
        );
    }
}

#[test]
fn errors_have_their_class() {
    for (number, want) in [
        (libc::ENOSPC, Class::Full),
        (libc::EDQUOT, Class::Full),
        (libc::EROFS, Class::Locked),
        (libc::EACCES, Class::Auth),
        (libc::EPERM, Class::Auth),
        (libc::EIO, Class::Transient),
        (libc::ESTALE, Class::Transient),
        (libc::ENODEV, Class::Transient),
        (libc::EFBIG, Class::TooBig),
        (libc::ENAMETOOLONG, Class::Usage),
        (libc::EMFILE, Class::Local),
    ] {
        let e = io::Error::from_raw_os_error(number);
        assert_eq!(fault(&e, Path::new("/x")).class, want);
    }
    for (number, ignored) in [
        (libc::EINVAL, true),
        (libc::ENOTSUP, true),
        (libc::EIO, false),
    ] {
        let done = ignore_unsupported(Err(io::Error::from_raw_os_error(number)));
        assert_eq!(done.is_ok(), ignored);
    }
    let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let got = copy_body(
        &mut Data(b"x".to_vec(), 0, 1, false),
        &mut full,
        Path::new("/x"),
    );
    assert_eq!(class(got), Class::Full);
}
