// What the program answers, as far as the screens read it (docs/report.md, docs/openapi.json).

export type Pair<T> = [T, T];
export type Num = number | null;

export interface Effect {
  kind: "ratio" | "difference" | "change";
  estimate: Num;
  low: Num;
  high: Num;
}

export type Finding =
  | "no data"
  | "undecided"
  | "held"
  | "regressed"
  | "changed"
  | "broken measurement";

/** What a number counted, as a search. */
export interface Counted {
  query: string;
  counted: string;
  count: Num;
}

export interface Guardrail {
  guardrail: string;
  label: string;
  margin: Num;
  finding: Finding;
  baseline: Num;
  canary: Num;
  values_in: "share" | "ms" | null;
  above: { threshold_ms: Num; baseline: Num; canary: Num } | null;
  effect: Effect | null;
  log_e: number | string | null;
  evidence: string | null;
  counts: Pair<number>;
  /** The lines that it counts, where the program keeps lines. */
  lines?: Record<"baseline" | "canary", Counted | null> | null;
}

export interface Place {
  stream: string;
  offset: number;
  time: string;
}

export interface Evidence extends Place {
  class: "error" | "slow";
  route: string;
  status: string | null;
  latency_ms: Num;
}

export interface Template {
  id: string;
  text: string;
  level: "error or worse" | "below error";
  change: "new" | "gone" | "up" | "down";
  instead_of: string | null;
  log_e: number | string | null;
  evidence: string;
  units: Pair<number>;
  lines: [number, number, number];
  per_thousand_requests: Pair<Num>;
  first_seen: string;
  baseline: Place[];
  canary: Place[];
  unattributed: Place[];
  /** Links to the lines, where the program keeps them. */
  query?: string | null;
}

export interface TemplatesOf {
  tested: number;
  followed: Num;
  lines_past_bound: number[];
  differ: number;
}

export interface Templates {
  below_error: TemplatesOf;
  error_or_worse: TemplatesOf;
  failing: string[];
  listed: Template[];
}

export interface Named {
  field: string;
  value: string;
}

export interface SegmentCell {
  segment: Named[];
  same_units: Named[];
  units: Pair<number>;
  erring: Pair<number>;
  excess: Num;
  of_excess: Num;
  of_units: Num;
  tests: Record<string, { finding: Finding; effect: Effect | null; log_e: number | string | null; evidence: string | null }>;
  lines?: Record<"units" | "erring", Record<"baseline" | "canary", Counted | null> | null> | null;
}

/** What of a behaviour changed, with its lines. */
export interface Changed {
  group: string;
  what: string;
  lines: Record<"baseline" | "canary", Counted | null> | null;
}

export interface Segments {
  fields: string[];
  found: boolean;
  unequal: string[];
  descriptive: {
    field: string;
    difference: Num;
    mix: Num;
    rate: Num;
    ratio: Num;
    adjusted_ratio: { estimate: Num; low: Num; high: Num } | null;
  } | null;
  cells: SegmentCell[];
  more: number;
  rest: { field: string; units: Pair<number>; erring: Pair<number> }[];
}

export interface Need {
  guardrail: string;
  counted: string;
  needed: Num;
  have: Num;
  seconds: Num;
  over_90_days: boolean;
}

export interface Conversion {
  event: string;
  harms: boolean;
  finding: Finding;
  baseline: Num;
  canary: Num;
  effect: Effect | null;
  log_e: number | string | null;
  evidence: string | null;
  counts: Pair<number>;
  at_least: number;
  met: Pair<number>;
  lines: number;
  without_unit: number;
  unassigned: number;
}

/** A metric of one's own. */
export interface Metric {
  metric: string;
  kind: "ratio" | "count" | "gauge";
  /** Field of lines that holds what they say. */
  field: string;
  harms: boolean;
  finding: Finding;
  baseline: Num;
  canary: Num;
  percentiles: Record<"baseline" | "canary", Num[]> | null;
  effect: Effect | null;
  log_e: number | string | null;
  evidence: string | null;
  counts: Pair<number>;
  lines: number;
  without_unit: number;
  unassigned: number;
  beyond: number;
}

export interface Totals {
  requests: number;
  errors: number;
  status: Record<string, number>;
  lines: number;
  spans: number;
  error_lines: number;
  warn_lines: number;
  business_events: number;
  without_unit: number;
  late: number;
  per_request: Record<string, Num>;
  p50_ms: Num;
  p99_ms: Num;
}

export interface Limit {
  limit: string;
  threshold_ms: Num;
  allowed: number;
  baseline: Num;
  canary: Num;
  both: Num;
  broken: boolean;
  holds_back: boolean;
  on_break: string;
  fails: boolean;
}

/** A ratio with its interval; `null`: not known, and of `high` without end. */
export interface Ratio {
  estimate: Num;
  low: Num;
  high: Num;
}

/** Another rollout that ran at the same time: *there* is its arm, *here* that of this one. */
export interface Overlap {
  service: string;
  control: string;
  candidate: string;
  joined_by: string;
  followed: Num;
  over: boolean;
  cells: { here: "baseline" | "canary"; there: "baseline" | "canary"; units: number; at_risk: number; erring: number; requests: number; failed: number }[];
  ratios: Record<"here" | "here_within" | "there" | "there_within", Ratio>;
  says: "explained_by_it" | "its_own" | "both" | "same_units" | "too_few" | null;
  explains_it: boolean;
}

export interface Age {
  age: string;
  units: Pair<number>;
  erring: Pair<number>;
  requests: Pair<number>;
  failed: Pair<number>;
  errors: Ratio | null;
  latency: Ratio | null;
  events: { event: string; at_risk: Pair<number>; met: Pair<number>; ratio: Ratio | null }[];
}

/** The difference by the time since units were first seen in their arm. */
export interface ByAge {
  followed: Num;
  moved: number;
  ages: Age[];
  says: { what: "errors" | "latency" | "event"; event: string | null; course: "gone" | "fades" | "grows"; later_from: string; first: Ratio; later: Ratio }[];
}

export interface Comparison {
  service: string;
  services: string[];
  control: string;
  candidate: string;
  control_from: string;
  verdict: Verdict;
  held_back_by_change: boolean;
  reasons: string[];
  assumption: string | null;
  failed_at: string | null;
  automatic_at: string | null;
  seconds_to_fail: Num;
  started_at: string;
  ended_at: string;
  /** Until when each arm was heard of. */
  active_until?: (string | null)[];
  rollout_end: { at: string; reason: string } | null;
  looks: number;
  strata: number;
  unit: string;
  units: Pair<number>;
  requests: Pair<number>;
  unassigned: number;
  routing: string;
  by_service: {
    environment: string;
    cell?: string;
    service: string;
    baseline: Totals;
    canary: Totals;
    /** Queries that find the lines, where the program keeps them. */
    queries?: Record<"baseline" | "canary", { requests: string | null; errors: string | null } | null>;
  }[];
  log_sum: number | string | null;
  log_fail: number | string | null;
  flaws: string[];
  declared_share: Num;
  sample_ratio: number | string | null;
  guardrails: Guardrail[];
  changed: Record<string, number | string | null>;
  changed_groups: string[];
  changes?: Changed[];
  needs: Need[];
  bounds_met: string[];
  history_hours: Num;
  unattributed_warnings: number;
  evidence: Evidence[];
  limits: Limit[];
  templates: Templates;
  conversions: Conversion[];
  metrics?: Metric[];
  segments: Segments | null;
  overlaps?: Overlap[];
  by_age?: ByAge | null;
  instances: Record<"baseline" | "canary", { seen: number; more: boolean; list: { instance: string; lines: number; requests: number; late: number }[] }>;
}

export type Verdict = "pass" | "fail" | "inconclusive" | "invalid";

export interface Survey {
  lines: number;
  requests: number;
  unit: string;
  arms: { by: string; path?: string };
  arm_fields: { path: string; values: number }[];
  roles: Record<string, { fields: { path: string; lines: number; unit?: string | null }[]; lines: number; requests: number }>;
  services: { environment: string; service: string; requests: number; spans: number; other_lines: number; arms: Record<string, number> }[];
  notes: string[];
}

export interface Placebos {
  environment: string;
  service: string;
  day: string;
  splits: number;
  failed: number;
  allowed: number;
  withheld: string | null;
}

export interface Report {
  version: number;
  verdict: Verdict;
  comparisons: Comparison[];
  nothing_to_compare: { service: string; reason: string; arms: { arm: string; requests: number }[] }[];
  records: { read: number; events: number; on_time: number; late: number; outside: number; rejects: Record<string, number> };
  survey: Survey;
  crashes: { stream: string; lines: number; arm: string | null }[];
  unread_fields: { field: string; role: string; lines: number }[];
  possible_duplicates: { bodies: number; lines: number };
  placebos?: Placebos[];
}

export interface RolloutRow {
  id: string;
  declared: boolean;
  environment: string | null;
  cell?: string;
  /** The cell that comes first and is not done. */
  waits_for?: string | null;
  services: string[];
  control?: string | null;
  candidate?: string | null;
  verdict: Verdict;
  automatic?: boolean;
  withheld?: string | null;
  reason: string;
  phase: string | null;
  step?: number | null;
  steps?: number;
  attempt?: number;
  began?: string | null;
  over: boolean;
  owners?: string[];
}

/** A template that somebody does not want to see for a while. */
export interface Muted {
  template: string;
  until_ms: number;
  actor: string;
  reason: string;
}

export interface RolloutFull extends RolloutRow {
  compared?: {
    service: string;
    environment: string;
    cell?: string;
    control: string;
    candidate: string;
    began: string;
    verdict: Verdict;
    would_pass: boolean;
    changed: string[];
    flaws: string[];
    regressed: string[];
    log10_e: number;
    control_units: number;
    candidate_units: number;
    at: string;
    over: boolean;
  }[];
  deliveries?: Delivery[];
  accepted?: string[];
  muted?: Muted[];
  commanded?: { command: string; actor: string; reason: string; clock_ms: number } | null;
}

export interface Delivery {
  id: string;
  hook: string;
  rollout: string;
  event: string;
  generation: number;
  decided_ms: number;
  ended_ms: number | null;
  expires_ms: number;
  state: "waiting" | "taken" | "given up";
  why: string | null;
}

export interface Hook {
  name: string;
  state: string;
  waiting: number;
  taken: number;
  given_up: number;
  last_given_up: { id: string; rollout: string; why: string } | null;
  last_answer: string | null;
}

export interface Status {
  status: "ok" | "waiting" | "trouble";
  trouble: string | null;
  waiting_for: string | null;
  hooks: Hook[];
  version: string;
  ledger_entries: number;
  journal_rows: number;
  caught_up: boolean;
  data_until: string | null;
  /** Lines that were read, whose windows wait for later ones. */
  lines_waiting: number;
  files: { followed: number; not_followed: number; unread_bytes: number } | null;
  placebos: Placebos[];
  not_reloaded: string | null;
  declared: number;
  found: number;
  not_listed: number;
  commands: boolean;
  /** What is in force, and where it comes from; secrets are never among it. */
  configuration: { file: string | null; settings: { name: string; value: string; from: "option" | "file" | "default" }[] } | null;
  masker: number;
  looked_for?: Record<string, string[]>;
  /** Reports as they were (`asof`). */
  reports?: { kept: number; bytes: number; oldest: string | null; keep_seconds: number; bytes_max: number; trouble: string | null };
  /** How far partitions of topics were read. */
  lag?: { records: number; seconds: number; partitions: { stream: string; next: number; end: Num; records: Num; seconds: Num }[] };
  index?: {
    is_off: boolean;
    lines: number | null;
    bytes: number | null;
    parts: number | null;
    damaged_parts: number | null;
    trouble: string | null;
    lost: number;
  };
}

export interface Session {
  name: string | null;
  scopes: string[];
  csrf: string | null;
  ends_ms: number | null;
  read_needs_token: boolean;
  commands: boolean;
}

/** The course of the guardrail that carries a verdict, for a row of a list. */
export interface Spark {
  service: string;
  control: string;
  candidate: string;
  guardrail: string | null;
  effects: ([Num, Num, Num] | null)[];
}

export interface Course {
  leading: string | null;
  service: string;
  control: string;
  candidate: string;
  guardrails: string[];
  /** `log_e` and `findings`: of each guardrail; none of looks that an earlier version took. */
  points: { at: string; log_sum: number; effects: ([Num, Num, Num] | null)[]; log_e?: (number | null)[]; findings?: (Finding | null)[] }[];
}

export interface TimelineEvent {
  number: number;
  at: string | null;
  entry: number;
  verdict: Verdict;
  verdict_before: Verdict | null;
  automatic: boolean;
  phase: string;
  phase_before: string | null;
  step: number;
  step_before: number | null;
  /** The row of the journal that it came by, a command or the clock; else it came by the ledger's entry. */
  row: number | null;
  attempt: number;
  over: boolean;
  reason: string;
  told: { event: string; generation: number }[];
  compared: {
    service: string;
    control: string;
    candidate: string;
    verdict: Verdict;
    units: Pair<number>;
    log10_e: number;
    /** Guardrails, metrics and events of one's own, and `error_lines`: those of level error that carry the failure. */
    regressed: { guardrail: string; log10_e: number }[];
    /** Limits whose break fails the rollout. */
    over_limit: string[];
    changed: string[];
    flaws: string[];
    at: string;
  }[];
  command: string | null;
  actor: string | null;
  command_reason: string | null;
  finding: string | null;
  clock_ms: number | null;
  until_ms: number | null;
}

export interface Timeline {
  events: TimelineEvent[];
  forgotten: number;
}

/** A line as search finds it; what decoding says of it has names that begin with `_`. */
export interface FoundLine {
  time: string;
  stream: string;
  position: number;
  cursor: string;
  line: string;
  highlights?: { field: string; from: number; to: number }[];
  [told: `_${string}`]: string;
}

export interface Found {
  query: string;
  lines: FoundLine[];
  total: { lines: number; is_exact: boolean; is_estimate?: boolean };
  partial: string | null;
  next: string | null;
  took_ms: number;
}

/** Groups of lines, with what was asked of each. */
export interface Group {
  from?: string;
  key: Record<string, string | null>;
  lines: number;
  distinct?: number;
  quantiles?: Record<string, Num>;
}

export interface GroupTable {
  groups: Group[];
  lines: number;
  partial: string | null;
}

export type PanelKind = "Rollouts" | "DeltaTable" | "TemplateDiff" | "TimeSeries" | "Table" | "Lines" | "Metrics";

export interface Panel {
  name: string;
  kind: PanelKind;
  title: string;
  spec: Record<string, string | number | string[]>;
  place: { x: number; y: number; width: number; height: number } | null;
}

export interface Board {
  name: string;
  title: string;
  description: string;
  duration_seconds: number;
  variables: { name: string; default: string }[];
  panels: Panel[];
}

export interface BoardRow {
  name: string;
  title: string;
  description: string;
  file: string | null;
  problems: string | null;
}

export interface Trial {
  id: string;
  is_taken: boolean;
  words: string | null;
  took_ms: number;
  body: unknown;
}

/** An estimate with its interval for a single look. */
export interface Estimate {
  value: Num;
  low: Num;
  high: Num;
}

/** Queries of lines: of those that were exposed, and of uses. */
export interface LinesOfUnits {
  exposed: string | null;
  used: string | null;
}

export interface Adopted {
  exposed: number;
  used: number;
  rate: Estimate | null;
}

export interface CurvePoint {
  age_s: number;
  used: Estimate;
}

export interface FunnelStep {
  name: string;
  units: number;
  of_first: Estimate | null;
  of_before: Estimate | null;
  lines: string | null;
}

export interface WhoSegment {
  field: string;
  value: string;
  adopted: Adopted;
  found: boolean;
  log_e: number;
  rate_ratio: Estimate;
  lift: Estimate | null;
  difference: Estimate | null;
  same_units: { field: string; value: string; overlap: number }[];
  lines: LinesOfUnits | null;
}

/** Who uses a feature (docs/who.md). */
export interface WhoAnswer {
  asked: { used: string; exposed: string; unit: string; steps: string[]; within: string; segments: string[] };
  lines: { read: number; without_unit: number; rejected: number };
  queries: LinesOfUnits | null;
  span: Pair<string>;
  followed_one_of: number;
  units: { seen: number; standard_error: number; busy: number };
  adopted: Adopted;
  used_without_exposure: number;
  first_use: { by_age: CurvePoint[]; median_s: Num; curve: CurvePoint[] };
  uses: Record<string, number>;
  days: Record<string, number>;
  retention: { day: string; units: number; again: { units: number; whole_day: boolean; lines: string | null }[] }[];
  steps: FunnelStep[];
  arms: { arm: string; adopted: Adopted; funnel: FunnelStep[]; curve: CurvePoint[]; lines: LinesOfUnits | null }[];
  segments: WhoSegment[];
  segments_tested: number;
  is_sampled: boolean;
  partial: string | null;
  took_ms: number;
}
