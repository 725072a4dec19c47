/** When a checkpoint is complete, and what is told of it. */
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, utimesSync, watch as watchAny, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CheckpointWatch, watchCheckpoints } from '../../../remote-runner/checkpoints.ts';
import { useBuiltRunner } from '../../support/built-runner.ts';
import { createMachine, followToEnd, runJob, specOf, type TestMachine, until } from '../../support/runner.ts';

describe('the watch', () => {
  let workdir: string;
  let folder: string;
  let time: number;
  let watch: CheckpointWatch;
  beforeEach(() => {
    workdir = mkdtempSync(join(tmpdir(), 'gpu-run-checkpoints-'));
    folder = join(workdir, 'ckpt');
    time = 0;
    watch = open(null);
  });
  afterEach(() => rmSync(workdir, { recursive: true, force: true }));

  const open = (since: { startedAt: number | null; checkpointAt: number } | null) => watchCheckpoints({ workdir, folder, since, now: () => time });
  const write = (path: string, text = 'x') => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const lookAfter = (ms: number, final = false) => {
    time += ms;
    return watch.look(final);
  };
  const told = (records: ReturnType<CheckpointWatch['look']>) => records.map((record) => (record.type === 'checkpoint' ? [record.path, record.bytes] : []));

  test('a file counts once it has not changed for a while, and once', () => {
    expect(lookAfter(1_000)).toEqual([]);
    write('last.pt', '1');
    expect(lookAfter(1_000)).toEqual([]);
    appendFileSync(join(folder, 'last.pt'), '23');
    const before = new Date(Date.now() - 1_000);
    utimesSync(folder, before, before); // it got its name, and then it was written
    expect(lookAfter(1_000)).toEqual([]);
    expect(lookAfter(1_000)).toEqual([]);
    const [record] = lookAfter(1_000);
    expect(record).toMatchObject({ type: 'checkpoint', path: 'ckpt/last.pt', bytes: 3 });
    expect(record?.type === 'checkpoint' && record.endedAt >= record.beganAt).toBe(true);
    expect(lookAfter(60_000)).toEqual([]);
  });

  test('a small file that is written and renamed every two seconds is told of each time: to the file system both may be one moment', () => {
    mkdirSync(folder);
    for (const round of [1, 2, 3]) {
      write('last.json.tmp', `${round}`);
      renameSync(join(folder, 'last.json.tmp'), join(folder, 'last.json'));
      expect(told([...lookAfter(1_000), ...lookAfter(1_000)])).toEqual([['ckpt/last.json', 1]]);
    }
  });

  test('a file that never rests beside one that does is named, once; one that is alone, or rests in time, is not', () => {
    const lookOften = (seconds: number, each: () => void) =>
      Array.from({ length: seconds / 10 }, () => {
        each();
        return lookAfter(10_000);
      }).flat();
    mkdirSync(folder);
    const progress = () => appendFileSync(join(folder, 'progress.txt'), 'x');
    expect(lookOften(900, progress)).toEqual([]); // nothing waits for it
    write('last.pt');
    const records = lookOften(900, progress);
    expect(records).toEqual([{ type: 'note', level: 'warn', text: expect.stringContaining('ckpt/progress.txt goes on changing') }]);
    expect(told(lookAfter(2_000))).toEqual([['ckpt', 181]]); // it rests
    watch = open(null);
    write('step-2/model.json');
    expect(lookOften(200, () => appendFileSync(join(folder, 'step-2/weights'), 'x'))).toEqual([]);
    expect(told(lookAfter(50_000))).toEqual([['ckpt/step-2', 21]]);
    expect(lookOften(200, () => appendFileSync(join(folder, 'step-2/weights'), 'x'))).toEqual([]);
  });

  test('while nothing is expected, a change is heard of: once until the next look, in the folder or in the one that it is made in', async () => {
    let heard = () => {};
    watch.close();
    watch = watchCheckpoints({ workdir, folder, since: null, now: () => time, onChange: () => heard() });
    for (const path of ['a/model.pt', 'b/model.pt']) {
      expect([lookAfter(1_000), watch.isExpected]).toEqual([[], false]);
      const change = new Promise<void>((resolve) => {
        heard = resolve;
      });
      write(path);
      await change;
      expect([lookAfter(1_000), watch.isExpected]).toEqual([[], true]);
      expect([told(lookAfter(60_000)).length, watch.isExpected]).toEqual([1, false]);
    }
    watch.close();
  });

  test.each([
    ['a folder of checkpoints in one of the outputs', 'out', 'out/ckpt'],
    ['a folder of checkpoints whose outputs are yet to come', '.', 'out/ckpt'],
    ['a folder that was there before', 'out/ckpt/run', 'out/ckpt/run'],
  ])('what is written is heard of at once: %s', async (_, before, place) => {
    mkdirSync(join(workdir, before), { recursive: true });
    watch.close();
    let heard = 0;
    watch = watchCheckpoints({ workdir, folder: join(workdir, 'out/ckpt'), since: null, now: () => time, onChange: () => void (heard += 1) });
    writeFileSync(join(workdir, 'log'), 'not in the folder'); // nor in the way to it
    mkdirSync(join(workdir, place), { recursive: true });
    writeFileSync(join(workdir, place, '.last.pt.tmp'), 'weights');
    renameSync(join(workdir, place, '.last.pt.tmp'), join(workdir, place, 'last.pt'));
    await until(() => heard > 0, 'news of the checkpoint');
    expect([heard, told([...lookAfter(1_000), ...lookAfter(2_000)]).length]).toEqual([1, 1]);
    watch.close();
  });

  test('what is no checkpoint is not heard of', async () => {
    mkdirSync(join(folder, 'run'), { recursive: true });
    watch.close();
    const heard: number[] = [];
    watch = watchCheckpoints({ workdir, folder, since: null, now: () => time, onChange: () => heard.push(time) });
    for (const name of ['ckpt/train.log', 'ckpt/run/metrics.csv', 'ckpt/.last.pt.tmp', 'beside']) writeFileSync(join(workdir, name), 'x');
    const last = watchAny(workdir); // the system tells in order
    const later = once(last, 'change');
    writeFileSync(join(workdir, 'later'), 'x');
    await later.finally(() => last.close());
    expect(heard).toEqual([]);
    writeFileSync(join(folder, 'last.pt'), 'x');
    await until(() => heard.length > 0, 'news of the checkpoint');
    watch.close();
  });

  test('folders are told apart; files beside each other belong together; removed ones are no news', () => {
    write('step-1/model.bin', '12345');
    write('step-1/deep/state.json', '{}');
    write('model.json', '{}');
    write('weights.bin', '123');
    lookAfter(1_000);
    expect(told(lookAfter(2_000)).sort()).toEqual([
      ['ckpt', 5],
      ['ckpt/step-1', 7],
    ]);
    rmSync(join(folder, 'step-1'), { recursive: true });
    rmSync(join(folder, 'model.json'));
    lookAfter(1_000);
    expect(lookAfter(5_000)).toEqual([]);
    write('step-1/model.bin', '54321');
    lookAfter(1_000);
    expect(told(lookAfter(2_000))).toEqual([['ckpt/step-1', 5]]);
  });

  test('a folder that is swapped for another one, again and again', () => {
    for (const round of [1, 2, 3]) {
      mkdirSync(`${folder}.new`);
      writeFileSync(join(`${folder}.new`, 'model.json'), `{"round":${round}}`);
      rmSync(folder, { recursive: true, force: true });
      renameSync(`${folder}.new`, folder);
      const atOnce = lookAfter(1_000);
      expect(told([...atOnce, ...lookAfter(2_000)])).toEqual([['ckpt/model.json', 11]]);
    }
  });

  test('what was given its name once it was written is complete at once', async () => {
    const later = () => new Promise((resolve) => setTimeout(resolve, 20)); // a file system's clock has ticks
    mkdirSync(join(workdir, 'aside/step-1'), { recursive: true });
    writeFileSync(join(workdir, 'aside/step-1/model'), '1');
    writeFileSync(join(workdir, 'aside/last.pt'), '12');
    await later();
    mkdirSync(folder);
    renameSync(join(workdir, 'aside/step-1'), join(folder, 'step-1'));
    renameSync(join(workdir, 'aside/last.pt'), join(folder, 'last.pt'));
    expect(told(lookAfter(1_000)).sort()).toEqual([
      ['ckpt/last.pt', 2],
      ['ckpt/step-1', 1],
    ]);
    await later();
    write('step-1/optimizer', '123');
    expect(lookAfter(1_000)).toEqual([]);
    expect(told(lookAfter(2_000))).toEqual([['ckpt/step-1', 3]]);
    // The whole folder is swapped.
    mkdirSync(`${folder}.new`);
    writeFileSync(join(`${folder}.new`, 'a'), '1');
    writeFileSync(join(`${folder}.new`, 'b'), '2');
    await later();
    rmSync(folder, { recursive: true });
    renameSync(`${folder}.new`, folder);
    expect(told(lookAfter(1_000))).toEqual([['ckpt', 2]]);
  });

  test('what took long to write is given longer', () => {
    write('big.pt');
    lookAfter(1_000);
    utimesSync(join(folder, 'big.pt'), new Date(), new Date(Date.now() + 20_000)); // its last byte came 20 s after its first
    lookAfter(1_000);
    expect(lookAfter(3_000)).toEqual([]);
    expect(told(lookAfter(2_500))).toEqual([['ckpt/big.pt', 1]]);
  });

  test('names of what is being written, and logs, are none', () => {
    for (const name of ['tmp-step-2/model', 'step-3.tmp', '.hidden', 'step.orbax-checkpoint-tmp-77/x', 'events.out.tfevents.1', 'train.log', 'a/metrics.csv'])
      write(name);
    lookAfter(1_000);
    expect(lookAfter(100_000)).toEqual([]);
    renameSync(join(folder, 'tmp-step-2'), join(folder, 'step-2'));
    const atOnce = lookAfter(1_000);
    expect(told([...atOnce, ...lookAfter(2_000)])).toEqual([['ckpt/step-2', 1]]);
  });

  test('at the end of the job all is complete; what was there before it is not its work', () => {
    write('old.pt');
    watch = open(null);
    lookAfter(10_000);
    write('new.pt');
    expect(told(lookAfter(0, true))).toEqual([['ckpt/new.pt', 1]]);
    expect(lookAfter(0, true)).toEqual([]);
  });

  test('a runner that takes a job over tells what came since the last one that was told of', () => {
    write('told.pt');
    utimesSync(join(folder, 'told.pt'), 1_000, 1_000);
    write('fresh.pt', '12');
    watch = open({ startedAt: 500_000, checkpointAt: 1_000_000 });
    lookAfter(1_000);
    expect(told(lookAfter(2_000))).toEqual([['ckpt/fresh.pt', 2]]);
  });

  test('looks once a second at most, and more seldom where that takes long', () => {
    let slow = 0;
    let asked = 0;
    watch = watchCheckpoints({ workdir, folder, since: null, now: () => (time += asked++ % 2 === 0 ? 0 : slow) });
    write('a.pt');
    slow = 100; // each look takes so long
    expect(lookAfter(1_000)).toEqual([]);
    slow = 0;
    expect(lookAfter(4_000)).toEqual([]); // fifty times as long is not over
    expect(told(lookAfter(2_000))).toEqual([['ckpt/a.pt', 1]]);
  });

  test('a file in the place of the folder is none', () => {
    writeFileSync(join(workdir, 'file'), '');
    expect(watchCheckpoints({ workdir, folder: join(workdir, 'file'), since: null, now: () => time }).look(true)).toEqual([]);
  });
});

describe('a job', () => {
  const built = useBuiltRunner();
  let machine: TestMachine;
  beforeEach(() => {
    machine = createMachine(built.script);
  });
  afterEach(() => machine[Symbol.asyncDispose]());

  test('its checkpoint is told while it runs, the last one before its end', async () => {
    const client = await machine.connect();
    const save =
      'mkdir -p "$GPU_RUN_CHECKPOINT_DIR"; echo one > "$GPU_RUN_CHECKPOINT_DIR/1.pt"; until [ -e go ]; do sleep 0.02; done; echo last > "$GPU_RUN_CHECKPOINT_DIR/2.pt"';
    const spec = specOf(save, { outputs: ['out/'] });
    await client.call('submit', { spec });
    const follower = followToEnd(await machine.connect(), spec.id);
    await until(
      () => existsSync(machine.jobFile(spec.id, 'journal.jsonl')) && readFileSync(machine.jobFile(spec.id, 'journal.jsonl'), 'utf8').includes('1.pt'),
      'the first',
    );
    writeFileSync(join(machine.workdir, 'go'), '');
    const { records } = await follower;
    expect(records.flatMap((record) => (record.type === 'checkpoint' ? [record.path] : []))).toEqual(['out/checkpoints/1.pt', 'out/checkpoints/2.pt']);
    expect(records.at(-1)).toMatchObject({ type: 'state', state: 'ended' });
  });

  test('a later attempt has an id of its own here, and the name of the first; it finds where to resume from, if anything is there', async () => {
    const client = await machine.connect();
    const says = 'echo "$GPU_RUN_JOB $GPU_RUN_ATTEMPT <$GPU_RUN_RESUME_FROM> <$GPU_RUN_CHECKPOINT_DIR>"';
    const spec = specOf(says, { outputs: ['out/'], checkpoints: 'saved', resumeFrom: 'saved' });
    // Neither gpu-run's own metrics nor what was being written are a checkpoint.
    mkdirSync(join(machine.workdir, 'saved/gpu-run/job-a'), { recursive: true });
    writeFileSync(join(machine.workdir, 'saved/gpu-run/job-a/metrics.jsonl'), '{}');
    writeFileSync(join(machine.workdir, 'saved/last.pt.tmp'), 'half');
    const first = await runJob(client, spec);
    expect(first.log.toString()).toBe(`${spec.id} 1 <> <${machine.workdir}/saved>\n`);
    writeFileSync(join(machine.workdir, 'saved/last.pt'), '');
    const second = await runJob(client, { ...spec, id: `${spec.id}_2`, name: spec.id, attempt: 2 });
    expect(second.log.toString()).toBe(`${spec.id} 2 <${machine.workdir}/saved> <${machine.workdir}/saved>\n`);
  });

  test('/etc, ../up and a/../../b are no places for checkpoints', async () => {
    const client = await machine.connect();
    for (const checkpoints of ['/etc', '../up', 'a/../../b'])
      await expect(client.call('submit', { spec: specOf('true', { checkpoints }) })).rejects.toMatchObject({ code: 'bad-input' });
  });
});
