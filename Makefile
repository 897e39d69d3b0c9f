# Two commands do everything: `make course` and `make test`. Each sets up what it needs.
PYTHON ?= python3
# Where torch comes from, if not from pip's default: TORCH="--index-url …" (see the README).
TORCH ?=
BIN := .venv/bin
SAMPLE := _build/sample-class

# Tests of tiny tensors run side by side: threads inside each would only get in the way.
test test-all test-seeds test-book attack fuzz component: export OMP_NUM_THREADS = 1
PYTEST := $(BIN)/pytest -n 2

.PHONY: course component test test-all test-seeds test-book attack fuzz gpu book build lint clean

course: .venv/installed wall
	@echo "== Exercises and solutions"
	@$(BIN)/course build
	@echo "== Book (the first build runs every page; later ones only what has changed)"
	@$(BIN)/course book
	@echo "== A sample class, graded"
	@$(BIN)/course sample-class $(SAMPLE)/submitted
	@$(BIN)/course grade --submitted $(SAMPLE)/submitted --out $(SAMPLE)/grades
	@echo
	@echo "The book:      _build/html/index.html"
	@echo "The notebooks: exercises/ (solved: solutions/); a folder of your own: $(BIN)/course start ../my-transformer"
	@echo "The grades:    $(SAMPLE)/grades/grades_long.csv, feedback in $(SAMPLE)/grades/feedback/"

# The short loop while you work on one component: make component C=causal_mask
component: .venv/installed
	@$(BIN)/python tests/short_loop.py "$(C)"

# What CI runs on every change: everything once, on a small class and a few pages.
test: .venv/installed wall browser axe lint
	$(PYTEST) -m "not slow and not seeds"

# The rest: the whole sample class, kills and restarts, every form of handing in.
test-all: .venv/installed wall browser axe
	$(PYTEST) -m slow --ignore tests/test_book.py

# The gates under all twenty seeds, component by component: the longest of all, and not part of CI.
test-seeds: .venv/installed
	$(PYTEST) -m seeds

# All known attacks on the grader, by both commands, as root and as an ordinary user: the figures of
# the book's page on grading. KIND=5 runs those of one kind.
attack: .venv/installed wall
	PYTHONPATH=tests $(BIN)/python -m attacks $(if $(KIND),--kind $(KIND))

# What is read of a submission, fed with what hypothesis makes up, for an hour.
fuzz: .venv/installed wall
	FUZZ_SECONDS=3600 $(BIN)/pytest tests/test_fuzz.py -p no:xdist

# The book as its readers meet it: every page in the browser, in both schemes and at two widths.
test-book: .venv/installed browser axe
	$(BIN)/pytest tests/test_book.py tests/test_page.py tests/test_quiz.py tests/test_pictures.py

# What the course promises on a GPU, measured on one CUDA card in at most eight minutes.
gpu: .venv/installed
	$(BIN)/python -m course_lib.gpu

build: .venv/installed
	$(BIN)/course build

book: .venv/installed
	$(BIN)/course book

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/installed: pyproject.toml constraints.txt
	@echo "== Installing into .venv (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt $(TORCH) torch
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

# System programs: the wall around submissions, and the browser that tests the book; and the rules
# of accessibility that every page is held to, by npm.
.PHONY: wall browser axe
wall:
	@sh .ci/need bwrap bubblewrap
browser:
	@sh .ci/need chromium chromium
axe: node_modules/.package-lock.json
node_modules/.package-lock.json: package.json package-lock.json
	@sh .ci/need npm npm
	@npm ci --silent --no-audit --no-fund

clean:
	rm -rf _build .pytest_cache .ruff_cache
