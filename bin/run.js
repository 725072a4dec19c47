#!/usr/bin/env node
'use strict';
/**
 * The launcher. Old JavaScript (Node 12 can read it): whatever Node starts it must get as far as saying which Node is needed.
 * Answers `--help` and `--version` from static text, finds a Node that is new enough, and starts `dist/main.js` in it.
 */
const fs = require('fs');
const path = require('path');

const neededMajor = 24;
const root = path.join(__dirname, '..');
const dist = path.join(root, 'dist');
/** Set for the process that an older Node starts, and removed by it at once. */
const mark = 'GPU_RUN_RELAUNCHED';
const passedOn = ['SIGTERM', 'SIGINT', 'SIGHUP'];

function main(args) {
  const relaunched = process.env[mark] !== undefined;
  delete process.env[mark];
  if (!fs.existsSync(path.join(dist, 'main.js'))) return stop(70, notBuilt());
  const text = staticAnswer(args);
  if (text !== null) return write(1, text);
  if (majorOf(process.versions.node) < neededMajor) return relaunched ? stop(78, tooOld()) : relaunch(args);
  if (relaunched) followParent();
  start();
}

/** The text that `args` ask for, or null when it takes the real command line to answer. */
function staticAnswer(args) {
  if (args.length > 1) return null;
  const only = args[0];
  if (only === '--version' || only === '-v') return `gpu-run/${readManifest(path.join(root, 'package.json')).version}\n`;
  if (only === undefined || only === '--help' || only === '-h') return fs.readFileSync(path.join(dist, 'help.txt'), 'utf8');
  return null;
}

/** Compiled code is kept beside the package where that can be written, else in the state folder: it halves the start-up time. */
function start() {
  const home = process.env.GPU_RUN_HOME;
  const { enableCompileCache } = require('module');
  if (isWritable(root)) enableCompileCache(path.join(root, 'node_modules', '.cache', 'gpu-run'));
  else if (home && isWritable(home)) enableCompileCache(path.join(home, 'cache', 'compiled'));
  // V8 marks its heap again and again for buffers that pass through, a third of the time that a long log takes: all at once costs less.
  require('v8').setFlagsFromString('--no-incremental-marking');
  import(require('url').pathToFileURL(path.join(dist, 'main.js')).href).catch((error) => {
    stop(70, `gpu-run could not start: a bug of gpu-run, or a damaged installation.\n${error.stack || error}`);
  });
}

/** Runs the same command line under a newer Node and ends as it ends: same exit code, same signal. */
function relaunch(args) {
  const node = newerNode();
  if (node === null) return stop(78, tooOld());
  const env = Object.assign({}, process.env, { [mark]: '1' });
  const child = require('child_process').spawn(node, [__filename, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], env });
  for (const signal of passedOn) {
    // A message, not a signal: the terminal may have sent the signal to both of us, and only the child can tell.
    process.on(signal, () => child.connected && child.send({ signal }, () => {}));
  }
  child.on('error', (error) => stop(78, `${node} could not be started: ${error.message}\n${tooOld()}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + require('os').constants.signals[signal]), 1000); // where this process survives it
  });
}

/**
 * The other end of `relaunch`. Ctrl-C reaches parent and child, `kill` the parent alone, and each must count once: a signal that came
 * by itself leaves a token, which the parent's message about it takes away; a message that finds none raises the signal here.
 * A parent that was killed counts as a terminal that was closed.
 */
function followParent() {
  const tokens = {};
  const raised = {};
  const raise = (signal) => {
    raised[signal] += 1;
    process.kill(process.pid, signal);
  };
  for (const signal of passedOn) {
    tokens[signal] = [];
    raised[signal] = 0;
    const arrived = () => {
      if (raised[signal] > 0) raised[signal] -= 1;
      else tokens[signal].push(Date.now());
      if (process.listenerCount(signal) > 1) return;
      process.removeListener(signal, arrived); // nobody else listens: as if we had not listened either
      process.kill(process.pid, signal);
    };
    process.on(signal, arrived);
  }
  process.on('message', ({ signal }) => {
    const oldest = Date.now() - 1000;
    setTimeout(() => {
      while (tokens[signal].length > 0) if (tokens[signal].shift() >= oldest) return;
      raise(signal);
    }, 50); // the signal itself may be a little late
  });
  process.on('disconnect', () => raise('SIGHUP'));
  process.channel.unref();
}

/** The Node of the npm package `node`: a clone has it, and so has a project that installs it beside gpu-run. */
function newerNode() {
  try {
    const manifest = require.resolve('node/package.json');
    const file = path.join(path.dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return majorOf(readManifest(manifest).version) >= neededMajor && fs.existsSync(file) ? file : null;
  } catch {
    return null; // not installed
  }
}

function majorOf(version) {
  return Number(version.split('.')[0]);
}

function readManifest(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8'));
}

function isWritable(folder) {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function tooOld() {
  return [
    `gpu-run needs Node ${neededMajor} or newer, and this is Node ${process.versions.node} (${process.execPath}).`,
    `Install it from https://nodejs.org/en/download, or let npm bring one beside gpu-run: npm install node@${neededMajor}`,
  ].join('\n');
}

function notBuilt() {
  return `gpu-run is not built yet: ${path.join(dist, 'main.js')} is missing.\nBuild it: npm run build`;
}

/** At once, and without complaint when nobody reads any more (`gpu-run --help | head -1`). */
function write(fd, text) {
  try {
    fs.writeSync(fd, text);
  } catch (error) {
    if (error.code !== 'EPIPE') throw error;
  }
}

function stop(code, message) {
  write(2, `${message}\n`);
  process.exit(code);
}

main(process.argv.slice(2));
