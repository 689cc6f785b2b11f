//! Tests of `net::resolve`.

use super::*;

#[test]
fn names_that_do_not_exist_are_told_from_servers_that_do_not_answer() {
    for host in ["a..b", "", "x y", &"l".repeat(64)] {
        let why = resolve(host).expect_err(host);
        assert_eq!(class(&why), Class::NoHost, "{host}: {why}");
    }
    let config = parse_config("nameserver 192.0.2.1");
    let mut unknown = |_: SocketAddr, query: &[u8]| {
        let mut reply = query.to_vec();
        (reply[2], reply[3]) = (0x81, 0x83);
        Ok(reply)
    };
    let why = ask_all(&config, "h.example", true, &mut unknown).expect_err("unknown");
    assert_eq!(class(&why), Class::NoHost, "{why}");
    for (code, text) in [(2u8, "answers with error 2"), (5, "answers with error 5")] {
        let mut failing = |_: SocketAddr, query: &[u8]| {
            let mut reply = query.to_vec();
            (reply[2], reply[3]) = (0x81, 0x80 | code);
            Ok(reply)
        };
        let why = ask_all(&config, "h.example", true, &mut failing).expect_err("fails");
        assert!(why.contains(text), "{why}");
        assert_eq!(class(&why), Class::Transient);
    }
    let mut silent = |_: SocketAddr, _: &[u8]| Err("no answer in time".to_owned());
    let why = ask_all(&config, "h.example", true, &mut silent).expect_err("silent");
    assert_eq!(class(&why), Class::Transient, "{why}");
}

/// A reply to `query` with these records.
fn reply(query: &[u8], code: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = query.to_vec();
    out[2] = 0x81;
    out[3] = 0x80 | code;
    out[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap_or(0).to_be_bytes());
    for (kind, data) in records {
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(data);
    }
    out
}

#[test]
fn literals_and_localhost_need_no_server() {
    for (host, want) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("::1", "::1")] {
        let found = resolve(host).expect(host);
        assert_eq!(found, [want.parse::<IpAddr>().expect("ip")]);
    }
    assert!(
        resolve("localhost")
            .expect("local")
            .iter()
            .all(IpAddr::is_loopback)
    );
    for bad in ["", "a b", "a..b", "x/y", &"a".repeat(64), "\u{e9}.org"] {
        assert!(resolve(bad).is_err(), "{bad}");
    }
}

#[test]
fn hosts_file_and_resolver_file() {
    let hosts =
        "127.0.0.1 localhost\n# 1.2.3.4 nas\n10.0.0.5\tNAS nas.lan # box\n::5 nas\nbad nas\n";
    assert_eq!(
        in_hosts(hosts, "nas"),
        [
            "10.0.0.5".parse::<IpAddr>().expect("ip"),
            "::5".parse().expect("ip")
        ]
    );
    assert!(in_hosts(hosts, "box").is_empty());
    let c = parse_config(
        "; c\nnameserver fe80::1%eth0\nnameserver x\nnameserver 9.9.9.9\nsearch Lan. b\noptions ndots:2 timeout:1 attempts:99\n",
    );
    assert_eq!(c.servers.len(), 2);
    assert_eq!(c.search, ["lan", "b"]);
    assert_eq!((c.ndots, c.attempts, c.timeout.as_secs()), (2, 5, 1));
    assert_eq!(candidates(&c, "a.b", false), ["a.b.lan", "a.b.b", "a.b"]);
    assert_eq!(candidates(&c, "a.b.c", false)[0], "a.b.c");
    assert_eq!(candidates(&c, "a", true), ["a"]);
    let c = parse_config("");
    assert_eq!(c.servers[0].to_string(), "127.0.0.1:53");
}

#[test]
fn search_names_servers_and_record_types_are_tried_in_order() {
    let config = parse_config("nameserver 1.1.1.1\nnameserver 2.2.2.2\nsearch lan\n");
    let mut log = Vec::new();
    let found = ask_all(&config, "nas", false, &mut |server, query| {
        let kind = query[query.len() - 3];
        log.push(format!("{} {} {kind}", server.ip(), query[12]));
        if server.ip().to_string() == "1.1.1.1" {
            return Ok(reply(query, 2, &[]));
        }
        Ok(match kind {
            1 => reply(query, 0, &[(5, b"\x01x\x00"), (1, &[10, 0, 0, 7])]),
            _ => reply(query, 0, &[]),
        })
    });
    assert_eq!(found, Ok(vec![IpAddr::from([10, 0, 0, 7])]));
    assert_eq!(
        log,
        ["1.1.1.1 3 1", "2.2.2.2 3 1", "1.1.1.1 3 28", "2.2.2.2 3 28"]
    );
    let none = ask_all(&config, "nas", false, &mut |_, query| {
        Ok(reply(query, 3, &[]))
    });
    assert_eq!(none, Err("no such host".to_owned()));
    let dead = ask_all(&config, "nas", false, &mut |_, _| {
        Err("no answer in time".to_owned())
    });
    assert_eq!(
        dead,
        Err("name server 2.2.2.2: no answer in time".to_owned())
    );
}

#[test]
fn many_records_are_cut_at_the_limit() {
    let query = question([1, 2], "x.y", TYPE_A);
    let ip: &[u8] = &[1, 2, 3, 4];
    let records: Vec<(u16, &[u8])> = (0..60).map(|_| (TYPE_A, ip)).collect();
    let Some(Answer::Found(list)) = answer(&reply(&query, 0, &records), &query, TYPE_A) else {
        panic!("an answer");
    };
    assert_eq!(list.len(), ADDRESSES_MAX);
}

#[test]
fn foreign_cut_and_broken_replies_are_refused() {
    let query = question([1, 2], "x.y", TYPE_A);
    let good = reply(&query, 0, &[(TYPE_A, &[1, 2, 3, 4])]);
    for cut in 0..good.len() {
        assert!(answer(&good[..cut], &query, TYPE_A).is_none(), "{cut}");
    }
    for (at, value) in [(0, 9), (2, 1), (13, b'z'), (5, 2)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert!(answer(&bad, &query, TYPE_A).is_none(), "{at}");
    }
    let mut seed = 5u64;
    for _ in 0..3000 {
        let mut data = good.clone();
        for _ in 0..3 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(seed >> 40).unwrap_or(0) % data.len();
            data[at] = u8::try_from(seed >> 20 & 0xff).unwrap_or(0);
        }
        let _ = answer(&data, &query, TYPE_A);
    }
}

#[test]
fn a_name_is_asked_for_once_a_minute_and_after_a_failure() {
    let mut names = Names::default();
    let start = Instant::now();
    let mut asked = Vec::new();
    let mut get = |names: &mut Names, host: &str, seconds: u64| {
        let now = start + Duration::from_secs(seconds);
        let found = names.get(host, now, &mut |host| {
            asked.push(format!("{host}{seconds}"));
            match host {
                "none" => Err("no such host".to_owned()),
                _ => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
            }
        });
        found.map(<[IpAddr]>::len).unwrap_or(0)
    };
    for (host, seconds, found) in [
        ("a", 0, 1),
        ("a", 59, 1),
        ("b", 59, 1),
        ("a", 60, 1),
        ("b", 61, 1),
        ("none", 62, 0),
        ("none", 63, 0),
    ] {
        assert_eq!(get(&mut names, host, seconds), found);
    }
    names.forget();
    get(&mut names, "a", 64);
    for n in 0..20 {
        get(&mut names, &format!("h{n}-"), 65);
    }
    assert_eq!(names.0.len(), NAMES_MAX);
    let first = ["a0", "b59", "a60", "none62", "none63", "a64", "h0-65"];
    assert_eq!(asked[..7], first);
}
