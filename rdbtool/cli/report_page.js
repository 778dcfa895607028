"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const settings = { displayModeBar: false, responsive: true };
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue("--" + name).trim();
  const count = (n) => n.toLocaleString("en-US");
  const percent = (part) => (100 * part).toFixed(part < 0.01 ? 2 : 1) + " %";
  // Plotly takes its texts for a kind of HTML.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function bytes(n) {
    let value = n;
    for (const unit of ["bytes", "KiB", "MiB", "GiB"]) {
      if (value < 1024) return unit === "bytes" ? n + " bytes" : value.toFixed(1) + " " + unit;
      value /= 1024;
    }
    return value.toFixed(1) + " TiB";
  }

  function layout(more) {
    const axis = { color: colour("text"), gridcolor: colour("line"), zerolinecolor: colour("line"), fixedrange: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("text"), family: "system-ui, sans-serif", size: 13 },
      hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("text") }, align: "left" },
      margin: { l: 55, r: 5, t: 5, b: 40 },
      xaxis: { ...axis, automargin: true, type: "category" },
      yaxis: { ...axis, rangemode: "tozero", automargin: true },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
      autosize: true,
      ...more,
    };
  }

  // Bars: shares of keys and of memory, or one series of bytes.
  function drawBars(place) {
    const chart = data.charts[place.dataset.chart];
    const series = chart.keys
      ? [["keys", chart.keys, count, "first"], ["memory", chart.bytes, bytes, "second"]]
      : [["memory", chart.bytes, bytes, "first"]];
    const traces = series.map(([name, values, told, paint]) => {
      const total = values.reduce((sum, value) => sum + value, 0) || 1;
      return {
        type: "bar",
        name,
        x: chart.starts || chart.names,
        y: values.map((value) => (100 * value) / total),
        customdata: values.map((value, i) => chart.names[i] + ": " + told(value) + (name === "keys" ? " keys" : "")),
        hovertemplate: "%{customdata}, %{y:.1f} %<extra></extra>",
        marker: { color: colour(paint) },
      };
    });
    const shown = layout({ barmode: "group", bargap: chart.keys ? 0.25 : 0.05, showlegend: traces.length > 1 });
    shown.yaxis.ticksuffix = " %";
    if (chart.starts) Object.assign(shown.xaxis, { type: "linear", tickformat: "d" });
    return Plotly.react(place, traces, shown, settings);
  }

  const map = document.getElementById("map");
  const boxes = data.boxes.labels.map((label, i) =>
    ({ label, parent: data.boxes.parents[i], keys: data.boxes.keys[i], bytes: data.boxes.bytes[i] }));
  boxes.forEach((box) => { box.name = box.parent > 0 ? boxes[box.parent].name + box.label : box.label; });
  const children = boxes.map(() => []);
  boxes.forEach((box, i) => { if (box.parent >= 0) children[box.parent].push(i); });
  let level = 0;

  function drawMap() {
    // What is directly in the level has colours of its own, which all have that are within; parents come first.
    const paints = boxes.map(() => 0);
    children[level].forEach((i, n) => { paints[i] = (n % 8) + 1; });
    boxes.forEach((box, i) => { if (box.parent > level) paints[i] = paints[box.parent]; });
    const trace = {
      type: "treemap",
      ids: boxes.map((_, i) => String(i)),
      labels: boxes.map((box) => plain(box.label)),
      parents: boxes.map((box) => (box.parent < 0 ? "" : String(box.parent))),
      values: boxes.map((box) => box.bytes),
      text: boxes.map((box) => bytes(box.bytes)),
      customdata: boxes.map((box) =>
        plain(box.name) + "<br>" + count(box.keys) + " keys, " + bytes(box.bytes) + ", " +
        percent(box.bytes / (boxes[0].bytes || 1))),
      hovertemplate: "%{customdata}<extra></extra>",
      textinfo: "label+text",
      textfont: { color: colour("text") },
      branchvalues: "total",
      maxdepth: 3,
      level: String(level),
      tiling: { pad: 2 },
      pathbar: { textfont: { color: colour("text") } },
      root: { color: colour("box-0") },
      marker: {
        colors: paints.map((n) => colour("box-" + n)),
        line: { color: colour("page"), width: 1 },
        depthfade: false,
        pad: { t: 22, l: 3, r: 3, b: 3 },
      },
    };
    const shown = layout({ margin: { l: 0, r: 0, t: 24, b: 0 }, uniformtext: { minsize: 10, mode: "hide" } });
    return Plotly.react(map, [trace], shown, settings);
  }

  function element(name, text, kind) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function opener(i, text) {
    const button = element("button", text);
    button.type = "button";
    button.addEventListener("click", () => zoom(i, true));
    return button;
  }

  const SHOWN = 100;

  function tellLevel() {
    const path = document.getElementById("path");
    const steps = [];
    for (let i = level; i >= 0; i = boxes[i].parent) steps.unshift(i);
    path.replaceChildren();
    steps.forEach((i, n) => {
      if (n) path.append(" › ");
      path.append(i === level ? element("strong", boxes[i].label) : opener(i, boxes[i].label));
    });
    const here = boxes[level];
    document.getElementById("level").textContent = here.name + " (" + bytes(here.bytes) + ", " + count(here.keys) + " keys)";
    const body = document.getElementById("boxes");
    body.replaceChildren();
    const inside = children[level].slice().sort((a, b) => boxes[b].bytes - boxes[a].bytes);
    const row = (name, size, keys) => {
      const line = element("tr");
      const cell = element("th");
      cell.scope = "row";
      cell.append(name);
      const share = element("td", undefined, "share");
      const bar = element("span");
      bar.style.width = (100 * size) / (here.bytes || 1) + "%";
      share.append(bar, percent(size / (here.bytes || 1)));
      line.append(cell, share, element("td", bytes(size), "number"), element("td", count(keys), "number"));
      body.append(line);
    };
    for (const i of inside.slice(0, SHOWN)) {
      row(children[i].length ? opener(i, boxes[i].label) : boxes[i].label, boxes[i].bytes, boxes[i].keys);
    }
    const rest = inside.slice(SHOWN);
    if (rest.length) {
      const sum = (what) => rest.reduce((all, i) => all + boxes[i][what], 0);
      row("(" + count(rest.length) + " more)", sum("bytes"), sum("keys"));
    }
  }

  function zoom(to, focus) {
    if (to === level || to < 0 || !children[to].length) return;
    level = to;
    drawMap();
    tellLevel();
    if (focus) (document.querySelector("#boxes button, #path button") || map).focus();
  }

  function drawAll() {
    if (map) drawMap();
    document.querySelectorAll("[data-chart]").forEach(drawBars);
  }

  if (map) {
    tellLevel();
    drawMap();
    map.on("plotly_treemapclick", (event) => {
      const next = event.nextLevel;
      if (next !== undefined) zoom(Number(next), false);
      return false; // zoom has drawn it, as it does for the table
    });
    document.getElementById("prefixes").addEventListener("keydown", (event) => {
      if (event.key === "Escape") zoom(boxes[level].parent, document.activeElement !== map);
    });
  }
  document.querySelectorAll("[data-chart]").forEach(drawBars);

  const table = document.getElementById("key-table");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const search = document.getElementById("search");
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const found = document.getElementById("found");
    const look = () => {
      const wanted = search.value.trim().toLowerCase();
      let n = 0;
      rows.forEach((row, i) => {
        row.hidden = !texts[i].includes(wanted);
        n += row.hidden ? 0 : 1;
      });
      found.textContent = count(n) + " of " + count(rows.length) + " keys";
    };
    search.addEventListener("input", look);
    look();
    const value = (row, i) => row.cells[i].dataset.v === undefined ? row.cells[i].textContent : Number(row.cells[i].dataset.v);
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      head.firstElementChild.addEventListener("click", () => {
        const numbers = head.classList.contains("number");
        const before = head.getAttribute("aria-sort");
        const down = before ? before === "ascending" : numbers;
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sorted = rows.slice().sort((a, b) => {
          const x = value(a, i), y = value(b, i);
          return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
        });
        body.append(...sorted);
      });
    });
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  const PAPER = { width: "700px", rows: 100 };
  const onPaper = (on) => {
    document.documentElement.classList.toggle("printed", on);
    document.body.style.width = on ? PAPER.width : "";
    const rows = document.querySelectorAll("#key-table tbody tr:not([hidden])");
    rows.forEach((row, i) => row.classList.toggle("off-paper", on && i >= PAPER.rows));
    drawAll();
    document.querySelectorAll(".chart").forEach((place) => { if (place.data) Plotly.Plots.resize(place); });
  };
  addEventListener("beforeprint", () => onPaper(true));
  addEventListener("afterprint", () => onPaper(false));
})();
