/** The providers' own blocks, the same in `gpu-run.yaml` and in templates. What is checked here has a line and a column in its error; each provider checks again. */
import { z } from 'zod';
import { block, existingPath, expected, mapOf, numberFrom, optional, type PathBase, text, wholeNumber } from './field.ts';

/** All but `ssh` and `gcp` are passed on as they are. */
export const providerBlockNames = ['ssh', 'local', 'gcp', 'paperspace', 'slurm'] as const;

export function providerBlocks(base: PathBase | null) {
  const open = (name: string) => optional(mapOf(z.string(), z.unknown(), 'a block of keys', '{ key: value }'), `Options of the provider ${name}.`);
  return {
    ssh: optional(sshBlock(base), 'A host of your own.'),
    local: open('local'),
    gcp: optional(gcpBlock(base), 'Google Compute Engine.'),
    paperspace: open('paperspace'),
    slurm: open('slurm'),
  };
}

function sshBlock(base: PathBase | null) {
  const host = /^[^\s-]\S*$/;
  const key = /^(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/]+=*$/;
  const shape = {
    host: optional(
      text("a host's name", 'gpubox.example.org').regex(host, { error: expected("a host's name", 'gpubox.example.org') }),
      'Host name, or a name from `~/.ssh/config`.',
    ),
    user: optional(text("a user's name", 'ada'), 'Default: as in `~/.ssh/config`.'),
    port: optional(wholeNumber(1, 65_535, 'a port', '22'), 'Default: as in `~/.ssh/config`.'),
    'host-key': optional(
      text('a public host key', 'ssh-ed25519 AAAAC3...').regex(key, { error: expected('a public host key, type and base64', 'ssh-ed25519 AAAAC3...') }),
      'The only key that the host may show. Default: `known_hosts` decides.',
    ),
    'price-per-hour': optional(numberFrom(0, 'a number of dollars', '1.20'), 'US dollars, for `gpu-run cost`. Default: 0.'),
    'config-file': optional(existingPath('file', '~/.ssh/config', base), 'An SSH config other than your own.'),
    'identity-file': optional(existingPath('file', '~/.ssh/id_ed25519', base), 'The private key to log in with.'),
  };
  return block(shape, '{ host: gpubox.example.org }');
}

function gcpBlock(base: PathBase | null) {
  const name = (what: string, example: string) => text(what, example);
  const several = (what: string, example: string) => {
    const one = text(what, example);
    const error = expected(`${what}, or a list of them`, example);
    return z.union([one.transform((only) => [only]), z.array(one).min(1, { error })], { error });
  };
  const ways = ['standard', 'spot', 'flex-start', 'reservation'] as const;
  const shape = {
    project: optional(name("a project's id", 'my-project'), 'Whose bill it is. Default: GOOGLE_CLOUD_PROJECT, else the one that the credentials name.'),
    'credentials-file': optional(
      existingPath('file', './gcp-credentials.json', base),
      'Service account or Workload Identity Federation. Default: Application Default Credentials.',
    ),
    network: optional(name("a network's name", 'default'), 'Default: the network `default`.'),
    subnetwork: optional(name("a subnetwork's name", 'gpu-subnet'), 'Needed where the network has no subnetworks of its own making.'),
    image: optional(
      several('PROJECT/FAMILY or an image', 'deeplearning-platform-release/common-cu129-ubuntu-2204-nvidia-580'),
      'What the machine boots from; several are tried in order. Default: images of Google with the NVIDIA driver.',
    ),
    'disk-type': optional(name('a disk type', 'pd-balanced'), 'Default: what the machine type takes.'),
    provisioning: optional(
      z.enum(ways, { error: expected(ways.join(', '), 'flex-start') }),
      'How it is bought, where `spot` does not say it. `flex-start` waits in a queue of Google for up to two hours.',
    ),
    reservation: optional(name("a reservation's name", 'my-reservation'), 'With `provisioning: reservation`.'),
    'service-account': optional(
      name("a service account's e-mail address", 'trainer@my-project.iam.gserviceaccount.com'),
      'What programs on the machine may do in the project. Default: none, and so nothing.',
    ),
    'public-ip': optional(
      z.boolean({ error: expected('true or false', 'false') }),
      '`false`: no address of its own; SSH goes through an IAP tunnel. Default: true.',
    ),
    user: optional(name("an account's name", 'gpurun'), 'The account on the machine. Default: gpurun.'),
    'allow-from': optional(
      several('an address range', '203.0.113.7/32'),
      'From where SSH may come in, when a firewall rule has to be made. Default: your own address alone.',
    ),
  };
  return block(shape, '{ project: my-project }');
}
