//! `system-info`: what this program is and what it would use, for bug reports. Contacts nothing, shows no secret.

use crate::base::error::Result;
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::cli::options::{self, CACHE_DIR, NO_CACHE, SELF_TEST, TEMPDIR};
use crate::cli::{Call, Command, Outcome, Section, self_test};
use crate::dest::SCHEMES;
use crate::set::default_folder;

pub(super) const COMMAND: Command = Command {
    name: "system-info",
    aliases: &["systeminfo"],
    section: Section::Helpers,
    summary: "what this program is and would use",
    usage: "",
    details: "With --self-test it computes known answers, sends data through the temporary\nfolder and back, and looks at the cache folder: one line a check, exit 0 when\nall is well, else 3.",
    needs_url: false,
    words: (0, 0),
    writes: false,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    if call.options.flag(&SELF_TEST) {
        return self_test::run(call, ui);
    }
    let temp = Tmp::open(call.options.text(&TEMPDIR));
    let temp = temp.map_or_else(|e| format!("not usable: {e}"), |t| t.shown());
    let cache = if call.options.flag(&NO_CACHE) {
        None
    } else {
        match call.options.text(&CACHE_DIR) {
            Some(given) => Some(given.into()),
            None => default_folder(),
        }
    };
    let cache = cache.map_or("none".to_owned(), |f| {
        text::safe(f.as_os_str().as_encoded_bytes())
    });
    let version = env!("CARGO_PKG_VERSION");
    let target = target();
    let cpu = cpu().join(", ");
    ui.result(&format!("duplet {version}"));
    for (name, value) in [
        ("target", &target),
        ("processor", &cpu),
        ("temporary files", &temp),
        ("cache", &cache),
    ] {
        ui.result(&format!("{name}: {value}"));
    }
    ui.result("destinations:");
    for s in SCHEMES {
        ui.result(&format!("  {}://  {}", s.names.join(":// "), s.help));
    }
    ui.result("defaults:");
    for o in options::real().filter(|o| !o.default.is_empty()) {
        ui.result(&format!("  --{}={}", o.name, o.default));
    }
    ui.json(|w| {
        for (name, value) in [
            ("Version", version),
            ("Target", &target),
            ("Processor", &cpu),
            ("TempFolder", &temp),
            ("CacheFolder", &cache),
        ] {
            w.key(name)?;
            w.string(value.as_bytes())?;
        }
        w.key("Destinations")?;
        w.begin_array()?;
        for s in SCHEMES {
            w.string(s.names[0].as_bytes())?;
        }
        w.end_array()?;
        w.key("Defaults")?;
        w.begin_object()?;
        let mut seen: Vec<&str> = Vec::new();
        for o in options::real().filter(|o| !o.default.is_empty()) {
            if !seen.contains(&o.name) {
                seen.push(o.name);
                w.key(o.name)?;
                w.string(o.default.as_bytes())?;
            }
        }
        w.end_object()
    });
    Ok(Outcome::Done)
}

/// Architecture, system and C library.
pub(super) fn target() -> String {
    let library = if cfg!(target_env = "musl") {
        "-musl"
    } else if cfg!(target_env = "gnu") {
        "-gnu"
    } else {
        ""
    };
    format!(
        "{}-{}{library}",
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

/// Abilities of the processor that make hashing and encryption fast.
fn cpu() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    {
        for (name, has) in [
            ("aes", std::arch::is_x86_feature_detected!("aes")),
            ("sha", std::arch::is_x86_feature_detected!("sha")),
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ] {
            if has {
                found.push(name);
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        for (name, has) in [
            ("aes", std::arch::is_aarch64_feature_detected!("aes")),
            ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
        ] {
            if has {
                found.push(name);
            }
        }
    }
    if found.is_empty() {
        found.push("no known extension");
    }
    found
}
