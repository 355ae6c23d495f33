// The question of who uses a feature, as the address of the screen has it.

import { param, query } from "./router";

/** Keys of the address that say what is asked. */
export const ASKED = ["used", "exposed", "steps", "within", "segment"] as const;

/** Seconds that an answer may take: who asks has asked for it, and may leave. */
const PATIENCE_S = "30";

/** Steps of a funnel: a line each, NAME=QUERY. */
export const stepsOf = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

/** What the program is asked; empty while nobody has said what a use is. */
export function whoPath(rollout: string): string {
  const used = param("used");
  if (!used) return "";
  const asked = new URLSearchParams({ rollout, used });
  for (const key of ["exposed", "within", "segment"] as const) if (param(key)) asked.set(key, param(key));
  for (const step of stepsOf(param("steps"))) asked.append("step", step);
  // Lines are not kept as they were, but what came later is left out.
  const asof = query.value.get("asof");
  if (asof) asked.set("until", asof);
  asked.set("timeout", PATIENCE_S);
  return `/v1/who?${asked}`;
}
