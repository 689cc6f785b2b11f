//! Whether an entry belongs to the backup: the rules of `commands.md` 6.4 that need no look into folders.

use crate::backup::attrs::{asks_for_exclusion, is_read_only};
use crate::backup::choice::{HardlinkPolicy, Reason, SymlinkPolicy};
use crate::backup::walk::{Visitor, Walk};
use crate::base::digest::{Algo, BlockKey};
use crate::base::error::Result;
use crate::base::sys::{FileKind, Spot, Stat};
use crate::base::ui::Ui;

enum Verdict {
    Take(Option<Reason>),
    /// Walk into the folder, do not record it.
    Pass,
    Out(Reason),
}

impl Walk<'_> {
    /// Whether an entry is to be recorded; `None` when it is left out, a folder with all that is in it.
    pub(super) fn decide(
        &mut self,
        ui: &mut Ui,
        is_source: bool,
        stat: &Stat,
        spot: &Spot<'_>,
        base: usize,
        visitor: &mut dyn Visitor,
    ) -> Result<Option<bool>> {
        if is_source {
            visitor.decided(ui, &self.path, true, &Reason::Source, stat.size);
            return Ok(Some(true));
        }
        Ok(match self.verdict(stat, spot, base)? {
            Verdict::Take(reason) => {
                if let Some(reason) = reason {
                    visitor.decided(ui, &self.path, true, &reason, stat.size);
                }
                Some(true)
            }
            Verdict::Pass => {
                visitor.decided(ui, &self.path, false, &Reason::Filter(None), stat.size);
                Some(false)
            }
            Verdict::Out(reason) => {
                self.stats.excluded += 1;
                if matches!(reason, Reason::TooLarge(_)) {
                    self.stats.too_large += 1;
                }
                visitor.decided(ui, &self.path, false, &reason, stat.size);
                None
            }
        })
    }

    /// The rules of `commands.md` 6.4 from the hard link on, for the entry at `spot` whose name begins at `base` of the path;
    /// what a folder itself says, by a marker in it or an attribute, comes later, when it is open.
    fn verdict(&mut self, stat: &Stat, spot: &Spot<'_>, base: usize) -> Result<Verdict> {
        if stat.kind == FileKind::File && stat.nlink > 1 {
            match self.choice.hardlinks {
                HardlinkPolicy::All => {}
                HardlinkPolicy::None => return Ok(Verdict::Out(Reason::Hardlink)),
                HardlinkPolicy::First => {
                    let mut identity = stat.dev.to_be_bytes().to_vec();
                    identity.extend_from_slice(&stat.ino.to_be_bytes());
                    if !self
                        .hardlinks
                        .insert(&BlockKey::new(&Algo::Sha256.hash(&identity), 1))?
                    {
                        return Ok(Verdict::Out(Reason::Hardlink));
                    }
                }
            }
        }
        if !self.choice.exclude_attributes.is_empty()
            && let Some(attribute) = self.excluded_attribute(stat, base)
        {
            return Ok(Verdict::Out(Reason::Attribute(attribute)));
        }
        let decision = self.choice.filters.decide(&self.path);
        let is_folder = stat.kind == FileKind::Folder;
        // With includes only, folders are walked but not recorded.
        let pass = is_folder && decision.rule.is_none() && self.choice.filters.only_includes();
        if !decision.included && !pass {
            return Ok(Verdict::Out(Reason::Filter(decision.rule)));
        }
        if self.choice.exclusion_attributes
            && !is_folder
            && self.explains
            && let Some(name) = asks_for_exclusion(spot)
        {
            return Ok(Verdict::Out(Reason::AskedFor(name)));
        }
        if !decision.included {
            return Ok(Verdict::Pass);
        }
        if stat.kind == FileKind::Symlink && self.choice.symlinks == SymlinkPolicy::Ignore {
            return Ok(Verdict::Out(Reason::SymlinkPolicy));
        }
        if stat.kind == FileKind::File
            && self
                .choice
                .larger_than
                .is_some_and(|most| most > 0 && stat.size > most)
        {
            return Ok(Verdict::Out(Reason::TooLarge(stat.size)));
        }
        Ok(Verdict::Take(Some(Reason::Filter(decision.rule))))
    }

    fn excluded_attribute(&self, stat: &Stat, base: usize) -> Option<&'static str> {
        let hidden = self.path.get(base) == Some(&b'.');
        let read_only = is_read_only(&self.who, stat);
        let is_folder = stat.kind == FileKind::Folder;
        let is_link = stat.kind == FileKind::Symlink;
        let normal = !(hidden || read_only || is_folder || is_link);
        let has = [
            ("hidden", hidden),
            ("readonly", read_only),
            ("directory", is_folder),
            ("reparsepoint", is_link),
            ("normal", normal),
        ];
        has.into_iter()
            .find(|(name, on)| *on && self.choice.exclude_attributes.iter().any(|a| a == name))
            .map(|(name, _)| name)
    }
}
