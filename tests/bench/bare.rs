//! What the arithmetic of a first backup costs, without files, formats and book-keeping: the yardstick of `make bench`.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use aes::Aes256Enc;
use aes::cipher::{
    Array, Block, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser,
    KeyInit,
};
use block_deflate::Encoder;
use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress};
use ring::{digest, hmac};

use crate::child::{Cost, own_cpu};

/// The program's default.
pub const LEVEL: u8 = 3;
const BLOCK_BYTES: usize = 1 << 20;
/// Read this much, then measure: reading is not part of the bare cost.
const BATCH_BYTES: usize = 32 << 20;
const PIECE_BYTES: usize = 1024;
const GLANCE_BYTES: usize = 256;

/// Calls `each` with every regular file below a folder.
pub fn walk(folder: &Path, each: &mut dyn FnMut(&Path)) {
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => each(&entry.path()),
                _ => {}
            }
        }
    }
}

/// One compressor for all blocks, and the rule that what does not shrink is stored: as the program does it.
pub struct Packer {
    deflate: Deflate,
    out: Vec<u8>,
    sample: Vec<u8>,
}

enum Deflate {
    Own(Box<Encoder>),
    Miniz(Box<CompressorOxide>),
}

impl Packer {
    /// As the program does it.
    pub fn new(level: u8) -> Packer {
        Packer::by(Deflate::Own(Box::new(Encoder::new(level))))
    }

    /// By miniz_oxide, to compare with.
    pub fn miniz(level: u8) -> Packer {
        let mut core = Box::new(CompressorOxide::default());
        core.set_format_and_level(DataFormat::Raw, level);
        Packer::by(Deflate::Miniz(core))
    }

    fn by(deflate: Deflate) -> Packer {
        Packer {
            deflate,
            out: Vec::new(),
            sample: Vec::new(),
        }
    }

    /// The block as it is stored.
    pub fn pack<'a>(&'a mut self, block: &'a [u8]) -> &'a [u8] {
        if !self.worth(block) {
            return block;
        }
        match self.shorter(block, block.len().saturating_sub(1)) {
            Some(written) => &self.out[..written],
            None => block,
        }
    }

    fn worth(&mut self, block: &[u8]) -> bool {
        if block.len() <= 4 * PIECE_BYTES {
            return true;
        }
        let mut sample = std::mem::take(&mut self.sample);
        take_sample(block, GLANCE_BYTES, &mut sample);
        let mut worth = is_uneven(&sample);
        if !worth {
            take_sample(block, PIECE_BYTES, &mut sample);
            let most = sample.len() - sample.len() / 64;
            worth = is_uneven(&sample) || self.shorter(&sample, most).is_some();
        }
        self.sample = sample;
        worth
    }

    fn shorter(&mut self, data: &[u8], room: usize) -> Option<usize> {
        if self.out.len() < room {
            self.out.resize(room, 0);
        }
        let out = &mut self.out[..room];
        match &mut self.deflate {
            Deflate::Own(encoder) => {
                let packed = encoder.deflate(data, &mut || {})?;
                out.get_mut(..packed.len())?.copy_from_slice(packed);
                Some(packed.len())
            }
            Deflate::Miniz(core) => {
                core.reset();
                let (status, _, written) = compress(core, data, out, TDEFLFlush::Finish);
                (status == TDEFLStatus::Done).then_some(written)
            }
        }
    }
}

fn take_sample(block: &[u8], piece: usize, sample: &mut Vec<u8>) {
    let pieces = (block.len() / (4 * PIECE_BYTES)).clamp(1, 8);
    sample.clear();
    for part in block.chunks_exact(block.len() / pieces) {
        sample.extend(part.iter().skip((part.len() - piece) / 2).take(piece));
    }
}

fn is_uneven(sample: &[u8]) -> bool {
    let mut counts = [0u64; 256];
    sample.iter().for_each(|&b| counts[usize::from(b)] += 1);
    let len = sample.len() as u64;
    2 * 256 * (counts.iter().map(|n| n * n).sum::<u64>() - len) > 3 * len * len
}

/// Cipher block chaining over a slice, with one dispatch on the processor's features.
struct Chain<'a> {
    blocks: &'a mut [Block<Aes256Enc>],
    chain: &'a mut Block<Aes256Enc>,
}

impl BlockSizeUser for Chain<'_> {
    type BlockSize = <Aes256Enc as BlockSizeUser>::BlockSize;
}

impl BlockCipherEncClosure for Chain<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = Self::BlockSize>>(self, backend: &B) {
        let mut chain = *self.chain;
        for block in self.blocks {
            for (c, b) in chain.iter_mut().zip(block.iter()) {
                *c ^= b;
            }
            backend.encrypt_block_inplace(&mut chain);
            *block = chain;
        }
        *self.chain = chain;
    }
}

struct Bare {
    packer: Packer,
    cipher: Aes256Enc,
    chain: Block<Aes256Enc>,
    mac: hmac::Context,
    volume: digest::Context,
    known: HashSet<[u8; 32]>,
    buffer: Vec<u8>,
}

impl Bare {
    fn file(&mut self, data: &[u8]) {
        if data.len() > BLOCK_BYTES {
            std::hint::black_box(digest::digest(&digest::SHA256, data));
        }
        for block in data.chunks(BLOCK_BYTES) {
            let id = digest::digest(&digest::SHA256, block);
            if !self.known.insert(id.as_ref().try_into().unwrap()) {
                continue;
            }
            self.buffer.clear();
            self.buffer.extend_from_slice(self.packer.pack(block));
            self.buffer
                .resize(self.buffer.len().next_multiple_of(16), 0);
            let (blocks, _) = Array::slice_as_chunks_mut(&mut self.buffer);
            self.cipher.encrypt_with_backend(Chain {
                blocks,
                chain: &mut self.chain,
            });
            self.mac.update(&self.buffer);
            self.volume.update(&self.buffer);
        }
    }
}

/// The bare cost of a first backup of a folder.
pub fn cost(source: &Path, level: u8) -> Cost {
    let key = [7; 32];
    let mut bare = Bare {
        packer: Packer::new(level),
        cipher: Aes256Enc::new(&Array(key)),
        chain: Array([0; 16]),
        mac: hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key)),
        volume: digest::Context::new(&digest::SHA256),
        known: HashSet::new(),
        buffer: Vec::new(),
    };
    let mut cpu = 0.0;
    let mut paths: Vec<PathBuf> = Vec::new();
    walk(source, &mut |path| paths.push(path.to_path_buf()));
    let mut batch: Vec<Vec<u8>> = Vec::new();
    let mut held = 0;
    let mut spend = |batch: &mut Vec<Vec<u8>>| {
        let start = own_cpu();
        for data in batch.drain(..) {
            bare.file(&data);
        }
        cpu += own_cpu() - start;
    };
    for path in paths {
        // A file larger than a batch is measured in pieces of whole blocks.
        let Ok(mut file) = fs::File::open(&path) else {
            continue;
        };
        loop {
            let mut data = Vec::new();
            let got = (&mut file)
                .take(BATCH_BYTES as u64)
                .read_to_end(&mut data)
                .unwrap_or(0);
            if got == 0 {
                break;
            }
            held += got;
            batch.push(data);
            if held >= BATCH_BYTES {
                spend(&mut batch);
                held = 0;
            }
        }
    }
    spend(&mut batch);
    Cost {
        wall: cpu,
        cpu,
        user: cpu,
        peak_kib: 0,
        code: 0,
    }
}
