"""What each command and each word of the field means: for `/finetune help WORD`, and for docs/commands.md."""

from collections.abc import Mapping

from engine.plan import parameters
from engine.refusal import Refusal

COMMANDS: Mapping[str, tuple[str, str]] = {
    "sft": ("sft [file=… model=… epochs=3 …]", "Plan a run that learns to answer as the examples do."),
    "clm": ("clm [text=column …]", "Plan a run that goes on reading plain text."),
    "reward": ("reward [text=… rejected_text=…]", "Plan a reward model."),
    "dpo": ("dpo [prompt=… text=… rejected_text=…]", "Plan a run that learns to prefer one answer over another."),
    "orpo": ("orpo [prompt=… text=… rejected_text=…]", "Plan a run that learns to answer and to prefer at once."),
    "kto": ("kto [prompt=… text=… label=…]", "Plan a run on single answers that are marked good or bad."),
    "mlm": ("mlm [text=column …]", "Plan a run that fills masked words (encoders)."),
    "check": ("check hf:org/name", "Check a dataset of the Hub, or rows in a code block, as if they had been dropped."),
    "status": ("status [run]", "How a run stands, or the latest ones."),
    "list": ("list", "The latest runs that may be spoken of here."),
    "queue": ("queue", "The runs that wait, in their order."),
    "models": ("models [base]", "The models that were made; with base, those that a run can begin with."),
    "cancel": ("cancel run [save]", "End a run; with save, the model is kept as it is then."),
    "resume": ("resume run", "Go on from the last checkpoint of a run that ended, in a new run."),
    "retry": ("retry run [epochs=…]", "Do a run that ended once more, with some parameters changed."),
    "push": ("push run", "Push the model of a run that could not be pushed."),
    "ask": ("ask run question", "Put a question to a model and to its base, side by side."),
    "compare": ("compare run run", "Two runs in one table."),
    "logs": ("logs run", "The last lines of a run's log, and all of it as a file."),
    "schedule": ("schedule run at 02:00", "Start a run later, or again and again."),
    "schedules": ("schedules", "What will start by itself."),
    "unschedule": ("unschedule id", "Take a schedule away."),
    "example": ("example method", "A small table that shows what a method reads."),
    "notify": ("notify run, all or off", "Hear of the end of runs by direct message."),
    "forget": ("forget run or file", "Delete a run's or a file's data from this server; what is on the Hub stays."),
    "audit": ("audit", "Who did what, when and from where; for admins."),
    "help": ("help [word]", "What I can do, or what a word means."),
}
FIELD: Mapping[str, str] = {
    "method": "How a model is trained, as a word to type: sft, clm, reward, dpo, orpo, kto, mlm.",
    "trainer": "The program of TRL that does a method's training.",
    "columns": "What a method reads of a row, as in `prompt` and `text`; `text=answer` says which column it is.",
    "upload": "A file that somebody attached. It is kept under its content's hash.",
    "report": "What a check found in a file: every issue with its line, and what the file can be used for.",
    "issue": "One thing in a file: an error has to be mended, a warning works but perhaps not as you think.",
    "draft": "A run that awaits its click.",
    "run": "A training that somebody started, with its number: it is queued, running, trained, pushed, and over.",
    "attempt": "One try at a part of a run: fetch, train or push. A training that dies is tried three times.",
    "checkpoint": "The training's state, saved now and then, so that it can go on from there.",
    "executor": "Where trainings run: this machine, or others.",
    "slot": "Room for one training on an executor.",
    "model": "The base model that is trained on: `model=org/name`, as the Hub names it, or `base=7`: what run 7 made.",
    "revision": "A commit of a repo. A base model is pinned to one when a run is planned.",
    "card": "The page of a model on the Hub: what it was trained on, its figures, its licence.",
    "held-out": "Rows that are not trained on, so that the model can be measured by them: `valid=10%`.",
    "valid": "Rows to measure by: a share (`valid=10%`), a number, `off`, a file of the thread, or `hf:org/name:test`.",
    "preference": "Data with a better and a worse answer to the same prompt, for dpo, orpo and reward.",
    "approval": "A run above the limits waits until a second person approves it; the button asks for that.",
    "quota": "How much one person may have: runs at work, in the queue and in a day, hours in a month.",
    "admin": "Who may approve and end others' runs and read the audit; ADMINS in the bot's settings says who that is.",
    "guest": "Somebody who is no full member here; I do nothing for guests.",
    "digest": "The week's runs, told in the team's channel on Mondays.",
    "namespace": "A user or an organisation on the Hub.",
}


def meaning(word: str) -> str:
    """What a word means, or empty: a command, a word of the field, or a parameter of some method."""
    if word in COMMANDS:
        usage, sentence = COMMANDS[word]
        return f"`/finetune {usage}`: {sentence}"
    return FIELD.get(word) or _parameter(word)


def _parameter(word: str) -> str:
    for method in ("sft", "dpo", "reward", "orpo", "kto", "mlm"):
        try:
            found = parameters.find(word, method)
        except Refusal:
            continue
        return f"`{found.name}=…`: {found.sentence}"
    return ""


def page(terms: Mapping[str, str]) -> str:
    """docs/commands.md."""
    rows = "".join(f"| `/finetune {usage}` | {sentence} |\n" for usage, sentence in COMMANDS.values())
    words = "".join(f"| {word} | {sentence} |\n" for word, sentence in sorted({**FIELD, **terms}.items()))
    return (
        "# Commands and words\n\n"
        "What can be said to the bot, after `/finetune`, after its name, or in its direct messages.\n"
        "This page is made from the code: `python -m bot reference`. Parameters are in\n"
        "[parameters.md](parameters.md), settings in the README.\n\n"
        f"| command | what it does |\n|---|---|\n{rows}\n"
        "## Words\n\n`/finetune help WORD` says the same.\n\n"
        f"| word | meaning |\n|---|---|\n{words}"
    )
