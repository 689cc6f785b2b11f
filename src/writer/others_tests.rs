//! A backup and a deletion at the same destination that share no lock, in turns of every kind: no version loses data unless
//! one of the two says so.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::cases::copy;
use super::*;

/// Which program may list, put and delete how many times before the other one may.
type Schedule = VecDeque<(usize, usize)>;

struct Turns {
    state: Mutex<(Schedule, [bool; 2])>,
    changed: Condvar,
}

/// The turns of one of two programs.
#[derive(Clone)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    program: usize,
}

impl Turn {
    /// Comes back when the program may go on to its next call, and counts it.
    pub(super) fn wait(&self) {
        let mut state = self.turns.state.lock().expect("sound");
        loop {
            let (schedule, ended) = &mut *state;
            if ended[1 - self.program] {
                return;
            }
            match schedule.front_mut() {
                // What is left: one after the other.
                None if self.program == 0 => return,
                Some((program, left)) if *program == self.program && *left > 0 => {
                    *left -= 1;
                    return;
                }
                Some((program, _)) if *program == self.program || ended[*program] => {
                    schedule.pop_front();
                    self.turns.changed.notify_all();
                }
                _ => state = self.turns.changed.wait(state).expect("sound"),
            }
        }
    }

    fn end(&self) {
        let mut state = self.turns.state.lock().expect("sound");
        state.1[self.program] = true;
        self.turns.changed.notify_all();
    }
}

/// A file of each of these numbers is a version, oldest first.
const OLD: u64 = 10;
const KEPT: u64 = 20;

fn plan_of(turn: Option<Turn>) -> Rc<RefCell<Plan>> {
    Rc::new(RefCell::new(Plan {
        turns: turn,
        ..Plan::default()
    }))
}

/// Adds a version with one file of each number, whose data is stored where it is not yet.
fn backup(folder: &Path, numbers: &[u64], time: i64, turn: Option<Turn>) -> Result<()> {
    let (tmp, mut ui) = (Tmp::open(None)?, Ui::silent());
    let mut set = set(folder, &plan_of(turn), &tmp, &mut ui);
    let permit = set.permit(false)?;
    let mut w = Writer::begin(&mut set, permit, WRITE)?;
    let mut run = RunWriter::new(&tmp);
    for &n in numbers {
        let data = block(n, 400);
        let id = Algo::Sha256.hash(&data);
        w.add_block(&mut ui, &id, &data)?;
        let content = Content {
            hash: Some(id),
            size: data.len() as u64,
            block: None,
            lists: Vec::new(),
        };
        let mut record = Vec::new();
        Record {
            entry: Entry {
                kind: EntryKind::File,
                path: path(n).into_bytes(),
                time: Some(Timestamp(TIME)),
                content: Some(content.clone()),
                // Any block is as good.
                meta: Some(content),
            },
            stamp: Stamp::default(),
            extents: Extents::default(),
        }
        .encode(&mut record);
        run.push(&record)?;
    }
    let run = run.finish()?;
    add(&mut w, &mut ui, &run, Timestamp(time))?;
    w.finish(&mut ui)?;
    Ok(())
}

/// Deletes the oldest version, and every volume that the second does not need: none when the third is there, which needs all.
fn delete(folder: &Path, needed: &[String], plan: &Rc<RefCell<Plan>>) -> Result<()> {
    let (tmp, mut ui) = (Tmp::open(None)?, Ui::silent());
    let mut set = set(folder, plan, &tmp, &mut ui);
    set.learn_params(&mut ui)?;
    let permit = set.permit(false)?;
    let oldest = set.volumes().dlists().len() - 1;
    let all = oldest == 2;
    let mut w = Writer::begin(&mut set, permit, WRITE)?;
    let stays = |name: &VolumeName| all || needed.iter().any(|n| n == name.as_str());
    for no in 0..w.set.volumes().dblock_count() {
        let volume = w.set.volumes().dblock(no);
        if volume.is_some_and(|(name, _)| !stays(&name)) {
            w.retire(Retired::Dblock(no))?;
        }
    }
    for no in 0..u32::try_from(w.set.volumes().dindex_count()).expect("few") {
        let volume = w.set.volumes().dindex(no as usize);
        if volume.is_some_and(|(name, _)| !stays(&name)) {
            w.retire(Retired::Dindex(no))?;
        }
    }
    let done = w.commit(&mut ui, List::Drop(&[oldest]))?;
    w.finish(&mut ui)?;
    match done.disturbed {
        Some(e) => Err(e),
        None => Ok(()),
    }
}

/// What both programs said in the end: the backup, the deletion.
fn both(folder: &Path, needed: &[String], schedule: Schedule) -> [Result<()>; 2] {
    let turns = Arc::new(Turns {
        state: Mutex::new((schedule, [false; 2])),
        changed: Condvar::new(),
    });
    let turn = |program| Turn {
        turns: turns.clone(),
        program,
    };
    thread::scope(|scope| {
        let (ours, theirs) = (turn(0), turn(1));
        let deletion = scope.spawn(move || {
            let said = delete(folder, needed, &plan_of(Some(theirs.clone())));
            theirs.end();
            said
        });
        // The kept file, one that only the version has that goes, and a new one.
        let numbers = [OLD, KEPT, 30];
        let said = backup(folder, &numbers, TIME + 1000, Some(ours.clone()));
        ours.end();
        [said, deletion.join().expect("no panic")]
    })
}

#[test]
fn a_version_that_loses_volumes_to_another_program_is_told_by_one_of_the_two() {
    let base = Folder::new();
    backup(&base.0, &[OLD], TIME, None).expect("the first");
    let of_old = files(&base.0, ".zip");
    backup(&base.0, &[KEPT], TIME + 100, None).expect("the second");
    let mut needed = files(&base.0, ".zip");
    needed.retain(|n| !of_old.contains(n));
    // Calls of the backup: a look, two puts, a look, a put, a look. Of the deletion: two looks, 3 to 5 deletes, a look.
    let calls = [6, 8];
    let mut tried = 0;
    let mut said: BTreeMap<String, u32> = BTreeMap::new();
    for first in [0, 1] {
        let (mine, other) = (calls[first], calls[1 - first]);
        // Three segments, then the rest of both.
        for (a, b, c) in (0..=mine)
            .flat_map(|a| (1..=other).map(move |b| (a, b)))
            .flat_map(|(a, b)| (1..=mine - a).map(move |c| (a, b, c)))
        {
            let folder = Folder::new();
            copy(&base.0, &folder.0);
            let schedule = Schedule::from([(first, a), (1 - first, b), (first, c), (1 - first, 8)]);
            let what = format!("{schedule:?}");
            let ends = both(&folder.0, &needed, schedule);
            tried += 1;
            for (who, end) in ["backup", "deletion"].iter().zip(&ends) {
                let word = match end {
                    Ok(()) => "well".to_owned(),
                    Err(e) => {
                        assert_eq!(e.kind(), Kind::Busy, "{what}: {e}");
                        e.cause().to_owned()
                    }
                };
                *said.entry(format!("{who}: {word}")).or_default() += 1;
            }
            if ends.iter().all(Result::is_ok) {
                let whole = look(&folder.0, &what);
                assert_eq!(whole.len(), files(&folder.0, ".dlist.").len(), "{what}");
                let new = paths(&[OLD, KEPT, 30]);
                assert!(whole.iter().any(|(_, p)| *p == new), "{what}");
            }
        }
    }
    // Each of the four looks had something to tell at times.
    for word in [
        "backup: well",
        "deletion: well",
        "backup: the version was added, but",
        "backup: volume ",
        "deletion: another program wrote to the destination during this run: what it added",
        "deletion: another program wrote to the destination during this run",
    ] {
        let found = said.keys().any(|k| k.starts_with(word));
        assert!(found, "{word} of {tried}: {said:#?}");
    }
}

/// Deleted volumes that the listing still shows are no stranger's, nor is a file beside the backup.
#[test]
fn a_deletion_without_others_ends_well_although_its_listing_is_late() {
    for late in [false, true] {
        let folder = Folder::new();
        backup(&folder.0, &[OLD], TIME, None).expect("the first");
        let of_old = files(&folder.0, ".zip");
        backup(&folder.0, &[KEPT], TIME + 100, None).expect("the second");
        fs::write(folder.0.join("note.txt"), b"x").expect("written");
        let mut needed = files(&folder.0, ".zip");
        needed.retain(|n| !of_old.contains(n));
        let plan = plan_of(None);
        plan.borrow_mut().late = late;
        delete(&folder.0, &needed, &plan).expect("ends well");
        assert_eq!(files(&folder.0, ".zip"), needed);
    }
}
