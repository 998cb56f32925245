"""What a second process finds around it, and how a turn that comes out differently is told."""

from __future__ import annotations

import pytest

from procession.engine.shadow import Answer, Reply, Unshadowed, child_environment, judged

HERE = Answer(handler="paid", outcome=None, effects=[{"command": "shop.ship", "key": "a"}], state={"paid": True})


def reply(first: Answer = HERE, second: Answer = HERE, changed: str = "") -> Reply:
    return Reply(runs=[first, second], changed=changed)


def other(**fields: object) -> Answer:
    return {**HERE, **fields}  # type: ignore[typeddict-item]  # one field differs


def test_each_process_has_a_hash_seed_of_its_own() -> None:
    ours = {"PYTHONHASHSEED": child_environment(1, {})["PYTHONHASHSEED"]}
    seeds = [child_environment(number, ours)["PYTHONHASHSEED"] for number in range(16)]
    assert len({*seeds, ours["PYTHONHASHSEED"]}) == 17


def test_the_time_zone_is_another() -> None:
    first = child_environment(0, {})["TZ"]
    assert child_environment(0, {"TZ": first})["TZ"] != first


def test_the_rest_of_the_environment_is_there_for_modules_to_be_imported() -> None:
    assert child_environment(0, {"SHOP_URL": "https://shop.example"})["SHOP_URL"] == "https://shop.example"


def test_what_comes_out_the_same_is_well() -> None:
    assert judged(HERE, reply()) == ""


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (reply(other(effects=[{"command": "shop.ship", "key": "b"}])), 'has effect 0 (command shop.ship) with key "a"'),
        (reply(other(effects=[])), "has effects ["),
        (reply(other(outcome="paid")), 'has the outcome null, but "paid" in a second process'),
        (reply(other(handler="begun")), 'has the handler "paid", but "begun"'),
        (reply(other(state={"paid": False})), "has the state with paid true, but false"),
        (reply(Answer(failed="no such order")), "fails with no such order in a second process"),
        (reply(second=other(outcome="paid")), 'has the outcome null, but "paid" when it runs once more'),
        (reply(changed="event"), "changes its event in place"),
    ],
)
def test_what_differs_is_told_by_its_smallest_part(found: Reply, told: str) -> None:
    assert judged(HERE, found).startswith(told)


def test_what_did_not_run_is_no_difference() -> None:
    with pytest.raises(Unshadowed, match="no such module"):
        judged(HERE, Reply(unshadowed="no such module"))
