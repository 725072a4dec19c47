/** The composition root: the one place that knows the concrete providers, transports and ledger. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectByLink, mayLink, openPastLinks } from './compose-links.ts';
import { gitBranch } from './config/git-branch.ts';
import { gitCommit } from './config/git-commit.ts';
import { homePaths, prepareHome } from './config/home.ts';
import { computerName, homeLabel, ownerVariable, readOwner } from './config/owner.ts';
import { type Clock, systemClock } from './core/clock.ts';
import { GpuRunError } from './core/errors.ts';
import { ownIdentity } from './core/process-identity.ts';
import type { Reporter } from './core/reporter.ts';
import type { MachineEntry } from './ledger/ledger.ts';
import { openSqliteLedger } from './ledger/sqlite-ledger.ts';
import { linkPlace } from './link/place.ts';
import { createRegistry, type ProviderRegistry } from './providers/registry.ts';
import type { RunnerPackage } from './runner/install.ts';
import { parseMirror } from './runner/node-download.ts';
import { connectTransport } from './transport/connect.ts';
import type { ConnectOptions } from './transport/transport.ts';
import type { RunContext } from './workflows/context.ts';
import { dialThrough } from './workflows/tunnel.ts';

export interface ContextOptions {
  /** The state folder, of `homeFolder`. */
  readonly home: string;
  /** The caller's environment: what jobs on `local` machines inherit (PATH, LANG), and the CI's branch name. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** The project's folder. */
  readonly folder: string;
  readonly clock?: Clock;
  /** For `--verbose`: what providers ask of their clouds, one line a request. */
  readonly log?: (line: string) => void;
  /** Default: opened anew. */
  readonly providers?: ProviderRegistry;
}

export interface OpenContext {
  readonly context: RunContext;
  close(): void;
}

export function openContext(options: ContextOptions): OpenContext {
  const home = homePaths(options.home);
  prepareHome(home);
  const clock = options.clock ?? systemClock;
  const ledger = openSqliteLedger(home.ledger, clock);
  const user = userInfo().username;
  const computer = computerName();
  const built = builtFolder();
  const context: RunContext = {
    providers: options.providers ?? openProviders(options),
    ledger,
    connect: (machine) => {
      const options = connectOptions(machine, context);
      const place = context.links === undefined ? null : linkPlace(home.links, machine.id);
      return place === null ? connectTransport(options) : connectByLink(place, context.runner, options);
    },
    ...(mayLink(options.env) ? { links: { open: (machine) => openPastLinks(connectOptions(machine, context)) } } : {}),
    program: [process.execPath, join(built, '..', 'bin', 'run.js')],
    runner: runnerPackage(join(built, 'runner.mjs'), home.cache, parseMirror(options.env['GPU_RUN_NODE_MIRROR'])),
    reporter: options.reporter,
    clock,
    signal: options.signal,
    home,
    self: ownIdentity(),
    owner: readOwner({ homeRoot: home.root, user, computer, chosen: options.env[ownerVariable] ?? '' }),
    homeLabel: homeLabel(home.root, computer),
    user,
    branch: gitBranch(options.folder, options.env),
    commit: gitCommit(options.folder, options.env),
  };
  return { context, close: () => ledger.close() };
}

function connectOptions(
  machine: Pick<MachineEntry, 'id' | 'name' | 'provider' | 'access'>,
  { home, providers }: Pick<RunContext, 'home' | 'providers'>,
): ConnectOptions {
  const { access } = machine;
  if (access === null) throw new GpuRunError('conflict', `The machine '${machine.name}' isn't ready yet.`);
  const dial = dialThrough(machine, providers);
  return { access, ...(dial === null ? {} : { dial }), identityFile: access.kind === 'own' ? join(home.keys, machine.id) : null, scratch: home.scratch };
}

/** One for many contexts of a process, so that what a provider has loaded and asked once serves all of them. */
export function openProviders(options: ContextOptions): ProviderRegistry {
  const home = homePaths(options.home);
  const clock = options.clock ?? systemClock;
  return createRegistry({
    local: async () =>
      (await import('./providers/local/local-provider.ts')).createLocalProvider({
        home: home.local,
        machineProcess: join(builtFolder(), 'local-machine.js'),
        node: process.execPath,
        env: pick(options.env, ['PATH', 'LANG', 'LC_ALL', 'TZ', 'LD_LIBRARY_PATH', 'CUDA_HOME', 'CUDA_VISIBLE_DEVICES', 'METADATA_SERVER_DETECTION']),
        clock,
      }),
    ssh: async () => (await import('./providers/ssh/ssh-provider.ts')).createSshProvider({ clock }),
    gcp: async () =>
      (await import('./providers/gcp/open-gcp.ts')).openGcp({
        env: options.env,
        platform: process.platform,
        clock,
        state: join(home.root, 'gcp'),
        cache: join(home.cache, 'gcp'),
        warn: (text) => options.reporter.report({ type: 'note', level: 'warn', text }),
        ...(options.log === undefined ? {} : { log: options.log }),
      }),
  });
}

/** `dist`, whether this file runs from there or from the sources. */
function builtFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith(`${join('dist')}`) ? here : join(here, '..', 'dist');
}

function runnerPackage(file: string, cache: string, mirror: string | null): RunnerPackage {
  let version: string | null = null;
  return {
    file,
    cache,
    mirror,
    get version() {
      version ??= readVersion(file);
      return version;
    },
  };
}

function readVersion(file: string): string {
  const { version } = JSON.parse(readFileSync(join(dirname(file), '..', 'package.json'), 'utf8')) as { version: string };
  return `${version}-${createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16)}`;
}

function pick(env: Readonly<Record<string, string | undefined>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
