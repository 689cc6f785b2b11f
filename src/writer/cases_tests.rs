//! Two commits, and everything that can come between: they drop a version, and purge a file from all.

use super::*;

/// Copies what `needed` files use out of all old volumes, and retires those.
fn compact(w: &mut Writer<'_>, ui: &mut Ui, all: &Stored, needed: &[&[u64]]) {
    let mut wanted = Vec::new();
    for &n in needed.iter().copied().flatten() {
        let data = block(n, if n >= 50 { 3000 } else { 400 });
        let ids: Vec<Hash> = data.chunks(1024).map(|p| Algo::Sha256.hash(p)).collect();
        if ids.len() > 1 {
            let list: Vec<u8> = ids.iter().flat_map(|i| i.as_bytes().to_vec()).collect();
            let id = Algo::Sha256.hash(&list);
            w.copy_list(ui, &id, &list).expect("a copy");
            wanted.push(id);
        }
        wanted.extend(ids);
        wanted.push(Algo::Sha256.hash(&block(1000 + n, 100)));
    }
    w.index(ui).expect("an index");
    for id in wanted {
        let data = all.get(id.as_bytes()).expect("stored");
        let packed = Packed {
            method: 0,
            crc: Crc32::of(data),
            packed_len: data.len() as u64,
            size: data.len() as u64,
        };
        w.copy_block(ui, &id, &packed, &mut data.as_slice())
            .expect("copied");
    }
    for no in 0..w.set.volumes().dblock_count() {
        w.retire(Retired::Dblock(no)).expect("retired");
    }
    for no in 0..u32::try_from(w.set.volumes().dindex_count()).expect("few") {
        w.retire(Retired::Dindex(no)).expect("retired");
        w.retire(Retired::Dindex(no)).expect("retired");
    }
}

/// The two commits that are tried, and what has to be left of each version, oldest first.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Case {
    DropOldest,
    PurgeFile,
}

impl Case {
    /// Files of each version afterwards; `None` for a version that goes.
    fn after(self) -> [Option<Vec<u64>>; 3] {
        VERSIONS.map(|files| match self {
            Case::DropOldest if files == VERSIONS[0] => None,
            Case::DropOldest => Some(files.to_vec()),
            Case::PurgeFile => Some(files.iter().copied().filter(|&n| n != 50).collect()),
        })
    }

    fn run(
        self,
        folder: &Path,
        all: &Stored,
        plan: &Rc<RefCell<Plan>>,
        ui: &mut Ui,
    ) -> Result<Committed> {
        let tmp = Tmp::open(None)?;
        let mut set = set(folder, plan, &tmp, ui);
        set.learn_params(ui)?;
        let permit = set.permit(false)?;
        let mut w = Writer::begin(&mut set, permit, WRITE)?;
        let needed: Vec<Vec<u64>> = self.after().into_iter().flatten().collect();
        let needed: Vec<&[u64]> = needed.iter().map(Vec::as_slice).collect();
        compact(&mut w, ui, all, &needed);
        let done = match self {
            Case::DropOldest => {
                let times: Vec<Timestamp> = w.set.versions().collect();
                let oldest: Vec<usize> = (0..times.len())
                    .filter(|&no| times[no] == Timestamp(TIME))
                    .collect();
                w.commit(ui, List::Drop(&oldest))?
            }
            Case::PurgeFile => {
                let times: Vec<Timestamp> = w.set.versions().collect();
                let old = |no: &usize| times[*no].0 % 100 == 0 && times[*no].0 < TIME + 200;
                let next = |no: usize| Timestamp(times[no].0 + 1);
                // What a run before wrote again has only to go.
                for no in (0..times.len()).filter(old) {
                    if times.contains(&next(no)) {
                        w.retire(Retired::Dlist(no))?;
                    }
                }
                let versions: Vec<Rewrite> = (0..times.len())
                    .filter(old)
                    .filter(|&no| !times.contains(&next(no)))
                    .map(|old| Rewrite {
                        old,
                        time: next(old),
                    })
                    .collect();
                let mut judge = |_: usize, e: &Entry| {
                    Ok(match e.path.as_slice() {
                        b"/f50" => Fate::Drop,
                        _ => Fate::Keep,
                    })
                };
                w.commit(
                    ui,
                    List::Rewrite {
                        versions: &versions,
                        judge: &mut judge,
                    },
                )?
            }
        };
        let state = w.state_after()?;
        w.finish(ui)?;
        assert_eq!(set.state(), state);
        if plan.borrow().lag.is_none() && !plan.borrow().late {
            assert_eq!(set.state_again(ui)?, state, "{self:?}");
        }
        Ok(done)
    }

    /// Every version that was to be kept is there, in its old form or the new one.
    fn check(self, folder: &Path, what: &str) {
        let there = look(folder, what);
        for (before, after) in VERSIONS.iter().zip(self.after()) {
            let Some(after) = after else { continue };
            let (old, new) = (paths(before), paths(&after));
            assert!(
                there.iter().any(|(_, p)| *p == old || *p == new),
                "{what}: {before:?} is not whole"
            );
        }
    }

    fn check_end(self, folder: &Path, what: &str) {
        let there: Vec<_> = look(folder, what).into_iter().map(|v| v.1).collect();
        let want: Vec<_> = self
            .after()
            .into_iter()
            .flatten()
            .map(|f| paths(&f))
            .collect();
        assert_eq!(there, want, "{what}");
        assert_eq!(
            files(folder, ".dblock.").len(),
            files(folder, ".dindex.").len()
        );
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    for name in files(from, ".zip") {
        fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
}

#[test]
fn a_commit_that_ends_after_any_request_leaves_every_kept_version_whole() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let all = build(&base.0, &tmp, &mut Ui::silent());
    for case in [Case::DropOldest, Case::PurgeFile] {
        case.check(&base.0, "before");
        // Stopped, as if killed; failing; refused.
        for class in [Class::Stopped, Class::Local, Class::Auth] {
            let mut whole = false;
            for n in 0..60 {
                let folder = Folder::new();
                copy(&base.0, &folder.0);
                let plan = Rc::new(RefCell::new(Plan {
                    cut: Some((n, class)),
                    ..Plan::default()
                }));
                let mut ui = Ui::silent();
                let tried = case.run_or_fail(&folder.0, &all, &plan, &mut ui);
                let what = format!("{case:?} {class:?} after {n}");
                case.check(&folder.0, &what);
                let changed = u32::try_from(plan.borrow().changed.len()).expect("few");
                let left = plan.borrow().cut.map_or(0, |c| c.0);
                assert_eq!(changed + left, n, "{what}");
                if left > 0 {
                    whole = true;
                    case.check_end(&folder.0, &what);
                    assert_eq!(
                        (tried.map(|d| d.left), ui.warnings()),
                        (Some(0), 0),
                        "{what}"
                    );
                    break;
                }
                // The next run ends it.
                let plan = Rc::default();
                if let Some(done) = tried.filter(|d| d.left > 0) {
                    assert!(done.stopped || ui.warnings() > 0, "{what}");
                    let rest = case.again(&folder.0, &all, &plan, &mut Ui::silent());
                    assert_eq!(rest.left, 0, "{what}");
                    case.check(&folder.0, &what);
                }
            }
            assert!(whole, "{case:?}: too many requests");
        }
    }
}

impl Case {
    /// `None` when it failed before anything was to be deleted.
    fn run_or_fail(
        self,
        folder: &Path,
        all: &Stored,
        plan: &Rc<RefCell<Plan>>,
        ui: &mut Ui,
    ) -> Option<Committed> {
        self.run(folder, all, plan, ui).ok()
    }

    /// The same once more on what was left.
    fn again(
        self,
        folder: &Path,
        all: &Stored,
        plan: &Rc<RefCell<Plan>>,
        ui: &mut Ui,
    ) -> Committed {
        self.run(folder, all, plan, ui).expect("goes well")
    }
}

/// What happens to deletions: all other names go, what depends on one that stays stays, too.
#[test]
fn what_cannot_be_deleted_stays_with_all_that_it_needs() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let all = build(&base.0, &tmp, &mut Ui::silent());
    // Deleted: dlists, dindexes, dblocks of 1, 3, 3; left; locked; warnings.
    for (word, class, deleted, left, locked, warnings) in [
        ("", Class::NotFound, [1, 3, 3], 0, 0, 0),
        (".dlist.", Class::Local, [0, 0, 0], 7, 0, 2),
        (".dlist.", Class::Locked, [0, 0, 0], 7, 1, 0),
        (".dindex.", Class::Local, [1, 0, 0], 6, 0, 4),
        (".dblock.", Class::Unsupported, [1, 3, 0], 3, 0, 4),
        (".dblock.", Class::Locked, [1, 3, 0], 3, 3, 0),
        (".dindex.", Class::Auth, [1, 0, 0], 6, 0, 1),
        ("", Class::Auth, [0, 0, 0], 7, 0, 1),
    ] {
        let folder = Folder::new();
        copy(&base.0, &folder.0);
        let plan = Rc::new(RefCell::new(Plan {
            stuck: vec![(word, class)],
            ..Plan::default()
        }));
        if class == Class::NotFound {
            plan.borrow_mut().stuck.clear();
        }
        let mut ui = Ui::silent();
        let done = Case::DropOldest
            .run(&folder.0, &all, &plan, &mut ui)
            .expect("a commit");
        let what = format!("{word} {class:?}");
        assert_eq!(done.deleted, deleted, "{what}");
        assert_eq!((done.left, done.locked), (left, locked), "{what}");
        assert_eq!(ui.warnings(), warnings, "{what}: {:?}", ui.messages());
        if class == Class::Auth {
            let line = &ui.messages()[0];
            assert!(
                line.contains("the right to delete files is lacking"),
                "{line}"
            );
        }
        Case::DropOldest.check(&folder.0, &what);
    }
}

/// What is said to be deleted and is listed all the same is told: the first few by name, the others by their number.
#[test]
fn deleted_files_that_are_listed_still_are_told() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let all = build(&base.0, &tmp, &mut Ui::silent());
    let plan = Rc::new(RefCell::new(Plan {
        late: true,
        ..Plan::default()
    }));
    let mut ui = Ui::silent();
    let done = Case::DropOldest.run(&base.0, &all, &plan, &mut ui);
    let done = done.expect("a commit");
    assert_eq!((done.deleted, done.disturbed.is_none()), ([1, 3, 3], true));
    let told = ui.messages();
    assert_eq!(told.len(), 6, "{told:?}");
    let plan = plan.borrow();
    let deleted = plan.changed.iter().find_map(|c| c.strip_prefix("delete "));
    let first = format!(
        "warning: the destination still lists {} though it was deleted",
        deleted.expect("a name")
    );
    assert_eq!(told[0], first);
    assert_eq!(
        told[5],
        "warning: the destination still lists 2 more deleted files"
    );
}

/// A listing that does not show what was sent, or shows what others sent: nothing is deleted, in one line.
#[test]
fn nothing_is_deleted_on_a_listing_that_lags_or_shows_strangers() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let all = build(&base.0, &tmp, &mut Ui::silent());
    for case in [Case::DropOldest, Case::PurgeFile] {
        for word in [".dblock.", ".dindex.", ".dlist."] {
            if case == Case::DropOldest && word == ".dlist." {
                continue;
            }
            let folder = Folder::new();
            copy(&base.0, &folder.0);
            let plan = Rc::new(RefCell::new(Plan {
                lag: Some(word),
                ..Plan::default()
            }));
            let mut ui = Ui::silent();
            let done = case.again(&folder.0, &all, &plan, &mut ui);
            assert_eq!((done.deleted, ui.warnings()), ([0; 3], 0));
            let said = done.disturbed.expect("an error");
            assert_eq!(said.kind(), Kind::Busy, "{said}");
            assert!(done.left > 0, "{said}");
            let deletes = |c: &String| c.starts_with("delete ");
            assert!(!plan.borrow().changed.iter().any(deletes));
            case.check(&folder.0, word);
        }
    }
}
