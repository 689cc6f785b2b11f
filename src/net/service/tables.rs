//! How tables of what a service's refusals mean are written: one row a line.

/// A table of `Rule`s, one a line: `status "codes" [Verb...] "says" => Class, "text", "hint";`, where verbs, says, text and
/// hint may be left out.
macro_rules! rules {
    ($($status:literal $codes:literal $([$($verb:ident)+])? $($says:literal)? => $class:expr $(, $text:literal $(, $hint:literal)?)?;)*) => {
        &[$($crate::net::service::Rule {
            status: $status,
            codes: $codes,
            verbs: &[$($($crate::net::service::Verb::$verb),+)?],
            says: concat!($($says)?),
            class: $class,
            text: concat!($($text)?),
            hint: concat!($($($hint)?)?),
        }),*]
    };
}
pub(crate) use rules;

/// A table of `Word`s, one a line: `Class => "text", "hint";`, where the hint may be left out.
#[allow(unused_macros, reason = "not every destination needs it")]
macro_rules! words {
    ($($class:expr => $text:literal $(, $hint:literal)?;)*) => {
        &[$($crate::net::service::Word {
            class: $class,
            text: $text,
            hint: concat!($($hint)?),
        }),*]
    };
}
#[allow(
    unused_imports,
    reason = "some selections of destinations have no use for it"
)]
pub(crate) use words;
