# Each target first installs what it misses (.ci/need says what), then does its work.

SHELL := /bin/bash
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=

BIN := .build/release/chatelaine
RESULTS := .build/results
SWIFT_FILES := Sources Tests Package.swift

# Swift tests at a time: as many as there are threads for them. With more, one that suspends finds them all taken, and waits
# longer than connections may be idle.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH ?= $(shell nproc)

.PHONY: help build demo test test-unit test-e2e fuzz mutants sanitize sanitize-thread sanitize-address soak budget bench install format lint clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the daemon, optimised, with Swift's own libraries inside
	@.ci/need build
	swift build -c release --static-swift-stdlib --product chatelaine

demo: build ## a throw-away daemon with an echo upstream, and curl lines to try
	@.ci/need demo
	@exec $(BIN) demo

test: test-unit test-e2e ## everything: unit tests, then the real daemon with real clients

test-unit: ## the Swift tests
	@.ci/need build
	@mkdir -p $(RESULTS)
	swift test --disable-xctest --xunit-output $(RESULTS)/unit.xml

test-e2e: build ## the daemon as users run it, against a recording upstream
	@.ci/need test
	@mkdir -p $(RESULTS)
	CHATELAINE_BIN=$(abspath $(BIN)) .venv/bin/python -m pytest Tests/EndToEnd --junitxml=$(RESULTS)/e2e.xml $(PYTEST_ARGS)

soak: build ## tokens that live for seconds, reloads and faults, for SOAK_SECONDS (20 minutes)
	@.ci/need test
	SOAK_SECONDS=$${SOAK_SECONDS:-1200} CHATELAINE_BIN=$(abspath $(BIN)) .venv/bin/python -m pytest Tests/EndToEnd/test_soak.py -s

fuzz: ## every parser under libFuzzer and AddressSanitizer, FUZZ_SECONDS each
	@.ci/need build
	Tests/Fuzz/run $(FUZZ_TARGETS)

sanitize: sanitize-thread sanitize-address ## the Swift tests under ThreadSanitizer, then under AddressSanitizer

sanitize-thread:
	@.ci/need build
	SWIFT_BACKTRACE=enable=no swift test --disable-xctest --sanitize thread --scratch-path .build/thread

sanitize-address:
	@.ci/need build
	# No leaks: Swift shifts the pointers of objects that are weakly referenced, so LeakSanitizer takes what they hold for lost.
	SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 swift test --disable-xctest --sanitize address --scratch-path .build/address

mutants: ## plant bugs one by one and see each of them found
	@.ci/need build
	Tests/Mutants/run

budget: build ## allocations and system calls per request, against benchmarks/budget.json
	@.ci/need budget
	CHATELAINE_BIN=$(abspath $(BIN)) benchmarks/budget

bench: build ## beside HAProxy and nginx, see docs/PERFORMANCE.md; BENCH_ARGS=--quick for less than a minute
	@.ci/need bench
	CHATELAINE_BIN=$(abspath $(BIN)) benchmarks/run $(BENCH_ARGS)

install: ## binary, unit and example configuration below DESTDIR and PREFIX
	@test -x $(BIN) || $(MAKE) build
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/chatelaine
	install -D -m 0644 config/chatelaine.jsonc $(DESTDIR)$(SYSCONFDIR)/chatelaine/chatelaine.example.jsonc
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' systemd/chatelaine.service > $(DESTDIR)$(UNITDIR)/chatelaine.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/chatelaine.service

format: ## rewrite the Swift sources in the house format
	swift format --in-place --parallel --recursive $(SWIFT_FILES)

lint: ## format, import directions, and that the check of those bites
	@.ci/need lint
	swift format lint --strict --parallel --recursive $(SWIFT_FILES)
	.ci/layers --self-test
	.ci/layers

clean: ## everything that was built or downloaded here
	rm -rf .build .venv
