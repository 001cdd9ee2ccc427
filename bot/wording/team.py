"""What the bot says about a team's matters: approval, audit, notices, the week, and what it has forgotten."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bot.chat import Button, Message, Person, Table
from bot.store.team import Deed
from bot.store.watches import Watch
from bot.wording.numbers import count
from bot.wording.run import card as run_card
from bot.wording.run import name, subject
from engine.jobs import Run, Status
from engine.refusal import Refusal

WAITS = "It waits until a second person approves it."
NOBODY = "Nobody is named who could approve it: ADMINS and APPROVERS, in the bot's settings, say who can"
MOST_NAMED = 5


def listed(names: Sequence[str]) -> str:
    """`ann, bob and 3 more`."""
    more = len(names) - MOST_NAMED
    shown = [*names[:MOST_NAMED], f"{more} more"] if more > 0 else list(names)
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def who(approvers: Sequence[str]) -> str:
    """Who can approve a run, by the names that people know; nobody is pinged by it."""
    return f"{listed(approvers)} can approve it" if approvers else NOBODY


def over(key: str, refusal: Refusal, draft: str, approvers: Sequence[str]) -> Message:
    """What stands against a run, and the button that asks for it all the same."""
    ask = Button("Ask for approval", f"approval:{draft}", "primary")
    return Message(key, f"{refusal.text} {who(approvers)}.", buttons=(ask,))


def request(key: str, run: Run, person: Person, hours: float, approvers: Sequence[str]) -> Message:
    took = f"It would take about {hours:.1f} h. " if hours >= 0.1 else ""
    return Message(
        key,
        f"{person.name} asks for {subject(run)}. {took}{who(approvers)}; nobody approves their own.",
        title=f"{name(run)} waits for approval",
        buttons=(
            Button("Approve", f"approve:{run.id}", "primary"),
            Button("Decline", f"decline:{run.id}", "danger"),
        ),
    )


def decided(said: Message, by: Person, is_approved: bool) -> Message:
    """The request, as somebody has answered it."""
    return replace(said, title=f"{'Approved' if is_approved else 'Declined'} by {by.name}", buttons=())


def decided_run(run: Run, by: Person, is_approved: bool, now: float) -> Run:
    if is_approved:
        return replace(run, status=Status.queued, reason="", queued_at=now)
    return replace(run, status=Status.cancelled, reason=f"Declined by {by.name}.", ended_at=now)


def approved(run: Run, by: Person, person: Person) -> Message:
    return Message(f"run/{run.id}/approved", f"{by.name} has approved run {run.id}; it is queued.", mentions=(person,))


def audit(key: str, deeds: Sequence[Deed], person: Person) -> Message:
    rows = tuple((when(deed.at), deed.person.name, deed.what, deed.subject, deed.place, deed.detail) for deed in deeds)
    table = Table(("When (UTC)", "Who", "Did", "To", "Where", "How it went"), rows)
    return Message(key, f"The last {count(len(rows), 'entry', 'entries')}.", table=table, only_for=person)


def when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def subscribed(key: str, wanted: Sequence[str], everything: str) -> Message:
    how = "`/finetune notify 7`, `notify all` and `notify off` change it."
    if everything in wanted:
        return Message(key, f"You hear of every run that ends, by direct message. {how}")
    runs = ", ".join(wanted)
    return Message(key, f"You hear of the end of {f'run {runs}' if runs else 'no runs but your own'}. {how}")


def card(key: str, run: Run, person: Person) -> Message:
    return replace(run_card(run, person), key=key)


def digest(key: str, told: Sequence[tuple[Run, Watch]], hidden: int) -> Message:
    """The week in one table; `hidden` runs were in private places."""
    rows = tuple(
        (run.id, run.status.value, run.spec.method, run.spec.train.name, watch.person.name, run.result.repo)
        for run, watch in told
    )
    ended = len(told) + hidden
    private = f" {count(hidden, 'of them was', 'of them were')} private and not in the table." if hidden else ""
    good = sum(run.status is Status.succeeded for run, _ in told)
    return Message(
        key,
        f"{count(ended, 'run')} ended in the last seven days; {good} of those below brought a model.{private}",
        title="The week in fine-tuning",
        table=Table(("Run", "State", "Method", "Data", "Asked for by", "Model"), rows),
        is_silent=True,
    )


def forgot_run(key: str, run: Run) -> Message:
    hub = f" The model on the Hub, {run.result.repo}, stays: delete it there." if run.result.repo else ""
    text = f"Run {run.id}: its rows, checkpoints, logs, samples and outputs are deleted from this server.{hub}"
    return Message(key, text)


def forgot_file(key: str, file: str, is_last: bool) -> Message:
    if is_last:
        return Message(key, f"{file} and its report are deleted from this server. Drop it again to use it again.")
    return Message(key, f"{file} is forgotten in this thread. Another thread holds the same content, so it stays.")


def lapsed_file(key: str, file: str) -> Message:
    return Message(key, f"{file} was kept for as long as it was to be, and is deleted here now.", is_silent=True)


def lapsed_run(key: str, run: Run) -> Message:
    hub = f" Its model is on the Hub: {run.result.repo}." if run.result.repo else ""
    return Message(
        key, f"{name(run)} was kept for as long as it was to be; its files are deleted here now.{hub}", is_silent=True
    )
