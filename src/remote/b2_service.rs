//! Every operation against Backblaze's own simulator.

#[path = "../../tests/support/servers/b2.rs"]
mod server;

use serde_json::json;

use super::live::{Live, every_operation};
use server::Server;

#[test]
fn every_operation_with_a_key_for_one_folder() {
    let server = Server::start();
    server.bucket("bkt");
    let rights = ["listFiles", "readFiles", "writeFiles", "deleteFiles"];
    let key = server.key(&json!({ "bucket": "bkt", "prefix": "a b/", "capabilities": rights }));
    for login in [4, 3, 2] {
        server.set(&json!({ "login": login }));
        every_operation(&server.url(&key, "bkt/a%20b", ""));
    }
    assert_eq!(
        server.state()["versions"],
        json!({}),
        "nothing is left, of no version"
    );
    assert_eq!(server.calls("b2_list_buckets"), 0);
}

#[test]
fn every_operation_in_parts_and_through_failures() {
    let server = Server::start();
    server.set(&json!({ "fail_uploads": 0.3, "expire_every": 20, "part_min": 1000, "part_size": 1_000_000 }));
    let more = "&b2-multipart-threshold=1mb&b2-part-size=1mb&b2-page-size=3";
    every_operation(&server.url(&server.master(), "bkt/p", more));
    assert!(server.calls("refused uploads") > 0 && server.calls("b2_upload_part") > 10);
    assert!(server.calls("b2_authorize_account") > 2);
    assert_eq!(server.state()["versions"], json!({}));
    assert_eq!(server.state()["unfinished"], 0);
}

#[test]
fn delete_of_a_file_with_many_versions() {
    let server = Server::start();
    server.bucket("bkt");
    let fill =
        json!({ "bucket": "bkt", "prefix": "p/f", "suffix": "", "files": 2, "versions": 230 });
    server.ask("/test/fill", &fill);
    let mut live = Live::open(&server.url(&server.master(), "bkt/p", ""));
    let [one, two] = ["f", "f"].map(|f| format!("{f}{:032x}", 0));
    assert_eq!(live.get(&one, Some(3)), b"229", "the newest");
    live.delete(&one);
    live.delete(&two);
    let left = server.state();
    let names: Vec<&String> = left["versions"]
        .as_object()
        .expect("object")
        .keys()
        .collect();
    assert_eq!(names, [&format!("bkt/p/f{:032x}", 1)]);
}
