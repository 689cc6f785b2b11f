//! Sizes (`50mb`, powers of 1024) and time spans (`1D12h`, `90`): parse and print (`commands.md` 4).

/// Parses `<int>[b|k|kb|kib|m|mb|mib|g|gb|gib|t|tb|tib]`, case-insensitive; without a suffix `unit` bytes are meant.
/// `None` when it is anything else or does not fit.
pub(crate) fn parse_size(text: &str, unit: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" => unit,
        "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// `512 bytes`, `1.50 KiB`, `2.00 GiB`.
pub(crate) fn show_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return crate::base::text::count(bytes, "byte");
    }
    let mut index = 0;
    let mut scale = 1024u64;
    while index < 3 && bytes / scale >= 1024 {
        index += 1;
        scale *= 1024;
    }
    let hundredths = u128::from(bytes) * 100 / u128::from(scale);
    format!(
        "{}.{:02} {}",
        hundredths / 100,
        hundredths % 100,
        UNITS[index]
    )
}

/// Parses a span into seconds: a plain integer is seconds; else `<int><unit>` repeated with the case-sensitive units
/// `s m h D W M Y` (`M` = 30 days, `Y` = 365 days); parts may be negative. Empty text is 0.
pub(crate) fn parse_span(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds);
    }
    let mut total = 0i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .char_indices()
            .find(|&(i, c)| !(c.is_ascii_digit() || (i == 0 && (c == '-' || c == '+'))))
            .map(|(i, _)| i)?;
        let number: i64 = rest[..digits].parse().ok()?;
        let mut tail = rest[digits..].chars();
        let unit = match tail.next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'D' => 86_400,
            'W' => 7 * 86_400,
            'M' => 30 * 86_400,
            'Y' => 365 * 86_400,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = tail.as_str();
    }
    Some(total)
}

/// A span whose units are right but for their case, as it should be written: `3d` is `3D`. `None` when nothing is wrong, or
/// more than that.
pub(crate) fn nearly_span(text: &str) -> Option<String> {
    let text = text.trim();
    let fixed: String = text
        .chars()
        .map(|c| match c {
            'd' | 'w' | 'y' => c.to_ascii_uppercase(),
            'S' | 'H' => c.to_ascii_lowercase(),
            _ => c,
        })
        .collect();
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    (begins && fixed != text && parse_span(&fixed).is_some()).then_some(fixed)
}

/// What to write in the place of a span with a fraction (`0.2s`, `1,5`), as a hint; empty for any other text.
pub(crate) fn not_whole(text: &str) -> &'static str {
    let rest = text.trim().trim_start_matches('-');
    let parts = rest.split_once(['.', ',']).is_some_and(|(whole, rest)| {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let has_fraction = digits(&rest[..rest.len() - unit.len()]);
        digits(whole) && has_fraction && unit.chars().all(char::is_alphabetic)
    });
    match parts {
        true => "in whole numbers with a unit each, such as 1s or 1h30m",
        false => "",
    }
}

/// `0s`, `59s`, `1m05s`, `3h20m`, `2D04h`.
pub(crate) fn show_span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}D{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("50mb", Some(52_428_800)),
            ("1GiB", Some(1_073_741_824)),
            ("500", Some(512_000)),
            ("7 b", Some(7)),
            ("1.5mb", None),
            ("", None),
            ("-1kb", None),
            ("99999999999tb", None),
            ("10xb", None),
        ] {
            assert_eq!(parse_size(text, 1024), want, "{text}");
        }
        for (n, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1536, "1.50 KiB"),
            (1 << 30, "1.00 GiB"),
            (u64::MAX, "16777215.99 TiB"),
        ] {
            assert_eq!(show_size(n), text);
        }
    }

    #[test]
    fn spans() {
        for (text, want) in [
            ("90", Some(90)),
            ("1h30m", Some(5400)),
            ("1D", Some(86_400)),
            ("1D-1s", Some(86_399)),
            ("1M", Some(2_592_000)),
            ("1Y", Some(31_536_000)),
            ("", Some(0)),
            ("5x", None),
            ("1h30", None),
            ("h", None),
        ] {
            assert_eq!(parse_span(text), want, "{text}");
        }
        for (text, want) in [
            ("3d", Some("3D")),
            ("2w", Some("2W")),
            ("1y6M", Some("1Y6M")),
            ("12H", Some("12h")),
            ("3D", None),
            ("x3d", None),
            ("d", None),
            ("notes.d", None),
        ] {
            assert_eq!(nearly_span(text).as_deref(), want, "{text}");
        }
        for (text, is_fraction) in [
            ("0.2s", true),
            ("1,5h", true),
            ("-0.5", true),
            ("1.5 s", false),
            ("1.s", false),
            (".5s", false),
            ("2026.03.01", false),
            ("1h", false),
            ("x1.5h", false),
        ] {
            assert_eq!(!not_whole(text).is_empty(), is_fraction, "{text}");
        }
        for (n, text) in [
            (0, "0s"),
            (65, "1m05s"),
            (12_000, "3h20m"),
            (187_200, "2D04h"),
        ] {
            assert_eq!(show_span(n), text);
        }
    }
}
