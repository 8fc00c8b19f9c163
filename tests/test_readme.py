"""The README's commands and the examples do what the README says."""

import json
import re
import shlex
import shutil
from pathlib import Path

from cli import fourscore
from page_numbers import unsourced

from pipelines.pages.report.gather import gather

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(line, cwd):
    words = shlex.split(line, comments=True)
    assert words[0].endswith("fourscore")
    return fourscore(*words[1:], cwd=cwd)


def commands_of_one_minute():
    block = README.split("With your own data:", 1)[1].split("```", 2)[1]
    return [line.strip() for line in block.splitlines() if "fourscore" in line]


def test_the_first_minute_with_own_data(tmp_path):
    source = (ROOT / "tests/wrong_inputs/good/people.csv").read_text(encoding="utf-8")
    (tmp_path / "table.csv").write_text(source.replace("bought", "churned"), encoding="utf-8")
    ends = {}
    for line in commands_of_one_minute():
        # ui serves until it is stopped; tests/infra/tracking/test_follower.py starts it.
        result = run(f"{line.partition('#')[0]} --help" if " ui" in line else line, tmp_path)
        ends[line.split()[1]] = result.returncode
        assert "Traceback" not in result.stderr, result.stderr
    assert ends.pop("run") in (0, 3), "150 rows decide nothing, but they go through all stages"
    assert ends == {"new": 0, "report": 0, "ui": 0}
    assert list((tmp_path / ".fourscore/reports").glob("*.html"))


def test_every_command_that_the_readme_names_exists():
    listed = fourscore("--help", cwd=ROOT).stdout
    for name in set(re.findall(r"`?fourscore ([a-z]+)", README)):
        assert re.search(rf"^  {name} ", listed, re.MULTILINE), name


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    texts = [README, *((ROOT / name).read_text(encoding="utf-8") for name in ("ARCHITECTURE.md", "CONTRIBUTING.md"))]
    for target in set(re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", "\n".join(texts), re.MULTILINE)):
        name = next(filter(None, target))
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def check_numbers(place, run):
    """Check that every number of a report is one of the document that it comes from."""
    facts = gather(place / ".fourscore", run)
    listing, strangers = unsourced(facts.report_path.read_text(encoding="utf-8"), facts)
    assert strangers == []
    assert listing > 100


def test_the_diabetes_example_passes_and_its_model_beats_the_constant(tmp_path):
    result = run(
        f"fourscore run {shlex.quote(str(ROOT / 'examples/diabetes/problem.yaml'))} --no-tracking --json", tmp_path
    )
    document = json.loads(result.stdout)
    assert (result.returncode, document["verdict"]) == (0, "pass"), result.stderr
    assert document["metrics"]["model/r2"] > document["yardsticks"]["constant"]["r2"]
    check_numbers(tmp_path, document["run"])


def test_the_flights_example_goes_through_all_stages_on_a_sample(tmp_path):
    """The whole of it is `make demo`: a minute, so not here."""
    result = run(
        f"fourscore run {shlex.quote(str(ROOT / 'examples/flights/problem.yaml'))} --smoke --no-tracking --json",
        tmp_path,
    )
    document = json.loads(result.stdout)
    assert (result.returncode, document["verdict"]) == (0, "rehearsal"), result.stderr
    assert document["metrics"]["data/rows"] < 5000
    check_numbers(tmp_path, document["run"])
    features = json.loads((Path(tmp_path, document["model"]["path"]) / "schema.json").read_text())["numeric"]
    assert not {"dep_delay", "arr_delay", "air_time", "dep_time", "arr_time"} & set(features)


def test_an_example_runs_wherever_its_folder_is_put(tmp_path):
    shutil.copytree(ROOT / "examples/diabetes", tmp_path / "elsewhere")
    result = run("fourscore plan elsewhere/problem.yaml --json", tmp_path)
    assert result.returncode == 0, result.stderr
