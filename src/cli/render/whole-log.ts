/** A job's log as part of one JSON document. */
import type { JobEvent } from '../../workflows/job-event.ts';

interface WholeLog {
  readonly onEvent: (event: JobEvent) => void;
  /** `stderr` and `gaps` only where there are any. */
  document(): { readonly log: string; readonly stderr?: string; readonly gaps?: readonly object[] };
}

/** Bytes that are no UTF-8 become U+FFFD, also halves of a character at the edge of what is gone. */
export function createWhole(): WholeLog {
  const texts = { out: createText(), err: createText() };
  const gaps: object[] = [];
  return {
    onEvent: (event) => {
      if (event.type === 'log') texts[event.stream ?? 'out'].add(event.bytes);
      if (event.type !== 'gap') return;
      texts[event.stream ?? 'out'].end();
      gaps.push({ ...(event.stream === 'err' ? { stream: 'stderr' } : {}), from: event.from, to: event.to });
    },
    document: () => {
      const stderr = texts.err.all();
      return { log: texts.out.all(), ...(stderr === '' ? {} : { stderr }), ...(gaps.length === 0 ? {} : { gaps }) };
    },
  };
}

function createText() {
  const decoder = new TextDecoder();
  const text: string[] = [];
  const end = () => void text.push(decoder.decode());
  return {
    add: (bytes: Uint8Array) => void text.push(decoder.decode(bytes, { stream: true })),
    end,
    all: () => {
      end();
      return text.join('');
    },
  };
}
