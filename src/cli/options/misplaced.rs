//! Options that stand on the line of a command that does not have them.
//!
//! Duplicati takes every option with every command, and its exported command lines carry all settings of a backup whatever is
//! done with them, so most are passed over in silence. These are not.

use super::{
    ALL_VERSIONS, EXISTING, EXIT_CODE, FORCE, IGNORE_CASE, KEEP_TIME, KEEP_VERSIONS,
    LIST_FOLDER_CONTENTS, LIST_PREFIX_ONLY, LIST_SETS_ONLY, LONG, NEW_BACKUP, NO_SCAN, REBUILD,
    RESTORE_PATH, RETENTION_POLICY, SCRIPT_AFTER, SCRIPT_BEFORE, SCRIPT_POST, SCRIPT_REQUIRED,
    SELF_TEST, TEST_FILES, TEST_LEAST, TEST_MOST, TEST_ROUNDS, TIME, VERSION, is_rule,
};
use crate::base::opt::Opt;

/// What is asked of one run and is no setting of a backup: passed over, the run would do something else than was asked.
static ASKED: [&Opt; 21] = [
    &IGNORE_CASE,
    &LONG,
    &VERSION,
    &TIME,
    &ALL_VERSIONS,
    &LIST_SETS_ONLY,
    &LIST_PREFIX_ONLY,
    &LIST_FOLDER_CONTENTS,
    &EXISTING,
    &NO_SCAN,
    &EXIT_CODE,
    &REBUILD,
    &NEW_BACKUP,
    &SELF_TEST,
    &TEST_FILES,
    &TEST_LEAST,
    &TEST_MOST,
    &TEST_ROUNDS,
    &SCRIPT_BEFORE,
    &SCRIPT_REQUIRED,
    &SCRIPT_AFTER,
];

/// Commands that do what the option asks anyway.
static BY_NATURE: [(&Opt, &[&str]); 3] = [
    (
        &ALL_VERSIONS,
        &[
            "list-filesets",
            "list-file-versions",
            "search-entries",
            "purge",
            "list-broken-files",
            "purge-broken-files",
            "affected",
        ],
    ),
    (&LIST_SETS_ONLY, &["list-filesets"]),
    (&LIST_FOLDER_CONTENTS, &["list-folder-content"]),
];

/// Commands that go by what is lost alone: a rule that were passed over would let them say or take more than was asked.
const WITHOUT_RULES: [&str; 2] = ["list-broken-files", "purge-broken-files"];

/// What is to be said of an option on the command line of a command that does not have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Misplaced {
    /// It is an error.
    Refused,
    /// The run goes on, and a note says that the option does nothing.
    Noted,
    /// Only told when more is to be said (`-v`).
    PassedOver,
}

/// How to take `opt` on the command line of `command`, which does not have it. `writes`: the command can change the destination.
pub(crate) fn misplaced(opt: &Opt, command: &str, writes: bool) -> Misplaced {
    let is = |row: &&Opt| row.name == opt.name;
    let by_nature = BY_NATURE
        .iter()
        .any(|(row, commands)| is(row) && commands.contains(&command));
    let rule = is_rule(opt);
    let criterion = is(&&KEEP_VERSIONS) || is(&&KEEP_TIME) || is(&&RETENTION_POLICY);
    match () {
        () if by_nature => Misplaced::PassedOver,
        () if ASKED.iter().any(is) || is(&&FORCE) => Misplaced::Refused,
        // What would be written there goes to standard output.
        () if is(&&RESTORE_PATH) && command == "cat" => Misplaced::Refused,
        () if rule && WITHOUT_RULES.contains(&command) => Misplaced::Refused,
        () if writes && (rule || criterion) || is(&&SCRIPT_POST) => Misplaced::Noted,
        () => Misplaced::PassedOver,
    }
}
