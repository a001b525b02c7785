"""client/host.py is one file on httpx and the standard library: copied into an empty folder it works there."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

from tests.client.fake_service import fake_service

HOST = Path(__file__).parents[2] / "client" / "host.py"


def test_it_imports_httpx_and_the_standard_library_only() -> None:
    imported = set()
    for node in ast.walk(ast.parse(HOST.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"httpx"}


def test_a_copy_of_it_works_alone(tmp_path: Path) -> None:
    shutil.copy(HOST, tmp_path / "equipoise_host.py")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from equipoise_host import Equipoise\n"
        "url, spool = sys.argv[2], sys.argv[1] + '/spool'\n"
        "host = Equipoise(url, 't', spool, key='ab' * 32, gateway_url=url, budget_s=5)\n"
        "arm = host.assign('run_1_abcdef')\n"
        "host.call('run_1_abcdef', arm, output='x')\n"
        "host.not_blocked('run_1_abcdef')\n"
    )
    with fake_service() as service:
        done = subprocess.run(
            [sys.executable, "-I", "-c", program, str(tmp_path), service.url],
            check=False, timeout=60, capture_output=True,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert [event.get("arm", event.get("kind")) for event in service.events()] == ["adapter", "not_blocked"]
