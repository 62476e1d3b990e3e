"""Build both sites and make them fit the policy of the service: ``python -m development.guide FOLDER``."""

import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

from development.guide.landmarks import name_landmarks
from development.guide.pages import LANGUAGES, site_in
from development.guide.policy import apply_policy

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).parent
SPHINX_LANGUAGES = {"en": "en", "zh": "zh_CN"}

NOT_SERVED = (
    ".buildinfo",
    ".doctrees",
    "_sources",
    "objects.inv",
    "_static/scripts/furo.js.map",
    "_static/styles/*.map",
)
"""What Sphinx writes for other tools."""

INCLUDED = ("accessible-pygments", "furo", "pygments", "sphinx", "sphinx-basic-ng")
"""Packages whose scripts, style sheets or templates become a part of the site; NOTICE names them."""


def write_licenses(folder: Path) -> None:
    """Write the licences of these packages into a folder, which is made; raise ValueError where one is missing."""
    folder.mkdir(parents=True)
    for name in INCLUDED:
        files = [file for file in distribution(name).files or () if file.name.startswith("LICENSE")]
        if not files:
            raise ValueError(f"{name}: expected a file LICENSE in the installed package; received none")
        text = "\n\n".join(Path(str(file.locate())).read_text(encoding="utf-8") for file in files)
        folder.joinpath(f"{name}.txt").write_text(text, encoding="utf-8")


def build(folder: Path) -> None:
    """Build the site of each language into a folder of its own, replacing an earlier build.

    Raises CalledProcessError where Sphinx warns of anything, and ValueError for a page that the policy would break.
    """
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary, "made")
        for language in LANGUAGES:
            source, site = Path(temporary, language), made / language
            shutil.copytree(CONFIGURATION / "locale", source / "locale")
            site_in(ROOT, language).write(source)
            options = ("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env", f"--conf-dir={CONFIGURATION}")
            words = [sys.executable, "-m", "sphinx", *options, f"--define=language={SPHINX_LANGUAGES[language]}"]
            subprocess.run([*words, str(source), str(site)], check=True, cwd=ROOT)
            for pattern in NOT_SERVED:
                for path in site.glob(pattern):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            apply_policy(site)
            name_landmarks(site, language)
        write_licenses(made / "licenses")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
