//! Weeks of daily backups under a simulated clock, with old versions deleted and space reclaimed as they go.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::Path;
use std::process::{Command, Stdio};

/// `.ci/bench-retention` compares every tenth day the versions with the policy, verifies all data, and restores one of them.
#[test]
fn weeks_of_days_leave_the_versions_of_the_policy_and_each_restores_as_it_was() {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("year");
    let run = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/bench-retention"))
        .arg("year")
        .env("DUPLET", env!("CARGO_BIN_EXE_duplet"))
        .env("WORK", &work)
        .envs([("DAYS", "40"), ("PROGRAMS", "duplet"), ("FILES", "60")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
    assert!(run.status.success(), "{}", said.join("\n"));
    let checks = said[1].matches("came back whole").count();
    assert_eq!(checks, 4, "{}", said.join("\n"));
    let sum = said[0].lines().last().unwrap();
    // A week of days and what the weeks before left; volumes were rewritten on the way.
    assert!(said[0].contains("| duplet | 11 |"), "{}", said[0]);
    assert!(
        sum.contains("deleted 29 versions") && !sum.contains("in 0 runs"),
        "{sum}"
    );
}
