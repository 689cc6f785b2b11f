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
    Topic {
        name: "examples",
        text: EXAMPLES,
    },
];

const FILTERS: &str = r"
--include=RULE and --exclude=RULE are tried in the order given; the first rule
that matches the whole path decides. What no rule matches is taken, unless all
rules are includes.

  /data/tmp/        exactly this; the path of a folder ends in /
  *.tmp  /d/?.log   * is any text, ? one character; both also match /
  [.*\.(iso|img)]   a regular expression between brackets, as .NET reads it but
                    without look-around, back references, \b and \p
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

const EXAMPLES: &str = r#"
duplet backup /mnt/usb/backup /home /etc --exclude=*.tmp
duplet backup s3://bucket/box /data --passphrase-file=/etc/duplet.pass
duplet list s3://bucket/box
duplet restore s3://bucket/box '/data/notes/*' --restore-path=/tmp/r
duplet verify s3://bucket/box

A cron line, every night at 2:15; exit codes 0 and 1 are good. The file holds
options (--passphrase=...), sources (/data) and the target, one a line:
  15 2 * * * duplet backup - --parameters-file=/etc/duplet.conf -q

OpenWrt: put the program into /usr/bin, temporary files on a disk (there is
little memory behind /tmp), then
  # /etc/crontabs/root
  15 2 * * * /usr/bin/duplet backup - --parameters-file=/etc/duplet.conf -q
  # /etc/duplet.conf (chmod 600)
  --target=s3://bucket/router?s3-server-name=s3.example.org
  --auth-username=KEYID
  --auth-password=SECRETKEY
  --passphrase=A LONG SENTENCE
  --tempdir=/mnt/disk/tmp
  --cache-dir=/mnt/disk/cache
  --source=/etc/
  --source=/mnt/disk/data/
  # /etc/init.d/duplet, for: /etc/init.d/duplet enable; backs up at shutdown
  #!/bin/sh /etc/rc.common
  STOP=10
  stop() { /usr/bin/duplet backup - --parameters-file=/etc/duplet.conf -q; }
and keep both over an upgrade: echo /etc/duplet.conf >>/etc/sysupgrade.conf

systemd, then: systemctl enable --now duplet.timer
  # /etc/systemd/system/duplet.service
  [Unit]
  Description=Backup
  Wants=network-online.target
  After=network-online.target
  [Service]
  Type=oneshot
  ExecStart=/usr/local/bin/duplet backup - --parameters-file=/etc/duplet.conf
  SuccessExitStatus=1
  Nice=10
  IOSchedulingClass=idle
  MemoryMax=64M
  CacheDirectory=duplet
  Environment=DUPLET_CACHE=/var/cache/duplet
  ProtectSystem=strict
  PrivateTmp=yes
  # /etc/systemd/system/duplet.timer
  [Timer]
  OnCalendar=daily
  RandomizedDelaySec=1h
  Persistent=true
  [Install]
  WantedBy=timers.target

A container that holds nothing else, from the static program (make static):
  # Containerfile
  FROM scratch
  COPY duplet /duplet
  ENV TMPDIR=/tmp DUPLET_CACHE=/tmp/cache
  VOLUME /tmp
  ENTRYPOINT ["/duplet"]
  # podman build -t duplet . && podman run --rm -v /data:/data:ro duplet \
  #   backup s3://bucket/box /data

Manual page and completions: duplet help man|bash|zsh|fish
"#;
