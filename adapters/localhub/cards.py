"""Model cards: the front matter of a README.md, and what the Hub finds wrong with it."""

import re
from typing import Any

import yaml

KNOWN_LICENCES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown
other
"""
LICENCES = frozenset(KNOWN_LICENCES.split())
REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)


def split(readme: str) -> tuple[str, str]:
    """The front matter (YAML, may be empty) and the text below it."""
    found = FRONT.match(readme)
    return (found[1], readme[found.end() :]) if found else ("", readme)


def card_data(readme: str) -> dict[str, Any]:
    """The front matter as values; empty where it is absent or cannot be read."""
    try:
        values = yaml.safe_load(split(readme)[0])
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def faults(readme: str) -> tuple[list[str], list[str]]:
    """(errors, warnings) of a card, each a sentence."""
    front, _ = split(readme)
    if not front:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        values = yaml.safe_load(front)
    except yaml.YAMLError as error:
        return [f"YAML: {' '.join(str(error).split())}"], []
    if not isinstance(values, dict):
        return ["The metadata must be a mapping of names to values"], []
    return _errors(values), []


def _errors(values: dict[str, Any]) -> list[str]:
    licences = values.get("license", [])
    named = licences if isinstance(licences, list) else [licences]
    errors = [f'"license" must be one of the known ids, not {name!r}' for name in named if name not in LICENCES]
    errors += [f'"{key}" must be a list of words' for key in ("tags", "datasets") if not _is_words(values.get(key, []))]
    bases = values.get("base_model", [])
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str) or not REPO_ID.fullmatch(base):
            errors.append(f'"base_model" with value {base!r} is not valid. Use a model id from hf.co/models.')
    return errors + _index_errors(values.get("model-index", []))


def _is_words(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(word, str) for word in value))


def _index_errors(index: object) -> list[str]:
    """Each model of a model-index needs a name and results, each result a task and metrics with type and value."""
    if not isinstance(index, list):
        return ['"model-index" must be a list']
    errors = []
    for at, model in enumerate(index):
        if not isinstance(model, dict) or not model.get("name") or not isinstance(model.get("results"), list):
            errors.append(f'"model-index[{at}]" needs "name" and "results"')
            continue
        for number, result in enumerate(model["results"]):
            metrics = result.get("metrics", []) if isinstance(result, dict) else []
            has_task = isinstance(result, dict) and "type" in result.get("task", {})
            if not has_task or not all(isinstance(one, dict) and {"type", "value"} <= one.keys() for one in metrics):
                errors.append(f'"model-index[{at}].results[{number}]" needs "task.type" and metrics of type and value')
    return errors
