//! Options: one declared row an option ([`Opt`]), and the values given ([`Options`]). Parsing, help, the unknown-option
//! error and redaction all read the rows.

use crate::base::error::{Error, Result};
use crate::base::place;
use crate::base::secret::Secret;
use crate::base::size::{nearly_span, not_whole, parse_size, parse_span};
use crate::base::text as shown;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `1 on true yes` or bare; `0 off false no`.
    Flag,
    /// Decimal, at least the number given.
    Int(u64),
    /// Size; the field is the unit in bytes of a number without a suffix.
    Size(u64),
    /// Time span in seconds.
    Span,
    /// Any text.
    Text,
    /// Text that is not blank: an empty one is a variable of the shell that is not set.
    Word,
    /// A folder, file or program of this machine.
    Path,
    /// Any text that is never shown.
    Secret,
    /// One of these words, any case.
    Choice(&'static [&'static str]),
    /// May be given many times; every value is kept in order.
    Many,
    /// A Duplicati option without meaning here: accepted, mentioned at `-v`.
    Ignored,
    /// A Duplicati option that cannot be honoured and must not be ignored: refused with this reason.
    Refused(&'static str),
}

/// One option. The only place where it is declared.
pub(crate) struct Opt {
    /// Lower case, without dashes.
    pub(crate) name: &'static str,
    /// Other spellings.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) kind: Kind,
    /// As shown in help; parsed like a given value by the typed getters. Empty = none.
    pub(crate) default: &'static str,
    /// One sentence.
    pub(crate) help: &'static str,
    /// Commands that take it (canonical names); empty = all.
    pub(crate) commands: &'static [&'static str],
    /// Environment variable that gives it where nothing stronger does; empty = none.
    pub(crate) env: &'static str,
    pub(crate) login: Part,
    /// Of a secret option: true for values that are none, such as the path of a key; they may be shown.
    pub(crate) plain: Option<fn(&str) -> bool>,
}

/// What an option is of a log-in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    None,
    /// Tells whose account it is.
    User,
    Password,
    /// Belongs to user and password of the same place.
    Session,
}

/// An option of one name that every command takes.
pub(crate) const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Opt {
    Opt {
        name,
        aliases: &[],
        kind,
        default,
        help,
        commands: &[],
        env: "",
        login: Part::None,
        plain: None,
    }
}

/// Options of a destination as a table: a constant for each row, `NAME: row;`, and all of them in their order as `OPTIONS`.
#[allow(
    unused_macros,
    reason = "some selections of destinations have no use for it"
)]
macro_rules! options {
    ($($name:ident: $row:expr;)*) => {
        $(pub(super) const $name: $crate::base::opt::Opt = $row;)*
        /// Every option of the scheme.
        pub(super) static OPTIONS: &[$crate::base::opt::Opt] = &[$($name),*];
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use options;

/// A text without a default.
pub(crate) const fn text(name: &'static str, help: &'static str) -> Opt {
    row(name, Kind::Text, "", help)
}

/// A secret.
pub(crate) const fn secret(name: &'static str, help: &'static str) -> Opt {
    row(name, Kind::Secret, "", help)
}

/// A Duplicati option without meaning here; `help` says why.
pub(crate) const fn ignored(name: &'static str, help: &'static str) -> Opt {
    row(name, Kind::Ignored, "", help)
}

impl Opt {
    /// The same with other spellings.
    pub(crate) const fn also(self, aliases: &'static [&'static str]) -> Opt {
        Opt { aliases, ..self }
    }

    /// The same as a part of a log-in that an environment variable may give.
    pub(crate) const fn of_login(self, login: Part, env: &'static str) -> Opt {
        Opt { env, login, ..self }
    }

    /// True when nobody but the destination is to see this value.
    pub(crate) fn hides(&self, value: &str) -> bool {
        self.kind == Kind::Secret && !self.plain.is_some_and(|plain| plain(value))
    }

    /// True when `name` (lower case) is this option.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// As [`Opt::is_named`]; a row whose name ends in `*` covers all names that begin so.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.is_named(name)
            || self
                .name
                .strip_suffix('*')
                .is_some_and(|stem| name.starts_with(stem))
    }

    /// Checks a value; the text is the error's cause.
    pub(crate) fn check(&self, value: &str) -> Result<()> {
        let bad = |wanted: &str| {
            let shown = shown::safe_given(value, 60);
            Err(Error::usage(format!(
                "--{}={shown} is not valid: {wanted} is expected",
                self.name
            )))
        };
        match self.kind {
            Kind::Flag if parse_flag(value).is_none() => bad("true or false"),
            Kind::Int(least) if value.trim().parse::<u64>().ok().is_none_or(|n| n < least) => {
                bad(&format!("a whole number of at least {least}"))
            }
            Kind::Size(unit) if parse_size(value, unit).is_none() => {
                bad("a size such as 500kb, 50mb or 2gb")
            }
            Kind::Span if value.trim().is_empty() || parse_span(value).is_none() => {
                let wrong = bad("a time span such as 30s, 10m, 12h, 7D, 4W, 6M or 1Y");
                match nearly_span(value) {
                    Some(meant) => wrong.map_err(|e| {
                        e.hint(format!("units are case-sensitive: is {meant} meant?"))
                    }),
                    None => wrong.map_err(|e| e.hint(not_whole(value))),
                }
            }
            Kind::Span if parse_span(value).is_some_and(|seconds| seconds < 0) => {
                bad("a time span that is not negative")
            }
            Kind::Word if value.trim().is_empty() => empty(self.name),
            Kind::Path if value.trim().is_empty() => empty(self.name),
            Kind::Path => place::check(&format!("the value of --{}", self.name), value),
            Kind::Choice(words) if !words.iter().any(|w| w.eq_ignore_ascii_case(value.trim())) => {
                bad(&format!("one of {}", words.join(", ")))
            }
            Kind::Refused(reason) => Err(Error::usage(format!(
                "--{} is not supported: {reason}",
                self.name
            ))),
            _ => Ok(()),
        }
    }
}

/// An option whose value is missing in spite of its `=`.
pub(crate) fn empty(name: &str) -> Result<()> {
    let cause = format!("--{name}= has an empty value");
    Err(Error::usage(cause)
        .hint("a variable of the shell that is not set? leave the option out if it is not wanted"))
}

/// `None` unless a boolean word; empty text (a bare option) is true.
pub(crate) fn parse_flag(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "" | "1" | "on" | "true" | "yes" => Some(true),
        "0" | "off" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// Where a value was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    ParametersFile,
    Url,
}

/// Checked values by option, strongest source already chosen. Typed getters take the canonical name.
#[derive(Default)]
pub(crate) struct Options {
    given: Vec<(&'static Opt, Secret, Origin)>,
}

impl Options {
    /// Adds a value after checking it; replaces an earlier one unless the option is [`Kind::Many`].
    pub(crate) fn set(&mut self, opt: &'static Opt, value: &str) -> Result<()> {
        self.set_from(opt, value, Origin::CommandLine)
    }

    /// As [`Options::set`], remembering where the value was given.
    pub(crate) fn set_from(
        &mut self,
        opt: &'static Opt,
        value: &str,
        origin: Origin,
    ) -> Result<()> {
        opt.check(value)?;
        if opt.kind != Kind::Many {
            self.given.retain(|(o, ..)| o.name != opt.name);
        }
        self.given
            .push((opt, Secret::new(value.to_owned()), origin));
        Ok(())
    }

    /// The same options, for one who outlives the owner of these.
    pub(crate) fn duplicate(&self) -> Options {
        let given = self.given.iter();
        Options {
            given: given
                .map(|(o, v, from)| (*o, v.duplicate(), *from))
                .collect(),
        }
    }

    /// Where the value that counts was given, if it was given.
    pub(crate) fn origin(&self, name: &str) -> Option<Origin> {
        let mut given = self.given.iter().rev();
        given.find(|(o, ..)| o.name == name).map(|g| g.2)
    }

    /// The value as given, if it was given.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.given
            .iter()
            .rev()
            .find(|(o, ..)| o.name == name)
            .map(|(_, v, _)| v.reveal())
    }

    /// Every given option with its row, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Opt, &str)> {
        self.given.iter().map(|(o, v, _)| (*o, v.reveal()))
    }

    /// False when absent and no default is declared.
    pub(crate) fn flag(&self, opt: &'static Opt) -> bool {
        parse_flag(self.or_default(opt).unwrap_or("false")).unwrap_or(false)
    }

    /// Bytes.
    pub(crate) fn size(&self, opt: &'static Opt) -> Option<u64> {
        let Kind::Size(unit) = opt.kind else {
            return None;
        };
        parse_size(self.or_default(opt)?, unit)
    }

    /// Seconds; negative only where the person wrote so.
    pub(crate) fn span(&self, opt: &'static Opt) -> Option<i64> {
        parse_span(self.or_default(opt)?)
    }

    pub(crate) fn int(&self, opt: &'static Opt) -> Option<u64> {
        self.or_default(opt)?.trim().parse().ok()
    }

    /// Non-blank text, given or default.
    pub(crate) fn text(&self, opt: &'static Opt) -> Option<&str> {
        self.or_default(opt).filter(|t| !t.trim().is_empty())
    }

    /// The word of a [`Kind::Choice`] in its declared spelling.
    pub(crate) fn choice(&self, opt: &'static Opt) -> Option<&'static str> {
        let Kind::Choice(words) = opt.kind else {
            return None;
        };
        let value = self.or_default(opt)?.trim();
        words
            .iter()
            .find(|w| w.eq_ignore_ascii_case(value))
            .copied()
    }

    /// A non-blank secret.
    pub(crate) fn secret(&self, opt: &'static Opt) -> Option<Secret> {
        self.text(opt).map(|t| Secret::new(t.to_owned()))
    }

    /// The value given, even if blank, else the default.
    pub(crate) fn given_or_default(&self, opt: &'static Opt) -> Option<&str> {
        self.or_default(opt)
    }

    fn or_default(&self, opt: &'static Opt) -> Option<&str> {
        self.given(opt.name).or(if opt.default.is_empty() {
            None
        } else {
            Some(opt.default)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SIZE: Opt = Opt {
        name: "dblock-size",
        aliases: &[],
        kind: Kind::Size(1 << 20),
        default: "50mb",
        help: "",
        commands: &[],
        env: "",
        login: Part::None,
        plain: None,
    };
    static FLAG: Opt = Opt {
        name: "dry-run",
        aliases: &["dryrun"],
        kind: Kind::Flag,
        default: "",
        help: "",
        commands: &[],
        env: "",
        login: Part::None,
        plain: None,
    };
    static WORD: Opt = Opt {
        name: "policy",
        aliases: &[],
        kind: Kind::Choice(&["Store", "Follow"]),
        default: "Store",
        help: "",
        commands: &[],
        env: "",
        login: Part::None,
        plain: None,
    };
    static MANY: Opt = Opt {
        name: "exclude",
        aliases: &[],
        kind: Kind::Many,
        default: "",
        help: "",
        commands: &[],
        env: "",
        login: Part::None,
        plain: None,
    };

    #[test]
    fn values_are_checked_and_the_last_one_wins() {
        let mut o = Options::default();
        assert_eq!(o.size(&SIZE), Some(50 << 20));
        o.set(&SIZE, "10").expect("good");
        o.set(&SIZE, "20").expect("good");
        assert_eq!(o.size(&SIZE), Some(20 << 20));
        let e = o.set(&SIZE, "x").expect_err("bad");
        assert_eq!(
            e.to_string(),
            "--dblock-size=x is not valid: a size such as 500kb, 50mb or 2gb is expected"
        );
        assert!(!o.flag(&FLAG));
        o.set(&FLAG, "").expect("good");
        assert!(o.flag(&FLAG));
        assert!(o.set(&FLAG, "maybe").is_err());
        o.set(&WORD, "follow").expect("good");
        assert_eq!(o.choice(&WORD), Some("Follow"));
        assert!(o.set(&WORD, "stor").is_err());
        o.set(&MANY, "a").expect("good");
        o.set(&MANY, "b").expect("good");
        let many: Vec<&str> = o
            .all()
            .filter(|(o, _)| o.name == "exclude")
            .map(|(_, v)| v)
            .collect();
        assert_eq!(many, ["a", "b"]);
        assert!(FLAG.is_named("dryrun"));
    }
}
