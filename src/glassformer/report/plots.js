// Interactive figures in the place of drawn ones; these stay for print, and for whoever prefers them.
const narrow = matchMedia("(max-width: 40rem)");
const INK = "#1c2430", GRID = "#e3e7ec", LINE = "#8a94a0", SOFT = "#56616f", BLUE = "#0072b2";
const ROW = 420, LEGEND_ROW = 22, LONGEST = 40;
// Nothing leaves the page: plotly.js would offer to send the figure to its makers' server.
const SETTINGS = { responsive: true, displaylogo: false, displayModeBar: true, showSendToCloud: false, plotlyServerURL: "",
  modeBarButtonsToRemove: ["lasso2d", "select2d"] };
const HIDDEN = "legendonly", KEY = ".legendtoggle";

// A text without the tags of its formulas.
function bare(text) {
  return new DOMParser().parseFromString(text, "text/html").body.textContent;
}

// Long titles of axes in lines: plotly.js would let them leave the figure.
function wrapped(text) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (lines.at(-1) && bare(longer).length > LONGEST) lines.push(word); else lines[lines.length - 1] = longer;
  }
  return lines.join("<br>");
}

// The distance of ticks, 1, 2 or 5 times a power of ten, that puts about five between 10^low and 10^high.
function roundStep(low, high) {
  const wanted = (10 ** high - 10 ** low) / 5;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return Number(([1, 2, 5].find((digit) => digit * power >= wanted) ?? 10) * power).toPrecision(1);
}

// Ticks at powers of ten, at 1, 2 and 5 of each, or at round numbers, by how much the axis spans.
function ticks(about) {
  const decades = about.range[1] - about.range[0];
  if (about.type !== "log") return {};
  if (decades > 2.5) return { dtick: 1, exponentformat: "power" };
  return { tickformat: "~g", dtick: decades > 0.8 ? "D2" : `L${roundStep(...about.range)}`, tick0: 0 };
}

function axis(about, ends, anchor) {
  return {
    title: { text: wrapped(about.title), standoff: 8, font: { size: 13 } }, type: about.type, range: about.range, domain: ends,
    anchor, gridcolor: GRID, linecolor: LINE, showline: true, zeroline: false, ticks: "outside", automargin: true,
    tickangle: 0, ...ticks(about),
  };
}

// What a point tells: its curve, and its values with their quantities and units.
function told(trace, panel) {
  if (trace.hoverinfo === "skip") return {};
  const values = [["x", panel.x], ["y", panel.y]].map(([which, about]) => `${about.title}: %{${which}:.4g}`);
  return { hovertemplate: `${[`<b>${trace.name}</b>`, ...values].join("<br>")}<extra></extra>` };
}

// All panels side by side or, in a narrow window, one below the other.
function drawing(panels) {
  const traces = [], shapes = [], annotations = [], entries = new Set();
  const layout = { shapes, annotations };
  const number = panels.length, gap = narrow.matches ? 0.22 : 0.16;
  panels.forEach((panel, place) => {
    const index = place ? place + 1 : "", size = (1 - gap * (number - 1)) / number, start = place * (size + gap);
    const across = narrow.matches ? [0, 1] : [start, start + size];
    const up = narrow.matches ? [1 - start - size, 1 - start] : [0, 1];
    layout[`xaxis${index}`] = axis(panel.x, across, `y${index}`);
    layout[`yaxis${index}`] = axis(panel.y, up, `x${index}`);
    if (panel.title) annotations.push({ text: panel.title, showarrow: false, xref: "paper", yref: "paper", yanchor: "bottom",
      x: (across[0] + across[1]) / 2, y: up[1], font: { size: 14 } });
    for (const shape of panel.shapes) {
      const line = { color: LINE, width: 1, dash: "dot" };
      shapes.push("x" in shape
        ? { type: "line", xref: `x${index}`, yref: `y${index} domain`, x0: shape.x, x1: shape.x, y0: 0, y1: 1, line }
        : { type: "line", xref: `x${index} domain`, yref: `y${index}`, x0: 0, x1: 1, y0: shape.y, y1: shape.y, line });
    }
    for (const trace of panel.traces) {
      const first = trace.name && !entries.has(trace.name) && trace.fill === undefined && trace.hoverinfo === undefined
        && (trace.opacity ?? 1) === 1;
      if (first) entries.add(trace.name);
      traces.push({ type: "scatter", ...trace, ...told(trace, panel), xaxis: `x${index}`, yaxis: `y${index}`,
        showlegend: Boolean(first) });
    }
  });
  const rows = narrow.matches ? number : 1, legend = LEGEND_ROW * entries.size;
  return [traces, Object.assign(layout, {
    // Titles stand below the buttons.
    height: rows * ROW + legend, margin: { l: 70, r: 20, t: annotations.length ? 60 : 40, b: 60 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    font: { family: "system-ui, sans-serif", size: 12, color: INK }, hovermode: "closest", hoverlabel: { align: "left" },
    modebar: { color: SOFT, activecolor: BLUE, bgcolor: "#fff" },
    // A finger that drags moves the page; the buttons zoom.
    dragmode: narrow.matches ? false : "zoom",
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 12 } },
  })];
}

// Entries of the legend answer to keys as they do to the mouse.
function keyed(stage) {
  const trace = (key) => key.__data__[0].trace;
  stage.on("plotly_afterplot", () => {
    for (const key of stage.querySelectorAll(KEY)) {
      const values = { tabindex: 0, role: "checkbox", "aria-label": bare(trace(key).name), "aria-checked": trace(key).visible === true };
      for (const [name, value] of Object.entries(values)) key.setAttribute(name, value);
    }
  });
  stage.addEventListener("keydown", (event) => {
    if (!event.target.matches(KEY) || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    const { legendgroup, visible } = trace(event.target);
    const members = stage.data.flatMap((one, index) => (one.legendgroup === legendgroup ? [index] : []));
    Plotly.restyle(stage, { visible: visible === true ? HIDDEN : true }, members);
  });
}

for (const plot of document.querySelectorAll(".plot")) {
  const panels = JSON.parse(plot.querySelector(".plot-data").textContent);
  const stage = plot.querySelector(".plot-stage"), button = plot.querySelector(".plot-switch");
  stage.setAttribute("aria-label", [...new Set(panels.map((one) => bare(`${one.y.title} against ${one.x.title}`)))].join("; "));
  let listens = false;
  const show = async () => {
    await Plotly.react(stage, ...drawing(panels), SETTINGS);
    if (!listens) {
      listens = true;
      keyed(stage);
      stage.emit("plotly_afterplot");
    }
  };
  const choose = (interactive) => {
    plot.classList.toggle("answers", interactive);
    button.textContent = interactive ? "Static figure" : "Interactive figure";
    if (interactive) show();
  };
  button.hidden = false;
  button.addEventListener("click", () => choose(!plot.classList.contains("answers")));
  narrow.addEventListener("change", () => plot.classList.contains("answers") && show());
  choose(true);
}
