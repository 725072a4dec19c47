/**
 * The part of Compute Engine's resources that this provider reads and writes, in the API's own JSON form: 64-bit numbers are strings.
 * Source: the Compute Engine v1 discovery document, revision 20260922.
 */

/** A body of `instances.insert`; made in one place and checked against the API's schema before it is sent. */
export type InstanceBody = { readonly name: string } & Readonly<Record<string, unknown>>;

export interface MetadataItem {
  readonly key: string;
  readonly value: string;
}

export interface Instance {
  /** Numeric, as text. A new instance of an old name has another one. */
  readonly id: string;
  readonly name: string;
  /** URL. */
  readonly zone: string;
  readonly status: string;
  readonly statusMessage?: string;
  /** URL. */
  readonly machineType: string;
  /** RFC 3339. */
  readonly creationTimestamp: string;
  /** RFC 3339. */
  readonly lastStartTimestamp?: string;
  /** RFC 3339. */
  readonly lastStopTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly networkInterfaces?: readonly {
    readonly name?: string;
    readonly networkIP?: string;
    readonly network?: string;
    readonly subnetwork?: string;
    readonly accessConfigs?: readonly { readonly natIP?: string }[];
  }[];
  readonly disks?: readonly { readonly source?: string; readonly autoDelete?: boolean; readonly boot?: boolean; readonly diskSizeGb?: string }[];
  readonly guestAccelerators?: readonly { readonly acceleratorType?: string; readonly acceleratorCount?: number }[];
  readonly scheduling?: {
    readonly provisioningModel?: string;
    readonly instanceTerminationAction?: string;
    readonly maxRunDuration?: { readonly seconds?: string };
  };
  readonly resourceStatus?: {
    readonly scheduling?: { readonly terminationTimestamp?: string };
    readonly effectiveInstanceMetadata?: {
      readonly enableOsloginMetadataValue?: boolean;
      readonly enableGuestAttributesMetadataValue?: boolean;
      readonly blockProjectSshKeysMetadataValue?: boolean;
    };
  };
}

export interface OperationError {
  readonly code: string;
  readonly message: string;
  readonly location?: string;
  readonly errorDetails?: readonly {
    readonly errorInfo?: { readonly reason?: string; readonly domain?: string; readonly metadatas?: Readonly<Record<string, string>> };
    readonly quotaInfo?: {
      readonly metricName?: string;
      readonly limitName?: string;
      readonly dimensions?: Readonly<Record<string, string>>;
      readonly limit?: number;
    };
    readonly localizedMessage?: { readonly locale?: string; readonly message?: string };
    readonly help?: { readonly links?: readonly { readonly description?: string; readonly url?: string }[] };
  }[];
}

export interface Operation {
  readonly id: string;
  readonly name: string;
  readonly operationType: string;
  readonly status: 'PENDING' | 'RUNNING' | 'DONE';
  /** URL; absent for global operations. */
  readonly zone?: string;
  /** URL of what it works on. */
  readonly targetLink?: string;
  readonly targetId?: string;
  readonly insertTime?: string;
  readonly endTime?: string;
  readonly statusMessage?: string;
  readonly httpErrorStatusCode?: number;
  readonly error?: { readonly errors: readonly OperationError[] };
}

export interface Quota {
  /** `NVIDIA_L4_GPUS` */
  readonly metric: string;
  readonly limit: number;
  readonly usage: number;
}

export interface Region {
  readonly name: string;
  readonly status?: string;
  readonly quotas: readonly Quota[];
  /** URLs. */
  readonly zones: readonly string[];
}

export interface Project {
  readonly name: string;
  readonly quotas: readonly Quota[];
  readonly commonInstanceMetadata?: { readonly items?: readonly MetadataItem[] };
}

export interface MachineType {
  /** `g2-standard-8` */
  readonly name: string;
  /** Name, not URL. */
  readonly zone: string;
  readonly guestCpus: number;
  readonly memoryMb: number;
  readonly accelerators?: readonly { readonly guestAcceleratorType: string; readonly guestAcceleratorCount: number }[];
}

export interface AcceleratorType {
  /** `nvidia-tesla-t4` */
  readonly name: string;
  /** Name, not URL. */
  readonly zone: string;
  readonly maximumCardsPerInstance?: number;
}

export interface Image {
  readonly name: string;
  readonly selfLink: string;
  readonly diskSizeGb?: string;
  readonly family?: string;
  readonly architecture?: string;
}

export interface Disk {
  readonly name: string;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  /** URL. */
  readonly zone?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** URLs of the instances that have it; empty: nobody has. */
  readonly users?: readonly string[];
}

export interface Firewall {
  readonly name: string;
  readonly network?: string;
  readonly direction?: string;
  readonly disabled?: boolean;
  readonly priority?: number;
  readonly sourceRanges?: readonly string[];
  readonly targetTags?: readonly string[];
  readonly allowed?: readonly { readonly IPProtocol?: string; readonly ports?: readonly string[] }[];
  readonly denied?: readonly { readonly IPProtocol?: string; readonly ports?: readonly string[] }[];
}

/** Hierarchical and network policies, which decide before or after the rules of the network. */
export interface FirewallPolicyRule {
  readonly action?: string;
  readonly direction?: string;
  readonly priority?: number;
  readonly disabled?: boolean;
  readonly match?: {
    readonly srcIpRanges?: readonly string[];
    readonly layer4Configs?: readonly { readonly ipProtocol?: string; readonly ports?: readonly string[] }[];
  };
}

export interface EffectiveFirewalls {
  readonly firewalls?: readonly Firewall[];
  readonly firewallPolicys?: readonly { readonly type?: string; readonly priority?: number; readonly rules?: readonly FirewallPolicyRule[] }[];
}

/** Of a list over all zones: what could not be asked may hold machines that bill. */
export interface Listing<T> {
  readonly items: readonly T[];
  /** Zones or regions that did not answer. */
  readonly unreachable: readonly string[];
}
