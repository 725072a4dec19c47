/** The network, and what is done with it: one epoch of training, evaluation. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import { measurements, species } from './data.js';
import { shuffled } from './random.js';

/** Quiet and without the checks of a development build; the data set is far too small for a GPU to pay off. */
export async function prepareBackend() {
  tf.enableProdMode();
  await tf.setBackend('cpu');
  await tf.ready();
}

export function buildModel() {
  return layers.sequential({
    layers: [
      layers.layers.dense({ inputShape: [measurements.length], units: 16, activation: 'relu' }),
      layers.layers.dense({ units: 16, activation: 'relu' }),
      layers.layers.dense({ units: species.length, activation: 'softmax' }),
    ],
  });
}

export function compileModel(model, learningRate) {
  model.compile({ optimizer: tf.train.momentum(learningRate, 0.9), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
}

/** Every row once, in random order. Returns the mean loss and accuracy as seen while learning. */
export async function trainEpoch(model, rows, batchSize, random) {
  const order = shuffled(rows, random);
  let loss = 0;
  let correct = 0;
  for (let at = 0; at < order.length; at += batchSize) {
    const batch = order.slice(at, at + batchSize);
    const { xs, ys } = toTensors(batch);
    const [batchLoss, batchAccuracy] = await model.trainOnBatch(xs, ys);
    loss += batchLoss * batch.length;
    correct += batchAccuracy * batch.length;
    tf.dispose([xs, ys]);
  }
  return { loss: loss / order.length, acc: correct / order.length };
}

export function evaluate(model, rows) {
  return tf.tidy(() => {
    const { xs, ys } = toTensors(rows);
    const [loss, accuracy] = model.evaluate(xs, ys, { batchSize: rows.length });
    return { loss: loss.dataSync()[0], acc: accuracy.dataSync()[0] };
  });
}

function toTensors(rows) {
  const xs = tf.tensor2d(rows.map((row) => row.features));
  const ys = tf.tensor2d(rows.map((row) => species.map((_, label) => (label === row.label ? 1 : 0))));
  return { xs, ys };
}
