"""The guard of model archives: whatever an archive holds, no code of its maker runs, and a good one answers as before."""

import io
import json
import pickle
import zipfile
from random import Random

import numpy as np
import pytest
import torch
from torch import nn

from model_code import archive, export, runtime

WEIGHT, GRAPH = "data/weights/weight_0", archive.GRAPH


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, numbers, offsets):
        return self.layer(torch.relu(numbers) + offsets).to(torch.float64)


def random_inputs(rows):
    return tuple(np.random.default_rng(0).random((2, rows, 3), np.float32))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The members of a good archive by their names."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    export.export(Network(), folder, random_inputs)
    with zipfile.ZipFile(folder / archive.MODEL) as file:
        return {entry.filename: file.read(entry) for entry in file.infolist()}


def write(members, compression=zipfile.ZIP_STORED, extra=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in [*members.items(), *extra]:
            file.writestr(name, content)
    return buffer.getvalue()


def edit(members, name, old, new):
    content = members["model/" + name].decode()
    assert old in content
    return members | {"model/" + name: content.replace(old, new, 1).encode()}


class Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def hostile_archives(members, canary):
    code, pickled = f"open({str(canary)!r}, 'w')", pickle.dumps(Canary(canary), 0)
    symbol = "Symbol('s" + members["model/" + GRAPH].decode().split("Symbol('s")[1].split("'")[0] + "'"
    index = archive.WEIGHTS
    constants = {
        "config": {"c": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}
    }
    yield (
        "a pickle as a weight",
        edit(members | {"model/" + WEIGHT: pickled}, index, '"use_pickle": false', '"use_pickle":true'),
    )
    yield (
        "an opaque object",
        members
        | {
            "model/data/constants/opaque_obj_0": pickled,
            "model/" + archive.CONSTANTS: json.dumps(constants).encode(),
        },
    )
    yield "legacy weights", members | {"model/data/weights/model.pt": pickled}
    yield "sample inputs", members | {"model/data/sample_inputs/model.pt": pickled}
    yield "a compiled library", members | {"model/data/aotinductor/model/model.wrapper.so": b"\x7fELF"}
    yield "an extra file", members | {"model/extra/notes.txt": b"x"}
    yield "a size that is code", edit(members, GRAPH, symbol, code.replace('"', "'") + " or " + symbol)
    yield "a size that imports", edit(members, GRAPH, "Symbol(", "__import__('os').system('id') or Symbol(")
    yield "a guard that is code", edit(members, GRAPH, '"guards_code": ["', f'"guards_code": ["{code} or ')
    yield "a guard that calls", edit(members, GRAPH, ".size()", ".tofile()")
    relu = "torch.ops.aten.relu.default"
    for target in ("torch.hub.os.system", "torch.ops.aten.save", "torch.ops.aten.from_file.default", "builtins.open"):
        yield target, edit(members, GRAPH, relu, target)
    yield "a text as an argument", edit(members, GRAPH, '{"as_int": ', '{"as_string": "x", "as_int": ')
    yield "a name that is code", edit(members, GRAPH, '"numbers"', json.dumps(f"numbers={code}"))
    yield (
        "a custom object",
        edit(members, GRAPH, '"custom_obj_values": {}', '"custom_obj_values": {"o": {"class_fqn": "x"}}'),
    )
    yield "a tree of another type", edit(members, GRAPH, "builtins.dict", "collections.OrderedDict")
    yield "a weight larger than its file", edit(members, index, '"as_int": 3', '"as_int": 30000')
    yield "a weight with strides", edit(members, index, '"strides": [{"as_int": 3}', '"strides": [{"as_int": 0}')
    yield (
        "a name twice in an object",
        edit(members, index, '"use_pickle": false', '"use_pickle": true, "use_pickle": false'),
    )
    yield "deep JSON", members | {"model/" + GRAPH: b"[" * 100_000}
    yield "another folder", {name.replace("model/", "../model/", 1): content for name, content in members.items()}
    yield "a missing weight", {name: content for name, content in members.items() if not name.endswith(WEIGHT)}


def test_nothing_runs_what_an_archive_brings(model, tmp_path):
    path, canary = tmp_path / archive.MODEL, tmp_path / "canary"
    for name, members in hostile_archives(model, canary):
        path.write_bytes(write(members))
        with pytest.raises(ValueError, match="refused, since it is not as our export writes it"):
            runtime.load(path)
        assert not canary.exists(), name


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_two_readers_may_read_differently_is_refused(model):
    for content in (
        write(model, extra=[("model/" + WEIGHT, b"other")]),
        write(model, compression=zipfile.ZIP_DEFLATED),
        b"not a zip",
        b"",
    ):
        with pytest.raises(ValueError, match=r"twice in the archive|compressed|not a model archive"):
            archive.rebuild(content)


def test_a_rebuilt_archive_is_the_same_each_time_and_answers_as_before(model, tmp_path):
    content = write(model)
    assert archive.rebuild(archive.rebuild(content)) == archive.rebuild(content)
    (tmp_path / archive.MODEL).write_bytes(content)
    inputs = random_inputs(5)
    torch.manual_seed(0)
    expected = Network()(*map(torch.from_numpy, inputs)).detach().numpy()
    assert np.allclose(runtime.load(tmp_path / archive.MODEL)(*inputs), expected, atol=1e-6)


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3_000)])])
def test_mutated_archives_are_refused_or_answer_and_none_runs_code(model, tmp_path, count):
    chance = Random(count)  # noqa: S311 mutations need no secrecy
    path, canary = tmp_path / archive.MODEL, tmp_path / "canary"
    words = [
        f"__import__('os').system('touch {canary}')",
        "torch.ops.aten.save",
        "__class__",
        "",
        10**30,
        -1,
        None,
        [],
        {},
        True,
    ]
    good, refused = write(model), 0
    for _ in range(count):
        path.write_bytes(mutate(model, good, words, chance))
        try:
            runtime.load(path)(*random_inputs(4))
        except ValueError:
            refused += 1
        assert not canary.exists()
    assert refused > count / 2


def mutate(members, good, words, chance):
    """Return the archive with one flipped bit, or with one changed value, name or member and right checksums."""
    if chance.random() < 0.3:
        content = bytearray(good)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        return bytes(content)
    name = "model/" + chance.choice([GRAPH, GRAPH, archive.WEIGHTS])
    value = json.loads(members[name])
    parent = chance.choice(list(containers(value)))
    key = chance.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    match chance.randrange(3):
        case 0:
            parent[key] = chance.choice(words)
        case 1:
            del parent[key]
        case 2 if isinstance(parent, dict):
            parent[str(chance.choice(words))] = parent.pop(key)
        case _:
            parent[key] = [parent[key]]
    return write(members | {name: json.dumps(value).encode()})


def containers(value):
    """Yield every object and array that is not empty."""
    if isinstance(value, dict | list) and value:
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from containers(part)
