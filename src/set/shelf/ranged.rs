//! A dblock of which only parts are fetched: its end, where the directory is, and then the spans of the blocks asked for.
//!
//! What was fetched stays in a temporary file, so no byte is fetched twice, however the directory lies: reading is bounded by
//! the length of the volume. Nothing is authenticated but by the hash of each block.

mod head;

use std::cell::RefCell;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::read_at::ReadAt;
use crate::base::secret::Secret;
use crate::base::tmp::{Spool, Tmp};
use crate::base::ui::Ui;
use crate::dest::Sink;
use crate::format::aes_slice::{AesSlice, Decrypted};
use crate::format::zip_read::{EntryRef, Layout, ZipReader};
use crate::remote::{Passed, Remote};

/// First bytes of an encrypted volume: the head of an AES Crypt file is 100 to 400 bytes long.
const HEAD_BYTES: u64 = 1 << 10;
/// Last bytes: the directory of any volume of 50 MB in blocks of 1 MiB, and the longest archive comment.
const TAIL_BYTES: u64 = 66 << 10;
/// What is read of a longer directory at a time: doubled from request to request, from the first to the second.
const STEP_BYTES: Range<u64> = 64 << 10..1 << 20;
/// Spans that lie closer are fetched as one: a request costs more than these bytes.
const JOIN_BYTES: u64 = 128 << 10;
/// Length of a local header beside the packed bytes, as it is guessed before it was read.
const HEADER_BYTES: u64 = 30 + 88 + 64;
/// Spans remembered; beyond that all is forgotten and fetched again when it is wanted.
const SPANS_AT_MOST: usize = 1 << 16;

/// Who is asked for more of a volume.
pub(super) trait Line {
    /// As [`Remote::read_span`].
    fn span(&mut self, from: u64, len: u64, into: &mut dyn Sink) -> Result<Passed>;
}

/// One volume at the destination.
pub(super) struct AtRemote<'a> {
    pub(super) remote: &'a mut Remote,
    pub(super) ui: &'a mut Ui,
    pub(super) name: &'a str,
    /// Becomes true when the server turns out not to send parts of files.
    pub(super) sends_whole: &'a mut bool,
}

impl Line for AtRemote<'_> {
    fn span(&mut self, from: u64, len: u64, into: &mut dyn Sink) -> Result<Passed> {
        let passed = self.remote.read_span(self.ui, self.name, from, len, into)?;
        *self.sends_whole |= passed.from_start;
        Ok(passed)
    }
}

/// A volume of which parts are here.
pub(super) struct Ranged {
    kept: Kept,
    aes: Option<AesSlice>,
}

impl Ranged {
    /// Reads head and end of a volume of `len` bytes, and its directory. `Unsupported` when the server cannot send parts, or
    /// when finding the blocks takes more than half of the volume.
    ///
    /// Errors as from [`AesSlice::open`]; `Damaged` when there is no whole directory.
    pub(super) fn open(
        line: &mut dyn Line,
        len: u64,
        passphrase: Option<&Secret>,
        tmp: &Tmp,
    ) -> Result<(Ranged, Layout)> {
        let kept = Kept::new(len, tmp)?;
        let far = Far::new(&kept, line, len / 2);
        far.bring(len.saturating_sub(TAIL_BYTES)..len)?;
        let aes = match passphrase {
            None => None,
            Some(passphrase) => {
                far.bring(0..HEAD_BYTES.min(len))?;
                Some(AesSlice::open(&far, passphrase)?)
            }
        };
        let found = match &aes {
            None => ZipReader::with_directory(&far)?.map(|zip| zip.layout()),
            Some(slice) => {
                let plain = Decrypted {
                    stored: &far,
                    slice,
                };
                ZipReader::with_directory(&plain)?.map(|zip| zip.layout())
            }
        };
        let layout = found.ok_or_else(|| Error::damaged("there is no whole zip directory"))?;
        Ok((Ranged { kept, aes }, layout))
    }

    /// Fetches what is not here yet of spans of the archive, each with its length, in as few requests as that takes without
    /// fetching much else.
    pub(super) fn bring(
        &self,
        line: &mut dyn Line,
        spans: impl Iterator<Item = (u64, u64)>,
    ) -> Result<()> {
        let far = Far::new(&self.kept, line, u64::MAX);
        let mut wanted: Vec<Range<u64>> =
            spans.map(|(at, len)| self.stored_span(at, len)).collect();
        wanted.sort_by_key(|span| span.start);
        let mut joined: Option<Range<u64>> = None;
        for span in wanted {
            match &mut joined {
                Some(open) if span.start <= open.end.saturating_add(JOIN_BYTES) => {
                    open.end = open.end.max(span.end);
                }
                open => {
                    if let Some(done) = open.replace(span) {
                        far.bring(done)?;
                    }
                }
            }
        }
        joined.map_or(Ok(()), |last| far.bring(last))
    }

    /// Fetches what is not here yet of the entries, in as few requests as that takes without fetching much else.
    pub(super) fn fetch(
        &self,
        line: &mut dyn Line,
        layout: Layout,
        entries: &[EntryRef],
    ) -> Result<()> {
        let spans = entries
            .iter()
            .map(|e| (e.offset, e.compressed.saturating_add(HEADER_BYTES)));
        self.bring(line, spans)?;
        let far = Far::new(&self.kept, line, u64::MAX);
        // Local headers may be longer than guessed.
        for entry in entries {
            let plain = self.over(&far);
            let zip = ZipReader::again(plain.source(), layout);
            match zip.data_at(*entry) {
                Ok(at) => far.bring(self.stored_span(at, entry.compressed))?,
                Err(e) if e.kind().is_of_one_volume() && !far.is_cut_off() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Where these bytes of the archive are in the stored file.
    fn stored_span(&self, at: u64, len: u64) -> Range<u64> {
        let (from, end) = match &self.aes {
            None => (at, at.saturating_add(len)),
            Some(slice) => slice.span(at, len),
        };
        from.min(self.kept.len)..end.min(self.kept.len)
    }

    fn over<'a>(&'a self, stored: &'a dyn ReadAt) -> Plain<'a> {
        match &self.aes {
            None => Plain::Same(stored),
            Some(slice) => Plain::Opened(Decrypted { stored, slice }),
        }
    }
}

/// The archive inside of a stored file.
enum Plain<'a> {
    Same(&'a dyn ReadAt),
    Opened(Decrypted<'a>),
}

impl Plain<'_> {
    fn source(&self) -> &dyn ReadAt {
        match self {
            Plain::Same(stored) => *stored,
            Plain::Opened(plain) => plain,
        }
    }
}

/// The archive as far as it was fetched; the rest is `Damaged`.
impl ReadAt for Ranged {
    fn len(&self) -> Result<u64> {
        self.over(&self.kept).source().len()
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        self.over(&self.kept).source().read_at(buf, at)
    }
}

/// The parts of a stored file that are here, in a file with holes. Memory: 16 bytes a span, 1 MiB at most.
struct Kept {
    file: Spool,
    /// Length of the whole.
    len: u64,
    /// In order, apart from each other.
    spans: RefCell<Vec<Range<u64>>>,
}

impl Kept {
    fn new(len: u64, tmp: &Tmp) -> Result<Kept> {
        Ok(Kept {
            file: Spool::new(tmp)?,
            len,
            spans: RefCell::new(Vec::new()),
        })
    }

    /// The first part of `span` that is not here.
    fn gap(&self, span: &Range<u64>) -> Option<Range<u64>> {
        let spans = self.spans.borrow();
        let next = spans.partition_point(|s| s.end <= span.start);
        let mut start = span.start;
        let mut end = span.end;
        if let Some(first) = spans.get(next).filter(|s| s.start <= start) {
            start = first.end;
            if let Some(second) = spans.get(next + 1) {
                end = end.min(second.start);
            }
        } else if let Some(first) = spans.get(next) {
            end = end.min(first.start);
        }
        (start < end).then_some(start..end)
    }

    fn add(&self, span: Range<u64>) {
        let mut spans = self.spans.borrow_mut();
        if spans.len() >= SPANS_AT_MOST {
            spans.clear();
        }
        let from = spans.partition_point(|s| s.end < span.start);
        let to = spans.partition_point(|s| s.start <= span.end);
        let mut all = span;
        for old in spans.get(from..to).unwrap_or_default() {
            all = all.start.min(old.start)..all.end.max(old.end);
        }
        spans.splice(from..to.max(from), [all]);
    }
}

impl ReadAt for Kept {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        let end = at.saturating_add(buf.len() as u64);
        if end > self.len || self.gap(&(at..end)).is_some() {
            return Err(Error::damaged("a part of it that is needed was not read"));
        }
        self.file.read_at(buf, at)
    }
}

/// A stored file, of which more is fetched when it is read.
struct Far<'a> {
    kept: &'a Kept,
    state: RefCell<State<'a>>,
}

struct State<'a> {
    line: &'a mut dyn Line,
    /// Bytes that may still be fetched.
    left: u64,
    /// Bytes fetched at least, where more will be read behind them.
    step: u64,
    cut_off: bool,
}

impl<'a> Far<'a> {
    fn new(kept: &'a Kept, line: &'a mut dyn Line, left: u64) -> Far<'a> {
        Far {
            kept,
            state: RefCell::new(State {
                line,
                left,
                step: STEP_BYTES.start,
                cut_off: false,
            }),
        }
    }

    /// True once something could not be fetched.
    fn is_cut_off(&self) -> bool {
        self.state.borrow().cut_off
    }

    /// Fetches what is not here of a span.
    fn bring(&self, span: Range<u64>) -> Result<()> {
        while let Some(gap) = self.kept.gap(&span) {
            let mut state = self.state.borrow_mut();
            let done = state.fetch(self.kept, gap);
            state.cut_off |= done.is_err();
            done?;
        }
        Ok(())
    }
}

impl State<'_> {
    fn fetch(&mut self, kept: &Kept, gap: Range<u64>) -> Result<()> {
        let wanted = gap.end - gap.start;
        self.left = self
            .left
            .checked_sub(wanted)
            .ok_or_else(|| Error::new(Kind::Unsupported, "its directory is most of it"))?;
        let mut into = Into {
            file: &kept.file,
            start: gap.start,
            at: gap.start,
        };
        let passed = self.line.span(gap.start, wanted, &mut into)?;
        let total = passed.total.unwrap_or(kept.len);
        if passed.len < wanted || total != kept.len {
            return Err(Error::damaged("it is not as long as the listing says"));
        }
        kept.add(gap);
        if passed.from_start {
            return Err(Error::new(
                Kind::Unsupported,
                "the server cannot send parts of files",
            ));
        }
        Ok(())
    }
}

impl ReadAt for Far<'_> {
    fn len(&self) -> Result<u64> {
        Ok(self.kept.len)
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        let end = at.saturating_add(buf.len() as u64);
        if end > self.kept.len {
            return Err(Error::damaged("it ends too early"));
        }
        if self.kept.gap(&(at..end)).is_some() {
            let step = {
                let mut state = self.state.borrow_mut();
                let step = state.step.min(state.left);
                state.step = state.step.saturating_mul(2).min(STEP_BYTES.end);
                step
            };
            let ahead = end.max(at.saturating_add(step)).min(self.kept.len);
            self.bring(at..ahead)?;
        }
        self.kept.file.read_at(buf, at)
    }
}

/// Writes a span where it belongs.
struct Into<'a> {
    file: &'a Spool,
    start: u64,
    at: u64,
}

impl Write for Into<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let done = self.file.file().write_all_at(data, self.at);
        done.doing(|| "use a temporary file".to_owned())?;
        self.at += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Into<'_> {
    fn restart(&mut self) -> io::Result<()> {
        self.at = self.start;
        Ok(())
    }
}

/// A volume that consists of `front` and `data`, read in parts, for the fuzz program. Nothing may be fetched twice, whatever
/// the directory says.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(front: &[u8], data: &[u8]) -> Result<()> {
    use crate::format::deflate::Inflater;
    use std::io::Read;

    struct Server {
        file: Vec<u8>,
        sent: usize,
    }

    impl Line for Server {
        fn span(&mut self, from: u64, len: u64, into: &mut dyn Sink) -> Result<Passed> {
            let place =
                |n: u64| usize::try_from(n).map_or(self.file.len(), |n| n.min(self.file.len()));
            let part = &self.file[place(from)..place(from.saturating_add(len))];
            into.write_all(part).doing(|| "keep a part".to_owned())?;
            self.sent += part.len();
            Ok(Passed {
                len: part.len() as u64,
                total: Some(self.file.len() as u64),
                from_start: false,
            })
        }
    }

    let mut server = Server {
        file: [front, data].concat(),
        sent: 0,
    };
    let len = server.file.len() as u64;
    let (ranged, layout) = Ranged::open(&mut server, len, None, &Tmp::open(None)?)?;
    let mut entries = Vec::new();
    ZipReader::again(&ranged, layout).entries(&mut |_, entry| {
        if entries.len() < 16 {
            entries.push(entry);
        }
        Ok(())
    })?;
    let fetched = ranged.fetch(&mut server, layout, &entries);
    assert!(server.sent as u64 <= len, "nothing is fetched twice");
    fetched?;
    let mut inflater = Inflater::new();
    for entry in entries {
        if let Ok(reader) = ZipReader::again(&ranged, layout).reader(entry, &mut inflater) {
            let _ = io::copy(&mut reader.take(1 << 20), &mut io::sink());
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#[path = "ranged_tests.rs"]
pub(super) mod tests;
