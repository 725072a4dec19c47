/** What the SDK is told for a job, and what the workflow takes. */
import { readSecrets } from '../config/secrets.ts';
import type { Settings } from '../config/settings.ts';
import { GpuRunError } from '../core/errors.ts';
import type { JobCommand } from '../core/job.ts';
import { type TrainChoices, trainInput } from '../workflows/from-settings.ts';
import { startFolder } from '../workflows/start-folder.ts';
import type { TrainInput } from '../workflows/train-input.ts';
import type { Known } from './known-options.ts';

export interface TrainOptions {
  /** Default: the config's `train`. A string runs in the machine's shell, a list exactly as it stands. */
  readonly command?: string | readonly string[];
  /** Added to the config's. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * A folder on this computer with checkpoints, relative to the SDK's `folder`: they are sent to where the job saves its own, and
   * `GPU_RUN_RESUME_FROM` names that place. Default: the job begins from the start.
   */
  readonly startFrom?: string;
}

export const trainOptions: Known<TrainOptions> = { command: true, env: true, startFrom: true };

/** Where the job was told to come from. */
export interface JobPlace {
  readonly settings: Settings;
  /** The SDK's. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** @throws GpuRunError `bad-input`: nothing to run, a secret without a value, nothing to start from */
export function inputFor(
  options: TrainOptions,
  { settings, folder, env }: JobPlace,
  choices: Pick<TrainChoices, 'detach' | 'teardown' | 'keepOnFailure'>,
): TrainInput {
  return trainInput(
    { ...settings, env: { ...settings.env, ...options.env } },
    { ...choices, command: toCommand(options.command, settings), secrets: readSecrets(settings.secrets, env), ...startFolder(options.startFrom, folder) },
  );
}

function toCommand(command: TrainOptions['command'], settings: Settings): JobCommand {
  if (typeof command === 'string') return { kind: 'shell', text: command };
  if (command !== undefined) return { kind: 'argv', argv: command };
  if (settings.train !== null) return settings.train;
  throw new GpuRunError('bad-input', 'There is nothing to run: no `command` was given and the config has no `train`.');
}
