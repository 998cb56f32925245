"""The examples of docs/embedding.md that are files, on real servers."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from procession.journal.ownership import holder_of
from tests.embed.documented import Server, serving, wait_until, wait_until_it_listens, write_files
from tests.ports import free_port

CONFIRMED = {"status": "ended", "outcome": "confirmed"}
BIND = ("--bind", "127.0.0.1:PORT")
END_S_MAX = 20
"""Under the 30 s after which gunicorn kills its workers."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def take_and_confirm(server: Server) -> None:
    wait_until_it_listens(server)
    with httpx.Client(base_url=server.url, timeout=30) as client:
        assert client.post("/orders/421").status_code == 202
        wait_until(client, "/orders/421", CONFIRMED)


def is_closed(folder: Path) -> bool:
    """The journal was closed in order."""
    return holder_of(str(folder / "orders.db")) is None


def test_fastapi_on_uvicorn(folder: Path) -> None:
    with serving(folder, "uvicorn", "service:app", "--host", "127.0.0.1", "--port", "PORT") as server:
        take_and_confirm(server)
        assert httpx.get(f"{server.url}/orders/9", timeout=30).status_code == 404
        assert server.terminate() < END_S_MAX
    assert is_closed(folder)


@pytest.mark.slow
def test_flask_under_gunicorn_with_one_worker_and_threads(folder: Path) -> None:
    with serving(folder, "gunicorn", *BIND, "--workers", "1", "--threads", "8", "shop:app") as server:
        take_and_confirm(server)
        assert server.terminate() < END_S_MAX
    assert is_closed(folder)


@pytest.mark.slow
def test_flask_under_gunicorn_with_two_workers_and_an_owner(folder: Path) -> None:
    with serving(folder, "owner.py") as owner:
        with serving(folder, "gunicorn", *BIND, "--workers", "2", "workers:app") as server:
            take_and_confirm(server)
            with httpx.Client(base_url=server.url, timeout=30) as client:
                assert {client.post(f"/orders/{number}").status_code for number in range(50)} == {202}
                wait_until(client, "/orders/49", CONFIRMED)
                assert owner.terminate() < END_S_MAX
                assert client.post("/orders/50").status_code == 202
            with serving(folder, "owner.py"), httpx.Client(base_url=server.url, timeout=30) as client:
                wait_until(client, "/orders/50", CONFIRMED)
        assert owner.said() == ""
    assert is_closed(folder)


@pytest.mark.slow
def test_a_second_worker_is_refused_and_named_the_first(folder: Path) -> None:
    with serving(folder, "gunicorn", *BIND, "--workers", "2", "shop:app") as server:
        assert server.process.wait(50) != 0
        assert "orders.db is owned by process" in server.said()


@pytest.mark.slow
def test_a_worker_that_was_forked_after_the_start_says_so(folder: Path) -> None:
    with serving(folder, "gunicorn", *BIND, "--workers", "1", "--preload", "shop:app") as server:
        wait_until_it_listens(server)
        assert httpx.post(f"{server.url}/orders/421", timeout=30).status_code == 500
        assert "open a runtime after the fork" in server.said()


@pytest.mark.slow
def test_a_trio_service(folder: Path) -> None:
    port, file = free_port(), folder / "listener.py"
    file.write_text(file.read_text("utf-8").replace("8400", str(port)), "utf-8")
    with serving(folder, "listener.py", port=port) as server:
        wait_until_it_listens(server)
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(b"421\n422\n421\n")
            answers = client.makefile("rb")
            assert [answers.readline() for _ in range(3)][::2] == [b"1\n", b"1\n"]
            assert server.terminate() < END_S_MAX
        assert server.process.returncode == 0
    assert is_closed(folder)
