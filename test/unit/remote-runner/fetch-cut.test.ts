import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchFolder } from '../../../remote-runner/fetch-record.ts';
import { type FetchingMachine, makeFetchingMachine } from '../../support/fetching.ts';
import { cutAfter, type FileServer, startFileServer } from '../../support/file-server.ts';
import { readTree } from '../../support/tree.ts';

let server: FileServer;
let machine: FetchingMachine;
beforeEach(async () => {
  server = await startFileServer();
  machine = makeFetchingMachine();
});
afterEach(async () => {
  machine.remove();
  await server[Symbol.asyncDispose]();
});

const content = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251));

function serve(bytes: Uint8Array, etag: string, path: string): string {
  server.files.set(path, { bytes, etag });
  return `${server.url}${path}`;
}

describe('a fetch that is cut', () => {
  it('at any point leaves nothing half under its name, and the next one brings what is missing', async () => {
    const files = ['a', 'b', 'c'].map((name) => ({ name, bytes: content.subarray(0, 250_000 + name.charCodeAt(0)) }));
    for (const { name, bytes } of files) serve(bytes, `"${name}"`, `/${name}`);
    const sources = files.map(({ name }) => ({ from: `${server.url}/${name}`, to: `data/${name}` }));
    const cut = fc.record({ questions: fc.nat(6), bytes: fc.nat(260_000) });
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 3 }), async (cuts) => {
        const there = makeFetchingMachine();
        const at = (name: string) => join(there.workdir, 'data', name);
        try {
          for (const { questions, bytes: sent } of cuts) {
            const stop = new AbortController();
            let asked = 0;
            server.misbehave = (request, answer, file) => {
              asked += 1;
              if (asked <= questions) return false;
              answer.on('close', () => stop.abort());
              return cutAfter(sent)(request, answer, file);
            };
            await there.fetch(sources, { signal: stop.signal }).catch(() => {});
            for (const { name, bytes } of files) expect(!existsSync(at(name)) || readFileSync(at(name)).equals(bytes)).toBe(true);
          }
          server.misbehave = null;
          expect((await there.fetch(sources)).warnings).toEqual([]);
          for (const { name, bytes } of files) expect(readFileSync(at(name)).equals(bytes)).toBe(true);
        } finally {
          there.remove();
        }
      }),
      { numRuns: 8 },
    );
  });

  it('between placing a file and writing that down knows it as its own', async () => {
    const from = serve(content, '"one"', '/pets.bin');
    const record = join(fetchFolder(machine.root, 'data/x'), 'record.json');
    server.misbehave = () => {
      if (server.asked.length === 2) mkdirSync(join(record, 'in the way'), { recursive: true });
      return false;
    };
    await expect(machine.fetch([{ from }])).rejects.toMatchObject({ code: 'sync' });
    expect(readFileSync(join(machine.workdir, 'data/x')).equals(content)).toBe(true);
    rmSync(record, { recursive: true });
    expect(await machine.fetch([{ from }])).toMatchObject({ fetchedBytes: 0, warnings: [] });
    await machine.fetch([], { gone: ['data/x'] });
    expect(readTree(machine.workdir)).toEqual({ 'data/': 'dir 755' }); // the folder was never written down
  });
});
