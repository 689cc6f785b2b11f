//! From a URL, the command line and the environment to one set of options and one destination (`destinations-core.md` 1.4).

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, Part, empty, row};
use crate::base::place;
use crate::base::text;
use crate::base::ui::Ui;
use crate::dest::{Scheme, known, of_carrier};
use crate::net::opts;
use crate::net::url::{DestUrl, display_raw};
use crate::remote::redact::Redact;
use crate::remote::retry;

pub(crate) const NO_AUTOCREATE: Opt = row(
    "disable-autocreate-folder",
    Kind::Flag,
    "",
    "Fail when the destination folder does not exist, instead of making it.",
);
pub(crate) const NO_VERIFY: Opt = row(
    "disable-upload-verify",
    Kind::Flag,
    "",
    "Do not ask the destination for the size of each uploaded file.",
);
pub(crate) const LIST_VERIFY: Opt = row(
    "list-verify-uploads",
    Kind::Flag,
    "",
    "List the destination after each upload and look for the file.",
);
pub(crate) const THROTTLE_UPLOAD: Opt = row(
    "throttle-upload",
    Kind::Size(1024),
    "0",
    "Most bytes a second to send, without a suffix in KiB; 0 = unlimited.",
);
pub(crate) const THROTTLE_DOWNLOAD: Opt = row(
    "throttle-download",
    Kind::Size(1024),
    "0",
    "Most bytes a second to fetch, without a suffix in KiB; 0 = unlimited.",
);
pub(crate) const NO_THROTTLE: Opt = row(
    "throttle-disabled",
    Kind::Flag,
    "",
    "Ignore the throttle options.",
);
pub(crate) const NO_THROTTLE_FOR: Opt = row(
    "throttle-disabled-backends",
    Kind::Text,
    "",
    "Destination types that are not throttled, separated by commas.",
);

/// Options of every destination (`destinations-core.md` 1.7), valid on the command line and in the URL query.
pub(crate) static OPTIONS: &[Opt] = &[
    opts::AUTH_USERNAME,
    opts::AUTH_PASSWORD,
    opts::SSL_CA_FILE,
    opts::SSL_HASH,
    opts::SSL_ANY,
    opts::SSL_VERSIONS,
    opts::SHORT_TIMEOUT,
    opts::LIST_TIMEOUT,
    opts::READ_WRITE_TIMEOUT,
    opts::OPERATION_TIMEOUT,
    opts::NO_EXPECT,
    opts::NO_REUSE,
    opts::HTTP_PROXY,
    opts::IGNORE_REVOCATION,
    opts::NO_NAGLE,
    opts::BUFFERING,
    retry::RETRIES,
    retry::DELAY,
    retry::EXPONENTIAL,
    NO_AUTOCREATE,
    NO_VERIFY,
    LIST_VERIFY,
    THROTTLE_UPLOAD,
    THROTTLE_DOWNLOAD,
    NO_THROTTLE,
    NO_THROTTLE_FOR,
    #[cfg(feature = "dest-rclone")]
    crate::dest::THROUGH,
    row(
        "disable-streaming-transfers",
        Kind::Ignored,
        "",
        "No effect: transfers go through a temporary file.",
    ),
];

/// A destination ready to be made: URL, its row in the registry, all options, all secrets.
pub(crate) struct Plan {
    pub(crate) url: DestUrl,
    pub(crate) scheme: &'static Scheme,
    pub(crate) options: Options,
    pub(crate) redact: Redact,
}

/// Parses the URL and merges the option sources, URL query first. No network.
pub(crate) fn plan(
    text: &str,
    given: &Options,
    schemes: &[&'static Scheme],
    env: &dyn Fn(&str) -> Option<String>,
    ui: &mut Ui,
) -> Result<Plan> {
    let (url, notices) = DestUrl::parse(text)?;
    for notice in notices {
        ui.note(&notice);
    }
    let (scheme, tls) = find(&url.scheme, schemes, text)?;
    let tls_option = option_of(scheme, "use-ssl");
    let mut options = Options::default();
    for (opt, value) in given.all() {
        options.set(opt, value)?;
    }
    let carrier = of_carrier(url.query.iter().map(|(key, _)| key.as_str()));
    for (key, value) in &url.query {
        match option_of(scheme, key).or_else(|| carrier.iter().find(|o| o.is_named(key))) {
            Some(opt) => {
                options.set(opt, value.reveal())?;
            }
            None => {
                let cause = format!(
                    "the destination URL has an option that {} does not know",
                    scheme.names[0]
                );
                return Err(
                    Error::usage(cause).hint(format!("see 'duplet help {}'", scheme.names[0]))
                );
            }
        }
    }
    if options
        .given(opts::HTTP_PROXY.name)
        .is_some_and(|p| p.trim().is_empty())
    {
        empty(opts::HTTP_PROXY.name)?;
    }
    if tls && let Some(opt) = tls_option {
        options.set(opt, "true")?;
    }
    from_environment(&mut options, &url, scheme, env)?;
    let redact = secrets(&url, &options);
    Ok(Plan {
        url,
        scheme,
        options,
        redact,
    })
}

/// The row of a scheme, and whether a trailing `s` asked for TLS.
fn find(name: &str, schemes: &[&'static Scheme], text: &str) -> Result<(&'static Scheme, bool)> {
    if let Some(scheme) = schemes.iter().find(|s| s.names.contains(&name)) {
        return Ok((scheme, false));
    }
    if let Some(stem) = name.strip_suffix('s')
        && let Some(scheme) = schemes.iter().find(|s| s.names.contains(&stem))
        && option_of(scheme, "use-ssl").is_some()
    {
        return Ok((scheme, true));
    }
    if let Some((cause, hint)) = known::why_not(name) {
        let e = Error::usage(format!("{name}:// cannot be used as it is: {cause}"));
        return Err(e.hint(hint));
    }
    let known: Vec<&str> = schemes.iter().map(|s| s.names[0]).collect();
    let shown = text::safe_cut(name.as_bytes(), 30);
    let e = Error::usage(format!(
        "unknown destination type '{shown}' in {}; known types: {}",
        display_raw(text),
        known.join(", ")
    ));
    let form = place::right_form(name);
    Err(match text::nearest(name, known.iter().copied()) {
        _ if form != place::MOUNT => e.hint(form),
        Some(near) => e.hint(format!("did you mean {near}://?")),
        None => e.hint(format!(
            "'duplet help destinations' lists all types; what rclone reaches is rclone://REMOTE/folder; else {form}"
        )),
    })
}

fn option_of(scheme: &'static Scheme, name: &str) -> Option<&'static Opt> {
    let all = || scheme.options.iter().chain(OPTIONS);
    let found = all().find(|o| o.is_named(name));
    found.or_else(|| all().find(|o| o.covers(name)))
}

/// Fills credentials from the environment: a variable counts only while no user (or no password) is known at all.
fn from_environment(
    options: &mut Options,
    url: &DestUrl,
    scheme: &'static Scheme,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<()> {
    let blank = |text: Option<&str>| text.is_none_or(|t| t.trim().is_empty());
    let mut has_user = !blank(url.user.as_deref());
    let mut has_password = !blank(url.password.as_ref().map(|p| p.reveal()));
    let parts: Vec<&'static Opt> = scheme
        .options
        .iter()
        .chain(OPTIONS)
        .filter(|o| o.login != Part::None)
        .collect();
    for opt in &parts {
        let given = !blank(options.given(opt.name));
        has_user |= given && opt.login == Part::User;
        has_password |= given && opt.login == Part::Password;
    }
    let password_is_given = has_password;
    for opt in parts {
        let wanted = match opt.login {
            Part::User => !has_user,
            Part::Password => !has_password,
            Part::Session => !password_is_given && blank(options.given(opt.name)),
            Part::None => false,
        };
        let value = if wanted { env(opt.env) } else { None };
        if let Some(value) = value.filter(|v| !v.trim().is_empty()) {
            options.set(opt, &value)?;
            has_user |= opt.login == Part::User;
            has_password |= opt.login == Part::Password;
        }
    }
    Ok(())
}

fn secrets(url: &DestUrl, options: &Options) -> Redact {
    let mut redact = Redact::default();
    let user = options
        .given("auth-username")
        .or(url.user.as_deref())
        .map(str::to_owned);
    for (opt, value) in options.all() {
        if opt.hides(value) {
            redact.add(value, user.as_deref());
        }
    }
    if let Some(password) = &url.password {
        redact.add(password.reveal(), url.user.as_deref());
    }
    for part in url.secret_path() {
        redact.add(part, None);
        redact.hide_capabilities();
    }
    redact
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ui::Volume;

    const fn with(name: &'static str, kind: Kind) -> Opt {
        row(name, kind, "", "")
    }

    static SCHEMES: &[&Scheme] = &[
        &Scheme {
            names: &["file"],
            help: "",
            options: &[],
            open: |_, _| Err(Error::bug("not opened here")),
        },
        &Scheme {
            names: &["s3", "e2"],
            help: "",
            options: &[
                opts::USE_SSL,
                with("aws-access-key-id", Kind::Text).of_login(Part::User, "AWS_ACCESS_KEY_ID"),
                with("aws-secret-access-key", Kind::Secret)
                    .of_login(Part::Password, "AWS_SECRET_ACCESS_KEY"),
                with("aws-session-token", Kind::Secret)
                    .of_login(Part::Session, "AWS_SESSION_TOKEN"),
            ],
            open: |_, _| Err(Error::bug("not opened here")),
        },
    ];

    fn planned(text: &str, line: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Plan> {
        let mut ui = Ui::new(Volume::Quiet, false, Some(false));
        let mut given = Options::default();
        for (name, value) in line {
            let opt = option_of(SCHEMES[1], name).expect("an option");
            given.set(opt, value)?;
        }
        let look = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        };
        plan(text, &given, SCHEMES, &look, &mut ui)
    }

    fn get(plan: &Plan, name: &str) -> String {
        plan.options.given(name).unwrap_or("-").to_owned()
    }

    #[test]
    fn the_url_beats_the_command_line() {
        let p = planned(
            "s3://b/p?number-of-retries=1&AUTH-USERNAME=u",
            &[("number-of-retries", "9"), ("retry-delay", "3s")],
            &[],
        )
        .expect("good");
        assert_eq!(get(&p, "number-of-retries"), "1");
        assert_eq!(get(&p, "retry-delay"), "3s");
        assert_eq!(get(&p, "auth-username"), "u");
        assert!(planned("s3://b?foo=x", &[], &[]).is_err());
        let e = planned("s3://b?number-of-retries=x", &[], &[]).err();
        assert!(e.expect("bad").to_string().contains("number-of-retries"));
    }

    #[test]
    fn schemes_and_aliases() {
        let p = planned("s3s://b?use-ssl=false", &[], &[]).expect("good");
        assert_eq!(
            (get(&p, "use-ssl").as_str(), p.url.scheme.as_str()),
            ("true", "s3s"),
            "as typed"
        );
        for (text, shown) in [
            ("s3s://u:secret@h/x", "s3s://h/x"),
            ("S3S://h/x", "s3s://h/x"),
            ("e2://h/x", "e2://h/x"),
            ("s3://h/x?use-ssl=true", "s3://h/x"),
        ] {
            let p = planned(text, &[], &[]).expect("good");
            assert_eq!((p.url.display().as_str(), p.scheme.names[0]), (shown, "s3"));
        }
        assert_eq!(
            planned("E2://b", &[], &[]).expect("good").scheme.names[0],
            "s3"
        );
        assert_eq!(
            planned("/x", &[], &[]).expect("good").scheme.names[0],
            "file"
        );
        for (text, part) in [
            ("foo://u:secret@h/x", "unknown destination type 'foo'"),
            ("foo://u:secret@h/x", "known types: file, s3"),
            ("fil://h", "did you mean file://?"),
            ("files://h/x", "unknown destination type 'files'"),
        ] {
            let e = planned(text, &[], &[]).err().expect(text).to_string();
            assert!(e.contains(part) && !e.contains("secret"), "{e}");
        }
    }

    #[test]
    fn the_environment_fills_only_what_is_missing() {
        let all = [
            ("AWS_ACCESS_KEY_ID", "envid"),
            ("AWS_SECRET_ACCESS_KEY", "envsecret"),
            ("AWS_SESSION_TOKEN", "envtoken"),
            ("AUTH_USERNAME", "envuser"),
            ("AUTH_PASSWORD", "envpass"),
        ];
        let p = planned("s3://b", &[], &all).expect("good");
        assert_eq!(get(&p, "aws-access-key-id"), "envid");
        assert_eq!(get(&p, "aws-secret-access-key"), "envsecret");
        assert_eq!(get(&p, "aws-session-token"), "envtoken");
        assert_eq!(get(&p, "auth-username"), "-");
        let p = planned("s3://u:pass@b", &[], &all).expect("good");
        assert_eq!(get(&p, "aws-access-key-id"), "-");
        assert_eq!(get(&p, "aws-session-token"), "-");
        let p = planned("s3://b", &[("auth-username", "u")], &all[3..]).expect("good");
        assert_eq!(get(&p, "auth-username"), "u");
        assert_eq!(get(&p, "auth-password"), "envpass");
        assert_eq!(p.redact.clean("x envpass".to_owned()), "x ***");
    }

    /// No network: a URL of each is told what is missing in it, or what to do instead, or opened.
    #[test]
    fn no_url_of_duplicati_is_of_an_unknown_type() {
        let schemes = crate::dest::SCHEMES;
        for name in known::DUPLICATI
            .iter()
            .flat_map(|names| names.split_whitespace())
        {
            let mut ui = Ui::new(Volume::Quiet, false, Some(false));
            let url = format!("{name}://user:hunter2@host/folder/sub");
            let planned = plan(&url, &Options::default(), schemes, &|_| None, &mut ui);
            let opened = planned.and_then(|p| crate::dest::open(p.scheme, &p.url, &p.options));
            let Some(told) = opened.err() else {
                continue;
            };
            let told = told.to_string();
            assert!(!told.contains("unknown destination type"), "{told}");
            assert!(!told.contains("hunter2") && told.contains(" ("), "{told}");
        }
    }

    #[test]
    #[cfg(feature = "dest-rclone")]
    fn what_carries_a_destination_has_options_in_its_url() {
        let schemes = crate::dest::SCHEMES;
        let planned = |url: &str| {
            let mut ui = Ui::new(Volume::Quiet, false, Some(false));
            let planned = plan(url, &Options::default(), schemes, &|_| None, &mut ui)?;
            crate::dest::open(planned.scheme, &planned.url, &planned.options).map(drop)
        };
        planned("webdav://h/a?through=rclone&rclone-executable=x").expect("carried");
        planned("webdav://h/a?rclone-executable=x").expect_err("not carried");
        planned("webdav://h/a?through=other").expect_err("no such way");
        for (name, words) in [
            ("box", "'box'"),
            ("jottacloud", "replaced with each use"),
            ("onedrivev2", "'onedrive'"),
            ("ssh", "'sftp'"),
            ("file", "does not reach file://"),
            ("tahoe", "does not reach tahoe://"),
            ("ipfs", "does not reach ipfs://"),
        ] {
            let Some(told) = planned(&format!("{name}://h/a?through=rclone")).err() else {
                assert!(schemes.iter().all(|s| !s.names.contains(&name)), "{name}");
                continue;
            };
            assert!(told.to_string().contains(words), "{told}");
        }
        // Of every scheme with a way of its own something is said, or it is carried.
        for scheme in schemes.iter().filter(|s| s.names[0] != "rclone") {
            for name in scheme.names {
                let told = planned(&format!("{name}://h/a?through=rclone")).err();
                let told = told.map_or(String::new(), |e| e.to_string());
                assert!(!told.contains("internal"), "{name}: {told}");
            }
        }
    }
}
