/* Attention as two products of tables: the row and the column that make an entry, and what moves
   when a number is changed. */
"use strict";

(window.courseFigures ??= {}).entries = (live, data, tools) => {
  const { make, set, decimal, softmax, entry, pickable } = tools;
  const { tokens, looks, hands } = data; // names of the channels: of queries and keys, and of values
  const MOST = 9; // what can be typed: from -9 to 9, or as far as the page's own numbers go
  const given = { query: data.query, key: data.key, value: data.value };
  const most = Math.max(MOST, ...Object.values(given).flat(2).map(Math.abs));
  const at = structuredClone(given);
  let tables = compute(), entered = tables, shown = { name: "scores", n: 0 };

  function compute() {
    const scores = at.query.map((q) => at.key.map((k) => q.reduce((sum, one, d) => sum + one * k[d], 0)));
    const weights = scores.map(softmax);
    const output = weights.map((row) => hands.map((_, e) => row.reduce((sum, w, s) => sum + w * at.value[s][e], 0)));
    return { scores, weights, output };
  }

  /** As few of two decimals as a number needs. */
  const short = (number) => decimal(number, 2).replace(/\.?0+$/, "");
  const written = { scores: short, weights: (w) => decimal(w, 2), output: (o) => decimal(o, 2) };
  const factor = (number) => (number < 0 ? `(${short(number)})` : short(number));
  const large = (number) => (number < 1e5 ? decimal(number, 2) : number.toExponential(2).replace("+", ""));

  function field(kind, token, channel, name) {
    const one = entry(`${kind} of ${tokens[token]}, ${name}`,
      { min: -most, max: most, value: given[kind][token][channel] },
      (number) => change(kind, token, channel, number));
    one.input.addEventListener("focus", () => { entered = tables; }); // what moves is told from here on
    return one;
  }
  const all = (kind, names) => tokens.map((_, token) => names.map((name, channel) => field(kind, token, channel, name)));
  const fields = { query: all("query", looks), key: all("key", looks), value: all("value", hands) };
  const columnsOf = { scores: tokens, weights: tokens, output: hands };
  const cells = Object.fromEntries(Object.entries(columnsOf).map(([name, columns]) =>
    [name, tokens.map(() => columns.map(() => make("div", { class: "entry-cell" })))]));

  const says = make("p", { class: "says", "aria-live": "polite" });
  const moved = make("p", { class: "moved", "aria-live": "polite" });

  /** What goes into an entry: the nodes to mark, and the sum or the fraction in words. */
  function made(name, t, c) {
    if (name === "scores") {
      const terms = looks.map((_, d) => `${short(at.query[t][d])}·${factor(at.key[c][d])}`);
      return {
        parts: [...fields.query[t], ...fields.key[c]],
        title: `Score of query ${tokens[t]} with key ${tokens[c]}`, sum: `${terms.join(" + ")} = `,
      };
    }
    if (name === "weights") {
      const raised = tables.scores[t].map((score) => `exp(${short(score)})`);
      const powers = tables.scores[t].map(Math.exp);
      const total = powers.reduce((a, b) => a + b, 0);
      return {
        parts: cells.scores[t], title: `Weight that query ${tokens[t]} gives ${tokens[c]}`,
        sum: `${raised[c]} / (${raised.join(" + ")}) ≈ ${large(powers[c])} / ${large(total)} ≈ `,
      };
    }
    const terms = tokens.map((_, s) => `${decimal(tables.weights[t][s], 3)}·${factor(at.value[s][c])}`);
    return {
      parts: [...cells.weights[t], ...tokens.map((_, s) => fields.value[s][c])],
      title: `Output of ${tokens[t]}, ${hands[c]}`, sum: `${terms.join(" + ")} ≈ `,
    };
  }

  function show(name, n) {
    shown = { name, n };
    const columns = columnsOf[name].length, [t, c] = [Math.floor(n / columns), n % columns];
    const { parts, title, sum } = made(name, t, c);
    live.querySelectorAll(".is-part, .is-shown").forEach((one) => one.classList.remove("is-part", "is-shown"));
    parts.forEach((part) => part.classList.add("is-part"));
    cells[name][t][c].classList.add("is-shown");
    says.replaceChildren(make("b", {}, title), `: ${sum}${written[name](tables[name][t][c])}.`);
  }

  /** Writes the tables; what differs from `before` is marked and counted. */
  function write(before) {
    return Object.entries(cells).map(([name, rows]) => {
      let n_moved = 0;
      rows.forEach((row, t) => row.forEach((cell, c) => {
        const text = written[name](tables[name][t][c]);
        const has = before !== null && text !== written[name](before[name][t][c]);
        n_moved += has;
        cell.textContent = text;
        cell.classList.toggle("has-moved", has);
        set(cell, { "aria-label": `${tokens[t]}, ${columnsOf[name][c]}: ${text}${has ? ", moved" : ""}` });
      }));
      return `${n_moved} of ${rows.flat().length} ${name === "output" ? "outputs" : name}`;
    });
  }

  function change(kind, token, channel, number) {
    at[kind][token][channel] = number;
    tables = compute();
    const counts = write(entered);
    const name = (kind === "value" ? hands : looks)[channel];
    moved.textContent = `The ${kind} of ${tokens[token]}, ${name}, is ${short(number)} now. Moved: ${counts.join(", ")}.`;
    show(shown.name, shown.n);
  }

  function back() {
    for (const [kind, rows] of Object.entries(given)) {
      at[kind] = structuredClone(rows);
      rows.forEach((row, token) => row.forEach((number, channel) => {
        const { input } = fields[kind][token][channel];
        input.value = number;
        set(input, { "aria-invalid": null });
      }));
    }
    tables = entered = compute();
    write(null);
    moved.textContent = "Change a number, and see what moves.";
    show(shown.name, shown.n);
  }

  const label = (text, kind = "") => // for the eye: each cell says its own names
    make("span", { class: `name ${kind}`, "aria-hidden": "true" }, text);
  /** Rows of cells as a grid, names before each row or above the first. */
  function grid(rows, { before, above }, attributes = {}) {
    const node = make("div", { class: "matrix", ...attributes },
      ...(above ?? []).map((text) => label(text)),
      ...rows.flatMap((row, n) => [...(before ? [label(before[n], "is-before")] : []), ...row]));
    node.style.gridTemplateColumns = `${before ? "auto " : ""}repeat(${rows[0].length}, var(--cell))`;
    return node;
  }
  const transposed = (rows) => rows[0].map((_, c) => rows.map((row) => row[c]));
  const product = (title, left, above, namesAbove, result) => make("div", {},
    make("p", {}, title),
    make("div", { class: "product" },
      make("div", { class: "matrix" }, ...namesAbove.map((text) => label(text, "is-before"))), above, left, result));

  const groups = Object.fromEntries(["scores", "weights", "output"].map((name) =>
    [name, grid(cells[name], { before: name === "weights" ? tokens : null }, { "aria-label": name })]));
  live.append(
    make("div", { class: "products" },
      product("Scores: q on the left, k.T above", grid(fields.query, { before: tokens }),
        grid(transposed(fields.key), { above: tokens }), looks, groups.scores),
      product("Output: on the left the softmax of the scores, above v", groups.weights,
        grid(fields.value, { above: hands }), tokens, groups.output)),
    says, moved,
    make("div", { class: "buttons" }, make("button", { type: "button", onclick: back }, "Back to the page's numbers")));
  back();
  for (const [name, group] of Object.entries(groups)) {
    const items = cells[name].flat(), columns = columnsOf[name].length;
    pickable(group, items, items.length - columns, (n) => show(name, n), columns); // the last row's first
    items.forEach((item, n) => item.addEventListener("focus", () => show(name, n)));
  }
  show("scores", tokens.length * (tokens.length - 1));
};
