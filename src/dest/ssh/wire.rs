//! SFTP version 3 as bytes (draft-ietf-secsh-filexfer-02): requests are built, replies taken apart. Every field of a reply is
//! checked, for it may come from anybody.

use crate::base::bytes::Cursor;

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const FSTAT: u8 = 8;
pub(super) const SETSTAT: u8 = 9;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const EXTENDED: u8 = 200;

pub(super) const STATUS: u8 = 101;
pub(super) const HANDLE: u8 = 102;
pub(super) const DATA: u8 = 103;
pub(super) const NAME: u8 = 104;
pub(super) const ATTRS: u8 = 105;
pub(super) const EXTENDED_REPLY: u8 = 201;

/// Flags of OPEN.
pub(super) const OPEN_READ: u32 = 1;
pub(super) const OPEN_WRITE: u32 = 2;
pub(super) const OPEN_CREATE: u32 = 8;
pub(super) const OPEN_EXCLUSIVE: u32 = 32;

/// Codes of STATUS.
pub(super) const OK: u32 = 0;
pub(super) const END: u32 = 1;
pub(super) const NO_FILE: u32 = 2;
pub(super) const DENIED: u32 = 3;
pub(super) const FAILURE: u32 = 4;
pub(super) const NO_CONNECTION: u32 = 6;
pub(super) const CONNECTION_LOST: u32 = 7;
pub(super) const UNSUPPORTED: u32 = 8;

/// Longest frame that is taken, without its length word: OpenSSH sends no longer one.
pub(super) const FRAME_MAX: usize = (256 << 10) + 1024;
/// Longest handle of version 3.
const HANDLE_MAX: usize = 256;
/// Longest list of extensions or names looked at, in entries: a frame holds no more.
const ENTRIES_MAX: u32 = 64 << 10;

/// A request under way.
pub(super) struct Packet(Vec<u8>);

impl Packet {
    /// A request of a kind, with its number.
    pub(super) fn new(kind: u8, id: u32) -> Packet {
        Packet(vec![0, 0, 0, 0, kind]).u32(id)
    }

    pub(super) fn u32(mut self, value: u32) -> Packet {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Packet {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn text(self, bytes: &[u8]) -> Packet {
        let mut packet = self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        packet.0.extend(bytes);
        packet
    }

    /// What goes over the wire: with its length in front.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&len.to_be_bytes());
        self.0
    }
}

/// What a reply is not: a whole and sensible one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled;

type Read<T> = Result<T, Garbled>;

/// One reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    /// The number of the request that it answers; of VERSION the version.
    pub(super) id: u32,
    body: Vec<u8>,
}

/// What begins a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Not yet a whole frame.
    Part,
    /// A frame, and its bytes in the buffer.
    Whole(Frame, usize),
    /// No length of a frame.
    Foreign,
}

/// Looks for a frame at the start of what came.
pub(super) fn frame(bytes: &[u8]) -> Begun {
    let Some(word) = bytes.first_chunk::<4>() else {
        return Begun::Part;
    };
    let len = usize::try_from(u32::from_be_bytes(*word)).unwrap_or(usize::MAX);
    if !(5..=FRAME_MAX).contains(&len) {
        return Begun::Foreign;
    }
    let Some(all) = bytes.get(4..4 + len) else {
        return Begun::Part;
    };
    let mut cursor = Cursor::new(&all[1..]);
    let Some(id) = number(&mut cursor) else {
        return Begun::Foreign;
    };
    let frame = Frame {
        kind: all[0],
        id,
        body: all[5..].to_vec(),
    };
    Begun::Whole(frame, 4 + len)
}

/// Facts of a file, as far as the server tells them.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Attrs {
    pub(super) size: Option<u64>,
    /// Kind and rights, as in Unix.
    pub(super) mode: Option<u32>,
    /// Seconds since 1970.
    pub(super) modified: Option<i64>,
}

impl Attrs {
    pub(super) fn is_folder(&self) -> bool {
        self.is(0o040_000)
    }

    pub(super) fn is_link(&self) -> bool {
        self.is(0o120_000)
    }

    /// A plain file, or one that the server says nothing of.
    pub(super) fn is_file(&self) -> bool {
        self.mode.is_none_or(|m| m & 0o170_000 == 0) || self.is(0o100_000)
    }

    fn is(&self, kind: u32) -> bool {
        self.mode.is_some_and(|m| m & 0o170_000 == kind)
    }
}

/// Why a request was refused, or that it was not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    /// Of the server; may be empty.
    pub(super) message: String,
}

/// One entry of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) attrs: Attrs,
}

impl Frame {
    /// The code of a refusal and its words; `None` for another kind of reply.
    pub(super) fn status(&self) -> Option<Read<Status>> {
        (self.kind == STATUS).then(|| {
            let mut fields = Cursor::new(&self.body);
            let code = number(&mut fields).ok_or(Garbled)?;
            // Old servers say nothing more.
            let message = text(&mut fields).unwrap_or_default();
            Ok(Status {
                code,
                message: String::from_utf8_lossy(message).into_owned(),
            })
        })
    }

    pub(super) fn handle(&self) -> Read<Vec<u8>> {
        self.of(HANDLE)?;
        let handle = text(&mut Cursor::new(&self.body)).ok_or(Garbled)?;
        match handle.len() {
            1..=HANDLE_MAX => Ok(handle.to_vec()),
            _ => Err(Garbled),
        }
    }

    pub(super) fn data(&self) -> Read<&[u8]> {
        self.of(DATA)?;
        text(&mut Cursor::new(&self.body)).ok_or(Garbled)
    }

    pub(super) fn attrs(&self) -> Read<Attrs> {
        self.of(ATTRS)?;
        attrs(&mut Cursor::new(&self.body)).ok_or(Garbled)
    }

    /// Every entry that a listing's reply holds, in its order.
    pub(super) fn names(&self) -> Read<Vec<Entry>> {
        self.of(NAME)?;
        let mut fields = Cursor::new(&self.body);
        let count = number(&mut fields).ok_or(Garbled)?;
        let mut found = Vec::new();
        for _ in 0..count.min(ENTRIES_MAX) {
            let name = text(&mut fields).ok_or(Garbled)?.to_vec();
            let long = text(&mut fields).ok_or(Garbled)?;
            let mut attrs = attrs(&mut fields).ok_or(Garbled)?;
            if attrs.mode.is_none() && long.first() == Some(&b'd') {
                attrs.mode = Some(0o040_000);
            }
            found.push(Entry { name, attrs });
        }
        Ok(found)
    }

    /// Name and value of every extension in a VERSION reply.
    pub(super) fn extensions(&self) -> Read<Vec<(&[u8], &[u8])>> {
        self.of(VERSION)?;
        let mut fields = Cursor::new(&self.body);
        let mut found = Vec::new();
        while let Some(name) = text(&mut fields) {
            found.push((name, text(&mut fields).ok_or(Garbled)?));
        }
        Ok(found)
    }

    /// So many numbers of 64 bits: the reply to an extension.
    pub(super) fn numbers<const N: usize>(&self) -> Read<[u64; N]> {
        self.of(EXTENDED_REPLY)?;
        let mut fields = Cursor::new(&self.body);
        let mut found = [0; N];
        for slot in &mut found {
            *slot = long(&mut fields).ok_or(Garbled)?;
        }
        Ok(found)
    }

    fn of(&self, kind: u8) -> Read<()> {
        if self.kind == kind {
            Ok(())
        } else {
            Err(Garbled)
        }
    }
}

fn number(fields: &mut Cursor<'_>) -> Option<u32> {
    let bytes = fields.take(4)?;
    Some(u32::from_be_bytes(*bytes.first_chunk()?))
}

fn long(fields: &mut Cursor<'_>) -> Option<u64> {
    let bytes = fields.take(8)?;
    Some(u64::from_be_bytes(*bytes.first_chunk()?))
}

fn text<'a>(fields: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let len = number(fields)?;
    fields.take(usize::try_from(len).ok()?)
}

fn attrs(fields: &mut Cursor<'_>) -> Option<Attrs> {
    const SIZE: u32 = 1;
    const OWNER: u32 = 2;
    const MODE: u32 = 4;
    const TIMES: u32 = 8;
    const MORE: u32 = 0x8000_0000;
    let flags = number(fields)?;
    let mut found = Attrs::default();
    if flags & SIZE != 0 {
        found.size = Some(long(fields)?);
    }
    if flags & OWNER != 0 {
        fields.take(8)?;
    }
    if flags & MODE != 0 {
        found.mode = Some(number(fields)?);
    }
    if flags & TIMES != 0 {
        number(fields)?;
        found.modified = Some(i64::from(number(fields)?));
    }
    if flags & MORE != 0 {
        for _ in 0..number(fields)? {
            text(fields)?;
            text(fields)?;
        }
    }
    Some(found)
}

/// Every reply that these bytes begin with, for the fuzz program.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(mut data: &[u8]) {
    while let Begun::Whole(frame, len) = frame(data) {
        assert!(len > 8 && len <= data.len(), "a frame lies in what came");
        drop((frame.status(), frame.handle(), frame.attrs()));
        drop((frame.names(), frame.extensions(), frame.numbers::<11>()));
        if let Ok(bytes) = frame.data() {
            assert!(bytes.len() < len, "data lies in its frame");
        }
        data = &data[len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(kind: u8, body: &[&[u8]]) -> Frame {
        let body = body.concat();
        let mut bytes = u32::try_from(body.len() + 5)
            .expect("small")
            .to_be_bytes()
            .to_vec();
        bytes.push(kind);
        bytes.extend([0, 0, 0, 7]);
        bytes.extend(&body);
        match frame(&bytes) {
            Begun::Whole(frame, len) if len == bytes.len() && frame.id == 7 => frame,
            other => panic!("{other:?}"),
        }
    }

    fn word(text: &[u8]) -> Vec<u8> {
        let len = u32::try_from(text.len()).expect("small");
        [&len.to_be_bytes()[..], text].concat()
    }

    #[test]
    fn requests_are_spelt_as_the_draft_says() {
        let packet = Packet::new(READ, 258).text(b"ab").u64(1 << 32).u32(5);
        let want = [
            0, 0, 0, 23, 5, 0, 0, 1, 2, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5,
        ];
        assert_eq!(packet.finish(), want);
    }

    #[test]
    fn hostile_lengths_are_no_frames() {
        for (bytes, want) in [
            (&b""[..], Begun::Part),
            (&[0, 0, 0], Begun::Part),
            (&[0, 0, 0, 0], Begun::Foreign),
            (&[0, 0, 0, 4, 1, 2, 3, 4], Begun::Foreign),
            (&[0, 0, 0, 5, 101, 0, 0, 0], Begun::Part),
            (&[0, 4, 4, 1, 1], Begun::Foreign),
            (&[0xff, 0xff, 0xff, 0xff], Begun::Foreign),
            (b"Welcome", Begun::Foreign),
            (b"\nhi", Begun::Part),
            (b"\r\n\r\n", Begun::Foreign),
        ] {
            assert_eq!(frame(bytes), want, "{bytes:?}");
        }
        assert_eq!(frame(&[0, 4, 4, 0, 1]), Begun::Part, "the longest");
    }

    #[test]
    fn a_reply_cut_anywhere_is_a_part_or_garbled() {
        let entry = [
            word(b"name"),
            word(b"-rw-r--r-- name"),
            vec![0x80, 0, 0, 0x0f],
            9u64.to_be_bytes().to_vec(),
            vec![0, 0, 0, 1, 0, 0, 0, 2],
            0o100_644u32.to_be_bytes().to_vec(),
            vec![0, 0, 0, 5, 0, 0, 0, 6],
            vec![0, 0, 0, 1],
            word(b"x@y"),
            word(b"z"),
        ]
        .concat();
        let whole = reply(NAME, &[&[0, 0, 0, 1], &entry]);
        let want = Attrs {
            size: Some(9),
            mode: Some(0o100_644),
            modified: Some(6),
        };
        let names = whole.names().expect("whole");
        assert_eq!(names[0].attrs, want);
        assert_eq!(names[0].name, b"name");
        for cut in 0..entry.len() {
            let part = reply(NAME, &[&[0, 0, 0, 1], &entry[..cut]]);
            assert_eq!(part.names(), Err(Garbled), "{cut}");
        }
        // More are announced than there are.
        assert_eq!(reply(NAME, &[&[255; 4], &entry]).names(), Err(Garbled));
    }

    #[test]
    fn a_status_may_have_no_words() {
        for (body, code, message) in [
            (vec![0, 0, 0, 4], 4, ""),
            ([vec![0, 0, 0, 3], word(b"no")].concat(), 3, "no"),
            (
                [vec![0, 0, 0, 3], word(b"no"), word(b"en")].concat(),
                3,
                "no",
            ),
            ([vec![0, 0, 0, 3], vec![0, 0, 0, 9, b'x']].concat(), 3, ""),
        ] {
            let found = reply(STATUS, &[&body]).status().expect("a status");
            let found = found.expect("a code");
            assert_eq!((found.code, found.message.as_str()), (code, message));
        }
        assert_eq!(reply(STATUS, &[&[0, 0, 0]]).status(), Some(Err(Garbled)));
        assert_eq!(reply(DATA, &[]).status(), None);
    }

    #[test]
    fn replies_of_another_kind_are_garbled() {
        let handle = word(b"h");
        assert_eq!(reply(HANDLE, &[&handle]).handle(), Ok(b"h".to_vec()));
        assert_eq!(reply(DATA, &[&handle]).handle(), Err(Garbled));
        assert_eq!(reply(HANDLE, &[&handle]).data(), Err(Garbled));
        assert_eq!(reply(HANDLE, &[&handle]).attrs(), Err(Garbled));
        assert_eq!(reply(HANDLE, &[&word(b"")]).handle(), Err(Garbled));
        assert_eq!(reply(HANDLE, &[&word(&[1; 257])]).handle(), Err(Garbled));
        assert_eq!(reply(DATA, &[&[0, 0, 0, 2, 1]]).data(), Err(Garbled));
        assert_eq!(reply(DATA, &[&word(b"xy")]).data(), Ok(&b"xy"[..]));
        assert_eq!(reply(ATTRS, &[&[0; 4]]).attrs(), Ok(Attrs::default()));
        assert_eq!(reply(EXTENDED_REPLY, &[&[0; 8]]).numbers(), Ok([0]));
        assert_eq!(
            reply(EXTENDED_REPLY, &[&[0; 8]]).numbers::<2>(),
            Err(Garbled)
        );
    }

    #[test]
    fn kinds_of_files() {
        let of = |mode| Attrs {
            mode,
            ..Attrs::default()
        };
        for (mode, file, folder, link) in [
            (None, true, false, false),
            (Some(0o644), true, false, false),
            (Some(0o100_600), true, false, false),
            (Some(0o040_755), false, true, false),
            (Some(0o120_777), false, false, true),
            (Some(0o010_600), false, false, false),
        ] {
            let a = of(mode);
            assert_eq!(
                (a.is_file(), a.is_folder(), a.is_link()),
                (file, folder, link)
            );
        }
        let entry = [&[0, 0, 0, 1][..], &word(b"d"), &word(b"drwx d"), &[0; 4]];
        assert!(
            reply(NAME, &entry).names().expect("whole")[0]
                .attrs
                .is_folder()
        );
    }
}
