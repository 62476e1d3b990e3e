"""The tables of Ray, from the figures that are kept."""

from collections.abc import Iterator

from benchmarks.figures import Document
from benchmarks.figures import Row as Kept
from benchmarks.on_ray import calls, services
from benchmarks.on_ray.calls import COSTS, SCALING
from benchmarks.on_ray.model import Costs, Traffic, predicted_seconds
from benchmarks.tables import judged, markdown, milliseconds, spread

NOT_MEASURED = "Not measured yet."

ONE_PROCESS = "one process, two threads"


def comparisons(document: Document) -> str:
    """Return what stands beside the same without Ray."""
    kept = document["rows"]
    headers = ["work", "on Ray", "beside", "its time", "on Ray / its (quartiles)", "more (quartiles)"]
    headers += ["pairs", "target"]
    lines = [_call_line(row, kept[row.name]) for row in calls.ROWS if row.pairs and row.name in kept]
    lines += [_service_line(row, kept[row.name]) for row in services.ROWS if row.name in kept]
    return markdown(headers, lines)


def _call_line(row: calls.CallRow, kept: Kept) -> list[str]:
    times = [milliseconds(kept["seconds"]), ONE_PROCESS, milliseconds(kept["other"])]
    return [row.name, *times, spread(kept["ratio"]), "", str(kept["pairs"]), judged(kept["ratio"][1], row.target)]


def _service_line(row: services.ServiceRow, kept: Kept) -> list[str]:
    times = [milliseconds(kept["seconds"]), row.beside, milliseconds(kept["other"])]
    low, middle, high = (f"{1e3 * seconds:.3g}" for seconds in kept["more"])
    target = "" if row.target is None else f"{judged(1e3 * kept['more'][1], 1e3 * row.target)} (ms more)"
    return [row.name, *times, "", f"{middle} ms ({low} to {high})", str(kept["pairs"]), target]


def costs(document: Document) -> str:
    """Return what each step of a call costs."""
    if COSTS not in document["rows"]:
        return NOT_MEASURED
    found = _costs(document)
    lines = [
        ["a call, whatever it computes", milliseconds(found.call)],
        ["each of its parts", milliseconds(found.part)],
        ["a MiB that is put into the object store", milliseconds(found.put_mib)],
        ["a MiB that another node fetches", milliseconds(found.send_mib)],
        ["a MiB of a result of another node, copied to its place", milliseconds(found.return_mib)],
        ["10⁹ predicted operations, in one thread", milliseconds(1e9 * found.operation)],
    ]
    return markdown(["step", "time"], lines)


def predictions(document: Document) -> str:
    """Return predictions beside measurements."""
    if COSTS not in document["rows"]:
        return NOT_MEASURED
    kept, cores = document["rows"], int(document["machine"]["cores"])
    lines = [_prediction(row, kept[row.name], _costs(document), cores) for row in calls.ROWS if row.name in kept]
    return markdown(["work", "parts", "predicted", "measured", "error"], lines)


def _prediction(row: calls.CallRow, kept: Kept, found: Costs, cores: int) -> list[str]:
    of, measured = Traffic(**kept["traffic"]), kept["seconds"]
    seconds = predicted_seconds(found, kept["operations"], of, cores)
    times = [milliseconds(seconds), milliseconds(measured)]
    return [row.name, str(of.parts), *times, f"{100 * (seconds / measured - 1):+.0f} %"]


def scaling(document: Document) -> str:
    """Return what the model says of more nodes, with a core each."""
    if not {COSTS, SCALING} <= document["rows"].keys():
        return NOT_MEASURED
    return markdown(
        ["nodes", "parts", "MiB sent to other nodes", "MiB of results from them", "predicted", "times as fast"],
        _scaling_lines(document),
    )


def _scaling_lines(document: Document) -> Iterator[list[str]]:
    kept, found = document["rows"][SCALING], _costs(document)
    times = []
    for one in kept["traffic"]:
        of = Traffic(**one)
        times.append(predicted_seconds(found, kept["operations"], of, of.nodes))
        moved = [f"{of.sent:.0f}", f"{of.returned:.0f}"]
        yield [str(of.nodes), str(of.parts), *moved, milliseconds(times[-1]), f"{times[0] / times[-1]:.2f}"]


def _costs(document: Document) -> Costs:
    row = document["rows"][COSTS]
    return Costs(**{name: row[name] for name in Costs.__dataclass_fields__})
