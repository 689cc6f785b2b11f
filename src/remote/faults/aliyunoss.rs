//! Aliyun OSS in the table of faults.

use super::faulty_s3::Server;
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(s3::S3 {
        server: Server::start(),
        schemes: &["aliyunoss"],
        url,
        login: None,
        list: "list-type",
        ways: &["", "s3-multipart-threshold=6mb&s3-part-size=5mb"],
    })
}

pub(super) fn url(at: &str, query: &str) -> String {
    format!(
        "aliyunoss://p?oss-bucket-name=bkt&oss-endpoint={at}&oss-access-key-id=KEYID&oss-access-key-secret={SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
