# Makefile: the commands of README.md, from a fresh machine on.
#
#   make run     install what is missing, build the release, serve with the store
#   make build   the release alone: .build/static/release/brim
#   make test    check the format, install what the tests need, build, run everything
#   make format  format every Swift file in place
#   make test-debug   the unit tests in the debug build, where all checks are on
#   make simulate     play store and server from seeds, on all cores: SECONDS=600 SEED=1
#   make crash        kill real servers, and cut their power, again and again: SECONDS=1800 SEED=1
#   make faults       put known mistakes into a copy of the store: does the simulation find them?
#   make sanitize     the unit tests of what threads share, under the sanitizers
#   make test-epoll     every scenario with a whole server once more, without io_uring
#   make test-clients   other people's clients, against the release; WHOLE=--whole: skip none
#   make memcached-suite   memcached's own tests: SUITE=path of its sources
#   make differential   random commands to Brim and to memcached: COMMANDS=200000 SEED=1
#   make fuzz         look for inputs that break something: SECONDS=60 for each FUZZ_TARGETS
#   make bench   build, compare Brim with the packaged memcached for two minutes, write a page
#   make deb     a package of Debian of the release, in .build/deb
#   make micro   count the instructions of the hot paths; UPDATE=1 accepts the counts of now
#
# Packages are installed only when missing, so a second run does not touch the network.
# ARGS are flags for `make run`, or options for `make bench`: make run ARGS="-m 1g -vv".

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# What the build links, and what the tests run besides: clients, an oracle, tools.
BUILD_PACKAGES := liblmdb-dev liburing-dev pkg-config
MICRO_PACKAGES := $(BUILD_PACKAGES) binutils python3 valgrind
BENCH_PACKAGES := $(BUILD_PACKAGES) memcached
TEST_PACKAGES := $(BUILD_PACKAGES) binutils chromium gcc make memcached libmemcached-tools \
	netcat-openbsd python3 python3-pymemcache python3-pylibmc python3-memcache \
	python3-prometheus-client strace systemd valgrind

# Clients that `make test-clients` tries; some are large, and some come with services. What is newer
# than Debian's, or not there, comes from the Python Package Index, into a folder of its own.
CLIENT_PACKAGES := $(BUILD_PACKAGES) collectd-core default-jdk-headless golang-go \
	golang-github-bradfitz-gomemcache-dev libcache-memcached-fast-perl libcache-memcached-perl \
	libspymemcached-java nginx-light nutcracker php-cli php-memcached python3-django \
	python3-pylibmc python3-pymemcache python3-venv ruby ruby-dalli
NEWEST := .build/clients

# The release links Swift's library statically. Its objects are not those of the tests, so it has
# a folder of its own: sharing one would rebuild everything at each change from one to the other.
# It goes without debug information (-S), which is that of the libraries for the most part; the
# names of functions stay, so that the report of a crash can be read. No name is exported, and the
# library of C++ is linked statically, too (its archive alone lies in a folder that is looked into
# first): what the system's loader looks up by name takes a fifth of a start.
ARCHIVES := $(CURDIR)/.build/archives
STATIC := --configuration release --static-swift-stdlib --scratch-path .build/static -Xlinker -S \
	-Xlinker --no-export-dynamic -Xswiftc -L$(ARCHIVES)
BRIM := .build/static/release/brim
BENCH := .build/static/release/brim-bench

# Every Swift file. The settings stand in .swift-format; two rules are off there: one takes our own
# `forEach`, of what is no sequence, for an array's, and one would drop initialisers that are
# written out on purpose.
SWIFT_FILES := Package.swift Sources Bench Tests

# Tests are told apart by `Target.Suite/test()`. These start servers, or look at clocks while they
# wait. They run after all others, one by one, in two processes of which each has a core: those of
# BESIDE, and the rest. The two take about the same time.
BESIDE := ^LoadTests\.|[./](KernelRing|Crash|Thread|Kill|PowerCut|Memory)Tests/
ALONE := ^ProcessTests\.|$(BESIDE)
BESIDE_LOG := .build/test-beside.log
UNITS := ^(Primitives|Memcache|SegmentLog|Uring|LMDB|Store|Server)Tests\.
SANITIZED := ^(Primitives|SegmentLog|Store|Server)Tests\.
RUN := --skip-build --disable-xctest

# How long `make simulate` plays, and from which seed on. One seed of `make test` is the commit's.
SECONDS ?= 60
SEED ?= 1
# How many commands `make differential` sends.
COMMANDS ?= 200000
export PLAY_SEED := $(shell printf '%d' 0x$$(git rev-parse --short=8 HEAD 2>/dev/null || echo 1))

# What `make fuzz` tries: all of Tests/Fuzzing, and the reader of the settings file. New inputs go
# to a folder of the build; those worth keeping are copied to the corpus by hand.
FUZZ_TARGETS := requests replies records directories worker settings
FUZZ := .build-fuzz
FUZZ_KIND := -sanitize=fuzzer,address
# With the linker of Swift's own toolchain: the system's gold fails on what the fuzzer adds.
FUZZ_LINKER := -use-ld=lld
FUZZ_BUILD := --configuration release --scratch-path $(FUZZ) \
	$(addprefix -Xswiftc ,$(FUZZ_KIND) $(FUZZ_LINKER))
CORPUS := Tests/Fuzzing/corpus

# What `make bench` compares Brim with, how Brim runs there, and where the page goes. A server that
# is started by root is told to drop its privileges.
MEMCACHED ?= memcached
BRIM_FLAGS ?= --store {folder}/store
BENCH_FOLDER := .build/bench
AS_USER := $(if $(filter 0,$(shell id -u)),-u nobody)

.PHONY: run build build-tests test test-debug differential simulate crash faults sanitize fuzz
.PHONY: format
.PHONY: check-format bench deb try-deb try-image micro swift
.PHONY: interpose archives clean test-clients test-epoll client-packages memcached-suite
.PHONY: build-packages bench-packages micro-packages test-packages

run: build
	exec $(BRIM) $(ARGS)

build: swift build-packages archives
	swift build $(STATIC) --product brim

build-tests: swift build-packages
	swift build --configuration release --build-tests

# All runs are made, whatever the first one finds; .ci/run wants the closing lines of all three.
test: check-format test-packages interpose build build-tests
	$(BRIM) -V
	@status=0; set -x; \
	/usr/bin/python3 -B Tests/StoreFaults/faults.py --check || status=$$?; \
	swift test --configuration release $(RUN) --skip '$(ALONE)' || status=$$?; \
	swift test --configuration release $(RUN) --no-parallel --ignore-lock \
		--filter '$(BESIDE)' >$(BESIDE_LOG) 2>&1 & beside=$$!; \
	swift test --configuration release $(RUN) --no-parallel --ignore-lock \
		--filter '$(ALONE)' --skip '$(BESIDE)' || status=$$?; \
	wait $$beside || status=$$?; \
	cat $(BESIDE_LOG); \
	exit $$status

test-debug: swift build-packages interpose
	swift build --build-tests
	swift test $(RUN) --no-parallel --filter '$(UNITS)'

# Once more without io_uring; `make test` runs a few of them so. What does not serve is left out.
test-epoll: test-packages interpose
	swift build --configuration release --product brim
	swift build --configuration release --product lmdb-probe
	/usr/bin/python3 -B Tests/processes/run.py --brim .build/release/brim --engine epoll \
		transcripts clients behaviour scarcity limits statistics_text admin admin_storm metrics \
		lifecycle reload memory faults powercut crash docs examples sign_in administration

test-clients: build client-packages
	/usr/bin/python3 -B Tests/clients/run.py --brim $(BRIM) $(WHOLE)

memcached-suite: build
	/usr/bin/python3 -B Tests/memcached-suite/run.py --brim $(BRIM) --suite $(SUITE)

differential: build test-packages
	DIFFERENTIAL_COMMANDS=$(COMMANDS) DIFFERENTIAL_SEED=$(SEED) \
		/usr/bin/python3 -B Tests/processes/run.py --brim $(BRIM) differential

simulate: swift build-packages
	swift build --configuration release --product store-simulate
	.build/release/store-simulate --seconds $(SECONDS) --seed $(SEED)

crash: swift build-packages interpose
	swift build --configuration release --product brim
	swift build --configuration release --product lmdb-probe
	/usr/bin/python3 -B Tests/processes/run.py --brim .build/release/brim \
		--seconds $(SECONDS) --seed $(SEED) crash powercut

faults: swift build-packages
	/usr/bin/python3 -B Tests/StoreFaults/faults.py --tree .build/faults --seconds $(SECONDS)

# In the release configuration: the debug one is too slow under them to end.
sanitize: swift build-packages
	@status=0; set -x; \
	for kind in thread address; do \
		build=(--configuration release --sanitize=$$kind); \
		build+=(--scratch-path .build-sanitize-$$kind); \
		swift build "$${build[@]}" --build-tests; \
		swift test "$${build[@]}" $(RUN) --no-parallel --filter '$(SANITIZED)' || status=$$?; \
	done; \
	exit $$status

# A finding ends a target, and its input lies in its folder of findings. A worker never gives its
# memory back, so that target runs in processes that are replaced when they have grown.
fuzz: swift build-packages
	BRIM_FUZZ=1 swift build $(FUZZ_BUILD) --product brim-fuzz
	swiftc -O -parse-as-library -package-name brim $(FUZZ_KIND) $(FUZZ_LINKER) \
		Sources/brim/FlatMapping.swift Tests/FuzzMain/settings/SettingsFuzz.swift \
		-o $(FUZZ)/settings-fuzz
	@status=0; for target in $(FUZZ_TARGETS); do \
		run=("$(FUZZ)/release/brim-fuzz" $$target); \
		[[ $$target != settings ]] || run=($(FUZZ)/settings-fuzz); \
		[[ $$target != worker ]] || run+=(-fork=1); \
		mkdir -p $(FUZZ)/found/$$target $(FUZZ)/new/$$target; \
		echo "make: fuzzing $$target"; \
		ASAN_OPTIONS=detect_leaks=0 "$${run[@]}" -max_total_time=$(SECONDS) -max_len=2048 \
			-timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ)/found/$$target/ \
			$(FUZZ)/new/$$target $(CORPUS)/$$target || status=1; \
	done; exit $$status

format: swift
	swift format --in-place --parallel --recursive $(SWIFT_FILES)

check-format: swift
	@swift format lint --strict --parallel --recursive $(SWIFT_FILES) || \
		{ echo "make: these files are not formatted: run \`make format\`" >&2; exit 1; }

deb: build
	mkdir -p .build/deb
	rm -f .build/deb/*.deb
	packaging/deb.sh $(BRIM) .build/deb

try-deb: deb
	packaging/try.sh .build/deb/*.deb

try-image: build
	/usr/bin/python3 -B packaging/try_image.py $(BRIM)

bench: build bench-packages
	swift build $(STATIC) --product brim-bench
	mkdir -p $(BENCH_FOLDER)
	$(BENCH) suite Bench/suites/short.txt --rounds 5 --seconds 1.5 --warmup 0.5 --keys 200000 \
		--start-cpu 0 --cpu 1 --html $(BENCH_FOLDER)/report.html \
		--target brim=127.0.0.1:0 --start "brim=$(BRIM) -l {host} -p {port} -t 1 -m 1024 \
		$(BRIM_FLAGS) $(AS_USER) 2>>$(BENCH_FOLDER)/brim.log" \
		--target memcached=127.0.0.1:0 --start "memcached=$(MEMCACHED) -l {host} -p {port} -U 0 \
		-t 1 -m 1024 $(AS_USER)" $(ARGS)
	$(BENCH) suite Bench/suites/floor.txt --rounds 3 --seconds 1 --warmup 0.3 --keys 200000 \
		--start-cpu 0 --cpu 1 \
		--target floor=127.0.0.1:0 --start "floor=$(BENCH) floor -l {host} -p {port}" \
		--target brim=127.0.0.1:0 --start "brim=$(BRIM) -l {host} -p {port} -t 1 -m 1024 \
		$(BRIM_FLAGS) $(AS_USER) 2>>$(BENCH_FOLDER)/brim.log"

# Built as the tests are, so that both count the same.
micro: swift micro-packages
	swift build --configuration release --product brim-micro
	python3 -B Bench/instructions.py .build/release/brim-micro

# Libraries that tests load before the server's own, where there are any.
interpose:
	if [ -f Tests/interpose/Makefile ]; then $(MAKE) -C Tests/interpose; fi

swift:
	@command -v swift >/dev/null || \
		{ echo "make: Swift 6.3 is needed: https://www.swift.org/install/linux/" >&2; exit 1; }

# Where there is no such archive, the shared library is linked.
archives: swift build-packages
	@mkdir -p $(ARCHIVES)
	@archive=$$(clang -print-file-name=libstdc++.a || true); \
	if [[ -f $$archive ]]; then ln -sf "$$(realpath "$$archive")" $(ARCHIVES)/libstdc++.a; fi

build-packages:
	@$(call install,$(BUILD_PACKAGES))

bench-packages:
	@$(call install,$(BENCH_PACKAGES))

micro-packages:
	@$(call install,$(MICRO_PACKAGES))

test-packages:
	@$(call install,$(TEST_PACKAGES))

# One that cannot be had must not keep the others away.
client-packages:
	@$(call install,$(CLIENT_PACKAGES)) || { \
		echo "make: not all of these: one by one"; \
		export UPDATE=0; \
		for one in $(CLIENT_PACKAGES); do \
			( $(call install,$$one) ) >/dev/null 2>&1 || echo "make: go on without $$one"; \
		done; }
	@$(MAKE) --no-print-directory $(NEWEST)/installed || echo "make: go on without them"

$(NEWEST)/installed: Tests/clients/newest.txt
	/usr/bin/python3 -m venv $(NEWEST)
	$(NEWEST)/bin/pip install --quiet --timeout 20 --retries 1 --requirement $<
	touch $@

clean:
	rm -rf .build .build-sanitize-* .build-fuzz

# Installs the packages of $(1) that are not there, by name, through apt-get. UPDATE=0: with the
# lists of packages that are there.
define install
missing=(); \
if ! command -v dpkg-query >/dev/null; then \
	echo "make: not a Debian system; needed are the counterparts of: $(1)" >&2; exit 0; \
fi; \
for package in $(1); do \
	state=$$(dpkg-query -W -f='$${Status}' "$$package" 2>/dev/null || true); \
	[[ $$state == *" installed" ]] || missing+=("$$package"); \
done; \
if (( $${#missing[@]} == 0 )); then exit 0; fi; \
echo "make: installing $${missing[*]}"; \
root=(); if (( $$(id -u) != 0 )); then root=(sudo); fi; \
export DEBIAN_FRONTEND=noninteractive; \
apt=("$${root[@]}" apt-get -o Acquire::http::Timeout=30 -o Acquire::Retries=1); \
install=("$${apt[@]}" install --yes --no-install-recommends "$${missing[@]}"); \
"$${install[@]}" || { [[ $${UPDATE:-1} = 1 ]] && "$${apt[@]}" update && "$${install[@]}"; }
endef
