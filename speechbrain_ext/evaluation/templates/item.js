"use strict";
(() => {
  const status = document.querySelector("#status");

  const clock = (time) => {
    const whole = Math.floor(time);
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60)];
    const two = (number) => String(number % 60).padStart(2, "0");
    const lead = hours ? hours + ":" + two(minutes) : String(minutes);
    return lead + ":" + two(whole);
  };

  class Item {
    constructor(element) {
      const all = (selector) => [...element.querySelectorAll(selector)];
      this.element = element;
      this.seconds = Number(element.dataset.seconds);
      this.tracks = all(".track").map((track) => ({
        element: track,
        radio: track.querySelector("input"),
        audio: track.querySelector("audio"),
        view: track.querySelector(".view"),
        cursor: track.querySelector(".cursor"),
      }));
      [this.button] = all(".play");
      [this.slider] = all(".seek");
      [this.clock] = all(".clock");
      this.position = 0;
      this.heard = this.tracks.find((track) => track.audio);
      if (!this.heard) return;
      /* without this script each sound has a player of its own */
      all(".transport")[0].hidden = false;
      this.heard.radio.checked = true;
      for (const track of this.tracks) this.attach(track);
      this.button.addEventListener("click", () => this.toggle());
      this.slider.addEventListener("input", () => {
        this.seek(Number(this.slider.value));
      });
      for (const kind of ["focusin", "pointerdown"]) {
        element.addEventListener(kind, () => (current = this));
      }
      this.show();
    }

    attach(track) {
      const { audio, radio, view } = track;
      if (!audio) return;
      audio.removeAttribute("controls");
      audio.addEventListener("loadedmetadata", () => {
        if (track === this.heard) audio.currentTime = this.position;
      });
      audio.addEventListener("ended", () => {
        this.position = 0;
        audio.currentTime = 0;
        this.show();
      });
      for (const kind of ["play", "pause"]) {
        audio.addEventListener(kind, () => this.show());
      }
      audio.addEventListener("error", () => {
        radio.disabled = true;
        status.textContent =
          "This browser cannot play " + audio.getAttribute("aria-label") +
          " of " + this.element.querySelector("h3").textContent + ".";
        this.show();
      });
      radio.addEventListener("change", () => this.choose(track));
      view.addEventListener("click", (event) => {
        const box = view.getBoundingClientRect();
        this.choose(track);
        this.seek(((event.clientX - box.left) / box.width) * this.seconds);
      });
    }

    get playing() {
      return !this.heard.audio.paused;
    }

    /* where the heard sound is, also before it is loaded */
    now() {
      const { audio } = this.heard;
      if (audio.readyState > 0) this.position = audio.currentTime;
      return this.position;
    }

    /* what is not loaded yet goes there when it is, see above */
    place(audio) {
      if (audio.readyState > 0) audio.currentTime = this.position;
    }

    choose(track) {
      if (!track || !track.audio || track.radio.disabled) return;
      current = this;
      const before = this.heard;
      if (track === before) return;
      const was = this.playing;
      this.now();
      this.heard = track;
      track.radio.checked = true;
      this.place(track.audio);
      if (was) this.start();
      before.audio.pause();
      this.show();
    }

    seek(time) {
      this.position = Math.min(Math.max(time, 0), this.seconds);
      this.place(this.heard.audio);
      this.show();
    }

    start() {
      /* the others are loaded, so that switching takes no time */
      for (const { audio } of this.tracks) if (audio) audio.preload = "auto";
      this.heard.audio.play().catch(() => this.show());
    }

    toggle() {
      if (this.playing) {
        this.heard.audio.pause();
        return;
      }
      for (const other of items) if (other !== this) other.pause();
      current = this;
      this.start();
    }

    pause() {
      if (this.playing) this.heard.audio.pause();
    }

    show() {
      const time = this.now();
      const name = this.element.querySelector("h3").textContent;
      const word = this.playing ? "Pause" : "Play";
      this.button.textContent = word;
      this.button.setAttribute("aria-label", word + " " + name);
      this.slider.value = time;
      this.slider.setAttribute("aria-valuetext", clock(time));
      this.clock.textContent = clock(time) + " / " + clock(this.seconds);
      for (const track of this.tracks) {
        track.cursor.style.left = (100 * time) / this.seconds + "%";
        track.element.classList.toggle("heard", track === this.heard);
      }
      if (this.playing && !this.waiting) {
        this.waiting = true;
        requestAnimationFrame(() => {
          this.waiting = false;
          this.show();
        });
      }
    }
  }

  let current;
  const items = [...document.querySelectorAll(".item")]
    .map((element) => new Item(element))
    .filter((item) => item.heard);
  current = items[0];

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !current) return;
    if (/^[1-9]$/.test(event.key)) {
      current.choose(current.tracks[Number(event.key) - 1]);
    }
    /* on a button or a link a space is its own */
    if (event.key === " " && !event.target.closest("button, a")) {
      event.preventDefault();
      current.toggle();
    }
  });
})();
