/** What Google, or whatever stood between, answered instead of what was asked for: made into a `GceError`, whatever form it has. */
import { systemErrorCode } from '../../../core/errors.ts';
import { GceError, type GceErrorDetail } from '../gce-error.ts';

/** Characters of a message that are kept: error pages are long. */
const longest = 600;

/** `body`: as received, JSON or not. `retryAfter`: the header, seconds or a date. `nowMs`: epoch. */
export function decodeFailure(call: string, status: number, body: string, retryAfter: string | null, nowMs: number): GceError {
  const retryAfterMs = waitOf(retryAfter, nowMs);
  const error = errorOf(body);
  if (error === null)
    return new GceError(shorten(textOf(body) || `HTTP ${status} without a message`), { status, reasons: [], details: [], call, retryAfterMs });
  const errors = records(error['errors']);
  const message = [error['message'], ...errors.map((one) => one['message'])].find((text) => typeof text === 'string' && text !== '') as string | undefined;
  return new GceError(shorten(message ?? `HTTP ${status} without a message`), {
    status,
    reasons: errors.flatMap(({ reason }) => (typeof reason === 'string' ? [reason] : [])),
    details: records(error['details']).flatMap(detailOf),
    call,
    retryAfterMs,
  });
}

/** No answer came: refused, reset, cut off, no such name. The cause holds neither headers nor bodies. */
export function noAnswer(call: string, thrown: unknown): GceError {
  const code = codeOf(thrown);
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  const message = code === undefined || said.includes(code) ? said : `${said} (${code})`;
  return new GceError(shorten(message), { status: null, reasons: [], details: [], call });
}

export function tooLate(call: string, ms: number): GceError {
  return new GceError(`no answer within ${Math.round(ms / 1000)} s`, { status: null, reasons: [], details: [], call });
}

/** A 2xx whose body is not what the API speaks: something else answered. */
export function notTheApi(call: string, body: string): GceError {
  return new GceError(`the answer is not from Compute Engine: ${shorten(textOf(body) || 'it is empty')}`, { status: null, reasons: [], details: [], call });
}

function errorOf(body: string): Readonly<Record<string, unknown>> | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return null;
  }
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  if (!isRecord(first)) return null;
  return isRecord(first['error']) ? first['error'] : null;
}

function detailOf(detail: Readonly<Record<string, unknown>>): readonly GceErrorDetail[] {
  const { reason, metadata, metadatas } = detail;
  if (typeof detail['@type'] !== 'string' || !detail['@type'].endsWith('google.rpc.ErrorInfo') || typeof reason !== 'string') return [];
  const all = { ...(isRecord(metadata) ? metadata : {}), ...(isRecord(metadatas) ? metadatas : {}) };
  const texts = Object.entries(all).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return [{ reason, metadata: Object.fromEntries(texts) }];
}

/** Of a page of HTML, its title, else its text. */
function textOf(body: string): string {
  const start = body.slice(0, 20_000);
  const title = /<title[^>]*>([^<]*)/i.exec(start)?.[1];
  const text = title ?? start.replace(/<[^>]*>/g, ' ');
  return text.replace(/\s+/g, ' ').trim();
}

/** Control characters out: it is shown in terminals. */
function shorten(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const clean = text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ' ');
  return clean.length <= longest ? clean : `${clean.slice(0, longest)}...`;
}

function waitOf(retryAfter: string | null, nowMs: number): number | null {
  if (retryAfter === null || retryAfter.trim() === '') return null;
  const seconds = Number(retryAfter);
  const ms = Number.isNaN(seconds) ? Date.parse(retryAfter) - nowMs : seconds * 1000;
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** The innermost system code: libraries wrap it. */
function codeOf(thrown: unknown): string | undefined {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 4; error = error.cause, depth++) {
    const code = systemErrorCode(error);
    if (code !== undefined) return code;
  }
  return undefined;
}

function records(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
