//! Bits out, the first of a byte lowest, as deflate wants them.

/// Writes bits to a buffer whose owner has checked the room: what does not fit is lost, never written elsewhere.
#[derive(Default)]
pub(super) struct BitWriter<'a> {
    out: &'a mut [u8],
    /// Whole bytes written.
    at: usize,
    /// Bits that wait, the next to be written lowest.
    waiting: u64,
    count: u32,
}

/// Bytes that [`BitWriter::flush`] may touch beyond what it writes.
pub(super) const SLACK: usize = 8;

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        BitWriter {
            out,
            at: 0,
            waiting: 0,
            count: 0,
        }
    }

    /// Bits written so far.
    pub(super) fn written(&self) -> u64 {
        self.at as u64 * 8 + u64::from(self.count)
    }

    /// The low `count` bits of `bits`, which has no others. Fewer than 64 bits wait at any time: at most 56 between two flushes.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.waiting |= u64::from(bits) << self.count;
        self.count += count;
        debug_assert!(self.count < 64 && u64::from(bits) >> count == 0);
    }

    /// A code as [`super::lengths::codes`] makes it.
    #[inline(always)]
    pub(super) fn code(&mut self, code: u32) {
        self.put(code >> 8, code & 0xff);
    }

    /// Moves whole bytes to the buffer; at most 7 bits stay.
    #[inline(never)]
    pub(super) fn flush(&mut self) {
        self.flush_here();
    }

    /// As [`BitWriter::flush`], where it is often done.
    #[inline(always)]
    pub(super) fn flush_here(&mut self) {
        if let Some(room) = self
            .out
            .get_mut(self.at..)
            .and_then(|r| r.first_chunk_mut())
        {
            *room = self.waiting.to_le_bytes();
        }
        self.at += (self.count >> 3) as usize;
        self.waiting >>= self.count & 0x38;
        self.count &= 7;
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        self.count = (self.count + 7) & !7;
        self.flush();
    }

    /// Whole bytes as they are, on a byte's edge.
    pub(super) fn bytes(&mut self, data: &[u8]) {
        if let Some(room) = self.out.get_mut(self.at..self.at + data.len()) {
            room.copy_from_slice(data);
        }
        self.at += data.len();
    }

    /// Fills the last byte and tells how many bytes were written.
    pub(super) fn finish(mut self) -> usize {
        self.align();
        self.at
    }
}
