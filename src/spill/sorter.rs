//! [`Sorter`]: any number of byte strings into byte order, in memory up to a cap, then through sorted runs on disk.
//!
//! All runs of one pass lie in one temporary file, so at most three are open. Merging buffers take 1 MiB together (or two
//! records, if those are longer). Duplicates are kept.

use std::rc::Rc;

use crate::base::error::Result;
use crate::base::tmp::{Spool, Tmp};
use crate::spill::prefix;
use crate::spill::run::{
    Framer, Listed, Part, Run, RunReader, RunWriter, Store, check_len, push_frame, record_at,
};

/// Bytes of all merge buffers together.
const MERGE_BYTES: usize = 1 << 20;
/// Runs merged at once, at most.
const MERGE_RUNS: usize = 64;
/// Bytes that one record costs beside itself: its place in the order and the longest frame.
const RECORD_COST: usize = 8 + 4;

/// Takes records, gives a [`Stream`]. Memory: `cap_bytes` (or one record, if that is longer).
#[must_use]
pub(crate) struct Sorter {
    tmp: Tmp,
    cap: usize,
    data: Vec<u8>,
    order: Vec<u64>,
    longest: usize,
    records: u64,
    spool: Option<Spool>,
    spooled: u64,
    parts: Vec<Part>,
}

impl Sorter {
    /// `cap_bytes` counts the records and their order; it is limited to 2 GiB.
    pub(crate) fn new(tmp: &Tmp, cap_bytes: usize) -> Sorter {
        Sorter {
            tmp: tmp.clone(),
            cap: cap_bytes.min(1 << 31),
            data: Vec::new(),
            order: Vec::new(),
            longest: 0,
            records: 0,
            spool: None,
            spooled: 0,
            parts: Vec::new(),
        }
    }

    /// Adds a record of at most 16 MiB. Fails when the temporary folder is full.
    pub(crate) fn add(&mut self, record: &[u8]) -> Result<()> {
        check_len(record)?;
        let used = self.data.len() + 8 * self.order.len();
        if used + record.len() + RECORD_COST > self.cap && !self.order.is_empty() {
            self.spill()?;
        }
        let high = prefix(record) >> 32 << 32;
        self.order.push(high | self.data.len() as u64);
        push_frame(&mut self.data, record);
        self.longest = self.longest.max(record.len());
        self.records += 1;
        Ok(())
    }

    /// Number of records so far.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u64 {
        self.records
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn sort(&mut self) {
        let data = &self.data;
        self.order.sort_unstable_by(|&a, &b| {
            (a >> 32)
                .cmp(&(b >> 32))
                .then_with(|| record_at(data, a).cmp(record_at(data, b)))
        });
    }

    fn spill(&mut self) -> Result<()> {
        self.sort();
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool::new(&self.tmp)?),
        };
        let mut framer = Framer::new(self.spooled);
        for &entry in &self.order {
            framer.push(record_at(&self.data, entry));
            if framer.is_full() {
                framer.flush(spool)?;
            }
        }
        let part = framer.finish(spool)?;
        self.spooled = part.at.end;
        self.parts.push(part);
        self.order.clear();
        self.data.clear();
        self.data.shrink_to(self.cap);
        Ok(())
    }

    /// All records in order. Cost: the sort, and with many runs one or more passes over the disk.
    pub(crate) fn finish(mut self) -> Result<Stream> {
        if self.spool.is_none() {
            self.sort();
            let listed = Listed {
                data: self.data,
                order: self.order,
            };
            return Stream::over(&self.tmp, vec![Run::listed(listed, self.longest)]);
        }
        self.spill()?;
        self.data = Vec::new();
        self.order = Vec::new();
        let mut runs = Vec::with_capacity(self.parts.len());
        if let Some(spool) = self.spool {
            let store = Rc::new(Store::Disk(spool));
            runs.extend(self.parts.iter().map(|p| Run::part(&store, p)));
        }
        drop(self.parts);
        while runs.len() > fan_in(&runs) {
            runs = pass(&self.tmp, runs)?;
        }
        Stream::over(&self.tmp, runs)
    }
}

/// How many of these runs may be merged at once.
fn fan_in(runs: &[Run]) -> usize {
    let longest = runs.iter().map(Run::longest).max().unwrap_or(0);
    (MERGE_BYTES / (longest + 4)).clamp(2, MERGE_RUNS)
}

/// Merges runs so that fewer are left: all of them in groups, or only as many as one last merge cannot take.
fn pass(tmp: &Tmp, runs: Vec<Run>) -> Result<Vec<Run>> {
    let fan = fan_in(&runs);
    let mut spool = Spool::new(tmp)?;
    let mut parts = Vec::new();
    let mut offset = 0;
    let mut left = runs.len();
    let mut rest = runs.into_iter();
    let mut kept = Vec::new();
    while left > 0 {
        // Groups made so far and runs not looked at yet must fit into one last merge; until then, merge on.
        let surplus = (left + parts.len()).saturating_sub(fan);
        if surplus == 0 {
            kept.extend(rest);
            break;
        }
        let group: Vec<Run> = rest.by_ref().take((surplus + 1).min(fan)).collect();
        left -= group.len();
        let mut merged = Stream::over(tmp, group)?;
        let mut framer = Framer::new(offset);
        while let Some(record) = merged.next()? {
            framer.push(record);
            if framer.is_full() {
                framer.flush(&mut spool)?;
            }
        }
        let part = framer.finish(&mut spool)?;
        offset = part.at.end;
        parts.push(part);
    }
    let store = Rc::new(Store::Disk(spool));
    kept.extend(parts.iter().map(|p| Run::part(&store, p)));
    Ok(kept)
}

/// Sorted records, each once as it was added. Lends each record until the next call.
pub(crate) struct Stream {
    tmp: Tmp,
    runs: Vec<Run>,
    readers: Vec<RunReader>,
    /// A heap, smallest record on top: prefix and number of the reader.
    heap: Vec<(u64, usize)>,
    started: bool,
    left: u64,
}

impl Stream {
    fn over(tmp: &Tmp, runs: Vec<Run>) -> Result<Stream> {
        Ok(Stream {
            tmp: tmp.clone(),
            left: runs.iter().map(Run::len).sum(),
            runs,
            readers: Vec::new(),
            heap: Vec::new(),
            started: false,
        })
    }

    /// Records not handed out yet.
    pub(crate) fn len(&self) -> u64 {
        self.left
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The next record in byte order, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        if !self.started {
            self.start()?;
        } else if let Some(&(_, top)) = self.heap.first() {
            if self.readers[top].advance()? {
                self.heap[0].0 = prefix(self.readers[top].current());
            } else {
                self.heap.swap_remove(0);
            }
            self.sift(0);
        }
        let Some(&(_, top)) = self.heap.first() else {
            return Ok(None);
        };
        self.left = self.left.saturating_sub(1);
        Ok(Some(self.readers[top].current()))
    }

    fn start(&mut self) -> Result<()> {
        self.started = true;
        let buffer = (MERGE_BYTES / self.runs.len().max(1)).min(super::CHUNK_BYTES);
        for run in self.runs.drain(..) {
            let mut reader = run.reader_with(buffer);
            if reader.advance()? {
                self.heap
                    .push((prefix(reader.current()), self.readers.len()));
                self.readers.push(reader);
            }
        }
        for i in (0..self.heap.len() / 2).rev() {
            self.sift(i);
        }
        Ok(())
    }

    fn smaller(&self, a: usize, b: usize) -> bool {
        let ((pa, ra), (pb, rb)) = (self.heap[a], self.heap[b]);
        pa < pb || pa == pb && self.readers[ra].current() < self.readers[rb].current()
    }

    fn sift(&mut self, mut at: usize) {
        loop {
            let mut least = 2 * at + 1;
            if least >= self.heap.len() {
                return;
            }
            if least + 1 < self.heap.len() && self.smaller(least + 1, least) {
                least += 1;
            }
            if !self.smaller(least, at) {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// What is left as a run that can be read again: the memory of the sorter if it never spilled, else one file.
    pub(crate) fn into_run(mut self) -> Result<Run> {
        if !self.started && self.runs.len() == 1 {
            return Ok(self.runs.swap_remove(0));
        }
        let mut out = RunWriter::new(&self.tmp);
        while let Some(record) = self.next()? {
            out.push(record)?;
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;
    use crate::spill::run::MAX_RECORD_BYTES;
    use crate::spill::testing::{Rng, tmp};

    fn drain(mut stream: Stream) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut left = stream.len();
        while let Some(r) = stream.next().expect("next") {
            out.push(r.to_vec());
            left -= 1;
        }
        assert_eq!((left, stream.len()), (0, 0));
        assert!(stream.next().expect("end stays").is_none());
        out
    }

    #[test]
    fn random_records_under_many_caps() {
        let mut rng = Rng(2);
        for (count, longest) in [(0, 1), (1, 0), (2, 3), (500, 4), (3000, 40), (300, 3000)] {
            let records: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let n = rng.below(longest + 1);
                    rng.bytes(n)
                })
                .collect();
            let mut sorted = records.clone();
            sorted.sort();
            // The smallest caps make thousands of runs, so several passes.
            for cap in [0, 100, 1000, 10_000, 1 << 20] {
                let fill = || {
                    let mut s = Sorter::new(&tmp(), cap);
                    for r in &records {
                        s.add(r).expect("add");
                    }
                    assert_eq!(s.len(), records.len() as u64);
                    s.finish().expect("finish")
                };
                assert!(drain(fill()) == sorted, "{count} {longest} {cap}");
                let run = fill().into_run().expect("run");
                let mut reader = run.reader();
                for want in &sorted {
                    assert_eq!(reader.next().expect("read"), Some(&want[..]));
                }
                assert!(reader.next().expect("end").is_none());
            }
        }
    }

    #[test]
    fn below_the_cap_no_disk_is_touched() {
        let mut s = Sorter::new(&Tmp::full_disk(), 4096);
        for word in ["pear", "fig", "fig", "apple", ""] {
            s.add(word.as_bytes()).expect("add");
        }
        let run = s.finish().and_then(Stream::into_run).expect("in memory");
        let mut reader = run.reader();
        for want in ["", "apple", "fig", "fig", "pear"] {
            assert_eq!(reader.next().expect("read"), Some(want.as_bytes()));
        }
    }

    #[test]
    fn a_half_read_stream_becomes_a_run_of_the_rest() {
        for cap in [64, 4096] {
            let mut s = Sorter::new(&tmp(), cap);
            for n in (0u8..50).rev() {
                s.add(&[n]).expect("add");
            }
            let mut stream = s.finish().expect("finish");
            for n in 0..20 {
                assert_eq!(stream.next().expect("next"), Some(&[n][..]));
            }
            let run = stream.into_run().expect("run");
            assert_eq!(run.len(), 30);
            assert_eq!(run.reader().next().expect("read"), Some(&[20][..]));
        }
    }

    #[test]
    fn huge_records_are_merged_two_at_a_time() {
        let mut s = Sorter::new(&tmp(), 1 << 16);
        for n in [3u8, 1, 2, 0] {
            s.add(&vec![n; MAX_RECORD_BYTES]).expect("add");
        }
        let mut stream = s.finish().expect("finish");
        assert!(stream.runs.len() <= 2);
        for n in 0..4 {
            let r = stream.next().expect("next").expect("a record");
            assert!(r.len() == MAX_RECORD_BYTES && r[0] == n);
        }
    }

    #[test]
    fn runs_are_merged_no_more_often_than_needed() {
        for (count, written) in [(64u16, 0), (65, 2), (127, 64), (128, 66), (129, 67)] {
            let runs: Vec<Run> = (0..count)
                .map(|n| {
                    let mut w = RunWriter::new(&tmp());
                    w.push(&n.to_be_bytes()).expect("push");
                    w.finish().expect("finish")
                })
                .collect();
            if written == 0 {
                assert_eq!(fan_in(&runs), runs.len());
                continue;
            }
            let after = pass(&tmp(), runs).expect("pass");
            assert!(after.len() <= 64);
            let merged: u64 = after.iter().map(Run::len).filter(|&n| n > 1).sum();
            assert_eq!(merged, written, "{count}");
        }
    }

    #[test]
    fn a_full_disk_is_said_with_the_folder() {
        let mut s = Sorter::new(&Tmp::full_disk(), 100);
        let outcome = (0u64..100).try_for_each(|n| s.add(&n.to_be_bytes()));
        let e = outcome.expect_err("no space");
        assert_eq!(e.kind(), Kind::NoSpace);
        assert!(e.to_string().contains("/dev/full"), "{e}");
    }
}
