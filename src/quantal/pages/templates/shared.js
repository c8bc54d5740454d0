"use strict";
// What every page does: reads its numbers, makes elements, writes words, keeps time.
const SVG = "http://www.w3.org/2000/svg", UNIT = 40, STEP_MS = 550, TWEEN_MS = 220;
const GLYPHS = { left: "←", right: "→", up: "↑", down: "↓", stay: "•", "up-left": "↖", "up-right": "↗", "down-left": "↙", "down-right": "↘" };
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// ------------------------------------------------------------ numbers

async function unpack({ shape, zlib, type }) {
  const bytes = Uint8Array.from(atob(zlib), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const view = new DataView(buffer), size = shape.reduce((a, b) => a * b, 1);
  const values = new (type === "int32" ? Int32Array : Float32Array)(size);
  for (let k = 0; k < size; k++) values[k] = type === "int32" ? view.getInt32(4 * k, true) : view.getFloat32(4 * k, true);
  return values;
}
function unreadable(error) {
  $("problem").textContent = `The numbers in this page could not be read (${error.message}). It needs a browser from 2023 or later.`;
  $("problem").hidden = false;
}
const round = p => p >= 0.9995 && p < 1.0005 ? "1" : p.toFixed(3).replace(/^0/, "");
const brief = v => v < 1e-6 ? "0" : v < 1e-4 ? "below 0.0001" : v >= 100 ? v.toFixed(0) : String(+v.toPrecision(3));
function download(name, text, type) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// ------------------------------------------------------------ elements

function make(tag, attributes = {}, text = null, space = null) {
  const element = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}
const draw = (parent, tag, attributes, text) => parent.appendChild(make(tag, attributes, text, SVG));
const badgeOf = who => make("span", { class: `badge c${who.colour}`, "aria-hidden": "true" }, who.mark);
function keyItem(extra, words) {
  const item = make("span"), icon = make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, null, SVG);
  for (const [tag, attributes] of extra) draw(icon, tag, attributes);
  item.append(icon, words);
  $("key").append(item);
}
function makeCertificate(said) {
  $("certificate").replaceChildren(...said.map(({ sign, head, words }) => {
    const item = make("div");
    item.append(make("dt", { "data-sign": sign }, head), make("dd", {}, words));
    return item;
  }));
}
function makeWords() {
  $("about").textContent = data.about;
  $("about").hidden = !data.about;
  $("played").textContent = data.played;
  makeCertificate(data.certificate);
  for (const note of data.notes) $("notes").append(make("li", {}, note));
  if (data.made) $("made").replaceChildren("Made by ", make("code", {}, data.made));
}

// ------------------------------------------------------------ shapes

const circle = (x, y, r) => `M${(x - r).toFixed(2)} ${y.toFixed(2)}a${r.toFixed(2)} ${r.toFixed(2)} 0 1 0 ${(2 * r).toFixed(2)} 0a${r.toFixed(2)} ${r.toFixed(2)} 0 1 0 ${(-2 * r).toFixed(2)} 0z`;
const square = (x, y, s) => `M${x - s / 2} ${y - s / 2}h${s}v${s}h${-s}z`;
function arrow(x0, y0, dx, dy, p, reach) {
  const long = reach * p, wide = UNIT * (0.02 + 0.06 * p), head = Math.min(long, wide * 2.4), body = long - head;
  const at = (a, b) => `${(x0 + dx * a - dy * b).toFixed(2)} ${(y0 + dy * a + dx * b).toFixed(2)}`;
  return `M${at(0, -wide / 2)}L${at(body, -wide / 2)}L${at(body, -wide * 1.25)}L${at(long, 0)}L${at(body, wide * 1.25)}L${at(body, wide / 2)}L${at(0, wide / 2)}z`;
}

// ------------------------------------------------------------ charts

/**
 * A chart of curves with a hand. series() gives { values: [[x, y], ...], end, colour, name, now } each, where `end` stands
 * beside its last point and `now` is the height of its dot; hand() is where the hand stands, and pick(x) moves it.
 */
function makeChart({ parent, title, caption, series, label, from = 0, to, low = 0, most, whole = true, hand, pick, area = false, right = 92 }) {
  const figure = make("figure"), words = make("figcaption"), note = make("span");
  words.append(make("strong", {}, title), note);
  const svg = make("svg", { class: "chart", role: "img", "aria-label": title }, null, SVG), left = 44;
  figure.append(words, svg);
  parent.append(figure);
  svg.addEventListener("click", event => {
    const box = svg.getBoundingClientRect();
    const height = box.height - 32 - 8, share = 1 - (event.clientY - box.top - 8) / height;
    pick(from + (event.clientX - box.left - left) / (box.width - left - right) * (to - from), low + share * (most - low));
  });
  return () => {
    const width = svg.clientWidth || 400, height = svg.clientHeight || 176, top = 8, base = height - 32;
    const X = x => left + (x - from) / (to - from || 1) * (width - left - right), Y = y => base - (y - low) / (most - low) * (base - top);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    draw(svg, "path", { class: "axis", d: `M${left} ${top}V${base}H${width - right}` });
    for (const y of [low, (low + most) / 2, most]) {
      draw(svg, "path", { class: "axis", d: `M${left - 4} ${Y(y)}h4` });
      draw(svg, "text", { x: left - 7, y: Y(y) + 4, "text-anchor": "end" }, String(+y.toPrecision(3)));
    }
    const sizes = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 5000, 10000];
    const every = (whole ? sizes : [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, ...sizes]).find(s => (to - from) / s <= 8) ?? (to - from || 1);
    for (let k = Math.ceil(from / every - 1e-9); k * every <= to * (1 + 1e-9); k++) {
      draw(svg, "text", { x: X(k * every), y: base + 15, "text-anchor": "middle" }, String(+(k * every).toPrecision(6)));
    }
    draw(svg, "text", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }, label);
    draw(svg, "path", { class: "hand", d: `M${X(hand())} ${top}V${base}` });
    const ends = [];
    for (const s of series()) {
      const line = s.values.map(([x, y], k) => `${k ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
      const group = draw(svg, "g", { class: s.colour === undefined ? "" : `c${s.colour}` });
      if (area) draw(group, "path", { class: "area", d: `${line}V${base}H${X(s.values[0][0])}z` });
      draw(group, "path", { class: "curve", d: line });
      if (s.now !== undefined) draw(group, "circle", { class: "dot", cx: X(hand()), cy: Y(s.now), r: 4 });
      if (s.name) ends.push({ group, name: s.name, y: Y(s.values.at(-1)[1]) });
    }
    ends.sort((a, b) => a.y - b.y);
    let above = top - 4;
    ends.forEach(e => { e.y = above = Math.max(e.y, above + 14); });
    let below = base + 4;
    ends.reverse().forEach(e => { e.y = below = Math.min(e.y, below); below -= 14; });
    for (const e of ends) draw(e.group, "text", { class: "end", x: width - right + 7, y: e.y + 4 }, e.name.length > 13 ? `${e.name.slice(0, 12)}…` : e.name);
    note.textContent = caption();
  };
}

// ------------------------------------------------------------ time

/**
 * The time slider, its play button, and the keys: show(frame, from, share) draws, words(frame) says where one is, and
 * walk(dx, dy), which may do nothing, is what arrow keys on the map do.
 */
function makeTime({ last, show, words, smooth, walk, first = () => 0 }) {
  const slider = $("time"), map = $("map");
  const time = { frame: 0, set, play };
  let timer = null, tween = 0;
  function set(f, softly = false) {
    const from = time.frame;
    cancelAnimationFrame(tween);
    time.frame = Math.max(0, Math.min(last, f));
    slider.value = time.frame;
    slider.setAttribute("aria-valuetext", words(time.frame));
    show(time.frame, from, 1);
    $("now").textContent = words(time.frame);
    if (!softly || calm.matches || !smooth()) return;
    const began = performance.now();
    const blend = now => {
      const share = Math.min(1, Math.max(0, (now - began) / TWEEN_MS));
      show(time.frame, from, share);
      if (share < 1) tween = requestAnimationFrame(blend);
    };
    blend(began);
  }
  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => time.frame < last ? set(time.frame + 1, true) : play(false), STEP_MS) : null;
    $("play").setAttribute("aria-label", on ? "Pause" : "Play");
    $("play-icon").setAttribute("d", on ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2v12l10-6z");
    if (on) set(time.frame === last ? first() : time.frame + 1, time.frame !== last);
  }
  slider.max = last;
  slider.addEventListener("input", () => { play(false); set(Number(slider.value)); });
  $("play").addEventListener("click", () => play(timer === null));
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target, own = on.matches?.("button, select, a, input:not(#time)");
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " " && !own) play(timer === null);
    else if (map.contains(on) && steps[event.key]) walk(...steps[event.key]);
    else if (on.matches?.("select, .scroll, input:not(#time)")) return;
    else if (steps[event.key] && (on === slider || event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      play(false); set(time.frame + (event.key === "ArrowRight" || event.key === "ArrowUp" ? 1 : -1));
    } else if (event.key === "Home" && on === slider) { play(false); set(0); }
    else if (event.key === "End" && on === slider) { play(false); set(last); }
    else return;
    event.preventDefault();
  });
  return time;
}

// ------------------------------------------------------------ cells on a map

/** The cell under a pointer: cells are squares of one unit. */
function cellUnder(event, map, { width, height, cells }) {
  const r = map.getBoundingClientRect(), scale = Math.min(r.width / width, r.height / height);
  const x = (event.clientX - r.left - (r.width - scale * width) / 2) / scale - 0.5;
  const y = (event.clientY - r.top - (r.height - scale * height) / 2) / scale - 0.5;
  for (let k = 0; k < cells.x.length; k++) if (Math.abs(cells.x[k] - x) <= 0.5 && Math.abs(cells.y[k] - y) <= 0.5) return k;
  return null;
}
/** The nearest cell in a direction; straight ahead counts most. */
function neighbour(cells, x, dx, dy, allowed = () => true) {
  let best = null, cost = Infinity;
  for (let k = 0; k < cells.x.length; k++) {
    const u = cells.x[k] - cells.x[x], v = cells.y[k] - cells.y[x], ahead = u * dx + v * dy, off = Math.abs(u * dy) + Math.abs(v * dx);
    if (ahead > 0.01 && ahead + 3 * off < cost && allowed(k)) { cost = ahead + 3 * off; best = k; }
  }
  return best;
}
