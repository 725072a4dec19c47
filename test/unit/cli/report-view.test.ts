import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderChart } from '../../../src/cli/render/report-chart.ts';
import { reportDocument } from '../../../src/cli/render/report-document.ts';
import { renderPage } from '../../../src/cli/render/report-page.ts';
import { renderReport, summaryLines } from '../../../src/cli/render/report-text.ts';
import { createStyle } from '../../../src/cli/render/style.ts';
import { optionalFile, writeReport } from '../../../src/cli/report-file.ts';
import { reportOn } from '../../../src/workflows/report.ts';
import { curvesOf } from '../../../src/workflows/report-curves.ts';
import { checkpointRecord, endRecord, gpuSpan, recordsAt, spanRecord, stateRecord } from '../workflows/report-records.ts';
import { jobEntry, machineEntry, noon } from './entries.ts';
import { exampleReport } from './report-example.ts';

const view = { style: createStyle(false), now: noon, width: Number.POSITIVE_INFINITY };
const holdsControls = (text: string) => /(?!\n)[\p{Cc}\p{Bidi_Control}]/u.test(text);
const nasty = `</svg><script>alert(1)</script>"'&\u001b[2J\u202e`;

describe('on the terminal', () => {
  test('figures, then advice with its evidence', () => {
    expect(renderReport(exampleReport(), view).split('\n')).toEqual([
      'job-20261121-k3v9xq ended with exit code 0 in attempt 2 after 58m 25s on gcp (cost $4.07)',
      '',
      'GPU                      BUSY  MEDIAN  IDLE   MEMORY PEAK         POWER  MAX °C',
      '0 NVIDIA A100-SXM4-80GB  57 %    86 %  34 %  30GB of 86GB  238 of 400 W      69',
      '1 NVIDIA A100-SXM4-80GB  97 %    98 %   0 %  31GB of 86GB  340 of 400 W      71',
      '',
      'host         12 CPUs at 18 % (the busiest 97 %), memory 6GB of 16GB, disk read 58GB, written 5.8GB, net in 58MB, out 58MB',
      'time         queue 2s, setup 1m 33s, run 58m 21s, between attempts 4s, 2 attempts',
      'training     5 steps/s (up to step 17000), 9m 48s and $0.66 an epoch (up to 6), last loss 0.1722, val_loss 0.2722, accuracy 0.9426',
      'checkpoints  5, 5GB in all, one every 10m 6s, writing them 1 % of the time',
      'cost         $4.07 at $4.07 an hour, $0.67 of it with an idle GPU',
      '',
      '! The GPU waited for data for 34 % of the time',
      '  GPU 0 (NVIDIA A100-SXM4-80GB) idle while a CPU was busy; CPUs: 18 % on average over 12, the busiest one 97 %; idle GPUs cost $0.67',
      '  -> Let more processes load data: DataLoader(num_workers=6, persistent_workers=True, prefetch_factor=4)',
      '  -> pin_memory=True, and .to(device, non_blocking=True)',
      '  -> Move decoding and augmentation to the GPU, or do them once and keep the result',
    ]);
  });

  test('of many metrics the losses are shown, that of the training first', () => {
    const report = exampleReport();
    const last = { a: 37, b: 2, c: 3, val_loss: 0.5, lr: 0.1, train_loss: 0.4 };
    const text = renderReport({ ...report, training: { ...report.training, last } }, view);
    expect(text).toContain('last train_loss 0.4, val_loss 0.5, a 37\n');
  });

  test('fits the terminal, whatever its width and the names', () => {
    for (const width of [40, 60, 80, 120]) {
      for (const line of renderReport(exampleReport(nasty), { ...view, width }).split('\n')) {
        if (line.includes(' ') && !/\S{30}/.test(line)) expect(line.length, line).toBeLessThanOrEqual(width);
        expect(holdsControls(line)).toBe(false);
      }
    }
  });

  test('after a job: at most four lines, and none when there is nothing to say', () => {
    expect(summaryLines(exampleReport())).toEqual([
      expect.stringMatching(/^2 GPUs: 7\d % busy, memory 31GB of 86GB; \$0\.\d\d went on idle GPUs$/),
      expect.stringMatching(/^The GPU waited for data for \d\d % of the time -> Let more processes load data/),
      'gpu-run report job-20261121-k3v9xq   tells more',
    ]);
    const job = jobEntry({});
    const bare = { job, machine: machineEntry(), jobs: [job], usd: 0 };
    expect(summaryLines(reportOn({ ...bare, records: [] }))).toEqual([]);
    const cpuOnly = recordsAt([0, stateRecord('running')], [100, spanRecord(0, 100, [])]);
    expect(summaryLines(reportOn({ ...bare, records: cpuOnly }))).toEqual([]);
    const fine = recordsAt([0, stateRecord('running')], [100, spanRecord(0, 100, [gpuSpan({ 90: 100 })])]);
    expect(summaryLines(reportOn({ ...bare, records: fine }))).toEqual(['GPU (NVIDIA L4): 92 % busy, memory 14GB of 24GB']);
  });
});

test('the document: numbers in base units, null where nothing is known', () => {
  const document = JSON.parse(JSON.stringify(reportDocument(exampleReport())));
  expect(Object.keys(document)).toEqual([
    'job',
    'machine',
    'asOf',
    'attempts',
    'seconds',
    'gpus',
    'host',
    'training',
    'checkpoints',
    'cost',
    'advice',
    'warnings',
    'unknown',
  ]);
  expect(document.gpus[0]).toMatchObject({ index: 0, utilization: { mean: expect.any(Number), p50: expect.any(Number) }, idleShare: expect.any(Number) });
  expect(document).toMatchObject({ attempts: 2, seconds: { setup: 93, startUp: null }, cost: { usd: 4.07 }, asOf: '2026-11-21T13:00:40.000Z' });
});

test('what the machine has warned of while the job ran stands in text, document and page, each once', () => {
  const text = `The pattern of the metric 'acc' was never found in the log: there are no values of it. ${nasty}`;
  const note = (level: 'info' | 'warn', said: string) => ({ type: 'note', level, text: said }) as const;
  const records = recordsAt([0, stateRecord('running')], [1, note('warn', text)], [2, note('info', 'no matter')], [3, note('warn', text)], [4, endRecord()]);
  const job = jobEntry({});
  const report = reportOn({ job, machine: machineEntry(), jobs: [job], records, usd: 0 });
  expect(reportDocument(report)).toMatchObject({ warnings: [text] });
  const shown = renderReport(report, view);
  expect(shown).toMatch(/\n\nWarning: The pattern of the metric 'acc' was never found in the log: there are no values of it\..*\n\nNot known: /);
  expect(holdsControls(shown)).toBe(false);
  const page = renderPage(report, noon);
  expect(page).toContain('<h2>Warnings</h2><p>The pattern of the metric &#39;acc&#39; was never found');
  expect(page).not.toMatch(/<script|no matter/);
  const many = recordsAt(...Array.from({ length: 40 }, (_, at) => [at, note('warn', `warning ${at}`)] as const));
  expect(reportOn({ job, machine: machineEntry(), jobs: [job], records: many, usd: 0 }).warnings).toHaveLength(20);
});

describe('the page', () => {
  test('needs nothing else, and holds no markup that came from elsewhere', () => {
    const page = renderPage(exampleReport(nasty), noon);
    expect(page).not.toMatch(/<script|https?:|url\(|@import/i);
    expect(holdsControls(page)).toBe(false);
    expect(page).toContain('&lt;script&gt;');
    expect(page.match(/<svg /g)).toHaveLength(10);
    expect(page).toMatch(/class="attempt"/);
    expect(page).toMatch(/class="checkpoint"/);
    const open = ['svg', 'figure', 'section', 'div', 'table', 'ul', 'dl'].map((tag) => (page.match(new RegExp(`<${tag}[ >]`, 'g')) ?? []).length);
    const closed = ['svg', 'figure', 'section', 'div', 'table', 'ul', 'dl'].map((tag) => (page.match(new RegExp(`</${tag}>`, 'g')) ?? []).length);
    expect(open).toEqual(closed);
  });

  test('of a job of which nothing is known', () => {
    const job = jobEntry(null, { startedAt: null });
    const page = renderPage(reportOn({ job, machine: machineEntry(), jobs: [job], records: [], usd: 0 }), noon);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(page).toContain('Not known');
  });

  test('of a job with thousands of checkpoints has no more than 200 of them in a plot, the last one among them', () => {
    const report = exampleReport();
    const at = report.records.at(-1)?.t ?? 0;
    const saved = Array.from({ length: 2_001 }, (_, n) => ({ n, t: at - 2_001 + n, ...checkpointRecord(1, 1), path: `step_${n}.pt` }));
    const { marks } = curvesOf([...report.records, ...saved]);
    expect(marks.length).toBeLessThanOrEqual(202);
    expect(marks.filter(({ kind }) => kind === 'attempt')).toHaveLength(1);
    expect(marks.at(-1)).toMatchObject({ text: 'step_2000.pt' });
  });

  test('of a machine whose clock is beyond all dates, as JSON too', () => {
    const records = recordsAt([0, stateRecord('running')]).map((record) => ({ ...record, t: 1e16 }));
    const report = reportOn({ job: jobEntry(null), machine: machineEntry(), jobs: [], records, usd: 0 });
    expect(renderPage(report, noon)).toContain('+275760-09-13');
    expect(reportDocument(report)).toMatchObject({ asOf: '+275760-09-13T00:00:00.000Z' });
  });

  test('a plot: no line from one attempt to the next, one value stands in the middle and is written there', () => {
    const drawn = (ys: readonly number[], starts: readonly number[]) => {
      const points = ys.map((y, at) => [at, y] as const);
      return renderChart({ title: 'x', unit: 'plain', x: 'step', curves: [{ name: 'a', points, starts }], limit: null }, [], 100);
    };
    expect(drawn([3, 2, 3, 2], [2])).toMatch(/d="M[\d. ]+L[\d. ]+M[\d. ]+L[\d. ]+"/);
    expect(drawn([37.5, 37.5], [])).toMatch(/<text class="tick y" x="44" y="91.5">37.5<\/text><text class="tick x/);
  });

  test('plots of any values stay in their frame', () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 10_000_000 }), value), { minLength: 2, maxLength: 30 }),
        fc.constantFrom('plain', 'bytes', 'percent'),
        (points, unit) => {
          const svg = renderChart({ title: 'x', unit, x: 'step', curves: [{ name: 'a', points }], limit: null }, [], 100);
          expect(svg).not.toMatch(/NaN|Infinity/);
          const path = /class="line c0" d="M([^"]+)"/.exec(svg)?.[1] ?? '';
          for (const pair of path.split('L')) {
            const [x = -1, y = -1] = pair.split(' ').map(Number);
            expect(x >= 0 && x <= 380).toBe(true);
            if (unit === 'plain') expect(y >= 0 && y <= 190).toBe(true);
          }
          expect((svg.match(/class="tick/g) ?? []).length).toBeLessThan(50);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('--html', () => {
  test('with a file, without one, before a job', () => {
    expect(optionalFile(['--html'], 'html')).toEqual(['--html=']);
    expect(optionalFile(['--html', '--json'], 'html')).toEqual(['--html=', '--json']);
    expect(optionalFile(['--html', 'job-20261121-k3v9xq'], 'html')).toEqual(['--html=', 'job-20261121-k3v9xq']);
    expect(optionalFile(['job-20261121-k3v9xq', '--html', 'a.html'], 'html')).toEqual(['job-20261121-k3v9xq', '--html', 'a.html']);
  });

  test('writes over a report, and over nothing else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gpu-run-report-'));
    try {
      const file = join(folder, 'report.html');
      expect(await writeReport(exampleReport(), file, noon)).toBe(file);
      expect(await writeReport(exampleReport(), file, noon)).toBe(file);
      writeFileSync(file, 'precious');
      await expect(writeReport(exampleReport(), file, noon)).rejects.toMatchObject({ code: 'bad-input' });
      expect(readFileSync(file, 'utf8')).toBe('precious');
      await expect(writeReport(exampleReport(), join(folder, 'no', 'such.html'), noon)).rejects.toMatchObject({
        code: 'sync',
        message: `The report could not be written to ${join(folder, 'no', 'such.html')}: there is no folder ${join(folder, 'no')}.`,
      });
      await expect(writeReport(exampleReport(), folder, noon)).rejects.toMatchObject({
        message: `The report could not be written to ${folder}: it is a folder, not a file.`,
      });
      expect(readdirSync(folder)).toEqual(['report.html']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
