# What people run by hand. `.ci/run` runs `make lint` and `make test`, and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help check demo build packages test truth harmless lint lint-rust lint-alerts lint-dashboards lint-kubernetes lint-scripts deploy bench-rules worlds bench-locate bench-footprint bench-canaries bench-fleet fuzz hostile-clients dashboards dashboards-typescript dashboard-pictures page-pictures

# More arguments for the test binaries, such as a part of a test's name.
TEST_ARGS ?=

scripts := .ci/run $(wildcard script/*)
yaml := $(shell find alerts -name '*.yml' -o -name '*.yaml' 2>/dev/null)
dashboards := $(shell find dashboards -name '*.json' 2>/dev/null)

parts := $(or $(MYSQL_CANARY_PARTS),target/parts)
dashboards_python := PYTHONDONTWRITEBYTECODE=1 $(parts)/dashboards-venv/bin/python

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## Before each commit: format, warnings, unit tests, architecture, documents (no root; under two minutes warm)
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked --quiet --lib --test architecture --test docs --test config --test packages

demo: ## Watch three culprits told apart on a private MariaDB; Ctrl-C ends it
	script/install-test-parts mariadb
	cargo run --locked -- demo

build: ## Build the exporter: target/release/mysql-canary-exporter
	MYSQL_CANARY_REVISION=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown) cargo build --locked --release

packages: build ## Make a Debian package and an RPM, and install the first in a fresh Debian tree (root; needs cargo-deb and cargo-generate-rpm)
	cargo deb --locked --no-build --no-strip
	cargo generate-rpm
	script/check-deb "$$(ls -t target/debian/*.deb | head -1)" target/debian-tree

# Most tests wait for timers, not for the processor: many at once.
test: ## Install the test parts, then run every test (root; under twelve minutes on two cores)
	script/install-test-parts
	cargo test --locked --no-fail-fast -- --test-threads=10 $(TEST_ARGS)

truth: ## Run each row of the truth table twenty times (root; about forty minutes)
	script/install-test-parts
	MYSQL_CANARY_TRUTH_RUNS=20 cargo test --locked --test all -- --test-threads=12 truth::

harmless: ## Six exporters among 400 foreign sessions of one account for twenty minutes: nobody else is touched (root)
	script/install-test-parts
	MYSQL_CANARY_HARMLESS_SECONDS=$${MYSQL_CANARY_HARMLESS_SECONDS:-1200} cargo test --locked --test all -- --nocapture harmless::

lint: lint-rust lint-alerts lint-dashboards lint-kubernetes lint-scripts ## Check format, warnings, documentation, rules, dashboards, manifests and scripts

lint-rust:
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet

# What is in alerts/tests/ is promtool's test of rules; any other file holds rules, but for the Alertmanager's example, which
# a test gives to amtool.
lint-alerts: $(yaml)
ifneq ($(yaml),)
	script/install-test-parts lint
	promtool check rules $(filter-out alerts/tests/% %.example.yml,$(yaml))
	printf '%s\n' $(filter alerts/tests/%,$(yaml)) | xargs -n 1 -P 2 promtool test rules
	script/render-deploy --check
endif

dashboards: ## Write the dashboards' JSON anew from dashboards/source
	script/install-test-parts dashboards
	$(dashboards_python) dashboards/source/write.py

# The source's types, the JSON against the source, the JSON against Grafana's types, and that check against broken dashboards.
lint-dashboards: $(dashboards)
	script/install-test-parts dashboards
	$(dashboards_python) -m mypy --strict --cache-dir=target/mypy dashboards/source
	$(dashboards_python) dashboards/source/write.py --check
	$(dashboards_python) dashboards/source/published.py $(dashboards)
	$(dashboards_python) dashboards/source/published_test.py dashboards/mysql-canary-path.json

# What `kubectl apply -k` would apply, against the schemas of Kubernetes and of the Prometheus Operator.
lint-kubernetes:
	script/install-test-parts kubernetes
	PYTHONDONTWRITEBYTECODE=1 $(parts)/kubernetes-venv/bin/python script/check-kubernetes

# For a new release of Grafana: its TypeScript types are a version ahead of the Python ones. Needs Node and npm.
dashboards-typescript: ## Check the dashboards against Grafana's TypeScript types too (needs npm)
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix target/typescript @grafana/schema@13.2.3 typescript@5.9.3
	$(dashboards_python) dashboards/source/typescript.py target/typescript/node_modules/@grafana/schema target/typescript/check $(dashboards)
	target/typescript/node_modules/.bin/tsc --noEmit --strict --skipLibCheck --target es2020 --module es2020 --moduleResolution bundler target/typescript/check/check.ts

dashboard-pictures: ## Draw docs/dashboard-*.png from the real parts (root; about eight minutes)
	script/install-test-parts
	script/install-test-parts pictures
	cargo build --locked
	script/dashboard-pictures

# The pages come from the test that keeps them golden; here a browser looks at them. Needs Node and npm, and a Chromium.
page-pictures: ## Look at the status page in every state with a headless Chromium and axe-core, and draw docs/status-page*.png (needs npm, chromium)
	mkdir -p target/page/states
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix target/page playwright-core@1.65.1 axe-core@4.14.1
	MYSQL_CANARY_PAGES=$(CURDIR)/target/page/states cargo test --locked --quiet --lib -- page::tests::golden_pages
	NODE_PATH=target/page/node_modules node tests/page/look.cjs target/page/states target/page/pictures docs

lint-scripts:
	for file in $(scripts); do \
	  if head -1 "$$file" | grep -q python; then python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$$file"; else bash -n "$$file"; fi; \
	done

deploy: ## Write deploy/ anew from alerts/ and dashboards/
	script/render-deploy

bench-rules: ## Measure the alert rules on 200 targets with two paths each, all of them ill (root; about four minutes)
	script/install-test-parts
	MYSQL_CANARY_SCALE_TARGETS=200 MYSQL_CANARY_SCALE_ILL=200 cargo test --locked --test all -- --nocapture alerting::scale

worlds: ## Ten thousand generated worlds in virtual time against the whole core
	MYSQL_CANARY_WORLDS=10000 cargo test --locked --release --test worlds -- --nocapture

bench-locate: ## Locate thousands of hidden limits in virtual time
	cargo bench --locked --bench locate

# What to compare with, and for how long.
REVISION ?= HEAD
MINUTES ?= 10

bench-footprint: ## Measure memory, scrape time and CPU beside another revision (REVISION=00ced85 MINUTES=10)
	script/install-test-parts mariadb
	script/bench-footprint $(REVISION) $(MINUTES)

bench-canaries: ## Measure memory, processor and the moment of death of 1,000 and 5,000 canaries, plain and under TLS (three minutes)
	cargo bench --locked --bench canaries

bench-fleet: ## Measure 100 targets of two paths in one exporter: logins, memory, tasks, scrapes (three minutes)
	cargo bench --locked --bench fleet

fuzz: ## Driver and guard together with servers that say anything, plain and under TLS (MINUTES=10)
	MYSQL_CANARY_FUZZ_MINUTES=$(MINUTES) cargo test --locked --lib -- --nocapture whatever_changes

hostile-clients: ## Ten thousand HTTP clients of six bad kinds for a minute, beside a scraper (root; two minutes)
	script/install-test-parts mariadb
	cargo build --locked --release
	MYSQL_CANARY_BINARY=$(CURDIR)/target/release/mysql-canary-exporter MYSQL_CANARY_HOSTILE_CLIENTS=10000 MYSQL_CANARY_HOSTILE_SECONDS=60 \
	  cargo test --locked --test all -- --nocapture scrape::hostile
