import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { GpuRunError } from '../../../../src/core/errors.ts';
import { explainFailure, type FailurePlace } from '../../../../src/providers/gcp/failure.ts';
import { GceError } from '../../../../src/providers/gcp/gce-error.ts';
import type { Operation } from '../../../../src/providers/gcp/gce-resources.ts';
import { failedInsert, refused, stockOut } from './failure-bodies.ts';
import { rows } from './failure-rows.ts';

const place: FailurePlace = { project: 'p1', zone: 'us-central1-a', region: 'us-central1', type: 'g2-standard-4', gpu: 'L4', spot: true };

const textOf = (error: GpuRunError) => [error.message, ...error.hints].join('\n');

test.each(rows.map(([name, failure, verdict, says = []]) => ({ name, failure, verdict, says })))('$name', ({ failure, verdict, says }) => {
  const error = explainFailure(failure, place, 'refused');
  expect(`${error.code} ${error.retry} ${error.elsewhere.rulesOut} ${error.leftBehind}`).toBe(verdict);
  for (const part of says) expect(textOf(error)).toContain(part);
});

test.each(['zonesWithCapacity', 'zonesAvailable'])('zones that Google names are passed on: %s', (key) => {
  const named = explainFailure(failedInsert(stockOut({ [key]: 'us-central1-f, us-central1-c,$(reboot),,northamerica-northeast1-b' })), place);
  expect(named.elsewhere.betterZones).toEqual(['us-central1-f', 'us-central1-c', 'northamerica-northeast1-b']);
  expect(explainFailure(failedInsert(stockOut({ [key]: '' })), place).elsewhere.betterZones).toEqual([]);
});

test('one type without stock says nothing of the others in the zone', () => {
  expect(explainFailure(failedInsert(stockOut()), { ...place, gpu: null, type: 'e2-standard-4' }).elsewhere.rulesOut).toBe('nothing');
  expect(explainFailure(failedInsert(stockOut()), { ...place, gpu: 'H100', type: 'a3-highgpu-8g' }).elsewhere.rulesOut).toBe('nothing'); // a3-megagpu-8g
});

test('UNSUPPORTED_OPERATION means preemption on Spot alone', () => {
  const failure = failedInsert({ code: 'UNSUPPORTED_OPERATION', message: 'The operation is not supported.' });
  expect(explainFailure(failure, { ...place, spot: false })).toMatchObject({ code: 'protocol', retry: 'elsewhere', leftBehind: 'unknown' });
});

test('nothing is certain of an order that was accepted, unless it was cleared', () => {
  const denied = refused(403, 'forbidden', 'No.');
  expect(explainFailure(denied, place).leftBehind).toBe('unknown');
  expect(explainFailure(denied, place, 'refused').leftBehind).toBe('nothing');
  expect(explainFailure(refused(null, '', 'reset'), place, 'refused').leftBehind).toBe('unknown');
  expect(explainFailure(refused(null, '', 'reset'), place, 'cleared').leftBehind).toBe('nothing');
});

test('what the server asks to wait is waited', () => {
  const slow = new GceError('Slow.', { status: 429, reasons: [], details: [], call: 'POST instances', retryAfterMs: 45_000 });
  expect(explainFailure(slow, place).backOff.firstMs).toBe(45_000);
});

test('a call that has no place is explained too', () => {
  expect(explainFailure(refused(403, 'forbidden', 'No.')).hints[0]).toContain('add-iam-policy-binding PROJECT ');
  expect(explainFailure(refused(403, 'quotaExceeded', "Quota 'CPUS' exceeded.")).message).toBe('The project may not have more: its quota CPUS is used up.');
});

test('nothing that Google sends gets into a command or steers a terminal', () => {
  const hostile = refused(403, 'SERVICE_DISABLED', 'x\u001b[2J', { reason: 'SERVICE_DISABLED', service: 'a.googleapis.com; rm -rf ~' });
  const error = explainFailure(hostile, { ...place, project: 'p1 $(reboot)' });
  expect(error.hints[0]).toMatch(/^gcloud services enable compute\.googleapis\.com --project=PROJECT /);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  expect(textOf(error)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});

test('never throws, whatever comes as an operation', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (errors, details) => {
      for (const operation of [
        errors,
        { error: errors },
        { error: { errors } },
        { error: { errors: [{ code: errors, message: details, errorDetails: details }] } },
      ]) {
        const error = explainFailure((typeof operation === 'object' && operation !== null ? operation : {}) as unknown as Operation, place);
        expect(error.message).not.toBe('');
        expect(textOf(error)).not.toContain('undefined');
      }
    }),
  );
});

test('never throws, whatever comes as the answer of a call; what is not refused for certain is unknown', () => {
  const status = fc.option(fc.integer({ min: 100, max: 599 }));
  const details = fc.array(fc.record({ reason: fc.string(), metadata: fc.dictionary(fc.string(), fc.string()) }), { maxLength: 3 });
  fc.assert(
    fc.property(status, fc.array(fc.string(), { maxLength: 3 }), fc.string(), details, (httpStatus, reasons, message, infos) => {
      const error = explainFailure(new GceError(message, { status: httpStatus, reasons, details: infos, call: 'POST instances' }), place, 'refused');
      expect(error.message).not.toBe('');
      if (httpStatus === null || httpStatus === 408) expect(error.leftBehind).toBe('unknown');
    }),
  );
});
