//! Raw deflate in. The state (43 KB) is made once and reset for each use, never rebuilt.
//!
//! Does not know zip: checksums of what is inflated are the reader's matter.

use miniz_oxide::inflate::stream::{InflateState, ZeroReset, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::base::error::{Error, Result};

/// Bytes of compressed input an [`Inflater`] reads at a time.
const INPUT_BYTES: usize = 16 << 10;

/// One decompressor state (43 KB) and its input buffer (16 KiB), for any number of entries.
pub(crate) struct Inflater {
    state: Box<InflateState>,
    pub(crate) input: Vec<u8>,
    /// Range of `input` that was not taken yet.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One step of an [`Inflater`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes came out, at least one.
    Out(usize),
    /// Nothing came out: more input is needed.
    Hungry,
    /// The stream has ended, nothing came out.
    End,
}

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater {
            state: InflateState::new_boxed(DataFormat::Raw),
            input: vec![0; INPUT_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// Ready for another stream; nothing of the last one can come out.
    pub(crate) fn reset(&mut self) {
        self.state.reset_as(ZeroReset);
        self.start = 0;
        self.end = 0;
    }

    /// Inflates from the input buffer to `out` (not empty). Damaged data is `Damaged`.
    pub(crate) fn step(&mut self, out: &mut [u8]) -> Result<Step> {
        loop {
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let done = inflate(&mut self.state, input, out, MZFlush::None);
            self.start = self.start.saturating_add(done.bytes_consumed).min(self.end);
            if done.bytes_written > 0 {
                return Ok(Step::Out(done.bytes_written));
            }
            match done.status {
                Ok(MZStatus::StreamEnd) => return Ok(Step::End),
                Ok(_) if done.bytes_consumed > 0 && self.start < self.end => {}
                Ok(_) | Err(MZError::Buf) if self.start >= self.end => return Ok(Step::Hungry),
                _ => return Err(Error::damaged("the compressed data is not valid")),
            }
        }
    }
}
