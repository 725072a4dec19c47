/** How a job ended, in the words of its last record. */
import { constants } from 'node:os';
import type { JobEnd } from '../src/protocol/job.ts';
import { type EndRequest, reasonOf } from './end-request.ts';
import type { PhaseEnd } from './phase.ts';

export function endedOnRequest(request: EndRequest, code: number | null): JobEnd {
  return { code, signal: signalOf(code), ...reasonOf(request, code) };
}

export function describeEnd(end: PhaseEnd, request: EndRequest | null): JobEnd {
  switch (end.kind) {
    case 'exited': {
      if (request !== null) return endedOnRequest(request, end.code);
      const signal = signalOf(end.code);
      return { code: end.code, signal, reason: signal === null ? 'exit' : 'signal', detail: null };
    }
    case 'shim-killed': {
      const code = 128 + constants.signals[end.signal];
      return { code, signal: end.signal, reason: request === null ? 'signal' : (request.why ?? 'cancelled'), detail: null };
    }
    case 'not-started':
      return { code: 126, signal: null, reason: 'not-started', detail: end.problem };
    case 'vanished':
      return request !== null ? { ...endedOnRequest(request, null), detail: end.detail } : { code: null, signal: null, reason: 'lost', detail: end.detail };
  }
}

/** A shell says 128+N after signal N. A program may exit with such a code by itself; by convention it means the same. */
function signalOf(code: number | null): string | null {
  if (code === null || code <= 128) return null;
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0] ?? null;
}
