/* A query and a key, cut into pairs of channels; each pair turns with its position, like a hand. */
"use strict";

(window.courseFigures ??= {}).rotation = (live, data, tools) => {
  const { make, set, decimal, choice, slider } = tools;
  const FURTHEST = 100, R = 46; // the last position, and the radius of a dial
  const BASES = [...new Set([100, data.base, 500000])].sort((a, b) => a - b);
  const n_pairs = data.query.length;
  const longest = Math.max(...[...data.query, ...data.key].map(([a, b]) => Math.hypot(a, b)));
  let [atQuery, atKey] = data.positions, base = data.base;

  const turnOf = (pair) => base ** (-pair / n_pairs); // in radians, at each step

  function turned([a, b], angle) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    return [a * cos - b * sin, a * sin + b * cos];
  }

  /** An arrow from the middle to a pair, and its head. */
  function arrowTo([a, b]) {
    const [x, y] = [(R * a) / longest, (-R * b) / longest]; // on a screen, down is positive
    const length = Math.hypot(x, y) || 1, [ux, uy] = [x / length, y / length];
    const back = [x - 8 * ux, y - 8 * uy];
    return {
      shaft: `M0 0 L${back[0]} ${back[1]}`,
      head: `M${x} ${y} L${back[0] - 4.5 * uy} ${back[1] + 4.5 * ux} L${back[0] + 4.5 * uy} ${back[1] - 4.5 * ux} Z`,
    };
  }

  const dials = data.query.map(() => {
    const arrows = ["is-query", "is-key"].map((kind) => {
      const [shaft, head] = [make("path", { class: "shaft" }), make("path", { class: "head" })];
      return { node: make("g", { class: `arrow ${kind}` }, shaft, head), shaft, head };
    });
    const svg = make("svg", { role: "img", viewBox: "-50 -50 100 100" },
      make("circle", { class: "rim", r: R }), ...arrows.map((one) => one.node));
    const [speed, product] = [make("span", {}), make("b", {})];
    const node = make("div", { class: "dial" }, svg, make("p", {}, speed), make("p", {}, product));
    return { node, svg, arrows, speed, product };
  });
  const sum = make("code", {});
  const says = make("p", { class: "says", "aria-live": "polite" });

  function show() {
    const products = dials.map(({ svg, arrows, speed, product }, pair) => {
      const turn = turnOf(pair);
      const query = turned(data.query[pair], atQuery * turn);
      const key = turned(data.key[pair], atKey * turn);
      [query, key].forEach((vector, n) => {
        const { shaft, head } = arrowTo(vector);
        set(arrows[n].shaft, { d: shaft });
        set(arrows[n].head, { d: head });
      });
      const value = query[0] * key[0] + query[1] * key[1];
      const written = (vector) => vector.map((one) => decimal(one, 2)).join(", ");
      set(svg, { "aria-label": `pair ${pair}: query (${written(query)}), key (${written(key)})` });
      speed.textContent = `${Number(turn.toPrecision(2))} a step`;
      product.textContent = decimal(value, 3);
      return value;
    });
    const score = decimal(products.reduce((a, b) => a + b, 0), 3);
    sum.textContent = `score = ${products.map((one) => decimal(one, 3)).join(" + ").replaceAll("+ −", "− ")} ≈ ${score}`;
    const apart = atQuery - atKey;
    const where = apart > 0 ? `${apart} after the key` : apart < 0 ? `${-apart} before the key` : "where the key is";
    says.replaceChildren(make("b", {}, `Query at ${atQuery}, key at ${atKey}`),
      `: the query stands ${where}, and the score is ${score}.`);
    for (const { by, button } of buttons) button.disabled = !mayMove(by);
  }

  const places = (value) => ({ min: 0, max: FURTHEST, value });
  const query = slider("query at", places(atQuery), (n) => `${n}`, (n) => { atQuery = n; show(); });
  const key = slider("key at", places(atKey), (n) => `${n}`, (n) => { atKey = n; show(); });
  const mayMove = (by) => Math.min(atQuery, atKey) + by >= 0 && Math.max(atQuery, atKey) + by <= FURTHEST;
  const signed = (by) => `${by < 0 ? "−" : "+"}${Math.abs(by)}`;
  const buttons = [-10, -1, 1, 10].map((by) => ({
    by,
    button: make("button", {
      type: "button",
      "aria-label": `both ${signed(by)}`,
      onclick: () => { const to = [atQuery + by, atKey + by]; query.moveTo(to[0]); key.moveTo(to[1]); },
    }, signed(by)),
  }));
  live.append(
    make("div", { class: "controls" }, query, key,
      make("div", { class: "buttons" }, make("span", {}, "both "), ...buttons.map((one) => one.button)),
      choice("base", BASES.map((one) => one.toLocaleString("en")), BASES.indexOf(base), (n) => { base = BASES[n]; show(); })),
    make("div", { class: "hands" }, ...dials.map((one) => one.node)),
    make("p", { class: "legend" }, ...["query", "key"].map((name) => make("span", {},
      make("svg", { width: 34, height: 14, viewBox: "-1 -7 36 14", "aria-hidden": "true" },
        make("g", { class: `arrow is-${name}` },
          make("path", { class: "shaft", d: "M0 0 L26 0" }), make("path", { class: "head", d: "M34 0 L26 -4.5 L26 4.5 Z" }))),
      name))),
    make("p", { class: "call" }, sum), says);
  show();
};
