/** Where state is kept. */
import { resolve } from 'node:path';

/** `GPU_RUN_HOME`, else the platform's folder for data. */
export async function homeFolder(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const given = env['GPU_RUN_HOME'];
  if (given !== undefined && given !== '') return resolve(given);
  const { default: envPaths } = await import('env-paths');
  return envPaths('gpu-run', { suffix: '' }).data;
}
