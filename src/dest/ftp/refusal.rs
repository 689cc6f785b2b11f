//! What a refusal and a broken connection mean: a class, a sentence, and what to do.

use std::io;

use super::config::{Mode, Setup};
use super::line::{Broken, is_end};
use super::wire::Reply;
use crate::base::error::{Error, io_text};
use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::dest::folders::{self, Verb};
use crate::net::tls;

const WANTS_TLS: &str = "the server wants TLS: ftps://, or --ftp-encryption-mode=Explicit (aftp: --aftp-encryption-mode)";
const IMPLICIT: &str =
    "a port for implicit TLS? then --ftp-encryption-mode=Implicit (aftp: --aftp-encryption-mode)";

/// What a refusal means that is none of the log-in. `folder` is for messages. Whether a file or a right is missing, 550 does not
/// tell: the caller has looked. `knows`: the server is known to have this command, or every server has it.
pub(super) fn refusal(verb: Verb, reply: &Reply, folder: &str, knows: bool) -> Fault {
    let words = folders::words(&reply.said());
    let code = reply.code;
    let failed = |class| {
        let text = format!(
            "{} in {folder} failed on the server{words}, code {code}",
            verb.doing()
        );
        Fault::new(class, text)
    };
    match code {
        452 | 552 => folders::full(&words),
        400.. if folders::says_full(&reply.said()) => folders::full(&words),
        // What vsftpd and Pure-FTPd say when a write fails, which is for want of space but for broken disks.
        451 if reply.says(&["writing to local file", "during write to file"]) => {
            failed(Class::Full).hint("check the free space and the quota there")
        }
        421 => gone(reply),
        425 => failed(Class::Transient)
            .hint("are the passive ports of the server open in its firewall and its router?"),
        430 | 530 | 532 | 534 => folders::denied(verb, folder, &words),
        500..=504 if knows => failed(Class::Transient),
        500 | 501 | 502 | 504 => folders::not_offered(verb, &words),
        522 => failed(Class::Tls),
        550 | 553 if wants_tls(reply) => failed(Class::Auth).hint(WANTS_TLS),
        550 | 553 => folders::denied(verb, folder, &words),
        400..500 => failed(Class::Transient),
        _ => failed(Class::Protocol),
    }
}

/// The server ends the conversation.
pub(super) fn gone(reply: &Reply) -> Fault {
    let words = folders::words(&reply.said());
    Fault::new(
        Class::Transient,
        format!("the server ends the conversation{words}"),
    )
}

/// True for what vsftpd says of itself, whatever it was asked, before it ends: it says nothing of the command.
pub(super) fn is_oops(reply: &Reply) -> bool {
    reply.code == 500 && reply.says(&["oops:"])
}

/// A server that failed in itself.
pub(super) fn oops(setup: &Setup, reply: &Reply) -> Fault {
    let words = folders::words(&reply.said());
    let text = format!("{}: the server failed{words}", setup.shown());
    match reply.says(&["refusing to run"]) {
        true => Fault::new(Class::Unsupported, text).hint(
            "a fault of its set-up: allow_writeable_chroot=YES in vsftpd.conf, if it is for that",
        ),
        false => Fault::new(Class::Transient, text),
    }
}

fn wants_tls(reply: &Reply) -> bool {
    reply.says(&["ssl", "tls", "encrypt", "secure"])
}

/// Why nobody is let in.
pub(super) fn login(setup: &Setup, reply: &Reply) -> Fault {
    let words = folders::words(&reply.said());
    let place = setup.shown();
    let user = text::safe_cut(setup.user.as_bytes(), 60);
    let crowded = reply.says(&[
        "too many",
        "maximum number",
        "max clients",
        "try again later",
    ]);
    match reply.code {
        421 => gone(reply),
        400..500 if reply.code != 430 => Fault::new(
            Class::Transient,
            format!("{place}: the server takes nobody now{words}"),
        ),
        _ if crowded => Fault::new(
            Class::Transient,
            format!("{place}: the server takes nobody now{words}"),
        ),
        _ if setup.mode == Mode::None && wants_tls(reply) => {
            Fault::new(Class::Auth, format!("{place}: log-in refused{words}")).hint(WANTS_TLS)
        }
        331 | 332 if setup.password.is_none() => Fault::new(
            Class::Auth,
            format!("{place}: no password given for user '{user}'"),
        )
        .hint("AUTH_PASSWORD, or --auth-password"),
        430 | 530 | 331 | 332 | 532 => Fault::new(
            Class::Auth,
            format!("{place}: user '{user}' rejected{words}"),
        )
        .hint("check user name and password"),
        code => Fault::new(
            match code {
                500 | 502..=504 => Class::Transient,
                _ => Class::Auth,
            },
            format!("{place}: log-in refused{words}, code {code}"),
        ),
    }
}

/// The server has no TLS.
pub(super) fn no_tls(setup: &Setup, reply: &Reply) -> Fault {
    let words = folders::words(&reply.said());
    let text = format!("{}: the server offers no TLS{words}", setup.shown());
    Fault::new(Class::Tls, text)
        .hint("switch it on there; ftp:// without it shows the password to anybody on the way")
}

/// A conversation that broke. `greeted`: the server has said something of FTP.
pub(super) fn broken(setup: &Setup, why: Broken, greeted: bool) -> Fault {
    let place = setup.shown();
    match why {
        Broken::Failed(e) => failed(setup, &e, greeted),
        Broken::Ended if greeted || setup.met.get() => Fault::new(
            Class::Transient,
            format!("{place}: the server closed the connection early"),
        ),
        Broken::Ended => Fault::new(
            Class::Refused,
            format!("{place}: the server closed the connection before it said anything"),
        )
        .hint(IMPLICIT),
        // A file that such a server did not bring is not a damaged one.
        Broken::Foreign(head) if greeted => Fault::new(
            Class::Transient,
            format!("{place}: the reply is not FTP: '{}'", cut(&head)),
        ),
        Broken::Foreign(head) => Fault::new(
            Class::Protocol,
            format!(
                "{place}: what answers there is no FTP server: '{}'",
                cut(&head)
            ),
        )
        .hint("is it the right port?"),
    }
}

fn cut(head: &str) -> String {
    text::safe_cut(head.as_bytes(), 60)
}

/// A connection that failed.
pub(super) fn failed(setup: &Setup, e: &io::Error, greeted: bool) -> Fault {
    let place = setup.shown();
    if let Some(e) = e.get_ref().and_then(|i| i.downcast_ref::<rustls::Error>()) {
        let fault = tls::fault(e);
        let hint = match fault.hint.contains("use-ssl=false") {
            true => "Explicit begins TLS on the normal port, Implicit on one of its own (990): see --ftp-encryption-mode".to_owned(),
            false => fault.hint,
        };
        return Fault {
            text: format!("{place}: {}", fault.text),
            hint,
            ..fault
        };
    }
    if let Some(e) = e.get_ref().and_then(|i| i.downcast_ref::<Error>()) {
        return Fault::ours(e);
    }
    let why = match e.kind() {
        io::ErrorKind::ConnectionRefused => {
            return Fault::new(Class::Refused, format!("{place}: connection refused"));
        }
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::InvalidData => {
            let text = format!("{place}: the server said something in the clear where TLS begins");
            return Fault::new(Class::Tls, text)
                .hint("is something in between that changes the traffic?");
        }
        _ if is_end(e) => "the server closed the connection early".to_owned(),
        _ => io_text(e),
    };
    let text = format!("{place}: {why}");
    // A server that was logged in to before speaks no other TLS now.
    match greeted || setup.met.get() {
        true => Fault::new(Class::Transient, text),
        false => Fault::new(Class::Refused, text).hint(IMPLICIT),
    }
}
