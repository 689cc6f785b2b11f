//! The server for faults by itself, in raw FTP and by curl.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::faulty_ftp::{CA_FILE, FOLDER, HOME, Lists, Modes, Rest, Server, Tls, Trouble, USER};

/// A client that says what it is told to.
struct Raw {
    control: BufReader<TcpStream>,
    peer: IpAddr,
}

impl Raw {
    fn new(server: &Server) -> Raw {
        let control = TcpStream::connect(server.address).unwrap();
        control
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Raw {
            control: BufReader::new(control),
            peer: server.address.ip(),
        }
    }

    fn inside(server: &Server) -> Raw {
        let mut raw = Raw::new(server);
        assert!(raw.reply().starts_with("220"));
        assert!(raw.ask(&format!("USER {USER}")).starts_with("331"));
        assert!(raw.ask("PASS s3cr3t/+value").starts_with("230"));
        assert!(raw.ask("TYPE I").starts_with("200"));
        raw
    }

    /// All lines of a reply; empty at the end of the conversation.
    fn reply(&mut self) -> String {
        let mut all = String::new();
        loop {
            let mut line = Vec::new();
            let _ = self.control.read_until(b'\n', &mut line);
            let line = String::from_utf8(line).unwrap();
            all += &line;
            if line.is_empty() || (line.get(..3) == all.get(..3) && line.as_bytes()[3] == b' ') {
                return all;
            }
        }
    }

    fn say(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.control.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.reply()
    }

    fn port(&mut self) -> TcpStream {
        let reply = self.ask("EPSV");
        let port = reply.split('|').nth(3).unwrap().parse().unwrap();
        TcpStream::connect(SocketAddr::new(self.peer, port)).unwrap()
    }

    /// What came, and the reply at the end.
    fn get(&mut self, line: &str) -> (Vec<u8>, String) {
        let mut data = self.port();
        let begun = self.ask(line);
        if !begun.starts_with("150") {
            return (Vec::new(), begun);
        }
        let mut all = Vec::new();
        let _ = data.read_to_end(&mut all);
        (all, self.reply())
    }

    fn put(&mut self, line: &str, bytes: &[u8]) -> String {
        let mut data = self.port();
        let begun = self.ask(line);
        if begun.starts_with("150") {
            let _ = data.write_all(bytes);
            let _ = data.shutdown(Shutdown::Write);
            return self.reply();
        }
        begun
    }
}

fn lines(listing: &(Vec<u8>, String)) -> Vec<String> {
    let text = String::from_utf8(listing.0.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_server_for_faults_is_a_good_one() {
    let server = Server::start(Modes::default());
    let mut raw = Raw::new(&server);
    assert!(raw.reply().starts_with("220"));
    assert!(raw.ask("PWD").starts_with("530"));
    raw.ask("USER user");
    assert!(raw.ask("PASS wrong").starts_with("530"));
    let mut raw = Raw::inside(&server);
    assert!(raw.ask("PWD").contains(&format!("\"{HOME}\"")));
    assert!(raw.ask("FEAT").contains("REST STREAM"));
    assert!(raw.ask("CWD d").starts_with("250"));
    assert!(raw.put("STOR a b", b"0123456789").starts_with("226"));
    assert_eq!(server.file("a b").unwrap(), b"0123456789");
    assert!(raw.ask("SIZE a b").starts_with("213 10"));
    assert!(raw.ask("REST 7").starts_with("350"));
    assert_eq!(raw.get("RETR a b").0, b"789");
    assert_eq!(raw.get("RETR a b").0.len(), 10, "once");
    server.store_aged("old", b"x", 400);
    let listed = lines(&raw.get("MLSD"));
    assert!(listed[0].starts_with("type=cdir;") && listed[1].starts_with("type=pdir;"));
    assert!(listed[2].starts_with("type=file;size=10;modify=20") && listed[2].ends_with("; a b"));
    let listed = lines(&raw.get("LIST -a"));
    assert!(listed[2].contains("       10 ") && listed[2].ends_with(" a b"));
    assert!(!listed[3].contains(':'), "{listed:?}");
    assert!(raw.ask("RNFR a b").starts_with("350"));
    assert!(raw.ask("RNTO ../c").starts_with("250"));
    assert!(raw.ask(&format!("SIZE {HOME}/c")).starts_with("213"));
    assert!(raw.ask("MKD e").starts_with("257") && server.has_folder(&format!("{FOLDER}/e")));
    assert!(raw.ask("MKD e/f/g").starts_with("550"));
    assert!(raw.ask("DELE old").starts_with("250") && raw.ask("DELE old").starts_with("550"));
    server.unmake();
    assert_eq!(raw.get("MLSD").1.get(..3), Some("550"));
    assert_eq!(
        raw.get("LIST"),
        (Vec::new(), "226 Directory send OK.\r\n".to_owned())
    );
    assert!(raw.put("STOR x", b"x").starts_with("553"));
    server.make(FOLDER);
    assert_eq!(server.names(), [""; 0]);
    assert_eq!((server.count("STOR"), server.connections()), (2, 2));
    assert!(raw.ask("QUIT").starts_with("221"));
}

#[test]
fn the_server_for_faults_is_what_it_is_told_to_be() {
    let server = Server::start(Modes {
        lists: Lists::Dos,
        rest: Rest::Unknown,
        wordy: true,
        limit: 2,
        nat: true,
        no_rename: true,
        idle: Some(Duration::from_millis(500)),
        ..Modes::default()
    });
    for name in ["a", "b", "c"] {
        server.store(name, b"123");
    }
    let mut raw = Raw::inside(&server);
    let listed = raw.get("LIST d");
    assert!(
        listed.1.contains("226 Output truncated to 2 matches"),
        "{listed:?}"
    );
    assert_eq!(lines(&listed).len(), 2);
    assert!(
        lines(&listed)[0].ends_with("                    3 a"),
        "{listed:?}"
    );
    assert!(raw.ask("REST 5").contains("500 Unknown"));
    assert!(raw.ask("PASV").contains("(10,99,98,97,"));
    assert!(raw.ask("RNFR d/a").starts_with("550-"), "many lines");
    server.change(|modes| {
        modes.splits = true;
        modes.read_only = true;
    });
    assert!(raw.ask("MKD x").contains("550 Permission"));
    assert_eq!(lines(&raw.get("LIST d e")).len(), 2);
    assert!(raw.reply().contains("421 Timeout"));
    assert_eq!(raw.reply(), "", "the end");
    let server = Server::start_at("[::1]:0", Modes::default());
    let mut six = Raw::new(&server);
    assert!(six.reply().starts_with("220"));
}

#[test]
fn the_server_for_faults_does_what_is_scripted() {
    let server = Server::start(Modes::default());
    server.store("f", b"0123456789");
    let trouble = |verb, trouble| server.script(verb, "d/f", trouble);
    let mut raw = Raw::inside(&server);
    trouble("SIZE", Trouble::Says("450 later".to_owned()));
    assert_eq!(raw.ask("SIZE d/f"), "450 later\r\n");
    trouble("RETR", Trouble::Part(4, "426 broken".to_owned()));
    assert_eq!(
        raw.get("RETR d/f"),
        (b"0123".to_vec(), "426 broken\r\n".to_owned())
    );
    raw.ask("REST 5");
    trouble("RETR", Trouble::Whole);
    assert_eq!(raw.get("RETR d/f").0, b"0123456789");
    raw.ask("REST 5");
    trouble("RETR", Trouble::Late);
    assert_eq!(raw.get("RETR d/f").0, b"6789");
    trouble("RETR", Trouble::Data(b"other".to_vec()));
    assert_eq!(raw.get("RETR d/f").0, b"other");
    trouble("RETR", Trouble::Slow);
    assert_eq!(raw.get("RETR d/f").0, b"0123456789");
    trouble("RETR", Trouble::Replace("f", b"new".to_vec()));
    assert_eq!(raw.get("RETR d/f").0, b"new");
    trouble("RETR", Trouble::After("551 what now".to_owned()));
    assert_eq!(raw.get("RETR d/f").1, "551 what now\r\n");
    trouble("STOR", Trouble::Short(3));
    assert!(raw.put("STOR d/f", b"0123456789").starts_with("226"));
    assert_eq!(server.file("f").unwrap(), b"012");
    trouble("STOR", Trouble::Part(2, "552 full".to_owned()));
    assert_eq!(raw.put("STOR d/f", b"0123456789"), "552 full\r\n");
    trouble("SIZE", Trouble::Raw(b"\xff\0".to_vec()));
    raw.say("SIZE d/f");
    let mut odd = [0; 2];
    raw.control.read_exact(&mut odd).unwrap();
    assert_eq!(&odd, b"\xff\0");
    trouble("STOR", Trouble::Cut(5));
    assert_eq!(raw.put("STOR d/f", b"0123456789"), "");
    assert_eq!(server.file("f").unwrap(), b"01234");
    for (ends, said) in [
        (Trouble::Ends("421 bye".to_owned()), "421 bye\r\n"),
        (Trouble::Close, ""),
        (Trouble::Swallow, ""),
        (
            Trouble::ThenEnds("421 bye".to_owned()),
            "250 Directory successfully changed.\r\n",
        ),
    ] {
        let mut raw = Raw::inside(&server);
        server.script("CWD", "", ends);
        assert_eq!(raw.ask("CWD d"), said);
        let _ = raw.reply();
        assert_eq!(raw.reply(), "");
    }
    trouble("DELE", Trouble::Swallow);
    assert_eq!(Raw::inside(&server).ask("DELE d/f"), "");
    assert_eq!((server.file("f"), server.left()), (None, 0));
    server.says("(start)", "421 too many users");
    assert!(Raw::new(&server).reply().starts_with("421"));
    // What goes on without end, or never begins.
    server.store("f", b"0123456789");
    trouble("RETR", Trouble::Drip(3));
    let mut raw = Raw::inside(&server);
    let mut data = raw.port();
    raw.ask("RETR d/f");
    let mut got = [0; 8];
    data.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"012xxxxx");
    for (trouble, endless) in [
        (Trouble::Hang, false),
        (Trouble::Stall(3), false),
        (Trouble::Endless, true),
    ] {
        server.script("RETR", "", trouble);
        let mut raw = Raw::inside(&server);
        let _data = raw.port();
        raw.say("RETR d/f");
        raw.control
            .get_mut()
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut said = String::new();
        while said.len() < 100 && raw.control.read_line(&mut said).is_ok() {}
        assert_eq!(said.len() >= 100, endless, "{said}");
    }
    server.script("NOOP", "", Trouble::Close);
    server.calm();
    assert!(Raw::inside(&server).ask("NOOP").starts_with("200"));
    server.change(|modes| modes.flaky = 50);
    let failed = (0..40).filter(|_| {
        let mut raw = Raw::new(&server);
        raw.reply();
        raw.ask("USER user");
        raw.ask("PASS s3cr3t/+value");
        raw.ask("TYPE I");
        !raw.ask("SIZE d/f").starts_with("213")
    });
    assert!((5..35).contains(&failed.count()));
}

/// What curl says of it: exit code, output.
fn curl(server: &Server, scheme: &str, path: &str, more: &[&str]) -> (i32, Vec<u8>) {
    let url = format!("{scheme}://127.0.0.1:{}/{path}", server.address.port());
    let done = Command::new("curl")
        .args([
            "-sS",
            "--max-time",
            "60",
            "--cacert",
            CA_FILE,
            "-u",
            "user:s3cr3t/+value",
        ])
        .args(more)
        .arg(url)
        .output()
        .expect("this test needs curl: run .ci/prepare");
    (done.status.code().unwrap_or(-1), done.stdout)
}

#[test]
fn the_server_for_faults_speaks_tls() {
    let data: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for (tls, scheme, only_tls12) in [
        (Tls::Explicit, "ftp", false),
        (Tls::Explicit, "ftp", true),
        (Tls::Implicit, "ftps", false),
    ] {
        let server = Server::start(Modes {
            tls,
            reuse: true,
            only_tls12,
            ..Modes::default()
        });
        server.store("f", &data);
        let must = ["--ssl-reqd"];
        let got = curl(&server, scheme, "d/f", &must);
        assert!(got == (0, data.clone()), "{tls:?} {only_tls12}: {}", got.0);
        let more = ["--ssl-reqd", "-T", CA_FILE];
        assert_eq!(curl(&server, scheme, "d/up", &more).0, 0, "{tls:?}");
        assert_eq!(server.file("up").unwrap(), std::fs::read(CA_FILE).unwrap());
        let listed = curl(&server, scheme, "d/", &["--ssl-reqd", "-l"]);
        assert_eq!(listed, (0, b"f\nup\n".to_vec()));
        for trouble in [Trouble::Clear, Trouble::Part(100, "426 cut".to_owned())] {
            server.script("RETR", "", trouble);
            assert_ne!(curl(&server, scheme, "d/f", &must).0, 0);
        }
        assert_eq!(server.left(), 0);
        let fresh = ["--ssl-reqd", "--no-sessionid"];
        assert_ne!(curl(&server, scheme, "d/f", &fresh).0, 0, "a new session");
        server.change(|modes| modes.reuse = false);
        assert_eq!(curl(&server, scheme, "d/f", &fresh).0, 0);
        if tls == Tls::Explicit {
            assert_ne!(curl(&server, scheme, "d/f", &[]).0, 0, "in clear");
        }
    }
    let server = Server::start(Modes {
        tls: Tls::Offered,
        no_tickets: true,
        ..Modes::default()
    });
    server.store("f", b"x");
    assert_eq!(curl(&server, "ftp", "d/f", &[]).0, 0);
    server.script("RETR", "", Trouble::Abrupt);
    let _ = curl(&server, "ftp", "d/f", &["--ssl-reqd"]);
    server.change(|modes| modes.reuse = true);
    assert_ne!(curl(&server, "ftp", "d/f", &["--ssl-reqd"]).0, 0);
}
