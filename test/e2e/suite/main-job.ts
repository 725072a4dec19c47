/** `up`, `train`, `logs`, `status`, `cost`, `down` on any target: what a user does every day, run as a user runs it. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../../support/sha256.ts';
import { createProject, type Project, processesWith, type Target, until } from './project.ts';

export function mainJobSuite(target: Target): void {
  describe(`the main job on ${target.label}`, () => {
    let project: Project;

    beforeAll(async () => {
      project = createProject(
        target,
        [
          'train: sh train.sh',
          'setup: sh setup.sh',
          'env: { GREETING: "hello there" }',
          'secrets: [TOKEN_OF_TEST]',
          'outputs: [outputs/]',
          'metrics: { accuracy: "acc is ([0-9.]+)" }',
          'sync: { data: [{ from: ../data, to: data/in }] }',
        ].join('\n'),
      );
      project.write('setup.sh', 'echo "setting up"; date +%s%N > ../setup-stamp\n');
      project.write(
        'train.sh',
        [
          'echo "$GREETING"',
          'echo "to stderr" >&2',
          'cat data/in/part.txt',
          'echo \'{"epoch": 1, "loss": 0.5}\'',
          'echo \'{"epoch": 2, "loss": 0.25}\'',
          'echo "acc is 0.875"',
          'mkdir -p outputs/deep',
          'printf "result\\000bytes" > outputs/deep/model.bin',
          'test -n "$TOKEN_OF_TEST" && echo "token has ${#TOKEN_OF_TEST} letters"',
        ].join('\n'),
      );
      project.write('../data/part.txt', 'data came along\n');
    });
    afterAll(async () => project[Symbol.asyncDispose]());

    const env = { TOKEN_OF_TEST: 'swordfish-9931' };

    test('up makes a machine once and reuses it', async () => {
      const first = await project.json(['up']);
      expect(first.run.code, first.run.stderr).toBe(0);
      expect(first.document).toMatchObject({
        schema: 1,
        command: 'up',
        outcome: 'ok',
        reused: false,
        machine: { name: project.name, state: 'ready', currency: 'USD' },
      });
      expect(Object.keys(first.document.machine)).toEqual(
        expect.arrayContaining([
          'name',
          'provider',
          'region',
          'zone',
          'type',
          'gpu',
          'spot',
          'state',
          'pricePerHour',
          'currency',
          'deadline',
          'protection',
          'ssh',
          'hostKey',
        ]),
      );
      const second = await project.json(['up']);
      expect(second.document).toMatchObject({ outcome: 'ok', reused: true });
    });

    test('train streams the log, reads metrics, pulls outputs, and passes env, data and secrets', async () => {
      const { run, document } = await project.json(['train'], { env });
      expect(run.code, run.stderr).toBe(0);
      const events = run.text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(events.at(-1)).toMatchObject({ type: 'result', schema: 1, command: 'train', outcome: 'ok' });
      expect(document.job).toMatchObject({ state: 'ended', exitCode: 0, signal: null, attempts: 1, machine: project.name });
      expect(document.metrics.last).toMatchObject({ loss: 0.25, epoch: 2, accuracy: 0.875 });
      expect(document.sync.files).toBeGreaterThan(0);
      expect(document.outputs.map(({ path }: { path: string }) => path)).toEqual(['outputs/deep/model.bin']);
      expect(document.metrics.files).toHaveLength(2);
      expect(project.read('outputs/deep/model.bin')).toEqual(Buffer.from('result\0bytes'));
      expect(events.some((event) => event.type === 'log')).toBe(true);
      expect(events.filter((event) => event.type === 'metric').length).toBeGreaterThanOrEqual(3);
    });

    test('the log comes through unchanged, and the secret is nowhere but in the job', async () => {
      const { text, code } = await project.run(['logs']);
      expect(code).toBe(0);
      for (const line of ['setting up', 'hello there', 'to stderr', 'data came along', 'token has 14 letters']) expect(text).toContain(line);
      expect(filesHolding(project.home, env.TOKEN_OF_TEST)).toEqual([]);
      expect(processesWith(env.TOKEN_OF_TEST)).toEqual([]);
    });

    test('setup runs again only when it or a file that it names has changed', async () => {
      const again = await project.run(['train'], { env });
      expect(again.code, again.stderr).toBe(0);
      expect(again.text).not.toContain('setting up');
      project.write('setup.sh', 'echo "setting up anew"\n');
      const changed = await project.run(['train'], { env });
      expect(changed.text).toContain('setting up anew');
    });

    test('an unchanged tree sends nothing', async () => {
      const { document } = await project.json(['sync']);
      expect(document).toMatchObject({ outcome: 'ok' });
      const { document: second } = await project.json(['train', '--', 'true'], { env });
      expect(second.sync.sentBytes).toBe(0);
    });

    test.each([
      ['exit 37', 37, null, 'exit'],
      ['exit 255', 255, null, 'exit'],
      ['kill -KILL $$', 137, 'SIGKILL', 'signal'],
      ['kill -TERM $$', 143, 'SIGTERM', 'signal'],
    ])('`%s` ends with exit code %i', async (script, code, signal, reason) => {
      const { run, document } = await project.json(['train', '--', 'sh', '-c', script], { env });
      expect(run.code, run.stderr).toBe(code);
      expect(document.job).toMatchObject({ exitCode: code, signal, reason });
    });

    test('a command that does not exist fails like in a shell', async () => {
      const run = await project.run(['train', '--', 'no-such-program-here'], { env });
      expect(run.code).toBe(127);
      expect(run.text + run.stderr).toContain('no-such-program-here');
    });

    test('words of the command arrive as they are', async () => {
      const words = ["it's", 'a "b" $HOME `x`', '-n', '', 'näme', 'two\nlines', '*'];
      const run = await project.run(['train', '--', 'sh', '-c', 'for w in "$@"; do printf "<%s>" "$w"; done', 'sh', ...words], { env });
      expect(run.text).toContain(words.map((word) => `<${word}>`).join(''));
    });

    test('killing the CLI does not touch the job; its log is followed from the start and from an offset, byte for byte', async () => {
      const script = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); echo "line $i of the long log"; done; echo finished';
      const started = project.start(['train', '--', 'sh', '-c', script], { env });
      await until(() => started.output().length > 100_000, 'some output');
      started.child.kill('SIGKILL');
      await started.done;
      const whole = await project.run(['logs', '--follow']);
      expect(whole.code, whole.stderr).toBe(0);
      const expected = Buffer.from(`${Array.from({ length: 200_000 }, (_, i) => `line ${i + 1} of the long log`).join('\n')}\nfinished\n`);
      expect(whole.stdout.length).toBe(expected.length);
      expect(sha256(whole.stdout)).toBe(sha256(expected));
      const rest = await project.run(['logs', '--follow', '--after', '1234567']);
      expect(sha256(rest.stdout)).toBe(sha256(expected.subarray(1_234_567)));
      const tail = await project.run(['logs', '--tail', '3']);
      expect(tail.text).toBe('line 199999 of the long log\nline 200000 of the long log\nfinished\n');
    });

    test('cancel leaves no process, not even one that left its session and ignores SIGTERM', async () => {
      const marker = `marker-${Math.random().toString(36).slice(2)}`;
      const script = `setsid sh -c 'trap "" TERM; while :; do sleep 0.1; done # ${marker}' & trap "" TERM; echo ready; while :; do sleep 0.1; done # ${marker}`;
      const started = project.start(['train', '--', 'sh', '-c', script], { env });
      await until(() => started.output().includes('ready'), 'the job to run');
      expect(processesWith(marker).length).toBeGreaterThan(1);
      const cancelled = await project.json(['cancel', '--grace', '1s']);
      expect(cancelled.run.code, cancelled.run.stderr).toBe(0);
      await started.done; // the train command's own argv holds the marker too
      expect(processesWith(marker)).toEqual([]);
    });

    test('Ctrl-C cancels the job and says so with exit code 130', async () => {
      const started = project.start(['train', '--', 'sh', '-c', 'trap "echo saved; exit 9" TERM; echo ready; while :; do sleep 0.1; done'], { env });
      await until(() => started.output().includes('ready'), 'the job to run');
      started.child.kill('SIGINT');
      const run = await started.done;
      expect(run.code, run.stderr).toBe(130);
      expect(run.text).toMatch(/^ready\n(Terminated\n)?saved\n$/); // some shells tell of the sleep's end
      const { document } = await project.json(['status', '--refresh', '--all']);
      expect(document.jobs[0]).toMatchObject({ state: 'ended', reason: 'cancelled' });
    });

    test('jobs wait their turn, and a detached job goes on', async () => {
      const detached = await project.json(['train', '--detach', '--', 'sh', '-c', 'sleep 1; echo first is done'], { env });
      expect(detached.run.code, detached.run.stderr).toBe(0);
      const second = await project.run(['train', '--', 'echo', 'second'], { env });
      expect(second.code, second.stderr).toBe(0);
      const log = await project.run(['logs', detached.document.job.id]);
      expect(log.text).toBe('first is done\n');
    });

    test('ssh runs one command with its exit code and streams', async () => {
      const run = await project.run(['ssh', project.name, '--', 'sh', '-c', 'cat; echo err >&2; exit 5'], { input: 'through\n' });
      expect(run).toMatchObject({ code: 5, text: 'through\n' });
      expect(run.stderr).toContain('err');
    });

    test('status and cost know all of it', async () => {
      const { document } = await project.json(['status']);
      expect(document.machines).toHaveLength(1);
      expect(document.machines[0]).toMatchObject({ name: project.name, state: 'ready', asOf: expect.any(String) });
      expect(document.jobs.length).toBeGreaterThan(5);
      const cost = await project.json(['cost']);
      expect(cost.document.total.usd).toBeTypeOf('number');
    });

    test('down ends everything; logs still work', async () => {
      const { run, document } = await project.json(['down']);
      expect(run.code, run.stderr).toBe(0);
      expect(document).toMatchObject({ machines: [{ name: project.name, state: 'gone' }], leftovers: [] });
      expect(processesWith(project.home).map(({ args }) => args)).toEqual([]);
      const log = await project.run(['logs']);
      expect(log.text).toContain('second');
    });

    test('train alone rents, runs and takes down again', async () => {
      const { run, document } = await project.json(['train'], { env });
      expect(run.code, run.stderr).toBe(0);
      expect(document.outputs.length + Number(existsSync(join(project.folder, 'outputs/deep/model.bin')))).toBeGreaterThan(0);
      const status = await project.json(['status']);
      expect(status.document.machines).toEqual([]);
      expect(processesWith(project.home).map(({ args }) => args)).toEqual([]);
    });
  });
}

/** Files below `folder` that hold `needle`. */
function filesHolding(folder: string, needle: string): string[] {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file).includes(needle));
}
