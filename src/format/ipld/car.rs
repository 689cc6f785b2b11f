//! Archives of blocks (CAR version 1) as a stream. The header is skipped: which blocks are wanted is known, and each is checked.

use std::io::{self, Read};

use crate::base::bytes::Cursor;
use crate::format::ipld::BLOCK_MAX_BYTES;
use crate::format::ipld::cid::Cid;

const HEADER_MAX_BYTES: u64 = 64 * 1024;
/// An identifier with its longest digest.
const CID_MAX_BYTES: usize = 160;

/// Why no further block comes.
#[derive(Debug)]
pub(crate) enum Broken {
    Io(io::Error),
    /// What was found instead.
    Bad(&'static str),
}

/// An archive being read. `inner` should be buffered: lengths are read byte by byte.
pub(crate) struct CarReader<R> {
    inner: R,
}

impl<R: Read> CarReader<R> {
    /// Reads past the header.
    pub(crate) fn open(mut inner: R) -> Result<CarReader<R>, Broken> {
        let len = match length(&mut inner)? {
            Some(len @ 1..=HEADER_MAX_BYTES) => len,
            _ => return Err(Broken::Bad("it has no header")),
        };
        let skipped = io::copy(&mut inner.by_ref().take(len), &mut io::sink());
        if skipped.map_err(Broken::Io)? != len {
            return Err(Broken::Bad("it ends in its header"));
        }
        Ok(CarReader { inner })
    }

    /// The next block into `data` (emptied first), unchecked; `None` at a clean end.
    pub(crate) fn next(&mut self, data: &mut Vec<u8>) -> Result<Option<Cid>, Broken> {
        data.clear();
        let Some(len) = length(&mut self.inner)? else {
            return Ok(None);
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len == 0 || len > CID_MAX_BYTES + BLOCK_MAX_BYTES {
            return Err(Broken::Bad("a block in it is too large"));
        }
        let mut head = [0; CID_MAX_BYTES];
        let (head, _) = head.split_at_mut(len.min(CID_MAX_BYTES));
        self.fill(head)?;
        let mut cursor = Cursor::new(head);
        let Some(cid) = Cid::take(&mut cursor) else {
            return Err(Broken::Bad("a block in it has no identifier"));
        };
        let rest = cursor.rest();
        let total = len - (head.len() - rest.len());
        if total > BLOCK_MAX_BYTES {
            return Err(Broken::Bad("a block in it is too large"));
        }
        data.reserve_exact(rest.len());
        data.extend_from_slice(rest);
        let wanted = total - rest.len();
        fill(&mut self.inner, data, wanted)?;
        Ok(Some(cid))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Broken> {
        self.inner.read_exact(buffer).map_err(cut)
    }
}

/// Appends exactly `wanted` bytes, growing by what has come so that a lying length costs nothing.
fn fill(from: &mut impl Read, data: &mut Vec<u8>, wanted: usize) -> Result<(), Broken> {
    let mut left = wanted;
    while left > 0 {
        let step = left.min(data.len().max(64 * 1024));
        let at = data.len();
        data.reserve_exact(step);
        data.resize(at + step, 0);
        let (_, new) = data.split_at_mut(at);
        from.read_exact(new).map_err(cut)?;
        left -= step;
    }
    Ok(())
}

fn cut(e: io::Error) -> Broken {
    match e.kind() {
        io::ErrorKind::UnexpectedEof if e.get_ref().is_none() => {
            Broken::Bad("it ends in the middle of a block")
        }
        _ => Broken::Io(e),
    }
}

/// A length before a section; `None` at the end of the input.
fn length(from: &mut impl Read) -> Result<Option<u64>, Broken> {
    let mut n = 0u64;
    for i in 0..9u32 {
        let mut byte = [0];
        loop {
            match from.read(&mut byte) {
                Ok(0) if i == 0 => return Ok(None),
                Ok(0) => return Err(Broken::Bad("it ends in a length")),
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Broken::Io(e)),
            }
        }
        n |= u64::from(byte[0] & 0x7f) << (7 * i);
        if byte[0] < 0x80 {
            return Ok(Some(n));
        }
    }
    Err(Broken::Bad("a length in it is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ipld::cid::RAW;
    use crate::format::ipld::proto::push_varint;

    fn archive(blocks: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![3, 1, 2, 3];
        for block in blocks {
            let cid = Cid::of(RAW, block).bytes();
            push_varint(&mut out, (cid.len() + block.len()) as u64);
            out.extend_from_slice(&cid);
            out.extend_from_slice(block);
        }
        out
    }

    fn all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Broken> {
        let mut reader = CarReader::open(bytes)?;
        let (mut out, mut data) = (Vec::new(), Vec::new());
        while let Some(cid) = reader.next(&mut data)? {
            assert_eq!(cid.codec(), RAW);
            out.push(data.clone());
        }
        Ok(out)
    }

    #[test]
    fn blocks_come_in_order() {
        let large = vec![7; 200_000];
        let blocks: [&[u8]; 4] = [b"a", b"", &large, &[1; 124]];
        assert_eq!(all(&archive(&blocks)).expect("good"), blocks);
        let empty = all(&archive(&[])).expect("empty");
        assert!(empty.is_empty());
    }

    #[test]
    fn every_cut_shows_unless_it_is_between_blocks() {
        let whole = archive(&[b"abc", b"defg"]);
        for cut in 0..whole.len() {
            let clean = [4, 4 + 1 + 36 + 3].contains(&cut);
            assert_eq!(all(&whole[..cut]).is_ok(), clean, "{cut}");
        }
    }

    #[test]
    fn lies_about_lengths() {
        let mut huge = vec![1, 0];
        push_varint(&mut huge, 1 << 40);
        for bad in [
            &huge[..],
            &[0x80; 20],
            &[0],
            b"<html>please log in</html>",
            &[1, 0, 5, 1, 2, 3, 4, 5],
            &[1, 0, 0],
        ] {
            assert!(all(bad).is_err(), "{bad:?}");
        }
        let mut lying = vec![1, 0];
        push_varint(&mut lying, BLOCK_MAX_BYTES as u64);
        lying.extend_from_slice(&Cid::of(RAW, b"").bytes());
        let mut reader = CarReader::open(&lying[..]).expect("header");
        let mut data = Vec::new();
        assert!(reader.next(&mut data).is_err());
        assert!(data.capacity() <= 200 * 1024, "{}", data.capacity());
    }
}
