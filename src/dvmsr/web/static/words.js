// Quantities as people read them.

export function duration(seconds) {
  if (seconds < 1.5) return "a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function bytes(count) {
  if (count < 1e6) return `${Math.max(1, Math.round(count / 1e3))} kB`;
  if (count < 1e9) return `${(count / 1e6).toPrecision(3)} MB`;
  return `${(count / 1e9).toPrecision(3)} GB`;
}

export function size(width, height) {
  return `${width} × ${height}`;
}

export function count(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
