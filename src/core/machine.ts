/** A machine: what providers, ledger and workflows all mean by the word. */

export type Labels = Readonly<Record<string, string>>;

/** `gpu-run` labels that every machine carries, so that `reap` can find it from any laptop. */
export const labelKeys = {
  owner: 'gpu-run-owner',
  machine: 'gpu-run-machine',
  name: 'gpu-run-name',
  expires: 'gpu-run-expires',
  /** The state folder whose ledger knows it, as `homeLabel` puts it. */
  home: 'gpu-run-home',
} as const;

/** How a provider knows one machine again. Plain JSON: it is kept in the ledger. */
export interface MachineRef {
  readonly provider: string;
  /** Our own id of the machine, `<name>-<six characters>`; also its name at the provider. */
  readonly id: string;
  readonly name: string;
  readonly labels: Labels;
  /** Milliseconds since the epoch, where the provider says. */
  readonly createdAt: number | null;
  /** It is no machine, but what a machine has left behind, in words: `its disk cats-k3v9xq`. `id` is the machine's. Absent: a machine. */
  readonly leftover?: string;
  /** What else the provider needs to find it (zone, numeric id, ...). */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A public host key in OpenSSH's one-line form without comment: `ssh-ed25519 AAAA...`. */
export type HostKey = string;

/** How to reach a machine over SSH. */
export type Access =
  | {
      /** A machine that we made: our own key, host keys known beforehand. */
      readonly kind: 'own';
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly hostKeys: readonly HostKey[];
      /** Plain JSON: what the provider's own `tunnel` needs to carry bytes there. Absent: `host` and `port` are dialled. */
      readonly tunnel?: Readonly<Record<string, unknown>>;
    }
  | {
      /** The user's own host: through system OpenSSH with the user's ssh_config, agent and known_hosts. */
      readonly kind: 'openssh';
      /** A host name or an alias of `~/.ssh/config`. */
      readonly host: string;
      readonly port: number | null;
      readonly user: string | null;
      /** A pinned key from the config; null: known_hosts decides, and an unknown host is refused. */
      readonly hostKey: HostKey | null;
      /** `-F` of ssh; null: the user's own. */
      readonly configFile: string | null;
      readonly identityFile: string | null;
    };

export type ProviderMachineState = 'pending' | 'running' | 'ending' | 'gone';

/**
 * Who or what ended a machine: its provider took it back, the provider's own timer, somebody (us included), a fault of the host; `off`:
 * it does not run any more, and nobody knows more.
 */
export type EndCause = 'preempted' | 'deadline' | 'deleted' | 'host-error' | 'off';

/** One look at a machine. */
export interface MachineStatus {
  readonly state: ProviderMachineState;
  /** It waits its turn at the provider, which costs nothing and is no sign that anything is wrong. Absent: no. */
  readonly queued?: boolean;
  /** When it began to run, milliseconds since the epoch by the provider's clock, where that tells. */
  readonly startedAt?: number | null;
  /** Set once it can be reached. */
  readonly access: Access | null;
  /** Why it is as it is, in words, where the provider says. */
  readonly detail: string | null;
  /** Of a machine that is ending or gone, where the provider tells. */
  readonly cause?: EndCause;
  /** Of a machine that is ending or gone: from when on its time is not billed any more, milliseconds since the epoch by the provider's clock, where that tells. */
  readonly endedAt?: number | null;
  /** The provider's own timer, where there is one: milliseconds since the epoch. */
  readonly deadline: number | null;
}

/** What is left after `terminate`. */
export interface Termination {
  readonly state: 'gone' | 'ending';
  /** What still costs money or still exists, in words, with the command to end it. Empty: nothing. */
  readonly leftovers: readonly string[];
}
