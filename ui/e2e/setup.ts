// One demo for all tests that only look: a minute after its start it has a rollout of every kind.

import { writeFileSync } from "node:fs";
import { ask, demo, stop, until } from "./program";
import { STATE } from "./shared";

export default async function setup(): Promise<() => Promise<void>> {
  const program = await demo();
  type List = { rollouts: { id: string; phase: string; verdict: string; reason: string }[] };
  try {
    await until("the demo has a rollout that was rolled back, and one that has changed", async () => {
      const list = (await ask<List>(program, "/v1/rollouts"))?.rollouts ?? [];
      const isBack = list.some((of) => of.id === "checkout" && of.phase === "rolled back");
      return isBack && list.some((of) => of.id === "ranking" && of.reason.includes("changed"));
    });
  } catch (error) {
    await stop(program);
    throw error;
  }
  writeFileSync(STATE, JSON.stringify({ address: program.address }));
  return () => stop(program);
}
