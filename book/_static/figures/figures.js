/* Brings the page's figures to life. `course_lib/figures.py` has put the numbers of each beside
   its picture; the script of its kind draws from them. Where a script fails, the picture stays.
   Jupyter Book puts all scripts of `_static` into every page, in any order. So each only writes
   its function into `courseFigures`, and this one calls them when the page is there. */
"use strict";

(() => {
  const draw = (window.courseFigures ??= {}); // by name: (live, data, tools) => fills `live`
  const SVG = new Set(["svg", "g", "rect", "circle", "line", "path", "text"]);
  let nNamed = 0;

  /** A new element. A listener is an attribute too: {onclick: …}; null and false are left out. */
  function make(tag, attributes = {}, ...children) {
    const element = SVG.has(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    set(element, attributes);
    element.append(...children);
    return element;
  }

  function set(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === null || value === false) element.removeAttribute(name);
      else element.setAttribute(name, value === true ? "" : value);
    }
  }

  /** A number with so many decimals, as prose writes it: no zero is negative. */
  function decimal(number, places) {
    const text = number.toFixed(places);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  }

  /** Of any scores; -Infinity gets nothing. */
  function softmax(scores) {
    const highest = Math.max(...scores);
    const raised = scores.map((score) => Math.exp(score - highest));
    const sum = raised.reduce((a, b) => a + b, 0);
    return raised.map((one) => one / sum);
  }

  /** One of a few: radio buttons in a row. `change` gets the option's number. */
  function choice(label, options, chosen, change) {
    const name = `figure-choice-${(nNamed += 1)}`;
    const buttons = options.map((option, n) =>
      make("label", {},
        make("input", { type: "radio", name, checked: n === chosen, onchange: () => change(n) }),
        make("span", {}, option)));
    return make("fieldset", { class: "choice" }, make("legend", {}, label), ...buttons);
  }

  /** A slider that says its value in words: `say(value)`. `moveTo` moves it from outside. */
  function slider(label, { min, max, step = 1, value }, say, change) {
    const id = `figure-slider-${(nNamed += 1)}`;
    const input = make("input", { id, type: "range", min, max, step, value, oninput: moved });
    const shown = make("span", { class: "value", "aria-hidden": "true" }); // the input says it
    const all = make("div", { class: "slider" }, make("label", { for: id }, label), input, shown);
    function tell() {
      shown.textContent = say(Number(input.value));
      set(input, { "aria-valuetext": shown.textContent });
    }
    function moved() {
      tell();
      change(Number(input.value));
    }
    tell();
    return Object.assign(all, { input, moveTo: (place) => { input.value = place; moved(); } });
  }

  /** A number to type. `change` gets it where it lies between `min` and `max`. */
  function entry(label, { min, max, value }, change) {
    const id = `figure-entry-${(nNamed += 1)}`;
    const input = make("input", { id, type: "number", min, max, step: "any", value, oninput: typed });
    function typed() {
      set(input, { "aria-invalid": input.value === "" || !input.checkValidity() ? "true" : null });
      if (!input.hasAttribute("aria-invalid")) change(Number(input.value));
    }
    return Object.assign(make("div", { class: "entry" }, make("label", { for: id }, label), input), { input });
  }

  /** Makes `items` the radio buttons of `group`: one stop of the tab key, arrows move on, a mouse
      shows what it is over. `show(n)` draws the n-th. Items in `columns` are gone through up and
      down, too. Returns a function that picks one. */
  function pickable(group, items, first, show, columns = 1) {
    let picked = first;
    const isThere = (n) => items[n] && items[n].style.display !== "none";
    function pick(n) {
      picked = n;
      items.forEach((item, i) => set(item, { "aria-checked": String(i === n), tabindex: i === n ? 0 : -1 }));
      show(n);
    }
    group.setAttribute("role", "radiogroup");
    items.forEach((item, n) => set(item, {
      role: "radio",
      onpointerenter: (event) => { if (event.pointerType === "mouse") show(n); },
      onclick: () => { pick(n); item.focus({ preventScroll: true }); },
    }));
    group.addEventListener("pointerleave", () => show(picked));
    group.addEventListener("keydown", (event) => {
      const there = items.map((_, n) => n).filter(isThere);
      const place = there.indexOf(picked);
      const next = {
        ArrowRight: there[place + 1], ArrowDown: there[place + columns],
        ArrowLeft: there[place - 1], ArrowUp: there[place - columns],
        Home: there[0], End: there[there.length - 1],
      };
      if (!(event.key in next)) return;
      event.preventDefault(); // the page stays where it is, at the ends of the row as well
      if (next[event.key] === undefined) return;
      pick(next[event.key]);
      items[picked].focus();
    });
    pick(first);
    return pick;
  }

  function bring(figure) {
    const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const live = make("div", { class: "live", role: "group", "aria-label": data.title });
    figure.append(live); // before it is drawn, so that it has a width
    figure.classList.add("is-live");
    try {
      draw[figure.dataset.figure](live, data, { make, set, decimal, softmax, choice, slider, entry, pickable });
    } catch (error) {
      figure.classList.remove("is-live");
      live.remove();
      reportError(error); // and the next figure has its turn
    }
  }

  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll("figure.interactive").forEach(bring));
})();
