/** What a job runs: the words behind `--`, else what `gpu-run.yaml` says. */
import type { Settings } from '../config/settings.ts';
import { GpuRunError } from '../core/errors.ts';
import type { JobCommand } from '../core/job.ts';

/** @throws GpuRunError `usage`, `bad-input` */
export function jobCommand(words: readonly string[] | null, settings: Settings): JobCommand {
  if (words !== null && words.length > 0) return { kind: 'argv', argv: words };
  if (words !== null) throw new GpuRunError('usage', 'There is no command behind --.', { hints: ['As in: gpu-run train -- python3 train.py'] });
  if (settings.train !== null) return settings.train;
  throw new GpuRunError(
    'bad-input',
    settings.configFile === null
      ? 'There is nothing to run: no command was given, and there is no gpu-run.yaml.'
      : `There is nothing to run: no command was given, and ${settings.configFile} has no \`train:\` line.`,
    {
      hints: [
        'gpu-run train -- python3 train.py   runs a command',
        settings.configFile === null ? 'gpu-run init   writes a gpu-run.yaml' : `Write a train: line in ${settings.configFile}.`,
      ],
    },
  );
}
