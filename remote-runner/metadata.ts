/**
 * Google's metadata server, as a machine on Compute Engine sees it. Asked nowhere else: the address belongs to other things in
 * other places. What answers is not trusted to be it: it has to introduce itself, and a value is short text.
 */
import { join } from 'node:path';
import { readText } from './durable.ts';

export interface MetadataValue {
  readonly text: string;
  /** Names this state of the value; null: the server does not say. */
  readonly etag: string | null;
}

/** Milliseconds that the server may hold back its answer while nothing changes. */
export interface MetadataPatience {
  readonly holdMs: number;
  /** Beyond that; a look that does not wait has this alone. */
  readonly answerMs: number;
}

export const metadataPatience: MetadataPatience = { holdMs: 60_000, answerMs: 10_000 };

const mostBytes = 4_096;

/**
 * Base address; null: this is no machine on Compute Engine, or nobody may look (`METADATA_SERVER_DETECTION=none`).
 * `GCE_METADATA_HOST` and the other variable mean what they mean to Google's own libraries.
 */
export function metadataServer(env: NodeJS.ProcessEnv, root = '/'): string | null {
  const named = env['GCE_METADATA_HOST'];
  if (named !== undefined && named !== '') return /^[A-Za-z0-9.-]+(:\d{1,5})?$/.test(named) ? `http://${named}` : null;
  if (env['METADATA_SERVER_DETECTION'] === 'none') return null;
  return productName(root) === 'Google Compute Engine' ? 'http://metadata.google.internal' : null;
}

function productName(root: string): string | null {
  try {
    return readText(join(root, 'sys/class/dmi/id/product_name'))?.trim() ?? null;
  } catch {
    return null;
  }
}

/** `last`: wait for another state of the value than this. @throws Error when the server does not answer, or something else does */
export async function askMetadata(server: string, key: string, last: string | null, signal: AbortSignal, patience = metadataPatience): Promise<MetadataValue> {
  const { holdMs, answerMs } = patience;
  const url = new URL(`/computeMetadata/v1/${key}`, server);
  if (last !== null) {
    url.searchParams.set('wait_for_change', 'true');
    url.searchParams.set('timeout_sec', String(Math.max(1, Math.round(holdMs / 1000))));
    url.searchParams.set('last_etag', last);
  }
  const limit = AbortSignal.any([signal, AbortSignal.timeout(last === null ? answerMs : holdMs + answerMs)]);
  // Only now: to import it makes Node load all of undici, for the WebSocket among its exports, two thirds more of what the runner takes to start.
  const { request } = await import('node:http');
  return await new Promise((resolve, reject) => {
    const asked = request(url, { headers: { 'Metadata-Flavor': 'Google' }, agent: false, signal: limit }, (answer) => {
      const fail = (why: string) => {
        asked.destroy();
        reject(new Error(`${url.host}: ${why}`));
      };
      if (answer.statusCode !== 200) return fail(`HTTP ${answer.statusCode}`);
      if (answer.headers['metadata-flavor'] !== 'Google') return fail('not a metadata server');
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece: string) => {
        text += piece;
        if (text.length > mostBytes) fail('too long an answer');
      });
      answer.on('error', reject);
      answer.on('end', () => resolve({ text: text.trim(), etag: answer.headers.etag ?? null }));
    });
    asked.on('error', reject);
    asked.end();
  });
}
