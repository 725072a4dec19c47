import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createStyle } from '../../../src/cli/render/style.ts';
import { topDocument } from '../../../src/cli/render/top-document.ts';
import { calm, renderTop } from '../../../src/cli/render/top-frame.ts';
import { columnsOf, cutColumns } from '../../../src/cli/render/top-line.ts';
import { asciiGlyphs, bar, plotCurve, sparkline, unicodeGlyphs } from '../../../src/cli/render/top-plot.ts';
import type { TopView } from '../../../src/workflows/top-model.ts';
import { noon } from './entries.ts';
import { gpuSample, type Scene, topView } from './top-example.ts';

const now = noon + 725_000;
const plain = { style: createStyle(false), glyphs: unicodeGlyphs };
const nasty = 'é\u001b[2J\u0007漢字\u202e🙂';

const gpus = (count: number) => Array.from({ length: count }, (_, index) => gpuSample({ index, throttle: index === 1 ? ['sw-thermal'] : [] }));

test('at 80 x 24: machine, money, job, GPU, host, training, programs, log, keys', () => {
  expect(renderTop(topView(), now, { columns: 80, rows: 24 }, plain, calm)).toEqual([
    'cats · gcp us-central1-a · L4:1 · spot · $0.28 an hour               ● connected',
    '$0.12 so far · $2.88 of $3.00 left · ends in 3h 48m · idle limit 15m',
    'job-20261121-k3v9xq running 12m 5s · 60 %, 7m 56s left · python train.py --epoch',
    `── GPU ${'─'.repeat(73)}`,
    '0 NVIDIA L4                 60 of 72 W   66 °C   1500 of 2040 MHz',
    '  busy ███████░░░░  64 %   memory ███░░░░░░░░ 7.1GB of 24GB   ▅▅▅▅▄▃▂▁▁▁▂▃▃▄▅▅▅▅',
    `── host ${'─'.repeat(72)}`,
    '  CPU ███░░░░░░░  34 % of 8, busiest 98 %   memory ████░░░░░░ 6.1GB of 16GB',
    '  disk 12MB/s read, 1MB/s written, 50GB free   net ↓ 1.2MB/s ↑ 200KB/s',
    `── training ${'─'.repeat(68)}`,
    '  step 1200   epoch 4 of 5   1.67 steps/s   3m 58s an epoch',
    '  loss 0.1996   val_loss 0.2996   lr 0.0003',
    expect.stringMatching(/^ {2}loss █.*▁$/),
    `── programs ${'─'.repeat(68)}`,
    '     PID  GPU   MEMORY  JOB                   PROGRAM',
    '    4711    0      7GB  job-20261121-k3v9xq   python3',
    `── log ${'─'.repeat(73)}`,
    'step 1160 loss 0.1128',
    'step 1170 loss 0.1100',
    'step 1180 loss 0.1073',
    'step 1190 loss 0.1047',
    'step 1200 loss 0.1021',
    ' 38%|███▊      | 38/100 [00:01<00:02]',
    'q quit   l more log   p pause   c cancel   tab next job   ? help',
  ]);
});

describe('any size', () => {
  const scene: fc.Arbitrary<Scene> = fc.record({
    gpus: fc.nat({ max: 17 }).map(gpus),
    jobs: fc.nat({ max: 4 }),
    hostile: fc.constantFrom('', nasty),
    problem: fc.constantFrom(null, `no driver${nasty}`),
  });
  const mood = fc.record({
    bigLog: fc.boolean(),
    help: fc.boolean(),
    paused: fc.boolean(),
    message: fc.constantFrom(null, `Cancel?${nasty}`),
    still: fc.boolean(),
  });

  test('as many lines as the terminal has, none wider, nothing that steers it', () => {
    fc.assert(
      fc.property(scene, mood, fc.integer({ min: 20, max: 300 }), fc.integer({ min: 5, max: 100 }), fc.boolean(), (what, how, columns, rows, ascii) => {
        const look = { style: createStyle(true), glyphs: ascii ? asciiGlyphs : unicodeGlyphs };
        const lines = renderTop(topView(what), now, { columns, rows }, look, how);
        expect(lines).toHaveLength(rows);
        for (const line of lines) {
          const bare = stripVTControlCharacters(line);
          expect(bare).not.toMatch(ascii ? /[^\x20-\x7e]/ : /[\p{Cc}\p{Bidi_Control}]/u);
          expect(columnsOf(bare), bare).toBeLessThanOrEqual(columns);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('what matters most is there on the smallest', () => {
    const lines = renderTop(topView(), now, { columns: 40, rows: 10 }, plain, calm).join('\n');
    for (const words of ['cats', 'connected', 'ends in', '64 %', 'running', 'q quit']) expect(lines).toContain(words);
  });
});

test('a large terminal has two columns and a curve', () => {
  const lines = renderTop(topView({ gpus: gpus(4), jobs: 3 }), now, { columns: 160, rows: 50 }, plain, calm);
  expect(lines[4]).toMatch(/^── GPU ─+ {3}── training ─+$/);
  expect(lines.join('\n')).toMatch(/[\u2801-\u28ff]{10}/);
  expect(lines[3]).toBe('[1] k3v9xq running  [2] other0 queued  [3] other1 queued  ');
});

test('where not all jobs fit on their line, the one that is looked at does', () => {
  const view = topView({ jobs: 3 });
  const [job] = view.jobs as readonly [TopView['jobs'][number]];
  const jobs = Array.from({ length: 9 }, (_, at) => ({ ...job, id: `job-20261121-aaaaa${at}`, state: 'ended' as const }));
  const tabs = (at: number, columns: number) => renderTop({ ...view, jobs, job: jobs[at] as typeof job }, now, { columns, rows: 24 }, plain, calm)[3];
  expect(tabs(0, 80)).toBe('[1] aaaaa0 ended  [2] aaaaa1 ended  [3] aaaaa2 ended  [4] aaaaa3 ended  …');
  expect(tabs(8, 80)).toBe('… [6] aaaaa5 ended  [7] aaaaa6 ended  [8] aaaaa7 ended  [9] aaaaa8 ended  ');
  expect(tabs(4, 60)).toBe('… [5] aaaaa4 ended  [6] aaaaa5 ended  [7] aaaaa6 ended  …');
  expect(tabs(4, 12)).toBe('… [5] aaaaa4');
});

test('the line of disk and network says less where there is less room, and is not cut', () => {
  const line = (columns: number) => renderTop(topView(), now, { columns, rows: 24 }, plain, calm).find((text) => text.includes('net ↓'));
  expect(line(66)).toBe('  disk 12MB/s r, 1MB/s w, 50GB free  net ↓ 1.2MB/s ↑ 200KB/s');
  expect(line(50)).toBe('  disk 12MB/s r, 1MB/s w  net ↓ 1.2MB/s ↑ 200KB/s');
});

test('speed: what there is no room for is left out whole', () => {
  const speed = (columns: number) => renderTop(topView(), now, { columns, rows: 24 }, plain, calm).find((line) => line.startsWith('  step'));
  expect(speed(55)).toBe('  step 1200   epoch 4 of 5   1.67 steps/s');
  expect(speed(30)).toBe('  step 1200   epoch 4 of 5');
});

test('no GPU, no job, no answer yet; a link that is gone; a GPU in trouble', () => {
  const shown = (scene: Scene) => renderTop(topView(scene), now, { columns: 100, rows: 30 }, plain, calm).join('\n');
  expect(shown({ gpus: [], problem: 'no NVIDIA driver' })).toContain('no GPU: no NVIDIA driver');
  expect(shown({ problem: 'GPU 1 has fallen off the bus' })).toMatch(/\n! GPU 1 has fallen off the bus *\n── GPU/);
  expect(shown({ jobs: 0 })).toContain('No job has run here yet.');
  expect(shown({ gpus: [gpuSample({ throttle: ['hw-thermal'], xid: 79, utilization: null, memoryUsedBytes: null, temperatureC: null })] })).toMatch(
    /hw-thermal XID 79\n {2}busy ░+ +- +memory ░+ -/,
  );
  const view = topView();
  const lost = { ...view, sample: null, samples: [], link: { state: 'reconnecting', text: 'cut', since: now - 5_000 } } as const;
  const lines = renderTop(lost, now, { columns: 80, rows: 24 }, plain, calm).join('\n');
  expect(lines).toContain('● reconnecting 5s');
  expect(lines).toContain('waiting for the first look');
});

test('values without measure', () => {
  const view = topView();
  const curves = new Map([['loss', [[1, 1e308] as const, [2, -1e308] as const, [3, 5] as const]]]);
  const last = { total_steps: 1e308, loss: 1e308, val_loss: -1e308 };
  const training = { ...view.training, last, epoch: null, stepsPerSecond: 1e-9, curves };
  const lines = renderTop({ ...view, training }, now, { columns: 120, rows: 40 }, plain, calm).join('\n');
  expect(lines).toContain('of 1e+308');
  expect(lines).not.toMatch(/NaN|Infinity/);
});

test('keys: more log, pause, a question, help', () => {
  const shown = (mood: Partial<typeof calm>) => renderTop(topView(), now, { columns: 80, rows: 24 }, plain, { ...calm, ...mood });
  expect(shown({ bigLog: true }).filter((line) => /^step/.test(line)).length).toBeGreaterThan(14);
  expect(shown({ paused: true }).at(-1)).toMatch(/^paused .*p go on/);
  expect(shown({ message: 'Cancel job-1?' }).at(-1)).toBe('Cancel job-1?');
  expect(shown({ help: true }).join('\n')).toContain('cancel the job that is shown');
});

describe('characters', () => {
  test('bars and sparklines have the width that they are given', () => {
    for (const glyphs of [unicodeGlyphs, asciiGlyphs]) {
      fc.assert(
        fc.property(
          fc.option(fc.double({ noNaN: true }), { nil: null }),
          fc.nat({ max: 40 }),
          fc.array(fc.option(fc.double(), { nil: null })),
          (share, width, values) => {
            expect([...bar(share, width, glyphs)]).toHaveLength(width);
            expect([...sparkline(values, width, 100, glyphs)]).toHaveLength(width);
          },
        ),
      );
    }
    expect(bar(0.5, 4, unicodeGlyphs)).toBe('██░░');
    expect(sparkline([0, 50, null, 100], 5, 100, unicodeGlyphs)).toBe(' ▁▄ █');
  });

  test('curves fill their frame, from the left edge to the right one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 1000 }), fc.double({ min: -1e9, max: 1e9, noNaN: true })), { minLength: 2, maxLength: 60 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 12 }),
        (points, width, height) => {
          for (const glyphs of [unicodeGlyphs, asciiGlyphs]) {
            const lines = plotCurve(
              points.toSorted(([a], [b]) => a - b),
              width,
              height,
              glyphs,
            );
            expect(lines.map((line) => [...line].length)).toEqual(Array.from({ length: height }, () => width));
            expect(lines.some((line) => !line.startsWith(' '))).toBe(true);
          }
        },
      ),
      { numRuns: 50 },
    );
    expect(
      plotCurve(
        [
          [0, 0],
          [1, 1],
          [2, 2],
          [3, 3],
        ],
        4,
        4,
        asciiGlyphs,
      ),
    ).toEqual(['   *', '  * ', ' *  ', '*   ']);
  });

  test('text is cut by the columns that it takes', () => {
    expect(columnsOf('漢字🙂e\u0301')).toBe(7);
    expect(cutColumns('漢字', 3)).toBe('漢');
    expect(cutColumns('abc', 2)).toBe('ab');
  });
});

test('the document of --once --json', () => {
  const document = JSON.parse(JSON.stringify(topDocument(topView())));
  expect(document).toMatchObject({
    machine: { name: 'cats', pricePerHour: 0.28 },
    asOf: '2026-11-21T12:12:05.000Z',
    source: 'nvml',
    gpus: [{ index: 0, utilization: 64 }],
    processes: [{ pid: 4711, gpu: 0 }],
    host: { cpus: 8, cpu: 34 },
    job: { id: 'job-20261121-k3v9xq', state: 'running' },
    metrics: { step: 1200, epoch: 4, epochs: 5, steps: null, last: { lr: 3e-4 } },
    cost: { usd: 0.12, budget: { usd: 3 } },
  });
  expect(document.metrics.secondsLeft).toBeCloseTo(476, -1);
  expect(document.log.at(-1)).toBe(' 38%|███▊      | 38/100 [00:01<00:02]');
});
