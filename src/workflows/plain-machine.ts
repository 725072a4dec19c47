/** A host of the user's own where no runner can live: no job can run there, but files can be brought and fetched, by rsync or SFTP. */
import { Readable } from 'node:stream';
import type { MachineEntry } from '../ledger/ledger.ts';
import { NoRunnerError } from '../runner/no-runner.ts';
import { fittingProgram } from '../runner/node-delivery.ts';
import { probeMachine } from '../runner/probe.ts';
import { runRemote } from '../runner/run-remote.ts';
import type { PlainPeer } from '../sync/plain-peer.ts';
import type { Transport, UsersSsh } from '../transport/transport.ts';
import type { RunContext } from './context.ts';
import { findMachine } from './find.ts';
import { type ReachedMachine, reachOrLose } from './reach-machine.ts';

export interface PlainMachine extends AsyncDisposable {
  readonly name: string;
  readonly peer: PlainPeer;
  /** What was placed there, remembered here. Absolute. */
  readonly recordFile: string;
  /** Where what the machine made or changed is moved, there. Absolute. */
  readonly aside: string;
}

type Host = Pick<MachineEntry, 'id' | 'name' | 'provider' | 'access'>;

interface Wanted {
  readonly name: string;
  readonly hosts?: Readonly<Record<string, unknown>>;
}

/** What is done with whom. */
export interface Uses<T> {
  readonly withRunner: (reached: ReachedMachine) => Promise<T>;
  readonly without: (plain: PlainMachine) => Promise<T>;
  /** No machine of that name is up, and no host can be asked instead. Absent: that is an error. */
  readonly withNobody?: () => Promise<T>;
}

/** A host that answers, and where no runner can live. */
interface Refused {
  readonly host: Host;
  readonly why: NoRunnerError;
  /** Connected. */
  readonly transport: Transport;
}

/**
 * Uses the machine of that name with its runner; without, where none can live there. That may also be a host of the config that `up`
 * refuses for this reason. @throws GpuRunError as `findMachine` and `reachOrLose`
 */
export async function reachOrPlain<T>(wanted: Wanted, context: RunContext, { withRunner, without, withNobody }: Uses<T>): Promise<T> {
  const found = await reachOne(wanted, withNobody ?? null, context);
  if (typeof found === 'function') return await found();
  if ('runner' in found) {
    await using reached = found;
    return await withRunner(reached);
  }
  await using plain = await openPlain(found, context);
  return await without(plain);
}

/** `nobody`: what there is instead of an error; null: nothing. */
async function reachOne<Nobody>(wanted: Wanted, nobody: Nobody | null, context: RunContext): Promise<ReachedMachine | Refused | Nobody> {
  const isUp = context.ledger.list({ name: wanted.name, live: true }).length > 0;
  const refused = isUp ? null : await refusedHost(wanted, context).catch(nullIf(nobody !== null));
  if (refused !== null) return refused;
  if (!isUp && nobody !== null) return nobody;
  const machine = findMachine(wanted.name, context);
  try {
    return await reachOrLose(machine, context);
  } catch (error) {
    if (!(error instanceof NoRunnerError) || machine.access?.kind !== 'openssh') throw error;
    const transport = context.connect(machine);
    return { host: machine, why: error, transport };
  }
}

function nullIf(tolerated: boolean): (error: unknown) => null {
  return (error) => {
    if (tolerated) return null;
    throw error;
  };
}

/** null: the config names no host, or a runner could live there, so that it only has to be `up`. */
async function refusedHost({ name, hosts = {} }: Wanted, context: RunContext): Promise<Refused | null> {
  for (const provider of Object.keys(hosts)) {
    const access = (await context.providers.get(provider)).ownHost?.(hosts) ?? null;
    if (access === null) continue;
    const host: Host = { id: `host-${name}`, name, provider, access };
    const transport = context.connect(host);
    const why = await refusalOf(transport, context).catch(async (error: unknown) => {
      await transport.close();
      throw error;
    });
    if (why !== null) return { host, why, transport };
    await transport.close();
  }
  return null;
}

async function refusalOf(transport: Transport, { runner, signal }: RunContext): Promise<NoRunnerError | null> {
  try {
    await transport.connect(signal);
    const probe = await probeMachine(transport, runner.version, signal);
    if (probe.node === null) fittingProgram(probe);
    return null;
  } catch (error) {
    if (error instanceof NoRunnerError) return error;
    throw error;
  }
}

/** The transport is the plain machine's from here on. */
async function openPlain({ host, why, transport }: Refused, context: RunContext): Promise<PlainMachine> {
  try {
    const ssh = (await transport.usersSsh?.(context.signal)) ?? null;
    if (ssh === null) throw why;
    const { peer, because } = await openPeer(host, transport, ssh, context);
    const text = `No runner can live on '${host.name}', so no job can run there; files go by ${peer.method} (${because}), to ${peer.workdir}. Why: ${why.message}`;
    context.reporter.report({ type: 'note', level: 'warn', text });
    const { plainRecordFile } = await import('../sync/plain-record.ts');
    const { access } = host;
    return {
      name: host.name,
      peer,
      recordFile: plainRecordFile(context.home.sync, JSON.stringify([access?.host, access?.port, access?.user, peer.workdir])),
      aside: `${peer.workdir.replace(/\/workdir$/, '')}/kept/${new Date(context.clock.now()).toISOString().replaceAll(':', '-')}`,
      [Symbol.asyncDispose]: async () => {
        peer.close();
        await transport.close();
      },
    };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

async function openPeer(
  host: Host,
  transport: Transport,
  ssh: UsersSsh,
  { signal, home }: RunContext,
): Promise<{ readonly peer: PlainPeer; readonly because: string }> {
  const { hasRsync } = await import('../sync/rsync-run.ts');
  const [here, there] = await Promise.all([hasRsync(), lookAt(transport, signal)]);
  if (here && there?.rsync === true) {
    const { rsyncPeer } = await import('../sync/rsync-peer.ts');
    const run = (argv: readonly string[], input: string, until: AbortSignal) => runRemote(transport, argv, Readable.from([input]), until);
    const parts = { ssh: ssh.argv, host: ssh.host, root: rootOf(there.home, host), run, staging: home.scratch };
    return { peer: rsyncPeer(parts), because: 'which both have' };
  }
  const [{ openSftp }, { sftpPeer }] = await Promise.all([import('../sync/sftp-client.ts'), import('../sync/sftp-peer.ts')]);
  const client = await openSftp(ssh.subsystem('sftp'));
  const root = rootOf(there?.home ?? (await client.realpath('.')), host);
  const missing = there === null ? 'nothing can be run there' : `there is no rsync 3 ${there.rsync ? 'on this computer' : 'on it'}`;
  return { peer: sftpPeer(client, root), because: missing };
}

/** As the runner would have it: a machine that gets one finds its files. */
function rootOf(folder: string, { id }: Host): string {
  return `${folder.replace(/\/+$/, '')}/.gpu-run/machines/${id}`;
}

const lookScript = `printf '\\ngpu-run home %s\\n' "$HOME"; printf 'gpu-run rsync %s\\n' "$(rsync --version 2>/dev/null | head -n 1)"`;

/** null: nothing can be run there. */
async function lookAt(transport: Transport, signal: AbortSignal): Promise<{ readonly home: string; readonly rsync: boolean } | null> {
  const { isFitRsync } = await import('../sync/rsync-run.ts');
  const { stdout } = await runRemote(transport, ['sh', '-c', lookScript], null, signal);
  const home = /^gpu-run home (\/.*)$/m.exec(stdout)?.[1];
  return home === undefined ? null : { home, rsync: isFitRsync(/^gpu-run rsync (.*)$/m.exec(stdout)?.[1] ?? '') };
}
