// Lines over time: a click asks for one stretch of it.

import { grouped, local } from "../lib/format";
import { Scroll } from "./parts";

export interface Bar {
  from: string;
  at: number;
  until: number;
  lines: number;
  severe: number;
  /** Of canaries. */
  canary: number;
  /** Only a part of the stretch was asked for, or has come. */
  isPart?: boolean;
}

const WIDTH = 900;
const HEIGHT = 64;

export function Histogram({ bars, choose }: { bars: Bar[]; choose: (from: string, to: string) => void }) {
  const first = bars[0]!;
  const last = bars.at(-1)!;
  const length = first.until - first.at;
  const count = Math.max(1, Math.round((last.until - first.at) / length));
  const width = WIDTH / count;
  const most = Math.max(...bars.map((bar) => bar.lines));
  const total = bars.reduce((sum, bar) => sum + bar.lines, 0);
  const hasCanary = bars.some((bar) => bar.canary > 0);
  const height = (lines: number): number => (lines === 0 ? 0 : Math.max(1, (lines / most) * HEIGHT));
  return (
    <figure class="histogram">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${grouped(total)} lines from ${local(first.at)} to ${local(last.until)}`}>
        {bars.map((bar) => {
          const x = ((bar.at - first.at) / length) * width;
          return (
            <g key={bar.at} class={bar.isPart ? "part" : ""} onClick={() => choose(new Date(bar.at).toISOString(), new Date(bar.until).toISOString())}>
              <title>{`${bar.from}: ${grouped(bar.lines)} lines, ${grouped(bar.severe)} of them errors${hasCanary ? `, ${grouped(bar.canary)} of canaries` : ""}${bar.isPart ? "; in part" : ""}`}</title>
              <rect class="ground" x={x} y={0} width={width} height={HEIGHT} />
              <rect class="all" x={x} y={HEIGHT - height(bar.lines)} width={Math.max(0.5, width - 1)} height={height(bar.lines)} />
              {hasCanary && <rect class="candidate" x={x} y={HEIGHT - height(bar.lines)} width={Math.max(0.5, width - 1)} height={(height(bar.lines) * Math.min(bar.canary, bar.lines)) / Math.max(1, bar.lines)} />}
              <rect class="severe" x={x} y={HEIGHT - height(bar.severe)} width={Math.max(0.5, (width - 1) * (hasCanary ? 0.4 : 1))} height={height(bar.severe)} />
            </g>
          );
        })}
      </svg>
      <figcaption>
        <span>{local(first.at)}</span>
        <span class="what">lines over time; {hasCanary ? "narrow red bars" : "red"}: errors{hasCanary ? "; orange, from the top: of canaries; some are both" : ""}{bars.some((bar) => bar.isPart) && "; pale: a stretch of time in part"}</span>
        <span>{local(last.until)}</span>
      </figcaption>
      <details>
        <summary>Show data</summary>
        <Scroll label="Data of the chart"><table class="numbers">
          <caption class="unseen">Lines over time</caption>
          <thead>
            <tr>
              <th scope="col">from</th>
              <th scope="col" class="number">lines</th>
              <th scope="col" class="number">errors</th>
              {hasCanary && <th scope="col" class="number">canaries</th>}
            </tr>
          </thead>
          <tbody>
            {bars.map((bar) => (
              <tr key={bar.at}>
                <td>
                  {bar.from}
                  {bar.isPart && <small>in part</small>}
                </td>
                <td class="number">{grouped(bar.lines)}</td>
                <td class="number">{grouped(bar.severe)}</td>
                {hasCanary && <td class="number">{grouped(bar.canary)}</td>}
              </tr>
            ))}
          </tbody>
        </table></Scroll>
      </details>
    </figure>
  );
}
