//! The line of progress: what fits of files, bytes, rate, time left and the current name.

use std::time::Duration;

use crate::base::size::{show_size, show_span};
use crate::base::text;

/// A name is shown where at least so many columns are left.
const NAME_LEAST: usize = 12;

/// One line of progress; `0` in a total means unknown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) files: u64,
    pub(crate) files_total: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
}

/// As [`progress_line`] with `name`, what is being read or written, behind it as far as there is room: of a long one the end,
/// which tells most. Of a terminal whose width is not known the name could take a second line, so it is left out.
pub(super) fn named_line(
    what: &str,
    p: Progress,
    elapsed: Duration,
    room: Option<usize>,
    name: &[u8],
) -> String {
    let Some(room) = room else {
        return progress_line(what, p, elapsed, usize::MAX);
    };
    let mut line = progress_line(what, p, elapsed, room);
    let left = room.saturating_sub(line.chars().count() + 2);
    if name.is_empty() || left < NAME_LEAST {
        return line;
    }
    let name = text::safe(name);
    let whole: usize = name.chars().map(columns).sum();
    line.push_str("  ");
    if whole <= left {
        line.push_str(&name);
        return line;
    }
    let mut room = left - 3;
    let mut from = name.len();
    for (at, c) in name.char_indices().rev() {
        let Some(rest) = room.checked_sub(columns(c)) else {
            break;
        };
        (room, from) = (rest, at);
    }
    line.push_str("...");
    line.push_str(&name[from..]);
    line
}

/// Columns that a character takes at most: two from the first of the wide scripts on.
fn columns(c: char) -> usize {
    1 + usize::from(c >= '\u{1100}')
}

/// One line of at most `room` columns: what does not fit is left out, the rate first, and at the end it is cut. Text of
/// progress is plain ASCII, a column a character.
fn progress_line(what: &str, p: Progress, elapsed: Duration, room: usize) -> String {
    let mut files = p.files.to_string();
    if p.files_total > 0 {
        files.push_str(&format!("/{}", p.files_total));
    }
    files.push_str(" files");
    // Where files are not counted one by one, bytes tell alone.
    if p.files == 0 && p.files_total == 0 && p.bytes_total > 0 {
        files.clear();
    }
    let (mut bytes, mut rated, mut left) = (String::new(), String::new(), String::new());
    if p.bytes > 0 || p.bytes_total > 0 {
        bytes = show_size(p.bytes);
        if p.bytes_total > 0 {
            bytes.push_str(&format!(" of {}", show_size(p.bytes_total)));
        }
        let ms = u64::try_from(elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let rate = p.bytes.saturating_mul(1000) / ms;
        rated = format!("{}/s", show_size(rate));
        if p.bytes_total > p.bytes && rate > 0 {
            left = format!("{} left", show_span((p.bytes_total - p.bytes) / rate));
        }
    }
    let line = |parts: &[&str]| {
        let there: Vec<&str> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
        format!("{what}: {}", there.join(", "))
    };
    let forms: [&[&str]; 4] = [
        &[&files, &bytes, &rated, &left],
        &[&files, &bytes, &left],
        &[&files, &bytes],
        &[&files, &left],
    ];
    let mut lines = forms.into_iter().map(line);
    let fits = lines.find(|line| line.chars().count() <= room);
    fits.unwrap_or_else(|| line(&[&files]).chars().take(room).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_files_bytes_rate_and_time_left() {
        let p = Progress {
            files: 3,
            files_total: 10,
            bytes: 10 << 20,
            bytes_total: 110 << 20,
        };
        assert_eq!(
            progress_line("backup", p, Duration::from_secs(1), 80),
            "backup: 3/10 files, 10.00 MiB of 110.00 MiB, 10.00 MiB/s, 10s left"
        );
        for (room, want) in [
            (
                66,
                "backup: 3/10 files, 10.00 MiB of 110.00 MiB, 10.00 MiB/s, 10s left",
            ),
            (65, "backup: 3/10 files, 10.00 MiB of 110.00 MiB, 10s left"),
            (50, "backup: 3/10 files, 10.00 MiB of 110.00 MiB"),
            (30, "backup: 3/10 files, 10s left"),
            (20, "backup: 3/10 files"),
            (10, "backup: 3/"),
            (1, "b"),
        ] {
            let line = progress_line("backup", p, Duration::from_secs(1), room);
            assert_eq!(line, want, "{room}");
        }
        // Blocks of a restore come by volumes, not by files.
        let p = Progress {
            files: 0,
            files_total: 0,
            ..p
        };
        for (room, want) in [
            (
                60,
                "restore: 10.00 MiB of 110.00 MiB, 10.00 MiB/s, 10s left",
            ),
            (45, "restore: 10.00 MiB of 110.00 MiB, 10s left"),
            (35, "restore: 10.00 MiB of 110.00 MiB"),
            (20, "restore: 10s left"),
        ] {
            let line = progress_line("restore", p, Duration::from_secs(1), room);
            assert_eq!(line, want, "{room}");
        }
        assert_eq!(
            progress_line(
                "list",
                Progress {
                    files: 3,
                    ..Progress::default()
                },
                Duration::from_secs(1),
                usize::MAX
            ),
            "list: 3 files"
        );
    }

    #[test]
    fn the_current_name_takes_what_is_left_of_the_line() {
        let p = Progress {
            files: 3,
            ..Progress::default()
        };
        let line =
            |room, name: &str| named_line("list", p, Duration::from_secs(1), room, name.as_bytes());
        assert_eq!(line(Some(40), "/home/a.txt"), "list: 3 files  /home/a.txt");
        assert_eq!(
            line(Some(30), "/home/alice/a.txt"),
            "list: 3 files  .../alice/a.txt"
        );
        assert_eq!(line(Some(26), "/home/alice/a.txt"), "list: 3 files");
        assert_eq!(line(None, "/home/alice/a.txt"), "list: 3 files");
        assert_eq!(line(Some(40), "a\nb"), "list: 3 files  a\\nb");
        let wide = line(
            Some(30),
            "/\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}.txt",
        );
        assert!(
            wide.ends_with("\u{65e5}.txt") && wide.contains("  ..."),
            "{wide}"
        );
        let columns: usize = wide.chars().map(columns).sum();
        assert!(columns <= 30, "{columns}");
    }
}
