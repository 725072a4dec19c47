/** The values of secrets, taken from the caller's environment when a job starts, and nowhere written down. */
import { GpuRunError } from '../core/errors.ts';

/** @throws GpuRunError bad-input that names every variable that is missing. An empty one counts as missing: that is what CI systems give for a secret that they don't have. */
export function readSecrets(names: readonly string[], env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const missing = names.filter((name) => (env[name] ?? '') === '');
  if (missing.length > 0) {
    const plural = missing.length > 1;
    throw new GpuRunError(
      'bad-input',
      `The secret${plural ? 's' : ''} ${missing.join(', ')} ${plural ? 'are' : 'is'} not set, or empty, in the environment of gpu-run.`,
      {
        hints: [`Set ${plural ? 'them' : 'it'} before the call, as in: export ${missing[0]}=...`, `Or take the name out of secrets: in gpu-run.yaml.`],
      },
    );
  }
  return Object.fromEntries(names.map((name) => [name, env[name] ?? '']));
}

/** Names that stand under `secrets` and under `env`: written down after all, and one of the two values would be lost. */
export function alsoInEnv(secrets: readonly string[], env: Readonly<Record<string, string>>): string[] {
  return secrets.filter((name) => Object.hasOwn(env, name));
}

export function explainAlsoInEnv(names: readonly string[]): string {
  return `${names.join(', ')} ${names.length === 1 ? 'stands' : 'stand'} in env, too; take ${names.length === 1 ? 'it' : 'each'} out of one of them.`;
}
