"""What all our pages look like: colors for light and dark, and the text."""

#: CSS for the head of a page whose body is one `main` with a `header`.
BASE = """
:root {
  color-scheme: light dark;
  --ground: #f5f7fa; --card: #ffffff; --ink: #1f2933; --soft: #52606d;
  --line: #dde3ea; --accent: #0072b2; --good: #046b4b; --good-ground: #dcf3ea;
  --bad: #a23b00; --bad-ground: #fde8dc;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12171d; --card: #1b222b; --ink: #e6ebf0; --soft: #a3b0bd;
    --line: #303a46; --accent: #6cbcf0; --good: #7fdcb7;
    --good-ground: #123c30; --bad: #ffb38a; --bad-ground: #47260f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto,
    "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header { border-left: 4px solid var(--accent); padding-left: 1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .9rem; }
h3 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .35rem 0; max-width: 70ch; overflow-wrap: anywhere; }
header p, article > p { color: var(--soft); }
"""
