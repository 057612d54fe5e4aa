# `make` alone lists the targets. Everything that a target needs it sets up itself (tests/prepare.sh).
.DEFAULT_GOAL := help
.PHONY: help venv check test test-long bench demo clean
FAULT ?= kill
LAB ?= demo
PART ?=

help: ## this list
	@echo "nagios-failover: a Nagios pair that survives the death of its master"
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-18s %s\n' "$$name" "$$text"; done
	@echo
	@echo "demo, test-long, bench and the end-to-end part of test need root: they run real hosts in namespaces of this machine."

.venv/ready: setup.cfg tests/prepare.sh
	@tests/prepare.sh venv

venv: .venv/ready ## the Python environment of the checkout (.venv), with the tools of check and test

check: .venv/ready ## lint, format, types, layers: under a minute, changes nothing
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy nagios_failover plugins handlers bench tests
	.venv/bin/lint-imports

test: .venv/ready ## unit, door and end-to-end tests (the last on real hosts; at most 30 minutes on 2 cores)
	@tests/run.sh

test-long: .venv/ready ## what needs repeating: seeded, resumable (SEED=1), results in docs/results/
	@tests/prepare.sh lab
	@.venv/bin/python -m tests.long $(if $(SEED),--seed $(SEED))

bench: .venv/ready ## measure, print a table, write bench/results.json (PART="check_cost failover_time ..." for some only)
	@tests/prepare.sh lab
	@.venv/bin/python -m bench $(PART)

demo: ## see it happen: a real pair, its master's Nagios killed, the standby taking over (FAULT=kill|stop|power|link)
	@tests/prepare.sh demo
	@python3=$$(tests/prepare.sh python) && exec "$$python3" -m tests.demo "$(FAULT)" "$(LAB)"

clean: ## remove what make has made here; the lab's cached root (/var/cache/nagios-failover-lab) stays
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis bench/results.json
