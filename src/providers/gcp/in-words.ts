/** Work against Google's API, whose failures leave as errors that a person can read. */
import { GpuRunError } from '../../core/errors.ts';
import { explainFailure, type FailurePlace } from './failure.ts';
import { GceError } from './gce-error.ts';

export async function inWords<T>(work: () => Promise<T>, place: Partial<FailurePlace> = {}): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof GceError ? explainFailure(error, place) : error;
  }
}

/** Of a machine that is there: that nobody answers says nothing about it, and no other place would do better. */
export async function inWordsOfMachine<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await inWords(work);
  } catch (error) {
    if (!(error instanceof GpuRunError) || error.code !== 'connection' || error.retry !== 'elsewhere') throw error;
    const { code, message, hints, backOff, cause } = error;
    throw new GpuRunError(code, message, { hints, backOff, cause, retry: 'same' });
  }
}

export async function* eachInWords<T>(items: AsyncIterable<T>, place: Partial<FailurePlace> = {}): AsyncIterable<T> {
  try {
    yield* items;
  } catch (error) {
    throw error instanceof GceError ? explainFailure(error, place) : error;
  }
}
