"""A small finished run of the whole workflow, made once; each test works on a copy of it."""

import pytest
from workflow_project import Project, new_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    project = new_project(tmp_path_factory.mktemp("finished"))
    project.snakemake()
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    return finished.copy(tmp_path / "project")
