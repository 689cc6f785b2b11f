//! The door through which the fuzz program (`tests/fuzz/main.rs`) reaches every reader of bytes and text from outside.
//!
//! Only with the feature `fuzz`, never in a release. A call must return: it may not panic, hang, or take memory without bound.
//! What the readers answer is of no interest here; the unit tests check that.

mod blocks;
mod replies;

use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::sync::OnceLock;

use crate::base::digest::Hash;
use crate::base::error::{Doing, Error, Result};
use crate::base::read_at::ReadAt;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::base::tmp::{Spool, Tmp};
use crate::base::{size, text};
use crate::format::aes_key::{Iv, Key};
use crate::format::aes_slice::AesSlice;
use crate::format::deflate::{Deflater, Inflater};
use crate::format::meta::Attrs;
use crate::format::names::{Prefix, VolumeName};
use crate::format::zip_read::ZipReader;
use crate::format::zip_write::ZipWriter;
use crate::format::{aes_read, filelist, index, manifest};
use crate::net::url::{self, DestUrl};
use crate::select::{Case, FilterSet, Rule, Selection, expand_environment};

/// Every target that [`one`] knows.
pub const TARGETS: &[&str] = &[
    "zip",
    "aes",
    "manifest",
    "filelist",
    "index",
    "meta",
    "url",
    "filter",
    "names",
    "values",
    "deflate",
    "blocks",
    #[cfg(feature = "ipld")]
    "ipld",
    "slice",
    "ranged",
    #[cfg(feature = "xml")]
    "xml",
    #[cfg(feature = "json")]
    "json",
    #[cfg(feature = "http-auth")]
    "challenge",
    #[cfg(feature = "http")]
    "resolver",
    #[cfg(feature = "dest-webdav")]
    "multistatus",
    #[cfg(feature = "dest-b2")]
    "b2-account",
    #[cfg(feature = "dest-ssh")]
    "sftp",
    #[cfg(feature = "dest-ftp")]
    "ftp",
];

/// Plain bytes taken from one zip entry at most: a bomb is stopped by its reader's caller, here and elsewhere.
const ENTRY_BYTES: u64 = 1 << 20;

/// Feeds one input to a target. Panics on an unknown target, and when a reader breaks a promise.
pub fn one(target: &str, data: &[u8]) {
    match target {
        "zip" => drop(zip(data)),
        "aes" => aes(data),
        "manifest" => {
            drop(manifest::read_manifest(&mut &*data));
            drop(manifest::read_fileset(&mut &*data));
        }
        "filelist" => {
            let mut encoded = Vec::new();
            let _ = filelist::read_list(&mut &*data, &mut |entry| {
                encoded.clear();
                entry.encode(&mut encoded);
                let back = filelist::Entry::decode(&encoded);
                assert!(back.is_some(), "an entry that was read can be kept");
                Ok(())
            });
            drop(filelist::Entry::decode(data));
        }
        "index" => {
            drop(index::read_vol(&mut &*data, &mut |_, _| Ok(())));
            let _ = index::parse_block_name(data);
            let _ = index::parse_index_entry(data);
        }
        "meta" => {
            if let Ok(attrs) = Attrs::parse(data) {
                let again = Attrs::parse(&attrs.to_blob());
                assert!(again.is_ok(), "metadata that was read can be written");
            }
        }
        "url" => with_text(data, &|text| {
            if let Ok((url, _)) = DestUrl::parse(text) {
                drop(url.display());
            }
            drop(url::display_raw(text));
            drop(url::decode(text));
        }),
        "filter" => with_text(data, &filter),
        "names" => with_text(data, &|text| {
            let parsed = [VolumeName::parse(text), VolumeName::parse_any_case(text)];
            for name in parsed.into_iter().flatten() {
                assert_eq!(name.as_str(), text);
                let _ = (
                    name.time(),
                    name.guid(),
                    name.compression(),
                    name.encryption(),
                );
            }
            drop(Prefix::parse(text));
        }),
        "values" => values(data),
        "deflate" => blocks::deflate(data),
        "blocks" => blocks::made(data),
        "slice" => slice(data),
        "ranged" => drop(crate::set::fuzz_ranged(ranged_front(), data)),
        #[cfg(feature = "ipld")]
        "ipld" => crate::format::ipld::fuzz::feed(data),
        other if replies::one(other, data) => {}
        other => panic!("no fuzz target is called {other}"),
    }
}

/// Valid inputs of a target, to be mutated.
pub fn samples(target: &str) -> Vec<Vec<u8>> {
    let texts: &[&str] = match target {
        "zip" => return vec![zip_sample()],
        "deflate" => return deflate_samples(),
        #[cfg(feature = "ipld")]
        "ipld" => return crate::format::ipld::fuzz::samples(),
        "aes" | "slice" => return AES_SAMPLES.iter().filter_map(|hex| unhex(hex)).collect(),
        "manifest" => &[
            "\u{feff}{\"Version\":2,\"Created\":\"20240131T123500Z\",\"Encoding\":\"utf8\",\"Blocksize\":1024,\"BlockHash\":\"SHA256\",\"FileHash\":\"SHA256\",\"AppVersion\":\"2.1.0.5\"}",
            "\u{feff}{\"IsFullBackup\":true}",
        ],
        "filelist" => &[FILE_LIST],
        "index" => &[
            "{\"blocks\":[{\"hash\":\"arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=\",\"size\":1024},{\"hash\":\"m2zlXzeel3FVHeaTlVan5rlJgUrifC9c/V2+s3jOfCo=\",\"size\":12}],\"volumehash\":\"qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=\",\"volumesize\":52300000}",
            "list/KH4CLxHrSGsEWwN-ackRxuIXGoig9yVDhCCfEydhtAs=",
            "vol/duplicati-b0123456789abcdef0123456789abcdef.dblock.zip.aes",
        ],
        "meta" => &[
            "\u{feff}{\"unix-ext:user.tag\":\"eA==\",\"unix:uid-gid-perm\":\"1000-1000-420\",\"unix:owner-name\":\"alice\",\"unix:group-name\":\"alice\",\"CoreAttributes\":\"ReadOnly, Hidden\",\"CoreLastWritetime\":\"638423012961234567\",\"CoreCreatetime\":\"638423012000000000\",\"CoreSymlinkTarget\":\"hello.txt\"}",
            "\u{feff}{}",
        ],
        "url" => &[
            "s3://bucket/folder?auth-username=key&auth-password=a%2Bb&s3-server-name=host:9000&use-ssl=true",
            "webdavs://user:pass%40word@[2001:db8::1]:8443/remote.php/dav/files/x%20y?a=1&b",
            "file:///mnt/usb%20disk/backup?alternate-target-paths=/a%3b/b",
            "/mnt/a folder/backup",
        ],
        "filter" => &[
            "*/Temp?/[ab]*.txt\n/home/*/x",
            "[.*\\.(jpe?g|png)$]",
            "{CacheFiles,TemporaryFiles}\n@/home/%USER%/[literal]",
            "/home/a/\n*\\Thumbs.db",
        ],
        "names" => &[
            "duplicati-b0123456789abcdef0123456789abcdef.dblock.zip.aes",
            "duplicati-20240131T123500Z.dlist.zip",
            "p-iABCDEF0123456789abcdef0123456789.dindex.tgz.gpg",
        ],
        "ranged" => return vec![far_archive()[FRONT_BYTES..].to_vec()],
        other if let Some(samples) = replies::samples(other) => return samples,
        _ => &[
            "50mb",
            "1W2D3h4m5s",
            "20240131T123456Z",
            "arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=",
            "\u{1b}[31m\u{202e}x",
        ],
    };
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn with_text(data: &[u8], each: &dyn Fn(&str)) {
    each(&String::from_utf8_lossy(data));
}

fn zip(data: &[u8]) -> Result<()> {
    let mut spool = Spool::new(&Tmp::open(None)?)?;
    spool.write_all(data).doing(|| "spool".to_owned())?;
    let scanned = ZipReader::salvage(&spool)?;
    let mut inflater = Inflater::new();
    scanned.entries(&mut |_, entry| {
        if let Ok(reader) = scanned.reader(entry, &mut inflater) {
            let _ = io::copy(&mut reader.take(ENTRY_BYTES), &mut io::sink());
        }
        Ok(())
    })?;
    let zip = ZipReader::open(&spool)?;
    let mut found = Vec::new();
    zip.entries(&mut |_, entry| {
        if found.len() < 8 {
            found.push(entry);
        }
        Ok(())
    })?;
    let mut inflater = Inflater::new();
    for entry in found.into_iter().chain(zip.find(b"manifest")?) {
        if let Ok(reader) = zip.reader(entry, &mut inflater) {
            let _ = io::copy(&mut reader.take(ENTRY_BYTES), &mut io::sink());
        }
    }
    Ok(())
}

fn aes(data: &[u8]) {
    let _ = aes_read::decrypt_with(&mut &*data, &mut io::sink(), &mut stretch);
}

/// Stretching takes milliseconds: the keys of the samples' IV are kept, any other IV gets a constant one.
fn stretch(given: &Iv, rounds: Option<NonZeroU32>) -> Key {
    static KEYS: OnceLock<[Key; 2]> = OnceLock::new();
    let iv: Iv = std::array::from_fn(|i| i.to_le_bytes()[0]);
    let [old, new] = KEYS.get_or_init(|| {
        let passphrase = || Secret::new("p\u{e4}ss\u{8a9e}\u{1f511}".to_owned());
        let rounds = NonZeroU32::new(1000).unwrap_or(NonZeroU32::MIN);
        [
            Key::from_sha256_rounds(&iv, &passphrase()),
            Key::from_pbkdf2(&iv, &passphrase(), rounds),
        ]
    });
    match (given == &iv, rounds) {
        (false, _) => Key::from_bytes(&[7; 32]),
        (true, None) => Key::from_bytes(old.bytes()),
        (true, Some(_)) => Key::from_bytes(new.bytes()),
    }
}

/// Bytes in memory as a file that is read by position.
struct Bytes<'a>(&'a [u8]);

impl ReadAt for Bytes<'_> {
    fn len(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        let cut = || Error::damaged("it ends too early");
        let at = usize::try_from(at).map_err(|_| cut())?;
        let data = self.0.get(at..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(data.ok_or_else(cut)?);
        Ok(())
    }
}

/// A part of an encrypted file says the same as the whole of it, where that authenticates.
fn slice(data: &[u8]) {
    let stored = Bytes(data);
    let Ok(slice) = AesSlice::open_with(&stored, &mut stretch) else {
        return;
    };
    assert!(slice.len() <= data.len() as u64, "no more than is stored");
    let mut whole = Vec::new();
    let proved = aes_read::decrypt_with(&mut &*data, &mut whole, &mut stretch).is_ok();
    for at in [0, 1, 15, 16, 17, slice.len() / 2, slice.len()] {
        let mut part = vec![0; 20];
        let read = slice.decrypt(&stored, &mut part, at).is_ok();
        let (from, end) = slice.span(at, 20);
        assert!(from <= end, "a span has an order");
        if proved && let Ok(from) = usize::try_from(at) {
            let same = whole.get(from..).and_then(|rest| rest.get(..part.len()));
            assert_eq!(read.then_some(&part[..]), same, "{at}");
        }
    }
}

/// Bytes before what is fuzzed of an archive that is fetched in parts: more than its end that is fetched at first.
const FRONT_BYTES: usize = 160 << 10;

/// An archive whose first entry lies far from its directory.
fn far_archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    let make = || -> Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Vec::new(), &Tmp::open(None)?)?;
        let mut deflater = Deflater::new(6);
        zip.add_stored(b"manifest", b"{}")?;
        zip.add_stored(b"vol/a", &vec![b'x'; FRONT_BYTES])?;
        for name in [b"a", b"b", b"c"] {
            zip.add(name, &[name[0]; 500], &mut deflater)?;
        }
        zip.finish()
    };
    ARCHIVE.get_or_init(|| make().unwrap_or_default())
}

fn ranged_front() -> &'static [u8] {
    &far_archive()[..FRONT_BYTES]
}

/// Text, runs, and every byte, at some levels.
fn deflate_samples() -> Vec<Vec<u8>> {
    let block = |level: u8| {
        let all = (0..=u8::MAX).chain(std::iter::repeat_n(level, 600));
        [&[level], FILE_LIST.as_bytes(), &all.collect::<Vec<u8>>()].concat()
    };
    [1, 3, 6, 9].map(block).to_vec()
}

fn filter(all: &str) {
    // The last line is the path; the lines before are rules.
    let mut lines: Vec<&str> = all.lines().take(8).collect();
    let path = lines.pop().unwrap_or("/home/a/Temp1/a.txt");
    let rules: Vec<Rule> = lines
        .iter()
        .enumerate()
        .map(|(i, line)| Rule {
            any_case: i % 3 == 0,
            ..Rule::new(i % 2 == 0, *line)
        })
        .collect();
    for case in [Case::Sensitive, Case::Insensitive] {
        if let Ok(set) = FilterSet::parse(&rules, case) {
            for path in [path, "/home/a/Temp1/a.jpg", "C:\\a\\b"] {
                let decision = set.decide_stored(path.as_bytes());
                drop(decision.rule.map(|i| set.rule_text(i)));
            }
        }
    }
    let words: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    if let Ok(selection) = Selection::parse(&words) {
        selection.matches(path.as_bytes(), Case::Sensitive);
    }
    drop(expand_environment(all, &|name| Some(name.to_owned())));
}

fn values(data: &[u8]) {
    let safe = text::safe(data);
    assert!(!safe.chars().any(char::is_control), "{safe:?}");
    let _ = Hash::from_base64(data);
    let _ = Timestamp::parse_compact(data).map(Timestamp::iso);
    with_text(data, &|text| {
        let _ = size::parse_size(text, 1).map(size::show_size);
        let _ = size::parse_span(text)
            .map(i64::unsigned_abs)
            .map(size::show_span);
    });
}

fn zip_sample() -> Vec<u8> {
    let make = || -> Result<Vec<u8>> {
        let tmp = Tmp::open(None)?;
        let mut zip = ZipWriter::new(Vec::new(), &tmp)?;
        let mut deflater = Deflater::new(6);
        zip.add(b"manifest", &[b'm'; 300], &mut deflater)?;
        zip.add_stored(b"vol/a", b"stored content")?;
        zip.add(
            b"qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A-4XSmaGSpEc=",
            b"hello world\n",
            &mut deflater,
        )?;
        zip.finish()
    };
    make().unwrap_or_default()
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}

const FILE_LIST: &str = concat!(
    "\u{feff}[{\"type\":\"Folder\",\"path\":\"/home/alice/d/\",\"metahash\":\"ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=\",",
    "\"metasize\":200,\"metablockhash\":\"ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=\"},",
    "{\"type\":\"File\",\"path\":\"/home/alice/d/abc.bin\",\"hash\":\"jlZaYJuzBhGAhRZVI5I+MUP0S/IoFBd5xqw6XHJJ+1s=\",\"size\":2560,",
    "\"time\":\"20240131T123456Z\",\"metahash\":\"f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=\",\"metasize\":197,",
    "\"blocklists\":[\"KH4CLxHrSGsEWwN+ackRxuIXGoig9yVDhCCfEydhtAs=\"]},",
    "{\"type\":\"File\",\"path\":\"/home/alice/d/h\\u00e4\",\"hash\":\"qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=\",\"size\":12,",
    "\"time\":\"20240131T123456Z\",\"metahash\":\"f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=\",\"metasize\":197,",
    "\"blockhash\":\"qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=\",\"blocksize\":12}]",
);

/// The streams of `format.md` 22, versions 0 to 3.
const AES_SAMPLES: [&str; 4] = [
    "4145530003000102030405060708090a0b0c0d0e0f452fc70a289c69b5998da16e846cc65636901489dab4e209bcd58d77fafcd4f3\
     0d18ca5886c5abee3661784a16892b7907d97a1e0df136ffaf68b835294874b4",
    "4145530100000102030405060708090a0b0c0d0e0fa9da652565072dabab4b69810734212b53a50f2f26594f9596da5cffa4813507\
     04ba42364017e1f2e88651b832e7768c91eb8fad86387e35aee89f693ba6012e5a40c07f0f0062cc951b80e6f39dd679420e41abf7\
     7560f895f880b37f38c8e47f8177d386bda5c88ffd0b985bb47463031ce425fe3001cb1cd9624f3b1cd58c4e1bf2eaf82c71f70049\
     683c381578dc16",
    "41455302000011435245415445445f4259006475706c65740000000102030405060708090a0b0c0d0e0fa9da652565072dabab4b69\
     810734212b53a50f2f26594f9596da5cffa481350704ba42364017e1f2e88651b832e7768c91eb8fad86387e35aee89f693ba6012e\
     5a40c07f0f0062cc951b80e6f39dd679420e41abf77560f895f880b37f38c8e47f8177d386bda5c88ffd0b985bb47463031ce425fe\
     3001cb1cd9624f3b1cd58c4e1bf2eaf82c71f70049683c381578dc16",
    "41455303000011435245415445445f4259006475706c65740000000003e8000102030405060708090a0b0c0d0e0f56a4d95cc3d02c\
     a3b72c5c4431217e42e4ae82cc9bd8690912e920397f950805e393464f3fc573e1865beba1a64fcb9bfacfc806121f8b597494fcc8\
     c15f5b6306f044415e37a10005deb33be02ed57b420e41abf77560f895f880b37f38c8e47f8177d386bda5c88ffd0b985bb474631c\
     e425fe3001cb1cd9624f3b1cd58c4e1bf2eaf82c71f70049683c381578dc16",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples are good: a fuzz run that starts from refused input would find little.
    #[test]
    fn samples_are_read() {
        for &target in TARGETS {
            for sample in samples(target) {
                one(target, &sample);
            }
            assert!(!samples(target).is_empty(), "{target}");
        }
        assert!(zip(&zip_sample()).is_ok());
        assert!(filelist::read_list(&mut FILE_LIST.as_bytes(), &mut |_| Ok(())).is_ok());
        let passphrase = Secret::new("p\u{e4}ss\u{8a9e}\u{1f511}".to_owned());
        for sample in samples("aes") {
            assert!(aes_read::decrypt(&mut &*sample, &passphrase, &mut io::sink()).is_ok());
        }
    }
}
