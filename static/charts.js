// Draws what [data-chart] holds, in the colours of the reader's look, and again when that changes.
(() => {
  const root = document.documentElement;
  const language = root.lang;
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const drawn = new Map();

  const clock = (zone, options) => new Intl.DateTimeFormat(language, { timeZone: zone, ...options });

  const axes = (spec, zone) => {
    const ink = colour("--state-secondary");
    const grid = { stroke: `color-mix(in srgb, ${ink} 18%, transparent)`, width: 1 };
    const font = "12px system-ui, sans-serif";
    const days = spec.x.length > 1 && spec.x.at(-1) - spec.x[0] > 36 * 3600;
    const said = clock(zone, days ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" });
    return [
      { stroke: ink, grid: { show: false }, ticks: { show: false }, font, space: days ? 70 : 60,
        values: (_chart, splits) => splits.map((at) => said.format(at * 1000)) },
      { stroke: ink, grid, ticks: { show: false }, font, size: 56,
        values: (_chart, splits) => splits.map((value) => number.format(value) + (spec.unit ? ` ${spec.unit}` : "")) },
    ];
  };

  const series = (spec, zone) => {
    const said = clock(zone, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    const lines = spec.lines.map((line) => {
      const stroke = colour(`--state-${line.colour}`);
      const isBar = spec.shape === "bars";
      return {
        label: line.label, stroke, width: isBar ? 0 : 2, spanGaps: true,
        fill: isBar ? stroke : (spec.lines.length === 1 ? `color-mix(in srgb, ${stroke} 10%, transparent)` : undefined),
        points: { show: !isBar && spec.x.length < 40, size: 5, fill: stroke },
        value: (_chart, value) => (value == null ? "–" : number.format(value) + (spec.unit ? ` ${spec.unit}` : "")),
      };
    });
    return [{ label: spec.when, value: (_chart, at) => (at == null ? "" : said.format(at * 1000)) }, ...lines];
  };

  // Two kinds stand side by side; of three, which are parts of one another, the narrower before the wider.
  const bars = (index, count) => (count === 2
    ? uPlot.paths.bars({ size: [0.32, 16], align: index ? 1 : -1 })
    : uPlot.paths.bars({ size: [[0.64, 0.4, 0.2][index], 32 - 10 * index] }));

  const draw = (place) => {
    const spec = JSON.parse(place.dataset.chart);
    const zone = place.dataset.zone;
    const lines = series(spec, zone);
    if (spec.shape === "bars") spec.lines.forEach((_line, index) => { lines[index + 1].paths = bars(index, spec.lines.length); });
    const step = spec.x.length > 1 ? spec.x[1] - spec.x[0] : 3600;
    drawn.get(place)?.destroy();
    drawn.set(place, new uPlot({
      width: place.clientWidth, height: 200, legend: { live: true }, cursor: { y: false },
      scales: {
        x: { range: () => [spec.x[0] - step / 2, spec.x.at(-1) + step / 2] },
        y: { range: (_chart, _low, high) => [0, spec.most ?? Math.max(1, (high || 0) * 1.1)] },
      },
      axes: axes(spec, zone), series: lines,
    }, [spec.x, ...spec.lines.map((line) => line.values)], place));
  };

  const places = document.querySelectorAll("[data-chart]");
  places.forEach(draw);
  const observer = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    const chart = drawn.get(target);
    if (chart && target.clientWidth && chart.width !== target.clientWidth) {
      chart.setSize({ width: target.clientWidth, height: 200 });
    }
  }));
  places.forEach((place) => observer.observe(place));
  new MutationObserver(() => places.forEach(draw)).observe(root, { attributeFilter: ["data-bs-theme"] });
})();
