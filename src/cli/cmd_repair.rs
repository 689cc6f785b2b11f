//! `repair`: a destination put right with what is still there.

use crate::backup;
use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::options::{DRY_RUN, FORCE, REBUILD};
use crate::cli::session::{open_to_change, or_facts, permit, tell_facts};
use crate::cli::{Call, Command, Outcome, Section, backup_options, cmd_affected};
use crate::format::names::{VolumeKind, VolumeName};
use crate::set::Set;
use crate::upkeep::losses::Losses;
use crate::upkeep::repair::{Orders, Repaired, repair};
use crate::writer::{self, Writer};

pub(super) const COMMAND: Command = Command {
    name: "repair",
    aliases: &[],
    section: Section::Care,
    summary: "put right what can be",
    usage: "<url> [volume...]",
    details: "\
Writes missing, damaged and incomplete index volumes again from their data
volumes, and says what is lost. --rebuild-missing-dblock-files looks for lost
blocks in the files of this machine, moves what damaged volumes still hold, and
deletes these. Volumes that 'verify' found damaged are named after the URL.
What is whole or unknown stays. Look with --dry-run. Exit code 2: some is lost.",
    needs_url: true,
    words: (0, usize::MAX),
    writes: true,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut names = Vec::new();
    for word in &call.words {
        let shown = text::safe_given(word, 80);
        match VolumeName::parse(word) {
            None => {
                return Err(Error::usage(format!("{shown} is no name of a volume"))
                    .hint("'duplet verify URL all' names those that are damaged"));
            }
            Some(name) if name.kind() == VolumeKind::Dlist => {
                return Err(Error::usage(format!(
                    "{shown} is the list of a version, and nothing else tells what is in it"
                ))
                .hint(
                    "'duplet verify URL all' says whether it is damaged; then bring it back from a copy, or give the version up with 'duplet delete URL --version=N'",
                ));
            }
            Some(name) => names.push(name),
        }
    }
    let dry = call.options.flag(&DRY_RUN);
    let mut set = open_to_change(call, ui)?;
    let permit = permit(call, &set)?;
    let orders = orders(call, &set, &names)?;
    let params = set.learn_params(ui)?;
    let options = backup_options::write_options(call, params, u64::from(params.block_size))?;
    if let Some(line) = set.strays().line() {
        ui.note(&line);
    }
    let mut search = |writer: &mut Writer<'_>, ui: &mut Ui, without: &[bool]| {
        let found = backup::rebuild(writer, ui, without)?;
        if found.lost > 0 || found.unknown > 0 {
            ui.result(&format!(
                "{} of {} found in the files of this machine",
                found.found,
                text::count(found.lost, "lost block")
            ));
        }
        Ok(found.is_whole())
    };
    let rebuild = call.options.flag(&REBUILD);
    let (volume_size, block_size) = (options.dblock_size, u64::from(params.block_size));
    let done = repair(
        &mut set,
        ui,
        permit,
        options,
        &orders,
        match rebuild {
            true => Some(&mut search),
            false => None,
        },
    );
    let mut done = or_facts(&mut set, ui, done)?;
    if !dry && done.any {
        set.remember();
        tell_facts(&writer::finish(&mut set, ui)?, ui);
    }
    tell(call, ui, &done);
    if let Some(line) = set.volumes().listless() {
        ui.warn("no-version", &line);
    }
    if dry && rebuild && done.stored.0 > 0 {
        let (blocks, bytes) = done.stored;
        let volumes = bytes.div_ceil(volume_size.saturating_sub(block_size).max(1));
        ui.result(&format!(
            "{} ({}) would be stored in up to {}: how small they get, and the names, which are random, only a run tells",
            text::count(blocks, "block"),
            show_size(bytes),
            text::count(volumes, "new data volume"),
        ));
    }
    if let Some(e) = done.committed.disturbed.take() {
        return Err(e);
    }
    if done.committed.stopped {
        return Ok(Outcome::Partial);
    }
    remains(call, ui, &mut set, &done)
}

fn orders(call: &Call, set: &Set, names: &[VolumeName]) -> Result<Orders> {
    let mut orders = Orders {
        force: call.options.flag(&FORCE),
        ..Orders::default()
    };
    for name in names {
        let shown = text::safe(name.as_str().as_bytes());
        let missing = || Error::new(Kind::Missing, format!("there is no volume {shown}"));
        match name.kind() {
            VolumeKind::Dblock => {
                let no = set.volumes().find_dblock(name).ok_or_else(missing)?;
                orders.dblocks.push(no);
            }
            _ => {
                let no = set.volumes().find_dindex(name).ok_or_else(missing)?;
                orders.dindexes.push(no);
            }
        }
    }
    Ok(orders)
}

fn tell(call: &Call, ui: &mut Ui, done: &Repaired) {
    let dry = call.options.flag(&DRY_RUN);
    let would = if dry { "would be " } else { "" };
    if !done.any {
        ui.result("nothing is to be repaired");
        ui.result(
            "data volumes were not read: 'duplet verify URL all' finds damage inside them; name what it finds damaged after the URL",
        );
    }
    if done.indexed > 0 {
        let volumes = text::count(done.indexed, "index volume");
        ui.result(&format!("{volumes} {would}written"));
    }
    if done.salvaged > 0 {
        let blocks = text::count(done.salvaged, "block");
        ui.result(&format!(
            "{blocks} of damaged volumes {would}moved into new ones"
        ));
    }
    let [_, indexes, volumes] = done.committed.deleted;
    for (n, what) in [
        (indexes, "old index volume"),
        (volumes, "damaged data volume"),
    ] {
        if n > 0 {
            ui.result(&format!("{} {would}deleted", text::count(n, what)));
        }
    }
    if done.damaged > volumes {
        let left = done.damaged - volumes;
        let are = if left == 1 { " is" } else { " are" };
        let what = match call.options.flag(&REBUILD) {
            true => "left, as no index knows it or nothing may be deleted",
            false => "--rebuild-missing-dblock-files saves what is intact",
        };
        ui.warn(
            "damaged-volumes",
            &format!("{}{are} damaged: {what}", text::count(left, "data volume")),
        );
    }
    if done.absent_left > 0 {
        ui.warn(
            "lost-volumes",
            &format!(
                "the index of {} stays; 'duplet purge-broken-files URL' takes out what is lost, and the index, too",
                text::count(done.absent_left, "lost volume")
            ),
        );
    }
    ui.json(|w| {
        w.key("Dryrun")?;
        w.boolean(dry)?;
        for (key, n) in [
            ("WrittenIndexVolumes", done.indexed),
            ("DamagedVolumes", done.damaged),
            ("SalvagedBlocks", done.salvaged),
            ("DeletedIndexVolumes", indexes),
            ("DeletedVolumes", volumes),
            ("UnreadableVersions", done.unreadable),
        ] {
            w.key(key)?;
            w.number(n.into())?;
        }
        Ok(())
    });
}

/// Says which files of which versions stay lost, and what to do about it.
fn remains(call: &Call, ui: &mut Ui, set: &mut Set, done: &Repaired) -> Result<Outcome> {
    if done.lost_before == 0 && done.damaged == 0 {
        return Ok(Outcome::Done);
    }
    let dry = call.options.flag(&DRY_RUN);
    if dry {
        if done.lost_before > 0 {
            let entries = text::count(done.lost_before, "file");
            ui.result(&format!(
                "{entries} of all versions together lose something now"
            ));
        }
        return Ok(Outcome::Done);
    }
    let losses = Losses::open(set, ui, &[])?;
    let lost = cmd_affected::show(call, ui, set, losses, &[])?;
    if lost > 0 {
        let hint = match call.options.flag(&REBUILD) {
            true => {
                "bring their volumes back from a copy, or take them out with 'duplet purge-broken-files URL'"
            }
            false => {
                "on the machine that was backed up try --rebuild-missing-dblock-files, then 'duplet purge-broken-files URL'"
            }
        };
        ui.warn("lost-files", &format!("some files stay lost: {hint}"));
    }
    Ok(Outcome::Done)
}
