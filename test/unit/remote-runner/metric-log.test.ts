/** The quick way through a log (by bytes, the newest of many lines alone) finds what the slow way does, which reads each line as it comes. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFrameworkReader } from '../../../remote-runner/framework-lines.ts';
import type { NewRecord } from '../../../remote-runner/journal.ts';
import { hasShape, shapeOf } from '../../../remote-runner/json-shape.ts';
import type { JobFolder } from '../../../remote-runner/machine-folder.ts';
import { createBudget, type MetricLimits } from '../../../remote-runner/metric-budget.ts';
import { createMetricFilter, type MetricPlace, type MetricRecord } from '../../../remote-runner/metric-filter.ts';
import { createMetricLanes } from '../../../remote-runner/metric-lanes.ts';
import { readJsonLine } from '../../../remote-runner/metric-line.ts';
import { recordOf } from '../../../remote-runner/metric-log.ts';
import { openMetrics } from '../../../remote-runner/metrics.ts';
import { isRedrawnBar } from '../../../remote-runner/plain-line.ts';
import { isTelling } from '../../../remote-runner/telling-line.ts';

const start: MetricPlace = { logMetricsAt: 0, fileMetricsAt: 0, logPlace: { step: null, epoch: null } };
const limits: MetricLimits = {
  own: { atOnce: 3, perSecond: 20 },
  pairs: { atOnce: 4, perSecond: 20 },
  lastLines: 12,
  earlierLines: { atOnce: 10, perSecond: 50 },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-metric-log-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const redrawn = /%\||(?:it\/s|s\/it)|^\s*\d+\/\d+\s/;

/** What a reader does that makes text of each line and looks at all of them, in their order. */
function slowReader() {
  const frameworks = createFrameworkReader(start.logPlace, limits);
  const earlier = createBudget(limits.earlierLines);
  const filter = createMetricFilter();
  const lanes = createMetricLanes(start, limits);
  const at = { log: 0, file: 0 };
  const linesOf = (which: 'log' | 'file', text: string) =>
    [...text.matchAll(/([^\r\n]*)[\r\n]/g)].flatMap(({ 0: { length }, 1: line = '' }) => {
      at[which] += Buffer.byteLength(line) + length - line.length;
      return line === '' ? [] : [{ line, end: at[which] }];
    });
  const own = (source: 'json' | 'file', line: string, end: number): MetricRecord[] => {
    const measured = readJsonLine(line);
    return measured === null ? [] : [{ type: 'metric', ...measured, source, at: end }];
  };
  return (log: string, file: string, now: number): NewRecord[] => {
    const due = lanes.due(now, 'due');
    const telling = linesOf('log', log).filter(({ line }) => isTelling(Buffer.from(line), 0, Buffer.byteLength(line)));
    const isSkipped = (index: number) =>
      index < telling.length - limits.lastLines &&
      ((redrawn.test(telling[index]?.line ?? '') && redrawn.test(telling[index + 1]?.line ?? '')) || !earlier.take(now));
    const found = telling.flatMap(({ line, end }, index) => {
      const json = own('json', line, end);
      if (json.length > 0) return [...frameworks.due(now, 'complete').map(recordOf), ...json];
      return isSkipped(index) ? [] : frameworks.read(line, end, now).map(recordOf);
    });
    const reported = linesOf('file', file).flatMap(({ line, end }) => (line.startsWith('{') ? own('file', line, end) : []));
    return [...due, ...lanes.add(filter([...reported, ...found, ...frameworks.due(now, 'due').map(recordOf)]), now)];
  };
}

const number = fc.oneof(fc.nat(120).map(String), fc.constantFrom('0', '00', '0.5', '1e-4', '-3', '1E5', '1e999', 'NaN', 'nan', '-Infinity', '007', '1,2'));
const filled = (text: string) =>
  fc.array(number, { minLength: 6, maxLength: 6 }).map((numbers) => numbers.reduce((line, each) => line.replace('#', each), text));
const kinds = [
  'epoch=# step=# loss=# acc=#',
  'step # loss # lr: #',
  '  Epoch # step #: loss=#  ',
  'Epoch #/#',
  'Epoch [0/#], Step [#/#], Loss: #',
  'Epoch #/100, Step #/100, Loss: #',
  '#/# - 3s - 6ms/step - loss: #',
  ' 37%|###       | #/100 [00:01<00:02, 30.1it/s, loss=#]',
  '100%|##########| 100/100 [00:01<00:02, 30.1it/s, loss=#]',
  '2026/11/21 step # loss=#',
  '2026-11-21 10:00:0# step # loss=#',
  '12/13 step # loss=#',
  '\u001b[32mstep # loss=#\u001b[0m',
  "{'loss': '#', 'epoch': '#'}",
  '{"step": #, "loss": #}',
  '{"step": #, "loss": #, "top5": [#, 2], "of": "12 #", "é": #}',
  ' {"step": #, "val_loss": #}',
  '\u00a0{"step": #, "loss": #}',
  '{"step": #, "loss": # }',
  '{"msg": "step", "loss": #}',
  '{"step": #, "loss": #',
  'step # é loss=#',
  'nothing of note: #',
  'a loss of # in step',
];
/** Of which one that is held back comes before one that is not. */
const busy = [
  'step # loss # lr: #',
  '{"step": #, "loss": #}',
  '{"step": #, "val_loss": 0.5}',
  '99%|#########1| 9#/100 [00:01<00:02, 30.1it/s, loss=#]',
  '100%|##########| 100/100 [00:01<00:02, 30.1it/s, loss=#]',
];
const line = fc.tuple(fc.constantFrom(...kinds).chain(filled), fc.constantFrom('\n', '\n', '\r', '\r\n')).map(([text, end]) => `${text}${end}`);
/** Runs of one kind: that is where much is held back. */
const run = fc.oneof(
  line,
  fc
    .constantFrom(...kinds)
    .chain((kind) => fc.array(filled(kind), { maxLength: 12 }))
    .map((lines) => lines.map((each) => `${each}\n`).join('')),
  fc
    .uniqueArray(fc.constantFrom(...busy), { minLength: 2, maxLength: 4 })
    .chain((some) => fc.array(fc.constantFrom(...some).chain(filled), { maxLength: 30 }))
    .map((lines) => lines.map((each) => `${each}\n`).join('')),
);
const portion = fc.record({ log: fc.array(run, { maxLength: 8 }), file: fc.array(run, { maxLength: 4 }), passed: fc.constantFrom(0, 10, 60, 300, 1_500) });

/** The bar at its end is to be recorded before the objects behind it, though they are held back. */
const barAmongObjects = [
  '{"step": 1, "loss": 0.5}\n'.repeat(6),
  ' 99%|######### | 99/100 [00:01<00:02, 30.1it/s, loss=1]\n100%|##########| 100/100 [00:01<00:02, 30.1it/s, loss=2]\n',
  '{"step": 2, "loss": 0.5}\n'.repeat(2),
];

describe('a log', () => {
  test('gives the same records, read quickly or slowly', () => {
    let count = 0;
    fc.assert(
      fc.property(fc.array(portion, { maxLength: 6 }), (portions) => {
        count += 1;
        const job = { log: join(folder, `log-${count}`), metrics: join(folder, `metrics-${count}`) } as JobFolder;
        let now = 1_000;
        const quick = openMetrics(job, {}, start, () => now, limits);
        const slow = slowReader();
        for (const { log, file, passed } of portions) {
          now += passed;
          const texts = [log.join(''), file.join('')] as const;
          appendFileSync(job.log, texts[0]);
          appendFileSync(job.metrics, texts[1]);
          expect(quick.read(false) ?? []).toEqual(slow(...texts, now));
        }
        quick.close();
      }),
      { numRuns: 150, examples: [[[{ log: barAmongObjects, file: [], passed: 0 }]]] },
    );
  });

  test("with a user's pattern too: its lines go before what frameworks make of them", () => {
    const job = { log: join(folder, 'patterns'), metrics: join(folder, 'none') } as JobFolder;
    const one = (step: number) => `step ${step} loss=0.5\n{"step": ${step}, "acc": 1}\nx=${step}\n`;
    writeFileSync(job.log, Array.from({ length: 20 }, (_, step) => one(step)).join(''));
    const reader = openMetrics(job, { x: 'x=(\\d+)' }, start, () => 0, limits);
    const steps = (source: string, records: readonly NewRecord[]) =>
      records.flatMap((record) => (record.type === 'metric' && record.source === source ? [record.step ?? record.values['x']] : []));
    const first = reader.read(true) ?? [];
    const rest = reader.read(true) ?? [];
    reader.close();
    expect(['pairs', 'json', 'regex'].map((source) => steps(source, first))).toEqual([
      [0, 1, 2, 3],
      [0, 1, 2],
      [0, 1, 2],
    ]);
    expect(['pairs', 'json', 'regex'].map((source) => steps(source, rest))).toEqual([[19], [19], [19]]);
  });

  test("with a user's pattern every object is read, as it is found wherever it stands in a line", () => {
    const job = { log: join(folder, 'behind blanks'), metrics: join(folder, 'none') } as JobFolder;
    writeFileSync(job.log, '{"a": 1}\n  {"val_loss": 0.5}\n\ufeff{"b": 2}\n\u00a0{"c": 3}\nx=4\n');
    const reader = openMetrics(job, { x: 'x=(\\d+)' }, start, () => 0, { ...limits, lastLines: 2 });
    const values = (reader.read(true) ?? []).map((record) => (record.type === 'metric' ? record.values : record));
    reader.close();
    expect(values).toEqual([{ a: 1 }, { val_loss: 0.5 }, { b: 2 }, { c: 3 }, { x: 4 }]);
  });
});

test('a metrics file that is begun anew is noticed, however much of it is held back', () => {
  const job = { log: join(folder, 'none'), metrics: join(folder, 'anew') } as JobFolder;
  const write = (count: number) => writeFileSync(job.metrics, Array.from({ length: count }, (_, step) => `{"step":${step + 10},"loss":1}\n`).join(''));
  let now = 0;
  const reader = openMetrics(job, {}, start, () => now, limits);
  const places = () => (reader.read(false) ?? []).flatMap((record) => (record.type === 'metric' ? [record.at] : []));
  write(40);
  expect(places()).toEqual([21, 42, 63]);
  write(20);
  now = 50;
  expect(places()).toEqual([840]); // held back of what was there before
  now = 100;
  expect(places()).toEqual([420]);
  reader.close();
});

test('a line that has the shape of an object holds the same names, and a number for each', () => {
  const value = fc.oneof(
    fc.integer(),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.string({ maxLength: 4 }),
    fc.constantFrom(null, true, [1, 2], { a: 3 }),
  );
  const object = fc.dictionary(fc.oneof(fc.constantFrom('loss', 'step', 'a1', 'e', '"', '\\'), fc.string({ maxLength: 3 })), value, { maxKeys: 4 });
  const other = (text: string, numbers: readonly string[]) => {
    let next = 0;
    return text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (found) => (found.startsWith('"') ? found : (numbers[next++ % numbers.length] ?? found)));
  };
  fc.assert(
    fc.property(object, fc.array(number, { minLength: 1, maxLength: 4 }), (known, numbers) => {
      const text = JSON.stringify(known);
      const bytes = Buffer.from(text);
      const shape = shapeOf(bytes, 0, bytes.length);
      if (shape === null) return;
      expect(hasShape(shape, bytes, 0, bytes.length)).toBe(true);
      const changed = Buffer.from(`x${other(text, numbers)}y`);
      if (!hasShape(shape, changed, 1, changed.length - 1)) return;
      const [before, behind] = [readJsonLine(text), readJsonLine(changed.toString().slice(1, -1))];
      expect(Object.keys(behind?.values ?? {})).toEqual(Object.keys(before?.values ?? {}));
      expect(Object.values(behind?.values ?? {}).every(Number.isFinite)).toBe(true);
    }),
    { numRuns: 300 },
  );
  const bytes = Buffer.from('{"step": 1, "top5": 0.25}');
  const shape = shapeOf(bytes, 0, bytes.length) ?? new Uint8Array();
  const has = (text: string) => hasShape(shape, Buffer.from(text), 0, Buffer.byteLength(text));
  expect(['{"step": 20, "top5": -1.5e-07}', '{"step": 1, "top5": 1e999}', '{"step": 1, "top6": 1}', '{"step": 01, "top5": 1}'].map(has)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test('a bar that is drawn again is known by its bytes', () => {
  const piece = fc.constantFrom('%|', '%', '|', 'it/s', 's/it', 't/s', 's/i', '/', '3', '12', ' ', 'it', 'x', 'é');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const bytes = Buffer.from(`%i${pieces.join('')}|/s t`);
      expect(isRedrawnBar(bytes, 2, bytes.length - 5)).toBe(redrawn.test(pieces.join('')));
    }),
    { numRuns: 500 },
  );
});
