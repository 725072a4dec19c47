import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { etaOf, totalsOf } from '../../../src/workflows/top-eta.ts';
import { createTopModel, type TopModel, type TopView } from '../../../src/workflows/top-model.ts';
import { jobEntry, machineEntry, noon } from '../cli/entries.ts';
import { topView } from '../cli/top-example.ts';

const text = new TextEncoder();

function watched(): TopModel {
  const model = createTopModel();
  model.apply({ type: 'machine', at: noon, machine: machineEntry(), spentUsd: 0, budget: null });
  return model;
}

function write(model: TopModel, said: string, stream: 'out' | 'err' = 'out'): void {
  model.apply({ type: 'log', stream, offset: 0, bytes: text.encode(said) });
}

describe('the log', () => {
  test('as it stands on a terminal: progress bars over each other, colours left out, the unfinished line', () => {
    const model = watched();
    write(model, 'one\n 1%\r 2%\r 3%\n\u001b[31mred\u001b[0m\r\nhal');
    expect(model.view()?.log).toEqual(['one', ' 3%', 'red', 'hal']);
    write(model, 'f\n');
    write(model, 'from stderr', 'err');
    expect(model.view()?.log).toEqual(['one', ' 3%', 'red', 'half', 'from stderr']);
  });

  test('however it is cut into pieces; bounded', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'é', '\n', '漢', 'word '), { maxLength: 60 }), fc.integer({ min: 1, max: 7 }), (parts, size) => {
        const model = watched();
        const bytes = text.encode(parts.join(''));
        for (let at = 0; at < bytes.length; at += size) model.apply({ type: 'log', stream: 'out', offset: at, bytes: bytes.slice(at, at + size) });
        const whole = watched();
        write(whole, parts.join(''));
        expect(model.view()?.log).toEqual(whole.view()?.log);
      }),
    );
    const model = watched();
    write(model, 'x\n'.repeat(5_000));
    write(model, 'y'.repeat(100_000));
    expect(model.view()?.log.length).toBeLessThanOrEqual(300);
    expect(model.view()?.log.at(-1)?.length).toBeLessThanOrEqual(2_000);
  });
});

test('curves are thinned out, and keep their beginning and their end', () => {
  const model = watched();
  model.apply({ type: 'job', id: 'job-1' });
  for (let n = 1; n <= 10_000; n++) {
    model.apply({ type: 'record', record: { n, t: noon + n, type: 'metric', values: { loss: n }, step: n, epoch: null, source: 'json', at: 0 } });
  }
  const points = model.view()?.training.curves.get('loss') ?? [];
  expect(points.length).toBeLessThanOrEqual(2_001);
  expect([points[0], points.at(-1)]).toEqual([
    [1, 1],
    [10_000, 10_000],
  ]);
});

test('seconds an epoch: from the beginnings of epochs, however many steps lie between', () => {
  const model = watched();
  model.apply({ type: 'job', id: 'job-1' });
  for (let n = 1; n <= 2_500; n++) {
    model.apply({ type: 'record', record: { n, t: noon + n * 100, type: 'metric', values: {}, step: n, epoch: Math.ceil(n / 1000), source: 'json', at: 0 } });
  }
  expect(model.view()?.training).toMatchObject({ secondsPerEpoch: 100, stepsPerSecond: 10, epoch: 3 });
});

describe('how much longer', () => {
  const view = topView();
  const job = { ...(view.job as NonNullable<TopView['job']>), command: jobEntry(null).command };
  const training = { ...view.training, last: {}, step: 100, epoch: 2, stepsPerSecond: 10, secondsPerEpoch: 50, epochsDone: 2 };
  const flags = (command: string, last: Record<string, number> = {}) => totalsOf({ job: { ...job, command }, training: { ...training, last } });

  test('from metrics, from flags, from neither', () => {
    expect(flags('x')).toEqual({ steps: null, epochs: null });
    expect(flags('x --epochs 5')).toEqual({ steps: null, epochs: 5 });
    expect(flags('x --num-train-epochs=3 --max_steps 1000')).toEqual({ steps: 1000, epochs: 3 });
    expect(flags('x --num_epochs 4', { max_steps: 200 })).toEqual({ steps: 200, epochs: 4 });
    expect(flags('x --max_steps 50')).toEqual({ steps: null, epochs: null }); // there are more already
    expect(flags('x', { total: 500 })).toEqual({ steps: null, epochs: null }); // a bar of one epoch
    expect(totalsOf({ job, training: { ...training, epoch: null, last: { total: 500 } } })).toEqual({ steps: 500, epochs: null });
  });

  test('steps of an epoch are not those of the whole', () => {
    const bar = (step: number, epoch: number | null) => {
      const record = { n: 1, t: noon, type: 'metric', values: { total: 40 }, step, epoch, source: 'tqdm', at: 0 } as const;
      return (command: string) => totalsOf({ job: { ...job, command }, training: { ...training, last: record.values, epoch, step, newest: [record] } }).steps;
    };
    expect(flags('x --steps 400 --epochs 4')).toEqual({ steps: null, epochs: 4 });
    expect(flags('x --max_train_steps 400 --epochs 4')).toEqual({ steps: 400, epochs: 4 });
    expect(bar(7, 1)('x --epochs 4 --steps 40')).toBe(160); // it has its epoch in its label
    expect(bar(7, 1)('x')).toBeNull();
    expect(bar(7, null)('x --epochs 4')).toBeNull(); // perhaps the first of four
    expect(bar(47, null)('x --epochs 4')).toBe(160);
    expect(bar(47, null)('x')).toBeNull();
    expect(bar(7, null)('x')).toBe(40);
    expect(bar(7, null)('x --epochs 1')).toBe(40);
  });

  test('a line such as `Epoch [2/2], Step [11/60]` tells all of it', () => {
    const record = { n: 1, t: noon, type: 'metric', values: { total: 60, total_epochs: 2 }, step: 71, epoch: 2, source: 'pairs', at: 0 } as const;
    const told = { ...training, last: record.values, epoch: 2, step: 71, newest: [record] };
    expect(totalsOf({ job: { ...job, command: 'x' }, training: told })).toEqual({ steps: 120, epochs: 2 });
  });

  test('of a job that runs, at its present speed', () => {
    expect(etaOf({ job, training: { ...training, last: { total_steps: 1100 } } })).toEqual({ seconds: 100, done: 100 / 1100 });
    expect(etaOf({ job, training: { ...training, last: { total_epochs: 4 } } })).toEqual({ seconds: 100, done: 0.5 });
    expect(etaOf({ job, training: { ...training, step: 1099.9, last: { total_steps: 1100 } } })?.seconds).toBe(1);
    expect(etaOf({ job, training: { ...training, last: { total_steps: 100 } } })).toBeNull(); // it does something else now
    expect(etaOf({ job: { ...job, state: 'ended' }, training: { ...training, last: { total_steps: 1100 } } })).toBeNull();
    expect(etaOf({ job, training: { ...training, stepsPerSecond: null, secondsPerEpoch: null, last: { total_steps: 1100 } } })).toBeNull();
  });

  /** `[seconds, epoch, step]` each, of a job of two epochs; what is left at the end of them, looked at `later` seconds later. */
  const leftAfter = (told: readonly (readonly [number, number, number | null])[], later = 0) => {
    const model = watched();
    model.apply({ type: 'job', id: 'job-1' });
    let n = 0;
    for (const [at, epoch, step] of told) {
      const record = { n: ++n, t: noon + at * 1000, type: 'metric', values: { loss: 1, epochs: 2 }, step, epoch, source: 'json', at: 0 } as const;
      model.apply({ type: 'record', record });
    }
    const [sample] = topView().samples as readonly [TopView['samples'][number]];
    model.apply({ type: 'sample', sample: { ...sample, t: noon + ((told.at(-1)?.[0] ?? 0) + later) * 1000 } });
    const eta = etaOf({ job, training: (model.view() as TopView).training });
    return eta === null ? null : [Math.round(eta.seconds), Math.round(eta.done * 100)];
  };
  const steps = (first: number, count: number) => Array.from({ length: count }, (_, at) => [at, first + Math.floor(at / 40), at] as const);

  test('the epoch that runs counts by its steps, whether epochs begin with 0 or 1', () => {
    for (const first of [0, 1]) {
      expect(leftAfter(steps(first, 40))).toBeNull(); // how long is one?
      expect(leftAfter(steps(first, 41))).toEqual([40, 50]);
      expect(leftAfter(steps(first, 51))).toEqual([30, 63]);
      expect(leftAfter(steps(first, 75), 100)).toEqual([6, 93]);
    }
  });

  test('where steps are not told, or begin anew with each epoch, it counts by time', () => {
    const anew = steps(1, 51).map(([at, epoch, step]) => [at, epoch, step % 40] as const);
    expect(leftAfter(anew)).toEqual([30, 63]);
    expect(
      leftAfter(
        anew.map(([at, epoch]) => [at, epoch, null] as const),
        10,
      ),
    ).toEqual([20, 75]);
    expect(leftAfter(anew, 1_000)).toEqual([1, 100]); // rounded: it is below
  });

  test('a line an epoch tells that it is done', () => {
    const lines = [1, 2].map((epoch) => [epoch * 40, epoch, null] as const);
    expect(leftAfter(lines)).toBeNull(); // both are
    expect(leftAfter(lines.map(([at, epoch, step]) => [at, epoch - 1, step] as const))).toBeNull();
  });
});
