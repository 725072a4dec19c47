/** All of an owner's, in every project that is known, with whichever credentials may list it. */
import { GpuRunError, toGpuRunError } from '../../core/errors.ts';
import type { MachineRef } from '../../core/machine.ts';
import type { GceApi } from './gce-api.ts';
import type { Account, Accounts } from './gcp-account.ts';
import { eachInWords, inWords } from './in-words.ts';
import { listMachines } from './list-instances.ts';

interface Failure {
  /** null: not known, the credentials could not be used at all. */
  readonly project: string | null;
  readonly error: GpuRunError;
}

/**
 * A project is listed with one account after another until one sees all of it. What is found twice comes once.
 * `mayLackProject`: nothing names one, and that is no failure. @throws GpuRunError at the end, with what could not be seen of every project
 */
export async function* listOfAccounts(
  accounts: Accounts,
  all: readonly Account[],
  owner: string,
  signal?: AbortSignal,
  mayLackProject = true,
): AsyncIterable<MachineRef> {
  const seen = new Set<string>();
  const given = new Set<string>();
  let failures: readonly Failure[] = [];
  for (const account of all) {
    let { project } = account;
    if (project !== null && seen.has(project)) continue;
    try {
      const api = await apiOrNull(accounts, account, mayLackProject);
      if (api === null || seen.has(api.project)) continue;
      ({ project } = api);
      for await (const ref of eachInWords(listMachines(api, account, owner, signal), { project })) {
        const key = JSON.stringify([project, ref.data['zone'], ref.id, ref.leftover]);
        if (!given.has(key)) yield ref;
        given.add(key);
      }
      seen.add(project);
      failures = failures.filter((failure) => failure.project !== project);
    } catch (error) {
      signal?.throwIfAborted();
      failures = [...failures, { project, error: toGpuRunError(error) }];
    }
  }
  if (failures.length > 0) throw together(failures.map(({ error }) => error));
}

/** null: credentials that name no project, and nobody else does; no machine was ever made with those alone. */
async function apiOrNull(accounts: Accounts, account: Account, mayLackProject: boolean): Promise<GceApi | null> {
  try {
    return await inWords(() => accounts.api(account));
  } catch (error) {
    if (mayLackProject && account.project === null && error instanceof GpuRunError && error.code === 'bad-input') return null;
    throw error;
  }
}

function together(errors: readonly GpuRunError[]): GpuRunError {
  const first = errors[0] as GpuRunError;
  const messages = new Set(errors.map(({ message }) => message));
  if (messages.size === 1) return first;
  const hints = [...new Set(errors.flatMap((error) => error.hints))];
  return new GpuRunError(first.code, [...messages].join(' '), { hints, retry: first.retry, cause: first });
}
