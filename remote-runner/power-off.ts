/** How the machine switches itself off: found out when the watchdog is armed, done when its time has come. */
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { boundedRun } from './bounded-run.ts';

const withinMs = 10_000;

const ways: readonly (readonly [string, ...string[]])[] = [['shutdown', '-h', 'now'], ['systemctl', 'poweroff'], ['poweroff']];

export interface PowerOffWays {
  /** First that may work first. */
  readonly commands: readonly (readonly string[])[];
  /** In words without a full stop; null: there is a way. */
  readonly problem: string | null;
}

/** Only looks. `root`: whether we are. */
export async function findPowerOff(env: NodeJS.ProcessEnv = process.env, root: boolean = process.getuid?.() === 0): Promise<PowerOffWays> {
  const found = ways.flatMap(([name, ...args]) => {
    const file = findProgram(name, env);
    return file === null ? [] : [[file, ...args]];
  });
  if (found.length === 0) return { commands: [], problem: 'there is no program on the machine that switches it off' };
  if (root) return { commands: found, problem: null };
  const sudo = findProgram('sudo', env);
  if (sudo !== null) {
    const end = await boundedRun(sudo, ['-n', 'true'], { env, withinMs });
    if (end.kind === 'ended' && end.code === 0) return { commands: found.map((command) => [sudo, '-n', ...command]), problem: null };
  }
  return { commands: [], problem: 'its user may not switch it off (neither root nor sudo without a password)' };
}

function findProgram(name: string, env: NodeJS.ProcessEnv): string | null {
  const folders = [...(env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  for (const folder of folders.filter((each) => isAbsolute(each))) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not there.
    }
  }
  return null;
}

/** Tries one way after the other, each with `patienceMs` to take effect. Returns when none has, or when `stillOurs` says no. */
export async function powerOff(commands: readonly (readonly string[])[], stillOurs: () => boolean, complain: (text: string) => void, patienceMs = 20_000) {
  for (const [program = '', ...args] of commands) {
    if (!stillOurs()) return;
    const end = await boundedRun(program, args, { env: process.env, withinMs });
    if (end.kind === 'ended' && end.code === 0) await sleep(patienceMs);
    else complain(`${[program, ...args].join(' ')}: ${end.kind === 'ended' ? `exit code ${end.code} ${end.stderr.trim().slice(0, 500)}` : end.kind}`);
  }
}
