//! AES Crypt streams of every version, with all that a writer may do and ours does not: garbage as padding, high bits beside
//! the length, extensions of any kind.

use std::fs;
use std::path::Path;
use std::process::Command;

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use ring::{digest, hmac, pbkdf2};

pub const PASSPHRASE: &str = "p\u{e4}ss \u{1f511}";
const ROUNDS: u32 = 1000;

fn cbc(key: &[u8], iv: &[u8], plain: &[u8]) -> Vec<u8> {
    let cipher = Aes256::new_from_slice(key).expect("a key of 32 bytes");
    let mut last = iv.to_vec();
    let mut out = Vec::new();
    for part in plain.chunks(16) {
        let mixed: Vec<u8> = part.iter().zip(&last).map(|(a, b)| a ^ b).collect();
        let mut block = aes::Block::try_from(mixed.as_slice()).expect("whole blocks");
        cipher.encrypt_block(&mut block);
        last = block.to_vec();
        out.extend(&last);
    }
    out
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, data).as_ref().to_vec()
}

/// As some writer of that version of the format might.
pub fn encrypt(plain: &[u8], version: u8) -> Vec<u8> {
    let iv1: Vec<u8> = (0..16).map(|n| n ^ version).collect();
    let iv2: Vec<u8> = (16..32).collect();
    let k2: Vec<u8> = (32..64).collect();
    let mut k1 = [iv1.as_slice(), &[0; 16]].concat();
    if version < 3 {
        let pw: Vec<u8> = PASSPHRASE
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for _ in 0..8192 {
            k1 = digest::digest(&digest::SHA256, &[k1.as_slice(), &pw].concat())
                .as_ref()
                .to_vec();
        }
    } else {
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            ROUNDS.try_into().expect("not zero"),
            &iv1,
            PASSPHRASE.as_bytes(),
            &mut k1,
        );
    }
    let odd = u8::try_from(plain.len() % 16).expect("below 16");
    let mut padded = plain.to_vec();
    if version == 3 {
        padded.extend(vec![16 - odd; usize::from(16 - odd)]);
    } else if odd > 0 {
        // What the reference program leaves there is whatever was in its buffer.
        padded.extend((odd..16).map(|n| n ^ 0xa5));
    }
    let mut out = b"AES".to_vec();
    out.extend([version, if version == 0 { odd } else { 0 }]);
    if version >= 2 {
        for body in [
            &b"CREATED_BY\0someone else"[..],
            &[0; 128],
            b"no zero",
            b"X\0\xff",
        ] {
            out.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
            out.extend(body);
        }
        out.extend([0, 0]);
    }
    if version == 3 {
        out.extend(ROUNDS.to_be_bytes());
    }
    out.extend(&iv1);
    let (key, iv) = if version == 0 {
        (k1, iv1)
    } else {
        let e1 = cbc(&k1, &iv1, &[iv2.as_slice(), &k2].concat());
        out.extend(&e1);
        let tail: &[u8] = if version == 3 { &[3] } else { &[] };
        out.extend(mac(&k1, &[e1.as_slice(), tail].concat()));
        (k2, iv2)
    };
    let body = cbc(&key, &iv, &padded);
    out.extend(&body);
    if version == 1 || version == 2 {
        out.push(0xf0 | odd);
    }
    out.extend(mac(&key, &body));
    out
}

/// By the gpg program, not compressed; `home` is a folder for what it keeps.
pub fn gpg(plain: &[u8], home: &Path) -> Vec<u8> {
    let from = home.join("plain");
    fs::write(&from, plain).expect("a writable scratch folder");
    let pass = format!("--passphrase={PASSPHRASE}");
    let done = Command::new("gpg")
        .env("GNUPGHOME", home)
        .args(["--batch", "--quiet", "--no-tty", "--pinentry-mode=loopback"])
        .args([pass.as_str(), "--compress-algo=none", "--s2k-count=1024"])
        .args(["--output", "-", "--symmetric"])
        .arg(&from)
        .output()
        .expect("gpg starts");
    assert!(done.status.success(), "{done:?}");
    done.stdout
}

/// Ends what gpg left running there.
pub fn gpg_ends(home: &Path) {
    let _ = Command::new("gpgconf")
        .env("GNUPGHOME", home)
        .args(["--kill", "gpg-agent"])
        .output();
}
