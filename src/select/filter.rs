//! Chains of include and exclude rules: the first one that fits decides (`commands.md` 6.2). Walking is the caller's.

use super::glob::Fold;
use super::pattern::{Case, Pattern, is_windows};
use crate::base::error::Result;

/// One `--include` or `--exclude`, in the order given.
pub(crate) struct Rule {
    pub(crate) include: bool,
    pub(crate) text: String,
}

/// What a set says of a path, and by which rule (counted from 0); `None` when no rule fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) included: bool,
    pub(crate) rule: Option<usize>,
}

/// Parsed rules.
pub(crate) struct FilterSet {
    rules: Vec<(bool, String, Pattern)>,
    case: Case,
}

impl FilterSet {
    /// A mistake in a rule is a `Usage` error that names it.
    pub(crate) fn parse(rules: &[Rule], case: Case) -> Result<FilterSet> {
        let env = |name: &str| std::env::var(name).ok();
        let parse = |rule: &Rule| {
            Pattern::parse(&rule.text, &env).map(|p| (rule.include, rule.text.clone(), p))
        };
        let rules = rules.iter().map(parse).collect::<Result<_>>()?;
        Ok(FilterSet { rules, case })
    }

    /// Decides on a path of this machine; a folder's ends with `/`.
    pub(crate) fn decide(&self, path: &[u8]) -> Decision {
        self.first(path, self.case.fold())
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
        let rule = self
            .rules
            .iter()
            .position(|(_, _, p)| p.matches(path, fold));
        let included = match rule {
            Some(i) => self.rules[i].0,
            None => !self.only_includes(),
        };
        Decision { included, rule }
    }

    /// Puts an include of exactly this path before all rules.
    pub(crate) fn include_first(&mut self, path: &[u8]) {
        let text = format!("@{}", String::from_utf8_lossy(path));
        let rule = (true, text, Pattern::Literal(path.to_vec()));
        self.rules.insert(0, rule);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// True when there are rules and none excludes: what no rule fits is then out.
    pub(crate) fn only_includes(&self) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|(include, _, _)| *include)
    }

    /// True for a folder of this machine that a walk does not enter; with includes only, all are.
    pub(crate) fn closes(&self, folder: &[u8]) -> bool {
        let decision = self.decide(folder);
        !decision.included && (decision.rule.is_some() || !self.only_includes())
    }

    /// The rule with its sign, as `+*.txt`; empty text when there is none of that number.
    pub(crate) fn rule_text(&self, index: usize) -> String {
        match self.rules.get(index) {
            Some((include, text, _)) => format!("{}{text}", if *include { '+' } else { '-' }),
            None => String::new(),
        }
    }

    /// True when an exclude of everything comes before any include (the warning FilterExcludesAll).
    pub(crate) fn excludes_all(&self) -> bool {
        self.rules
            .iter()
            .take_while(|(include, _, _)| !include)
            .any(|(_, _, p)| p.is_everything())
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
