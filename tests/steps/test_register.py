"""What becomes of a model is a request in a file; the card beside it is for people."""

import json

import pytest
import yaml

from model_code.digest import directory_digest
from steps.cards.sagemaker import FILE
from steps.core import execute, step
from steps.journal import Journal, read_events
from steps.register import RegisterConfig, register

REGISTER = step(register)


def estimate(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def evaluation(**changes):
    metrics = {"roc_auc": estimate(0.81, 0.79, 0.83), "log_loss": estimate(0.4, 0.38, 0.42), "f1": estimate(None)}
    part = {"value": "<script>alert(1)</script>|x", "rows": 90, "small": False, "metrics": metrics}
    return {
        "task": "binary-classification",
        "target": "late",
        "classes": ["no", "yes"],
        "rows": 500,
        "verdict": "pass",
        "reasons": [],
        "headline": "roc_auc",
        "metrics": metrics,
        "thresholds": [
            {
                "metric": "roc_auc",
                "wanted": "roc_auc >= 0.7",
                "at_least": 0.7,
                "slice": None,
                "on": "interval",
                **metrics["roc_auc"],
                "met": True,
                "reason": None,
            }
        ],
        "yardsticks": {"constant": {name: estimate(0.5, 0.5, 0.5) for name in metrics}},
        "champion": {"metrics": metrics},
        "comparisons": {
            "constant": {"metric": "roc_auc", "difference": estimate(0.31, 0.29, 0.33), "better": "model"},
            "champion": {"metric": "roc_auc", "difference": estimate(0.0, -0.1, 0.1), "better": "neither"},
        },
        "slices": {"region": [part, {**part, "value": "tiny", "rows": 4, "small": True}]},
        "calibration": {"bins": [], "expected_calibration_error": 0.12},
        "confusion": None,
        "residuals": None,
        "interval": {
            "method": "bootstrap",
            "level": 0.95,
            "resamples": 1000,
            "seed": 0,
            "resampled": "days of day",
            "drawn": 40,
        },
        "data": {"train_rows": 2000, "train_digest": "t", "test_rows": 500, "test_digest": "s"},
        "notes": ["the champion was not compared: it is older"],
        **changes,
    }


@pytest.fixture
def place(tmp_path):
    """The inputs of register; returns a function that runs it and returns the request, the card and the journal."""

    def go(document=None, *, smoke=False, **answers):
        directories = {name: tmp_path / name for name in (*REGISTER.inputs, *REGISTER.outputs)}
        for directory in directories.values():
            directory.mkdir(exist_ok=True)
        words = {name: name.upper() for name in ("question", "decision", "owner", "cost_of_error")}
        words |= answers
        problem = {"name": "late-flights", **words, "task": "binary-classification", "target": "late", "success": []}
        schema = {
            "task": "binary-classification",
            "target": "late",
            "architecture": "mlp",
            "classes": ["no", "yes"],
            "inputs": [
                {"name": "x_1", "type": "float", "kind": "numeric"},
                {"name": "a|b", "type": "category", "kind": "category", "vocabulary": ["SECRET"]},
            ],
        }
        contents = {
            ("card", "problem.json"): problem,
            ("model", "schema.json"): schema,
            ("model", "training.json"): {"chosen": "mlp", "why": "best of 2"},
            ("validation", "results.json"): {
                "passed": True,
                "rows": 2500,
                "expectations": 9,
                "failed": {"warning": 1},
                "results": [],
            },
            ("division", "split.json"): {
                "by": "time",
                "column": "day",
                "test_fraction": {"wanted": 0.2, "found": 0.2},
                "rows": {"train": {"rows": 2000, "digest": "t"}, "test": {"rows": 500, "digest": "s"}},
                "findings": [{"check": "proxy", "level": "warning", "text": "column z is close to the target"}],
            },
            ("evaluation", "evaluation.json"): document or evaluation(),
        }
        for (artifact, file), content in contents.items():
            (directories[artifact] / file).write_text(json.dumps(content))
        (directories["model"] / "model.pt2").write_bytes(b"weights")
        journal = tmp_path / "journal.jsonl"
        journal.unlink(missing_ok=True)
        with Journal(journal) as log:
            execute(
                REGISTER, directories, RegisterConfig(name="late-flights", problem_digest="5ca1ab1e", smoke=smoke), log
            )
        output = directories["registration"]
        return (
            json.loads((output / "registration.json").read_text()),
            (output / "model_card.md").read_text(),
            list(read_events(journal)),
        )

    return go


def verdicts(events):
    return [event["verdict"] for event in events if event["kind"] == "verdict"]


def test_a_model_that_passed_asks_to_be_the_candidate(place, tmp_path):
    request, card, events = place()
    assert (request["name"], request["verdict"], request["alias"]) == ("late-flights", "pass", "candidate")
    assert request["tags"]["model_digest"] == directory_digest(tmp_path / "model")
    assert request["tags"]["problem_digest"] == "5ca1ab1e"
    assert request["metrics"] == {"roc_auc": 0.81, "log_loss": 0.4}
    assert request["inputs"] == [{"name": "x_1", "type": "float"}, {"name": "a|b", "type": "category"}]
    assert [column["name"] for column in request["outputs"]] == ["prediction", "probability_no", "probability_yes"]
    assert verdicts(events) == ["pass"]
    assert "Pass, but it is no better than the current champion: the model kept its promise on the held-out" in card


def test_a_rejected_model_is_recorded_with_its_reasons_and_gets_no_alias(place):
    request, card, events = place(evaluation(verdict="rejected", reasons=["roc_auc >= 0.9: not met"]))
    assert (request["verdict"], request["alias"], request["tags"]["verdict"]) == ("rejected", None, "rejected")
    assert verdicts(events) == ["rejected"]
    assert "do not use it" in card
    assert "roc_auc &gt;= 0.9: not met" in card


def test_a_smoke_run_gets_no_alias_even_when_it_passes(place):
    request, card, _ = place(smoke=True)
    assert (request["verdict"], request["alias"], request["smoke"]) == ("pass", None, True)
    assert "Rehearsal on a small sample" in card


def test_a_model_for_which_nobody_answers_passes_and_is_no_candidate(place):
    request, card, events = place(owner="to be written: the role that owns that decision")
    assert (request["verdict"], request["alias"]) == ("pass", None)
    assert "It is not a candidate: nobody answers for it yet." in card
    (warning,) = (event["text"] for event in events if event["kind"] == "note" and event["level"] == "warning")
    assert warning.endswith("still to be written: owner")


def test_the_card_holds_what_a_stranger_needs(place):
    _, card, _ = place()
    for words in (
        "QUESTION",
        "OWNER",
        "COST_OF_ERROR",
        "0.810 (0.790 to 0.830)",
        "at least 0.7, judged on the lower end of the 95 % interval",
        "Better than a constant prediction: ROC AUC +0.310",
        "No clear difference from the current champion",
        "split by time (day)",
        "9 expectations checked on the data, 1 not met",
        "best of 2",
        "off by 12.0 percentage points",
        "column z is close to the target",
        "The champion was not compared",
        "resamples of days of day",
        "1 segment has too few rows",
        "undefined",
    ):
        assert words in card, words


def test_the_card_shows_no_markup_from_data_and_no_vocabulary(place):
    _, card, _ = place()
    assert "<script>" not in card
    assert "a\\|b" in card
    assert "SECRET" not in card


def test_the_same_inputs_give_the_same_bytes(place, tmp_path):
    place()
    first = {path.name: path.read_bytes() for path in (tmp_path / "registration").iterdir()}
    place()
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "registration").iterdir()}


def test_a_model_digest_sees_names_and_contents(tmp_path):
    directory = tmp_path / "m"
    (directory / "deep").mkdir(parents=True)
    (directory / "a").write_bytes(b"1")
    (directory / "deep" / "b").write_bytes(b"2")
    first = directory_digest(directory)
    (directory / "a").rename(directory / "c")
    second = directory_digest(directory)
    (directory / "c").write_bytes(b"3")
    assert len({first, second, directory_digest(directory)}) == 3


USES = {
    "intended_users": "INTENDED\n---\nevil: true",
    "out_of_scope": "<script>alert(1)</script> OUT_OF_SCOPE",
    "data_license": "CC0-1.0 [p](http://evil.example/x.png)",
}


def test_the_card_says_who_may_use_the_model_for_what_and_that_nobody_said_so(place):
    _, card, _ = place(**USES)
    for words in ("**Intended users:** INTENDED --- evil: true", "OUT_OF_SCOPE", "CC0-1.0"):
        assert words in card
    assert "<script>" not in card
    assert r"\[p\](http&#58;//evil" in card
    assert place()[1].count("not recorded") == len(USES)


def test_the_card_begins_with_metadata_for_hugging_face(place):
    _, card, _ = place(**USES)
    start, metadata, text = card.split("---\n", 2)
    assert start == ""
    assert text.startswith("\n# late-flights")
    parsed = yaml.safe_load(metadata)
    assert (parsed["library_name"], parsed["pipeline_tag"]) == ("fourscore", "tabular-classification")
    (index,) = parsed["model-index"]
    (result,) = index["results"]
    assert index["name"] == "late-flights"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {"roc_auc": 0.81, "log_loss": 0.4}
    assert "evil" not in parsed
    assert "model-index" not in yaml.safe_load(place(smoke=True)[1].split("---\n")[1])


def test_sagemaker_reads_the_card_whatever_its_texts_are(place, tmp_path):
    shapes = pytest.importorskip("sagemaker.core.shapes.model_card_shapes")
    for answers in (USES, {"question": "q" * 9000, "decision": "\u202e" * 3000, "owner": "o" * 2000}):
        place(**answers)
        text = (tmp_path / "registration" / FILE).read_text(encoding="utf-8")
        card = shapes.ModelCardContent.model_validate(json.loads(text))
        assert len(text) < 100_000
    place(**USES)
    content = json.loads((tmp_path / "registration" / FILE).read_text(encoding="utf-8"))
    assert set(content) == set(shapes.ModelCardContent.model_fields)
    (details,) = content["evaluation_details"]
    assert details["metric_groups"][0]["metric_data"][0]["value"] == 0.81
    assert card.model_overview.problem_type == "binary-classification"
    assert "OUT_OF_SCOPE" in content["additional_information"]["custom_details"]["Out of scope"]
