"""Memory that an answer has freed serves the next one: the system need not map new pages for each."""

from pathlib import Path

import httpx

REQUESTS = 20

MINOR_FAULTS_FIELD = 7
"""Field 10 of /proc/<pid>/stat (proc(5)), counted from the one after the name."""


def minor_faults(process):
    return int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()[MINOR_FAULTS_FIELD])


def test_answers_of_megabytes_fault_in_few_pages(server):
    rows = [[float(row % 7), 0.123456789 * row] for row in range(256)]
    with httpx.Client(base_url=server.url, timeout=60) as client:

        def ask():
            answer = client.post("/v1/attention", json={"query": rows, "key": rows, "dtype": "float32"})
            assert answer.status_code == 200
            return len(answer.content)

        sizes = {ask() for _ in range(REQUESTS)}
        before = minor_faults(server.process)
        for _ in range(REQUESTS):
            ask()
    [pages] = [size / 4096 for size in sizes]
    each = (minor_faults(server.process) - before) / REQUESTS
    assert each < pages / 2, f"{each} page faults for an answer of {pages:.0f} pages"
