/** Looks at a machine again and again. May import core, protocol and the client. */
import { GpuRunError } from '../core/errors.ts';
import type { TelemetrySample } from '../protocol/telemetry.ts';
import { isTelemetrySample } from '../protocol/telemetry-parse.ts';
import type { RunnerClient } from './client.ts';

/**
 * A sample at once, or within a few seconds where the driver is slow, then one every `everyMs` (500 to 3,600,000). Rates are null in the
 * first. Ends when the reader leaves, never by itself.
 * @throws GpuRunError `connection`, what the runner says (`protocol`: it is too old to know the call), `protocol` when that makes no sense
 */
export async function* watchTelemetry(client: RunnerClient, everyMs: number): AsyncGenerator<TelemetrySample, void, undefined> {
  const call = client.open('telemetry', { everyMs });
  try {
    for await (const part of call.parts()) {
      if (part.kind !== 'event' || !isTelemetrySample(part.value)) throw new GpuRunError('protocol', 'The runner sent telemetry that makes no sense.');
      yield part.value;
    }
    await call.result;
  } finally {
    call.cancel();
  }
}
