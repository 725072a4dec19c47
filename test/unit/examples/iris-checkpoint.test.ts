import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { exampleFolder } from './run-example.ts';

interface Model {
  getWeights(): { dataSync(): Float32Array }[];
}
const { loadCheckpoint, saveCheckpoint } = (await import(join(exampleFolder('iris'), 'checkpoint.js'))) as {
  loadCheckpoint(folder: string): Promise<{ model: Model; progress: unknown } | null>;
  saveCheckpoint(folder: string, model: Model, progress: unknown): Promise<void>;
};
const { buildModel, compileModel, prepareBackend } = (await import(join(exampleFolder('iris'), 'model.js'))) as {
  buildModel(): Model;
  compileModel(model: Model, learningRate: number): void;
  prepareBackend(): Promise<void>;
};

beforeAll(prepareBackend);

const weightsOf = (model: Model) => model.getWeights().map((tensor) => [...tensor.dataSync()]);

function newModel(): Model {
  const model = buildModel();
  compileModel(model, 0.01);
  return model;
}

/** A checkpoint's folder that does not exist yet. */
function newFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'gpu-run-checkpoint-'));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  return join(parent, 'checkpoints');
}

test('what was saved last is loaded, and nothing else is left', async () => {
  const folder = newFolder();
  expect(await loadCheckpoint(folder)).toBeNull();
  await saveCheckpoint(folder, newModel(), { epoch: 1 });
  const model = newModel();
  await saveCheckpoint(folder, model, { epoch: 2 });
  const loaded = await loadCheckpoint(folder);
  expect(loaded?.progress).toEqual({ epoch: 2 });
  expect(weightsOf(loaded?.model as Model)).toEqual(weightsOf(model));
  expect(readdirSync(join(folder, '..'))).toEqual(['checkpoints']);
  expect(readdirSync(folder).sort()).toEqual(['model.json', 'weights.bin']);
});

test('a folder that was made beforehand is used', async () => {
  const folder = newFolder();
  mkdirSync(folder);
  expect(await loadCheckpoint(folder)).toBeNull();
  await saveCheckpoint(folder, newModel(), { epoch: 1 });
  expect((await loadCheckpoint(folder))?.progress).toEqual({ epoch: 1 });
});

test('a process that died while saving leaves the checkpoint before it', async () => {
  const folder = newFolder();
  await saveCheckpoint(folder, newModel(), { epoch: 1 });
  mkdirSync(`${folder}.new`);
  writeFileSync(join(`${folder}.new`, 'model.json'), '{"half":');
  expect((await loadCheckpoint(folder))?.progress).toEqual({ epoch: 1 });

  renameSync(folder, `${folder}.old`); // between the two renames
  expect((await loadCheckpoint(folder))?.progress).toEqual({ epoch: 1 });

  await saveCheckpoint(folder, newModel(), { epoch: 2 });
  expect((await loadCheckpoint(folder))?.progress).toEqual({ epoch: 2 });
  expect(readdirSync(join(folder, '..'))).toEqual(['checkpoints']);
});
