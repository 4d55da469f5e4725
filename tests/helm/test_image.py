"""What goes into the image. Building and running it takes buildah and podman: deploy/docker/image.sh."""

import re
import subprocess
import sys
import zipfile

import pytest

from tests.helm.settings import ROOT

DOCKER = ROOT / "deploy" / "docker"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of the wheel, which the image is made of."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_our_packages_have_the_names_that_they_are_imported_by(names: set[str]) -> None:
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"services", "chassis", "formats", "carillon"}
    assert {"services/cli.py", "chassis/runner.py", "carillon/contacts/v1/contacts_pb2.py"} <= names


def test_every_schema_goes_along(names: set[str]) -> None:
    """They are found beside the code, by who migrates and by who waits."""
    versions = {str(path.relative_to(ROOT)) for path in (ROOT / "services").glob("*/migrations/versions/0*.py")}
    assert versions
    assert versions <= names


def test_the_build_sees_every_file_that_it_copies() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.*)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == entry or source.startswith(f"{entry}/") for entry in let_in), source
