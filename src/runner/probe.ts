/** One look at a machine, by one fixed POSIX shell script: what is there to run the runner with. */
import { GpuRunError } from '../core/errors.ts';
import { koffiVersion } from '../protocol/native.ts';
import type { Transport } from '../transport/transport.ts';
import { NoRunnerError } from './no-runner.ts';
import { probeScript } from './probe-script.ts';
import { type Ran, runRemote } from './run-remote.ts';
import { firstWordWithinMs, silentMachine } from './silence.ts';

export interface FoundNode {
  /** Absolute. */
  readonly path: string;
  /** `24.21.0` */
  readonly version: string;
}

export interface Probe {
  /** Absolute path of the home folder. */
  readonly home: string;
  /** As `uname` says it: `Linux`, `x86_64`. */
  readonly os: string;
  readonly arch: string;
  /** `glibc 2.36`, or what `ldd --version` says; empty: not known. */
  readonly libc: string;
  /** SHA-256 of the installed runner of the wanted version; null: it isn't there, or can't be hashed there. */
  readonly runnerHash: string | null;
  /** An NVIDIA driver is loaded. */
  readonly hasNvidia: boolean;
  /** SHA-256 of koffi's native module; null: it isn't there, or nobody there would need it. */
  readonly nativeHash: string | null;
  /** Absolute path of the one to use: new enough, and it has passed the self-test. null: none. */
  readonly node: string | null;
  /** All that were looked at, in the order of preference; looking ends at the first that can be used. */
  readonly nodes: readonly FoundNode[];
  /** Looked for only when there is no Node: absolute path of a folder of ours with room for one, where programs may be run; null: none. */
  readonly place: string | null;
  /** Folders of ours where programs may not be run. */
  readonly noExec: readonly string[];
  /** Where they may, and a Node has no room. */
  readonly small: readonly { readonly path: string; readonly freeKiB: number }[];
}

/** A Node, and beside it the archive that it comes from when it is sent. */
export const neededKiB = 180_000;

/**
 * `withinMs`: how long the look may take.
 * @throws GpuRunError `not-allowed` or `disk-full` when our folder can't be made there, `protocol` when no shell answers,
 *   `connection` when nothing does
 */
export async function probeMachine(transport: Transport, version: string, signal: AbortSignal, withinMs: number = firstWordWithinMs): Promise<Probe> {
  const { stdout, stderr, code } = await look(transport, version, signal, withinMs);
  const said = [...stdout.matchAll(/^gpu-run (\w+) (.*)$/gm)].map(([, name = '', value = '']) => ({ name, value: value.trim() }));
  const all = (name: string) => said.filter((line) => line.name === name).map(({ value }) => value);
  const last = (name: string) => said.findLast((line) => line.name === name)?.value ?? null;
  const problem = last('error');
  if (problem !== null) throw noFolder(problem);
  const home = last('home');
  if (last('end') === null || home === null || !home.startsWith('/')) {
    throw new NoRunnerError(
      'protocol',
      `The machine's shell did not answer as a shell does (exit code ${code}): ${`${stderr}\n${stdout}`.trim().slice(-1000)}`,
      {
        hints: ['gpu-run needs a POSIX shell `sh` and a home folder on the machine.'],
      },
    );
  }
  return {
    home,
    os: last('os') ?? '',
    arch: last('arch') ?? '',
    libc: last('libc') ?? '',
    runnerHash: hashIn(last('hash')),
    hasNvidia: last('nvidia') !== null,
    nativeHash: hashIn(last('native')),
    node: last('works'),
    nodes: all('node').flatMap(parseNode),
    place: last('place'),
    noExec: all('noexec'),
    small: all('small').map((value) => ({ freeKiB: Number.parseInt(value, 10), path: value.slice(value.indexOf(' ') + 1) })),
  };
}

async function look(transport: Transport, version: string, signal: AbortSignal, withinMs: number): Promise<Ran> {
  const limit = AbortSignal.timeout(withinMs);
  try {
    return await runRemote(transport, ['sh', '-c', probeScript, 'gpu-run', version, koffiVersion, String(neededKiB)], null, AbortSignal.any([signal, limit]));
  } catch (error) {
    throw limit.aborted && !signal.aborted ? silentMachine(withinMs) : error;
  }
}

/** A line of sha256sum; a backslash in front says that the name needed some. */
function hashIn(line: string | null): string | null {
  return /^\\?([0-9a-f]{64})/.exec(line ?? '')?.[1] ?? null;
}

function parseNode(value: string): FoundNode[] {
  const [, version, path] = /^v(\d+\.\d+\.\d+\S*) (\/.*)$/.exec(value) ?? [];
  return version === undefined || path === undefined ? [] : [{ path, version }];
}

function noFolder(problem: string): GpuRunError {
  if (/no space|quota/i.test(problem)) {
    return new GpuRunError('disk-full', `The machine has no room for gpu-run's folder: ${problem}`, {
      hints: ['Free space in the home folder on the machine.'],
    });
  }
  return new GpuRunError('not-allowed', `gpu-run can't make its folder ~/.gpu-run on the machine: ${problem}`, {
    hints: ['The home folder of the user must be writable on the machine.'],
  });
}
