# duplet: make help

CARGO   ?= cargo
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   := $(or $(CARGO_TARGET_DIR),target)
SHARE    = $(DESTDIR)$(PREFIX)/share
PROGRAM ?= $(BUILD)/release/duplet

.PHONY: all demo static cross portable sizes image test check bench bench-peers bench-year bench-delete bench-locator bench-overlap bench-small bench-growth fuzz peer manual install dist deb help

all:
	$(CARGO) build --release --locked

# A real backup and restore of src/ in a scratch folder.
demo: all
	.ci/demo $(BUILD)/release/duplet

# What the program prints, into README.md and src/manual/: the help of all options, and sessions.
manual:
	$(CARGO) build --locked
	.ci/manual $(BUILD)/debug/duplet
	MANUAL_WRITE=1 $(CARGO) test --locked --test readme sessions

# FEATURES=dest-file,dest-s3: only these destinations.
static:
	FEATURES="$(FEATURES)" .ci/static

# TARGET=aarch64, armv7, mipsel, mips, riscv64, i686 or x86_64. FEATURES as above.
cross:
	FEATURES="$(FEATURES)" .ci/cross $(or $(TARGET),x86_64)

# TARGET='static mips': only these.
portable:
	.ci/portable $(TARGET)

# The table of sizes in src/manual/building.md; TARGET='static mips': only these.
sizes:
	.ci/sizes $(TARGET)

# NAME=duplet: of the image.
image:
	.ci/image $(NAME)

# AT_ONCE=1: one test program after the other.
test:
	.ci/prepare
	AT_ONCE="$(AT_ONCE)" CARGO="$(CARGO)" .ci/test

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(CARGO) test --locked --test layers
	.ci/check-dependencies

# DIR=FOLDER: a tree of your own instead. FILES=1000,10000: numbers of files.
bench: all
	DIR="$(DIR)" FILES="$(FILES)" $(CARGO) bench --locked --bench bench
	.ci/prepare.d/s3
	VOLUMES="$(VOLUMES)" TLS="$(TLS)" $(CARGO) bench --locked --bench bench_s3

# V1=FOLDER V2=FOLDER: two versions of a tree of your own. LIMIT=32: one backup within that many MiB of memory.
# TREES=small,images,photos: trees made here. PROGRAMS=duplet,restic: only these. Other programs at their newest: .ci/peers
bench-peers: all
	DUPLET="$(PROGRAM)" LIMIT="$(LIMIT)" .ci/bench-peers $(V1) $(V2)

# Old versions that go: DAYS=400 days of retention; FILES=1000000 files of BLOCKS=8 blocks in VERSIONS=10 versions.
# PROGRAMS=duplet,restic,borg: only these.
RETENTION = DUPLET="$(PROGRAM)" DAYS="$(DAYS)" FILES="$(FILES)" BLOCKS="$(BLOCKS)" VERSIONS="$(VERSIONS)" OLDER="$(OLDER)" PROGRAMS="$(PROGRAMS)" .ci/bench-retention

bench-year: all
	$(RETENTION) year

bench-delete: all
	$(RETENTION) delete

# SIZES=1,100,1000: gigabytes that the backup seems to hold.
bench-locator: all
	DUPLET="$(PROGRAM)" .ci/bench-locator $(SIZES)

# RATES=50,10: megabits a second of the line. TO=s3,webdav,b2,sftp. MB=256, NOISE=0.5 (the share of random bytes), LEVEL=3.
# RUN=qemu-x86_64-static PROGRAM=target/static/x86_64-unknown-linux-gnu/release/duplet: a slow processor.
bench-overlap: all
	DUPLET="$(PROGRAM)" MB="$(MB)" LEVEL="$(LEVEL)" .ci/bench-overlap $(RATES)

# TARGET='static mips': only these. DIR=FOLDER: a tree of your own. TURNS=3. QEMU=FOLDER: the one that takes plugins (qemu-user).
bench-small:
	DIR="$(DIR)" TURNS="$(TURNS)" .ci/bench-small $(TARGET)

# FILES=10000,100000,1000000 and BLOCKS=100000,1000000,10000000: how many; 0: none.
bench-growth: all
	DUPLET="$(PROGRAM)" FILES="$(FILES)" BLOCKS="$(BLOCKS)" .ci/bench-growth

# INPUTS=N: for each reader. TARGETS=zip,aes: only these. SEED=N: the same inputs again.
fuzz:
	INPUTS="$(INPUTS)" TARGETS="$(TARGETS)" SEED="$(SEED)" \
	$(CARGO) bench --locked --profile fuzz --features fuzz --bench fuzz

peer:
	.ci/prepare
	$(CARGO) test --locked --test outside --test golden

# PROGRAM=FILE: another build, such as target/static/x86_64-unknown-linux-gnu/release/duplet. HELP=FILE: where that does not run here,
# one that prints the same help. What make built before is installed as it is: root need not have cargo.
HELP  = $(PROGRAM)
UNITS = $(DESTDIR)$(PREFIX)/lib/systemd/system

install: $(if $(wildcard $(PROGRAM)),,all)
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/duplet
	install -d $(SHARE)/man/man1 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(HELP) help man >$(SHARE)/man/man1/duplet.1
	$(HELP) help bash >$(SHARE)/bash-completion/completions/duplet
	$(HELP) help zsh >$(SHARE)/zsh/site-functions/_duplet
	$(HELP) help fish >$(SHARE)/fish/vendor_completions.d/duplet.fish
	install -d $(UNITS)
	for unit in duplet.service duplet.timer duplet-failed.service; do \
	    sed 's|/usr/local/bin/|$(PREFIX)/bin/|' src/packages/systemd/$$unit >$(UNITS)/$$unit || exit 1; done

# A program that was named; else the scripts build what they need.
GIVEN = $(if $(filter file,$(origin PROGRAM)),,$(PROGRAM))

# TARGET='static mips': only these. PROGRAM=FILE TARGET=NAME: a program that is there. FEATURES as above.
dist:
	PROGRAM="$(GIVEN)" FEATURES="$(FEATURES)" .ci/dist $(TARGET)

# TARGET=aarch64: for another processor. PROGRAM, FEATURES as above.
deb:
	PROGRAM="$(GIVEN)" FEATURES="$(FEATURES)" .ci/deb $(TARGET)

help:
	@echo 'make              build target/release/duplet'
	@echo 'make demo         back up and restore a folder, to see it work'
	@echo 'make static       build target/static/HOST/release/duplet: needs no library, no file, runs in an empty container'
	@echo 'make cross        the same, smaller, for TARGET=x86_64, aarch64, armv7, mipsel, mips, riscv64 or i686 (musl)'
	@echo 'make portable     build and test static programs, other processors emulated; TARGET="static mips"'
	@echo 'make sizes        bytes of every static program, and which crates take them; TARGET="static mips"'
	@echo 'make image        a container image with nothing but the static program, by podman, docker or buildah; NAME=duplet'
	@echo 'make test         run all tests (installs the tools they need, if it may)'
	@echo 'make check        format, lints, layers, list of crates'
	@echo 'make bench-peers  the same tree by other backup programs, too; V1=FOLDER V2=FOLDER, TREES=small, LIMIT=32 (MiB of memory)'
	@echo 'make bench-year   400 daily runs with old versions deleted, each tenth checked, beside restic and borg; DAYS=40'
	@echo 'make bench-delete what delete, compact, purge and repair cost; FILES=100000 of BLOCKS=8 KiB, VERSIONS=10'
	@echo 'make bench-locator what one file costs, however large the backup; SIZES=1,100,1000 (GB)'
	@echo 'make bench-overlap whether a slow line waits for the processor; RATES=50,10 (Mbit/s), TO=s3,webdav,b2,sftp, MB=256'
	@echo 'make bench-small  other processors, emulated, and this one without AES and SHA: instructions a byte; TARGET="static mips"'
	@echo 'make bench-growth time and memory at 10,000 to a million files, 100,000 to ten million blocks; FILES=, BLOCKS='
	@echo 'make bench        time, memory and sizes; DIR=FOLDER, FILES=1000,10000,100000,1000000; S3: VOLUMES=8, TLS=1'
	@echo 'make fuzz         random and mutated input for every reader; INPUTS=1000000, SEED=N, TARGETS=zip,aes'
	@echo 'make peer         what duplet wrote is opened by other programs, what Duplicati wrote by duplet'
	@echo 'make manual       what the program prints into README.md and src/manual/'
	@echo 'make install      program, manual page, completions, systemd units to $$PREFIX (default /usr/local); DESTDIR, PROGRAM=FILE'
	@echo 'make deb          target/dist/duplet_VERSION_amd64.deb; TARGET=aarch64, PROGRAM=FILE'
	@echo 'make dist         target/dist/: a tarball for each processor, SHA256SUMS; TARGET="static mips", PROGRAM=FILE'
