// The pictures of the page, and the lanes their work goes through.

/** Runs tasks one after another; one whose signal was aborted before its turn is not begun. */
export class Lane {
  #last = Promise.resolve();

  /** Resolve with what `task` returns when its turn has come. */
  run(task, signal) {
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return task();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}

/** The settings that change what a part of a result looks like, beside its size and its file. */
export const LOOK = ["model", "detail", "repair", "consistent", "ensemble"];

/** Whether two settings are the same, in all that they say or in `names` alone. */
export function same(one, other, names = Object.keys(one)) {
  return names.every((name) => one[name] === other[name]);
}

/** Round as the service does: a half to the even side. */
function rounded(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

/** A picture that was given, with all that is known of it. Its addresses of blobs live until they are replaced. */
export class Picture {
  #addresses = new Map(); // from the name of a use to {url, key}

  constructor(file, settings, auto) {
    this.file = file;
    this.settings = settings; // what the panel says
    this.auto = auto; // the model by which the service chooses the network, which the settings have once it is known; or null
    this.wanted = null; // the settings of what is under way
    this.made = null; // the settings of `result`
    this.madeBy = null; // the model that the service was asked to choose it by, or null
    this.turn = 0; // its place among those that wait
    this.state = "waiting"; // working, done, failed, cancelled
    this.progress = { state: "waiting" }; // the last event
    this.problem = null; // one line
    this.source = null; // {width, height} as shown, once known
    this.result = null; // what api.upscale resolved with
    this.saved = true; // whether there is no result that nobody has downloaded
    this.asked = {}; // from what is made beside the result to what it was asked for with
    this.failed = new Set(); // what of it failed
    this.part = null; // {left, top, width, height, look} of the source, made with other settings
    this.work = null; // the AbortController of what makes the result
    this.gone = new AbortController(); // aborted when the picture is taken away
  }

  /** Keep a blob's address for a use, unless the picture is gone; `key` says what it was made of. */
  keep(use, blob, key = "") {
    if (this.gone.signal.aborted) return;
    this.drop(use);
    this.#addresses.set(use, { url: URL.createObjectURL(blob), key });
  }

  /** Return the address that is kept for a use, or null where there is none made of `key`. */
  url(use, key = "") {
    const kept = this.#addresses.get(use);
    return kept && kept.key === key ? kept.url : null;
  }

  drop(use) {
    const kept = this.#addresses.get(use);
    if (kept) URL.revokeObjectURL(kept.url);
    this.#addresses.delete(use);
  }

  /** Whether the settings are no longer those of the result. */
  get stale() {
    return this.made !== null && !same(this.made, this.settings);
  }

  /** Return how wide and high the result will be, as near as the page can tell, or null. */
  size(settings = this.settings) {
    if (!this.source) return null;
    const { width, height } = this.source;
    const factor = { scale: settings.amount, width: settings.amount / width, height: settings.amount / height }[
      settings.by
    ];
    return { width: Math.max(1, rounded(width * factor)), height: Math.max(1, rounded(height * factor)) };
  }

  /** Stop what is under way, and let go of all memory. */
  dispose() {
    this.gone.abort();
    this.work?.abort();
    for (const use of [...this.#addresses.keys()]) this.drop(use);
  }
}
