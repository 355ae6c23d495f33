// Which versions are the baseline and the canary of a rollout: what lines of each are coloured by.

import { computed } from "@preact/signals";
import { report, rollouts } from "./live";

/** Rollouts that are looked at for this. */
const MOST = 20;

const quoted = (value: string): string => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

const roles = computed(() => {
  const found = new Map<string, "baseline" | "candidate">();
  for (const row of (rollouts.value ?? []).filter((of) => of.control && of.candidate).slice(0, MOST)) {
    for (const service of row.services) {
      found.set(`${service} ${row.control}`, found.get(`${service} ${row.control}`) ?? "baseline");
      // What is a canary somewhere is told apart, whatever else it is.
      found.set(`${service} ${row.candidate}`, "candidate");
    }
  }
  // Other services of a release have its arms as well.
  for (const of of (report.value?.comparisons ?? []).slice(-MOST)) {
    for (const name of of.services) {
      const service = name.replace(/ in \S+$/, "");
      found.set(`${service} ${of.control}`, found.get(`${service} ${of.control}`) ?? "baseline");
      found.set(`${service} ${of.candidate}`, "candidate");
    }
  }
  return found;
});

/** What a line's arm is in the rollout of its service. */
export const roleOf = (service: string | undefined, arm: string | undefined): "baseline" | "candidate" | "" =>
  (service !== undefined && arm !== undefined && roles.value.get(`${service} ${arm}`)) || "";

/** A query of the lines of all canaries; empty where there is none. */
export const canaryQuery = computed(() =>
  [...roles.value]
    .filter(([, role]) => role === "candidate")
    .map(([name]) => {
      const cut = name.indexOf(" ");
      return `(_service:${quoted(name.slice(0, cut))} AND _arm:${quoted(name.slice(cut + 1))})`;
    })
    .join(" OR "),
);
