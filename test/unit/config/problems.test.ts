import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSecrets } from '../../../src/config/secrets.ts';
import { refusal } from '../core/refusal.ts';
import { project } from './project.ts';

describe('a key that nobody knows', () => {
  it.each([
    ['trian: x', "gpu-run.yaml:1:1: unknown key 'trian'; did you mean 'train'?"],
    ['name: a\nlimit:\n  idle: 1m', "gpu-run.yaml:2:1: unknown key 'limit'; did you mean 'limits'?"],
    ['stall: 5m', "gpu-run.yaml:1:1: unknown key 'stall'; did you mean 'limits.stall'?"],
    ['limits:\n  maxTime: 4h', "gpu-run.yaml:2:3: unknown key 'limits.maxTime'; did you mean 'max-time'?"],
    ['sync:\n  data:\n    - { from: ., to: a, too: b }', "gpu-run.yaml:3:25: unknown key 'sync.data[0].too'; did you mean 'to'?"],
    [
      'ssh: { hostname: a }',
      "gpu-run.yaml:1:8: unknown key 'ssh.hostname'; the keys here are host, user, port, host-key, price-per-hour, config-file, identity-file",
    ],
    ['__proto__: 1', "gpu-run.yaml:1:1: unknown key '__proto__'; the keys here are name,"],
  ])('%j', async (text, problem) => {
    using it = project({ 'gpu-run.yaml': text });
    expect(await it.problems()).toEqual([expect.stringContaining(problem)]);
  });
});

describe('a value that is not right', () => {
  it.each([
    ['gpu: 1', '1:6: gpu: expected a GPU, as in L4:1; found the number 1.'],
    ['gpu: L4:0', "1:6: gpu: 'L4:0' asks for '0' GPUs"],
    ['spot: "true"', "1:7: spot: expected true or false, as in true; found the text 'true'."],
    ['name: Cats', "1:7: name: 'Cats' can't be a machine's name"],
    ['regions: us-central1', "1:10: regions: expected a list of regions, as in [us-central1]; found the text 'us-central1'."],
    ['disk: 100', '1:7: disk: expected a size, as in 100GB; found the number 100.'],
    ['provider: []', "1:11: provider: expected a provider's name, or a list of them, as in ssh, or [gcp, ssh]; found a list."],
    ['train:', '1:7: train: expected a command, or a list of its words, as in python3 train.py, or [python3, train.py]; found nothing.'],
    ['train: []', '1:8: train: expected a command, or a list of its words'],
    ['train: ""', '1:8: train: expected a command, or a list of its words, as in python3 train.py, or [python3, train.py]; found an empty text.'],
    ['train: { cmd: x }', '1:8: train: expected a command, or a list of its words, as in python3 train.py, or [python3, train.py]; found a block of keys.'],
    ['setup: [a]', '1:8: setup: expected a shell command, as in pip install -r requirements.txt; found a list.'],
    ['env: [A=1]', '1:6: env: expected a block of variables, as in { PYTHONHASHSEED: "0" }; found a list.'],
    ['env: { A-B: 1 }', "1:8: env.A-B: 'A-B' can't be the name of an environment variable."],
    ['env: { A: [1] }', '1:11: env.A: expected a text, as in "0"; found a list.'],
    ['env: { GPU_RUN_JOB: x }', "1:8: env.GPU_RUN_JOB: 'GPU_RUN_JOB' is set by gpu-run itself."],
    ['env: { A: 1, B: 2 }\nsecrets: [C, B]', 'gpu-run.yaml:2:10: secrets: B stands in env, too; take it out of one of them.'],
    [
      'preempt-signal: USR1',
      "1:17: preempt-signal: expected one of SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, as in SIGUSR1; found the text 'USR1'; did you mean SIGUSR1?",
    ],
    ["metrics: { '': 'loss=([0-9.]+)' }", '1:12: metrics: expected a name, as in loss; found an empty text.'],
    ['metrics: { loss: "loss=[0-9]" }', "1:18: metrics.loss: 'loss=[0-9]' has no group"],
    ["metrics: { loss: '(' }", "1:18: metrics.loss: '(' isn't a regular expression"],
    ["metrics: { loss: 'a\\' }", "1:18: metrics.loss: 'a\\' isn't a regular expression"],
    ['limits: { max-time: 4 }', '1:21: limits.max-time: expected a span of time, as in 4h; found the number 4.'],
    ['limits: { max-time: "4" }', "1:21: limits.max-time: '4' has no unit. Write 4s, 4m, 4h"],
    ['limits: { budget: 0 }', '1:19: limits.budget: expected a number of dollars, as in 3.00; found the number 0.'],
    ['limits: { budget: .nan }', '1:19: limits.budget: expected a number of dollars'],
    ['limits: 4h', "1:9: limits: expected a block of keys, as in { max-time: 4h }; found the text '4h'."],
    ['retry: { on: [preemted] }', "1:15: retry.on[0]: expected preempted or lost, as in preempted; found the text 'preemted'."],
    ['retry: { on: [] }', '1:14: retry.on: expected at least one reason, as in [preempted, lost]; leave `on` out for both, or write attempts: 1'],
    ['log: { limit: 1KB }', "1:15: log.limit: '1KB' is too little for a log. Write 1MB or more, as in 10GB."],
    ['retry: { attempts: 1.5 }', '1:20: retry.attempts: expected a whole number from 1 to 100, as in 5; found the number 1.5.'],
    ['retry: { resume-from: /tmp }', "1:23: retry.resume-from: '/tmp' is an absolute path."],
    ['ssh: { host: -oProxyCommand=x }', "1:14: ssh.host: expected a host's name, as in gpubox.example.org; found the text '-oProxyCommand=...'."],
    ['ssh: { port: 0 }', '1:14: ssh.port: expected a port, as in 22; found the number 0.'],
    ['ssh: { host-key: AAAA }', '1:18: ssh.host-key: expected a public host key'],
    ['ssh: { price-per-hour: -1 }', '1:24: ssh.price-per-hour: expected a number of dollars'],
    ['ssh: { identity-file: . }', 'is a folder; a file is expected here.'],
    ['gcp: true', '1:6: gcp: expected a block of keys, as in { project: my-project }; found true.'],
    ['gpu: "\\e[31mred\\n"', "1:6: gpu: '\\x1b[31mred' isn't the name of a GPU."],
    ['- a', '1:1: expected a block of keys, as in train: python3 train.py; found a list.'],
    ['train', "1:1: expected a block of keys, as in train: python3 train.py; found the text 'train'."],
  ])('%j', async (text, problem) => {
    using it = project({ 'gpu-run.yaml': text });
    const found = await it.problems();
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });
});

describe('paths', () => {
  it.each([
    ['sync: { code: missing }', /^gpu-run.yaml:1:15: sync.code: there is no folder .*\/missing\.$/],
    ['sync: { code: file.txt }', /sync.code: .*\/file.txt is a file; a folder is expected here\.$/],
    ['sync: { code: "" }', /1:15: sync.code: expected the path of a folder/],
    ['sync: { data: [{ from: missing, to: a }] }', /1:24: sync.data\[0\].from: there is no file or folder .*\/missing\.$/],
    ['sync: { data: [{ from: . }] }', /1:16: sync.data\[0\].to: expected a path below the workdir, as in data\/pets; it is missing\.$/],
    ['sync: { data: [{ from: ., to: ../x }] }', /1:31: sync.data\[0\].to: '..\/x' leads out of the workdir/],
    ['sync: { data: [{ from: ., to: a/../.. }] }', /leads out of the workdir/],
    ['sync: { data: [{ from: ., to: . }] }', /is the workdir itself/],
    ['sync: { data: [{ from: ., to: /x }] }', /is an absolute path/],
    ['sync: { data: [{ from: ., to: "C:\\\\x" }] }', /is an absolute path/],
    ['sync: { data: [{ from: ., to: ~/x }] }', /not in the home folder/],
    ['sync: { data: [{ from: ., to: "a\\0b" }] }', /NUL/],
    ['sync: { data: [{ from: ., to: a }, { from: ., to: ./a/ }] }', /sync.data\[0\].to: 'a' lies in the place of another one, 'a'/],
    ['sync: { data: [{ from: ., to: a/b }, { from: ., to: a }] }', /1:31: sync.data\[0\].to: 'a\/b' lies in the place of another one, 'a'/],
    ['outputs: [a/../../b]', /1:11: outputs\[0\]: 'a\/..\/..\/b' leads out of the workdir/],
    ['outputs: runs/', /1:10: outputs: expected a list of paths, as in \[runs\/, checkpoints\/\]/],
  ])('%j', async (text, problem) => {
    using it = project({ 'gpu-run.yaml': text, 'file.txt': '' });
    const found = await it.problems();
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(problem);
  });
});

describe('a file that is not YAML', () => {
  it.each([
    ['train: [a', /^gpu-run.yaml:1:10: not valid YAML: /],
    ['name: a\nname: b', /^gpu-run.yaml:2:1: the key 'name' stands twice; take one away\.$/],
    ['limits:\n\tidle: 1m', /^gpu-run.yaml:2:1: YAML can not be indented with tabs; use spaces\.$/],
    ['a: *nowhere', /nowhere/],
    ['train: sh -c "echo step 1: loss=2"', /^gpu-run.yaml:1:8: not valid YAML: a value that holds ': ' needs quotes around it, as in train: '/],
    ['a: 1\n---\nb: 2', /^gpu-run.yaml:2:1: not valid YAML/],
  ])('%j', async (text, problem) => {
    using it = project({ 'gpu-run.yaml': text });
    const found = await it.problems();
    expect(found[0]).toMatch(problem);
  });

  it('is a folder, or not text', async () => {
    using it = project({ 'gpu-run.yaml/': '' });
    expect(await it.problems()).toEqual(['gpu-run.yaml is a folder; a YAML file is expected there.']);
    it.write('binary.yaml', Buffer.from([0xff, 0xfe, 0x00]));
    expect(await it.problems({ config: 'binary.yaml' })).toEqual(['binary.yaml is not text in UTF-8.']);
  });

  it.skipIf(process.getuid?.() === 0)('can not be read', async () => {
    using it = project({ 'gpu-run.yaml': '' });
    chmodSync(join(it.folder, 'gpu-run.yaml'), 0);
    expect(await it.problems()).toEqual(["gpu-run.yaml can't be read: you have no permission."]);
  });
});

describe('flags and environment', () => {
  it.each([
    [{ maxTime: '4' }, "--max-time: '4' has no unit."],
    [{ gpu: '' }, "--gpu: '' isn't the name of a GPU."],
    [{ budget: '-1' }, "--budget: '-1' isn't an amount of US dollars."],
    [{ idle: 'never' }, "--idle: 'never' isn't a span of time."],
    [{ nodes: '0' }, "--nodes: '0' isn't a number of machines."],
    [{ provider: 'a,,b' }, "--provider: 'a,,b' has an empty place."],
    [{ spot: 'maybe' }, "--spot: 'maybe' is neither yes nor no."],
    [{ name: 'No Name' }, "the name: 'No Name' can't be a machine's name"],
    [{ env: ['A'] }, "--env: 'A' has no value."],
    [{ env: ['A=1'], secret: ['A'] }, 'secrets: A stands in env, too'],
  ])('%j', async (flags, problem) => {
    using it = project();
    expect(await it.problems(flags)).toEqual([expect.stringContaining(problem)]);
  });

  it('are shown together with what is wrong in the config, each with its place', async () => {
    using it = project({ 'gpu-run.yaml': 'retry: { attempts: 0 }\nnmae: x\ngpu: 1\n' });
    expect(await it.problems({ maxTime: 'x' }, { GPU_RUN_GPU: '::' })).toEqual([
      expect.stringMatching(/^--max-time: /),
      expect.stringMatching(/^GPU_RUN_GPU: /),
      expect.stringMatching(/^gpu-run.yaml:1:20: retry.attempts: /),
      expect.stringMatching(/^gpu-run.yaml:2:1: unknown key 'nmae'; did you mean 'name'\?$/),
      expect.stringMatching(/^gpu-run.yaml:3:6: gpu: /),
    ]);
  });
});

describe('secrets', () => {
  it('never show in a message, in whatever wrong place their values stand', async () => {
    using it = project({ 'gpu-run.yaml': 'secrets: [KEY=hunter2]\nenv: KEY=hunter2\noutputs: KEY=hunter2' });
    mkdirSync(join(it.folder, 'x'));
    const all = (await it.problems({ secret: ['KEY=hunter2'], env: ['K-EY=hunter2'] }, { GPU_RUN_SECRET: 'A=hunter2' })).join('\n');
    expect(all).toContain('KEY=... is a name with a value; only the name goes here.');
    expect(all).not.toContain('hunter2');
  });

  it('are taken from the environment, and named when they are missing there', () => {
    expect(readSecrets(['A', 'B'], { A: '1', B: '2', C: '3' })).toEqual({ A: '1', B: '2' });
    expect(readSecrets([], {})).toEqual({});
    expect(refusal(() => readSecrets(['A', 'B', 'C'], { A: '1', B: '' }))).toMatchObject({
      code: 'bad-input',
      message: 'The secrets B, C are not set, or empty, in the environment of gpu-run.',
      hints: [expect.stringContaining('export B='), expect.stringContaining('gpu-run.yaml')],
    });
  });
});
