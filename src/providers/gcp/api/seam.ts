/**
 * The one place where requests to Compute Engine leave: Google's library makes them, and what it would send comes here. Adds the
 * token, minds the proxy and the caller's signal, reads the answer as the API sent it (the library drops fields it doesn't know and
 * renames others), decodes errors, and tells the log.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../../../core/clock.ts';
import { GpuRunError } from '../../../core/errors.ts';
import { GceError } from '../gce-error.ts';
import { decodeFailure, noAnswer, notTheApi } from './failed-call.ts';
import { createSender, type GoogleClient } from './google-clients.ts';
import { type CallLimits, type Repeatable, repeatCall, untilAborted } from './repeat-call.ts';
import type { Tokens } from './tokens.ts';

export type Json = Readonly<Record<string, unknown>>;

export interface Call {
  readonly client: GoogleClient;
  readonly method: string;
  /** Fields of the method's request message. */
  readonly request: Json;
  readonly repeatable: Repeatable;
  readonly limits?: CallLimits;
  readonly signal: AbortSignal | undefined;
}

export interface SeamParts {
  readonly tokens: Tokens;
  /** Of Compute Engine. */
  readonly origin: string;
  readonly agent: (url: URL) => unknown;
  readonly clock: Clock;
  readonly limits: CallLimits;
  readonly log: (line: string) => void;
  readonly random: () => number;
}

/** One try of one call. */
interface Try {
  readonly call: string;
  readonly signal: AbortSignal;
  outcome?: { readonly answer: Json } | { readonly failure: unknown };
}

/** More than any page of what is listed here. */
const largestAnswer = 128 * 1024 * 1024;

/** Resolves to the answer's JSON. @throws GceError; GpuRunError `not-allowed` or `connection` of the credentials; the signal's reason */
export type Ask = (call: Call) => Promise<Json>;

export function createSeam(parts: SeamParts): Ask {
  const { tokens, origin, clock } = parts;
  const tries = new AsyncLocalStorage<Try>();
  const auth = {
    getClient: async () => ({ universeDomain: 'googleapis.com' }),
    fetch: async (url: string, init: { readonly method: string; readonly headers: Headers; readonly body?: string }) => {
      const current = tries.getStore();
      if (current === undefined) throw new Error('A request of the client library that nobody has asked for');
      try {
        current.outcome = { answer: await exchange(current, url, init) };
      } catch (failure) {
        current.outcome = { failure };
      }
      return new Response('{}', { headers: { 'content-type': 'application/json' } });
    },
  };
  const send = createSender(auth, origin);

  const exchange = async (current: Try, url: string, init: { readonly method: string; readonly headers: Headers; readonly body?: string }): Promise<Json> => {
    for (let renewed = false; ; renewed = true) {
      const { call, signal } = current;
      const headers = new Headers(init.headers);
      for (const [name, value] of await untilAborted(tokens.headers(), signal)) headers.set(name, value);
      const answer = await request(current, parts, url, { ...init, headers });
      if (answer.status === 401 && !renewed) {
        tokens.renew();
        continue;
      }
      if (answer.status < 200 || answer.status > 299) {
        const failure = decodeFailure(call, answer.status, answer.text, answer.retryAfter, clock.now());
        throw blaming(failure, tokens);
      }
      return parseAnswer(call, answer.text);
    }
  };

  return async ({ client, method, request: fields, repeatable, limits = parts.limits, signal }) => {
    const call = `${client.replaceAll('_', ' ')} ${method}`;
    signal?.throwIfAborted();
    const attempt = async (stop: AbortSignal): Promise<Json> => {
      const current: Try = { call, signal: stop };
      try {
        await tries.run(current, () => send(client, method, fields));
      } catch (thrown) {
        throw new GpuRunError(
          'internal',
          `Google's client library could not make the request for ${call}: ${thrown instanceof Error ? thrown.message : thrown}`,
          {
            cause: thrown,
          },
        );
      }
      const { outcome } = current;
      if (outcome === undefined) throw new GpuRunError('internal', `Google's client library sent nothing for ${call}.`);
      if ('failure' in outcome) throw outcome.failure;
      return outcome.answer;
    };
    return await repeatCall(attempt, { call, repeatable, limits, clock, signal, random: parts.random });
  };
}

/** Whose credentials were refused, or are not good enough. */
function blaming(failure: GceError, tokens: Tokens): GceError {
  if (failure.status === 401) return failure.about(tokens.source());
  return failure.status === 403 ? failure.of(tokens.source()) : failure;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | null;
}

async function request(
  { call, signal }: Try,
  { agent, clock, log }: SeamParts,
  url: string,
  init: { readonly method: string; readonly headers: Headers; readonly body?: string },
): Promise<Answer> {
  const { gaxios } = await import('google-auth-library');
  const started = clock.now();
  const said = (how: string) => log(`${init.method} ${url.replace(/\?$/, '')} ${how} ${Math.round(clock.now() - started)} ms`);
  try {
    const sent = new gaxios.Gaxios().request<string>({
      url,
      method: init.method as 'GET',
      headers: init.headers,
      ...(init.body === undefined ? {} : { body: init.body as never }),
      agent: agent as never,
      signal,
      responseType: 'text',
      redirect: 'manual',
      maxContentLength: largestAnswer,
      validateStatus: () => true,
      retry: false,
    });
    const { status, data, headers } = await untilAborted(sent, signal);
    said(String(status));
    return { status, text: typeof data === 'string' ? data : '', retryAfter: headers.get('retry-after') };
  } catch (thrown) {
    said(signal.aborted ? 'stopped' : 'no answer');
    if (signal.aborted) throw signal.reason;
    throw thrown instanceof GceError ? thrown : noAnswer(call, thrown);
  }
}

function parseAnswer(call: string, text: string): Json {
  let answer: unknown;
  try {
    answer = text === '' ? {} : JSON.parse(text);
  } catch {
    throw notTheApi(call, text);
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) throw notTheApi(call, text);
  return answer as Json;
}
