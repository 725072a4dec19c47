import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Name the longest files first, or one of them goes on alone at the end. Without this, a fresh clone goes by the files' sizes. */
const longest = [
  'lab/crash',
  'lab/api-failures',
  'e2e/hard-times',
  'e2e/local.',
  'runner/install',
  'unit/cli/calls',
  'remote-runner/jobs',
  'e2e/bad-input',
  'providers/local-provider',
];

/** Tests that try something at random many times, or in many ways: a part of the rounds in `npm test`, all in the lab. */
const inRounds = [
  'providers/local-launch',
  'sync/push-model',
  'sync/live-push',
  'sync/live-tree',
  'sync/push-large',
  'sync/push-reuse',
  'sync/push-changes',
  'sync/source-tree',
  'sync/dry-run',
  'sync/pull-snapshot',
  'remote-runner/side-by-side',
].map((name) => `test/unit/${name}.test.ts`);

/** What needs only Node, but takes long and repeats with other faults what `npm test` shows once: the lab runs it, several files at a time. */
const inLab = [
  ...['api-failures', 'crash-matrix', 'gcp-main-job', 'local-hard-times', 'survival'].map((name) => `test/lab/${name}.test.ts`),
  ...['killers', 'link', 'watch', 'unprotected', 'rebuild', 'budget', 'gcp-access', 'gcp-commands', 'gcp-hard-times'].map((name) => `test/e2e/${name}.test.ts`),
  ...['full-disk', 'leftovers', 'survival', 'watchdog'].map((name) => `test/unit/remote-runner/${name}.test.ts`),
  ...['failures-unknown', 'failures-wait', 'failures-once', 'failures-refused', 'failures-stock', 'host-keys'].map(
    (name) => `test/unit/providers/gcp/up-${name}.test.ts`,
  ),
  ...['booked-cost', 'watchdog'].map((name) => `test/unit/providers/gcp/${name}.test.ts`),
  ...[
    'api-failures',
    'crash-matrix',
    'follow',
    'last-checkpoints',
    'protection',
    'retry-limits',
    'retry-troubles',
    'save-logs',
    'second-job',
    'start-from',
    'taken-away',
  ].map((name) => `test/unit/workflows/${name}.test.ts`),
  'test/unit/workflows/unsent-job.test.ts',
  'test/unit/config/fuzz.test.ts',
  ...['iris-pytorch', 'iris-train'].map((name) => `test/unit/examples/${name}.test.ts`),
  'test/unit/transport/terminal.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = longest.findIndex((part) => moduleId.includes(part));
      return place < 0 ? longest.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

/** In the lab, tests take their time. */
const atLength = { env: { TEST_ROUNDS: 'all' }, testTimeout: 300_000, hookTimeout: 300_000 };

export default defineConfig({
  test: {
    env: { METADATA_SERVER_DETECTION: 'none', GPU_RUN_LINK: '0' },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // One more than the cores of a small computer: much of the time, a test waits for other processes.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/contract/**/*.test.ts', 'test/boundaries/**/*.test.ts'], exclude: inLab },
      },
      { extends: true, test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], exclude: inLab, testTimeout: 120_000, fileParallelism: true } },
      { extends: true, test: { name: 'lab-node', include: [...inRounds, ...inLab], sequence: { groupOrder: 1 }, ...atLength } },
      // Real servers, mounts and networks of their own: one file after the other.
      {
        extends: true,
        test: { name: 'lab', include: ['test/lab/**/*.test.ts'], exclude: inLab, sequence: { groupOrder: 2 }, fileParallelism: false, ...atLength },
      },
    ],
  },
});
