"""`procession demo` and `procession new`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.daemon.command import CONFIG, ROOT, environment, run, run_json
from tests.daemon.inside import json_inside


def test_a_demo_runs_every_flow_with_failures_and_keeps_its_journal(tmp_path: Path) -> None:
    found = json_inside("demo", "--flows", "400", "--config", CONFIG, "--journal", "a.db", cwd=tmp_path)
    journal = found["journal"]
    assert set(journal["flows"]) == {"order", "provisioning", "batch", "loan_application"}
    assert sum(sum(statuses.values()) for statuses in journal["flows"].values()) == 400
    assert found["attempts_failed"] > 0
    assert journal["commands"].get("open", 0) == 0
    assert journal["commands"]["given_up"] > 0
    assert json_inside("ls", "--journal", "a.db", "--limit", "0", cwd=tmp_path)["more"] is False


def test_the_same_seed_makes_the_same_traffic(tmp_path: Path) -> None:
    first, again = (
        json_inside("demo", "--flows", "40", "--fast", "--config", CONFIG, "--journal", name, cwd=tmp_path)["journal"]
        for name in ("a.db", "b.db")
    )
    assert first["outcomes"] == again["outcomes"]
    assert first["events_by_type"] == again["events_by_type"]


def test_a_demo_goes_on_on_its_journal(tmp_path: Path) -> None:
    arguments = ("demo", "--flows", "40", "--fast", "--config", CONFIG, "--journal", "a.db")
    first = json_inside(*arguments, cwd=tmp_path)
    again = json_inside(*arguments, cwd=tmp_path)
    assert again["counters"]["events_accepted"] == 0
    assert again["journal"]["flows"] == first["journal"]["flows"]


def test_what_aggregates_decide_is_not_made_up(tmp_path: Path) -> None:
    (tmp_path / "stock.toml").write_text(f'modules = ["flows.stock"]\nimport_paths = ["{ROOT}"]\n')
    arguments = ("--flows", "20", "--fast", "--config", "stock.toml", "--journal", "a.db")
    journal = json_inside("demo", *arguments, cwd=tmp_path)["journal"]
    assert journal["outcomes"] == {"basket": {"unavailable": 20}}
    assert not {"inventory.reserved", "inventory.released"} & journal["events_by_type"].keys()


def test_a_demo_keeps_out_of_the_folder_of_the_projections(tmp_path: Path) -> None:
    (tmp_path / "stores").mkdir()
    (tmp_path / "shop.toml").write_text(
        f'modules = ["flows.order_fulfilment", "flows.order_overview"]\nimport_paths = ["{ROOT}"]\n'
        '[projectors]\nfolder = "stores"\n'
    )
    json_inside("demo", "--flows", "4", "--fast", "--config", "shop.toml", "--journal", "a.db", cwd=tmp_path)
    assert list((tmp_path / "stores").iterdir()) == []
    assert (tmp_path / "a.db.projections" / "order_overview-0001.db").exists()


def test_without_a_configuration_a_demo_runs_the_starter_flow_and_says_what_to_type_next(tmp_path: Path) -> None:
    done = run("demo", "--flows", "20", cwd=tmp_path, environ={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0
    said = done.stderr.decode()
    assert "starter flow" in said
    assert "procession ls --journal" in said
    made = next(tmp_path.glob("procession-demo-*/demo.db"))
    assert str(made) in said
    shown = said.split("procession show ")[1].split()[0]
    assert json_inside("show", shown, "--journal", made, cwd=tmp_path)["status"] in ("ended", "quarantined")


def test_a_new_project_works_as_it_is(tmp_path: Path) -> None:
    made = json_inside("new", "My Flows", cwd=tmp_path)
    assert made["next"][0] == "cd 'My Flows'"
    folder = tmp_path / "My Flows"
    assert 'name = "my-flows"' in (folder / "pyproject.toml").read_text()
    assert not any("{{" in file.read_text() for file in folder.rglob("*") if file.is_file())
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout.decode()
    assert run_json("demo", "--flows", "10", "--fast", cwd=folder)["journal"]["flows"].keys() == {"greeting"}


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    assert "not empty" in json_inside("new", ".", cwd=tmp_path, code=2)["error"]
    assert "is a file" in json_inside("new", "a.txt", cwd=tmp_path, code=2)["error"]
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
