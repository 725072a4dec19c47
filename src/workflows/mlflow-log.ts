/** Logging to a run of MLflow: a metric that it refuses takes no others along. */
import { GpuRunError } from '../core/errors.ts';
import { type MlflowApi, type MlflowMetric, mostMetrics } from './mlflow-api.ts';

/** After so many refusals in one batch it is not the metrics that are refused. */
const mostRefusals = 40;

/**
 * As many calls as it takes. @returns how many metrics the server refuses by themselves: they are left out
 * @throws GpuRunError as `logBatch` does; some may have been logged
 */
export async function logMetrics(api: MlflowApi, runId: string, metrics: readonly MlflowMetric[]): Promise<number> {
  let refusals = 0;
  const logAll = async (some: readonly MlflowMetric[]): Promise<number> => {
    if (some.length === 0) return 0;
    try {
      await api.logBatch(runId, some);
      return 0;
    } catch (error) {
      refusals += 1;
      if (!(error instanceof GpuRunError) || error.code !== 'bad-input' || refusals > mostRefusals) throw error;
      if (some.length === 1) return 1;
      const half = Math.ceil(some.length / 2);
      return (await logAll(some.slice(0, half))) + (await logAll(some.slice(half)));
    }
  };
  let refused = 0;
  for (let from = 0; from < metrics.length; from += mostMetrics) refused += await logAll(metrics.slice(from, from + mostMetrics));
  return refused;
}
