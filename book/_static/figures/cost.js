/* What the next token costs a model that writes: memory, bytes to fetch, operations, and what a
   machine allows. Counted are matrices, tables and caches; biases, norms and softmax are left out. */
"use strict";

(window.courseFigures ??= {}).cost = (live, data, tools) => {
  const { make, set, choice, slider, entry } = tools;
  const DTYPES = [["float32", 4], ["bfloat16", 2], ["8 bits", 1]];
  const FIRST = 7, LAST = 20, MOST = 10; // of tokens and texts, as powers of two
  const { models, machines } = data;
  let model = models[data.model], machine = { ...machines[data.machine] }, bytes = 2;
  let tokens = 2 ** 13, texts = 2 ** 3, window_ = Infinity, keyHeads = model.n_kv_heads;

  /** Three digits and the unit that fits, each a thousand times the one before. */
  function amount(number, units) {
    let unit = 0;
    for (; number >= 999.5 && unit < units.length - 1; unit += 1) number /= 1000;
    const digits = number >= 999.5 ? Math.round(number).toLocaleString("en") : Number(number.toPrecision(3));
    return `${digits} ${units[unit]}`;
  }
  const size = (number) => amount(number, ["bytes", "kB", "MB", "GB", "TB", "PB"]);
  const time = (seconds) => amount(1e6 * seconds, ["µs", "ms", "s"]);
  const count = (number) => (number < 999500
    ? Number(number.toPrecision(3)).toLocaleString("en")
    : amount(number / 1e6, ["million", "billion", "trillion"]));
  const divisors = (n) => [...Array(n).keys()].map((k) => k + 1).filter((k) => n % k === 0);

  function costs() {
    const width = model.n_heads * model.d_head; // C
    const keysAndValues = 2 * keyHeads * model.d_head; // numbers that a token leaves in each layer
    const block = width * (2 * width + keysAndValues + model.mlp_matrices * model.d_mlp);
    const multiplied = model.n_layers * block + width * model.vocab_size;
    const read = Math.min(tokens, window_); // keys that the next token reads
    const cacheOfToken = bytes * model.n_layers * keysAndValues;
    const weights = bytes * (multiplied + width * model.rows_looked_up);
    const caches = texts * read * cacheOfToken;
    const attention = model.n_layers * 4 * read * width;
    const operations = 2 * multiplied + attention;
    const free = 1e9 * machine.gigabytes - weights;
    return {
      cacheOfToken, cacheOfText: read * cacheOfToken, caches, weights, operations,
      share: attention / operations,
      fitting: free < 0 ? 0 : Math.floor(free / (read * cacheOfToken)),
      fetching: (bytes * multiplied + caches) / (1e9 * machine.gigabytes_a_second),
      computing: (texts * operations) / (1e12 * machine.teraflops),
    };
  }

  const bar = (kind) => make("rect", { class: `bar ${kind}`, y: 3, height: 12, rx: 2 });
  const held = [bar("is-weights"), bar("is-caches")], mark = make("rect", { class: "mark", width: 2, height: 18 });
  const [fetched, computed] = [bar(""), bar("")];
  const numbers = {};
  const row = (name, ...shapes) => make("tr", {},
    make("th", { scope: "row" }, name),
    make("td", { class: "bars" }, make("svg", { "aria-hidden": "true", width: "100%", height: 18 }, ...shapes)),
    (numbers[name] = make("td", { class: "number" })));
  const facts = make("ul", { class: "facts" });
  const source = make("p", { class: "note" });
  const says = make("p", { class: "says", "aria-live": "polite" });

  function show() {
    const cost = costs(), needed = cost.weights + cost.caches, has = 1e9 * machine.gigabytes;
    const per = 98 / Math.max(needed, has), slower = 98 / Math.max(cost.fetching, cost.computing);
    set(held[0], { width: `${per * cost.weights}%` });
    set(held[1], { x: `${per * cost.weights}%`, width: `${per * cost.caches}%` });
    set(mark, { x: `${per * has}%` });
    set(fetched, { width: `${slower * cost.fetching}%` });
    set(computed, { width: `${slower * cost.computing}%` });
    numbers.memory.textContent = size(needed);
    numbers.fetching.textContent = time(cost.fetching);
    numbers.products.textContent = time(cost.computing);
    facts.replaceChildren(
      make("li", {}, `cache: ${size(cost.cacheOfToken)} a token, ${size(cost.cacheOfText)} a text, ${size(cost.caches)} in all`),
      make("li", {}, `weights: ${size(cost.weights)}`),
      make("li", {}, `operations for the next token of a text: ${count(cost.operations)}, ${Math.round(100 * cost.share)} % of them scores and sums`));
    const room = `Beside the weights there is room for ${count(cost.fitting)} ${cost.fitting === 1 ? "text" : "texts"} of this length.`;
    const each = texts === 1 ? "one token" : `${texts.toLocaleString("en")} tokens, one a text,`;
    const longer = Math.max(cost.fetching, cost.computing);
    const bound = cost.fetching > cost.computing ? "what must be fetched" : "the products";
    if (needed <= has) {
      says.replaceChildren(make("b", {}, "It fits."), ` ${room} A step writes ${each} and takes`
        + ` ${time(longer)} at least. What bounds it is ${bound}: at most ${count(texts / longer)} tokens a second.`);
    } else {
      says.replaceChildren(make("b", {}, "It does not fit. "),
        cost.weights > has ? "The weights alone are larger than the memory." : room);
    }
    const named = machines.find((one) => Object.keys(machine).every((key) => one[key] === machine[key]));
    source.textContent = named ? `${named.source}.` : "A machine of your own.";
    machineChoice.querySelectorAll("input").forEach((input, n) => { input.checked = machines[n] === named; });
  }

  const power = (n) => (2 ** n).toLocaleString("en");
  const steps = (to, value, from = 0) => ({ min: from, max: to, value });
  const heads = slider("key heads", steps(divisors(model.n_heads).length - 1, divisors(model.n_heads).indexOf(keyHeads)),
    (n) => `${divisors(model.n_heads)[n]} of ${model.n_heads}`, (n) => { keyHeads = divisors(model.n_heads)[n]; show(); });
  function setModel(n) {
    model = models[n];
    set(heads.input, { max: divisors(model.n_heads).length - 1 });
    heads.moveTo(divisors(model.n_heads).indexOf(model.n_kv_heads));
  }
  const machineChoice = choice("machine", machines.map((one) => one.name), data.machine, (n) => {
    machine = { ...machines[n] };
    for (const [key, field] of Object.entries(fields)) field.input.value = machine[key];
    show();
  });
  const field = (key, label) => entry(label, { min: 0.001, max: 1e6, value: machine[key] },
    (value) => { machine = { ...machine, name: "", source: "", [key]: value }; show(); });
  const fields = {
    gigabytes: field("gigabytes", "memory, GB"),
    gigabytes_a_second: field("gigabytes_a_second", "fetches, GB a second"),
    teraflops: field("teraflops", "operations, 10¹² a second"),
  };
  live.append(
    make("div", { class: "controls" },
      choice("model", models.map((one) => one.name), data.model, setModel), heads,
      slider("tokens", steps(LAST, Math.log2(tokens), FIRST), power, (n) => { tokens = 2 ** n; show(); }),
      slider("texts", steps(MOST, Math.log2(texts)), power, (n) => { texts = 2 ** n; show(); }),
      slider("window", steps(LAST, LAST, FIRST), (n) => (n < LAST ? power(n) : "off"), (n) => { window_ = n < LAST ? 2 ** n : Infinity; show(); }),
      choice("kept in", DTYPES.map(([name]) => name), 1, (n) => { bytes = DTYPES[n][1]; show(); })),
    facts,
    make("div", { class: "controls machine" }, machineChoice, ...Object.values(fields)), source,
    make("table", { class: "measures" },
      make("caption", {}, "Memory: the weights dark, the caches pale, and a mark where the machine's memory ends. Below, what one step takes at least."),
      make("tbody", {}, row("memory", ...held, mark), row("fetching", fetched), row("products", computed))),
    says);
  show();
};
