"""Programs of these tests that run as processes of their own."""

import subprocess
import sys


def command(module, *arguments):
    """Return the command of a program beside this module."""
    return [sys.executable, "-m", f"{__package__}.{module}", *map(str, arguments)]


def start(module, *arguments):
    """Start a program, with pipes for its lines."""
    return subprocess.Popen(command(module, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(module, *arguments, before=()):
    """Run a program to its end, behind the words of another command; return its output."""
    done = subprocess.run([*before, *command(module, *arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
