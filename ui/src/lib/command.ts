// The question behind what is seen, for programs.

import { asked as timesAsked } from "./logtime";
import { param, path, query, route } from "./router";
import { whoPath } from "./who";

/** What the program is asked for what is seen; two where two filters are held against each other. */
export function twins(): string[] {
  const at = route(path.value);
  const asof = param("asof");
  const asked = new URLSearchParams();
  if (asof && (at.name === "rollouts" || at.name === "rollout")) return [`/v1/asof?at=${asof}`];
  const times = (): void => {
    const { since, until } = timesAsked();
    if (since) asked.set("since", since);
    if (until) asked.set("until", until);
  };
  switch (at.name) {
    case "rollout":
      if (at.tab === "who" && whoPath(at.id)) return [whoPath(at.id)];
      return [`/v1/rollouts/${encodeURIComponent(at.id)}${at.tab === "timeline" ? "/timeline" : ""}`];
    case "search":
    case "template":
      asked.set("q", at.name === "template" ? `_template:${at.id}` : (query.value.get("q") ?? "*"));
      times();
      return [`/v1/search?${asked}`];
    case "compare":
      return ["a", "b"].map((side) => {
        asked.set("q", param(side) || "*");
        asked.set("by", "_template");
        times();
        return `/v1/aggregate?${asked}`;
      });
    case "board":
      return [`/v1/dashboards${at.id ? `/${encodeURIComponent(at.id)}` : ""}`];
    case "hooks":
    case "status":
    case "rollouts":
      return [`/v1/${at.name}`];
    case "nothing":
      return ["/v1/openapi.json"];
  }
}

/** A command that asks the same; for a rollout with the one of our own beside it. */
export function asCommand(): string {
  const at = route(path.peek());
  const isPlain = at.name === "rollout" && !param("asof") && !(at.tab === "who" && whoPath(at.id));
  return twins().map(curl).join("\n") + (isPlain ? `    # serin verdict ${at.id}` : "");
}

const curl = (of: string): string => `curl -s '${location.origin}${of.replaceAll("'", "%27")}'`;
