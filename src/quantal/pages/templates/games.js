(async () => {
  const { agents, cells, axes, frames, horizon, ahead, states, labels, mapped } = data;
  const SEEN = 0.004, FOLLOWED = 4000, M = agents.length, S = states.reduce((a, b) => a * b, 1), n = cells.labels.length;
  const single = S === 1, ended = horizon !== null;

  // ------------------------------------------------------------ numbers

  const stops = data.stops;
  const moves = data.moves;
  try {
    await Promise.all(agents.map(async who => { who.play = await unpack(who.policy); who.worth = await unpack(who.value); }));
    for (const table of moves ? moves.own ?? [moves.joint] : []) {
      table.there = await unpack(table.to); table.odds = await unpack(table.chance);
    }
  } catch (error) {
    unreadable(error);
    return;
  }
  const strides = states.map((_, k) => states.slice(k + 1).reduce((a, b) => a * b, 1));
  const number = state => state.reduce((sum, v, k) => sum + v * strides[k], 0);
  const state = s => states.map((size, k) => Math.floor(s / strides[k]) % size);
  const stateName = s => state(s).map((v, k) => labels[k][v]).join(", ");
  const at = s => axes.length > 1 ? `at (${stateName(s)})` : `in state ${stateName(s)}`;
  /** The kept step at or before a time; policies of a stationary solution are always the first. */
  const frameOf = t => ended ? frames.reduce((best, time, f) => time <= t ? f : best, 0) : 0;
  const over = t => ended && t >= horizon;
  function row(i, t, s, b = beta) {
    const A = agents[i].actions.length, k = (b * frames.length + frameOf(t)) * S + s;
    return agents[i].play.subarray(k * A, (k + 1) * A);
  }
  const value = (i, t, s) => agents[i].worth[(beta * (frames.length + (ended ? 1 : 0)) + (over(t) ? frames.length : frameOf(t))) * S + s];
  const deciding = (i, t, s) => !over(t) && row(i, t, s).filter(p => p >= 0).length > 1;

  // ------------------------------------------------------------ where play leads

  /** Calls there(next, probability) for what follows state s under everyone's policies, agent `who` playing `only`. */
  function follow(t, s, there, who = -1, only = 0) {
    const rows = agents.map((_, i) => row(i, t, s));
    const here = state(s);
    const chosen = (i, a) => i === who ? (a === only ? 1 : 0) : rows[i][a];
    if (moves.own) {
      // Agents move by themselves: where each goes, then all of them together.
      const goals = moves.own.map((table, i) => {
        const [, A, B] = table.to.shape, found = new Map();
        for (let a = 0; a < A; a++) if (chosen(i, a) > 0) for (let b = 0; b < B; b++) {
          const k = (here[i] * A + a) * B + b, p = chosen(i, a) * table.odds[k];
          if (p > 0) found.set(table.there[k], (found.get(table.there[k]) ?? 0) + p);
        }
        return [...found];
      });
      const walk = (i, next, p) => {
        if (i === goals.length) there(next, p);
        else for (const [to, q] of goals[i]) walk(i + 1, next + to * strides[i], p * q);
      };
      walk(0, 0, 1);
      return;
    }
    const [, joint, B] = moves.joint.to.shape;
    const walk = (i, a, p) => {
      if (i === M) {
        for (let b = 0; b < B; b++) {
          const k = (s * joint + a) * B + b, q = p * moves.joint.odds[k];
          if (q > 0) there(moves.joint.there[k], q);
        }
        return;
      }
      for (let own = 0; own < rows[i].length; own++) if (chosen(i, own) > 0) walk(i + 1, a * rows[i].length + own, p * chosen(i, own));
    };
    walk(0, 0, 1);
  }
  /** Mass at each time from the chosen state on, as maps from states to probabilities; what is not followed is counted. */
  let flow = { mass: [new Map()], lost: [0] };
  function push() {
    flow = { mass: [new Map([[placed, 1]])], lost: [0] };
    if (!moves) return;
    for (let t = since; t < ahead; t++) {
      const now = flow.mass.at(-1), next = new Map();
      for (const [s, p] of now) follow(t, s, (to, q) => next.set(to, (next.get(to) ?? 0) + p * q));
      let kept = [...next], lost = flow.lost.at(-1);
      if (kept.length > FOLLOWED) {
        kept.sort((a, b) => b[1] - a[1]);
        for (const [, p] of kept.splice(FOLLOWED)) lost += p;
      }
      flow.mass.push(new Map(kept));
      flow.lost.push(lost);
    }
  }
  const massAt = t => flow.mass[Math.min(t - since, flow.mass.length - 1)] ?? flow.mass[0];
  const likeliest = t => [...massAt(t)].reduce((best, one) => one[1] > best[1] * (1 + 1e-6) ? one : best, [placed, 0]);
  /** How likely each drawn cell holds what moves along an axis. */
  function marginal(axis, mass) {
    const found = new Float64Array(n);
    for (const [s, p] of mass) found[axes[axis][state(s)[axis]]] += p;
    return found;
  }

  // ------------------------------------------------------------ state

  let beta = stops ? stops.length - 1 : 0, since = 0, placed = number(data.start), now = 0, held = null;
  const tokens = axes.map((own, k) => mapped ? agents[k] : { name: axes.length === 1 ? "the state" : `state ${k + 1}`, mark: axes.length === 1 ? "" : String(k + 1), colour: 8 });
  const shown = () => now === since ? placed : likeliest(now)[0];

  // ------------------------------------------------------------ map

  const map = $("map"), EDGE = data.nodes ? 0.12 : 0.06;
  const px = x => (cells.x[x] + 0.5) * UNIT, py = x => (cells.y[x] + 0.5) * UNIT;
  const layers = {};
  function drawGround() {
    const border = UNIT * EDGE;
    map.setAttribute("viewBox", `${-border} ${-border} ${data.width * UNIT + 2 * border} ${data.height * UNIT + 2 * border}`);
    map.style.setProperty("max-width", `${Math.max(20, 12 * data.width)}rem`);
    if (!data.nodes && mapped) draw(map, "rect", { class: "wall", x: -border, y: -border, width: data.width * UNIT + 2 * border, height: data.height * UNIT + 2 * border, rx: 3 });
    for (const [a, b, only] of data.edges) {
      draw(map, "path", { class: only === null ? "edge" : `edge own c${agents[only].colour}`, d: `M${px(a)} ${py(a)}L${px(b)} ${py(b)}` });
    }
    layers.cells = cells.labels.map((label, x) => {
      const d = data.nodes ? circle(px(x), py(x), UNIT * 0.3) : square(px(x), py(x), UNIT);
      draw(map, "path", { class: data.nodes ? "node" : "tile", d }).appendChild(make("title", {}, label, SVG));
      return draw(map, "path", { class: "shade", d, "fill-opacity": 0 });
    });
    cells.lids.forEach((lid, x) => {
      if (lid) draw(map, "path", { class: "lid", d: `M${px(x) - UNIT * 0.46} ${py(x) - UNIT / 2}h${UNIT * 0.92}` }).appendChild(make("title", {}, "a barrier", SVG));
    });
    layers.names = cells.labels.map((label, x) => {
      const mark = cells.marks[x];
      if (mark && !(data.nodes)) draw(map, "text", { class: "place", x: px(x), y: py(x), "font-size": UNIT * 0.5 }, mark);
      return (data.nodes || !mapped) && draw(map, "text", { class: "name", x: px(x) - UNIT * (data.nodes ? 0.33 : 0.4), y: py(x) - UNIT * (data.nodes ? 0.3 : 0.34), "font-size": data.nodes ? 7 : 8 }, label.length > 6 ? `${label.slice(0, 5)}…` : label);
    });
    layers.spread = tokens.map(who => draw(map, "path", { class: `disc spread c${who.colour}` }));
    layers.arrows = draw(map, "g", {});
    layers.worth = draw(map, "g", { class: "worth" });
    layers.target = draw(map, "path", { class: "target" });
    layers.tokens = tokens.map((who, k) => {
      const group = draw(map, "g", { class: `token c${who.colour}`, tabindex: "0", role: "slider", "aria-label": `${who.name}: where it is; arrow keys move it`, "aria-valuemin": 0, "aria-valuemax": axes[k].length - 1, "data-axis": k });
      draw(group, "circle", { class: "disc", r: UNIT * 0.17 });
      draw(group, "text", { class: "mark", "font-size": UNIT * 0.2 }, who.mark);
      return group;
    });
  }
  /** Where a token stands: those who share a cell stand around its middle. */
  function spot(k, here) {
    const x = axes[k][here[k]], with_ = axes.map((own, j) => j).filter(j => axes[j][here[j]] === x);
    if (with_.length === 1) return [px(x), py(x)];
    const turn = 2 * Math.PI * with_.indexOf(k) / with_.length + Math.PI * (with_.length === 2 ? 1 : 7 / 6), far = UNIT * (with_.length > 3 ? 0.26 : 0.2);
    return [px(x) + far * Math.cos(turn), py(x) + far * Math.sin(turn)];
  }
  /** Where an action most probably leads its agent, if it leads away with at least a chance in twenty. */
  function target(i, t, s, a) {
    const own = state(s)[i], found = new Map();
    if (!moves) return axes[i][own];
    follow(t, s, (to, p) => { const v = state(to)[i]; found.set(v, (found.get(v) ?? 0) + p); }, i, a);
    found.delete(own);
    const best = [...found].reduce((one, other) => other[1] > one[1] ? other : one, [own, 0.05]);
    return axes[i][best[0]];
  }
  function drawAgents() {
    const s = shown(), here = state(s), mass = massAt(now), alone = now === since;
    layers.spread.forEach((path, k) => {
      if (alone || single) { path.setAttribute("d", ""); return; }
      const found = marginal(k, mass), side = axes.length > 1 && mapped;
      let d = "";
      found.forEach((p, x) => {
        if (p < SEEN) return;
        const turn = 2 * Math.PI * k / axes.length + Math.PI, far = side ? UNIT * 0.14 : 0;
        d += circle(px(x) + far * Math.cos(turn), py(x) + far * Math.sin(turn), UNIT * (side ? 0.3 : 0.42) * Math.sqrt(p));
      });
      path.setAttribute("d", d);
    });
    layers.tokens.forEach((group, k) => {
      const [x, y] = held?.axis === k && held.at ? held.at : spot(k, here);
      group.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)})`);
      group.setAttribute("aria-valuenow", here[k]);
      group.setAttribute("aria-valuetext", labels[k][here[k]]);
      group.classList.toggle("ghost", !alone);
    });
    // Where somebody stands there is no room for the node's name: the list beside the map has it.
    if (data.nodes) layers.names.forEach((name, x) => name.toggleAttribute("hidden", axes.some((own, k) => own[here[k]] === x)));
    layers.arrows.replaceChildren();
    if (mapped && moves && !over(now) && !held?.at) agents.forEach((who, i) => {
      const [x0, y0] = spot(i, here), p = row(i, now, s), group = draw(layers.arrows, "g", { class: `c${who.colour}` }), from = axes[i][here[i]];
      who.actions.forEach((_, a) => {
        if (p[a] < 0.005) return;
        const to = target(i, now, s, a);
        if (to === from) { draw(group, "circle", { class: "stay", cx: x0, cy: y0, r: UNIT * 0.2, "stroke-width": UNIT * 0.16 * p[a] }); return; }
        const dx = cells.x[to] - cells.x[from], dy = cells.y[to] - cells.y[from], size = Math.hypot(dx, dy), u = dx / size, v = dy / size;
        // To the right, as in traffic: arrows towards one another do not meet.
        const side = UNIT * 0.07, begin = UNIT * 0.15;
        draw(group, "path", { class: "arrow", d: arrow(x0 + u * begin - v * side, y0 + v * begin + u * side, u, v, 0.35 + 0.65 * p[a], UNIT * 0.62) });
        if (p[a] >= 0.05) draw(group, "text", { class: "tip", x: x0 + u * UNIT * 0.42 - v * UNIT * 0.25, y: y0 + v * UNIT * 0.42 + u * UNIT * 0.2, "font-size": 5.6 }, p[a].toFixed(2).replace(/^0/, ""));
      });
    });
  }
  function drawWorth() {
    if (single) return;
    const i = Number($("shade").value);
    layers.worth.replaceChildren();
    layers.cells.forEach(cell => cell.setAttribute("fill-opacity", 0));
    if (i < 0) { $("scale").textContent = ""; return; }
    const here = state(shown()), axis = mapped ? i : 0;
    const found = axes[axis].map((x, v) => [x, value(i, now, number(here.map((own, k) => k === axis ? v : own)))]);
    // By rank: one cell that is far worse than all others would leave these alike.
    const order = [...new Set(found.map(f => f[1]))].sort((a, b) => a - b), low = order[0], high = order.at(-1);
    for (const [x, v] of found) {
      layers.cells[x].setAttribute("class", `shade c${agents[i].colour}`);
      layers.cells[x].setAttribute("fill-opacity", (0.06 + 0.64 * order.indexOf(v) / Math.max(1, order.length - 1)).toFixed(3));
      draw(layers.worth, "text", { x: px(x) + UNIT * (data.nodes ? 0.36 : 0), y: py(x) + UNIT * 0.41, "font-size": 6.4 }, v.toFixed(Math.abs(v) < 10 ? 2 : 1));
    }
    $("scale").textContent = `the stronger, the higher: value of ${agents[i].name} ${mapped ? "if it stood there, the others where they are" : "in each state"}: ${low.toFixed(2)} to ${high.toFixed(2)}`;
  }

  // ------------------------------------------------------------ policies and words

  function tell() {
    const s = shown(), [, chance] = likeliest(now);
    const when = single || ahead === 0 ? "" : ` at step ${now}`;
    $("policies-title").textContent = single ? "What they do" : `What they do ${at(s)}${when}`;
    $("policies").replaceChildren(...agents.map((who, i) => {
      const block = make("div", { class: `agent c${who.colour}`, "data-agent": who.name }), head = make("h3");
      head.append(badgeOf(who), ` ${who.name}`, make("span", { class: "dim", "data-what": "value", title: "value: what it expects to get from here on" }, `V ${value(i, now, s).toFixed(3)}`));
      block.append(head);
      if (over(now)) { block.append(make("p", { class: "dim small" }, "play is over")); return block; }
      const p = row(i, now, s), list = make("ul", { class: "bars" }), most = Math.max(...p);
      who.actions.forEach((name, a) => {
        if (p[a] < 0) return;
        const item = make("li", { "data-action": name, title: `${who.name}, ${name}: ${p[a]}` }), bar = make("span", { class: "bar", "aria-hidden": "true" });
        bar.style.setProperty("--share", `${100 * p[a]}%`);
        item.append(make("span", { class: "action" }, `${GLYPHS[name] ? `${GLYPHS[name]} ` : ""}${name}`), bar, make("span", { class: p[a] === most ? "p top" : "p" }, p[a] > 0 && p[a] < 0.0005 ? "<.001" : round(p[a])));
        list.append(item);
      });
      block.append(list);
      return block;
    }));
    const lost = flow.lost[Math.min(now - since, flow.lost.length - 1)] ?? 0;
    $("policies-note").textContent = [
      now > since && moves ? `The likeliest place of all at this step: ${brief(chance)} of the probability is here. Discs: where each may be.` : "",
      lost > 1e-6 ? `${(100 * lost).toPrecision(2)} % of the probability is not followed: only the ${FOLLOWED} likeliest states are, at each step.` : "", data.why_not].filter(Boolean).join(" ");
    axes.forEach((_, k) => { if (!single) $(`axis-${k}`).value = state(s)[k]; });
    if (stops) $("beta-now").textContent = stopName(stops[beta]);
  }
  function say() {
    const s = shown();
    $("said").textContent = `${stateName(s)}. ` + agents.map((who, i) => over(now) ? "" : `${who.name}: ${who.actions.map((a, k) => row(i, now, s)[k] >= 0.005 ? `${a} ${round(row(i, now, s)[k])}` : "").filter(Boolean).join(", ")}.`).join(" ");
  }

  // ------------------------------------------------------------ along beta

  const charts = [], nearest = costs => costs.indexOf(Math.min(...costs));
  /** Where on the branch one is: β, and which pass of it where there are several. */
  function stopName({ beta, kind, of, status, ...stop }) {
    const which = kind === "fold" ? ", fold" : of > 1 ? `, pass ${stop.pass} of ${of}` : "";
    return `${+beta.toPrecision(4)}${which}${status ? ", not converged" : ""}`;
  }
  function makeCharts() {
    if (!stops) return;
    const betas = stops.map(stop => stop.beta), top = Math.max(...betas), low = Math.min(...betas);
    const folded = data.folds.length > 0;
    agents.forEach((who, i) => {
      if (single && !deciding(i, 0, 0)) return;
      const along = a => {
        const s = shown();
        return betas.map((b, k) => [b, row(i, now, s, k)[a]]);
      };
      charts.push(makeChart({
        parent: $("charts"), title: `${who.name}: probability of each action, by precision`, label: "precision β", from: low, to: top, most: 1, whole: false,
        hand: () => betas[beta],
        // Where the branch passes a β more than once, the height of the click says which pass is meant.
        pick: (b, p) => setBeta(nearest(betas.map((v, k) => {
          const off = Math.min(...Array.from(row(i, now, shown(), k)).filter(q => q >= 0).map(q => Math.abs(q - p)));
          return Math.abs(v - b) / (top - low || 1) + (folded ? 0.5 * off : 0);
        }))),
        caption: () => `${single ? "" : `${at(shown()).replace(/^./, c => c.toUpperCase())}. `}β = ${stopName(stops[beta])}.${folded ? ` The branch turns back at β = ${data.folds.map(f => +f.toPrecision(3)).join(" and ")}: the slider walks along it, through every pass.` : ""}`,
        series: () => over(now) ? [] : who.actions.map((name, a) => ({ name, a })).filter(({ a }) => row(i, now, shown())[a] >= 0)
          .map(({ name, a }) => ({ name, values: along(a), now: row(i, now, shown())[a], colour: a % 9 })),
      }));
    });
  }
  function setBeta(b) {
    beta = b;
    $("beta").value = b;
    $("beta").setAttribute("aria-valuetext", `β ${stopName(stops[b])}`);
    push();
    time.set(now);
  }

  // ------------------------------------------------------------ time, and what people do

  const time = makeTime({
    last: ahead,
    words: t => `step ${t}${ended ? ` of ${horizon}` : ""}${since ? ` (placed at ${since})` : ""}`,
    smooth: () => false,
    first: () => since,
    show(t) {
      now = t;
      if (t < since) { since = t; push(); }
      drawAgents(); tell(); drawWorth();
      charts.forEach(redraw => redraw());
      map.dataset.step = t; map.dataset.state = state(shown()).join(",");
    },
    walk(dx, dy) {
      const k = Number(document.activeElement.dataset.axis), own = axes[k], x = own[state(shown())[k]];
      const next = neighbour(cells, x, dx, dy, c => own.includes(c));
      if (next !== null) place(k, own.indexOf(next));
    },
  });
  /** Put one where it is wanted, at this step; the others stay where they are (at their likeliest). */
  function place(axis, v) {
    const here = state(shown());
    here[axis] = v;
    time.play(false);
    placed = number(here);
    since = now;
    push();
    time.set(now);
    say();
  }
  layers.pointer = (event, group) => {
    const k = Number(group.dataset.axis);
    held = { axis: k, at: null };
    group.setPointerCapture(event.pointerId);
    event.preventDefault();
    group.focus();
  };
  function watch(group) {
    group.addEventListener("pointerdown", event => { chosen = Number(group.dataset.axis); layers.pointer(event, group); });
    group.addEventListener("pointermove", event => {
      if (!held) return;
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
      held.at = [point.x, point.y];
      const x = under(event);
      layers.target.setAttribute("d", x !== null && axes[held.axis].includes(x) ? square(px(x), py(x), UNIT * 0.9) : "");
      drawAgents();
    });
    for (const name of ["pointerup", "pointercancel"]) group.addEventListener(name, event => {
      if (!held) return;
      const { axis, at } = held, x = at ? under(event) : null, v = x === null ? -1 : axes[axis].indexOf(x);
      held = null;
      layers.target.setAttribute("d", "");
      if (name === "pointerup" && v >= 0) place(axis, v);
      else time.set(now);
      mark();
    });
    group.addEventListener("focus", () => { chosen = Number(group.dataset.axis); mark(); });
  }
  let chosen = 0;
  const mark = () => layers.tokens.forEach((group, k) => group.classList.toggle("chosen", k === chosen && axes.length > 1));
  function under(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    const x = point.x / UNIT - 0.5, y = point.y / UNIT - 0.5;
    for (let k = 0; k < n; k++) if (Math.abs(cells.x[k] - x) <= 0.5 && Math.abs(cells.y[k] - y) <= 0.5) return k;
    return null;
  }
  map.addEventListener("click", event => {
    if (event.target.closest(".token")) return;
    const x = under(event);
    if (x === null) return;
    // On a map the chosen one comes; in rows each axis has cells of its own.
    const axis = mapped ? chosen : axes.findIndex(own => own.includes(x));
    const v = axes[axis].indexOf(x);
    if (v >= 0) place(axis, v);
  });

  // ------------------------------------------------------------ the page around it

  function makeNavigator() {
    if (!mapped) $("state-title").textContent = axes.length > 1 ? "Where they are" : "The state";
    tokens.forEach((who, k) => {
      const line = make("p", { class: `place c${who.colour}` }), select = make("select", { id: `axis-${k}` });
      labels[k].forEach((label, v) => select.append(make("option", { value: v }, label)));
      const name = make("label", { for: `axis-${k}` });
      name.append(who.mark ? badgeOf(who) : "", ` ${who.name}`);
      select.addEventListener("change", () => place(k, Number(select.value)));
      line.append(name, select);
      $("places").append(line);
    });
    $("shade").append(make("option", { value: -1 }, "nothing"), ...agents.map((who, i) => make("option", { value: i }, `the value of ${who.name}`)));
    $("shade").value = -1;
    $("shade").addEventListener("change", drawWorth);
  }
  function makePayoffs() {
    const table = make("table", { class: "payoffs" }), head = make("tr"), [first, second] = agents;
    head.append(make("th", {}, `${first.name} ↓  ${second.name} →`), ...second.actions.map(a => make("th", { scope: "col" }, a)));
    table.append(head, ...data.payoffs.map((line, a) => {
      const tr = make("tr");
      tr.append(make("th", { scope: "row" }, first.actions[a]), ...line.map(([u, v]) => {
        const td = make("td");
        td.append(make("span", { class: `payoff c${first.colour}` }, String(u)), ", ", make("span", { class: `payoff c${second.colour}` }, String(v)));
        return td;
      }));
      return tr;
    }));
    $("payoffs").append(make("p", { class: "dim small" }, `What each gets: ${first.name}, ${second.name}.`), table);
    $("payoffs").hidden = false;
  }
  function rows() {
    const found = [["beta", "pass", "step", "state", "agent", "value", "action", "probability"]];
    const kept = beta;
    (stops ?? [null]).forEach((stop, b) => {
      beta = b;
      frames.forEach(t => {
        for (let s = 0; s < S; s++) agents.forEach((who, i) => row(i, t, s).forEach((p, a) => {
          if (p >= 0) found.push([stop ? stop.beta : data.parameters.beta[i], stop ? stop.pass : 1, ended ? t : "", stateName(s), who.name, +value(i, t, s).toPrecision(8), who.actions[a], +p.toPrecision(8)]);
        }));
      });
    });
    beta = kept;
    return found;
  }
  const quoted = v => /[",\n]/.test(String(v)) ? `"${String(v).replaceAll('"', '""')}"` : v;
  $("download-csv").addEventListener("click", () => download(`${data.name}.csv`, `${rows().map(line => line.map(quoted).join(",")).join("\n")}\n`, "text/csv"));
  $("download").addEventListener("click", () => {
    const [names, ...lines] = rows();
    const occupancy = flow.mass.map((mass, k) => ({ step: since + k, states: [...mass].map(([s, p]) => ({ state: stateName(s), probability: +p.toPrecision(8) })) }));
    download(`${data.name}.json`, JSON.stringify({
      title: data.title, made: data.made, parameters: data.parameters, certificate: data.certificate, stops, standing: data.standing,
      columns: names, rows: lines, placed: { state: stateName(placed), step: since, occupancy: moves ? occupancy : null },
    }), "application/json");
  });
  function makeKey() {
    if (single) return;
    keyItem([["circle", { class: "full", cx: 8, cy: 8, r: 6 }]], mapped ? "an agent: drag it" : "the state: choose another");
    if (moves && ahead) keyItem([["circle", { class: "full", cx: 8, cy: 8, r: 6, opacity: 0.4 }]], "area: probability of being there, once time moves on");
    if (mapped && moves) keyItem([["path", { class: "full", d: "M1 6.5h8V4l6 4-6 4V9.5H1z" }]], "wider: likelier move");
    if (mapped && moves) keyItem([["circle", { class: "line", cx: 8, cy: 8, r: 5, "stroke-width": 3 }]], "stays");
    if (cells.lids.some(Boolean)) keyItem([["path", { class: "line", d: "M1 8h14", "stroke-width": 3, "stroke-dasharray": "3 2" }]], "barrier");
    $("key").append(make("span", { id: "scale" }));
  }

  makeWords();
  makeKey();
  if (single) {
    map.remove();
    for (const id of ["time-row", "navigator", "how"]) $(id).hidden = true;
  } else {
    makeNavigator();
    $("how").textContent = `${mapped ? "Drag an agent to a cell, or choose it and click one; with the keyboard, Tab to an agent and press arrow keys." : "Click a state, or choose it from the list."} ${ahead ? "Space plays; arrow keys elsewhere step through time." : ""}`;
    if (!ahead) $("time-row").hidden = true;
  }
  if (single || !ahead) {
    const skip = document.querySelector(".skip");
    skip.href = "#policies-title";
    skip.textContent = "Skip to what they do";
  }
  if (data.payoffs) makePayoffs();
  if (stops) {
    $("beta-row").hidden = false;
    $("beta").max = stops.length - 1;
    $("beta").addEventListener("input", () => setBeta(Number($("beta").value)));
  }
  drawGround();
  layers.tokens.forEach(watch);
  mark();
  makeCharts();
  push();
  if (stops) setBeta(beta); else time.set(0);
  new ResizeObserver(() => charts.forEach(redraw => redraw())).observe($("charts"));
  document.documentElement.dataset.ready = "yes";
})();
