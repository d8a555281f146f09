"use strict";
(() => {
  const bar = document.getElementById("filter");
  if (!bar) return;
  const pairs = [...document.querySelectorAll(".pair[data-says]")];
  const apply = () => {
    const wanted = Object.fromEntries(["concept", "suite", "says"].map((key) => [key, bar.elements[key].value]));
    let left = 0;
    for (const pair of pairs) {
      pair.hidden = Object.entries(wanted).some(([key, value]) => value && pair.dataset[key] !== value);
      left += pair.hidden ? 0 : 1;
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = group.querySelector(".pair") && !group.querySelector(".pair:not([hidden])");
    }
    document.getElementById("left").textContent = `${left} of ${pairs.length} shown`;
  };
  bar.addEventListener("change", apply);
  bar.addEventListener("reset", () => setTimeout(apply));
  bar.addEventListener("submit", (event) => event.preventDefault());
  bar.hidden = false;
  apply();
  // What is folded on a screen is printed.
  window.addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details.rows")) each.open = true;
  });
  // A picture that an anchor leads to is shown whatever the filter says.
  window.addEventListener("hashchange", () => {
    const meant = document.getElementById(location.hash.slice(1));
    if (meant?.hidden) bar.reset();
    meant?.scrollIntoView();
  });
})();
