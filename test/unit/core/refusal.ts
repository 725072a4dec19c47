import { GpuRunError } from '../../../src/core/errors.ts';

/** The GpuRunError that `act` throws; anything else fails the test. */
export function refusal(act: () => unknown): GpuRunError {
  try {
    act();
  } catch (error) {
    if (error instanceof GpuRunError) return error;
    throw error;
  }
  throw new Error('was not refused');
}
