# The one front door. `make help` lists the verbs; each installs what it needs first.
SHELL := /bin/bash
OPENVINO := build/third_party/openvino-2026.4.0/openvino
CONFIGURE := cmake -G Ninja -S .
export PORT := $(or $(PORT),8080)
export DATA_DIR := $(or $(DATA_DIR),./data)
export CLASSIFIER_RIG := $(or $(CLASSIFIER_RIG),$(wildcard ../shared/rig))

.PHONY: help deps test-deps build run test test-deep e2e bench coverage doctor fmt lint clean

help: ## list the verbs
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

deps: ## install what building needs, and fetch the inference library
	@tools/install-deps build
	@tools/fetch-openvino

test-deps: deps ## install what testing needs, Python packages into build/venv
	@tools/install-deps test
	@tools/make-venv

build: deps ## build the release programs into build/bin
	@$(CONFIGURE) -B build -DCMAKE_BUILD_TYPE=Release -DDIC_TESTS=OFF -DOPENVINO_DIR="$(CURDIR)/$(OPENVINO)" >build/configure.log || { cat build/configure.log; exit 1; }
	@ninja -C build

run: build ## serve local mode on PORT (8080), data in DATA_DIR (./data)
	@echo "starting on http://localhost:$(PORT), data in $(DATA_DIR); README.md has requests to try; Ctrl-C ends it"
	@exec build/bin/classifier-local

test: test-deps build ## all tests that are quick: unit, contract, API, crash, lint; under ASan and UBSan where it tells
	@tools/run-tests quick

test-deep: test-deps build ## TSan, Valgrind, the hostile corpus and long crash tests, for TEST_DEEP_MINUTES (20)
	@tools/install-deps deep
	@tools/run-tests deep

e2e: ## deploy, change, break and destroy everything for real, on the emulated account of CLASSIFIER_RIG
	@tests/e2e/run

bench: test-deps build ## measure what docs/benchmarks.md states
	@tools/install-deps bench
	@bench/run && build/venv/bin/python bench/aws_load

coverage: test-deps ## line coverage of lib and the services
	@tools/install-deps coverage
	@tools/run-tests coverage

doctor: ## whether `terraform apply` can work from this machine, and what to do if not
	@tools/doctor

fmt: test-deps ## format the C sources
	@git ls-files '*.c' '*.h' | xargs build/venv/bin/clang-format -i

lint: test-deps ## layers, lengths, banned functions, format
	@tools/check-layers && tools/check-length && tools/check-banned && tools/check-format && tools/check-terraform-docs

clean: ## remove what was built, but not what was downloaded
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name third_party ! -name venv ! -name emulators -exec rm -rf {} +
