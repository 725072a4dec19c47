/**
 * Machines on Compute Engine that come up together from one process, through the SDK and Google's client. The Compute Engine is an
 * emulated one on this computer, and so are its machines: they, not we, use most of its cores, so a small computer shows a wall time
 * that is longer than the waiting alone. CPU is that of our process.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What `up-many.js` says: milliseconds and bytes. */
interface UpMany {
  readonly machines: number;
  readonly upMs: number;
  readonly downMs: number;
  readonly cpuMs: number;
  readonly peakBytes: number;
}

/** `env`: of an emulator in another process. @throws Error when a machine did not come up or did not end */
function upMany(count: number, env: Readonly<Record<string, string>>): UpMany {
  const program = join(import.meta.dirname, 'up-many.js');
  const said = execFileSync(process.execPath, [program, String(count)], { env: { PATH: process.env['PATH'], ...env }, encoding: 'utf8' });
  return JSON.parse(said);
}

export async function benchGcpMany(): Promise<void> {
  const rows: UpMany[] = [];
  for (const count of [1, 10, 40]) {
    await using emulator = await startEmulator();
    rows.push(upMany(count, emulator.env));
  }
  console.log('\nMachines that come up together on an emulated Compute Engine, orders that take 500 ms\n');
  const cells = rows.map(({ machines, upMs, downMs, cpuMs, peakBytes }) => [
    String(machines),
    (upMs / 1000).toFixed(1),
    (downMs / 1000).toFixed(1),
    (cpuMs / 1000).toFixed(1),
    (peakBytes / 1e6).toFixed(0),
  ]);
  for (const line of [['machines', 'up s', 'down s', 'CPU s', 'peak MB'], ['---', '---', '---', '---', '---'], ...cells])
    console.log(`| ${line.join(' | ')} |`);
}

interface Emulator extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
}

async function startEmulator(): Promise<Emulator> {
  const program = join(import.meta.dirname, '..', 'test', 'emulators', 'gce', 'main.ts');
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const env: Record<string, string> = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, value] = /^export (\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) env[name] = value;
    if (name === 'METADATA_SERVER_DETECTION') break; // the last line
  }
  return {
    env,
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
