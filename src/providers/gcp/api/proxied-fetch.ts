/** `fetch` for Google's smaller APIs, over the same connections and the same proxy as the client library's calls. Follows no redirect. */
import { type Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';

export interface FetchOptions {
  readonly method?: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export type Fetch = (url: string | URL, options: FetchOptions) => Promise<Response>;

/** Rejects with the signal's reason, or with what the network did. */
export function createFetch(agent: (url: URL) => HttpAgent): Fetch {
  return async (address, { method = 'GET', headers, body, signal }) => {
    signal.throwIfAborted();
    const url = new URL(address);
    const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
    try {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        send(url, { agent: agent(url), method, headers, signal }, resolve)
          .on('error', reject)
          .end(body);
      });
      const content = await buffer(answer);
      const empty = answer.statusCode === 204 || answer.statusCode === 304;
      return new Response(empty ? null : content, { status: answer.statusCode ?? 500, headers: plainHeaders(answer) });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  };
}

function plainHeaders({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])));
}
