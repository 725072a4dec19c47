/** Signs of an NVIDIA driver that is on its way: the device is there, its driver is not, and somebody installs it. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isMissing, readText } from './durable.ts';

export interface DriverSigns {
  /** A display or 3D controller of NVIDIA's is on the PCI bus. */
  readonly device: boolean;
  /** The kernel module is loaded. */
  readonly loaded: boolean;
  /** What is at work, in words; null: nothing that we know of. */
  readonly installer: string | null;
  /** Since the machine booted, seconds; null: unknown. */
  readonly uptimeSeconds: number | null;
}

/** `root`: `/`, or a tree that looks like it. */
export function driverSigns(root = '/'): DriverSigns {
  const device = hasDevice(join(root, 'sys/bus/pci/devices'));
  const loaded = quietly(() => readText(join(root, 'proc/driver/nvidia/version'))) !== null;
  const uptime = Number.parseFloat(quietly(() => readText(join(root, 'proc/uptime'))) ?? '');
  const wanted = device && !loaded;
  return { device, loaded, installer: findInstaller(join(root, 'proc'), wanted), uptimeSeconds: Number.isFinite(uptime) ? uptime : null };
}

/** NVIDIA's vendor number with the PCI class of display controllers (VGA 0x0300.., 3D 0x0302..); audio functions don't count. */
function hasDevice(devices: string): boolean {
  return names(devices).some((name) => {
    const read = (file: string) => quietly(() => readText(join(devices, name, file)))?.trim() ?? '';
    return read('vendor') === '0x10de' && read('class').startsWith('0x03');
  });
}

/** Programs that install drivers and little else: Google's for its images and containers, and NVIDIA's own. */
const installers =
  /^(install-driver\.sh|install-nvidia-driver(\.sh)?|install_gpu_driver\.py|cuda_installer(\.pyz)?|cos-gpu-installer|nvidia-installer|NVIDIA-Linux-.+\.run)$/;
/** Programs that may, where a driver is wanted. */
const packageTools = /^(apt|apt-get|dpkg|dnf|yum|rpm|zypper|unattended-upgr(ade)?|dkms)$/;
const bootScripts = /^((google|gce)_metadata_script_runner(_adapt)?|cloud-init)$/;

function findInstaller(proc: string, wanted: boolean): string | null {
  let maybe: string | null = null;
  for (const pid of names(proc).filter((name) => /^\d+$/.test(name))) {
    const words = (quietly(() => readText(join(proc, pid, 'cmdline'))) ?? '').split('\0').filter((word) => word !== '');
    // The program itself, or the script that an interpreter or sudo runs.
    const programs = words.slice(0, 3).map((word) => basename(word));
    const sure = programs.find((program) => installers.test(program));
    if (sure !== undefined) return sure;
    const tool = programs.find((program) => packageTools.test(program));
    if (tool !== undefined && words.some((word) => /nvidia|cuda/i.test(word))) return `${tool}, of NVIDIA packages`;
    if (!wanted) continue;
    if (tool !== undefined) maybe = tool;
    else if (programs.some((program) => bootScripts.test(program))) maybe ??= 'the startup script';
  }
  return maybe;
}

function names(folder: string): string[] {
  return quietly(() => readdirSync(folder)) ?? [];
}

/** Processes end while we look, and some files are not for us. */
function quietly<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (isMissing(error) || (error instanceof Error && 'code' in error)) return null;
    throw error;
  }
}
