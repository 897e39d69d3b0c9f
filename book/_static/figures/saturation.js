/* One query and its keys, wider and wider, with the division by sqrt(D) and without it. */
"use strict";

(window.courseFigures ??= {}).saturation = (live, data, tools) => {
  const { make, set, decimal, softmax, choice, slider } = tools;
  const { widths, dots, means } = data; // dots: a row of scores for each query and width
  const n_keys = dots[0][0].length;
  let query = 0, width = data.width, divided = false;

  /** A bar that grows from the middle for a score, from the left for what is never negative. */
  function bar(cell, from, to) {
    set(cell.bar, { x: `${Math.min(from, to)}%`, width: `${Math.abs(to - from)}%` });
  }

  const cells = dots[0][0].map(() => ["score", "weight", "slope"].map(() => {
    const shape = make("rect", { class: "bar", y: 3, height: 12, rx: 2 });
    const number = make("span", {});
    const node = make("td", {}, make("div", {},
      make("svg", { "aria-hidden": "true", width: "100%", height: 18 }, shape), number));
    return { bar: shape, number, node };
  }));
  const scale = make("span", {});
  const says = make("p", { class: "says", "aria-live": "polite" });

  function show() {
    const root = divided ? Math.sqrt(widths[width]) : 1;
    const scores = dots[query][width].map((dot) => dot / root);
    const weights = softmax(scores), slopes = weights.map((w) => w * (1 - w));
    const largest = Math.max(...scores.map(Math.abs));
    const end = [1, 3, 10, 30, 100, 300].find((one) => largest <= one) || largest;
    scale.textContent = `−${end} to ${end}`;
    cells.forEach(([score, weight, slope], key) => {
      bar(score, 50, 50 + (50 * scores[key]) / end);
      bar(weight, 0, 100 * weights[key]);
      bar(slope, 0, 400 * slopes[key]); // a quarter is the steepest
      score.number.textContent = decimal(scores[key], 1);
      weight.number.textContent = decimal(weights[key], 2);
      slope.number.textContent = decimal(slopes[key], 2);
    });
    const mean = means[divided ? "divided" : "plain"][width];
    says.replaceChildren(
      make("b", {}, `D = ${widths[width]}, ${divided ? "divided by √D" : "not divided"}`),
      `: the largest weight is ${decimal(Math.max(...weights), 2)}, and the slopes add up to `
      + `${decimal(slopes.reduce((a, b) => a + b, 0), 2)}, of ${decimal(1 - 1 / n_keys, 2)} at most. `
      + `The means of ${data.n_queries} queries: ${decimal(mean[0], 2)} and ${decimal(mean[1], 2)}.`);
  }

  const head = (name, ...range) =>
    make("th", { scope: "col" }, name, ...range.flatMap((one) => [make("br"), one]));
  live.append(
    make("div", { class: "controls" },
      slider("width D", { min: 0, max: widths.length - 1, value: width }, (n) => `${widths[n]}`, (n) => { width = n; show(); }),
      choice("scores", ["q·k", "q·k / √D"], 0, (n) => { divided = n === 1; show(); }),
      choice("query", dots.map((_, n) => `${n}`), 0, (n) => { query = n; show(); })),
    make("table", { class: "keys" },
      make("thead", {}, make("tr", {}, head("key"), head("score", scale), head("weight", "0 to 1"), head("slope", "0 to ¼"))),
      make("tbody", {}, ...cells.map((row, key) =>
        make("tr", {}, make("th", { scope: "row" }, `${key}`), ...row.map((cell) => cell.node))))),
    says);
  show();
};
