// Figures: the still picture becomes a live one; the legend's buttons hide what they name.
const SYMBOLS = {
  circle: "M6,1A5,5,0,1,1,6,11A5,5,0,1,1,6,1Z", square: "M1,1H11V11H1Z",
  diamond: "M6,0L12,6L6,12L0,6Z", "triangle-up": "M6,1L12,11H0Z", "triangle-down": "M6,11L0,1H12Z",
  "triangle-left": "M1,6L11,0V12Z", cross: "M4,0H8V4H12V8H8V12H4V8H0V4H4Z",
};
const SVG = "http://www.w3.org/2000/svg";

function swatch(entry) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("width", "12");
  svg.setAttribute("height", "12");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", SYMBOLS[entry.shape] || SYMBOLS.circle);
  path.style.fill = entry.colour;
  svg.append(path);
  return svg;
}

function legend(entries, view) {
  const box = document.createElement("div");
  box.className = "legend";
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Legend: press an entry to hide it");
  for (const entry of entries) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(swatch(entry), document.createTextNode(entry.label));
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!shown));
      const off = [...box.querySelectorAll("[aria-pressed=false]")].map((b) => b.textContent);
      view.signal("hidden", off).runAsync();
    });
    box.append(button);
  }
  return box;
}

// Axes for a page of that width: titles in as many lines as they need, ticks that keep clear.
function fit(node, width) {
  if (Array.isArray(node)) return node.forEach((child) => fit(child, width));
  if (node === null || typeof node !== "object") return;
  for (const [channel, encoding] of Object.entries(node.encoding ?? {})) {
    const room = Math.floor((channel.startsWith("x") ? width - 90 : 300) / 6.4);
    if (typeof encoding.title === "string") encoding.title = lines(encoding.title, room);
    const { axis } = encoding;
    if (channel === "x" && axis?.tickCount) {
      axis.tickCount = Math.min(axis.tickCount, Math.floor((width - 90) / 70));
    }
  }
  fit(node.layer ?? null, width);
}

function lines(text, room) {
  const found = [""];
  for (const word of text.split(" ")) {
    const longer = `${found.at(-1)} ${word}`.trim();
    if (longer.length > room && found.at(-1)) found.push(word);
    else found[found.length - 1] = longer;
  }
  return found;
}

async function enliven(figure) {
  const { spec, legend: entries } = JSON.parse(figure.querySelector("script").textContent);
  const chart = figure.querySelector(".live");
  figure.dataset.live = "";
  try {
    const options = { renderer: "svg", actions: false, ast: true, defaultStyle: false,
                      tooltip: { disableDefaultStyle: true } };
    fit(spec, chart.clientWidth);
    if (chart.clientWidth < 500 && spec.usermeta?.crowded) {
      spec.layer = spec.layer.filter((layer) => layer.mark.type !== "text");
    }
    const { view } = await vegaEmbed(chart, spec, options);
    if (entries.length) chart.before(legend(entries, view));
    figure.dataset.live = "true";
  } catch (error) {
    delete figure.dataset.live;
    console.error(error);
  }
}

// Tables: a press on a column's heading sorts by it; by what is written, or by data-value.
function sortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => compare(a, b, column) * (up ? 1 : -1));
      body.append(...rows);
    });
  });
}

function compare(a, b, column) {
  const [x, y] = [a, b].map((row) => row.cells[column].dataset.value ?? row.cells[column].textContent);
  const [m, n] = [x, y].map((text) => parseFloat(text.replace("−", "-")));
  if (Number.isNaN(m) || Number.isNaN(n)) {
    return Number.isNaN(m) - Number.isNaN(n) || x.localeCompare(y);
  }
  return m - n;
}

document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("figure[data-figure]").forEach(enliven);
