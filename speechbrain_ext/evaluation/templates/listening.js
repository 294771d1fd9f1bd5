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
    const safe = (text) => (/^'*[=+@\t\r-]/.test(text) ? "'" + text : text);
    const quote = (text) => '"' + safe(text).replaceAll('"', '""') + '"';
    const lines = ["listener,item,score"];
    items.forEach((item, index) => {
      if (index in answers.scores) {
        const cells = [quote(name), quote(item.dataset.item)];
        lines.push([...cells, answers.scores[index]].join(","));
      }
    });
    const text = lines.join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download =
      "scores_" + name.replace(/[^\p{L}\p{N}]+/gu, "_") + ".csv";
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
