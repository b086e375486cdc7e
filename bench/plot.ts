/** A line chart as SVG: one line, marks at its points, numbers at the axes. Nothing that a library is needed for. */
export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** In order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Powers of two lie at the same distance. */
  readonly logarithmic?: boolean;
  /** How a number of x is written. */
  readonly label?: (x: number) => string;
}

const [WIDTH, HEIGHT] = [720, 360];
const EDGE = { left: 70, right: 20, top: 40, bottom: 50 };

export function svg({ title, x, y, points, logarithmic = false, label = String }: Plot): string {
  const along = (value: number): number => (logarithmic ? Math.log2(Math.max(value, 1)) : value);
  const [first, last] = [along(points[0]?.[0] ?? 0), along(points.at(-1)?.[0] ?? 1)];
  const step = niceStep(Math.max(...points.map((point) => point[1]), 1) / 5);
  const top = step * Math.ceil(Math.max(...points.map((point) => point[1]), 1) / step);
  const px = (value: number): number =>
    EDGE.left + ((along(value) - first) / Math.max(last - first, 1e-9)) * (WIDTH - EDGE.left - EDGE.right);
  const py = (value: number): number => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const at = (value: number): string => value.toFixed(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${WIDTH / 2}" y="22" text-anchor="middle" font-size="15">${title}</text>`,
    `<text x="${WIDTH / 2}" y="${HEIGHT - 10}" text-anchor="middle">${x}</text>`,
    `<text transform="translate(18 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${y}</text>`,
  ];
  for (let value = 0; value <= top; value += step)
    parts.push(
      `<line x1="${EDGE.left}" x2="${WIDTH - EDGE.right}" y1="${at(py(value))}" y2="${at(py(value))}" stroke="#ddd"/>`,
      `<text x="${EDGE.left - 8}" y="${at(py(value) + 4)}" text-anchor="end">${value}</text>`,
    );
  const every = Math.ceil(points.length / 10);
  for (const [index, [value]] of points.entries())
    if (index % every === 0)
      parts.push(
        `<text x="${at(px(value))}" y="${HEIGHT - EDGE.bottom + 18}" text-anchor="middle">${label(value)}</text>`,
      );
  const line = points.map((point) => `${at(px(point[0]))},${at(py(point[1]))}`).join(' ');
  parts.push(`<polyline points="${line}" fill="none" stroke="#1668b0" stroke-width="2"/>`);
  if (points.length <= 20)
    for (const [one, other] of points)
      parts.push(`<circle cx="${at(px(one))}" cy="${at(py(other))}" r="3" fill="#1668b0"/>`);
  return `${parts.join('\n')}\n</svg>\n`;
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 5, 10].find((each) => each * power >= least) ?? 10) * power;
}
