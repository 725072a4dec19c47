/** Where templates are looked for. */
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import type { TemplatePlaces } from '../config/template.ts';

export async function templatePlaces(): Promise<TemplatePlaces> {
  const { findConfig } = await import('../config/find-config.ts');
  const config = findConfig(process.cwd());
  return { folder: config === null ? process.cwd() : dirname(config), userHome: process.env['HOME'] ?? homedir() };
}
