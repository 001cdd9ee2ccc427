"""Python that loads a pushed model and uses it once. Tests run each of these as it stands."""

from dataclasses import dataclass

HEADS = {"reward": "SequenceClassification", "mlm": "MaskedLM"}
LORA_CLASSES = {
    "CausalLM": "AutoPeftModelForCausalLM",
    "SequenceClassification": "AutoPeftModelForSequenceClassification",
}

CHAT = """
messages = [{"role": "user", "content": "Hello!"}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(output[0][inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
PLAIN = """
inputs = tokenizer("Hello", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(output[0], skip_special_tokens=True))
"""
SCORE = """
for text in ("Question: 2 + 2?\\nAnswer: 4.", "Question: 2 + 2?\\nAnswer: 5."):
    inputs = tokenizer(text, return_tensors="pt")
    print(round(model(**inputs).logits[0, 0].item(), 3), text.splitlines()[1])  # higher is better
"""
FILL = """
inputs = tokenizer(f"The answer is {tokenizer.mask_token}.", return_tensors="pt")
place = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0, 0]
print(tokenizer.decode(model(**inputs).logits[0, place].topk(3).indices))
"""


@dataclass(frozen=True)
class Loading:
    """How a repo is to be loaded: `head` is what follows AutoModelFor; `base` and `revision` are a lora's base."""

    repo: str
    head: str
    is_lora: bool
    is_chat: bool = False
    base: str = ""
    base_revision: str = ""


def head(method: str) -> str:
    """What follows `AutoModelFor` in the class that loads a result of this method."""
    return HEADS.get(method, "CausalLM")


def snippet(loading: Loading) -> str:
    """The whole program, without an end of line."""
    use = {"SequenceClassification": SCORE, "MaskedLM": FILL}.get(loading.head, CHAT if loading.is_chat else PLAIN)
    return (load_lora(loading) if loading.is_lora else load_whole(loading)) + use.rstrip()


def load_whole(loading: Loading) -> str:
    name = f"AutoModelFor{loading.head}"
    return f"""from transformers import {name}, AutoTokenizer

repo = "{loading.repo}"
model = {name}.from_pretrained(repo)
tokenizer = AutoTokenizer.from_pretrained(repo)
"""


def load_lora(loading: Loading) -> str:
    if loading.head not in LORA_CLASSES:
        return load_lora_on(loading)
    name = LORA_CLASSES[loading.head]
    labels = ", num_labels=1" if loading.head == "SequenceClassification" else ""
    return f"""from peft import {name}
from transformers import AutoTokenizer

repo = "{loading.repo}"
model = {name}.from_pretrained(repo{labels})
tokenizer = AutoTokenizer.from_pretrained(repo)
"""


def load_lora_on(loading: Loading) -> str:
    """For heads that peft has no class of its own for: the base first, the lora on it."""
    name = f"AutoModelFor{loading.head}"
    pinned = f', revision="{loading.base_revision}"' if loading.base_revision else ""
    return f"""from peft import PeftModel
from transformers import {name}, AutoTokenizer

repo = "{loading.repo}"
base = {name}.from_pretrained("{loading.base}"{pinned})
model = PeftModel.from_pretrained(base, repo)
tokenizer = AutoTokenizer.from_pretrained(repo)
"""


def with_endpoint(text: str, address: str, is_public_hub: bool) -> str:
    """The snippet for a Hub that is not the public one: the client has to be told where it is, before its import."""
    return text if is_public_hub else f'import os\n\nos.environ["HF_ENDPOINT"] = "{address}"\n\n{text}'
