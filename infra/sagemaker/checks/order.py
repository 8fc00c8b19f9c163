"""The order of a definition's steps: dependencies that exist, no cycles, no waiting for a branch that may not be taken"""

from __future__ import annotations

from itertools import combinations

from infra.sagemaker.checks.expressions import Place, Scope
from infra.sagemaker.checks.faults import below, kind, shown
from steps.errors import near


def check_order(places: list[Place], scope: Scope) -> None:
    """DependsOn and references together: each step must be able to run, and to run after what it reads."""
    waits: dict[str, set[str]] = {name: set() for name in scope.steps}
    for place in places:
        name = place.step.get("Name")
        if not isinstance(name, str) or scope.steps.get(name) is not place:
            continue
        waits[name] = _depends_on(place, name, scope) | _refers_to(place, name, scope)
        if place.branch and place.step.get("Type") == "Condition":
            scope.sheet.error(
                place.path, f"condition {name!r} is in a branch of another, which the service does not take"
            )
        if place.branch and place.branch[-1][0] in scope.steps:
            waits[name].add(place.branch[-1][0])
    if _cycles(waits, scope):
        return
    _side_by_side(places, waits, scope)


def _depends_on(place: Place, name: str, scope: Scope) -> set[str]:
    named, path, sheet = place.step.get("DependsOn", []), below(place.path, "DependsOn"), scope.sheet
    if not isinstance(named, list):
        sheet.error(path, f"is {kind(named)}; wanted a list of names of steps")
        return set()
    found: set[str] = set()
    for index, each in enumerate(named):
        inside = below(path, index)
        if not isinstance(each, str) or each not in scope.steps:
            hint = near(each, list(scope.steps)) if isinstance(each, str) else ""
            sheet.error(inside, f"no step {shown(each)}{hint or '; there are: ' + ', '.join(scope.steps)}")
        elif each in found:
            sheet.error(inside, f"{each!r} is named twice")
        elif _can_wait(place, name, each, inside, scope):
            found.add(each)
    return found


def _can_wait(place: Place, name: str, other: str, path: str, scope: Scope) -> bool:
    target = scope.steps[other]
    if other == name:
        scope.sheet.error(path, f"step {name!r} waits for itself")
    elif target.step.get("Type") == "Fail":
        scope.sheet.error(path, f"{other!r} ends the execution: nothing can wait for it")
    elif target.step.get("Type") == "Condition":
        scope.sheet.error(
            path, f"{other!r} is a condition, which nothing can wait for; put {name!r} into its IfSteps or ElseSteps"
        )
    else:
        return _visible(place, name, other, path, scope)
    return False


def _refers_to(place: Place, name: str, scope: Scope) -> set[str]:
    found: set[str] = set()
    for other, path in scope.references.get(name, {}).items():
        if other == name:
            scope.sheet.error(path, f"step {name!r} refers to itself: its results are not there before it has run")
        elif _visible(place, name, other, path, scope):
            found.add(other)
    return found


def _visible(place: Place, name: str, other: str, path: str, scope: Scope) -> bool:
    branch = scope.steps[other].branch
    if branch == place.branch[: len(branch)]:
        return True
    condition, side = next(each for index, each in enumerate(branch) if place.branch[index : index + 1] != (each,))
    found = f"{other!r} runs only when condition {condition!r} is {'true' if side == 'IfSteps' else 'false'}"
    scope.sheet.error(path, f"{found}, and {name!r} runs in any case or in another branch")
    return False


def _cycles(waits: dict[str, set[str]], scope: Scope) -> bool:
    """Report each cycle once, at its first step."""
    done: set[str] = set()
    found = False
    for start in waits:
        trail: list[str] = []
        if cycle := _follow(start, waits, trail, done):
            found = True
            first = min(cycle, key=list(waits).index)
            turn = cycle.index(first)
            around = " -> ".join([*cycle[turn:], *cycle[:turn], first])
            scope.sheet.error(
                below(scope.steps[first].path, "DependsOn"),
                f"the steps wait for each other: {around}; none could start",
            )
    return found


def _follow(name: str, waits: dict[str, set[str]], trail: list[str], done: set[str]) -> list[str]:
    if name in trail:
        return trail[trail.index(name) :]
    if name in done:
        return []
    trail.append(name)
    for other in sorted(waits[name]):
        if cycle := _follow(other, waits, trail, done):
            done.update(trail)
            return cycle
    trail.pop()
    done.add(name)
    return []


def _side_by_side(places: list[Place], waits: dict[str, set[str]], scope: Scope) -> None:
    """Our steps hand data to each other through the store, which the service does not see: each must wait for the last.

    A condition that reads parameters alone waits for nothing.
    """
    named = [
        place
        for place in places
        if scope.steps.get(name := str(place.step.get("Name"))) is place
        and (waits[name] or place.step.get("Type") != "Condition")
    ]
    for one, two in combinations(named, 2):
        first, second = str(one.step["Name"]), str(two.step["Name"])
        if one.branch == two.branch and first not in _before(second, waits) and second not in _before(first, waits):
            found = f"{second!r} would run at the same time as {first!r}"
            scope.sheet.error(below(two.path, "DependsOn"), f"{found}; say DependsOn: [{first!r}]")


def _before(name: str, waits: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(waits[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(waits[other])
    return found
