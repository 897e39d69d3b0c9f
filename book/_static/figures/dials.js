/* Temperature, top-k and top-p, in the order of `sample`, on the logits of the page's model. */
"use strict";

(window.courseFigures ??= {}).dials = (live, data, tools) => {
  const { make, softmax, choice, slider } = tools;
  let number = 0, temperature = 1, k = Infinity, p = 1;
  const longest = Math.max(...data.prompts.map((one) => one.tokens.length));

  /** The probabilities, and why a token has none. The logits come with the highest first. */
  function sampled(logits) {
    if (temperature === 0) {
      return logits.map((_, n) => (n ? { share: 0, out: "greedy" } : { share: 1, out: "" }));
    }
    const out = logits.map((_, n) => (n < k ? "" : "top-k"));
    let scaled = logits.map((logit, n) => (out[n] ? -Infinity : logit / temperature));
    let before = 0; // what the likelier ones sum to
    softmax(scaled).forEach((share, n) => {
      if (p < 1 && before >= p && !out[n]) out[n] = "top-p";
      before += share;
    });
    scaled = scaled.map((logit, n) => (out[n] ? -Infinity : logit));
    return softmax(scaled).map((share, n) => ({ share, out: out[n] }));
  }

  const body = make("tbody");
  const says = make("p", { class: "says", "aria-live": "polite" });
  const call = make("code", {});

  function rowFor(token, { share, out }, original, top) {
    const bar = make("svg", { "aria-hidden": "true", width: "100%", height: 18 },
      make("rect", { class: "bar", y: 3, height: 12, rx: 2, width: `${(100 * share) / top}%` }),
      make("rect", { class: "mark", x: `${(99 * original) / top}%`, width: 2, height: 18 }));
    return make("tr", { class: out ? "is-out" : "" },
      make("th", { scope: "row" }, token), make("td", { class: "bars" }, bar),
      make("td", { class: "number" }, out || share.toFixed(3)));
  }

  function show() {
    const { tokens, logits } = data.prompts[number];
    const originals = softmax(logits);
    const after = sampled(logits);
    const highest = Math.max(originals[0], after[0].share);
    const top = [0.25, 0.5, 1].find((one) => highest <= one) || 1;
    body.replaceChildren(...tokens.map((token, n) => rowFor(token, after[n], originals[n], top)));
    const kept = after.filter((one) => !one.out).length;
    const had = originals.slice(0, kept).reduce((a, b) => a + b, 0);
    says.textContent = kept === tokens.length
      ? `All ${kept} words may be drawn.`
      : `${kept} of ${tokens.length} words may be drawn. The model had given ${kept === 1 ? "it" : "them"} ${had.toFixed(3)}.`;
    const parts = [`temperature=${temperature}`];
    if (k < tokens.length) parts.push(`top_k=${k}`);
    if (p < 1) parts.push(`top_p=${p}`);
    call.textContent = `sample(logits, ${parts.join(", ")})`;
  }

  live.append(
    make("div", { class: "controls" },
      choice("after", data.prompts.map((one) => one.prompt), 0, (n) => { number = n; show(); }),
      slider("temperature", { min: 0, max: 3, step: 0.1, value: 1 }, (t) => t.toFixed(1),
        (t) => { temperature = t; show(); }),
      slider("top-k", { min: 1, max: longest, value: longest }, (n) => (n < longest ? `${n}` : "off"),
        (n) => { k = n < longest ? n : Infinity; show(); }),
      slider("top-p", { min: 0.05, max: 1, step: 0.05, value: 1 }, (n) => (n < 1 ? n.toFixed(2) : "off"),
        (n) => { p = n; show(); })),
    make("p", { class: "call" }, call),
    make("table", { class: "measures" },
      make("caption", {}, "Blue: the probability with the dials. The thin mark: what the model gave."),
      make("thead", { class: "unseen" }, make("tr", {},
        make("th", { scope: "col" }, "word"), make("td", {}), make("th", { scope: "col" }, "probability"))),
      body),
    says);
  show();
};
