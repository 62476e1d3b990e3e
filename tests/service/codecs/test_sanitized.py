"""The compiled code under the sanitizers of the compiler: not a byte beside the text, no shift without a meaning."""

import os
import subprocess
import sys

import pytest

import hatch_build
from tests.service.codecs.libraries import RUNNABLE


@pytest.mark.soak
@pytest.mark.parametrize("options", RUNNABLE.values(), ids=RUNNABLE)
def test_no_byte_beside_the_text_is_touched(tmp_path, options):
    built = tmp_path / "sanitized.so"
    checks = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    hatch_build.compile_library(hatch_build.SOURCES, built, *options, *checks)
    compiler = os.environ.get("CC", "cc")
    runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        # What Python asks for is then asked of the sanitizer.
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, "-m", "tests.service.codecs.sanitized", str(built)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("read ")
