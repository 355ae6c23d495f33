// Which part of each service's requests says what a comparison needs: its version or cohort, its user, its trace. Each gap leads to its lines.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../lib/api";
import { grouped, harmless, percent } from "../lib/format";
import { report } from "../lib/live";
import type { GroupTable } from "../lib/types";
import { canSearch, PlaceLink } from "./Lines";
import { term } from "./LogLine";
import { Badge, Scroll } from "./parts";
import { INVALID, OK } from "../lib/words";

/** Services that are counted. */
const SERVICES = 30;
/** Below this part a comparison of users is no longer one (docs/report.md has what is checked). */
const ENOUGH = 0.95;

interface Tag {
  field: string;
  name: string;
  remedy: string;
}

const ARM: Tag = { field: "_arm", name: "version or cohort", remedy: "Log the version on every request line: without it a request counts for no arm." };

/** What is counted where no line names whom it is of. */
const NOBODY = ["trace", "request"];

/** The tags that are looked for: what is counted has its own name, and a trace that is counted for want of a user is no user. */
export function tagsOf(unit: string, trace: string | undefined): Tag[] {
  const named = NOBODY.includes(unit) ? [] : [{ field: "_unit", name: unit, remedy: `Log the ${unit} on every request line: without it each request counts by itself.` }];
  return [ARM, ...named, ...(trace ? [{ field: trace, name: "trace", remedy: "Log the trace of each request: what belongs together is told by it." }] : [])];
}

type Counted = { service: string; requests: number; tagged: Record<string, number | null> };

export function Coverage() {
  const rows = useSignal<Counted[] | null>(null);
  const search = canSearch();
  const trace = report.value?.survey.roles.trace?.fields[0]?.path;
  const unit = report.value?.survey?.unit ?? "user";
  const tags = tagsOf(unit, trace);
  useEffect(() => {
    if (!search) return;
    const stopping = new AbortController();
    const ask = async (more: string): Promise<Map<string, number> | null> => {
      const asked = new URLSearchParams({ by: "_service", size: String(SERVICES), q: `_kind:request${more}` });
      const table = await get<GroupTable>(`/v1/aggregate?${asked}`, stopping.signal).catch(() => null);
      return table && new Map(table.groups.flatMap((of) => (of.key._service ? [[of.key._service, of.lines] as const] : [])));
    };
    void (async () => {
      const all = await ask("");
      if (!all) return;
      const counted = [...all].map(([service, requests]): Counted => ({ service, requests, tagged: {} }));
      rows.value = counted;
      for (const { field } of tags) {
        const with_ = await ask(` _exists_:${field}`);
        if (stopping.signal.aborted) return;
        for (const row of counted) row.tagged[field] = with_ ? Math.min(row.requests, with_.get(row.service) ?? 0) : null;
        rows.value = [...counted];
      }
    })();
    return () => stopping.abort();
  }, [search, trace, unit]);
  if (!search || !rows.value || rows.value.length === 0) return null;
  const lacking = tags.filter((tag) => rows.value!.some((row) => row.tagged[tag.field] != null && row.tagged[tag.field]! / Math.max(1, row.requests) < ENOUGH));
  return (
    <Scroll label="Tags by service">
      <table class="numbers">
        <caption>Tags by service: the part of its kept requests that names each</caption>
        <thead>
          <tr>
            <th scope="col">service</th>
            <th scope="col" class="number">requests</th>
            {tags.map((tag) => (
              <th scope="col" class="number" key={tag.field}>
                {tag.name}
              </th>
            ))}
            <th scope="col">stands</th>
          </tr>
        </thead>
        <tbody>
          {rows.value.map((row) => {
            const part = (tag: Tag): number | null => (row.tagged[tag.field] == null ? null : row.tagged[tag.field]! / Math.max(1, row.requests));
            const isLacking = tags.some((tag) => (part(tag) ?? 1) < ENOUGH);
            return (
              <tr key={row.service}>
                <th scope="row">{harmless(row.service, 60)}</th>
                <td class="number">
                  <PlaceLink query={`_kind:request ${term("_service", row.service)}`}>{grouped(row.requests)}</PlaceLink>
                </td>
                {tags.map((tag) => {
                  const of = part(tag);
                  return (
                    <td class="number" key={tag.field}>
                      {of === null ? "…" : <PlaceLink query={of < 1 ? `_kind:request ${term("_service", row.service)} NOT _exists_:${tag.field}` : null}>{percent(of)}</PlaceLink>}
                    </td>
                  );
                })}
                <td>
                  <Badge look={isLacking ? { ...INVALID, word: "lacking" } : { ...OK, word: "named" }} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {NOBODY.includes(unit) && (
        <p class="aside">
          user: no line names one, so each {unit} counts by itself. <code>--role user=FIELD</code> says which field does.
        </p>
      )}
      {lacking.map((tag) => (
        <p key={tag.field} class="aside">
          {tag.name}: {tag.remedy}
        </p>
      ))}
    </Scroll>
  );
}
