//! The text forms of identifiers: base32, base36, base58btc and hex, without padding and prefix letters.

use crate::base::bytes::hex_decode;

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Longer text is refused unread; the work grows with the square of the length.
const TEXT_MAX_BYTES: usize = 512;

/// Decodes text with its leading multibase letter. `None` for an unknown letter, a foreign character or stray bits.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_MAX_BYTES || !text.is_ascii() {
        return None;
    }
    let (&letter, rest) = text.as_bytes().split_first()?;
    let lower = rest.iter().all(|c| !c.is_ascii_uppercase());
    let upper = rest.iter().all(|c| !c.is_ascii_lowercase());
    match letter {
        b'b' if lower => base32_decode(rest),
        b'B' if upper => base32_decode(&rest.to_ascii_lowercase()),
        b'k' if lower => radix_decode(rest, BASE36),
        b'K' if upper => radix_decode(&rest.to_ascii_lowercase(), BASE36),
        b'z' => radix_decode(rest, BASE58),
        b'f' if lower => hex_decode(rest),
        b'F' if upper => hex_decode(rest),
        _ => None,
    }
}

/// Base58 without a prefix letter (old identifiers).
pub(crate) fn base58_decode(text: &str) -> Option<Vec<u8>> {
    (text.len() <= TEXT_MAX_BYTES)
        .then(|| radix_decode(text.as_bytes(), BASE58))
        .flatten()
}

/// Lower-case base32 with its letter `b`.
pub(crate) fn base32(data: &[u8]) -> String {
    let mut out = String::from("b");
    let (mut bits, mut count) = (0u32, 0u32);
    for &byte in data {
        bits = (bits << 8) | u32::from(byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            out.push(digit32(bits >> count));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(digit32(bits << (5 - count)));
    }
    out
}

fn digit32(bits: u32) -> char {
    BASE32
        .get((bits & 31) as usize)
        .map_or('a', |&digit| char::from(digit))
}

/// Lower-case base36 with its letter `k`.
pub(crate) fn base36(data: &[u8]) -> String {
    format!("k{}", radix_encode(data, BASE36))
}

/// Base58btc without a letter.
pub(crate) fn base58(data: &[u8]) -> String {
    radix_encode(data, BASE58)
}

fn base32_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0u32, 0u32);
    for &c in text {
        let digit = u32::try_from(BASE32.iter().position(|&d| d == c)?).ok()?;
        bits = (bits << 5) | digit;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (count < 5 && bits == 0).then_some(out)
}

/// A big number in any radix; leading zero digits are leading zero bytes.
fn radix_decode(text: &[u8], alphabet: &[u8]) -> Option<Vec<u8>> {
    let radix = u32::try_from(alphabet.len()).ok()?;
    let mut out: Vec<u8> = Vec::new();
    for &c in text {
        let mut carry = u32::try_from(alphabet.iter().position(|&d| d == c)?).ok()?;
        for byte in &mut out {
            carry += u32::from(*byte) * radix;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        if carry > 0 {
            out.push(u8::try_from(carry).ok()?);
        }
    }
    let zeros = text.iter().take_while(|&&c| Some(&c) == alphabet.first());
    out.extend(zeros.map(|_| 0));
    out.reverse();
    Some(out)
}

fn radix_encode(data: &[u8], alphabet: &[u8]) -> String {
    let radix = u32::try_from(alphabet.len()).unwrap_or(58);
    let mut digits: Vec<u8> = Vec::new();
    for &byte in data {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % radix).to_le_bytes()[0];
            carry /= radix;
        }
        while carry > 0 {
            digits.push((carry % radix).to_le_bytes()[0]);
            carry /= radix;
        }
    }
    let zeros = data.iter().take_while(|&&b| b == 0);
    digits.extend(zeros.map(|_| 0));
    let chars = digits.iter().rev();
    chars
        .filter_map(|&digit| alphabet.get(usize::from(digit)))
        .map(|&digit| char::from(digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::hex;

    #[test]
    fn every_base_both_ways() {
        for data in [&b""[..], b"\0", b"\0\0a", b"hello world", &[0xff; 36]] {
            for text in [
                base32(data),
                base36(data),
                format!("f{}", hex(data)),
                format!("z{}", base58(data)),
            ] {
                assert_eq!(decode(&text).as_deref(), Some(data), "{text}");
            }
        }
        assert_eq!(base32(b"foobar"), "bmzxw6ytboi");
        assert_eq!(base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(decode("BMZXW6YTBOI").as_deref(), Some(&b"foobar"[..]));
        assert_eq!(base58_decode("1112").as_deref(), Some(&[0, 0, 0, 1][..]));
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let long = "b".repeat(513);
        for bad in [
            "",
            "x00",
            "bA",
            "BA",
            "b1",
            "bmzxw6ytbo",
            "baaa",
            "bb",
            "z0",
            "k-",
            "fF",
            "f0",
            &long,
            "bé",
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
