// The page: palette, zoom, who is here, and how the connection does.

import { PALETTE, View } from "/canvas.js";
import { Drawn, wordsOf } from "/drawing.js";

const find = (id) => document.getElementById(id);
const [status, words, people, toast, palette] = [
  "status",
  "words",
  "people",
  "toast",
  "palette",
].map(find);

let colour = 1;
/** Why it is no use to try again. */
let failure;

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "anyone";
const drawn = new Drawn(token, {
  changed: () => view.draw(),
  people(count) {
    people.hidden = false;
    people.textContent = count === 1 ? "Only you" : `${count} here`;
  },
  trouble: showToast,
  failed(error) {
    failure = error;
    showStatus();
  },
});

const view = new View(
  find("canvas"),
  (x, y) => drawn.colourAt(x, y),
  (x, y) => drawn.paint(x, y, colour),
  (pixel) => {
    find("place").textContent = pixel ? `${pixel.x}, ${pixel.y}` : "";
  },
);

let toastTimer;
function showToast(text) {
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    toast.hidden = true;
  }, 5000);
}

let countdown;
let waitsUntil = 0;
/** Why there is no connection. */
let trouble = "";
drawn.client.onStatus((now) => {
  if (now.state === "connected") trouble = "";
  else if (now.error) trouble = wordsOf(now.error);
  if (now.state === "waiting") waitsUntil = Date.now() + now.delay;
  showStatus();
});
addEventListener("online", showStatus);
addEventListener("offline", showStatus);

/** Tells in words how the connection does. */
function showStatus() {
  clearTimeout(countdown);
  let { state } = drawn.client.status;
  if (failure) state = "failed";
  else if (!navigator.onLine && state !== "connected") state = "offline";
  document.documentElement.dataset.state = state;
  if (state !== "connected") people.hidden = true;
  status.title = trouble;
  words.textContent = wordsFor(state);
  status.querySelector("button")?.remove();
  if (state === "failed") addRetry();
  if (state === "waiting") countdown = setTimeout(showStatus, 250);
}

function wordsFor(state) {
  switch (state) {
    case "connected":
      return "Connected";
    case "waiting": {
      const seconds = Math.max(Math.ceil((waitsUntil - Date.now()) / 1000), 1);
      return `Connection lost. Trying again in ${seconds} s`;
    }
    case "offline":
      return "This device is offline";
    case "failed":
      return wordsOf(failure);
    default:
      return "Connecting…";
  }
}

function addRetry() {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Try again";
  button.addEventListener("click", () => {
    failure = undefined;
    drawn.watch();
    showStatus();
  });
  status.append(button);
}

PALETTE.forEach(([code, name], place) => {
  const button = document.createElement("button");
  button.type = "button";
  button.role = "radio";
  button.title = name;
  button.ariaLabel = name;
  button.ariaChecked = String(place === colour);
  button.style.setProperty("--colour", code);
  button.addEventListener("click", () => choose(place));
  palette.append(button);
});

function choose(place) {
  colour = place;
  [...palette.children].forEach((button, other) => {
    button.ariaChecked = String(other === place);
  });
}

const zoom = { in: () => view.zoom(1.5), out: () => view.zoom(1 / 1.5), fit: () => view.fit() };
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", zoom[button.dataset.zoom]);
}
addEventListener("keydown", ({ key }) => {
  if (key === "+" || key === "=") zoom.in();
  else if (key === "-") zoom.out();
  else if (key === "0") zoom.fit();
});

// For the console, and for tests.
globalThis.board = {
  colourAt: (x, y) => drawn.colourAt(x, y),
  where: (x, y) => view.where(x, y),
  paint: (x, y, colour) => drawn.paint(x, y, colour),
  isSaved: () => drawn.isSaved,
};
