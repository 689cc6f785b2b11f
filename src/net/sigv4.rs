//! AWS signature version 4 (`destinations-core.md` 3.4): pure functions from a request to its `Authorization` value.

use ring::hmac;

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::secret::Secret;
use crate::net::url::encode;

/// SHA-256 of nothing, in hex: the payload hash of requests without a body.
pub(crate) const EMPTY_SHA256: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// In place of the payload hash when the body is not signed.
pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Canonical query: names and values encoded, sorted, empty values with `=`. Also what goes on the wire.
pub(crate) fn canonical_query(pairs: &[(&str, &str)]) -> String {
    let mut encoded: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort();
    let parts: Vec<String> = encoded
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join("&")
}

/// A request as it is signed.
pub(crate) struct Canonical {
    /// Header names joined with `;`.
    signed: String,
    /// Hex SHA-256 of the canonical request.
    hash: String,
}

impl Canonical {
    /// `path` and `query` are exactly what goes on the wire; header names in lower case, any order.
    pub(crate) fn new(
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        payload: &str,
    ) -> Canonical {
        let text = canonical_text(method, path, query, headers, payload);
        Canonical {
            signed: signed_names(headers),
            hash: hex(Algo::Sha256.hash(text.as_bytes()).as_bytes()),
        }
    }
}

fn signed_names(headers: &[(&str, &str)]) -> String {
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.join(";")
}

fn canonical_text(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    payload: &str,
) -> String {
    let mut sorted = headers.to_vec();
    sorted.sort_unstable();
    let path = if path.is_empty() { "/" } else { path };
    let mut out = format!("{method}\n{path}\n{query}\n");
    for (name, value) in sorted {
        let words: Vec<&str> = value.split(' ').filter(|w| !w.is_empty()).collect();
        out.push_str(&format!("{name}:{}\n", words.join(" ")));
    }
    out.push_str(&format!("\n{}\n{payload}", signed_names(headers)));
    out
}

/// A key pair with its last signing key, so that one day in one region is derived once.
pub(crate) struct Keys {
    pub(crate) id: String,
    secret: Secret,
    derived: Option<(String, hmac::Key)>,
}

impl Keys {
    pub(crate) fn new(id: String, secret: Secret) -> Keys {
        Keys {
            id,
            secret,
            derived: None,
        }
    }

    /// The value of the `Authorization` header. `time` is `YYYYMMDDTHHMMSSZ`.
    pub(crate) fn authorization(
        &mut self,
        time: &str,
        region: &str,
        service: &str,
        request: &Canonical,
    ) -> String {
        let signature = self.signature(time, region, service, request);
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.id,
            scope(time, region, service),
            request.signed
        )
    }

    fn signature(
        &mut self,
        time: &str,
        region: &str,
        service: &str,
        request: &Canonical,
    ) -> String {
        let scope = scope(time, region, service);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", request.hash);
        let key = match self.derived.take() {
            Some((of, key)) if of == scope => key,
            _ => {
                let mut first = b"AWS4".to_vec();
                first.extend_from_slice(self.secret.reveal().as_bytes());
                let key = derive(&first, time, region, service);
                crate::base::secret::wipe(&mut first);
                hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
            }
        };
        let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        self.derived = Some((scope, key));
        signature
    }
}

fn scope(time: &str, region: &str, service: &str) -> String {
    let day = time.get(..8).unwrap_or(time);
    format!("{day}/{region}/{service}/aws4_request")
}

fn derive(first: &[u8], time: &str, region: &str, service: &str) -> hmac::Tag {
    let step = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
    };
    let day = step(first, time.get(..8).unwrap_or(time));
    let region = step(day.as_ref(), region);
    let service = step(region.as_ref(), service);
    step(service.as_ref(), "aws4_request")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const TIME: &str = "20130524T000000Z";
    const HOST: &str = "examplebucket.s3.amazonaws.com";

    /// `destinations-core.md` 11.1: method, path, query, further headers, payload, hash, signature.
    #[test]
    fn published_vectors() {
        let put_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        let page = [
            ("continuation-token", "1/abC=="),
            ("delimiter", "/"),
            ("encoding-type", "url"),
            ("list-type", "2"),
            ("max-keys", "1000"),
            ("prefix", "dir a/"),
        ];
        let page = canonical_query(&page);
        assert_eq!(
            page,
            "continuation-token=1%2FabC%3D%3D&delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=dir%20a%2F"
        );
        type Case<'a> = (
            &'a str,
            &'a str,
            &'a str,
            &'a [(&'a str, &'a str)],
            &'a str,
            &'a str,
            &'a str,
        );
        let cases: [Case<'_>; 6] = [
            (
                "GET",
                "/test.txt",
                "",
                &[("host", HOST), ("range", "bytes=0-9")],
                EMPTY_SHA256,
                "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test%24file.text",
                "",
                &[
                    ("host", HOST),
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                put_hash,
                "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/",
                "lifecycle=",
                &[("host", HOST)],
                EMPTY_SHA256,
                "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/",
                "max-keys=2&prefix=J",
                &[("host", HOST)],
                EMPTY_SHA256,
                "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
            (
                "PUT",
                "/bkt/dir%20a/duplicati-b1.dblock.zip.aes",
                "",
                &[
                    ("host", "127.0.0.1:9000"),
                    ("content-type", "application/octet-stream"),
                    ("x-amz-security-token", "AQoDYXdzEXAMPLETOKEN"),
                ],
                UNSIGNED,
                "507278b1ea9c0037c451a727169dcc21666344f1075ed1c57231679cde9cf719",
                "0867bbe808ae3f10b1e8e8f5689a61a9593f19374c10445de6f31a44ba22b782",
            ),
            (
                "GET",
                "/bkt/",
                &page,
                &[("host", "127.0.0.1:9000")],
                EMPTY_SHA256,
                "3f606f15fa14cf20bdd49b3768efe9a23e22984dd11ea4d337a473d8a2dc9365",
                "ee67f34f85dfe1c76c0131b9d16a4780e51860af435b7993a6a3924a3de7f451",
            ),
        ];
        let mut keys = Keys::new(
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            Secret::new(SECRET.to_owned()),
        );
        for (method, path, query, more, payload, hash, signature) in cases {
            let mut headers = more.to_vec();
            headers.push(("x-amz-content-sha256", payload));
            headers.push(("x-amz-date", TIME));
            let request = Canonical::new(method, path, query, &headers, payload);
            assert_eq!(request.hash, hash, "{path}");
            let value = keys.authorization(TIME, "us-east-1", "s3", &request);
            assert!(value.ends_with(signature), "{value}");
            assert!(value.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders="
            ));
        }
    }

    #[test]
    fn presigned_url() {
        let query = canonical_query(&[
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            (
                "X-Amz-Credential",
                "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
            ),
            ("X-Amz-Date", TIME),
            ("X-Amz-Expires", "86400"),
            ("X-Amz-SignedHeaders", "host"),
        ]);
        let request = Canonical::new("GET", "/test.txt", &query, &[("host", HOST)], UNSIGNED);
        assert_eq!(
            request.hash,
            "3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04"
        );
        let mut keys = Keys::new(String::new(), Secret::new(SECRET.to_owned()));
        assert_eq!(
            keys.signature(TIME, "us-east-1", "s3", &request),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn key_derivation() {
        let first = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let key = derive(first.as_bytes(), "20120215", "us-east-1", "iam");
        assert_eq!(
            hex(key.as_ref()),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
        let first = format!("AWS4{SECRET}");
        let key = derive(first.as_bytes(), TIME, "us-east-1", "s3");
        assert_eq!(
            hex(key.as_ref()),
            "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378"
        );
    }

    #[test]
    fn a_new_day_or_region_gets_a_new_key() {
        let request = Canonical::new("GET", "/", "", &[("host", HOST)], EMPTY_SHA256);
        let mut keys = Keys::new("id".to_owned(), Secret::new(SECRET.to_owned()));
        let one = keys.signature(TIME, "a", "s3", &request);
        let two = keys.signature(TIME, "b", "s3", &request);
        assert_ne!(one, two);
        assert_eq!(keys.signature(TIME, "a", "s3", &request), one);
    }
}
