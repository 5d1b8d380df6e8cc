"use strict";
const $ = (id) => document.getElementById(id);
const TINY = 96; // px up to which a photo is shown with its pixels
let models = [], model = null, photo = null, turn = 0;

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("the server does not answer; is it still running?");
  }
  if (response.ok) return response;
  $("token").hidden = response.status !== 401;
  const told = await response.json().catch(() => ({}));
  throw new Error(told.error || `the server answered ${response.status}`);
}

function say(error) {
  $("alert").textContent = error ? error.message : "";
  $("alert").hidden = !error;
}

function short(number) {
  const [factor, letter] = number >= 1e9 ? [1e9, "G"] : number >= 1e6 ? [1e6, "M"] : [1e3, "k"];
  const scaled = number / factor;
  return scaled.toFixed(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2) + letter;
}

function fact(value, what) {
  const span = document.createElement("span"), bold = document.createElement("b");
  bold.textContent = value;
  span.append(bold, ` ${what}`);
  return span;
}

async function start() {
  models = await (await ask("models")).json();
  $("token").hidden = true;
  $("model").replaceChildren(...models.map((one) => new Option(one.name)));
  $("model").hidden = models.length < 2;
  await choose(models[0]);
}

async function choose(one) {
  model = one;
  document.title = `${one.name} · compound`;
  $("title").textContent = one.name;
  $("facts").replaceChildren(
    fact(short(one.params), "parameters"), fact(short(one.macs), "MACs an image"),
    fact(`${one.resolution} px`, one.channels === 1 ? "grey" : "RGB"), fact(one.classes, "classes"),
    fact(one.runtime, one.precision),
  );
  const part = await ask(`models/${encodeURIComponent(one.name)}/network`);
  $("network").innerHTML = await part.text(); // made and escaped by the server
  $("network-section").hidden = false;
  if (photo) await classify(photo);
}

async function classify(file) {
  photo = file;
  const mine = ++turn;
  say(null);
  show($("photo"), file);
  $("map").hidden = true;
  $("drop").className = "drop full";
  $("invite").hidden = true;
  $("under").hidden = true;
  $("found").classList.add("busy");
  try {
    const path = `models/${encodeURIComponent(model.name)}/predict?top=5`;
    const { predictions } = await (await ask(path, { method: "POST", body: file })).json();
    if (mine !== turn) return;
    list(predictions[0].classes);
    if (model.maps) await explain(predictions[0].classes[0]);
  } catch (error) {
    if (mine !== turn) return;
    photo = null;
    $("photo").hidden = $("found").hidden = true;
    $("drop").className = "drop";
    $("invite").hidden = false;
    $("empty").hidden = false;
    throw error;
  } finally {
    if (mine === turn) $("found").classList.remove("busy");
  }
}

function list(classes) {
  $("empty").hidden = true;
  $("found").hidden = false;
  const [best] = classes, sure = document.createElement("small");
  sure.textContent = `with a probability of ${percent(best.probability)}`;
  $("best").replaceChildren(best.name, sure);
  $("classes").replaceChildren(...classes.map(row));
}

function row(one) {
  const item = document.createElement("li"), button = document.createElement("button");
  const [name, share, bar, fill] = ["span", "span", "span", "i"].map((tag) => document.createElement(tag));
  name.className = "name";
  name.textContent = one.name;
  share.textContent = percent(one.probability);
  bar.className = "bar";
  fill.style.setProperty("--p", one.probability);
  bar.append(fill);
  button.type = "button";
  button.dataset.index = one.index;
  button.append(name, share, bar);
  button.disabled = !model.maps;
  button.addEventListener("click", () => explain(one).catch(say));
  item.append(button);
  return item;
}

function percent(value) {
  return value >= 0.0995 ? `${(100 * value).toFixed(0)}%` : `${(100 * value).toPrecision(2)}%`;
}

async function explain(one) {
  const mine = turn;
  const path = `models/${encodeURIComponent(model.name)}/explain?class=${one.index}`;
  const response = await ask(path, { method: "POST", body: photo });
  const method = response.headers.get("X-Method") === "cam" ? "Class activation map" : "Grad-CAM";
  const drawn = await response.blob();
  if (mine !== turn) return;
  show($("map"), drawn);
  for (const button of $("classes").querySelectorAll("button"))
    button.setAttribute("aria-pressed", Number(button.dataset.index) === one.index);
  $("caption").textContent = `${method}: ${one.name}`;
  $("under").hidden = false;
  mapped(true);
}

function show(image, blob) {
  if (image.src) URL.revokeObjectURL(image.src);
  image.onload = () => image.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) <= TINY);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
}

function mapped(on) {
  $("drop").classList.toggle("mapped", on);
  $("show-map").setAttribute("aria-pressed", on);
  $("show-photo").setAttribute("aria-pressed", !on);
}

function take(files) {
  const file = [...files].find((one) => one.type.startsWith("image/")) || files[0];
  if (file && model) classify(file).catch(say);
}

$("file").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // the same file may be chosen again
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"])
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
document.addEventListener("paste", (event) => take(event.clipboardData.files));
$("show-map").addEventListener("click", () => mapped(true));
$("show-photo").addEventListener("click", () => mapped(false));
$("model").addEventListener("change", () => choose(models[$("model").selectedIndex]).catch(say));
$("token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").querySelector("input").value);
  say(null);
  start().catch(say);
});
start().catch(say);
