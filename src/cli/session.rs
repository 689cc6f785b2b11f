//! From a call to an opened destination; shared by all commands that read or write one.

use std::time::Duration;

use crate::base::error::{Doing, Error, Result};
use crate::base::opt::parse_flag;
use crate::base::place;
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::cli::options::{
    ALLOW_PLAIN, CACHE_DIR, CASE_INSENSITIVE, DRY_RUN, GPG_PROGRAM, IGNORE_CASE, LOCK_WAIT,
    NEW_BACKUP, NO_CACHE, NO_ENCRYPTION, PREFIX, TEMPDIR, TIME, VERSION,
};
use crate::cli::{Call, passphrase};
use crate::dest::Fact;
use crate::format::names::Prefix;
use crate::remote::{Permit, Remote, RemoteStats};
use crate::select::Case;
use crate::set::{
    Begin, Cache, DEFAULT_PREFIX, Owner, RunLock, Said, Set, SetOptions, VersionChoice,
};
use crate::writer;

/// The command that names each plain volume among encrypted ones itself.
const NAMES_PLAIN_VOLUMES: &str = "verify";

/// The command that lives so long that what cannot be read now may be read later.
const TRIES_AGAIN: &str = "mount";

/// Option that names a file which marks the right folder.
const MARKER: &str = "alternate-destination-marker";

/// Lists the destination of the call and gets the passphrase if one is needed. `writing`: an empty destination is fine, and
/// its passphrase is asked for twice.
pub(crate) fn open_set(call: &Call, ui: &mut Ui, writing: bool) -> Result<Set> {
    let mut set = open(call, ui, (writing, writing), false)?;
    if !writing {
        set.remote().leave_out_unreadable();
    }
    Ok(set)
}

/// As [`open_set`] for a command that reads versions, and other volumes only where those do not tell where what it wants is:
/// where the server can, only the versions are listed at first.
pub(crate) fn open_versions(call: &Call, ui: &mut Ui) -> Result<Set> {
    let mut set = open(call, ui, (false, false), true)?;
    if call.command.name != TRIES_AGAIN {
        set.remote().leave_out_unreadable();
    }
    Ok(set)
}

/// As [`open_set`] for a backup that is there and is changed: other runs that write are kept out, unless it is a dry run.
pub(crate) fn open_to_change(call: &Call, ui: &mut Ui) -> Result<Set> {
    let changes = !call.options.flag(&DRY_RUN);
    let mut set = open(call, ui, (false, changes), false)?;
    if let Some(instead) = set.remote().read_only().filter(|_| !changes) {
        let shown = set.remote().describe();
        ui.result(&format!(
            "without --dry-run it is refused: {shown} is a read-only destination ({instead})"
        ));
    }
    Ok(set)
}

fn open(
    call: &Call,
    ui: &mut Ui,
    (writing, changes): (bool, bool),
    versions_first: bool,
) -> Result<Set> {
    let options = &call.options;
    passphrase::check(options, call.command.writes)?;
    let prefix = options.given(PREFIX.name).map(Prefix::parse).transpose()?;
    let remote = Remote::open(&call.url, options, ui)?;
    if changes && let Some(instead) = remote.read_only() {
        let cause = format!("{} is a read-only destination", remote.describe());
        return Err(Error::usage(cause).hint(instead));
    }
    let tmp = Tmp::open(options.text(&TEMPDIR))?;
    let cache = cache(call, &remote, prefix.as_ref());
    let lock = match changes && !options.flag(&DRY_RUN) {
        true => lock(call, &remote, prefix.as_ref(), &tmp, ui)?,
        false => None,
    };
    if let Cache::Off(why) = &cache {
        ui.verbose(&format!("no cache is used: {why}"));
    }
    let set = SetOptions {
        prefix,
        writing,
        versions_first,
        case_insensitive: options.flag(&CASE_INSENSITIVE),
        gpg_program: options.text(&GPG_PROGRAM).unwrap_or("gpg").to_owned(),
        cache,
        lock,
        said: Said {
            named: passphrase::whence(options),
            plain: options.flag(&NO_ENCRYPTION),
            mixed: options.flag(&ALLOW_PLAIN),
        },
        begin: Begin {
            anew: options.flag(&NEW_BACKUP),
            any_folder: options.given(MARKER).is_some() || call.url.contains(MARKER),
        },
    };
    let set = Set::open(remote, tmp, set, ui, &mut |_, need| {
        passphrase::resolve(options, need).map(Some)
    })?;
    if let Some(line) = set.plain().line()
        && call.command.name != NAMES_PLAIN_VOLUMES
    {
        if changes {
            ui.error(&line);
        } else {
            ui.warn("plain-volumes", &line);
        }
    }
    set.remember();
    Ok(set)
}

fn cache(call: &Call, remote: &Remote, prefix: Option<&Prefix>) -> Cache {
    let options = &call.options;
    if options.flag(&NO_CACHE) {
        return Cache::Off("--no-cache is given".to_owned());
    }
    let owner = owner(remote, prefix.map_or("", Prefix::as_str));
    Cache::open(options.text(&CACHE_DIR), &owner, !options.flag(&DRY_RUN))
}

/// The second destination of a copy that gets another passphrase, which is asked for, twice if nothing is there yet.
pub(crate) fn open_copy(call: &Call, remote: Remote, prefix: &Prefix, ui: &mut Ui) -> Result<Set> {
    let options = &call.options;
    let set = SetOptions {
        prefix: Some(prefix.clone()),
        writing: true,
        versions_first: false,
        case_insensitive: options.flag(&CASE_INSENSITIVE),
        gpg_program: options.text(&GPG_PROGRAM).unwrap_or("gpg").to_owned(),
        cache: cache(call, &remote, Some(prefix)),
        // The caller has it.
        lock: None,
        said: Said {
            named: Some("for the copy".to_owned()),
            plain: false,
            mixed: false,
        },
        begin: Begin {
            anew: true,
            any_folder: true,
        },
    };
    let tmp = Tmp::open(options.text(&TEMPDIR))?;
    Set::open(remote, tmp, set, ui, &mut |_, need| {
        passphrase::resolve_new(options, need).map(Some)
    })
}

/// One writing run at a time on this machine for a destination and prefix, however the path of a local one is written.
pub(crate) fn lock(
    call: &Call,
    remote: &Remote,
    prefix: Option<&Prefix>,
    tmp: &Tmp,
    ui: &mut Ui,
) -> Result<Option<RunLock>> {
    let prefix = prefix.map_or(DEFAULT_PREFIX, Prefix::as_str);
    let wait = call.options.span(&LOCK_WAIT).unwrap_or(0);
    RunLock::take(
        call.options.text(&CACHE_DIR),
        tmp.folder(),
        &owner(remote, prefix),
        Duration::from_secs(u64::try_from(wait).unwrap_or(0)),
        undertaking(call),
        ui,
    )
}

/// What a command is going to do to a destination, for errors.
fn undertaking(call: &Call) -> &'static str {
    match call.command.name {
        "backup" => "add a version",
        "delete" => "delete versions",
        "compact" => "reclaim space",
        "purge" => "purge files",
        "purge-broken-files" => "purge broken files",
        "repair" => "repair the backup",
        "copy" => "copy the backup",
        _ => "change the destination",
    }
}

/// The permit of a command to change a destination; `None` exactly for a dry run.
pub(crate) fn permit(call: &Call, set: &Set) -> Result<Option<Permit>> {
    set.permit(call.options.flag(&DRY_RUN))
        .doing(|| undertaking(call).to_owned())
}

/// Whose the volumes of a prefix are, however the destination was spelled: two accounts of one server may see two folders.
pub(crate) fn owner(remote: &Remote, prefix: &str) -> Owner {
    let place = match remote.local_folder() {
        Some(folder) => {
            let real = place::real(&folder);
            format!("file://{}", text::safe(real.as_os_str().as_encoded_bytes()))
        }
        None => remote.place().trim_end_matches('/').to_owned(),
    };
    Owner {
        place: format!("{place}\n{prefix}"),
        account: remote.account(),
    }
}

/// Writes what the service bills for, where it bills by classes of calls.
pub(crate) fn billed(
    stats: &RemoteStats,
    number: &mut dyn FnMut(&str, u64) -> std::io::Result<()>,
) -> std::io::Result<()> {
    for (name, n) in stats.billed.iter().filter(|(name, _)| !name.is_empty()) {
        number(name, *n)?;
    }
    Ok(())
}

/// Says what was asked of the destination, to who asks for more.
pub(crate) fn tell_cost(set: &mut Set, ui: &mut Ui) {
    let stats = *set.remote().stats();
    ui.verbose(&format!(
        "{}, {} downloaded",
        text::count(stats.calls, "request"),
        show_size(stats.bytes_down)
    ));
}

/// As [`tell_cost`], for a command that has no other report; also in the JSON object.
pub(crate) fn report_cost(set: &mut Set, ui: &mut Ui) {
    tell_cost(set, ui);
    let stats = *set.remote().stats();
    ui.json(|w| {
        for (key, n) in [
            ("BytesDownloaded", stats.bytes_down),
            ("RemoteCalls", stats.calls),
        ] {
            w.key(key)?;
            w.number(n.into())?;
        }
        Ok(())
    });
}

/// `--version` and `--time` of the call.
pub(crate) fn version_choice(call: &Call) -> Result<VersionChoice> {
    VersionChoice::parse(
        call.options.given(VERSION.name),
        call.options.given(TIME.name),
        Timestamp::now(),
    )
}

/// What the destination says about the end of a run that changed it, such as the new address of an IPFS folder.
pub(crate) fn tell_facts(facts: &[Fact], ui: &mut Ui) {
    for fact in facts {
        ui.result(&format!("{}: {}", fact.name, fact.value));
    }
    ui.json(|w| {
        for fact in facts {
            w.key(fact.key)?;
            w.string(fact.value.as_bytes())?;
        }
        Ok(())
    });
}

/// Passes on how the work of a command went. When it failed, what the destination has to say of what was changed until then is
/// said first, such as the new address of an IPFS folder; one that cannot be asked any more is not.
pub(crate) fn or_facts<T>(set: &mut Set, ui: &mut Ui, done: Result<T>) -> Result<T> {
    if done.is_err()
        && let Ok(facts) = writer::finish(set, ui)
    {
        tell_facts(&facts, ui);
    }
    done
}

/// Whether the words of a call tell upper from lower case.
pub(crate) fn case_of_words(call: &Call) -> Case {
    match call.options.flag(&IGNORE_CASE) {
        true => Case::Insensitive,
        false => case(),
    }
}

/// Whether rules tell upper from lower case: as Duplicati on Linux, unless its variable says otherwise.
pub(crate) fn case() -> Case {
    let told = std::env::var("FILESYSTEM_CASE_SENSITIVE").ok();
    match told.as_deref().and_then(parse_flag) {
        Some(false) => Case::Insensitive,
        _ => Case::Sensitive,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::base::opt::{Opt, Options};
    use crate::base::ui::Ui;
    use crate::cli::COMMANDS;
    use crate::cli::options::{NEW_BACKUP, PASSPHRASE};

    fn call(url: &str, rows: &[(&'static Opt, &str)]) -> Call {
        let mut options = Options::default();
        let cache = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp");
        for (opt, value) in rows.iter().chain(&[(&NO_CACHE, ""), (&CACHE_DIR, cache)]) {
            options.set(opt, value).unwrap();
        }
        Call {
            command: &COMMANDS[0],
            url: url.to_owned(),
            words: Vec::new(),
            options,
            rules: Vec::new(),
        }
    }

    #[test]
    fn a_folder_without_a_backup_can_be_written_but_not_read() {
        let here = env!("CARGO_MANIFEST_DIR");
        let mut ui = Ui::silent();
        let other = call(here, &[(&NO_ENCRYPTION, "")]);
        let e = open_set(&other, &mut ui, true).err().unwrap();
        assert_eq!(e.kind().exit_code(), 200);
        let plain = call(here, &[(&NO_ENCRYPTION, ""), (&NEW_BACKUP, "")]);
        let set = open_set(&plain, &mut ui, true).unwrap();
        assert!(set.passphrase().is_none() && set.volumes().len() == 0);
        let second = open_set(&plain, &mut ui, true).err().unwrap();
        assert!(second.to_string().contains("another run"), "{second}");
        drop(set);
        let e = open_set(&plain, &mut ui, false).err().unwrap();
        assert_eq!(e.kind().exit_code(), 100);
        let given = call(here, &[(&PASSPHRASE, "x y"), (&NEW_BACKUP, "")]);
        let set = open_set(&given, &mut ui, true).unwrap();
        assert_eq!(set.passphrase().unwrap().reveal(), "x y");
    }

    #[test]
    fn mistakes_are_found_before_the_destination_is_touched() {
        let mut ui = Ui::silent();
        for rows in [
            [(&PASSPHRASE as &'static Opt, " ")],
            [(&PREFIX as &'static Opt, "a-b")],
        ] {
            let e = open_set(&call("/nonexistent", &rows), &mut ui, false);
            assert_eq!(e.err().unwrap().kind().exit_code(), 200);
        }
        let both = call("/x", &[(&VERSION, "0"), (&TIME, "3D")]);
        assert_eq!(version_choice(&both).err().unwrap().kind().exit_code(), 200);
    }

    #[test]
    fn a_cache_belongs_to_one_server_bucket_and_account_however_they_are_given() {
        let owner_of = |url: &str| {
            let options = call(url, &[]).options;
            let remote = Remote::open(url, &options, &mut Ui::silent()).unwrap();
            owner(&remote, "duplicati").id()
        };
        let one = [
            "s3://b/f?s3-server-name=a.example&auth-username=k&auth-password=s",
            "s3://b/f/?s3-server-name=A.example&aws-access-key-id=k&aws-secret-access-key=s&use-ssl=true",
            "s3://k:other@b/f?s3-server-name=a.example:443&use-ssl=true&s3-location-constraint=eu-west-1",
        ];
        let others = [
            "s3://b/f?s3-server-name=b.example&auth-username=k&auth-password=s",
            "s3://c/f?s3-server-name=a.example&auth-username=k&auth-password=s",
            "s3://b/g?s3-server-name=a.example&auth-username=k&auth-password=s",
            "s3://b?s3-server-name=a.example&auth-username=k&auth-password=s",
            "s3://b/f?s3-server-name=a.example:9000&auth-username=k&auth-password=s",
            "s3://b/f?s3-server-name=a.example&auth-username=l&auth-password=s",
            "webdav://k:s@a.example/b/f?use-ssl=true",
            "webdav://l:s@a.example/b/f?use-ssl=true",
            "webdav://k:s@a.example:444/b/f?use-ssl=true",
            "b2://b/f?auth-username=k&auth-password=s",
            "b2://b/f?auth-username=l&auth-password=s",
            "b2://b/g?auth-username=k&auth-password=s",
            "ipfs://a.example/b/f",
            "ipfs://a.example:444/b/f",
            "/b/f",
        ];
        let first = owner_of(one[0]);
        for url in one {
            assert_eq!(owner_of(url), first, "{url}");
        }
        let all: std::collections::BTreeSet<String> =
            others.iter().map(|u| owner_of(u)).chain([first]).collect();
        assert_eq!(all.len(), others.len() + 1);
        let with_key = owner_of("b2://b/f?b2-accountid=k&b2-applicationkey=x");
        assert_eq!(with_key, owner_of(others[9]));
    }
}
