"""Every export, read back with a library of its own, and compared with the frame."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
from grid_samples import resource, task
from session_rig import HANG_S, KEY, Sessions

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.notebook import current_session
from modellix_jupyter.notebook.session import Session
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.export import ENDINGS, save_files
from modellix_jupyter.results.results import Results
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.settings import Settings

pytestmark = pytest.mark.usefixtures("no_thread_left", "quick")

MODELS = ["alibaba/qwen-image-plus", "sandbox/refuses"]
PROMPTS = ["=SUM(A1) a cat", "ein Rabe, Gouache; <b>&"]


@dataclass(frozen=True)
class Finished:
    """A home where everything has been made, and which of it."""

    settings: Settings
    uids: list[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Run the tasks once: each test reads a copy of their home."""
    home = tmp_path_factory.mktemp("finished")
    with Sandbox(speed=50) as sandbox, closing(Sessions(home, sandbox)) as sessions:
        plan = make_plan(PROMPTS, MODELS, vary={"seed": [1, 2]})
        made = sessions().submit(plan).wait(HANG_S)
        made.rate(0, 5)
        made.note(1, "soft, not sharp")
    return Finished(sessions.settings(), [task.uid for task in made])


@pytest.fixture
def results(finished: Finished, home: Path) -> Iterator[Results]:
    shutil.copytree(finished.settings.home, home)
    session = Session(finished.settings.changed(home=str(home)), key=KEY)
    yield Results(current_session.push(session), finished.uids)
    session.close()


def plain(value: Any) -> Any:
    return None if pd.isna(value) else value


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def iso(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, pd.Timestamp) else value


def test_csv(results: Results, tmp_path: Path) -> None:
    frame = results.frame()
    path = results.export(tmp_path / "x.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["task_id"] for row in rows] == [t or "" for t in frame["task_id"].fillna("")]
    assert rows[0]["prompt"] == "'" + PROMPTS[0]


def test_what_is_there_is_not_replaced_silently(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "tasks.csv", f"{tmp_path}/all/"
    for path in (file, folder):
        results.export(path)
        assert capsys.readouterr().out == ""
        written = results.export(path)
        assert capsys.readouterr().out == f"Replaced {written}, which was there already.\n"
        results.export(path, overwrite=True)
        assert capsys.readouterr().out == ""
        with pytest.raises(InvalidRequest, match="is there already"):
            results.export(path, overwrite=False)


def test_names_are_cut_by_bytes(tmp_path: Path) -> None:
    long = "\U00020000" * 200  # a letter of four bytes
    path = tmp_path / "x.svg.txt"
    path.write_bytes(b"x")
    made = task("u" * 32, f"a/{long}", long, {"seed": long}, resources=(resource(path),))
    (copy,) = save_files([made], tmp_path / "copies")
    assert copy.suffix == ".txt"  # an SVG stays one that a browser shows as text
    assert len(copy.name.encode()) < 255
    assert copy.name.startswith("\U00020000" * 30)
    assert copy.read_bytes() == b"x"


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_json(results: Results, tmp_path: Path, ending: str) -> None:
    text = results.export(tmp_path / f"x.{ending}").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()] if ending == "jsonl" else None
    expected = [{k: iso(v) for k, v in row.items()} for row in records(results.frame())]
    assert (lines or json.loads(text)) == expected


def test_parquet(results: Results, tmp_path: Path) -> None:
    table = pq.read_table(results.export(tmp_path / "x.parquet"))
    frame = results.frame()
    assert table.column_names == list(frame.columns)
    assert str(table.schema.field("param.seed").type) == "int64"
    assert str(table.schema.field("submitted_at").type) == "timestamp[us, tz=UTC]"
    assert table.column("rating").to_pylist() == [5] + [None] * 7
    assert table.column("prompt").to_pylist() == frame["prompt"].tolist()


def test_xlsx_with_thumbnails(results: Results, tmp_path: Path) -> None:
    path = results.export(tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(path)
    sheet: Any = book.active
    head, *rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    frame = results.frame()
    assert head == ["picture", *frame.columns]
    shown = [dict(zip(head, row, strict=True)) for row in rows]
    for row, expected in zip(shown, records(frame), strict=True):
        for name in ("task_id", "prompt", "model", "param.seed", "price", "note", "rating"):
            assert row[name] == expected[name], name
    with zipfile.ZipFile(path) as archive:
        pictures = [name for name in archive.namelist() if name.startswith("xl/media/")]
    assert len(pictures) == sum(bool(task.path) for task in results) == 4
    book.close()


class Page(HTMLParser):
    """The tables, the headings and the sources of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [str(values[key]) for key in ("src", "srcset") if key in values]
        self.links += [str(values["href"])] if "href" in values else []
        self._tag = tag
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        elif tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        self._tag = "" if tag in {"td", "th", "h2", "style"} else self._tag

    def handle_data(self, data: str) -> None:
        if self._tag != "style":
            self.text += data
        if self._tag in {"td", "th", "a"} and self.tables and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data
        elif self._tag == "h2":
            self.headings[-1] += data


def test_html_is_a_report_in_one_file(results: Results, tmp_path: Path) -> None:
    text = results.export(tmp_path / "x.html").read_text("utf-8")
    page = Page(text)
    assert page.headings == ["Comparison", "Summary", "Plots", "Parameters", "Every task"]
    assert all(source.startswith("data:image/") for source in page.sources)
    assert len(page.sources) == 4 + 4 + 6  # the comparison, the table, and each plot twice
    assert "default-src 'none'" in text
    assert "2 models compared" in page.text
    assert "refused by the safety system" in page.text
    assert "modellix-jupyter 0." in page.text
    assert "Python 3." in page.text
    assert f"pandas {pd.__version__}" in page.text
    assert str(Path.home()) not in text


@pytest.mark.usefixtures("no_plots")
def test_the_tables_of_a_report_are_the_frames(results: Results, tmp_path: Path) -> None:
    page = Page(results.export(tmp_path / "x.html").read_text("utf-8"))
    _, summary, parameters, every = page.tables
    frame = results.frame()
    assert [row[0] for row in summary[1:]] == results.summary()["model"].tolist()
    assert [int(row[1]) for row in summary[1:]] == results.summary()["count"].tolist()
    assert parameters[1:] == [["seed", "1, 2"]]
    head, *rows = every
    shown = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["task_id"] for row in shown] == frame["task_id"].tolist()
    assert [row["prompt"] for row in shown] == frame["prompt"].tolist()
    assert [int(row["param.seed"]) for row in shown] == frame["param.seed"].tolist()
    assert shown[1]["note"] == "soft, not sharp"
    filled = {name for name in frame.columns if frame[name].notna().any()}
    assert filled - {"params", "path", "url"} == set(head) - {"picture"}


@pytest.mark.usefixtures("no_plots")
def test_one_result_is_a_gallery_in_its_report(session: Session, tmp_path: Path) -> None:
    made = session.submit(make_plan(["a cat"], MODELS[:1])).wait(HANG_S)
    page = Page(made.export(tmp_path / "x.html").read_text("utf-8"))
    assert page.headings[0].startswith("Gallery")


@pytest.mark.usefixtures("no_plots")
def test_a_report_is_made_without_matplotlib(results: Results, tmp_path: Path) -> None:
    page = Page(results.export(tmp_path / "x.html").read_text("utf-8"))
    assert page.headings == ["Comparison", "Summary", "Parameters", "Every task"]


def test_a_report_leaves_the_users_figures_and_backend_alone(
    results: Results, tmp_path: Path
) -> None:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("svg")
    plt.figure(num=7)
    before = dict(mpl.rcParams)
    results.export(tmp_path / "x.html")
    assert plt.get_fignums() == [7]
    assert dict(mpl.rcParams) == before
    plt.close("all")
    mpl.use("Agg")


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("way", ["slash", "format", "there", "there and format"])
def test_a_folder_has_the_originals_a_table_and_a_page(
    results: Results, tmp_path: Path, way: str
) -> None:
    folder = tmp_path / "out"
    if way.startswith("there"):
        folder.mkdir()
    path = folder if way.endswith("format") else f"{folder}/"
    made = results.export(path, format="folder" if way.endswith("format") else None)
    assert made == folder
    index = pd.read_csv(folder / "index.csv")
    frame = results.frame(by="resource")
    assert list(index.columns) == ["file", *frame.columns]
    assert index["url"].fillna("").tolist() == frame["url"].fillna("").tolist()
    files = [name for name in index["file"] if not pd.isna(name)]
    assert {p.name for p in folder.iterdir()} == {"index.csv", "index.html", *files}
    for name, source in zip(index["file"], frame["path"], strict=True):
        if not pd.isna(name):
            assert (folder / name).read_bytes() == Path(source).read_bytes()
            assert "qwen-image-plus_seed" in name


@pytest.mark.usefixtures("no_plots")
def test_the_page_of_a_folder_links_to_the_originals(results: Results, tmp_path: Path) -> None:
    from urllib.parse import unquote

    folder = results.export(f"{tmp_path}/ein Ordner/")
    page = Page((folder / "index.html").read_text("utf-8"))
    assert len(page.links) == 12  # from the comparison, the thumbnail and the table
    assert all((folder / unquote(link)).is_file() for link in page.links)


@pytest.mark.usefixtures("no_plots")
def test_every_file_of_a_task_has_a_row(session: Session, tmp_path: Path) -> None:
    plan = make_plan(["a cat"], ["openai/gpt-image-2"], params={"n": 3})
    made = session.submit(plan).wait(HANG_S)
    made.rate(0, 4)
    folder = made.export(f"{tmp_path}/out/")
    index = pd.read_csv(folder / "index.csv")
    assert index["file"].nunique() == 3
    assert index["rating"].tolist() == [4, 4, 4]
    assert index["path"].tolist() == [str(path) for path in made.paths]


@pytest.mark.usefixtures("no_plots")
def test_a_folder_can_be_written_twice(results: Results, tmp_path: Path) -> None:
    before = sorted(p.name for p in results.export(f"{tmp_path}/out/").iterdir())
    assert sorted(p.name for p in results.export(f"{tmp_path}/out/").iterdir()) == before


@pytest.mark.parametrize("name", ["mydata", "mydata.csv", "", "  ", "."])
def test_nothing_is_written_into_a_folder_that_is_not_called_one(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "work" / name.strip()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.csv").write_text("the user's own")
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(InvalidRequest) as caught:
        results.export(name)
    assert "slash" in caught.value.hint or "name/" in caught.value.hint
    assert [p.name for p in folder.iterdir()] == ["index.csv"]
    assert (folder / "index.csv").read_text() == "the user's own"


@pytest.mark.parametrize("name", ["", " "])
def test_copies_need_a_folder_s_name(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(InvalidRequest, match="no name"):
        results.save(name)
    with pytest.raises(InvalidRequest, match="no name"):
        results.export(name, format="folder")
    assert list((tmp_path / "work").iterdir()) == []
    assert len(results.save(".")) == 4


def test_saving_only_copies(results: Results, tmp_path: Path) -> None:
    made = results.save(tmp_path / "out")
    assert len(made) == 4
    assert {p.name for p in (tmp_path / "out").iterdir()} == {p.name for p in made}


@pytest.mark.parametrize("name", ["x.gif", "x", "x.html.zip"])
def test_an_unknown_ending_is_an_error(results: Results, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        results.export(tmp_path / name)
    for way in (*ENDINGS, ".html", "a folder: name/"):
        assert way in caught.value.hint
    assert not (tmp_path / name).exists()


def test_an_unknown_format_is_an_error(results: Results, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'zip'"):
        results.export(tmp_path / "x", format="zip")  # type: ignore[arg-type]  # it is the test


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("name", ["file/x.html", "file/", "file/x.csv", "file/sub/"])
def test_a_place_that_cannot_be_written_is_an_error(
    results: Results, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest):
        results.export(f"{tmp_path}/{name}")


def test_no_results_are_exported_too(session: Session, tmp_path: Path) -> None:
    nothing = session.results([])
    for name in ("x.csv", "x.html", "x.xlsx", "out/"):
        assert nothing.export(f"{tmp_path}/{name}").exists()
