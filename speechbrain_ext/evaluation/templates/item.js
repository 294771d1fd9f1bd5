"use strict";
(() => {
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
      [this.problem] = all(".problem");
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
        /* readyState tells it earlier, before it is where it should be */
        track.loaded = true;
        if (track === this.heard) audio.currentTime = this.position;
      });
      audio.addEventListener("ended", () => {
        this.seek(0);
      });
      for (const kind of ["play", "pause", "timeupdate"]) {
        audio.addEventListener(kind, () => this.show());
      }
      audio.addEventListener("error", () => {
        radio.disabled = true;
        this.problem.textContent +=
          "This browser cannot play " + audio.getAttribute("aria-label") + ". ";
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

    /* where the heard sound is. A sound that is not loaded does not know, and
       Chromium forgets it when a sound is paused on its way to a place. */
    now() {
      const { audio, loaded } = this.heard;
      if (loaded && this.playing && !audio.seeking) {
        this.position = audio.currentTime;
      }
      return this.position;
    }

    /* what is not loaded yet goes there when it is, see above */
    place({ audio, loaded }) {
      if (loaded) audio.currentTime = this.position;
    }

    choose(track) {
      if (!track || !track.audio || track.radio.disabled) return;
      current = this;
      if (track === this.heard) return;
      const was = this.playing;
      this.pause();
      this.heard = track;
      track.radio.checked = true;
      this.place(track);
      if (was) this.start();
      this.show();
    }

    seek(time) {
      this.position = Math.min(Math.max(time, 0), this.seconds);
      this.place(this.heard);
      this.show();
    }

    start() {
      const { audio } = this.heard;
      if (Math.abs(audio.currentTime - this.position) > 0.05) {
        this.place(this.heard);
      }
      /* the others are loaded, so that switching takes no time */
      for (const other of this.tracks) {
        if (other.audio) other.audio.preload = "auto";
      }
      audio.play().catch(() => this.show());
    }

    toggle() {
      if (this.playing) {
        this.pause();
        return;
      }
      for (const other of items) if (other !== this) other.pause();
      current = this;
      this.start();
    }

    pause() {
      this.now();
      this.heard.audio.pause();
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
