"""The file of the targets at work: when it is read again, and that what cannot be used changes nothing."""

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.certificates import make_authority
from support.clocks import FakeClock

from exporter.reload import RETRY_SECONDS, ConfigFile, Ready, Reloads, check, choose
from exporter.shard import Shard
from exporter.usage import UsageError

PATIENCE_SECONDS = 10.0


class Applied:
    """What was handed on, reading by reading."""

    def __init__(self) -> None:
        self.readings: list[Sequence[Ready]] = []
        self.event = threading.Event()

    def __call__(self, ready: Sequence[Ready]) -> None:
        self.readings.append(ready)
        self.event.set()

    @property
    def names(self) -> list[str]:
        return [one.name for one, _ in self.readings[-1]]


def write(path: Path, *names: str) -> None:
    path.write_text("targets:\n" + "".join(f"- {{name: {name}, url: 'http://{name}'}}\n" for name in names))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "targets.yml"
    write(path, "a", "b")
    return path


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def applied() -> Applied:
    return Applied()


@pytest.fixture
def file(path: Path, time: FakeClock, applied: Applied) -> ConfigFile:
    return ConfigFile(path, None, time.clock, applied)


def test_it_is_read_by_the_making(file: ConfigFile, applied: Applied, time: FakeClock) -> None:
    assert applied.names == ["a", "b"]
    assert file.reloads == Reloads(succeeded=True, success_at=time.wall_now)


def test_one_that_cannot_be_used_at_the_start_is_an_error(path: Path, time: FakeClock, applied: Applied) -> None:
    path.write_text("targets: 1")
    with pytest.raises(UsageError) as caught:
        ConfigFile(path, None, time.clock, applied)
    assert str(caught.value) == f"--config.file: {path}: line 1: targets must be a list"
    assert applied.readings == []


def test_a_change_is_taken_once_it_looks_the_same_twice(
    file: ConfigFile, path: Path, time: FakeClock, applied: Applied
) -> None:
    file.look()
    assert len(applied.readings) == 1
    write(path, "a", "c")
    time.advance(5)
    file.look()
    assert len(applied.readings) == 1
    # It was being written.
    write(path, "a", "c", "d")
    file.look()
    assert len(applied.readings) == 1
    file.look()
    assert applied.names == ["a", "c", "d"]
    assert file.reloads == Reloads(succeeded=True, success_at=time.wall_now)
    file.look()
    assert len(applied.readings) == 2


def test_a_link_that_is_turned_is_a_change_as_kubernetes_makes_it(
    tmp_path: Path, time: FakeClock, applied: Applied
) -> None:
    for folder, names in (("..1", "a"), ("..2", "bc")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "targets.yml", *names)
    data, path = tmp_path / "..data", tmp_path / "targets.yml"
    data.symlink_to("..1")
    path.symlink_to("..data/targets.yml")
    file = ConfigFile(path, None, time.clock, applied)
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(data)
    file.look()
    file.look()
    assert applied.names == ["b", "c"]


def test_a_bad_one_is_refused_and_said_once(
    file: ConfigFile, path: Path, time: FakeClock, applied: Applied, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.wall_now
    path.write_text("targets:\n- {name: a}\n- {name: b}\n")
    time.advance(5)
    for _ in range(4):
        file.look()
    assert len(applied.readings) == 1
    assert file.reloads == Reloads(succeeded=False, success_at=started)
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in lines] == ["the new targets are not used"] * 2
    said = [record.__dict__["fields"]["reason"] for record in lines]
    assert said[0] == f"--config.file: {path}: line 2: target a has no url: say where its LocalAI is"
    # The old one once more is no news to the targets, but the file is right again.
    write(path, "a", "b")
    file.look()
    file.look()
    assert file.reloads == Reloads(succeeded=True, success_at=time.wall_now)


def test_one_that_was_refused_is_tried_again_later(
    file: ConfigFile, path: Path, time: FakeClock, applied: Applied, tmp_path: Path
) -> None:
    path.write_text("targets: [{name: a, url: 'http://a', api_key_file: key}]")
    file.look()
    file.look()
    assert not file.reloads.succeeded
    (tmp_path / "key").write_text("sk-1")
    time.advance(RETRY_SECONDS - 1)
    file.look()
    assert not file.reloads.succeeded
    time.advance(1)
    file.look()
    assert file.reloads.succeeded
    assert applied.names == ["a"]


def test_one_that_goes_away_and_comes_back_is_read_at_once(file: ConfigFile, path: Path, applied: Applied) -> None:
    path.unlink()
    file.look()
    file.look()
    assert not file.reloads.succeeded
    write(path, "a", "b")
    file.look()
    file.look()
    assert file.reloads.succeeded
    assert applied.names == ["a", "b"]


def test_what_is_asked_for_is_done_at_once(file: ConfigFile, path: Path, applied: Applied) -> None:
    write(path, "c")
    file.reload()
    assert applied.names == ["c"]
    path.write_text("{")
    with pytest.raises(UsageError, match="this is not YAML"):
        file.reload()
    assert not file.reloads.succeeded
    assert applied.names == ["c"]


def test_a_shard_has_its_own(path: Path, time: FakeClock) -> None:
    write(path, *(f"cluster-{number}" for number in range(20)))
    names = []
    for index in range(3):
        applied = Applied()
        ConfigFile(path, Shard(index, 3), time.clock, applied)
        names += applied.names
        assert check(path, Shard(index, 3)) == len(applied.names)
    assert sorted(names) == sorted(f"cluster-{number}" for number in range(20))
    assert check(path, None) == 20


def test_targets_that_need_the_same_tls_share_it(path: Path, tmp_path: Path, time: FakeClock, applied: Applied) -> None:
    authority = tmp_path / "ca.pem"
    make_authority(tmp_path, "ca")
    path.write_text(
        "targets:\n"
        "- {name: a, url: 'https://a', tls_ca_file: ca.pem}\n"
        "- {name: b, url: 'https://b', tls_ca_file: ca.pem}\n"
        "- {name: c, url: 'https://c', tls_ca_file: ca.pem, tls_insecure: true}\n"
        "- {name: d, url: 'http://d'}\n"
    )
    assert authority.exists()
    ConfigFile(path, None, time.clock, applied)
    first, second, third, fourth = (context for _, context in applied.readings[-1])
    assert first is second is not None
    assert third is not None
    assert third is not first
    assert fourth is None


def test_a_tls_file_that_is_none_is_an_error_with_its_target(path: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    path.write_text("targets: [{name: a, url: 'https://a', tls_ca_file: ca.pem}]")
    assert [name for name, _ in choose(path, None)] == ["a"]
    with pytest.raises(UsageError) as caught:
        check(path, None)
    assert str(caught.value) == (
        "--config.file: target a: tls_ca_file, tls_cert_file and tls_key_file must be PEM files that fit together, the "
        "key without a passphrase"
    )


def test_what_nobody_thought_of_is_shown_said_once_and_tried_again(
    file: ConfigFile,
    path: Path,
    time: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    started = time.wall_now

    def break_it(*_: object) -> None:
        raise ValueError("s3cret")

    write(path, "a", "c")
    with monkeypatch.context() as patch:
        patch.setattr("exporter.reload.parse_targets", break_it)
        for _ in range(4):
            file.look()
        with pytest.raises(UsageError) as caught:
            file.reload()
    text = str(caught.value)
    assert text.startswith(f"--config.file: {path}: internal error: ValueError at test_reload.py:")
    assert file.reloads == Reloads(succeeded=False, success_at=started)
    assert [vars(record)["fields"]["reason"] for record in caplog.records] == [text]
    assert "s3cret" not in text
    time.advance(RETRY_SECONDS)
    file.look()
    assert file.reloads == Reloads(succeeded=True, success_at=time.wall_now)


@pytest.mark.usefixtures("watching")
class TestWatching:
    """The thread that looks at the file, with the time between two looks cut short."""

    @pytest.fixture
    def again(self) -> threading.Event:
        return threading.Event()

    @pytest.fixture
    def watching(self, file: ConfigFile, again: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr("exporter.reload.CHECK_SECONDS", 0.01)
        stop = threading.Event()
        thread = threading.Thread(target=file.watch, args=(stop, again), daemon=True)
        thread.start()
        yield
        stop.set()
        again.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()

    def test_a_change_is_seen(self, path: Path, applied: Applied) -> None:
        applied.event.clear()
        write(path, "c")
        assert applied.event.wait(PATIENCE_SECONDS)
        assert applied.names == ["c"]

    def test_it_is_read_whenever_that_is_asked_for_though_it_is_the_same(
        self, again: threading.Event, applied: Applied
    ) -> None:
        for number in range(2, 5):
            applied.event.clear()
            again.set()
            assert applied.event.wait(PATIENCE_SECONDS)
            assert len(applied.readings) == number

    def test_what_nobody_thought_of_does_not_end_it(
        self,
        again: threading.Event,
        path: Path,
        applied: Applied,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        broke = threading.Event()

        def break_it(*_: object) -> None:
            broke.set()
            raise ValueError("s3cret")

        with monkeypatch.context() as patch:
            patch.setattr("exporter.reload.parse_targets", break_it)
            again.set()
            assert broke.wait(PATIENCE_SECONDS)
        applied.event.clear()
        write(path, "d")
        again.set()
        assert applied.event.wait(PATIENCE_SECONDS)
        assert "internal error: ValueError" in str([vars(record).get("fields") for record in caplog.records])
        assert "s3cret" not in caplog.text
