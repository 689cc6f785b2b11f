use super::*;

fn walked(json: &[u8], max: u64) -> Result<String, Fault> {
    let mut out = String::new();
    let io = |_: &io::Error| Fault::new(Class::Transient, "io");
    let mut input = json;
    read(&mut input, max, &io, &mut |step| {
        let (mark, path, value) = match step {
            Step::Open { path } => ("+", path, String::new()),
            Step::Value { path, value } => ("=", path, format!("{value:?}")),
            Step::Close { path } => ("-", path, String::new()),
        };
        out.push_str(&format!("{mark}{}{value} ", path.join("/")));
        Ok(())
    })?;
    Ok(out)
}

const SAMPLE: &str = r#" {"a":[1,"x\u00e9",null],"b":{"c":true,"d":-1.5e3},"e":"12"} "#;

#[test]
fn events_in_order() {
    assert_eq!(
        walked(SAMPLE.as_bytes(), 100).expect("good"),
        "+ +a =a/[]Number(1) =a/[]Text(\"xé\") =a/[]Null -a +b =b/cBool(true) =b/dReal(-1500.0) -b =eText(\"12\") - "
    );
}

#[test]
fn every_cut_is_a_fault() {
    let json = SAMPLE.trim_end();
    for cut in 0..json.len() {
        let e = walked(&json.as_bytes()[..cut], 100).expect_err("cut");
        assert_eq!(e.class, Class::Protocol, "{cut}");
    }
    for bad in ["{} x", "[1,]", "<html>", "{\"a\":1,}", "nul", "\u{feff}{}"] {
        assert!(walked(bad.as_bytes(), 100).is_err(), "{bad}");
    }
}

#[test]
fn limits_hold() {
    let long = |n: usize| format!("[\"{}\"]", "x".repeat(n));
    assert!(walked(long(TEXT_MAX_BYTES).as_bytes(), 1 << 20).is_ok());
    assert!(walked(long(TEXT_MAX_BYTES + 1).as_bytes(), 1 << 20).is_err());
    assert!(walked(long(10 << 20).as_bytes(), 1 << 30).is_err());
    assert!(walked(long(2000).as_bytes(), 1000).is_err());
    let escaped = format!("[\"{}\"]", "\\u0061".repeat(TEXT_MAX_BYTES));
    assert!(walked(escaped.as_bytes(), 1 << 20).is_ok());
    let key = format!("{{\"{}\":1}}", "k".repeat(KEY_MAX_BYTES + 1));
    assert!(walked(key.as_bytes(), 1 << 20).is_err());
    for (depth, good) in [(DEPTH_MAX, true), (DEPTH_MAX + 2, false), (100_000, false)] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(walked(deep.as_bytes(), 1 << 20).is_ok(), good, "{depth}");
    }
    assert!(walked(" ".repeat(TOKEN_MAX_BYTES + 1).as_bytes(), 1 << 20).is_err());
}

#[test]
fn what_is_not_utf8_becomes_a_byte_that_no_name_has() {
    for (json, want) in [
        (&b"\"a\xffb\""[..], "a\u{7f}b"),
        (b"\"a\xc3\"", "a\u{7f}"),
        (b"\"\xf0\x9f\x98\x80\"", "\u{1f600}"),
    ] {
        let want = format!("={:?} ", Value::Text(want));
        assert_eq!(walked(json, 100).expect("read"), want);
    }
    let mut long = vec![b' '; 4094];
    long.extend_from_slice("\"\u{1f600}\"".as_bytes());
    assert_eq!(
        walked(&long, 1 << 20).expect("over the edge of the buffer"),
        format!("={:?} ", Value::Text("\u{1f600}"))
    );
}

#[test]
fn a_failing_reader_and_a_failing_caller_keep_their_fault() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let io = |_: &io::Error| Fault::new(Class::Transient, "io");
    let mut input = (&b"[1,"[..]).chain(Fails);
    let e = read(&mut input, 100, &io, &mut |_| Ok(())).expect_err("reset");
    assert_eq!(e.class, Class::Transient);
    let full = |_: Step<'_>| Err(Fault::new(Class::Full, "full"));
    let e = read(&mut &b"[1]"[..], 100, &io, &mut { full }).expect_err("full");
    assert_eq!(e.class, Class::Full);
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 7u32;
    let mut random = move |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).expect("24 bits") % n
    };
    let bits = b"\"\\{}[]:,u0 -1.e+n\xff\x00\xc3\xf0dtrue";
    for _ in 0..4000 {
        let mut json = SAMPLE.as_bytes().to_vec();
        for _ in 0..=random(4) {
            let at = random(json.len());
            match random(3) {
                0 => json[at] = bits[random(bits.len())],
                1 => json.insert(at, bits[random(bits.len())]),
                _ => drop(json.remove(at)),
            }
        }
        if let Err(fault) = walked(&json, 4096) {
            assert_eq!(fault.class, Class::Protocol);
            assert!(!fault.text.contains('\n'));
        }
    }
}
