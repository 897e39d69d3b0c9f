/* A text is written step by step, with a cache and without: which positions does each compute? */
"use strict";

(window.courseFigures ??= {}).cache = (live, data, tools) => {
  const { make, set, slider } = tools;
  const { tokens, prompt, cached, uncached } = data;
  const n_steps = cached.length, CELL = 24, LEFT = 26;
  const width = LEFT + CELL * tokens.length, height = CELL * n_steps + 2;

  const words = tokens.map((token) => make("span", {}, token));
  const says = make("p", { class: "says", "aria-live": "polite" });

  /** One table, its steps in rows; `kind` says how a position looks at a step. */
  function panel(title, counts, kind) {
    const cells = counts.map((_, step) => tokens.map((_, position) =>
      make("g", { class: "cell", transform: `translate(${LEFT + CELL * position} ${CELL * step + 1})` },
        make("rect", { x: 2, y: 2, width: CELL - 4, height: CELL - 4, rx: 3 }),
        make("circle", { cx: CELL / 2, cy: CELL / 2, r: 3.5 }))));
    const numbers = counts.map((_, step) =>
      make("text", { x: LEFT - 8, y: CELL * step + 18 }, `${step}`));
    const frame = make("rect", { class: "frame", x: 1, width: width - 2, height: CELL, rx: 5 });
    const svg = make("svg", { role: "img", viewBox: `0 0 ${width} ${height}` },
      ...numbers, ...cells.flat(), frame);
    const total = make("b", {});
    const show = (now) => {
      cells.forEach((row, step) => row.forEach((cell, position) =>
        set(cell, { class: `cell ${step <= now ? kind(step, position) : ""}` })));
      set(frame, { y: CELL * now + 1 });
      const sum = counts.slice(0, now + 1).reduce((a, b) => a + b, 0);
      total.textContent = `${sum}`;
      set(svg, { "aria-label": `${title}: step ${now} computes ${counts[now]} positions, ${sum} so far` });
      return `${counts[now]} ${title}`;
    };
    return { show, node: make("div", {}, make("p", {}, `${title}: `, total, " computed so far"), svg) };
  }

  const panels = [
    panel("with a cache", cached, (step, position) => {
      const end = prompt + step; // the text that the model has at this step
      if (position >= end) return "";
      return position >= end - cached[step] ? "is-new" : "is-kept";
    }),
    panel("without", uncached, (step, position) => {
      const end = prompt + step;
      if (position >= end || position < end - uncached[step]) return "";
      return position >= (step ? end - 1 : 0) ? "is-new" : "is-again";
    }),
  ];

  function show(now) {
    words.forEach((word, n) => {
      const state = n < prompt + now ? "is-read" : n === prompt + now ? "is-drawn" : "is-ahead";
      set(word, { class: state });
    });
    const computes = panels.map((one) => one.show(now)).join(", ");
    says.replaceChildren(make("b", {}, `Step ${now}`), ` computes ${computes}, and writes “${tokens[prompt + now]}”.`);
    back.disabled = now === 0;
    on.disabled = now === n_steps - 1;
  }

  const steps = slider("step", { min: 0, max: n_steps - 1, value: 0 }, (n) => `${n}`, show);
  const move = (by) => () => steps.moveTo(Number(steps.input.value) + by);
  const back = make("button", { type: "button", onclick: move(-1) }, "Back");
  const on = make("button", { type: "button", onclick: move(1) }, "Next step");
  const key = (kind, label) => make("span", {},
    make("svg", { width: CELL, height: CELL, "aria-hidden": "true" },
      make("g", { class: `cell ${kind}` },
        make("rect", { x: 2, y: 2, width: CELL - 4, height: CELL - 4, rx: 3 }),
        make("circle", { cx: CELL / 2, cy: CELL / 2, r: 3.5 }))), label);
  live.append(
    make("div", { class: "controls" }, steps, make("div", { class: "buttons" }, back, on)),
    make("p", { class: "story" }, ...words.flatMap((word) => [word, " "])),
    make("div", { class: "panels" }, ...panels.map((one) => one.node)),
    make("p", { class: "legend" }, key("is-new", "computed"), key("is-kept", "read from the cache"),
      key("is-again", "computed again")),
    says);
  show(0);
};
