import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { isAlive, mayBeAlive, ownIdentity, type ProcessIdentity, psStart } from '../../../src/core/process-identity.ts';

test.skipIf(spawnSync('ps', ['-o', 'lstart=', '-p', '1']).status !== 0)("what `ps` says of a process does not depend on the reader's time zone", () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  const said = ['UTC', 'Asia/Tokyo'].map((zone) => {
    vi.stubEnv('TZ', zone);
    return psStart(process.pid);
  });
  expect(said[0]).toMatch(/\d\d:\d\d:\d\d \d{4}$/);
  expect(said[1]).toBe(said[0]);
});

const inside = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child', '--mount-proc'];

test.skipIf(spawnSync('unshare', [...inside, 'true']).status !== 0)(
  'a process of a container counts as alive for the host while it lives; from inside, one of the host always',
  async () => {
    const program = `
    import { isAlive, mayBeAlive, ownIdentity } from ${JSON.stringify(join(import.meta.dirname, '../../../src/core/process-identity.ts'))};
    const host = ${JSON.stringify(ownIdentity())};
    console.log(JSON.stringify({ self: ownIdentity(), seen: [isAlive(ownIdentity()), isAlive(host), mayBeAlive(host), mayBeAlive({ ...ownIdentity(), pid: 99 })] }));
    setInterval(() => {}, 1000);`;
    const child: ChildProcess = spawn('unshare', [...inside, process.execPath, '--input-type=module-typescript', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    const { self, seen } = JSON.parse(line.toString()) as { readonly self: ProcessIdentity; readonly seen: readonly boolean[] };
    expect(seen).toEqual([true, false, true, false]);
    expect([isAlive(self), mayBeAlive(self), mayBeAlive({ ...self, pid: self.pid + 1 })]).toEqual([false, true, false]);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(mayBeAlive(self)).toBe(false);
    expect(mayBeAlive({ ...self, started: self.started.replace(/^[^:]+/, 'an-earlier-boot') })).toBe(false);
  },
);
