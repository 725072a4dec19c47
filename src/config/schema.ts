/** The schema of `gpu-run.yaml` and of templates. Imports zod: load it only where there is a file to check. */
import { z } from 'zod';
import { parseDuration } from '../core/duration.ts';
import { parseGpuNeed } from '../core/gpu-need.ts';
import { checkMachineName } from '../core/run-id.ts';
import { parseSize } from '../core/size.ts';
import { preemptSignals } from '../protocol/job.ts';
import { dataset, workdirPath } from './dataset.ts';
import { checkEnvName } from './env-name.ts';
import { block, command, existingPath, expected, listOf, mapOf, numberFrom, optional, type PathBase, parsed, text, wholeNumber, word } from './field.ts';
import { findOverlap } from './inside-path.ts';
import { parseIdle, parseLogLimit } from './limit-text.ts';
import { checkPattern } from './metric-pattern.ts';
import { checkTrackingUri } from './mlflow.ts';
import { providerBlocks } from './provider-blocks.ts';
import { alsoInEnv, explainAlsoInEnv } from './secrets.ts';

export type Config = z.output<ReturnType<typeof configSchema>>;
export type Template = z.output<ReturnType<typeof templateSchema>>;

export function configSchema(base: PathBase | null) {
  const shape = {
    name: optional(parsed('a name', 'cats-and-dogs', checkMachineName), "The machine's name. Default: the folder's name."),
    provider: provider(),
    template: optional(text("a template's name", 'ssh'), 'A recipe for the machine; `gpu-run templates` lists them.'),
    ...machineFields(),
    sync: optional(sync(base), 'What is sent to the machine.'),
    setup: setup(),
    train: optional(command(), 'The command: a line for the shell of the machine, or a list of words that are passed on unchanged.'),
    env: env(),
    secrets: optional(
      listOf(parsed("a variable's name", 'WANDB_API_KEY', checkEnvName), 'a list of names', '[WANDB_API_KEY]'),
      "Names of variables whose values are taken from gpu-run's own environment and are never written down.",
    ),
    outputs: optional(
      listOf(workdirPath('runs/'), 'a list of paths', '[runs/, checkpoints/]'),
      'Folders and files that are pulled back, relative to the workdir.',
    ),
    metrics: optional(
      mapOf(
        text('a name', 'loss'),
        parsed('a regular expression with a group', "'loss=([0-9.]+)'", checkPattern),
        'a block of metrics',
        "{ loss: 'loss=([0-9.]+)' }",
      ),
      'Metric: regular expression whose first group is the value. JSON lines and the lines of common frameworks are read without it.',
    ),
    mlflow: optional(mlflow(), 'Metrics are sent to this MLflow server as well, by whoever follows the job. Credentials come from the environment.'),
    limits: optional(limits(), 'When the machine ends, whatever happens.'),
    log: optional(log(), "How the job's log is kept."),
    'preempt-signal': optional(
      z.enum(preemptSignals, { error: noPreemptSignal }),
      'What the job is told first when its provider takes the machine back, where it listens to it. Default: SIGTERM.',
    ),
    retry: optional(retry(), 'What is tried again when the machine is lost.'),
    ...providerBlocks(base),
  };
  return block(shape, 'train: python3 train.py').refine((config) => alsoInEnv(...secretsAndEnv(config)).length === 0, {
    // Also beside other mistakes, as long as these two keys are in order.
    when: ({ issues }) => !issues.some(({ code, path = [] }) => (path.length === 0 ? code === 'invalid_type' : path[0] === 'secrets' || path[0] === 'env')),
    path: ['secrets'],
    error: ({ input }) => explainAlsoInEnv(alsoInEnv(...secretsAndEnv(input))),
  });
}

function secretsAndEnv(config: unknown): [string[], Record<string, string>] {
  const { secrets = [], env = {} } = config as { readonly secrets?: string[]; readonly env?: Record<string, string> };
  return [secrets, env];
}

export function templateSchema(base: PathBase | null) {
  const shape = {
    description: text('one sentence', 'One L4 on Google Cloud').meta({ description: 'What the template gives, in one sentence.' }),
    provider: provider(),
    ...machineFields(),
    image: optional(text("an image's name", 'pytorch-latest-gpu'), 'What the machine boots from, in the words of its provider.'),
    setup: setup(),
    env: env(),
    ...providerBlocks(base),
  };
  return block(shape, 'description: One L4 on Google Cloud');
}

function machineFields() {
  return {
    gpu: optional(parsed('a GPU', 'L4:1', parseGpuNeed), 'GPU and how many of it: L4:1, A100-80GB:8.'),
    spot: optional(z.boolean({ error: expected('true or false', 'true') }), 'Take a cheaper machine that may be taken back at any time.'),
    regions: optional(
      listOf(text('a region', 'us-central1'), 'a list of regions', '[us-central1]'),
      'Where the machine may be, best first. Default: anywhere.',
    ),
    disk: optional(parsed('a size', '100GB', parseSize), 'Size of the disk: 100GB, 1TB.'),
  };
}

function provider() {
  const name = text("a provider's name", 'ssh');
  const error = expected("a provider's name, or a list of them", 'ssh, or [gcp, ssh]');
  const either = z.union([name.transform((only) => [only]), z.array(name).min(1, { error })], { error });
  return optional(either, 'Where the machine comes from: a provider, or several, tried in order.');
}

function setup() {
  return optional(
    text('a shell command', 'pip install -r requirements.txt'),
    'Run before the command; again only when it, or a file that it names, has changed.',
  );
}

function env() {
  const variables = mapOf(
    parsed("a variable's name", 'PYTHONHASHSEED', checkEnvName),
    word('a text', '"0"'),
    'a block of variables',
    '{ PYTHONHASHSEED: "0" }',
  );
  return optional(variables, 'Variables of the command and of setup.');
}

function sync(base: PathBase | null) {
  const data = listOf(dataset(base), 'a list of data', '[{ from: ../pets, to: data/pets }]').check(({ value, issues }) => {
    const clash = findOverlap(value.map(({ to }) => to));
    if (clash === null) return;
    issues.push({
      code: 'custom',
      message: `'${clash.path}' lies in the place of another one, '${clash.around}'; give each its own.`,
      path: [clash.index, 'to'],
      input: value,
    });
  });
  const shape = {
    code: optional(existingPath('folder', '.', base), 'The folder that becomes the workdir. Default: the folder of `gpu-run.yaml`.'),
    exclude: optional(
      listOf(text('a pattern', 'runs/'), 'a list of patterns', '[runs/]'),
      'Patterns as in .gitignore, on top of .gitignore and .gpurunignore.',
    ),
    data: optional(data, 'Data beside the code: from this computer, or fetched by the machine itself. No ignore rules apply to it.'),
  };
  return block(shape, '{ code: . }');
}

function mlflow() {
  const shape = {
    'tracking-uri': optional(parsed('an address', 'http://mlflow.example.org:5000', checkTrackingUri), 'Default: MLFLOW_TRACKING_URI.'),
    experiment: optional(text('a name', 'cats-and-dogs'), 'Default: MLFLOW_EXPERIMENT_NAME, else Default.'),
  };
  return block(shape, '{ tracking-uri: http://mlflow.example.org:5000 }');
}

function limits() {
  const shape = {
    'max-time': optional(parsed('a span of time', '4h', parseDuration), 'The machine ends after this, whatever happens. Default: 4h.'),
    budget: optional(numberFrom(0.01, 'a number of dollars', '3.00'), 'US dollars that may be spent; they become a deadline.'),
    idle: optional(
      parsed('a span of time, or off', '15m', parseIdle),
      'The machine ends after this long without a job or a login; `off`: never. Default: 15m.',
    ),
    stall: optional(
      parsed('a span of time, or off', '60m', parseIdle),
      'A job that writes nothing for this long while no GPU works is ended; `off`: never. Default: 60m.',
    ),
  };
  return block(shape, '{ max-time: 4h }');
}

function log() {
  const shape = {
    split: optional(z.boolean({ error: expected('true or false', 'true') }), 'Keep stdout and stderr apart, at the price of their common order.'),
    limit: optional(
      parsed('a size', '10GB', parseLogLimit),
      "What it may take on the machine's disk, 1MB or more; older bytes go first. Default: 10GiB, and never more than what is free beside it.",
    ),
  };
  return block(shape, '{ split: true }');
}

/** `USR1`, as `kill` takes it. */
function noPreemptSignal(issue: { readonly input?: unknown }): string {
  const text = expected(`one of ${preemptSignals.join(', ')}`, 'SIGUSR1')(issue);
  const meant = preemptSignals.find((name) => name.slice(3) === String(issue.input).toUpperCase().replace(/^SIG/, ''));
  return meant === undefined ? text : text.replace(/\.$/, `; did you mean ${meant}?`);
}

const noReason = 'expected at least one reason, as in [preempted, lost]; leave `on` out for both, or write attempts: 1 to start a job no second time.';

function retry() {
  const reason = z.enum(['preempted', 'lost'], { error: expected('preempted or lost', 'preempted') });
  const shape = {
    on: optional(listOf(reason, 'a list of reasons', '[preempted, lost]').min(1, { error: noReason }), 'Why to try again. Default: [preempted, lost].'),
    attempts: optional(wholeNumber(1, 100, 'a whole number from 1 to 100', '5'), 'How often the job is started at most, the first time included. Default: 3.'),
    'resume-from': optional(workdirPath('checkpoints/'), 'Folder with checkpoints: fetched while the job runs, and given to it from its second attempt on.'),
  };
  return block(shape, '{ on: [preempted] }');
}
