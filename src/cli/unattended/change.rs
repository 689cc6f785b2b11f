//! What a script before the command changes of it by the lines it prints.

use crate::base::error::{Doing, Result};
use crate::base::opt::Kind;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::options::{EXCLUDE, INCLUDE};
use crate::cli::{Call, parameters_file, parse, sources};

/// Takes lines `--option=value`, and the words of the command in `--remoteurl`, `--localpath` and `--filter`. What the scripts
/// themselves and the command are cannot be changed by them.
pub(super) fn apply(call: &mut Call, output: &[u8], ui: &mut Ui) -> Result<()> {
    for line in String::from_utf8_lossy(output).lines() {
        let line = line.trim();
        let Some((name, value)) = line.strip_prefix("--").and_then(|l| l.split_once('=')) else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "eventname" | "operationname" | "main-action" => {
                ui.verbose(&format!("--{name} of a script has no effect"));
            }
            "remoteurl" if call.command.needs_url => {
                call.url = value.to_owned();
                ui.verbose("a script has chosen the destination");
            }
            "localpath" if call.command.name == "backup" => {
                call.words = value
                    .split(':')
                    .filter(|p| !p.trim().is_empty())
                    .map(str::to_owned)
                    .collect();
                ui.verbose("a script has chosen the sources");
            }
            "filter" => {
                call.rules = parameters_file::signed(value)?;
                ui.verbose("a script has chosen the rules");
            }
            _ => option(call, line, ui)?,
        }
    }
    Ok(())
}

fn option(call: &mut Call, line: &str, ui: &mut Ui) -> Result<()> {
    let mut notes = Vec::new();
    let taken =
        parse::option(line, None, &mut notes).doing(|| "take a line of a script".to_owned())?;
    for note in notes {
        ui.verbose(&note);
    }
    let Some((opt, value)) = taken else {
        return Ok(());
    };
    let name = text::safe_cut(opt.name.as_bytes(), 60);
    if opt.name.starts_with("run-script-") || !sources::applies(opt, call.command) {
        ui.verbose(&format!("--{name} of a script has no effect"));
    } else if opt.kind == Kind::Many {
        if [INCLUDE.name, EXCLUDE.name].contains(&opt.name) {
            let rule = crate::select::Rule::new(opt.name == INCLUDE.name, value);
            call.rules.push(rule);
        }
    } else {
        call.options.set(opt, &value)?;
        ui.verbose(&format!("a script has set --{name}"));
    }
    Ok(())
}
