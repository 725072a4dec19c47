/** The machine fetches its Node itself, or says soon that it can not. */
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { downloadNode } from '../../../src/runner/node-download.ts';
import { pipeTransport } from '../../support/runner.ts';

const find = (tool: string) => ['/usr/bin', '/bin'].map((folder) => join(folder, tool)).find((file) => existsSync(file));

test.each(['curl', 'wget'])('%s tries once: there is another way', async (fetcher) => {
  const root = mkdtempSync(join(tmpdir(), 'gpu-run-download-'));
  let asked = 0;
  const server = createServer((socket) => {
    asked += 1;
    socket.on('error', () => {}).once('data', () => socket.destroy());
  });
  try {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const bin = join(root, 'bin');
    mkdirSync(bin);
    for (const tool of ['sh', 'mkdir', 'rm', 'tar', 'gzip', fetcher]) symlinkSync(find(tool) ?? '/nowhere', join(bin, tool));
    const transport = pipeTransport({ HOME: root, PATH: bin });
    expect(await downloadNode(transport, root, 'x64', `http://127.0.0.1:${port}/dist`, new AbortController().signal)).toBeNull();
    expect(asked).toBe(find(fetcher) === undefined ? 0 : 1);
  } finally {
    server.close();
    rmSync(root, { recursive: true, force: true });
  }
});
