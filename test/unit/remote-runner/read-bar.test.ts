/** What is remembered of a job's progress bars: as little as tells them apart, whatever the job prints. */
import { expect, test } from 'vitest';
import { createBarReader } from '../../../remote-runner/read-bar.ts';

const bar = (count: number, total: number) => `${Math.floor((count / total) * 100)}%|##| ${count}/${total} [00:01<00:02, 30.1it/s]`;

/** Reads a loop with one bar an epoch, and bars of these totals between them. */
function readerOf(totals: readonly number[]) {
  const reader = createBarReader({ step: null, epoch: null });
  const draw = (count: number, total: number) => reader.read(bar(count, total), false);
  const epoch = () => [draw(1, 1_000), draw(1_000, 1_000)];
  for (const total of totals) {
    epoch();
    draw(total, total);
  }
  epoch();
  return draw;
}

test('bars between those of the training are known by their totals, the last twenty of them', () => {
  const totals = Array.from({ length: 21 }, (_, index) => index + 100);
  const isLeftOut = (total: number) => readerOf(totals)(total, total) === null;
  expect(totals.filter((total) => !isLeftOut(total))).toEqual([100]);
});
