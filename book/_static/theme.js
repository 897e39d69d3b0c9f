// Mends what the theme leaves unsaid to who does not see the page.

addEventListener("DOMContentLoaded", () => {
  // The sidebar's arrows have no words.
  for (const arrow of document.querySelectorAll(".bd-links summary")) {
    const entry = arrow.closest("li")?.querySelector("a");
    arrow.setAttribute("aria-label", `Pages below ${entry ? entry.textContent.trim() : "this one"}`);
  }
  // The button reads "Search Ctrl + K", and is to be called what it reads.
  for (const button of document.querySelectorAll(".search-button-field")) {
    button.removeAttribute("aria-label");
  }
  // The same of code cells that are folded.
  for (const fold of document.querySelectorAll("details.hide > summary[aria-label]")) {
    fold.removeAttribute("aria-label");
  }
  // Its icons have titles of their own.
  for (const button of document.querySelectorAll(".theme-switch-button")) {
    button.setAttribute("aria-label", "Color mode: Light, Dark or System Settings");
  }
});
