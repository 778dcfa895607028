"""Only tests that are marked for it start servers, so that ``-m "not server"`` starts none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import harness
from tests.servers.harness import SERVERS, ServerKind, running


@pytest.mark.skipif(not SERVERS, reason="no servers are wanted here")
def test_no_server_is_started_without_the_mark(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="marked"), running(SERVERS[0], tmp_path):
        pass
    with pytest.raises(AssertionError, match="marked"):
        SERVERS[0].tool("check-rdb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_test_that_is_given_a_kind_of_server_is_marked(kind: ServerKind, request: pytest.FixtureRequest) -> None:
    mark = request.node.get_closest_marker("server")
    assert mark.args == (kind.name,)
    harness.check_permission()


def test_servers_are_started_by_the_harness_alone() -> None:
    """The programs are named nowhere else, so nothing gets around it."""
    tests = Path(__file__).resolve().parents[1]
    named = {
        str(path.relative_to(tests))
        for path in tests.rglob("*.py")
        if ".binary" in (text := path.read_text()).replace("st.binary", "").replace("binary_location", "")
        or '"redis-server"' in text
    }
    assert named - {"servers/test_harness.py"} == {"servers/harness.py", "bench/data.py"}
