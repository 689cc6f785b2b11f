//! Completions for shells (`duplet help bash`, `zsh`, `fish`), from the tables that make the help.

use crate::base::opt::{Kind, Opt};
use crate::cli::options;
use crate::cli::sources::applies;
use crate::cli::{COMMANDS, Command, cmd_remote, help_words};

/// The options a command takes, each name once; `common`: those of all commands, or else its own.
fn taken(command: &Command, common: bool) -> Vec<&'static Opt> {
    let mut found: Vec<&'static Opt> = Vec::new();
    for opt in options::real() {
        let fits = opt.commands.is_empty() == common && applies(opt, command);
        let real = !matches!(opt.kind, Kind::Ignored | Kind::Refused(_));
        if fits && real && !found.iter().any(|o| o.name == opt.name) {
            found.push(opt);
        }
    }
    found
}

/// All options that take one of some words, each name once.
fn choices() -> Vec<(&'static str, &'static [&'static str])> {
    let mut found: Vec<(&'static str, &'static [&'static str])> = Vec::new();
    for opt in options::real() {
        if let Kind::Choice(words) = opt.kind
            && !found.iter().any(|f| f.0 == opt.name)
        {
            found.push((opt.name, words));
        }
    }
    found
}

/// What a command may be called, as far as it is worth completing: not the old ways to ask for help.
fn names_of(command: &Command) -> impl Iterator<Item = &'static str> {
    let aliases = match command.name {
        "help" => &[],
        _ => command.aliases,
    };
    std::iter::once(command.name).chain(aliases.iter().copied())
}

fn names() -> String {
    let names: Vec<&str> = COMMANDS.iter().flat_map(names_of).collect();
    names.join(" ")
}

/// Commands whose next word is one of a few, and these words.
fn next_words() -> [(&'static str, String); 2] {
    [
        ("help", help_words::words().join(" ")),
        ("remote", cmd_remote::actions().join(" ")),
    ]
}

pub(super) fn bash() -> Vec<String> {
    let dashed = |rows: Vec<&'static Opt>| {
        let names: Vec<String> = rows
            .iter()
            .map(|o| match o.kind {
                Kind::Flag => format!("--{}", o.name),
                _ => format!("--{}=", o.name),
            })
            .collect();
        names.join(" ")
    };
    let mut out: Vec<String> = [
        "# bash completion for duplet",
        "_duplet() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} name='' options=''",
        "    COMPREPLY=()",
        "    if [[ $cur == '=' ]]; then",
        "        name=${COMP_WORDS[COMP_CWORD - 1]} cur=''",
        "    elif ((COMP_CWORD > 2)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == '=' ]]; then",
        "        name=${COMP_WORDS[COMP_CWORD - 2]}",
        "    fi",
        "    case $name in",
    ]
    .map(str::to_owned)
    .to_vec();
    for (name, words) in choices() {
        let words = words.join(" ");
        out.push(format!("    --{name}) options='{words}' ;;"));
    }
    out.push("    --*) return ;;".to_owned());
    out.push("    esac".to_owned());
    out.push("    if [[ -z $name ]]; then".to_owned());
    out.push("        if ((COMP_CWORD == 1)); then".to_owned());
    out.push(format!("            options='{}'", names()));
    for (command, words) in next_words() {
        out.push(format!(
            "        elif ((COMP_CWORD == 2)) && [[ ${{COMP_WORDS[1]}} == {command} ]]; then"
        ));
        out.push(format!("            options='{words}'"));
    }
    out.push("        elif [[ $cur == -* ]]; then".to_owned());
    if let Some(any) = COMMANDS.first() {
        out.push(format!(
            "            options='{}'",
            dashed(taken(any, true))
        ));
    }
    out.push("            case ${COMP_WORDS[1]} in".to_owned());
    for command in COMMANDS {
        let own = dashed(taken(command, false));
        if !own.is_empty() {
            let names = [&[command.name], command.aliases].concat().join("|");
            out.push(format!("            {names}) options+=' {own}' ;;"));
        }
    }
    out.extend(
        [
            "            esac",
            "        fi",
            "    fi",
            "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))",
            "    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace",
            "}",
            "complete -o default -F _duplet duplet",
        ]
        .map(str::to_owned),
    );
    out
}

pub(super) fn zsh() -> Vec<String> {
    let mut out = vec![
        "#compdef duplet".to_owned(),
        "_duplet() {".to_owned(),
        "  local -a commands common own".to_owned(),
        "  commands=(".to_owned(),
    ];
    for command in COMMANDS {
        for name in names_of(command) {
            let text = quoted(&format!("{name}:{}", command.summary));
            out.push(format!("    {text}"));
        }
    }
    out.push("  )".to_owned());
    out.push("  common=(".to_owned());
    if let Some(any) = COMMANDS.first() {
        out.extend(taken(any, true).iter().map(|o| zsh_option(o)));
    }
    out.push("  )".to_owned());
    out.push("  if ((CURRENT == 2)); then".to_owned());
    out.push("    _describe command commands".to_owned());
    out.push("    return".to_owned());
    for (command, words) in next_words() {
        out.push(format!(
            "  elif ((CURRENT == 3)) && [[ ${{words[2]}} == {command} ]]; then"
        ));
        out.push(format!("    compadd -- {words}"));
        out.push("    return".to_owned());
    }
    out.push("  fi".to_owned());
    out.push("  case ${words[2]} in".to_owned());
    for command in COMMANDS {
        let own = taken(command, false);
        if !own.is_empty() {
            let names = [&[command.name], command.aliases].concat().join("|");
            out.push(format!("  {names}) own=("));
            out.extend(own.iter().map(|o| zsh_option(o)));
            out.push("  ) ;;".to_owned());
        }
    }
    out.push("  esac".to_owned());
    out.push("  _arguments $common $own '*:file:_files'".to_owned());
    out.push("}".to_owned());
    out.push("_duplet \"$@\"".to_owned());
    out
}

fn zsh_option(opt: &Opt) -> String {
    let help: String = opt
        .help
        .trim_end_matches('.')
        .chars()
        .flat_map(|c| {
            ['\\'; 1]
                .into_iter()
                .take(usize::from("[]:\\".contains(c)))
                .chain([c])
        })
        .collect();
    let star = if opt.kind == Kind::Many { "*" } else { "" };
    let value = match opt.kind {
        Kind::Flag => return format!("    {}", quoted(&format!("--{}[{help}]", opt.name))),
        Kind::Choice(words) => format!("value:({})", words.join(" ")),
        Kind::Text | Kind::Path => "value:_files".to_owned(),
        _ => "value: ".to_owned(),
    };
    format!(
        "    {}",
        quoted(&format!("{star}--{}=[{help}]:{value}", opt.name))
    )
}

pub(super) fn fish() -> Vec<String> {
    let mut out: Vec<String> = [
        "# The word begins with a dash and one of these commands, if any, is given.",
        "function __duplet_option",
        "    string match -q -- '-*' (commandline -ct)",
        "    and begin",
        "        test -z \"$argv\"",
        "        or __fish_seen_subcommand_from $argv",
        "    end",
        "end",
    ]
    .map(str::to_owned)
    .to_vec();
    let no_files = |when: &str| format!("complete -c duplet -n {} -f", quoted(when));
    out.push(no_files(&format!(
        "not __fish_seen_subcommand_from {}",
        names()
    )));
    let mut closed: Vec<&str> = Vec::new();
    for opt in options::real() {
        let open = matches!(
            opt.kind,
            Kind::Flag | Kind::Text | Kind::Path | Kind::Ignored
        );
        if !open && !closed.contains(&opt.name) {
            closed.push(opt.name);
        }
    }
    out.push(no_files(&format!(
        "string match -rq -- \"^--({})=\" (commandline -ct)",
        closed.join("|")
    )));
    for command in COMMANDS {
        for name in names_of(command) {
            out.push(format!(
                "complete -c duplet -n __fish_use_subcommand -a {name} -d {}",
                quoted(command.summary)
            ));
        }
    }
    for (command, words) in next_words() {
        out.push(format!(
            "complete -c duplet -n 'test (count (commandline -opc)) = 2; and __fish_seen_subcommand_from {command}' -f -a '{words}'"
        ));
    }
    if let Some(any) = COMMANDS.first() {
        out.extend(taken(any, true).iter().map(|o| fish_option(o, "")));
    }
    for command in COMMANDS {
        let names = [&[command.name], command.aliases].concat().join(" ");
        out.extend(taken(command, false).iter().map(|o| fish_option(o, &names)));
    }
    out
}

/// A value follows only after `=`, which fish puts there for no option declared as such: the whole word is offered.
fn fish_option(opt: &Opt, commands: &str) -> String {
    let words = match opt.kind {
        Kind::Choice(words) => {
            let words: Vec<String> = words
                .iter()
                .map(|w| format!("--{}={w}", opt.name))
                .collect();
            words.join(" ")
        }
        Kind::Flag => format!("--{}", opt.name),
        _ => format!("--{}=", opt.name),
    };
    format!(
        "complete -c duplet -n '{}' -a '{words}' -d {}",
        format!("__duplet_option {commands}").trim_end(),
        quoted(opt.help.trim_end_matches('.'))
    )
}

/// One word for any of the shells: between quotes, a quote inside left out of them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
