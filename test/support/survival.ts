/** Kills in a row, at random moments, for a runner on a test machine: `npm test` does few, `npm run test:lab` many. For vitest files only. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { JobRecord } from '../../src/protocol/job.ts';
import { followJob } from '../../src/runner/follow.ts';
import { followToEnd, kill, specOf, statesOf, summaryOf, type TestMachine, until } from './runner.ts';
import { sha256 } from './sha256.ts';

const linesUpTo = (lines: number) => Buffer.from(Array.from({ length: lines }, (_, n) => `line ${n + 1}\n`).join(''));
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Prints `lines` lines in 20 portions, with a pause of `pause` seconds after each, and ends with 23. */
const printLines = (lines: number, pause: string) =>
  `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i"; [ $((i % ${lines / 20})) -ne 0 ] || sleep ${pause}; done; exit 23`;

/** Bytes of a job's log so far. */
export function logBytes(machine: TestMachine, id: string): number {
  return existsSync(machine.jobFile(id, 'log')) ? readFileSync(machine.jobFile(id, 'log')).length : 0;
}

/** The serving process is killed three times while a job prints `lines` lines. */
export async function killWhilePrinting(machine: TestMachine, lines: number): Promise<void> {
  const whole = linesUpTo(lines);
  const client = await machine.connect();
  const spec = specOf(printLines(lines, '0.02'));
  await client.call('submit', { spec });
  const following = followToEnd(client, spec.id);
  for (const part of [0.05, 0.35, 0.7]) {
    await until(() => logBytes(machine, spec.id) > whole.length * part, `${part} of the log`);
    for (const pid of machine.pids('serve')) kill(pid);
  }
  const { log, records } = await following;
  expect(sha256(log)).toBe(sha256(whole));
  expect(sha256(readFileSync(machine.jobFile(spec.id, 'log')))).toBe(sha256(whole));
  expect(records.map(({ n }) => n)).toEqual(records.map((_record, index) => index + 1));
  expect(statesOf(records)).toEqual(['queued', 'running', 'ended']);
  expect((await summaryOf(client, spec.id)).end).toEqual({ code: 23, signal: null, reason: 'exit', detail: null });

  const offset = Math.floor(whole.length * 0.6) + 1;
  const rest = await followToEnd(client, spec.id, { logOffset: offset });
  expect(sha256(rest.log)).toBe(sha256(whole.subarray(offset)));
  const known = await followToEnd(client, spec.id, { logOffset: whole.length, record: 2 });
  expect(known.log.length).toBe(0);
  expect(statesOf(known.records)).toEqual(['ended']);
}

/**
 * The serving process is killed at any moment while `jobs` short jobs run: `kills` times, unless `enough` jobs have ended before. No more than
 * a part of them before each job is submitted: on a busy computer it would always be killed before it has come up.
 */
export async function killAmongShortJobs(
  machine: TestMachine,
  sizes: { readonly jobs: number; readonly kills: number; readonly enough: number },
): Promise<void> {
  const client = await machine.connect();
  const specs = Array.from({ length: sizes.jobs }, (_, n) => specOf(`echo ${n} >> ran; exit ${n}`, { setup: `true ${n}`, secrets: { TOKEN: `t${n}` } }));
  let killing = true;
  let kills = 0;
  let allowed = 0;
  const killer = (async () => {
    while (killing) {
      for (const pid of kills < allowed ? machine.pids('serve') : []) {
        kill(pid);
        kills += 1;
      }
      await wait(Math.random() * 250);
    }
  })();
  try {
    for (const spec of specs) {
      allowed += sizes.kills / (sizes.jobs + 1);
      await until(() => client.call('submit', { spec }).catch(() => null), 'an answer to submit', 60_000);
    }
    allowed = sizes.kills;
    const ended = async () => (await client.call('jobs', {})).jobs.filter(({ state }) => state === 'ended').length;
    // On a busy computer hardly any job gets through: then it is enough to have been killed so often.
    await until(async () => kills >= sizes.kills || (await ended()) >= sizes.enough, 'many kills, or jobs to end', 60_000);
  } finally {
    killing = false;
    await killer;
  }
  for (const [n, spec] of specs.entries()) {
    const { records } = await followToEnd(client, spec.id);
    expect(records.filter((record) => record.type === 'state' && record.state === 'ended')).toHaveLength(1);
    const { end } = await summaryOf(client, spec.id);
    // Nobody saw it when the serving process was killed in the very moment of starting the command.
    expect([n, null]).toContain(end?.code);
  }
  const ran = existsSync(join(machine.workdir, 'ran')) ? readFileSync(join(machine.workdir, 'ran'), 'utf8').trim().split('\n') : [];
  expect(new Set(ran).size).toBe(ran.length);
}

/** The connection is killed `cuts` times, up to 0.1 s apart, while a job prints `lines` lines. */
export async function cutWhilePrinting(machine: TestMachine, { lines, cuts }: { readonly lines: number; readonly cuts: number }): Promise<void> {
  const whole = linesUpTo(lines);
  const spec = specOf(printLines(lines, String(cuts / 200)));
  await (await machine.connect()).call('submit', { spec });
  const links: string[] = [];
  const cutter = (async () => {
    for (let cut = 0; cut < cuts; cut++) {
      await wait(Math.random() * 100);
      for (const pid of machine.pids('connect')) kill(pid);
    }
  })();
  const log: Uint8Array[] = [];
  const records: JobRecord[] = [];
  const parts = followJob({
    connect: () => machine.connect(),
    release: async () => {},
    jobId: spec.id,
    logOffset: 0,
    record: 0,
    follow: true,
    // As the system's, but pauses are a tenth as long.
    clock: { now: () => Date.now(), sleep: (ms, signal) => systemClock.sleep(ms / 10, signal) },
    signal: new AbortController().signal,
    onLink: (state) => links.push(state),
  });
  for await (const part of parts) {
    if (part.type === 'log') log.push(part.bytes);
    else if (part.type === 'record') records.push(part.record);
  }
  await cutter;
  expect(sha256(Buffer.concat(log))).toBe(sha256(whole));
  expect(records.map(({ n }) => n)).toEqual(records.map((_record, index) => index + 1));
  expect(records.at(-1)).toMatchObject({ state: 'ended', end: { code: 23 } });
  expect(links).toContain('reconnecting');
  expect(links.filter((state) => state === 'connected').length).toBeGreaterThan(0);
}
