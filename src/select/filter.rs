//! Chains of include and exclude rules: the first one that fits decides (`commands.md` 6.2). Walking is the caller's.

use std::cell::Cell;

use super::glob::Fold;
use super::pattern::{Case, Pattern, is_windows};
use crate::base::error::Result;

/// One `--include` or `--exclude`, in the order given.
pub(crate) struct Rule {
    pub(crate) include: bool,
    pub(crate) text: String,
    /// Upper and lower case are the same to it, whatever they are to others.
    pub(crate) any_case: bool,
}

impl Rule {
    /// A rule to which upper and lower case are what they are to all others.
    pub(crate) fn new(include: bool, text: impl Into<String>) -> Rule {
        Rule {
            include,
            text: text.into(),
            any_case: false,
        }
    }
}

/// What a set says of a path, and by which rule (counted from 0); `None` when no rule fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) included: bool,
    pub(crate) rule: Option<usize>,
}

/// One rule, and what came of it so far.
pub(super) struct Parsed {
    pub(super) include: bool,
    pub(super) text: String,
    pub(super) pattern: Pattern,
    pub(super) any_case: bool,
    /// It fitted a path.
    pub(super) used: Cell<bool>,
    /// It would have fitted a folder but for the `/` at the end of the folder's path.
    pub(super) lacks_slash: Cell<bool>,
}

impl Parsed {
    fn new(include: bool, text: String, pattern: Pattern) -> Parsed {
        Parsed {
            include,
            text,
            pattern,
            any_case: false,
            used: Cell::new(false),
            lacks_slash: Cell::new(false),
        }
    }

    fn fits(&self, path: &[u8], fold: Fold) -> bool {
        let fold = match fold {
            Fold::Exact if self.any_case => Fold::Letters,
            fold => fold,
        };
        self.pattern.matches(path, fold)
    }
}

/// Parsed rules.
pub(crate) struct FilterSet {
    pub(super) rules: Vec<Parsed>,
    case: Case,
}

impl FilterSet {
    /// A mistake in a rule is a `Usage` error that names it.
    pub(crate) fn parse(rules: &[Rule], case: Case) -> Result<FilterSet> {
        let env = |name: &str| std::env::var(name).ok();
        let parse = |rule: &Rule| {
            let pattern = Pattern::parse(&rule.text, &env)?;
            Ok(Parsed {
                any_case: rule.any_case,
                ..Parsed::new(rule.include, rule.text.clone(), pattern)
            })
        };
        let rules = rules.iter().map(parse).collect::<Result<_>>()?;
        Ok(FilterSet { rules, case })
    }

    /// Decides on a path of this machine; a folder's ends with `/`. Notes which rules fit nothing for want of that `/`.
    pub(crate) fn decide(&self, path: &[u8]) -> Decision {
        let fold = self.case.fold();
        let decision = self.first(path, fold);
        if let (true, Some((b'/', bare))) = (decision.included, path.split_last()) {
            for rule in self.rules.iter().filter(|r| !r.lacks_slash.get()) {
                if !rule.used.get() && !rule.include && rule.fits(bare, fold) {
                    rule.lacks_slash.set(true);
                }
            }
        }
        decision
    }

    /// Decides on a path from a backup: those of Windows compare without case and with either slash.
    pub(crate) fn decide_stored(&self, path: &[u8]) -> Decision {
        if is_windows(path) {
            self.first(path, Fold::Windows)
        } else {
            self.decide(path)
        }
    }

    fn first(&self, path: &[u8], fold: Fold) -> Decision {
        let rule = self.rules.iter().position(|r| r.fits(path, fold));
        let included = match rule {
            Some(i) => {
                self.rules[i].used.set(true);
                self.rules[i].include
            }
            None => !self.only_includes(),
        };
        Decision { included, rule }
    }

    /// Puts an include of exactly this path before all rules.
    pub(crate) fn include_first(&mut self, path: &[u8]) {
        let text = format!("@{}", String::from_utf8_lossy(path));
        let pattern = Pattern::Literal(path.to_vec());
        self.rules.insert(0, Parsed::new(true, text, pattern));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// True when there are rules and none excludes: what no rule fits is then out.
    pub(crate) fn only_includes(&self) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|r| r.include)
    }

    /// True for a folder of this machine that a walk does not enter; with includes only, all are.
    pub(crate) fn closes(&self, folder: &[u8]) -> bool {
        let decision = self.decide(folder);
        !decision.included && (decision.rule.is_some() || !self.only_includes())
    }

    /// The rule with its sign, as `+*.txt`, one without case with its option; empty text when there is none of that number.
    pub(crate) fn rule_text(&self, index: usize) -> String {
        match self.rules.get(index) {
            Some(r) => {
                let sign = match r.any_case {
                    true => "--iexclude=",
                    false if r.include => "+",
                    false => "-",
                };
                format!("{sign}{}", r.text)
            }
            None => String::new(),
        }
    }

    /// True when an exclude of everything comes before any include (the warning FilterExcludesAll).
    pub(crate) fn excludes_all(&self) -> bool {
        self.rules
            .iter()
            .take_while(|r| !r.include)
            .any(|r| r.pattern.is_everything())
    }
}

/// Replaces each `%NAME%` that `lookup` knows; the rest stays as it is.
pub(crate) fn expand_environment(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        let after = &rest[start + 1..];
        let value = after.find('%').and_then(|end| {
            let value = lookup(&after[..end]).filter(|_| end > 0)?;
            Some((value, &after[end + 1..]))
        });
        if let Some((value, tail)) = value {
            out.push_str(&rest[..start]);
            out.push_str(&value);
            rest = tail;
        } else {
            out.push_str(&rest[..=start]);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
