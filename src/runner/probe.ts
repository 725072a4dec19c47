/** One look at a machine, by one fixed POSIX shell script: what is there to run the runner with. */
import { GpuRunError } from '../core/errors.ts';
import { koffiVersion } from '../protocol/native.ts';
import type { Transport } from '../transport/transport.ts';
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
  readonly diskFreeKiB: number | null;
  /** SHA-256 of the installed runner of the wanted version; null: it isn't there, or can't be hashed there. */
  readonly runnerHash: string | null;
  /** An NVIDIA driver is loaded. */
  readonly hasNvidia: boolean;
  /** SHA-256 of koffi's native module; null: it isn't there, or nobody there would need it. */
  readonly nativeHash: string | null;
  /** In the order of preference; looking ends at the first that is new enough. */
  readonly nodes: readonly FoundNode[];
  /** Files below `~/.gpu-run` may not be run. Only looked at when there is no Node. */
  readonly noExec: boolean;
}

/**
 * `$1`: the runner's version, `$2`: that of koffi. Every line of its own starts with `gpu-run`: whatever start-up files print does no harm.
 * Our folder is made here, closed to others.
 */
const script = `
umask 077
say() { printf '\\ngpu-run %s %s\\n' "$1" "$2"; }
home=$HOME
base=$home/.gpu-run
say home "$home"
said=$(mkdir -p "$base/runner" "$base/machines" 2>&1 && chmod 700 "$base" 2>&1) || { say error "$(printf %s "$said" | tr '\\n' ' ')"; exit 0; }
say os "$(uname -s)"
say arch "$(uname -m)"
file=$base/runner/$1/runner.mjs
if [ -f "$file" ]; then
  say hash "$( (sha256sum "$file" || shasum -a 256 "$file") 2>/dev/null)"
fi
if [ -e /proc/driver/nvidia/version ] || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; then
  say nvidia yes
  for file in "$base/native/koffi-$2-"*.node; do
    [ ! -f "$file" ] || say native "$( (sha256sum "$file" || shasum -a 256 "$file") 2>/dev/null)"
  done
fi
found=
for node in "$(command -v node 2>/dev/null)" "$base"/node/*/bin/node "$(command -v nodejs 2>/dev/null)" "$home"/.nvm/versions/node/*/bin/node \\
  "$home"/.local/bin/node "$home"/.volta/bin/node /usr/local/bin/node /opt/node*/bin/node /opt/conda/bin/node /opt/homebrew/bin/node \\
  "$home"/miniconda3/bin/node "$home"/miniforge3/bin/node "$home"/anaconda3/bin/node /snap/bin/node; do
  case $node in /*) ;; *) continue ;; esac
  [ -x "$node" ] || continue
  version=$("$node" --version 2>/dev/null </dev/null) || continue
  say node "$version $node"
  case $version in v2[0-9].*|v[3-9][0-9].*) found=yes; break ;; esac
done
if [ -z "$found" ]; then
  say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
  say disk "$(df -Pk "$base" 2>/dev/null | tail -n 1 | awk '{ print $4 }')"
  printf '#!/bin/sh\\n' >"$base/.exec" && chmod 700 "$base/.exec" && "$base/.exec" 2>/dev/null || say noexec yes
  rm -f "$base/.exec"
fi
say end yes
`;

/**
 * `withinMs`: how long the look may take.
 * @throws GpuRunError `not-allowed` or `disk-full` when our folder can't be made there, `protocol` when no shell answers,
 *   `connection` when nothing does
 */
export async function probeMachine(transport: Transport, version: string, signal: AbortSignal, withinMs: number = firstWordWithinMs): Promise<Probe> {
  const { stdout, stderr, code } = await look(transport, version, signal, withinMs);
  const said = [...stdout.matchAll(/^gpu-run (\w+) (.*)$/gm)].map(([, name = '', value = '']) => ({ name, value: value.trim() }));
  const last = (name: string) => said.findLast((line) => line.name === name)?.value ?? null;
  const problem = last('error');
  if (problem !== null) throw noFolder(problem);
  const home = last('home');
  if (last('end') === null || home === null || !home.startsWith('/')) {
    throw new GpuRunError('protocol', `The machine's shell did not answer as a shell does (exit code ${code}): ${`${stderr}\n${stdout}`.trim().slice(-1000)}`, {
      hints: ['gpu-run needs a POSIX shell `sh` and a home folder on the machine.'],
    });
  }
  const disk = last('disk');
  return {
    home,
    os: last('os') ?? '',
    arch: last('arch') ?? '',
    libc: last('libc') ?? '',
    diskFreeKiB: disk !== null && /^\d+$/.test(disk) ? Number(disk) : null,
    runnerHash: hashIn(last('hash')),
    hasNvidia: last('nvidia') !== null,
    nativeHash: hashIn(last('native')),
    nodes: said.filter(({ name }) => name === 'node').flatMap(({ value }) => parseNode(value)),
    noExec: last('noexec') !== null,
  };
}

async function look(transport: Transport, version: string, signal: AbortSignal, withinMs: number): Promise<Ran> {
  const limit = AbortSignal.timeout(withinMs);
  try {
    return await runRemote(transport, ['sh', '-c', script, 'gpu-run', version, koffiVersion], null, AbortSignal.any([signal, limit]));
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
