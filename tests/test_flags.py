import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.arguments import add_flags, load_settings, unknown_variables
from exporter.cli import COMMANDS, main
from exporter.flags import FLAGS, GROUPS, LOOP_FREE, Flag
from exporter.settings import ApiKeyFile, ListenAddress, Secret, Settings
from exporter.shard import Shard
from exporter.usage import UsageError

CANARY = "sk-canary-7f3a"


def given(arguments: Sequence[str] = (), **environ: str) -> Settings:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    return load_settings(vars(parser.parse_args(arguments)), environ)


def setting(settings: Settings, name: str) -> Any:
    return getattr(settings.target if hasattr(settings.target, name) else settings, name)


FILE = Path(__file__)

VALUES = [
    ("config.file", str(FILE), "config_file", FILE),
    ("localai.url", "https://ai.example/x/", "url", "https://ai.example/x"),
    ("localai.tls-ca-file", str(FILE), "tls_ca_file", FILE),
    ("localai.proxy-url", "http://proxy:3128", "proxy_url", "http://proxy:3128"),
    ("localai.max-response-bytes", "512KiB", "max_response_bytes", 512 * 1024),
    ("poll.interval", "20s", "poll_interval", 20.0),
    ("poll.timeout", "1500ms", "poll_timeout", 1.5),
    ("poll.stale-after", "2m", "stale_after", 120.0),
    ("node.retention", "1w", "node_retention", 604_800.0),
    ("node.limit", "0", "node_limit", 0),
    ("expect.workers", "0", "expected", {"worker": 0}),
    ("expect.federated", "2", "expected", {"federated": 2}),
    ("expect.host", "rack1-gpu-02.lab.internal", "expected_hosts", ("rack1-gpu-02.lab.internal",)),
    ("web.listen-address", "[::1]:9100", "listen_addresses", (ListenAddress("::1", 9100),)),
    ("web.health-address", "127.0.0.1:10041", "health_address", ListenAddress("127.0.0.1", 10041)),
    ("web.telemetry-path", "/probe/metrics", "telemetry_path", "/probe/metrics"),
    ("web.config.file", str(FILE), "web_config_file", FILE),
    ("log.level", "debug", "log_level", "debug"),
    ("log.format", "json", "log_format", "json"),
]

SWITCHES = [
    ("localai.tls-insecure", "tls_insecure", True),
    ("collector.token", "collect_token", True),
    ("collector.distributed", "collect_distributed", True),
    ("web.systemd-socket", "systemd_socket", True),
    ("web.disable-exporter-metrics", "exporter_metrics", False),
]

TOGETHER = ("localai.api-key-file", "localai.tls-cert-file", "localai.tls-key-file")
MANY = ("config.shard", "web.enable-lifecycle")
"""Flags with tests of their own."""


def variable(name: str) -> str:
    return f"P2P_EXPORTER_{re.sub('[.-]', '_', name).upper()}"


def test_every_flag_is_in_the_tables_here() -> None:
    named = {row[0] for row in VALUES} | {row[0] for row in SWITCHES} | {*TOGETHER, *MANY}
    assert named == {flag.name for flag in FLAGS}
    assert len({flag.variable for flag in FLAGS}) == len(FLAGS)


@pytest.mark.parametrize(("name", "text", "field", "value"), VALUES, ids=[row[0] for row in VALUES])
def test_a_flag_and_its_variable_mean_the_same(name: str, text: str, field: str, value: object) -> None:
    assert setting(given(), field) != value
    for settings in (given([f"--{name}", text]), given([f"--{name}={text}"]), given(**{variable(name): text})):
        assert setting(settings, field) == value
        assert settings != Settings()


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("localai.url", "http://localhost:8080"),
        ("localai.max-response-bytes", "32MiB"),
        ("poll.interval", "15s"),
        ("poll.timeout", "10s"),
        ("poll.stale-after", "1m"),
        ("node.retention", "24h"),
        ("node.limit", "5000"),
        ("web.listen-address", ":10040"),
        ("web.telemetry-path", "/metrics"),
        ("log.level", "info"),
        ("log.format", "logfmt"),
    ],
)
def test_a_default_is_what_the_documentation_says(name: str, default: str) -> None:
    assert given([f"--{name}", default]) == Settings()
    (flag,) = (flag for flag in FLAGS if flag.name == name)
    assert flag.default.startswith(default) or flag.default == "4 intervals"


@pytest.mark.parametrize(("name", "field", "on"), SWITCHES, ids=[row[0] for row in SWITCHES])
def test_a_switch_is_a_flag_without_a_value(name: str, field: str, on: bool) -> None:
    assert setting(given(), field) is not on
    assert setting(given([f"--{name}"]), field) is on
    assert setting(given([f"--no-{name}"]), field) is not on
    assert setting(given([f"--{name}", f"--no-{name}"]), field) is not on
    assert setting(given([f"--no-{name}", f"--{name}"]), field) is on
    for text in ("true", "True", "1"):
        assert setting(given(**{variable(name): text}), field) is on
        assert setting(given([f"--no-{name}"], **{variable(name): text}), field) is not on
    for text in ("false", "FALSE", "0", ""):
        assert setting(given(**{variable(name): text}), field) is not on
        assert setting(given([f"--{name}"], **{variable(name): text}), field) is on


def test_the_client_certificate_and_its_key_go_together(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("x")
    by_flag = given(["--localai.tls-cert-file", str(FILE), "--localai.tls-key-file", str(key)])
    by_variable = given(P2P_EXPORTER_LOCALAI_TLS_CERT_FILE=str(FILE), P2P_EXPORTER_LOCALAI_TLS_KEY_FILE=str(key))
    assert by_flag == by_variable
    assert (by_flag.target.tls_cert_file, by_flag.target.tls_key_file) == (FILE, key)


@pytest.mark.parametrize(("name", "text", "field", "value"), VALUES, ids=[row[0] for row in VALUES])
def test_the_command_line_goes_before_the_variable(name: str, text: str, field: str, value: object) -> None:
    # What the variable holds is then not even read.
    assert setting(given([f"--{name}", text], **{variable(name): "?:,"}), field) == value


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_an_empty_variable_is_absent(flag: Flag) -> None:
    assert given(**{flag.variable: ""}) == Settings()


def test_the_url_has_an_alias() -> None:
    assert given(LOCALAI_URL="http://alias").target.url == "http://alias"
    assert given(LOCALAI_URL="").target.url == "http://localhost:8080"
    assert given(LOCALAI_URL="http://alias", P2P_EXPORTER_LOCALAI_URL="http://own").target.url == "http://own"
    assert given(LOCALAI_URL="http://alias", P2P_EXPORTER_LOCALAI_URL="").target.url == "http://alias"
    assert given(["--localai.url", "http://flag"], LOCALAI_URL="http://alias").target.url == "http://flag"


def test_the_library_s_own_proxy_variables_are_not_read() -> None:
    assert given(HTTP_PROXY="http://proxy:3128", http_proxy="http://proxy:3128", ALL_PROXY="x") == Settings()


def test_repeatable_flags_add_up() -> None:
    hosts = given(["--expect.host", "b", "--expect.host", "a", "--expect.host", "b"]).target.expected_hosts
    assert hosts == ("b", "a")
    assert given(P2P_EXPORTER_EXPECT_HOST="b,a,b").target.expected_hosts == ("b", "a")
    assert given(P2P_EXPORTER_EXPECT_HOST=" b, a\n").target.expected_hosts == ("b", "a")
    assert given(["--expect.host", "c"], P2P_EXPORTER_EXPECT_HOST="a").target.expected_hosts == ("c",)
    # On the command line a comma is a part of the name.
    assert given(["--expect.host", "a,b"]).target.expected_hosts == ("a,b",)
    both = (ListenAddress("127.0.0.1", 1), ListenAddress("::1", 2))
    assert given(["--web.listen-address", "127.0.0.1:1", "--web.listen-address", "[::1]:2"]).listen_addresses == both
    assert given(P2P_EXPORTER_WEB_LISTEN_ADDRESS="127.0.0.1:1, [::1]:2").listen_addresses == both


@pytest.mark.parametrize(
    ("text", "shard"),
    [
        ("0/1", Shard(0, 1)),
        ("2/3", Shard(2, 3)),
        ("p2p-localai-p2p-exporter-11/12", Shard(11, 12)),
        ("a.b-0/3", Shard(0, 3)),
    ],
)
def test_a_shard_is_an_index_or_a_pod(text: str, shard: Shard) -> None:
    by_flag = given(["--config.file", str(FILE), "--config.shard", text])
    assert by_flag == given(P2P_EXPORTER_CONFIG_FILE=str(FILE), P2P_EXPORTER_CONFIG_SHARD=text)
    assert by_flag.shard == shard
    assert str(shard) == f"{shard.ordinal}/{shard.total}"


def test_a_request_may_have_the_file_read_again_where_there_is_one() -> None:
    file = ["--config.file", str(FILE)]
    assert given(file).lifecycle is False
    assert given([*file, "--web.enable-lifecycle"]) == given(file, P2P_EXPORTER_WEB_ENABLE_LIFECYCLE="1")
    assert given([*file, "--web.enable-lifecycle"]).lifecycle is True


def test_what_asks_for_the_health_of_many_is_not_stopped_by_their_variables() -> None:
    variables = {"P2P_EXPORTER_CONFIG_FILE": "/missing", "P2P_EXPORTER_WEB_ENABLE_LIFECYCLE": "true"}
    assert load_settings({}, variables, COMMANDS["healthcheck"].flags).config_file is None


def test_both_roles_can_be_expected() -> None:
    target = given(["--expect.workers", "3"], P2P_EXPORTER_EXPECT_FEDERATED="2").target
    assert target.expected == {"worker": 3, "federated": 2}


@pytest.mark.parametrize(
    ("interval", "timeout", "stale_after"),
    [("15s", 10.0, 60.0), ("10s", 10.0, 40.0), ("5s", 5.0, 20.0), ("100ms", 0.1, 0.4), ("1m", 10.0, 240.0)],
)
def test_timeout_and_staleness_follow_the_interval(interval: str, timeout: float, stale_after: float) -> None:
    target = given(["--poll.interval", interval]).target
    assert (target.poll_timeout, target.stale_after) == (timeout, stale_after)


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("1000B", 1000), ("1KiB", 1024), ("32MiB", 33_554_432), ("2GiB", 2**31)]
)
def test_sizes(text: str, size: int) -> None:
    assert given(["--localai.max-response-bytes", text]).target.max_response_bytes == size


def revealed(settings: Settings) -> str:
    key = settings.target.api_key
    assert key is not None
    return (key if isinstance(key, Secret) else key.read()).reveal()


def test_the_key_comes_from_a_file_or_a_variable_and_the_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-file\n")
    assert given().target.api_key is None
    assert given(LOCALAI_API_KEY="").target.api_key is None
    assert revealed(given(LOCALAI_API_KEY="from-variable")) == "from-variable"
    for settings in (
        given(["--localai.api-key-file", str(path)]),
        given(P2P_EXPORTER_LOCALAI_API_KEY_FILE=str(path)),
        given(["--localai.api-key-file", str(path)], LOCALAI_API_KEY="from-variable"),
        given(P2P_EXPORTER_LOCALAI_API_KEY_FILE=str(path), LOCALAI_API_KEY="a,list,that,is,not,read"),
    ):
        assert settings.target.api_key == ApiKeyFile(path)
        assert revealed(settings) == "from-file"


def test_the_key_shows_in_no_repr() -> None:
    settings = given(LOCALAI_API_KEY=CANARY)
    assert revealed(settings) == CANARY
    assert CANARY not in f"{settings!r} {settings} {settings.target!r}"


NO_URL = "not a URL with http or https: write it as http://host:port"
NO_ADDRESS = "is no address: write it as :10040, 127.0.0.1:10040 or [::1]:10040"
NO_DURATION = "is no duration: write it as Prometheus does, for example 15s, 1m30s or 500ms"
NO_SIZE = "is no size: write it in bytes, or as 512KiB, 32MiB or 1GiB"
NO_PATH = "is no path for metrics: it starts with one slash, not with /-/, and is more than /"
NO_NUMBER = "is no whole number from 0 on"
PASSWORD = "a user or password has no place in the URL: LocalAI's key goes into --localai.api-key-file"  # noqa: S105
PROXY_PASSWORD = "a user or password has no place in the URL: only proxies that want none are supported"  # noqa: S105
COMMA = "holds a comma: LocalAI reads a list of keys from a variable of that name; give the exporter one"
NO_HEADER = "holds a blank, a line break or another character that no HTTP header can carry"
NO_SHARD = "is no shard: write INDEX/TOTAL, as 0/3, or the name of a StatefulSet's pod as the index"
NONE_OF_THEM = "is none of its shards: the first has the index 0, and the last one less than TOTAL"
TWICE = (
    "--config.file names every target and what holds for it, so {} would say it twice: leave that out, and write it "
    "into the file"
)
VANISH = "--poll.interval and --poll.timeout together, 1m10s: series would vanish between two good polls"
OVERRUN = "a poll has to end before the next one starts"

BAD = [
    ({"--config.shard": "3"}, f"--config.shard: '3' {NO_SHARD}"),
    ({"--config.shard": "-1/3"}, f"--config.shard: '-1/3' {NO_SHARD}"),
    ({"--config.shard": "1/3/5"}, f"--config.shard: '1/3/5' {NO_SHARD}"),
    ({"P2P_EXPORTER_CONFIG_SHARD": "$(POD_NAME)/3"}, f"P2P_EXPORTER_CONFIG_SHARD: '$(POD_NAME)/3' {NO_SHARD}"),
    ({"--config.shard": "3/3"}, f"--config.shard: '3/3' {NONE_OF_THEM}"),
    ({"--config.shard": "0/0"}, f"--config.shard: '0/0' {NONE_OF_THEM}"),
    ({"--config.shard": "0/3"}, "--config.shard has no effect without --config.file: give that too, or leave it out"),
    (
        {"P2P_EXPORTER_WEB_ENABLE_LIFECYCLE": "true"},
        "--web.enable-lifecycle has no effect without --config.file: give that too, or leave it out",
    ),
    (
        {"--config.file": str(FILE), "--web.telemetry-path": "/sd"},
        "--web.telemetry-path /sd: that path has another page already",
    ),
    ({"--config.file": str(FILE), "--localai.url": "http://a"}, TWICE.format("--localai.url")),
    (
        {"--config.file": str(FILE), "LOCALAI_URL": "http://a", "LOCALAI_API_KEY": CANARY, "--node.limit": "1"},
        TWICE.format("LOCALAI_URL, --node.limit, LOCALAI_API_KEY"),
    ),
    ({"--localai.url": ""}, f"--localai.url: {NO_URL}"),
    ({"--localai.url": "localhost:8080"}, f"--localai.url: {NO_URL}"),
    ({"P2P_EXPORTER_LOCALAI_URL": "ftp://x"}, f"P2P_EXPORTER_LOCALAI_URL: {NO_URL}"),
    ({"LOCALAI_URL": "x"}, f"LOCALAI_URL: {NO_URL}"),
    ({"LOCALAI_URL": f"http://me:{CANARY}@host"}, f"LOCALAI_URL: {PASSWORD}"),
    (
        {"--localai.url": f"http://host?token={CANARY}"},
        "--localai.url: a query or fragment has no place in the URL: give scheme, host, port and path prefix only",
    ),
    (
        {"--localai.proxy-url": "https://proxy"},
        "--localai.proxy-url: not a URL with http: write it as http://host:port",
    ),
    ({"--localai.proxy-url": f"http://me:{CANARY}@proxy"}, f"--localai.proxy-url: {PROXY_PASSWORD}"),
    ({"LOCALAI_API_KEY": f"{CANARY},b"}, f"LOCALAI_API_KEY {COMMA}"),
    ({"LOCALAI_API_KEY": f"{CANARY}\nb"}, f"LOCALAI_API_KEY {NO_HEADER}"),
    ({"LOCALAI_API_KEY": f"{CANARY}é"}, f"LOCALAI_API_KEY {NO_HEADER}"),
    (
        {"LOCALAI_API_KEY": "  "},
        "LOCALAI_API_KEY is empty: put LocalAI's API key there, or leave it out where LocalAI needs none",
    ),
    (
        {"--localai.api-key-file": "/missing/key", "LOCALAI_API_KEY": CANARY},
        "--localai.api-key-file: the file cannot be read (FileNotFoundError)",
    ),
    (
        {"P2P_EXPORTER_LOCALAI_API_KEY_FILE": "/missing/key"},
        "--localai.api-key-file: the file cannot be read (FileNotFoundError)",
    ),
    (
        {"--localai.api-key-file": f"{CANARY}/c2Vj/cmV0+abc="},
        "--localai.api-key-file: the file cannot be read (FileNotFoundError)",
    ),
    ({"--localai.api-key-file": CANARY * 20}, "--localai.api-key-file: the file cannot be read (OSError)"),
    (
        {"--localai.api-key-file": f"{CANARY}\0"},
        "--localai.api-key-file: the file cannot be read (ValueError)",
    ),
    ({"--localai.api-key-file": "/dev/zero"}, "--localai.api-key-file: /dev/zero is no regular file"),
    ({"--localai.tls-ca-file": "/dev/zero"}, "--localai.tls-ca-file: /dev/zero is no regular file"),
    (
        {"--localai.tls-ca-file": "/missing/ca.pem"},
        "--localai.tls-ca-file: /missing/ca.pem cannot be read (FileNotFoundError)",
    ),
    (
        {"--localai.tls-key-file": f"-----BEGIN PRIVATE KEY-----\n{CANARY}"},
        "--localai.tls-key-file: the file cannot be read (FileNotFoundError)",
    ),
    ({"--localai.tls-key-file": "/"}, "--localai.tls-key-file: / cannot be read (IsADirectoryError)"),
    ({"--localai.tls-ca-file": "/"}, "--localai.tls-ca-file: / cannot be read (IsADirectoryError)"),
    (
        {"--web.config.file": "/missing/web.yml"},
        "--web.config.file: /missing/web.yml cannot be read (FileNotFoundError)",
    ),
    (
        {"--localai.tls-cert-file": str(FILE)},
        "--localai.tls-cert-file and --localai.tls-key-file go together: give both or neither",
    ),
    (
        {"P2P_EXPORTER_LOCALAI_TLS_INSECURE": "yes"},
        "P2P_EXPORTER_LOCALAI_TLS_INSECURE: 'yes' is neither true nor false",
    ),
    ({"--localai.max-response-bytes": "0"}, f"--localai.max-response-bytes: '0' {NO_SIZE}"),
    ({"--localai.max-response-bytes": "32MB"}, f"--localai.max-response-bytes: '32MB' {NO_SIZE}"),
    ({"--localai.max-response-bytes": "1.5GiB"}, f"--localai.max-response-bytes: '1.5GiB' {NO_SIZE}"),
    ({"--poll.interval": "15"}, f"--poll.interval: '15' {NO_DURATION}"),
    ({"P2P_EXPORTER_POLL_INTERVAL": "soon"}, f"P2P_EXPORTER_POLL_INTERVAL: 'soon' {NO_DURATION}"),
    (
        {"--poll.interval": "300y"},
        "--poll.interval: '300y' is too long: Prometheus knows none above 292 years",
    ),
    ({"--poll.interval": "99ms"}, "--poll.interval must be at least 100ms"),
    ({"--poll.interval": "0"}, "--poll.interval must be at least 100ms"),
    (
        {"--poll.timeout": "16s"},
        f"--poll.timeout 16s must be above 0 and no longer than --poll.interval 15s: {OVERRUN}",
    ),
    (
        {"--poll.interval": "5s", "P2P_EXPORTER_POLL_TIMEOUT": "10s"},
        f"--poll.timeout 10s must be above 0 and no longer than --poll.interval 5s: {OVERRUN}",
    ),
    (
        {"--poll.timeout": "0s"},
        f"--poll.timeout 0s must be above 0 and no longer than --poll.interval 15s: {OVERRUN}",
    ),
    (
        {"--poll.interval": "1m", "--poll.stale-after": "69s"},
        f"--poll.stale-after 1m9s must be no shorter than {VANISH}",
    ),
    ({"--node.retention": "0"}, "--node.retention must be above 0"),
    ({"--node.retention": "forever"}, f"--node.retention: 'forever' {NO_DURATION}"),
    ({"--node.limit": "-1"}, f"--node.limit: '-1' {NO_NUMBER}"),
    ({"--node.limit": "1e3"}, f"--node.limit: '1e3' {NO_NUMBER}"),
    ({"--node.limit": "1" * 16}, f"--node.limit: '{'1' * 16}' {NO_NUMBER}"),
    ({"--expect.workers": "three"}, f"--expect.workers: 'three' {NO_NUMBER}"),
    ({"P2P_EXPORTER_EXPECT_FEDERATED": "٣"}, f"P2P_EXPORTER_EXPECT_FEDERATED: '٣' {NO_NUMBER}"),
    ({"--expect.host": ""}, "--expect.host: a host name is empty"),
    ({"--expect.host": " "}, "--expect.host: a host name is empty"),
    ({"P2P_EXPORTER_EXPECT_HOST": "a,,b"}, "P2P_EXPORTER_EXPECT_HOST: a host name is empty"),
    ({"P2P_EXPORTER_COLLECTOR_TOKEN": "on"}, "P2P_EXPORTER_COLLECTOR_TOKEN: 'on' is neither true nor false"),
    ({"--web.listen-address": "10040"}, f"--web.listen-address: '10040' {NO_ADDRESS}"),
    ({"--web.listen-address": ":65536"}, f"--web.listen-address: ':65536' {NO_ADDRESS}"),
    (
        {"P2P_EXPORTER_WEB_LISTEN_ADDRESS": ":1,:x"},
        f"P2P_EXPORTER_WEB_LISTEN_ADDRESS: ':x' {NO_ADDRESS}",
    ),
    ({"--web.telemetry-path": "metrics"}, f"--web.telemetry-path: 'metrics' {NO_PATH}"),
    ({"--web.telemetry-path": "/"}, f"--web.telemetry-path: '/' {NO_PATH}"),
    ({"--web.telemetry-path": "/-/healthy"}, f"--web.telemetry-path: '/-/healthy' {NO_PATH}"),
    ({"--web.telemetry-path": "/a?b"}, f"--web.telemetry-path: '/a?b' {NO_PATH}"),
    ({"--web.telemetry-path": "//metrics"}, f"--web.telemetry-path: '//metrics' {NO_PATH}"),
    ({"--log.level": "warning"}, "--log.level: 'warning' is none of debug, info, warn, error"),
    ({"P2P_EXPORTER_LOG_FORMAT": "text"}, "P2P_EXPORTER_LOG_FORMAT: 'text' is none of logfmt, json"),
]


def row_id(row: tuple[dict[str, str], str]) -> str:
    return " ".join(f"{name}={text}" for name, text in row[0].items()).encode("unicode_escape").decode()


@pytest.mark.parametrize(("words", "message"), BAD, ids=[row_id(row) for row in BAD])
def test_a_bad_configuration_is_refused_in_these_words(words: dict[str, str], message: str) -> None:
    arguments = [f"{name}={text}" for name, text in words.items() if name.startswith("--")]
    environ = {name: text for name, text in words.items() if not name.startswith("--")}
    with pytest.raises(UsageError) as caught:
        given(arguments, **environ)
    assert str(caught.value) == message
    assert CANARY not in message


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.metavar and not flag.repeatable], ids=lambda f: f.name)
def test_a_single_flag_given_twice_is_refused(flag: Flag) -> None:
    with pytest.raises(UsageError) as caught:
        given([f"--{flag.name}", "x", f"--{flag.name}", "x"])
    assert str(caught.value) == f"--{flag.name} is given more than once: give it once"


def test_unknown_variables_are_found_and_others_are_not() -> None:
    environ = dict.fromkeys((flag.variable for flag in FLAGS), "x")
    assert unknown_variables(environ) == []
    environ |= {"P2P_EXPORTER_PORT": "tcp://10.0.0.1:10040", "P2P_EXPORTER_LOCALAI_ULR": "", "P2P_EXPORTER": "x"}
    environ |= {"PATH": "x", "LOCALAI_URL": "x", "LOCALAI_API_KEY": "x", "p2p_exporter_x": "x"}
    assert unknown_variables(environ) == ["P2P_EXPORTER_LOCALAI_ULR", "P2P_EXPORTER_PORT"]


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_documented(flag: Flag) -> None:
    assert re.fullmatch(r"[A-Z].+\.", flag.text)
    assert "%" not in flag.text + flag.default
    assert flag.variable == variable(flag.name)
    assert re.fullmatch(r"[A-Z]*", flag.metavar)
    # No secret is a flag: whoever lists processes would read it. A file that holds one may be.
    assert not re.search(r"key|password|secret", flag.name) or flag.metavar == "FILE"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_flag_of_the_command_and_its_variable(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"], {})
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(len(line) for line in out.splitlines()) <= 80
    words, command = " ".join(out.split()), COMMANDS[name]
    known = [flag for flag in FLAGS if flag.name.startswith(tuple(command.flags))]
    for flag in known:
        assert f"--{flag.name} {flag.metavar}".strip() + f" {flag.text}" in words
        assert f"${flag.variable}" in words
        default = command.defaults.get(flag.variable, flag.default)
        assert f"Default: {default}." in words or default in ("", "none", "false")
    for flag in set(FLAGS) - set(known):
        assert f"--{flag.name} " not in words
        assert f"${flag.variable}" not in words
    titles = {group for group, title in GROUPS.items() if f"\n{title}:\n" in out}
    assert titles == {flag.group for flag in known}
    for option in command.options:
        assert f"--{option.name} {option.metavar}".strip() + f" {option.text}" in words
    for other, listed in COMMANDS.items():
        assert f"{other} {listed.text}" in words


def test_every_group_of_flags_has_a_title() -> None:
    assert {flag.group for flag in FLAGS} == set(GROUPS)


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.choices], ids=lambda flag: flag.name)
def test_the_values_of_a_flag_are_those_that_it_takes(flag: Flag) -> None:
    assert [flag.parse(text) for text in flag.choices] == list(flag.choices)
    assert flag.default in flag.choices
    with pytest.raises(ValueError, match=", ".join(flag.choices)):
        flag.parse("another")


def test_a_single_poll_knows_the_flags_that_touch_it() -> None:
    left_out = {flag.name for flag in FLAGS if not flag.name.startswith(LOOP_FREE)}
    assert left_out == {
        "config.shard",
        "poll.interval",
        "poll.stale-after",
        "web.listen-address",
        "web.systemd-socket",
        "web.health-address",
        "web.telemetry-path",
        "web.config.file",
        "web.enable-lifecycle",
        "web.disable-exporter-metrics",
    }


class TestOneCommandsFlags:
    """A command reads the variables of the flags that it knows, and no others."""

    def test_a_single_poll_may_take_longer_than_any_interval(self) -> None:
        target = load_settings({"poll.timeout": ["20s"]}, {}, LOOP_FREE).target
        assert target.poll_timeout == 20.0

    def test_what_a_command_does_not_know_cannot_be_wrong(self) -> None:
        environ = {"P2P_EXPORTER_POLL_INTERVAL": "banana", "LOCALAI_API_KEY": "a,b", "P2P_EXPORTER_LOG_LEVEL": "warn"}
        settings = load_settings({}, environ, ("log.",))
        assert (settings.log_level, settings.target) == ("warn", Settings().target)
