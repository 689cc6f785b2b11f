//! Zip archives as any writer of the last years may have made them: variants by [`Style`], nothing checked.

#![allow(
    clippy::cast_possible_truncation,
    reason = "crafted archives are small, and wrong on purpose"
)]

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zip64 {
    #[default]
    No,
    /// Fields of 32 bits hold all ones, the true values follow in an extra field and in the record.
    Marked,
    /// The record is there, yet the end record speaks as if it were not; its count is the true one modulo 65536.
    Unmarked,
}

/// How archives are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// 0 and 8 are true; the data of any other method is not what it says.
    pub method: u16,
    /// Deflate level; 0 stores inside deflate.
    pub level: u8,
    /// Sizes and checksum follow the data.
    pub descriptors: bool,
    pub zip64: Zip64,
    /// `\` for `/` in names.
    pub backslash: bool,
    pub comment: &'static str,
    /// Empty entries are of method 8 without a byte of data.
    pub empty_deflated: bool,
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| {
            (c >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(c & 1))
        })
    })
}

/// An archive; `manifest` is always stored, so that a volume of another method can be told from a broken one.
pub fn zip(entries: &[(String, Vec<u8>)], style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    let mut central = Vec::new();
    let marked = style.zip64 == Zip64::Marked;
    for (name, data) in entries {
        let name = match style.backslash {
            true => name.replace('/', "\\"),
            false => name.clone(),
        };
        let method = match name.as_str() {
            "manifest" => 0,
            _ if data.is_empty() && style.empty_deflated => 8,
            _ => style.method,
        };
        let packed = match method {
            8 if data.is_empty() && style.empty_deflated => Vec::new(),
            8 => miniz_oxide::deflate::compress_to_vec(data, style.level),
            _ => data.clone(),
        };
        let offset = out.len() as u64;
        let flags: u16 = if style.descriptors { 8 } else { 0 };
        let version: u16 = if marked { 45 } else { 20 };
        let sizes = |known: bool| -> (Vec<u8>, Vec<u8>) {
            let (packed, size) = (packed.len() as u64, data.len() as u64);
            if !known {
                return ([0u8; 8].to_vec(), Vec::new());
            }
            if marked {
                let mut extra = [1u16.to_le_bytes(), 16u16.to_le_bytes()].concat();
                extra.extend([size.to_le_bytes(), packed.to_le_bytes()].concat());
                return ([0xff; 8].to_vec(), extra);
            }
            let short = [(packed as u32).to_le_bytes(), (size as u32).to_le_bytes()];
            (short.concat(), Vec::new())
        };
        let crc = crc32(data);
        let head = |crc: u32, sizes: &[u8], extra: usize| {
            let mut head = version.to_le_bytes().to_vec();
            head.extend(flags.to_le_bytes());
            head.extend(method.to_le_bytes());
            head.extend([0, 0, 0x21, 0]);
            head.extend(crc.to_le_bytes());
            head.extend(sizes);
            head.extend((name.len() as u16).to_le_bytes());
            head.extend((extra as u16).to_le_bytes());
            head
        };
        let (local, local_extra) = sizes(!style.descriptors);
        let local_crc = if style.descriptors { 0 } else { crc };
        out.extend(b"PK\x03\x04");
        out.extend(head(local_crc, &local, local_extra.len()));
        out.extend(name.as_bytes());
        out.extend(&local_extra);
        out.extend(&packed);
        if style.descriptors {
            out.extend(b"PK\x07\x08");
            out.extend(crc.to_le_bytes());
            let long = (packed.len() as u64, data.len() as u64);
            if marked {
                out.extend([long.0.to_le_bytes(), long.1.to_le_bytes()].concat());
            } else {
                let short = [(long.0 as u32).to_le_bytes(), (long.1 as u32).to_le_bytes()];
                out.extend(short.concat());
            }
        }
        let (wide, wide_extra) = sizes(true);
        central.extend(b"PK\x01\x02");
        central.extend(version.to_le_bytes());
        central.extend(head(crc, &wide, wide_extra.len()));
        central.extend([0u8; 10]);
        central.extend((offset as u32).to_le_bytes());
        central.extend(name.as_bytes());
        central.extend(&wide_extra);
    }
    let (start, length, count) = (out.len() as u64, central.len() as u64, entries.len() as u64);
    out.extend(central);
    if style.zip64 != Zip64::No {
        let record = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for n in [count, count, length, start] {
            out.extend(n.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(record.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    if marked {
        out.extend([0xff; 12]);
    } else {
        out.extend([(count as u16).to_le_bytes(), (count as u16).to_le_bytes()].concat());
        out.extend([(length as u32).to_le_bytes(), (start as u32).to_le_bytes()].concat());
    }
    out.extend((style.comment.len() as u16).to_le_bytes());
    out.extend(style.comment.as_bytes());
    out
}
