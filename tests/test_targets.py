"""What the file of `--config.file` may say, and the words in which everything else is refused."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.prometheus import tool

from exporter.flags import FLAGS, TARGET
from exporter.settings import ApiKeyFile, Target
from exporter.targets import KEYS, NamedTarget, parse_targets
from exporter.usage import UsageError

CANARY = "sk-canary-7f3a"


def parsed(text: str, folder: Path = Path("/nowhere")) -> tuple[NamedTarget, ...]:
    return parse_targets(text.encode(), folder / "targets.yml")


def test_a_name_and_a_url_are_enough() -> None:
    (one,) = parsed("targets: [{name: home, url: 'http://ai:8080/'}]")
    assert (one.name, one.target, dict(one.labels)) == ("home", Target(url="http://ai:8080"), {})


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    (one,) = parsed(
        """
targets:
  - name: eu-1/gpu:3
    cluster: eu
    labels: {site: "1", rack_2: b}
    url: https://ai.example/x
    api_key_file: key
    tls_ca_file: ca.pem
    tls_cert_file: cert.pem
    tls_key_file: key.pem
    tls_insecure: true
    proxy_url: http://proxy:3128
    max_response_bytes: 1MiB
    poll_interval: 30s
    poll_timeout: 20s
    poll_stale_after: 5m
    node_retention: 1w
    node_limit: 10
    expect_workers: 3
    expect_federated: 0
    expect_host: [b, a, b]
    collector_token: yes
    collector_distributed: true
""",
        tmp_path,
    )
    assert one.target == Target(
        url="https://ai.example/x",
        api_key=ApiKeyFile(tmp_path / "key"),
        tls_ca_file=tmp_path / "ca.pem",
        tls_cert_file=tmp_path / "cert.pem",
        tls_key_file=tmp_path / "key.pem",
        tls_insecure=True,
        proxy_url="http://proxy:3128",
        max_response_bytes=2**20,
        poll_interval=30.0,
        poll_timeout=20.0,
        stale_after=300.0,
        node_retention=604_800.0,
        node_limit=10,
        expected={"worker": 3, "federated": 0},
        expected_hosts=("b", "a"),
        collect_token=True,
        collect_distributed=True,
    )
    assert one.name == "eu-1/gpu:3"
    assert one.labels == {"cluster": "eu", "site": "1", "rack_2": "b"}


def test_every_flag_of_a_target_is_a_key() -> None:
    assert [flag for flag in FLAGS if flag.name.startswith(TARGET)] == list(KEYS.values())
    assert "url" in KEYS
    assert not {"name", "cluster", "labels"} & set(KEYS)


def test_defaults_hold_where_a_target_says_nothing_else() -> None:
    defaults = "{poll_interval: 1m, expect_host: [a], collector_token: true}"
    first, second = parsed(
        f"""
defaults: {defaults}
targets:
  - {{name: a, url: "http://a"}}
  - {{name: b, url: "http://b", poll_interval: 20s, expect_host: [], collector_token: false}}
"""
    )
    assert first.target == Target(
        url="http://a",
        poll_interval=60.0,
        stale_after=240.0,
        expected_hosts=("a",),
        collect_token=True,
    )
    assert second.target == Target(url="http://b", poll_interval=20.0, stale_after=80.0)


def blocks(language: str) -> list[str]:
    """Return the examples of the page on this file in a language."""
    page = Path(__file__).parent.parent / "docs" / "targets.md"
    return [block.partition("```")[0] for block in page.read_text("utf-8").split(f"```{language}\n")[1:]]


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    (tmp_path / "eu-1.key").write_text("sk-1")
    first, second = parsed(blocks("yaml")[0], tmp_path)
    assert (first.name, second.name) == ("home", "eu-1")
    assert second.target.expected == {"worker": 8}
    assert second.labels == {"cluster": "eu", "site": "frankfurt"}


@pytest.mark.prometheus
def test_prometheus_takes_the_configurations_of_the_documentation(tmp_path: Path) -> None:
    configurations = blocks("yaml")[1:]
    assert len(configurations) == 2
    for text in configurations:
        (tmp_path / "prometheus.yml").write_text(text, "utf-8")
        subprocess.run([tool("promtool"), "check", "config", str(tmp_path / "prometheus.yml")], check=True)
    assert len(configurations[0].splitlines()) <= 5


def test_the_documentation_names_keys_that_are_there() -> None:
    page = (Path(__file__).parent.parent / "docs" / "targets.md").read_text("utf-8")
    named = set(re.findall(r"`((?:poll|node|expect|collector)_\w+|api_key_file|max_response_bytes)`", page))
    assert named
    assert named <= set(KEYS)


def target(more: str) -> str:
    return f"targets:\n  - name: home\n    url: http://ai\n    {more}\n"


KNOWN = ", ".join(sorted({"name", "cluster", "labels", *KEYS}))
SHARED = ", ".join(sorted(set(KEYS) - {"url"}))
NO_LIST = "names no target: put a list under the key targets, each with a name and a url"
NO_NAME = "must begin with a letter or digit, and have no more than 128 letters, digits and . _ : / -"
NO_LABEL = "has a name that is no label's: letters, digits and underscores, and no two at its beginning"
OVERRUN = "a poll has to end before the next one starts"

BAD: Mapping[str, tuple[str, ...]] = {
    "": (f"line 1: the file {NO_LIST}",),
    "targets:": (f"line 1: the file {NO_LIST}",),
    "targets: []": (f"line 1: the file {NO_LIST}",),
    "targets: home": ("line 1: targets must be a list",),
    "- a": ("line 1: the file must hold keys and their values",),
    "target: []": ("line 1: unknown key target: the file knows defaults, targets",),
    "targets: [home]": ("line 1: targets must hold keys and their values",),
    "a: [": ("line 1: this is not YAML",),
    "targets:\n- url: http://a": ("line 2: a target has no name: give it one, which becomes its label instance",),
    "targets:\n- name: a": ("line 2: target a has no url: say where its LocalAI is",),
    "targets:\n- name: a b\n  url: http://a": (f"line 2: name {NO_NAME}",),
    f"targets:\n- name: {'a' * 129}\n  url: http://a": (f"line 2: name {NO_NAME}",),
    "targets:\n- {name: a, url: 'http://a'}\n- {name: b, url: 'http://a'}\n- {name: a, url: 'http://b'}": (
        "line 4: the target a is there twice, first in line 2",
    ),
    target("url: http://b"): ("line 4: url is there twice, first in line 3",),
    target("api_key: sk-1"): (f"line 4: unknown key api_key: targets knows {KNOWN}",),
    target("poll_interval: 15"): (
        "line 4: poll_interval: '15' is no duration: write it as Prometheus does, for example 15s, 1m30s or 500ms",
    ),
    target("poll_interval:"): ("line 4: poll_interval is empty: give a value, or leave the key out",),
    target("poll_interval: [15s]"): ("line 4: poll_interval must be plain text",),
    target("poll_timeout: 30s"): (
        f"line 2: target home: poll_timeout 30s must be above 0 and no longer than poll_interval 15s: {OVERRUN}",
    ),
    target("expect_host: a"): ("line 4: expect_host must be a list",),
    target('expect_host: [" "]'): ("line 4: expect_host: a host name is empty",),
    target("collector_token: 1"): ("line 4: collector_token must be true or false",),
    target("node_limit: -1"): ("line 4: node_limit: '-1' is no whole number from 0 on",),
    target("tls_cert_file: /missing"): ("line 4: tls_cert_file: the file cannot be read (FileNotFoundError)",),
    target(f"tls_key_file: |\n      -----BEGIN PRIVATE KEY-----\n      {CANARY}"): (
        "line 4: tls_key_file: the file cannot be read (FileNotFoundError)",
    ),
    target("tls_ca_file: ca.pem"): ("line 4: tls_ca_file: /nowhere/ca.pem cannot be read (FileNotFoundError)",),
    target(f"api_key_file: {CANARY}"): (
        "line 2: target home: api_key_file: the file cannot be read (FileNotFoundError)",
    ),
    f"targets: [{{name: a, url: 'http://me:{CANARY}@ai'}}]": (
        "line 1: url: a user or password has no place in the URL: LocalAI's key goes into api_key_file",
    ),
    target("labels: a"): ("line 4: labels must hold keys and their values",),
    target("labels: {a-b: c}"): (f"line 4: labels: {NO_LABEL}",),
    target("labels: {__a: c}"): (f"line 4: labels: {NO_LABEL}",),
    target("labels: {instance: c}"): ("line 4: labels: cannot hold instance, which is the target's name",),
    target("labels: {host: c}"): ("line 4: labels: cannot hold host: the metrics have a label of that name",),
    target("labels: {le: c}"): ("line 4: labels: cannot hold le: the metrics have a label of that name",),
    target("labels: {a: [c]}"): ("line 4: labels: must be plain text",),
    target("{cluster: a, labels: {cluster: b}}")
    .replace("    {", "    ")
    .replace("}}", "}")
    .replace("cluster: a, ", "cluster: a\n    "): ("line 4: cluster is among the labels too: give it once",),
    f"defaults: {{url: 'http://a'}}\n{target('node_limit: 1')}": (f"line 1: unknown key url: defaults knows {SHARED}",),
    # All of it at once.
    "defaults: {node_limit: x}\ntargets:\n- {url: 'http://a'}\n- {name: a, poll_interval: 1, node_limit: y}\n": (
        "line 1: node_limit: 'x' is no whole number from 0 on",
        "line 3: a target has no name: give it one, which becomes its label instance",
        "line 4: poll_interval: '1' is no duration: write it as Prometheus does, for example 15s, 1m30s or 500ms",
        "line 4: node_limit: 'y' is no whole number from 0 on",
        "line 4: target a has no url: say where its LocalAI is",
    ),
}


@pytest.mark.parametrize(("text", "errors"), BAD.items(), ids=range(len(BAD)))
def test_what_cannot_be_used_is_said_in_these_words(text: str, errors: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(text)
    assert str(caught.value).splitlines() == [f"--config.file: /nowhere/targets.yml: {error}" for error in errors]
    assert CANARY not in str(caught.value)


def test_of_very_many_errors_the_first_are_said() -> None:
    with pytest.raises(UsageError) as caught:
        parsed("targets:\n" + "- {}\n" * 30)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 10 more errors"


@pytest.mark.generated
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["15s", "http://a", "a"]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["targets", "defaults", "name", "labels", *KEYS]) | st.text(max_size=4), inner
            )
        ),
        max_leaves=20,
    )
)
def test_any_document_is_targets_or_an_error_with_its_line(document: object) -> None:
    text = yaml.safe_dump(document, allow_unicode=True)
    try:
        found = parsed(text)
    except UsageError as error:
        assert all(line.startswith("--config.file: /nowhere/targets.yml: line ") for line in str(error).splitlines())
    else:
        assert found
