import { expect, test } from 'vitest';
import { exitCodes } from '../../../src/cli/exit-codes.ts';

/** The table that scripts rely on (docs, "Exit codes"). */
const promised = [
  [2, ['usage']],
  [64, ['bad-input', 'not-found', 'conflict']],
  [69, ['no-capacity', 'quota']],
  [70, ['internal']],
  [74, ['sync', 'disk-full']],
  [75, ['preempted', 'lost']],
  [76, ['connection', 'protocol']],
  [77, ['not-allowed', 'host-key']],
  [78, ['unfit']],
  [90, ['still-billing']],
  [91, ['budget']],
  [92, ['deadline']],
  [130, ['interrupted']],
] as const;

test('each kind of error has the exit code that is promised, and none is left out', () => {
  expect(exitCodes).toEqual(Object.fromEntries(promised.flatMap(([code, kinds]) => kinds.map((kind) => [kind, code]))));
});
