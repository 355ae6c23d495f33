// Which versions are the baseline and the canary of a rollout: what lines of each are coloured by.

import { computed } from "@preact/signals";
import { report, rollouts } from "./live";
import { bareService, type Look, lookOfComparison } from "./words";

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
      const service = bareService(name);
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

/** An arm of a comparison, where it is one: what it is, and how much it matters (0 most). */
export interface ArmOf {
  role: "baseline" | "candidate";
  /** By the verdict of its comparison; the service that is compared before those that it calls. */
  rank: number;
  words: string;
}

const MATTERS: Record<Look["tone"], number> = { worse: 0, invalid: 1, changed: 2, unclear: 3, better: 4 };

/** Arms by service and version. */
export const armsOf = computed(() => {
  const found = new Map<string, ArmOf>();
  for (const of of (report.value?.comparisons ?? []).toReversed()) {
    const look = lookOfComparison(of);
    const plain = (name: string): string => bareService(name);
    for (const service of new Set([of.service, ...of.services].map(plain))) {
      const isOwn = service === plain(of.service);
      const set = (arm: string, next: ArmOf): void => {
        const before = found.get(`${service} ${arm}`);
        if (!before || next.rank < before.rank) found.set(`${service} ${arm}`, next);
      };
      const rank = 2 * MATTERS[look.tone] + (isOwn ? 0 : 1);
      set(of.candidate, { role: "candidate", rank, words: [...(of.candidate === "canary" ? [] : ["canary"]), ...(isOwn ? [look.word.toLowerCase()] : [])].join(": ") });
      set(of.control, { role: "baseline", rank, words: of.control === "baseline" ? "" : "baseline" });
    }
  }
  return found;
});
