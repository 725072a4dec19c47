import { formatUsd } from '../../core/money.ts';
import type { TrainResult } from '../../workflows/train-input.ts';
import { BaseCommand } from '../base-command.ts';
import type { PassedOn } from '../exit-codes.ts';
import { dryRunFlag, jobFlags, logFlags, machineFlags, nameArg, option, toggle } from '../flags.ts';
import { jobCommand } from '../job-command.ts';
import { createJobOutput } from '../job-output.ts';
import { jobSummary } from '../job-summary.ts';
import { type Verdict, verdictOf } from '../job-verdict.ts';
import { splitCommand } from '../output-mode.ts';
import { trainDocument, trainPlanDocument } from '../render/documents.ts';
import { endLine } from '../render/job-view.ts';
import { renderTrainPlan } from '../render/sync-preview.ts';
import { teardownOf } from '../teardown-choice.ts';

export default class Train extends BaseCommand {
  static override description = `Run a command on a machine, and rent one for it if none is up.
Sends what changed, runs, streams the log, pulls the outputs. The exit code is the command's own. A machine that was rented for it goes down at the end, unless --keep is given.`;
  static override usage = 'train [NAME] [FLAGS] [-- COMMAND...]';
  static override examples = [
    { description: 'What gpu-run.yaml says:', command: '<%= config.bin %> train' },
    '<%= config.bin %> train --gpu L4:1 --budget 3 -- python3 train.py --epochs 4',
    '<%= config.bin %> train cats --detach -- sh -c "make data && make train"',
  ];
  static override args = { name: nameArg };
  static override flags = {
    ...machineFlags,
    ...jobFlags,
    ...logFlags,
    'start-from': option('start-from', 'A folder here with checkpoints to go on from: sent to the machine, where GPU_RUN_RESUME_FROM names it', 'FOLDER'),
    detach: toggle('detach', 'Return as soon as the job was accepted; `gpu-run logs --follow` shows it'),
    down: toggle('down', 'Take the machine down at the end, even if it was up before'),
    keep: toggle('keep', 'Leave the machine up at the end'),
    'keep-on-failure': toggle('keep-on-failure', 'Leave the machine up if the command fails'),
    'dry-run': dryRunFlag,
  };

  async run(): Promise<number | PassedOn> {
    const { own, command } = splitCommand(this.argv);
    const { args, flags } = await this.parse(Train, own);
    const teardown = teardownOf(flags);
    const settings = await this.settings({ ...flags, ...args });
    const [{ train }, { pushInput, trainInput, upInput }, { readSecrets }, { readMlflow }, { startFolder }] = await Promise.all([
      import('../../workflows/train.ts'),
      import('../../workflows/from-settings.ts'),
      import('../../config/secrets.ts'),
      import('../../config/mlflow.ts'),
      import('../../workflows/start-folder.ts'),
    ]);
    const { name, folder } = settings;
    const job = jobCommand(command, settings);
    const secrets = readSecrets(settings.secrets, process.env);
    const mlflow = readMlflow(settings.mlflow, process.env);
    const choices = {
      detach: flags.detach ?? false,
      teardown,
      keepOnFailure: flags['keep-on-failure'] ?? false,
      unprotected: flags.yes ?? false,
      sizeMeant: flags.yes ?? false,
      stamped: flags.timestamps ?? false,
      ...startFolder(flags['start-from'], process.cwd()),
    };
    if (flags['dry-run']) {
      const { planTrain } = await import('../../workflows/plan-train.ts');
      const plan = await this.withContext({ folder }, (context) => planTrain(upInput(settings, true), pushInput(settings, choices.sizeMeant), context));
      return this.finish(trainPlanDocument(plan), renderTrainPlan(name, plan, this.view));
    }
    const input = trainInput(settings, { command: job, secrets, ...choices });
    const result = await this.withContext(
      { folder, atStake: name, linkTo: name, onOutputLost: 'For the job that changes nothing; `gpu-run logs` shows all of it.' },
      async (context, progress) => {
        const output = createJobOutput(this.screen, progress, { states: true, timestamps: choices.stamped, fold: flags.fold });
        const done = await train(input, { ...context, mlflow }, output.onEvent);
        const verdict = verdictOf(done.job, done.leftovers);
        const lines = flags.detach ? acceptedLines(done, flags) : [lastLine(done, verdict), ...(this.screen.mode.quiet ? [] : await jobSummary(done, context))];
        for (const line of lines) await output.print(line);
        return { ...done, verdict };
      },
    );
    const { verdict } = result;
    return this.finish(trainDocument(result), null, verdict.failure) || { passedOn: verdict.exitCode };
  }
}

/** Commands stay on a line each, so that they can be copied. */
function acceptedLines({ job, machine: { name } }: TrainResult, flags: { readonly timestamps?: boolean; readonly fold?: boolean }): string[] {
  const looks = `${flags.timestamps ? ' --timestamps' : ''}${flags.fold ? ' --fold' : ''}`;
  return [
    `${job.id} was accepted on ${name}${looks === '' ? '' : `;${looks} is for who follows it:`}`,
    `  gpu-run logs ${job.id} --follow${looks}   shows it`,
    `  gpu-run pull ${name}   fetches what it made, before the machine ends`,
  ];
}

/** Why it was cut short is said once, by the error that follows. */
function lastLine({ job, machine, cost, leftovers }: TrainResult, { failure }: Verdict): string {
  const where = machine.provider;
  return failure === null || leftovers.length > 0 ? endLine(job, where, cost.usd) : `${job.id} cost ${formatUsd(cost.usd)} on ${where}`;
}
