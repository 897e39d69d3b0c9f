/* The tokens of a text; from the one that is picked, arcs to those which it reads. */
"use strict";

(window.courseFigures ??= {}).attention = (live, data, tools) => {
  const { make, set, choice, pickable } = tools;
  const { tokens, thousandths } = data;
  const HEIGHT = 30, ABOVE = 62; // of a token, and the room around its line
  let { block, head, reader } = data;
  let places = [];

  const arcs = make("g", { class: "arcs", "aria-hidden": "true" });
  const boxes = tokens.map((token, n) =>
    make("g", { class: "token", "aria-label": `position ${n}: ${token === "␣" ? "space" : token}` },
      make("rect", { class: "paper", rx: 5, height: HEIGHT }),
      make("rect", { class: "tint", rx: 5, height: HEIGHT }),
      make("text", { y: 20 }, token)));
  const svg = make("svg", { "aria-label": "the token that reads" }, arcs, ...boxes);
  const says = make("p", { class: "says", "aria-live": "polite" });

  const weight = (key) => (thousandths[block][head][reader][key] || 0) / 1000;

  const widthOf = (token) => Math.max(24, 9.1 * token.length + 8); // 24: large enough for a finger

  /** How far a word goes on from the n-th token: letters stay together up to their space. */
  function wordFrom(n) {
    const ends = tokens.findIndex((token, m) => m >= n && (token === "␣" || token.length > 1));
    return tokens.slice(n, (ends < 0 ? tokens.length : ends) + 1)
      .reduce((sum, token) => sum + widthOf(token), 0);
  }

  /** Lines of tokens as wide as the page allows. */
  function place() {
    const width = Math.max(svg.clientWidth, 240);
    let x = 0, line = 0;
    places = tokens.map((token, n) => {
      const own = widthOf(token);
      const beginsWord = n > 0 && (tokens[n - 1] === "␣" || token.length > 1);
      if (x + own > width || (beginsWord && x + wordFrom(n) > width)) [x, line] = [0, line + 1];
      const at = { x: x + own / 2, y: ABOVE + line * (HEIGHT + ABOVE), line };
      set(boxes[n], { transform: `translate(${x} ${at.y})` });
      boxes[n].querySelectorAll("rect").forEach((rect) => set(rect, { x: 1, width: own - 2 }));
      set(boxes[n].querySelector("text"), { x: own / 2 });
      x += own;
      return at;
    });
    const height = (line + 1) * (HEIGHT + ABOVE) + 4;
    set(svg, { height, viewBox: `0 0 ${width} ${height}`, width: "100%" });
    show(reader);
  }

  function arc(from, to) {
    if (from === to) return `M${from.x - 5} ${from.y} c-9 -24 19 -24 10 0`;
    if (from.line === to.line) {
      const top = from.y - Math.min(ABOVE * 1.2, 18 + Math.abs(from.x - to.x) / 3);
      return `M${from.x} ${from.y} C${from.x} ${top} ${to.x} ${top} ${to.x} ${to.y}`;
    }
    const end = to.y + (to.line < from.line ? HEIGHT : 0);
    return `M${from.x} ${from.y} C${from.x} ${from.y - 50} ${to.x} ${end + 50} ${to.x} ${end}`;
  }

  function show(n) {
    reader = n;
    const read = tokens.map((_, key) => ({ key, weight: weight(key) }));
    boxes.forEach((box, key) => {
      box.classList.toggle("is-reader", key === n);
      set(box.querySelector(".tint"), { "fill-opacity": 0.42 * read[key].weight });
    });
    arcs.replaceChildren(...read.filter((one) => one.weight >= 0.02).map((one) =>
      make("path", { d: arc(places[n], places[one.key]), "stroke-width": 1 + 7 * one.weight })));
    const most = read.filter((one) => one.weight >= 0.005)
      .sort((a, b) => b.weight - a.weight).slice(0, 4)
      .map((one) => `“${tokens[one.key]}” at ${one.key}: ${one.weight.toFixed(2)}`);
    says.replaceChildren(
      make("b", {}, `“${tokens[n]}” at ${n}`), " reads ", most.join(", ") || "nothing", ".");
  }

  const names = (count) => [...Array(count).keys()].map(String);
  live.append(
    make("div", { class: "controls" },
      choice("block", names(thousandths.length), block, (n) => { block = n; show(reader); }),
      choice("head", names(thousandths[0].length), head, (n) => { head = n; show(reader); })),
    svg, says);
  place();
  pickable(svg, boxes, reader, show);
  new ResizeObserver(place).observe(live);
};
