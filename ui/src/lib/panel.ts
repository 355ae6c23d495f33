// What is seen as a panel of a dashboard: a piece of YAML for a file of one's own.

import { rollouts } from "./live";
import { param, path, route } from "./router";

/** A scalar of YAML that is text, whatever stands in it: JSON's are such. */
const text = (value: string): string => JSON.stringify(value);

/** The panel, with its place; `null` where no kind of panel shows what this screen does. */
export function asPanel(): string | null {
  const at = route(path.value);
  switch (at.name) {
    case "rollouts":
      return panel("rollouts", "Rollouts", { title: "Rollouts", ...(["needs", "running", "done"].includes(param("show")) ? { show: param("show") } : {}) });
    case "rollout": {
      const service = (rollouts.value ?? []).find((row) => row.id === at.id)?.services[0] ?? at.id;
      if (at.tab === "templates") return panel("lines-that-differ", "TemplateDiff", { title: `Lines of ${service} that differ`, service, ...(param("change") ? { change: param("change") } : {}) });
      return at.tab === "" ? panel("guardrails", "DeltaTable", { title: `Guardrails of ${service}`, service }) : null;
    }
    case "search":
      return panel("lines", "Lines", { title: param("q") || "All lines", query: param("q") || "*" });
    case "template":
      return panel("line", "Lines", { title: `Lines of ${at.id}`, query: `_template:${at.id}` });
    default:
      return null;
  }
}

function panel(name: string, kind: string, spec: Record<string, string>): string {
  const words = Object.entries(spec).map(([key, value]) => `${key}: ${key === "change" ? `[${text(value)}]` : text(value)}`);
  return `    ${name}: {kind: ${kind}, spec: {${words.join(", ")}}}\n`;
}
