/** What a report says of money when a job's attempts ran on several machines. */
import { expect, test } from 'vitest';
import { reportOn } from '../../../src/workflows/report.ts';
import { jobEntry, machineEntry } from '../cli/entries.ts';
import { endRecord, gpuSpan, recordsAt, spanRecord, stateRecord } from './report-records.ts';

test('what idling cost is told only where all attempts ran at one price', () => {
  const machine = machineEntry();
  const { offer } = machine;
  const dear = { ...machine, id: 'dear', offer: { ...offer, price: { ...offer.price, perHour: 36 } } };
  const job = jobEntry({}, { attempts: 2, earlier: [{ machineId: 'dear', end: null, records: 2, logBytes: 0, errBytes: 0, startedAt: null, endedAt: null }] });
  const records = recordsAt(
    [0, stateRecord('running')],
    [3600, spanRecord(0, 3600, [gpuSpan({ 0: 3600 })])],
    [4000, stateRecord('running')],
    [4100, spanRecord(4000, 4100, [gpuSpan({ 95: 100 })])],
    [4101, endRecord()],
  );
  const idleUsd = (before: readonly (typeof machine)[]) => reportOn({ job, machine, before, jobs: [job], records, usd: 36.01 }).cost.idleUsd;
  expect(idleUsd([dear])).toBeNull();
  expect(idleUsd([])).toBeNull();
  expect(idleUsd([{ ...machine, id: 'dear' }])).toBeCloseTo(offer.price.perHour, 2);
});
