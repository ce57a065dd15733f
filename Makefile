# The version of Go is in go.mod; Python 3.10 or newer is needed beside it.

# ---------------------------------------------------------------- local stack and tests
.PHONY: help run reset venv test test-full go

help: ## The targets of this file
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: go ## Avow on this machine; POLICY=fast makes seconds of days, PARAMS="ThrottleRate=1000" sets parameters of the template
	@echo 'Building …' && go build -o .local/bin/avow ./scripts/local
	@exec .local/bin/avow run $(if $(POLICY),-policy '$(POLICY)') $(PARAMS)

reset: go ## Forget what make run has kept
	@go build -o .local/bin/avow ./scripts/local
	@.local/bin/avow reset

venv: go ## The Python environment of the local stack, under .local/venv
	@go run ./scripts/local/with-emulator

test: go ## Vet and all tests; needs nothing but Go and Python. What fails once runs again, and is said
	@go run ./scripts/local/with-emulator
	go vet ./...
	scripts/local/go-test ./... -short -timeout 30m

test-full: venv ## The longer suites: races, fuzzing (FUZZTIME=20s each), many records
	scripts/local/test-full

go:
	@scripts/local/check-go

# ---------------------------------------------------------------- deploy
# `sam build` calls build-<logical id> for each function of template.yaml. It does not pass the architecture on: for
# another one than arm64 say ARCH=x86_64 as well as the template's parameter Architecture=x86_64.
ARCH ?= arm64
GOARCH_arm64 = arm64
GOARCH_x86_64 = amd64

build-%Function:
	@test -n '$(GOARCH_$(ARCH))' || { echo 'ARCH must be arm64 or x86_64, not $(ARCH)' >&2; exit 1; }
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH_$(ARCH)) go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w' \
	  -o '$(ARTIFACTS_DIR)/bootstrap' './functions/$(shell echo '$*' | tr A-Z a-z)'

# ---------------------------------------------------------------- checks
.PHONY: lint sam ci

lint: ## Go and template linters
	.ci/lint

sam: ## The built functions under the runtime emulator and under sam local (needs Docker, else says that it skips)
	go run ./scripts/sam

ci: ## Everything that CI runs, on this machine
	.ci/run

.PHONY: rebuild reapply-erasures retention lift

rebuild: go ## Make the views of subjects anew from the ledger and prove them equal (the local stack, or -outputs: see ARGS=-help)
	@go run ./scripts/rebuild $(ARGS)

reapply-erasures: go ## After a restored backup: erase again whom earlier requests have erased (the local stack, or -outputs: see ARGS=-help)
	@go run ./scripts/reapply $(ARGS)

retention: go ## Of whom nothing was heard for years: a report, and with ARGS="-apply -by NAME" their erasure (the local stack, or -outputs: see ARGS=-help)
	@go run ./scripts/retention $(ARGS)

lift: go ## End a restriction of processing, after the person was told (the local stack, or -outputs: see ARGS=-help)
	@go run ./scripts/lift $(ARGS)

# ---------------------------------------------------------------- figures
.PHONY: bench soak

bench: venv ## Each figure beside its goal (about ten minutes; RECORDS=0 leaves the large site out)
	go run ./scripts/bench -records $(or $(RECORDS),100000)

soak: venv ## 10,000 consents from a real browser while networks fail and tabs die: each recorded, once (about ten minutes)
	AVOW_LONG=1 go run ./scripts/local/with-emulator go test -run '^TestMany$$' -v -timeout 60m ./internal/snippet
