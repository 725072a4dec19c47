/** What Google's relay refuses, in words that say what to do. */
import { GpuRunError } from '../../../../core/errors.ts';

export interface TunnelPlace {
  readonly project: string;
  readonly zone: string;
  readonly instance: string;
  readonly port: number;
  /** `nic0` */
  readonly interface: string;
}

/** Why a socket is closed: WebSocket's or the relay's own code, and what was said. 1006: it broke. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

/** The addresses that the relay connects from: a firewall rule for them lets a tunnel in. Source: IAP's documentation. */
export const relayRange = '35.235.240.0/20';

/** Of the relay's own close codes these two are known; others are told as they are. Source: gcloud 528. */
const nothingThere = 4003;
const loginAgain = 4004;

/** The WebSocket was answered with an HTTP status. */
export function handshakeRefused(status: number, place: TunnelPlace): GpuRunError {
  const { project, zone, instance } = place;
  if (status === 401) {
    return new GpuRunError('not-allowed', `Google's relay does not accept the credentials (HTTP 401).`, {
      hints: ['gcloud auth application-default login   makes new ones'],
    });
  }
  if (status >= 400 && status < 500 && status !== 429) {
    return new GpuRunError(
      'not-allowed',
      `Google's relay refuses a tunnel to '${instance}' in ${zone} (HTTP ${status}): the permission iap.tunnelInstances.accessViaIAP is missing, the API of IAP is off, or there is no such machine.`,
      {
        hints: [
          `gcloud projects add-iam-policy-binding ${project} --member=user:YOU@EXAMPLE.COM --role=roles/iap.tunnelResourceAccessor`,
          `gcloud services enable iap.googleapis.com --project=${project}`,
          'gpu-run status --refresh   asks whether the machine is still there',
        ],
      },
    );
  }
  return new GpuRunError('connection', `Google's relay has a problem of its own (HTTP ${status}).`, { retry: 'same' });
}

export function relayUnreachable(cause: Error, place: TunnelPlace): GpuRunError {
  return new GpuRunError('connection', `No tunnel to '${place.instance}': Google's relay can't be reached: ${cause.message}.`, { retry: 'same', cause });
}

/** Whether the tunnel may be taken up again on a new socket: it broke, the relay goes away, or wants the credentials anew. */
export function mayReconnect({ code }: Closing): boolean {
  return code === loginAgain || (code > 1000 && code < 4000);
}

/** Why the tunnel is over. */
export function tunnelClosed({ code, reason }: Closing, place: TunnelPlace): GpuRunError {
  const { project, instance, port } = place;
  const said = reason === '' ? '' : `, '${reason}'`;
  if (code === nothingThere) {
    return new GpuRunError(
      'connection',
      `Google's relay can't reach port ${port} of '${instance}' (${code}${said}): nothing listens there yet, or no firewall rule lets the relay in.`,
      {
        retry: 'same',
        hints: [
          `gcloud compute firewall-rules create gpu-run-iap --project=${project} --direction=INGRESS --action=ALLOW --rules=tcp:${port} --source-ranges=${relayRange} --target-tags=gpu-run`,
        ],
      },
    );
  }
  return new GpuRunError('connection', `Google's relay closed the tunnel to '${instance}' (${code}${said}).`, { retry: 'same' });
}

/** Where the tunnel was lost and could not be taken up again. */
export function tunnelLost(place: TunnelPlace, cause: unknown): GpuRunError {
  return new GpuRunError('connection', `The tunnel to '${place.instance}' broke and could not be taken up again.`, { retry: 'same', cause });
}
