//! Replies in JSON or XML as rows: the fields of one small object, or of the objects of an array one after the other. Nothing else of
//! a reply is held.

use std::io::{self, Read};

use crate::base::fault::{Class, Fault};
use crate::net::http::Reply;
use crate::net::json::{self, Step, Value};
use crate::net::service::html::not_html;
use crate::net::service::pages::incomplete;

/// Fields of a row that are kept, and their bytes; more are left out.
const FIELDS_MAX: usize = 4000;
const FIELDS_MAX_BYTES: usize = 256 << 10;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Null,
    Flag(bool),
    Number(u64),
    Text(String),
    /// Another number.
    Other,
    /// An object or array; what is in it has fields of its own.
    Nested,
}

/// The fields of an object by their paths: keys joined by `/`, `[]` for what is in an array.
#[derive(Default)]
pub(crate) struct Row {
    fields: Vec<(String, Field)>,
    bytes: usize,
}

/// Where rows are handed on.
pub(crate) type EachRow<'a> = dyn FnMut(&Row) -> Result<(), Fault> + 'a;

impl Row {
    fn add(&mut self, path: String, field: Field) {
        let text = match &field {
            Field::Text(text) => text.len(),
            _ => 0,
        };
        self.bytes += path.len() + text;
        if self.fields.len() < FIELDS_MAX && self.bytes <= FIELDS_MAX_BYTES {
            self.fields.push((path, field));
        }
    }

    #[cfg(any(feature = "dest-azure", feature = "dest-jottacloud"))]
    fn add_text(&mut self, path: &str, text: &str) {
        self.add(path.to_owned(), Field::Text(text.to_owned()));
    }

    fn field(&self, path: &str) -> Option<&Field> {
        self.fields.iter().find(|(p, _)| p == path).map(|(_, f)| f)
    }

    /// True when the object has it, be it `null`.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.field(path).is_some()
    }

    /// True for an object or array.
    pub(crate) fn is_nested(&self, path: &str) -> bool {
        self.field(path) == Some(&Field::Nested)
    }

    /// Text; `None` for anything else.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        match self.field(path)? {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text; empty for anything else.
    pub(crate) fn text(&self, path: &str) -> String {
        self.get(path).unwrap_or("").to_owned()
    }

    /// All texts with this path, in their order.
    pub(crate) fn texts<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter_map(move |(p, f)| match f {
            Field::Text(text) if p == path => Some(text.as_str()),
            _ => None,
        })
    }

    /// The object in this field as a row.
    #[cfg(feature = "dest-drimecloud")]
    pub(crate) fn inside(&self, field: &str) -> Row {
        let mut out = Row::default();
        for (path, value) in &self.fields {
            if let Some(below) = path.strip_prefix(field).and_then(|p| p.strip_prefix('/')) {
                out.add(below.to_owned(), value.clone());
            }
        }
        out
    }

    /// The first text whose path begins so.
    #[cfg(feature = "dest-drimecloud")]
    pub(crate) fn below(&self, start: &str) -> Option<&str> {
        self.fields.iter().find_map(|(path, field)| match field {
            Field::Text(text) if path.starts_with(start) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The objects of the array at this path, their fields by the paths below it. Of a very long row what is left of it.
    #[cfg(feature = "dest-openstack")]
    pub(crate) fn inner(&self, array: &str) -> Vec<Row> {
        let (begin, mut out) = (format!("{array}/[]"), Vec::<Row>::new());
        for (path, field) in &self.fields {
            let Some(below) = path.strip_prefix(&begin) else {
                continue;
            };
            match (below.strip_prefix('/'), out.last_mut()) {
                (None, _) if below.is_empty() && *field == Field::Nested => {
                    out.push(Row::default())
                }
                (Some(below), Some(row)) => row.add(below.to_owned(), field.clone()),
                _ => {}
            }
        }
        out
    }

    /// A whole number, also one written as text.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        match self.field(path)? {
            Field::Number(n) => Some(*n),
            Field::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// True only for `true`.
    pub(crate) fn flag(&self, path: &str) -> bool {
        self.field(path) == Some(&Field::Flag(true))
    }
}

/// Reads one JSON value of at most `max` bytes. The objects in the array `array` are handed on, each as it ends; what is
/// outside of them is returned. `array`: a path; with `*/` before it, one that may have others before.
pub(crate) fn objects(
    input: &mut dyn Read,
    io: &dyn Fn(&io::Error) -> Fault,
    max: u64,
    array: &str,
    each: &mut EachRow<'_>,
) -> Result<Row, Fault> {
    let (mut tail, mut row) = (Row::default(), Row::default());
    // Length of the path of the elements while the reading is inside of the array.
    let mut inside: Option<usize> = None;
    let is_array = |path: &[String]| {
        let all = path.join("/");
        match array.strip_prefix("*/") {
            Some(end) => all
                .strip_suffix(end)
                .is_some_and(|s| s.is_empty() || s.ends_with('/')),
            None => all == array,
        }
    };
    let under = |path: &[String], at: usize| path.get(at..).unwrap_or_default().join("/");
    json::read(input, max, io, &mut |step| {
        match step {
            Step::Open { path } => match inside {
                Some(at) if path.len() == at => row = Row::default(),
                Some(at) => row.add(under(path, at), Field::Nested),
                None => {
                    if !path.is_empty() {
                        tail.add(path.join("/"), Field::Nested);
                    }
                    if !array.is_empty() && is_array(path) {
                        inside = Some(path.len() + 1);
                    }
                }
            },
            Step::Close { path } => match inside {
                Some(at) if path.len() == at => each(&row)?,
                Some(at) if path.len() < at => inside = None,
                _ => {}
            },
            Step::Value { path, value } => {
                let field = match value {
                    Value::Null => Field::Null,
                    Value::Bool(flag) => Field::Flag(flag),
                    Value::Number(n) => Field::Number(n),
                    Value::Other | Value::Real(_) => Field::Other,
                    Value::Text(text) => Field::Text(text.to_owned()),
                };
                match inside {
                    Some(at) => row.add(under(path, at), field),
                    None => tail.add(path.join("/"), field),
                }
            }
        }
        Ok(())
    })?;
    Ok(tail)
}

/// The fields of a reply that is one small object. `who` as in `Dialect`.
pub(crate) fn row(reply: &mut Reply, who: &str) -> Result<Row, Fault> {
    not_html(reply, "JSON", who)?;
    let io = reply.io_fault();
    objects(reply, &io, json::SMALL_MAX_BYTES, "", &mut |_| Ok(()))
}

/// A page of a listing of at most `max` bytes: see [`objects`]. One that is cut is a fault that says so. `*/` is the array that
/// the whole reply is.
pub(crate) fn rows(
    reply: &mut Reply,
    who: &str,
    max: u64,
    array: &str,
    each: &mut EachRow<'_>,
) -> Result<Row, Fault> {
    not_html(reply, "JSON", who)?;
    let io = reply.io_fault();
    if array != "*/" {
        return page(reply, &io, max, array, each);
    }
    // What is no array could be taken for one without objects.
    if reply.status == 204 {
        return Ok(Row::default());
    }
    let mut begin = [0];
    let read = reply.read(&mut begin).map_err(|e| io(&e))?;
    if read == 0 || begin[0] != b'[' {
        return Err(incomplete("the reply is no array"));
    }
    let mut whole = begin.as_slice().chain(reply);
    page(&mut whole, &io, max, array, each)
}

/// As [`rows`] from any reader.
pub(crate) fn page(
    input: &mut dyn Read,
    io: &dyn Fn(&io::Error) -> Fault,
    max: u64,
    array: &str,
    each: &mut EachRow<'_>,
) -> Result<Row, Fault> {
    let mut theirs = false;
    let read = objects(input, io, max, array, &mut |row| {
        each(row).inspect_err(|_| theirs = true)
    });
    read.map_err(|fault| match fault.class {
        Class::Protocol if !theirs => incomplete(&fault.text),
        _ => fault,
    })
}

/// As [`rows`], of XML: the elements at one of these paths (below the root, separated by spaces) are handed on, each with its
/// own name at the path `""`. What is outside of them is returned, with the name of the root. Attributes are fields with `@` before
/// their names.
#[cfg(any(feature = "dest-azure", feature = "dest-jottacloud"))]
pub(crate) fn elements(
    reply: &mut Reply,
    who: &str,
    paths: &str,
    each: &mut EachRow<'_>,
) -> Result<Row, Fault> {
    use crate::net::xml::{self, Step};
    not_html(reply, "a listing", who)?;
    let io = reply.io_fault();
    let (mut tail, mut row, mut inside, mut theirs) = (Row::default(), Row::default(), None, false);
    let read = xml::read_all(reply, &io, &mut |step| {
        let path = match &step {
            Step::Open { path } | Step::Close { path, .. } => *path,
        };
        let (below, at) = (path[1..].join("/"), path.len());
        match (step, inside) {
            (Step::Open { .. }, None) if at == 1 => tail.add_text("", &path[0]),
            (Step::Open { .. }, None) if paths.split(' ').any(|p| p == below) => {
                (row, inside) = (Row::default(), Some(at));
                row.add_text("", &path[at - 1]);
            }
            (Step::Close { .. }, Some(start)) if at == start => {
                inside = None;
                each(&row).inspect_err(|_| theirs = true)?;
            }
            (
                Step::Close {
                    text: Some(text), ..
                },
                Some(start),
            ) => {
                row.add_text(&path[start..].join("/"), text);
            }
            (
                Step::Close {
                    text: Some(text), ..
                },
                None,
            ) => tail.add_text(&below, text),
            _ => {}
        }
        Ok(())
    });
    read.map_err(|fault| match fault.class {
        Class::Protocol if !theirs => incomplete(&fault.text),
        _ => fault,
    })?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, array: &str) -> Result<(Row, Vec<String>), Fault> {
        let io = |_: &io::Error| Fault::new(Class::Transient, "io");
        let mut seen = Vec::new();
        let tail = page(&mut json.as_bytes(), &io, 1 << 20, array, &mut |row| {
            seen.push(format!(
                "{} {:?} {}",
                row.text("n"),
                row.number("s"),
                row.text("x/y")
            ));
            Ok(())
        })?;
        Ok((tail, seen))
    }

    const PAGE: &str = r#"{"more":true,"a":{"list":[{"n":"1","s":7,"x":{"y":"z"}},3,{"s":"8"},{"list":[{"n":"no"}],"n":"4"}],"k":["p","q",5]},"end":null,"n":"out"}"#;

    #[test]
    fn objects_of_an_array_and_what_is_around_them() {
        for array in ["a/list", "*/list"] {
            let (tail, rows) = read(PAGE, array).expect("good");
            assert_eq!(rows, ["1 Some(7) z", " Some(8) ", "4 None "]);
            assert!(tail.flag("more") && tail.has("end") && tail.get("end").is_none());
            assert!(tail.is_nested("a/list") && !tail.is_nested("end") && !tail.has("none"));
            assert_eq!(tail.texts("a/k/[]").collect::<Vec<_>>(), ["p", "q"]);
            assert_eq!((tail.text("n").as_str(), tail.number("end")), ("out", None));
        }
        assert!(read(PAGE, "list").expect("good").1.is_empty());
        assert!(read(PAGE, "*/ist").expect("good").1.is_empty());
    }

    #[test]
    #[cfg(feature = "dest-openstack")]
    fn objects_of_an_array_within_a_row() {
        let json = r#"[{"a":[{"x":"1","b":[{"x":"deep"}]},{"y":"2"},7,{}],"ab":[{"x":"no"}]},{"a":[]},{"a":"text"}]"#;
        let io = |_: &io::Error| Fault::new(Class::Transient, "io");
        let mut seen = Vec::new();
        page(&mut json.as_bytes(), &io, 1 << 20, "*/", &mut |row| {
            let all = row.inner("a");
            let all = all.iter().map(|r| r.text("x") + &r.text("y"));
            seen.push(all.collect::<Vec<String>>().join("|"));
            Ok(())
        })
        .expect("good");
        assert_eq!(seen, ["1|2|", "", ""]);
    }

    #[test]
    fn a_page_that_is_cut_is_no_page_and_a_row_is_bounded() {
        for cut in 0..PAGE.len() {
            let fault = read(&PAGE[..cut], "a/list").err().expect("cut");
            assert!(fault.text.contains("listing incomplete"), "{}", fault.text);
        }
        let many: Vec<String> = (0..20_000).map(|i| format!("\"{i}\":{i}")).collect();
        let (tail, _) = read(&format!("{{{}}}", many.join(",")), "a").expect("read");
        assert_eq!(tail.fields.len(), FIELDS_MAX);
    }
}
