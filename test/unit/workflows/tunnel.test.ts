/** Plain `ssh NAME` to a machine without an address, by the generated config; and what its ProxyCommand runs. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type Duplex, PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Access, HostKey } from '../../../src/core/machine.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { createFakeProvider } from '../../../src/testing/fake-provider.ts';
import { generateKeyPair } from '../../../src/transport/host-keys.ts';
import { writeSshConfig } from '../../../src/workflows/ssh-config.ts';
import { dialThrough, tunnel } from '../../../src/workflows/tunnel.ts';
import { type LocalServer, startLocalServer } from '../../contract/transport-local-server.ts';
import { createFakeContext, type FakeContext } from './fake-context.ts';

let fake: FakeContext;
let server: LocalServer;
let open: (to: Readonly<Record<string, unknown>>) => Promise<Duplex>;

beforeEach(async () => {
  server = await startLocalServer();
  fake = createFakeContext((clock) => {
    const provider: Provider = { ...createFakeProvider({ clock }), tunnel: { open: (to) => open(to) } };
    return { fake: provider, plain: createFakeProvider({ clock, id: 'plain' }) };
  });
});
afterEach(async () => {
  fake[Symbol.dispose]();
  await server.close();
});

function machine(access: Partial<Extract<Access, { kind: 'own' }>>, provider = 'fake'): void {
  const { ledger, self } = fake.context;
  const price = { perHour: 0, currency: 'USD' } as const;
  const offer = { provider, region: null, zone: null, type: 't', gpu: null, spot: false, price, asOf: 0, source: 's', available: null };
  const intent = { id: 'cats-1', name: 'cats', provider, owner: 'o', labels: {}, requestId: 'r', offer, template: null, deadline: 4e12, idleSeconds: null };
  ledger.open({ ...intent, budgetUsd: null, forOneJob: false, user: 'u', branch: null, holder: self });
  ledger.note('cats-1', { fact: 'launched', ref: { provider, id: 'cats-1', name: 'cats', labels: {}, createdAt: null, data: {} } });
  ledger.note('cats-1', {
    fact: 'ready',
    access: { kind: 'own', host: 'cats', port: 22, user: server.user, hostKeys: [server.hostKeys.publicKey], ...access },
  });
}

describe('what the ProxyCommand runs', () => {
  const run = (input: Uint8Array, stdout: PassThrough) => tunnel({ name: 'cats', stdin: Readable.from([input]), stdout }, fake.context);

  test("carries bytes both ways, to where the machine's access says", async () => {
    machine({ tunnel: { zone: 'z' } });
    const echo = createServer({ allowHalfOpen: true }, (client) => client.pipe(client)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const asked: unknown[] = [];
    open = async (to) => {
      asked.push(to);
      return connect((echo.address() as { port: number }).port, '127.0.0.1');
    };
    const bytes = Buffer.alloc(1_000_000, 'abc');
    const stdout = new PassThrough();
    const back = buffer(stdout);
    await run(bytes, stdout);
    stdout.end();
    expect((await back).equals(bytes)).toBe(true);
    expect(asked).toEqual([{ zone: 'z' }]);
    echo.close();
  });

  test('a machine with an address of its own, none of that name, a provider without tunnels', async () => {
    await expect(run(Buffer.alloc(0), new PassThrough())).rejects.toMatchObject({ code: 'not-found' });
    machine({});
    await expect(run(Buffer.alloc(0), new PassThrough())).rejects.toMatchObject({ code: 'usage' });
    const entry = fake.context.ledger.get('cats-1');
    expect(entry && dialThrough(entry, fake.context.providers)).toBeNull();
  });

  test('a provider without tunnels: our bug', async () => {
    machine({ tunnel: {} }, 'plain');
    await expect(run(Buffer.alloc(0), new PassThrough())).rejects.toMatchObject({ code: 'internal' });
  });
});

function hasSsh(): boolean {
  try {
    execFileSync('ssh', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasSsh() || process.platform === 'win32')('plain ssh', () => {
  /** A program that stands for gpu-run, in a folder whose name a shell and OpenSSH could misread. */
  async function ssh(hostKeys: readonly HostKey[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const folder = join(server.folder, `it's 100%h "here" $(touch pwned)`);
    mkdirSync(folder);
    const program = join(folder, 'run.cjs');
    writeFileSync(
      program,
      `require('fs').writeFileSync(__filename + '.args', JSON.stringify([process.argv.slice(2), process.env.GPU_RUN_HOME]));
       const s = require('net').connect(${server.port}, '127.0.0.1'); process.stdin.pipe(s); s.pipe(process.stdout);`,
    );
    machine({ tunnel: { zone: 'z' }, hostKeys });
    const { home } = fake.context;
    mkdirSync(home.keys, { recursive: true });
    copyFileSync(server.identityFile, join(home.keys, 'cats-1'));
    chmodSync(join(home.keys, 'cats-1'), 0o600);
    writeSshConfig({ ...fake.context, program: [process.execPath, program] });
    const child = spawn('ssh', ['-F', home.sshConfig, '-o', 'BatchMode=yes', 'cats', 'echo', 'here'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: server.folder,
    });
    const [stdout, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'exit')]);
    expect(existsSync(`${program}.args`), stderr.toString()).toBe(true);
    expect(JSON.parse(readFileSync(`${program}.args`, 'utf8'))).toEqual([['tunnel', 'cats'], home.root]);
    expect(() => readFileSync(join(server.folder, 'pwned'))).toThrow();
    return { code: child.exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  test('reaches the machine through the tunnel, whatever the names of folders', async () => {
    expect(await ssh([server.hostKeys.publicKey])).toMatchObject({ code: 0, stdout: 'here\n' });
  });

  test('a host key that is not the known one ends it', async () => {
    const { code, stderr } = await ssh([generateKeyPair().publicKey]);
    expect(code).toBe(255);
    expect(stderr).toContain('Host key verification failed');
  });
});
