// Numbers and times in words.

import type { Effect, Num } from "./types";

const MINUS = "\u2212";
/** One minus wherever a number is negative, and none before nothing. */
const minus = (text: string): string => (/^-[0.,]*$/.test(text) ? text.slice(1) : text.replace(/^-/, MINUS));

/** A number with so many digits behind the point, and its thousands apart. */
export const fixed = (value: number, digits: number): string => minus(value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }));

export function signed(value: number, digits: number): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : "+") + fixed(Math.abs(value), digits);
}

export const grouped = (value: number): string => minus(Math.round(value).toLocaleString("en-GB"));

/** A number with three digits that count, and its thousands apart. */
export const three = (value: number): string => (Math.abs(value) >= 1_000 ? grouped(value) : minus(value.toPrecision(3)));

export function percent(share: Num): string {
  if (share === null) return "\u2013";
  const value = share * 100;
  return `${minus(value.toFixed(Math.abs(value) >= 10 ? 1 : 2))}\u00a0%`;
}

/** What is said wherever latencies stand that were counted by steps. */
export const STEPS = "Latencies are counted in steps of 1.6\u00a0% at most, and told as the middle of their step.";

export function millis(value: Num): string {
  if (value === null) return "\u2013";
  if (value >= 10_000) return `${fixed(value / 1000, 1)} s`;
  return `${fixed(value, value >= 100 ? 0 : 1)} ms`;
}

export function valueOf(value: Num, unit: "share" | "ms" | null): string {
  if (unit === "share") return percent(value);
  if (unit === "ms") return millis(value);
  return value === null ? "\u2013" : three(value);
}

/** One end of an effect in its unit. */
export function effectValue(kind: Effect["kind"], value: Num): string {
  if (value === null) return "\u221e";
  if (kind === "ratio") return `\u00d7${fixed(value, value >= 100 ? 0 : 2)}`;
  if (kind === "difference") return `${signed(value * 100, 2)} pp`;
  return `${signed(value * 100, 1)} %`;
}

export function effectWords(effect: Effect): string {
  return `${effectValue(effect.kind, effect.estimate)} [${effectValue(effect.kind, effect.low)}, ${effectValue(effect.kind, effect.high)}]`;
}

/** The same effect seen from the other side: of the baseline against the canary. */
export function swapped(effect: Effect): Effect {
  const turn = (value: Num): Num => {
    if (value === null) return effect.kind === "ratio" ? 0 : null;
    if (effect.kind === "difference") return -value;
    if (effect.kind === "ratio") return value === 0 ? null : 1 / value;
    return value <= -1 ? null : 1 / (1 + value) - 1;
  };
  return { kind: effect.kind, estimate: turn(effect.estimate), low: turn(effect.high), high: turn(effect.low) };
}

/** An effect on a scale on which no change is 0 and halving is as far as doubling. */
export function onScale(kind: Effect["kind"], value: Num, ifNull: number): number {
  if (value === null) return ifNull;
  if (kind === "difference") return value;
  if (kind === "ratio") return value <= 0 ? -Infinity : Math.log(value);
  return value <= -1 ? -Infinity : Math.log1p(value);
}

/** The way back. */
export function fromScale(kind: Effect["kind"], value: number): number {
  if (kind === "difference") return value;
  if (kind === "ratio") return Math.exp(value);
  return Math.expm1(value);
}

export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s}\u00a0s`;
  if (s < 600 && s % 60 > 0) return `${Math.floor(s / 60)}\u00a0min\u00a0${s % 60}\u00a0s`;
  const m = Math.round(s / 60);
  if (m < 90) return `${m}\u00a0min`;
  const h = s / 3600;
  if (h < 48) return `${Number(h.toFixed(h < 10 ? 1 : 0))}\u00a0h`;
  return `${grouped(h / 24)}\u00a0days`;
}

/** A number of bytes. */
export function bytes(value: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, value)) / 10)));
  const size = value / 2 ** (10 * power);
  return `${power === 0 ? grouped(size) : size.toFixed(size >= 100 ? 0 : 1)} ${units[power]}`;
}

export const between = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1000;

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

/** Time of day here; with the day where it is another than today. */
export function local(at: string | number, now = Date.now()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday ? TIME.format(date) : `${DAY.format(date)}, ${TIME.format(date)}`;
}

export function utc(at: string | number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

const RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
/** A whole number as an exponent. */
const raised = (value: number): string => [...String(value)].map((digit) => RAISED[Number(digit)] ?? digit).join("");

/** What evidence says, for whoever points at it. */
export const EVIDENCE = "By what factor the data speak against “not worse”: weak from 3, clear from 20, strong from 100, very strong from 1,000, decisive from 10,000.";

/** What a pass still needs more of, in words. */
export function neededWords(counted: string, unit: string): string {
  const words: Record<string, string> = { "erring units": `${unit}s with an error`, "canary units": `${unit}s of the canary`, "canary requests": "requests of the canary" };
  return words[counted] ?? counted;
}

/** An e-value from its natural logarithm: in one notation wherever it stands. Below 3 it says nothing. */
export function evidence(logE: number | string | null | undefined): string {
  if (logE === null || logE === undefined) return "\u2013";
  if (typeof logE === "string") return logE === "inf" ? "beyond all measure" : logE;
  const tens = logE / Math.LN10;
  if (tens >= 6) return `10${raised(Math.round(tens))}`;
  const e = Math.exp(logE);
  if (e < 3) return "none";
  return e >= 100 ? grouped(e) : e.toFixed(e >= 10 ? 0 : 1);
}

/** Text of logs: signs that change how what stands around them is read are shown as what they are. */
export function harmless(text: string, most = 2_000): string {
  const cut = text.length > most ? `${text.slice(0, most)}\u2026` : text;
  return cut.replace(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => `\\u{${sign.charCodeAt(0).toString(16)}}`,
  );
}
