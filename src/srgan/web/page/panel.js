// The panel: what a form says of how a picture is made, as a record of settings and back.

const byId = (id) => document.getElementById(id);

const SHARP = "srgan-plus";

/** The ends of the detail slider. Settings hold a detail only between them, so that both ends are the plain networks. */
const ENDS = { srresnet: 0, [SHARP]: 1 };

const SIZES = ["2", "3", "4", "8"];
const AMOUNTS = {
  scale: { label: "Scale", min: 0.05, max: 16, step: "any", usual: 4 },
  width: { label: "Width in pixels", min: 1, max: 100_000, step: 1, usual: 1920 },
  height: { label: "Height in pixels", min: 1, max: 100_000, step: 1, usual: 1080 },
};

export class Panel {
  #service;
  #detail = null;

  /** Fill the choices with what the service has. */
  constructor(service) {
    this.#service = service;
    for (const model of service.models) {
      const card = byId("network").content.cloneNode(true);
      card.querySelector("input").value = model.name;
      card.querySelector(".title").textContent = model.title;
      card.querySelector("code").textContent = model.name;
      card.querySelector(".small").textContent = model.about.startsWith(`${model.title}, `)
        ? model.about.slice(model.title.length + 2)
        : model.about;
      byId("models").append(card);
    }
    byId("format").append(...service.formats.map((format) => new Option(format.name.toUpperCase(), format.name)));
    byId("detail-field").hidden = !service.models.some((model) => model.detail);
    byId("models").addEventListener("input", (event) => {
      this.#detail = null;
      byId("detail").value = ENDS[event.target.value] ?? byId("detail").value;
    });
    byId("detail").addEventListener("input", () => {
      const value = Number(byId("detail").value);
      const end = Object.keys(ENDS).find((name) => ENDS[name] === value);
      this.#detail = end ? null : value;
      byId("panel").elements.model.value = end ?? SHARP;
    });
    byId("size").addEventListener("input", () => {
      const amount = AMOUNTS[byId("size").value];
      if (amount) byId("amount").value = amount.usual;
    });
  }

  model(name) {
    return this.#service.models.find((model) => model.name === name);
  }

  /** The settings to begin with. */
  get usual() {
    const { default: name, models, formats } = this.#service;
    const { name: model, scale } = this.model(name) ?? models[0]; // auto is none of them
    return {
      model,
      detail: null,
      consistent: false,
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
      detail: this.#detail,
      consistent: byId("consistent").checked && !byId("consistent").disabled,
      by: choice in AMOUNTS ? choice : "scale",
      amount: Number(choice in AMOUNTS ? byId("amount").value : choice),
      format: byId("format").value,
      quality,
      strip: byId("strip-it").checked,
    };
  }

  write(settings) {
    const plain = settings.by === "scale" && SIZES.includes(String(settings.amount));
    byId("panel").elements.model.value = settings.model;
    this.#detail = settings.detail;
    byId("detail").value = settings.detail ?? ENDS[settings.model] ?? byId("detail").value;
    byId("size").value = plain ? settings.amount : settings.by;
    byId("amount").value = settings.amount;
    byId("format").value = settings.format;
    byId("quality").value = settings.quality ?? "";
    byId("consistent").checked = settings.consistent;
    byId("strip-it").checked = settings.strip;
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
    byId("quality-field").hidden = byId("quality").disabled = !format.quality;
    const enlarges = byId("panel").elements.model.value in ENDS;
    byId("detail").disabled = !enlarges;
    byId("consistent").disabled = !this.model(byId("panel").elements.model.value).consistent;
    byId("detail-value").textContent = enlarges ? Number(byId("detail").value).toFixed(2) : "";
  }
}

/** Return the parameters of POST /v1/upscale for settings. */
export function queryOf(name, settings) {
  const { model, detail, consistent, by, amount, format, quality, strip } = settings;
  return { name, model, detail, consistent: consistent || null, [by]: amount, format, quality, strip: strip || null };
}
