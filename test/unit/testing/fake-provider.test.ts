import { describe, expect, test } from 'vitest';
import { GpuRunError } from '../../../src/core/errors.ts';
import { createFakeClock, createFakeProvider } from '../../../src/testing/index.ts';
import { anyNeed, collect, planFor } from '../../contract/provider.ts';

const clock = createFakeClock();
const [offer] = await collect(createFakeProvider({ clock }).offers(anyNeed));
if (offer === undefined) throw new Error('no offer');
const plan = (changes = {}) => planFor(offer, anyNeed, clock.now(), changes);

describe('the fake provider', () => {
  test('boots and ends in the time it is given', async () => {
    const provider = createFakeProvider({ clock, bootMs: 1_000, endMs: 500 });
    const ref = await provider.launch(plan());
    expect((await provider.describe(ref)).state).toBe('pending');
    await clock.advance(1_000);
    expect((await provider.describe(ref)).state).toBe('running');
    expect((await provider.terminate(ref)).state).toBe('ending');
    expect((await provider.describe(ref)).state).toBe('ending');
    await clock.advance(500);
    expect((await provider.describe(ref)).state).toBe('gone');
  });

  test('fails once where it is told to, before or after the work', async () => {
    const provider = createFakeProvider({ clock });
    const full = new GpuRunError('no-capacity', 'none left', { retry: 'elsewhere' });
    provider.failNext('launch', full);
    await expect(provider.launch(plan())).rejects.toBe(full);
    expect(provider.machines).toHaveLength(0);
    provider.failNext('launch', new Error('the answer was lost'), { after: true });
    await expect(provider.launch(plan())).rejects.toThrow('the answer was lost');
    expect(provider.machines).toHaveLength(1);
    await provider.launch(plan());
    expect(provider.calls).toEqual(['launch', 'launch', 'launch']);
  });

  test('ends machines at their deadline, and when it takes them back', async () => {
    const provider = createFakeProvider({ clock });
    const late = await provider.launch(plan({ deadline: clock.now() + 1_000 }));
    const taken = await provider.launch(plan());
    provider.takeBack(taken.id);
    expect((await provider.describe(taken)).state).toBe('gone');
    expect((await provider.describe(late)).state).toBe('running');
    await clock.advance(1_000);
    expect((await provider.describe(late)).state).toBe('gone');
  });

  test('the same id for another request is a conflict', async () => {
    const provider = createFakeProvider({ clock });
    await provider.launch(plan({ id: 'cats-k3v9xq' }));
    await expect(provider.launch(plan({ id: 'cats-k3v9xq' }))).rejects.toMatchObject({ code: 'conflict' });
  });
});
