//! Options that say which versions stay and when space is reclaimed, as the engines want them.

use crate::base::error::{Error, Result};
use crate::cli::{Call, options as o};
use crate::upkeep::retention::{Age, Policy, Retention, Rule};
use crate::upkeep::waste::CompactRules;

/// The criterion of the call; at most one. `--version` is not among them: which versions exist is not known yet.
pub(super) fn retention(call: &Call) -> Result<Retention> {
    let options = &call.options;
    let text = |opt| options.text(opt).map(str::trim);
    let versions = options.int(&o::KEEP_VERSIONS).filter(|n| *n > 0);
    let mut rules: Vec<(&str, Rule)> = Vec::new();
    if let Some(count) = versions {
        rules.push((o::KEEP_VERSIONS.name, Rule::KeepVersions(count)));
    }
    if let Some(age) = text(&o::KEEP_TIME) {
        let rule = Rule::KeepTime {
            age: Age::parse(age)?,
            tolerance: !options.flag(&o::NO_TIME_TOLERANCE),
        };
        rules.push((o::KEEP_TIME.name, rule));
    }
    if let Some(policy) = text(&o::RETENTION_POLICY).map(Policy::parse).transpose()?
        && let Some(policy) = policy
    {
        rules.push((o::RETENTION_POLICY.name, Rule::Policy(policy)));
    }
    if rules.len() > 1 {
        let names: Vec<String> = rules.iter().map(|(n, _)| format!("--{n}")).collect();
        return Err(
            Error::usage(format!("{} exclude each other", names.join(" and ")))
                .hint("give one of them"),
        );
    }
    Ok(Retention {
        rule: rules.pop().map(|(_, rule)| rule),
        named: Vec::new(),
        allow_full_removal: options.flag(&o::ALLOW_FULL_REMOVAL),
    })
}

/// When volumes are rewritten; `volume_size` is that of new dblocks, in bytes.
pub(super) fn compact_rules(call: &Call, volume_size: u64) -> Result<CompactRules> {
    let options = &call.options;
    let threshold = options.int(&o::THRESHOLD).unwrap_or(25);
    let Some(threshold) = u8::try_from(threshold).ok().filter(|t| *t <= 100) else {
        return Err(Error::usage(format!(
            "--threshold={threshold} is not valid: a percentage of 0 to 100 is expected"
        )));
    };
    let interval = options.span(&o::AUTO_COMPACT_INTERVAL).unwrap_or(0);
    let Ok(least_seconds_between) = u64::try_from(interval) else {
        return Err(Error::usage("--auto-compact-interval must not be negative"));
    };
    Ok(CompactRules {
        threshold,
        volume_size,
        small_size: options.size(&o::SMALL_FILE_SIZE).unwrap_or(volume_size / 5),
        small_count: options.int(&o::SMALL_FILE_MAX_COUNT).unwrap_or(20),
        by_itself: !options.flag(&o::NO_AUTO_COMPACT),
        least_seconds_between,
    })
}
