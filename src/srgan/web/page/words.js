// What the page says of numbers and states.

const STATES = {
  sending: "Sending",
  busy: "The service is busy, trying again",
  waiting: "Waiting",
  writing: "Writing",
  done: "Fetching",
};

/** Return settings in few words: what makes the result. */
export function inWords({ model, detail, repair }) {
  if (repair !== null) return `${model}, repair ${repair.toFixed(2)}`;
  return detail === null ? model : `detail ${detail.toFixed(2)}`;
}

export function inBytes(bytes) {
  const unit = Math.min(3, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const value = bytes / 1000 ** unit;
  return `${value.toFixed(value < 10 && unit ? 1 : 0)} ${["bytes", "kB", "MB", "GB"][unit]}`;
}

export function inPixels(pixels) {
  return `${(pixels / 1e6).toLocaleString("en", { maximumFractionDigits: 6 })} megapixels`;
}

function inSeconds(seconds) {
  return seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}

/** Return how far a picture is that waits or is worked on; `before` others wait with it. */
export function progressInWords({ state, progress }, before) {
  if (state === "waiting") return before ? `Waiting, ${before} before it` : "Waiting";
  if (progress.state === "working") {
    const left = progress.seconds_left;
    return `${Math.floor(100 * progress.fraction)}%${left ? `, ${inSeconds(left)} left` : ""}`;
  }
  if (progress.state === "waiting" && progress.before) return `Waiting, ${progress.before} before it`;
  return STATES[progress.state] ?? "Working";
}
