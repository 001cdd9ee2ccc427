"""What the bot says when asked what it can do, and its one-line answers."""

from bot.chat import Button, File, Message, Person
from bot.wording import terms
from engine.data.types import NEEDS
from engine.refusal import Refusal

METHODS = {
    "sft": "learns to answer as your examples do",
    "clm": "goes on reading plain text (AutoTrain's generic)",
    "reward": "learns to score the better of two texts higher",
    "dpo": "learns to prefer one answer over another",
    "orpo": "learns to answer and to prefer at once, without a reference model",
    "kto": "learns from single answers that are marked good or bad",
    "mlm": "learns to fill masked words, for encoders",
}
TERMS = {
    "lora": "Low-rank weights beside the base model: small, quick to train and share. `lora=off` trains all weights.",
    "epoch": "Once through all the training rows.",
    "step": "One update of the weights, on batch_size × gradient_accumulation rows.",
    "loss": "How far the model is from the rows, in nats per token; lower is nearer.",
    "text": "The column with what the model should write; for reward, dpo and orpo the preferred answer.",
    "label": "For kto: whether the answer is good; true or false (1, 0, yes, no are read too).",
    "rejected_text": "The column with the answer that the model should move away from.",
    "prompt": "The column with what is asked.",
    "repo": "The repo on the Hub that the model goes to: `repo=name` or `repo=namespace/name`. It has to be a new one.",
    "push": "`push=off` leaves the model on the server, `push=pr repo=namespace/name` sends it as a pull request.",
    "merge": "`merge=on` pushes whole weights in place of the LoRA, for programs that cannot load one.",
    "ask": "`/finetune ask 7 question` puts it to run 7 and to its base, side by side; trainings come first.",
    "compare": "`/finetune compare 3 5` shows two runs in one table: data, settings, figures, the same prompts.",
    "unescape": "Turns the two characters \\ and n of a cell into a line break: `unescape=on`.",
}


def overview(key: str) -> Message:
    rows = "\n".join(f"{method:7} {METHODS[method]} ({', '.join(NEEDS[method])})" for method in NEEDS)
    return Message(
        key,
        "Drop a CSV or JSONL here and I say what is wrong with it, line by line, or what can be trained with it.",
        title="/finetune",
        code=f"{rows}\n\n/finetune sft model=… epochs=3 lr=1e-4 valid=10%\n"
        "/finetune status [run] · list · models · cancel run [save] · resume run · retry run [epochs=…]\n"
        "/finetune ask run question · compare run run · push run · logs run · example method · help word\n"
        "/finetune schedule run every monday 02:00 Europe/Berlin · schedule run at 02:00 · schedules · unschedule id\n"
        "/finetune notify run, all or off · forget run or file · audit",
        buttons=tuple(Button(f"Example for {method}", f"example:{method}") for method in ("sft", "dpo", "reward")),
    )


def term(key: str, word: str) -> Message:
    if word in NEEDS:
        return Message(key, f"{word} {METHODS[word]}. It needs {', '.join(NEEDS[word])}.")
    if word in TERMS:
        return Message(key, TERMS[word], title=word)
    if said := terms.meaning(word):
        return Message(key, said, title=word)
    return overview(key)


def refusal(key: str, what: Refusal) -> Message:
    return Message(key, what.text)


def turned_away(key: str, what: Refusal, person: Person) -> Message:
    return Message(key, what.text, only_for=person)


def no_file(key: str, method: str) -> Message:
    needs = ", ".join(NEEDS[method])
    return Message(
        key,
        f"Drop a CSV or JSONL with {needs} in this thread and I plan {method} on it.",
        buttons=(Button("Show me an example", f"example:{method}"),),
    )


def example(key: str, method: str, file: File, content: str) -> Message:
    return Message(
        key,
        f"This is what {method} reads: {', '.join(NEEDS[method])}.",
        code=content,
        files=(file,),
        buttons=(Button("Use it", f"use:{method}", "primary"),),
    )


def pasted(key: str, person: Person) -> Message:
    """To the person alone: a token that stood in a message is known to everybody who can read there."""
    return Message(
        key,
        "You sent a token or another secret here, where others can read it. Delete your message and revoke the token "
        "now, at https://huggingface.co/settings/tokens for one of the Hub. I did not keep it and did nothing else "
        "with your message. I never need a token in a chat: whoever runs me sets HF_TOKEN on the server.",
        title="That was a secret",
        only_for=person,
    )


def not_mine(key: str) -> Message:
    return Message(key, "That was answered already.")


def broken(key: str) -> Message:
    return Message(
        key, "Something went wrong on my side; my log has the details. Nothing you sent is lost: try it again."
    )
