// <picture-viewer>: two pictures over each other with a divider between them, to be zoomed and moved.

const MOST_ZOOM = 32;
const STEP = 1.25; // of the zoom keys and buttons
const PIXELS_FROM = 2; // from this zoom on pixels are drawn as squares
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

const HELP = "Arrow keys move the picture, plus and minus zoom, 0 fits it in, 1 and 2 show it at 100 and 200 percent.";

function make(name, properties = {}, attributes = {}) {
  const element = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

const between = (low, value, high) => Math.min(Math.max(value, low), high);

/**
 * All places and sizes are in pixels of the picture, `zoom` is device pixels for one of them.
 *
 * show({width, height, before, after}) takes two lists of pieces {url, left, top, width, height, kind}, the later ones
 * above the earlier; kind is "pixels" for what is drawn in squares, "map" for what `opacity` applies to, or "".
 * Events: "look" when the view has changed, "point" with {x, y} in `detail` for a click on the picture.
 */
class PictureViewer extends HTMLElement {
  #size = { width: 1, height: 1 };
  #box = { width: 1, height: 1 }; // of the element, in CSS pixels
  #zoom = 1;
  #middle = { x: 0.5, y: 0.5 };
  #home = true; // whether the view is the first one, and follows the element's size
  #fraction = 0.5;
  #revealing = 0; // the frame that is asked for while the divider moves by itself
  #pointers = new Map();
  #panes = {};

  connectedCallback() {
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", "Before and after");
    this.#stage = make(
      "div",
      { className: "stage", tabIndex: 0 },
      { role: "group", "aria-roledescription": "picture", "aria-describedby": "viewer-help" },
    );
    for (const name of ["before", "after"]) {
      const pane = make("div", { className: `pane ${name}` });
      const sheet = pane.appendChild(make("div", { className: "sheet" }));
      this.#panes[name] = { pane, sheet, turn: 0 };
      this.#stage.append(pane);
    }
    this.#mark = make("div", { className: "mark", hidden: true });
    this.#stage.append(this.#mark);
    this.#labels = {
      before: make("span", { className: "label before" }),
      after: make("span", { className: "label after" }),
    };
    this.#divider = make(
      "div",
      { className: "divider", tabIndex: 0, hidden: true },
      {
        role: "slider",
        "aria-label": "Divider between before and after",
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        "aria-orientation": "horizontal",
      },
    );
    this.#divider.append(make("span", { className: "grip" }));
    const help = make("p", { className: "unseen", id: "viewer-help", textContent: HELP });
    this.append(this.#stage, this.#labels.before, this.#labels.after, this.#divider, help);
    this.#stage.addEventListener("pointerdown", (event) => this.#down(event));
    this.#stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) this.#stage.addEventListener(end, (event) => this.#up(event));
    this.#stage.addEventListener("dblclick", (event) =>
      this.zoomTo(Math.abs(this.#zoom - 1) < 0.01 ? this.fitting : 1, event),
    );
    this.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.addEventListener("keydown", (event) => this.#key(event));
    this.#divider.addEventListener("pointerdown", (event) => this.#divider.setPointerCapture(event.pointerId));
    this.#divider.addEventListener("pointermove", (event) => {
      if (this.#divider.hasPointerCapture(event.pointerId)) this.#divideAt(event);
    });
    new ResizeObserver(() => this.#resized()).observe(this);
  }

  #stage;
  #mark;
  #part = null; // what the mark is around
  #labels;
  #divider;

  get zoom() {
    return this.#zoom;
  }

  /** The zoom at which the whole picture is just seen. */
  get fitting() {
    return Math.min(this.#box.width / this.#size.width, this.#box.height / this.#size.height) * devicePixelRatio;
  }

  /** The part of the picture that is seen: {left, top, width, height}. */
  get seen() {
    const scale = this.#zoom / devicePixelRatio;
    const [width, height] = [this.#box.width / scale, this.#box.height / scale];
    const left = Math.max(0, this.#middle.x - width / 2);
    const top = Math.max(0, this.#middle.y - height / 2);
    return {
      left,
      top,
      width: Math.min(this.#size.width, this.#middle.x + width / 2) - left,
      height: Math.min(this.#size.height, this.#middle.y + height / 2) - top,
    };
  }

  get fraction() {
    return this.#fraction;
  }

  /** Where the divider is, from 0, all of it after, to 1, all of it before. */
  set fraction(value) {
    this.#fraction = between(0, value, 1);
    this.#draw();
  }

  set opacity(value) {
    this.#panes.after.sheet.style.setProperty("--opacity", value);
  }

  focus() {
    this.#stage.focus();
  }

  /** Another picture: the view begins anew. */
  forget() {
    cancelAnimationFrame(this.#revealing);
    this.#home = true;
    this.#size = { width: 1, height: 1 };
    for (const place of Object.values(this.#panes)) {
      place.turn += 1; // what is still being decoded no longer belongs here
      place.sheet.replaceChildren();
    }
    this.mark(null);
  }

  /** Show what is given, see the class. A view of a picture of other size stays where it was in the picture. */
  show({ width, height, before, after, names }) {
    const old = this.#size;
    const resized = old.width !== width || old.height !== height;
    if (resized) {
      this.#size = { width, height };
      if (!this.#home) {
        this.#middle = { x: (this.#middle.x * width) / old.width, y: (this.#middle.y * height) / old.height };
        this.#zoom *= old.width / width;
      }
      for (const { sheet } of Object.values(this.#panes)) {
        sheet.style.width = `${width}px`;
        sheet.style.height = `${height}px`;
      }
    }
    this.#labels.before.textContent = names[0];
    this.#labels.after.textContent = names[1];
    this.#divider.hidden = this.#labels.after.hidden = after.length === 0;
    this.#stage.setAttribute("aria-label", names[2]);
    if (this.#home && resized) this.#first();
    this.#fill(this.#panes.before, before);
    this.#fill(this.#panes.after, after);
    if (!this.#home && resized) this.#looked(); // at another zoom
    else this.#draw();
  }

  /** Draw a frame around a part of the picture, named, or none; busy while what belongs into it is made. */
  mark(part, name = "", busy = false) {
    this.#mark.hidden = part === null;
    this.#part = part;
    this.#mark.dataset.name = name;
    this.#mark.classList.toggle("busy", busy);
    this.#draw();
  }

  /** Move the divider from the right to the middle, unless another picture comes meanwhile. */
  reveal() {
    if (STILL.matches) {
      this.fraction = 0.5;
      return;
    }
    const start = performance.now();
    const run = (now) => {
      const t = between(0, (now - start) / 900, 1);
      this.fraction = 1 - 0.5 * (1 - (1 - t) ** 3);
      if (t < 1) this.#revealing = requestAnimationFrame(run);
    };
    this.#revealing = requestAnimationFrame(run);
  }

  /** Zoom, keeping what is under the event's pointer, or the middle, where it is. */
  zoomTo(zoom, event = null) {
    const smallest = Math.min(this.fitting, 1);
    const next = between(smallest, zoom, MOST_ZOOM);
    const at = event ? this.#at(event) : this.#middle;
    const ratio = this.#zoom / next;
    this.#middle = { x: at.x + (this.#middle.x - at.x) * ratio, y: at.y + (this.#middle.y - at.y) * ratio };
    this.#zoom = next;
    this.#looked();
  }

  zoomBy(steps) {
    this.zoomTo(this.#zoom * STEP ** steps);
  }

  fit() {
    this.zoomTo(this.fitting);
  }

  #first() {
    this.#middle = { x: this.#size.width / 2, y: this.#size.height / 2 };
    this.#zoom = Math.min(this.fitting, 1);
    this.#looked(true);
  }

  #looked(home = false) {
    this.#home = home;
    this.#draw();
    this.dispatchEvent(new Event("look"));
  }

  #resized() {
    this.#box = { width: this.clientWidth || 1, height: this.clientHeight || 1 };
    if (this.#home) this.#first();
    else this.#looked();
  }

  async #fill(place, pieces) {
    const turn = (place.turn += 1);
    const there = new Map([...place.sheet.children].map((image) => [image.src, image]));
    const images = pieces.map(({ url, left, top, width, height, kind }) => {
      const image = there.get(url) ?? make("img", { src: url, alt: "", draggable: false });
      image.className = kind;
      Object.assign(image.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
      image.style.backgroundPosition = `${-left}px ${-top}px`; // the squares go on as below it
      return image;
    });
    const ready = await Promise.allSettled(images.map((image) => image.decode()));
    if (turn !== place.turn) return;
    place.sheet.replaceChildren(...images.filter((_, index) => ready[index].status === "fulfilled"));
  }

  /** Where the picture lies, in CSS pixels of the element, on whole pixels of the screen. */
  #place() {
    const scale = this.#zoom / devicePixelRatio;
    for (const [axis, side] of [
      ["x", "width"],
      ["y", "height"],
    ]) {
      const half = this.#box[side] / scale / 2;
      const most = this.#size[side] - half;
      this.#middle[axis] = most < half ? this.#size[side] / 2 : between(half, this.#middle[axis], most);
    }
    const whole = (value) => Math.round(value * devicePixelRatio) / devicePixelRatio;
    return {
      scale,
      left: whole(this.#box.width / 2 - this.#middle.x * scale),
      top: whole(this.#box.height / 2 - this.#middle.y * scale),
    };
  }

  #draw() {
    if (!this.#stage) return;
    const { scale, left, top } = this.#place();
    const right = Math.min(this.#box.width, left + this.#size.width * scale);
    const low = Math.min(this.#box.height, top + this.#size.height * scale);
    const [start, high] = [Math.max(0, left), Math.max(0, top)];
    const line = start + this.#fraction * (right - start);
    const split = !this.#divider.hidden;
    for (const { sheet } of Object.values(this.#panes))
      sheet.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    this.#panes.before.pane.style.clipPath = split ? `inset(0 ${this.#box.width - line}px 0 0)` : "none";
    this.#panes.after.pane.style.clipPath = `inset(0 0 0 ${line}px)`;
    Object.assign(this.#divider.style, { left: `${line}px`, top: `${high}px`, height: `${low - high}px` });
    const percent = Math.round(100 * this.#fraction);
    this.#divider.setAttribute("aria-valuenow", percent);
    this.#divider.setAttribute("aria-valuetext", `${percent} percent of the picture is before`);
    for (const [name, edge] of [
      ["before", "left"],
      ["after", "right"],
    ]) {
      this.#labels[name].style[edge] = `${(edge === "left" ? start : this.#box.width - right) + 10}px`;
      this.#labels[name].style.bottom = `${this.#box.height - low + 10}px`;
    }
    for (const [name, room] of [
      ["before", split ? line - start : right - start],
      ["after", right - line],
    ]) {
      this.#labels[name].style.maxWidth = `${Math.max(0, room - 20)}px`; // each on its own side
      this.#labels[name].classList.toggle("faint", room < 90);
    }
    this.#stage.classList.toggle("squares", this.#zoom >= PIXELS_FROM);
    this.#stage.classList.toggle("loose", this.#movable());
    const part = this.#part;
    if (part) {
      Object.assign(this.#mark.style, {
        left: `${left + part.left * scale}px`,
        top: `${top + part.top * scale}px`,
        width: `${part.width * scale}px`,
        height: `${part.height * scale}px`,
      });
    }
  }

  /** Whether there is more of the picture than is seen. */
  #movable() {
    return this.#zoom > this.fitting * 1.001;
  }

  /** Where a pointer is in the picture. */
  #at(event) {
    const box = this.getBoundingClientRect();
    const { scale, left, top } = this.#place();
    return { x: (event.clientX - box.left - left) / scale, y: (event.clientY - box.top - top) / scale };
  }

  #divideAt(event) {
    const box = this.getBoundingClientRect();
    const { scale, left } = this.#place();
    const start = Math.max(0, left);
    const right = Math.min(this.#box.width, left + this.#size.width * scale);
    this.fraction = (event.clientX - box.left - start) / (right - start);
  }

  #down(event) {
    if (event.button > 0) return;
    this.#stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { clientX: event.clientX, clientY: event.clientY, moved: 0 });
  }

  #move(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    const [x, y] = [event.clientX - pointer.clientX, event.clientY - pointer.clientY];
    pointer.moved += Math.hypot(x, y);
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, other]) => other);
    const before = { ...pointer };
    Object.assign(pointer, { clientX: event.clientX, clientY: event.clientY });
    if (others.length === 0 && pointer.moved < 4) return;
    if (others.length === 0 && !this.#movable()) {
      if (!this.#divider.hidden) this.#divideAt(event);
      return;
    }
    const share = 1 / (others.length + 1); // of two fingers the point between them moves the picture
    const scale = this.#zoom / devicePixelRatio;
    this.#middle = { x: this.#middle.x - (share * x) / scale, y: this.#middle.y - (share * y) / scale };
    if (others.length === 1) {
      const [other] = others;
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      const centre = { clientX: (pointer.clientX + other.clientX) / 2, clientY: (pointer.clientY + other.clientY) / 2 };
      this.zoomTo((this.#zoom * Math.max(apart(pointer), 1)) / Math.max(apart(before), 1), centre);
    } else {
      this.#looked();
    }
  }

  #up(event) {
    const pointer = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    if (event.type !== "pointerup" || !pointer || pointer.moved >= 4 || this.#pointers.size) return;
    const at = this.#at(event);
    if (at.x >= 0 && at.y >= 0 && at.x < this.#size.width && at.y < this.#size.height) {
      this.dispatchEvent(new CustomEvent("point", { detail: at }));
    }
  }

  #wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 30 : 1; // lines or pixels
    this.zoomTo(
      this.#zoom * Math.exp(-between(-240, event.deltaY * unit, 240) * (event.ctrlKey ? 0.01 : 0.002)),
      event,
    );
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const sideways = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 0, ArrowDown: 0 }[event.key];
    if (event.target === this.#divider) {
      const steps = {
        ArrowLeft: -1,
        ArrowDown: -1,
        ArrowRight: 1,
        ArrowUp: 1,
        PageDown: -10,
        PageUp: 10,
        Home: -100,
        End: 100,
      }[event.key];
      if (steps !== undefined) {
        this.fraction = (Math.round(100 * this.#fraction) + steps * (event.shiftKey ? 10 : 1)) / 100;
        event.preventDefault();
        return;
      }
    } else if (sideways !== undefined) {
      const far = event.shiftKey ? 0.5 : 0.1;
      const { width, height } = this.seen;
      this.#middle.x += sideways * far * width;
      this.#middle.y += ({ ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0) * far * height;
      this.#looked();
      event.preventDefault();
      return;
    }
    const act = {
      "+": () => this.zoomBy(1),
      "=": () => this.zoomBy(1),
      "-": () => this.zoomBy(-1),
      0: () => this.fit(),
      1: () => this.zoomTo(1),
      2: () => this.zoomTo(2),
    }[event.key];
    if (act) {
      act();
      event.preventDefault();
    }
  }
}

customElements.define("picture-viewer", PictureViewer);
