"""Look up the locked packages in the advisory database with pip-audit, and never take silence for safety.

``python -m deploy.audit PIP_AUDIT LOCK…``.  Exit code 0: every package was looked up and none has a known
vulnerability; 1: some have; 3: the advisory service could not be asked, or not about all of them.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

VULNERABLE, COULD_NOT_LOOK = 1, 3


def main(pip_audit: str, *locks: str) -> int:
    """Audit every lock; return the exit code, the gravest first."""
    codes = {_audited(pip_audit, lock) for lock in locks}
    return next((code for code in (VULNERABLE, COULD_NOT_LOOK) if code in codes), 0)


def _audited(pip_audit: str, lock: str) -> int:
    command = [pip_audit, "--disable-pip", "--require-hashes", "--requirement", lock, "--format", "json"]
    ended = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        reason = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"{lock}: COULD NOT LOOK: the advisory service was not reached: {reason}")
        return COULD_NOT_LOOK
    return _judged(lock, packages)


def _judged(lock: str, packages: list[dict[str, Any]]) -> int:
    """Print the findings about the packages of one lock; return their number."""
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for one in package["vulns"]:
            fixed = ", ".join(one["fix_versions"]) or "no version yet"
            print(f"{lock}: {package['name']} {package['version']}: {one['id']}, fixed in {fixed}")
    if skipped or not packages:
        names = ", ".join(skipped) or "there are none"
        print(f"{lock}: COULD NOT LOOK: nothing is known of {len(skipped)} of {len(packages)} packages: {names}")
    else:
        print(f"{lock}: {len(packages)} packages looked up, {len(vulnerable)} of them with a known vulnerability")
    if vulnerable:
        return VULNERABLE
    return COULD_NOT_LOOK if skipped or not packages else 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or not Path(sys.argv[1]).exists():
        sys.exit("usage: python -m deploy.audit PIP_AUDIT LOCK…")
    sys.exit(main(*sys.argv[1:]))
