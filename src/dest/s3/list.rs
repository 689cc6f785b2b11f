//! Listing a bucket page by page (`destinations-core.md` 3.6): version 2, falling back to version 1, as a stream.

use std::io::Read;

use crate::base::fault::{Class, Done, Fault};
use crate::dest::s3::call::{Call, Target};
use crate::dest::s3::client::Client;
use crate::dest::s3::error::Refusal;
use crate::dest::s3::manner::Version;
use crate::dest::{Listed, RemoteFile};
use crate::net::http::{Pace, iso_time};
use crate::net::service::html::not_html;
use crate::net::service::pages::{incomplete, stuck};
use crate::net::url::decode;
use crate::net::xml::{self, Step};

const RIGHT: &str = "s3:ListBucket";

/// The rules of a listing.
pub(super) struct Rules {
    pub(super) version: Version,
    pub(super) recursive: bool,
    /// Upper case.
    pub(super) archive_classes: Vec<String>,
}

/// What a page says about the next one.
#[derive(Default)]
struct Page {
    truncated: bool,
    token: Option<String>,
    next_marker: Option<String>,
    /// First key of the page; some servers repeat a common prefix on many pages.
    first: String,
    /// Greatest key or common prefix.
    last: String,
    /// Keys and common prefixes.
    entries: u64,
    url_encoded: bool,
    is_list: bool,
    error: Refusal,
}

/// One `Contents` while it is read.
#[derive(Default)]
struct Entry {
    key: Option<String>,
    size: Option<u64>,
    modified: Option<i64>,
    class: String,
}

/// Where a listing gives its entries.
type Each<'a> = dyn FnMut(Listed) -> Done<()> + 'a;

/// Every file of the folder whose name begins with `start`, or a fault.
pub(super) fn list(
    client: &mut Client,
    rules: &mut Rules,
    start: &str,
    each: &mut Each<'_>,
) -> Done<()> {
    let mut token = String::new();
    let mut encoded = false;
    // Keys are handed on before a page may say how they are written.
    let mut decoding = false;
    let mut changed = false;
    let mut pages = client.pages();
    loop {
        if token.is_empty() {
            pages = client.pages();
        }
        let page = match one_page(client, rules, (start, &token), (encoded, decoding), each)? {
            Fetched::Page(page) => *page,
            Fetched::OldServer => {
                rules.version = Version::V1;
                token.clear();
                each(Listed::Restart)?;
                continue;
            }
            Fetched::Malformed(_) if !encoded => {
                (encoded, decoding) = (true, true);
                token.clear();
                each(Listed::Restart)?;
                continue;
            }
            Fetched::Malformed(fault) => return Err(fault),
        };
        if page.url_encoded != decoding {
            if std::mem::replace(&mut changed, true) {
                return Err(stuck());
            }
            decoding = page.url_encoded;
            token.clear();
            each(Listed::Restart)?;
            continue;
        }
        if !page.truncated {
            return Ok(());
        }
        pages.page(&page.first, page.entries)?;
        if rules.version == Version::Auto && page.token.as_ref().is_none_or(String::is_empty) {
            rules.version = Version::V1;
            token.clear();
            each(Listed::Restart)?;
            continue;
        }
        let next = match rules.version {
            Version::V1 => page.next_marker.unwrap_or(page.last),
            _ => page.token.unwrap_or_default(),
        };
        if next.is_empty() {
            let fault = incomplete("the server says there is more but not where");
            return Err(match rules.version {
                Version::V2 => fault.hint("leave --s3-list-api-version=v2 out"),
                _ => fault,
            });
        }
        // A marker is a key, and keys come in order.
        if next == token || rules.version == Version::V1 && next < token {
            return Err(stuck());
        }
        token = next;
    }
}

impl Page {
    fn take(&mut self, key: String) {
        self.entries += 1;
        self.last = std::mem::take(&mut self.last).max(key);
    }
}

/// What came of asking for a page.
enum Fetched {
    Page(Box<Page>),
    /// The server does not know version 2.
    OldServer,
    /// It is not XML, perhaps because of a key with characters that XML cannot hold.
    Malformed(Fault),
}

fn one_page(
    client: &mut Client,
    rules: &Rules,
    (start, token): (&str, &str),
    (encoded, decoding): (bool, bool),
    each: &mut Each<'_>,
) -> Done<Fetched> {
    let prefix = client.setup.prefix.clone();
    let wanted = format!("{prefix}{start}");
    let mut query = vec![("max-keys", "1000"), ("prefix", wanted.as_str())];
    if !rules.recursive {
        query.push(("delimiter", "/"));
    }
    if encoded {
        query.push(("encoding-type", "url"));
    }
    if rules.version == Version::V1 {
        if !token.is_empty() {
            query.push(("marker", token));
        }
    } else {
        query.push(("list-type", "2"));
        if !token.is_empty() {
            query.push(("continuation-token", token));
        }
    }
    let mut call = Call {
        query: &query,
        pace: Pace::List,
        ..Call::new("GET", Target::Bucket, RIGHT)
    };
    let mut reply = match client.try_call(&mut call)? {
        Ok(reply) => reply,
        Err(refusal) if refusal.is_unknown_listing() && rules.version == Version::Auto => {
            return Ok(Fetched::OldServer);
        }
        Err(refusal) => return Err(client.fault(&refusal, &call)),
    };
    not_html(&mut reply, "a listing", "an S3 server")?;
    let io = reply.io_fault();
    let page = match parse(&mut reply, &io, (&prefix, decoding), rules, each) {
        Ok(page) => page,
        Err(fault) if fault.class == Class::Protocol => return Ok(Fetched::Malformed(fault)),
        Err(fault) => return Err(fault),
    };
    if !page.is_list {
        return Err(client.fault(&page.error, &call));
    }
    Ok(Fetched::Page(Box::new(page)))
}

/// Reads a page from XML, keys percent-encoded when `decoding`. Entries are handed on as they come; a page that is cut ends
/// with a fault.
fn parse(
    input: &mut dyn Read,
    io: &dyn Fn(&std::io::Error) -> Fault,
    (prefix, decoding): (&str, bool),
    rules: &Rules,
    each: &mut Each<'_>,
) -> Done<Page> {
    let mut page = Page::default();
    let mut entry = Entry::default();
    let key = |text: &str| match decoding {
        true => decode(text),
        false => text.to_owned(),
    };
    let result = xml::read(input, io, &mut |step| {
        let (path, text) = match step {
            Step::Open { path } => {
                if path.len() == 1 {
                    page.is_list = path[0].starts_with("ListBucket");
                }
                if path.len() == 2 && path[1] == "Contents" {
                    entry = Entry::default();
                }
                return Ok(());
            }
            Step::Close { path, text } => (path, text),
        };
        let names: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
        let value = text.unwrap_or("");
        if !page.is_list {
            if let [field] = names[..] {
                page.error.take(field, value);
            }
            return Ok(());
        }
        match names[..] {
            ["IsTruncated"] => page.truncated = value.eq_ignore_ascii_case("true"),
            ["NextContinuationToken"] => page.token = Some(value.to_owned()),
            ["NextMarker"] => page.next_marker = Some(key(value)),
            ["EncodingType"] => page.url_encoded = value.eq_ignore_ascii_case("url"),
            ["CommonPrefixes", "Prefix"] => page.take(key(value)),
            ["Contents", "Key"] => entry.key = text.map(key),
            ["Contents", "Size"] => entry.size = value.parse().ok(),
            ["Contents", "LastModified"] => entry.modified = iso_time(value),
            ["Contents", "StorageClass"] => entry.class = value.to_ascii_uppercase(),
            ["Contents"] => {
                if let Some(key) = entry.key.take() {
                    hand_on(&key, &entry, prefix, rules, each)?;
                    if page.first.is_empty() {
                        page.first.clone_from(&key);
                    }
                    page.take(key);
                }
            }
            _ => {}
        }
        Ok(())
    });
    result.map_err(|fault| match fault.class {
        Class::Protocol => incomplete(&fault.text),
        _ => fault,
    })?;
    Ok(page)
}

fn hand_on(key: &str, entry: &Entry, prefix: &str, rules: &Rules, each: &mut Each<'_>) -> Done<()> {
    let Some(name) = key.strip_prefix(prefix) else {
        return Ok(());
    };
    if name.is_empty() || name.ends_with('/') || (rules.recursive && name.contains('/')) {
        return Ok(());
    }
    each(Listed::Entry(RemoteFile {
        name: name.to_owned(),
        size: entry.size,
        modified: entry.modified,
        is_folder: false,
        is_archived: rules.archive_classes.contains(&entry.class),
    }))
}

/// One small page that proves that the folder can be listed.
pub(super) fn bucket_exists(client: &mut Client) -> Done<bool> {
    let call = Call::new("HEAD", Target::Bucket, RIGHT);
    match client.call(call) {
        Ok(_) => Ok(true),
        Err(f) if matches!(f.class, Class::FolderMissing | Class::Auth) => Ok(false),
        Err(f) => Err(f),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            version: Version::Auto,
            recursive: false,
            archive_classes: vec!["GLACIER".to_owned()],
        }
    }

    fn parsed(xml: &str, prefix: &str) -> Done<(Page, Vec<String>)> {
        let mut names = Vec::new();
        let io = |_: &std::io::Error| Fault::new(Class::Transient, "io");
        let how = (prefix, xml.contains("EncodingType"));
        let page = parse(&mut xml.as_bytes(), &io, how, &rules(), &mut |item| {
            if let Listed::Entry(f) = item {
                names.push(format!(
                    "{}:{}:{}:{}",
                    f.name,
                    f.size.map_or(-1, |s| i64::try_from(s).unwrap_or(-2)),
                    f.modified.unwrap_or(-1),
                    f.is_archived
                ));
            }
            Ok(())
        })?;
        Ok((page, names))
    }

    const PAGE: &str = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://doc.s3.amazonaws.com/2006-03-01\"><Name>b</Name><Prefix>p/</Prefix><KeyCount>3</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>t/=</NextContinuationToken>\
        <Contents><Key>p/a&amp;b</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified><Size>12</Size><StorageClass>GLACIER</StorageClass><Owner><ID>x</ID><Key>no</Key></Owner></Contents>\
        <Contents><Key>p/</Key><Size>0</Size></Contents><Contents/><Contents><Key>other</Key></Contents><Contents><Key>p/z</Key><Size>x</Size></Contents>\
        <CommonPrefixes><Prefix>p/sub/</Prefix></CommonPrefixes></ListBucketResult>";

    #[test]
    fn a_page() {
        let (page, names) = parsed(PAGE, "p/").expect("good");
        assert_eq!(names, ["a&b:12:1369353600:true", "z:-1:-1:false"]);
        assert!(page.truncated && page.is_list);
        assert_eq!((page.entries, page.first.as_str()), (5, "p/a&b"));
        assert_eq!(page.token.as_deref(), Some("t/="));
        assert_eq!(page.last, "p/z");
    }

    #[test]
    fn a_cut_page_is_a_fault() {
        for cut in 0..PAGE.len() {
            let e = parsed(&PAGE[..cut], "p/").err().expect("cut");
            assert_eq!(e.class, Class::Protocol);
            assert!(e.text.contains("listing incomplete"));
        }
    }

    #[test]
    fn url_encoded_keys_are_decoded_only_when_announced() {
        let xml = |head: &str| {
            format!(
                "<ListBucketResult>{head}<Contents><Key>p/a+b%2Bc</Key><Size>1</Size></Contents></ListBucketResult>"
            )
        };
        let (_, names) = parsed(&xml("<EncodingType>url</EncodingType>"), "p/").expect("good");
        assert_eq!(names, ["a b+c:1:-1:false"]);
        let (_, names) = parsed(&xml(""), "p/").expect("good");
        assert_eq!(names, ["a+b%2Bc:1:-1:false"]);
    }

    #[test]
    fn an_error_in_a_success_is_an_error() {
        let (page, _) = parsed(
            "<Error><Code>InternalError</Code><Message>m</Message></Error>",
            "",
        )
        .expect("parsed");
        assert!(!page.is_list);
        assert_eq!(page.error.code, "InternalError");
    }
}
