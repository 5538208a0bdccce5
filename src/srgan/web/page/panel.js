// The panel: what a form says of how a picture is made, as a record of settings and back.

const byId = (id) => document.getElementById(id);

const SHARP = "srgan-plus";
const FAST = "srgan-fast";

/**
 * The networks along the sliders, `at` which value each, on each way of a slider, which is one `of` a network; by the model `auto`
 * the service chooses on a way by the picture. Settings hold a value only between two of them, so that each is plainly itself.
 */
const WAYS = {
  detail: [{ of: SHARP, at: { srresnet: 0, [SHARP]: 1 } }],
  repair: [
    { of: SHARP, at: { [SHARP]: 0, "srgan-photo": 1, "srgan-deblur": 2 }, auto: "auto" },
    { of: FAST, at: { [FAST]: 0, "srgan-fast-photo": 1, "srgan-fast-deblur": 2 }, auto: "auto-fast" },
  ],
};

/** Return the way of a slider that a network is on, if any. */
function wayOf(slider, model) {
  return WAYS[slider].find(({ at }) => model in at);
}

/** Return the model by which the service chooses on the way that a network is on, the first such where it is on none. */
export function choosing(model) {
  return (wayOf("repair", model) ?? WAYS.repair[0]).auto;
}

/** Return the settings of the network that a choosing model begins with, or null for a model that does not choose. */
export function beginning(auto) {
  const way = WAYS.repair.find((way) => way.auto === auto);
  return way ? { model: way.of, detail: null, repair: null } : null;
}

const SIZES = ["2", "3", "4", "8"];
const AMOUNTS = {
  scale: { label: "Scale", min: 0.05, max: 16, step: "any", usual: 4 },
  width: { label: "Width in pixels", min: 1, max: 100_000, step: 1, usual: 1920 },
  height: { label: "Height in pixels", min: 1, max: 100_000, step: 1, usual: 1080 },
};

export class Panel {
  #service;
  #between = { detail: null, repair: null }; // one of them at most

  /** Fill the choices with what the service has. */
  constructor(service) {
    this.#service = service;
    for (const model of service.models) {
      const card = byId("network").content.cloneNode(true).firstElementChild;
      card.querySelector("input").value = model.name;
      card.querySelector(".title").textContent = model.title;
      card.querySelector("code").textContent = model.name;
      const about = card.querySelector(".small");
      about.textContent = model.about.startsWith(`${model.title}, `)
        ? model.about.slice(model.title.length + 2)
        : model.about;
      card.title = about.textContent; // of the chosen one alone it is shown
      byId("models").append(card);
    }
    byId("format").append(...service.formats.map((format) => new Option(format.name.toUpperCase(), format.name)));
    byId("format").append(new Option("As it came", "same"));
    byId("models").addEventListener("input", (event) => this.#stand(event.target.value, {}));
    for (const slider of Object.keys(WAYS)) {
      byId(`${slider}-field`).hidden = !service.models.some((model) => model[slider]);
      byId(slider).addEventListener("input", () => {
        const value = Number(byId(slider).value);
        const { of, at } = wayOf(slider, byId("panel").elements.model.value);
        const plain = Object.keys(at).find((name) => at[name] === value);
        this.#stand(plain ?? of, { [slider]: plain ? null : value });
      });
    }
    byId("size").addEventListener("input", () => {
      const amount = AMOUNTS[byId("size").value];
      if (amount) byId("amount").value = amount.usual;
    });
  }

  model(name) {
    return this.#service.models.find((model) => model.name === name);
  }

  /** Choose a network, or what is between two on the way of one of the sliders. */
  #stand(model, { detail = null, repair = null }) {
    byId("panel").elements.model.value = model;
    this.#between = { detail, repair };
    for (const slider of Object.keys(WAYS)) {
      const way = wayOf(slider, model);
      if (!way) continue;
      byId(slider).value = this.#between[slider] ?? way.at[model];
    }
  }

  /** The settings to begin with. */
  get usual() {
    const { default: name, formats } = this.#service;
    const { name: model, scale } = this.model(beginning(name)?.model ?? name);
    return {
      model,
      detail: null,
      repair: null,
      consistent: false,
      ensemble: false,
      seamless: false,
      by: "scale",
      amount: scale,
      format: formats[0].name,
      quality: null,
      strip: false,
    };
  }

  /** Return what the form says, or null where a number in it is none. */
  read() {
    const choice = byId("size").value;
    this.#arrange();
    if (!byId("panel").checkValidity()) return null;
    const quality = byId("quality").disabled || !byId("quality").value ? null : Number(byId("quality").value);
    return {
      model: byId("panel").elements.model.value,
      ...this.#between,
      consistent: byId("consistent").checked && !byId("consistent").disabled,
      ensemble: byId("ensemble").checked && !byId("ensemble").disabled,
      seamless: byId("seamless").checked && !byId("seamless").disabled,
      by: choice in AMOUNTS ? choice : "scale",
      amount: Number(choice in AMOUNTS ? byId("amount").value : choice),
      format: byId("format").value,
      quality,
      strip: byId("strip-it").checked,
    };
  }

  write(settings) {
    const plain = settings.by === "scale" && SIZES.includes(String(settings.amount));
    this.#stand(settings.model, settings);
    byId("size").value = plain ? settings.amount : settings.by;
    byId("amount").value = settings.amount;
    byId("format").value = settings.format;
    byId("quality").value = settings.quality ?? "";
    byId("consistent").checked = settings.consistent;
    byId("ensemble").checked = settings.ensemble;
    byId("seamless").checked = settings.seamless;
    byId("strip-it").checked = settings.strip;
    this.#arrange();
  }

  /** Choose the network of settings, and leave alone the other fields, where people may be typing. */
  writeNetwork(settings) {
    this.#stand(settings.model, settings);
    this.#arrange();
  }

  /** Show the fields that the choices have, and what the slider says. */
  #arrange() {
    const amount = AMOUNTS[byId("size").value];
    byId("amount-field").hidden = !amount;
    byId("amount").disabled = !amount;
    if (amount) {
      byId("amount-label").textContent = amount.label;
      Object.assign(byId("amount"), { min: amount.min, max: amount.max, step: amount.step });
    }
    const format = this.#service.formats.find(({ name }) => name === byId("format").value);
    byId("quality-field").hidden = byId("quality").disabled = format?.quality === false;
    const model = byId("panel").elements.model.value;
    for (const slider of Object.keys(WAYS)) {
      const way = wayOf(slider, model);
      byId(slider).disabled = !way;
      byId(`${slider}-value`).textContent = way ? Number(byId(slider).value).toFixed(2) : "";
    }
    for (const option of ["consistent", "ensemble", "seamless"]) byId(option).disabled = !this.model(model)[option];
  }
}

/** Return the parameters of POST /v1/upscale for settings. */
export function queryOf(name, settings) {
  const { consistent, ensemble, seamless, strip, by, amount, ...plain } = settings;
  const switches = Object.entries({ consistent, ensemble, seamless, strip });
  const asked = Object.fromEntries(switches.map(([option, on]) => [option, on || null]));
  return { name, ...plain, ...asked, [by]: amount };
}
