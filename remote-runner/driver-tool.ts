/** Where the driver's own tool, nvidia-smi, is found, and the words in which it says what is wrong. */
import { delimiter } from 'node:path';

/** What is wrong with the driver, as far as its tool can tell. */
export type DriverTrouble =
  | 'missing' // no nvidia-smi
  | 'not-loaded' // the tool is there, the kernel module does not answer
  | 'mismatch' // libraries and kernel module are of different versions
  | 'gpu-lost' // a GPU fell off the bus, or has to be reset
  | 'no-device' // the driver works and sees no GPU
  | 'hangs'
  | 'other';

export interface ToolProblem {
  /** In words without a full stop. */
  readonly problem: string;
  readonly trouble: DriverTrouble;
}

/** For nvidia-smi: Google's container images keep it where no PATH looks; its numbers and words are those of no language. */
export function toolEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, PATH: [env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', '/usr/local/nvidia/bin'].join(delimiter), LC_ALL: 'C' };
}

/** The words of nvidia-smi, as NVIDIA's own forums and many bug reports quote them. */
const words: readonly (readonly [RegExp, DriverTrouble, string])[] = [
  [/version mismatch/i, 'mismatch', 'the driver’s libraries and its kernel module are of different versions'],
  [/(is lost|fallen off the bus|requires? (a )?reset|reboot the system to recover)/i, 'gpu-lost', 'a GPU is lost (fallen off the bus, or in need of a reset)'],
  [/couldn't communicate with the NVIDIA driver|driver not loaded/i, 'not-loaded', 'the NVIDIA driver’s kernel module is not loaded'],
  [/no devices were found/i, 'no-device', 'the NVIDIA driver sees no GPU'],
];

export const noTool: ToolProblem = {
  problem: 'nvidia-smi was not found: no NVIDIA driver is installed, or it is not on the PATH',
  trouble: 'missing',
};

export function notStarted(why: string): ToolProblem {
  return { problem: `nvidia-smi can not be started: ${why}`, trouble: 'other' };
}

export function silentTool(withinMs: number): ToolProblem {
  return { problem: `nvidia-smi did not answer within ${withinMs / 1000} s`, trouble: 'hangs' };
}

/** Of a run of it that ended without telling of a GPU. */
export function explainTool(code: number | null, stdout: string, stderr: string): ToolProblem {
  const said = (stderr.trim() || stdout.trim()).split('\n')[0] ?? '';
  const known = words.find(([pattern]) => pattern.test(`${stdout}\n${stderr}`));
  if (known !== undefined) return { problem: `${known[2]} (nvidia-smi: ${said})`, trouble: known[1] };
  if (code === 0) return { problem: 'nvidia-smi reports no GPU', trouble: 'no-device' };
  return { problem: `nvidia-smi failed${said === '' ? ` with exit code ${code}` : `: ${said}`}`, trouble: 'other' };
}
