//! The walk of a backup without the backup: what is in, what is out, and why.

use crate::backup::choice::{Choice, Reason};
use crate::backup::source::Source;
use crate::backup::walk::{Found, Visitor, Walk};
use crate::base::error::Result;
use crate::base::sys::{self, FileKind};
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;

/// Totals of a walk whose only purpose is to explain.
#[derive(Clone, Copy, Default)]
pub(crate) struct FilterTest {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Hears each decision: path as stored, in or out, why.
pub(crate) type Explain<'a> = dyn FnMut(&mut Ui, &[u8], bool, &Reason) + 'a;

/// Walks the sources as a backup would and tells `explain` every decision.
pub(crate) fn test_filters(
    choice: &Choice,
    sources: &[Source],
    tmp: &Tmp,
    ui: &mut Ui,
    explain: &mut Explain<'_>,
) -> Result<FilterTest> {
    struct Teller<'a, 'b> {
        explain: &'a mut Explain<'b>,
        total: FilterTest,
    }
    impl Visitor for Teller<'_, '_> {
        fn found(&mut self, _ui: &mut Ui, found: &Found<'_>) -> Result<()> {
            if found.stat.kind == FileKind::File {
                self.total.files += 1;
                self.total.bytes += found.stat.size;
            }
            Ok(())
        }
        fn decided(
            &mut self,
            ui: &mut Ui,
            path: &[u8],
            included: bool,
            reason: &Reason,
            _size: u64,
        ) {
            (self.explain)(ui, path, included, reason);
        }
        fn stopped(&mut self) -> bool {
            sys::stops_requested() > 0
        }
    }
    let mut teller = Teller {
        explain,
        total: FilterTest::default(),
    };
    let mut walk = Walk::new(choice, tmp);
    walk.explains = true;
    walk.run(ui, sources, &mut teller)?;
    Ok(teller.total)
}
