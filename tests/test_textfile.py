import errno
import os
import stat
from pathlib import Path

import pytest

from exporter.textfile import write_atomically
from exporter.usage import UsageError

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail(*_: object, **__: object) -> None:
    raise NO_SPACE


@pytest.mark.parametrize("old", [None, b"old\n", b"old and much longer than what comes\n"])
def test_the_file_holds_exactly_what_was_written(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "p2p.prom"
    if old is not None:
        path.write_bytes(old)
    write_atomically(path, b"new\n")
    assert path.read_bytes() == b"new\n"
    assert names(tmp_path) == ["p2p.prom"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_every_user_may_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "p2p.prom"
    before = os.umask(umask)
    try:
        write_atomically(path, b"new\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p2p.prom"
    path.write_bytes(b"old\n")
    seen: list[tuple[bytes, list[str]]] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append((path.read_bytes(), names(tmp_path))))
    with path.open("rb") as reader:
        write_atomically(path, b"new\n")
        assert reader.read() == b"old\n"
    (content, beside), *more = seen
    assert not more
    assert content == b"old\n"
    assert len(beside) == 2
    assert [name for name in beside if name.endswith(".prom")] == ["p2p.prom"]
    assert path.read_bytes() == b"new\n"


@pytest.mark.fault("output-disk-full")
@pytest.mark.parametrize("step", ["fsync", "fchmod", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "p2p.prom"
    path.write_bytes(b"old\n")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(UsageError) as caught:
        write_atomically(path, b"new\n")
    assert str(caught.value) == (
        f"--output: {path} cannot be written (No space left on device); its old content is untouched"
    )
    assert path.read_bytes() == b"old\n"
    assert names(tmp_path) == ["p2p.prom"]


def test_a_draft_follows_no_planted_link_and_has_a_name_of_its_own_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious\n")
    drafts: list[str] = []

    def noted(_: int) -> None:
        drafts.extend(set(names(tmp_path)) - {"victim", *drafts})
        raise NO_SPACE

    monkeypatch.setattr(os, "fsync", noted)
    for _ in range(2):
        with pytest.raises(UsageError):
            write_atomically(tmp_path / "p2p.prom", b"new\n")
        # What a run would meet that used the same name again.
        (tmp_path / drafts[-1]).symlink_to(victim)
    monkeypatch.undo()
    write_atomically(tmp_path / "p2p.prom", b"new\n")
    assert victim.read_bytes() == b"precious\n"
    assert len(set(drafts)) == 2
    assert (tmp_path / "p2p.prom").read_bytes() == b"new\n"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_end_by_a_signal_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    def signalled(_: int) -> None:
        raise end

    monkeypatch.setattr(os, "fsync", signalled)
    with pytest.raises(end):
        write_atomically(tmp_path / "p2p.prom", b"new\n")
    assert names(tmp_path) == []


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "p2p.prom"
    with pytest.raises(UsageError, match=r"^--output: .*/missing/p2p\.prom cannot be written \(No such file"):
        write_atomically(path, b"new\n")
    assert names(tmp_path) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old\n")
    path = tmp_path / "file" / "p2p.prom"
    with pytest.raises(UsageError, match=r"cannot be written \(Not a directory\)"):
        write_atomically(path, b"new\n")
    assert (tmp_path / "file").read_bytes() == b"old\n"


@pytest.mark.fault("output-read-only")
def test_a_read_only_file_system_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p2p.prom"
    path.write_bytes(b"old\n")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UsageError, match=r"cannot be written \(Read-only file system\)"):
        write_atomically(path, b"new\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"old\n"


def test_a_folder_in_the_files_place_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "p2p.prom"
    path.mkdir()
    with pytest.raises(UsageError, match=r"^--output: .*/p2p\.prom "):
        write_atomically(path, b"new\n")
    assert names(tmp_path) == ["p2p.prom"]
    assert names(path) == []


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.prom").write_bytes(b"old\n")
    (tmp_path / "link.prom").symlink_to("real.prom")
    write_atomically(tmp_path / "link.prom", b"new\n")
    assert (tmp_path / "link.prom").is_symlink()
    assert (tmp_path / "real.prom").read_bytes() == b"new\n"
    assert names(tmp_path) == ["link.prom", "real.prom"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    # --output /dev/stdout, run as root, would put a file in the device's place.
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UsageError, match=r"^--output: .*/pipe is no regular file: leave --output out to print"):
        write_atomically(path, b"new\n")
    assert stat.S_ISFIFO(path.lstat().st_mode)
    assert names(tmp_path) == ["pipe"]
