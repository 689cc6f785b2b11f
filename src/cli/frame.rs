//! The frame of the one JSON object of `--json`: what every command says beside its own fields.

use crate::base::error::Result;
use crate::base::json::JsonWriter;
use crate::base::ui::Ui;
use crate::cli::{Command, Outcome};

/// `name`: what the person calls the backup.
pub(super) fn begin(ui: &mut Ui, command: Option<&Command>, name: Option<&str>) {
    ui.json(|w| {
        w.begin_object()?;
        w.key("Command")?;
        match command {
            Some(command) => w.string(command.name.as_bytes())?,
            None => w.null()?,
        }
        if let Some(name) = name {
            w.key("BackupName")?;
            w.string(name.as_bytes())?;
        }
        Ok(())
    });
}

/// Closes whatever the command left open, then adds the fields of all commands and the line end.
pub(super) fn end(ui: &mut Ui, result: &Result<Outcome>, code: u8) {
    let counts = (ui.warnings(), ui.errors());
    let messages: Vec<String> = ui.messages().to_vec();
    ui.json(|w| {
        w.close_to(1)?;
        rest(w, result, code, counts, &messages)?;
        w.close_to(0)?;
        std::io::Write::write_all(w.get_mut(), b"\n")
    });
}

/// The fields of all commands that only the end of a run knows. `counts`: warnings and errors.
pub(super) fn rest<W: std::io::Write>(
    w: &mut JsonWriter<W>,
    result: &Result<Outcome>,
    code: u8,
    counts: (u64, u64),
    messages: &[String],
) -> std::io::Result<()> {
    w.key("Warnings")?;
    w.number(i128::from(counts.0))?;
    w.key("Errors")?;
    w.number(i128::from(counts.1))?;
    w.key("Messages")?;
    w.begin_array()?;
    for message in messages {
        w.string(message.as_bytes())?;
    }
    w.end_array()?;
    w.key("Error")?;
    match result {
        Ok(_) => w.null()?,
        Err(e) => {
            w.begin_object()?;
            w.key("Kind")?;
            w.string(e.kind().word().as_bytes())?;
            w.key("Message")?;
            w.string(e.to_string().as_bytes())?;
            w.end_object()?;
        }
    }
    w.key("ExitCode")?;
    w.number(i128::from(code))?;
    w.key("Code")?;
    w.string(word(result, code).as_bytes())
}

/// The stable word of the exit code, or of the failure.
fn word(result: &Result<Outcome>, code: u8) -> &'static str {
    match (result, code) {
        (Err(e), _) => e.kind().word(),
        (Ok(Outcome::Different), 1) => "different",
        (_, 1) => "nothing-new",
        (_, 2) => "warnings",
        (_, 3) => "errors",
        (_, 50) => "partial",
        _ => "ok",
    }
}
