/**
 * Fields that only Google writes, by message. A body with one of them asks for something that it won't get.
 * Source: the descriptions in the Compute Engine v1 discovery document, revision 20260922; the protos don't say it.
 */
export const outputOnly: Readonly<Record<string, readonly string[]>> = {
  AccessConfig: ['kind'],
  AttachedDisk: ['architecture', 'index', 'kind', 'licenses', 'savedState', 'shieldedInstanceInitialState'],
  Firewall: ['creationTimestamp', 'id', 'kind', 'selfLink'],
  Instance: [
    'cpuPlatform',
    'creationTimestamp',
    'id',
    'kind',
    'lastStartTimestamp',
    'lastStopTimestamp',
    'lastSuspendedTimestamp',
    'resourceStatus',
    'satisfiesPzi',
    'satisfiesPzs',
    'selfLink',
    'startRestricted',
    'status',
    'statusMessage',
    'zone',
  ],
  Metadata: ['kind'],
  NetworkInterface: ['ipv6AccessType', 'kind', 'name'],
};
