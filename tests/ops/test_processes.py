"""Who holds a port or a file is named with process and command."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import UserError
from ops.listen import bind, free_port, is_free
from ops.processes import command_of, listener, lock_holder
from tests.ops.conftest import ARMS, Said

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc")


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listener_is_found(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as sock:
        try:
            sock.bind((host, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        sock.listen()
        holder = listener(sock.getsockname()[1])
    assert holder is not None
    assert holder.pid == os.getpid()
    assert holder.command == command_of(os.getpid())


def test_nobody_listens_on_a_free_port() -> None:
    assert listener(free_port("127.0.0.1")) is None


def test_a_taken_port_is_refused_naming_the_process() -> None:
    with bind("127.0.0.1", 0, "x") as sock:
        port = sock.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        with pytest.raises(
            UserError, match=rf"port {port} is taken by process {os.getpid()} \(.*set \[service\] api_port"
        ):
            bind("127.0.0.1", port, "[service] api_port")
    assert is_free("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"can't listen on 192\.0\.2\.1"):
        bind("192.0.2.1", 0, "[service] host")


def test_a_lock_is_found_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    assert lock_holder(path) is None
    code = (
        "import fcntl,sys; f=open(sys.argv[1],'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print('held',flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        holder = lock_holder(path)
        process.communicate("\n")
    assert holder is not None
    assert holder.pid == process.pid


@pytest.mark.parametrize(("command", "key"), [("serve", "api_port"), ("gateway", "gateway_port"), ("up", "api_port")])
def test_every_command_names_who_has_its_port(cli: Callable[..., Said], command: str, key: str) -> None:
    with bind("127.0.0.1", 0, "x") as sock:
        port = sock.getsockname()[1]
        Path("equipoise.toml").write_text(f"[service]\n{key} = {port}\n" + ARMS)
        said = cli(command)
    assert said.code == 2
    assert f"equipoise: port {port} is taken by process {os.getpid()}" in said.err
    assert f"[service] {key}" in said.err
