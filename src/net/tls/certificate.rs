//! What of a certificate is read here: dates, version, key. Enough to judge one that a person vouches for, whatever its version
//! and extensions; names and chains are the TLS library's business.

use rustls::pki_types::{AlgorithmIdentifier, alg_id};

use crate::base::bytes::Cursor;
use crate::base::time::Civil;

/// RSA keys the TLS library can use, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The parts of a certificate, as DER.
pub(super) struct Certificate<'a> {
    /// 1 to 3.
    pub(super) version: u8,
    dates: &'a [u8],
    key: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// `None` when it is no certificate.
    pub(super) fn read(der: &'a [u8]) -> Option<Certificate<'a>> {
        let (tag, certificate, _) = element(der)?;
        let (inner, mut at, _) = element(certificate)?;
        if (tag, inner) != (0x30, 0x30) {
            return None;
        }
        let mut version = 1;
        let (first, content, rest) = element(at)?;
        if first == 0xa0 {
            version = element(content)?.1.last()?.saturating_add(1);
            at = rest;
        }
        // Serial number, algorithm, issuer.
        for _ in 0..3 {
            at = element(at)?.2;
        }
        let (_, dates, at) = element(at)?;
        let (_, _, at) = element(at)?;
        let (tag, key, _) = element(at)?;
        (tag == 0x30).then_some(Certificate {
            version,
            dates,
            key,
        })
    }

    /// `notBefore` and `notAfter` in seconds since 1970; `None` when they cannot be read.
    pub(super) fn validity(&self) -> Option<(i64, i64)> {
        let (from_tag, from, rest) = element(self.dates)?;
        let (to_tag, to, _) = element(rest)?;
        Some((date(from_tag, from)?, date(to_tag, to)?))
    }

    /// Its key; the error says what kind the TLS library cannot use, for people.
    pub(super) fn key(&self) -> Result<Key<'a>, String> {
        Key::read(self.key).unwrap_or_else(|| Err("a key that cannot be read".to_owned()))
    }
}

/// A key that signatures can be checked with.
pub(super) struct Key<'a> {
    /// As the TLS library names the kind.
    pub(super) kind: AlgorithmIdentifier,
    pub(super) bytes: &'a [u8],
}

impl<'a> Key<'a> {
    fn read(info: &'a [u8]) -> Option<Result<Key<'a>, String>> {
        let (_, algorithm, rest) = element(info)?;
        let (tag, bits, _) = element(rest)?;
        let (unused, bytes) = bits.split_first()?;
        if tag != 3 || *unused != 0 {
            return None;
        }
        let (tag, name, rest) = element(algorithm)?;
        if tag != 6 {
            return None;
        }
        let good = |kind| Some(Ok(Key { kind, bytes }));
        let bad = |what: &str| Some(Err(what.to_owned()));
        match name {
            RSA => {
                let (_, numbers, _) = element(bytes)?;
                let (_, modulus, _) = element(numbers)?;
                let bits = bit_length(modulus);
                if RSA_BITS.contains(&bits) {
                    return good(alg_id::RSA_ENCRYPTION);
                }
                let word = if bits < 2048 {
                    "at least 2048"
                } else {
                    "at most 8192"
                };
                Some(Err(format!(
                    "an RSA key of {bits} bits ({word} are needed)"
                )))
            }
            RSA_PSS => bad("a key for RSA-PSS only"),
            CURVE => match element(rest).map_or(&[][..], |(_, curve, _)| curve) {
                P256 => good(alg_id::ECDSA_P256),
                P384 => good(alg_id::ECDSA_P384),
                P521 => bad("an EC key on the curve P-521"),
                P224 => bad("an EC key on the curve P-224"),
                P192 => bad("an EC key on the curve P-192"),
                K256 => bad("an EC key on the curve secp256k1"),
                other if other.starts_with(BRAINPOOL) => bad("an EC key on a Brainpool curve"),
                _ => bad("an EC key on a curve of its own"),
            },
            ED25519 => good(alg_id::ED25519),
            ED448 => bad("an Ed448 key"),
            DSA => bad("a DSA key"),
            other if other.starts_with(ML_DSA) => bad("an ML-DSA key"),
            _ => bad("a key of an unknown kind"),
        }
    }
}

// Object identifiers without tag and length.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P192: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];
const P224: &[u8] = &[0x2b, 0x81, 4, 0, 33];
const K256: &[u8] = &[0x2b, 0x81, 4, 0, 10];
const BRAINPOOL: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 112];
const ED448: &[u8] = &[0x2b, 0x65, 113];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const ML_DSA: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3];

/// Bits of a positive number, big-endian.
fn bit_length(number: &[u8]) -> usize {
    let from = number.iter().position(|&b| b != 0).unwrap_or(number.len());
    match number.get(from) {
        Some(first) => (number.len() - from) * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let mut at = Cursor::new(der);
    let tag = at.u8()?;
    let len = match at.u8()? {
        n if n < 0x80 => usize::from(n),
        n => {
            let bytes = at.take(usize::from(n & 0x7f)).filter(|b| b.len() <= 4)?;
            bytes
                .iter()
                .fold(0usize, |sum, &b| sum << 8 | usize::from(b))
        }
    };
    let content = at.take(len)?;
    Some((tag, content, at.rest()))
}

fn date(tag: u8, raw: &[u8]) -> Option<i64> {
    let digits = raw.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pair = |at: usize| {
        Some(u32::from(*digits.get(at)? - b'0') * 10 + u32::from(*digits.get(at + 1)? - b'0'))
    };
    let (year, at) = match (tag, digits.len()) {
        (0x17, 12) => {
            let short = i64::from(pair(0)?);
            (
                if short < 50 {
                    2000 + short
                } else {
                    1900 + short
                },
                2,
            )
        }
        (0x18, 14) => (i64::from(pair(0)?) * 100 + i64::from(pair(2)?), 4),
        _ => return None,
    };
    Civil {
        year,
        month: pair(at)?,
        day: pair(at + 2)?,
        hour: pair(at + 4)?,
        minute: pair(at + 6)?,
        second: pair(at + 8)?,
    }
    .to_unix()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::net::tls) fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match content.len() {
            n @ ..0x80 => out.push(u8::try_from(n).expect("short")),
            n => {
                out.push(0x82);
                out.extend_from_slice(&u16::try_from(n).expect("short").to_be_bytes());
            }
        }
        out.extend_from_slice(content);
        out
    }

    /// Outer shell of a certificate with these dates (tag, text) and this key.
    pub(in crate::net::tls) fn shell(
        from: (u8, &str),
        to: (u8, &str),
        version: Option<u8>,
        key: &[u8],
    ) -> Vec<u8> {
        let dates = [wrap(from.0, from.1.as_bytes()), wrap(to.0, to.1.as_bytes())].concat();
        let mut body = Vec::new();
        if let Some(version) = version {
            body.extend(wrap(0xa0, &[2, 1, version - 1]));
        }
        for tag in [2, 0x30, 0x30] {
            body.extend(wrap(tag, &[1]));
        }
        body.extend(wrap(0x30, &dates));
        body.extend(wrap(0x30, &[]));
        body.extend(wrap(0x30, key));
        wrap(0x30, &wrap(0x30, &body))
    }

    /// A key of this kind.
    pub(in crate::net::tls) fn key(name: &[u8], more: &[u8], bytes: &[u8]) -> Vec<u8> {
        let algorithm = [wrap(6, name), more.to_vec()].concat();
        [wrap(0x30, &algorithm), wrap(3, &[&[0], bytes].concat())].concat()
    }

    pub(in crate::net::tls) fn ec(curve: &[u8]) -> Vec<u8> {
        key(CURVE, &wrap(6, curve), &[4; 65])
    }

    pub(in crate::net::tls) fn p521() -> Vec<u8> {
        ec(P521)
    }

    fn rsa(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        let numbers = [wrap(2, &[&[0][..], &modulus].concat()), wrap(2, &[1, 0, 1])].concat();
        key(RSA, &wrap(5, &[]), &wrap(0x30, &numbers))
    }

    #[test]
    fn dates_of_certificates() {
        let utc = (0x17, "240131123456Z");
        let general = (0x18, "20991231235959Z");
        let validity = |der: &[u8]| Certificate::read(der).and_then(|c| c.validity());
        for version in [Some(3), Some(1), None] {
            let der = shell(utc, general, version, &ec(P256));
            assert_eq!(validity(&der), Some((1_706_704_496, 4_102_444_799)));
            let read = Certificate::read(&der).expect("whole");
            assert_eq!(read.version, version.unwrap_or(1));
            for cut in 0..der.len() {
                assert!(Certificate::read(&der[..cut]).is_none());
            }
        }
        for from in ["24013112345Z", "991331000000Z", "240131123456+0100"] {
            assert_eq!(
                validity(&shell((0x17, from), general, None, &ec(P256))),
                None
            );
        }
        assert_eq!(date(0x17, b"500101000000Z"), Some(-631_152_000));
    }

    #[test]
    fn kinds_of_keys() {
        let utc = (0x17, "240131123456Z");
        let said = |info: &[u8]| {
            let der = shell(utc, utc, Some(3), info);
            let found = Certificate::read(&der).expect("whole").key();
            found.map(|k| k.kind).err().unwrap_or_default()
        };
        for good in [
            rsa(2048),
            rsa(3072),
            rsa(8192),
            ec(P256),
            ec(P384),
            key(ED25519, &[], &[7; 32]),
            // Some leave out the parameters, which say nothing.
            key(RSA, &[], &rsa(2048)[rsa(2048).len() - 270..]),
        ] {
            assert_eq!(said(&good), "", "{good:02x?}");
        }
        for (bad, part) in [
            (rsa(512), "RSA key of 512 bits"),
            (rsa(1024), "RSA key of 1024 bits"),
            (rsa(2047), "RSA key of 2047 bits"),
            (rsa(16384), "RSA key of 16384 bits (at most 8192"),
            (key(RSA_PSS, &wrap(0x30, &[]), &[1]), "RSA-PSS"),
            (ec(P521), "P-521"),
            (ec(P224), "P-224"),
            (ec(P192), "P-192"),
            (ec(K256), "secp256k1"),
            (ec(&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7]), "Brainpool"),
            (key(CURVE, &wrap(0x30, &[1]), &[4]), "of its own"),
            (key(ED448, &[], &[7; 57]), "Ed448"),
            (key(DSA, &[], &[7]), "DSA"),
            (
                key(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17], &[], &[7]),
                "ML-DSA",
            ),
            (key(&[1, 2, 3], &[], &[7]), "unknown kind"),
            (vec![0x30, 0], "cannot be read"),
        ] {
            assert!(said(&bad).contains(part), "{part}: {}", said(&bad));
        }
    }
}
