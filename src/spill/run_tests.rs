use super::*;
use crate::base::error::Kind;
use crate::spill::testing::{Rng, tmp};

fn all(run: &Run, buffer: usize) -> Vec<Vec<u8>> {
    let mut reader = run.reader_with(buffer);
    let mut out = Vec::new();
    while let Some(r) = reader.next().expect("read") {
        out.push(r.to_vec());
    }
    assert!(reader.next().expect("end stays the end").is_none());
    out
}

#[test]
fn what_goes_in_comes_out_at_every_length() {
    let mut rng = Rng(1);
    let mut records: Vec<Vec<u8>> = [
        0,
        0,
        1,
        127,
        128,
        129,
        16_383,
        16_384,
        16_385,
        65_535,
        65_536,
        2_097_151,
        2_097_152,
        MAX_RECORD_BYTES,
    ]
    .into_iter()
    .map(|n| rng.bytes(n))
    .collect();
    records.sort();
    for take in [0, 1, 5, records.len()] {
        let mut w = RunWriter::new(&tmp());
        for r in &records[..take] {
            w.push(r).expect("push");
        }
        let run = w.finish().expect("finish");
        assert_eq!(run.len(), take as u64);
        assert_eq!(run.is_empty(), take == 0);
        for buffer in [1, 100, CHUNK_BYTES] {
            assert!(all(&run, buffer) == records[..take]);
        }
    }
}

#[test]
fn several_readers_do_not_disturb_each_other() {
    let mut w = RunWriter::new(&tmp());
    for n in 0u32..30_000 {
        w.push(&n.to_be_bytes()).expect("push");
    }
    let run = w.finish().expect("finish");
    assert_eq!(run.bytes(), 150_000);
    let (mut a, mut b) = (run.reader(), run.reader());
    for n in 0u32..30_000 {
        assert_eq!(a.next().expect("read"), Some(&n.to_be_bytes()[..]));
        if n % 3 == 0 {
            let third = (n / 3).to_be_bytes();
            assert_eq!(b.next().expect("read"), Some(&third[..]));
        }
    }
}

#[test]
fn disorder_and_over_long_records_are_refused() {
    let mut w = RunWriter::new(&tmp());
    w.push(b"b").expect("push");
    w.push(b"b").expect("equal");
    assert_eq!(w.push(b"a").expect_err("order").kind(), Kind::Bug);
    let long = vec![b'x'; MAX_RECORD_BYTES + 1];
    assert_eq!(w.push(&long).expect_err("length").kind(), Kind::Bug);
}

#[test]
fn a_full_disk_is_said_with_the_folder() {
    let mut w = RunWriter::new(&Tmp::full_disk());
    let mut outcome = Ok(());
    for _ in 0..3 {
        outcome = outcome.and_then(|()| w.push(&[7; CHUNK_BYTES]));
    }
    let e = outcome.expect_err("no space");
    assert_eq!(e.kind(), Kind::NoSpace);
    assert!(e.to_string().contains("/dev/full"), "{e}");
}
