//! What servers answer: XML, JSON, challenges, name servers, and what two destinations make of them.

#[cfg(any(feature = "json", feature = "xml"))]
use std::io;

#[cfg(any(feature = "json", feature = "xml"))]
use crate::base::fault::{Class, Fault};
#[cfg(feature = "http-auth")]
use crate::net::challenge;
#[cfg(feature = "json")]
use crate::net::json;
#[cfg(feature = "xml")]
use crate::net::xml;

/// Feeds one input; false for a target that is none of a server.
pub(super) fn one(target: &str, data: &[u8]) -> bool {
    #[cfg(any(feature = "json", feature = "xml"))]
    let io = |e: &io::Error| Fault::new(Class::Transient, e.to_string());
    match target {
        #[cfg(feature = "xml")]
        "xml" => {
            let mut open = 0;
            let mut each = |step: xml::Step<'_>| {
                match step {
                    xml::Step::Open { path } => {
                        open += 1;
                        assert_eq!(path.len(), open, "an element lies in those that are open");
                    }
                    xml::Step::Close { path, .. } => {
                        assert_eq!(path.len(), open, "the innermost element ends");
                        open -= 1;
                    }
                }
                Ok(())
            };
            let done = xml::read(data, &io, &mut each);
            assert!(done.is_err() || open == 0, "a whole document has an end");
            told(done);
            told(xml::read_in("DAV:", data, &io, &mut |_| Ok(())));
        }
        #[cfg(feature = "json")]
        "json" => {
            let mut open = 0;
            let done = json::read(&mut &*data, 1 << 20, &io, &mut |step| {
                match step {
                    json::Step::Open { .. } => open += 1,
                    json::Step::Close { .. } => open -= 1,
                    json::Step::Value { value, .. } => _ = value.text(),
                }
                Ok(())
            });
            assert!(done.is_err() || open == 0, "a whole reply has an end");
            told(done);
        }
        #[cfg(feature = "http-auth")]
        "challenge" => {
            let text = String::from_utf8_lossy(data);
            for challenge in challenge::parse(text.lines()) {
                let _ = (challenge.is("digest"), challenge.get("nonce"));
            }
            drop(challenge::parameters(&text));
        }
        #[cfg(feature = "http")]
        "resolver" => crate::net::resolve::fuzz(data),
        #[cfg(feature = "dest-webdav")]
        "multistatus" => told(crate::dest::fuzz_multistatus(data)),
        #[cfg(feature = "dest-b2")]
        "b2-account" => told(crate::dest::fuzz_account(data)),
        #[cfg(feature = "dest-ssh")]
        "sftp" => crate::dest::fuzz_sftp(data),
        #[cfg(feature = "dest-ftp")]
        "ftp" => crate::dest::fuzz_ftp(data),
        _ => return false,
    }
    true
}

/// What is told of a reply is one line.
#[cfg(any(feature = "json", feature = "xml"))]
fn told(done: Result<(), Fault>) {
    if let Err(fault) = done {
        let text = fault.text;
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// Valid inputs; `None` for a target that is none of a server.
pub(super) fn samples(target: &str) -> Option<Vec<Vec<u8>>> {
    #[cfg(feature = "dest-ssh")]
    if target == "sftp" {
        return Some(sftp());
    }
    let texts: &[&str] = match target {
        "xml" => &[
            "<?xml version=\"1.0\"?><a x=\"1\"><!-- c --><b>t&lt;&#65;</b><c/><![CDATA[d]]></a>",
            "<D:a xmlns:D=\"DAV:\"><D:b>1</D:b><x:c xmlns:x=\"other\"/></D:a>",
        ],
        "json" => &[
            "{\"a\":[1,\"x\\u00e9\",null],\"b\":{\"c\":true,\"d\":-1.5e3},\"e\":\"12\"}",
            "[[],{},[{}],18446744073709551615]",
        ],
        "challenge" => &[
            "Digest realm=\"r\", nonce=\"a\\\"b\", qop=\"auth,auth-int\", algorithm=SHA-256, Basic realm=x, Negotiate YII==",
            "nextnonce=\"47364c23432d2e131a575210812c\", rspauth=\"6629fae49393a05397450978507c4ef1\"",
        ],
        "multistatus" => &[
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/dav/a%20b</D:href><D:propstat><D:prop><D:getcontentlength>12</D:getcontentlength><D:getlastmodified>Wed, 31 Jan 2024 12:34:56 GMT</D:getlastmodified><D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>",
        ],
        "b2-account" => &[
            "{\"accountId\":\"a\",\"authorizationToken\":\"t\",\"apiInfo\":{\"storageApi\":{\"apiUrl\":\"https://api.example\",\"downloadUrl\":\"https://f.example\",\"absoluteMinimumPartSize\":5000000,\"recommendedPartSize\":100000000,\"allowed\":{\"buckets\":[{\"id\":\"1\",\"name\":\"bucket\"}],\"capabilities\":[\"listFiles\",\"readFiles\"],\"namePrefix\":\"x/\"}}}}",
            "{\"accountId\":\"a\",\"authorizationToken\":\"t\",\"apiUrl\":\"https://api.example\",\"downloadUrl\":\"https://f.example\",\"allowed\":{\"bucketId\":null,\"bucketName\":null,\"capabilities\":[],\"namePrefix\":null}}",
        ],
        "ftp" => &[
            "211-Features:\r\n MLST type*;size*;\r\n211 End\r\n227 Entering (127,0,0,1,4,1)\r\n229 (|||6446|)\r\n257 \"/a \"\"b\" is it\r\n",
            "type=file;size=12;modify=20240131123456.7; a b\r\ntype=OS.unix=slink:/x; l\r\n",
            "-rw-r--r-- 1 u g 12 Jan 31 12:34 a b\r\nlrwxrwxrwx 1 u g 3 2024-01-31 12:34 l -> x\r\n01-31-24  12:34PM  <DIR>  d\r\n",
        ],
        "resolver" => return Some(vec![resolver_sample()]),
        _ => return None,
    };
    Some(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}

/// The answer to the question for the addresses of `host.example`.
fn resolver_sample() -> Vec<u8> {
    let mut reply =
        b"\x01\x02\x81\x80\0\x01\0\x02\0\0\0\0\x04host\x07example\0\0\x01\0\x01".to_vec();
    for last in [1, 2] {
        reply.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0");
        reply.push(last);
    }
    reply
}

/// Replies of a server of SFTP: a greeting, a status, a handle, data, facts, a listing, figures.
#[cfg(feature = "dest-ssh")]
fn sftp() -> Vec<Vec<u8>> {
    let word = |text: &[u8]| {
        let len = u32::try_from(text.len()).unwrap_or(0);
        [&len.to_be_bytes()[..], text].concat()
    };
    let frame = |kind: u8, body: &[u8]| word(&[&[kind, 0, 0, 0, 3], body].concat());
    let facts = [
        &[0x80, 0, 0, 0x0f][..],
        &[0; 16],
        &[0, 0, 0x81, 0xa4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1],
        &word(b"a@b"),
        &word(b"c"),
    ]
    .concat();
    let entry = [&word(b"name"), &word(b"-rw-r--r-- name"), &facts[..]].concat();
    let all = [
        frame(2, &[word(b"fsync@openssh.com"), word(b"1")].concat()),
        frame(
            101,
            &[&[0, 0, 0, 4][..], &word(b"Failure"), &word(b"en")].concat(),
        ),
        frame(102, &word(b"handle")),
        frame(103, &word(b"data")),
        frame(105, &facts),
        frame(104, &[&[0, 0, 0, 2][..], &entry, &entry].concat()),
        frame(201, &[7; 88]),
    ];
    let mut samples = vec![all.concat()];
    samples.extend(all);
    samples
}
