//! `copy`: a backup, or some of its versions, to another destination as it is stored.

use crate::base::error::{Error, Result};
use crate::base::secret::Secret;
use crate::base::size::show_size;
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::cli::options::{COPY_VERIFY, DRY_RUN, TEMPDIR};
use crate::cli::session::{lock, open_copy, open_set, owner, version_choice};
use crate::cli::{Call, Command, Outcome, Section, passphrase};
use crate::remote::Remote;
use crate::upkeep::copy::{Copied, Orders, Target, copy};
use crate::writer::by_hand;

pub(super) const COMMAND: Command = Command {
    name: "copy",
    aliases: &[],
    section: Section::More,
    summary: "copy a backup to another destination as it is",
    usage: "<url> <url2>",
    details: "\
Copies the volumes that the second destination lacks, names and bytes as they
are: all, or with --version or --time what these versions need. Each volume is
proved before it is sent; a damaged one is named and left out. What is cut off
is gone on with by the next run. Nothing is ever deleted there: 'delete' and
'compact' keep the copy small. With --verify each volume is read back. With
--change-passphrase the copy is encrypted anew with a passphrase of its own.
Give each destination its own user and password in its URL.",
    needs_url: true,
    words: (1, 1),
    writes: true,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let [to] = &call.words[..] else {
        return Err(Error::bug("copy without a second destination"));
    };
    let mut target = Remote::open(to, &call.options, ui)?;
    if let Some(instead) = target.read_only() {
        let cause = format!("{} is a read-only destination", target.describe());
        return Err(Error::usage(cause).hint(instead));
    }
    let choice = version_choice(call)?;
    let mut set = open_set(call, ui, false)?;
    let of = |remote: &Remote| owner(remote, "").id();
    if of(set.remote()) == of(&target) {
        return Err(Error::usage("both destinations are the same folder"));
    }
    let times: Vec<_> = set.versions().collect();
    let versions = choice.resolve(&times)?;
    let mut orders = Orders {
        versions: (!versions.is_empty()).then_some(versions),
        read_back: call.options.flag(&COPY_VERIFY),
        dry_run: call.options.flag(&DRY_RUN),
        anew: None,
    };
    let tmp = Tmp::open(call.options.text(&TEMPDIR))?;
    let _lock = match orders.dry_run {
        true => None,
        false => lock(call, &target, Some(set.prefix()), &tmp, ui)?,
    };
    let prefix = set.prefix().clone();
    let mut other;
    let (target, there) = match passphrase::changes(&call.options) {
        false => {
            if passphrase::new_is_set() {
                let text = "NEW_PASSPHRASE is set and not used: the copy keeps the passphrase of the first (--change-passphrase gives it the new one)";
                ui.warn("new-passphrase", text);
            }
            let there = Target::list(&mut target, ui, prefix.as_str())?;
            (&mut target, there)
        }
        true => {
            set.learn_params(ui)?;
            other = open_copy(call, target, &prefix, ui)?;
            orders.anew = other.passphrase().map(Secret::duplicate);
            let there = Target::prove(&mut other, ui)?;
            (other.remote(), there)
        }
    };
    let copied = copy(&mut set, target, there, ui, &orders);
    let copied = match copied {
        Ok(copied) => {
            if !orders.dry_run {
                let lines = by_hand::finish(target, ui)?;
                lines.iter().for_each(|line| ui.result(line));
            }
            copied
        }
        Err(e) => {
            // What was sent until then may have a new address.
            let lines = by_hand::finish(target, ui).unwrap_or_default();
            lines.iter().for_each(|line| ui.result(line));
            return Err(e);
        }
    };
    let stats = target.stats();
    let down = stats.bytes_down + set.remote().stats().bytes_down;
    let calls = stats.calls + set.remote().stats().calls;
    ui.verbose(&format!(
        "{}, {} downloaded",
        text::count(calls, "request"),
        show_size(down)
    ));
    tell(&copied, &orders, target, (down, calls), ui);
    Ok(match copied.stopped {
        true => Outcome::Partial,
        false => Outcome::Done,
    })
}

/// `asked`: bytes downloaded and requests, of both sides.
fn tell(done: &Copied, orders: &Orders, target: &Remote, asked: (u64, u64), ui: &mut Ui) {
    let sized = |volumes: u64, bytes: u64| {
        let volumes = text::count(volumes, "volume");
        format!("{volumes} ({})", show_size(bytes))
    };
    let verb = match (orders.dry_run, orders.read_back) {
        (true, _) => "would be copied",
        (false, true) => "copied and read back",
        (false, false) => "copied",
    };
    let mut line = format!(
        "{} {verb} to {}",
        sized(done.copied.volumes, done.copied.bytes),
        target.describe()
    );
    if orders.anew.is_some() {
        line.push_str(" under the new passphrase");
    }
    if done.there.volumes > 0 {
        let there = sized(done.there.volumes, done.there.bytes);
        let read = match orders.read_back && !orders.dry_run && orders.anew.is_none() {
            true => " and were read",
            false => "",
        };
        line.push_str(&format!("; {there} were there{read}"));
    }
    ui.result(&line);
    if done.beside > 0 {
        let beside = text::count(done.beside, "volume");
        ui.result(&format!(
            "{beside} there that the source has not any more: 'duplet delete' and 'duplet compact' take away what is old"
        ));
    }
    if done.without_dblock > 0 {
        let indexes = text::count(done.without_dblock, "index volume");
        ui.result(&format!("{indexes} left out with their data volumes"));
    }
    if done.stopped {
        ui.result("stopped: the next copy goes on from here");
    }
    ui.json(|w| {
        w.key("Target")?;
        w.string(target.describe().as_bytes())?;
        w.key("Dryrun")?;
        w.boolean(orders.dry_run)?;
        let stats = target.stats();
        for (key, n) in [
            ("CopiedVolumes", done.copied.volumes),
            ("CopiedBytes", done.copied.bytes),
            ("PresentVolumes", done.there.volumes),
            ("PresentBytes", done.there.bytes),
            ("LeftOutVolumes", done.left_out + done.without_dblock),
            ("OtherVolumes", done.beside),
            ("BytesUploaded", stats.bytes_up),
            ("BytesDownloaded", asked.0),
            ("RemoteCalls", asked.1),
            ("RetryAttempts", stats.retries),
        ] {
            w.key(key)?;
            w.number(n.into())?;
        }
        Ok(())
    });
}
