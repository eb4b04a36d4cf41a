// The part of the report that answers to a reader: choose a plane, choose a hit, see its profile both ways.
"use strict";
(() => {
  const root = document.getElementById("explorer");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const hits = data.hits, parameters = data.parameters;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const densities = data.shades.map((shade) => bytes(shade.levels));
  const numbers = data.outputs.filter((o) => o.view === "number"), drawn = data.outputs.filter((o) => o.view !== "number");
  for (const o of drawn) o.levels = bytes(o.levels);
  const BOX = { width: 340, height: 300, left: 62, right: 12, top: 12, bottom: 46 };

  function element(parent, name, attributes = {}, text = null) {
    const made = name === "option" || name === "td" || name === "th" || name === "tr"
      ? document.createElement(name) : document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    parent.append(made);
    return made;
  }

  const short = (value) => {
    const text = Number(value).toPrecision(4);
    return (text.includes("e") ? text : String(Number(text))).replace("-", "−");
  };
  const told = (value) => (typeof value === "string" ? value : short(value));
  const scaled = (low, high, from, to) => (value) => from + (value - low) / (high - low) * (to - from);
  const inner = { x0: BOX.left, x1: BOX.width - BOX.right, y0: BOX.height - BOX.bottom, y1: BOX.top };

  const px = scaled(0, 1, inner.x0, inner.x1), py = scaled(0, 1, inner.y0, inner.y1);

  function frame(svg, x, y) {
    svg.replaceChildren();
    element(svg, "rect", { x: inner.x0, y: inner.y1, width: inner.x1 - inner.x0, height: inner.y0 - inner.y1,
      fill: "none", stroke: "#444" });
    const across = x.marks?.length ? x.marks.map(([at, name]) => [name, "middle", px(at)])
      : [[short(x.low), "start", inner.x0], [short(x.high), "end", inner.x1]];
    for (const [text, anchor, at] of across)
      element(svg, "text", { x: at, y: inner.y0 + 15, "text-anchor": anchor }, text);
    const upward = y.marks?.length ? y.marks.map(([at, name]) => [name, py(at) + 4])
      : [[short(y.low), inner.y0], [short(y.high), inner.y1 + 9]];
    for (const [text, at] of upward)
      element(svg, "text", { x: inner.x0 - 5, y: at, "text-anchor": "end" }, text);
    element(svg, "text", { x: (inner.x0 + inner.x1) / 2, y: BOX.height - 8, "text-anchor": "middle", class: "label" },
      x.label);
    const middle = (inner.y0 + inner.y1) / 2;
    element(svg, "text", { x: 14, y: middle, "text-anchor": "middle", class: "label",
      transform: `rotate(-90 14 ${middle})` }, y.label);
  }

  const between = (first, last, share) => first.map((value, k) => value + share * (last[k] - value));

  // An image of pixels, whose red, green and blue `colour` returns; row 0 is at the bottom.
  function paint(svg, rows, columns, colour, attributes) {
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++)
      image.data.set([...colour(row, column), 255], 4 * ((rows - 1 - row) * columns + column));
    context.putImageData(image, 0, 0);
    element(svg, "image", { ...attributes, href: canvas.toDataURL(), preserveAspectRatio: "none",
      style: "image-rendering: pixelated" });
  }

  const WHITE = [255, 255, 255], BLUE = [0x56, 0xb4, 0xe9];

  // The chosen density over a plane, white where it is zero.
  function background(svg, i, j) {
    const swapped = i > j, bins = data.bins, d = data.varied.length;
    const a = data.varied.indexOf(Math.min(i, j)), b = data.varied.indexOf(Math.max(i, j));
    if (a < 0 || b < 0 || a === b) return;
    const plane = a * d - a * (a + 1) / 2 + (b - a - 1), density = densities[shade.value];
    paint(svg, bins, bins, (row, column) => {
      const [u, v] = swapped ? [row, column] : [column, row];
      return between(WHITE, BLUE, density[(plane * bins + u) * bins + v] / 255);
    }, { x: inner.x0, y: inner.y1, width: inner.x1 - inner.x0, height: inner.y0 - inner.y1 });
  }

  const plane = root.querySelector("svg.plane"), chart = root.querySelector("svg.profile");
  const along = root.querySelector("select.along"), up = root.querySelector("select.up");
  const shade = root.querySelector("select.shade"), output = root.querySelector("select.output");
  let chosen = 0;

  function drawPlane() {
    const i = Number(along.value), j = Number(up.value), x = parameters[i], y = parameters[j];
    frame(plane, x, y);
    background(plane, i, j);
    root.querySelector(".darkest").textContent = short(data.shades[shade.value].top);
    hits.forEach((hit, k) => {
      const cx = px(hit.positions[i]), cy = py(hit.positions[j]);
      const mark = hit.stands
        ? element(plane, "circle", { cx, cy, r: 3.5, class: "stands" })
        : element(plane, "path", { d: `M${cx - 3} ${cy - 3}l6 6m0 -6l-6 6`, class: "falls" });
      mark.addEventListener("click", () => choose(k));
    });
    const hit = hits[chosen];
    element(plane, "circle", { cx: px(hit.positions[i]), cy: py(hit.positions[j]), r: 8, class: "chosen" });
  }

  const ways = [[0, "simulated"], [1, "emulated"]], called = data.ways;

  // The levels of an output of the chosen hit, one way; nothing where the simulation failed.
  function levelsOf(shown, way, size) {
    const start = (2 * chosen + way) * size, values = shown.levels.subarray(start, start + size);
    return values[0] === 255 ? null : values;
  }

  function drawLines(shown) {
    const points = shown.grid.length;
    frame(chart, { low: shown.grid[0], high: shown.grid[points - 1], label: shown.gridLabel },
      { low: shown.low[chosen], high: shown.high[chosen], label: shown.label });
    const grid = shown.decades ? shown.grid.map(Math.log) : shown.grid;
    const px = scaled(grid[0], grid[points - 1], inner.x0, inner.x1);
    const py = scaled(0, 1, inner.y0, inner.y1 + 8); // a little room above the largest value
    for (const [way, name] of ways) {
      const values = levelsOf(shown, way, points);
      if (values === null) continue;
      const path = Array.from(values, (v, k) => `${k ? "L" : "M"}${px(grid[k]).toFixed(1)} ${py(v / 254).toFixed(1)}`);
      element(chart, "path", { d: path.join(""), class: name });
    }
  }

  // From the least to the largest value, like the figures, through one colour between.
  const CIVIDIS = [[0, 34, 78], [124, 123, 120], [254, 232, 56]];

  function drawImages(shown) {
    chart.replaceChildren();
    const { rows, columns } = shown, side = (BOX.width - 3 * BOX.right) / 2, height = side * Math.min(1.4, rows / columns);
    for (const [way, name] of ways) {
      const x = BOX.right + way * (side + BOX.right), values = levelsOf(shown, way, rows * columns);
      element(chart, "text", { x: x + side / 2, y: 26, "text-anchor": "middle", class: "label" }, called[name]);
      if (values === null) continue;
      paint(chart, rows, columns, (row, column) => {
        const at = values[row * columns + column] / 254 * 2, step = Math.min(1, Math.floor(at));
        return between(CIVIDIS[step], CIVIDIS[step + 1], at - step);
      }, { x, y: 34, width: side, height, class: name });
    }
    element(chart, "text", { x: BOX.width / 2, y: height + 52, "text-anchor": "middle", class: "label" },
      `${shown.label}: dark ${short(shown.low[chosen])}, bright ${short(shown.high[chosen])}`);
    element(chart, "text", { x: BOX.width / 2, y: height + 70, "text-anchor": "middle" },
      `along: ${shown.axes[1]}; up: ${shown.axes[0]}`);
  }

  function drawProfile() {
    const hit = hits[chosen], shown = drawn[Number(output.value)];
    if (shown) (shown.view === "image" ? drawImages : drawLines)(shown);
    const rows = root.querySelector("tbody");
    rows.replaceChildren();
    const row = (name, value) => {
      const tr = element(rows, "tr");
      element(tr, "th", { scope: "row" }, name);
      element(tr, "td", { class: "number" }, value);
    };
    row("RMSE", hit.rmse === null ? "simulation failed" : short(hit.rmse));
    if (hit.disagreement !== null) row("disagreement", short(hit.disagreement));
    for (const [shown, missing] of [[numbers, "failed"], [data.features, "not defined"]]) for (const o of shown) {
      const [simulated, emulated] = o.values[chosen].map((value) => (value === null ? missing : short(value)));
      row(o.label, `${called.simulated} ${simulated}, ${called.emulated} ${emulated}`);
    }
    parameters.forEach((p, j) => row(p.unit ? `${p.name} [${p.unit}]` : p.name, told(hit.parameters[j])));
    root.querySelector(".title").textContent = `Hit ${chosen + 1} of ${hits.length}: sample ${hit.sample}`;
    root.querySelector(".verdict").textContent =
      `${called.emulated}: ${hit.emulated}; ${called.simulated}: ${hit.simulated}; ${hit.confirmed ? "confirmed" : "not confirmed"}`;
  }

  function choose(k) {
    chosen = (k + hits.length) % hits.length;
    history.replaceState(null, "", `#hit=${hits[chosen].sample}`);
    drawPlane();
    drawProfile();
  }

  function fromAddress() {
    const asked = new URLSearchParams(location.hash.slice(1)).get("hit");
    const found = asked === null ? -1 : hits.findIndex((hit) => hit.sample === Number(asked));
    if (found >= 0) chosen = found;
    drawPlane();
    drawProfile();
  }

  for (const [select, value] of [[along, data.first[0]], [up, data.first[1]]]) {
    for (const j of data.varied) element(select, "option", { value: j }, parameters[j].name);
    select.value = value;
    select.addEventListener("change", drawPlane);
  }
  data.shades.forEach((s, k) => element(shade, "option", { value: k }, s.name));
  shade.addEventListener("change", drawPlane);
  drawn.forEach((o, k) => element(output, "option", { value: k }, o.name));
  output.parentElement.hidden = drawn.length < 2;
  chart.toggleAttribute("hidden", drawn.length === 0);
  root.querySelector(".first").textContent = called.simulation;
  root.querySelector(".second").textContent = called.emulator;
  root.querySelector(".key").hidden = !drawn.some((o) => o.view !== "image");
  output.addEventListener("change", drawProfile);
  root.querySelector(".previous").addEventListener("click", () => choose(chosen - 1));
  root.querySelector(".next").addEventListener("click", () => choose(chosen + 1));
  addEventListener("hashchange", fromAddress);
  root.hidden = false;
  fromAddress();
})();
