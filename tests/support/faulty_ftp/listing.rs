//! Listings as servers write them: with facts, as `ls` does, as DOS did.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Lists;
use super::session::{Session, parent};

impl Session {
    pub(super) fn listing(
        &self,
        verb: &str,
        argument: &str,
    ) -> Result<(Vec<u8>, String), &'static str> {
        let mut words = argument;
        if verb == "LIST" && words.starts_with('-') {
            words = words.split_once(' ').map_or("", |(_, path)| path);
        }
        if self.modes.splits {
            words = words.split(' ').next().unwrap_or("");
        }
        if self.modes.no_list_path && !words.is_empty() {
            return Err("501 No argument, please.");
        }
        let folder = self.path(words);
        let state = self.state.lock().unwrap();
        if !state.folders.contains(&folder) {
            // vsftpd shows an empty folder where there is none.
            return match verb {
                "MLSD" => Err("550 No such directory."),
                _ => Ok((Vec::new(), "226 Directory send OK.".to_owned())),
            };
        }
        let mut lines = Vec::new();
        let inside = |path: &str| parent(path) == folder && path != "/";
        for path in state.folders.iter().filter(|path| inside(path)) {
            lines.push(self.entry(verb, &path[path.rfind('/').unwrap_or(0) + 1..], None));
        }
        for (path, file) in state.files.iter().filter(|(path, _)| inside(path)) {
            let name = &path[path.rfind('/').unwrap_or(0) + 1..];
            lines.push(self.entry(verb, name, Some((file.0.len(), file.1))));
        }
        let cut = lines.len() > self.modes.limit;
        lines.truncate(self.modes.limit);
        let around = match (verb, self.modes.lists) {
            ("MLSD", _) => [self.entry(verb, ".", None), self.entry(verb, "..", None)],
            ("LIST", Lists::Unix | Lists::Facts) => {
                ["total 12\r\n".to_owned(), self.entry(verb, ".", None)]
            }
            _ => [String::new(), String::new()],
        };
        let good = match cut {
            true => format!(
                "226-Options: -a -l \r\n226 Output truncated to {} matches",
                lines.len()
            ),
            false => "226 Directory send OK.".to_owned(),
        };
        Ok(((around.concat() + &lines.concat()).into_bytes(), good))
    }

    /// One line of a listing; `file` has size and time, and is `None` for a folder.
    pub(super) fn entry(&self, verb: &str, name: &str, file: Option<(usize, u64)>) -> String {
        let (size, time) = file.unwrap_or((4096, now()));
        let (year, month, day, hour, minute) = civil(time);
        if verb == "NLST" {
            return format!("{name}\r\n");
        }
        if verb == "MLSD" {
            let kind = match (file, name) {
                (Some(_), _) => "file",
                (None, ".") => "cdir",
                (None, "..") => "pdir",
                (None, _) => "dir",
            };
            return format!(
                "type={kind};size={size};modify={};UNIX.mode=0644; {name}\r\n",
                stamp(time)
            );
        }
        if self.modes.lists == Lists::Dos {
            let half = if hour < 12 { "AM" } else { "PM" };
            let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
            let size = if file.is_some() {
                format!("{size:>20}")
            } else {
                format!("{:<20}", "      <DIR>")
            };
            return format!(
                "{month:02}-{day:02}-{:02}  {hour:02}:{minute:02}{half} {size} {name}\r\n",
                year % 100
            );
        }
        let kind = if file.is_some() {
            "-rw-r--r--"
        } else {
            "drwxr-xr-x"
        };
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let month = months[usize::try_from(month - 1).expect("a month")];
        let when = match now() - time < 180 * 86400 {
            true => format!("{hour:02}:{minute:02}"),
            false => format!(" {year}"),
        };
        format!("{kind}    1 1000     1000     {size:>8} {month} {day:>2} {when} {name}\r\n")
    }
}

pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// Year, month, day, hour and minute in UTC.
fn civil(time: u64) -> (u64, u64, u64, u64, u64) {
    let days = time / 86400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let rest = day - (365 * year + year / 4 - year / 100);
    let part = (5 * rest + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    (
        year,
        month,
        rest - (153 * part + 2) / 5 + 1,
        time / 3600 % 24,
        time / 60 % 60,
    )
}

pub(super) fn stamp(time: u64) -> String {
    let (year, month, day, hour, minute) = civil(time);
    format!(
        "{year}{month:02}{day:02}{hour:02}{minute:02}{:02}",
        time % 60
    )
}
