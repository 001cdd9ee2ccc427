"""Block Kit as HTML: what the bot's real blocks look like, near enough to recognise. Not Slack's own rendering."""

import html
from collections.abc import Iterable
from typing import Any

Block = dict[str, Any]
STYLE = """
body { font: 15px/1.46 Lato, "Noto Sans", "DejaVu Sans", sans-serif; color: #1d1c1d; margin: 0; background: #fff }
.message { display: flex; gap: 10px; padding: 10px 20px; max-width: 820px }
.face { width: 36px; height: 36px; border-radius: 8px; background: #1f2937; color: #fff; text-align: center;
  font: bold 18px/36px sans-serif; flex: none }
.face.person { background: #b45309 }
.body { min-width: 0; flex: 1 } .name { font-weight: 900 } .app { background: #e8e8e8; color: #616061;
  font-size: 10px; padding: 1px 3px; border-radius: 2px; margin: 0 6px; font-weight: 700 }
.note { color: #616061; font-size: 12px }
h2 { font-size: 18px; margin: 6px 0 } p { margin: 2px 0; white-space: pre-wrap; overflow-wrap: anywhere }
pre { background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px; padding: 8px; white-space: pre-wrap;
  font: 12px/1.5 Monaco, "DejaVu Sans Mono", monospace; margin: 4px 0 }
code { color: #e01e5a; background: #f6f6f6; border: 1px solid #ddd; border-radius: 3px; padding: 1px 3px;
  font: 12px "DejaVu Sans Mono", monospace }
table { border-collapse: collapse; margin: 6px 0; font-size: 13px } td { border: 1px solid #ddd;
  padding: 4px 8px; overflow-wrap: anywhere;
  vertical-align: top } tr:first-child td { font-weight: 700; background: #f8f8f8 }
button { font: 700 13px sans-serif; padding: 6px 12px; border-radius: 4px; border: 1px solid #bbb; background: #fff;
  margin: 4px 8px 4px 0 } .primary { background: #007a5a; color: #fff; border: 0 } .danger { color: #fff;
  background: #e01e5a; border: 0 }
.mention { background: #e8f5fa; color: #1264a3; border-radius: 3px; padding: 0 2px } a { color: #1264a3 }
.file { border: 1px solid #ddd; border-radius: 8px; padding: 8px 12px; margin: 6px 0; display: inline-block }
.modal { border: 1px solid #ccc; border-radius: 8px; width: 520px; margin: 20px; box-shadow: 0 8px 30px #0002 }
.modal header, .modal footer { padding: 14px 20px; font-weight: 900; font-size: 18px }
.modal footer { text-align: right } .modal main { padding: 0 20px }
.home { padding: 20px; max-width: 760px }
label { font-weight: 700; display: block; margin-top: 12px } .input { border: 1px solid #868686; border-radius: 4px;
  padding: 7px 10px; color: #616061; min-height: 20px } svg { border: 1px solid #ddd; border-radius: 8px;
  margin: 6px 0 }
hr { border: 0; border-top: 1px solid #ddd; margin: 14px 0 }
"""


def page(body: str) -> str:
    return f"<!DOCTYPE html><meta charset=utf-8><style>{STYLE}</style><body>{body}"


def message(said: Block, people: dict[str, str], is_bot: bool) -> str:
    name = "threadtune" if is_bot else _name(said["user"], people)
    app = "<span class=app>APP</span>" if is_bot else ""
    files = "".join(f"<div class=file>📄 <b>{html.escape(file['name'])}</b></div>" for file in said.get("files", ()))
    inner = blocks(said.get("blocks") or (), people) or f"<p>{html.escape(said.get('text', ''))}</p>"
    face = f"<div class='face{'' if is_bot else ' person'}'>{name[0]}</div>"
    return f"<div class=message>{face}<div class=body><span class=name>{name}</span>{app}{inner}{files}</div></div>"


def _name(user: str, people: dict[str, str]) -> str:
    return people.get(user, user)


def modal(view: Block, people: dict[str, str]) -> str:
    title = html.escape(view["title"]["text"])
    submit = f"<button>Close</button><button class=primary>{html.escape(view['submit']['text'])}</button>"
    inner = blocks(view["blocks"], people)
    return f"<div class=modal><header>{title}</header><main>{inner}</main><footer>{submit}</footer></div>"


def home(view: Block, people: dict[str, str]) -> str:
    return f"<div class=home>{blocks(view['blocks'], people)}</div>"


def blocks(these: Iterable[Block], people: dict[str, str]) -> str:
    return "".join(_block(block, people) for block in these)


def _block(block: Block, people: dict[str, str]) -> str:
    match block["type"]:
        case "header":
            return f"<h2>{html.escape(block['text']['text'])}</h2>"
        case "section":
            return f"<p>{html.escape(block['text']['text'])}</p>"
        case "divider":
            return "<hr>"
        case "rich_text":
            return "".join(_part(part, people) for part in block["elements"])
        case "table":
            rows = ("".join(f"<td>{html.escape(cell['text'])}" for cell in row) for row in block["rows"])
            return f"<table>{''.join(f'<tr>{row}' for row in rows)}</table>"
        case "actions":
            return f"<div>{''.join(_button(button) for button in block['elements'])}</div>"
        case "input":
            return _input(block)
        case "data_visualization":
            return _chart(block)
    raise ValueError(f"nothing draws {block['type']}")


def _part(part: Block, people: dict[str, str]) -> str:
    inner = "".join(_run(run, people) for run in part["elements"])
    return f"<pre>{inner}</pre>" if part["type"] == "rich_text_preformatted" else f"<p>{inner}</p>"


def _run(run: Block, people: dict[str, str]) -> str:
    if run["type"] == "user":
        return f"<span class=mention>@{html.escape(_name(run['user_id'], people))}</span>"
    if run["type"] == "link":
        return f"<a>{html.escape(run['url'])}</a>"
    text, style = html.escape(run["text"]), run.get("style", {})
    text = f"<b>{text}</b>" if style.get("bold") else text
    return f"<code>{text}</code>" if style.get("code") else text


def _button(button: Block) -> str:
    return f"<button class='{button.get('style', '')}'>{html.escape(button['text']['text'])}</button>"


def _input(block: Block) -> str:
    element, optional = block["element"], " <span class=note>(optional)</span>" if block.get("optional") else ""
    chosen = element.get("initial_option", {}).get("text", {}).get("text") or element.get("initial_value")
    empty = element.get("placeholder", {}).get("text", "") or {"file_input": "Add file"}.get(
        element["type"], "Select …"
    )
    hint = f"<div class=note>{html.escape(block['hint']['text'])}</div>" if "hint" in block else ""
    label = f"<label>{html.escape(block['label']['text'])}{optional}</label>"
    return f"{label}<div class=input>{html.escape(chosen or empty)}</div>{hint}"


def _chart(block: Block) -> str:
    data = block["chart"]["series"][0]["data"]
    values = [point["value"] for point in data]
    low, spread = min(values), (max(values) - min(values)) or 1.0
    at = [(40 + n * 500 / max(1, len(data) - 1), 150 - 110 * (v - low) / spread) for n, v in enumerate(values)]
    line = " ".join(f"{x:.0f},{y:.0f}" for x, y in at)
    marks = "".join(
        f"<text x={x:.0f} y=175 font-size=10>{p['label']}</text>" for (x, _), p in zip(at, data, strict=True)
    )
    ends = f"<text x=5 y=45 font-size=10>{max(values):.3g}</text><text x=5 y=153 font-size=10>{low:.3g}</text>"
    title = f"<text x=20 y=22 font-weight=700>{html.escape(block['title'])}</text>"
    drawn = f"<polyline points='{line}' fill=none stroke=#1264a3 stroke-width=2 />"
    return f"<svg width=580 height=190>{title}{drawn}{marks}{ends}</svg>"
