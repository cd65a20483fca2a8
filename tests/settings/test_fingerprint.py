"""Fingerprints of code see what a stage runs and nothing else."""

import pytest

from mutdet.settings import fingerprint
from mutdet.settings.stages import STAGES

MODULES = {
    "__init__": '"""Package."""\n',
    "stage": '"""Stage."""\nfrom mutdet.library import work\nfrom mutdet.settings.registries import load\n\n'
    'def run():\n    """Run it."""\n    return work(1)  # now\n',
    "library": "from mutdet.deeper import more\n\ndef work(x):\n    return more(x) + 1\n",
    "deeper": "def more(x):\n    return x\n",
    "apart": "def other():\n    return 0\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "mutdet"
    (folder / "settings").mkdir(parents=True)
    (folder / "settings" / "registries.py").write_text("METHODS = {}\n")
    (folder / "settings" / "__init__.py").write_text("")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(fingerprint, "PACKAGE", folder)
    return folder


def of_stage():
    fingerprint._read.cache_clear()
    return fingerprint.code_fingerprint(["mutdet.stage"])


def edit(package, name, old, new):
    text = (package / f"{name}.py").read_text()
    assert old in text
    (package / f"{name}.py").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stage", "# now", "# later"),
        ("stage", '"""Run it."""', '"""Run it all."""'),
        ("stage", "work(1)", "work( 1 )"),
        ("library", "\n\ndef", "\n\n\n\ndef"),
        ("settings/registries", "{}", "{'new': 'mutdet.apart:other'}"),
        ("apart", "return 0", "return 1"),
    ],
)
def test_what_cannot_change_a_result_does_not_count(package, name, old, new):
    before = of_stage()
    edit(package, name, old, new)
    assert of_stage() == before


@pytest.mark.parametrize(("name", "old", "new"), [("stage", "work(1)", "work(2)"), ("library", "+ 1", "+ 2"), ("deeper", "return x", "return -x")])
def test_code_that_runs_counts(package, name, old, new):
    before = of_stage()
    edit(package, name, old, new)
    assert of_stage() != before


def test_closure_follows_imports(package):
    of_stage()
    assert fingerprint.import_closure(["mutdet.stage"]) == {"mutdet.stage", "mutdet.library", "mutdet.deeper"}


def test_files_count_that_code_names_and_that_lie_beside_it(package):
    (package / "style.css").write_text("a")
    (package / "other.css").write_text("a")
    (package / "deeper.py").write_text('"""Not other.css."""\ndef more(x):\n    "other.css"\n    return x, open("style.css")\n')
    before = of_stage()
    (package / "other.css").write_text("b")
    assert of_stage() == before
    (package / "style.css").write_text("b")
    assert of_stage() != before


def test_the_page_depends_on_its_template_and_style_and_nothing_else_does():
    found = {path.name for stage in STAGES.values() for name in fingerprint.import_closure([stage.function.partition(":")[0]]) for path in files_of(name)}
    assert found == {"page.html", "page.css"} == {path.name for path in files_of("mutdet.reporting.page")}
    users = [name for name, stage in STAGES.items() if "mutdet.reporting.page" in fingerprint.import_closure([stage.function.partition(":")[0]])]
    assert users == ["report page"]


def files_of(name):
    return fingerprint._read(fingerprint._source(name)).files


def test_descriptions_of_settings_do_not_count(package):
    (package / "deeper.py").write_text('from pydantic import Field\nx = Field(1, description="one")\n')
    before = of_stage()
    edit(package, "deeper", "one", "another")
    assert of_stage() == before
    edit(package, "deeper", "Field(1", "Field(2")
    assert of_stage() != before
