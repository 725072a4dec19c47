/** `doctor`: looks at everything that gpu-run leans on and says what to do about what is missing. Changes nothing that matters. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toGpuRunError } from '../core/errors.ts';
import type { ResourceNeed } from '../core/offer.ts';
import type { RunContext } from './context.ts';
import { connectMachine } from './reach-machine.ts';

export interface Check {
  readonly name: string;
  readonly outcome: 'ok' | 'warn' | 'fail';
  readonly text: string;
  readonly hints: readonly string[];
}

export interface DoctorInput {
  /** The folder's providers, asked for offers. */
  readonly providers: readonly string[];
  readonly need: ResourceNeed;
}

type Outcome = Omit<Check, 'name'>;

export async function doctor(input: DoctorInput, context: RunContext): Promise<readonly Check[]> {
  const checks: [string, () => Promise<Outcome> | Outcome][] = [
    ['Node', nodeVersion],
    ['state folder', () => stateFolder(context)],
    ['ledger', () => ledgerReadable(context)],
    ['OpenSSH client', () => program('ssh', ['-V'], 'needed for hosts of your own (provider ssh); machines that gpu-run makes do without')],
    ['git', () => program('git', ['--version'], 'without it, tracked files that match .gitignore are not synced')],
    ['ssh NAME', () => sshInclude(context)],
    ...input.providers.map((id): [string, () => Promise<Outcome>] => [`provider ${id}`, () => providerOffers(id, input.need, context)]),
    ...context.ledger.list({ live: true }).map((machine): [string, () => Promise<Outcome>] => [
      `machine ${machine.name}`,
      async () => {
        if (machine.deadline < context.clock.now()) return warn('past its deadline', [`gpu-run down ${machine.name}`]);
        if (machine.state !== 'ready') return warn(machine.state, ['gpu-run reap   ends what a dead gpu-run left half done']);
        await (await connectMachine(machine, context)).close();
        return ok('answers over SSH');
      },
    ]),
  ];
  return Promise.all(checks.map(async ([name, check]) => ({ name, ...(await outcomeOf(check)) })));
}

async function outcomeOf(check: () => Promise<Outcome> | Outcome): Promise<Outcome> {
  try {
    return await check();
  } catch (error) {
    const failure = toGpuRunError(error);
    return { outcome: 'fail', text: failure.message, hints: failure.hints };
  }
}

const ok = (text: string): Outcome => ({ outcome: 'ok', text, hints: [] });
const warn = (text: string, hints: readonly string[]): Outcome => ({ outcome: 'warn', text, hints });

function nodeVersion(): Outcome {
  return ok(process.version);
}

function stateFolder({ home }: RunContext): Outcome {
  const mode = statSync(home.root).mode & 0o777;
  if ((mode & 0o077) !== 0)
    return { outcome: 'fail', text: `${home.root} can be read by others (mode ${mode.toString(8)})`, hints: [`chmod 700 ${home.root}`] };
  return ok(home.root);
}

function ledgerReadable({ ledger }: RunContext): Outcome {
  const live = ledger.list({ live: true }).length;
  return ok(`${live} ${live === 1 ? 'machine' : 'machines'} up`);
}

async function program(name: string, argv: readonly string[], without: string): Promise<Outcome> {
  try {
    const { stdout, stderr } = await promisify(execFile)(name, argv);
    return ok((stdout.trim() || stderr.trim()).split('\n')[0] ?? '');
  } catch {
    return warn(`'${name}' was not found: ${without}`, []);
  }
}

function sshInclude({ home }: RunContext): Outcome {
  const file = join(homedir(), '.ssh', 'config');
  const included = existsSync(file) && readFileSync(file, 'utf8').includes(home.sshConfig);
  if (included) return ok(`${file} includes ${home.sshConfig}`);
  return ok(`optional: with the line  Include "${home.sshConfig}"  at the top of ${file}, plain \`ssh NAME\` reaches your machines`);
}

async function providerOffers(id: string, need: ResourceNeed, context: RunContext): Promise<Outcome> {
  const provider = await context.providers.get(id);
  const who = await provider.check?.(need, context.signal);
  for await (const offer of provider.offers(need, context.signal))
    return ok(`${who === undefined ? '' : `${who}; `}${offer.type} at $${offer.price.perHour.toFixed(2)}/h`);
  return warn('has nothing that fits what gpu-run.yaml asks for', ['gpu-run offers']);
}
