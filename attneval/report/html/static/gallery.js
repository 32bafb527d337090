/* Items: chosen, sorted, drawn; the weight under the pointer or the keys. */
(function gallery() {
  const data = DATA.gallery, cards = $("cards");
  if (!data || !cards) return;
  const narrow = window.matchMedia("(max-width: 560px)").matches;
  const STEP = narrow ? 6 : 12;
  let limit = STEP, shown = [];

  /* ---- what is stored, unpacked once it is needed ---- */
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const bits = (text, n) => { const raw = bytes(text); return Uint8Array.from({ length: n }, (_, k) => (raw[k >> 3] >> (7 - (k & 7))) & 1); };
  data.items.forEach((item, id) => { item.id = id; });
  const caption = (item) => data.captions[item.c];
  /* Captions may have regions of their own, in place of their image's. */
  const owned = new Map();
  const image = (item) => {
    const own = caption(item), whole = data.images[own[0]];
    if (!own[4]) return whole;
    if (!owned.has(own)) owned.set(own, { ...whole, boxes: own[4] });
    return owned.get(own);
  };
  const word = (item) => caption(item)[2].slice(item.w[0], item.w[1]);
  function unpack(item) {
    if (item.attended) return item;
    const n = image(item).boxes.length;
    item.attended = bits(item.a, n);
    item.relevant = bits(item.r, n);
    item.weights = item.q ? bytes(item.q) : null;
    return item;
  }
  /* A number that looks random and is the same on every page with this item. */
  function mixed(item) {
    let hash = 2166136261;
    for (const c of `${image(item).id}#${caption(item)[1]}:${item.w}`) hash = Math.imul(hash ^ c.codePointAt(0), 16777619) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 15), 2246822507) >>> 0;
    return (hash ^ (hash >>> 13)) >>> 0;
  }

  /* ---- filters, kept in the address ---- */
  const field = { type: $("f-type"), image: $("f-image"), word: $("f-word"), rank: $("f-rank"), sort: $("f-sort"), one: $("f-one") };
  const kinds = [...document.querySelectorAll("#filters input[name=kind]")];
  const presets = [...document.querySelectorAll("[data-preset]")];
  const PRESETS = {
    worst: { sort: "f1", rank: "", one: true }, best: { sort: "-f1", rank: "", one: true },
    random: { sort: "random", rank: "", one: true }, torn: { sort: "f1", rank: "1", one: false, kinds: ["wrong entity", "wrong instance", "missed"] },
  };
  const nothing = 1e9;
  const SORTS = {
    f1: (a) => a.v[2], "-f1": (a) => -a.v[2], random: mixed, "-mx": (a) => -(a.mx || 0),
    lift: (a) => (a.e === null ? nothing : a.v[2] - a.e), image: (a) => a.c,
  };

  function choose() {
    const allowed = new Set(kinds.filter((box) => box.checked).map((box) => Number(box.value)));
    const type = data.types.indexOf(field.type.value), text = field.word.value.trim().toLowerCase();
    const rank = field.rank ? field.rank.value : "";
    const fits = (item) => allowed.has(item.k)
      && (field.type.value === "" || item.t.includes(type))
      && (field.image.value === "" || caption(item)[0] === Number(field.image.value))
      && (rank === "" || (caption(item)[3] !== null && (caption(item)[3] <= 1) === (rank === "1")))
      && (!text || phrase(item).toLowerCase().includes(text));
    const key = SORTS[field.sort.value] || SORTS.f1;
    const scored = field.sort.value === "image" || field.sort.value === "random" ? () => 0 : (item) => (item.s ? 0 : 1);
    let items = data.items.filter(fits).sort((a, b) => scored(a) - scored(b) || key(a) - key(b) || a.id - b.id);
    const all = items.length;
    if (field.one.checked) {
      const seen = new Set();
      items = items.filter((item) => !seen.has(caption(item)[0]) && seen.add(caption(item)[0]));
    }
    return [items, all];
  }
  const phrase = (item) => caption(item)[2].slice(...(item.p || item.w));

  function remember() {
    const given = new URLSearchParams();
    const off = kinds.filter((box) => !box.checked);
    if (off.length) given.set("kind", kinds.filter((box) => box.checked).map((box) => box.value).join(","));
    if (field.type.value) given.set("type", field.type.value);
    if (field.image.value) given.set("image", image({ c: data.captions.findIndex((c) => c[0] === Number(field.image.value)) }).id);
    if (field.word.value) given.set("word", field.word.value);
    if (field.rank && field.rank.value) given.set("rank", field.rank.value);
    if (field.sort.value !== "f1") given.set("sort", field.sort.value);
    if (!field.one.checked) given.set("one", "0");
    const text = given.toString();
    try { history.replaceState(null, "", text ? "#items?" + text : "#items"); } catch { /* some viewers forbid it */ }
  }
  const has = (select, value) => [...select.options].some((option) => option.value === value);
  function recall() {
    const [place, text] = location.hash.slice(1).split("?");
    if (place !== "items" || !text) return false;
    const given = new URLSearchParams(text);
    if (given.has("kind")) {
      const wanted = new Set(given.get("kind").split(","));
      if (kinds.some((box) => wanted.has(box.value))) kinds.forEach((box) => { box.checked = wanted.has(box.value); });
    } else kinds.forEach((box) => { box.checked = true; });
    const number = data.images.findIndex((own) => own.id === given.get("image"));
    const values = { type: given.get("type"), rank: given.get("rank"), sort: given.get("sort"), image: number < 0 ? null : String(number) };
    for (const [name, value] of Object.entries(values)) if (field[name]) field[name].value = value !== null && has(field[name], value) ? value : field[name].options[0].value;
    field.word.value = given.get("word") || "";
    field.one.checked = given.get("one") !== "0";
    return true;
  }

  /* ---- drawing ---- */
  const option = (id, otherwise) => ($(id) ? ($(id).type === "checkbox" ? $(id).checked : $(id).value) : otherwise);
  const RAMP = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];
  function colour(share) {
    const at = share * (RAMP.length - 1), low = Math.min(Math.floor(at), RAMP.length - 2);
    return RAMP[low].map((c, k) => Math.round(c + (RAMP[low + 1][k] - c) * (at - low)));
  }
  /* One pixel for each cell of a grid; for boxes a pixel has the largest weight of the regions its centre lies in. */
  function field_(item, own) {
    if (own.grid) return { width: own.grid[1], height: own.grid[0], share: Float32Array.from(item.weights, (q) => q / 255) };
    const factor = Math.min(160 / Math.max(own.w, own.h), 1);
    const width = Math.max(Math.round(own.w * factor), 1), height = Math.max(Math.round(own.h * factor), 1);
    const share = new Float32Array(width * height), sx = width / own.w, sy = height / own.h;
    [...own.boxes.keys()].sort((a, b) => item.weights[a] - item.weights[b]).forEach((k) => {
      const [x1, y1, x2, y2] = own.boxes[k];
      for (let y = clamp(Math.ceil(y1 * sy - 0.5), 0, height); y < clamp(Math.ceil(y2 * sy - 0.5), 0, height); y++)
        share.fill(item.weights[k] / 255, y * width + clamp(Math.ceil(x1 * sx - 0.5), 0, width), y * width + clamp(Math.ceil(x2 * sx - 0.5), 0, width));
    });
    return { width, height, share };
  }
  function mapOf(item, own) {
    const { width, height, share } = field_(item, own);
    const canvas = make("canvas", { width, height });
    const context = canvas.getContext("2d");
    if (!context) return null;
    const pixels = context.createImageData(width, height), inColour = option("d-style", "shade") === "colour";
    const opacity = Number(option("d-opacity", 60)) / 100;
    share.forEach((value, k) => {
      const [r, g, b] = inColour ? colour(value) : [0, 0, 0];
      pixels.data.set([r, g, b, 255 * opacity * (inColour ? 1 : 1 - value)], 4 * k);
    });
    context.putImageData(pixels, 0, 0);
    const frame = own.grid ? extent(own) : [0, 0, own.w, own.h];
    return draw("image", { class: "map", href: canvas.toDataURL(), x: frame[0], y: frame[1], width: frame[2] - frame[0], height: frame[3] - frame[1], preserveAspectRatio: "none" });
  }
  const extent = (own) => own.boxes.reduce((all, b) => [Math.min(all[0], b[0]), Math.min(all[1], b[1]), Math.max(all[2], b[2]), Math.max(all[3], b[3])], [Infinity, Infinity, -Infinity, -Infinity]);
  function isTiled(own) {
    if (own.tiled === undefined) {
      const [x1, y1, x2, y2] = extent(own);
      const area = own.boxes.reduce((sum, b) => sum + (b[2] - b[0]) * (b[3] - b[1]), 0);
      own.tiled = own.boxes.length >= 16 && Math.abs(area / ((x2 - x1) * (y2 - y1)) - 1) < 1e-3;
    }
    return own.tiled;
  }
  /* The outline of boxes that lie beside each other. */
  function outline(boxes) {
    const xs = [...new Set(boxes.flatMap((b) => [b[0], b[2]]))].sort((a, b) => a - b);
    const ys = [...new Set(boxes.flatMap((b) => [b[1], b[3]]))].sort((a, b) => a - b);
    const ix = new Map(xs.map((x, k) => [x, k])), iy = new Map(ys.map((y, k) => [y, k]));
    const covered = ys.map(() => new Uint8Array(xs.length));
    for (const [x1, y1, x2, y2] of boxes) for (let j = iy.get(y1); j < iy.get(y2); j++) covered[j].fill(1, ix.get(x1), ix.get(x2));
    const at = (j, i) => (j >= 0 && i >= 0 && j < ys.length && i < xs.length ? covered[j][i] : 0);
    const parts = [];
    ys.forEach((y, j) => xs.forEach((x, i) => {
      if (i + 1 < xs.length && at(j, i) !== at(j - 1, i)) parts.push(`M${x} ${y}H${xs[i + 1]}`);
      if (j + 1 < ys.length && at(j, i) !== at(j, i - 1)) parts.push(`M${x} ${y}V${ys[j + 1]}`);
    }));
    return parts.join("");
  }
  const rect = (box, attributes) => draw("rect", { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], ...attributes });

  function picture(item) {
    unpack(item);
    const own = image(item), place = caption(item)[0], parts = [];
    if ($("photo-" + place)) parts.push(draw("use", { href: "#photo-" + place }));
    else parts.push(draw("rect", { class: "ground", width: own.w, height: own.h }));
    if (item.weights && option("d-map", true)) parts.push(mapOf(item, own));
    const attended = own.boxes.filter((_, k) => item.attended[k]);
    if (option("d-at", true) && attended.length) {
      if (isTiled(own)) {
        const line = outline(attended);
        parts.push(draw("path", { class: "at-case", d: line }), draw("path", { class: "at", d: line }));
      } else [...own.boxes.keys()].sort((a, b) => (item.weights ? item.weights[a] - item.weights[b] : 0)).forEach((k) => {
        if (!item.attended[k]) return;
        const box = own.boxes[k];
        const strength = item.weights ? item.weights[k] / 255 : 1;
        if (strength >= 1) parts.push(rect(box, { class: "at-case" }));
        parts.push(rect(box, { class: strength >= 1 ? "at top" : "at", opacity: 0.25 + 0.75 * strength }));
      });
    }
    if (option("d-rel", false)) own.boxes.forEach((box, k) => {
      if (item.relevant[k]) parts.push(isTiled(own) ? draw("circle", { class: "rel", cx: (box[0] + box[2]) / 2, cy: (box[1] + box[3]) / 2, r: Math.max(own.w, own.h) / 160 }) : rect(box, { class: "rel" }));
    });
    if (item.b && option("d-an", true)) {
      const shapes = () => (item.m ? [draw("path", { d: item.m })] : item.b.map((box) => rect(box, {})));
      parts.push(draw("g", { class: "an-case" }, ...shapes()), draw("g", { class: "an" }, ...shapes()));
    }
    return parts.filter(Boolean);
  }

  /* ---- a card ---- */
  function summary(item) {
    unpack(item);
    const n = image(item).boxes.length, both = item.attended.reduce((sum, a, k) => sum + (a & item.relevant[k]), 0);
    const weight = item.mx ? ` Largest weight ${times(item.mx, n)}.` : "";
    const everything = item.e === null ? "" : ` Attending to everything: F1 ${percent(item.e)}.`;
    const rank = caption(item)[3] === null ? "" : ` The caption ranks its image ${Number(caption(item)[3].toFixed(1))}.`;
    return `${item.na} attended, ${item.nr} relevant, ${both} both, of ${n} regions.${weight}${everything}${rank}`;
  }
  const times = (weight, n) => `${weight.toPrecision(3)}, ${(weight * n).toPrecision(3)} times an even share`;

  function words(item, swap) {
    const text = caption(item)[2];
    const others = data.items.filter((other) => other.c === item.c && other.id !== item.id && other.w[0] < other.w[1]);
    const ends = new Set([0, text.length]);
    for (const span of [item.w, item.p, item.o, ...others.map((other) => other.w)]) if (span) span.forEach((end) => ends.add(end));
    const sorted = [...ends].sort((a, b) => a - b), within = (span, a, b) => span && span[0] <= a && b <= span[1];
    return sorted.slice(1).map((stop, k) => {
      const start = sorted[k], piece = text.slice(start, stop);
      const marks = [within(item.p, start, stop) && "phrase", within(item.w, start, stop) && "word", within(item.o, start, stop) && "other"].filter(Boolean).join(" ");
      const other = within(item.w, start, stop) ? null : others.find((own) => within(own.w, start, stop));
      if (other) {
        const button = make("button", { type: "button", class: marks || null, title: "show its map" }, piece);
        button.addEventListener("click", () => swap(other));
        return button;
      }
      return marks ? make("span", { class: marks }, piece) : piece;
    });
  }

  function card(item) {
    const article = make("article", { class: "card" });
    build(article, item, false);
    return article;
  }
  function build(article, item, focus) {
    const own = image(item), [, index, , ] = caption(item);
    const types = item.t.map((k) => data.types[k]).join(", ");
    const stage = draw("svg", { class: "stage", viewBox: `0 0 ${own.w} ${own.h}`, "aria-hidden": "true" }, ...picture(item));
    const label = `${word(item)} in image ${own.id}: ${data.kinds[item.k]}. ${summary(item)}`;
    const button = make("button", { type: "button", class: "stagebutton", "aria-label": label }, stage);
    const readout = make("p", { class: "ro", "aria-live": "polite" }, summary(item));
    const numbers = [["F1", item.v[2]], ["precision", item.v[0]], ["recall", item.v[1]], ["AP", item.v[3]]].filter((pair) => pair[1] !== null);
    article.dataset.item = item.id;
    article.replaceChildren(
      make("p", { class: "top" }, make("b", {}, data.kinds[item.k]), make("span", {}, `${types}${types ? " · " : ""}${own.id}#${index}`)),
      make("div", { class: "stagebox" }, button),
      make("p", { class: "cap" }, ...words(item, (other) => build(article, other, true))),
      make("p", { class: "nums" }, ...numbers.map(([name, value]) => make("span", {}, name + " ", make("b", {}, percent(value))))),
      readout,
    );
    weigh(button, stage, readout, item, own);
    if (focus) button.focus();
  }

  /* ---- weights, one region at a time ---- */
  function weigh(button, stage, readout, item, own) {
    let at = -1;
    const cursor = draw("g");
    function show(k) {
      at = k;
      cursor.replaceChildren();
      if (k < 0) { readout.textContent = summary(item); return; }
      stage.append(cursor);
      cursor.append(rect(own.boxes[k], { class: "cursor case" }), rect(own.boxes[k], { class: "cursor" }));
      const weight = item.weights ? `weight ${times((item.mx * item.weights[k]) / 255, own.boxes.length)}; ` : "";
      readout.textContent = `Region ${k}: ${weight}${item.attended[k] ? "attended" : "not attended"}, ${item.relevant[k] ? "relevant" : "not relevant"}.`;
    }
    const strongest = () => (item.weights || item.attended).reduce((best, w, k, all) => (w > all[best] ? k : best), 0);
    function under(event) {
      const frame = stage.getBoundingClientRect();
      const factor = Math.min(frame.width / own.w, frame.height / own.h);
      const x = (event.clientX - frame.left - (frame.width - own.w * factor) / 2) / factor;
      const y = (event.clientY - frame.top - (frame.height - own.h * factor) / 2) / factor;
      let best = -1;
      own.boxes.forEach((b, k) => {
        if (x < b[0] || x >= b[2] || y < b[1] || y >= b[3]) return;
        if (best < 0 || (item.weights && item.weights[k] > item.weights[best])) best = k;
      });
      return best;
    }
    /* The nearest region whose centre lies in a direction; in a ranking of boxes the next weight is nearer than a place. */
    function towards(dx, dy) {
      const centre = (b) => [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2], [cx, cy] = centre(own.boxes[at]);
      let best = at, least = Infinity;
      own.boxes.forEach((b, k) => {
        const [x, y] = centre(b), along = (x - cx) * dx + (y - cy) * dy, across = Math.abs((x - cx) * dy) + Math.abs((y - cy) * dx);
        if (along <= 1e-6) return;
        const cost = along + 3 * across;
        if (cost < least) { least = cost; best = k; }
      });
      return best;
    }
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    button.addEventListener("pointermove", (event) => { const k = under(event); if (k !== at) show(k); });
    button.addEventListener("pointerleave", () => show(-1));
    button.addEventListener("blur", () => show(-1));
    button.addEventListener("click", (event) => { if (event.detail === 0) show(strongest()); });
    button.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return show(-1);
      if (!(event.key in moves) || !own.boxes.length) return;
      event.preventDefault();
      show(at < 0 ? strongest() : towards(...moves[event.key]));
    });
  }

  /* ---- the list ---- */
  function list(keep) {
    const [items, all] = choose();
    if (!keep) limit = STEP;
    shown = items;
    cards.replaceChildren(...items.slice(0, limit).map(card));
    const one = field.one.checked && all !== items.length ? `, one per image of ${all}` : "";
    $("shown").textContent = items.length ? `showing ${Math.min(limit, items.length)} of ${items.length} items${one}` : "no item fits these filters";
    $("more").hidden = limit >= items.length;
    $("more").textContent = `${Math.min(12, items.length - limit)} more`;
  }
  function changed() {
    const now = (name) => (field[name] ? field[name].value : "");
    for (const button of presets) {
      const preset = PRESETS[button.dataset.preset];
      const same = preset.sort === now("sort") && preset.rank === now("rank") && preset.one === field.one.checked;
      button.setAttribute("aria-pressed", String(same && kinds.every((box) => box.checked === (!preset.kinds || preset.kinds.includes(data.kinds[box.value])))));
    }
    list(false);
  }
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("input", () => { changed(); remember(); });
  $("all-kinds").addEventListener("click", () => { kinds.forEach((box) => { box.checked = true; }); changed(); remember(); });
  for (const id of ["d-map", "d-at", "d-an", "d-rel", "d-style", "d-opacity"]) if ($(id)) $(id).addEventListener("input", () => list(true));
  for (const button of presets) button.addEventListener("click", () => {
    const preset = PRESETS[button.dataset.preset];
    field.sort.value = preset.sort;
    if (field.rank) field.rank.value = preset.rank;
    field.one.checked = preset.one;
    kinds.forEach((box) => { box.checked = !preset.kinds || preset.kinds.includes(data.kinds[box.value]); });
    field.type.value = field.image.value = field.word.value = "";
    changed();
    remember();
  });
  $("more").addEventListener("click", () => {
    const before = limit;
    limit += 12;
    cards.append(...shown.slice(before, limit).map(card));
    $("shown").textContent = `showing ${Math.min(limit, shown.length)} of ${shown.length} items`;
    $("more").hidden = limit >= shown.length;
    $("more").textContent = `${Math.min(12, shown.length - limit)} more`;
    if (cards.children[before]) cards.children[before].querySelector("button").focus();
  });
  for (const link of document.querySelectorAll("a[data-kind]")) link.addEventListener("click", (event) => {
    event.preventDefault();
    kinds.forEach((box) => { box.checked = box.value === link.dataset.kind; });
    field.one.checked = false;
    changed();
    remember();
    $("items").scrollIntoView();
  });
  window.addEventListener("hashchange", () => { if (recall()) changed(); });
  recall();
  changed();
})();
