//! `verify`: downloads a sample of the volumes, or all, and says what is wrong and what it costs.

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::options::{FULL_REMOTE_VERIFICATION, FULL_RESULT};
use crate::cli::session::{open_set, version_choice};
use crate::cli::{Call, Command, Outcome, Section, decisions, parse};
use crate::set::Set;
use crate::upkeep::verify::{self, Amount, ListsFrom, Status, VerifyOptions, VerifyReport};

/// Findings shown without `--full-result`.
const SHOWN: usize = 10;
/// Versions named in a proposed command.
const NUMBERED: usize = 20;

pub(super) const COMMAND: Command = Command {
    name: "verify",
    aliases: &["test", "check"],
    section: Section::Care,
    summary: "download and check a sample, or all",
    usage: "<url> [samples|all]",
    details: "\
Looks up every reference of the newest version in the index volumes, then
downloads so many volumes of each kind (1 if not given) and checks each byte.
The sample moves on from day to day until all volumes were seen. Nothing is
changed at the destination. Ends with 3 when anything is wrong.",
    needs_url: true,
    words: (0, 1),
    writes: false,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let choice = version_choice(call)?;
    let mut options = options(call)?;
    let mut set = open_set(call, ui, false)?;
    let times: Vec<Timestamp> = set.versions().collect();
    options.versions = choice.resolve(&times)?;
    let mut report = VerifyReport::default();
    if let Err(e) = verify::run(&mut set, &options, ui, &mut report) {
        // What was found in hours is worth something.
        if report.finding_count > 0 {
            tell(call, ui, &report);
        }
        return Err(e);
    }
    if report.dlists + report.dindexes + report.dblocks + report.finding_count == 0 {
        return Err(Error::new(Kind::Missing, "there was nothing to check")
            .doing(format!("verify {}", set.remote().describe())));
    }
    tell(call, ui, &report);
    if let Some(line) = set.volumes().listless() {
        ui.warn("no-version", &line);
    }
    if options.dlists {
        decisions::name_replaced(&mut set, ui, true)?;
    }
    Ok(Outcome::Done)
}

fn options(call: &Call) -> Result<VerifyOptions> {
    let word = call.words.first().map(|w| w.to_ascii_lowercase());
    let mut amount = match word.as_deref() {
        None => Amount::Sample(1),
        Some("all" | "everything") => Amount::All,
        Some(n) => Amount::Sample(n.parse().map_err(|_| {
            let shown = parse::shown(n);
            Error::usage(format!(
                "{shown} is not valid: a number of samples or all is expected"
            ))
        })?),
    };
    let given = call.options.given(FULL_REMOTE_VERIFICATION.name).is_some();
    let level = call
        .options
        .choice(&FULL_REMOTE_VERIFICATION)
        .unwrap_or("False");
    if given && level != "False" && word.is_none() {
        amount = Amount::All;
    }
    let thorough = amount == Amount::All || call.options.flag(&FULL_RESULT);
    Ok(VerifyOptions {
        amount,
        versions: Vec::new(),
        turn: u64::try_from(Timestamp::now().0 / 86_400).unwrap_or(0),
        lists: if thorough && !level.ends_with("Only") && level != "ListAndIndexes" {
            ListsFrom::Dblocks
        } else {
            ListsFrom::Indexes
        },
        dlists: level != "IndexesOnly",
        dblocks: matches!(level, "True" | "False"),
    })
}

/// The check of some volumes after a backup that uploaded something.
pub(super) fn sample(set: &mut Set, samples: u64, call: &Call, ui: &mut Ui) -> Result<()> {
    let options = VerifyOptions {
        amount: Amount::Sample(usize::try_from(samples).unwrap_or(usize::MAX)),
        versions: vec![0],
        turn: u64::try_from(Timestamp::now().0).unwrap_or(0),
        lists: ListsFrom::Indexes,
        dlists: true,
        dblocks: true,
    };
    let mut report = VerifyReport::default();
    verify::run(set, &options, ui, &mut report)?;
    tell(call, ui, &report);
    Ok(())
}

fn tell(call: &Call, ui: &mut Ui, report: &VerifyReport) {
    let all = call.options.flag(&FULL_RESULT);
    let shown = if all { report.findings.len() } else { SHOWN };
    for f in report.findings.iter().take(shown) {
        ui.result(&format!("{} {}: {}", f.status.word(), f.volume, f.what));
    }
    let hidden = report.finding_count - report.findings.len().min(shown) as u64;
    if hidden > 0 {
        let hint = if all {
            ""
        } else {
            " (--full-result shows them)"
        };
        ui.result(&format!(
            "and {}{hint}",
            text::count(hidden, "further problem")
        ));
    }
    ui.result(&format!(
        "checked {}, {} and {} in full; {} looked up, {} hashed",
        text::count(report.dlists, "version"),
        text::count(report.dindexes, "index volume"),
        text::count(report.dblocks, "dblock"),
        text::count(report.entries, "entry"),
        text::count(report.blocks_hashed, "block"),
    ));
    if report.lists_unchecked > 0 {
        ui.result(&format!(
            "not checked: the members of {} that no index volume copies (verify URL all reads them)",
            text::count(report.lists_unchecked, "blocklist"),
        ));
    }
    if report.lost_blocks > 0 {
        let blocks = text::count(report.lost_blocks, "block");
        ui.result(&format!(
            "{blocks} lost: damaged or gone, and in no other volume"
        ));
    }
    if report.spared_blocks > 0 {
        let blocks = text::count(report.spared_blocks, "damaged block");
        ui.result(&format!(
            "{blocks} also held by another volume: nothing is lost by them"
        ));
    }
    json(ui, report);
    if report.finding_count > 0 {
        let problems = text::count(report.finding_count, "problem");
        let mut cost = Vec::new();
        if !report.unreadable.is_empty() {
            let versions = text::count(report.unreadable.len() as u64, "version");
            cost.push(format!("{versions} cannot be restored"));
        }
        if !report.losses.is_empty() {
            let versions = text::count(report.losses.len() as u64, "version");
            cost.push(format!("files of {versions} lose data"));
        }
        if cost.is_empty() {
            cost.push("no file is known to lose data".to_owned());
        }
        let cost = cost.join(", ");
        ui.error(&format!("{problems} found; {cost}"));
        ui.note(&format!("what to do: {}", advice(report)));
    }
}

/// What helps against each sort of finding, the gravest first.
fn advice(report: &VerifyReport) -> String {
    let (unread, (foreign, foreign_count)) = (&report.unreadable, &report.foreign);
    let others = report.finding_count - unread.len() as u64 - foreign_count;
    let mut parts = Vec::new();
    if report.findings.iter().any(|f| f.status == Status::Error) {
        parts.push(
            "what cannot be read may be whole: mend what keeps it from being read (a disk, a permission, the server), or verify \
             again later"
                .to_owned(),
        );
    }
    let again = "put intact copies of these volumes back if there are any";
    if others > 0 && report.losses.is_empty() && unread.is_empty() {
        parts.push(format!(
            "{again}, or name them to 'duplet repair URL --rebuild-missing-dblock-files VOLUME...', which writes index \
             volumes again and moves what damaged data volumes hold; no file needs what is damaged, as far as was checked"
        ));
    } else if others > 0 {
        parts.push(format!(
            "{again}, or try 'duplet repair URL', which finds what an index lacks; else 'duplet repair URL --rebuild-missing-dblock-files VOLUME...' with the damaged dblocks, where the files \
             still are, brings back what it finds in them, and 'duplet purge-broken-files URL' takes out what stays lost; a restore \
             brings all else and names what it could not"
        ));
    }
    if !unread.is_empty() {
        let (put, them) = match unread.len() {
            1 => (
                "an intact copy of the list that is unreadable back if there is one",
                "the version",
            ),
            _ => (
                "intact copies of the lists that are unreadable back if there are any",
                "these versions",
            ),
        };
        let numbers: Vec<String> = unread.iter().take(NUMBERED).map(usize::to_string).collect();
        let numbers = match unread.len() > NUMBERED {
            true => "N".to_owned(),
            false => numbers.join(","),
        };
        parts.push(format!(
            "put {put}; else 'duplet delete URL --version={numbers}' gives {them} up, \
             and until then nothing is deleted"
        ));
    }
    if let Some(first) = foreign.first() {
        let name = match foreign_count {
            1 => first.as_str(),
            _ => "NAME",
        };
        let (what, it) = match foreign_count {
            1 => ("this volume", "it"),
            _ => ("the volumes that do not belong", "each"),
        };
        parts.push(format!(
            "look who put {what} there, and remove {it} with 'duplet remote delete URL {name}'"
        ));
    }
    parts.join("; ")
}

fn json(ui: &mut Ui, report: &VerifyReport) {
    ui.json(|w| {
        w.key("Verifications")?;
        w.begin_array()?;
        for f in &report.findings {
            w.begin_object()?;
            for (name, value) in [
                ("File", f.volume.as_str()),
                ("Status", f.status.word()),
                ("What", &f.what),
            ] {
                w.key(name)?;
                w.string(value.as_bytes())?;
            }
            w.end_object()?;
        }
        w.end_array()?;
        w.key("Losses")?;
        w.begin_array()?;
        for loss in &report.losses {
            w.begin_object()?;
            for (name, n) in [
                ("Version", loss.version as u64),
                ("Files", loss.files),
                ("OnlyMetadata", loss.only_metadata),
            ] {
                w.key(name)?;
                w.number(i128::from(n))?;
            }
            w.end_object()?;
        }
        w.end_array()?;
        for (name, n) in [
            ("Findings", report.finding_count),
            ("CheckedVersions", report.dlists),
            ("CheckedIndexVolumes", report.dindexes),
            ("CheckedDblocks", report.dblocks),
            ("Entries", report.entries),
            ("BlocksHashed", report.blocks_hashed),
            ("LostBlocks", report.lost_blocks),
            ("SparedBlocks", report.spared_blocks),
            ("BlocklistsNotChecked", report.lists_unchecked),
            ("DblocksNotOpened", report.unindexed_unread),
            ("Leftovers", report.leftovers),
            ("VersionsNotRestorable", report.unreadable.len() as u64),
            ("ForeignVolumes", report.foreign.1),
        ] {
            w.key(name)?;
            w.number(i128::from(n))?;
        }
        Ok(())
    });
}
