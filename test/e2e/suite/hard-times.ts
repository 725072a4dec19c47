/** Crashes, races and cut connections: normal events, after which nothing may be lost or left. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { sha256 } from '../../support/sha256.ts';
import { createProject, type Project, processesWith, runnersOf, type Target, until } from './project.ts';

/** How hard the times are. */
export interface Hardness {
  /** Of a long log. */
  readonly lines: number;
  /** Of the connection. */
  readonly cuts: number;
  /** Milliseconds from the ledger's first moment at which `up` is killed. */
  readonly kills: readonly number[];
}

/** For `npm test`. */
export const inBrief: Hardness = { lines: 20_000, cuts: 3, kills: [5, 300] };
/** For `npm run test:lab`. */
export const atLength: Hardness = { lines: 200_000, cuts: 20, kills: [5, 60, 150, 300, 450] };

export function hardTimesSuite(target: Target, { lines, cuts, kills }: Hardness): void {
  const manyLines = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i"; done`;
  const manyLinesLog = Buffer.from(Array.from({ length: lines }, (_, i) => `line ${i + 1}\n`).join(''));

  describe(`hard times on ${target.label}`, () => {
    let project: Project;
    afterEach(async () => project[Symbol.asyncDispose]());

    test('two ups of one name at the same moment make one machine', async () => {
      project = createProject(target);
      const ups = await Promise.all([project.json(['up']), project.json(['up']), project.json(['up'])]);
      expect(ups.map(({ run }) => run.code)).toEqual([0, 0, 0]);
      expect(new Set(ups.map(({ document }) => document.machine.ssh.port)).size).toBe(1);
      expect(ups.filter(({ document }) => document.reused === false)).toHaveLength(1);
      const { document } = await project.json(['status']);
      expect(document.machines).toHaveLength(1);
    });

    test('several machines and jobs side by side', async () => {
      project = createProject(target);
      const names = ['one', 'two', 'three'];
      const runs = await Promise.all(names.map((name) => project.run(['train', name, '--keep', '--', 'sh', '-c', `echo on ${name}; exit 0`])));
      expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
      expect(runs.map(({ text }) => text)).toEqual(names.map((name) => `on ${name}\n`));
      const { document } = await project.json(['status']);
      expect(document.machines.map((machine: { name: string }) => machine.name).sort()).toEqual([...names].sort());
      const ended = await project.json(['down', 'one', 'two']);
      expect(ended.document.machines).toHaveLength(2);
    });

    test('a second train on the machine of a first one runs to its end, and the last one takes the machine down', async () => {
      project = createProject(target);
      const go = join(tmpdir(), `go-${project.name}`);
      onTestFinished(() => rmSync(go, { force: true }));
      const first = project.start(['train', '--', 'sh', '-c', `echo ready; until [ -e ${go} ]; do sleep 0.1; done; echo first`]);
      await until(() => first.output().includes('ready'), 'the first job to run');
      const second = project.start(['train', '--', 'sh', '-c', 'sleep 1; echo second; exit 4']);
      await until(async () => (await project.json(['status'])).document.jobs.length === 2, 'the second job to be known');
      writeFileSync(go, '');
      const [one, two] = await Promise.all([first.done, second.done]);
      expect([one.code, two.code], one.stderr + two.stderr).toEqual([0, 4]);
      expect(two.text).toBe('second\n');
      expect((await project.json(['status'])).document.machines).toEqual([]);
    });

    test('a machine goes down with its job also when there are no outputs, which is said; with --keep the results can be fetched', async () => {
      project = createProject(target, 'outputs: [results/]');
      const words = ['--', 'sh', '-c', 'mkdir elsewhere; echo x > elsewhere/model'];
      const gone = await project.run(['train', ...words]);
      expect(gone.code, gone.stderr).toBe(0);
      expect(gone.stderr).toContain('made nothing at results');
      expect((await project.json(['status'])).document.machines).toEqual([]);
      const kept = await project.run(['train', '--keep', ...words]);
      expect(kept.code, kept.stderr).toBe(0);
      expect((await project.run(['pull', project.name, 'elsewhere'])).code).toBe(0);
      expect(project.read('elsewhere/model').toString()).toBe('x\n');
    });

    test.each(kills)('kill -9 during up after %i ms, then down: nothing is left', async (ms) => {
      project = createProject(target);
      const started = project.start(['up']);
      await until(() => existsSync(join(project.home, 'ledger.sqlite')), 'the ledger');
      await new Promise((resolve) => setTimeout(resolve, ms));
      started.child.kill('SIGKILL');
      await started.done;
      const down = await project.run(['down', '--all', '--yes']);
      expect(down.code, down.stderr).toBe(0);
      const reap = await project.json(['reap']);
      expect(reap.run.code, reap.run.stderr).toBe(0);
      expect(processesWith(project.home).map(({ args }) => args)).toEqual([]);
      expect(existsSync(join(project.home, 'local')) ? readdirSync(join(project.home, 'local')) : []).toEqual([]);
      const { document } = await project.json(['status']);
      expect(document.machines).toEqual([]);
    });

    test('Ctrl-C during up unwinds', async () => {
      project = createProject(target);
      const started = project.start(['up']);
      await until(() => existsSync(join(project.home, 'ledger.sqlite')), 'the ledger');
      started.child.kill('SIGINT');
      const { code } = await started.done;
      const { document } = await project.json(['status']);
      // The signal may come when everything is done already.
      expect([0, 130]).toContain(code);
      expect(document.machines).toHaveLength(code === 0 ? 1 : 0);
      if (code === 130) expect(processesWith(project.home).map(({ args }) => args)).toEqual([]);
    });

    test('kill -9 of the runner in the middle of a job loses no byte and no exit code', async () => {
      project = createProject(target);
      const started = project.start(['train', '--keep', '--', 'sh', '-c', `${manyLines}; exit 23`]);
      await until(() => started.output().length > 10_000, 'some output');
      for (const pid of runnersOf(project.name, 'serve')) process.kill(pid, 'SIGKILL');
      const run = await started.done;
      expect(run.code, run.stderr).toBe(23);
      expect(sha256(run.stdout)).toBe(sha256(manyLinesLog));
    });

    test(`the connection is cut ${cuts} times at random points: every byte once`, async () => {
      project = createProject(target);
      const portion = `[ $((i % ${lines / 40})) -ne 0 ] || sleep ${cuts / 200}`;
      const slowly = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i"; ${portion}; done; exit 7`;
      const started = project.start(['train', '--keep', '--', 'sh', '-c', slowly]);
      await until(() => started.output().length > 1_000, 'some output');
      for (let cut = 0; cut < cuts && started.child.exitCode === null; cut++) {
        for (const pid of runnersOf(project.name, 'connect')) process.kill(pid, 'SIGKILL');
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
      }
      const run = await started.done;
      expect(run.code, run.stderr).toBe(7);
      expect(sha256(run.stdout)).toBe(sha256(manyLinesLog));
    });

    test('a machine that vanishes in the middle of a job is reported as lost', async () => {
      project = createProject(target);
      if (!target.config.includes('local')) return; // a borrowed host does not vanish by our hand
      const started = project.start(['train', '--', 'sh', '-c', 'echo ready; sleep 60']);
      await until(() => started.output().includes('ready'), 'the job to run');
      for (const { pid } of processesWith(join(project.home, 'local'))) if (pid !== started.child.pid) process.kill(pid, 'SIGKILL');
      const run = await started.done;
      expect(run.code, run.stderr).toBe(75);
      expect(run.stderr).toContain('no longer exists');
      expect((await project.json(['status'])).document.machines).toEqual([]);
    });

    test("a job that outlives the machine's deadline ends with exit code 92, and the machine with it", async () => {
      project = createProject(target);
      if (!target.config.includes('local')) return; // nobody ends a borrowed host
      const run = await project.run(['train', '--max-time', '6s', '--', 'sh', '-c', 'echo ready; sleep 60']);
      expect(run.code, run.stderr).toBe(92);
      expect(run.stderr).toContain('--max-time');
      expect((await project.json(['status', '--all'])).document.machines).toMatchObject([{ state: 'gone' }]);
      expect(processesWith(project.home)).toEqual([]);
    });

    test('with gpu-run killed for good, the job ends at the deadline all the same', async () => {
      project = createProject(target);
      const word = `alive-${project.name}`;
      const started = project.start(['train', '--max-time', '12s', '--', 'sh', '-c', `echo ready ${word}; trap "" TERM; while :; do sleep 0.1; done`]);
      await until(() => started.output().includes('ready'), 'the job to run');
      started.child.kill('SIGKILL');
      await started.done;
      expect(processesWith(word)).not.toEqual([]);
      await until(() => processesWith(word).length === 0, 'the end of the job');
    });

    test('the log in the state folder equals what was printed', async () => {
      project = createProject(target);
      const run = await project.json(['train', '--', 'sh', '-c', manyLines]);
      const log = readFileSync(join(project.home, 'jobs', run.document.job.id, 'log'));
      expect(sha256(log)).toBe(sha256(manyLinesLog));
    });
  });
}
