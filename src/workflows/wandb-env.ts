/** Weights & Biases: a job that is started again goes on in the run that it had begun. */
import type { TrainInput } from './train-input.ts';

/**
 * Two variables of W&B's for a job that may be started again and is given others of W&B's, unless it has one of these already. With
 * `allow`, W&B makes a run of that id, or goes on with the one that there is (docs.wandb.ai, "Resume a run"). A job that can't
 * be started again needs none, and may begin as many runs as it likes.
 */
export function wandbEnv(jobId: string, { env, secrets, retry }: Pick<TrainInput, 'env' | 'secrets' | 'retry'>): Record<string, string> {
  const names = [...Object.keys(env), ...Object.keys(secrets)];
  const decided = names.some((name) => name === 'WANDB_RUN_ID' || name === 'WANDB_RESUME');
  if (retry.attempts <= 1 || decided || !names.some((name) => name.startsWith('WANDB_'))) return {};
  return { WANDB_RUN_ID: jobId, WANDB_RESUME: 'allow' };
}
