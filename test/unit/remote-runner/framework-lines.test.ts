/** Metrics out of the frameworks' own words: the logs of `test/fixtures/logs`, read as a job's log is. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFrameworkReader } from '../../../remote-runner/framework-lines.ts';
import type { NewRecord } from '../../../remote-runner/journal.ts';
import type { JobFolder } from '../../../remote-runner/machine-folder.ts';
import type { MetricPlace } from '../../../remote-runner/metric-filter.ts';
import { openMetrics } from '../../../remote-runner/metrics.ts';

const logs = join(import.meta.dirname, '../../fixtures/logs');
const start: MetricPlace = { logMetricsAt: 0, fileMetricsAt: 0, logPlace: { step: null, epoch: null } };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-frameworks-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const jobOf = (log: string, metrics = join(folder, 'none')) => ({ log, metrics }) as JobFolder;

/** What a whole log gives when it is read at one moment. `patterns`: the user's. */
function readAll(log: string, from = start, metrics?: string, patterns = {}) {
  const reader = openMetrics(jobOf(log, metrics), patterns, from, () => 0);
  const records: NewRecord[] = [];
  for (let more = reader.read(true); more !== null; more = reader.read(true)) records.push(...more);
  reader.close();
  return records;
}

/** `[step, epoch, values]` of a fixture; each bar gives its first state and its last. */
function measured(name: string, source: string) {
  const records = readAll(join(logs, `${name}.txt`)).flatMap((record) => (record.type === 'metric' ? [record] : []));
  return records.filter((record) => record.source === source).map(({ step, epoch, values }) => [step, epoch, values]);
}

describe('a log of', () => {
  test("Hugging Face's Trainer: numbers as texts, with the step of its bar; evaluations have bars of their own", () => {
    expect(measured('hugging-face', 'hugging-face')).toEqual([
      [10, 0.5, { loss: 0.1, grad_norm: 2.5, learning_rate: 3.75e-5 }],
      [20, 1, { loss: 0.05, grad_norm: 2.5, learning_rate: 2.5e-5 }],
      [20, 1, { eval_loss: 0.045, eval_accuracy: 0.7, eval_runtime: 0.25, eval_samples_per_second: 160, eval_steps_per_second: 20 }],
      [30, 1.5, { loss: 0.03333, learning_rate: 1.25e-5 }],
      [40, 2, { loss: 0.025, grad_norm: 2.5, learning_rate: 0 }],
      [40, 2, { eval_loss: 0.0225, eval_accuracy: 0.9, eval_runtime: 0.25, eval_samples_per_second: 160, eval_steps_per_second: 20 }],
      [40, 2, { train_runtime: 2.5, train_samples_per_second: 128, train_steps_per_second: 16, train_loss: 0.2 }],
    ]);
    expect(measured('hugging-face', 'tqdm')).toEqual([
      [2, null, { rate: 19.9, total: 40 }],
      [40, null, { rate: 15.79, total: 40 }],
    ]);
    const notes = readAll(join(logs, 'hugging-face.txt')).filter(({ type }) => type === 'note');
    expect(notes).toEqual([{ type: 'note', level: 'warn', text: "The metric 'grad_norm' is not a number (nan) at step 30." }]);
  });

  test('Keras 3, with bars: the state of an epoch that its validation has completed, and an evaluation behind', () => {
    expect(measured('keras-bar', 'keras')).toEqual([
      [1, 1, { accuracy: 0.625, loss: 0.7307 }],
      [300, 1, { accuracy: 0.5663, loss: 0.6711, val_accuracy: 0.595, val_loss: 0.6441, learning_rate: 0.001 }],
      [600, 2, { accuracy: 0.6642, loss: 0.6101, val_accuracy: 0.7583, val_loss: 0.573, learning_rate: 0.001 }],
      [900, 3, { accuracy: 0.7837, loss: 0.5339, val_accuracy: 0.9, val_loss: 0.4967, learning_rate: 0.001 }],
      [900, 3, { eval_accuracy: 0.9037, eval_loss: 0.4965 }],
    ]);
  });

  test('Keras 3 with verbose=2, one line an epoch', () => {
    expect(measured('keras-lines', 'keras')).toEqual([
      [300, 1, { accuracy: 0.6067, loss: 0.6596, val_accuracy: 0.6333, val_loss: 0.6235, learning_rate: 0.001 }],
      [600, 2, { accuracy: 0.7154, loss: 0.604, val_accuracy: 0.7683, val_loss: 0.5672, learning_rate: 0.001 }],
      [900, 3, { accuracy: 0.8179, loss: 0.5416, val_accuracy: 0.8467, val_loss: 0.4992, learning_rate: 0.001 }],
      [900, 3, { eval_accuracy: 0.8457, eval_loss: 0.5053 }],
    ]);
  });

  test('Keras 2, redrawn with backspaces', () => {
    expect(measured('keras-2', 'keras')).toEqual([
      [37, 1, { loss: 0.963, accuracy: 0.6037 }],
      [469, 1, { loss: 0.531, accuracy: 0.6469, val_loss: 0.6, val_accuracy: 0.7 }],
      [938, 2, { loss: 0.031, accuracy: 0.7469, val_loss: 0.3, val_accuracy: 0.8 }],
    ]);
  });

  test('Lightning: its own bar, not those of validation and sanity check', () => {
    expect(measured('lightning', 'lightning')).toEqual([
      [4, 0, { train_loss: 0.86, rate: 10.4 }],
      [20, 0, { train_loss: 0.7, val_loss: 0.8, rate: 9.71 }],
      [40, 1, { train_loss: 0.367, val_loss: 0.467, rate: 9.66 }],
    ]);
    expect(measured('lightning', 'pairs')).toEqual([]);
  });

  test('Lightning with rich', () => {
    expect(measured('lightning-rich', 'lightning')).toEqual([
      [20, 0, { train_loss: 0.7, val_loss: 0.8, rate: 9.71 }],
      [40, 1, { train_loss: 0.367, val_loss: 0.467, rate: 9.71 }],
    ]);
  });

  test('tqdm: numbers behind the bar and in front, epochs, bars in bars, no downloads', () => {
    expect(measured('tqdm', 'tqdm')).toEqual([
      [2, null, { loss: 0.5, lr: 3e-4, rate: 19.82, total: 60 }],
      [60, null, { loss: 0.0167, lr: 3e-4, rate: 19.71, total: 60 }],
      [20, 1, { rate: 16.58, total: 20 }],
      [40, 2, { rate: 16.29, total: 20 }],
      [3, null, { loss: 0.333, rate: 1.65, total: 3 }],
    ]);
  });

  test("a loop with a bar an epoch and none of its name: steps count on, those of the validation's bars are left out once it is known for one", () => {
    const bar = (count: number, total: number) => `\r ${Math.floor((count * 100) / total)}%|##   | ${count}/${total} [00:01<00:02, 30.1it/s]`;
    const epoch = (total: number) => `${bar(0, total)}${bar(total / 2 - 1, total)}${bar(total, total)}\n`;
    const log = join(folder, 'anew');
    const written = [40, 10, 40, 10, 40, 10].map(epoch);
    writeFileSync(log, written.join(''));
    const steps = (from: number, step: number | null) =>
      readAll(log, { ...start, logMetricsAt: from, logPlace: { step, epoch: null } }).flatMap((record) => (record.type === 'metric' ? [record.step] : []));
    expect(steps(0, null)).toEqual([19, 40, 10, 80, 120]);
    const second = written.slice(0, 2).join('').length;
    expect(steps(second, 40)).toEqual([59, 80, 10, 120]); // another reader goes on
    expect(steps(second - 1, 40)[0]).toBe(59);
    const ranks = join(folder, 'ranks'); // two processes draw the same bar
    writeFileSync(ranks, `${bar(0, 40)}${bar(0, 40)}${bar(39, 40)}${bar(40, 40)}${bar(39, 40)}${bar(40, 40)}\n`);
    expect(readAll(ranks).map((record) => (record.type === 'metric' ? record.step : null))).not.toContain(80);
  });

  test('loops that people wrote', () => {
    expect(measured('loops', 'pairs')).toEqual([
      [250, null, { train_loss: 1.9651, val_loss: 2.0542 }],
      [260, null, { loss: 1.9874 }],
      [1, null, { loss: 0.61245 }],
      [490, 2, { lr: 0.1, 'img/s': 45.2, loss: 2.31, acc1: 9.38, total: 235 }],
      [10, 0, { Loss: 6.9, 'Acc@1': 0.39, 'Acc@5': 1.17, total: 5005 }],
      [null, 1, { Loss: 2.299825 }],
      [1300, 3, { Loss: 0.2512, total: 600, total_epochs: 10 }],
      [null, 131, { psnr: 34.21, ssim: 0.934 }],
      [null, 1, { lr: 5, loss: 8.14, ppl: 3432.16 }],
      [120, 3, { loss: 0.5, lr: 1e-4, acc: 97.5 }],
    ]);
  });

  test.each([
    ['Epoch 1/10, Train Loss: 0.5, Val Loss: 0.75, Train Acc: 0.8', { Train_Loss: 0.5, Val_Loss: 0.75, Train_Acc: 0.8, total_epochs: 10 }],
    ['Epoch 1 | Training loss: 0.5 | Validation loss: 0.75', { Training_loss: 0.5, Validation_loss: 0.75 }],
    ['step 100 loss=1,234.5 lr=0.1', { lr: 0.1 }],
    ['iteration 100/500 | learning rate: 1.5E-06 | lm loss: 9.12', { learning_rate: 1.5e-6, loss: 9.12, total: 500 }],
    ['step 1,000: loss=0.5', undefined],
    ['epoch 3 loss: 0.5, avg loss: 0.6, running train loss: 0.7', { loss: 0.5, avg_loss: 0.6, running_train_loss: 0.7 }],
    ['step 5 loss 0.5 mean loss 0.6 best acc: 0.9 acc: 0.8', { loss: 0.5, mean_loss: 0.6, best_acc: 0.9, acc: 0.8 }],
    ['epoch 1: val/avg_loss=0.4 val/loss=0.3 loss=0.2', { 'val/avg_loss': 0.4, 'val/loss': 0.3, loss: 0.2 }],
    ['step 7: kl loss: 0.1, recon loss: 0.2, loss: 0.3', { kl_loss: 0.1, recon_loss: 0.2, loss: 0.3 }],
    ['step 7: INFO loss: 0.3, lr: 0.1', { loss: 0.3, lr: 0.1 }],
  ])('%s: no number under the name of another one', (line, values) => {
    const [seen] = createFrameworkReader({ step: null, epoch: null }).read(line, 1, 0);
    expect(seen?.sighting.values).toEqual(values);
  });

  test('epochs that are counted from 0: their steps rise', () => {
    const reader = createFrameworkReader({ step: null, epoch: null });
    const steps = [0, 1, 2].map((epoch) => reader.read(`Epoch ${epoch}/3, Step 50/100, loss=0.5`, epoch + 1, 0)[0]?.sighting.step);
    expect(steps).toEqual([50, 150, 250]);
  });

  test('everything else: paths, versions, times, addresses, other dictionaries and bars give nothing', () => {
    expect(readAll(join(logs, 'noise.txt'))).toEqual([]);
  });
});

describe('reading', () => {
  const values = (records: readonly { readonly type: string; readonly values?: unknown }[]) => records.map((record) => record.values);

  test('goes on behind any record, with the epoch that Keras had come to', () => {
    const log = join(logs, 'keras-bar.txt');
    const whole = readAll(log).flatMap((record) => (record.type === 'metric' ? [record] : []));
    for (const [index, { at, step, epoch }] of whole.entries()) {
      const rest = readAll(log, { ...start, logMetricsAt: at, logPlace: { step, epoch } });
      expect(values(rest).at(-1)).toEqual(index === whole.length - 1 ? undefined : whole.at(-1)?.values);
      expect(values(rest)).toEqual(expect.arrayContaining(values(whole.slice(index + 1))));
    }
  });

  test('a bar is one record a second, what stands still is told after one, and its end always', () => {
    const log = join(folder, 'slow');
    writeFileSync(log, '');
    let now = 10_000;
    const reader = openMetrics(jobOf(log), {}, start, () => now);
    const draw = (count: number) => {
      appendFileSync(log, `\r ${count}%|##   | ${count}/100 [00:01<00:02, 30.1it/s, loss=0.${count}]`);
      return reader.read(false) ?? [];
    };
    const steps = Array.from({ length: 40 }, (_, index) => {
      now += 100;
      return draw(index + 10).map((record) => (record.type === 'metric' ? record.step : null));
    }).flat();
    expect(steps).toEqual([10, 20, 30, 40]); // a line is read once the next has begun
    appendFileSync(log, '\r');
    reader.read(false);
    expect(reader.read(false)).toBeNull();
    now += 1_000;
    expect(values(reader.read(false) ?? [])).toEqual([{ loss: 0.49, rate: 30.1, total: 100 }]);
    draw(100);
    expect(values(reader.read(true) ?? [])).toEqual([]);
    expect(values(reader.read(true) ?? [])).toEqual([{ loss: 0.1, rate: 30.1, total: 100 }]);
    expect(reader.read(true)).toBeNull();
    reader.close();
  });

  test("what the user reports is not taken from a framework's line as well; its own pattern goes before all readers", () => {
    const log = join(folder, 'both');
    const bar = ' 50%|##   | 5/10 [00:01<00:01, 3.0it/s, loss=0.5, acc=0.25]\n';
    writeFileSync(log, `{"loss": 0.5123, "step": 5}\n${bar}epoch 1 loss: 0.4\n`);
    expect(values(readAll(log))).toEqual([{ loss: 0.5123 }, { acc: 0.25, rate: 3, total: 10 }]);
    expect(values(readAll(log, start, undefined, { top: 'acc=([0-9.]+)' }))).toEqual([{ loss: 0.5123 }, { top: 0.25 }]);
  });

  test('of a flood of lines the first 5,000 are records, then 20 a second; and every JSON line is one', () => {
    const log = join(folder, 'flood');
    const lines = Array.from({ length: 10_000 }, (_, step) => (step === 7 ? '{"step": 7, "sure": 1}' : `step ${step}: loss=0.5`));
    writeFileSync(log, lines.map((line) => `${line}\n`).join(''));
    const read = readAll(log).flatMap((record) => (record.type === 'metric' ? [record.step] : []));
    expect(read).toEqual([...Array.from({ length: 5_001 }, (_, index) => index), 9_999]);
    const reader = createFrameworkReader({ step: null, epoch: null });
    const at = (now: number) => Array.from({ length: 5_100 }, (_, step) => reader.read(`step ${step}: loss=1`, step, now)).flat();
    expect([at(0).length, at(1_000).length, at(500).length, at(2_000).at(-1)?.at]).toEqual([5_000, 20, 0, 29]);
    expect(reader.due(2_010, 'due')).toEqual([]);
    expect(reader.due(2_050, 'due').map((seen) => seen.at)).toEqual([5_099]);
  });

  test('who reads a whole training at once, as after a restart, loses no epoch of it', () => {
    const log = join(folder, 'behind');
    const epoch = (at: number) => `Epoch ${at}/3\n${Array.from({ length: 1_500 }, (_, n) => `${n + 1}/1500 ━━━━ 2s 4ms/step - loss: ${at}.5\r`).join('')}\n`;
    writeFileSync(log, [1, 2, 3].map(epoch).join(''));
    const read = readAll(log).flatMap((record) => (record.type === 'metric' ? [[record.step, record.epoch, record.values]] : []));
    expect(read).toEqual(expect.arrayContaining([1, 2, 3].map((at) => [at * 1_500, at, { loss: at + 0.5 }])));
    expect(read.filter(([, , values]) => Object.hasOwn(values as object, 'eval_loss'))).toEqual([]);
  });

  test('a bar at its end is recorded before a line behind it, for after a restart reading goes on there', () => {
    const reader = createFrameworkReader({ step: null, epoch: null });
    const bar = (count: number, loss: number) => `train: ${count * 10}%|###  | ${count}/10 [00:01<00:01,  5.00it/s, loss=${loss}]`;
    expect(reader.read(bar(5, 0.9), 10, 0).map(({ at }) => at)).toEqual([10]);
    expect(reader.read(bar(10, 0.5), 20, 0)).toEqual([]);
    expect(reader.read('epoch 1: val_loss=0.7', 30, 0).map(({ at }) => at)).toEqual([20, 30]);
  });

  test('offsets of records never go back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('{"loss": 1}', ' 5%|#  | 5/99 [00:01<00:01, 3.0it/s]', '99/99 - 1s - loss: 0.5', 'epoch 1 acc: 0.5', 'x'), { maxLength: 30 }),
        (lines) => {
          const log = join(folder, 'mixed');
          writeFileSync(log, lines.map((line) => `${line}\n`).join(''));
          const places = readAll(log).flatMap((record) => (record.type === 'metric' ? [record.at] : []));
          expect(places).toEqual(places.toSorted((a, b) => a - b));
        },
      ),
      { numRuns: 50 },
    );
  });

  test('whatever a line holds, it ends soon and gives finite steps', () => {
    const piece = fc.constantFrom(
      'Epoch ',
      '3',
      '/',
      ' step',
      '=',
      ': ',
      '0.5',
      '[',
      '00:01',
      '<',
      '%|',
      '|',
      ', ',
      ' - ',
      'loss',
      "{'",
      "': '",
      '}',
      '\u001b[A',
      '\b',
      'it/s]',
      ' ',
      'nan',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const reader = createFrameworkReader(start.logPlace);
        const seen = [...reader.read(pieces.join(''), 1, 0), ...reader.due(0, 'all')];
        for (const { sighting } of seen) expect([sighting.step, sighting.epoch].every((place) => place === null || Number.isFinite(place))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('long lines of one kind of character take no time that grows with their square', () => {
    const reader = createFrameworkReader(start.logPlace);
    for (const unit of ['a', '1', ' ', '=', '/', 'loss ', '1/2 ', "'a': 1, "]) {
      expect(reader.read(`epoch 1 ${unit.repeat(2_000 / unit.length)}]`, 1, 0).length).toBeLessThan(2);
    }
  });

  test('the fixtures are what they say', () => {
    expect(readFileSync(join(logs, 'keras-bar.txt'), 'utf8')).toContain('\b\b\r\u001b[1m300/300');
  });
});

test.each([
  ['blanks in a line of pairs', (n: number) => `epoch${' '.repeat(n)}loss`],
  ['blanks in a bar drawn with rich', (n: number) => `Epoch 1/1${' '.repeat(n)}x • ]`],
  ['the bar itself', (n: number) => `Epoch 1/1 ${'━'.repeat(n)}x • ]`],
  ['a number without end', (n: number) => `epoch 1 loss=${'1'.repeat(n)}x`],
])('%s, as many as a line may hold, are read as fast as any other line', (_, line) => {
  const reader = createFrameworkReader({ step: null, epoch: null });
  const { user } = usedBy(() => reader.read(line(2_000), 1, 0));
  expect(user).toBeLessThan(1_000_000); // microseconds of CPU; a cubic search takes twenty times that
});

function usedBy(work: () => unknown): NodeJS.CpuUsage {
  const before = process.cpuUsage();
  work();
  return process.cpuUsage(before);
}
