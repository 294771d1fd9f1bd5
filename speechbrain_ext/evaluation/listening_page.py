"""The text of the listening test, for `string.Template`."""

from string import Template

from speechbrain_ext.evaluation.page_style import BASE

_CSS = """
main { max-width: 760px; }
.bar, article {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.1rem; margin-top: 1rem;
}
.bar {
  display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 260px), 1fr));
}
label { color: var(--soft); font-size: .85rem; }
input[type="text"], progress { display: block; width: 100%; }
input[type="text"] {
  font: inherit; font-size: 1rem; padding: .4rem .6rem; color: var(--ink);
  background: var(--ground); border: 1px solid var(--line); border-radius: 8px;
}
progress { height: 1rem; margin-top: .5rem; accent-color: var(--accent); }
.player { color: var(--soft); font-size: .85rem; margin-top: .8rem; }
audio { display: block; width: 100%; height: 40px; margin-top: .15rem; }
fieldset { border: 0; margin: 1.2rem 0 0; padding: 0; min-width: 0; }
legend { padding: 0; font-weight: 600; }
.scale { display: grid; gap: .5rem; grid-template-columns: repeat(5, 1fr); }
.scale label { position: relative; margin-top: .5rem; cursor: pointer; }
.scale span {
  display: block; padding: .6rem .2rem; text-align: center;
  border: 1px solid var(--line); border-radius: 8px;
}
.scale b { display: block; font-size: 1.2rem; color: var(--ink); }
.scale input { position: absolute; opacity: 0; }
.scale :checked + span {
  border-color: var(--accent); box-shadow: inset 0 0 0 2px var(--accent);
}
.scale :focus-visible + span, button:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px;
}
nav { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1rem; }
button {
  font: inherit; padding: .5rem 1rem; color: var(--ink); cursor: pointer;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px;
}
#save { color: var(--card); background: var(--accent); font-weight: 600; }
button:disabled { opacity: .45; cursor: default; }
.hint, #status { color: var(--soft); font-size: .85rem; }
#status { min-height: 1.6em; }
@media (max-width: 640px) {
  main { padding: 1.2rem .8rem 3rem; }
  h1 { font-size: 1.4rem; }
  .scale { gap: .25rem; }
  .scale label { font-size: .7rem; }
  nav button { flex: 1 1 30%; padding: .6rem .4rem; }
}
"""

_SCRIPT = """
"use strict";
(() => {
  const find = (selector) => document.querySelector(selector);
  const items = [...document.querySelectorAll("article")];
  const key = "listening test " + find("main").dataset.test;
  const listener = find("#listener");
  const status = find("#status");
  let answers = { listener: "", scores: {} };
  let current = 0;

  try {
    const kept = localStorage.getItem(key);
    if (kept !== null) answers = JSON.parse(kept);
  } catch (error) {
    find("#unkept").hidden = false;
  }

  function keep() {
    try {
      localStorage.setItem(key, JSON.stringify(answers));
    } catch (error) {
      find("#unkept").hidden = false;
    }
  }

  function unrated() {
    /* the next one after the current, from the start again at the end */
    const order = items.map((_, step) => (current + 1 + step) % items.length);
    return order.find((index) => !(index in answers.scores));
  }

  function show() {
    const count = Object.keys(answers.scores).length;
    items.forEach((item, index) => {
      item.hidden = index !== current;
      for (const input of item.querySelectorAll("input")) {
        input.checked = answers.scores[index] === Number(input.value);
      }
    });
    find("#progress").value = count;
    find("#count").textContent = count + " of " + items.length + " rated";
    find("#previous").disabled = current === 0;
    find("#next").disabled = current === items.length - 1;
    find("#unrated").disabled = count === items.length;
    find("#save").disabled = count === 0;
  }

  function go(index) {
    if (index < 0 || index >= items.length) return;
    for (const sound of document.querySelectorAll("audio")) sound.pause();
    current = index;
    status.textContent = "";
    show();
  }

  function rate(score) {
    answers.scores[current] = score;
    keep();
    show();
    const all = Object.keys(answers.scores).length === items.length;
    status.textContent = all ? "All rated: save your scores." : "";
  }

  function save() {
    const name = answers.listener.trim();
    if (name === "") {
      status.textContent = "Enter your name first.";
      listener.focus();
      return;
    }
    /* a spreadsheet would run a cell that begins with one of these signs */
    const safe = (text) => (/^'*[=+@\\t\\r-]/.test(text) ? "'" + text : text);
    const quote = (text) => '"' + safe(text).replaceAll('"', '""') + '"';
    const lines = ["listener,item,score"];
    items.forEach((item, index) => {
      if (index in answers.scores) {
        const cells = [quote(name), quote(item.dataset.item)];
        lines.push([...cells, answers.scores[index]].join(","));
      }
    });
    const text = lines.join("\\n") + "\\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download =
      "scores_" + name.replace(/[^\\p{L}\\p{N}]+/gu, "_") + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    status.textContent = "Saved as " + link.download;
  }

  listener.value = answers.listener;
  listener.addEventListener("input", () => {
    answers.listener = listener.value;
    keep();
  });
  for (const input of document.querySelectorAll(".scale input")) {
    input.addEventListener("change", () => rate(Number(input.value)));
  }
  for (const sound of document.querySelectorAll("audio")) {
    sound.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) {
        if (other !== sound) other.pause();
      }
    });
  }
  find("#previous").addEventListener("click", () => go(current - 1));
  find("#next").addEventListener("click", () => go(current + 1));
  find("#unrated").addEventListener("click", () => go(unrated()));
  find("#save").addEventListener("click", save);
  find("#clear").addEventListener("click", () => {
    if (!confirm("Remove the name and all scores from this browser?")) return;
    answers = { listener: "", scores: {} };
    listener.value = "";
    keep();
    go(0);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === listener) return;
    if (/^[1-5]$/.test(event.key)) rate(Number(event.key));
    if (event.key.toLowerCase() === "n") go(current + 1);
    if (event.key.toLowerCase() === "p") go(current - 1);
  });
  const first = items.findIndex((_, index) => !(index in answers.scores));
  go(Math.max(first, 0));
})();
"""

_SCALE = "".join(
    f'<label><input type="radio" name="score$number" value="{score}">'
    f"<span><b>{score}</b>{word}</span></label>\n"
    for score, word in enumerate(
        ("bad", "poor", "fair", "good", "excellent"), start=1
    )
)

# `replace`: the script's own dollar sign is none of a template
PAGE = Template(
    f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>{BASE}{_CSS}</style>
</head>
<body>
<main data-test="$test">
<header><h1>$title</h1>$notes</header>
<noscript><p>This page needs JavaScript to take your scores.</p></noscript>
<p id="unkept" hidden>This browser does not keep your scores: save them before
you close the page.</p>
<section class="bar">
<label>Your name
<input type="text" id="listener" autocomplete="name"></label>
<label><span id="count">0 of $count rated</span>
<progress id="progress" max="$count" value="0"></progress></label>
</section>
$items
<nav>
<button type="button" id="previous">Previous</button>
<button type="button" id="next">Next</button>
<button type="button" id="unrated">Next unrated</button>
<button type="button" id="save" disabled>Save scores</button>
<button type="button" id="clear">New listener</button>
</nav>
<p id="status" role="status"></p>
<p class="hint">Keys: 1 to 5 rate, n next, p previous.</p>
</main>
<script>{_SCRIPT.replace("$", "$$")}</script>
</body>
</html>
"""
)

ITEM = Template(
    f"""<article data-item="$name" hidden>
<h3>Mixture $number of $count</h3>
$players$note<fieldset><legend>$question</legend>
<div class="scale">
{_SCALE}</div></fieldset>
</article>
"""
)

PLAYER = Template(
    """<div class="player">$name
<audio controls preload="none" aria-label="$name" src="$link"></audio></div>
"""
)

NOTE = Template('<p class="hint">Lowered by $lowered dB: no clipping.</p>\n')
