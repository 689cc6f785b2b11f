//! Layer 1, choosing: the filter language of `commands.md` 6.

mod filter;
mod glob;
mod groups;
mod pattern;
mod translate;
mod useless;

pub(crate) use filter::{FilterSet, Rule, expand_environment};
pub(crate) use pattern::{Case, Selection};
