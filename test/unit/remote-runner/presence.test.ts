import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchPresence } from '../../../remote-runner/presence.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('three beats that did not come, and the client is gone; any byte counts as one', async () => {
  const presence = watchPresence(10_000);
  let gone = false;
  void presence.gone.then(() => {
    gone = true;
  });
  for (let beat = 0; beat < 10; beat++) {
    await vi.advanceTimersByTimeAsync(25_000);
    presence.heard();
  }
  expect(gone).toBe(false);
  await vi.advanceTimersByTimeAsync(40_000);
  expect(gone).toBe(true);
  presence.end();
});

test('a clock that jumps is no silence', async () => {
  const presence = watchPresence(10_000);
  let gone = false;
  void presence.gone.then(() => {
    gone = true;
  });
  vi.setSystemTime(Date.now() + 8 * 3_600_000);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(gone).toBe(false);
  presence.end();
});
