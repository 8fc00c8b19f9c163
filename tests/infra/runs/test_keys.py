"""What a key was made of can be compared with what is on another machine."""

from importlib.metadata import version

from toy import CHAIN, StartConfig

from infra.runs.keys import Sources, differences, ingredients


def test_a_machine_with_other_code_or_packages_is_known_by_its_ingredients(tmp_path):
    made = ingredients(next(iter(CHAIN)), StartConfig(), {}, Sources(tmp_path / "memory.json"))
    assert differences(made) == []
    assert differences({**made, "code toy": "older", "package numpy": "0.1"}) == [
        f"code toy is {made['code toy']}, the plan has older",
        f"package numpy is {version('numpy')}, the plan has 0.1",
    ]
    assert differences({"code steps.gone": "digest"}) == ["code steps.gone is not there, the plan has digest"]
