"""Settings of the test run. Types and axes are checked through pytest's options in pyproject.toml."""

import json
import os
import shutil

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import settings
from typer.testing import CliRunner

# A first call compiles, so no deadline; the same examples on every machine.
settings.register_profile("quantal", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("quantal")


@pytest.fixture
def run(monkeypatch):
    """Run a command in this process."""
    from quantal import cli  # not above: annotations are checked only in what is imported after this file

    monkeypatch.setenv("COLUMNS", "160")

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(cli.app, [str(a) for a in arguments], prog_name="quantal")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def ask(run):
    """Run a command with --json; its output must be one JSON object, and nothing else, on either stream."""

    def invoke(*arguments, code=0):
        result = run(*arguments, "--json", code=code)
        assert result.stderr == ""
        assert "NaN" not in result.stdout
        return json.loads(result.stdout)

    return invoke


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of pages, as two of playwright's loops in a process refuse each other; else skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser tests: playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no browser tests: no Chromium on the path (Debian: apt install chromium)")
    options = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=options)
        yield running
        running.close()
