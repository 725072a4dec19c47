/** The regular expressions that find metrics in a log. */
import { GpuRunError } from '../core/errors.ts';

/** A regular expression with at least one group. @throws GpuRunError bad-input */
export function checkPattern(text: string): string {
  const groups = countGroups(text);
  if (groups > 0) return text;
  throw new GpuRunError('bad-input', `'${text}' has no group, so it can't tell the value.`, { hints: ["Put the value in brackets, as in 'loss=([0-9.]+)'."] });
}

function countGroups(text: string): number {
  try {
    new RegExp(text); // a backslash at its end would escape what is added below
    // With an empty alternative it matches anything, and the match has a place for each group.
    return (new RegExp(`${text}|`).exec('')?.length ?? 1) - 1;
  } catch (error) {
    throw new GpuRunError('bad-input', `'${text}' isn't a regular expression: ${error instanceof Error ? error.message : String(error)}.`, {
      hints: ["Put it in single quotes, as in 'loss=([0-9.]+)'; inside them, YAML leaves backslashes alone."],
    });
  }
}
