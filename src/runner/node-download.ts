/**
 * The machine fetches its Node itself, from nodejs.org or a mirror of it: a machine in a data centre does that faster than a laptop
 * can send. Only a program with the pinned checksum is put in place.
 */
import { GpuRunError } from '../core/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { type LinuxArch, nodeVersion, pinnedNode } from './node-pin.ts';
import { runRemote } from './run-remote.ts';

export const officialMirror = 'https://nodejs.org/dist';

/**
 * `$1`: the folder that it belongs into, `$2`: SHA-256 of the program, `$3`: URL without its ending, `$4`: `=https` or `=http`, the only protocol,
 * `$5`: path of the program in the archive. Exit code 0: it is in its place and runs. Gives up on a host that does not answer within
 * 5 seconds (wget: 10) or stalls for 10. GNU's wget would try 20 times; that of BusyBox tries once, and takes `-t` but not always `--tries`.
 */
const fetchScript = `
umask 077
folder=$1
mkdir -p "$folder" || exit 71
hidden=$folder/.node.$$
protocol=$4
trap 'rm -f "$hidden"' EXIT
fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl -fsSL --proto "$protocol" --proto-redir "$protocol" --connect-timeout 5 --speed-limit 50000 --speed-time 10 --max-time 300 "$1"
  else
    wget -q -t 1 -T 10 -O - "$1"
  fi
}
if command -v xz >/dev/null 2>&1; then
  fetch "$3.tar.xz" | xz -dc
else
  fetch "$3.tar.gz" | gzip -dc
fi | tar -xOf - "$5" >"$hidden" || exit 74
sum=$( (sha256sum "$hidden" || shasum -a 256 "$hidden") 2>/dev/null | sed 's/^\\\\\\{0,1\\}\\([0-9a-f]*\\).*/\\1/')
[ "$sum" = "$2" ] || { echo "checksum $sum" >&2; exit 72; }
chmod 700 "$hidden" && "$hidden" --version || exit 73
mv -f "$hidden" "$folder/node" || exit 71
`;

/** `place`: as `Probe` has it. Absolute path of the Node on the machine; null: it could not fetch one, for whatever reason. @throws GpuRunError what the transport says */
export async function downloadNode(transport: Transport, place: string, arch: LinuxArch, mirror: string, signal: AbortSignal): Promise<string | null> {
  const { sha256 } = pinnedNode[arch];
  const folder = `${place}/node/${nodeVersion}-${arch}/bin`;
  const archive = `node-v${nodeVersion}-linux-${arch}`;
  const url = `${mirror}/v${nodeVersion}/${archive}`;
  const protocol = url.startsWith('https:') ? '=https' : '=http';
  const { code } = await runRemote(transport, ['sh', '-c', fetchScript, 'gpu-run', folder, sha256, url, protocol, `${archive}/bin/node`], null, signal);
  return code === 0 ? `${folder}/node` : null;
}

/** What `GPU_RUN_NODE_MIRROR` says; null: `off`, machines fetch nothing. @throws GpuRunError bad-input */
export function parseMirror(given: string | undefined): string | null {
  if (given === undefined || given === '') return officialMirror;
  if (given === 'off') return null;
  const url = URL.canParse(given) ? new URL(given) : null;
  const loopback = url !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && loopback))) return url.href.replace(/\/+$/, '');
  throw new GpuRunError('bad-input', `GPU_RUN_NODE_MIRROR takes an https address, or 'off'; found '${given}'.`, {
    hints: [`It is laid out as ${officialMirror} is: v${nodeVersion}/node-v${nodeVersion}-linux-x64.tar.xz`],
  });
}
