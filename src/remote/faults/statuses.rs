//! What the statuses of HTTP mean: one table for every destination, and beside it where a destination departs from it.

use super::*;

const STATUSES: [u16; 20] = [
    400, 401, 402, 403, 405, 406, 408, 410, 413, 423, 425, 429, 500, 501, 502, 503, 504, 507, 520,
    599,
];
const VERBS: [Verb; 3] = [Verb::List, Verb::Get, Verb::Put];

/// Not asked for again.
pub(super) const fn last(kind: Kind) -> Outcome {
    Outcome {
        kind,
        again: false,
        wait: 0,
    }
}

/// Asked for again, after so many seconds.
pub(super) const fn again(wait: u64) -> Outcome {
    Outcome {
        kind: Kind::Busy,
        again: true,
        wait,
    }
}

/// Not understood: asked for once more.
pub(super) const ODD: Outcome = Outcome {
    kind: Kind::Unsupported,
    again: true,
    wait: 0,
};

fn of(status: u16, verb: Verb) -> Outcome {
    match status {
        401..=403 => last(Kind::Credentials),
        405 | 413 | 501 => last(Kind::Unsupported),
        507 => last(Kind::NoSpace),
        429 | 503 => again(1),
        408 | 423 | 425 | 500..=599 => again(0),
        410 if verb == Verb::List => last(Kind::Missing),
        // A file that was listed is looked for again.
        410 if verb == Verb::Get => Outcome {
            again: true,
            ..last(Kind::Missing)
        },
        _ => ODD,
    }
}

pub(super) fn the_table_of_statuses(start: Start) {
    for verb in VERBS {
        for status in STATUSES {
            let mut b = Bench::open(start, "number-of-retries=1");
            b.stored(10);
            b.scripts(20, verb, &b.no(status));
            let done = b.act(verb);
            let got = Outcome {
                // A listing of a folder that is not there is no error.
                kind: done.map_or_else(|e| e.kind(), |()| Kind::Missing),
                again: b.retries() > 0,
                wait: b.waits().first().copied().unwrap_or(0),
            };
            let want = b.wire.unlike(verb, status).unwrap_or(of(status, verb));
            assert_eq!(got, want, "{verb:?} {status}");
            if want.again {
                b = Bench::open(start, "");
                b.stored(10);
                b.script(verb, b.no(status));
                b.act(verb).expect("done at the second try");
            }
        }
    }
}

pub(super) fn servers_that_say_how_long_to_wait(start: Start) {
    let mut b = Bench::open(start, "");
    b.stored(10);
    b.scripts(3, Verb::Get, &b.no(503));
    b.act(Verb::Get).expect("done at the fourth try");
    assert_eq!(b.waits(), [1; 3]);
    for verb in [Verb::Login, Verb::List, Verb::Get, Verb::Put, Verb::Delete] {
        if start().method_of(verb).is_none() {
            continue;
        }
        for status in [429, 503] {
            let mut b = Bench::open(start, "");
            b.stored(10);
            b.script(verb, later(status, "2"));
            b.act(verb).expect("done in the end");
            assert_eq!(b.waits(), [2], "{status} {verb:?}");
            let mut b = Bench::open(start, "");
            b.stored(10);
            b.script(verb, later(status, "3600"));
            refused(b.act(verb), "asks to wait 1h00m");
        }
    }
}
