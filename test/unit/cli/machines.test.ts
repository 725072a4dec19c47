import { expect, test } from 'vitest';
import { renderPlan, renderStatus, renderUp } from '../../../src/cli/render/machines.ts';
import { renderDown, renderReap, renderSync } from '../../../src/cli/render/reports.ts';
import { createStyle } from '../../../src/cli/render/style.ts';
import { downDetail } from '../../../src/workflows/end-reason.ts';
import { jobEntry, machineEntry, noon } from './entries.ts';

const view = { style: createStyle(false), now: noon, width: Number.POSITIVE_INFINITY };

test('status', () => {
  expect(renderStatus({ machines: [], jobs: [] }, view)).toBe('Nothing is up.');
  const machines = [
    { ...machineEntry(), costUsd: 0.0047, budget: { usd: 5, spentUsd: 2.5, reached: 0.5, warning: "50 % of the budget is spent: 'cats\u001b[2J' ends" } },
    {
      ...machineEntry({ name: 'old', state: 'gone', endedAt: noon - 90_000 }),
      costUsd: 1.5,
      budget: { usd: 5, spentUsd: 4, reached: 0.8, warning: 'long over' },
    },
  ];
  const jobs = [
    jobEntry(null),
    jobEntry({ code: 3 }, { startedAt: noon - 60_000, endedAt: noon - 30_000 }),
    jobEntry({ code: null, reason: 'lost' }),
    jobEntry({ code: null, reason: 'lost', detail: downDetail }),
  ];
  expect(renderStatus({ machines, jobs }, { ...view, now: noon + 20_000 }).split('\n')).toEqual([
    'MACHINE  PROVIDER           TYPE           GPU   STATE  PER HOUR     COST  ENDS        AS OF',
    'cats     gcp us-central1-a  g2-standard-4  L4:1  ready     $0.28  $0.0047  in 4h       25s ago',
    'old      gcp us-central1-a  g2-standard-4  L4:1  gone      $0.28    $1.50  1m 50s ago  25s ago',
    '',
    'JOB                  MACHINE  STATE    STARTED     TOOK  AS OF   COMMAND',
    'job-20261121-k3v9xq  cats     running  20s ago      20s  8s ago  python train.py',
    'job-20261121-k3v9xq  cats     exit 3   1m 20s ago   30s  8s ago  python train.py',
    'job-20261121-k3v9xq  cats     lost     20s ago      12s  8s ago  python train.py',
    'job-20261121-k3v9xq  cats     down     20s ago      12s  8s ago  python train.py',
    '',
    "Warning: 50 % of the budget is spent: 'cats\\e[2J' ends",
  ]);
});

test('on 80 columns a status says when each machine ends, whatever else it leaves out', () => {
  for (const name of ['cats', 'a-name-that-is-long-enough']) {
    const lines = renderStatus({ machines: [{ ...machineEntry({ name }), costUsd: 0.0047, budget: null }], jobs: [] }, { ...view, width: 80 }).split('\n');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect(lines[0]).toMatch(/COST +ENDS +AS OF$/);
    expect(lines[1]).toMatch(/\$0\.0047 +in 4h +5s ago$/);
  }
});

test('on 80 columns the command of each job stands below it, unless it fits', () => {
  const long = 'python3 train.py --data /data/imagenet --epochs 90 --batch-size 256 --learning-rate 0.1';
  const jobs = [jobEntry(null, { command: long }), jobEntry({ code: 3 }, { command: 'make\u001b[2J' })];
  const shown = (each: typeof jobs, width: number) =>
    renderStatus({ machines: [], jobs: each }, { ...view, width })
      .split('\n')
      .slice(2);
  expect(shown(jobs, 80)).toEqual([
    'JOB                  MACHINE  STATE    STARTED   TOOK  AS OF',
    'job-20261121-k3v9xq  cats     running  just now    0s  just now',
    '    python3 train.py --data /data/imagenet --epochs 90 --batch-size 256 --learn…',
    'job-20261121-k3v9xq  cats     exit 3   just now   12s  just now',
    '    make\\e[2J',
  ]);
  expect(shown(jobs.slice(1), 80)).toEqual([
    'JOB                  MACHINE  STATE   STARTED   TOOK  AS OF     COMMAND',
    'job-20261121-k3v9xq  cats     exit 3  just now   12s  just now  make\\e[2J',
  ]);
  expect(shown(jobs, 120)[1]).toMatch(/just now {2}python3 train\.py --data \/data\/imagenet .*…$/);
  for (const width of [20, 80, 100, 120]) for (const line of shown(jobs, width)) expect(line.length).toBeLessThanOrEqual(width);
});

test('on 80 columns the sentences on safety are broken at words', () => {
  const protection = ['the watchdog on the machine ends jobs shortly before its deadline, so that they can save their work'];
  const lines = renderUp({ machine: machineEntry(), reused: false, attempts: [], protection }, { ...view, width: 80 }).split('\n');
  expect(lines.slice(2, 4)).toEqual([
    '  safety    the watchdog on the machine ends jobs shortly before its deadline,',
    '            so that they can save their work',
  ]);
});

test('up', () => {
  const protection = ['gcp ends it at its deadline, or after 15 idle minutes'];
  expect(renderUp({ machine: machineEntry(), reused: false, attempts: [], protection }, view)).toBe(
    [
      'cats is up: gcp us-central1-a, g2-standard-4, L4:1, $0.28 an hour',
      '  ends      in 4h, at 2026-11-21 16:00 UTC',
      '  safety    gcp ends it at its deadline, or after 15 idle minutes',
      '  address   gpu@203.0.113.9:22',
      '  next      gpu-run train cats   gpu-run ssh cats   gpu-run down cats',
    ].join('\n'),
  );
  const bought = { ...machineEntry(), budgetUsd: 3 };
  expect(renderUp({ machine: bought, reused: false, attempts: [], protection }, view)).toContain('\n  budget    $3.00 for the whole run\n');
});

test('a plan says what it could cost at most, and that nothing was ordered', () => {
  const { offer } = machineEntry();
  expect(renderPlan('cats', { offers: [offer], worstCaseUsd: 1.12, deadline: noon + 4 * 3_600_000, existing: null }, view).split('\n')).toEqual([
    'PROVIDER           TYPE           GPU   SPOT  PER HOUR  AVAILABLE  PRICE FROM',
    'gcp us-central1-a  g2-standard-4  L4:1  spot     $0.28  not known  price list, just now',
    '',
    "'cats' would be the first of these, and end by 2026-11-21 16:00 UTC (in 4h) whatever happens.",
    'At most $1.12. Nothing was ordered.',
  ]);
  expect(renderPlan('cats', { offers: [], worstCaseUsd: null, deadline: noon, existing: null }, view)).toBe('No machine fits what is asked for.');
  expect(renderPlan('cats', { offers: [offer], worstCaseUsd: 1, deadline: noon, existing: machineEntry() }, view)).toContain("'cats' is up already");
});

test('down, reap, sync', () => {
  expect(renderDown({ machines: [{ name: 'cats', id: 'x', state: 'gone', costUsd: 0.5 }], leftovers: [] })).toBe('cats is gone (cost $0.50)');
  expect(renderReap({ found: [], ended: [], kept: [], unreachable: [], leftovers: [], notSetUp: [] }, false)).toBe('Nothing of ours was found.');
  expect(renderReap({ found: [], ended: [], kept: [], unreachable: [], leftovers: [], notSetUp: ['gcp'] }, false)).toContain('gcp was not asked');
  const one = { provider: 'gcp', id: 'x-1', name: 'x', why: 'past its deadline' };
  expect(
    renderReap(
      { found: [one], ended: [one], kept: [], unreachable: [{ provider: 'ssh', code: 'connection', message: 'no\u001b[2J' }], leftovers: [], notSetUp: [] },
      true,
    ),
  ).toBe('would end  x (gcp x-1): past its deadline\nnot asked  ssh: no\\e[2J');
  expect(renderSync({ files: 2, bytes: 3_400_000, sentBytes: 1_200_000, ms: 840 })).toBe('2 files, 3.4MB; sent 1.2MB in 0.8s');
});
