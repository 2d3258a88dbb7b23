"""Each panel shows the right number of what Prometheus has stored; promtool's own engine computes it."""

import json
import subprocess
from pathlib import Path

import pytest
from support.dashboard import DISTRIBUTED, P2P, Sheet
from support.dashboard_cases import AFTER_SECONDS, CASES, MINUTES, SCRAPE_SECONDS, Case
from support.distributed_dashboard_cases import CASES as DISTRIBUTED_CASES
from support.prometheus import tool


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("sheet", "case"),
    [*((P2P, case) for case in CASES), *((DISTRIBUTED, case) for case in DISTRIBUTED_CASES)],
    ids=lambda value: f"{value.query}: {value.name}" if isinstance(value, Case) else str(value),
)
def test_a_query_answers(sheet: Sheet, case: Case, tmp_path: Path) -> None:
    test = {
        "interval": f"{SCRAPE_SECONDS}s",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": sheet.filled(sheet.asked(case.query), case.chosen),
                # Between two scrapes: whether a window holds the sample at its beginning is no matter of the dashboard.
                "eval_time": f"{MINUTES * 60 + AFTER_SECONDS}s",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in case.expected.items()],
            }
        ],
    }
    file = tmp_path / "case.test.yml"
    file.write_text(json.dumps({"rule_files": [], "tests": [test]}), "utf-8")  # JSON is YAML
    done = subprocess.run([tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
