//! Blocks and streams come back; nothing grows. More of streams: `stream_tests.rs`.

use std::io::{self, Write};

pub(crate) use super::samples::{noise, prose};
use super::*;
use crate::base::error::{Error, Result};
use crate::format::crc32::Crc32;

pub(super) fn inflate_all(data: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut inflater = Inflater::new();
    inflate_with(&mut inflater, data, most)
}

fn inflate_with(inflater: &mut Inflater, data: &[u8], most: usize) -> Result<Vec<u8>> {
    inflater.reset();
    let mut out = Vec::new();
    let mut rest = data;
    let mut piece = [0; 700];
    while out.len() <= most {
        match inflater.step(&mut piece)? {
            Step::Out(n) => out.extend_from_slice(&piece[..n]),
            Step::End => return Ok(out),
            Step::Hungry if rest.is_empty() => return Err(Error::damaged("cut")),
            Step::Hungry => {
                let (head, tail) = rest.split_at(rest.len().min(501));
                inflater.input[..head.len()].copy_from_slice(head);
                inflater.start = 0;
                inflater.end = head.len();
                rest = tail;
            }
        }
    }
    Err(Error::damaged("long"))
}

#[test]
fn blocks_come_back_at_every_level() {
    let mut inflater = Inflater::new();
    for level in 1..=9 {
        let mut d = Deflater::new(level);
        for data in [prose(100_000), prose(50), vec![0; 1_000_000], prose(3)] {
            if let Some(out) = d.deflate(&data) {
                assert!(out.len() < data.len());
                let back = inflate_with(&mut inflater, out, data.len()).unwrap();
                assert!(back == data, "level {level}");
            } else {
                assert!(data.len() < 10);
            }
        }
    }
}

#[test]
fn nothing_grows() {
    for level in [0, 1, 9] {
        let mut d = Deflater::new(level);
        for data in [noise(1 << 17, 1), Vec::new(), vec![7], noise(2000, 2)] {
            assert!(d.deflate(&data).is_none());
        }
    }
    assert!(Deflater::new(0).deflate(&prose(5000)).is_none());
    // The state is usable after giving up.
    let mut d = Deflater::new(1);
    assert!(d.deflate(&noise(1 << 17, 3)).is_none());
    let out = d.deflate(&prose(5000)).unwrap();
    assert_eq!(inflate_all(out, 5000).unwrap(), prose(5000));
}

#[test]
fn samples_tell_text_from_noise() {
    let mut d = Deflater::new(1);
    for len in [4097, 10_240, 102_400, 1 << 20] {
        assert!(d.worth_deflating(&prose(len)), "{len}");
        assert!(!d.worth_deflating(&noise(len, 9)), "{len}");
        let mut half = noise(len / 2, 9);
        half.extend(prose(len - len / 2));
        assert!(d.worth_deflating(&half), "{len}");
    }
    assert!(d.worth_deflating(&noise(100, 9)));
    assert!(!Deflater::new(0).worth_deflating(&prose(10_000)));
    // Even bytes that repeat: the counts say nothing, the sample deflated does.
    let even: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert!(!is_uneven(&even) && d.worth_deflating(&even));
    // A third of the bytes is one value: worth it by the counts alone.
    let mut skewed = noise(9000, 5);
    skewed.iter_mut().step_by(3).for_each(|b| *b = 0);
    assert!(is_uneven(&skewed));
    assert!(!is_uneven(&[]) && !is_uneven(&noise(1024, 6)));
}

#[test]
fn streams_count_and_come_back() {
    let mut shared = Deflater::new(1);
    for data in [Vec::new(), prose(300_000), noise(70_000, 4)] {
        let mut s = DeflateStream::new(Vec::new(), &mut shared);
        for piece in data.chunks(997) {
            s.write_all(piece).unwrap();
        }
        let (out, facts) = s.finish().unwrap();
        assert_eq!(facts.crc, Crc32::of(&data));
        assert_eq!(facts.size, data.len() as u64);
        assert_eq!(facts.compressed, out.len() as u64);
        assert!(inflate_all(&out, data.len()).unwrap() == data);
    }
    let mut own: DeflateStream<Vec<u8>> = DeflateStream::new(Vec::new(), Deflater::new(9));
    own.write_all(b"x").unwrap();
    assert_eq!(inflate_all(&own.finish().unwrap().0, 1).unwrap(), b"x");
}

#[test]
fn an_error_of_the_inner_writer_comes_out() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut s = DeflateStream::new(Full, Deflater::new(1));
    let e = s
        .write_all(&noise(1 << 20, 5))
        .and_then(|()| s.finish().map(|_| ()))
        .unwrap_err();
    assert_eq!(e.raw_os_error(), Some(libc::ENOSPC));
}

#[test]
fn cut_and_changed_streams_end() {
    let data = prose(3000);
    let mut good = Deflater::new(6).deflate(&data).unwrap().to_vec();
    for cut in 0..good.len() {
        assert!(inflate_all(&good[..cut], data.len()).is_err(), "{cut}");
    }
    let mut inflater = Inflater::new();
    let mut seed = 11u64;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = usize::try_from(seed >> 33).unwrap() % good.len();
        let before = good[at];
        good[at] = seed.to_be_bytes()[2];
        if let Ok(out) = inflate_with(&mut inflater, &good, 1 << 16) {
            assert!(out.len() <= 1 << 17);
        }
        good[at] = before;
    }
    assert_eq!(inflate_with(&mut inflater, &good, 3000).unwrap(), data);
}

/// Others get a turn while a block is deflated, and nothing of the result shows it.
#[test]
fn ticks_change_nothing() {
    for level in 1..=9 {
        for data in [prose(1 << 20), noise(1 << 20, 5), vec![7; 1 << 20]] {
            let mut ticks = 0;
            let mut deflater = Deflater::new(level);
            let ticked = deflater.deflate_ticking(&data, &mut || ticks += 1);
            let ticked = ticked.map(<[u8]>::to_vec);
            assert_eq!(
                Deflater::new(level).deflate(&data),
                ticked.as_deref(),
                "level {level}"
            );
            // It gives up early where nothing shrinks.
            assert!(ticks >= 15 || ticked.is_none(), "level {level}: {ticks}");
        }
    }
}
