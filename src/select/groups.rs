//! Built-in groups of rules, `{Name}` (`commands.md` 6.5): the Linux lists.

const SYSTEM: &[&str] = &["/dev/", "/proc/", "/selinux/", "/sys/"];
const OS: &[&str] = &["/bin/", "/boot/", "/etc/", "/initrd/", "/sbin/", "/var/"];
const CACHE: &[&str] = &[
    "*/.cache/",
    "*/.config/google-chrome/Default/Cookies",
    "*/.config/google-chrome/Default/Cookies-journal",
    "*/Google/Chrome/*cache*",
    "*/Google/Chrome/*LOCK*",
    "*/Google/Chrome/*Current*",
    "*/Google/Chrome/Safe Browsing*",
    "*/iPhoto Library/iPod Photo Cache/",
    "*/Mozilla/Firefox/*cache*",
    "*/cookies.sqlite-*",
    "*/permissions.sqlite-*",
];
const TEMP: &[&str] = &["*/lost+found/", "*~", "/tmp/"];
const APPS: &[&str] = &["/lib/", "/lib64/", "/opt/", "/usr/"];

/// Adds the patterns of the group `name` (any case); false when there is no such group.
fn add(name: &str, env: &dyn Fn(&str) -> Option<String>, out: &mut Vec<String>) -> bool {
    let mut all = |list: &[&str]| out.extend(list.iter().map(|&p| p.to_owned()));
    match name.to_ascii_lowercase().as_str() {
        "systemfiles" | "system" | "sys" => all(SYSTEM),
        "operatingsystem" | "os" => all(OS),
        "cachefiles" | "cachefolders" | "caches" | "cache" => {
            all(CACHE);
            out.extend(env("XDG_CACHE_HOME").filter(|p| !p.is_empty()));
        }
        "temporaryfiles" | "temporaryfolders" | "tempfolders" | "tempfiles" | "temp" | "tmp" => {
            all(TEMP);
            if let Some(folder) = env("TMPDIR").filter(|p| p.starts_with('/')) {
                out.push(format!("{}/", folder.trim_end_matches('/')));
            }
        }
        "applications" | "application" | "apps" | "app" => all(APPS),
        "defaultexcludes" | "defaultexclude" | "excludes" | "exclude" | "exc" => {
            for part in ["sys", "os", "cache", "temp", "apps"] {
                add(part, env, out);
            }
        }
        "defaultincludes" | "defaultinclude" | "includes" | "include" | "inc" | "none" => {}
        _ => return false,
    }
    true
}

/// The patterns of a list of names such as `Temp,Cache`, sorted, without those below a folder that is there already; the
/// error is the name that is not known.
pub(crate) fn expand<'a>(
    names: &'a str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, &'a str> {
    let mut found = Vec::new();
    for name in names.split([',', ':', ';', '|']).map(str::trim) {
        if !add(name, env, &mut found) {
            return Err(name);
        }
    }
    found.sort();
    found.dedup();
    let mut kept: Vec<String> = Vec::new();
    for pattern in found {
        let covered = kept
            .last()
            .is_some_and(|k| k.ends_with('/') && pattern.starts_with(k.as_str()));
        if !covered {
            kept.push(pattern);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let env = |name: &str| (name == "TMPDIR").then(|| "/tmp/mine".to_owned());
        let temp = vec!["*/lost+found/".to_owned(), "*~".into(), "/tmp/".into()];
        assert_eq!(expand("Temp", &env), Ok(temp));
        assert_eq!(expand("none", &env), Ok(Vec::new()));
        assert_eq!(expand("SYS|apps", &|_| None).map(|l| l.len()), Ok(8));
        assert_eq!(expand("Temp,nope", &env), Err("nope"));
        assert_eq!(expand("", &env), Err(""));
        let all = expand("DefaultExcludes", &env).unwrap_or_default();
        assert!(all.contains(&"/etc/".to_owned()) && all.contains(&"*/.cache/".to_owned()));
        assert_eq!(all.len(), 28);
    }
}
