// The question behind what is seen, for programs.

import { param, path, query, route } from "./router";
import { whoPath } from "./who";

/** A command that asks the same; for a rollout with the one of our own beside it. */
export function asCommand(): string {
  const at = route(path.peek());
  const asof = param("asof");
  const asked = new URLSearchParams();
  if (asof && (at.name === "rollouts" || at.name === "rollout")) return curl(`/v1/asof?at=${asof}`);
  switch (at.name) {
    case "rollout":
      if (at.tab === "who" && whoPath(at.id)) return curl(whoPath(at.id));
      return `${curl(`/v1/rollouts/${encodeURIComponent(at.id)}${at.tab === "timeline" ? "/timeline" : ""}`)}    # serin verdict ${at.id}`;
    case "search":
    case "template":
      asked.set("q", at.name === "template" ? `_template:${at.id}` : (query.peek().get("q") ?? "*"));
      if (param("from")) asked.set("since", param("from"));
      if (param("to")) asked.set("until", param("to"));
      return curl(`/v1/search?${asked}`);
    case "compare":
      return ["a", "b"].map((side) => curl(`/v1/aggregate?${new URLSearchParams({ q: param(side) || "*", by: "_template" })}`)).join("\n");
    case "board":
      return curl(`/v1/dashboards${at.id ? `/${encodeURIComponent(at.id)}` : ""}`);
    case "hooks":
    case "status":
    case "rollouts":
      return curl(`/v1/${at.name}`);
    case "nothing":
      return curl("/v1/openapi.json");
  }
}

const curl = (of: string): string => `curl -s '${location.origin}${of.replaceAll("'", "%27")}'`;
