/** What Linux says of itself in /proc, as counters. Every function takes a file's text; a text that is none gives nothing, never an error. */

/** Time that one CPU has spent, in clock ticks since the boot. */
export interface CpuTimes {
  readonly cpu: number;
  readonly busy: number;
  readonly all: number;
}

export interface ByteCounters {
  /** Read or received. */
  readonly in: number;
  /** Written or sent. */
  readonly out: number;
}

/** /proc/stat: one line a CPU. Waiting for a disk counts as idle; time of guests is in the user's already (proc(5)). */
export function parseCpuTimes(text: string): CpuTimes[] {
  return [...text.matchAll(/^cpu(\d{1,6}) (.+)$/gm)].flatMap(([, cpu, rest = '']) => {
    const [user = 0, nice = 0, system = 0, idle = Number.NaN, iowait = 0, irq = 0, softirq = 0, steal = 0] = rest.trim().split(/\s+/).map(Number);
    const busy = user + nice + system + irq + softirq + steal;
    const all = busy + idle + iowait;
    return Number.isFinite(all) ? [{ cpu: Number(cpu), busy, all }] : [];
  });
}

/** `Cpus_allowed_list` of /proc/self/status: `0-3,8`; null: not told. */
export function parseAllowedCpus(status: string): ReadonlySet<number> | null {
  const list = /^Cpus_allowed_list:\s*([\d,-]+)\s*$/m.exec(status)?.[1];
  if (list === undefined) return null;
  const allowed = new Set<number>();
  for (const part of list.split(',')) {
    const [, first, last = first] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    for (let cpu = Number(first); cpu <= Number(last); cpu += 1) allowed.add(cpu);
  }
  return allowed.size > 0 ? allowed : null;
}

/** /proc/meminfo, in bytes. Available is what programs could still get, caches included; old kernels don't say it. */
export function parseMemory(text: string): { readonly usedBytes: number | null; readonly totalBytes: number | null } {
  const field = (name: string) => {
    const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  };
  const total = field('MemTotal');
  const available = field('MemAvailable') ?? sum([field('MemFree'), field('Buffers'), field('Cached')]);
  return { totalBytes: total, usedBytes: total === null || available === null ? null : Math.max(0, total - available) };
}

/** Whole disks by their names: not their partitions, and nothing that lies upon other disks (RAID, LVM, loops), which would count twice. */
const disk = /^(?:[shv]d[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+|pmem\d+|dasd[a-z]+|rbd\d+)$/;
const sectorBytes = 512;

/** /proc/diskstats, all disks together; null: no disk. Its sectors are always of 512 bytes. */
export function parseDisks(text: string): ByteCounters | null {
  return addUp(
    text.split('\n').flatMap((line) => {
      const [, , name = '', , , read, , , , written] = line.trim().split(/\s+/);
      return disk.test(name) ? [{ in: Number(read) * sectorBytes, out: Number(written) * sectorBytes }] : [];
    }),
  );
}

/** Interfaces whose traffic also goes through another one, or never leaves the machine. */
const virtualInterface = /^(?:lo|docker|veth|br-|virbr|tun|tap|cni|flannel|cali|wg|tailscale|bond|team|dummy|ifb|sit|gre|ip6tnl|podman|vxlan)/;

/** /proc/net/dev, all interfaces together; null: none. */
export function parseNetwork(text: string): ByteCounters | null {
  return addUp(
    [...text.matchAll(/^\s*([^\s:]+):\s*(\d.*)$/gm)].flatMap(([, name = '', rest = '']) => {
      if (virtualInterface.test(name)) return [];
      const counters = rest.trim().split(/\s+/).map(Number);
      return [{ in: counters[0] ?? Number.NaN, out: counters[8] ?? Number.NaN }];
    }),
  );
}

function addUp(counters: readonly ByteCounters[]): ByteCounters | null {
  const whole = counters.filter((each) => Number.isFinite(each.in + each.out));
  return whole.length === 0 ? null : whole.reduce((total, each) => ({ in: total.in + each.in, out: total.out + each.out }));
}

function sum(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce((total, each) => (total === null || each === null ? null : total + each), 0);
}
