// No rollout: what was looked for, what was found, and the next command.

import { grouped, harmless } from "../lib/format";
import { report, status, waitingFor } from "../lib/live";

function found(): string {
  const roles = report.value?.survey.roles;
  if (!roles) return "";
  const arms = ["version", "cohort", "variant"].flatMap((name) => {
    const role = roles[name];
    return role && role.lines > 0 ? [`${name} (${role.fields.map((of) => of.path).join(", ")}) on ${grouped(role.lines)}`] : [];
  });
  const lines = report.value?.survey.lines ?? 0;
  return `Of the first ${grouped(lines)} lines: ${arms.length ? arms.join("; ") : "none names a version, cohort or variant"}.`;
}

export function Empty() {
  const names = status.value?.looked_for;
  const alone = report.value?.nothing_to_compare ?? [];
  return (
    <section class="empty">
      <h2>No rollouts seen</h2>
      <p>A rollout begins when two versions (or cohorts) of one service serve requests side by side.</p>
      {waitingFor.value && <p>Waiting for {harmless(waitingFor.value, 200)}.</p>}
      {report.value && (
        <p>
          {grouped(report.value.records.read)} lines so far. {found()}
        </p>
      )}
      {alone.length > 0 && (
        <ul>
          {alone.slice(0, 20).map((of) => (
            <li key={of.service}>
              <b>{harmless(of.service, 80)}</b>: {harmless(of.reason, 300)}
              {of.arms.length > 0 && ` (${of.arms.map((arm) => `${harmless(arm.arm, 40)}: ${grouped(arm.requests)} requests`).join(", ")})`}
            </li>
          ))}
        </ul>
      )}
      <h3>Send lines</h3>
      <pre>
        <code>{`curl --data-binary @app.log ${location.origin}/ingest`}</code>
      </pre>
      <p>
        Each request line needs a time, a service, a version (or cohort) and a status or latency; with a user, users are counted. What a line is understood as:{" "}
        <code>{`curl --data-binary @app.log '${location.origin}/ingest?debug=1'`}</code>
      </p>
      {names && (
        <details>
          <summary>Field names that are looked for</summary>
          <table class="numbers">
            <caption class="unseen">Field names by role</caption>
            <tbody>
              {Object.entries(names).map(([role, list]) => (
                <tr key={role}>
                  <th scope="row">{role}</th>
                  <td>
                    <code>{list.join(", ")}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </section>
  );
}
