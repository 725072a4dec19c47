import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/clock.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../../../src/core/process-identity.ts';
import { newMachineId } from '../../../src/core/run-id.ts';
import { endProcesses, findProcesses, listFromPs, signalProcess } from '../../../src/providers/local/process-tree.ts';

const started = new Set<ProcessIdentity>();
const ids: string[] = [];

afterEach(async () => {
  for (const id of ids.splice(0)) await end(id, 0);
  for (const identity of started) signalProcess(identity, 'SIGKILL');
  started.clear();
});

function newId(): string {
  const id = newMachineId('tree');
  ids.push(id);
  return id;
}

/** Runs a shell script detached, as a machine's process is; the script prints the pids that the test is about. */
async function start(script: string, env: Record<string, string>): Promise<{ shell: ChildProcess; pids: number[] }> {
  const shell = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'], env: { PATH: process.env['PATH'], ...env } });
  remember(shell.pid);
  let said = '';
  for await (const chunk of shell.stdout) {
    said += chunk;
    if (said.includes('ready')) break;
  }
  const pids = [...said.matchAll(/\d+/g)].map(Number);
  for (const pid of pids) remember(pid);
  return { shell, pids };
}

function remember(pid: number | undefined): void {
  const identity = pid === undefined ? null : identifyProcess(pid);
  if (identity !== null) started.add(identity);
}

const end = (id: string, graceMs: number) => endProcesses(id, { clock: systemClock, graceMs });
const pidsOf = (id: string) => findProcesses(id).map(({ pid }) => pid);

/** Its own session, deaf to SIGTERM, its parents dead: nothing but its environment says whose it is. */
const escapee = `( setsid sh -c 'trap "" TERM HUP INT; echo $$; while :; do sleep 1; done' & ) ; sleep 0.2; echo ready`;

describe('findProcesses', () => {
  test('finds a process that left its session and lost its parents', async () => {
    const id = newId();
    const { shell, pids } = await start(escapee, { GPU_RUN_MACHINE: id });
    await once(shell, 'exit');
    expect(pids).toHaveLength(1);
    expect(pidsOf(id)).toContain(pids[0]);
  });

  test('finds a child that has cleared its environment, by its parent', async () => {
    const id = newId();
    const { shell, pids } = await start(`env -i setsid /bin/sh -c 'echo $$; echo ready; exec sleep 60' & wait`, { GPU_RUN_MACHINE: id });
    expect(pidsOf(id)).toEqual(expect.arrayContaining([shell.pid, ...pids]));
  });

  test.runIf(process.platform === 'linux')('finds an orphan that has cleared its environment, by its session', async () => {
    const id = newId();
    const { pids } = await start(`( env -i /bin/sh -c 'echo $$; exec sleep 60' & ); sleep 0.2; echo ready; sleep 60`, { GPU_RUN_MACHINE: id });
    expect(pidsOf(id)).toEqual(expect.arrayContaining(pids));
  });

  test("leaves alone what isn't the machine's: other ids, longer ids, the asking process and its other children", async () => {
    const id = newId();
    const other = await start('echo $$; echo ready; exec sleep 60', { GPU_RUN_MACHINE: `${id}-2` });
    const unmarked = await start('echo $$; echo ready; exec sleep 60', { NOTE: `GPU_RUN_MACHINE=${id}` });
    const { shell } = await start('echo ready; exec sleep 60', { GPU_RUN_MACHINE: id });
    expect(pidsOf(id)).toEqual([shell.pid]);
    await end(id, 0);
    expect([...other.pids, ...unmarked.pids].map((pid) => identifyProcess(pid)?.pid)).toEqual([...other.pids, ...unmarked.pids]);
  });

  test('tells jobs from the rest', async () => {
    const id = newId();
    const plain = await start('echo ready; exec sleep 60', { GPU_RUN_MACHINE: id });
    expect(findProcesses(id).map(({ pid, inJob }) => ({ pid, inJob }))).toEqual([{ pid: plain.shell.pid, inJob: false }]);
    const job = await start('echo ready; exec sleep 60', { GPU_RUN_MACHINE: id, GPU_RUN_JOB: 'job-1' });
    expect(
      findProcesses(id)
        .filter(({ inJob }) => inJob)
        .map(({ pid }) => pid),
    ).toEqual([job.shell.pid]);
  });

  test('ps tells the same as /proc', async () => {
    const id = newId();
    const { shell } = await start('echo ready; exec sleep 60', { GPU_RUN_MACHINE: id });
    const row = listFromPs().find(({ pid }) => pid === shell.pid);
    expect(row).toMatchObject({ parent: process.pid, session: shell.pid });
    expect(row?.environment).toContain(`\0GPU_RUN_MACHINE=${id}\0`);
  });
});

describe('endProcesses', () => {
  test('ends an escapee that ignores SIGTERM', async () => {
    const id = newId();
    const { shell, pids } = await start(`${escapee}; sleep 60`, { GPU_RUN_MACHINE: id });
    const identities = [shell.pid, ...pids].map((pid) => identifyProcess(pid ?? 0));
    expect(identities).not.toContain(null);
    expect(await end(id, 100)).toEqual([]);
    expect(identities.filter((identity) => identity !== null && isAlive(identity))).toEqual([]);
  });

  test('gives a process its grace to end by itself', async () => {
    const id = newId();
    const { shell } = await start(`trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done`, { GPU_RUN_MACHINE: id });
    const exited = once(shell, 'exit');
    expect(await end(id, 20_000)).toEqual([]);
    expect(await exited).toEqual([7, null]);
  });

  test('ends what starts others while it is being ended', async () => {
    const id = newId();
    await start(`trap 'sh -c "trap \\"\\" TERM; sleep 60" & exit' TERM; echo ready; while :; do sleep 0.05; done`, { GPU_RUN_MACHINE: id });
    expect(await end(id, 300)).toEqual([]);
    expect(pidsOf(id)).toEqual([]);
  });

  test('signals nothing when the pid belongs to a later process', async () => {
    const { shell } = await start('echo ready; exec sleep 60', {});
    signalProcess({ pid: shell.pid ?? 0, started: 'an earlier boot:1' }, 'SIGKILL');
    const identity = identifyProcess(shell.pid ?? 0);
    expect(identity).not.toBeNull();
    signalProcess(identity as ProcessIdentity, 'SIGKILL');
    expect(await once(shell, 'exit')).toEqual([null, 'SIGKILL']);
  });

  test('stops waiting when aborted', async () => {
    const id = newId();
    await start(`trap '' TERM; echo ready; while :; do sleep 1; done`, { GPU_RUN_MACHINE: id });
    const abort = new AbortController();
    const ending = endProcesses(id, { clock: systemClock, graceMs: 60_000, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(ending).rejects.toThrow('enough');
  });
});
