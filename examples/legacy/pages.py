"""The pages of the tool desk, as HTML text. Every value from outside goes through `escape`."""

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from examples.legacy.desk import CARDS, TOOLS, Desk, Drawing, Tool

_PAGES = (
    ("/", "My loans"),
    ("/tools", "Tools"),
    ("/drawings", "Drawings"),
    ("/counter", "Counter"),
    ("/intercom", "Intercom"),
)


def loans(desk: Desk, name: str) -> str:
    """The first page: who is there, and what they have."""
    card = CARDS.get(name)
    held = desk.held_by(name)
    rows = "".join(_row(tool, _button("/return", tool, "Bring back")) for tool in held)
    at = f"Card {card.number}, {card.bench}" if card else "No card yet; ask at the counter"
    return _page(
        name,
        "/",
        "My loans",
        f'<h1>Good day, <span id="user-name">{escape(name)}</span></h1>'
        f'<p id="card">{escape(at)}</p>'
        + (_table(rows) if held else "<p>You have nothing of ours.</p>")
        + '<p><a href="/tools">Borrow a tool</a></p>',
    )


def tools(desk: Desk, name: str) -> str:
    """All tools, with who has them."""

    def state(tool: Tool) -> str:
        holder = desk.lent.get(tool.number)
        if holder is None:
            return _button("/borrow", tool, "Borrow")
        return "with you" if holder == name else f"with {escape(holder)}"

    return _page(
        name, "/tools", "Tools", "<h1>Tools</h1>" + _table(_row(tool, state(tool)) for tool in TOOLS)
    )


def drawings(kept: Iterable[Drawing], name: str) -> str:
    """What people left, and the form to leave something."""
    rows = "".join(
        f'<tr><td><a href="/drawings/{drawing.number}/{quote(drawing.name, safe="")}">{escape(drawing.name)}'
        f"</a></td><td>{escape(drawing.owner)}</td><td>{len(drawing.content):,} bytes</td></tr>"
        for drawing in kept
    )
    return _page(
        name,
        "/drawings",
        "Drawings",
        "<h1>Drawings</h1>"
        '<form method="post" action="/drawings" enctype="multipart/form-data">'
        '<label for="file">A drawing for the workshop, 16 MB at most</label>'
        '<p><input id="file" name="file" type="file" required> <button id="leave">Leave it here</button></p>'
        "</form>" + (f"<table><tbody>{rows}</tbody></table>" if rows else "<p>Nothing was left so far.</p>"),
    )


def counter(name: str) -> str:
    """What happens at the desk, as it happens."""
    return _page(
        name,
        "/counter",
        "Counter",
        '<h1>Counter</h1><p class="clock" id="clock" role="timer">--:--:--</p>'
        '<h2>Movements</h2><ul id="movements" data-none="All quiet so far."></ul>',
        script=True,
    )


def intercom(name: str) -> str:
    """Say something to everybody whose page is open."""
    return _page(
        name,
        "/intercom",
        "Intercom",
        '<h1>Intercom</h1><form id="talk"><label for="words">To everybody who listens</label>'
        '<p><input id="words" maxlength="500" autocomplete="off"> <button id="say">Say it</button></p></form>'
        '<ul id="heard" aria-live="polite" data-none="The line is being opened …"></ul>',
        script=True,
    )


def notice(name: str | None, title: str, text: str) -> str:
    """A page that says one thing."""
    back = "" if name is None else '<p><a href="/">Back to the desk</a></p>'
    return _page(name, "", title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{back}")


def _page(name: str | None, here: str, title: str, content: str, *, script: bool = False) -> str:
    tabs = "".join(
        f'<a href="{path}"{" aria-current=page" if path == here else ""}>{text}</a>' for path, text in _PAGES
    )
    who = "" if name is None else f'<p class="you">You are <strong>{escape(name)}</strong></p>'
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · Tool desk</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/desk.css">
{'<script src="/desk.js" defer></script>' if script else ""}
</head>
<body>
<header>
<div class="sign"><p class="name">Tool desk</p><p class="firm">Linden Instruments</p></div>{who}
</header>
{"" if name is None else f'<nav aria-label="Main">{tabs}</nav>'}
<main>
{content}
</main>
<footer>Tool desk 2.3 · since May 2005 · Questions: extension 0190</footer>
</body>
</html>
"""


def _table(rows: Iterable[str]) -> str:
    head = "<tr><th>Tool</th><th>Number</th><th>Shelf</th><th></th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _row(tool: Tool, state: str) -> str:
    return (
        f"<tr><td>{escape(tool.name)}</td><td>{tool.number}</td><td>{tool.shelf}</td>"
        f'<td class="state">{state}</td></tr>'
    )


def _button(action: str, tool: Tool, text: str) -> str:
    return (
        f'<form method="post" action="{action}"><input type="hidden" name="tool" value="{tool.number}">'
        f'<button aria-label="{text}: {escape(tool.name)}">{text}</button></form>'
    )
