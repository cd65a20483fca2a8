"""A backbone that is trained here has its own rule, log and state; the others' rule does not see it."""

import pyarrow.parquet as pq
import pytest
from workflow_project import LEARNED

pytestmark = [pytest.mark.workflow]


def test_it_runs_from_the_workflow_and_once(project):
    project.configure(lambda config: config["backbone"].update(learned=LEARNED))
    assert project.planned("stages") == {"backbone_train": 1}
    project.snakemake("results/tiny/backbone/learned/log.parquet")
    rows = pq.read_table(project.folder / "results/tiny/backbone/learned/log.parquet").to_pylist()
    assert {row["step"] for row in rows} == {2}
    assert len(list((project.folder / "results/tiny/state/backbone/learned").glob("*/*/checkpoint-*.pt"))) == 1
    assert project.planned("stages") == {}


def test_other_training_code_reruns_no_other_backbone(project):
    with (project.folder / "mutdet/pretraining/selfsup/sinkhorn.py").open("a") as file:
        file.write("\n_CHANGED = 1\n")
    assert project.planned("stages") == {}
