"""The page in a real Chromium: what its reader sees, hears and can do, whatever happens behind it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.browser import Browser, chromium
from support.localai import entry, generation_2
from support.processes import recorded, replaying, response
from support.web import ANY_PORT

from exporter.app import Exporter
from exporter.clock import Clock
from exporter.settings import Settings, Target
from exporter.simulator import Simulator, parse_scenario

pytestmark = [pytest.mark.grafana, pytest.mark.heavy]

SCRIPT = """
release v4.7.1
host gateway
worker gpu-01
worker gpu-01
worker studio mlx
worker pi skew 10m
"""

HEADLINE = "document.getElementById('headline').textContent"
AGE = "document.querySelectorAll('.row .age')[1].textContent"
TEXT = "document.getElementById('main').innerText"
SECTION = "[...document.querySelectorAll('#distributed > :is(h2, p)')].map((one) => one.innerText)"
"""What stands above the nodes of distributed mode, and below them."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def exporting(stack: ExitStack, **target: object) -> Exporter:
    """Start an exporter that polls often."""
    options = {"poll_interval": 0.25, "poll_timeout": 0.25, "stale_after": 2.0, **target}
    return started(stack, Settings(target=Target(**options), listen_addresses=(ANY_PORT,)))  # type: ignore[arg-type]


def started(stack: ExitStack, settings: Settings) -> Exporter:
    exporter = Exporter(settings, Clock.system())
    stack.callback(exporter.close)
    return exporter


def simulating(stack: ExitStack, script: str = SCRIPT) -> Simulator:
    return stack.enter_context(Simulator(parse_scenario(script)))


def rows(browser: Browser, kind: str = ".row") -> dict[str, list[str]]:
    """Return the cells of each row by its name."""
    cells = f"[...document.querySelectorAll('{kind}')].map((row) => [...row.children].map((cell) => cell.textContent))"
    return {name: rest for name, *rest in browser.evaluate(cells)}


def test_what_is_known_is_shown(browser: Browser, stack: ExitStack) -> None:
    exporter = exporting(stack, url=simulating(stack).url, expected={"worker": 5}, expected_hosts=("attic",))
    browser.open(exporter.urls[0])
    browser.until(f"{HEADLINE} === '4 of 5 expected workers online'")
    figures = browser.evaluate("[...document.querySelectorAll('dl > div')].map((one) => one.innerText)")
    assert figures[0].split("\n") == ["Workers", "4", "online of 4 known · 5 expected"]
    assert figures[1].split("\n")[:2] == ["Federated", "1"]
    assert figures[2].split("\n")[:2] == ["LocalAI", "v4.7.1"]
    shown = rows(browser)
    assert list(shown) == ["attic", "pi", "gateway", "gpu-01", "studio"]
    assert shown["attic"][:2] == ["missing", "expected"]
    assert shown["gpu-01"][:2] == ["online", "2 of 2 nodes"]
    (doubted,) = rows(browser, ".node").values()
    assert doubted[3].startswith("Its clock runs ahead by 9 min")
    assert browser.complaints == []


def test_it_keeps_itself_up_to_date(browser: Browser, stack: ExitStack) -> None:
    localai = simulating(stack)
    browser.open(exporting(stack, url=localai.url).urls[0])
    browser.until("document.querySelectorAll('.row').length === 4")
    browser.evaluate("window.stayed = document.querySelector('.row'); 1")
    age = browser.evaluate(AGE)
    localai.apply("worker nuc")
    browser.until("document.querySelectorAll('.row').length === 5")
    browser.until(f"{AGE} !== {json.dumps(age)}")
    assert browser.evaluate("window.stayed === document.querySelector('.row')")


def test_a_strangers_text_stays_text(browser: Browser, stack: ExitStack) -> None:
    hostile = "<script>window.owned=1</script><img src=x onerror=window.owned=1>"
    ids = [f"{hostile}-a", f"{'long' * 30}-b", "\u202eevil\ud800-c"]
    answers = {path: response(json.dumps(body)) for path, body in generation_2([entry(one) for one in ids], []).items()}
    localai = stack.enter_context(replaying(answers))
    browser.open(exporting(stack, url=localai.url).urls[0], width=360)
    browser.until("document.querySelectorAll('.row').length === 3")
    assert hostile in rows(browser)
    assert browser.evaluate("[typeof owned, document.querySelectorAll('img, script').length]") == ["undefined", 1]
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    assert browser.complaints == []


def test_an_outage_of_localai_and_its_end(browser: Browser, stack: ExitStack) -> None:
    localai = simulating(stack)
    browser.open(exporting(stack, url=localai.url).urls[0])
    browser.until("document.querySelectorAll('.row').length === 4")
    with localai.outage():
        browser.until(f"{HEADLINE} === 'LocalAI could not be read'")
        assert "Check that LocalAI runs" in browser.evaluate("document.getElementById('advice').innerText")
        browser.until(f"{TEXT}.includes('Nothing is known of the cluster now')")
        assert browser.evaluate("document.getElementById('hosts').hidden")
        assert browser.evaluate("document.querySelector('dd.figure').textContent") == "unknown"
    browser.until(f"{HEADLINE} !== 'LocalAI could not be read'")
    browser.until("document.querySelectorAll('.row').length === 4")
    assert browser.evaluate("document.getElementById('advice').hidden")


def test_a_dead_exporter_is_said(browser: Browser, stack: ExitStack) -> None:
    exporter = exporting(stack, url=simulating(stack).url)
    browser.open(exporter.urls[0])
    browser.until("document.querySelectorAll('.row').length === 4")
    exporter.close()
    browser.until(f"{HEADLINE} === 'The exporter does not answer'")
    assert "may have changed since" in browser.evaluate(TEXT)
    assert {status for status, *_ in rows(browser).values()} == {"was online"}
    browser.until("document.getElementById('pulse').textContent.startsWith('no answer for')")


def test_of_two_thousand_nodes_only_what_changed_is_touched(browser: Browser, stack: ExitStack) -> None:
    localai = simulating(stack, "release v4.7.1\nhost gateway\nworkers 2000\n")
    browser.open(exporting(stack, url=localai.url, poll_interval=5.0, poll_timeout=5.0, stale_after=60.0).urls[0])
    browser.until("document.querySelectorAll('.row').length === 2001")
    touched = browser.evaluate(
        """(() => {
          const observer = new MutationObserver(() => {});
          observer.observe(document.body, { childList: true, subtree: true, attributes: true });
          answer.nodes[0].online = false;
          show();
          return observer.takeRecords().filter((record) => !record.target.closest('.age, #pulse')).length;
        })()"""
    )
    # Its row in another place, colour and words; the headline, and what stands beside it.
    assert 0 < touched < 20


def test_a_keyboard_is_enough(browser: Browser, stack: ExitStack) -> None:
    browser.open(exporting(stack, url=simulating(stack).url).urls[0])
    browser.until("document.querySelectorAll('.row').length === 4")
    focused = "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
    browser.press("Tab")
    assert browser.evaluate(focused) == "skip"
    browser.press("Enter")
    assert browser.evaluate(focused) == "main"
    browser.press("Tab")
    assert browser.evaluate("document.activeElement === document.querySelector('summary')")
    is_open = "document.querySelector('details').open"
    before = browser.evaluate(is_open)
    browser.press("Enter")
    assert browser.evaluate(is_open) is not before
    # What is focused stays so, while its row moves.
    browser.evaluate("document.querySelectorAll('summary')[2].focus(); window.held = document.activeElement; 1")
    browser.evaluate(
        "answer.nodes.forEach((one) => { one.online = one.host !== held.firstChild.textContent; }); show(); 1"
    )
    assert browser.evaluate("document.activeElement === held && held === document.querySelector('summary')")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_fault(browser: Browser, stack: ExitStack, *, dark: bool) -> None:
    localai = simulating(stack)
    exporter = exporting(stack, url=localai.url, expected={"worker": 5}, expected_hosts=("attic",))
    browser.open(exporter.urls[0], dark=dark)
    browser.until("document.querySelectorAll('.row').length === 5")
    assert browser.axe() == []
    with localai.outage():
        browser.until(f"{HEADLINE} === 'LocalAI could not be read'")
        assert browser.axe() == []
    exporter.close()
    browser.until(f"{HEADLINE} === 'The exporter does not answer'")
    assert browser.axe() == []
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light is not dark


def test_many_targets_are_a_list_that_leads_to_each(browser: Browser, stack: ExitStack, tmp_path: Path) -> None:
    file = tmp_path / "targets.yml"
    lines = [f"- {{name: {name}, url: '{simulating(stack).url}', poll_interval: 250ms}}" for name in ("home", "work")]
    file.write_text("\n".join(["targets:", *lines, "- {name: gone, url: 'http://127.0.0.1:9', poll_interval: 250ms}"]))
    url = started(stack, Settings(config_file=file, listen_addresses=(ANY_PORT,))).urls[0]
    browser.open(url)
    browser.until(f"{HEADLINE} === 'Of 3 targets 1 not read'")
    shown = rows(browser)
    assert list(shown) == ["gone", "home", "work"]
    assert shown["home"][:2] == ["read", "4 of 4 worker, 1 of 1 federated"]
    assert "Check that LocalAI runs" in shown["gone"][3]
    assert browser.axe() == []
    browser.open(browser.evaluate("document.querySelectorAll('a.name')[1].href"))
    browser.until("document.querySelectorAll('.row').length === 4")
    assert browser.evaluate("document.getElementById('target').textContent") == "home"
    assert browser.evaluate("document.getElementById('metrics').href") == f"{url}/probe?target=home"
    browser.open(f"{url}/?target=nobody")
    browser.until(f"{HEADLINE} === 'The exporter watches no target of this name'")


def test_distributed_mode_has_a_section(browser: Browser, stack: ExitStack) -> None:
    localai = simulating(stack, f"{SCRIPT}distributed on\nnode rack-01\n")
    browser.open(exporting(stack, url=localai.url, collect_distributed=True, stale_after=5.0).urls[0])
    browser.until("document.querySelectorAll('#distributed .row').length === 1")
    assert list(rows(browser, "#distributed .row")) == ["rack-01"]
    assert browser.evaluate(SECTION) == ["Distributed mode 1", ""]
    assert browser.axe() == []
    with localai.outage():
        browser.until(f"{SECTION}[0] === 'Distributed mode 1 · not read'")
        # What to do is said once, at the top.
        assert browser.evaluate(SECTION)[1] == ""
        # Of nodes of which nothing is known any more there is no number.
        browser.until(f"{SECTION}[0] === 'Distributed mode not read'")
    browser.until(f"{SECTION}[0] === 'Distributed mode 1'")


def test_what_to_do_for_distributed_mode_alone_stands_below_it(browser: Browser, stack: ExitStack) -> None:
    broken = {"/api/nodes": response("{}", "500 Internal Server Error")}
    localai = stack.enter_context(replaying(recorded("v4.7.1/cluster") | broken))
    browser.open(exporting(stack, url=localai.url, collect_distributed=True).urls[0])
    browser.until(f"{SECTION}[0] === 'Distributed mode not read'")
    assert "look at LocalAI's log" in browser.evaluate(SECTION)[1]
    assert browser.evaluate("document.getElementById('advice').hidden")
