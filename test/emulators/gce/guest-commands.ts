/** Commands that would reach beyond an emulated machine, replaced on its PATH: nothing on it may touch the computer that it runs on. */
import { type FSWatcher, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const powerFile = 'poweroff';
const ends = ['shutdown', 'poweroff', 'halt', 'reboot'];
const inert = [
  'useradd',
  'usermod',
  'userdel',
  'adduser',
  'groupadd',
  'gpasswd',
  'chown',
  'chsh',
  'systemctl',
  'service',
  'apt-get',
  'apt',
  'dpkg',
  'modprobe',
  'sysctl',
  'mount',
  'umount',
];

export function installCommands(bin: string, folder: string): void {
  const write = (name: string, script: string) => writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  for (const name of ends) write(name, `: > '${join(folder, powerFile)}'`);
  for (const name of inert) write(name, name === 'systemctl' ? `case "$*" in *poweroff*|*halt*|*reboot*) : > '${join(folder, powerFile)}';; esac` : 'exit 0');
  write('sudo', 'while [ $# -gt 0 ]; do case "$1" in -u|-g) shift 2;; -*) shift;; *) break;; esac; done\n[ $# -eq 0 ] || exec "$@"');
}

/** The returned function ends the watch. */
export function watchForPoweroff(folder: string, onPoweroff: () => void): () => void {
  let watcher: FSWatcher | null = watch(folder, (_, name) => {
    if (name !== powerFile) return;
    close();
    onPoweroff();
  });
  const close = () => {
    watcher?.close();
    watcher = null;
  };
  watcher.on('error', close);
  return close;
}
