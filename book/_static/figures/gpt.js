/* The course's GPT in a browser: reads the file that `course export` writes, and runs what is in it.
   `courseGPT.read(bytes)` gives a model, or throws an error whose message tells a reader why not;
   `courseGPT.run(model, ids)` gives its logits, and all that was seen on the way. */
"use strict";

(() => {
  const EPS = 1e-5; // of every LayerNorm in the course
  const MOST_PRODUCTS = 1e9; // of one text; beyond that the page would stand still for too long
  const TOKEN = "embeddings.token.weight", HEAD = "head.weight";
  const SIZES = ["context_length", "d_model", "n_heads", "n_layers"];
  const OPTIONS = { // what a file may say besides its sizes, and what holds where it says nothing
    dropout: [0, (value) => typeof value === "number"], // of training, so nothing to do here
    bias: [true, (value) => typeof value === "boolean"],
    tie_weights: [true, (value) => typeof value === "boolean"],
    gelu_approximate: ["none", (value) => value === "none" || value === "tanh"],
  };
  const DTYPES = { // bytes of a number, and numbers of bytes
    F64: [8, (bytes) => new Float64Array(bytes)],
    F32: [4, (bytes) => new Float32Array(bytes)],
    BF16: [2, (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(bytes), (n) => n << 16).buffer)],
    F16: [2, (bytes) => Float32Array.from(new Uint16Array(bytes), half)],
  };

  /** A number in half precision, of its sixteen bits. */
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  }

  // ------------------------------------------------------------------------------- the file

  function read(bytes) {
    const { header, about, start } = headerOf(bytes);
    const tokenizer = tokenizerOf(json(about.tokenizer, "tokenizer"));
    const sizes = sizesOf(json(about.sizes, "sizes"));
    const shapes = shapesOf(sizes, tokenizer.size);
    const twin = header[TOKEN] ? HEAD : TOKEN; // a tied tensor stands there once, under either name
    if (sizes.tie_weights) delete shapes[twin];
    const strange = Object.keys(header).find((name) => !Object.hasOwn(shapes, name));
    if (strange) throw new Error(`The file has a tensor ${strange}, which no GPT of the course with its sizes has.`);
    const weights = {};
    let n_parameters = 0;
    for (const [name, shape] of Object.entries(shapes)) {
      if (!header[name]) throw new Error(`The file has no ${name}, which a GPT with its sizes has.`);
      weights[name] = tensorOf(name, header[name], shape, bytes, start);
      n_parameters += weights[name].length;
    }
    weights[twin] ??= weights[twin === HEAD ? TOKEN : HEAD];
    if (n_parameters * sizes.context_length > MOST_PRODUCTS) {
      const [parameters, context] = [n_parameters, sizes.context_length].map((n) => n.toLocaleString("en"));
      throw new Error(`The model is too large for this page: ${parameters} parameters and a context of ${context}. Their product may be ${MOST_PRODUCTS.toLocaleString("en")}.`);
    }
    return { sizes, tokenizer, weights, n_parameters };
  }

  /** The header of a safetensors file, what it says of the model, and where the tensors begin. */
  function headerOf(bytes) {
    let header;
    const size = bytes.byteLength >= 8 ? Number(new DataView(bytes).getBigUint64(0, true)) : Infinity;
    try {
      header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes, 8, size)));
    } catch {
      throw new Error("This is no safetensors file: take the model.safetensors that `course export` writes.");
    }
    const { __metadata__: about, ...tensors } = Object(header);
    if (!about?.sizes || !about?.tokenizer) {
      throw new Error("The file does not say its sizes and its vocabulary: take the model.safetensors that `course export` writes.");
    }
    return { header: tensors, about, start: 8 + size };
  }

  function json(text, name) {
    try {
      return Object(JSON.parse(text));
    } catch {
      throw new Error(`What the file says of its ${name} is no JSON.`);
    }
  }

  function sizesOf(said) {
    const sizes = {};
    for (const name of SIZES) {
      if (!(Number.isSafeInteger(said[name]) && said[name] > 0)) {
        throw new Error(`${name} must be a whole number of at least 1, and the file says ${said[name]}.`);
      }
      sizes[name] = said[name];
    }
    if (sizes.d_model % sizes.n_heads) {
      throw new Error(`n_heads must divide d_model, and the file says ${sizes.n_heads} and ${sizes.d_model}.`);
    }
    for (const [name, [usual, isKnown]] of Object.entries(OPTIONS)) {
      sizes[name] = said[name] ?? usual;
      if (!isKnown(sizes[name])) throw new Error(`The page does not know a model with ${name}=${sizes[name]}.`);
    }
    const strange = Object.keys(said).find((name) => !(name in sizes));
    if (strange) throw new Error(`The page does not know what ${strange}=${said[strange]} makes of a model.`);
    return sizes;
  }

  /** The shape of each tensor of a GPT, by name. */
  function shapesOf({ context_length, d_model, n_layers, bias }, vocab_size) {
    const shapes = {
      [TOKEN]: [vocab_size, d_model],
      "embeddings.position.weight": [context_length, d_model],
    };
    const norm = (name) => Object.assign(shapes,
      { [`${name}.weight`]: [d_model] }, bias ? { [`${name}.bias`]: [d_model] } : {});
    const linear = (name, n_in, n_out) => Object.assign(shapes,
      { [`${name}.weight`]: [n_out, n_in] }, bias ? { [`${name}.bias`]: [n_out] } : {});
    for (let n = 0; n < n_layers; n += 1) {
      norm(`blocks.${n}.norm1`);
      linear(`blocks.${n}.attention.qkv`, d_model, 3 * d_model);
      linear(`blocks.${n}.attention.out`, d_model, d_model);
      norm(`blocks.${n}.norm2`);
      linear(`blocks.${n}.mlp.up`, d_model, 4 * d_model);
      linear(`blocks.${n}.mlp.down`, 4 * d_model, d_model);
    }
    norm("norm");
    shapes[HEAD] = [vocab_size, d_model];
    return shapes;
  }

  function tensorOf(name, entry, shape, bytes, start) {
    if (String(entry.shape) !== String(shape)) {
      throw new Error(`${name} must have the shape (${shape}), and the file has (${entry.shape}).`);
    }
    if (!DTYPES[entry.dtype]) throw new Error(`${name} has numbers of the type ${entry.dtype}, which the page cannot read.`);
    const [width, numbersOf] = DTYPES[entry.dtype];
    const n_bytes = width * shape.reduce((a, b) => a * b, 1);
    const [begin, end] = (entry.data_offsets ?? []).map((offset) => start + offset);
    if (end - begin !== n_bytes || end > bytes.byteLength) throw new Error(`The file is cut off, or damaged, at ${name}.`);
    const numbers = Float64Array.from(numbersOf(bytes.slice(begin, end)));
    if (!numbers.every(Number.isFinite)) throw new Error(`${name} has numbers that are not finite: its training went wrong.`);
    return numbers;
  }

  // -------------------------------------------------------------------------- the vocabulary

  /** `encode(text)` gives ids, and the characters that have none; `pieces` the text of each id. */
  function tokenizerOf(said) {
    if (said.kind === "characters" && typeof said.characters === "string") return byCharacter(said.characters);
    if (said.kind === "bpe" && Array.isArray(said.merges) && said.merges.every(Array.isArray)) return byMerges(said.merges);
    throw new Error(`The page knows vocabularies of characters and of byte pairs, and the file has ${said.kind}.`);
  }

  function byCharacter(characters) {
    const pieces = [...new Set(characters)].sort((a, b) => a.codePointAt(0) - b.codePointAt(0));
    const ids = new Map(pieces.map((piece, id) => [piece, id]));
    const encode = (text) => ({
      ids: [...text].filter((one) => ids.has(one)).map((one) => ids.get(one)),
      unknown: [...new Set(text)].filter((one) => !ids.has(one)),
    });
    return { pieces, size: pieces.length, encode };
  }

  function byMerges(merges) {
    const bytesOf = Array.from({ length: 256 }, (_, byte) => [byte]);
    for (const [left, right] of merges) {
      if (!bytesOf[left] || !bytesOf[right]) throw new Error("A merge of the vocabulary names tokens that come after it.");
      bytesOf.push([...bytesOf[left], ...bytesOf[right]]);
    }
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const pieceOf = (bytes) => {
      try {
        return decoder.decode(Uint8Array.from(bytes));
      } catch { // a part of a character
        return bytes.map((byte) => `\\x${byte.toString(16)}`).join("");
      }
    };
    function encode(text) {
      let ids = [...new TextEncoder().encode(text)];
      merges.forEach(([left, right], n) => {
        const merged = [];
        for (let at = 0; at < ids.length; at += 1) {
          const isPair = ids[at] === left && ids[at + 1] === right;
          merged.push(isPair ? 256 + n : ids[at]);
          if (isPair) at += 1;
        }
        ids = merged;
      });
      return { ids, unknown: [] };
    }
    const pieces = bytesOf.map(pieceOf);
    return { pieces, size: pieces.length, encode };
  }

  // ------------------------------------------------------------------------ the forward pass

  /** x (T, n_in) times the transposed weight (n_out, n_in), and the bias if there is one. Four rows
      of x go along together: that takes half the time. */
  function linear(x, weight, bias, n_in) {
    const T = x.length / n_in, n_out = weight.length / n_in, y = new Float64Array(T * n_out);
    for (let t = 0; t < T; t += 4) {
      const rows = [t, t + 1, t + 2, t + 3].map((row) => Math.min(row, T - 1)); // the last one again
      const [p, q, r, s] = rows.map((row) => row * n_in);
      for (let o = 0, w = 0; o < n_out; o += 1, w += n_in) {
        let a = bias ? bias[o] : 0, b = a, c = a, d = a;
        for (let i = 0; i < n_in; i += 1) {
          const factor = weight[w + i];
          a += x[p + i] * factor;
          b += x[q + i] * factor;
          c += x[r + i] * factor;
          d += x[s + i] * factor;
        }
        y[rows[0] * n_out + o] = a;
        y[rows[1] * n_out + o] = b;
        y[rows[2] * n_out + o] = c;
        y[rows[3] * n_out + o] = d;
      }
    }
    return y;
  }

  function layerNorm(x, weight, bias) {
    const C = weight.length, y = new Float64Array(x.length);
    for (let a = 0; a < x.length; a += C) {
      const row = x.subarray(a, a + C);
      const mean = row.reduce((sum, one) => sum + one, 0) / C;
      const variance = row.reduce((sum, one) => sum + (one - mean) ** 2, 0) / C;
      const root = Math.sqrt(variance + EPS);
      for (let c = 0; c < C; c += 1) y[a + c] = ((row[c] - mean) / root) * weight[c] + (bias ? bias[c] : 0);
    }
    return y;
  }

  /** Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: wrong by 1.5e-7 at most. */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  }

  const GELU = {
    none: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
    tanh: (x) => (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2,
  };

  function softmax(scores) {
    const highest = scores.reduce((a, b) => Math.max(a, b));
    const raised = scores.map((score) => Math.exp(score - highest));
    const sum = raised.reduce((a, b) => a + b);
    return raised.map((one) => one / sum);
  }

  /** Each position's weights of one head, over the positions up to it. */
  function lookBack(qkv, T, C, first, D) {
    const weights = [];
    for (let t = 0; t < T; t += 1) {
      const scores = new Float64Array(t + 1);
      for (let s = 0; s <= t; s += 1) {
        let product = 0;
        for (let d = first; d < first + D; d += 1) product += qkv[t * 3 * C + d] * qkv[s * 3 * C + C + d];
        scores[s] = product / Math.sqrt(D);
      }
      weights.push(softmax(scores));
    }
    return weights;
  }

  function lengths(x, C) {
    return Float64Array.from({ length: x.length / C }, (_, t) =>
      Math.sqrt(x.subarray(t * C, (t + 1) * C).reduce((sum, one) => sum + one * one, 0)));
  }

  function add(x, more) {
    for (let i = 0; i < x.length; i += 1) x[i] += more[i];
  }

  /**
   * The logits of each position, and on the way: the length of what each part adds to the residual
   * stream at each position, of the stream itself, and each head's weights.
   * `isOff(block, head)` says of which heads nothing goes on.
   */
  function run({ sizes, weights, tokenizer }, ids, isOff = () => false) {
    const { d_model: C, n_heads: H, n_layers: L } = sizes, T = ids.length, D = C / H, V = tokenizer.size;
    const of = (table, rows) => {
      const x = new Float64Array(T * C);
      rows.forEach((row, t) => x.set(table.subarray(row * C, (row + 1) * C), t * C));
      return x;
    };
    const x = of(weights[TOKEN], ids);
    const positions = of(weights["embeddings.position.weight"], ids.map((_, t) => t));
    const seen = { token: lengths(x, C), position: lengths(positions, C), blocks: [] };
    add(x, positions);
    for (let n = 0; n < L; n += 1) {
      const own = (name) => weights[`blocks.${n}.${name}`];
      const block = { enters: lengths(x, C), heads: [], weights: [] };
      const qkv = linear(layerNorm(x, own("norm1.weight"), own("norm1.bias")),
        own("attention.qkv.weight"), own("attention.qkv.bias"), C);
      const out = own("attention.out.weight");
      const gathered = new Float64Array(T * C); // what all heads add
      for (let h = 0; h < H; h += 1) {
        const look = lookBack(qkv, T, C, h * D, D), adds = new Float64Array(T * C);
        const found = new Float64Array(D);
        for (let t = 0; t < T && !isOff(n, h); t += 1) {
          found.fill(0);
          look[t].forEach((weight, s) => {
            for (let d = 0; d < D; d += 1) found[d] += weight * qkv[s * 3 * C + 2 * C + h * D + d];
          });
          for (let c = 0; c < C; c += 1) {
            let sum = 0;
            for (let d = 0; d < D; d += 1) sum += out[c * C + h * D + d] * found[d];
            adds[t * C + c] = sum;
          }
        }
        block.weights.push(look);
        block.heads.push(lengths(adds, C));
        add(gathered, adds);
      }
      add(x, gathered);
      const bias = own("attention.out.bias");
      if (bias) {
        const adds = Float64Array.from(x, (_, i) => bias[i % C]); // the same at each position
        block.bias = lengths(adds, C);
        add(x, adds);
      }
      const up = linear(layerNorm(x, own("norm2.weight"), own("norm2.bias")),
        own("mlp.up.weight"), own("mlp.up.bias"), C);
      const adds = linear(up.map(GELU[sizes.gelu_approximate]), own("mlp.down.weight"), own("mlp.down.bias"), 4 * C);
      block.mlp = lengths(adds, C);
      add(x, adds);
      seen.blocks.push(block);
    }
    const logits = linear(layerNorm(x, weights["norm.weight"], weights["norm.bias"]), weights[HEAD], null, C);
    seen.leaves = lengths(x, C);
    seen.logits = ids.map((_, t) => logits.subarray(t * V, (t + 1) * V));
    return seen;
  }

  window.courseGPT = { read, run, softmax };
})();
