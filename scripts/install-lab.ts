/** What the lab tests need from Debian: a real OpenSSH, rsync, git, network namespaces, curl for their startup script, PyTorch for the Python example, protobuf for TensorBoard's files, a browser for the page of a report, and a terminal for top. Installs what is missing. */
import { spawnSync } from 'node:child_process';

const packages = [
  'openssh-server',
  'openssh-client',
  'rsync',
  'git',
  'procps',
  'util-linux',
  'iproute2',
  'curl',
  'python3',
  'python3-torch',
  'python3-protobuf',
  'protobuf-compiler',
  'chromium',
];

const missing = packages.filter((name) => !isInstalled(name));
if (missing.length > 0) {
  refuseUnless(spawnSync('apt-get', ['--version']).status === 0, 'apt-get is not here: the lab tests need Debian or Ubuntu.');
  refuseUnless(process.getuid?.() === 0, 'Only root may install them.');
  console.error(`Installing Debian packages: ${missing.join(' ')}`);
  apt('update', '-qq');
  apt('install', '-y', '-qq', '--no-install-recommends', ...missing);
}

function isInstalled(name: string): boolean {
  return spawnSync('dpkg-query', ['-W', '-f', '${Status}', name], { encoding: 'utf8' }).stdout?.includes('install ok installed') ?? false;
}

/** Waits for other installations on this machine, and asks nothing. */
function apt(...words: string[]): void {
  const { status } = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=900', ...words], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  refuseUnless(status === 0, `apt-get ${words[0]} failed.`);
}

function refuseUnless(met: boolean, why: string): void {
  if (met) return;
  console.error(`The lab tests need these Debian packages: ${missing.join(' ')}\n${why}\nInstall them, then run: npm run test:lab`);
  process.exit(78);
}
