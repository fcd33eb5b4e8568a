# `make` lists what there is. Everything heavier than a line is in scripts/.

FUZZTIME ?= 60s
BENCH    ?= .

LINT := go tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run everything in one process on 80 real prompts and stay up (ONCE=1: exit when done)
	go run ./cmd/demo $(if $(filter 1,$(ONCE)),-once)

.PHONY: test
test: ## Run every test, nearly all with race detector, on SQLite + miniredis and real Redis + Postgres
	scripts/test.sh

.PHONY: check
check: ## Format, tidy, vet and lint; fail if that changed a file
	LINT="$(LINT)" scripts/check.sh

.PHONY: bench
bench: ## Run the benchmarks on real servers (BENCH=regexp picks)
	scripts/with-servers.sh go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m ./bench/... ./storage/...

.PHONY: sim
sim: ## Run the simulations in virtual time, and write the table of docs/RESILIENCE.md
	PENSTOCK_SIM_TABLE="$(CURDIR)/docs/RESILIENCE.md" scripts/sim.sh -v

.PHONY: month
month: ## Run a fleet for a virtual month with outages and deaths (SEED=n draws another); takes minutes
	scripts/month.sh -v $(if $(SEED),-seed $(SEED))

.PHONY: chaos
chaos: ## Pull every plug, alone and in pairs, with 2,000 jobs in flight (SEED=n replays, ROUND=name picks)
	scripts/chaos.sh '$(SEED)' '$(ROUND)'

.PHONY: rolling
rolling: ## Replace every process of an older Penstock (OLD=revision) under load, one by one, and back
	scripts/rolling.sh '$(OLD)'

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (60s)
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: up
up: ## Build and start api, worker, Redis and Postgres with docker compose
	docker compose up --build --detach --wait

.PHONY: down
down: ## Stop what `make up` started; the data stays in its volumes
	docker compose down
