// The calls of the service. Every address is relative, so that the page may live below any path.

import { keep, kept } from "./keeping.js";

/** What the service answers in the place of a picture: `status` (0 where nothing answers), and its one line as `message`. */
export class Problem extends Error {
  constructor(status, message, seconds = 0) {
    super(message);
    this.status = status;
    this.seconds = seconds; // how long to wait before the next try, where the service says so
  }
}

const BUSY = [429, 503]; // with a Retry-After
const BUSY_TRIES = 30;

let token = kept("sessionStorage", "srgan-token") ?? "";

/** Keep the token for this tab, and send it with every call; one that no header can hold is none. */
export function useToken(text) {
  token = /^[\x20-\x7e]*$/.test(text) ? text : "";
  keep("sessionStorage", "srgan-token", token);
}

async function call(path, init = {}) {
  const headers = new Headers(init.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer. Is it still running?");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  let line = "";
  if (response.headers.get("Content-Type")?.includes("json")) {
    const body = await response.json().catch(() => ({}));
    line = body.detail || body.title || "";
  }
  line ||= `The service answers ${response.status} ${response.statusText}`.trim();
  return new Problem(response.status, line, Number(response.headers.get("Retry-After")) || 0);
}

/** What the service has and allows: see GET /v1/models. */
export async function models() {
  return (await call("v1/models")).json();
}

/** Wait, or throw what `signal` was aborted with. */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal.removeEventListener("abort", stop), resolve()), 1000 * seconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Have a picture enlarged: `query` holds the parameters of POST /v1/upscale, null and undefined ones are left out.
 *
 * `tell`, where given, is called with each event of /v1/progress, and with {state: "busy"} while the service has no room.
 * Resolves with {blob, format, filename, width, height, inputWidth, inputHeight, seconds, model, repair, codec, codecQuality,
 * noise, blur}: the network that made it, its `repair` where between two, what had rounded the picture, its noise in levels of
 * 255 and its blur in pixels; else null. Aborting `signal` stops the work.
 */
export async function upscale(picture, query, { signal, tell = null }) {
  for (let tries = 1; ; tries++) {
    try {
      return await upscaleOnce(picture, query, signal, tell);
    } catch (error) {
      if (!BUSY.includes(error.status) || !error.seconds || tries === BUSY_TRIES) throw error;
      tell?.({ state: "busy" });
      await pause(error.seconds, signal);
    }
  }
}

async function upscaleOnce(picture, query, signal, tell) {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const headers = { "Content-Type": "application/octet-stream", "X-Request-ID": id };
  const over = new AbortController(); // aborted at the end, whichever it is
  try {
    if (tell) follow(id, tell, over.signal);
    const response = await call(`v1/upscale?${new URLSearchParams(given)}`, {
      method: "POST",
      body: picture,
      headers,
      signal,
    });
    const number = (name) => Number(response.headers.get(`Srgan-${name}`));
    const blob = await response.blob();
    return {
      blob,
      format: blob.type.replace("image/", "").toUpperCase(),
      filename: filenameOf(response.headers.get("Content-Disposition") ?? ""),
      width: number("Width"),
      height: number("Height"),
      inputWidth: number("Input-Width"),
      inputHeight: number("Input-Height"),
      seconds: number("Seconds"),
      model: response.headers.get("Srgan-Model"),
      repair: number("Repair") || null,
      codec: response.headers.get("Srgan-Codec"),
      codecQuality: response.headers.has("Srgan-Codec") ? number("Codec-Quality") : null,
      noise: response.headers.has("Srgan-Noise") ? number("Noise") : null,
      blur: response.headers.has("Srgan-Blur") ? number("Blur") : null,
    };
  } catch (error) {
    if (error.status === 0 && !(await isThere(picture))) {
      throw new Problem(0, "The picture's file was changed, moved or removed after it was given: give it again.");
    }
    if (error instanceof TypeError) throw new Problem(0, "The connection broke before the whole picture was there.");
    throw error;
  } finally {
    over.abort();
  }
}

/** Resolve with whether a file can still be read: sending one that cannot fails as if nothing answered. */
function isThere(file) {
  return file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );
}

/** Return the name in a Content-Disposition, by RFC 6266. */
export function filenameOf(disposition) {
  const extended = /filename\*\s*=\s*UTF-8''([^;\s]+)/i.exec(disposition);
  if (extended) return decodeURIComponent(extended[1]);
  const quoted = /filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(disposition);
  if (quoted) return quoted[1].replace(/\\(.)/g, "$1");
  return /filename\s*=\s*([^;\s]+)/i.exec(disposition)?.[1] ?? "picture";
}

/** Tell of each event of a request's progress. What goes wrong here, the answer to the request itself says better. */
async function follow(id, tell, signal) {
  try {
    const response = await call(`v1/progress/${id}`, { signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || signal.aborted) return;
      const events = (text + value).split(/\r?\n\r?\n/);
      text = events.pop();
      for (const line of events.flatMap((event) => event.split(/\r?\n/))) {
        if (line.startsWith("data:")) tell(JSON.parse(line.slice(5)));
      }
    }
  } catch (error) {
    if (!signal.aborted && !(error instanceof Problem)) console.info("no progress is told:", error.message);
  }
}
