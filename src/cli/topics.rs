//! The texts of `duplet help TOPIC` that no table can say. Lines of at most 79 characters.

pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

pub(super) static TOPICS: &[Topic] = &[
    Topic {
        name: "filters",
        text: FILTERS,
    },
    Topic {
        name: "sizes",
        text: SIZES,
    },
    Topic {
        name: "restore",
        text: RESTORE,
    },
    Topic {
        name: "secrets",
        text: SECRETS,
    },
    Topic {
        name: "exit-codes",
        text: EXIT_CODES,
    },
];

const FILTERS: &str = r"
--include=RULE and --exclude=RULE are tried in the order given; the first rule
that matches the whole path decides. What no rule matches is taken, unless all
rules are includes.

  /data/tmp/        exactly this; the path of a folder ends in /
  *.tmp  /d/?.log   * is any text, ? one character; both also match /
  [.*\.(iso|img)]   a regular expression between brackets
  {Temp}            a built-in group: SystemFiles, OperatingSystem, CacheFiles,
                    TemporaryFiles, Applications, DefaultExcludes
  @/d/[x]           literally what follows the @

An excluded folder is not entered: nothing below it can be included again.
{DefaultExcludes} leaves out /etc/ and /var/. %NAME% in a rule is replaced by
that environment variable. Case matters, except for paths of Windows.
";

const SIZES: &str = r"
Sizes   500kb 50mb 2gb: powers of 1024, any case. Without a suffix the option's
        own unit is meant: MiB for volumes and files, KiB for --blocksize and
        --throttle-upload.
Times   30s 10m 12h 7D 4W 6M 1Y and sums such as 1D12h; case matters. A plain
        number is seconds.
Dates   2026-03-01, 2026-03-01T12:00, 20260301T120000Z, now; local time unless
        they end in Z. --time=3D is three days ago.
Flags   --name, or --name=true|false (1|0, on|off, yes|no).
";

const RESTORE: &str = r"
duplet restore <url>                     everything, to its original place
duplet restore <url> notes.txt           every file of that name
duplet restore <url> '/home/a/doc/*' --restore-path=/r
                                         that folder's contents below /r
duplet restore <url> --time=2026-03-01 --overwrite
                                         as it was then, replacing what differs

A name without / means a name in any folder; * and ? match any text; a path
that ends in / means all below it. --include and --exclude narrow it further.
The newest version with a match is taken unless --version or --time says
otherwise. Files that differ are not replaced: the restored one is written
beside them under a name with its date. With --restore-path the folders that
all restored entries share are dropped.
";

const SECRETS: &str = r"
The passphrase is taken from the first of
  passphrase= in the URL, or --passphrase in the parameters file
  --passphrase=TEXT            removed from the process list at once
  --passphrase-file=FILE       first line
  --passphrase-command=CMD     first line of the output of /bin/sh -c CMD
  PASSPHRASE                   environment
  --force-passphrase-from-stdin   one line
  a prompt at the terminal, twice for a new backup
and is looked for only when the backup turns out to be encrypted, or is new.

Credentials of the destination: its own options, then user:password@ in the
URL, then --auth-username and --auth-password, then AUTH_USERNAME and
AUTH_PASSWORD. No secret appears in any output, log file or cache.
";

const EXIT_CODES: &str = r#"
  0  done
  1  backup: nothing changed, nothing uploaded
  2  done, with warnings; a source file that cannot be read is one
  3  done, with errors: a file not restored, a damaged volume found
 50  stopped on request; what was done so far is safe
100  failed: no destination, wrong passphrase, missing volumes, disk full
200  mistake on the command line

With --json the object on standard output says the same in ExitCode and Code;
Code is ok, nothing-new, warnings, errors, partial, or for a failure its kind:
usage, credentials, passphrase, missing, busy, tls, no-space, local, damaged,
unsupported, interrupted, bug.
"#;
