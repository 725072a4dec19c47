/** Flags that are on or off, as the environment sets them: oclif takes whatever it does not know for no. */
import { type Problem, textOf, throwProblems } from '../config/problem.ts';
import { parseSwitch } from '../config/switch.ts';

type Flags = Readonly<Record<string, { readonly type?: string; readonly env?: string | undefined }>>;

/** Puts them into `env` in the words that oclif knows. An empty variable is one that was not set. @throws GpuRunError bad-input, with all that are neither yes nor no */
export function readToggleVariables(flags: Flags, env: Record<string, string | undefined>): void {
  const problems: Problem[] = [];
  for (const { type, env: name } of Object.values(flags)) {
    const value = name === undefined || type !== 'boolean' ? undefined : env[name];
    if (name === undefined || value === undefined || value.trim() === '') continue;
    try {
      env[name] = String(parseSwitch(value));
    } catch (error) {
      problems.push({ where: name, text: textOf(error) });
    }
  }
  throwProblems(problems);
}
