import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import bcrypt
import pytest
from support.acceptor import HANG_SECONDS
from support.webconfig import basic

from exporter.settings import Secret
from exporter.webguard import WebGuard
from exporter.webusers import CHALLENGE, REMEMBERED, Access, BasicAuth

GRANTED, REFUSED, BUSY = Access.GRANTED, Access.REFUSED, Access.BUSY


def hashed(password: str, cost: int = 4, prefix: bytes = b"2b") -> Secret:
    return Secret(
        bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).replace(b"$2b$", b"$" + prefix + b"$").decode()
    )


ALICE = "correct horse"
LONG = "x" * 72
USERS = {
    "alice": hashed(ALICE),
    "bob": hashed("pass:with:colons", prefix=b"2y"),
    "bób": hashed("pässwörd", prefix=b"2a"),
    "long": hashed(LONG),
    "empty": hashed(""),
    "": hashed("of nobody"),
}


class Counted:
    """bcrypt, counting its calls and how many of them run at once."""

    def __init__(self, check: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> None:
        self.hashes: list[bytes] = []
        self.most = 0
        self._running = 0
        self._check = check

    def __call__(self, password: bytes, known: bytes) -> bool:
        self.hashes.append(known)
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            return self._check(password, known)
        finally:
            self._running -= 1


ACCESS = [
    (basic(f"alice:{ALICE}"), GRANTED),
    (basic(f"alice:{ALICE}", "basic"), GRANTED),
    (basic(f"alice:{ALICE}", "BASIC"), GRANTED),
    (basic(f"alice:{ALICE}", "Basic  ") + " ", GRANTED),
    (basic("bob:pass:with:colons"), GRANTED),
    (basic("bób:pässwörd"), GRANTED),
    (basic("empty:"), GRANTED),
    (basic(":of nobody"), GRANTED),
    (basic(f"long:{LONG}"), GRANTED),
    (basic(f"long:{LONG}x"), REFUSED),
    (basic("long:" + "é" * 37), REFUSED),
    (basic("alice:wrong"), REFUSED),
    (basic("alice:"), REFUSED),
    (basic(f"alice:{ALICE}\0"), REFUSED),
    (basic(f"alice:{ALICE}\n"), REFUSED),
    (basic(f"Alice:{ALICE}"), REFUSED),
    (basic(f"alice\0:{ALICE}"), REFUSED),
    (basic(f"mallory:{ALICE}"), REFUSED),
    (basic("alice:pass:with:colons"), REFUSED),
    (basic("bób:pässwörd".encode("latin-1")), REFUSED),
    (basic(b"\xff\xfe:\xff"), REFUSED),
    (basic("alice"), REFUSED),
    (basic(ALICE), REFUSED),
    ("", REFUSED),
    ("Basic", REFUSED),
    ("Basic ", REFUSED),
    ("Basic ====", REFUSED),
    (basic(f"alice:{ALICE}").rstrip("="), REFUSED),
    (basic(f"alice:{ALICE}") + "=", REFUSED),
    (basic(f"alice:{ALICE}").replace(" ", ""), REFUSED),
    (basic(f"alice:{ALICE}")[:-3] + "\u00e9==", REFUSED),
    (f"Basic alice:{ALICE}", REFUSED),
    (basic(f"alice:{ALICE}") + ", " + basic(f"alice:{ALICE}"), REFUSED),
    (basic(f"alice:{ALICE}") + "\r\nX: y", REFUSED),
    (basic(f"alice:{ALICE}", "Bearer"), REFUSED),
    (basic(f"alice:{ALICE}", "\u212aasic"), REFUSED),
    ("Digest username=alice", REFUSED),
]


@pytest.mark.parametrize(("header", "access"), ACCESS, ids=lambda value: repr(value)[:40])
def test_one_header(header: str, access: Access) -> None:
    auth = BasicAuth()
    assert auth.access(USERS, header) is access
    assert auth.access(USERS, header) is access


def test_ids_of_the_table_are_padded_base64() -> None:
    assert basic(f"alice:{ALICE}").endswith("=")


def test_the_challenge_is_basic_and_says_how_text_is_encoded() -> None:
    assert CHALLENGE.startswith("Basic ")
    assert 'charset="UTF-8"' in CHALLENGE


@pytest.mark.parametrize("name", ["alice", "mallory", "", "é"])
def test_a_wrong_password_costs_one_check_whether_the_user_is_known_or_not(name: str) -> None:
    bcrypt_calls = Counted()
    auth = BasicAuth(bcrypt_calls)
    for _ in range(3):
        assert auth.access(USERS, basic(f"{name}:wrong")) is REFUSED
    assert len(bcrypt_calls.hashes) == 1
    assert auth.access(USERS, basic(f"{name}:wrong too")) is REFUSED
    assert len(bcrypt_calls.hashes) == 2
    assert {known[4:6] for known in bcrypt_calls.hashes} == {b"04"}


@pytest.mark.parametrize("name", ["alice", "mallory"])
def test_a_password_that_is_too_long_costs_nothing_whoever_sends_it(name: str) -> None:
    bcrypt_calls = Counted()
    assert BasicAuth(bcrypt_calls).access(USERS, basic(f"{name}:{'x' * 73}")) is REFUSED
    assert bcrypt_calls.hashes == []


def test_an_unknown_name_costs_as_much_as_some_known_one_and_always_the_same() -> None:
    calls = Counted(lambda _, __: True)
    auth = BasicAuth(calls)
    users = {"a": hashed("x", 4), "b": hashed("x", 5), "c": hashed("x", 6)}
    costs: dict[str, set[bytes]] = {}
    for name, password in itertools.product([f"nobody-{number}" for number in range(50)], ("x", "y")):
        # Were the made-up hash ever to match, the name would still be unknown.
        assert auth.access(users, basic(f"{name}:{password}")) is REFUSED
        costs.setdefault(name, set()).add(calls.hashes[-1][4:6])
    assert all(len(seen) == 1 for seen in costs.values())
    assert set().union(*costs.values()) == {b"04", b"05", b"06"}


@pytest.mark.parametrize("cost", [4, 5])
def test_the_made_up_hash_is_one_that_bcrypt_computes_in_full(cost: int) -> None:
    calls = Counted()
    assert BasicAuth(calls).access({"a": hashed("x", cost)}, basic("nobody:x")) is REFUSED
    (made_up,) = calls.hashes
    assert bcrypt.hashpw(b"x", made_up)[:29] == made_up[:29]


def test_a_right_password_is_checked_once() -> None:
    calls = Counted()
    auth = BasicAuth(calls)
    assert [auth.access(USERS, basic(f"alice:{ALICE}")) for _ in range(5)] == [GRANTED] * 5
    assert len(calls.hashes) == 1


def test_what_is_remembered_ends_with_the_hash() -> None:
    auth = BasicAuth()
    request = basic(f"alice:{ALICE}")
    assert auth.access(USERS, request) is GRANTED
    assert auth.access({**USERS, "alice": hashed("another")}, request) is REFUSED
    assert auth.access({name: USERS[name] for name in USERS if name != "alice"}, request) is REFUSED
    assert auth.access(USERS, request) is GRANTED


def test_where_name_and_password_part_is_remembered_too() -> None:
    calls = Counted(lambda _, __: True)
    same = hashed("x")
    auth = BasicAuth(calls)
    assert auth.access({"ab": same, "a": same}, basic("ab:c")) is GRANTED
    assert auth.access({"ab": same, "a": same}, basic("a:bc")) is GRANTED
    assert len(calls.hashes) == 2


def test_a_flood_of_wrong_passwords_is_bounded_and_drives_out_no_right_one() -> None:
    calls = Counted(lambda password, _: password == b"right")
    auth = BasicAuth(calls)
    assert auth.access(USERS, basic("alice:right")) is GRANTED
    for number in range(REMEMBERED + 10):
        assert auth.access(USERS, basic(f"alice:{number}")) is REFUSED
    made = len(calls.hashes)
    assert auth.access(USERS, basic("alice:right")) is GRANTED
    assert auth.access(USERS, basic(f"alice:{REMEMBERED + 9}")) is REFUSED
    assert len(calls.hashes) == made
    # The oldest was forgotten.
    assert auth.access(USERS, basic("alice:0")) is REFUSED
    assert len(calls.hashes) == made + 1


def together(work: Sequence[Callable[[], None]]) -> None:
    barrier = threading.Barrier(len(work))

    def start(one: Callable[[], None]) -> None:
        barrier.wait(HANG_SECONDS)
        one()

    threads = [threading.Thread(target=start, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def test_one_check_at_a_time() -> None:
    calls = Counted()
    auth = BasicAuth(calls, under_way=16)
    seen: list[Access] = []
    together([lambda n=n: seen.append(auth.access(USERS, basic(f"alice:{n}"))) for n in range(16)])  # type: ignore[misc]
    assert seen == [REFUSED] * 16
    assert (len(calls.hashes), calls.most) == (16, 1)


def test_the_same_credentials_at_the_same_time_are_checked_once() -> None:
    calls = Counted()
    auth = BasicAuth(calls, under_way=16)
    seen: list[Access] = []
    users = {"alice": hashed(ALICE, 9)}  # 30 ms: time enough for all of them to come
    together([lambda: seen.append(auth.access(users, basic(f"alice:{ALICE}")))] * 16)
    assert seen == [GRANTED] * 16
    assert len(calls.hashes) == 1


@pytest.mark.parametrize(("under_way", "wait_seconds"), [(2, 0.01), (1, HANG_SECONDS)], ids=["late", "too-many"])
def test_who_finds_no_turn_is_told_so_and_what_is_remembered_needs_none(under_way: int, wait_seconds: float) -> None:
    begun, end = threading.Event(), threading.Event()

    def slow(password: bytes, _: bytes) -> bool:
        if password == b"slow":
            begun.set()
            assert end.wait(HANG_SECONDS)
        return True

    auth = BasicAuth(slow, under_way, wait_seconds)
    assert auth.access(USERS, basic("alice:quick")) is GRANTED
    seen: list[Access] = []
    thread = threading.Thread(target=lambda: seen.append(auth.access(USERS, basic("alice:slow"))), daemon=True)
    thread.start()
    assert begun.wait(HANG_SECONDS)
    assert auth.access(USERS, basic("alice:other")) is BUSY
    assert auth.access(USERS, basic("alice:quick")) is GRANTED
    end.set()
    thread.join(HANG_SECONDS)
    assert seen == [GRANTED]
    # A request that found no turn is nothing to remember.
    assert auth.access(USERS, basic("alice:other")) is GRANTED


def test_the_same_wrong_password_does_not_hold_every_thread() -> None:
    begun, end = threading.Event(), threading.Event()

    def slow(password: bytes, _: bytes) -> bool:
        if password == b"right":
            return True
        begun.set()
        assert end.wait(HANG_SECONDS)
        return False

    auth = BasicAuth(slow)
    assert auth.access(USERS, basic("alice:right")) is GRANTED
    seen: queue.Queue[Access] = queue.Queue()
    threads = [
        threading.Thread(target=lambda: seen.put(auth.access(USERS, basic("alice:wrong"))), daemon=True)
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    # All but the one that is checked and the one that waits, whose turn does not come before the end.
    assert [seen.get(timeout=HANG_SECONDS) for _ in range(14)] == [BUSY] * 14
    assert begun.wait(HANG_SECONDS)
    assert auth.access(USERS, basic("alice:right")) is GRANTED
    end.set()
    assert [seen.get(timeout=HANG_SECONDS) for _ in range(2)] == [REFUSED] * 2


def test_a_check_that_fails_gives_its_turn_back() -> None:
    answers = iter([MemoryError, None])

    def fails_once(_: bytes, __: bytes) -> bool:
        if (error := next(answers)) is not None:
            raise error
        return True

    auth = BasicAuth(fails_once, wait_seconds=0.01)
    with pytest.raises(MemoryError):
        auth.access(USERS, basic("alice:x"))
    assert auth.access(USERS, basic("alice:x")) is GRANTED


@pytest.fixture
def guard(tmp_path: Path) -> WebGuard:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{alice: {USERS['alice'].reveal()}}}")
    return WebGuard(path, lambda: 0.0)


@pytest.mark.parametrize(
    ("path", "access"),
    [
        ("/-/healthy", GRANTED),
        ("/-/ready", GRANTED),
        ("/-/healthy/", REFUSED),
        ("//-/healthy", REFUSED),
        ("/-/Healthy", REFUSED),
        ("/%2d/healthy", REFUSED),
        ("/-/healthy?", REFUSED),
        ("/", REFUSED),
        ("", REFUSED),
        ("/metrics", REFUSED),
        ("/api/v1/cluster", REFUSED),
        ("/nowhere", REFUSED),
    ],
)
def test_what_needs_credentials(guard: WebGuard, path: str, access: Access) -> None:
    assert guard.authorize(path, "") is access
    assert guard.authorize(path, basic(f"alice:{ALICE}")) is GRANTED


def test_without_users_nobody_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("")
    assert WebGuard(path, lambda: 0.0).authorize("/metrics", "") is GRANTED
