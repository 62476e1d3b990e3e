"""Which node computes which part of a call, and what Ray is given for it; no cluster is needed."""

from types import SimpleNamespace

import pytest

from service.cluster.large_calls import MAX_PARTS_PER_CPU, PART_OPERATIONS, SMALLEST_CALL_PARTS, count_parts, deal
from service.cluster.session import Session

OWN = "a"


class Ray:
    """What a session asks of Ray: nodes of one CPU and of two, a node without CPUs, and one that is gone."""

    def __init__(self) -> None:
        self.remote_functions = 0

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(gcs_address="127.0.0.1:1", get_node_id=lambda: OWN)

    def nodes(self) -> list[dict[str, object]]:
        cpus = {OWN: 1, "b": 2, "c": 0, "d": 4}
        return [{"NodeID": node, "Alive": node != "d", "Resources": {"CPU": float(cpus[node])}} for node in cpus]

    def remote(self, function: object) -> object:
        self.remote_functions += 1
        return object()


@pytest.mark.parametrize(
    ("operations", "cpus", "parts"),
    [
        (1, 64, 1),
        (100, 64, SMALLEST_CALL_PARTS),
        (100, 3, 3),
        (1000, 64, 64),
        (6 * PART_OPERATIONS, 3, 6),
        (1000 * PART_OPERATIONS, 3, 3 * MAX_PARTS_PER_CPU),
    ],
)
def test_a_call_has_a_part_for_each_cpu_unless_parts_were_too_small_or_too_large(
    operations: int, cpus: int, parts: int
) -> None:
    assert count_parts(operations, cpus, min_operations=100) == parts


@pytest.mark.parametrize("places", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 16])
def test_neighbours_go_to_one_node_and_nodes_take_turns(count: int, places: int) -> None:
    dealt = list(deal(range(count), range(places)))
    assert sorted(part for _, part in dealt) == list(range(count))
    held = [[part for place, part in dealt if place == one] for one in range(places)]
    assert all(one == list(range(one[0], one[0] + len(one))) for one in held if one)
    assert max(map(len, held)) - min(map(len, held)) <= 1
    first = [place for place, _ in dealt[: min(count, places)]]
    assert len(set(first)) == len(first)


def test_nodes_have_as_many_places_as_cpus_and_that_of_the_front_is_the_last() -> None:
    session = Session(Ray())
    assert (session.cpu_nodes, session.cpus, session.nodes) == (["b", "b", OWN], 3, 3)


def test_a_function_is_sent_to_the_nodes_once() -> None:
    """Ray keeps every function that it is given for good."""
    ray = Ray()
    session = Session(ray)
    assert session.remote(deal) is session.remote(deal)
    assert ray.remote_functions == 1
