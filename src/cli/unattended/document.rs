//! The result of a run as others get it: the object of `--json` with what Duplicati's reports hold beside it, and in words.

use std::io;

use crate::base::error::Result;
use crate::base::json::{JsonWriter, push_string};
use crate::base::time::Timestamp;
use crate::cli::{Outcome, frame};

/// Result lines in a message.
const LINES_AT_MOST: usize = 40;

/// What is known at the end of a run.
pub(super) struct Facts<'a> {
    /// Duplicati's word for the command.
    pub(super) operation: &'static str,
    pub(super) command: Option<&'static str>,
    pub(super) name: Option<&'a str>,
    /// The machine's name; empty when it has none.
    pub(super) host: String,
    pub(super) begun: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) result: &'a Result<Outcome>,
    pub(super) code: u8,
    /// The object as far as the command and the frame wrote it; `None` when it was too long to keep.
    pub(super) json: Option<&'a [u8]>,
    /// The object is whole, with the frame's end.
    pub(super) framed: bool,
    pub(super) lines: &'a [String],
    pub(super) messages: &'a [String],
    pub(super) warnings: u64,
    pub(super) errors: u64,
}

/// The result in every form that is asked for.
pub(super) struct Told {
    pub(super) operation: &'static str,
    pub(super) name: String,
    pub(super) host: String,
    /// `Success`, `Warning`, `Error` or `Fatal`.
    pub(super) parsed: &'static str,
    pub(super) code: u8,
    /// One object, ended by a line end.
    pub(super) json: String,
    /// Some lines of text.
    pub(super) words: String,
    /// Warnings and errors.
    pub(super) messages: Vec<String>,
    /// Why the run failed.
    pub(super) failure: Option<String>,
}

impl Told {
    pub(super) fn of(facts: &Facts<'_>) -> Told {
        let failure = facts.result.as_ref().err().map(ToString::to_string);
        Told {
            operation: facts.operation,
            name: facts.name.unwrap_or_default().to_owned(),
            host: facts.host.clone(),
            parsed: parsed(facts.result, facts.code),
            code: facts.code,
            json: json(facts).unwrap_or_default(),
            words: words(facts, failure.as_deref()),
            messages: facts.messages.to_vec(),
            failure,
        }
    }

    /// False when somebody has to look after the backup.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.parsed, "Success" | "Warning")
    }
}

/// Duplicati's word for a command.
pub(super) fn operation(command: &str) -> &'static str {
    match command {
        "backup" => "Backup",
        "restore" => "Restore",
        "delete" => "Delete",
        "compact" => "Compact",
        "repair" => "Repair",
        "verify" => "Test",
        "copy" => "Copy",
        "compare" => "ListChanges",
        "purge" => "PurgeFiles",
        "purge-broken-files" => "PurgeBrokenFiles",
        "list-broken-files" => "ListBrokenFiles",
        "affected" => "ListAffected",
        "cat" => "Restore",
        "mount" => "Mount",
        "remote" => "Remote",
        "test-filters" => "TestFilters",
        _ => "List",
    }
}

/// Duplicati's word for how a run ended.
fn parsed(result: &Result<Outcome>, code: u8) -> &'static str {
    match (result, code) {
        (Err(_), 50) => "Warning",
        (Err(_), _) => "Fatal",
        (_, 3) => "Error",
        (_, 0 | 1) => "Success",
        _ => "Warning",
    }
}

/// The object of `--json`, ended with what all commands say and with Duplicati's fields.
fn json(facts: &Facts<'_>) -> io::Result<String> {
    let mut w = JsonWriter::new(Vec::new());
    w.begin_object()?;
    let head = match facts.json {
        Some(json) => json.trim_ascii_end(),
        None => {
            w.key("Command")?;
            match facts.command {
                Some(command) => w.string(command.as_bytes())?,
                None => w.null()?,
            }
            w.key("Cut")?;
            w.boolean(true)?;
            b""
        }
    };
    let framed = facts.framed && facts.json.is_some();
    // A command line that is wrong was not understood when the object began.
    let key = b"\"BackupName\":";
    if let Some(name) = facts.name
        && !head.windows(key.len()).any(|part| part == key)
    {
        w.key("BackupName")?;
        w.string(name.as_bytes())?;
    }
    if !framed {
        let counts = (facts.warnings, facts.errors);
        frame::rest(&mut w, facts.result, facts.code, counts, facts.messages)?;
    }
    for (key, value) in [
        ("MainOperation", facts.operation),
        ("ParsedResult", parsed(facts.result, facts.code)),
        ("Host", facts.host.as_str()),
        ("BeginTime", &facts.begun.iso()),
        ("EndTime", &facts.ended.iso()),
        ("Duration", &duration(facts)),
    ] {
        w.key(key)?;
        w.string(value.as_bytes())?;
    }
    w.key("Interrupted")?;
    w.boolean(facts.code == 50)?;
    w.key("Version")?;
    w.string(env!("CARGO_PKG_VERSION").as_bytes())?;
    w.close_to(0)?;
    let tail = w.finish();
    let open = head.strip_suffix(b"}").filter(|_| framed);
    let mut whole = open.unwrap_or(head).to_vec();
    match whole.is_empty() {
        true => whole = tail,
        // Its first byte opens an object that is open already.
        false => {
            whole.push(b',');
            whole.extend_from_slice(tail.get(1..).unwrap_or_default());
        }
    }
    whole.push(b'\n');
    Ok(String::from_utf8_lossy(&whole).into_owned())
}

/// `HH:MM:SS`.
fn duration(facts: &Facts<'_>) -> String {
    let seconds = (facts.ended.0 - facts.begun.0).max(0);
    let (hours, rest) = (seconds / 3600, seconds % 3600);
    format!("{hours:02}:{:02}:{:02}", rest / 60, rest % 60)
}

fn words(facts: &Facts<'_>, failure: Option<&str>) -> String {
    let mut out = facts.command.unwrap_or("duplet").to_owned();
    if let Some(name) = facts.name {
        out.push_str(&format!(" of {name}"));
    }
    if !facts.host.is_empty() {
        out.push_str(&format!(" on {}", facts.host));
    }
    let how = parsed(facts.result, facts.code);
    out.push_str(&format!(": {how} (exit code {})\n", facts.code));
    let lines = failure
        .into_iter()
        .chain(facts.messages.iter().map(String::as_str))
        .chain(facts.lines.iter().map(String::as_str));
    for line in lines.take(LINES_AT_MOST) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The result as lines `Name: value`: what stands at the first level of the object; of lists of texts a line each.
pub(super) fn lines_of(told: &Told) -> String {
    let mut out = String::new();
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut member = String::new();
    for c in told.json.trim().chars() {
        let closes = !quoted && matches!(c, '}' | ']');
        if (closes && depth == 1) || (c == ',' && depth == 1 && !quoted) {
            push_member(&mut out, &member);
            member.clear();
            continue;
        }
        if quoted {
            (escaped, quoted) = (c == '\\' && !escaped, c != '"' || escaped);
        } else {
            match c {
                '"' => quoted = true,
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                _ => {}
            }
            if depth == 1 && c == '{' {
                continue;
            }
        }
        member.push(c);
    }
    out
}

/// One member of the object as a line. Lists and objects stay as they are, in JSON.
fn push_member(out: &mut String, member: &str) {
    let Some((key, value)) = member.split_once("\":") else {
        return;
    };
    let plain = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let value = match (value, plain) {
        ("null", _) => "",
        (_, Some(plain)) => plain,
        (value, None) => value,
    };
    out.push_str(&format!("{}: {value}\n", key.trim_start_matches('"')));
}

/// A text as JSON has it, quotes included.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    push_string(&mut out, text.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Error;

    fn facts<'a>(result: &'a Result<Outcome>, code: u8, json: Option<&'a [u8]>) -> Facts<'a> {
        Facts {
            operation: "Backup",
            command: Some("backup"),
            name: Some("my \"box\""),
            host: "nas".to_owned(),
            begun: Timestamp(1_700_000_000),
            ended: Timestamp(1_700_003_725),
            result,
            code,
            json,
            framed: json.is_some_and(|j| j.windows(8).any(|w| w == b"ExitCode")),
            lines: &[],
            messages: &[],
            warnings: 0,
            errors: 0,
        }
    }

    #[test]
    fn the_object_is_whole_wherever_the_run_ended() {
        let (good, bad) = (Ok(Outcome::Done), Err(Error::damaged("x \"y\"")));
        for (result, code, json, word) in [
            (
                &good,
                0,
                Some(&b"{\"Command\":\"backup\",\"A\":[1,{\"b\":\"}\"}]"[..]),
                "Success",
            ),
            (
                &good,
                2,
                Some(b"{\"Command\":\"backup\",\"ExitCode\":2}\n"),
                "Warning",
            ),
            (
                &good,
                50,
                Some(b"{\"Command\":\"backup\",\"A\":{\"b\":1}"),
                "Warning",
            ),
            (&good, 3, None, "Error"),
            (&bad, 100, None, "Fatal"),
            (&bad, 100, Some(b"{\"Command\":null"), "Fatal"),
        ] {
            let told = Told::of(&facts(result, code, json));
            assert_eq!(told.parsed, word);
            let value: serde_json::Value = serde_json::from_str(&told.json).expect("JSON");
            assert_eq!(value["ExitCode"], code);
            assert_eq!(value["ParsedResult"], word);
            assert_eq!(value["Duration"], "01:02:05");
            assert_eq!(value["Host"], "nas");
            assert!(value.get("Command").is_some());
            let lines = lines_of(&told);
            assert!(
                lines.contains(&format!("\nParsedResult: {word}\n")),
                "{lines}"
            );
            assert!(lines.lines().count() >= value.as_object().expect("an object").len());
            assert_eq!(told.is_well(), matches!(word, "Success" | "Warning"));
        }
    }

    #[test]
    fn members_are_lines() {
        let (good, json) = (
            Ok(Outcome::Done),
            br#"{"A":1,"B":"x, \"y\": {z}","C":[1,"]"],"D":null,"E":{"f":"}"},"ExitCode":0}"#,
        );
        let lines = lines_of(&Told::of(&facts(&good, 0, Some(json))));
        let want = "A: 1\nB: x, \\\"y\\\": {z}\nC: [1,\"]\"]\nD: \nE: {\"f\":\"}\"}\nExitCode: 0\n";
        assert!(lines.starts_with(want), "{lines}");
    }
}
