// What a search found, by field: which fields lines have, and their most frequent values.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../lib/api";
import { grouped, harmless, percent } from "../lib/format";
import { report } from "../lib/live";
import type { Group, GroupTable } from "../lib/types";
import { term } from "./LogLine";
import { Loading, Scroll } from "./parts";

/** Values of a field that are shown. */
const VALUES = 6;
/** Fields whose values say nothing by themselves, or are shown otherwise. */
const LEFT_OUT = new Set(["_position", "_time", "_weight", "_latency", "_template", "_unit"]);

interface Row {
  path: string;
  kind: string;
  groups: Group[] | null;
}

/** `asked`: the query and its times, as the program takes them. */
export function FoundFields({ asked, narrow }: { asked: string; narrow: (term: string) => void }) {
  const rows = useSignal<Row[] | null>(null);
  const total = useSignal(0);
  useEffect(() => {
    const stopping = new AbortController();
    rows.value = null;
    const and = asked ? `&${asked}` : "";
    get<{ fields: { path: string; kind: string }[] }>("/v1/fields", stopping.signal)
      .then(async ({ fields }) => {
        // Of ids only those that say who it was: others are another one on each line.
        const roles = report.peek()?.survey.roles ?? {};
        const names = new Set(["user", "session", "client"].flatMap((role) => (roles[role]?.fields ?? []).map((of) => of.path)));
        const found: Row[] = fields.filter((of) => !LEFT_OUT.has(of.path) && (["text", "derived", "number"].includes(of.kind) || names.has(of.path))).map((of) => ({ ...of, groups: null }));
        rows.value = found;
        // One after the other: a program that is asked for all at once has no time for anybody else.
        for (const row of found) {
          const table = await get<GroupTable>(`/v1/aggregate?by=${encodeURIComponent(row.path)}&size=${VALUES}${and}`, stopping.signal).catch(() => null);
          if (stopping.signal.aborted) return;
          total.value = Math.max(total.peek(), table?.lines ?? 0);
          row.groups = (table?.groups ?? []).filter((of) => of.key[row.path] != null);
          rows.value = [...found];
        }
      })
      .catch(() => {
        if (!stopping.signal.aborted) rows.value = [];
      });
    return () => stopping.abort();
  }, [asked]);
  if (!rows.value) return <Loading what="Asking for fields…" />;
  // Only what has values is listed: a row that was there for a moment would move all others.
  const counted = rows.value.filter((row) => row.groups !== null).length;
  return (
    <Scroll label="Fields">
      <p class="aside" role="status">
        {counted < rows.value.length ? `${grouped(counted)} of ${grouped(rows.value.length)} fields looked at…` : `${grouped(counted)} fields looked at`}
      </p>
      <table class="numbers fields">
        <caption>Fields of the lines that match, with their {VALUES} most frequent values; a click on a value asks for its lines alone</caption>
        <thead>
          <tr>
            <th scope="col">field</th>
            <th scope="col">kind</th>
            <th scope="col">values</th>
          </tr>
        </thead>
        <tbody>
          {rows.value
            .flatMap((row) => (row.groups && row.groups.length > 0 ? [{ ...row, groups: row.groups }] : []))
            .map((row) => (
              <tr key={row.path}>
                <th scope="row">
                  <code>{harmless(row.path, 80)}</code>
                </th>
                <td>{row.kind}</td>
                <td>
                  {row.groups.map((of) => (
                    <button type="button" class="quiet small" key={of.key[row.path]} onClick={() => narrow(term(row.path, of.key[row.path]!))}>
                      {harmless(of.key[row.path]!, 60)} <small>{total.value > 0 ? percent(of.lines / total.value) : grouped(of.lines)}</small>
                    </button>
                  ))}
                </td>
              </tr>
            ))}
        </tbody>
      </table>
    </Scroll>
  );
}
