/** Work against Google's API, whose failures leave as errors that a person can read. */
import { explainFailure, type FailurePlace } from './failure.ts';
import { GceError } from './gce-error.ts';

export async function inWords<T>(work: () => Promise<T>, place: Partial<FailurePlace> = {}): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof GceError ? explainFailure(error, place) : error;
  }
}

export async function* eachInWords<T>(items: AsyncIterable<T>, place: Partial<FailurePlace> = {}): AsyncIterable<T> {
  try {
    yield* items;
  } catch (error) {
    throw error instanceof GceError ? explainFailure(error, place) : error;
  }
}
