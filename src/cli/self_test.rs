//! `system-info --self-test`: whether this program computes and stores rightly on the machine it runs on.
//!
//! Known answers for everything a backup is made of, round trips through the temporary folder, a look at the cache folder.
//! Contacts nothing and leaves nothing behind. Does not measure speed.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::base::bytes::{hex, hex_decode};
use crate::base::digest::Algo;
use crate::base::error::{Doing, Error, Kind, Result, unwrap_io};
use crate::base::rand;
use crate::base::secret::Secret;
use crate::base::size::show_size;
use crate::base::sys::{self, Dir};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::{Spool, Tmp};
use crate::base::ui::Ui;
use crate::cli::options::{CACHE_DIR, NO_CACHE, TEMPDIR};
use crate::cli::{Call, Outcome};
use crate::format::aes_read::decrypt;
use crate::format::aes_write::AesWriter;
use crate::format::crc32::Crc32;
use crate::format::deflate::{Deflater, Inflater, Step};
use crate::format::vectors::{PASS, PLAIN, V0, V1, V2, V3};
use crate::format::zip_read::ZipReader;
use crate::format::zip_write::ZipWriter;
use crate::set::{Cache, Owner};

/// Longer than every buffer between the parts, and not a whole number of anything.
const LONG_BYTES: usize = 200_003;
/// 2038-01-19T03:14:08Z, the first second a signed 32-bit count cannot hold, and 2100-01-01.
const LATE: [i64; 2] = [1 << 31, 4_102_444_800];

/// One check: its name, and what it found worth saying.
type Check = (&'static str, fn(&Call) -> Result<String>);

static CHECKS: &[Check] = &[
    ("md5", |_| digest(Algo::Md5)),
    ("sha-1", |_| digest(Algo::Sha1)),
    ("sha-256", |_| digest(Algo::Sha256)),
    ("sha-384", |_| digest(Algo::Sha384)),
    ("sha-512", |_| digest(Algo::Sha512)),
    ("hmac-sha-256", |_| hmac()),
    ("crc-32", |_| crc()),
    ("aes crypt version 0", |_| published(V0)),
    ("aes crypt version 1", |_| published(V1)),
    ("aes crypt version 2", |_| published(V2)),
    ("aes crypt version 3", |_| published(V3)),
    ("aes crypt there and back", |_| sealed()),
    #[cfg(feature = "http")]
    ("tls ciphers and signatures", |_| {
        crate::net::primitives::check()
    }),
    ("inflate", |_| inflate_known()),
    ("deflate there and back", |_| deflated()),
    ("random numbers", |_| random()),
    ("dates after 2038", |_| dates()),
    ("temporary folder", temporary),
    ("zip there and back", zipped),
    ("file times after 2038", late_times),
    ("cache folder", cache),
];

pub(super) fn run(call: &Call, ui: &mut Ui) -> Result<Outcome> {
    let mut all: Vec<(&str, bool, String)> = Vec::new();
    for (name, check) in CHECKS {
        match check(call) {
            Ok(detail) => {
                let line = if detail.is_empty() {
                    format!("ok      {name}")
                } else {
                    format!("ok      {name}: {detail}")
                };
                ui.result(&line);
                all.push((name, true, detail));
            }
            Err(e) => {
                ui.result(&format!("FAILED  {name}"));
                ui.error(&format!("the self-test '{name}' failed: {e}"));
                all.push((name, false, e.to_string()));
            }
        }
    }
    ui.json(|w| {
        w.key("Checks")?;
        w.begin_array()?;
        for (name, good, detail) in &all {
            w.begin_object()?;
            w.key("Name")?;
            w.string(name.as_bytes())?;
            w.key("Good")?;
            w.boolean(*good)?;
            w.key("Detail")?;
            w.string(detail.as_bytes())?;
            w.end_object()?;
        }
        w.end_array()
    });
    Ok(Outcome::Done)
}

/// An answer that must be the one known.
fn same<T: PartialEq + ?Sized>(found: &T, known: &T) -> Result<String> {
    if found == known {
        Ok(String::new())
    } else {
        Err(wrong())
    }
}

fn wrong() -> Error {
    Error::new(Kind::Bug, "the answer is wrong")
        .hint("the program, the processor or the memory is not sound: do not use it for backups")
}

fn digest(algo: Algo) -> Result<String> {
    let known = match algo {
        Algo::Md5 => "900150983cd24fb0d6963f7d28e17f72",
        Algo::Sha1 => "a9993e364706816aba3e25717850c26c9cd0d89d",
        Algo::Sha256 => "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        Algo::Sha384 => {
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        }
        Algo::Sha512 => {
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        }
    };
    same(hex(algo.hash(b"abc").as_bytes()).as_str(), known)?;
    // The parts of a message give what the whole gives.
    let long = pattern();
    let mut parts = algo.hasher();
    long.chunks(4099).for_each(|part| parts.update(part));
    same(parts.finish().as_bytes(), algo.hash(&long).as_bytes())
}

/// RFC 4231, test case 2.
fn hmac() -> Result<String> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"Jefe");
    let tag = ring::hmac::sign(&key, b"what do ya want for nothing?");
    let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    same(hex(tag.as_ref()).as_str(), known)
}

fn crc() -> Result<String> {
    same(&Crc32::of(b"123456789"), &0xcbf4_3926)?;
    let long = pattern();
    let mut parts = Crc32::new();
    long.chunks(4099).for_each(|part| parts.update(part));
    same(&parts.finish(), &Crc32::of(&long))
}

fn published(stream: &str) -> Result<String> {
    let raw = hex_decode(stream.as_bytes()).ok_or_else(wrong)?;
    let mut plain = Vec::new();
    decrypt(&mut &*raw, &Secret::new(PASS.to_owned()), &mut plain)?;
    same(plain.as_slice(), PLAIN)
}

fn sealed() -> Result<String> {
    let (long, pass) = (pattern(), Secret::new(PASS.to_owned()));
    let mut writer = AesWriter::new(Vec::new(), &pass)?;
    writer.write_all(&long).map_err(unwrap_io)?;
    let mut stream = writer.finish()?;
    let mut plain = Vec::new();
    decrypt(&mut &*stream, &pass, &mut plain)?;
    same(&plain, &long)?;
    // A changed byte must be noticed.
    let middle = stream.len() / 2;
    if let Some(byte) = stream.get_mut(middle) {
        *byte ^= 1;
    }
    match decrypt(&mut &*stream, &pass, &mut std::io::sink()) {
        Err(e) if e.kind() == Kind::Damaged => Ok(String::new()),
        _ => Err(wrong()),
    }
}

/// A block with fixed tables, and one with tables of its own: the squares below 10000, as zlib wrote them.
fn inflate_known() -> Result<String> {
    let squares: Vec<String> = (0..100_u32).map(|n| (n * n).to_string()).collect();
    for (packed, plain) in [
        ("4b4c4a4e842100", "abcabcabcabc".to_owned()),
        (SQUARES, squares.join(" ")),
    ] {
        let raw = hex_decode(packed.as_bytes()).ok_or_else(wrong)?;
        same(inflate(&raw)?.as_slice(), plain.as_bytes())?;
    }
    Ok(String::new())
}

const SQUARES: &str = "1591c901002108035ba10411e4e8bf31272f5d09c9c01e734b5bf3b2fb2cca72add2c6cdcf31bf9c9954512c1234f771ce5adc444f37ba4cce497b77ed7559a12bcee6bb791fea8b6e4bbe34fac1c11d2b97a75fcc3d94928a7bca2d0194481a229f140384f788c2457ccfda8d9376f3386474dcd2adf536aa2eba5047e02f68c803bf489c4319d1a4c5901b0b411e58525419f065429a0573b6a6d518ef30cf730d1c9a988a3dcdfc5ab7e5ad0e55ba9c6dd2518fde6a5c6af0ebf3b41c3a9a4ceb476e3704bdb08c563f17be49fd8b827906fad51c28b841c9369972e7f807";

fn inflate(packed: &[u8]) -> Result<Vec<u8>> {
    let mut inflater = Inflater::new();
    let (mut out, mut rest, mut buffer) = (Vec::new(), packed, [0; 4096]);
    loop {
        match inflater.step(&mut buffer)? {
            Step::Out(n) => out.extend(buffer.iter().take(n)),
            Step::End => return Ok(out),
            Step::Hungry if rest.is_empty() => return Err(wrong()),
            Step::Hungry => {
                inflater.start = 0;
                inflater.end = rest
                    .read(&mut inflater.input)
                    .doing(|| "read memory".to_owned())?;
            }
        }
    }
}

fn deflated() -> Result<String> {
    let long = pattern();
    for level in [1, 6, 9] {
        let mut deflater = Deflater::new(level);
        let packed = deflater.deflate(&long).ok_or_else(wrong)?;
        same(&inflate(packed)?, &long)?;
    }
    Ok(String::new())
}

fn random() -> Result<String> {
    let made = || rand::hex::<32>();
    let (one, two) = (made()?, made()?);
    let used = one.bytes().fold(0_u16, |seen, digit| {
        seen | 1 << char::from(digit).to_digit(16).unwrap_or(0)
    });
    // Seven of the sixteen digits missing among 64: less likely than a broken disk.
    if one == two || used.count_ones() < 10 {
        return Err(Error::new(
            Kind::Local,
            "the system's random numbers repeat",
        ));
    }
    Ok(String::new())
}

fn dates() -> Result<String> {
    same(&*Timestamp(LATE[0]).compact(), "20380119T031408Z")?;
    same(&*Timestamp(LATE[1]).compact(), "21000101T000000Z")?;
    same(
        &Timestamp::parse_compact(b"20380119T031408Z").map(|t| t.0),
        &Some(LATE[0]),
    )?;
    let now = Timestamp::now();
    let shown = now.iso();
    if now.0 < 1_700_000_000 {
        return Err(
            Error::new(Kind::Local, format!("the clock says {shown}")).hint("set the clock")
        );
    }
    Ok(format!("now {shown}"))
}

fn temporary(call: &Call) -> Result<String> {
    let tmp = Tmp::open(call.options.text(&TEMPDIR))?;
    let long = pattern();
    let mut spool = Spool::new(&tmp)?;
    spool.write_all(&long).map_err(unwrap_io)?;
    spool.rewind()?;
    let mut back = Vec::new();
    spool.read_to_end(&mut back).map_err(unwrap_io)?;
    same(&back, &long)?;
    // Beyond what 31 bits can count; the file is sparse.
    let far = 5 << 30;
    if spool.file().set_len(far).is_ok() {
        same(
            &spool.seek(SeekFrom::Start(far - 1)).map_err(unwrap_io)?,
            &(far - 1),
        )?;
        same(&spool.len()?, &far)?;
    }
    let free = sys::free_space(tmp.folder());
    let free = free.map_or(String::new(), |n| format!(", {} free", show_size(n)));
    Ok(format!("{}{free}", tmp.shown()))
}

fn zipped(call: &Call) -> Result<String> {
    let tmp = Tmp::open(call.options.text(&TEMPDIR))?;
    let long = pattern();
    let mut noise = vec![0; 5000];
    rand::fill(&mut noise)?;
    let entries = [
        ("pattern", long.as_slice()),
        ("noise", noise.as_slice()),
        ("nothing", b""),
    ];
    let mut writer = ZipWriter::new(Spool::new(&tmp)?, &tmp)?;
    let mut deflater = Deflater::new(6);
    for (name, data) in entries {
        writer.add(name.as_bytes(), data, &mut deflater)?;
    }
    let spool = writer.finish()?;
    let zip = ZipReader::open(&spool)?;
    let mut inflater = Inflater::new();
    for (name, data) in entries {
        let entry = zip.find(name.as_bytes())?.ok_or_else(wrong)?;
        let mut back = Vec::new();
        let mut content = zip.reader(entry, &mut inflater)?;
        content.read_to_end(&mut back).map_err(unwrap_io)?;
        same(back.as_slice(), data)?;
    }
    Ok(String::new())
}

/// By the calls that restore uses, on a file with a name for as long as that takes.
fn late_times(call: &Call) -> Result<String> {
    let tmp = Tmp::open(call.options.text(&TEMPDIR))?;
    let doing = || format!("set the time of a file in {}", tmp.shown());
    let folder = Dir::open(tmp.folder()).doing(doing)?;
    let name = format!(".duplet-{}", rand::hex::<16>()?);
    let name = OsStr::new(&name);
    folder.create_file(name, 0o600).doing(doing)?;
    let done = LATE.map(|second| {
        let wanted = (second, 123_456_700);
        folder.set_times(name, wanted)?;
        let path = tmp.folder().join(name);
        let shown = fs::symlink_metadata(&path)?.modified()?;
        let shown = shown.duration_since(std::time::UNIX_EPOCH);
        let shown = shown.map_or(0, |since| since.as_secs());
        Ok((
            folder.stat(name)?.mtime.0,
            sys::lstat(&path)?.mtime.0,
            shown,
        ))
    });
    folder.unlink(name).doing(doing)?;
    for (second, found) in LATE.into_iter().zip(done) {
        let (a, b, c) = found.map_err(|e: std::io::Error| Error::io(&e).doing(doing()))?;
        if (a, b, u64::try_from(second)) != (second, second, Ok(c)) {
            let text = format!(
                "a file of {} says {}",
                Timestamp(second).iso(),
                Timestamp(a).iso()
            );
            return Err(
                Error::new(Kind::Local, text).hint("this file system cannot store such times")
            );
        }
    }
    Ok(String::new())
}

fn cache(call: &Call) -> Result<String> {
    if call.options.flag(&NO_CACHE) {
        return Ok("none is wanted".to_owned());
    }
    let owner = Owner {
        place: "self-test".to_owned(),
        account: String::new(),
    };
    let folder = match Cache::open(call.options.text(&CACHE_DIR), &owner, true) {
        Cache::On(folder) => folder,
        // It only makes runs slower, unless it was asked for.
        Cache::Off(why) if call.options.text(&CACHE_DIR).is_none() => {
            return Ok(format!("none, for {why}"));
        }
        Cache::Off(why) => return Err(Error::new(Kind::Local, why)),
    };
    let shown = text::safe(folder.as_os_str().as_encoded_bytes());
    let file = folder.join("check");
    let used = write_and_read(&file).doing(|| format!("use the cache folder {shown}"));
    // What cannot be removed does no harm there.
    let _ = fs::remove_file(&file);
    let _ = fs::remove_dir(&folder);
    same(&used?, &pattern())?;
    Ok(folder.parent().map_or(String::new(), |f| {
        text::safe(f.as_os_str().as_encoded_bytes())
    }))
}

fn write_and_read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let mut file = options.mode(0o600).open(path)?;
    file.write_all(&pattern())?;
    file.seek(SeekFrom::Start(0))?;
    let mut back = Vec::new();
    file.read_to_end(&mut back)?;
    Ok(back)
}

/// Bytes that shrink by deflate, with no short period.
fn pattern() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0] >> 3
    };
    std::iter::repeat_with(&mut next).take(LONG_BYTES).collect()
}
