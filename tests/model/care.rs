//! Every command that takes away or puts right, at random, and what must be true after each.

use std::fs;
use std::path::Path;

use crate::changes;
use crate::life::{Kept, Life, Right};
use crate::rules::Rule;
use crate::steer::Cut;
use crate::support::harm::{Harm, harm};
use crate::support::snapshot::Kind;
use crate::support::{Ran, text};

/// Seconds in which a command has looked at its clock.
const LATE: i64 = 90;

/// Some commands are killed or stopped at one of their first steps.
fn cut(life: &mut Life) -> Option<Cut> {
    let rand = &mut life.world.rand;
    (rand.below(4) == 0).then(|| Cut {
        step: 1 + rand.below(9),
        kill: rand.below(3) > 0,
    })
}

/// Options of when and how space is reclaimed.
fn reclaiming(life: &mut Life) -> Vec<String> {
    let rand = &mut life.world.rand;
    let mut words = Vec::new();
    if rand.below(3) > 0 {
        words.push(format!("--threshold={}", rand.pick(&[0, 1, 10, 50, 90])));
    }
    if rand.below(2) == 0 {
        words.push(format!("--small-file-max-count={}", rand.below(4)));
    }
    if rand.below(4) == 0 {
        words.push(format!("--small-file-size={}", rand.pick(&["1mb", "3mb"])));
    }
    if rand.below(3) == 0 {
        words.push(format!("--dblock-size={}", rand.pick(&["1mb", "3mb"])));
    }
    words
}

/// An end that a command may have: one of `codes`, or the one of its cut, or of damage.
fn ended(life: &Life, ran: &Ran, codes: &[i32], cut: Option<Cut>) {
    let more: &[i32] = match cut {
        Some(Cut { kill: true, .. }) => &[-9],
        Some(_) => &[50],
        None => &[],
    };
    let hurt: &[i32] = if life.hurt() { &[0, 1, 2, 3, 100] } else { &[] };
    // What a person is warned of is no failure.
    let nearly_all = ran.code == 2 && ran.err.contains("entries of the newest version");
    let last = matches!(ran.code, 2 | 100) && ran.err.contains("no other version would be left");
    let fits = nearly_all || last || [codes, more, hurt].concat().contains(&ran.code);
    assert!(fits, "{}", ran.all());
}

/// Whether the command did all that it should.
fn finished(ran: &Ran) -> bool {
    matches!(ran.code, 0 | 1)
}

/// The versions that are there after a command that deletes some: those that stay in `stays` (whatever second the command
/// looked at the clock) are, and where it `finished` no others.
fn versions_after(life: &mut Life, ran: &Ran, stays: &dyn Fn(i64) -> Vec<i64>, exactly: bool) {
    let listed = life.listed(&life.world.dest());
    let moments = life.now..=life.now + LATE;
    let said = ran.all();
    // A list beside the one that a purge wrote in its place may be there or not.
    let versions = life.versions.clone();
    let counts = |time: &&i64| !is_twin(&versions, **time);
    let counted: Vec<&i64> = listed.iter().filter(counts).collect();
    let fits = moments.clone().any(|now| {
        let stays = stays(now);
        let stays: Vec<&i64> = stays.iter().filter(counts).collect();
        let all_there = stays.iter().all(|time| counted.contains(time));
        all_there && (!exactly || counted == stays)
    });
    assert!(fits, "{listed:?} stayed, not {:?}: {said}", stays(life.now));
    life.versions.retain(|v| listed.contains(&v.time));
    assert_eq!(
        life.versions.len(),
        listed.len(),
        "unknown versions: {listed:?} {said}"
    );
    life.forget_lists();
}

/// Whether a version of `time` is there only because a purge that wrote another in its place was cut off.
fn is_twin(versions: &[Kept], time: i64) -> bool {
    versions.iter().any(|v| v.instead.contains(&time))
}

/// Times of the versions that count, newest first, and whether each is complete.
fn rows(versions: &[Kept]) -> Vec<(i64, bool)> {
    let counting = versions.iter().rev().filter(|v| !is_twin(versions, v.time));
    counting.map(|v| (v.time, v.full)).collect()
}

/// No rule takes the last complete version: of those that go and were not `named` the newest such stays.
fn spare_complete(rows: &[(i64, bool)], keep: &mut [bool], named: &[usize]) {
    let whole = |no: &usize| rows[*no].1;
    if (0..rows.len()).filter(|no| keep[*no]).any(|no| whole(&no)) {
        return;
    }
    let mut going = (0..rows.len()).filter(|no| !keep[*no] && !named.contains(no));
    if let Some(no) = going.find(whole) {
        keep[no] = true;
    }
}

/// Times of the versions that a rule keeps, oldest first.
fn kept_by(rule: &Rule, rows: &[(i64, bool)], now: i64) -> Vec<i64> {
    let mut keeps = rule.keeps(rows, now);
    spare_complete(rows, &mut keeps, &[]);
    let each = rows.iter().zip(keeps).filter(|(_, keep)| *keep);
    let mut times: Vec<i64> = each.map(|((time, _), _)| *time).collect();
    times.reverse();
    times
}

pub fn backup(life: &mut Life) {
    let rule = (life.world.rand.below(2) == 0).then(|| Rule::random(&mut life.world.rand));
    let cut = cut(life);
    let dest = life.world.dest();
    let mut more = vec![text(&life.world.source()).to_owned()];
    more.extend(life.world.kept.iter().cloned());
    more.extend(
        reclaiming(life)
            .into_iter()
            .filter(|o| !o.starts_with("--dblock")),
    );
    more.extend(rule.iter().flat_map(Rule::words));
    if life.world.rand.below(5) == 0 {
        more.push("--no-auto-compact".to_owned());
    }
    if life.world.hidden {
        more.push("--disable-filetime-check".to_owned());
    }
    if life.world.rand.below(6) == 0 {
        more.push("--upload-unchanged-backups".to_owned());
    }
    if life.versions.is_empty() {
        more.push("--new-backup".to_owned());
    }
    let mut args = life.line("backup", &dest, &more);
    args.dedup();
    let want = life.world.wanted();
    let ran = life.run_cut(&args, cut);
    ended(life, &ran, &[0, 1], cut);
    let known: Vec<i64> = life.versions.iter().map(|v| v.time).collect();
    let new: Vec<i64> = life
        .listed(&dest)
        .into_iter()
        .filter(|t| !known.contains(t))
        .collect();
    assert!(new.len() <= 1, "{new:?}: {}", ran.all());
    if ran.code == 0 {
        assert_eq!(new.len(), 1, "{}", ran.all());
    }
    if ran.code == 1 {
        assert!(new.is_empty(), "{}", ran.all());
    }
    for time in new {
        let full = ran.code != 50 || ran.out.contains("stopped while old versions");
        let mut version = Kept {
            instead: Vec::new(),
            time,
            full,
            tree: want.clone(),
            bare: Vec::new(),
        };
        if !full {
            partial(life, &mut version);
        }
        life.versions.push(version);
    }
    if matches!(ran.code, 0..=3) {
        life.world.hidden = false;
    }
    let rows = rows(&life.versions);
    let all: Vec<i64> = life.versions.iter().map(|v| v.time).collect();
    let stays = |now: i64| match &rule {
        Some(rule) => kept_by(rule, &rows, now),
        None => all.clone(),
    };
    versions_after(life, &ran, &stays, finished(&ran));
}

/// A version that was stopped holds a part of the source, and for the rest what the version before held: what it restores now
/// is what it must restore for ever.
fn partial(life: &mut Life, version: &mut Kept) {
    let dest = life.world.dest();
    let (_, got, said) = life.restored(&dest, version.time);
    for (path, node) in &got {
        let olds = life.versions.iter().map(|v| &v.tree).chain([&version.tree]);
        let known = path.is_empty()
            || olds.into_iter().any(|tree| {
                tree.get(path)
                    .is_some_and(|n| n.kind == node.kind && n.sha256 == node.sha256)
            });
        assert!(
            known,
            "{:?} was never so: {said}",
            String::from_utf8_lossy(path)
        );
    }
    version.tree = got;
}

pub fn delete(life: &mut Life) {
    let rand = &mut life.world.rand;
    let rule = (rand.below(4) > 0).then(|| Rule::random(rand));
    let allow = rand.below(6) == 0;
    let mut named: Vec<usize> = Vec::new();
    if rule.is_none() || rand.below(4) == 0 {
        let count = life.versions.len();
        named = (0..count).filter(|_| rand.below(3) == 0).collect();
        if named.is_empty() {
            named.push(rand.count(count));
        }
    }
    let mut more: Vec<String> = rule.iter().flat_map(Rule::words).collect();
    if !named.is_empty() {
        let list: Vec<String> = named.iter().map(ToString::to_string).collect();
        more.push(format!("--version={}", list.join(",")));
    }
    if allow {
        more.push("--allow-full-removal".to_owned());
    }
    more.extend(reclaiming(life));
    if life.world.rand.below(4) == 0 {
        more.push("--no-auto-compact".to_owned());
    }
    let rows = rows(&life.versions);
    let newest_first: Vec<i64> = life.versions.iter().rev().map(|v| v.time).collect();
    let place = |no: &usize| rows.iter().position(|(t, _)| *t == newest_first[*no]);
    let named: Vec<usize> = named.iter().filter_map(place).collect();
    let stays = |now: i64| {
        let mut keep = match &rule {
            // What goes by its number does not count among those to keep.
            Some(Rule::Versions(_)) => vec![false; rows.len()],
            Some(rule) => rule.keeps_if(&rows, now, allow),
            None => vec![true; rows.len()],
        };
        if let Some(rule @ Rule::Versions(_)) = &rule {
            let left: Vec<usize> = (0..rows.len()).filter(|no| !named.contains(no)).collect();
            let rest: Vec<(i64, bool)> = left.iter().map(|&no| rows[no]).collect();
            for (no, kept) in left.into_iter().zip(rule.keeps(&rest, now)) {
                keep[no] = kept;
            }
        }
        for &no in &named {
            keep[no] = false;
        }
        if !allow {
            spare_complete(&rows, &mut keep, &named);
        }
        if !allow && !keep.contains(&true) {
            keep[0] = true;
        }
        let each = rows.iter().zip(keep).filter(|(_, keep)| *keep);
        let mut times: Vec<i64> = each.map(|((time, _), _)| *time).collect();
        times.reverse();
        times
    };
    let cut = cut(life);
    let dest = life.world.dest();
    let args = life.line("delete", &dest, &more);
    let ran = life.run_cut(&args, cut);
    ended(life, &ran, &[0], cut);
    versions_after(life, &ran, &stays, finished(&ran));
}

pub fn compact(life: &mut Life) {
    let more = reclaiming(life);
    let cut = cut(life);
    let dest = life.world.dest();
    let args = life.line("compact", &dest, &more);
    let ran = life.run_cut(&args, cut);
    ended(life, &ran, &[0], cut);
    all_versions_stay(life, &ran);
}

fn all_versions_stay(life: &mut Life, ran: &Ran) {
    let all: Vec<i64> = life.versions.iter().map(|v| v.time).collect();
    versions_after(life, ran, &|_| all.clone(), true);
}

type Fits = Box<dyn Fn(&[u8]) -> bool>;

/// A pattern, and which stored paths it fits.
fn pattern(life: &mut Life) -> (String, Fits) {
    let words = [
        "plain",
        "two words",
        "ümlaut",
        "-dash",
        "%41+",
        ".hidden",
        "@at",
        "renamed",
    ];
    let word = *life.world.rand.pick(&words);
    if life.world.rand.below(3) == 0 {
        return ("*.tmp".to_owned(), Box::new(|path| path.ends_with(b".tmp")));
    }
    let part = format!("/{word}").into_bytes();
    let inside = move |path: &[u8]| path.windows(part.len()).any(|w| w == part);
    (format!("*/{word}*"), Box::new(inside))
}

pub fn purge(life: &mut Life) {
    let (word, fits) = pattern(life);
    let source = text(&life.world.source()).as_bytes().to_vec();
    let matches = |rel: &[u8], kind: Kind| {
        let mut path = [&source[..], b"/", rel].concat();
        if kind == Kind::Folder && !rel.is_empty() {
            path.push(b'/');
        }
        fits(&path)
    };
    let mut more = vec![word];
    let count = life.versions.len();
    let mut chosen: Vec<bool> = vec![true; count];
    if life.world.rand.below(3) == 0 {
        let no = life.world.rand.count(count);
        more.push(format!("--version={no}"));
        chosen = (0..count).map(|at| at == count - 1 - no).collect();
    }
    if life.world.rand.below(2) == 0 {
        more.push("--force".to_owned());
    }
    more.extend(reclaiming(life));
    let cut = cut(life);
    let dest = life.world.dest();
    let args = life.line("purge", &dest, &more);
    let ran = life.run_cut(&args, cut);
    // More than half of all entries; nothing left of a version; no second free.
    ended(life, &ran, &[0, 100, 200], cut);
    let cleared = |version: &Kept| {
        let mut new = version.clone();
        new.tree.retain(|path, node| !matches(path, node.kind));
        new
    };
    let then: Vec<Kept> = life.versions.clone();
    let news: Vec<Option<Kept>> = then
        .iter()
        .zip(&chosen)
        .map(|(v, chosen)| Some(cleared(v)).filter(|n| *chosen && n.tree.len() < v.tree.len()))
        .collect();
    rewritten(life, &ran, &then, &news);
}

/// Takes in what a command left that writes versions again: `news` says what becomes of those that change.
fn rewritten(life: &mut Life, ran: &Ran, then: &[Kept], news: &[Option<Kept>]) {
    let listed = life.listed(&life.world.dest());
    let mut now: Vec<Kept> = Vec::new();
    for &time in &listed {
        if let Some(same) = then.iter().find(|v| v.time == time) {
            now.push(same.clone());
            continue;
        }
        let from = then
            .iter()
            .rposition(|v| v.time < time && time - v.time <= 60);
        let new = from.and_then(|at| news[at].clone());
        let mut new = new.unwrap_or_else(|| panic!("a version of {time}: {}", ran.all()));
        new.instead.push(new.time);
        new.time = time;
        now.push(new);
    }
    for (no, version) in then.iter().enumerate() {
        let stays = listed.contains(&version.time);
        let Some(new) = &news[no] else {
            assert!(stays, "{} is gone: {}", version.time, ran.all());
            continue;
        };
        let later = version.time + 1..=version.time + 60;
        let again = now
            .iter()
            .any(|v| later.contains(&v.time) && v.tree == new.tree);
        assert!(stays || again, "{} is gone: {}", version.time, ran.all());
        if ran.code == 0 && !life.hurt() {
            assert!(
                again && !stays,
                "{} is as it was: {}",
                version.time,
                ran.all()
            );
        }
    }
    life.versions = now;
    life.forget_lists();
}

/// What each version gives back now.
fn right_of_all(life: &mut Life) -> Vec<Right> {
    let dest = life.world.dest();
    let all = life.versions.clone();
    all.iter()
        .map(|version| life.right(&dest, version))
        .collect()
}

/// Fails unless all that was right is.
fn nothing_more_is_lost(before: &Right, after: &Right, ran: &Ran) {
    for (path, whole) in before {
        let now = after.get(path);
        assert!(
            now.is_some_and(|now| now >= whole),
            "{:?} came back (whole: {whole}) and now does ({now:?}): {}",
            String::from_utf8_lossy(path),
            ran.all()
        );
    }
}

/// Takes out of all versions what is lost, and nothing else.
pub fn purge_broken(life: &mut Life, cut: Option<Cut>) -> Ran {
    let right = right_of_all(life);
    let mut more = reclaiming(life);
    if life.world.rand.below(4) == 0 {
        more.push("--no-auto-compact".to_owned());
    }
    let dest = life.world.dest();
    let args = life.line("purge-broken-files", &dest, &more);
    let ran = life.run_cut(&args, cut);
    ended(life, &ran, &[0], cut);
    let then = life.versions.clone();
    let listed = life.listed(&dest);
    let mut now = Vec::new();
    for &time in &listed {
        let from = then
            .iter()
            .rposition(|v| v.time <= time && time - v.time <= 60);
        let from = from.unwrap_or_else(|| panic!("a version of {time}: {}", ran.all()));
        let mut version = Kept {
            time,
            ..then[from].clone()
        };
        let changed = then[from].time != time;
        if changed {
            version.instead.push(then[from].time);
            let after = life.right(&dest, &version);
            nothing_more_is_lost(&right[from], &after, &ran);
            version.tree.retain(|path, _| after.contains_key(path));
            version.bare = after
                .iter()
                .filter(|(_, whole)| !**whole)
                .map(|(p, _)| p.clone())
                .collect();
        }
        now.push(version);
    }
    for (version, right) in then.iter().zip(&right) {
        let files = right.keys().any(|p| version.tree[p].kind != Kind::Folder);
        let there = listed
            .iter()
            .any(|t| (version.time..=version.time + 60).contains(t));
        assert!(there || !files, "{} is gone: {}", version.time, ran.all());
    }
    life.versions = now;
    life.forget_lists();
    ran
}

/// Repairs what can be; what was right stays so, and with `rebuild` what the source still has comes back.
pub fn repair(life: &mut Life, rebuild: bool, cut: Option<Cut>) -> Ran {
    let right = right_of_all(life);
    let mut more = Vec::new();
    if rebuild {
        more.push("--rebuild-missing-dblock-files".to_owned());
        // As 'verify' would name them.
        let hurt: Vec<String> = life
            .vault
            .keys()
            .filter_map(|n| n.clone().into_string().ok())
            .collect();
        let there = |n: &String| life.world.dest().join(n).exists() && !n.contains(".dlist.");
        more.extend(hurt.into_iter().filter(there));
    }
    let dest = life.world.dest();
    let args = life.line("repair", &dest, &more);
    let ran = life.run_cut(&args, cut);
    ended(life, &ran, &[0], cut);
    all_versions_stay(life, &ran);
    let after = right_of_all(life);
    for (before, after) in right.iter().zip(&after) {
        nothing_more_is_lost(before, after, &ran);
    }
    if rebuild && ran.code != -9 && ran.code != 50 && life.unreadable.is_empty() {
        let source = life.world.wanted();
        for (version, after) in life.versions.iter().zip(&after) {
            for (path, node) in version.tree.iter().filter(|(_, n)| n.kind == Kind::File) {
                let same = source.get(path).is_some_and(|s| s.sha256 == node.sha256);
                let shown = String::from_utf8_lossy(path);
                assert!(
                    !same || after.contains_key(path),
                    "{shown} is in the source: {}",
                    ran.all()
                );
            }
        }
    }
    ran
}

/// A volume is lost or spoilt.
pub fn damage(life: &mut Life) {
    let word = *life.world.rand.pick(&[
        ".dblock.", ".dblock.", ".dblock.", ".dindex.", ".dindex.", ".dlist.",
    ]);
    let all = life.own(word);
    if life.vault.len() >= 3 || all.is_empty() {
        return;
    }
    let name = life.world.rand.pick(&all).clone();
    let path = life.world.dest().join(&name);
    let how = *life
        .world
        .rand
        .pick(&[Harm::Delete, Harm::Truncate, Harm::Flip]);
    if word == ".dlist." && (how == Harm::Delete || life.versions.len() < 2) {
        return;
    }
    life.world.note(format!("{how:?} of {}", path.display()));
    let before = life.vault.entry(name.clone());
    before.or_insert_with(|| fs::read(&path).unwrap());
    harm(&path, &path, how);
    if word == ".dlist." {
        let times = life.listed(&life.world.dest());
        let at = life.own(".dlist.").iter().position(|n| *n == name).unwrap();
        life.unreadable.push(times[at]);
    }
}

/// All volumes are put back from a copy, and then it is repaired.
pub fn back_from_a_copy(life: &mut Life) {
    life.world
        .note(format!("back from a copy: {:?}", life.vault.keys()));
    let dest = life.world.dest();
    life.bring_back(&dest);
    life.vault.clear();
    life.unreadable.clear();
    let args = life.line("repair", &dest, &[]);
    let ran = life.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.all());
    all_versions_stay(life, &ran);
    clean(life);
}

/// No copy: what is lost is let go.
pub fn cured(life: &mut Life) {
    let dest = life.world.dest();
    for time in life.unreadable.clone() {
        let times = life.listed(&dest);
        let at = times.iter().position(|t| *t == time).unwrap();
        let version = format!("--version={}", times.len() - 1 - at);
        let ran = life.look(
            "delete",
            &dest,
            &[&version, "--no-auto-compact", "--allow-full-removal"],
        );
        assert_eq!(ran.code, 0, "{}", ran.all());
        life.versions.retain(|v| v.time != time);
        all_versions_stay(life, &ran);
    }
    if life.versions.is_empty() {
        // Nothing is left to be kept: what remains is removed by hand.
        for name in life.own(".zip") {
            fs::remove_file(dest.join(name)).unwrap();
        }
        life.vault.clear();
        return;
    }
    repair_to_the_end(life);
    if life.hurt() {
        purge_broken_to_the_end(life);
    }
    life.vault.clear();
    life.unreadable.clear();
    clean(life);
}

/// A run that may be cut off, and one that ends what the first began.
fn repair_to_the_end(life: &mut Life) {
    let cut = cut(life);
    repair(life, true, cut);
    let ran = repair(life, true, None);
    // A damaged volume that no index knows stays, and is removed by hand.
    let dest = life.world.dest();
    for name in life
        .vault
        .keys()
        .filter(|n| n.to_string_lossy().contains(".dblock."))
    {
        let told = ran
            .err
            .contains(&format!("cannot read volume {}", name.to_string_lossy()));
        if told && dest.join(name).exists() {
            fs::remove_file(dest.join(name)).unwrap();
        }
    }
}

fn purge_broken_to_the_end(life: &mut Life) {
    let cut = cut(life);
    purge_broken(life, cut);
    let ran = purge_broken(life, None);
    assert_eq!(ran.code, 0, "{}", ran.all());
}

pub fn clean(life: &mut Life) {
    if life.versions.is_empty() || life.hurt() {
        return;
    }
    let dest = life.world.dest();
    let ran = life.look("verify", &dest, &["all", "--full-remote-verification"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
}

/// A dry run of a command that changes something changes nothing.
pub fn dry(life: &mut Life) {
    let rule = Rule::random(&mut life.world.rand).words();
    let (word, _) = pattern(life);
    let all: [(&str, Vec<String>); 5] = [
        ("delete", rule),
        ("compact", reclaiming(life)),
        ("purge", vec![word]),
        ("purge-broken-files", Vec::new()),
        ("repair", vec!["--rebuild-missing-dblock-files".to_owned()]),
    ];
    let (verb, mut more) = life.world.rand.pick(&all).clone();
    more.push("--dry-run".to_owned());
    let dest = life.world.dest();
    let before = listing(&dest);
    let args = life.line(verb, &dest, &more);
    let ran = life.run(&args);
    let codes: &[i32] = if verb == "purge" { &[0, 100] } else { &[0] };
    ended(life, &ran, codes, None);
    assert_eq!(before, listing(&dest), "{}", ran.all());
}

fn listing(dest: &Path) -> Vec<(std::ffi::OsString, u64, std::time::SystemTime)> {
    let each = crate::support::names(dest).into_iter().map(|name| {
        let meta = fs::metadata(dest.join(&name)).unwrap();
        (name, meta.len(), meta.modified().unwrap())
    });
    each.collect()
}

/// An old state of a cache, or a damaged one.
pub fn spoil_cache(life: &mut Life) {
    let (cache, old) = (
        life.world.scratch.at("cache"),
        life.world.scratch.at("old-cache"),
    );
    match life.world.rand.below(3) {
        0 => life.world.harm_cache(),
        1 => {
            let _ = fs::remove_dir_all(&old);
            copy_tree(&cache, &old);
        }
        _ if old.exists() => {
            let _ = fs::remove_dir_all(&cache);
            copy_tree(&old, &cache);
        }
        _ => {}
    }
    life.world.note("cache harmed".to_owned());
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in crate::support::names(from) {
        let path = from.join(&name);
        match path.is_dir() {
            true => copy_tree(&path, &to.join(&name)),
            false => drop(fs::copy(&path, to.join(&name))),
        }
    }
}

/// Life from the first version on.
pub fn live(seed: u64) {
    let mut life = Life::new(seed);
    backup(&mut life);
    let steps = 8 + life.world.rand.below(8);
    for _ in 0..steps {
        life.pass_time();
        let newest = life.newest();
        step(&mut life);
        life.newest_was(newest);
        life.strangers_are_there();
        life.nothing_needed_is_gone();
    }
    life.pass_time();
    if life.hurt() {
        let newest = life.newest();
        match life.world.rand.below(2) {
            0 => back_from_a_copy(&mut life),
            _ => cured(&mut life),
        }
        life.newest_was(newest);
    }
    life.pass_time();
    changes::change(&mut life.world);
    backup(&mut life);
    life.strangers_are_there();
    clean(&mut life);
    let dest = life.world.dest();
    for version in life.versions.clone() {
        life.restores_at(&dest, &version);
    }
}

fn step(life: &mut Life) {
    let what = life.world.rand.below(20);
    if life.versions.is_empty() || what < 7 {
        changes::change(&mut life.world);
        if life.world.rand.below(4) == 0 {
            changes::grow(&mut life.world);
        }
        return backup(life);
    }
    match what {
        7..=9 => delete(life),
        10 | 11 => compact(life),
        12 => purge(life),
        13..=15 => damage(life),
        16 => spoil_cache(life),
        17 => dry(life),
        18 if life.hurt() => back_from_a_copy(life),
        19 if life.hurt() => cured(life),
        18 => {
            let rebuild = life.world.rand.below(2) == 0;
            let cut = cut(life);
            repair(life, rebuild, cut);
        }
        _ => {
            let cut = cut(life);
            purge_broken(life, cut);
        }
    }
}
