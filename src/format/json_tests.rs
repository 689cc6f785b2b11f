use crate::base::error::{Error, Kind};
use crate::format::filelist::read_list;
use crate::format::index::read_vol;
use crate::format::meta::Attrs;
use std::io::{self, Read};

/// A source without end.
fn endless(head: &'static str, unit: &'static str) -> impl Read {
    struct Cycle(&'static [u8], usize);
    impl Read for Cycle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            for b in out.iter_mut() {
                *b = self.0[self.1];
                self.1 = (self.1 + 1) % self.0.len();
            }
            Ok(out.len())
        }
    }
    head.as_bytes().chain(Cycle(unit.as_bytes(), 0))
}

#[test]
fn no_value_may_be_without_end() {
    for (head, unit) in [
        ("", " "),
        ("[{\"path\":\"", "x"),
        ("[{\"path\":\"", "\\u00e9"),
        ("[{\"", "k"),
        ("[{\"type\":\"", "F"),
        ("[{\"size\":", "1"),
        ("[{\"x\":", "["),
        ("[{\"x\":", "{\"a\":"),
        ("[{\"x\":\"", "y"),
        ("[{\"blocklists\":[", "\"qUiQTy8PR5uPgZdpSzAYSw==\","),
        ("[{\"blocklists\":[\"", "z"),
    ] {
        let e = read_list(&mut endless(head, unit), &mut |_| Ok(())).expect_err(head);
        assert_eq!(e.kind(), Kind::Damaged, "{e}");
    }
}

#[test]
fn a_path_has_a_limit_of_its_own() {
    for (len, fits) in [(65_536, true), (65_537, false)] {
        let json = format!("[{{\"type\":\"Folder\",\"path\":\"{}\"}}]", "p".repeat(len));
        let done = read_list(&mut json.as_bytes(), &mut |_| Ok(()));
        assert_eq!(done.is_ok(), fits, "{len}");
    }
}

#[test]
fn a_failing_stream_is_not_called_damage() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Error::new(Kind::Passphrase, "the passphrase is wrong").into())
        }
    }
    for head in ["", "[{\"type\""] {
        let e = read_list(&mut head.as_bytes().chain(Fails), &mut |_| Ok(()));
        assert_eq!(e.expect_err("fails").kind(), Kind::Passphrase);
        let e = read_vol(&mut "{\"blocks".as_bytes().chain(Fails), &mut |_, _| Ok(()));
        assert_eq!(e.expect_err("fails").kind(), Kind::Passphrase);
    }
}

#[test]
fn random_bytes_never_panic() {
    let seeds: [&[u8]; 3] = [
            br#"[{"type":"File","path":"/x","hash":"1B2M2Y8AsgTpgAmY7PhCfg==","size":12,"time":"19700101T000000Z","metablocklists":["1B2M2Y8AsgTpgAmY7PhCfg=="]}]"#,
            br#"{"blocks":[{"hash":"1B2M2Y8AsgTpgAmY7PhCfg==","size":1}],"volumehash":"1B2M2Y8AsgTpgAmY7PhCfg==","volumesize":7}"#,
            br#"{"unix-ext:user.x":"eA==","unix:uid-gid-perm":"1-2-3","CoreAttributes":"Normal","CoreLastWritetime":"5","x":[{}]}"#,
        ];
    let mut state = 42u32;
    let mut random = move |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).expect("24 bits") % n
    };
    let bits = b"\"\\{}[]:,u0 -1.e+n\xff\x00\xef\xbb\xbfdtrue";
    for round in 0..6000 {
        let mut json = seeds[round % 3].to_vec();
        for _ in 0..=random(4) {
            let at = random(json.len());
            match random(3) {
                0 => json[at] = bits[random(bits.len())],
                1 => json.insert(at, bits[random(bits.len())]),
                _ => drop(json.drain(at..(at + random(9)).min(json.len()))),
            }
            if json.is_empty() {
                json.push(b' ');
            }
        }
        for outcome in [
            read_list(&mut &*json, &mut |_| Ok(())).map(drop),
            read_vol(&mut &*json, &mut |_, _| Ok(())).map(drop),
            Attrs::parse(&json).map(drop),
        ] {
            if let Err(e) = outcome {
                assert_eq!(e.kind(), Kind::Damaged);
                assert!(!e.to_string().contains('\n'));
            }
        }
    }
}
