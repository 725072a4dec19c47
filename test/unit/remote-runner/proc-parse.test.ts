/** What /proc says, on machines of different kinds; and whatever it may say. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCgroup } from '../../../remote-runner/cgroup.ts';
import { openHostLook } from '../../../remote-runner/host-look.ts';
import { parseAllowedCpus, parseCpuTimes, parseDisks, parseMemory, parseNetwork } from '../../../remote-runner/proc-parse.ts';

let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-run-proc-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Files = Readonly<Record<string, string>>;

/** A folder that stands in for `/`. */
function tree(files: Files): { readonly root: string; write(more: Files): void } {
  const root = join(folder, `root-${count++}`);
  mkdirSync(root);
  const write = (more: Files) => {
    for (const [name, text] of Object.entries(more)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
  };
  write(files);
  return { root, write };
}

const stat = (...cpus: readonly (readonly [busy: number, idle: number])[]) =>
  `cpu  1 2 3 4\n${cpus.map(([busy, idle], index) => `cpu${index} ${busy} 0 0 ${idle} 0 0 0 0 0 0`).join('\n')}\nintr 1 2 3\nctxt 5\n`;
const meminfo = 'MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\nBuffers:          10 kB\nCached:          200 kB\n';
const disks = (read: number, written: number) =>
  `   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9\n 259       0 nvme0n1 5 0 ${read} 1 7 0 ${written} 2 0 3 3\n 259       1 nvme0n1p1 5 0 ${read} 1 7 0 ${written} 2 0 3 3\n 253       0 dm-0 5 0 ${read} 1 7 0 ${written} 2 0 3 3\n`;
const network = (received: number, sent: number) =>
  `Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  eth0:${received} 1 0 0 0 0 0 0 ${sent} 1 0 0 0 0 0 0\ndocker0: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n`;

describe('a look at the host', () => {
  test('rates are those between two looks; partitions, loops and bridges count once', () => {
    const { root, write } = tree({
      'proc/stat': stat([100, 900], [500, 500]),
      'proc/meminfo': meminfo,
      'proc/diskstats': disks(10, 20),
      'proc/net/dev': network(1_000, 50),
    });
    let now = 0;
    const host = openHostLook({ workdir: root, root, now: () => now });
    expect(host.look()).toMatchObject({
      cpus: 2,
      cpu: null,
      busiestCpu: null,
      memoryTotalBytes: 1_024_000,
      memoryUsedBytes: 614_400,
      diskReadBytesPerSecond: null,
    });
    write({ 'proc/stat': stat([100, 1_000], [590, 510]), 'proc/diskstats': disks(14, 20), 'proc/net/dev': network(3_000, 60) });
    now = 2_000;
    expect(host.look()).toMatchObject({
      cpu: 45,
      busiestCpu: 90,
      diskReadBytesPerSecond: 1_024,
      diskWriteBytesPerSecond: 0,
      netReceivedBytesPerSecond: 1_000,
      netSentBytesPerSecond: 5,
    });
    now = 2_010; // too soon to tell; the next one counts from before it
    expect(host.look()).toMatchObject({ cpu: null, netReceivedBytesPerSecond: null });
    write({ 'proc/net/dev': network(4_000, 10) });
    now = 3_000;
    expect(host.look()).toMatchObject({ netReceivedBytesPerSecond: 1_000, netSentBytesPerSecond: null });
  });

  test('CPUs that we may not use do not count', () => {
    const { root, write } = tree({ 'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0,2-3\n', 'proc/stat': stat([0, 0], [0, 0], [0, 0], [0, 0]) });
    let now = 0;
    const host = openHostLook({ workdir: root, root, now: () => now });
    host.look();
    write({ 'proc/stat': stat([0, 100], [100, 0], [0, 100], [30, 70]) });
    now = 1_000;
    expect(host.look()).toMatchObject({ cpus: 3, cpu: 10, busiestCpu: 30 });
  });

  test('a system without /proc tells how many CPUs and how much room there is', () => {
    const { root } = tree({});
    const { cpus, diskFreeBytes, ...rest } = openHostLook({ workdir: root, root }).look();
    expect(cpus).toBeGreaterThan(0);
    expect(diskFreeBytes).toBeGreaterThan(0);
    expect(new Set(Object.values(rest))).toEqual(new Set([null]));
  });
});

describe('in a container', () => {
  test('of version 2: the tightest limit of all groups around', () => {
    const { root, write } = tree({
      'proc/self/cgroup': '0::/system.slice/job_7/step_0\n',
      'proc/meminfo': meminfo,
      'proc/stat': stat([0, 0], [0, 0], [0, 0], [0, 0]),
      'sys/fs/cgroup/system.slice/job_7/step_0/memory.max': 'max\n',
      'sys/fs/cgroup/system.slice/job_7/step_0/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/system.slice/job_7/memory.max': '512000\n',
      'sys/fs/cgroup/system.slice/job_7/memory.current': '300000\n',
      'sys/fs/cgroup/system.slice/job_7/memory.stat': 'anon 5\ninactive_file 100000\n',
      'sys/fs/cgroup/system.slice/job_7/cpu.max': '200000 100000\n',
      'sys/fs/cgroup/system.slice/job_7/cpu.stat': 'usage_usec 1000000\n',
    });
    let now = 0;
    const host = openHostLook({ workdir: root, root, now: () => now });
    expect(host.look()).toMatchObject({ cpus: 2, memoryTotalBytes: 512_000, memoryUsedBytes: 200_000 });
    write({ 'sys/fs/cgroup/system.slice/job_7/cpu.stat': 'usage_usec 2500000\n', 'proc/stat': stat([100, 0], [50, 50], [0, 100], [0, 100]) });
    now = 1_000;
    expect(host.look()).toMatchObject({ cpu: 75, busiestCpu: 100 });
  });

  test('of version 1, which sees its own group as the root', () => {
    const { root } = tree({
      'proc/self/cgroup': '9:memory:/docker/1f\n4:cpu,cpuacct:/docker/1f\n0::/\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '4096000\n',
      'sys/fs/cgroup/memory/memory.usage_in_bytes': '4095\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '50000\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/cpu,cpuacct/cpuacct.usage': '7000000\n',
    });
    const { memory, cpu } = openCgroup(root);
    expect(memory?.limitBytes).toBe(4_096_000);
    expect(memory?.usedBytes()).toBe(4_095);
    expect(cpu?.cpus).toBe(0.5);
    expect(cpu?.usedMs()).toBe(7);
  });

  test('no limit is none, in either version', () => {
    const { root } = tree({
      'proc/self/cgroup': '9:memory:/\n4:cpu:/\n0::/\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory.max': 'max\n',
    });
    expect(openCgroup(root)).toEqual({ memory: null, cpu: null });
  });
});

describe('whatever a file says', () => {
  const text = fc.oneof(
    fc.string(),
    fc
      .array(fc.constantFrom('cpu0 ', 'cpu1 5 5', 'sda', ' 8 0 sda 1 2 3', 'eth0:', '1', '-1', '\n', ' ', 'MemTotal: ', ' kB\n', '0-3', ',', 'NaN', '1e999'))
      .map((parts) => parts.join('')),
  );

  test('numbers come of it or nothing, never an error', () => {
    fc.assert(
      fc.property(text, (given) => {
        for (const counters of [parseDisks(given), parseNetwork(given)]) {
          if (counters !== null) expect([counters.in, counters.out].every(Number.isFinite)).toBe(true);
        }
        for (const cpu of parseCpuTimes(given)) expect(Object.values(cpu).every(Number.isFinite)).toBe(true);
        for (const bytes of Object.values(parseMemory(given))) expect(bytes === null || bytes >= 0).toBe(true);
        expect(parseAllowedCpus(`Cpus_allowed_list:\t${given}`)?.size ?? 1).toBeGreaterThan(0);
      }),
    );
  });

  test('use is 0 to 100 per cent, whichever way the counters went', () => {
    const ticks = fc.tuple(fc.nat(1_000), fc.nat(1_000));
    fc.assert(
      fc.property(fc.array(ticks, { maxLength: 4 }), fc.array(ticks, { maxLength: 4 }), fc.nat(10_000), (before, after, ms) => {
        const { root, write } = tree({ 'proc/stat': stat(...before) });
        let now = 0;
        const host = openHostLook({ workdir: root, root, now: () => now });
        host.look();
        write({ 'proc/stat': stat(...after) });
        now = ms;
        const { cpu, busiestCpu } = host.look();
        for (const share of [cpu, busiestCpu]) expect(share === null || (share >= 0 && share <= 100)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});
