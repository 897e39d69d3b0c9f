// A quiz as a form: choose an answer, press the button, read whether it is right and why.
// Without this script the page shows each explanation folded below its answer.

addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form.quiz")) {
    const choices = [...form.querySelectorAll("input")];
    const button = document.createElement("button");
    button.textContent = "Check my answer";
    // Screen readers say what changes inside an element that had this role before it changed.
    const verdict = document.createElement("div");
    verdict.className = "quiz-verdict";
    verdict.setAttribute("role", "status");
    verdict.setAttribute("aria-live", "polite");
    form.append(button, verdict);
    form.classList.add("quiz-live");

    const forget = () => {
      verdict.replaceChildren();
      delete verdict.dataset.verdict;
    };

    const say = (...parts) => {
      verdict.replaceChildren(...parts);
    };

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const chosen = choices.find((choice) => choice.checked);
      if (!chosen) {
        say("Choose an answer first.");
        choices[0].focus();
        return;
      }
      const isRight = "right" in chosen.dataset;
      const why = chosen.closest(".quiz-answer").querySelector(".quiz-why").cloneNode(true);
      verdict.dataset.verdict = isRight ? "right" : "wrong";
      if (isRight) {
        say(why);
      } else {
        const again = document.createElement("p");
        again.textContent = "Choose another answer to try again.";
        say(why, again);
      }
    });

    // An answer that was chosen anew has not been judged yet.
    form.addEventListener("change", forget);
  }
});
