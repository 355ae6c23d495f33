// What a search found, by text: each log line with its values masked, how often it came, and an example.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../lib/api";
import { grouped, harmless, percent } from "../lib/format";
import { report } from "../lib/live";
import type { Found, GroupTable } from "../lib/types";
import { fieldsOf } from "./LogLine";
import { Loading, Scroll } from "./parts";

/** Templates that are shown. */
const SHOWN = 50;

interface Row {
  id: string;
  lines: number;
  text: string;
}

/** `asked`: the query and its times, as the program takes them. */
export function FoundTemplates({ asked, narrow }: { asked: string; narrow: (term: string) => void }) {
  const rows = useSignal<Row[] | null>(null);
  const total = useSignal(0);
  useEffect(() => {
    const stopping = new AbortController();
    rows.value = null;
    const and = asked ? `&${asked}` : "";
    const texts = new Map((report.peek()?.comparisons ?? []).flatMap((of) => of.templates.listed.map((one) => [one.id, one.text] as const)));
    get<GroupTable>(`/v1/aggregate?by=_template&size=${SHOWN}${and}`, stopping.signal)
      .then(async (table) => {
        total.value = table.lines;
        const found = table.groups.flatMap((of): Row[] => (of.key._template ? [{ id: of.key._template, lines: of.lines, text: texts.get(of.key._template) ?? "" }] : []));
        rows.value = found;
        // Texts that no report has are those of a line of it.
        for (const row of found.filter((of) => !of.text)) {
          const one = await get<Found>(`/v1/search?limit=1&count=0&q=_template:${row.id}`, stopping.signal).catch(() => null);
          if (stopping.signal.aborted) return;
          row.text = one?.lines[0] ? fieldsOf(one.lines[0].line).message : row.id;
          rows.value = [...found];
        }
      })
      .catch(() => {
        if (!stopping.signal.aborted) rows.value = [];
      });
    return () => stopping.abort();
  }, [asked]);
  if (!rows.value) return <Loading what="Counting by text…" />;
  if (rows.value.length === 0) return <p>No line that matches has a text.</p>;
  return (
    <Scroll label="Lines by text">
      <table class="templates cards-if-narrow">
        <caption>The {rows.value.length === SHOWN ? `${SHOWN} most frequent` : grouped(rows.value.length)} texts of what matches, by lines; where no report has a text, one line stands for all like it</caption>
        <thead>
          <tr>
            <th scope="col" class="number">lines</th>
            <th scope="col" class="number">of all</th>
            <th scope="col">text</th>
            <th scope="col">query</th>
          </tr>
        </thead>
        <tbody>
          {rows.value.map((row) => (
            <tr key={row.id}>
              <td class="number" data-of="lines">
                <button type="button" class="link" onClick={() => narrow(`_template:${row.id}`)} title="its lines">
                  {grouped(row.lines)}
                </button>
              </td>
              <td class="number" data-of="of all">{percent(total.value > 0 ? row.lines / total.value : null)}</td>
              <th scope="row">
                <a href={`/templates/${row.id}`}>
                  <code>{harmless(row.text || "…", 300)}</code>
                </a>
              </th>
              <td>
                <button type="button" class="quiet small" aria-label={`without ${row.text.slice(0, 60)}`} onClick={() => narrow(`NOT _template:${row.id}`)}>
                  without it
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
