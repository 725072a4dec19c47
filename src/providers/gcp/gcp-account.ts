/**
 * On whose behalf Google is asked: one project with one set of credentials. Those that machines were made with are remembered, so
 * that `list` and `reap` find machines from any folder, whatever its config says.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { GceApi } from './gce-api.ts';

export interface Account {
  /** null: what the environment or the credentials say. */
  readonly project: string | null;
  /** Absolute path; null: Application Default Credentials. */
  readonly credentialsFile: string | null;
}

export interface Accounts {
  /** Opened once for each account; a failure is not kept. */
  api(account: Account): Promise<GceApi>;
  /** From now on `remembered` has it. A state folder that can't be written costs only that. */
  remember(account: Account): void;
  remembered(): readonly Account[];
}

/** `file`: where they are remembered. Holds project ids and paths, no secret. */
export function createAccounts(file: string, open: (account: Account) => Promise<GceApi>): Accounts {
  const opened = new Map<string, Promise<GceApi>>();
  const known = new Set<string>();
  const api = (account: Account): Promise<GceApi> => {
    const key = keyOf(account);
    let opening = opened.get(key);
    if (opening === undefined) {
      opening = open(account);
      opened.set(key, opening);
      opening.catch(() => opened.delete(key));
    }
    return opening;
  };
  return {
    api,
    remember(account) {
      if (known.has(keyOf(account))) return;
      known.add(keyOf(account));
      const before = readAccounts(file);
      if (!before.some((other) => keyOf(other) === keyOf(account))) writeAccounts(file, [...before, account]);
    },
    remembered: () => readAccounts(file),
  };
}

function keyOf({ project, credentialsFile }: Account): string {
  return JSON.stringify([project, credentialsFile]);
}

function readAccounts(file: string): readonly Account[] {
  try {
    const all: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(all) ? all.filter(isAccount).map(({ project, credentialsFile }) => ({ project, credentialsFile })) : [];
  } catch {
    return []; // not there yet, or damaged: the ledger knows each machine's own
  }
}

function isAccount(value: unknown): value is Account {
  const isText = (part: unknown) => part === null || typeof part === 'string';
  return (
    typeof value === 'object' && value !== null && 'project' in value && isText(value.project) && 'credentialsFile' in value && isText(value.credentialsFile)
  );
}

function writeAccounts(file: string, accounts: readonly Account[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const hidden = `${file}.${process.pid}.tmp`;
    writeFileSync(hidden, JSON.stringify(accounts), { mode: 0o600 });
    renameSync(hidden, file);
  } catch {
    // Best effort, as said above.
  }
}
