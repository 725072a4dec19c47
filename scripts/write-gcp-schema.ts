/** Writes what bodies for Compute Engine are checked against, from the protos of Google's client library. Run when that is updated. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { outputOnly } from '../src/providers/gcp/api/output-only.ts';
import { bodySchema } from '../src/providers/gcp/api/proto-schema.ts';

export const gcpSchemaFile = join(import.meta.dirname, '..', 'src', 'providers', 'gcp', 'api', 'body-schema.json');

export function gcpSchemaText(): string {
  const protos = createRequire(import.meta.url).resolve('@google-cloud/compute/build/protos/protos.json');
  const schema = bodySchema(JSON.parse(readFileSync(protos, 'utf8')), ['Instance', 'Firewall', 'CapacityAdviceRequest'], outputOnly);
  return `${JSON.stringify(schema, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(gcpSchemaFile, gcpSchemaText());
