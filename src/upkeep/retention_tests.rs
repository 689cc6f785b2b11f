#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use super::*;
use serde_json::Value;

/// What Duplicati kept, case by case: `tests/data/lifecycle/README.md`.
const TABLE: &str = include_str!("../../tests/data/lifecycle/retention-table.json");
const SERIES: &str = include_str!("../../tests/data/lifecycle/retention-series.json");

fn at(text: &str) -> Timestamp {
    Timestamp::parse_compact(text.as_bytes()).unwrap()
}

/// The wall clocks of the cases, by the rules of their years.
fn wall(zone: &str) -> fn(Timestamp) -> Wall {
    fn berlin(t: Timestamp) -> Wall {
        let summer = t < at("20231029T010000Z") || t >= at("20240331T010000Z");
        Wall(t.0 + if summer { 7200 } else { 3600 })
    }
    fn new_york(t: Timestamp) -> Wall {
        let summer = t >= at("20240310T070000Z");
        Wall(t.0 - if summer { 14_400 } else { 18_000 })
    }
    match zone {
        "UTC" => |t| Wall(t.0),
        "Europe/Berlin" => berlin,
        "America/New_York" => new_york,
        "Asia/Kathmandu" => |t| Wall(t.0 + 20_700),
        zone => panic!("no rule for {zone}"),
    }
}

/// As the options of a command line say.
fn retention(options: &[&str]) -> Result<Retention> {
    let mut rules = Vec::new();
    let tolerance = !options.contains(&"--disable-time-tolerance=true");
    for option in options {
        let (name, value) = option.split_once('=').unwrap();
        rules.extend(match name {
            "--keep-versions" => match value.parse().unwrap() {
                0 => None,
                n => Some(Rule::KeepVersions(n)),
            },
            "--keep-time" => Some(Rule::KeepTime {
                age: Age::parse(value)?,
                tolerance,
            }),
            "--retention-policy" => Policy::parse(value)?.map(Rule::Policy),
            _ => None,
        });
    }
    if rules.len() > 1 {
        return Err(Error::usage("two criteria"));
    }
    Ok(Retention {
        rule: rules.pop(),
        named: Vec::new(),
        allow_full_removal: options.contains(&"--allow-full-removal=true"),
    })
}

fn strings(value: &Value) -> Vec<&str> {
    let all = value.as_array().map_or(&[][..], Vec::as_slice);
    all.iter().map(|v| v.as_str().unwrap()).collect()
}

/// The names that stay, sorted.
fn kept(
    retention: &Retention,
    dates: &[&str],
    partial: &[&str],
    now: &str,
    tz: &str,
) -> Vec<String> {
    let mut dates = dates.to_vec();
    dates.sort_unstable();
    dates.reverse();
    let times: Vec<Timestamp> = dates.iter().map(|d| at(d)).collect();
    let mut asked = vec![0; dates.len()];
    let decisions = retention
        .decide(&times, at(now), &wall(tz), &mut |no| {
            asked[no] += 1;
            Ok(!partial.contains(&dates[no]))
        })
        .unwrap();
    assert_eq!(decisions.len(), dates.len());
    for decision in &decisions {
        assert!(!decision.why.is_empty() && !decision.why.contains('\n'));
    }
    let stay = dates.iter().zip(&decisions).filter(|(_, d)| d.keep);
    let mut stay: Vec<String> = stay.map(|(d, _)| (*d).to_owned()).collect();
    stay.sort();
    stay
}

#[test]
fn every_row_of_the_table_keeps_what_duplicati_keeps() {
    let cases: Vec<Value> = serde_json::from_str(TABLE).unwrap();
    assert_eq!(cases.len(), 66);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let parsed = retention(&strings(&case["options"]));
        let refused = case["newest_by_source"]
            .as_str()
            .is_some_and(|s| s.starts_with("refused"))
            || case["exit"] != 0;
        assert_eq!(parsed.is_err(), refused, "{name}");
        let Ok(parsed) = parsed else {
            continue;
        };
        let mut want: Vec<String> = strings(&case["kept_newest_by_source"])
            .iter()
            .map(|s| (*s).to_owned())
            .collect();
        want.sort();
        let got = kept(
            &parsed,
            &strings(&case["dates"]),
            &strings(&case["partial"]),
            case["now"].as_str().unwrap(),
            case["tz"].as_str().unwrap(),
        );
        assert_eq!(got, want, "{name}");
    }
}

/// Forty irregular versions; the month of the release that made them has 31 days, its year 365.
#[test]
fn forty_versions_lose_what_duplicati_deletes() {
    let series: Value = serde_json::from_str(SERIES).unwrap();
    let mut dates: Vec<&str> = strings(&series["smart"]["kept"]);
    dates.extend(strings(&series["smart"]["gone"]));
    assert_eq!(dates.len(), 40);
    let mut rows = 0;
    for (name, row) in series.as_object().unwrap() {
        let option = strings(&row["options"])[0].trim_start_matches("backup ");
        let option = option
            .replace("12M:1M", "365D:31D")
            .replace("U:1M", "U:31D");
        let retention = retention(&[option.as_str()]).unwrap();
        let now = row["now"].as_str().unwrap();
        let mut all = dates.clone();
        let mut want = strings(&row["kept"]);
        for new in &want {
            if !all.contains(new) {
                all.push(new);
            }
        }
        want.sort_unstable();
        assert_eq!(kept(&retention, &all, &[], now, "UTC"), want, "{name}");
        rows += 1;
    }
    assert_eq!(rows, 8);
}

#[test]
fn three_days_of_daily_versions() {
    let dates: Vec<String> = (10..=17).map(|d| format!("202402{d}T100000Z")).collect();
    let dates: Vec<&str> = dates.iter().map(String::as_str).collect();
    let rule = retention(&["--keep-time=3D"]).unwrap();
    let got = kept(&rule, &dates, &[], "20240217T110000Z", "UTC");
    assert_eq!(got, &dates[5..]);
}

/// The worked example of the format's description.
#[test]
fn a_policy_explains_every_decision() {
    let rows = [
        ("20260331T060000Z", true, true, "the newest version"),
        (
            "20260331T020000Z",
            true,
            false,
            "7D:1D (since 2026-03-24 12:00:00): only 20h00m00s after 2026-03-30 06:00:00, which stays",
        ),
        ("20260330T180000Z", true, false, "only 12h00m00s after"),
        (
            "20260330T060000Z",
            true,
            true,
            "5D00h00m00s after 2026-03-25 06:00:00",
        ),
        ("20260329T060000Z", false, true, "partial"),
        ("20260325T060000Z", true, true, "the oldest of its frame"),
        (
            "20260324T110000Z",
            true,
            false,
            "4W:7D (since 2026-03-03 12:00:00): only 4D05h00m00s after 2026-03-20 06:00:00",
        ),
        ("20260320T060000Z", true, true, "14D00h00m00s after"),
        ("20260313T050000Z", true, false, "only 6D23h00m00s after"),
        ("20260312T060000Z", true, false, "only 6D00h00m00s after"),
        ("20260306T060000Z", true, true, "the oldest of its frame"),
        (
            "20260220T000000Z",
            true,
            false,
            "12M:30D (since 2025-04-05 12:00:00): only 19D",
        ),
        ("20260201T000000Z", true, true, "43D"),
        ("20260110T000000Z", true, false, "only 21D"),
        ("20251220T000000Z", true, true, "the oldest of its frame"),
        ("20250320T000000Z", true, false, "older than every frame"),
    ];
    let times: Vec<Timestamp> = rows.iter().map(|r| at(r.0)).collect();
    let rule = retention(&["--retention-policy=12M:30D,7D:1D,4W:7D"]).unwrap();
    let got = rule
        .decide(&times, at("20260331T120000Z"), &wall("UTC"), &mut |no| {
            Ok(rows[no].1)
        })
        .unwrap();
    for (decision, (date, _, keep, why)) in got.iter().zip(rows) {
        assert_eq!(decision.keep, keep, "{date}: {}", decision.why);
        assert!(decision.why.contains(why), "{date}: {}", decision.why);
    }
}

#[test]
fn named_versions_go_but_never_all() {
    let times: Vec<Timestamp> = (0..5).map(|n| Timestamp(1_000_000 - n * 1000)).collect();
    let decide = |rule: Option<Rule>, named: &[usize], all: bool| -> Vec<bool> {
        let retention = Retention {
            rule,
            named: named.to_vec(),
            allow_full_removal: all,
        };
        let full = &mut |_| Ok(true);
        let decided = retention
            .decide(&times, times[0], &wall("UTC"), full)
            .unwrap();
        decided.iter().map(|d| d.keep).collect()
    };
    let (y, n) = (true, false);
    assert_eq!(decide(None, &[1, 3], false), [y, n, y, n, y]);
    assert_eq!(decide(None, &[4, 3, 2, 1, 0], false), [y, n, n, n, n]);
    assert_eq!(decide(None, &[4, 3, 2, 1, 0], true), [n, n, n, n, n]);
    // Two stay of those that are not named.
    let two = || Some(Rule::KeepVersions(2));
    assert_eq!(decide(two(), &[0], false), [n, y, y, n, n]);
    assert_eq!(decide(two(), &[1, 2], false), [y, n, n, y, n]);
    assert_eq!(decide(two(), &[0, 1, 2, 3, 4], false), [y, n, n, n, n]);
    // What the rule would take stays rather than what a person named.
    let policy = || Policy::parse("100s:1s").unwrap().map(Rule::Policy);
    assert_eq!(decide(policy(), &[0], false), [n, y, n, n, n]);
    assert_eq!(decide(policy(), &[0], true), [n, n, n, n, n]);
    assert!(Retention::default().is_empty());
}

/// Only partial versions would be left: the newest complete one stays, too, with its reason.
#[test]
fn no_rule_takes_the_last_complete_version() {
    let times: Vec<Timestamp> = (0..5).map(|n| Timestamp(1_000_000 - n * 1000)).collect();
    for (options, partial, kept) in [
        (&["--retention-policy=100s:1s"][..], &[0][..], &[0, 1][..]),
        (&["--retention-policy=100s:1s"], &[0, 1], &[0, 2]),
        (&["--retention-policy=1500s:1s"], &[0, 1], &[0, 1, 2]),
        (&["--retention-policy=1500s:1s"], &[0, 1, 2, 3, 4], &[0, 1]),
        (&["--retention-policy=2500s:1s"], &[0, 1], &[0, 1, 2]),
        (&["--keep-versions=1"], &[0, 1], &[0, 1, 2]),
        (&["--keep-time=1s"], &[0, 1], &[0, 1, 2]),
        (
            &["--retention-policy=100s:1s", "--allow-full-removal=true"],
            &[0],
            &[0],
        ),
    ] {
        let full = &mut |no| Ok(!partial.contains(&no));
        let decided = retention(options)
            .unwrap()
            .decide(&times, times[0], &wall("UTC"), full)
            .unwrap();
        let stay: Vec<usize> = (0..5).filter(|no| decided[*no].keep).collect();
        assert_eq!(stay, kept, "{options:?} {partial:?}");
    }
}

/// Whether a version is complete is in its list: a download. No more are asked for than decide something.
#[test]
fn no_more_versions_are_read_than_needed() {
    let times: Vec<Timestamp> = (0..100)
        .map(|n| Timestamp(10_000_000 - n * 86_400))
        .collect();
    for (options, reads) in [
        (&["--keep-versions=3"][..], 3),
        (&["--keep-time=10D"], 1),
        (&["--retention-policy=10D:1D"], 10),
    ] {
        let mut read = 0;
        retention(options)
            .unwrap()
            .decide(&times, times[0], &wall("UTC"), &mut |_| {
                read += 1;
                Ok(true)
            })
            .unwrap();
        assert_eq!(read, reads, "{options:?}");
    }
}

/// A version whose list cannot be read is not decided about: nor is any other.
#[test]
fn a_version_that_cannot_be_read_ends_it() {
    let times = [Timestamp(2000), Timestamp(1000)];
    for options in [
        "--keep-versions=1",
        "--keep-time=1s",
        "--retention-policy=1D:1s",
    ] {
        let failed =
            retention(&[options])
                .unwrap()
                .decide(&times, times[0], &wall("UTC"), &mut |_| {
                    Err(Error::damaged("x"))
                });
        assert!(failed.is_err(), "{options}");
    }
}

#[test]
fn policies_that_cannot_be_meant_are_refused() {
    for (text, why) in [
        ("1W", "one colon"),
        ("1W:1D:1h", "one colon"),
        ("1W:1D,4W", "one colon"),
        ("1W:", "the interval is no time span"),
        (":1D", "the frame is no time span"),
        ("1W:x", "the interval is no time span"),
        ("1w:1D", "the frame is no time span"),
        ("forever:1D", "the frame is no time span"),
        ("1D:1W", "shorter than the frame"),
        ("1D:24h", "shorter than the frame"),
        ("0s:0s", "longer than nothing"),
        ("-1D:U", "longer than nothing"),
        ("1W:-1D", "negative"),
        ("U:-1s", "negative"),
    ] {
        let e = Policy::parse(text)
            .err()
            .map(|e| (e.to_string(), e.kind().exit_code()));
        let (said, code) = e.unwrap_or_else(|| panic!("{text} is taken"));
        assert!(
            said.contains(why) && said.lines().count() == 1,
            "{text}: {said}"
        );
        assert_eq!(code, 200);
    }
    for text in ["", ",", " , ,"] {
        assert_eq!(Policy::parse(text).unwrap(), None, "{text}");
    }
    for (text, frames) in [
        ("1W:1D,4W:1W,12M:1M", 3),
        (",1W:1D,,", 1),
        ("1W : 1D", 1),
        (" u:U ", 1),
        ("3600:60", 1),
        ("1D12h:6h", 1),
        ("2W:0s", 1),
        ("U:100Y", 1),
    ] {
        let policy = Policy::parse(text).unwrap().unwrap();
        assert_eq!(policy.pairs.len(), frames, "{text}");
    }
}

#[test]
fn ages_go_back_by_the_calendar() {
    let now = Wall(at("20240331T113000Z").0);
    for (text, want) in [
        ("0s", "2024-03-31 11:30:00"),
        ("90", "2024-03-31 11:28:30"),
        ("30m", "2024-03-31 11:00:00"),
        ("1M", "2024-02-29 11:30:00"),
        ("1Y", "2023-03-31 11:30:00"),
        ("1y2M3d", "2023-01-28 11:30:00"),
        ("2w", "2024-03-17 11:30:00"),
        ("1D-1h", "2024-03-30 12:30:00"),
        ("9999Y", "0001-01-01 00:00:00"),
        ("99999999999999999", "0001-01-01 00:00:00"),
    ] {
        assert_eq!(
            Age::parse(text).unwrap().before(now).to_string(),
            want,
            "{text}"
        );
    }
    for text in [
        "",
        " ",
        "x",
        "3",
        "D",
        "1D2",
        "3X",
        "-3D",
        "-5",
        "1.5D",
        "99999999999999999999D",
        "3 days",
    ] {
        let e = Age::parse(text);
        assert_eq!(e.is_err(), text != "3", "{text}");
    }
}
