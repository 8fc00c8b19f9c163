"""A fault happens to the jobs of its step, as often as it says."""

from infra.emulator.fault_injection import Fault, inject, take


def test_a_fault_is_taken_by_its_own_step_and_kind_only_as_often_as_it_says(workspace):
    path = workspace / "faults.json"
    assert take(path, "train", interruption=True) is None
    inject(path, Fault("train", times=2))
    inject(path, Fault("train", reason="CapacityError: none"))
    assert take(path, "assess", interruption=True) is None
    assert take(path, "train", interruption=False).reason == "CapacityError: none"
    assert take(path, "train", interruption=False) is None
    assert [bool(take(path, "train", interruption=True)) for _ in range(3)] == [True, True, False]
