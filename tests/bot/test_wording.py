"""What people read: each fact once, in words, and the right buttons under it."""

from dataclasses import replace

import pytest

from bot.chat import Person
from bot.wording import numbers, plan, report, run
from engine.data.types import Estimate, Fit, Issue, Preview, Report, Sample, Setting
from engine.jobs import Answer, JobSpec, Model, Progress, Result, Run, Source, Status, Target

ANN = Person("U1", "ann")
SPEC = JobSpec("dpo", Model("org/base"), Source("pairs.csv", "0" * 64, {}), target=Target("acme/pairs"))


def a_report(issues: tuple[Issue, ...] = (), usable: tuple[str, ...] = ()) -> Report:
    methods = {
        name: Fit(name in usable, missing_columns=() if name in usable else ("text",)) for name in ("sft", "dpo")
    }
    counts = {issue.code: sum(other.code == issue.code for other in issues) for issue in issues}
    return Report("pairs.csv", "ab" * 32, 2048, "csv", "utf-8", ",", 12, ("a",), "", methods, issues, counts)


def empty(line: int) -> Issue:
    return Issue(
        "empty_cell", "error", "`text` is empty: fill it or drop the row", line, line - 1, "text", "drop_empty_rows"
    )


DURATIONS = [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (125, "2 min 5 s"), (680, "11 min"), (12000, "3 h 20 min")]


@pytest.mark.parametrize(("seconds", "words"), DURATIONS)
def test_durations_are_as_exact_as_people_need(seconds: float, words: str) -> None:
    assert numbers.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (512, "512 B"), (3_200_000, "3.2 MB"), (16_000_000_000, "16 GB")]
)
def test_sizes_are_in_the_unit_that_fits(count: int, words: str) -> None:
    assert numbers.size(count) == words


def test_a_sparkline_falls_as_the_loss_does() -> None:
    line = numbers.sparkline([4.0, 3.0, 2.0, 1.0])
    assert line == "█▆▃▁"
    assert numbers.sparkline([1.0]) == ""
    assert len(numbers.sparkline(list(range(1000)))) == 24


def test_issues_of_a_kind_stand_in_one_row_with_their_lines() -> None:
    issues = (*(empty(line) for line in range(12, 20)), Issue("few_rows", "warning", "only 12 rows"))
    message = report.report("k", a_report(issues), None)
    assert message.table and len(message.table.rows) == 2
    assert message.table.rows[0][1] == "12, 13, 14, 15, 16 …"
    assert "8 rows like this" in message.table.rows[0][2]
    assert "8 mistakes" in message.text and "1 thing to look at" in message.text


def test_a_file_that_fits_no_method_says_what_the_nearest_one_needs() -> None:
    message = report.report("k", a_report((empty(2),)), None)
    assert message.title == "pairs.csv cannot be trained on yet"
    assert dict(message.fields)["Nearest"] == "sft needs text"
    actions = [button.action for button in message.buttons]
    assert actions == [f"fix:{'ab' * 8}:drop_empty_rows", f"columns:{'ab' * 8}"]


def test_a_file_that_fits_offers_its_methods() -> None:
    message = report.report("k", a_report(usable=("sft",)), None)
    assert message.title == "pairs.csv is ready for sft"
    assert [button.action for button in message.buttons] == [f"plan:{'ab' * 8}:sft"]


def test_a_report_tells_lengths_and_labels_and_a_plan_how_long_rows_are() -> None:
    stats = {"length": {"median": 90, "p95": 400, "max": 1200, "total": 9000}, "labels": {"good": 7, "bad": 3}}
    facts = dict(report.report("k", replace(a_report(usable=("kto",)), stats=stats), None).fields)
    assert facts["Length"] == "90 characters in the middle row, 95% have at most 400, the longest 1,200"
    assert facts["Labels"] == "7 good, 3 bad"
    planned = dict(plan.plan("k", "d", a_preview(histogram={"32": 80, "64": 10}), "a.csv", Target()).fields)
    assert planned["Rows by tokens"] == "≤ 32: 80 · ≤ 64: 10"


def a_preview(**changes: object) -> Preview:
    preview = Preview(
        method="sft", model="org/base", revision="", model_note="", rows_used=90, rows_truncated=3, rows_dropped=0,
        rows_held_out=10, tokens={"total": 12000, "median": 90, "p95": 200, "max": 400},
        samples=(Sample("first", 1, "<s>user hi assistant hello", ((17, 26),)),), as_conversation=True,
        alternative="user: hi", unescape=("a\\nb", "a\nb"), join="",
        parameters={"epochs": Setting(2.0, "90 rows"), "seed": Setting(42, "usual")}, estimate=Estimate(60, 240.0, 1.5),
    )  # fmt: skip
    return replace(preview, **changes)  # type: ignore[arg-type]  # the test's own changes


def test_a_plan_shows_what_is_trained_and_offers_the_other_readings() -> None:
    message = plan.plan("draft/d", "d", a_preview(), "pairs.csv", Target("acme/pairs"))
    assert "⟦assistant⟧" not in message.code and "<s>user hi assis⟦" not in message.code
    assert "⟦" in message.code and "⟧" in message.code
    assert [button.label for button in message.buttons] == [
        "Start",
        "Train as plain text",
        "Cut long rows at a sentence",
        "Unescape \\n",
        "Settings",
        "Discard",
    ]
    assert message.table and message.table.rows == (("epochs", "2", "90 rows"),)
    assert "10 held out" in dict(message.fields)["Used"] and "3 cut at max_length" in dict(message.fields)["Used"]


def test_a_plan_says_where_the_model_will_go_and_what_may_keep_it_from_there() -> None:
    def said(target: Target, doubt: str = "") -> str:
        return plan.plan("k", "d", a_preview(), "a.csv", target, doubt).text

    assert "The model will go to acme/pairs, private." in said(Target("acme/pairs"))
    assert "acme/pairs, public." in said(Target("acme/pairs", is_private=False))
    assert "stays on this server" in said(Target())
    assert "The Hub is away." in said(Target("acme/pairs"), "The Hub is away.")


def test_a_plan_says_how_long_things_are_kept() -> None:
    file, model = "the file until somebody forgets it", "the model until somebody forgets it"
    assert plan.kept(0, 30, 0) == f"{file}; after the end, checkpoints for 30 days and {model}"
    file, run = "the file for 1 day", "all of the run for 90 days"
    assert plan.kept(1, 0.5, 90) == f"{file}; after the end, checkpoints for 0.5 days and {run}"


def test_a_very_long_row_is_cut_and_says_how_long_it_is() -> None:
    sample = Sample("longest", 3, "x" * 5000)
    assert "(5,000 characters)" in plan.plan("k", "d", a_preview(samples=(sample,)), "a.csv", Target()).code


def at_work(**changes: object) -> Run:
    progress = Progress("training", 24, 60, 1.83, (3.0, 2.0, 1.83), 1e-4, 312.0, 95.0)
    return replace(Run("7", SPEC, Status.running, "train-1", progress=progress, started_at=100.0), **changes)  # type: ignore[arg-type]  # the test's own changes


def test_the_living_message_says_phase_step_loss_speed_and_time_left() -> None:
    message = run.live(at_work(), 0, 200.0)
    assert message.title == "Run 7 · training"
    assert dict(message.fields) == {
        "Step": "████████░░░░░░░░░░░░ 24 of 60",
        "Loss": "1.83 █▂▁",
        "Learning rate": "0.0001",
        "Speed": "312 tokens/s",
        "Left": "1 min 35 s",
    }
    assert [button.action for button in message.buttons] == ["cancel:7"]


def test_a_run_in_the_queue_says_how_many_are_before_it() -> None:
    queued = Run("7", SPEC)
    assert "2 before it" in run.live(queued, 3, 0.0).text
    assert "next" in run.live(queued, 1, 0.0).text
    assert "2 before it in the queue; it starts in about 20 min." in run.live(queued, 3, 0.0, 1_130.0).text
    assert "It is next; it starts in about 3 min." in run.live(queued, 1, 0.0, 190.0).text
    assert "It is next." in run.live(queued, 1, 0.0, 20.0).text


@pytest.mark.parametrize("status", [Status.succeeded, Status.failed, Status.cancelled])
def test_a_run_that_is_over_has_no_buttons(status: Status) -> None:
    assert run.live(at_work(status=status, ended_at=400.0), 0, 500.0).buttons == ()


def test_the_end_says_where_the_model_is_who_can_open_it_and_what_changed() -> None:
    result = Result(
        {"eval_loss": 1.2, "base_eval_loss": 3.4}, (Answer("hi?", "no", "yes"),), True, "acme/pairs", "abc",
        "https://hub.example/acme/pairs", True, "from peft import …", 200.0,
    )  # fmt: skip
    message = run.final(at_work(status=Status.succeeded, result=result, ended_at=400.0), ANN, None)
    assert "https://hub.example/acme/pairs" in message.text and "Private" in message.text
    assert dict(message.fields)["Held-out loss"] == "3.4 → 1.2"
    assert message.table and message.table.rows == (("hi?", "no", "yes"),)
    assert message.code == "from peft import …" and message.mentions == (ANN,)


def test_a_model_that_stays_here_says_how_it_can_be_pushed_later() -> None:
    message = run.final(at_work(status=Status.succeeded, ended_at=400.0), ANN, None)
    assert "runs/7" in message.text and "/finetune push 7" in message.text


def test_no_link_to_the_bots_own_machine_is_shown_elsewhere() -> None:
    result = Result(repo="local/pairs", url="http://127.0.0.1:7861/local/pairs", snippet="127.0.0.1")
    ended = run.for_readers_elsewhere(at_work(status=Status.succeeded, result=result, ended_at=400.0))
    for message in (run.final(ended, ANN, None), run.card(ended, ANN), run.listing("k", [ended])):
        said = f"{message.text} {message.code} {message.table.rows if message.table else ''}"
        assert "local/pairs" in said and "127.0.0.1" not in said
    public = at_work(result=replace(result, url="https://hub.example/acme/pairs"))
    assert run.for_readers_elsewhere(public) == public


def test_a_run_that_failed_says_why_and_names_who_asked() -> None:
    message = run.final(
        at_work(status=Status.failed, reason="The loss became NaN at step 3.", ended_at=400.0), ANN, None
    )
    assert message.title == "Run 7 failed" and "NaN at step 3" in message.text and message.mentions == (ANN,)


def test_a_file_with_the_columns_of_no_method_gets_one_line() -> None:
    methods = {name: Fit(False, missing_columns=("text",)) for name in ("sft", "dpo")}
    found = replace(a_report(), methods=methods, columns=("id", "amount"))
    assert report.resembles_nothing(found)
    message = report.no_dataset("k", found)
    assert "`id` and `amount`" in message.text and message.table is None
    assert [button.label for button in message.buttons] == ["See why", "Choose columns", "Ignore"]
    misspelt = Issue("misspelt_column", "error", "`txt` is not `text`", fix="rename_columns")
    assert not report.resembles_nothing(replace(found, issues=(misspelt,)))


def test_a_file_dropped_again_is_compared_with_the_one_before() -> None:
    before = a_report((empty(2), empty(3)))
    assert report.compared(before, replace(a_report(), rows=42)) == "Beside pairs.csv: mistakes 2 → 0, 30 rows more."
    assert report.compared(before, replace(a_report(), file="other.csv", columns=("a", "b"))) == ""
    assert report.compared(before, replace(a_report(), file="pairs.fixed.csv", columns=("a", "b"))) != ""


def test_a_file_that_cannot_be_read_says_so_without_figures_of_rows() -> None:
    empty_file = Issue("empty_file", "error", "The file is empty; upload one with rows in it.")
    message = report.report("k", replace(a_report((empty_file,)), columns=(), rows=0), None)
    assert [name for name, _ in message.fields] == ["File"]
    assert "1 mistake to mend. Mend it" in message.text


def test_what_does_not_fit_a_message_is_listed_in_full() -> None:
    found = a_report(tuple(empty(line) for line in range(2, 30)))
    assert report.is_cut(found) and not report.is_cut(a_report((empty(2),)))
    listed = report.all_issues(replace(found, counts={"empty_cell": 5000}))
    assert len(listed) == 29 and listed[-1] == "… and 4,972 more"


def test_a_file_that_was_trained_on_before_says_into_what() -> None:
    done = at_work(status=Status.succeeded, result=Result(url="https://hub.example/acme/pairs"), ended_at=1746230400.0)
    assert report.lineage(done) == "Trained on before: run 7 on 3 May 2025, dpo, https://hub.example/acme/pairs."
    assert report.lineage(None) == ""
