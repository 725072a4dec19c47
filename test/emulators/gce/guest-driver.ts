/** A fake NVIDIA driver: an `nvidia-smi` on the machine's PATH that answers for the GPUs the machine type has. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { effectiveValue, type GuestGpus, type InstanceRecord, isTrue, type World } from './world.ts';

const driverVersion = '580.95.05';

export interface GuestDriver {
  /** What programs need to find its library. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute; runs until the driver is there. null: it is there from the start, or never comes. */
  readonly installer: string | null;
  /** Takes back what is still to come. */
  cancel(): void;
}

/** `cuda`: of the emulator's CUDA library; null: there is none. `folder`: the machine's own. */
export function installDriver(world: World, instance: InstanceRecord, folder: string, cuda: string | null): GuestDriver {
  const { gpus, image, trouble } = instance;
  const brought = image.driver || isTrue(effectiveValue(world, instance, 'install-nvidia-driver'));
  if (gpus === null || !brought || trouble.driverMissing === true) {
    hideOwnDriver(join(folder, 'bin'));
    return { env: {}, installer: null, cancel: () => {} };
  }
  const [smiFile, lib] = [join(folder, 'bin', 'nvidia-smi'), join(folder, 'lib')];
  mkdirSync(lib, { recursive: true });
  const install = () => {
    if (cuda === null) refuseKernels(join(folder, 'bin'));
    else symlinkSync(cuda, join(lib, 'libcuda.so.1'));
    writeFileSync(`${smiFile}.new`, smi({ ...gpus, count: trouble.gpuCount ?? gpus.count }, instance.id), { mode: 0o755 });
    renameSync(`${smiFile}.new`, smiFile);
  };
  const env: Record<string, string> = cuda === null ? {} : { LD_LIBRARY_PATH: lib };
  if (trouble.driverInstallsAfterMs === undefined) {
    install();
    return { env, installer: null, cancel: () => {} };
  }
  const installer = join(folder, 'install-driver.sh');
  writeFileSync(installer, `#!/bin/sh\nuntil [ -e '${smiFile}' ]; do sleep 0.1; done\n`, { mode: 0o755 });
  return { env, installer, cancel: world.clock.at(world.clock.now() + trouble.driverInstallsAfterMs, install) };
}

/** Where the computer that all this runs on has a driver itself, its machines must not see it. */
function hideOwnDriver(bin: string): void {
  const isHere = ['/usr/local/bin', '/usr/bin', '/bin'].some((folder) => existsSync(join(folder, 'nvidia-smi')));
  if (isHere) writeFileSync(join(bin, 'nvidia-smi'), '#!/bin/sh\necho "nvidia-smi: command not found" >&2\nexit 127\n', { mode: 0o755 });
}

/** Without a CUDA library the GPUs can be checked as far as nvidia-smi goes: the program that runs a kernel finds no Python, all others do. */
function refuseKernels(bin: string): void {
  const script = 'case "$*" in -I*" -") echo "no C compiler made a CUDA library to test with" >&2; exit 1;; esac\nPATH="${PATH#*:}" exec python3 "$@"';
  writeFileSync(join(bin, 'python3'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

function uuid(instanceId: string, index: number): string {
  const hex = createHash('sha256').update(`${instanceId} ${index}`).digest('hex');
  return `GPU-${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** POSIX sh: -L, --query-gpu=... with --format=csv[,noheader][,nounits], and a plain call. */
function smi({ kind, count }: GuestGpus, instanceId: string): string {
  const uuids = Array.from({ length: count }, (_, index) => uuid(instanceId, index));
  return `#!/bin/sh
# Fake. ${count} x ${kind.device}
name='${kind.device}' memory=${kind.memoryMb} uuids='${uuids.join(' ')}' query='' list='' format='' only=''
while [ $# -gt 0 ]; do
  case "$1" in
    -L|--list-gpus) list=1 ;;
    --query-gpu=*) query="\${1#*=}" ;;
    --format=*) format="\${1#*=}" ;;
    -i) shift; only="$1" ;;
    --id=*) only="\${1#*=}" ;;
  esac
  shift
done
case ",$format," in *,nounits,*) mib='' percent='' watt='' mhz='' ;; *) mib=' MiB' percent=' %' watt=' W' mhz=' MHz' ;; esac
if [ -z "$list$query" ]; then
  echo "| NVIDIA-SMI ${driverVersion}   Driver Version: ${driverVersion}   CUDA Version: 13.0 |"
  list=1
fi
case ",$format," in *,noheader,*) ;; *) [ -z "$query" ] || echo "$query" ;; esac
[ -n "$uuids" ] || { echo 'No devices were found'; exit 6; }
index=0
for uuid in $uuids; do
  if [ -n "$only" ] && [ "$only" != "$index" ] && [ "$only" != "$uuid" ]; then index=$((index + 1)); continue; fi
  if [ -n "$list" ]; then echo "GPU $index: $name (UUID: $uuid)"; index=$((index + 1)); continue; fi
  row=''
  old="$IFS"; IFS=,
  for field in $query; do
    case "$(echo "$field" | tr -d ' ')" in
      index) value="$index" ;;
      name|gpu_name) value="$name" ;;
      uuid|gpu_uuid) value="$uuid" ;;
      count) value=${count} ;;
      driver_version) value=${driverVersion} ;;
      memory.total) value="$memory$mib" ;;
      memory.used) value="0$mib" ;;
      memory.free) value="$memory$mib" ;;
      utilization.*) value="0$percent" ;;
      temperature.gpu) value=34 ;;
      power.draw) value="14.20$watt" ;;
      power.limit) value="72.00$watt" ;;
      clocks.*) value="300$mhz" ;;
      pci.bus_id) value="00000000:00:0$((index + 3)).0" ;;
      compute_cap) value=8.9 ;;
      pstate) value=P8 ;;
      ecc.*) value=0 ;;
      *) value='[N/A]' ;;
    esac
    row="\${row:+$row, }$value"
  done
  IFS="$old"
  echo "$row"
  index=$((index + 1))
done
`;
}
