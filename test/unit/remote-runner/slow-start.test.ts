import { expect, test } from 'vitest';
import { slowStart } from '../../../remote-runner/slow-start.ts';

test('a start is told of once it was late', () => {
  expect(slowStart(4_999)).toBeNull();
  expect(slowStart(136_300)).toBe("The command was started 136 s late: so long the machine's disk took to keep that the job runs. It is very busy.");
});
