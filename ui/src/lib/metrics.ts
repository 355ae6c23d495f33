// What /metrics says, in the text format of Prometheus.

export interface MetricRow {
  name: string;
  labels: string;
  value: number;
  /** The value as it is written: NaN and infinities are words. */
  text: string;
  help: string;
}

/** The series of some families, in the order in which those are asked for. */
export function metricRows(text: string, names: string[]): MetricRow[] {
  const help = new Map<string, string>();
  const rows: MetricRow[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("# HELP ")) {
      const [name, ...words] = line.slice(7).split(" ");
      help.set(name!, words.join(" "));
      continue;
    }
    if (line === "" || line.startsWith("#")) continue;
    const end = line.search(/[{ ]/);
    const name = line.slice(0, end);
    if (!names.includes(name)) continue;
    const cut = line.lastIndexOf(" ");
    const labels = line.slice(end, cut).replace(/^\{|\}$/g, "");
    const shown = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].filter((of) => of[2] !== "").map((of) => `${of[1]} ${of[2]!.replace(/\\(.)/g, "$1")}`);
    const word = line.slice(cut + 1);
    const value = word === "+Inf" ? Infinity : word === "-Inf" ? -Infinity : Number(word);
    rows.push({ name, labels: shown.join(", "), value, text: word, help: help.get(name) ?? "" });
  }
  return rows.toSorted((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
}
