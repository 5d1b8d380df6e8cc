"use strict";
const $ = (id) => document.getElementById(id);
const TINY = 96; // px up to which a photo is shown with its pixels
const MOST = 32; // photos at a time
const FORMATS = "Use a JPEG, PNG or WebP file; a phone makes a JPEG of a HEIC photo when it is shared or exported.";
const SMALLER = "Make the photo smaller, or save it as JPEG.";
let models = [], model = null, photos = [], shown = null, turn = 0; // a photo: its file, its address, classes or trouble

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
  throw Object.assign(new Error(told.error || `the server answered ${response.status}`), { status: response.status });
}

function say(...errors) {
  $("alert").textContent = errors.map((error) => error.message).join("\n");
  $("alert").hidden = !errors.length;
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
  if (photos.length) await classify();
}

async function classify() {
  const mine = ++turn;
  say();
  shown = null;
  for (const one of photos) one.classes = one.trouble = null;
  tiles();
  $("found").classList.add("busy");
  $("map").hidden = $("under").hidden = true;
  try {
    for (const one of photos) {
      await name(one);
      if (mine !== turn) return;
      tiles();
      say(...photos.map((each) => each.trouble).filter(Boolean));
      if (one.classes && !shown) await open(one);
    }
  } finally {
    if (mine === turn) {
      $("found").classList.remove("busy");
      if (!shown) blank();
    }
  }
}

// What the network sees in one photo, or why it cannot: the others are still named.
async function name(one) {
  const path = `models/${encodeURIComponent(model.name)}/predict?top=5`;
  try {
    const [answer] = (await (await ask(path, { method: "POST", body: one.file })).json()).predictions;
    Object.assign(one, { classes: answer.classes, unknown: answer.unknown, score: answer.score, among: answer.among });
  } catch (error) {
    if (![413, 422].includes(error.status)) throw error;
    const why = error.message.replace(/^image 0 is damaged: /, "").replace(/; replace or remove it$/, "");
    one.trouble = new Error(`${one.file.name} cannot be read: ${why}. ${error.status === 413 ? SMALLER : FORMATS}`);
  }
}

async function open(one) {
  shown = one;
  show($("photo"), one.file);
  $("map").hidden = $("under").hidden = $("invite").hidden = true;
  $("drop").className = "drop full";
  tiles();
  list(one);
  if (model.maps) await explain(one.classes[0]);
}

function blank() {
  $("photo").hidden = $("found").hidden = true;
  $("drop").className = "drop";
  $("invite").hidden = $("empty").hidden = false;
}

function tiles() {
  $("photos").hidden = photos.length < 2;
  $("photos").replaceChildren(...photos.map(tile));
}

function tile(one) {
  const item = document.createElement("li"), button = document.createElement("button");
  const image = document.createElement("img"), words = document.createElement("span");
  if (!one.trouble) image.src = one.url;
  image.alt = "";
  words.textContent = one.trouble ? "cannot be read" : one.classes ? (one.unknown ? "unknown" : one.classes[0].name) : "…";
  button.type = "button";
  button.title = one.file.name;
  button.disabled = !one.classes;
  button.setAttribute("aria-pressed", one === shown);
  button.append(image, words);
  button.addEventListener("click", () => open(one).catch(say));
  item.append(button);
  return item;
}

function list({ classes, unknown, score, among }) {
  $("empty").hidden = true;
  $("found").hidden = false;
  const [best] = classes, sure = document.createElement("small");
  sure.textContent = unknown
    ? `none of its classes: score ${score.toFixed(2)}, and ${model.unknown.toFixed(2)} is needed; the nearest are`
    : `with a probability of ${percent(best.probability)}`;
  if (among && !unknown) {
    const names = among.slice(0, 8).map((one) => one.name), more = among.length - names.length;
    const one = among.length > 1 ? `one of ${names.join(", ")}${more ? ` and ${more} more` : ""}` : names[0];
    sure.textContent += `; in ${percent(model.coverage)} of such cases it is ${one}`;
  }
  $("best").replaceChildren(unknown ? "unknown" : best.name, sure);
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
  if (value < 0.001) return "< 0.1%";
  return `${(100 * value).toFixed(value >= 0.0995 ? 0 : 1)}%`;
}

async function explain(one) {
  const mine = turn, photo = shown;
  const path = `models/${encodeURIComponent(model.name)}/explain?class=${one.index}`;
  const response = await ask(path, { method: "POST", body: photo.file });
  const method = response.headers.get("X-Method") === "cam" ? "Class activation map" : "Grad-CAM";
  const drawn = await response.blob();
  if (mine !== turn || photo !== shown) return;
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
  if (!model || !files.length) return;
  for (const one of photos) URL.revokeObjectURL(one.url);
  photos = [...files].slice(0, MOST).map((file) => ({ file, url: URL.createObjectURL(file) }));
  const left = files.length - photos.length;
  const over = left ? [new Error(`The first ${MOST} photos were taken and ${left} left out; give the others after these.`)] : [];
  classify().then(() => say(...photos.map((one) => one.trouble).filter(Boolean), ...over), say);
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
  say();
  start().catch(say);
});
start().catch(say);
