//! Duplicati's own storage in the table of faults, where it lends keys of an S3 server for a time.

use super::faulty_s3::Server;
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(s3::S3 {
        server: server(),
        schemes: &["duplicati"],
        url: storage::url,
        login: Some(("GET", "/credentials")),
        list: "list-type",
        ways: &[""],
    })
}

/// A server that lends keys itself.
pub(super) fn server() -> Server {
    let server = Server::start();
    let own = format!("http://{}", server.address);
    server.with(|s3| s3.gateway = Some(own));
    server
}
