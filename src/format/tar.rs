//! Headers of a tar stream in the pax interchange format (POSIX.1-2001): a ustar header of 512 bytes, and before it, where
//! a value does not fit into one, an extended header that carries it in full. GNU tar, bsdtar and Python read both.
//!
//! Only headers are made here; content and its padding are up to the caller. Memory: one header.

/// Every header, and every content with its padding, is a whole number of these.
pub(crate) const BLOCK_BYTES: u64 = 512;
/// The length of a stream is a multiple of this: 20 blocks, as tape drives once wanted it.
const RECORD_BYTES: u64 = 20 * BLOCK_BYTES;
/// Longest name, link target, and owner in a ustar header, bytes.
const NAME_BYTES: usize = 100;
const OWNER_BYTES: usize = 32;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TarKind<'a> {
    /// With the length of its content in bytes.
    File(u64),
    Folder,
    /// With the text of the link.
    Symlink(&'a [u8]),
}

/// One entry of a stream.
pub(crate) struct TarEntry<'a> {
    /// Relative, parts joined by `/`; a folder's ends with `/`.
    pub(crate) name: &'a [u8],
    pub(crate) kind: TarKind<'a>,
    /// The lower twelve bits of the mode.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Empty: unknown.
    pub(crate) user: &'a str,
    pub(crate) group: &'a str,
    /// Modification time: seconds since 1970 and nanoseconds after that second.
    pub(crate) modified: (i64, u32),
    /// Extended attributes, name and value.
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl TarEntry<'_> {
    /// The header or headers, a whole number of blocks. The content of a file follows, then [`padding`].
    pub(crate) fn header(&self) -> Vec<u8> {
        let (size, link): (u64, &[u8]) = match self.kind {
            TarKind::File(size) => (size, b""),
            TarKind::Folder => (0, b""),
            TarKind::Symlink(link) => (0, link),
        };
        let extended = self.extended(size, link);
        let mut out = Vec::new();
        if !extended.is_empty() {
            let mut name = b"PaxHeaders/".to_vec();
            let base = self.name.strip_suffix(b"/").unwrap_or(self.name);
            let base = base.rsplit(|&b| b == b'/').next().unwrap_or(base);
            name.extend(base.iter().take(NAME_BYTES - name.len()));
            let mut head = Ustar::new(&name, b'x', extended.len() as u64);
            head.number(100, 8, 0o644);
            head.finish(&mut out);
            out.extend_from_slice(&extended);
            out.resize(out.len() + padding(extended.len() as u64), 0);
        }
        let kind = match self.kind {
            TarKind::File(_) => b'0',
            TarKind::Folder => b'5',
            TarKind::Symlink(_) => b'2',
        };
        let mut head = Ustar::new(self.name, kind, size);
        head.number(100, 8, u64::from(self.mode & 0o7777));
        head.number(108, 8, u64::from(self.uid));
        head.number(116, 8, u64::from(self.gid));
        head.number(136, 12, u64::try_from(self.modified.0).unwrap_or(0));
        head.text(157, NAME_BYTES, link);
        head.text(265, OWNER_BYTES, self.user.as_bytes());
        head.text(297, OWNER_BYTES, self.group.as_bytes());
        head.finish(&mut out);
        out
    }

    /// The records of the extended header: what a ustar header cannot say in full.
    fn extended(&self, size: u64, link: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let texts: [(&str, &[u8], usize); 4] = [
            ("path", self.name, NAME_BYTES),
            ("linkpath", link, NAME_BYTES),
            ("uname", self.user.as_bytes(), OWNER_BYTES),
            ("gname", self.group.as_bytes(), OWNER_BYTES),
        ];
        let odd = |(_, text, most): &(&str, &[u8], usize)| text.len() > *most || !text.is_ascii();
        // Names in an extended header are UTF-8 unless it says that they are mere bytes.
        if texts
            .iter()
            .any(|(_, t, _)| std::str::from_utf8(t).is_err())
        {
            record(&mut out, b"hdrcharset", b"BINARY");
        }
        for (key, text, _) in texts.iter().filter(|t| odd(t)) {
            record(&mut out, key.as_bytes(), text);
        }
        let numbers = [
            ("size", size, 11),
            ("uid", u64::from(self.uid), 7),
            ("gid", u64::from(self.gid), 7),
        ];
        for (key, n, digits) in numbers {
            if n >> (3 * digits) != 0 {
                record(&mut out, key.as_bytes(), n.to_string().as_bytes());
            }
        }
        let (seconds, nanos) = self.modified;
        if nanos > 0 || !(0..1 << 33).contains(&seconds) {
            record(&mut out, b"mtime", decimal(seconds, nanos).as_bytes());
        }
        for (name, value) in self.xattrs {
            // A name with = in it cannot be told from its value.
            if !name.contains(&b'=') {
                record(
                    &mut out,
                    &[b"SCHILY.xattr.", name.as_slice()].concat(),
                    value,
                );
            }
        }
        out
    }
}

/// Zero bytes after a content of `len` bytes.
pub(crate) fn padding(len: u64) -> usize {
    // Less than a block.
    usize::try_from((BLOCK_BYTES - len % BLOCK_BYTES) % BLOCK_BYTES).unwrap_or(0)
}

/// What ends a stream of `len` bytes: two blocks of zeros, and more up to a whole record.
pub(crate) fn end(len: u64) -> Vec<u8> {
    let least = len.saturating_add(2 * BLOCK_BYTES);
    let zeros = least.next_multiple_of(RECORD_BYTES) - len;
    vec![0; usize::try_from(zeros).unwrap_or(0)]
}

/// Appends `LENGTH KEY=VALUE` and a line feed; the length counts itself.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// A time as decimal seconds; `nanos` come after the second also before 1970.
fn decimal(seconds: i64, nanos: u32) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let sign = if total < 0 { "-" } else { "" };
    let total = total.unsigned_abs();
    let (whole, part) = (total / 1_000_000_000, total % 1_000_000_000);
    match part {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part:09}"),
    }
}

/// One header block.
struct Ustar([u8; 512]);

impl Ustar {
    fn new(name: &[u8], kind: u8, size: u64) -> Ustar {
        let mut head = Ustar([0; 512]);
        head.text(0, NAME_BYTES, name);
        for at in [100, 108, 116] {
            head.number(at, 8, 0);
        }
        head.number(124, 12, size);
        head.number(136, 12, 0);
        head.text(156, 1, &[kind]);
        head.text(257, 8, b"ustar\x0000");
        head.number(329, 8, 0);
        head.number(337, 8, 0);
        head
    }

    /// As much of the text as the field holds.
    fn text(&mut self, at: usize, most: usize, text: &[u8]) {
        let fields = self.0.iter_mut().skip(at).take(most);
        for (to, from) in fields.zip(text) {
            *to = *from;
        }
    }

    /// Octal digits and a NUL. What does not fit becomes 0; then an extended header has it.
    fn number(&mut self, at: usize, len: usize, n: u64) {
        let digits = len - 1;
        let n = if n >> (3 * digits) == 0 { n } else { 0 };
        self.text(at, len, format!("{n:0digits$o}\0").as_bytes());
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        self.text(148, 8, b"        ");
        let sum: u64 = self.0.iter().map(|&b| u64::from(b)).sum();
        self.text(148, 8, format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    fn entry<'a>(name: &'a [u8], kind: TarKind<'a>) -> TarEntry<'a> {
        TarEntry {
            name,
            kind,
            mode: 0o640,
            uid: 1000,
            gid: 100,
            user: "alice",
            group: "users",
            modified: (1_700_000_000, 0),
            xattrs: &[],
        }
    }

    #[test]
    fn a_plain_entry_is_one_header() {
        let head = entry(b"a/b.txt", TarKind::File(513)).header();
        assert_eq!(head.len(), 512);
        assert_eq!(&head[..8], b"a/b.txt\0");
        assert_eq!(
            &head[100..136],
            b"0000640\x000001750\x000000144\x0000000001001\0"
        );
        assert_eq!(&head[136..148], b"14524770400\0");
        assert_eq!(&head[156..158], b"0\0");
        assert_eq!(&head[257..271], b"ustar\x0000alice\0");
        let mut summed = head.clone();
        summed[148..156].fill(b' ');
        let sum: u32 = summed.iter().map(|&b| u32::from(b)).sum();
        assert_eq!(&head[148..156], format!("{sum:06o}\0 ").as_bytes());
        assert_eq!((padding(513), padding(0), padding(1024)), (511, 0, 0));
    }

    #[test]
    fn what_does_not_fit_is_in_an_extended_header() {
        let long = [b"f/".as_slice(), &[b'x'; 300]].concat();
        let mut e = entry(&long, TarKind::Symlink("ü".as_bytes()));
        e.modified = (-2, 500_000_000);
        e.uid = 4_000_000_000;
        let xattrs = [(b"user.a".to_vec(), b"1\n2".to_vec())];
        e.xattrs = &xattrs;
        let head = e.header();
        assert_eq!((head.len() % 512, head[156]), (0, b'x'));
        let want = [
            b"312 path=".as_slice(),
            &long,
            "\n15 linkpath=ü\n18 uid=4000000000\n22 mtime=-1.500000000\n27 SCHILY.xattr.user.a=1\n2\n"
                .as_bytes(),
        ]
        .concat();
        assert_eq!(&head[512..512 + want.len()], want);
        assert_eq!(head[head.len() - 512 + 156], b'2');
        let big = entry(b"big", TarKind::File(1 << 33)).header();
        assert!(big[512..].starts_with(b"19 size=8589934592\n"));
        let bytes = entry(b"\xff", TarKind::Folder).header();
        assert!(bytes[512..].starts_with(b"21 hdrcharset=BINARY\n"));
    }

    /// The length of a record counts itself, also where that makes it one digit longer.
    #[test]
    fn records_count_themselves() {
        for n in 0..1200 {
            let mut out = Vec::new();
            record(&mut out, b"k", &vec![b'v'; n]);
            let digits = out.iter().position(|&b| b == b' ').unwrap();
            let said: usize = String::from_utf8_lossy(&out[..digits]).parse().unwrap();
            assert_eq!(said, out.len(), "{n}");
        }
        assert_eq!((end(512).len(), end(9728).len()), (9728, 10752));
    }
}
