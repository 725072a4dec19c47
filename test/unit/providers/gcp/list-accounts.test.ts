/** Several credentials, several projects: what may be seen by any of them is seen, and what nobody may see is told. */
import { expect, test } from 'vitest';
import { labelKeys } from '../../../../src/core/machine.ts';
import type { GceApi } from '../../../../src/providers/gcp/gce-api.ts';
import { GceError } from '../../../../src/providers/gcp/gce-error.ts';
import type { Account, Accounts } from '../../../../src/providers/gcp/gcp-account.ts';
import { listOfAccounts } from '../../../../src/providers/gcp/list-accounts.ts';

const refused = (project: string) => new GceError(`no list of ${project}`, { status: 403, reasons: ['forbidden'], details: [], call: 'instances.list' });
const machine = (name: string) => ({ id: '1', name, zone: 'zones/us-central1-a', status: 'RUNNING', machineType: 'e2', labels: { [labelKeys.owner]: 'ann' } });

/** `may`: by credentials, what they see of the project. */
function accountsOf(may: Readonly<Record<string, 'all' | 'one zone' | 'nothing'>>): Accounts {
  const listed = (project: string, sees: string | undefined) => {
    if (sees === undefined || sees === 'nothing') throw refused(project);
    return { items: [machine(`cats-${project}`)], unreachable: sees === 'all' ? [] : ['zones/europe-west4-a'] };
  };
  const apiOf = ({ project, credentialsFile }: Account) => {
    const id = project ?? 'p';
    const parts: Partial<GceApi> = {
      project: id,
      listInstances: async () => listed(id, may[credentialsFile ?? 'own']) as never,
      listDisks: async () => ({ items: [], unreachable: [] }),
      listFirewalls: async () => [],
    };
    return parts as GceApi;
  };
  return { api: async (account) => apiOf(account), remember: () => {}, remembered: () => [] };
}

async function listed(accounts: Accounts, all: readonly Account[]): Promise<{ readonly ids: string[]; readonly failure: unknown }> {
  const ids: string[] = [];
  try {
    for await (const { id } of listOfAccounts(accounts, all, 'ann')) ids.push(id);
    return { ids, failure: null };
  } catch (failure) {
    return { ids, failure };
  }
}

const own = { project: null, credentialsFile: null };
const key = { project: 'p', credentialsFile: '/keys/gpu.json' };

test('credentials that may not list a project do not hide what others see of it, nor the other way round', async () => {
  expect(await listed(accountsOf({ own: 'nothing', '/keys/gpu.json': 'all' }), [own, key])).toEqual({ ids: ['cats-p'], failure: null });
  expect(await listed(accountsOf({ own: 'all', '/keys/gpu.json': 'nothing' }), [own, key])).toEqual({ ids: ['cats-p'], failure: null });
});

test('what is seen twice comes once, and zones that nobody saw are told', async () => {
  const { ids, failure } = await listed(accountsOf({ own: 'one zone', '/keys/gpu.json': 'one zone' }), [own, key]);
  expect(ids).toEqual(['cats-p']);
  expect(failure).toMatchObject({ code: 'connection', message: expect.stringContaining('europe-west4-a') });
  expect(await listed(accountsOf({ own: 'one zone', '/keys/gpu.json': 'all' }), [own, key])).toEqual({ ids: ['cats-p'], failure: null });
});

test('of every project that nobody may list it is told', async () => {
  const { failure } = await listed(accountsOf({}), [
    { ...key, project: 'p1' },
    { ...key, project: 'p2' },
  ]);
  expect(failure).toMatchObject({ code: 'not-allowed', message: expect.stringMatching(/p1.*p2/) });
});
