# duplet: make help

CARGO   ?= cargo
PREFIX  ?= /usr/local
DESTDIR ?=
TARGET  := $(or $(CARGO_TARGET_DIR),target)

.PHONY: all demo test check bench fuzz peer readme install help

all:
	$(CARGO) build --release --locked

# A real backup and restore of src/ in a scratch folder.
demo: all
	.ci/demo $(TARGET)/release/duplet

# The help of all options, into README.md.
readme:
	$(CARGO) build --locked
	.ci/readme $(TARGET)/debug/duplet

test:
	.ci/prepare
	$(CARGO) test --locked

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

# INPUTS=N: for each reader. TARGETS=zip,aes: only these. SEED=N: the same inputs again.
fuzz:
	INPUTS="$(INPUTS)" TARGETS="$(TARGETS)" SEED="$(SEED)" \
	$(CARGO) bench --locked --profile fuzz --features fuzz --bench fuzz

peer:
	.ci/prepare
	$(CARGO) test --locked --test outside --test golden

install: all
	install -D -m 755 $(TARGET)/release/duplet $(DESTDIR)$(PREFIX)/bin/duplet

help:
	@echo 'make              build target/release/duplet'
	@echo 'make demo         back up and restore a folder, to see it work'
	@echo 'make test         run all tests (installs the tools they need, if it may)'
	@echo 'make check        format, lints, layers, list of crates'
	@echo 'make bench        time, memory and sizes; DIR=FOLDER, FILES=1000,10000,100000,1000000; S3: VOLUMES=8, TLS=1'
	@echo 'make fuzz         random and mutated input for every reader; INPUTS=1000000, SEED=N, TARGETS=zip,aes'
	@echo 'make peer         what duplet wrote is opened by other programs, what Duplicati wrote by duplet'
	@echo 'make install      copy the program to $$PREFIX/bin (default /usr/local); DESTDIR is respected'
