/** Trains a small network on the Iris data. Runs by itself (`node train.js`) and, unchanged, under gpu-run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { fitScaling, readRows, scaleRows, splitRows } from './data.js';
import { buildModel, compileModel, evaluate, prepareBackend, trainEpoch } from './model.js';
import { seededRandom } from './random.js';

const settings = { seed: 2, epochs: 100, batchSize: 4, learningRate: 0.001 };
const wantedAccuracy = 0.93;
const checkpointEvery = 10;

// gpu-run gives every job these two. Without them there is nothing to resume, and checkpoints go to the outputs.
const resumeFrom = process.env.GPU_RUN_RESUME_FROM || process.env.GPU_RUN_CHECKPOINT_DIR;
const here = fileURLToPath(new URL('.', import.meta.url));
const outputs = join(here, 'outputs');
const checkpointFolder = resolve(here, process.env.GPU_RUN_CHECKPOINT_DIR || join(outputs, 'checkpoints'));

/** The exit code for a signal that asked us to stop; null while nobody did. */
let stopCode = null;
process.on('SIGTERM', () => {
  stopCode = 143;
});
process.on('SIGINT', () => {
  stopCode = 130;
});

process.exitCode = await main();

async function main() {
  await prepareBackend();
  const random = seededRandom(settings.seed);
  Math.random = random.next; // TensorFlow.js draws initial weights and dropout masks from it

  const rows = splitRows(readRows(join(here, 'data', 'iris.csv')), random);
  const scaling = fitScaling(rows.train);
  const train = scaleRows(rows.train, scaling);
  const validation = scaleRows(rows.validation, scaling);

  const { model, epochsDone } = (await resume(random)) ?? newModel();
  for (let epoch = epochsDone + 1; epoch <= settings.epochs; epoch++) {
    const { loss, acc } = await trainEpoch(model, train, settings.batchSize, random);
    const unseen = evaluate(model, validation);
    printMetrics({ epoch, loss, acc, val_loss: unseen.loss, val_acc: unseen.acc });
    await new Promise(setImmediate); // signals are heard here, not while JavaScript computes
    if (stopCode !== null || epoch % checkpointEvery === 0 || epoch === settings.epochs) {
      await saveCheckpoint(checkpointFolder, model, { settings, epoch, random: random.state, scaling });
    }
    if (stopCode !== null) {
      console.error(`Asked to stop: saved epoch ${epoch} of ${settings.epochs} to ${checkpointFolder}`);
      return stopCode;
    }
  }
  return report(model, scaleRows(rows.test, scaling)); // the one look at the test rows
}

function newModel() {
  const model = buildModel();
  compileModel(model, settings.learningRate);
  return { model, epochsDone: 0 };
}

/** Goes on from an unfinished run with the same settings; null means a run from the start. */
async function resume(random) {
  if (!resumeFrom) return null;
  const checkpoint = await loadCheckpoint(resolve(here, resumeFrom));
  if (checkpoint === null) return null;
  const { model, progress } = checkpoint;
  if (JSON.stringify(progress.settings) !== JSON.stringify(settings) || progress.epoch >= settings.epochs) return null;
  random.state = progress.random;
  console.error(`Going on after epoch ${progress.epoch} of ${resumeFrom}`);
  return { model, epochsDone: progress.epoch };
}

function report(model, test) {
  const { loss, acc } = evaluate(model, test);
  printMetrics({ test_loss: loss, test_acc: acc });
  const metrics = { ...settings, test_rows: test.length, test_loss: rounded(loss), test_acc: rounded(acc) };
  mkdirSync(outputs, { recursive: true });
  writeFileSync(join(outputs, 'metrics.json'), `${JSON.stringify(metrics, null, 2)}\n`);
  if (acc >= wantedAccuracy) return 0;
  console.error(`The test accuracy of ${rounded(acc)} is below the ${wantedAccuracy} that this example promises.`);
  return 1;
}

/** A JSON object alone on its line: gpu-run reads these as metrics. */
function printMetrics(values) {
  console.log(JSON.stringify(Object.fromEntries(Object.entries(values).map(([name, value]) => [name, rounded(value)]))));
}

function rounded(value) {
  return Number(value.toFixed(4));
}
