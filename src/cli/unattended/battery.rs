//! Whether the machine runs on its battery, as far as the kernel tells.

use std::fs;
use std::path::Path;

/// Where Linux shows what the machine is fed by.
pub(super) const SUPPLIES: &str = "/sys/class/power_supply";

/// True when a battery of the machine itself is being emptied and nothing feeds it. False where nothing is told.
pub(super) fn in_use(supplies: &Path) -> bool {
    let Ok(all) = fs::read_dir(supplies) else {
        return false;
    };
    let (mut fed, mut emptied) = (false, false);
    for supply in all.flatten() {
        let says = |name: &str| {
            let text = fs::read_to_string(supply.path().join(name)).unwrap_or_default();
            text.trim().to_ascii_lowercase()
        };
        // The battery of a mouse says nothing of the machine.
        if says("scope") == "device" {
            continue;
        }
        match says("type").as_str() {
            "mains" | "usb" | "usb_c" | "wireless" => fed |= says("online") == "1",
            "battery" | "ups" => emptied |= says("status") == "discharging",
            _ => {}
        }
    }
    emptied && !fed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    #[test]
    fn only_a_battery_that_is_emptied_counts() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/tmp")
            .join(format!("supplies-{}", std::process::id()));
        let mains = |online| vec![("type", "Mains"), ("online", online)];
        let battery = |status| vec![("type", "Battery"), ("status", status)];
        let mouse = vec![
            ("type", "Battery"),
            ("status", "Discharging"),
            ("scope", "Device"),
        ];
        for (supplies, want) in [
            (vec![], false),
            (vec![mains("1")], false),
            (vec![mains("0")], false),
            (vec![mains("1"), battery("Charging")], false),
            (vec![mains("1"), battery("Discharging")], false),
            (vec![mains("0"), battery("Discharging")], true),
            (vec![battery("Discharging")], true),
            (vec![battery("Full")], false),
            (vec![battery("Unknown")], false),
            (vec![mouse.clone()], false),
            (vec![mouse, mains("0"), battery("Discharging")], true),
            (
                vec![
                    vec![("type", "USB"), ("online", "1")],
                    battery("Discharging"),
                ],
                false,
            ),
            (vec![vec![("type", "UPS"), ("status", "Discharging")]], true),
            (vec![vec![("model", "odd")]], false),
        ] {
            let _ = fs::remove_dir_all(&root);
            for (n, facts) in supplies.iter().enumerate() {
                let folder = root.join(n.to_string());
                fs::create_dir_all(&folder).unwrap();
                for (name, value) in facts {
                    fs::write(folder.join(name), format!("{value}\n")).unwrap();
                }
            }
            assert_eq!(in_use(&root), want, "{supplies:?}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
