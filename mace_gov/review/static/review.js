// The queue from the keyboard: 1 present, 2 absent, 3 unsure, b back, r reveal. Without this script the buttons do it.
"use strict";
const labels = document.getElementById("labels");

// While this stands no key counts: neither twice, nor for a picture that nobody has seen yet.
const busy = {
  get on() { return labels.getAttribute("aria-busy") === "true"; },
  set on(value) { labels.setAttribute("aria-busy", value); },
};

// The picture after the next one is fetched while the next one is looked at.
let ahead = null;

function placed(picture, item) {
  const fetched = ahead?.dataset.item === item ? ahead : null;
  if (!fetched) { picture.src = `picture/${item}`; return picture; }
  fetched.id = picture.id;
  fetched.alt = picture.alt;
  picture.replaceWith(fetched);
  return fetched;
}

function fetchAhead(item) {
  ahead = item ? new Image() : null;
  if (!ahead) return;
  ahead.dataset.item = item;
  ahead.src = `picture/${item}`;
}

async function show(next) {
  document.getElementById("progress").value = next.done;
  document.getElementById("count").textContent = `${next.done} of ${next.of}`;
  const picture = document.getElementById("picture");
  // A hidden picture and the end have a page of their own.
  if (!next.item || next.hidden || !picture) { window.location.assign("queue"); return; }
  document.getElementById("item").value = next.item;
  for (const other of document.querySelectorAll("details input[name=item]")) other.value = next.item;
  document.getElementById("phrase").textContent = next.question;
  for (const button of labels.querySelectorAll("button")) button.removeAttribute("aria-pressed");
  await placed(picture, next.item).decode();
  fetchAhead(next.ahead);
}

async function send(label) {
  if (busy.on) return;
  busy.on = true;
  const body = new URLSearchParams(new FormData(labels));
  body.set("label", label);
  const problem = document.getElementById("problem");
  try {
    const answer = await fetch("label", { method: "POST", body, headers: { Accept: "application/json" } });
    const next = await answer.json();
    problem.textContent = next.problem || "";
    if (answer.status === 401) window.location.assign("queue");
    if (answer.ok) await show(next);
  } catch (error) {
    problem.textContent = error.name === "EncodingError" ? "The next picture cannot be shown. Load this page again."
      : "The label was not kept: nobody answered.";
  } finally {
    busy.on = false;
  }
}

if (labels) {
  const first = document.getElementById("picture");
  busy.on = Boolean(first);
  first?.decode().catch(() => {}).finally(() => { busy.on = false; });
  labels.addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.submitter.value);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
    const label = { 1: "present", 2: "absent", 3: "unsure" }[event.key];
    const press = { b: "back", r: "reveal" }[event.key.toLowerCase()];
    if (label && !event.repeat) send(label);
    else if (press) document.getElementById(press)?.click();
  });
}
