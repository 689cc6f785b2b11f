//! Collects what the parse decides, and ends a block of the stream where the statistics of the data change.

use super::bits::BitWriter;
use super::block::{self, MOST_BEFORE, Step};
use super::count::Counts;

/// Symbols after which it is considered to end a block.
const PIECE_SYMBOLS: u32 = 2000;
/// Steps kept: what is the most of one block.
const MOST_STEPS: usize = 16384;
/// A run of literals is cut here, so that pieces end within it.
pub(super) const MOST_LITERALS: u32 = 4096;
/// Two blocks must be cheaper by this than one: about the bits of a header.
const SPLIT_GAIN: u64 = 600 << 8;

/// So many bytes of a block tell what it is, and so many odd ones among them that it is no text.
const SAMPLE_BYTES: usize = 1024;
const ODD_BYTES: usize = 64;

/// Steps and their statistics (65 KiB): of the open block, and of the piece after it that may join it.
pub(super) struct Pieces {
    steps: Box<[Step]>,
    /// Steps collected, and how many of them are the block's.
    used: usize,
    block_steps: usize,
    block: Counts,
    /// Once it was asked for: most blocks have one piece.
    block_cost: Option<u64>,
    /// Bits of a literal in the last piece, in 256ths.
    literal_bits: u32,
}

/// Collects into [`Pieces`] and writes finished blocks.
pub(super) struct Sink<'a> {
    data: &'a [u8],
    pieces: &'a mut Pieces,
    out: BitWriter<'a>,
    room: usize,
    /// Where the block and the piece begin, and where the next step begins.
    block_at: usize,
    piece_at: usize,
    at: usize,
    /// Of the piece; `at` on, literals are counted before their step is known.
    piece: Counts,
    piece_symbols: u32,
}

impl Pieces {
    pub(super) fn new() -> Pieces {
        Pieces {
            steps: vec![Step::default(); MOST_STEPS].into_boxed_slice(),
            used: 0,
            block_steps: 0,
            block: Counts::new(),
            block_cost: None,
            literal_bits: 0,
        }
    }
}

impl<'a> Sink<'a> {
    /// At most `room` bytes go to `out`, which is longer by [`super::bits::SLACK`], and by [`block::EDGE`] for what is not the last.
    pub(super) fn new(
        data: &'a [u8],
        pieces: &'a mut Pieces,
        out: &'a mut [u8],
        room: usize,
    ) -> Self {
        pieces.used = 0;
        pieces.block_steps = 0;
        pieces.block.clear();
        pieces.block_cost = None;
        pieces.literal_bits = first_literal_bits(data);
        Sink {
            data,
            pieces,
            out: BitWriter::new(out),
            room,
            block_at: 0,
            piece_at: 0,
            at: 0,
            piece: Counts::new(),
            piece_symbols: 0,
        }
    }

    /// The next `literals` bytes, which are counted, then a match. `None`: there is no room for what came before.
    #[inline(never)]
    pub(super) fn step(&mut self, literals: u32, length: u32, distance: u32) -> Option<()> {
        let mut literals = literals;
        if literals > MOST_BEFORE {
            self.run(literals)?;
            literals = 0;
        }
        self.piece.add_match(length, distance);
        self.push(Step::new(literals, length, distance), literals + 1)?;
        self.at += length as usize;
        self.end_long_piece()
    }

    /// As [`Sink::step`], without a match.
    #[inline(never)]
    pub(super) fn run(&mut self, literals: u32) -> Option<()> {
        self.push(Step::of_literals(literals), literals)?;
        self.end_long_piece()
    }

    #[inline(always)]
    fn push(&mut self, step: Step, symbols: u32) -> Option<()> {
        let p = &mut *self.pieces;
        *p.steps.get_mut(p.used)? = step;
        p.used += 1;
        self.piece_symbols += symbols;
        self.at += step.literals();
        Some(())
    }

    #[inline(always)]
    fn end_long_piece(&mut self) -> Option<()> {
        if self.piece_symbols < PIECE_SYMBOLS {
            return Some(());
        }
        self.pieces.literal_bits = self.piece.literal_bits();
        self.end_piece()
    }

    /// The piece joins the block, or the block is written and the piece begins another.
    #[inline(never)]
    fn end_piece(&mut self) -> Option<()> {
        let p = &mut *self.pieces;
        if p.block_steps > 0 {
            let piece_cost = self.piece.cost();
            let block_cost = p.block_cost.unwrap_or_else(|| p.block.cost());
            let both = p.block.cost_with(&self.piece);
            let full = p.used + PIECE_SYMBOLS as usize > MOST_STEPS;
            p.block_cost = Some(both);
            if full || block_cost + piece_cost + SPLIT_GAIN < both {
                self.write_block(false)?;
                let p = &mut *self.pieces;
                p.block.clear();
                p.block_cost = Some(piece_cost);
                p.steps.copy_within(p.block_steps..p.used, 0);
                p.used -= p.block_steps;
                self.block_at = self.piece_at;
            }
        }
        let p = &mut *self.pieces;
        p.block.add(&self.piece);
        p.block_steps = p.used;
        self.piece.clear();
        self.piece_symbols = 0;
        self.piece_at = self.at;
        Some(())
    }

    fn write_block(&mut self, last: bool) -> Option<()> {
        let p = &mut *self.pieces;
        let part = self.block_at..self.piece_at;
        let steps = p.steps.get(..p.block_steps)?;
        block::write(
            &mut self.out,
            self.data,
            part,
            steps,
            &mut p.block,
            last,
            self.room,
        )
    }

    /// Counts a byte that no match covers. Its step comes later.
    #[inline(always)]
    pub(super) fn literal(&mut self, byte: u8) {
        self.piece.literals[usize::from(byte)] += 1;
    }

    /// As [`Sink::literal`], the bytes at these offsets.
    #[inline(always)]
    pub(super) fn literals(&mut self, from: u32, to: u32) {
        self.piece.add_literals(
            self.data
                .get(from as usize..to as usize)
                .unwrap_or_default(),
        );
    }

    /// Bits that a literal takes, in 256ths, as far as is known.
    #[inline(always)]
    pub(super) fn literal_bits(&self) -> u32 {
        self.pieces.literal_bits
    }

    /// Writes what is left; if it is not the `last` of the stream, up to the edge of a byte. The bytes written, `None` when they are
    /// too many.
    pub(super) fn finish(mut self, last: bool) -> Option<usize> {
        if self.piece_symbols > 0 {
            self.end_piece()?;
        }
        self.write_block(last)?;
        if !last {
            block::write_stored(&mut self.out, &[], false);
        }
        Some(self.out.finish())
    }
}

/// A guess before anything is counted: dear where bytes are often neither ASCII text nor white space.
fn first_literal_bits(data: &[u8]) -> u32 {
    let odd = data
        .iter()
        .take(SAMPLE_BYTES)
        .filter(|byte| !matches!(byte, 9..=126));
    match odd.count() {
        0..=ODD_BYTES => 0,
        _ => u32::MAX - 1,
    }
}
