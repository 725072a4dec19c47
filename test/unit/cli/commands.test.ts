import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commands } from '../../../src/cli/commands.ts';

/** What scripts rely on: commands, and the flags of each beside the global ones. */
const promised: Readonly<Record<string, readonly string[]>> = {
  init: ['force'],
  up: ['provider', 'template', 'gpu', 'region', 'spot', 'public-ip', 'nodes', 'max-time', 'budget', 'idle', 'dry-run', 'config'],
  train: ['provider', 'gpu', 'spot', 'max-time', 'budget', 'idle', 'env', 'secret', 'detach', 'down', 'keep', 'keep-on-failure', 'dry-run', 'config'],
  logs: ['follow', 'after', 'tail', 'config'],
  status: ['refresh', 'all'],
  down: ['all', 'config'],
  cancel: ['config'],
  extend: ['by', 'config'],
  ssh: ['config'],
  sync: ['dry-run', 'watch', 'config'],
  pull: ['config'],
  cost: ['by', 'since', 'until', 'limit', 'csv'],
  offers: ['gpu', 'spot', 'region', 'config'],
  templates: [],
  'templates:show': [],
  reap: ['dry-run'],
  report: ['html', 'config'],
  doctor: ['provider', 'config'],
  forward: ['config'],
  top: ['once', 'config'],
  tunnel: [],
  link: [],
};

test('every command that is promised is there, and no other', () => {
  expect(Object.keys(commands).sort()).toEqual(Object.keys(promised).sort());
});

test.each(Object.entries(commands))('%s: description, examples, its flags and the global ones', (name, command) => {
  expect(command.description).toMatch(/^[A-Z].*\.$/s);
  expect(command.description.split('\n')[0]?.length).toBeLessThan(80); // --help does not wrap it
  expect(command.examples.length).toBeGreaterThan(0);
  const flags = { ...command.baseFlags, ...command.flags };
  expect(Object.keys(flags)).toEqual(expect.arrayContaining(['json', 'quiet', 'verbose', 'yes', ...(promised[name] ?? [])]));
  for (const [flag, { env, description }] of Object.entries(flags)) {
    const variable = `GPU_RUN_${flag.replaceAll('-', '_').toUpperCase()}`;
    expect(env ?? /\[env: (\w+)\]/.exec(description ?? '')?.[1], `--${flag}`).toBe(variable);
  }
});

test('command files stay small and call workflows alone', () => {
  const folder = join(import.meta.dirname, '../../../src/cli/commands');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  expect(files).toHaveLength(Object.keys(commands).length);
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(text.split('\n').length, file).toBeLessThanOrEqual(100);
    expect(text, file).not.toMatch(/from '.*\/(providers|transport|ledger|sync|runner)\//);
  }
});
