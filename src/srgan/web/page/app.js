// The page: pictures come in, go through the service one after another, and are looked at.

import { Problem, models, upscale, useToken } from "./api.js";
import { takeIn } from "./intake.js";
import { Panel, beginning, choosing, queryOf } from "./panel.js";
import { LOOK, Lane, Picture, same } from "./queue.js";
import { setTheme } from "./theme.js";
import "./viewer.js";
import { inBytes, inPixels, inWords, progressInWords } from "./words.js";

const byId = (id) => document.getElementById(id);
const viewer = byId("viewer");

const SHOWN = 60e6; // pixels of the largest result that the browser is made to decode
const PART = { first: 160 ** 2, least: 96 ** 2, most: 512 ** 2 }; // pixels of a part that is tried out
const PART_SECONDS = 1;
const MOST_TIMES = 16; // the service enlarges no more; a part is stretched from there
const BETWEEN = 300; // milliseconds from one download to the next
const REST = 300; // milliseconds after which a slider or a view is taken to be at rest

const BICUBIC = { model: "bicubic", detail: null, repair: null, consistent: false, ensemble: false, seamless: false };
const VIEW = { format: "png", quality: null, strip: true }; // of what is looked at and not kept

/** Return the settings of what is looked at beside a result: of a TIFF, whose pages no browser shows, the first. */
const viewOf = (result) => (result?.format === "TIFF" ? { ...VIEW, show: "first" } : VIEW);

const results = new Lane();
const asides = new Lane(); // what results are compared with, and parts
const readings = new Lane();

let service;
let panel;
let settings; // of the next picture
let auto; // the model by which the service chooses its network, null once people do
const pictures = [];
let turns = 0; // that were given
let current = null;
let speed = null; // of the networks, pixels in a second
let point = null; // where the part to try out was asked for, in pixels of the source
let trial = null; // the AbortController of the part under way

// ---------------------------------------------------------------- the start

async function start() {
  setTheme();
  try {
    service = await asked(models);
  } catch (error) {
    byId("invitation").textContent = error.message;
    byId("choose").disabled = true;
    return;
  }
  panel = new Panel(service);
  settings = panel.usual;
  auto = beginning(service.default) && service.default;
  panel.write(settings);
  const names = [
    ...new Set(
      service.reads.map((suffix) => suffix.slice(1).toUpperCase().replace("JPEG", "JPG").replace("TIFF", "TIF")),
    ),
  ];
  const common = ["JPG", "PNG", "WEBP", "AVIF", "TIF", "GIF", "HEIC"].filter((name) => names.includes(name));
  const most = `up to ${inBytes(service.limits.bytes)}, ${inPixels(service.limits.input_pixels)}`;
  byId("reads").textContent = `${common.join(", ")}${names.length > common.length ? " and others" : ""}, ${most}`;
  byId("stays").hidden = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  takeIn(add, service.reads);
  document.body.dataset.ready = "";
}

/** Resolve with what `task` does, having asked for the token where the service wants one. */
async function asked(task) {
  for (;;) {
    try {
      return await task();
    } catch (error) {
      if (error.status !== 401) throw error;
      await askForToken();
    }
  }
}

const WANTS_TOKEN = "This service answers those who know its token.";
let asking = null;

function askForToken() {
  const dialog = byId("ask");
  asking ??= new Promise((resolve, reject) => {
    byId("ask-text").textContent = byId("token").value ? "That was not it." : WANTS_TOKEN;
    dialog.returnValue = "";
    dialog.showModal();
    dialog.onclose = () => {
      asking = null;
      if (dialog.returnValue) resolve();
      else reject(new Problem(401, WANTS_TOKEN));
    };
  });
  return asking;
}

byId("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value);
  byId("ask").close("said");
});
byId("ask-not").addEventListener("click", () => byId("ask").close());

// ---------------------------------------------------------------- pictures come in

function add(files) {
  const empty = pictures.length === 0;
  const come = [...files].map((file) => new Picture(file, { ...settings }, auto));
  if (!come.length) return say("There is no picture in that.", true);
  pictures.push(...come);
  if (!current || pictures.length === come.length) select(come[0]);
  for (const picture of come) {
    read(picture);
    make(picture);
  }
  render();
  if (empty) entryOf(current).querySelector(".pick").focus();
}

function read(picture) {
  readings
    .run(() => readSource(picture), picture.gone.signal)
    .catch((error) => ignoreAbort(error, () => say(error.message, true)));
}

/** Learn the size of a picture and make its thumbnail; where the browser cannot read it, the service's copy serves. */
async function readSource(picture) {
  picture.keep("source", picture.file);
  let image = await decoded(picture.url("source"));
  if (!image && picture.state !== "failed" && picture.file.size <= service.limits.bytes) {
    picture.drop("source");
    try {
      const query = { name: picture.file.name, model: "bicubic", scale: 1, format: "png", strip: true, show: "first" };
      const answer = await asked(() => upscale(picture.file, query, { signal: picture.gone.signal }));
      if (answer.width * answer.height <= SHOWN) {
        picture.keep("source", answer.blob);
        image = await decoded(picture.url("source"));
      }
      picture.source = { width: answer.width, height: answer.height };
    } catch (error) {
      ignoreAbort(error, () => {}); // what is wrong, the result says as well
    }
  }
  if (image && !picture.gone.signal.aborted) {
    picture.source = { width: image.naturalWidth, height: image.naturalHeight };
    await makeThumbnail(picture, image);
  }
  render();
}

/** Resolve with the image at an address, decoded, or null. */
async function decoded(url) {
  if (!url) return null;
  const image = new Image();
  image.src = url;
  return image.decode().then(
    () => image,
    () => null,
  );
}

/** Resolve with the size of a file's picture, which is soon known: 0 where the browser does not read its kind. */
async function sizeOf(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  await new Promise((known) => (image.onload = image.onerror = known));
  URL.revokeObjectURL(image.src);
  return { width: image.naturalWidth, height: image.naturalHeight };
}

async function makeThumbnail(picture, image) {
  const canvas = document.createElement("canvas");
  const scale = Math.min(1, 192 / Math.min(image.naturalWidth, image.naturalHeight));
  canvas.width = Math.max(1, Math.min(384, Math.round(image.naturalWidth * scale)));
  canvas.height = Math.max(1, Math.min(384, Math.round(image.naturalHeight * scale)));
  const ratio = Math.max(canvas.width / image.naturalWidth, canvas.height / image.naturalHeight);
  const [width, height] = [image.naturalWidth * ratio, image.naturalHeight * ratio];
  canvas.getContext("2d").drawImage(image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  if (blob && !picture.gone.signal.aborted) picture.keep("thumbnail", blob);
}

function remove(picture) {
  const index = pictures.indexOf(picture);
  picture.dispose();
  pictures.splice(index, 1);
  if (picture === current) select(pictures[Math.min(index, pictures.length - 1)] ?? null);
  render();
  (current ? entryOf(current).querySelector(".pick") : byId("choose")).focus();
}

function select(picture) {
  current = picture;
  point = null;
  stopTrial();
  viewer.forget();
  viewer.fraction = picture?.result ? 0.5 : 1;
  if (picture) panel.write(picture.settings);
}

// ---------------------------------------------------------------- results

async function make(picture) {
  picture.work?.abort();
  const work = (picture.work = new AbortController());
  picture.turn = turns += 1;
  picture.state = "waiting";
  picture.progress = { state: "waiting" };
  picture.problem = null;
  render();
  try {
    requireFewer(picture, picture.file.size, service.limits.bytes, inBytes);
    await results.run(() => makeNow(picture, work.signal), work.signal);
  } catch (error) {
    if (picture.work !== work) return;
    if (error.name === "AbortError") {
      picture.state = picture.result ? "done" : "cancelled";
    } else {
      picture.state = "failed";
      picture.problem = error.message;
      say(`${picture.file.name}: ${error.message}`);
    }
  }
  render();
}

/** Throw Problem where a picture has more of something than the service takes. */
function requireFewer(picture, has, most, words) {
  if (has > most) {
    const [its, taken] = words(has) === words(most) ? [`${has} bytes`, `${most}`] : [words(has), words(most)];
    throw new Problem(413, `${picture.file.name} has ${its}, and the service takes ${taken} at most.`);
  }
}

async function makeNow(picture, signal) {
  const wanted = (picture.wanted = { ...picture.settings }); // as they are when its turn has come
  const tell = (event) => {
    if (signal.aborted || picture.state !== "working") return;
    picture.progress = event;
    renderJob();
    renderEntry(picture);
  };
  const send = (how) => asked(() => upscale(picture.file, queryOf(picture.file.name, how), { signal, tell }));
  picture.state = "working";
  picture.progress = { state: "sending" };
  render();
  const { width, height } = picture.source ?? (await sizeOf(picture.file));
  requireFewer(picture, width * height, service.limits.input_pixels, inPixels);
  const { auto: asks } = picture;
  const answer = await send(asks ? { ...wanted, model: asks } : wanted);
  const { model, repair } = answer;
  if (asks) Object.assign(wanted, { model, repair });
  picture.keep("new", answer.blob);
  const large = answer.width * answer.height > SHOWN;
  let view = answer.blob;
  if (!large && !(await decoded(picture.url("new")))) view = (await send({ ...wanted, ...viewOf(answer) })).blob;
  picture.drop("new");
  signal.throwIfAborted();
  picture.source ??= { width: answer.inputWidth, height: answer.inputHeight };
  if (asks && picture.auto === asks) {
    Object.assign(picture.settings, { model, repair });
    if (picture === current) panel.writeNetwork(picture.settings);
  }
  if (wanted.model !== "bicubic") speed = (answer.inputWidth * answer.inputHeight) / answer.seconds;
  const first = picture.result === null;
  picture.keep("result", answer.blob);
  if (large) picture.drop("view");
  else picture.keep("view", view);
  picture.result = { ...answer, blob: null, bytes: answer.blob.size, large };
  picture.saved = false;
  picture.made = wanted;
  picture.madeBy = asks;
  picture.state = "done";
  forgetPart(picture);
  if (picture === current) tryOutSoon();
  say(`${picture.file.name} is done: ${answer.width} by ${answer.height} pixels.`);
  render();
  if (first && picture === current) viewer.reveal();
}

/** Have something made beside the result, and keep it for `use`; once, until people ask again. */
async function aside(picture, use, key, query) {
  if (picture.url(use, key) || picture.asked[use] === key) return;
  picture.asked[use] = key;
  picture.failed.delete(use);
  const signal = picture.gone.signal;
  try {
    const answer = await asides.run(() => asked(() => upscale(picture.file, query, { signal })), signal);
    picture.keep(use, answer.blob, key);
  } catch (error) {
    picture.failed.add(use);
    ignoreAbort(error, () => say(error.message, true));
  }
  render();
}

/** Let what failed beside the result be asked for again. */
function forgetFailed(picture) {
  for (const use of picture.failed) delete picture.asked[use];
  picture.failed.clear();
}

const sizeKey = ({ by, amount }) => ` ${by} ${amount}`;
const mapKey = (of) => lookKey(of) + sizeKey(of) + of.seamless;
const lookKey = (of) => LOOK.map((name) => of[name]).join(" ");

// ---------------------------------------------------------------- a part, tried out

/** Whether the settings look otherwise than what is shown of them. */
function isTrial(picture) {
  return (
    picture.result?.large ||
    (picture.made ? !same(picture.made, picture.settings, LOOK) : picture.state === "cancelled")
  );
}

/** Return the part of the source to try the settings out on: where was clicked, or the middle of what is seen. */
function partOf(picture, shown) {
  const ratio = picture.source.width / shown.width;
  const seen = viewer.seen;
  const box = {
    left: seen.left * ratio,
    top: seen.top * ratio,
    width: seen.width * ratio,
    height: seen.height * ratio,
  };
  const room = speed ? Math.min(Math.max(speed * PART_SECONDS, PART.least), PART.most) : PART.first;
  const share = Math.min(1, Math.sqrt(room / (box.width * box.height)));
  const inside =
    point &&
    point.x >= box.left &&
    point.y >= box.top &&
    point.x < box.left + box.width &&
    point.y < box.top + box.height;
  const middle = inside ? point : { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  const side = (axis, start, length, whole) => {
    const size = Math.max(1, Math.min(whole, Math.ceil(length * share)));
    return [Math.round(Math.min(Math.max(middle[axis] - size / 2, 0), whole - size)), size];
  };
  const [left, width] = side("x", box.left, box.width, picture.source.width);
  const [top, height] = side("y", box.top, box.height, picture.source.height);
  return { left, top, width, height };
}

let resting = null;

function tryOutSoon() {
  clearTimeout(resting);
  resting = setTimeout(tryOut, REST);
}

async function tryOut() {
  const picture = current;
  if (!picture?.source) return;
  stopTrial();
  if (!isTrial(picture)) {
    forgetPart(picture);
    render();
    return;
  }
  const shown = sizeShown(picture);
  const how = {
    ...picture.settings,
    by: "scale",
    amount: Math.min(shown.width / picture.source.width, MOST_TIMES),
    ...viewOf(picture.result),
  };
  const look = `${lookKey(how)} ${how.amount}`;
  let part = { ...partOf(picture, shown), look };
  if (picture.part?.look === look && holds(picture.part, part)) part = picture.part;
  const asks = [["part", how]];
  if (picture.result?.large && beforeMode() === "bicubic") asks.push(["part-before", { ...how, ...BICUBIC }]);
  if (picture.result?.large && mapWanted(picture) && panel.model(how.model).confidence) asks.push(["part-map", how]);
  const { signal } = (trial = new AbortController());
  try {
    for (const [use, settings] of asks) {
      if (picture.url(use, JSON.stringify(part))) continue;
      viewer.mark(onResult(picture, part), inWords(how), true);
      const query = queryOf(picture.file.name, { ...settings, seamless: false }); // a part does not wrap around
      query.crop = [part.left, part.top, part.width, part.height].join();
      if (use === "part-map") query.show = "confidence";
      const answer = await asked(() => upscale(picture.file, query, { signal }));
      signal.throwIfAborted();
      if (use === "part" && how.model !== "bicubic") speed = (part.width * part.height) / answer.seconds;
      picture.keep(use, answer.blob, JSON.stringify(part));
      picture.part = part;
      if (!picture.result && viewer.fraction === 1) viewer.reveal();
    }
    say(`A part of ${picture.file.name} shows ${inWords(how)}.`);
  } catch (error) {
    ignoreAbort(error, () => say(error.message, true));
  }
  if (trial?.signal === signal) {
    trial = null;
    render();
  }
}

function forgetPart(picture) {
  for (const use of ["part", "part-before", "part-map"]) picture.drop(use);
  picture.part = null;
}

function stopTrial() {
  trial?.abort();
  trial = null;
}

/** Whether the middle half of a part lies in another. */
function holds(outer, { left, top, width, height }) {
  return (
    left + width / 4 >= outer.left &&
    left + (3 * width) / 4 <= outer.left + outer.width &&
    top + height / 4 >= outer.top &&
    top + (3 * height) / 4 <= outer.top + outer.height
  );
}

/** Return where a part of the source is on what is shown. */
function onResult(picture, { left, top, width, height }) {
  const ratio = sizeShown(picture).width / picture.source.width;
  const down = sizeShown(picture).height / picture.source.height;
  return { left: left * ratio, top: top * down, width: width * ratio, height: height * down };
}

function sizeShown(picture) {
  return picture.result ?? picture.size();
}

// ---------------------------------------------------------------- what is seen

const beforeMode = () => document.querySelector("[name=before]:checked").value;
const mapWanted = (picture) =>
  byId("map").checked && Boolean(panel.model((picture.made ?? picture.settings).model)?.confidence);

/** Bring the whole page to what is known. */
function render() {
  const any = pictures.length > 0;
  byId("welcome").hidden = any;
  byId("desk").hidden = byId("panel").hidden = !any;
  document.title = current ? `${current.file.name} · srgan` : "srgan";
  renderQueue();
  if (!current) return;
  renderViewer();
  renderJob();
  renderPanel();
}

function renderViewer() {
  const picture = current;
  const shown = picture.source && sizeShown(picture);
  viewer.hidden = !shown;
  if (!shown) return;
  const { made, result } = picture;
  const whole = { left: 0, top: 0, width: shown.width, height: shown.height };
  const part = picture.part && onResult(picture, picture.part);
  const partKey = JSON.stringify(picture.part);
  const piece = (use, place, kind = "", key = "") => {
    const url = place && picture.url(use, key);
    return url ? [{ url, ...place, kind }] : [];
  };
  const bicubic = beforeMode() === "bicubic";
  const before = piece("source", whole, bicubic ? "" : "pixels");
  if (bicubic && made) before.push(...piece("bicubic", whole, "", sizeKey(made)));
  if (bicubic) before.push(...piece("part-before", part, "", partKey));
  const after = piece("view", whole);
  const tried = piece("part", part, "", partKey);
  if (!after.length && (tried.length || result)) after.push(...piece("source", whole));
  after.push(...tried);
  if (mapWanted(picture)) {
    if (made) after.push(...piece("map", whole, "map", mapKey(made)));
    after.push(...piece("part-map", part, "map", partKey));
  }
  const mapped = after.some(({ kind }) => kind === "map");
  const looking = made && !result.large && mapWanted(picture) && !mapped && !picture.failed.has("map");
  const nameOfAfter =
    inWords(made ?? picture.settings) +
    (mapped ? ", what it invented" : looking ? ", looking for what it invented…" : "");
  const nameOfBefore = bicubic ? (before.length > 1 ? "Bicubic" : "Smoothed") : "Pixels";
  viewer.show({ ...whole, before, after, names: [nameOfBefore, nameOfAfter, picture.file.name] });
  if (!trial) viewer.mark(tried.length ? part : null, inWords(picture.settings));
  if (!result || result.large) return;
  const query = (how) => queryOf(picture.file.name, { ...made, ...how, ...viewOf(result) });
  if (bicubic) aside(picture, "bicubic", sizeKey(made), query(BICUBIC));
  if (mapWanted(picture)) aside(picture, "map", mapKey(made), { ...query({}), show: "confidence" });
}

const isBusy = ({ state }) => state === "waiting" || state === "working";

function renderJob() {
  const { state, progress, problem, result } = current;
  byId("job").hidden = !isBusy(current);
  if (isBusy(current)) {
    const sooner = pictures.filter((one) => isBusy(one) && one.turn < current.turn);
    byId("job-text").textContent = progressInWords(current, sooner.length);
    const bar = byId("job-bar");
    if (progress.state === "working") bar.value = progress.fraction;
    else bar.removeAttribute("value");
  }
  byId("notice").hidden = state !== "failed" && state !== "cancelled";
  byId("notice-title").textContent = state === "failed" ? "That did not work" : "Cancelled";
  byId("notice-text").textContent = problem ?? "";
  byId("notice").classList.toggle("low", Boolean(current.source));
  const failed = toDoAgain().length;
  byId("again").textContent =
    state !== "failed" ? "Start again" : failed > 1 ? `Try all ${failed} again` : "Try again";
  byId("drop-it").textContent = result ? "Keep what was there" : "Remove";
}

/** What the service saw of a picture, in words: what follows "which". */
function conditionOf({ codec, codecQuality, noise, blur, model, repair }) {
  const rounded = codec && `is, or was, ${codec === "AVIF" ? "an" : "a"} ${codec} of quality ${codecQuality}`;
  const sharpened = model === "srgan-deblur" || repair > 1;
  const seen = [noise >= 1 && `noise of ${noise} levels of 255`, sharpened && `blur of ${blur} pixels`].filter(Boolean);
  return [rounded, seen.length && `has ${seen.join(" and ")}`].filter(Boolean).join(", and ");
}

function renderPanel() {
  const { file, source, result, made, state } = current;
  const size = result && !current.stale ? result : current.size();
  byId("name").textContent = file.name;
  byId("facts").textContent = source
    ? `${source.width} × ${source.height} to ${size.width} × ${size.height} pixels${result?.large ? ", shown in parts" : ""}`
    : "";
  const stale = current.stale && state === "done";
  byId("apply").hidden = byId("stale").hidden = !stale;
  const early = isBusy(current) && pictures.some(({ settings }) => !same(settings, current.settings));
  byId("apply-all").hidden = pictures.length < 2;
  byId("apply-all").textContent = stale ? "To all" : "These settings for all";
  byId("applying").hidden = !stale && !early;
  byId("stale").textContent = made
    ? `The result is by ${inWords(made)}, ${result.width} × ${result.height}, ${result.format}.`
    : "";
  const { madeBy } = current; // of a result that people chose the network of the picture says nothing
  const repaired = madeBy && madeBy === current.auto && !same(beginning(madeBy), made);
  byId("chosen").hidden = !repaired;
  byId("chosen").textContent = repaired ? `Chosen by the picture, which ${conditionOf(result)}.` : "";
  byId("leave-it").hidden = current.auto || !beginning(service.default);
  byId("downloading").hidden = !result;
  const link = byId("download");
  link.classList.toggle("main", !stale);
  if (result) {
    link.href = current.url("result");
    link.download = result.filename;
    link.querySelector("span").textContent = `Download ${result.format}, ${inBytes(result.bytes)}`;
    link.setAttribute("aria-label", link.textContent.trim());
  }
  byId("download-all").hidden = pictures.filter((picture) => picture.result).length < 2;
  byId("confidence").hidden = !service.models.some((model) => model.confidence);
  byId("map").disabled = !panel.model((made ?? current.settings).model)?.confidence;
  byId("opacity").disabled = !mapWanted(current);
}

const entries = new WeakMap(); // from a picture to its <li>

function entryOf(picture) {
  if (!entries.has(picture)) {
    const entry = byId("entry").content.firstElementChild.cloneNode(true);
    entry.querySelector(".title").textContent = picture.file.name;
    entry.querySelector(".remove").setAttribute("aria-label", `Remove ${picture.file.name}`);
    entry.querySelector(".pick").addEventListener("click", () => {
      if (picture !== current) select(picture);
      render();
      tryOutSoon();
    });
    entry.querySelector(".pick").addEventListener("keydown", (event) => event.key === "Delete" && remove(picture));
    entry.querySelector(".remove").addEventListener("click", () => remove(picture));
    entries.set(picture, entry);
  }
  return entries.get(picture);
}

function renderQueue() {
  const list = byId("queue");
  pictures.forEach((picture, index) => {
    const entry = entryOf(picture);
    if (list.children[index] !== entry) list.insertBefore(entry, list.children[index] ?? null);
    renderEntry(picture);
  });
  while (list.children.length > pictures.length) list.lastElementChild.remove();
}

function renderEntry(picture) {
  const entry = entryOf(picture);
  entry.dataset.state = picture.state;
  if (picture === current) entry.querySelector(".pick").setAttribute("aria-current", "true");
  else entry.querySelector(".pick").removeAttribute("aria-current");
  const url = picture.url("thumbnail");
  const thumb = entry.querySelector(".thumb");
  if (url && thumb.dataset.url !== url) {
    thumb.dataset.url = url;
    thumb.replaceChildren(Object.assign(new Image(), { src: url, alt: "" }));
  }
  const words = { done: "Done", failed: "Failed", cancelled: "Cancelled" };
  entry.querySelector(".state").textContent = words[picture.state] ?? progressInWords(picture, 0);
  entry
    .querySelector(".thumb")
    .style.setProperty(
      "--done",
      picture.state === "working" && picture.progress.state === "working" ? picture.progress.fraction : 0,
    );
}

// ---------------------------------------------------------------- words

/** Have a screen reader say something; where it is `loud`, the page shows it for a while as well. */
function say(text, loud = false) {
  byId("said").textContent = text;
  byId("said").classList.toggle("loud", loud);
  clearTimeout(quieting);
  if (loud) quieting = setTimeout(() => byId("said").classList.remove("loud"), 7000);
}

let quieting = null;

/** Pass over what was stopped on purpose; `tell` of anything else. */
function ignoreAbort(error, tell) {
  if (error.name !== "AbortError") tell();
}

// ---------------------------------------------------------------- what people do

function edited({ target }) {
  if (target.name === "model" || ["detail", "repair"].includes(target.id)) {
    auto = null;
    if (current) current.auto = null;
  }
  const said = panel.read();
  if (!said) return;
  settings = { ...said, ...(auto && beginning(auto)) };
  if (current) current.settings = { ...said };
  render();
  tryOutSoon();
}

byId("panel").addEventListener("input", edited);
byId("panel").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!needsWork(current)) return;
  make(current);
  stay();
});
byId("leave-it").addEventListener("click", () => {
  auto = current.auto = choosing(current.settings.model);
  for (const told of [settings, current.settings]) Object.assign(told, beginning(auto));
  panel.write(current.settings);
  make(current);
  stay();
});
byId("apply-all").addEventListener("click", () => {
  if (!byId("panel").reportValidity()) return;
  for (const picture of pictures) {
    const { model, repair } = current.auto && picture.auto === current.auto ? picture.settings : current.settings;
    picture.settings = { ...current.settings, model, repair };
    picture.auto = current.auto;
    const { state } = picture; // one that waits takes them when its turn comes
    if (state === "working" ? !same(picture.wanted, picture.settings) : state !== "waiting" && needsWork(picture)) {
      make(picture);
    }
  }
  stay();
});
byId("cancel").addEventListener("click", () => cancel(current));
byId("again").addEventListener("click", () => {
  for (const picture of toDoAgain()) {
    if (!picture.url("source")) read(picture); // by the service, which may not have answered
    make(picture);
  }
  stay();
});
byId("drop-it").addEventListener("click", () => {
  if (!current.result) return remove(current);
  current.state = "done";
  render();
  return stay();
});
byId("download").addEventListener("click", () => (current.saved = true));
byId("download-all").addEventListener("click", async () => {
  for (const picture of pictures.filter(({ result }) => result)) {
    if (!picture.url("result")) continue; // taken away meanwhile
    Object.assign(document.createElement("a"), {
      href: picture.url("result"),
      download: picture.result.filename,
    }).click();
    picture.saved = true;
    await new Promise((next) => setTimeout(next, BETWEEN)); // of many at once browsers take ten
  }
});

const needsWork = (picture) => picture.stale || !picture.result;

/** The pictures that a new try is for: the one that is looked at and, where that has failed, all that have. */
function toDoAgain() {
  return pictures.filter((one) => one === current || (current.state === "failed" && one.state === "failed"));
}

/** Keep the focus where something can be done, when what had it is gone. */
function stay() {
  (viewer.hidden ? byId("cancel") : viewer).focus();
}

function cancel(picture) {
  picture.work.abort();
  if (picture.state === "waiting") {
    picture.state = picture.result ? "done" : "cancelled";
    render();
  }
  viewer.focus();
}

for (const id of ["before", "map"]) {
  byId(id).addEventListener("change", () => (forgetFailed(current), render(), tryOutSoon()));
}
byId("opacity").addEventListener("input", () => (viewer.opacity = byId("opacity").value));
byId("in").addEventListener("click", () => viewer.zoomBy(1));
byId("out").addEventListener("click", () => viewer.zoomBy(-1));
byId("fit").addEventListener("click", () => viewer.fit());
byId("full").addEventListener("click", () => viewer.zoomTo(1));
byId("double").addEventListener("click", () => viewer.zoomTo(2));
viewer.addEventListener("look", () => {
  byId("zoom").textContent = `${Math.round(100 * viewer.zoom)}%`;
  for (const [id, zoom] of [
    ["fit", viewer.fitting],
    ["full", 1],
    ["double", 2],
  ]) {
    byId(id).setAttribute("aria-pressed", Math.abs(viewer.zoom / zoom - 1) < 1e-3);
  }
  if (current && isTrial(current)) tryOutSoon();
});
viewer.addEventListener("point", ({ detail: { x, y } }) => {
  if (!current?.source) return;
  const ratio = current.source.width / sizeShown(current).width;
  point = { x: x * ratio, y: y * ratio };
  if (isTrial(current)) {
    forgetPart(current);
    tryOutSoon();
  }
});

addEventListener("beforeunload", (event) => {
  if (pictures.some((picture) => isBusy(picture) || !picture.saved)) event.preventDefault();
});

start();
