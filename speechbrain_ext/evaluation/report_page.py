"""The text of the results page, for `string.Template`."""

from string import Template

from speechbrain_ext.evaluation.page_style import BASE

_CSS = """
table, article, figure {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
}
table {
  width: 100%; border-collapse: separate; border-spacing: 0; overflow: hidden;
  font-variant-numeric: tabular-nums;
}
th, td {
  padding: .6rem 1rem; text-align: right; border-top: 1px solid var(--line);
  vertical-align: baseline;
}
th:first-child { text-align: left; font-weight: 500; }
thead th {
  border-top: 0; color: var(--soft); font-size: .85rem; font-weight: 600;
}
th small { display: block; color: var(--soft); font-weight: 400; }
td span { color: var(--soft); font-size: .85em; }
.value { font-size: 1.2rem; font-weight: 650; }
.better, .worse {
  border-radius: 99px; padding: .1rem .55rem; font-size: .78rem;
  font-weight: 600; white-space: nowrap;
}
.better { color: var(--good); background: var(--good-ground); }
.worse { color: var(--bad); background: var(--bad-ground); }
figure { margin: 0; overflow: hidden; }
figure a { display: block; background: #fff; padding: .6rem; }
article figure a { padding: .4rem; }
img { display: block; width: 100%; height: auto; }
figcaption {
  padding: .6rem 1rem; color: var(--soft); font-size: .9rem;
  border-top: 1px solid var(--line); overflow-wrap: anywhere;
}
.plots {
  display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
}
article { padding: 1.1rem; margin-bottom: 1rem; }
article figure { margin: .8rem 0; max-width: 860px; }
.sources {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr));
}
.sources section {
  border: 1px solid var(--line); border-radius: 10px; padding: .8rem;
}
.mixture { margin-bottom: .8rem; max-width: 480px; }
h4 { margin: 0 0 .3rem; font-size: .95rem; }
.player { color: var(--soft); font-size: .85rem; }
.player + .player, ul + .player { margin-top: .6rem; }
audio { max-width: 480px; }
audio { display: block; width: 100%; height: 40px; margin-top: .15rem; }
ul {
  list-style: none; margin: .4rem .2rem 0; padding: 0; color: var(--soft);
  font-size: .85rem;
}
li { display: flex; justify-content: space-between; gap: 1rem; }
li b { color: var(--ink); font-weight: 600; white-space: nowrap; }
@media (max-width: 640px) {
  main { padding: 1.5rem .8rem 3rem; }
  h1 { font-size: 1.5rem; }
  thead { display: none; }
  tr { display: block; padding: .6rem 0; }
  tr + tr { border-top: 1px solid var(--line); }
  th, td { display: block; border: 0; padding: .1rem 1rem; text-align: left; }
  td[data-label]::before {
    content: attr(data-label) ": "; color: var(--soft); font-size: .85rem;
  }
  td.empty { display: none; }
  article { padding: .8rem; }
  figure a { padding: .25rem; }
}
"""

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
<main>
<header><h1>$title</h1>$notes</header>
$figures
$plots
$examples
</main>
</body>
</html>
"""
)

EXAMPLE = Template(
    """<article>
<h3>$name</h3>$notes
<figure>$picture</figure>
<div class="mixture">$mixture</div>
<div class="sources">
$sources</div>
</article>
"""
)

SOURCE = Template(
    """<section><h4>Source $number</h4>$estimate$scores$reference</section>
"""
)

PLAYER = Template(
    """<div class="player">$name
<audio controls preload="none" aria-label="$name" src="$link"></audio></div>
"""
)
