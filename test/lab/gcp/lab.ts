/** A lab as tests use it: started in namespaces of its own, so that whatever happens to the tests, the kernel clears it up. */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LabOrder, LabState } from './computer.ts';

export interface Lab {
  /** For the command line: the way to the emulated Compute Engine. */
  readonly env: Readonly<Record<string, string>>;
  /** Words before a command that is to run in the lab's network. */
  readonly within: readonly string[];
  state(): Promise<LabState>;
  /** Another host key from now on; the API keeps naming the old one. */
  changeHostKey(name: string): Promise<void>;
  close(): Promise<void>;
}

const program = fileURLToPath(new URL('computer.ts', import.meta.url));

export async function openLab(): Promise<Lab> {
  const words = ['--net', '--mount', '--mount-proc', '--pid', '--fork', '--kill-child=KILL', process.execPath, program];
  const child = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<LabState> => {
    const line = await answers.next();
    if (line.done) throw new Error(`The lab has ended (exit code ${await exited}); it needs root and network namespaces: ${errors.slice(-2000)}`);
    return JSON.parse(line.value) as LabState;
  };
  let last: Promise<unknown> = Promise.resolve();
  const ask = (order: LabOrder): Promise<LabState> => {
    const asked = last.then(() => {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      return answer();
    });
    last = asked.catch(() => {});
    return asked;
  };
  const { env } = await answer();
  return {
    env,
    within: ['nsenter', `--net=/proc/${child.pid}/ns/net`, '--'],
    state: () => ask({ order: 'state' }),
    changeHostKey: async (name) => void (await ask({ order: 'change-host-key', name })),
    close: async () => {
      child.stdin.end();
      const code = await exited;
      if (code !== 0) throw new Error(`The lab has ended with exit code ${code}: ${errors.slice(-2000)}`);
    },
  };
}

/** Processes of this computer in one of these network namespaces. */
export function processesIn(namespaces: readonly string[]): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      return namespaces.includes(readlinkSync(`/proc/${entry}/ns/net`)) ? [Number(entry)] : [];
    } catch {
      return []; // it has ended
    }
  });
}
