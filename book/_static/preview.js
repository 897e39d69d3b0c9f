// Shows what a reference leads to while the pointer rests on it or the keyboard is at it: a figure,
// an equation, the beginning of a section, what a letter of the notation counts.
// It can be dismissed with Escape and pointed at itself. Without this script links are links.

addEventListener("DOMContentLoaded", () => {
  const box = document.createElement("div");
  box.className = "preview";
  box.id = "preview";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  document.body.append(box);

  let owner = null;
  let timer = 0;
  const pages = new Map();

  // Another page of the book; there are none to be had where pages are opened as files.
  async function pageAt(address) {
    const path = address.pathname;
    if (path === location.pathname) return document;
    if (!location.protocol.startsWith("http")) return null;
    if (!pages.has(path)) {
      const text = fetch(path).then((answer) => (answer.ok ? answer.text() : ""));
      pages.set(path, text.then((html) => new DOMParser().parseFromString(html, "text/html")));
    }
    return pages.get(path);
  }

  // What is worth showing of a target: all of a figure, of a section its heading and first words,
  // of an entry of the Reference its name and first words.
  function partsOf(target) {
    if (target.matches("section")) {
      return [target.querySelector("h1, h2, h3, h4, h5"), target.querySelector(":scope > p")];
    }
    if (target.matches("dt")) return [target, target.nextElementSibling?.querySelector("p")];
    return [target.matches("span") ? target.closest("section, figure, div") : target];
  }

  function excerpt(target) {
    const parts = partsOf(target);
    return parts.filter(Boolean).map((part) => {
      const copy = part.cloneNode(true);
      copy.querySelectorAll(".headerlink, button, script").forEach((one) => one.remove());
      [copy, ...copy.querySelectorAll("[id]")].forEach((one) => one.removeAttribute("id"));
      copy.querySelectorAll("a").forEach((one) => one.replaceWith(...one.childNodes));
      return copy;
    });
  }

  async function contentOf(link) {
    if (link.dataset.letters) {
      return link.dataset.letters.split("; ").map((line) => {
        const words = document.createElement("p");
        words.textContent = line;
        return words;
      });
    }
    const address = new URL(link.href);
    const page = await pageAt(address);
    const target = page?.getElementById(decodeURIComponent(address.hash.slice(1)));
    if (!target) return [];
    const copies = excerpt(target);
    for (const picture of copies.flatMap((one) => [...one.querySelectorAll("img")])) {
      picture.src = new URL(picture.getAttribute("src"), address);
    }
    return copies;
  }

  function place(link) {
    const at = link.getBoundingClientRect();
    const room = document.documentElement.clientWidth;
    const below = at.bottom + box.offsetHeight + 12 < innerHeight || at.top < box.offsetHeight + 12;
    const top = below ? at.bottom + 4 : at.top - box.offsetHeight - 4;
    box.style.left = `${scrollX + Math.max(8, Math.min(at.left, room - box.offsetWidth - 8))}px`;
    box.style.top = `${scrollY + top}px`;
  }

  async function show(link) {
    hide();
    owner = link;
    const content = await contentOf(link);
    if (owner !== link || !content.length) return;
    box.replaceChildren(...content);
    box.hidden = false;
    link.setAttribute("aria-describedby", box.id);
    place(link);
    if (window.MathJax?.typesetPromise && box.querySelector(".math:not(:has(mjx-container))")) {
      await MathJax.typesetPromise([box]);
      if (owner === link) place(link);
    }
  }

  function hide() {
    clearTimeout(timer);
    owner?.removeAttribute("aria-describedby");
    owner = null;
    box.hidden = true;
  }

  const later = (what, wait) => {
    clearTimeout(timer);
    timer = setTimeout(what, wait);
  };

  for (const link of document.querySelectorAll('main article a.reference.internal[href*="#"], a.letter')) {
    if (link.matches(".headerlink") || link.closest("nav, .bd-sidebar-secondary")) continue;
    if (link.matches(".letter")) {
      link.dataset.letters = link.title; // shown by us, and not a second time by the browser
      link.removeAttribute("title");
    }
    link.addEventListener("mouseenter", () => later(() => show(link), 250));
    link.addEventListener("mouseleave", () => later(hide, 250));
    link.addEventListener("focus", () => show(link));
    link.addEventListener("blur", hide);
  }
  box.addEventListener("mouseenter", () => clearTimeout(timer));
  box.addEventListener("mouseleave", () => later(hide, 250));
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
});
