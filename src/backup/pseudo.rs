//! File systems that hold no files but what the kernel makes up when somebody looks: they are not entered unless named.

use std::io;

use crate::base::sys::Spot;

/// Numbers of such file systems, as `statfs` and the kernel's `magic.h` have them.
const PSEUDO: [u32; 28] = [
    0x9fa0,      // proc
    0x9fa1,      // openprom
    0x9fa2,      // usbdevice
    0x1cd1,      // devpts
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0xf97c_ff8c, // selinux
    0x4341_5d53, // smack
    0x5a3c_69f0, // apparmor
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0x4249_4e4d, // binfmt_misc
    0x1980_0202, // mqueue
    0x6573_5543, // fusectl
    0x6759_6969, // rpc_pipefs
    0x6e66_7364, // nfsd
    0x6e73_6673, // nsfs
    0x0765_5821, // resctrl
    0x6c6f_6f70, // binder
    0xabba_1974, // xenfs
    0x5049_5045, // pipefs
    0x534f_434b, // sockfs
];

/// Devices that were asked, at most so many: a machine has few mounts in one source.
const KNOWN_AT_MOST: usize = 64;

/// Remembers by device which file systems are such ones.
#[derive(Default)]
pub(super) struct PseudoFs {
    known: Vec<(u64, bool)>,
}

impl PseudoFs {
    /// Whether the entry at `spot`, on the device `dev`, is on such a file system. One look for each device.
    pub(super) fn is(&mut self, dev: u64, spot: &Spot<'_>) -> bool {
        if let Some((_, is)) = self.known.iter().find(|(d, _)| *d == dev) {
            return *is;
        }
        let is = by_number(spot.file_system());
        if self.known.len() == KNOWN_AT_MOST {
            self.known.clear();
        }
        self.known.push((dev, is));
        is
    }
}

/// What cannot be asked is taken for a real one.
fn by_number(number: io::Result<u32>) -> bool {
    number.is_ok_and(|n| PSEUDO.contains(&n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::levels::itself;
    use crate::base::sys::Dir;
    use std::path::Path;

    #[test]
    fn what_the_kernel_makes_up_is_told_from_files() {
        let mut known = PseudoFs::default();
        let here = std::env::temp_dir();
        for (path, want) in [("/proc", true), ("/sys", true), ("/", false)] {
            let Ok(dir) = Dir::open(Path::new(path)) else {
                continue;
            };
            let spot = itself(&dir);
            let Ok(stat) = spot.stat() else { continue };
            let there = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
            if want && !there.contains(&format!(" {path} ")) {
                continue;
            }
            assert_eq!(known.is(stat.dev, &spot), want, "{path}");
            assert_eq!(known.is(stat.dev, &spot), want, "{path} again");
        }
        let dir = Dir::open(&here).expect("there");
        assert!(!known.is(1 << 60, &itself(&dir)));
        assert!(!by_number(Err(io::Error::other("no"))));
        // Where people keep files: ext4, xfs, btrfs, tmpfs, overlay, nfs, cifs, fuse, vfat, zfs, autofs, 9p, f2fs, exfat.
        for number in [
            0xef53,
            0x5846_5342,
            0x9123_683e,
            0x0102_1994,
            0x794c_7630,
            0x6969,
            0xff53_4d42,
            0x6573_5546,
            0x4d44,
            0x2fc1_2fc1,
            0x0187,
            0x0102_1997,
            0xf2f5_2010,
            0x2011_bab0,
        ] {
            assert!(!by_number(Ok(number)), "{number:x}");
        }
    }
}
