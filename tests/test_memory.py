"""Memory: a refusal says how much is needed, how much there is, and what to do."""

import pytest

from quantal import memory
from quantal.errors import QuantalError, TooLargeError


def test_there_is_some_memory():
    there = memory.available()
    assert there is None or there > 0


def test_what_fits_is_let_through():
    memory.require(1, "A byte", "Use less.")


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 3 * 2**30)
    memory.require(3 * 2**30, "This", "Use less.")
    with pytest.raises(TooLargeError, match=r"This needs 5 GiB of memory: 3 GiB are free. Use less"):
        memory.require(5 * 2**30, "This", "Use less.")
    # It is caught as what it is, by either family.
    assert issubclass(TooLargeError, MemoryError)
    assert issubclass(TooLargeError, QuantalError)


def test_where_the_system_does_not_say_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: None)
    memory.require(10**30, "This", "Use less.")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (8_000_000, "7.629 MiB"),
        (2**40, "1 TiB"),
        (10**30, "8.674e+11 EiB"),
    ],
)
def test_sizes_are_written_for_people(size, words):
    assert memory.readable(size) == words


def test_a_container_leaves_less_than_the_machine_has(tmp_path, monkeypatch):
    # Control groups: the limit of the container, less what it uses; "max" is no limit.
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory.available() == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() != 600
    (tmp_path / "memory.max").unlink()
    assert memory.available() != 600


def test_without_proc_all_the_memory_of_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("SwapFree: 1 kB\n")  # an old kernel says nothing of use
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}
    monkeypatch.setattr(memory.os, "sysconf", sizes.__getitem__, raising=False)
    assert memory.available() == 40960
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available() is None
