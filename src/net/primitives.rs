//! Known answers of the ciphers and signatures that TLS stands on, for the self-test. Nothing here talks to a network.

use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use crate::base::bytes::{hex, hex_decode};
use crate::base::error::{Error, Kind, Result};

/// AES-256-GCM with an all-zero key, nonce and block (test case 14 of the GCM paper), then its tag.
const GCM: &str = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919";
/// RFC 8439, 2.8.2.
const CHACHA: &str = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
const TEXT: &[u8] = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
/// RFC 6979, A.2.5: the public point and the signature of "sample".
const POINT: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
const SIGNATURE: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";

/// Fails when an answer is not the published one.
pub(crate) fn check() -> Result<String> {
    let key: Vec<u8> = (0x80..0xa0).collect();
    let nonce = *b"\x07\0\0\0@ABCDEFG";
    let data = b"PQRS\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7";
    seal(&AES_256_GCM, &[0; 32], [0; 12], b"", &[0; 16], GCM)?;
    seal(&CHACHA20_POLY1305, &key, nonce, data, TEXT, CHACHA)?;
    let bytes = |text: &str| hex_decode(text.as_bytes()).ok_or_else(|| wrong("hexadecimal"));
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes(POINT)?);
    let signature = bytes(SIGNATURE)?;
    key.verify(b"sample", &signature)
        .map_err(|_| wrong("the P-256 signature"))?;
    if key.verify(b"simple", &signature).is_ok() {
        return Err(wrong("the P-256 signature"));
    }
    Ok(String::new())
}

fn seal(
    algorithm: &'static Algorithm,
    key: &[u8],
    nonce: [u8; 12],
    data: &[u8],
    plain: &[u8],
    known: &str,
) -> Result<()> {
    let fault = || wrong("the sealed text");
    let nonce = || Nonce::assume_unique_for_key(nonce);
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| fault())?);
    let mut text = plain.to_vec();
    key.seal_in_place_append_tag(nonce(), Aad::from(data), &mut text)
        .map_err(|_| fault())?;
    if hex(&text) != known {
        return Err(fault());
    }
    match key.open_in_place(nonce(), Aad::from(data), &mut text) {
        Ok(opened) if opened == plain => Ok(()),
        _ => Err(fault()),
    }
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::Bug, format!("{what} is not the published one"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn published_answers() {
        assert!(super::check().is_ok());
    }
}
