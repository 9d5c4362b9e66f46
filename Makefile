# The two commands that matter: `make demo` and `make test`. `make help` lists the rest.

# Outside the clone, so that a fresh clone builds on what the last one left; right when it is empty, too.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/ebbtide/target
CARGO ?= cargo
DEMO_DATA ?= demo-data
LISTEN ?= 127.0.0.1:8080
# Data sets with the answers they must give; the test run says so where they are absent.
CONFORMANCE ?= ../shared/conformance

EBBTIDE_TEST_BIN = $(CARGO_TARGET_DIR)/debug/ebbtide
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)
RUN_TESTS = $(if $(NEXTEST),$(CARGO) nextest run --no-fail-fast,$(CARGO) test --no-fail-fast)

.PHONY: help demo build test test-fast lint deny conformance openapi web web-check web-browser tools fmt

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

build: ## The binary, optimised
	$(CARGO) build --release --locked -p ebbtide-cli
	@echo "built $(CARGO_TARGET_DIR)/release/ebbtide"

demo: build ## Build, load generated (synthetic) data, serve; prints the URL and tokens
	$(CARGO_TARGET_DIR)/release/ebbtide demo --data $(DEMO_DATA) --listen $(LISTEN)

test: lint deny ## Everything: formatting, lints, licences, tests, conformance, openapi, the dashboard
	$(RUN_TESTS) --locked --workspace
	$(MAKE) --no-print-directory conformance openapi web-browser

test-fast: ## The tests alone, with fewer random cases
	EBBTIDE_TEST_CASES=quick $(RUN_TESTS) --locked --workspace

# One run over all targets, so that the dependencies are checked once. Each crate and test says itself what
# its tests may do that other code may not (see clippy.toml).
lint: fmt-check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all --check

fmt: ## Format the code
	$(CARGO) fmt --all

deny: ## Licences, sources and (with the network) advisories of the dependencies
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --log-level error check licenses bans sources && \
		{ $(CARGO) deny --log-level error check advisories || \
			{ ls -d "$${CARGO_HOME:-$$HOME/.cargo}"/advisory-dbs/*/crates >/dev/null 2>&1 && exit 1; \
			echo "advisories NOT checked: their database could not be fetched"; }; }; \
	else echo "licences NOT checked: cargo-deny is missing (make tools installs it)"; fi

conformance: ## The data sets and query cases with known answers, against the binary
	$(CARGO) test --quiet --locked --workspace --no-run # the tests' own features, so nothing is built anew
	@if [ ! -d "$(CONFORMANCE)" ]; then echo "conformance SKIPPED: $(CONFORMANCE) is absent"; \
	elif ! command -v python3 >/dev/null; then echo "conformance SKIPPED: python3 is missing"; \
	else ./tests/conformance.sh "$(CONFORMANCE)" "$(EBBTIDE_TEST_BIN)"; fi

openapi: ## What the server answers against its own OpenAPI document, by schemathesis
	$(CARGO) test --quiet --locked --workspace --no-run
	./tests/openapi.sh "$(EBBTIDE_TEST_BIN)"

web: ## Build the dashboard and the scripts for other sites' pages, into the crate that embeds them (needs Node)
	cd web && npm ci --no-audit --no-fund && npm run check && npm run build
	node web/dashboard/scripts/embed.mjs

web-check: ## Types, lints, unit tests and sizes of all that is in web/, and that what is embedded is what it builds to
	@if ! command -v npm >/dev/null; then echo "web/ NOT checked: Node is missing"; \
	elif ! (cd web && npm ci --silent --no-audit --no-fund); then \
		rm -rf web/node_modules; echo "web/ NOT checked: its packages could not be installed"; \
	else cd web && npm run check && npm run build && node dashboard/scripts/embed.mjs --check; fi

web-browser: web-check ## The dashboard, embedded reports and the tracker in a browser, with the demo's data (needs Node and Chromium)
	@if [ ! -d web/node_modules ] || ! command -v chromium >/dev/null; then \
		echo "the dashboard NOT tried in a browser: its packages or Chromium are missing"; \
	else ./web/dashboard/tests/browser.sh "$(EBBTIDE_TEST_BIN)"; fi

tools: ## Install what the test run can use: cargo-nextest and cargo-deny
	$(CARGO) install --locked cargo-nextest cargo-deny
