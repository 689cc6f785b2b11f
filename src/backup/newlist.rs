//! The new version's records, made only as far as they differ: while every entry equals the previous version's, nothing is
//! written; at the first difference the equal part is copied once.

use crate::base::error::{Error, Result};
use crate::base::tmp::Tmp;
use crate::format::filelist::Entry;
use crate::set::Record;
use crate::spill::run::{Run, RunWriter};

/// Records of the version being made, sorted by path.
pub(super) struct NewList {
    tmp: Tmp,
    previous: Option<Run>,
    /// Leading records of `previous` that are kept as they are, as long as nothing was written.
    equal: u64,
    out: Option<RunWriter>,
    added: u64,
    /// A stamp that proved nothing was found right.
    proven: bool,
    last: Option<Entry>,
    encoded: Vec<u8>,
}

impl NewList {
    pub(super) fn new(tmp: &Tmp, previous: Option<Run>) -> NewList {
        NewList {
            tmp: tmp.clone(),
            previous,
            equal: 0,
            out: None,
            added: 0,
            proven: false,
            last: None,
            encoded: Vec::new(),
        }
    }

    /// The next previous record stays; `now` carries its new stamps.
    pub(super) fn unchanged(&mut self, old: &Record, now: &Record) -> Result<()> {
        if self.out.is_none() && old.stamp == now.stamp {
            self.equal += 1;
            return Ok(());
        }
        self.push(now)
    }

    /// A record whose stamp proved nothing was looked at: from this run on it proves something, so the time of this run counts.
    pub(super) fn proven(&mut self) {
        self.proven = true;
    }

    /// An encoded previous record stays as it is.
    pub(super) fn keep(&mut self, record: &[u8]) -> Result<()> {
        if self.out.is_none() {
            self.equal += 1;
            return Ok(());
        }
        self.writer()?.push(record)
    }

    /// A previous record that does not come again.
    pub(super) fn skip_old(&mut self) -> Result<()> {
        self.writer().map(|_| ())
    }

    /// A new or changed entry.
    pub(super) fn add(&mut self, record: &Record) -> Result<()> {
        self.added += 1;
        self.last = Some(record.entry.clone());
        self.push(record)
    }

    /// Entries given to `add`.
    pub(super) fn added(&self) -> u64 {
        self.added
    }

    /// True when the entry added last says the same as `old`.
    pub(super) fn last_equals(&self, old: &Entry) -> bool {
        self.last.as_ref() == Some(old)
    }

    fn push(&mut self, record: &Record) -> Result<()> {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        record.encode(&mut encoded);
        let done = self.writer().and_then(|w| w.push(&encoded));
        self.encoded = encoded;
        done
    }

    fn writer(&mut self) -> Result<&mut RunWriter> {
        if self.out.is_none() {
            let mut out = RunWriter::new(&self.tmp);
            if let Some(previous) = &self.previous {
                let mut reader = previous.reader();
                for _ in 0..self.equal {
                    let record = reader
                        .next()?
                        .ok_or_else(|| Error::bug("the previous list is as long as before"))?;
                    out.push(record)?;
                }
            }
            self.out = Some(out);
        }
        self.out
            .as_mut()
            .ok_or_else(|| Error::bug("the list was just opened"))
    }

    /// True when the records, or what their stamps are worth, are not those of the previous version.
    pub(super) fn differs(&self) -> bool {
        self.out.is_some() || self.proven
    }

    /// All records of the new version.
    pub(super) fn finish(self) -> Result<Run> {
        match (self.out, self.previous) {
            (Some(out), _) => out.finish(),
            (None, Some(previous)) => Ok(previous),
            (None, None) => RunWriter::new(&self.tmp).finish(),
        }
    }
}
