/* A text of the reader's own on its way through a model: tokens, what each part adds to the one that
   is followed, the next token's odds, and a switch for each head. `gpt.js` does the computing. */
"use strict";

(window.courseFigures ??= {}).sentence = (live, data, tools) => {
  const { make, set, pickable } = tools;
  const { read, run, softmax } = window.courseGPT;
  const PAUSE = 150; // milliseconds without a key, after which a text is computed
  const N_LIKELIEST = 6;
  const pagesModel = read(Uint8Array.from(atob(data.model), (one) => one.charCodeAt(0)).buffer);
  const radios = `figure-heads-${[...document.querySelectorAll("figure.interactive .live")].indexOf(live)}`;
  let model, rows, ids, followed, whole, now, waiting; // `whole` has all heads on, `now` those left
  let shown = { block: data.block, head: data.head };
  const off = new Set(); // heads, as "block head"

  const visible = (id) => model.tokenizer.pieces[id].replaceAll(" ", "␣").replaceAll("\n", "↵")
    .replace(/\p{Cc}/gu, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`);
  const called = (id) => ({ " ": "space", "\n": "end of line" })[model.tokenizer.pieces[id]] ?? visible(id);
  const listed = (words) => words.join(", ").replace(/, ([^,]*)$/, " and $1");

  // ------------------------------------------------------------------------------ what is there

  const field = make("textarea", {
    rows: 2, spellcheck: "false", autocapitalize: "off", autocomplete: "off", oninput: typed });
  const about = make("p", { class: "about" });
  const note = make("p", { class: "note", role: "status" });
  const pieces = make("div", { class: "pieces" });
  const caption = make("caption");
  const parts = make("table", { class: "dials parts" });
  const odds = make("tbody");
  const oddsCaption = make("caption");
  const says = make("p", { class: "says", "aria-live": "polite" });
  const allOn = make("button", { type: "button", onclick: () => { off.clear(); switched(); } }, "All heads on");
  const file = make("input", { type: "file", accept: ".safetensors", onchange: opened });
  const back = make("button", { type: "button", onclick: () => { file.value = ""; take(pagesModel, ""); } },
    "The page's model");
  const way = make("div", {}, pieces, says,
    make("div", { class: "panels" },
      make("div", {}, parts, allOn),
      make("table", { class: "dials" }, oddsCaption,
        make("thead", { class: "unseen" }, headings("token", "with all heads", "probability")), odds)));
  live.append(
    make("label", { class: "text" }, make("span", {}, "your text"), field), note, way,
    make("div", { class: "controls files" },
      make("label", {}, make("span", {}, "your own model"), file), back),
    about);

  function headings(first, ...others) {
    return make("tr", {}, make("th", { scope: "col" }, first), make("td", {}),
      ...others.map((one) => make("th", { scope: "col" }, one)));
  }

  /** A bar for what is so now, and a thin mark for what was so with all heads on. */
  function barOf() {
    const bar = make("rect", { class: "bar", y: 3, height: 12, rx: 2 });
    const mark = make("rect", { class: "mark", width: 2, height: 18 });
    const svg = make("svg", { "aria-hidden": "true", width: "100%", height: 18 }, bar, mark);
    return { svg, to(is, was, top) {
      set(bar, { width: `${(100 * is) / top}%` });
      set(mark, { x: `${(99 * was) / top}%` });
    } };
  }

  /** A row of a part; `lengthIn(seen)` finds the length of what it adds, at each position. */
  function partRow(name, lengthIn, control = "") {
    const bar = barOf(), number = make("td", { class: "number" });
    const lengths = () => [now, whole].map((seen) => lengthIn(seen)[followed]);
    const fill = (top) => {
      const [is, was] = lengths();
      bar.to(is, was, top);
      number.textContent = is.toFixed(2);
    };
    const node = make("tr", {}, make("th", { scope: "row" }, name),
      make("td", { class: "bars" }, bar.svg), number, make("td", { class: "switch" }, control));
    return { node, fill, lengths };
  }

  function headRow(block, head) {
    const key = `${block} ${head}`, isShown = block === shown.block && head === shown.head;
    const radio = make("input", { type: "radio", name: radios, checked: isShown,
      "aria-label": `show what head ${head} of block ${block} reads`,
      onchange: () => { shown = { block, head }; show(followed); } });
    const box = make("input", { type: "checkbox", checked: true, "aria-label": `head ${head} of block ${block} is on`,
      onchange: () => { off[box.checked ? "delete" : "add"](key); switched(); } });
    const row = partRow(make("label", {}, radio, `head ${head}`), (seen) => seen.blocks[block].heads[head],
      make("label", {}, box, "on"));
    return { ...row, isOn: () => { box.checked = !off.has(key); row.node.classList.toggle("is-out", off.has(key)); } };
  }

  /** The rows of the model's parts, in the order in which a token meets them. */
  function drawParts() {
    rows = [];
    const section = (title, streamIn, ...own) => {
      rows.push(...own);
      const length = make("b", {});
      rows.push({ fill: () => { length.textContent = streamIn(now)[followed].toFixed(2); } });
      return make("tbody", {},
        make("tr", { class: "section" }, make("th", { colspan: 4, scope: "rowgroup" }, title, length)),
        ...own.map((row) => row.node));
    };
    const embedding = [partRow("token", (seen) => seen.token), partRow("position", (seen) => seen.position)];
    rows.push(...embedding);
    const blocks = Array.from({ length: model.sizes.n_layers }, (_, n) => section(
      `Block ${n} reads a stream of length `, (seen) => seen.blocks[n].enters,
      ...Array.from({ length: model.sizes.n_heads }, (_, h) => headRow(n, h)),
      ...(model.sizes.bias ? [partRow("out.bias", (seen) => seen.blocks[n].bias)] : []),
      partRow("MLP", (seen) => seen.blocks[n].mlp)));
    parts.replaceChildren(caption, make("thead", { class: "unseen" }, headings("part", "length", "switch")),
      make("tbody", {}, make("tr", { class: "section" }, make("th", { colspan: 4, scope: "rowgroup" }, "Embedding")),
        ...embedding.map((row) => row.node)),
      ...blocks,
      section("The model's head, behind the last norm, reads a stream of length ", (seen) => seen.leaves));
  }

  // ------------------------------------------------------------------------------ what happens

  /** Go on with this model, and say first what there is to say. */
  function take(next, said) {
    model = next;
    off.clear();
    if (shown.block >= model.sizes.n_layers || shown.head >= model.sizes.n_heads) shown = { block: 0, head: 0 };
    const { n_layers, n_heads, d_model, context_length } = model.sizes;
    const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
    about.textContent = `${model === pagesModel ? "The model of this page" : "Your model"}: `
      + `${count(model.n_parameters, "parameter")}, ${count(n_layers, "block")} of ${count(n_heads, "head")}, d_model ${d_model}. `
      + `It reads up to ${count(context_length, "token")}, of a vocabulary of ${model.tokenizer.size}.`;
    back.disabled = model === pagesModel;
    drawParts();
    compute(said);
  }

  async function opened() {
    if (!file.files.length) return;
    try {
      take(read(await file.files[0].arrayBuffer()), "Your model is in the page. It has not left your computer.");
    } catch (error) {
      note.textContent = `${error.message} The model before it is still here.`;
    }
  }

  function typed() {
    clearTimeout(waiting);
    waiting = setTimeout(compute, PAUSE);
  }

  /** The text, through the model. */
  function compute(said = "") {
    clearTimeout(waiting);
    const { ids: all, unknown } = model.tokenizer.encode(field.value);
    const n_read = model.sizes.context_length;
    ids = all.slice(-n_read);
    note.textContent = [
      said,
      unknown.length ? `The model has no token for ${listed(unknown.map((one) => `“${one}”`))}: left out.` : "",
      all.length > n_read ? `It reads the last ${n_read} of ${all.length} tokens.` : "",
      all.length ? "" : "Type something that the model has tokens for.",
    ].filter(Boolean).join(" ");
    way.hidden = !all.length;
    if (!all.length) return;
    whole = run(model, ids);
    followed = ids.length - 1;
    const boxes = ids.map((id, n) =>
      make("span", { class: "piece", "aria-label": `position ${n}: ${called(id)}, id ${id}` },
        make("span", {}, visible(id)), make("small", {}, id)));
    const group = make("div", { "aria-label": "the token that is followed" }, ...words(boxes));
    pieces.replaceChildren(group);
    switched(() => pickable(group, boxes, followed, show));
  }

  /** The boxes of letters that make a word stay together. */
  function words(boxes) {
    const found = [];
    boxes.forEach((box, n) => {
      const begins = n === 0 || /\s$/.test(model.tokenizer.pieces[ids[n - 1]]);
      if (begins) found.push(make("span", { class: "word" }));
      found.at(-1).append(box);
    });
    return found;
  }

  /** The same text with other heads. */
  function switched(andThen = () => show(followed)) {
    now = off.size ? run(model, ids, (block, head) => off.has(`${block} ${head}`)) : whole;
    allOn.disabled = !off.size;
    andThen();
  }

  /** Follow the token at position `n`. */
  function show(n) {
    followed = n;
    const top = Math.max(...rows.flatMap((row) => row.lengths?.() ?? []));
    rows.forEach((row) => { row.isOn?.(); row.fill(top); });
    const at = `“${visible(ids[n])}” at ${n}`;
    caption.textContent = `How long a vector each part adds to ${at}. The thin mark: with all heads on.`;
    const weights = now.blocks[shown.block].weights[shown.head][n];
    pieces.querySelectorAll(".piece").forEach((box, s) => {
      box.style.setProperty("--weight", `${42 * (weights[s] ?? 0)}%`);
      box.classList.toggle("is-followed", s === n);
    });
    const most = [...weights].map((weight, s) => ({ weight, s })).filter((one) => one.weight >= 0.005)
      .sort((a, b) => b.weight - a.weight).slice(0, 4)
      .map(({ weight, s }) => `“${visible(ids[s])}” at ${s}: ${weight.toFixed(2)}`);
    says.replaceChildren(make("b", {}, at), `: head ${shown.head} of block ${shown.block} reads ${most.join(", ")}. `,
      showOdds(n));
  }

  /** The likeliest next tokens, before and now; returns the sentence about them. */
  function showOdds(n) {
    const [before, after] = [whole, now].map((seen) => softmax(seen.logits[n]));
    const likeliest = [...before.keys()]
      .sort((a, b) => Math.max(before[b], after[b]) - Math.max(before[a], after[a])).slice(0, N_LIKELIEST);
    oddsCaption.textContent = off.size
      ? "The next token: its probability with all heads on, and now."
      : "The next token, and its probability.";
    odds.replaceChildren(...likeliest.map((id) => {
      const bar = barOf();
      bar.to(after[id], before[id], 1);
      return make("tr", {}, make("th", { scope: "row" }, visible(id)), make("td", { class: "bars" }, bar.svg),
        make("td", { class: "number" }, off.size ? before[id].toFixed(3) : ""),
        make("td", { class: "number" }, after[id].toFixed(3)));
    }));
    const first = before.indexOf(Math.max(...before));
    if (!off.size) return `Likeliest next: “${visible(first)}”, ${before[first].toFixed(3)}.`;
    const heads = [...off].sort().map((key) => key.split(" "));
    const named = listed(heads.map(([block, head]) => `head ${head} of block ${block}`));
    return `Without ${named}, “${visible(first)}” goes from ${before[first].toFixed(3)} to ${after[first].toFixed(3)}.`;
  }

  field.value = data.text;
  take(pagesModel, "");
};
