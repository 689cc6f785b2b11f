//! Listings: whole or not at all, hostile names left out.

use std::time::Instant;

use crate::base::error::Result;
use crate::base::fault::{Class, Fault};
use crate::base::sys;
use crate::base::text;
use crate::base::ui::Ui;
use crate::dest::Listed;
use crate::remote::Remote;
use crate::remote::check::good_name;
use crate::remote::retry::Attempts;

/// Most entries of a listing, those that are no files of a backup too; more is taken for a listing without end.
pub(super) const LISTED_MAX: u64 = if cfg!(test) { 25_000 } else { 5_000_000 };
/// Dropped names that are shown.
const SAMPLES: usize = 3;

impl Remote {
    /// Passes on every file directly in the folder (no folders), or fails: never a part. After [`Listed::Restart`] the
    /// entries so far do not count. False when the folder does not exist. A name may come twice; the order is any.
    pub(crate) fn list(
        &mut self,
        ui: &mut Ui,
        each: &mut dyn FnMut(Listed) -> Result<()>,
    ) -> Result<bool> {
        self.list_from(ui, "", each)
    }

    /// As [`Remote::list`], only the files whose names begin with `start`. Where the server can limit a listing that is all it
    /// sends; of a folder that is listed whole, names that no file of a backup can have are told as ever.
    pub(crate) fn list_from(
        &mut self,
        ui: &mut Ui,
        start: &str,
        each: &mut dyn FnMut(Listed) -> Result<()>,
    ) -> Result<bool> {
        let mut attempts = Attempts::new(self.policy);
        let stops = sys::stops_requested();
        let doing = format!("list {}", self.shown);
        loop {
            self.stats.calls += 1;
            self.stats.lists += 1;
            let mut theirs = None;
            let mut dropped = Dropped::default();
            let mut begun = false;
            let mut listed = 0;
            let asked = Instant::now();
            let result = self.dest.list(start, &mut |item| {
                begun = matches!(item, Listed::Entry(_));
                listed = if begun { listed + 1 } else { 0 };
                if listed > LISTED_MAX {
                    return Err(Fault::new(
                        Class::Endless,
                        format!(
                            "listing incomplete: it has more than {LISTED_MAX} entries and no end"
                        ),
                    )
                    .hint("use a folder of its own for the backup"));
                }
                let wanted = match item {
                    Listed::Restart => {
                        dropped = Dropped::default();
                        true
                    }
                    Listed::Entry(ref file) if file.is_folder => false,
                    Listed::Entry(ref file) if good_name(&file.name) => {
                        file.name.starts_with(start)
                    }
                    Listed::Entry(ref file) => {
                        dropped.add(&file.name);
                        false
                    }
                };
                if !wanted {
                    return Ok(());
                }
                each(item).map_err(|e| {
                    theirs = Some(e);
                    Fault::new(Class::Local, "the listing was given up")
                })
            });
            self.asked(&doing, asked, result.as_ref().err(), ui);
            if let Some(e) = theirs {
                return Err(e);
            }
            match result {
                Ok(()) => {
                    self.heard = true;
                    dropped.tell(&self.shown, ui);
                    return Ok(true);
                }
                Err(fault) if fault.class == Class::FolderMissing && !begun => {
                    self.heard = true;
                    let clean = |text| self.redact.clean(text);
                    self.missing = Some((clean(fault.text), clean(fault.hint)));
                    return Ok(false);
                }
                Err(fault) => {
                    let fault = match fault.class {
                        Class::FolderMissing => Fault {
                            class: Class::Protocol,
                            text: format!("listing incomplete: {}", fault.text),
                            hint: String::new(),
                        },
                        _ => fault,
                    };
                    self.again(&mut attempts, fault, &doing, stops, ui)?;
                    each(Listed::Restart)?;
                }
            }
        }
    }
}

/// Names of a listing that were not passed on.
#[derive(Default)]
struct Dropped {
    count: u64,
    samples: Vec<String>,
}

impl Dropped {
    fn add(&mut self, name: &str) {
        self.count += 1;
        if self.samples.len() < SAMPLES {
            self.samples.push(text::safe_cut(name.as_bytes(), 60));
        }
    }

    fn tell(&self, shown: &str, ui: &mut Ui) {
        if self.count > 0 {
            ui.warn(
                "hostile-names",
                &format!(
                    "{shown} lists {} that no file of a backup can have, ignored: {}",
                    text::count(self.count, "name"),
                    self.samples.join(", ")
                ),
            );
        }
    }
}
