/* Who may read whom: a row for each query, a column for each key, a dot where it may. */
"use strict";

(window.courseFigures ??= {}).mask = (live, data, tools) => {
  const { make, set, choice, slider, pickable } = tools;
  const { tokens, masks, paddings } = data;
  const n_tokens = tokens.length, CELL = 40, LEFT = 58, TOP = 34;
  const KINDS = ["none", "causal", "window"];
  let kind = data.shown, width = 3, nReal = n_tokens, nQueries = n_tokens, shown = n_tokens - 1;

  const heads = tokens.map((token, s) =>
    make("text", { class: "key", x: LEFT + CELL * (s + 0.5) }, token));
  const rows = tokens.map((token, t) =>
    make("g", { class: "query", transform: `translate(0 ${TOP + t * CELL})` },
      make("rect", { class: "paper", x: 1, y: 1, width: LEFT + CELL * n_tokens - 2, height: CELL - 2, rx: 5 }),
      make("text", { x: LEFT - 8, y: CELL / 2 + 5 }, token),
      ...tokens.map((_, s) => make("g", { class: "cell", transform: `translate(${LEFT + s * CELL} 0)` },
        make("rect", { x: 3, y: 3, width: CELL - 6, height: CELL - 6, rx: 3 }),
        make("circle", { cx: CELL / 2, cy: CELL / 2, r: 5 })))));
  const svg = make("svg", { class: "grid", "aria-label": "the token that asks" }, ...heads, ...rows);
  const call = make("code", {});
  const says = make("p", { class: "says", "aria-live": "polite" });

  function may(t, s) {
    const mask = kind === "window" ? masks.window[width - 1] : masks[kind];
    return mask[t][s] === 1 && (!paddings || paddings[nReal - 1][s] === 1);
  }

  function show(t) {
    shown = t;
    const read = tokens.filter((_, s) => may(t, s));
    heads.forEach((head, s) => head.classList.toggle("is-read", may(t, s)));
    rows.forEach((row, n) => row.classList.toggle("is-shown", n === t));
    says.replaceChildren(make("b", {}, `“${tokens[t]}”`), read.length
      ? ` may read ${read.length} of ${n_tokens}: ${read.join(", ")}.`
      : " may read nothing. Its row of weights has to be all zeros.");
  }

  /** The call that makes this mask. */
  function source() {
    const first = nQueries === n_tokens ? `${n_tokens}` : `${nQueries}, ${n_tokens}`;
    const parts = [];
    if (kind === "causal") parts.push(`causal_mask(${first})`);
    if (kind === "window") parts.push(`sliding_window_mask(${first}, window=${width})`);
    if (nReal < n_tokens) parts.push(`padding_mask(torch.tensor([${nReal}]), ${n_tokens})`);
    return parts.join(" & ") || "None";
  }

  function drawMask() {
    const above = CELL * (n_tokens - nQueries); // the room of the queries that are left out
    set(svg, { viewBox: `0 ${above} ${LEFT + CELL * n_tokens} ${TOP + CELL * nQueries}` });
    heads.forEach((head) => set(head, { y: above + TOP - 12 }));
    rows.forEach((row, t) => {
      row.style.display = t < n_tokens - nQueries ? "none" : "";
      const n_read = tokens.filter((_, s) => may(t, s)).length;
      set(row, { "aria-label": `${tokens[t]}, may read ${n_read} of ${n_tokens}` });
      row.querySelectorAll(".cell").forEach((cell, s) => cell.classList.toggle("is-open", may(t, s)));
    });
    heads.forEach((head, s) => head.classList.toggle("is-padding", s >= nReal));
    call.textContent = source();
    widthSlider.input.disabled = kind !== "window";
    widthSlider.classList.toggle("is-off", kind !== "window");
  }

  const range = (value) => ({ min: 1, max: n_tokens, value });
  const widthSlider = slider("window", range(width), (n) => `${n}`, (n) => { width = n; again(); });
  const again = () => { drawMask(); pick(Math.max(shown, n_tokens - nQueries)); };
  live.append(
    make("div", { class: "controls" },
      choice("mask", KINDS, KINDS.indexOf(kind), (n) => { kind = KINDS[n]; again(); }),
      widthSlider,
      paddings ? slider("real tokens", range(nReal), (n) => `${n}`, (n) => { nReal = n; again(); }) : "",
      slider("queries", range(nQueries), (n) => `the last ${n}`, (n) => { nQueries = n; again(); })),
    make("p", { class: "call" }, call), make("div", { class: "beside" }, svg, says));
  drawMask();
  const pick = pickable(svg, rows, shown, show);
};
