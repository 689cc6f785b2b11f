//! Layer 1, choosing: the filter language of `commands.md` 6.

mod compose;
mod filter;
mod glob;
mod groups;
mod pattern;
mod translate;
mod useless;
mod words;

pub(crate) use filter::{FilterSet, Rule, expand_environment};
pub(crate) use pattern::Case;
pub(crate) use words::{Best, Fit, Selection};
