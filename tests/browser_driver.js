"use strict";
/* What tests of pages use: errors that happened, elements, and ways to act on them. */
const errors = [];
window.addEventListener("error", (event) => errors.push(String(event.message)));
window.addEventListener("securitypolicyviolation", (event) => errors.push(`policy: ${event.violatedDirective}`));
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const by = (id) => document.getElementById(id);
function choose(id, value) {
  by(id).value = value;
  for (const name of ["input", "change"]) by(id).dispatchEvent(new Event(name, { bubbles: true }));
}
function press(node, key) {
  node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}
/* The items of all cards, after "more" was pressed until there were no more. */
function all() {
  while (!by("more").hidden) by("more").click();
  return $$("#cards .card").map((card) => Number(card.dataset.item));
}
/* From each step to what it returns; every one begins with the page as it is when it opens. */
function after(...steps) {
  return steps.map((step) => {
    document.querySelector("[data-preset=worst]").click();
    return step();
  });
}
function outcome(value) {
  const node = document.createElement("script");
  node.type = "application/json";
  node.id = "outcome";
  node.textContent = JSON.stringify({ value, errors }).replaceAll("<", "\\u003c");
  document.body.append(node);
}
