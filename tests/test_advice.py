import re

import pytest

from exporter.advice import advise
from exporter.errors import PollError, Reason
from exporter.flags import API_KEY_VARIABLE, FLAGS

CHECKS = {
    Reason.DNS: "reachable",
    Reason.CONNECT: "reachable",
    Reason.TLS: "reachable",
    Reason.TIMEOUT: "reachable",
    Reason.PROTOCOL: "reachable",
    Reason.REDIRECT: "reachable",
    Reason.AUTH: "key",
    Reason.HTTP_STATUS: "api",
    Reason.NOT_JSON: "api",
    Reason.SHAPE: "api",
    Reason.TOO_LARGE: "api",
    Reason.INTERNAL: "api",
}


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("status", [None, 301, 401, 403, 404, 407, 500, 502])
def test_every_failure_has_a_check_and_advice_in_a_sentence(reason: Reason, status: int | None) -> None:
    check, advice = advise(PollError(reason, "detail", status))
    assert check == ("reachable" if (reason, status) == (Reason.HTTP_STATUS, 407) else CHECKS[reason])
    assert re.fullmatch(r"[A-Z].+\.", advice)


def test_advice_names_only_flags_and_variables_that_exist() -> None:
    failures = [PollError(reason, "x", status) for reason in Reason for status in (None, 401, 403, 404, 500)]
    texts = [advise(failure, has_key=has, has_proxy=not has)[1] for failure in failures for has in (True, False)]
    named = {match for text in texts for match in re.findall(r"--([a-z.-]+[a-z])", text)}
    assert "localai.url" in named
    assert named <= {flag.name for flag in FLAGS}
    variables = {match for text in texts for match in re.findall(r"variable ([A-Z_]+)", text)}
    assert variables == {API_KEY_VARIABLE}


@pytest.mark.parametrize(
    ("reason", "status", "has_key", "words"),
    [
        (Reason.AUTH, 401, False, "LocalAI wants a key"),
        (Reason.AUTH, 401, True, "LocalAI does not know this key"),
        (Reason.AUTH, None, True, "Check that the file of --localai.api-key-file"),
        (Reason.AUTH, 403, True, "admin's key"),
        (Reason.AUTH, 403, False, "admin's key"),
        (Reason.HTTP_STATUS, 407, True, "Let the proxy pass the exporter on"),
        (Reason.HTTP_STATUS, 404, True, "No P2P API is at this URL"),
        (Reason.HTTP_STATUS, 500, True, "P2P subsystem is not available"),
        (Reason.HTTP_STATUS, 502, True, "cannot answer now"),
    ],
)
def test_the_status_sharpens_the_advice(reason: Reason, status: int | None, has_key: bool, words: str) -> None:
    assert words in advise(PollError(reason, "detail", status), has_key=has_key)[1]


@pytest.mark.parametrize("reason", [Reason.DNS, Reason.CONNECT, Reason.TIMEOUT, Reason.PROTOCOL])
def test_through_a_proxy_its_flag_is_named(reason: Reason) -> None:
    error = PollError(reason, "detail")
    assert "--localai.proxy-url" in advise(error, has_proxy=True)[1]
    assert "--localai.proxy-url" not in advise(error)[1]


def test_a_proxy_changes_nothing_in_what_localai_itself_answered() -> None:
    for reason, status in ((Reason.AUTH, 401), (Reason.HTTP_STATUS, 404), (Reason.SHAPE, None)):
        error = PollError(reason, "detail", status)
        assert advise(error, has_proxy=True) == advise(error)
