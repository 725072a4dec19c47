/**
 * Checkpoints: a model with its optimizer and its progress in one folder, in the standard TensorFlow.js format
 * (model.json, weights.bin). A process that dies while saving never costs the last good one.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { loadLayersModel } from '@tensorflow/tfjs-layers';

/** `progress` is any JSON object; it travels in model.json. */
export async function saveCheckpoint(folder, model, progress) {
  model.setUserDefinedMetadata(progress);
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => writeArtifacts(folder, artifacts)),
    { includeOptimizer: true },
  );
}

/** `{model, progress}` as they were saved, ready to train on; null where no checkpoint is. */
export async function loadCheckpoint(folder) {
  const complete = [folder, `${folder}.old`].find((candidate) => existsSync(join(candidate, 'model.json')));
  if (complete === undefined) return null;
  const artifacts = await readArtifacts(complete);
  return { model: await loadLayersModel(tf.io.fromMemory(artifacts)), progress: artifacts.userDefinedMetadata };
}

function writeArtifacts(folder, artifacts) {
  const { weightData, weightSpecs, ...described } = artifacts;
  const modelJson = { ...described, weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }] };
  const weights = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData));
  replaceFolder(folder, { 'model.json': JSON.stringify(modelJson), 'weights.bin': weights });
  return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) };
}

async function readArtifacts(folder) {
  const modelJson = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
  const weights = new Uint8Array(readFileSync(join(folder, 'weights.bin'))).buffer;
  return tf.io.getModelArtifactsForJSON(modelJson, async ([group]) => [group.weights, weights]);
}

/** Writes beside the folder, then swaps: at every moment either `folder` or `folder.old` is complete. */
function replaceFolder(folder, files) {
  const fresh = `${folder}.new`;
  const old = `${folder}.old`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeToDisk(join(fresh, name), content);
  if (existsSync(folder)) {
    rmSync(old, { recursive: true, force: true });
    renameSync(folder, old);
  }
  renameSync(fresh, folder);
  rmSync(old, { recursive: true, force: true });
}

function writeToDisk(file, content) {
  const descriptor = openSync(file, 'w');
  try {
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
