// Interactive figures in the place of drawn ones; these stay for print, and for whoever prefers them.
const narrow = matchMedia("(max-width: 40rem)");
const INK = "#1c2430", GRID = "#e3e7ec", LINE = "#8a94a0";
const ROW = 420, LEGEND_ROW = 22;

function axis(about, ends, anchor) {
  return {
    title: { text: about.title, standoff: 8, font: { size: 13 } }, type: about.type, range: about.range, domain: ends, anchor,
    gridcolor: GRID, linecolor: LINE, showline: true, zeroline: false, ticks: "outside", automargin: true,
    exponentformat: "power", hoverformat: ".4g", dtick: about.type === "log" && about.range[1] - about.range[0] > 1.5 ? 1 : undefined,
  };
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
      traces.push({ type: "scatter", ...trace, xaxis: `x${index}`, yaxis: `y${index}`, showlegend: Boolean(first) });
    }
  });
  const rows = narrow.matches ? number : 1, legend = LEGEND_ROW * entries.size;
  return [traces, Object.assign(layout, {
    height: rows * ROW + legend, margin: { l: 70, r: 20, t: 40, b: 60 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    font: { family: "system-ui, sans-serif", size: 12, color: INK }, hovermode: "closest",
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 12 } },
  })];
}

for (const plot of document.querySelectorAll(".plot")) {
  const panels = JSON.parse(plot.querySelector(".plot-data").textContent);
  const stage = plot.querySelector(".plot-stage"), button = plot.querySelector(".plot-switch");
  const show = () => Plotly.react(stage, ...drawing(panels),
    { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] });
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
