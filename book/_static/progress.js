// Remembers, in this browser alone, which lessons were read to the end and where one stopped.
// Marks them in the sidebar, and offers on the first page to go on or to forget it all.
// Where nothing can be stored (private windows, blocked storage) nothing happens.

addEventListener("DOMContentLoaded", () => {
  const KEY = "build-a-transformer.reading";
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);

  function pageOf(address) {
    const { pathname } = new URL(address, location.href);
    return pathname.startsWith(root.pathname)
      ? pathname.slice(root.pathname.length).replace(/(\.html)?$/, "") || "index"
      : null;
  }

  function load() {
    const kept = JSON.parse(localStorage.getItem(KEY)) || {};
    return { read: Array.isArray(kept.read) ? kept.read : [], last: kept.last || null };
  }

  function save(state) {
    localStorage.setItem(KEY, JSON.stringify(state));
  }

  const isLesson = (page) => /^\d\d_\w+$/.test(page || "");

  function hiddenWords(words) {
    const span = document.createElement("span");
    span.className = "visually-hidden";
    span.textContent = words;
    return span;
  }

  function mark() {
    const { read } = load();
    for (const link of document.querySelectorAll(".bd-links a.reference.internal")) {
      link.querySelector(".is-read")?.remove();
      if (read.includes(pageOf(link.href))) {
        const sign = document.createElement("span");
        sign.className = "is-read";
        sign.append(hiddenWords(" (read)"));
        link.append(sign);
      }
    }
  }

  // The heading that was last scrolled past is the place to go on from.
  function watchReading(page) {
    const title = document.querySelector(".bd-article h1");
    const headings = [...document.querySelectorAll("main section[id] > :is(h1, h2)")];
    let waiting = false;
    const remember = () => {
      waiting = false;
      const end = document.querySelector("main .prev-next-area") || headings.at(-1);
      const isAtEnd = end.getBoundingClientRect().top < innerHeight;
      const above = headings.filter((one) => one.getBoundingClientRect().top < innerHeight / 2);
      const at = (isAtEnd ? headings : above).at(-1) || title;
      const state = load();
      const words = (heading) => heading.textContent.replace(/#\s*$/, "").trim();
      state.last = { page, anchor: at.parentElement.id, title: words(title), section: words(at) };
      if (isAtEnd && !state.read.includes(page)) {
        state.read.push(page);
      }
      save(state);
      if (isAtEnd) mark();
    };
    addEventListener(
      "scroll",
      () => {
        if (!waiting) setTimeout(remember, 300);
        waiting = true;
      },
      { passive: true },
    );
    remember();
  }

  function offerToGoOn() {
    const { read, last } = load();
    if (!last && !read.length) return;
    const panel = document.createElement("div");
    panel.className = "progress-panel";
    if (last) {
      const link = document.createElement("a");
      link.href = new URL(`${last.page}.html#${last.anchor}`, root);
      link.textContent = `${last.title}: ${last.section}`;
      const line = document.createElement("p");
      line.append("Continue where you stopped: ", link);
      panel.append(line);
    }
    const count = document.createElement("p");
    count.textContent = read.length === 1 ? "You have read one lesson. " : `You have read ${read.length} lessons. `;
    const forget = document.createElement("button");
    forget.textContent = "Forget what I have read";
    forget.addEventListener("click", () => {
      localStorage.removeItem(KEY);
      panel.textContent = "Forgotten. This was kept in your browser only.";
      panel.tabIndex = -1;
      panel.focus();
      mark();
    });
    count.append(forget);
    panel.append(count);
    document.querySelector(".bd-article h1").after(panel);
  }

  try {
    const page = pageOf(location.href);
    mark();
    if (isLesson(page)) watchReading(page);
    if (page === "index") offerToGoOn();
  } catch {
    // Storage is not to be had, or holds what we cannot read: the book works without it.
  }
});
