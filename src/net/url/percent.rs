//! Percent coding, as Duplicati's URLs, forms and servers write it.

/// URL decoding: `+` is a space, `%XX` bytes of UTF-8, `%uXXXX` UTF-16 units; what is no escape stays.
pub(crate) fn decode(text: &str) -> String {
    decode_with(text, true)
}

/// Bytes of percent escapes alone, as WebDAV servers write them; `+` and `%u` stay.
#[cfg(any(test, feature = "http", feature = "dest-ssh"))]
pub(crate) fn decode_percent(text: &str) -> String {
    decode_with(text, false)
}

/// `form`: with what only forms and Duplicati's URLs escape.
pub(super) fn decode_with(text: &str, form: bool) -> String {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut units: Vec<u16> = Vec::new();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        if b == b'%'
            && let Some(unit) = bytes
                .get(at + 1)
                .filter(|&&u| form && u == b'u')
                .and_then(|_| hex_value(bytes.get(at + 2..at + 6)?))
        {
            units.push(unit);
            at += 6;
            continue;
        }
        flush_units(&mut units, &mut out);
        let byte = (b == b'%')
            .then(|| hex_value(bytes.get(at + 1..at + 3)?))
            .flatten()
            .and_then(|v| u8::try_from(v).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if form && b == b'+' { b' ' } else { b });
                at += 1;
            }
        }
    }
    flush_units(&mut units, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn flush_units(units: &mut Vec<u16>, out: &mut Vec<u8>) {
    for c in char::decode_utf16(units.drain(..)) {
        let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn hex_value(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0u16, |n, &c| {
        let digit = u16::try_from(char::from(c).to_digit(16)?).ok()?;
        Some(n << 4 | digit)
    })
}

/// Percent-encodes UTF-8 bytes, keeping only unreserved characters (`A-Z a-z 0-9 - . _ ~`).
pub(crate) fn encode(text: &str) -> String {
    encode_keeping(text, b"")
}

/// As [`encode`], keeping `/`.
pub(crate) fn encode_path(text: &str) -> String {
    encode_keeping(text, b"/")
}

fn encode_keeping(text: &str, keep: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for &b in text.as_bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') || keep.contains(&b)
        {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(b >> 4)]));
            out.push(char::from(DIGITS[usize::from(b & 15)]));
        }
    }
    out
}
