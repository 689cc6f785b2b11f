//! `duplet remote login`: a person lets the program in, on whatever device has a browser, and what is given for that goes into a
//! file, or is shown as an option.

use std::time::{Duration, Instant};

use crate::base::error::{Error, Result, unwrap_io};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::sys;
use crate::base::ui::Ui;
use crate::cli::{options as o, parse};
use crate::dest::logins;
use crate::net::http::Http;
use crate::net::oauth::consent::{Asked, ByService, ByToken, Device, Loopback, late};
use crate::net::oauth::token_file::{self, TokenFile};
use crate::net::oauth::{self, Provider};

/// How long the page of the token service is good for, and how often it is looked whether somebody was there.
const SERVICE_LIFE: Duration = Duration::from_secs(300);
const SERVICE_PAUSE: Duration = Duration::from_secs(3);
/// The token service that has the pages of providers whose tokens do not expire: see [`Provider::hosts`].
const SHOWS_TOKENS: &str = "https://oauth-service.duplicati.com/refresh";
/// The same for a browser of this machine.
const BROWSER_LIFE: Duration = Duration::from_secs(600);
const BROWSER_PAUSE: Duration = Duration::from_millis(200);
/// So many questions in a row may fail by the line.
const FAILURES_MAX: u8 = 5;

/// `word`: the scheme, or a URL with it.
pub(super) fn run(word: &str, more: &[String], options: &Options, ui: &mut Ui) -> Result<()> {
    if !more.is_empty() {
        return Err(
            Error::usage("too many arguments for remote login").hint("try 'duplet help remote'")
        );
    }
    if options.flag(&o::DRY_RUN) {
        return Err(
            Error::usage("a log-in cannot be tried without making it").hint("leave --dry-run out")
        );
    }
    let provider = provider(word)?;
    if ui.is_json() {
        return Err(Error::usage(
            "a log-in is made with a person and not written as JSON",
        ));
    }
    let mut http = Http::new(options)?;
    let mut file = match options.text(&oauth::TOKEN_FILE) {
        Some(path) => TokenFile::to_write(path)?,
        None => TokenFile::new(""),
    };
    file.set(token_file::SCHEME, provider.scheme);
    let doing = format!("log in for {}://", provider.scheme);
    let done = match options.text(&oauth::CLIENT_ID) {
        _ if options.given(o::LOGIN_TOKEN.name).is_some() => {
            by_token(&mut http, provider, options, &mut file)?
        }
        None if !provider.hosts.is_empty() => by_hand(provider, options, &mut file, ui)?,
        None => by_service(&mut http, provider, options, &mut file, ui)?,
        Some(_) => by_client(&mut http, provider, options, &mut file, ui)?,
    };
    done.map_err(|fault| fault.into_error(&doing))?;
    keep(&file, provider, ui)
}

/// The provider that is meant.
fn provider(word: &str) -> Result<&'static Provider> {
    let scheme = word.split(':').next().unwrap_or_default().to_lowercase();
    let found = logins::ALL.iter().find(|p| p.scheme == scheme);
    if word.contains('?') {
        let cause = "options of a log-in are not read from a URL";
        return Err(
            Error::usage(cause).hint("name the type alone, and give options as --NAME=VALUE")
        );
    }
    found.copied().ok_or_else(|| {
        let all: Vec<&str> = logins::ALL.iter().map(|p| p.scheme).collect();
        Error::usage(format!(
            "{} has no log-in that is made in a browser; these have: {}",
            parse::shown(word),
            all.join(", ")
        ))
    })
}

/// On a page of the token service, for an AuthID.
fn by_service(
    http: &mut Http,
    provider: &'static Provider,
    options: &Options,
    file: &mut TokenFile,
    ui: &mut Ui,
) -> Result<Done<()>> {
    let url = oauth::service_url(options)?;
    let login = ByService::new(&url)?;
    if options.given(oauth::OAUTH_URL.name).is_some() {
        file.set(token_file::SERVICE_URL, &url);
    }
    let page = login.page(provider.service);
    show(
        ui,
        "open this page on any device and log in, within 5 minutes:",
        &page,
    )?;
    Ok(wait(SERVICE_LIFE, &mut || {
        let asked = login.ask(http, file);
        asked.map(|asked| (asked, SERVICE_PAUSE))
    }))
}

/// On a page of the token service, which shows an access token: it is entered here.
fn by_hand(
    provider: &'static Provider,
    options: &Options,
    file: &mut TokenFile,
    ui: &mut Ui,
) -> Result<Done<()>> {
    let url = match options.given(oauth::OAUTH_URL.name) {
        Some(_) => oauth::service_url(options)?,
        None => SHOWS_TOKENS.to_owned(),
    };
    let page = ByService::new(&url)?.page(provider.service);
    show(
        ui,
        "open this page on any device and log in; it shows an access token and a server:",
        &page,
    )?;
    let entered = sys::read_secret_line("access token: ");
    let entered = entered.map_err(|e| unwrap_io(e).doing("read the token from the terminal"))?;
    let token = match entered.map(String::from_utf8) {
        Some(Ok(token)) => Secret::new(token),
        _ => {
            let cause = "the access token is entered at a terminal";
            return Err(Error::usage(cause)
                .hint("or give it as --authid=TOKEN in a parameters file of mode 0600"));
        }
    };
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if token.is_blank() || !token.reveal().trim().bytes().all(good) {
        return Err(
            Error::usage("that is no access token").hint("copy it as a whole from the page")
        );
    }
    file.set(token_file::AUTHID, token.reveal().trim());
    Ok(Ok(()))
}

/// At the provider, by a token that its page showed, for a refresh token.
fn by_token(
    http: &mut Http,
    provider: &'static Provider,
    options: &Options,
    file: &mut TokenFile,
) -> Result<Done<()>> {
    if provider.by_login_token.is_empty() {
        let cause = format!("{} has no personal login tokens", provider.name);
        return Err(Error::usage(cause).hint("leave --oauth-login-token out"));
    }
    let mut client = oauth::client(options, provider)?;
    if client.id.is_empty() {
        provider.by_login_token.clone_into(&mut client.id);
    }
    let token = options.secret(&o::LOGIN_TOKEN);
    let login = token
        .as_ref()
        .and_then(|token| ByToken::new(provider, token));
    let login = login.ok_or_else(|| {
        Error::usage("--oauth-login-token is no personal login token of this service")
            .hint("make one on the page of the account, under 'Security'")
    })?;
    Ok(login.ask(http, &client, file))
}

/// At the provider, for a refresh token of an own client.
fn by_client(
    http: &mut Http,
    provider: &'static Provider,
    options: &Options,
    file: &mut TokenFile,
    ui: &mut Ui,
) -> Result<Done<()>> {
    let client = oauth::client(options, provider)?;
    if client.url.is_empty() || provider.page.is_empty() && provider.device.is_empty() {
        let cause = format!("{} has no log-in by an own client here", provider.name);
        return Err(Error::usage(cause).hint("leave --oauth-client-id out"));
    }
    if provider.device.is_empty() {
        let port = options.int(&o::LOGIN_PORT).unwrap_or_default();
        let port = u16::try_from(port).map_err(|_| Error::usage("--oauth-port is no port"))?;
        let login = Loopback::new(port)?;
        let page = login.page(&client);
        show(
            ui,
            "open this page in a browser of this machine, within 10 minutes:",
            &page,
        )?;
        return Ok(wait(BROWSER_LIFE, &mut || {
            let asked = login.ask(http, &client, file);
            asked.map(|asked| (asked, BROWSER_PAUSE))
        }));
    }
    let mut login = match Device::new(http, &client) {
        Ok(login) => login,
        Err(fault) => return Ok(Err(fault)),
    };
    let what = format!(
        "open this page on any device and enter the code {}:",
        login.shown
    );
    show(ui, &what, &login.page)?;
    Ok(wait(login.life, &mut || {
        let asked = login.ask(http, &client, file)?;
        Ok((asked, login.pause))
    }))
}

/// What the person has to do, and where. No log has it: who sees the page can take the log-in.
fn show(ui: &mut Ui, what: &str, page: &str) -> Result<()> {
    ui.raw(format!("{what}\n{page}\n").as_bytes())?;
    ui.flush();
    Ok(())
}

/// Asks until it is given; each time it is said how long to wait before the next. A few faults of the line in a row are waited out.
fn wait(life: Duration, ask: &mut dyn FnMut() -> Done<(Asked, Duration)>) -> Done<()> {
    let (begun, mut failures, mut pause) = (Instant::now(), 0, Duration::from_millis(200));
    loop {
        if !sys::sleep_interruptible(pause) {
            return Err(Fault::new(Class::Stopped, "stopped"));
        }
        if begun.elapsed() > life {
            return Err(late());
        }
        match ask() {
            Ok((Asked::Given, _)) => return Ok(()),
            Ok((Asked::NotYet | Asked::TooSoon, then)) => (failures, pause) = (0, then),
            Err(fault) => {
                failures += 1;
                let passes = matches!(
                    fault.class,
                    Class::Transient | Class::Refused | Class::NoHost | Class::Throttled(_)
                );
                if !passes || failures > FAILURES_MAX {
                    return Err(fault);
                }
                pause = match fault.class {
                    Class::Throttled(Some(told)) => told.clamp(SERVICE_PAUSE, life),
                    _ => SERVICE_PAUSE,
                };
            }
        }
    }
}

/// Into the file, or else onto standard output alone: no log has it.
fn keep(file: &TokenFile, provider: &Provider, ui: &mut Ui) -> Result<()> {
    let option = |name: &str, field| format!("--{name}={}\n", file.get(field));
    if !file.path().is_empty() {
        file.save().map_err(|e| file.cannot(&e))?;
        ui.result(&format!("logged in; the log-in is in {}", file.shown()));
        let server = match (provider.hosts, file.get(token_file::SERVER)) {
            ([], _) => String::new(),
            (_, "") => "SERVER/".to_owned(),
            (_, server) => format!("{server}/"),
        };
        ui.note(&format!(
            "use it as {}://{server}FOLDER with --oauth-token-file={}",
            provider.scheme,
            file.shown()
        ));
        return Ok(());
    }
    let lines = match file.get(token_file::AUTHID).is_empty() {
        false => option("authid", token_file::AUTHID),
        true => option("oauth-refresh-token", token_file::REFRESH_TOKEN),
    };
    ui.note("logged in; keep this option secret, in a parameters file of mode 0600, or log in with --oauth-token-file=FILE:");
    ui.raw(lines.as_bytes())
}
