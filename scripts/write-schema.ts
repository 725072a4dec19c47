/** Writes the JSON Schema of `gpu-run.yaml`, for editors, from the schema that `gpu-run` itself checks with. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { configSchema } from '../src/config/schema.ts';

export const schemaFile = join(import.meta.dirname, '..', 'schema', 'gpu-run.schema.json');

export function schemaText(): string {
  const { $schema, ...schema } = z.toJSONSchema(configSchema(null), { target: 'draft-7', io: 'input' });
  const head = { $schema, $id: 'urn:gpu-run:gpu-run.schema.json', title: 'gpu-run.yaml' };
  return `${JSON.stringify({ ...head, ...schema }, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(schemaFile, schemaText());
