//! [`Table`]: sorted records of one length on disk, found by a key at their start.
//!
//! A bit filter of 8 bits a record answers most keys that are not there; it may say no, and only the full compare with a
//! stored key says yes. Who finds what is there needs none, and a table that is only read in order does not either: it is made
//! when it is known to be of use, or after many keys were not found. Look-up is by interpolation, for keys are hashes; other
//! keys cost more reads, never a wrong answer. The records of a table never change.

mod build;
mod merge;
mod read;

use std::fs::File;
#[cfg(test)]
use std::io::Write;

#[cfg(test)]
use crate::base::error::unwrap_io;
use crate::base::error::{Doing, Error, Result};
use crate::base::tmp::Tmp;
use crate::spill::filter::Filter;
use crate::spill::prefix;
use crate::spill::sorter::Stream;
pub(crate) use build::TableBuilder;
use build::check_shape;
pub(crate) use read::TableReader;
use read::{Body, Source};

/// Bytes of one look-up read.
const PAGE_BYTES: usize = 4096;
/// Probes by interpolation before a search halves its range.
const INTERPOLATIONS: u32 = 4;

/// Keys that are looked for in vain before a table without a filter gets one.
const MISSES: u32 = 1000;

/// Sorted fixed-length records with a look-up by key. Memory: one page, and with a filter one byte a record, 8 MiB at most.
pub(crate) struct Table {
    body: Body,
    key_len: usize,
    filter: Filter,
    /// Misses until the filter is made; 0 when there is one, or shall be none.
    misses_left: u32,
    page: Vec<u8>,
    /// Number of the first record in the page.
    page_first: u64,
}

impl Table {
    /// From records that are all `record_len` bytes long and start with a key of `key_len` bytes, at most the record; keys
    /// may repeat. Another length is a `Bug`.
    pub(crate) fn build(
        mut stream: Stream,
        record_len: usize,
        key_len: usize,
        tmp: &Tmp,
    ) -> Result<Table> {
        let mut builder = TableBuilder::without_filter(tmp, record_len, key_len)?;
        while let Some(record) = stream.next()? {
            builder.push(record)?;
        }
        builder.finish()
    }

    /// Over `records` records from `offset` of a file that exists, reading them once. Records out of order, or that `good`
    /// refuses, or a file too short for them, are `Damaged`.
    pub(crate) fn adopt(
        file: File,
        offset: u64,
        records: u64,
        record_len: usize,
        key_len: usize,
        good: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Table> {
        check_shape(record_len, key_len)?;
        let damaged = || Error::damaged("the sorted records of a cache file are damaged");
        let end = records
            .checked_mul(record_len as u64)
            .and_then(|n| n.checked_add(offset))
            .ok_or_else(damaged)?;
        let have = file.metadata().doing(|| "read a cache file".into())?.len();
        if end > have {
            return Err(damaged());
        }
        let body = Body {
            source: Source::File(file, offset),
            records,
            record_len,
        };
        let mut last = vec![0; record_len];
        let mut reader = TableReader::new(&body);
        while let Some(record) = reader.next()? {
            if *record < *last || !good(record) {
                return Err(damaged());
            }
            last.copy_from_slice(record);
        }
        Ok(Table::new(body, key_len, None))
    }

    fn new(body: Body, key_len: usize, filter: Option<Filter>) -> Table {
        Table {
            body,
            key_len,
            misses_left: if filter.is_some() { 0 } else { MISSES },
            filter: filter.unwrap_or_else(Filter::none),
            page: Vec::new(),
            page_first: 0,
        }
    }

    /// Number of records.
    pub(crate) fn len(&self) -> u64 {
        self.body.records
    }

    /// The first record with this whole key into `out`; false when there is none. About two reads when the filter passes.
    #[cfg(test)]
    pub(crate) fn lookup(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        let Some(at) = self.find(key)? else {
            return Ok(false);
        };
        out.extend_from_slice(self.in_page(at)?);
        Ok(true)
    }

    /// Whether a record has this whole key.
    pub(crate) fn contains(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.find(key)?.is_some())
    }

    /// Every record with this whole key, in order.
    pub(crate) fn lookup_all(
        &mut self,
        key: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Some(mut at) = self.find(key)? else {
            return Ok(());
        };
        while at < self.body.records {
            if !self.covers(at) {
                self.load(at, self.body.records)?;
            }
            let record = self.in_page(at)?;
            if !record.starts_with(key) {
                break;
            }
            each(record)?;
            at += 1;
        }
        Ok(())
    }

    /// All records in order. Memory: 64 KiB.
    pub(crate) fn reader(&self) -> TableReader<'_> {
        TableReader::new(&self.body)
    }

    /// Writes the records one after the other, `len() * record_len` bytes.
    #[cfg(test)]
    pub(crate) fn copy_to(&self, out: &mut dyn Write) -> Result<()> {
        let mut reader = self.reader();
        while let Some(records) = reader.chunk()? {
            out.write_all(records).map_err(unwrap_io)?;
        }
        Ok(())
    }

    /// Gives up the filter, so that a table which is only read in order costs no memory.
    pub(super) fn forget_filter(&mut self) {
        self.filter = Filter::none();
        self.misses_left = 0;
        self.page = Vec::new();
    }

    /// A key was looked for in vain. Now and then that costs a pass over the table.
    fn missed(&mut self) -> Result<()> {
        if self.misses_left > 0 {
            self.misses_left -= 1;
            if self.misses_left == 0 {
                let mut filter = Filter::new(self.body.records);
                let mut reader = self.reader();
                while let Some(record) = reader.next()? {
                    filter.add(&record[..self.key_len]);
                }
                self.filter = filter;
            }
        }
        Ok(())
    }

    fn per_page(&self) -> u64 {
        (PAGE_BYTES / self.body.record_len).max(1) as u64
    }

    /// Reads the page of records from `first`, ending before `end`.
    fn load(&mut self, first: u64, end: u64) -> Result<()> {
        let count = self.per_page().min(end.saturating_sub(first));
        let bytes = usize::try_from(count).unwrap_or(0) * self.body.record_len;
        self.page.clear();
        self.page.resize(bytes, 0);
        self.page_first = first;
        let done = self.body.read(first, &mut self.page);
        if done.is_err() {
            self.page.clear();
        }
        done
    }

    fn in_page_count(&self) -> u64 {
        (self.page.len() / self.body.record_len) as u64
    }

    fn covers(&self, at: u64) -> bool {
        at >= self.page_first && at - self.page_first < self.in_page_count()
    }

    fn in_page(&self, at: u64) -> Result<&[u8]> {
        let from = usize::try_from(at.wrapping_sub(self.page_first))
            .ok()
            .and_then(|n| n.checked_mul(self.body.record_len));
        from.and_then(|n| self.page.get(n..)?.get(..self.body.record_len))
            .ok_or_else(|| Error::bug("a table looks outside its page"))
    }

    fn key_at(&self, at: u64) -> Result<&[u8]> {
        Ok(&self.in_page(at)?[..self.key_len])
    }

    /// Number of the first record with this key, its page loaded.
    fn find(&mut self, key: &[u8]) -> Result<Option<u64>> {
        if key.len() != self.key_len {
            return Err(Error::bug("a table was asked for a key of another length"));
        }
        if self.body.records == 0 || !self.filter.may_hold(key) {
            return Ok(None);
        }
        let at = self.lower_bound(key)?;
        if at < self.body.records {
            if !self.covers(at) {
                self.load(at, self.body.records)?;
            }
            if self.key_at(at)? == key {
                return Ok(Some(at));
            }
        }
        self.missed()?;
        Ok(None)
    }

    /// Number of the first record whose key is not smaller.
    fn lower_bound(&mut self, key: &[u8]) -> Result<u64> {
        let wanted = prefix(key);
        let (mut lo, mut hi) = (0, self.body.records);
        let (mut lo_value, mut hi_value) = (0, u64::MAX);
        let mut probes = 0;
        // Records before `lo` are smaller, those from `hi` on are not.
        while lo < hi {
            let first = if probes == 0 && !self.page.is_empty() {
                // The page of the last look-up costs nothing, and keys often come in order.
                self.page_first
            } else {
                let half = self.per_page() / 2;
                let guess = if probes <= INTERPOLATIONS {
                    between(lo, hi, lo_value, hi_value, wanted)
                } else {
                    lo + (hi - lo) / 2
                };
                let last = hi.saturating_sub(self.per_page()).max(lo);
                let first = guess.saturating_sub(half).clamp(lo, last);
                self.load(first, hi)?;
                first
            };
            probes += 1;
            let end = first + self.in_page_count();
            let (a, b) = (self.key_at(first)?, self.key_at(end - 1)?);
            let (a_value, b_value) = (prefix(a), prefix(b));
            if b < key {
                if end > lo {
                    (lo, lo_value) = (end, b_value);
                }
            } else if a >= key {
                if first < hi {
                    (hi, hi_value) = (first, a_value);
                }
            } else {
                // The first is smaller, the last is not: the answer is inside.
                let (mut lo, mut hi) = (first, end - 1);
                while hi - lo > 1 {
                    let middle = lo + (hi - lo) / 2;
                    if self.key_at(middle)? < key {
                        lo = middle;
                    } else {
                        hi = middle;
                    }
                }
                return Ok(hi);
            }
        }
        Ok(lo)
    }
}

/// Where in `lo..hi` a value would lie if values were evenly spread from `lo_value` to `hi_value`.
fn between(lo: u64, hi: u64, lo_value: u64, hi_value: u64, wanted: u64) -> u64 {
    let span = hi_value.saturating_sub(lo_value);
    if span == 0 {
        return lo + (hi - lo) / 2;
    }
    let part = u128::from(wanted.saturating_sub(lo_value).min(span)) * u128::from(hi - lo);
    let step = u64::try_from(part / u128::from(span)).unwrap_or(0);
    (lo + step).min(hi - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;
    use crate::spill::sorter::Sorter;
    use crate::spill::testing::{Rng, tmp};

    fn build(records: &[Vec<u8>], record_len: usize, key_len: usize) -> Result<Table> {
        let mut s = Sorter::new(&tmp(), 10_000);
        for r in records {
            s.add(r)?;
        }
        Table::build(s.finish()?, record_len, key_len, &tmp())
    }

    /// Records whose keys are hashes, few distinct values, counters, or all the same.
    fn sample(rng: &mut Rng, count: usize, record_len: usize, key_len: usize) -> Vec<Vec<u8>> {
        let shape = rng.below(4);
        (0..count)
            .map(|n| {
                let mut r = rng.bytes(record_len);
                match shape {
                    0 => {}
                    1 => r[..key_len].iter_mut().for_each(|b| *b %= 3),
                    2 => {
                        r[..key_len].fill(0);
                        let tail = (n as u64).to_be_bytes();
                        let k = key_len.min(8);
                        r[key_len - k..key_len].copy_from_slice(&tail[8 - k..]);
                    }
                    _ => r[..key_len].fill(9),
                }
                r
            })
            .collect()
    }

    fn compare(table: &mut Table, sorted: &[Vec<u8>], key_len: usize, rng: &mut Rng) {
        assert_eq!(table.len(), sorted.len() as u64);
        let mut reader = table.reader();
        for want in sorted {
            assert_eq!(reader.next().expect("read"), Some(&want[..]));
        }
        assert!(reader.next().expect("end").is_none());
        let mut copy = Vec::new();
        table.copy_to(&mut copy).expect("copy");
        assert!(copy == sorted.concat());
        let mut out = Vec::new();
        for _ in 0..200 {
            let key = if sorted.is_empty() || rng.below(3) == 0 {
                rng.bytes(key_len)
            } else {
                let mut key = sorted[rng.below(sorted.len())][..key_len].to_vec();
                if let Some(last) = key.last_mut().filter(|_| rng.below(3) == 0) {
                    *last ^= 1;
                }
                key
            };
            let want: Vec<&Vec<u8>> = sorted.iter().filter(|r| r.starts_with(&key)).collect();
            let found = table.lookup(&key, &mut out).expect("lookup");
            assert_eq!(found.then_some(&out), want.first().copied());
            assert_eq!(table.contains(&key).expect("contains"), found);
            let mut all = Vec::new();
            let mut each = |r: &[u8]| {
                all.push(r.to_vec());
                Ok(())
            };
            table.lookup_all(&key, &mut each).expect("all");
            assert!(all.iter().eq(want));
        }
    }

    /// Only who asks for what is not there needs one.
    #[test]
    fn a_filter_is_made_after_many_misses_and_changes_no_answer() {
        let mut rng = Rng(6);
        let (there, absent): (Vec<_>, Vec<_>) = (0..6000)
            .map(|_| rng.bytes(12))
            .partition(|key| key[11] % 2 == 0);
        let mut table = build(&there, 12, 12).expect("table");
        let has_filter = |table: &Table| table.misses_left == 0;
        for key in &there {
            assert!(table.contains(key).expect("look"));
        }
        assert!(!has_filter(&table));
        for (n, key) in absent.iter().enumerate() {
            assert!(!table.contains(key).expect("look"));
            assert_eq!(has_filter(&table), n + 1 >= MISSES as usize);
        }
        let passed = absent.iter().filter(|key| table.filter.may_hold(key));
        assert!(passed.count() < absent.len() / 10);
        for key in &there {
            assert!(table.contains(key).expect("look"));
        }
    }

    #[test]
    fn every_shape_of_keys_against_a_plain_list() {
        let mut rng = Rng(3);
        for count in [0, 1, 2, 113, 114, 2000, 5000] {
            for (record_len, key_len) in [(36, 36), (40, 36), (20, 4), (9, 1), (5, 0), (5000, 32)] {
                let count = if record_len > 100 {
                    count.min(50)
                } else {
                    count
                };
                let records = sample(&mut rng, count, record_len, key_len);
                let mut sorted = records.clone();
                sorted.sort();
                let mut table = build(&records, record_len, key_len).expect("build");
                compare(&mut table, &sorted, key_len, &mut rng);

                let mut file = tmp().file().expect("file");
                file.write_all(b"head").expect("write");
                table.copy_to(&mut file).expect("copy");
                let mut adopted =
                    Table::adopt(file, 4, sorted.len() as u64, record_len, key_len, &|_| true)
                        .expect("adopt");
                compare(&mut adopted, &sorted, key_len, &mut rng);
            }
        }
    }

    #[test]
    fn a_damaged_file_is_not_adopted() {
        let file = || {
            let mut f = tmp().file().expect("file");
            f.write_all(b"aabbccbb").expect("write");
            f
        };
        assert!(Table::adopt(file(), 0, 3, 2, 2, &|_| true).is_ok());
        for (offset, records) in [
            (0, 4),
            (0, 5),
            (4, 3),
            (9, 0),
            (0, u64::MAX),
            (u64::MAX, 1),
            (2, u64::MAX / 2),
        ] {
            let e = Table::adopt(file(), offset, records, 2, 2, &|_| true)
                .err()
                .expect("refused");
            assert_eq!(e.kind(), Kind::Damaged, "{offset} {records}");
        }
        assert!(Table::adopt(file(), 0, 1, 0, 0, &|_| true).is_err());
        assert!(Table::adopt(file(), 0, 1, 2, 3, &|_| true).is_err());
    }

    #[test]
    fn wrong_lengths_are_bugs() {
        let mut table = build(&[b"abcd".to_vec()], 4, 2).expect("build");
        assert_eq!(table.contains(b"abc").expect_err("key").kind(), Kind::Bug);
        let e = build(&[b"abcd".to_vec(), b"abcde".to_vec()], 4, 2).err();
        assert_eq!(e.expect("record").kind(), Kind::Bug);
    }

    #[test]
    fn a_full_disk_is_said_with_the_folder() {
        let mut b = TableBuilder::new(&Tmp::full_disk(), 8, 8, 10).expect("new");
        let outcome = (0u64..20_000).try_for_each(|n| b.push(&n.to_be_bytes()));
        let e = outcome.expect_err("no space");
        assert_eq!(e.kind(), Kind::NoSpace);
        assert!(e.to_string().contains("/dev/full"), "{e}");
    }
}
