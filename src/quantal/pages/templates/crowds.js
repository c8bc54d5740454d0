(async () => {
  const SEEN = 0.004, MARKED = 0.3, TIPPED = 0.05;
  const { parts, cells, frames, horizon } = data;
  const together = parts[0].together, MET = together ? [0.05, 0.2, 0.5, 1] : [0.005, 0.05, 0.2, 0.5], MARKS = together ? 12 : 40;
  const n = cells.labels.length, last = frames.length - 1;

  // ------------------------------------------------------------ numbers

  let presence, meetings, successors;
  try {
    presence = await Promise.all(parts.map(part => unpack(part.presence)));
    const policies = await Promise.all(parts.map(part => part.policy && unpack(part.policy)));
    parts.forEach((part, i) => { part.choices = policies[i]; });
    successors = await Promise.all(data.kinds.map(kind => unpack(kind.successors)));
    meetings = await unpack(data.meetings);
  } catch (error) {
    unreadable(error);
    return;
  }
  const here = (i, f, x) => presence[i][f * n + x];
  const actionsOf = i => data.kinds[parts[i].kind].actions;
  /** Action probabilities of a part in a cell, or null where nobody chooses any more (or can be). */
  function choice(i, f, x) {
    const part = parts[i], count = actionsOf(i).length;
    if (!part.choices || frames[f] >= horizon || (!part.together && part.goals.includes(x))) return null;
    const row = part.choices.subarray((f * n + x) * count, (f * n + x + 1) * count);
    return row.some(p => p > 0) ? row : null;
  }

  // ------------------------------------------------------------ words

  const amount = (i, v) => v >= 10 ? v.toFixed(1) : round(v);
  // ------------------------------------------------------------ state

  const shown = parts.map(() => true);
  let frame = 0, kept = parts[0].starts[0], hovered = null;
  const cell = () => hovered ?? kept;

  // ------------------------------------------------------------ map

  const map = $("map");
  const px = x => (cells.x[x] + 0.5) * UNIT, py = x => (cells.y[x] + 0.5) * UNIT;
  const box = (x, inset) => square(px(x), py(x), UNIT - 2 * inset);
  const side = parts.length === 1 ? 1 : parts.length <= 4 ? 2 : 3;
  const deep = parts.length <= 2 ? 1 : Math.ceil(parts.length / side);
  const fullest = UNIT * (side === 1 ? 0.4 : 0.56 / side);
  const spot = (i, x) => [px(x) + 0.84 * UNIT * ((i % side + 0.5) / side - 0.5), py(x) + 0.84 * UNIT * ((Math.floor(i / side) + 0.5) / deep - 0.5)];
  const layers = {};

  function drawGround() {
    map.setAttribute("viewBox", `0 0 ${data.width * UNIT} ${data.height * UNIT}`);
    draw(map, "rect", { class: "wall", width: data.width * UNIT, height: data.height * UNIT });
    cells.grounds.forEach((name, g) => {
      const path = cells.ground.map((ground, x) => ground === g ? box(x, 0) : "").join("");
      draw(map, "path", { class: `g-${cells.tones[g]}`, d: path }).appendChild(make("title", {}, name, SVG));
    });
    draw(map, "path", { class: "grid", d: cells.labels.map((_, x) => box(x, 0)).join("") });
    let stripes = "", lanes = "";
    const turn = { ">": [1, 0], "<": [-1, 0], "^": [0, -1], v: [0, 1] };
    cells.lanes.forEach((lane, x) => {
      if (cells.grounds[cells.ground[x]] === "zebra") {
        const along = !/[\^v]/.test(lane);
        for (const k of [-1, 0, 1]) {
          const across = k * UNIT / 3, long = 0.88 * UNIT, thin = 0.16 * UNIT;
          stripes += along ? `M${px(x) - long / 2} ${py(x) + across - thin / 2}h${long}v${thin}h${-long}z`
            : `M${px(x) + across - thin / 2} ${py(x) - long / 2}h${thin}v${long}h${-thin}z`;
        }
        return;
      }
      for (const arrow of lane) {
        const [dx, dy] = turn[arrow], off = lane.length > 1 ? 0.3 * UNIT : 0.1 * UNIT, s = 0.13 * UNIT;
        const tipX = px(x) + dx * off, tipY = py(x) + dy * off;
        lanes += `M${tipX - dx * s - dy * s} ${tipY - dy * s + dx * s}L${tipX} ${tipY}L${tipX - dx * s + dy * s} ${tipY - dy * s - dx * s}`;
      }
    });
    draw(map, "path", { class: "stripes", d: stripes });
    draw(map, "path", { class: "lanes", d: lanes });
    layers.parts = parts.map((part, i) => {
      const group = draw(map, "g", { class: `c${part.colour}${together ? " many" : ""}` });
      if (part.starts.length <= MARKS) draw(group, "path", { class: "start", d: part.starts.map(x => {
        return square(...spot(i, x), 1.7 * fullest);
      }).join("") });
      if (part.goals.length <= 40) draw(group, "path", { class: "goal", d: part.goals.map(x => circle(...spot(i, x), fullest) + circle(...spot(i, x), fullest * 0.72)).join("") });
      return group;
    });
    layers.meet = MET.map((_, k) => draw(map, "path", { class: "meet", "stroke-width": 1 + k }));
    layers.field = draw(map, "path", { class: "arrow field" });
    layers.discs = parts.map((part, i) => {
      const group = draw(map, "g", { class: `c${part.colour}` });
      return { group, path: draw(group, "path", { class: "disc" }), marks: [], i };
    });
    const corners = draw(map, "g", { class: "cursor" });
    layers.cursor = ["casing", "line"].map(name => draw(corners, "path", { class: name }));
    layers.arrow = draw(map, "g", {});
  }

  function drawDiscs(f, from, share) {
    const pixels = Math.min(map.clientWidth / data.width, map.clientHeight / data.height) / UNIT || 1;
    for (const { path, group, marks, i } of layers.discs) {
      let d = "", used = 0;
      if (shown[i]) for (let x = 0; x < n; x++) {
        const v = (share * here(i, f, x) + (1 - share) * here(i, from, x)) / data.fullest;
        if (v < SEEN) continue;
        const [cx, cy] = spot(i, x), r = fullest * Math.sqrt(Math.min(1, v));
        d += circle(cx, cy, r);
        if (v < MARKED || 2 * r * pixels < 11) continue;
        const mark = marks[used] ?? (marks[used] = draw(group, "text", { class: "mark" }, parts[i].mark));
        mark.setAttribute("x", cx.toFixed(2)); mark.setAttribute("y", cy.toFixed(2));
        mark.setAttribute("font-size", (1.25 * r).toFixed(2));
        used++;
      }
      path.setAttribute("d", d);
      for (const mark of marks.splice(used)) mark.remove();
    }
    const frames4 = MET.map(() => "");
    for (let x = 0; x < n; x++) {
      const v = share * meetings[f * n + x] + (1 - share) * meetings[from * n + x];
      const level = MET.filter(m => v >= m).length - 1;
      if (level >= 0) frames4[level] += box(x, 2);
    }
    frames4.forEach((d, k) => layers.meet[k].setAttribute("d", d));
  }

  // ------------------------------------------------------------ policy arrows

  function direction(i, x, a) {
    const to = successors[parts[i].kind][x * actionsOf(i).length + a];
    if (to === x) return null;
    const dx = cells.x[to] - cells.x[x], dy = cells.y[to] - cells.y[x], length = Math.hypot(dx, dy) || 1;
    return [dx / length, dy / length];
  }
  /** Whose arrows: the one asked for, else whoever is likeliest there, else the first who could choose there. */
  function whose(x) {
    const asked = Number($("whose").value);
    if (asked >= 0) return asked;
    let best = -1;
    parts.forEach((_, i) => {
      if (shown[i] && choice(i, frame, x) && (best < 0 || here(i, frame, x) > here(best, frame, x))) best = i;
    });
    return best;
  }
  function drawArrows() {
    const x = cell(), i = whose(x), row = i >= 0 ? choice(i, frame, x) : null;
    const brackets = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([u, v]) => {
      const cx = px(x) + u * UNIT * 0.5, cy = py(x) + v * UNIT * 0.5, s = UNIT * 0.22;
      return `M${cx - u * s} ${cy}H${cx}V${cy - v * s}`;
    }).join("");
    for (const path of layers.cursor) path.setAttribute("d", brackets);
    layers.arrow.replaceChildren();
    layers.arrow.setAttribute("class", i >= 0 ? `c${parts[i].colour}` : "");
    const legible = Math.min(map.clientWidth / data.width, map.clientHeight / data.height) >= 24;
    if (row) {
      actionsOf(i).forEach((name, a) => {
        const p = row[a], toward = direction(i, x, a);
        if (p < 0.005) return;
        if (!toward) {
          const r = UNIT * 0.34 * Math.sqrt(p);
          draw(layers.arrow, "path", { class: "arrow", "fill-rule": "evenodd", d: circle(px(x), py(x), r + 1) + circle(px(x), py(x), Math.max(0.1, r * 0.72)) });
        } else draw(layers.arrow, "path", { class: "arrow", d: arrow(px(x), py(x), ...toward, p, UNIT * 1.05) });
      });
      // The number of staying stands where no arrow has its own.
      const taken = actionsOf(i).map((_, a) => row[a] >= TIPPED && direction(i, x, a)).filter(Boolean);
      const free = [[1, 0, 21], [-1, 0, 21], [0, 1, 16], [0, -1, 16]].find(([u, v]) => !taken.some(([dx, dy]) => dx * u + dy * v > 0.9));
      const [besideX, besideY] = free ? [free[0] * free[2], free[1] * free[2]] : [24, 18];
      actionsOf(i).forEach((name, a) => {
        const p = row[a], toward = direction(i, x, a), far = UNIT * 1.05 * p + 9;
        if (p < TIPPED || !legible) return;
        const place = toward ? [px(x) + toward[0] * Math.max(far, toward[0] ? 21 : 16), py(x) + toward[1] * Math.max(far, toward[0] ? 21 : 16)] : [px(x) + besideX, py(x) + besideY];
        draw(layers.arrow, "text", { class: "tip", "font-size": 9.5, x: place[0], y: place[1] }, p.toFixed(2).replace(/^0/, ""));
      });
    }
    let field = "";
    const everywhere = $("everywhere").checked, all = Number($("whose").value), j = all >= 0 ? all : Math.max(0, i);
    if (everywhere) for (let y = 0; y < n; y++) {
      const there = choice(j, frame, y);
      if (there && y !== x) for (let a = 0; a < there.length; a++) {
        const toward = direction(j, y, a);
        if (there[a] < 0.02) continue;
        field += toward ? arrow(px(y), py(y), ...toward, there[a], UNIT * 0.62) : circle(px(y), py(y), UNIT * 0.13 * Math.sqrt(there[a]));
      }
    }
    layers.field.setAttribute("d", field);
    layers.field.setAttribute("class", `arrow field c${parts[j].colour}`);
  }

  // ------------------------------------------------------------ the numbers of a cell

  function column(name) {
    const th = make("th", { scope: "col", title: name });
    if (GLYPHS[name]) th.append(make("span", { "aria-hidden": "true" }, GLYPHS[name]), make("span", { class: "hidden" }, name));
    else th.textContent = name;
    return th;
  }
  function tell() {
    const x = cell(), t = frames[frame], followed = whose(x);
    const actions = [...new Set(parts.flatMap((_, i) => actionsOf(i)))];
    $("cell-title").textContent = `In cell ${cells.labels[x]} (${cells.grounds[cells.ground[x]]}) at step ${t}`;
    const table = $("numbers"), head = make("tr");
    head.append(make("th", { scope: "col" }, "agent"), make("th", { scope: "col", title: data.counted ? "how many are expected here" : "probability of being here" }, "here"), ...actions.map(column));
    const body = make("tbody");
    let arrived = false;
    parts.forEach((part, i) => {
      if (!shown[i]) return;
      const v = here(i, frame, x), row = choice(i, frame, x);
      const tr = make("tr", { class: `c${part.colour}${v < 0.0005 ? " away" : ""}`, "data-agent": part.name });
      const th = make("th", { scope: "row" });
      th.append(badgeOf(parts[i]), ` ${part.name}${i === followed && row ? " ➤" : ""}`);
      tr.append(th, make("td", { "data-what": "here" }, v < 5e-7 ? "0" : amount(i, v)));
      if (!row) {
        const home = !part.together && part.goals.includes(x);
        arrived ||= home;
        tr.append(make("td", { class: "none", colspan: actions.length }, t >= horizon ? "play is over" : home ? "its goal" : part.together ? "–" : "cannot be here"));
      } else {
        const most = Math.max(...row);
        for (const name of actions) {
          const a = actionsOf(i).indexOf(name), p = a < 0 ? 0 : row[a];
          const td = make("td", { class: `p${p === most ? " top" : ""}`, "data-action": name, title: a < 0 ? "" : `${part.name}, ${name}: ${p}` }, p ? round(p) : a < 0 ? "" : "–");
          td.style.setProperty("--share", `${100 * p}%`);
          tr.append(td);
        }
      }
      body.append(tr);
    });
    const widths = make("colgroup");
    widths.append(make("col", { class: "who" }), make("col", { class: "there" }), ...actions.map(() => make("col")));
    const thead = make("thead");
    thead.append(head);
    table.classList.toggle("wide", actions.length > 5);
    table.style.minWidth = actions.length > 9 ? `${7 + 1.75 * actions.length}rem` : "";
    table.replaceChildren(widths, thead, body);
    const met = meetings[frame * n + x];
    $("cell-note").textContent = [
      data.counted ? "here: how many are expected; then what those who are there do." : "here: probability of being there; then what it does if it is.",
      met >= 0.0005 ? `Expected pairs here: ${brief(met)}.` : "", arrived ? "Whoever is at its goal stays." : ""].join(" ");
  }
  function say() {
    const x = cell(), i = whose(x), row = i >= 0 ? choice(i, frame, x) : null;
    $("said").textContent = `${cells.labels[x]}, ${cells.grounds[cells.ground[x]]}. ` +
      parts.map((part, j) => shown[j] && here(j, frame, x) >= 0.005 ? `${part.name} ${amount(j, here(j, frame, x))}. ` : "").join("") +
      (row ? `${parts[i].name}: ${actionsOf(i).map((a, k) => row[k] >= 0.005 ? `${a} ${round(row[k])}` : "").filter(Boolean).join(", ")}.` : "");
  }

  // ------------------------------------------------------------ charts

  const charts = [];
  const nearest = t => frames.reduce((best, time, f) => Math.abs(time - t) < Math.abs(frames[best] - t) ? f : best, 0);
  const chart = (title, caption, series, most, area) => charts.push(makeChart({
    parent: $("charts"), title, series, most, area, label: "step", to: horizon, right: area ? 12 : 92,
    caption: () => caption(frames[frame]), hand: () => frames[frame], pick: t => time.set(nearest(t)),
  }));
  const overTime = values => ({ values: values.map((v, t) => [t, v]), now: values[frames[frame]] });
  const ceiling = v => {
    if (!(v > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(v));
    return [1, 2, 4, 5, 8, 10].map(k => k * power).find(s => s >= v) ?? 10 * power;
  };
  function makeCharts() {
    const total = data.together, sum = to => total.slice(0, to + 1).reduce((a, b) => a + b, 0);
    chart("Expected meetings on the way: pairs in one cell", t => {
      const best = data.pairs.map(pair => [pair.steps[t], pair]).sort((a, b) => b[0] - a[0])[0];
      const who = best && best[0] >= 0.0005 && data.pairs.length > 1 ? `, most by ${best[1].names.join(" and ")}` : "";
      return `Step ${t}: ${brief(total[t])}${who}. ${brief(sum(t))} so far, ${brief(sum(horizon))} in all.`;
    }, () => [overTime(total)], ceiling(Math.max(...total)), true);
    const series = parts.map((part, i) => part.arrived && { part: i, values: part.arrived }).filter(Boolean);
    if (series.length) chart("Arrived at the goal: probability", t => `Step ${t}: ${series.filter(s => shown[s.part]).map(s => `${parts[s.part].name} ${s.values[t].toFixed(2)}`).join(", ")}.`,
      () => series.filter(s => shown[s.part]).map(s => ({ ...overTime(s.values), colour: parts[s.part].colour, name: parts[s.part].name })), 1, false);
  }

  // ------------------------------------------------------------ time

  function show(share = 1, from = frame) {
    drawDiscs(frame, from, share);
    if (share < 1) return;
    drawArrows(); tell(); charts.forEach(redraw => redraw());
    map.dataset.step = frames[frame];
  }
  const time = makeTime({
    last,
    words: f => `step ${frames[f]} of ${horizon}`,
    smooth: () => n * parts.length <= 2000,
    show(f, from, share) { frame = f; show(share, from); },
    walk(dx, dy) {
      const next = neighbour(cells, cell(), dx, dy);
      if (next === null) return;
      hovered = null; look(next, true); hovered = null; say();
    },
  });

  // ------------------------------------------------------------ what people do

  function look(x, keep = false) {
    if (keep && x !== null) kept = x;
    if (x === hovered && !keep) return;
    hovered = x;
    drawArrows(); tell();
  }
  map.addEventListener("pointermove", event => { if (event.pointerType !== "touch") look(cellUnder(event, map, data)); });
  map.addEventListener("pointerleave", () => look(null));
  map.addEventListener("click", event => { look(cellUnder(event, map, data), true); say(); });
  $("whose").addEventListener("change", () => { drawArrows(); tell(); });
  $("everywhere").addEventListener("change", drawArrows);
  // ------------------------------------------------------------ the page around it

  function makeLegend() {
    parts.forEach((part, i) => {
      const button = make("button", { type: "button", "aria-pressed": "true", "data-agent": part.name }), item = make("li");
      button.append(badgeOf(parts[i]), make("span", {}, part.label));
      button.addEventListener("click", () => {
        shown[i] = !shown[i];
        button.setAttribute("aria-pressed", String(shown[i]));
        layers.parts[i].style.display = shown[i] ? "" : "none";
        show();
      });
      item.append(button);
      $("legend").append(item);
      $("whose").append(make("option", { value: i }, part.name));
    });
    $("whose").prepend(make("option", { value: -1 }, parts[0].together ? "the likeliest kind there" : "whoever is likeliest there"));
    $("whose").value = -1;
    if (!parts.some(part => part.choices)) document.querySelector(".arrows").hidden = true;
  }
  function makeKey() {
    const dot = [["circle", { class: "full", cx: 8, cy: 8, r: 6 }]];
    keyItem(dot, data.counted ? `area: how many are expected, full at ${brief(data.fullest)} or more` : "area: probability of being there");
    if (parts.some(p => p.goals.length && p.goals.length <= 40)) keyItem([["circle", { class: "line", cx: 8, cy: 8, r: 6.5, "stroke-width": 1.5 }], ["circle", { class: "line", cx: 8, cy: 8, r: 4.2, "stroke-width": 1.5 }]], "goal");
    if (parts.some(p => p.starts.length <= MARKS)) keyItem([["rect", { class: "line", x: 2.5, y: 2.5, width: 11, height: 11, "stroke-width": 1.3, "stroke-dasharray": "2.2 1.6" }]], "start");
    keyItem([["rect", { class: "line", x: 2, y: 2, width: 12, height: 12, "stroke-width": 2.4 }]], "two may meet, thicker for likelier");
  }
  function numbers() {
    const table = (values, rows, columns) => Array.from({ length: rows }, (_, r) => Array.from(values.subarray(r * columns, (r + 1) * columns), v => Number.isFinite(v) ? +v.toPrecision(8) : null));
    const { parts: _, ...rest } = data;
    return {
      title: rest.title, about: rest.about, made: rest.made, parameters: rest.parameters, status: rest.status,
      certificate: rest.certificate, horizon, times: frames, cells: cells.labels, x: cells.x, y: cells.y,
      ground: cells.ground.map(g => cells.grounds[g]),
      agents: parts.map((part, i) => ({
        name: part.name, label: part.label, goals: part.goals.map(x => cells.labels[x]), actions: actionsOf(i),
        occupancy: table(presence[i], frames.length, n),
        policy: part.choices ? Array.from({ length: part.policy.shape[0] }, (_, f) => table(part.choices.subarray(f * n * actionsOf(i).length), n, actionsOf(i).length)) : null,
      })),
      meetings: { total: data.together, pairs: data.pairs },
    };
  }
  $("download").addEventListener("click", () => download(`${data.name}.json`, JSON.stringify(numbers()), "application/json"));

  $("download-csv").addEventListener("click", () => {
    const lines = ["agent,step,cell,expected here,action,probability"];
    const quoted = v => /[",\n]/.test(v) ? `"${v.replaceAll('"', '""')}"` : v;
    parts.forEach((part, i) => frames.forEach((t, f) => cells.labels.forEach((label, x) => {
      const line = `${quoted(part.name)},${t},${quoted(label)},${+here(i, f, x).toPrecision(8)}`, row = choice(i, f, x);
      if (row) actionsOf(i).forEach((name, a) => lines.push(`${line},${quoted(name)},${+row[a].toPrecision(8)}`));
      else lines.push(`${line},,`);
    })));
    download(`${data.name}.csv`, `${lines.join("\n")}\n`, "text/csv");
  });

  map.setAttribute("aria-label", `Map of ${data.title}, ${n} cells`);
  makeWords(); makeLegend(); makeKey(); drawGround(); makeCharts();
  time.set(0);
  new ResizeObserver(() => show()).observe($("charts"));
  document.documentElement.dataset.ready = "yes";
})();
